"""What the actors of a run are configured with: what a user gets who configures nothing, unless the plan says else.

Intervals, time-outs and hold-downs are production's. One thing is spared: where nobody is stopped or busy, heartbeats
can only find that all is well, and a death is told without them. So they come at production's pace from before an actor
is stopped or busy until after, and rarely otherwise; a share of the runs has them at that pace all the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from attrs import evolve, frozen

from app.domain.connector_settings import ConnectorSettings
from app.domain.dead_man import DeadManSettings
from app.domain.failover import FailoverSettings
from app.domain.health import HealthSettings
from app.domain.position_settings import PositionSettings
from app.domain.restart import RestartPolicy
from app.domain.supervision import Timing
from app.fuzz.plan import Plan
from app.fuzz.profiles import Profile
from messages.carries import CarryPolicy

HEALTH = HealthSettings()
TIMING = Timing()
QUIET_S = 30.0
"""Between heartbeats that can find nothing."""
BEFORE_S = 0.6
"""So long before somebody is stopped or busy the supervisor is woken, and heartbeats come at production's pace."""
AFTER_S = 2.0
"""And so long after: who was not answered in time by then is dead."""
SYNC_INTERVAL_S = 10.0
RESTARTS = RestartPolicy.within(5, 30.0)
ROOT_RESTARTS = RestartPolicy.within(15, 30.0)
ORDER_TIMEOUT_S = 30.0
MAX_RETRY_ATTEMPTS = 3
RETRY_DELAY_S = 5.0


@frozen
class Heartbeats:
    """Stands in for `Timing`, whose heartbeat it makes rarer where it can find nothing.

    Attributes:
        spans: When they come at production's pace, from when to when.
    """

    now: Callable[[], float]
    spans: tuple[tuple[float, float], ...]
    heartbeat_timeout_s: float = TIMING.heartbeat_timeout_s
    start_timeout_s: float = TIMING.start_timeout_s
    stop_timeout_s: float = TIMING.stop_timeout_s

    @property
    def heartbeat_s(self) -> float:
        """Between two heartbeats now."""
        now_s = self.now()
        for begin_s, end_s in self.spans:
            if begin_s <= now_s < end_s:
                return TIMING.heartbeat_s
        return QUIET_S


def watched_spans(plan: Plan) -> tuple[tuple[float, float], ...]:
    """When heartbeats may find something, in seconds of the run."""
    if plan.heartbeats:
        return ((0.0, plan.times.end_s),)
    held = [(each.at_s, each.for_s) for each in plan.stalls] + [(each.at_s, each.for_s) for each in plan.lags]
    return tuple((at_s - BEFORE_S, at_s + for_s + AFTER_S) for at_s, for_s in held)


def timing(plan: Plan, now: Callable[[], float], start_s: float) -> Timing:
    """Of the supervisor."""
    spans = tuple((start_s + begin_s, start_s + end_s) for begin_s, end_s in watched_spans(plan))
    return cast(Timing, Heartbeats(now, spans))


def connector_settings(profile: Profile, plan: Plan) -> ConnectorSettings:
    """Of every connector."""
    usual = ConnectorSettings(max_unresolved_total=128, unknown_max_notional=profile.unknown_max_notional)
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
    usual = FailoverSettings(exchanges=names, carry=CarryPolicy.DROP)
    books = plan.books
    if plan.ills is not None:
        return evolve(usual, failback_auto=plan.ills.failback)
    if books is None:
        return usual
    return evolve(
        usual,
        failback_auto=books.failback == "auto",
        hold_down_s=books.hold_down_s,
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
