"""Whether trading was where it should be while exchanges fell ill (I7), judged by what truly was wrong with them.

When an exchange is ill is a fact of the plan, and where trading is, one of the journal. What is allowed for is derived
from the settings, and not from what was seen.

live            an exchange that nothing gets through to is left within the budget, if another one has been well for so
                long that it is known as ready; and no switch takes longer than that either
orders          where trading is on an exchange that is well, an order is accepted
with a reason   trading leaves an exchange only while something is wrong with it, or just was: not because of a ban that
                is soon over, one failing answer in twenty, wrong credentials, or our own network
not asked       an exchange that has banned us is not asked again before the ban is over
flapping        a primary that comes and goes is not followed each time
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from attrs import frozen

from app.domain.failover import FailoverSettings
from app.domain.health import HealthSettings, detection_budget_s
from app.fuzz import record as r
from app.fuzz.checker import Seen
from app.fuzz.checker_news import Violation
from app.fuzz.ill_plan import OFTEN_S, OURS, Illness
from messages.orders import Told

REQUEST_S = 4.0
"""The time-out of a request of the connectors in these runs."""
SLACK_S = 5.0
"""Messages, commits, the time between two ticks."""
DIED_S = 10.0
"""A health monitor that died is there again, and has asked again."""
ASKED_MEANWHILE_S = 5.0
"""What was on its way, or being decided, when the first answer of a ban arrived."""


@frozen(kw_only=True)
class Budget:
    """How long things may take, seconds.

    Attributes:
        leave_s: From an exchange being gone to trading being elsewhere.
        order_path_s: Likewise where only orders fail, which takes orders to be found out.
        ready_s: From an exchange being well again to its being a candidate.
        reason_s: So long after the end of an illness it may still be why trading moves.
    """

    leave_s: float
    order_path_s: float
    ready_s: float
    reason_s: float


def budget(health: HealthSettings, failover: FailoverSettings) -> Budget:
    """Of settings."""
    slower = 1 + health.jitter
    interval_s = health.health_check_interval_s * slower
    # A proof that our own network works is asked for when the exchange is down, and again if it is lost.
    proof_s = health.retry_delay_s + 2 * health.probe_timeout_s
    found_s = detection_budget_s(health) + health.health_check_interval_s * health.jitter
    moves_s = proof_s + failover.preflight_timeout_s + SLACK_S
    streak_s = health.place_failures * max(OFTEN_S[1] + REQUEST_S, health.retry_delay_s)
    return Budget(
        leave_s=found_s + moves_s,
        order_path_s=max(found_s, streak_s) + moves_s,
        ready_s=interval_s
        + health.probe_timeout_s
        + health.rise * health.retry_delay_s * slower
        + failover.preflight_interval_s
        + failover.preflight_timeout_s
        + SLACK_S,
        reason_s=health.error_window_s + failover.dwell_s + moves_s,
    )


@frozen
class _Stay:
    """Trading is on an exchange, or on its way (None), from one time to another, of the run."""

    epoch: int
    exchange: str | None
    begin_s: float
    end_s: float


def ill_violations(
    seen: Seen,
    health: HealthSettings,
    failover: FailoverSettings,
    asks: Mapping[str, list[float]],
    why: Mapping[int, str],
) -> Iterator[Violation]:
    """Every violation of a run in which exchanges were ill.

    Args:
        asks: By exchange, when something was asked of it that answered that we are banned.
        why: By epoch, what the router gave as its reason; for people, nothing is judged by it.
    """
    if seen.plan.ills is None:
        return
    allowed = budget(health, failover)
    stays = _stays(seen)
    yield from _left_in_time(seen, stays, allowed)
    yield from _accepted(seen, stays, allowed)
    yield from _with_a_reason(seen, stays, allowed, why)
    yield from _not_asked(seen, asks)


def _stays(seen: Seen) -> list[_Stay]:
    routed = [fact for fact in seen.facts if isinstance(fact, r.Routed)]
    found: list[_Stay] = []
    for fact, until_s in zip(routed, [*(fact.at_s for fact in routed[1:]), seen.end_s], strict=True):
        stay = _Stay(fact.epoch, fact.exchange, fact.at_s - seen.start_s, until_s - seen.start_s)
        if found and found[-1].exchange == stay.exchange:
            stay = _Stay(stay.epoch, stay.exchange, found.pop().begin_s, stay.end_s)
        found.append(stay)
    return found


def _ill(seen: Seen, exchange: str, begin_s: float, end_s: float) -> list[Illness]:
    """What was wrong with an exchange at some moment between two."""
    return [i for i in seen.plan.illnesses if i.exchange == exchange and i.begin_s < end_s and i.end_s > begin_s]


def _somewhere_else(seen: Seen, but: str | None, begin_s: float, end_s: float) -> str:
    """An exchange that is well all the time between; empty where none is."""
    names = [traits.name for traits in seen.plan.traits if traits.name != but]
    return next((name for name in names if not _ill(seen, name, begin_s, end_s)), "")


def _later_s(seen: Seen, begin_s: float, end_s: float) -> float:
    """What a death of the health monitor costs that falls between two moments."""
    deaths = [at_s - seen.start_s for at_s in seen.deaths("health_monitor")]
    return DIED_S * sum(begin_s <= at_s <= end_s for at_s in deaths)


def _left_in_time(seen: Seen, stays: list[_Stay], allowed: Budget) -> Iterator[Violation]:
    for stay in stays:
        if stay.exchange is None:
            due_s = stay.begin_s + allowed.leave_s
            if stay.end_s > due_s and (other := _somewhere_else(seen, None, stay.begin_s - allowed.ready_s, due_s)):
                words = f"nowhere for {stay.end_s - stay.begin_s:.0f} s, while {other} was well"
                yield Violation("I7 not live", seen.start_s + due_s, 0, words)
            continue
        for ill in _ill(seen, stay.exchange, stay.begin_s, stay.end_s):
            if not ill.what.strong:
                continue
            since_s = max(ill.begin_s, stay.begin_s)
            within_s = allowed.order_path_s if ill.what.places_only else allowed.leave_s
            due_s = since_s + within_s
            due_s += _later_s(seen, since_s, due_s)
            if min(ill.end_s, stay.end_s) <= due_s:
                continue
            other = _somewhere_else(seen, stay.exchange, since_s - allowed.ready_s, due_s)
            if other:
                words = (
                    f"still on {stay.exchange} {within_s:.0f} s after it was gone ({ill.kind}), and {other} was well"
                )
                yield Violation("I7 not live", seen.start_s + due_s, 0, words)


def _accepted(seen: Seen, stays: list[_Stay], allowed: Budget) -> Iterator[Violation]:
    """Orders that were asked for, and answered, while trading stayed on an exchange that was well."""
    answers = {heard.request: heard for heard in seen.heard() if heard.request is not None}
    moved = [stay.begin_s for stay in stays]
    for asked in seen.asked():
        if asked.kind != "place":
            continue
        at_s, by_s = asked.at_s - seen.start_s, asked.deadline_s - seen.start_s
        stay = next((s for s in stays if s.begin_s <= at_s < s.end_s), None)
        if stay is None or stay.exchange is None or any(at_s <= each <= by_s for each in moved):
            continue
        # Just after it was ill, it may not be trusted yet: the exchange in use is asked soon.
        if [i for i in _ill(seen, stay.exchange, at_s - allowed.ready_s, by_s) if not i.what.passes]:
            continue
        # Nor just after all of them were: that was our own network.
        if [i for i in seen.plan.illnesses if i.kind in OURS and i.begin_s < by_s and i.end_s > at_s - allowed.ready_s]:
            continue
        answer = answers.get(asked.request)
        if answer is None or answer.told is not Told.ACCEPTED:
            told = "nobody answered" if answer is None else f"{answer.told.value}: {answer.words}"
            words = f"on {stay.exchange}, which was well: {told}"
            yield Violation("I7 order not accepted", asked.at_s, asked.serial, words)


def _with_a_reason(seen: Seen, stays: list[_Stay], allowed: Budget, why: Mapping[int, str]) -> Iterator[Violation]:
    ills = seen.plan.ills
    assert ills is not None
    switches = 0
    for before, after in pairwise(stay for stay in stays if stay.exchange is not None):
        if before.exchange == after.exchange:
            continue  # fenced, and back: nobody could take over
        switches += 1
        at_s, name = before.end_s, before.exchange or ""
        back = ills.failback and after.exchange == seen.plan.traits[0].name
        reasons = [
            i
            for i in seen.plan.illnesses
            if i.exchange == name and i.what.reason and i.reason_s <= at_s <= i.end_s + allowed.reason_s
        ]
        if not reasons and not back:
            wrong = ", ".join(i.kind for i in _ill(seen, name, at_s - allowed.reason_s, at_s)) or "nothing"
            words = f"from {name} to {after.exchange}; wrong with it: {wrong}; it says: {why.get(after.epoch, '')}"
            yield Violation("I7 left without a reason", seen.start_s + at_s, 0, words)
    if ills.most_switches is not None and switches > ills.most_switches:
        words = f"{switches} switches, and the primary came and went {len(seen.plan.illnesses)} times"
        yield Violation("I7 follows what flaps", seen.end_s, 0, words)


def _not_asked(seen: Seen, asks: Mapping[str, list[float]]) -> Iterator[Violation]:
    for ill in seen.plan.illnesses:
        if "ban" not in ill.kind:
            continue
        begin_s, end_s = seen.start_s + ill.begin_s, seen.start_s + ill.end_s
        asked = [at_s for at_s in asks.get(ill.exchange, ()) if begin_s <= at_s < end_s]
        late = [at_s for at_s in asked if at_s > asked[0] + ASKED_MEANWHILE_S]
        if late:
            words = f"{ill.exchange} was asked {len(late)} times more during a ban that it had told of"
            yield Violation("I7 asked during a ban", late[0], 0, words)
