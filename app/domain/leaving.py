"""Why trading leaves an exchange by itself, where it goes, and when: pure, over what is believed of every exchange.

Theory. A switch costs: a fence in which no order goes anywhere, orders taken off and placed again at the end of queues,
positions that are crossed twice. So three things are asked apart. *Why*: only what is confirmed, the first line that
applies. *Where to*: only to whom less speaks against going than against staying. *When*: at once where nothing is lost
by it, else not twice within a while.

    | the exchange in use is        | trading goes to                                       | when            | orders |
    | down                          | WELL; else SUSPECT, else HALF_OPEN, that passed since | at once; damped | after  |
    | kept out by a person          | WELL and ready, the fit ones first                    | at once         | before |
    | closed for maintenance        | WELL, ready and fit                                   | after the dwell | before |
    | unfit: slow, failing, banned, | WELL, ready and fit                                   | after the dwell | before |
    |   stale, or about to close    |                                                       |                 |        |
    | refusing our credentials      | nowhere: a person is told; nothing says that others   | -               | -      |
    |                               | were given better ones                                |                 |        |
    | down, and so is our network   | nowhere, until something answers (`network`)          | -               | -      |

*Orders*: whether what rests there is taken off, and carried, before trading moves, or once it has: nobody waits for an
exchange that is down. About to close: its `unfit` begins `maintenance_lead_s` early, so that orders and positions leave
while it still takes orders. Where nobody may take trading it stays, trades on if it can, and says so.

*Candidates*, best first: how well they are, whether they are fit, whether they have answered a pre-flight, whether all
that is open would follow (funds, sizes, leverage), and their place in the list. One that is not WELL counts only by a
pre-flight that it passed since it is so, which is a signed answer of its own; and only where the one in use is down.

*Damping*, as of routes that flap (RFC 2439): within an hour after the first switch that the router made by itself, one
that is not forced by a death waits for `dwell_s`, twice as long after each further one; one that is, waits for nothing
up to `FREE`, then likewise up to `MOST_FORCED_S`. So with `dwell_s` at its default of 60 s, whatever is believed of
exchanges, and however often that changes, the router moves by itself at most `FREE` + 14 times in an hour, and without
a death at most 7 times; with 0, nothing is damped. What a person asks for is never damped. Numbers are declared by us.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum

from attrs import frozen

from app.domain.failback import by_person
from messages.failover import Readiness, Switch, SwitchResult
from messages.health import HealthState, HealthView, Network, NetworkState

HOUR_S = 3600.0
FREE = 6
"""Switches away from the dead within an hour that wait for nothing."""
MOST_FORCED_S = 300.0
"""The longest such a one waits; trading stands still meanwhile, unless the dead comes back, as what flaps does."""
MOST_EVIDENCE = 16
"""Pieces that a switch carries."""


class Why(StrEnum):
    """Why trading is to leave, the most urgent first."""

    DOWN = "down"
    ISOLATED = "isolated"
    CLOSED = "closed"
    UNFIT = "unfit"


TRADES_ON = frozenset({Why.UNFIT})
"""Where staying is no error."""


@frozen(kw_only=True)
class Leave:
    """That trading is to leave.

    Attributes:
        words: What the exchange is, as the rest of a sentence that begins with its name.
        evidence: The pieces that decided.
    """

    why: Why
    words: str
    evidence: tuple[str, ...]


@frozen(kw_only=True)
class Candidate:
    """What is known of an exchange that is not in use.

    Attributes:
        place: In the list.
        why_not: Why it is none, whatever its health: where it stands, a person, its credentials; empty where nothing.
        unfit: Why trading would leave it again.
        no_better: Why it is not known to be better than one that is unfit.
        ready: What its pre-flight found, where it is young, and no older than what is believed of it.
        answered: Whether it ever answered one.
    """

    exchange: str
    place: int
    health: HealthState
    since_s: float
    why_not: str = ""
    unfit: str = ""
    no_better: str = ""
    ready: Readiness | None = None
    answered: bool = False

    @property
    def passed(self) -> bool:
        """It could take trading, by its pre-flight."""
        return self.ready is not None and not self.ready.problems


@frozen
class Stay:
    """That trading stays though something speaks for leaving; `kind` is told once in the history, empty never."""

    kind: str
    words: str


_RANK = {HealthState.WELL: 0, HealthState.SUSPECT: 1, HealthState.HALF_OPEN: 2}
_SAYS = {
    HealthState.STARTING: "is not known yet",
    HealthState.SUSPECT: "is suspected",
    HealthState.HALF_OPEN: "was down, and is on trial",
}


def why_leave(view: HealthView | None, isolated: str) -> Leave | None:
    """Why trading is to leave an exchange; None where it is to stay.

    Args:
        isolated: Why a person keeps it out; empty where nobody does.
    """
    if view is not None and view.health is HealthState.DOWN:
        return Leave(why=Why.DOWN, words=f"down: {view.reason}", evidence=_told(view))
    if isolated:
        evidence = (f"a person keeps it out: {isolated}", *(_told(view) if view is not None else ()))
        return Leave(why=Why.ISOLATED, words=f"isolated: {isolated}", evidence=evidence)
    if view is None:
        return None
    if view.health is HealthState.MAINTENANCE:
        return Leave(why=Why.CLOSED, words=f"closed for maintenance: {view.reason}", evidence=_told(view))
    if view.unfit:
        return Leave(why=Why.UNFIT, words=f"unfit: {view.unfit}", evidence=(*_told(view), view.unfit))
    return None


def may_not(why: Why, candidate: Candidate) -> str:
    """Why trading may not go to a candidate, in a sentence; empty where it may."""
    name, health = candidate.exchange, candidate.health
    if candidate.why_not:
        return candidate.why_not
    if health is not HealthState.WELL:
        if why is Why.DOWN and health in _RANK and candidate.passed:
            return ""
        return f"{name} {_SAYS.get(health, f'is {health.value}')}."
    if why is Why.DOWN:
        return ""
    if candidate.unfit and why is not Why.ISOLATED:
        return f"{name} is unfit itself: {candidate.unfit}"
    if candidate.no_better and why is Why.UNFIT:
        return f"Of {name} {candidate.no_better}"
    if candidate.ready is None:
        return f"{name} has not answered lately whether it is ready."
    return " ".join(candidate.ready.problems)


def best_first(candidates: Iterable[Candidate]) -> tuple[str, ...]:
    """Their names, in the order in which they are asked."""

    def key(one: Candidate) -> tuple[int, bool, bool, bool, bool, int]:
        short = one.passed and one.ready is not None and bool(one.ready.shortfalls)
        return (
            _RANK.get(one.health, len(_RANK)),
            bool(one.unfit),
            bool(one.no_better),
            not one.answered,
            short,
            one.place,
        )

    return tuple(one.exchange for one in sorted(candidates, key=key))


def worth_asking(why: Why, candidate: Candidate) -> bool:
    """Whether a candidate's answer to a pre-flight is all that is missing."""
    if candidate.why_not or candidate.ready is not None:
        return False
    if candidate.health is HealthState.WELL:
        return why in (Why.DOWN, Why.ISOLATED) or not (candidate.unfit or (candidate.no_better and why is Why.UNFIT))
    return why is Why.DOWN and candidate.health in _RANK


def calm_until_s(past: Sequence[Switch], dwell_s: float, now_s: float, *, forced: bool) -> float:
    """Before which moment the router does not move by itself again.

    Args:
        past: The newest switches, oldest first.
        forced: By a death.
    """
    own = [each for each in past if each.result is SwitchResult.COMPLETED and not by_person(each)]
    recent = [each.at_s + each.duration_s for each in own if each.at_s + each.duration_s > now_s - HOUR_S]
    free = FREE if forced else 1
    if not recent or len(recent) < free:
        return float("-inf")
    wait_s = dwell_s * 2.0 ** min(len(recent) - free, 10)
    return recent[-1] + min(wait_s, MOST_FORCED_S if forced else HOUR_S)


def no_proof(exchange: str, network: Network) -> Stay:
    """Trading stays, since our own network may be what is down."""
    if network.state is NetworkState.OURS:
        words = f"{exchange} is down, and as it looks so is our own network: {network.words}. Trading is not moved."
        return Stay("own network", words)
    words = (
        f"{exchange} is down, and trading is not moved before it is known that our own network works: {network.words}."
    )
    return Stay("", words)


def not_yet(leave: Leave, exchange: str, wait_s: float) -> Stay:
    """It may not move yet, since it moved, or nobody was ready, a moment ago."""
    if leave.why is Why.DOWN:
        return Stay("held", f"{exchange} is down; if it does not come back within {wait_s:.3g} s, trading moves on.")
    until = f"Trading moves on if that lasts for {wait_s:.3g} s: it has moved, or nobody was ready, a moment ago."
    return Stay("held", f"{exchange} is {leave.words.rstrip('.')}. {until}")


def of_choice(candidate: Candidate, now_s: float) -> str:
    """Why a candidate was taken, with the numbers."""
    found = candidate.ready
    health, for_s = candidate.health.value.replace("_", " "), max(0.0, now_s - candidate.since_s)
    words = f"{candidate.exchange} is {health} for {for_s:.3g} s, number {candidate.place + 1} in the list"
    if found is not None and found.at_s is not None:
        words += f", its pre-flight is {max(0.0, now_s - found.at_s):.3g} s old"
    if found is not None and found.shortfalls:
        words += f", though not all would follow there ({len(found.shortfalls)})"
    return words


def clock(at_s: float) -> str:
    """A time, as people and logs write it."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S.%f")[:-3] + " UTC"


def _told(view: HealthView) -> tuple[str, ...]:
    first = f"{view.exchange} is {view.health.value} since {clock(view.since_s)}: {view.reason}"
    return (first, *(each for each in dict.fromkeys(view.evidence) if each not in view.reason))
