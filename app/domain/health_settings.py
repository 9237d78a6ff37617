"""How patient the failure detector is. The defaults of the first three are enough to set: the others follow."""

from __future__ import annotations

from attrs import Factory, frozen
from attrs import field as attribute


@frozen(kw_only=True)
class HealthSettings:
    """How patient the detector is.

    Attributes:
        health_check_interval_s: Between rounds of probes of a WELL exchange.
        max_retry_attempts: Consecutive failures that make an exchange a candidate for DOWN.
        retry_delay_s: Between rounds of a SUSPECT one, and what keeps two failures apart.
        rise: Consecutive good rounds that bring an exchange back from DOWN to HALF_OPEN.
        probe_timeout_s: A probe not answered by then has failed.
        error_window_s: Length of the error-rate window.
        error_rate: Above this share of failures in the window an exchange is SUSPECT.
        error_min_calls: Fewer calls in the window say nothing.
        place_failures: Consecutive failing placements that make an exchange DOWN though its probes are answered.
        jitter: By which part an interval between probes is drawn longer or shorter.
        hold_down_s: So long it is at least HALF_OPEN after it was DOWN once; longer after more (`health_flaps`).
        hold_down_max_s: Never longer.
        flap_half_life_s: In which the memory of having been DOWN halves.
        trial_calls: Good signed calls (probes, orders, cancels) that end HALF_OPEN when the hold-down is over.
        latency_factor: So many times its own usual latency makes an exchange unfit.
        latency_min_s: Less is quick enough, however quick it usually is.
        latency_min_calls: Fewer calls of a kind say nothing of its latency.
        suspicion: Phi above which an unanswered call makes an exchange SUSPECT.
        ban_tolerance_s: A ban that ends later makes it unfit.
        maintenance_lead_s: So long before an announced maintenance trading begins to leave.
        stale_after_s: Data that has not moved for so long, while it should, is stale.
        status_interval_s: Between two questions how the exchange says that it is, and what its price is.
    """

    health_check_interval_s: float = 30.0
    max_retry_attempts: int = 3
    retry_delay_s: float = 5.0
    rise: int = 2
    probe_timeout_s: float = 5.0
    error_window_s: float = 60.0
    error_rate: float = 0.5
    error_min_calls: int = 10
    place_failures: int = 6
    jitter: float = 0.1
    hold_down_s: float = attribute(default=Factory(lambda self: self.health_check_interval_s, takes_self=True))
    hold_down_max_s: float = 1800.0
    flap_half_life_s: float = 900.0
    trial_calls: int = 3
    latency_factor: float = 5.0
    latency_min_s: float = 0.5
    latency_min_calls: int = 20
    suspicion: float = 8.0
    ban_tolerance_s: float = 30.0
    maintenance_lead_s: float = 300.0
    stale_after_s: float = 120.0
    status_interval_s: float = 60.0


LEAST_MOMENT_S = 0.1
"""`retry_delay_s` may be set to a hundredth of a second, for a local exchange: calls so close together still are one
moment, or a hiccup of the machine would be many."""


def moment_s(settings: HealthSettings) -> float:
    """How long a moment lasts, of which the judges count everything as one observation, however many calls it has: what
    keeps two failures apart."""
    return max(settings.retry_delay_s, LEAST_MOMENT_S)
