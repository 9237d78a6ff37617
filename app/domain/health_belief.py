"""What the failure detector counts, and how an instant of evidence changes the counts. `app.domain.health` says why."""

from __future__ import annotations

from attrs import field, frozen

from app.domain.health_evidence import Instant, Window
from app.domain.health_settings import HealthSettings as HealthSettings
from messages.health import EvidenceKind, HealthState

CLOCK_SLACK_S = 0.001
"""Two processes read the same clock, but through floats: closer moments than this count as the same."""

SIGNED_ANSWERS = (EvidenceKind.SIGNED_PROBE, EvidenceKind.PLACE, EvidenceKind.CANCEL)
"""Only a well exchange, asked as ourselves, gives these. A read may be public, so it is not among them."""


@frozen(kw_only=True)
class Belief:
    """What is believed after an instant.

    Attributes:
        failures: Consecutive, `retry_delay_s` apart, since the last signed answer; the last counted at `counted_s`.
        candidate_s: When `failures` reached its limit; None below it.
        public_failed: A public probe sent after `candidate_s` failed and none succeeded since; likewise the next two.
        place_streak: Consecutive failing placements, `retry_delay_s` apart; `place_counted_s` as above.
        place_failures: Failing placements since the exchange was WELL, or since the last good one.
        place_failed_s: Of the last failing placement.
        public_ill: The last public probe failed.
        trusted: A signed probe or a placement sent after `place_failed_s` was answered, and nothing failed since.
        good_public: Good public probes since anything failed; likewise `good_signed`.
    """

    state: HealthState
    since_s: float
    reason: str
    failures: int = 0
    counted_s: float | None = None
    candidate_s: float | None = None
    public_failed: bool = False
    signed_failed: bool = False
    order_failed: bool = False
    place_streak: int = 0
    place_counted_s: float | None = None
    place_failures: int = 0
    place_failed_s: float | None = None
    public_ill: bool = False
    trusted: bool = False
    good_public: int = 0
    good_signed: int = 0
    last_ok_s: float | None = None
    latency_s: float | None = None
    clock_offset_s: float | None = None
    window: Window = field(factory=Window)

    @property
    def rounds(self) -> int:
        """Consecutive good rounds of both kinds of probe."""
        return min(self.good_public, self.good_signed)


def counted(before: Belief, instant: Instant, settings: HealthSettings) -> Belief:
    """The counters after an instant: its answers first, then its failures, so that failures win."""
    at_s, ok, failed = instant.at_s, instant.ok, instant.failed
    failures, counted_s, candidate_s = before.failures, before.counted_s, before.candidate_s
    public_failed, signed_failed, order_failed = before.public_failed, before.signed_failed, before.order_failed
    place_streak, place_counted_s = before.place_streak, before.place_counted_s
    place_failures, place_failed_s = before.place_failures, before.place_failed_s
    public_ill, trusted = before.public_ill, before.trusted
    good_public, good_signed = before.good_public, before.good_signed

    if EvidenceKind.PUBLIC_PROBE in ok:
        public_failed = public_ill = False
        good_public += 1
    if any(kind in ok for kind in SIGNED_ANSWERS):
        failures, counted_s, candidate_s = 0, None, None
        public_failed = signed_failed = order_failed = False
    if EvidenceKind.PLACE in ok:
        place_streak = place_failures = 0
        place_counted_s = place_failed_s = None
        trusted = True
    sent_s = ok.get(EvidenceKind.SIGNED_PROBE)
    if sent_s is not None and (place_failed_s is None or sent_s >= place_failed_s - CLOCK_SLACK_S):
        good_signed += 1
        trusted = True

    if failed:
        trusted = False
        good_public = good_signed = 0
        if counted_s is None or at_s >= counted_s + settings.retry_delay_s:
            failures, counted_s = failures + 1, at_s
        if candidate_s is not None:
            sent_after = {kind for kind, sent in failed.items() if sent >= candidate_s - CLOCK_SLACK_S}
            public_failed = public_failed or EvidenceKind.PUBLIC_PROBE in sent_after
            signed_failed = signed_failed or EvidenceKind.SIGNED_PROBE in sent_after
            order_failed = order_failed or EvidenceKind.PLACE in sent_after or EvidenceKind.CANCEL in sent_after
        elif failures >= settings.max_retry_attempts:
            candidate_s = at_s
        public_ill = public_ill or EvidenceKind.PUBLIC_PROBE in failed
        if EvidenceKind.PLACE in failed:
            place_failures += 1
            place_failed_s = at_s
            if place_counted_s is None or at_s >= place_counted_s + settings.retry_delay_s:
                place_streak, place_counted_s = place_streak + 1, at_s

    return Belief(
        state=before.state,
        since_s=before.since_s,
        reason=before.reason,
        failures=failures,
        counted_s=counted_s,
        candidate_s=candidate_s,
        public_failed=public_failed,
        signed_failed=signed_failed,
        order_failed=order_failed,
        place_streak=place_streak,
        place_counted_s=place_counted_s,
        place_failures=place_failures,
        place_failed_s=place_failed_s,
        public_ill=public_ill,
        trusted=trusted,
        good_public=good_public,
        good_signed=good_signed,
        last_ok_s=at_s if ok else before.last_ok_s,
        latency_s=before.latency_s if instant.latency_s is None else instant.latency_s,
        clock_offset_s=before.clock_offset_s if instant.clock_offset_s is None else instant.clock_offset_s,
        window=before.window.with_counts(instant, settings.error_window_s),
    )
