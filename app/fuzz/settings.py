"""What the actors of a run are configured with: quicker than in production, so that a run is short."""

from __future__ import annotations

from attrs import evolve

from app.domain.connector_settings import ConnectorSettings
from app.domain.dead_man import DeadManSettings
from app.domain.failover import FailoverSettings
from app.domain.health import HealthSettings
from app.domain.position_settings import PositionSettings
from app.domain.supervision import Timing
from app.fuzz.plan import Plan, Profile
from messages.carries import CarryPolicy

HEALTH = HealthSettings(
    health_check_interval_s=10.0,
    max_retry_attempts=3,
    retry_delay_s=1.0,
    probe_timeout_s=2.0,
    hold_down_s=2.0,
    hold_down_max_s=15.0,  # faults end half way through a run, and every exchange is to be trusted again before its end
    flap_half_life_s=20.0,
)


def health_settings(plan: Plan) -> HealthSettings:
    """Of the health monitor: quick, or where it is about health as in production."""
    return HEALTH if plan.ills is None else HealthSettings()


def timing(plan: Plan) -> Timing:
    """Rarer than in production: a heartbeat is a message like any other, and the run is about orders."""
    if plan.ills is not None:
        return Timing(heartbeat_s=10.0, heartbeat_timeout_s=30.0)
    return Timing(heartbeat_s=3.0, heartbeat_timeout_s=10.0)


def sync_interval_s(plan: Plan) -> float:
    """Between two readings of positions."""
    if plan.ills is not None:
        return 60.0
    return 20.0 if plan.books is None else 3.0


def connector_settings(profile: Profile, plan: Plan) -> ConnectorSettings:
    """Of every connector."""
    usual = ConnectorSettings(request_timeout_s=4.0, poll_s=2.0, unknown_max_notional=profile.unknown_max_notional)
    books = plan.books
    if books is None:
        return usual
    dead_man = None
    if books.dead_man_s is not None:
        marks = books.carry is not CarryPolicy.DROP
        dead_man = DeadManSettings(timeout_s=books.dead_man_s, triggers=True, by_market=False, marks=marks)
    return evolve(usual, reduce_across=books.across, max_carry_age_s=books.max_carry_age_s, dead_man=dead_man)


def failover_settings(names: tuple[str, ...], plan: Plan) -> FailoverSettings:
    """Of the coordinator; without books orders are cancelled and positions stay when trading moves."""
    usual = FailoverSettings(
        exchanges=names, settle_timeout_s=5.0, preflight_timeout_s=3.0, carry=CarryPolicy.DROP, return_settle_s=15.0
    )
    books = plan.books
    if plan.ills is not None:
        return evolve(usual, failback_auto=plan.ills.failback, hold_down_s=300.0, preflight_interval_s=20.0)
    if books is None:
        return usual
    return evolve(
        usual,
        failback_auto=books.failback == "auto",
        hold_down_s=books.hold_down_s,
        preflight_interval_s=5.0,
        preflight_max_age_s=15.0,
        carry=books.carry,
        positions=books.positions,
    )


def position_settings(plan: Plan) -> PositionSettings:
    """Of the position synchronizer."""
    books = plan.books
    if books is None:
        return PositionSettings()
    return PositionSettings(
        policy=books.positions, slice_notional=books.slice_notional, slice_pause_s=books.slice_pause_s
    )
