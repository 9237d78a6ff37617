"""What the failure detector counts in a row, and how an instant of evidence changes that. `health_table` says why."""

from __future__ import annotations

from attrs import frozen

from app.domain.health_evidence import Instant
from app.domain.health_kinds import SIGNED_ANSWERS
from app.domain.health_settings import HealthSettings
from messages.health import EvidenceKind

CLOCK_SLACK_S = 0.001
"""Two processes read the same clock, but through floats: closer moments than this count as the same."""


@frozen(kw_only=True)
class Counts:
    """What is counted.

    Attributes:
        failures: Consecutive, `apart_s` apart, since the last signed answer; the last counted at `counted_s`,
            when the newest call that failed then had been sent at `counted_sent_s`.
        candidate_s: When `failures` reached its limit; None below it.
        public_failed: A public probe sent after `candidate_s` failed and none succeeded since; likewise the next two.
        place_streak: Consecutive failing placements, `apart_s` apart; `place_counted_s` as above.
        place_failures: Failing placements since the exchange was WELL, or since the last good one.
        place_failed_s: Of the last failing placement.
        public_ill: The last public probe failed.
        trusted: A signed probe or a placement sent after `place_failed_s` was good, and nothing failed since.
        good_public: Good public probes since anything failed, up to what matters; likewise `good_signed`.
        trial: Good signed calls since the exchange is HALF_OPEN, or since anything failed, up to what matters.
        closing: Kinds of calls that were refused for maintenance since a signed call was good, `closing_s` the first.
        closed: That makes it closed.
    """

    failures: int = 0
    counted_s: float | None = None
    counted_sent_s: float | None = None
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
    trial: int = 0
    closing: frozenset[EvidenceKind] = frozenset()
    closing_s: float | None = None
    closed: bool = False

    @property
    def rounds(self) -> int:
        """Consecutive good rounds of both kinds of probe."""
        return min(self.good_public, self.good_signed)

    def calm(self, settings: HealthSettings) -> bool:
        """Nothing is wrong, and everything good is counted already: one more good answer changes nothing."""
        return (
            self.counted_s is None
            and self.trusted
            and not self.public_ill
            and self.place_failed_s is None
            and self.place_counted_s is None
            and self.good_public >= settings.rise
            and self.good_signed >= settings.rise
            and self.trial >= settings.trial_calls
            and not self.closing
        )


def apart_s(settings: HealthSettings) -> float:
    """What keeps two failures apart, so that a burst shorter than `max_retry_attempts - 1` of it never makes it DOWN:
    the shortest pause that may be drawn between two rounds of probes of a SUSPECT exchange. Likewise two placements,
    since a strategy may place each `retry_delay_s`, and two refusals for maintenance."""
    return settings.retry_delay_s - CLOCK_SLACK_S


def counted(
    before: Counts, instant: Instant, settings: HealthSettings, *, limit: int, suspicious: bool = False
) -> Counts:
    """The counts after an instant: its answers first, then its failures, so that failures win.

    Args:
        limit: So many failures in a row make a candidate.
        suspicious: A call waits for too long: no failure, but what was good before no longer vouches for the exchange.
    """
    at_s, ok, good, failed = instant.at_s, instant.ok, instant.good, instant.failed
    if not failed and not suspicious and before.calm(settings):
        return before
    failures, counted_s, candidate_s = before.failures, before.counted_s, before.candidate_s
    counted_sent_s = before.counted_sent_s
    public_failed, signed_failed, order_failed = before.public_failed, before.signed_failed, before.order_failed
    place_streak, place_counted_s = before.place_streak, before.place_counted_s
    place_failures, place_failed_s = before.place_failures, before.place_failed_s
    public_ill, trusted = before.public_ill, before.trusted
    good_public, good_signed, trial = before.good_public, before.good_signed, before.trial
    closing, closing_s, closed = before.closing, before.closing_s, before.closed

    if EvidenceKind.PUBLIC_PROBE in ok:
        public_failed = public_ill = False
        good_public = min(good_public + (EvidenceKind.PUBLIC_PROBE in good), settings.rise)
    if any(kind in ok for kind in SIGNED_ANSWERS):
        failures, counted_s, counted_sent_s, candidate_s = 0, None, None, None
        public_failed = signed_failed = order_failed = False
    if EvidenceKind.PLACE in ok:
        place_streak, place_counted_s = 0, None
    if any(kind in good for kind in SIGNED_ANSWERS):
        trial = min(trial + 1, settings.trial_calls)
        closing, closing_s, closed = frozenset(), None, False
    if EvidenceKind.PLACE in good:
        place_failures, place_failed_s = 0, None
        trusted = True
    sent_s = good.get(EvidenceKind.SIGNED_PROBE)
    if sent_s is not None and (place_failed_s is None or sent_s >= place_failed_s - CLOCK_SLACK_S):
        good_signed = min(good_signed + 1, settings.rise)
        trusted = True

    if failed or suspicious:
        trusted = False
        good_public = good_signed = trial = 0
    if failed:
        if counted_s is None or at_s >= counted_s + apart_s(settings):
            failures, counted_s, counted_sent_s = failures + 1, at_s, max(failed.values())
        if candidate_s is not None:
            sent_after = {kind for kind, sent in failed.items() if sent >= candidate_s - CLOCK_SLACK_S}
            public_failed = public_failed or EvidenceKind.PUBLIC_PROBE in sent_after
            signed_failed = signed_failed or EvidenceKind.SIGNED_PROBE in sent_after
            order_failed = order_failed or EvidenceKind.PLACE in sent_after or EvidenceKind.CANCEL in sent_after
        elif failures >= limit:
            candidate_s = at_s
        public_ill = public_ill or EvidenceKind.PUBLIC_PROBE in failed
        if EvidenceKind.PLACE in failed:
            place_failures += 1
            place_failed_s = at_s
            if place_counted_s is None or at_s >= place_counted_s + apart_s(settings):
                place_streak, place_counted_s = place_streak + 1, at_s
        refused = instant.remarks.closed if instant.remarks is not None else None
        if refused:
            later = closing_s is not None and at_s >= closing_s + apart_s(settings)
            closing, closing_s = closing | refused, at_s if closing_s is None else closing_s
            closed = closed or later or len(closing) > 1

    return Counts(
        failures=failures,
        counted_s=counted_s,
        counted_sent_s=counted_sent_s,
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
        trial=trial,
        closing=closing,
        closing_s=closing_s,
        closed=closed,
    )
