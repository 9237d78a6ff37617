"""What it takes on an exchange to prove that a placement did not, and will not, execute."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen


class ExpiryEnforcement(StrEnum):
    """Where an exchange enforces the expiry of a placement.

    Attributes:
        ENGINE: At the matching engine: nothing executes after it.
        GATEWAY: On arrival: what passed may execute up to `lateness_s` later.
        NONE: Nowhere; the declared lateness is all there is.
    """

    ENGINE = "engine"
    GATEWAY = "gateway"
    NONE = "none"


@frozen(kw_only=True)
class Proof:
    """What it takes on one exchange to prove that a request did not and will not execute.

    Attributes:
        validity_s: From commit to expiry, for a placement.
        lateness_s: How long after the expiry an accepted request may still execute.
        visibility_s: How long after executing an order may be missing from look-ups.
        clock_error_s: What remains of the clock offset after it was measured.
        trigger_lateness_s: Stands instead of `lateness_s` for a leg placed with a trigger; None where that is no
            different.
    """

    enforcement: ExpiryEnforcement
    validity_s: float
    lateness_s: float
    visibility_s: float
    clock_error_s: float = 0.5
    trigger_lateness_s: float | None = None

    @property
    def margin_s(self) -> float:
        """Seconds after the expiry from which on a successful look-up that finds nothing proves absence."""
        return self.margin_of(conditional=False)

    def margin_of(self, *, conditional: bool) -> float:
        """The same for a leg, placed with a trigger or without."""
        apart_s = self.trigger_lateness_s if conditional else None
        return (self.lateness_s if apart_s is None else apart_s) + self.visibility_s + self.clock_error_s
