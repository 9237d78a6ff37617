"""Whether an exchange that is down is down itself, or our own network is: from the answers of everybody else.

Theory. From here a dead exchange and a dead network of ours look alike: calls fail. Only what others say tells them
apart, and only if they were asked *afterwards*: that another exchange answered a minute ago says nothing, since then
the one in use answered, too. And a failure of our network is found out one by one, on the busiest exchange first and on
an idle one up to a whole `health_check_interval` later: for a while one is down and the others only look well. So:

1. *No proof, no switch.* An exchange that is DOWN is left only with a proof that our network works: somebody else was
   asked after the trouble began, and answered. The trouble begins when the exchange is DOWN, and anew whenever another
   one falls ill after that, or it has answered again and falls silent once more: a new trouble asks for a new proof.
2. *The proof never fails to come while there is somewhere to go.* Trading moves only to an exchange that is well, and
   that one, asked, answers: so a proof is awaited for one round trip, if everybody is asked at once (`question_s` says
   when). One that is dead itself, for days maybe, holds nothing up: it neither proves nor denies.
3. *Who was silent together is given time to come back together.* When our network is back, one exchange answers first,
   and what was sent to the other one before may still run into its time-out. So after a silence that overlaps that of
   the exchange that is down, an answer proves only after `patience_s`, in which that one may answer as well. Silence is
   that a whole round of probes goes without an answer: one lost call is no rarity, and would hold up many a true death.
   Whoever was not silent in that time proves at once. The same holds for witnesses. And while the one that is down
   answers again, patience counts from its newest answer, for up to `error_window_s` more: it is coming back, and is
   only called down until the calls that were lost have timed out.
4. *Where both lose calls, a proof comes later.* A line of ours that loses every third packet lets one exchange fail
   three times in a row while another answers. So where too many calls get lost to both (`health_line`), that other one
   is believed no sooner than one that was silent together with the one that is down, and neither is a witness beside
   it: by then that one has answered again, too, if the line is what is bad. Where it has not, trading moves. One that
   is not even well waits as long as the other goes on answering now and then, for `flap_half_life_s` at most.
5. *A cause on our side asks for a later proof.* Where the exchange is DOWN because its name is not resolved or no way
   leads there, others may go on answering over connections that they had before. What proves is what they are asked
   `health_check_interval` later. A witness proves nothing then: it is reached without a name. But if others do answer
   after so long, trading moves, whoever is at fault: they are reached, and it is not.

What each of the others says of an exchange that is DOWN; *since* is since the trouble began:

| it                                                                  | says    |
|---------------------------------------------------------------------|---------|
| answered something that was sent since                              | PROVES  |
| likewise, but was silent with the other one; or the cause is LOCAL  | LATER   |
| likewise, but of both's calls too many get lost                     | LATER   |
| is DOWN or silent since the other's last answer, no answer since    | DENIES  |
| likewise, since before that, or by an answer such as HTTP 503       | nothing |
| is closed, no answer since                                          | nothing |
| is well, suspect for less, on trial or new, no answer since         | AWAITED |
| a witness, asked since, that let us connect (cause LOCAL: nothing)  | PROVES  |
| likewise, but did not while the other one was silent                | LATER   |
| likewise, but of all the others too many calls get lost             | LATER   |
| a witness, asked since it was DOWN, that did not and once did       | DENIES  |
| likewise, but never did, or not since before the other's last answer| nothing |
| a witness not asked since (cause LOCAL: nothing)                    | AWAITED |

One that PROVES makes it THEIRS, whatever others say. Without that, any LATER or AWAITED leaves it UNKNOWN; without
these, one that DENIES makes it OURS. Where nobody says anything it is UNKNOWN: with a single exchange and no witness,
or where all the others were dead before. Trading moves with THEIRS only. So beside a backup that is truly dead, the
death of the exchange in use is UNKNOWN, for as long as it lasts: there is nowhere to go then, and a person is told that
it may be either. The first of the others that answers ends it; the exchange in use, if it answers first, is in use.

What no rule can tell: a network of ours that dies just after a proof, or only on the way to some of the exchanges.
Trading then moves to one that answers, as it should.

Sources: Envoy's panic threshold (where too many fail at once, none is ejected), and leases as of Chubby's (an answer
proves something as of when it was asked, not of when it came). The numbers are declared by us.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from enum import IntEnum

from attrs import frozen

from app.domain.health_settings import HealthSettings
from messages.health import Cause, HealthState, HealthView, Network, NetworkState, Witness

OwnNetwork = Callable[[tuple[HealthView, ...], tuple[Witness, ...], float, str], Network]
"""Whose fault it is that an exchange is down: views, witnesses, the time, and which exchange. `judge` with settings."""

ILL = frozenset({HealthState.SUSPECT, HealthState.DOWN})
_CLOSED = frozenset({HealthState.MAINTENANCE})
_CAME_THROUGH = frozenset({Cause.SERVER, Cause.MAINTENANCE})
"""Causes that are answers: our network brought them."""


class Says(IntEnum):
    """What somebody says of our network; the higher, the more it decides."""

    NOTHING = 0
    DENIES = 1
    AWAITED = 2
    LATER = 3
    PROVES = 4


@frozen
class _Said:
    """What one says.

    Attributes:
        who: In words.
        until_s: Of LATER, when it proves; None where it has to answer once more.
    """

    says: Says
    who: str
    until_s: float | None = None


def patience_s(settings: HealthSettings) -> float:
    """What an exchange needs to be found well again, once it is asked: rounds of probes, and two that are lost."""
    return (settings.rise + 1) * settings.retry_delay_s + 2 * settings.probe_timeout_s


def judge(
    views: tuple[HealthView, ...],
    witnesses: tuple[Witness, ...],
    now_s: float,
    settings: HealthSettings,
    exchange: str | None = None,
) -> Network:
    """Whose fault it is that an exchange is down.

    Args:
        views: What is believed of every exchange, in any order.
        witnesses: What was last heard of each, in any order.
        exchange: Which; None for the newest that is DOWN, or the newest SUSPECT one where none is. Of that one nothing
            is said to be OURS yet: two that fail a call at the same time are no rarity.

    Returns:
        THEIRS with a fresh proof that our network works, and only then. Where nothing is ill, any answer ever is one.
    """
    asked = _in_question(views, exchange)
    if asked is None:
        if exchange is None and _anything(views, witnesses):
            return Network(state=NetworkState.THEIRS, words="nothing fails")
        return Network(state=NetworkState.UNKNOWN, words="nothing has answered yet")
    others = [view for view in views if view.exchange != asked.exchange]
    began_s = _began_s(asked, others)
    said = [_of_exchange(view, asked, began_s, now_s, settings) for view in others]
    lossy = bool(others) and asked.loses and all(view.loses for view in others)
    said += [_of_witness(witness, asked, began_s, now_s, settings, lossy=lossy) for witness in witnesses]
    most = max((each.says for each in said), default=Says.NOTHING)
    deciding = sorted((each for each in said if each.says is most), key=lambda each: each.who)
    who = _and(each.who for each in deciding)
    name = asked.exchange
    match most:
        case Says.PROVES:
            return Network(state=NetworkState.THEIRS, words=f"{who} answered after {name} failed")
        case Says.LATER:
            until_s = min((each.until_s for each in deciding if each.until_s is not None), default=None)
            words = f"{who} answered after {name} failed, which may be our own network, as it goes or comes back"
            return Network(state=NetworkState.UNKNOWN, words=words, again_s=until_s)
        case Says.AWAITED:
            return Network(state=NetworkState.UNKNOWN, words=f"{who} not heard of since {name} failed")
        case Says.DENIES:
            alone = exchange is None and asked.health is not HealthState.DOWN
            state = NetworkState.UNKNOWN if alone else NetworkState.OURS
            return Network(state=state, words=f"{who} failed together with {name}")
        case Says.NOTHING:
            beside = (
                f"{_and(sorted(view.exchange for view in others))} failed before it" if others else "nobody beside it"
            )
            words = f"{name} does not answer, {beside}: it or our own network may be down"
            return Network(state=NetworkState.UNKNOWN, words=words)


def missing(
    views: tuple[HealthView, ...], witnesses: tuple[Witness, ...], now_s: float, settings: HealthSettings
) -> bool:
    """Whether an exchange is DOWN without a proof that our network works."""
    down = [view.exchange for view in views if view.health is HealthState.DOWN]
    return any(judge(views, witnesses, now_s, settings, each).state is not NetworkState.THEIRS for each in down)


def question_s(
    view: HealthView, views: tuple[HealthView, ...], asked_s: float | None, settings: HealthSettings
) -> float | None:
    """When an exchange is to be asked anew, since its answer is missing as a proof; None where it is not.

    At once when something falls ill, without waiting for what it was asked before; then each `retry_delay_s`, until it
    has answered or is ill itself. A proof that was given is not asked for again.

    Args:
        asked_s: When it was last asked; None where it never was.
    """
    if view.health in ILL or view.health in _CLOSED:
        return None
    troubles = [_needed_s(each, views, settings) for each in views if each.health is HealthState.DOWN]
    missing = [needed_s for needed_s in troubles if view.answered_sent_s is None or view.answered_sent_s < needed_s]
    if not missing:
        return None
    needed_s = min(missing)
    return needed_s if asked_s is None or asked_s < needed_s else asked_s + settings.retry_delay_s


def _in_question(views: tuple[HealthView, ...], exchange: str | None) -> HealthView | None:
    if exchange is not None:
        return next((view for view in views if view.exchange == exchange), None)
    ill = [view for view in views if view.health in ILL]
    return max(ill, key=lambda view: (view.health is HealthState.DOWN, view.since_s, view.exchange), default=None)


def _began_s(asked: HealthView, others: Iterable[HealthView]) -> float:
    """Of the trouble: when it was DOWN, or fell silent anew, or when the last of the others fell ill after that."""
    anew = [asked.silent_s] if asked.silent_s is not None and _silent(asked) else []
    return max((asked.since_s, *anew, *(view.since_s for view in others if view.health in ILL)))


def _later_s(began_s: float, settings: HealthSettings) -> float:
    return began_s + settings.health_check_interval_s


def _needed_s(asked: HealthView, views: tuple[HealthView, ...], settings: HealthSettings) -> float:
    """From when on an answer must have been sent to prove that the trouble of an exchange is its own."""
    began_s = _began_s(asked, [view for view in views if view.exchange != asked.exchange])
    return _later_s(began_s, settings) if asked.cause is Cause.LOCAL else began_s


def _anything(views: tuple[HealthView, ...], witnesses: tuple[Witness, ...]) -> bool:
    return any(view.answered_sent_s is not None for view in views) or any(witness.ok for witness in witnesses)


def _of_exchange(view: HealthView, asked: HealthView, began_s: float, now_s: float, settings: HealthSettings) -> _Said:
    who, sent_s = view.exchange, view.answered_sent_s
    if sent_s is not None and sent_s >= began_s:
        if asked.cause is Cause.LOCAL and sent_s < _later_s(began_s, settings):
            return _Said(Says.LATER, who)
        until_s = _doubted_until_s(view.silent_s, view.recovered_s, asked, settings)
        if view.loses and asked.loses:  # one whose orders fail and whose probes are answered has a good line
            who = f"{who}, to which too many calls get lost,"
            longest_s = settings.error_window_s if view.health is HealthState.WELL else settings.flap_half_life_s
            until_s = max(until_s, _come_back_s(asked.since_s, asked.since_s, asked, longest_s, settings))
        return _Said(Says.PROVES, who) if now_s >= until_s else _Said(Says.LATER, who, until_s)
    if view.health is HealthState.DOWN or (view.health is HealthState.SUSPECT and _silent(view)):
        together = asked.last_ok_s is None or view.since_s >= asked.last_ok_s
        return _Said(Says.DENIES if together and view.cause not in _CAME_THROUGH else Says.NOTHING, who)
    return _Said(Says.NOTHING if view.health in _CLOSED else Says.AWAITED, who)


def _silent(view: HealthView) -> bool:
    """A whole round of its probes goes without an answer: one call that fails is no rarity."""
    return view.silent_s is not None and (view.recovered_s is None or view.recovered_s < view.silent_s)


def _doubted_until_s(
    silent_s: float | None, back_s: float | None, asked: HealthView, settings: HealthSettings
) -> float:
    """Until when one is not believed that was silent and came back: at once, if the other was not silent with it."""
    if silent_s is None or back_s is None or asked.silent_s is None:
        return -math.inf
    over_s = asked.recovered_s
    lasts = over_s is None or over_s < asked.silent_s
    # From when it was DOWN, too: it may have answered since, and fallen silent again.
    together = back_s >= min(asked.silent_s, asked.since_s) and (lasts or over_s is None or silent_s <= over_s)
    if not together:
        return -math.inf
    return _come_back_s(back_s, asked.silent_s, asked, settings.error_window_s, settings)


def _come_back_s(
    from_s: float, silent_s: float, asked: HealthView, longest_s: float, settings: HealthSettings
) -> float:
    """Until when the one that is down is given time to answer, from a moment on; while it does, for so much longer."""
    until_s = from_s + patience_s(settings)
    if asked.answered_sent_s is None or asked.answered_sent_s < silent_s:
        return until_s
    again_s = asked.answered_sent_s + patience_s(settings)
    return max(until_s, min(again_s, until_s + longest_s))


def _of_witness(
    witness: Witness, asked: HealthView, began_s: float, now_s: float, settings: HealthSettings, *, lossy: bool
) -> _Said:
    who = f"witness {witness.target}"
    if not witness.ok and witness.at_s >= asked.since_s:
        lost = witness.good and (asked.last_ok_s is None or witness.since_s >= asked.last_ok_s)
        return _Said(Says.DENIES if lost else Says.NOTHING, who)
    if asked.cause is Cause.LOCAL:
        return _Said(Says.NOTHING, who)
    if not witness.ok or witness.at_s < began_s:
        return _Said(Says.AWAITED, who)
    until_s = _doubted_until_s(witness.silent_s, witness.since_s, asked, settings)
    if lossy:
        until_s = max(until_s, _come_back_s(asked.since_s, asked.since_s, asked, settings.error_window_s, settings))
    return _Said(Says.PROVES, who) if now_s >= until_s else _Said(Says.LATER, who, until_s)


def _and(names: Iterable[str]) -> str:
    *first, last = (*names,) or ("",)
    return f"{', '.join(first)} and {last}" if first else last
