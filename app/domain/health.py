"""Whether an exchange is well: a failure detector as a pure machine, one per exchange, with time as an argument.

Theory. A detector can be wrong in two ways. Too slow, and orders go to an exchange that is gone; too quick, and trading
moves because of a lost packet: at 5 % errors three failures in a row come about 11 times a month. So counting only
makes an exchange a *candidate* for DOWN; then witnesses of independent kinds must confirm it. Evidence differs in
weight: that a cheap public call is answered says nothing about orders (circuit breakers closed by a cheap probe while
the real path is broken are a classic), so it never outweighs failing placements.

Everything that happens in one instant is taken as one event (`Instant`), so its order does not matter. An event amounts
to one `Finding`, worse to better, and the table below is all that changes the state:

    | state, finding  | GONE | ILL     | ANSWERS  | GOOD | RECOVERED |
    | STARTING        | DOWN | SUSPECT | STARTING | WELL | WELL      |
    | WELL            | DOWN | SUSPECT | WELL     | WELL | WELL      |
    | SUSPECT         | DOWN | SUSPECT | SUSPECT  | WELL | WELL      |
    | DOWN            | DOWN | DOWN    | DOWN     | DOWN | WELL      |

- GONE, either way:
  1. *Confirmed*: `max_retry_attempts` consecutive failures, `retry_delay_s` apart (a burst is one failure), and after
     that count a failing signed probe together with a failing public probe, or with a failing placement or cancel. A
     signed answer (signed probe, placement, cancel) starts the count anew; a public one does not.
  2. *Orders alone*: `place_failures` placements in a row, `retry_delay_s` apart, failed for illness, whatever probes
     say. That count outlives a recovery, so the next placement is a trial: if it fails, it is DOWN again at once.
- ILL: something failed in this instant, or the error rate of the window is exceeded.
- GOOD: a signed probe or a placement was answered after the last failure, public probes do not fail, the window is
  fine; and where more than one placement failed since the exchange was WELL, or since the last good one: RECOVERED.
- RECOVERED: `rise` consecutive good rounds of both kinds of probe without any failure, and the window is fine.
- ANSWERS: anything else that succeeded.

Evidence is `ok` when the exchange answered as a well exchange does: refusals by a code are answers. More failures never
make the state healthier; that, and that the table is total, are property tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from attrs import evolve, field, frozen

from app.domain.health_belief import CLOCK_SLACK_S, Belief, counted
from app.domain.health_belief import HealthSettings as HealthSettings
from app.domain.health_evidence import Instant
from messages.health import Evidence, EvidenceKind, HealthState, HealthView, ProbeKind

PROBE_EVIDENCE: Mapping[ProbeKind, EvidenceKind] = MappingProxyType(
    {
        ProbeKind.PUBLIC: EvidenceKind.PUBLIC_PROBE,
        ProbeKind.SIGNED: EvidenceKind.SIGNED_PROBE,
        ProbeKind.STATUS: EvidenceKind.STATUS_PROBE,
        ProbeKind.MARKET: EvidenceKind.MARKET_PROBE,
    }
)
ALL_PROBES = (ProbeKind.PUBLIC, ProbeKind.SIGNED)


class Finding(IntEnum):
    """What an event amounts to; the higher, the healthier."""

    GONE = 0
    ILL = 1
    ANSWERS = 2
    GOOD = 3
    RECOVERED = 4


_S = HealthState
TABLE: Mapping[HealthState, tuple[HealthState, ...]] = MappingProxyType(
    {  # indexed by Finding
        _S.STARTING: (_S.DOWN, _S.SUSPECT, _S.STARTING, _S.WELL, _S.WELL),
        _S.WELL: (_S.DOWN, _S.SUSPECT, _S.WELL, _S.WELL, _S.WELL),
        _S.SUSPECT: (_S.DOWN, _S.SUSPECT, _S.SUSPECT, _S.WELL, _S.WELL),
        _S.DOWN: (_S.DOWN, _S.DOWN, _S.DOWN, _S.DOWN, _S.WELL),
        _S.HALF_OPEN: (_S.DOWN, _S.DOWN, _S.HALF_OPEN, _S.HALF_OPEN, _S.WELL),
        _S.MAINTENANCE: (_S.MAINTENANCE, _S.MAINTENANCE, _S.MAINTENANCE, _S.MAINTENANCE, _S.WELL),
        _S.ISOLATED: (_S.ISOLATED, _S.ISOLATED, _S.ISOLATED, _S.ISOLATED, _S.ISOLATED),
    }
)


@frozen(kw_only=True)
class Detector:
    """All that is known of one exchange's health.

    Attributes:
        settled: As of before the newest instant, from which the instant is judged anew when more of it arrives.
        now: As of the newest instant.
        asked_s: When each kind of probe was last sent, while it is in flight.
        round_s: When the last round was sent; None before the first.
        down_rounds: Rounds sent since the exchange is DOWN and last answered: they grow rarer.
    """

    exchange: str
    settled: Belief
    now: Belief
    instant: Instant | None = None
    asked_s: Mapping[ProbeKind, float] = field(factory=dict)
    round_s: float | None = None
    down_rounds: int = 0

    @property
    def state(self) -> HealthState:
        """What the detector believes now."""
        return self.now.state


def start(exchange: str, now_s: float) -> Detector:
    """A detector without evidence."""
    belief = Belief(state=HealthState.STARTING, since_s=now_s, reason="no evidence yet")
    return Detector(exchange=exchange, settled=belief, now=belief)


def observe(detector: Detector, evidence: Evidence, settings: HealthSettings) -> Detector:
    """The detector after one more piece of evidence.

    Evidence older than the newest is taken as of the newest instant: it is news all the same.
    """
    instant = detector.instant
    if instant is not None and evidence.at_s <= instant.at_s:
        settled, instant = detector.settled, instant.and_also(evidence)
    else:
        settled, instant = detector.now, Instant.of(evidence)
    belief = _judge(settled, instant, settings)
    asked_s, down_rounds = detector.asked_s, detector.down_rounds
    sent_s = evidence.at_s - evidence.latency_s
    for kind, kind_evidence in PROBE_EVIDENCE.items():
        if evidence.kind is kind_evidence:
            if kind in asked_s and sent_s >= asked_s[kind] - CLOCK_SLACK_S:
                asked_s = {other: at_s for other, at_s in asked_s.items() if other is not kind}
            if evidence.ok:
                down_rounds = 0
    if belief.state is not HealthState.DOWN:
        down_rounds = 0
    return Detector(
        exchange=detector.exchange,
        settled=settled,
        now=belief,
        instant=instant,
        asked_s=asked_s,
        round_s=detector.round_s,
        down_rounds=down_rounds,
    )


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
    )


def probes_sent(detector: Detector, kinds: tuple[ProbeKind, ...], now_s: float) -> Detector:
    """The detector after the probes of `next_probes` were sent."""
    return evolve(
        detector,
        asked_s={**detector.asked_s, **dict.fromkeys(kinds, now_s)},
        round_s=now_s,
        down_rounds=detector.down_rounds + (detector.state is HealthState.DOWN),
    )


def hurried(detector: Detector) -> Detector:
    """The next round is due at once: for the others when one exchange becomes SUSPECT, so that it is soon known whether
    all fail together (`own_network`)."""
    return evolve(detector, round_s=None)


def forgotten(detector: Detector) -> Detector:
    """The probes in flight were lost on our side: none is awaited any more, and the next round is due at once."""
    return evolve(detector, asked_s={}, round_s=None)


def next_probes(detector: Detector, settings: HealthSettings, now_s: float) -> tuple[tuple[ProbeKind, ...], float]:
    """Which probes to send next, and when, never before `now_s`. Whoever sends them says so by `probes_sent`.

    At most one probe of a kind is in flight; only the ones that are to confirm a candidate do not wait for older ones,
    since those cannot: they were sent before the count was reached. A WELL exchange is asked each
    `health_check_interval_s`; STARTING at once and then, like SUSPECT, each `retry_delay_s`; DOWN the same, twice as
    rarely after each silent round, up to `health_check_interval_s`. New evidence may change the answer: ask again.
    """
    candidate_s = detector.now.candidate_s if detector.state is not HealthState.DOWN else None
    if candidate_s is not None and (detector.round_s is None or detector.round_s < candidate_s):
        return ALL_PROBES, max(now_s, candidate_s)
    in_flight_until_s = (asked_s + settings.probe_timeout_s for asked_s in detector.asked_s.values())
    return ALL_PROBES, max((now_s, _round_due_s(detector, settings), *in_flight_until_s))


def _round_due_s(detector: Detector, settings: HealthSettings) -> float:
    belief, round_s = detector.now, detector.round_s
    if belief.state is HealthState.STARTING or belief.state is HealthState.WELL:
        if round_s is None:
            return belief.since_s
        well = belief.state is HealthState.WELL
        return round_s + (settings.health_check_interval_s if well else settings.retry_delay_s)
    wait_s = settings.retry_delay_s
    if belief.state is HealthState.DOWN:
        longest_s = max(settings.health_check_interval_s, wait_s)
        wait_s = min(longest_s, wait_s * 2.0 ** min(detector.down_rounds, 16))
    elif belief.candidate_s is None and belief.counted_s is not None:
        # From the failure, not from the probe that met it: two failures closer than this would count as one.
        round_s = max(belief.counted_s, round_s or 0.0)
    return (belief.since_s if round_s is None else round_s) + wait_s


def view(detector: Detector) -> HealthView:
    """What others are told."""
    belief = detector.now
    return HealthView(
        exchange=detector.exchange,
        state=belief.state,
        since_s=belief.since_s,
        reason=belief.reason,
        consecutive_failures=belief.failures,
        last_ok_s=belief.last_ok_s,
        latency_s=belief.latency_s,
        clock_offset_s=belief.clock_offset_s,
    )


def detection_budget_s(settings: HealthSettings) -> float:
    """The longest from an exchange falling silent to DOWN, when no order is there to notice it sooner.

    `health_check_interval + (max_retry_attempts + 1) x probe_timeout + (max_retry_attempts - 1) x retry_delay`: silence
    begins just after a round was answered; the next round and each retry wait out the time-out; one more round
    confirms. An exchange that refuses connections takes `(max_retry_attempts + 1) x probe_timeout` less. The time
    messages between processes take is not in it.
    """
    attempts = settings.max_retry_attempts
    return (
        settings.health_check_interval_s
        + (attempts + 1) * settings.probe_timeout_s
        + (attempts - 1) * settings.retry_delay_s
    )


def own_network(views: tuple[HealthView, ...], now_s: float, settings: HealthSettings) -> bool:
    """Whether all exchanges fail together, which means our own network: freeze then, do not switch.

    True for two or more exchanges when each is SUSPECT or DOWN and none has answered since it became so. An answer
    older than `retry_delay_s + 2 x probe_timeout_s` no longer counts: a network that works would have brought another.
    """
    if len(views) < 2:
        return False
    silent_s = settings.retry_delay_s + 2 * settings.probe_timeout_s
    for each in views:
        if each.state is not HealthState.SUSPECT and each.state is not HealthState.DOWN:
            return False
        if each.last_ok_s is not None and each.last_ok_s > max(each.since_s, now_s - silent_s):
            return False
    return True


def _judge(before: Belief, instant: Instant, settings: HealthSettings) -> Belief:
    belief = counted(before, instant, settings)
    finding, why = _find(belief, instant, settings)
    state = TABLE[belief.state][finding]
    if state is belief.state:
        return belief
    return evolve(
        belief,
        state=state,
        since_s=instant.at_s,
        reason=why,
        place_failures=0 if state is HealthState.WELL else belief.place_failures,
    )


def _find(belief: Belief, instant: Instant, settings: HealthSettings) -> tuple[Finding, str]:
    if belief.signed_failed and (belief.public_failed or belief.order_failed):
        second = "public" if belief.public_failed else "order"
        return Finding.GONE, f"{belief.failures} failures in a row, signed and {second} calls confirm: {instant.words}"
    if EvidenceKind.PLACE in instant.failed and belief.place_streak >= settings.place_failures:
        return Finding.GONE, f"{belief.place_streak} placements in a row failed: {instant.words}"
    if instant.failed:
        return Finding.ILL, instant.words
    failed, calls = belief.window.counts(instant.at_s, settings.error_window_s)
    if calls >= settings.error_min_calls and failed > settings.error_rate * calls:
        return Finding.ILL, f"{failed} of {calls} calls failed within {settings.error_window_s:g} s"
    if belief.rounds >= settings.rise:
        return Finding.RECOVERED, f"{belief.rounds} good rounds of probes in a row"
    if belief.trusted and not belief.public_ill and belief.place_failures <= 1:
        return Finding.GOOD, "a signed call was answered"
    return Finding.ANSWERS, ""
