"""When an exchange is asked how it is, and how.

A round is a public and a signed probe together: two independent ways to ask whether it is there. Besides, an exchange
is asked what it says of itself (STATUS), and for a price (MARKET), where whoever sends probes says that it can be.

| state             | the next round                                                                                |
| STARTING          | at once, then each `retry_delay_s`                                                            |
| WELL              | each `health_check_interval_s`; each `retry_delay_s` while it is tested (`health_better`)      |
| SUSPECT           | `retry_delay_s` after the call was sent whose failure counted last, or after the last round   |
| a candidate       | at once, once: the round that is to confirm; `retry_delay_s` after another one of these       |
| HALF_OPEN         | each `retry_delay_s`                                                                          |
| DOWN, MAINTENANCE | the same, twice as rarely after each silent round, up to `health_check_interval_s`            |
| banned            | not before the ban is over, whatever is due: asking lengthens it                              |

Each pause is drawn longer or shorter by up to `jitter`, so that many routers do not ask in step; the draw is handed in.
That of a SUSPECT exchange is only drawn longer: what fails sooner than `retry_delay_s` after the last would not count.
"""

from __future__ import annotations

import math

from attrs import evolve

from app.domain.health_better import undecided
from app.domain.health_counts import apart_s
from app.domain.health_detector import Detector
from app.domain.health_kinds import PROBE_EVIDENCE, ROUND
from app.domain.health_settings import HealthSettings
from app.domain.health_table import OUT
from messages.health import Cause, Evidence, HealthState, ProbeKind


def probe_unanswered(exchange: str, kind: ProbeKind, *, sent_s: float, now_s: float) -> Evidence:
    """A probe that nobody answered within its time, as evidence to `observe`.

    When it was sent matters: one from before an exchange became a candidate confirms nothing.
    """
    latency_s = max(0.0, now_s - sent_s)
    return Evidence(
        exchange=exchange,
        kind=PROBE_EVIDENCE[kind],
        ok=False,
        words=f"no answer within {latency_s:.3g} s",
        latency_s=latency_s,
        at_s=now_s,
        cause=Cause.SILENT,
    )


def patience_s(detector: Detector, kind: ProbeKind, settings: HealthSettings) -> float:
    """So long a probe is waited for: then it has failed, though an answer that comes later is still heard.

    `probe_timeout_s`, or less where that exchange usually answers so much sooner that one this late is as unusual as
    `suspicion` (phi accrual): silence is noticed in a moment and not in seconds. Never so little that an exchange which
    answers within `probe_timeout_s` could be DOWN before its late answers are here: a signed one ends the count.
    """
    state = detector.now.state
    if kind not in ROUND or state in OUT or state is HealthState.STARTING:
        return settings.probe_timeout_s
    strict = state is HealthState.HALF_OPEN and not detector.now.flaps.ours
    attempts = 1 if strict else settings.max_retry_attempts
    least_s = (settings.probe_timeout_s - (attempts - 1) * apart_s(settings)) / 2
    usual_s = detector.judges.latencies.patience_s(PROBE_EVIDENCE[kind], settings)
    return min(settings.probe_timeout_s, max(least_s, usual_s))


def probes_sent(detector: Detector, kinds: tuple[ProbeKind, ...], now_s: float, draw: float = 0.5) -> Detector:
    """The detector after the probes of `next_probes` were sent.

    Args:
        draw: Between 0 and 1, drawn anew each time: by how much the next pause is shorter or longer; 0.5: as set.
    """
    asked_s = {**detector.asked_s, **dict.fromkeys(kinds, now_s)}
    others = [kind for kind in kinds if kind not in ROUND]
    if others:
        last_s = {**detector.last_s, **dict.fromkeys(others, now_s)}
        detector = evolve(detector, asked_s=asked_s, last_s=last_s, last_draw=draw)
        if len(others) == len(kinds):
            return detector
    return evolve(
        detector,
        asked_s=asked_s,
        round_s=now_s,
        hurry=False,
        confirm_s=now_s if _to_confirm(detector) is not None else detector.confirm_s,
        draw=draw,
        down_rounds=detector.down_rounds + (detector.now.state in OUT),
    )


def hurried(detector: Detector) -> Detector:
    """The next round is due at once, or `retry_delay_s` after the last one: for the others when one exchange becomes
    SUSPECT, so that it is soon known whether all fail together. A busy one may become SUSPECT each second."""
    return evolve(detector, hurry=True)


def forgotten(detector: Detector) -> Detector:
    """Whoever asked is gone: no probe is awaited any more, and the next round is due at once.

    That our credentials are not taken is forgotten, too: who asks from now on may have others.
    """
    settled, now = detector.settled, detector.now
    if settled.told.denied or now.told.denied:
        settled = evolve(settled, told=evolve(settled.told, denied={}))
        now = evolve(now, told=evolve(now.told, denied={}))
    return evolve(detector, settled=settled, now=now, asked_s={}, last_s={}, round_s=None)


def next_probes(
    detector: Detector, settings: HealthSettings, now_s: float, also: tuple[ProbeKind, ...] = ()
) -> tuple[tuple[ProbeKind, ...], float]:
    """Which probes to send next, and when, never before `now_s`. Whoever sends them says so by `probes_sent`.

    At most one probe of a kind is in flight; only the ones that are to confirm a candidate do not wait for older ones,
    since those cannot: they were sent before the count was reached. New evidence may change the answer: ask again.

    Args:
        also: What this exchange can be asked besides: STATUS, and MARKET where a symbol is in use.
    """
    banned_s = detector.now.told.banned_until_s(now_s)
    earliest_s = now_s if banned_s is None else banned_s
    kinds, due_s = ROUND, max(earliest_s, _round_due_s(detector, settings))
    for kind in also:
        at_s = max(earliest_s, _also_due_s(detector, kind, settings))
        if at_s < due_s:
            kinds, due_s = (kind,), at_s
        elif at_s == due_s:
            kinds = (*kinds, kind)
    return kinds, due_s


def detection_budget_s(settings: HealthSettings, *, silent: bool = True) -> float:
    """The longest from an exchange falling silent to DOWN, when no order is there to notice it sooner.

    `health_check_interval x (1 + jitter) + (max_retry_attempts - 1) x max(retry_delay x (1 + jitter), probe_timeout) +
    2 x probe_timeout`: silence begins just after a round was answered; the next rounds are sent `retry_delay` apart,
    each when the one before has timed out; the last one times out, and one more round confirms. Of what usually answers
    quickly most take less, since it is noticed by `patience_s`. The time messages between processes take is not in it.

    Args:
        silent: False: it refuses connections, so that no time-out is waited for.
    """
    longer = 1.0 + settings.jitter
    timeout_s = settings.probe_timeout_s if silent else 0.0
    pause_s = max(settings.retry_delay_s * longer, timeout_s)
    return settings.health_check_interval_s * longer + (settings.max_retry_attempts - 1) * pause_s + 2 * timeout_s


def _spread(settings: HealthSettings, draw: float) -> float:
    return 1.0 + settings.jitter * (2.0 * draw - 1.0)


def _also_due_s(detector: Detector, kind: ProbeKind, settings: HealthSettings) -> float:
    asked_s, last_s = detector.asked_s.get(kind), detector.last_s.get(kind)
    if last_s is None:
        return detector.now.since_s
    due_s = last_s + settings.status_interval_s * _spread(settings, detector.last_draw)
    return due_s if asked_s is None else max(due_s, asked_s + settings.probe_timeout_s)


def _round_due_s(detector: Detector, settings: HealthSettings) -> float:
    belief, round_s = detector.now, detector.round_s
    candidate_s = _to_confirm(detector)
    if candidate_s is not None:
        # A round that did not confirm may itself have made the next candidate: without a pause they would chase it.
        pause_s = settings.retry_delay_s * _spread(settings, detector.draw)
        return candidate_s if detector.confirm_s is None else max(candidate_s, detector.confirm_s + pause_s)
    in_flight = [asked_s for kind, asked_s in detector.asked_s.items() if kind in ROUND]
    free_s = max(in_flight) + settings.probe_timeout_s if in_flight else -math.inf
    if belief.hurry_s is not None and (round_s is None or round_s < belief.hurry_s):
        return free_s
    due_s = _paused_s(detector, settings)
    if detector.hurry and round_s is not None:
        due_s = min(due_s, round_s + settings.retry_delay_s * _spread(settings, detector.draw))
    return max(free_s, due_s)


def _to_confirm(detector: Detector) -> float | None:
    """When it became a candidate, if no round was sent since to confirm that."""
    belief, round_s = detector.now, detector.round_s
    candidate_s = belief.counts.candidate_s if belief.state not in OUT else None
    return candidate_s if candidate_s is not None and (round_s is None or round_s < candidate_s) else None


def _paused_s(detector: Detector, settings: HealthSettings) -> float:
    belief, round_s = detector.now, detector.round_s
    counts, state = belief.counts, belief.state
    spread = _spread(settings, detector.draw)
    if round_s is None and (state is HealthState.STARTING or state is HealthState.WELL):
        return belief.since_s
    wait_s = settings.retry_delay_s
    if state is HealthState.WELL:
        proving = undecided(detector.proving)
        wait_s = (
            min(settings.health_check_interval_s, settings.retry_delay_s)
            if proving
            else settings.health_check_interval_s
        )
    elif state in OUT:
        longest_s = max(settings.health_check_interval_s, wait_s)
        wait_s = min(longest_s, wait_s * 2.0 ** min(detector.down_rounds, 16))
    elif state is HealthState.SUSPECT and counts.candidate_s is None and counts.counted_sent_s is not None:
        # Two failures closer than this would count as one. From when the one was sent, not from when it failed: where
        # nothing is answered the next one takes as long to fail, and waiting for the time-out first would count twice.
        round_s = max(counts.counted_sent_s, round_s or 0.0)
    if state is HealthState.SUSPECT:
        spread = 1.0 + abs(spread - 1.0)
    return (belief.since_s if round_s is None else round_s) + wait_s * spread
