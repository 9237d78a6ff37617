"""What the failure detector believes after an instant of evidence: everything it keeps of an exchange.

`believed` is the whole judgement: counts, then the finding, then the table. Each part has its room: what is counted in
a row (`health_counts`), what the exchange says in words (`health_told`), how often it was down (`health_flaps`).
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, field, frozen

from app.domain import health_flaps
from app.domain.health_counts import CLOCK_SLACK_S as CLOCK_SLACK_S
from app.domain.health_counts import Counts, counted
from app.domain.health_evidence import Instant
from app.domain.health_flaps import NEVER_DOWN, Flaps
from app.domain.health_judges import Judges
from app.domain.health_kinds import REAL_CALLS, ROUND_EVIDENCE
from app.domain.health_latency import Latencies
from app.domain.health_settings import HealthSettings as HealthSettings
from app.domain.health_table import OUT, TABLE, Finding
from app.domain.health_told import NOTHING, Told, heard
from messages.health import Cause, EvidenceKind, HealthState

_NONE: frozenset[EvidenceKind] = frozenset()
MOST_PIECES = 8
"""So many pieces of evidence are told of a change."""


@frozen(kw_only=True)
class Belief:
    """What is believed after an instant.

    Attributes:
        reason: Why the state last changed; `evidence` the pieces that led to it, the newest last.
        pieces: What went wrong since the exchange was WELL, (when, words), the newest last.
        cause: Of the last failure since then.
        suspicion: Phi of the oldest call that was last told to be waiting; 0 once one of its kind is answered.
        hurry_s: A waiting call made it SUSPECT then: it is to be asked at once.
        answered_sent_s: When the call was sent which was sent last of those that were answered.
        lost: Kinds of probe that failed since anything was answered; `lost_s` when the first call of any kind was sent
            that did.
        silent_s: When the last silence began, which is that both kinds of probe did; `recovered_s` when it was over. An
            outage of our own network looks so (`network`).
    """

    state: HealthState
    since_s: float
    reason: str
    evidence: tuple[str, ...] = ()
    pieces: tuple[tuple[float, str], ...] = ()
    cause: Cause | None = None
    counts: Counts = field(factory=Counts)
    told: Told = NOTHING
    flaps: Flaps = NEVER_DOWN
    suspicion: float = 0.0
    hurry_s: float | None = None
    last_ok_s: float | None = None
    answered_sent_s: float | None = None
    lost: frozenset[EvidenceKind] = _NONE
    lost_s: float | None = None
    silent_s: float | None = None
    recovered_s: float | None = None
    latency_s: float | None = None
    clock_offset_s: float | None = None


def believed(before: Belief, instant: Instant, judges: Judges, settings: HealthSettings) -> Belief:
    """The belief after an instant; `judges` are as of all that was heard, this instant included."""
    remarks, at_s = instant.remarks, instant.at_s
    waits = remarks.waited_s if remarks is not None else None
    suspicion, words = _suspicion(waits, judges.latencies, settings) if waits else (before.suspicion, "")
    suspicious = bool(waits) and suspicion > settings.suspicion
    limit = 1 if before.state is HealthState.HALF_OPEN and not before.flaps.ours else settings.max_retry_attempts
    counts = counted(before.counts, instant, settings, limit=limit, suspicious=suspicious)
    pieces = before.pieces
    if remarks is not None and (remarks.pieces or suspicious):
        new = (*remarks.pieces, words) if suspicious else remarks.pieces
        pieces = (*pieces, *((at_s, each) for each in new))[-MOST_PIECES:]
    if not waits and suspicion and any(kind in instant.ok or kind in instant.failed for kind in REAL_CALLS):
        suspicion = 0.0
    lost, lost_s, silent_s, recovered_s = before.lost, before.lost_s, before.silent_s, before.recovered_s
    if lost_s is not None and instant.answered_sent_s is not None:
        recovered_s = at_s if lost == ROUND_EVIDENCE else recovered_s
        lost, lost_s = _NONE, None
    answered_sent_s = _later(before.answered_sent_s, instant.answered_sent_s)
    # What was sent before something that was answered is no silence of now, however late it is given up.
    failed = [kind for kind, sent_s in instant.failed.items() if answered_sent_s is None or sent_s >= answered_sent_s]
    if failed:
        lost_s = min(instant.failed[kind] for kind in failed) if lost_s is None else lost_s
        if lost != ROUND_EVIDENCE and (lost := lost | ROUND_EVIDENCE.intersection(failed)) == ROUND_EVIDENCE:
            silent_s = lost_s
    belief = Belief(
        state=before.state,
        since_s=before.since_s,
        reason=before.reason,
        evidence=before.evidence,
        pieces=pieces,
        cause=before.cause if remarks is None or remarks.cause is None else remarks.cause,
        counts=counts,
        told=heard(before.told, instant, settings),
        flaps=before.flaps,
        suspicion=suspicion,
        hurry_s=before.hurry_s,
        last_ok_s=before.last_ok_s if instant.answered_sent_s is None else at_s,
        answered_sent_s=answered_sent_s,
        lost=lost,
        lost_s=lost_s,
        silent_s=silent_s,
        recovered_s=recovered_s,
        latency_s=before.latency_s if instant.latency_s is None else instant.latency_s,
        clock_offset_s=before.clock_offset_s if instant.clock_offset_s is None else instant.clock_offset_s,
    )
    finding, why = _find(belief, instant, judges, settings, words if suspicious else "")
    state = TABLE[belief.state][finding]
    if state is belief.state:
        return _unsaid(belief) if state is HealthState.STARTING and belief.told.unproven else belief
    return _entered(belief, state, why, instant, settings, suspicious)


def _find(
    belief: Belief, instant: Instant, judges: Judges, settings: HealthSettings, suspicion: str
) -> tuple[Finding, str]:
    """What an instant amounts to, and in which words."""
    counts, at_s, failed = belief.counts, instant.at_s, instant.failed
    if (notice := belief.told.under_way(at_s, settings)) is not None:
        return Finding.CLOSED, f"it announces a maintenance that is under way: {notice.words}"
    if counts.closed:
        return Finding.CLOSED, f"it says that it is closed: {instant.words or 'maintenance'}"
    if failed and counts.signed_failed and (counts.public_failed or counts.order_failed):
        second = "public" if counts.public_failed else "order"
        return Finding.GONE, f"{counts.failures} failures in a row, signed and {second} calls confirm: {instant.words}"
    if failed:
        if EvidenceKind.PLACE in failed:
            if counts.place_streak >= settings.place_failures:
                return Finding.GONE, f"{counts.place_streak} placements in a row failed: {instant.words}"
            if belief.state is HealthState.HALF_OPEN and belief.flaps.ours:
                return Finding.ILL, instant.words  # only our network was down: it is as forgiving as WELL
            return Finding.ORDER_FAILED, instant.words
        return Finding.ILL, instant.words
    if suspicion:
        return Finding.ILL, suspicion
    # Of one that is OUT the window has only what made it so, which is no further reason, and would hold up its trial.
    if belief.state not in OUT and (words := judges.rate.suspect(at_s, settings)):
        return Finding.ILL, words
    if counts.rounds >= settings.rise:
        until_s = belief.flaps.until_s if belief.state is HealthState.HALF_OPEN else None
        if until_s is not None and at_s >= until_s and counts.trial >= settings.trial_calls:
            return Finding.TRIED, f"{counts.trial} signed calls in a row were answered well on trial"
        return Finding.RECOVERED, f"{counts.rounds} good rounds of probes in a row"
    if counts.trusted and not counts.public_ill and counts.place_failures <= 1:
        return Finding.GOOD, "a signed call was answered"
    return Finding.ANSWERS, ""


def _unsaid(belief: Belief) -> Belief:
    """Why an exchange of which nothing else is known stays so: it answers, and refuses what would prove more."""
    why = f"signed probes are refused, so nothing says that orders would be taken: {belief.told.unproven}"
    return belief if belief.reason == why else evolve(belief, reason=why, evidence=(why,))


def _entered(
    belief: Belief, state: HealthState, why: str, instant: Instant, settings: HealthSettings, suspicious: bool
) -> Belief:
    """The belief as it enters a state."""
    at_s = instant.at_s
    counts, flaps, cause, pieces = belief.counts, belief.flaps, belief.cause, belief.pieces
    match state:
        case HealthState.WELL:
            counts, cause, pieces = evolve(counts, place_failures=0), None, ()
            flaps = health_flaps.over(flaps) if flaps is not NEVER_DOWN else flaps
        case HealthState.DOWN:
            on_trial = belief.state is HealthState.HALF_OPEN
            if on_trial and max(instant.failed.values(), default=at_s) < belief.since_s:
                flaps = health_flaps.same_outage(flaps)
            else:
                trusted = belief.state not in OUT and not on_trial
                flaps = health_flaps.went_down(flaps, at_s, settings, trusted=trusted)
            if belief.lost_s is not None:  # confirmed by an order and a signed probe, maybe, and silent all the same
                belief = evolve(belief, lost=ROUND_EVIDENCE, silent_s=belief.lost_s)
        case HealthState.HALF_OPEN:
            counts, flaps = evolve(counts, trial=0), health_flaps.on_trial(flaps, at_s, settings)
            if flaps.ours:  # placements that our network kept from it are no reason to be strict with the next
                counts = evolve(counts, place_streak=0, place_counted_s=None)
        case HealthState.MAINTENANCE:
            flaps = evolve(flaps, until_s=None)
        case _:
            pass
    if state in (HealthState.WELL, HealthState.HALF_OPEN):
        belief = evolve(belief, pieces=())  # what failed before has not decided that
    told = [f"{words} ({at_s - then_s:.3g} s before)" if then_s < at_s else words for then_s, words in belief.pieces]
    if not told or why not in told[-1]:
        told.append(why)
    return evolve(
        belief,
        state=state,
        since_s=at_s,
        reason=why,
        evidence=tuple(told[-MOST_PIECES:]),
        counts=counts,
        flaps=flaps,
        cause=cause,
        pieces=pieces,
        hurry_s=at_s if suspicious else None,
        suspicion=0.0 if state is HealthState.WELL else belief.suspicion,
    )


def _suspicion(
    waited_s: Mapping[EvidenceKind, float], latencies: Latencies, settings: HealthSettings
) -> tuple[float, str]:
    """Phi of the call that waits most unusually long, and in words."""
    phis = {kind: latencies.suspicion(kind, waited, settings) for kind, waited in waited_s.items()}
    kind = max(phis, key=lambda each: (phis[each], each))
    return phis[kind], f"a {kind.value} has had no answer for {waited_s[kind]:.3g} s (phi {phis[kind]:.3g})"


def _later(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return max(one, other)
