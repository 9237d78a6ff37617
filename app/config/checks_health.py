"""The times of [health], [failover] and [router] judged together: which cannot work with which, in numbers.

A detector is only as good as what surrounds it: an order that has timed out before trading moves, a readiness that is
too old before it is asked again, a memory of flapping that is gone before it makes anything longer. Patroni refuses a
configuration by such an inequality (`loop_wait + 2 x retry_timeout <= ttl`); here are ours.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.config.shape import Config
from app.domain.health import detection_budget_s

ASKED_TWICE = 2.0
"""What is to be called stale must have been asked for at least so often meanwhile."""


def contradictions(config: Config) -> Iterator[str]:
    """What cannot work, one sentence each, with both numbers and what would be right."""
    health, failover = config.health, config.failover
    if health.probe_timeout_s > health.health_check_interval:
        yield (
            f"health.probe_timeout_s is {health.probe_timeout_s:g}, and must be at most health.health_check_interval,"
            f" which is {health.health_check_interval:g}: a probe ends before the next one"
        )
    if health.hold_down_s > health.hold_down_max_s:
        yield (
            f"health.hold_down_s is {health.hold_down_s:g}, and must be at most health.hold_down_max_s, which is"
            f" {health.hold_down_max_s:g}: that is the longest it can become"
        )
    if health.stale_after_s < ASKED_TWICE * health.status_interval_s:
        yield (
            f"health.stale_after_s is {health.stale_after_s:g}, and must be at least {ASKED_TWICE:g} times"
            f" health.status_interval_s, which is {health.status_interval_s:g}: a price is to be read twice before"
            " it is called stale"
        )
    if health.latency_min_s >= health.probe_timeout_s:
        yield (
            f"health.latency_min_s is {health.latency_min_s:g}, and must be below health.probe_timeout_s, which is"
            f" {health.probe_timeout_s:g}: a probe has failed before it could be called slow"
        )
    least_s = failover.preflight_interval_s + failover.preflight_timeout_s
    if failover.preflight_max_age_s < least_s:
        yield (
            f"failover.preflight_max_age_s is {failover.preflight_max_age_s:g}, and must be at least"
            f" failover.preflight_interval_s and preflight_timeout_s together, {least_s:g}: what is known of a backup"
            " would be too old before the next look"
        )


def doubts(config: Config) -> Iterator[str]:
    """What is allowed and probably not meant, one sentence each."""
    router, health, failover = config.router, config.health, config.failover
    budget_s = detection_budget_s(config.health_settings)
    if router.auto_failover and budget_s > router.order_timeout_s:
        yield (
            f"finding a silent exchange down can take {budget_s:g} s (health.*), longer than router.order_timeout_s,"
            f" which is {router.order_timeout_s:g}: orders of that time are answered before trading has moved"
        )
    if health.retry_delay > health.health_check_interval:
        yield (
            f"health.retry_delay is {health.retry_delay:g}, above health.health_check_interval, which is"
            f" {health.health_check_interval:g}: a failing exchange is asked more rarely than one that is well"
        )
    if health.probe_timeout_s > router.request_timeout_s:
        yield (
            f"health.probe_timeout_s is {health.probe_timeout_s:g}, above router.request_timeout_s, which is"
            f" {router.request_timeout_s:g}: a probe is given up with its request, and the rest of its time is waited"
            " for nothing"
        )
    if health.flap_half_life_s < health.hold_down_s:
        yield (
            f"health.flap_half_life_s is {health.flap_half_life_s:g}, below health.hold_down_s, which is"
            f" {health.hold_down_s:g}: that an exchange flaps is forgotten before its trial is over, so that no"
            " hold-down grows"
        )
    if failover.failback == "auto" and failover.hold_down_s < health.hold_down_s:
        yield (
            f"failover.hold_down_s is {failover.hold_down_s:g}, below health.hold_down_s, which is"
            f" {health.hold_down_s:g}: trading goes back no sooner than the trial is over"
        )
    if router.auto_failover and health.ban_tolerance_s > router.order_timeout_s:
        yield (
            f"health.ban_tolerance_s is {health.ban_tolerance_s:g}, above router.order_timeout_s, which is"
            f" {router.order_timeout_s:g}: orders that meet a ban of that time are answered before it is left"
        )
    leaving_s = failover.settle_timeout_s + failover.preflight_timeout_s
    if router.auto_failover and health.maintenance_lead_s < leaving_s:
        yield (
            f"health.maintenance_lead_s is {health.maintenance_lead_s:g}, below failover.settle_timeout_s and"
            f" preflight_timeout_s together, {leaving_s:g}: a maintenance may begin before its exchange is left"
        )
