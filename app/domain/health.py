"""Whether an exchange is well: a failure detector as a pure machine, one per exchange, with time as an argument.

The theory, the states and what each finding makes of each are in `health_table`. Whoever runs a detector hands it what
happened (`observe`, `waited`), and asks it what to send next (`health_probing.next_probes`) and what others are to be
told (`view`). A single piece of evidence costs some ten microseconds, so that months can be simulated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import evolve

from app.domain import health_flaps
from app.domain.health_belief import MOST_PIECES, Belief, believed
from app.domain.health_better import BEGUN, no_better, weighed
from app.domain.health_counts import CLOCK_SLACK_S
from app.domain.health_detector import Detector as Detector
from app.domain.health_evidence import Instant
from app.domain.health_flaps import Flaps
from app.domain.health_judges import Judges, judged
from app.domain.health_kinds import EVIDENCE_PROBE as EVIDENCE_PROBE
from app.domain.health_kinds import NO_ILLNESS, UNCOUNTED
from app.domain.health_kinds import PROBE_EVIDENCE as PROBE_EVIDENCE
from app.domain.health_kinds import ROUND as ROUND
from app.domain.health_latency import Latencies, slow_too
from app.domain.health_probing import detection_budget_s as detection_budget_s
from app.domain.health_probing import forgotten as forgotten
from app.domain.health_probing import hurried as hurried
from app.domain.health_probing import next_probes as next_probes
from app.domain.health_probing import patience_s as patience_s
from app.domain.health_probing import probe_unanswered as probe_unanswered
from app.domain.health_probing import probes_sent as probes_sent
from app.domain.health_settings import HealthSettings as HealthSettings
from app.domain.health_stale import stale
from app.domain.health_table import HEALTHIER as HEALTHIER
from app.domain.health_table import OUT
from app.domain.health_table import TABLE as TABLE
from app.domain.health_table import Finding as Finding
from app.domain.health_told import Told
from messages.health import Evidence, EvidenceKind, HealthState, HealthView, NetworkState, ProbeKind, Waiting


def start(exchange: str, now_s: float) -> Detector:
    """A detector without evidence."""
    belief = Belief(state=HealthState.STARTING, since_s=now_s, reason="no evidence yet")
    return Detector(exchange=exchange, settled=belief, now=belief)


def resumed(known: HealthView, now_s: float) -> Detector:
    """A detector that goes on from what an earlier one told, instead of beginning without an opinion.

    What was counted is gone, so that it takes as much evidence as ever to change the state; a round is due at once.
    """
    state = known.health if known.health is not HealthState.ISOLATED else HealthState.STARTING
    hold_s = None if state is HealthState.DOWN else 0.0  # what it earned by going DOWN is not told
    until_s = known.hold_until_s
    if until_s is None and state is HealthState.HALF_OPEN:
        until_s = now_s
    belief = Belief(
        state=state,
        since_s=min(known.since_s, now_s) if known.believed is None else now_s,
        reason=known.reason,
        evidence=known.evidence,
        cause=known.cause,
        told=Told(
            denied={EvidenceKind.SIGNED_PROBE: (now_s, known.credentials)} if known.credentials else {},
            until_s=known.banned_until_s,
            notice=known.maintenance,
            notice_s=now_s,
            halted={symbol: (now_s, words) for symbol, words in known.halted},
        ),
        flaps=Flaps(penalty=known.penalty, at_s=now_s, hold_s=hold_s, until_s=until_s),
        hurry_s=now_s,
        last_ok_s=known.last_ok_s,
        answered_sent_s=known.answered_sent_s,
        silent_s=known.silent_s,
        recovered_s=known.recovered_s,
        latency_s=known.latency_s,
        clock_offset_s=known.clock_offset_s,
    )
    isolated = known.reason if known.state is HealthState.ISOLATED else ""
    return Detector(
        exchange=known.exchange,
        settled=belief,
        now=belief,
        isolated=isolated,
        isolated_s=known.since_s,
        judges=Judges(latencies=Latencies().known(known.latencies, now_s)),
        stale=known.stale,
    )


def observe(detector: Detector, evidence: Evidence, settings: HealthSettings) -> Detector:
    """The detector after one more piece of evidence.

    Evidence older than the newest is taken as of the newest instant: it is news all the same.
    """
    asked_s = detector.asked_s
    probe = EVIDENCE_PROBE.get(evidence.kind)
    asked = asked_s.get(probe) if probe is not None else None
    if asked is not None and evidence.at_s - evidence.latency_s >= asked - CLOCK_SLACK_S:
        asked_s = {other: at_s for other, at_s in asked_s.items() if other is not probe}
    new = Instant.of(evidence)
    settled, instant = _joined(detector, new)
    alone = evidence.symbol is not None and settled.told.alone(str(evidence.symbol), settings)
    judges = judged(detector.judges, evidence, settings, out=settled.state in OUT, alone=alone)
    heard = evidence.ok and probe in ROUND
    proving = detector.proving
    if proving is not None and evidence.kind not in UNCOUNTED and not (evidence.ok and evidence.cause in NO_ILLNESS):
        proving = weighed(proving, ok=evidence.ok)
    return _after(detector, settled, instant, judges, settings, asked_s, proving, heard=heard)


def waited(detector: Detector, waiting: Waiting, settings: HealthSettings) -> Detector:
    """The detector after it was told that a real call has no answer yet.

    Where that is more unusual than `suspicion` allows, the exchange is SUSPECT, and asked at once: never more.
    """
    settled, instant = _joined(detector, Instant.waiting(waiting))
    return _after(
        detector, settled, instant, detector.judges, settings, detector.asked_s, detector.proving, heard=False
    )


def isolated(detector: Detector, why: str, now_s: float) -> Detector:
    """A person keeps the exchange out, or, with no reason, no longer does: what is believed of it is kept below."""
    if why == detector.isolated:
        return detector
    return evolve(detector, isolated=why, isolated_s=detector.isolated_s if detector.isolated and why else now_s)


def forgiven(detector: Detector) -> Detector:
    """An exchange is DOWN because our own network is: that is not held against it (`network`).

    Nothing is held down for it, and its trial is lenient: one failing placement is not enough to be DOWN again, but
    what makes a WELL exchange DOWN is. One that was `blamed` for this outage is not forgiven.
    """
    return _while_down(detector, health_flaps.forgiven)


def blamed(detector: Detector) -> Detector:
    """An exchange is DOWN by itself, by proof (`network`): its trial is as strict as ever, whatever else fails."""
    return _while_down(detector, health_flaps.blamed)


def attributed(detector: Detector, fault: NetworkState) -> Detector:
    """The detector of an exchange that is DOWN, once it is known whose fault that is; the same while it is not."""
    if fault is NetworkState.OURS:
        return forgiven(detector)
    return blamed(detector) if fault is NetworkState.THEIRS else detector


def compared(detectors: Mapping[str, Detector], now_s: float, settings: HealthSettings) -> dict[str, Detector]:
    """The detectors of all exchanges after they were held against each other: what stands still on one while it moves
    on another, who is slow while another one is, and who is known to be better than one of which too many calls fail.
    To be done every few seconds; it takes some microseconds each."""
    return {name: _compared(name, detectors, now_s, settings) for name in detectors}


def view(detector: Detector, settings: HealthSettings, now_s: float, pressure: float = 0.0) -> HealthView:
    """What others are told; `pressure` on the exchange's rate limits, 0 to 1, is its connector's to know."""
    belief, kept_out = detector.now, detector.isolated
    told, flaps = belief.told, belief.flaps
    failed, calls = detector.judges.rate.counts(now_s, settings)
    return HealthView(
        exchange=detector.exchange,
        state=detector.state,
        since_s=detector.isolated_s if kept_out else belief.since_s,
        reason=kept_out or belief.reason,
        consecutive_failures=belief.counts.failures,
        last_ok_s=belief.last_ok_s,
        latency_s=belief.latency_s,
        clock_offset_s=belief.clock_offset_s,
        believed=belief.state if kept_out else None,
        cause=belief.cause,
        unfit=unfit(detector, settings, now_s),
        no_better="" if belief.state in OUT else "; ".join(filter(None, (detector.slow, detector.no_better))),
        evidence=_and_unproven(belief),
        maintenance=told.announced(now_s, settings),
        banned_until_s=told.banned_until_s(now_s),
        credentials=told.credentials(now_s),
        halted=told.not_traded(now_s, settings),
        stale=detector.stale,
        calls=calls,
        failed=failed,
        latencies=detector.judges.latencies.told(now_s, settings),
        suspicion=belief.suspicion,
        penalty=health_flaps.penalty(flaps, now_s, settings),
        hold_until_s=flaps.until_s,
        answered_sent_s=belief.answered_sent_s,
        silent_s=belief.silent_s,
        recovered_s=belief.recovered_s,
        loses=detector.judges.line.loses,
        pressure=pressure,
    )


def unfit(detector: Detector, settings: HealthSettings, now_s: float) -> str:
    """Why trading should move though the exchange answers, in sentences; empty where it should not.

    Nothing of this makes it DOWN: where nobody else is ready, trading goes on.
    """
    belief = detector.now
    if belief.state in OUT:  # of these it needs no saying
        return ""
    told, judges = belief.told, detector.judges
    refuses = told.refusals.words(now_s, settings)
    why = [words for words in (detector.errors, judges.latencies.unfit(now_s, settings), refuses) if words]
    until_s = told.banned_until_s(now_s)
    if until_s is not None and until_s - now_s > settings.ban_tolerance_s:
        why.append(
            f"it does not let us ask for another {until_s - now_s:.0f} s, which is more than the"
            f" {settings.ban_tolerance_s:g} s that are sat out"
        )
    notice = told.announced(now_s, settings)
    if notice is not None and notice.begin_s - now_s <= settings.maintenance_lead_s:
        why.append(f"it announces a maintenance in {max(0.0, notice.begin_s - now_s):.0f} s: {notice.words}")
    why += [detector.stale] if detector.stale else []
    return "; ".join(why)


def _and_unproven(belief: Belief) -> tuple[str, ...]:
    """The evidence of the last change, and what keeps it from another where a signed answer would end the state."""
    why, state = belief.told.unproven, belief.state
    if not why or state is HealthState.WELL or state is HealthState.STARTING:
        return belief.evidence
    why = f"signed probes are refused: {why}"
    return (*(each for each in belief.evidence if each != why), why)[-MOST_PIECES:]


def _compared(name: str, detectors: Mapping[str, Detector], now_s: float, settings: HealthSettings) -> Detector:
    own = detectors[name]
    others = [each.judges for other, each in detectors.items() if other != name]
    stands_still = stale(own.judges.marks, tuple(each.marks for each in others), now_s, settings)
    slow = slow_too(own.judges.latencies, tuple(each.latencies for each in others), now_s, settings)
    errors = own.judges.rate.unfit(now_s, settings)
    worse = [other for other, each in detectors.items() if other != name and each.judges.rate.unfit(now_s, settings)]
    proving = own.proving if worse and own.proving is not None else BEGUN if worse else None
    no_better_yet = no_better(proving, " and ".join(worse))
    now = (stands_still, slow, errors, proving, no_better_yet)
    if now == (own.stale, own.slow, own.errors, own.proving, own.no_better):
        return own
    return evolve(own, stale=stands_still, slow=slow, errors=errors, proving=proving, no_better=no_better_yet)


def _while_down(detector: Detector, judged_so: Callable[[Flaps], Flaps]) -> Detector:
    """With another word on the outage that lasts; the same where none does, or nothing changes."""
    if detector.now.state is not HealthState.DOWN or judged_so(detector.now.flaps) is detector.now.flaps:
        return detector
    settled, now = detector.settled, evolve(detector.now, flaps=judged_so(detector.now.flaps))
    if settled.state is HealthState.DOWN:
        settled = evolve(settled, flaps=judged_so(settled.flaps))
    return evolve(detector, settled=settled, now=now)


def _joined(detector: Detector, new: Instant) -> tuple[Belief, Instant]:
    """What was believed before an instant, and the instant."""
    newest = detector.instant
    if newest is not None and new.at_s <= newest.at_s:
        return detector.settled, newest.and_also(new)
    return detector.now, new


def _after(
    detector: Detector,
    settled: Belief,
    instant: Instant,
    judges: Judges,
    settings: HealthSettings,
    asked_s: Mapping[ProbeKind, float],
    proving: float | None,
    *,
    heard: bool,
) -> Detector:
    belief = believed(settled, instant, judges, settings)
    rarer = belief.state in OUT and not heard
    return Detector(
        exchange=detector.exchange,
        settled=settled,
        now=belief,
        instant=instant,
        isolated=detector.isolated,
        isolated_s=detector.isolated_s,
        judges=judges,
        stale=detector.stale,
        slow=detector.slow,
        errors=detector.errors,
        proving=proving,
        no_better=detector.no_better,
        asked_s=asked_s,
        last_s=detector.last_s,
        round_s=detector.round_s,
        confirm_s=detector.confirm_s,
        hurry=detector.hurry,
        draw=detector.draw,
        last_draw=detector.last_draw,
        down_rounds=detector.down_rounds if rarer else 0,
    )
