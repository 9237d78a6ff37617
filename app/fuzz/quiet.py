"""When nothing at all is wrong in a run: while a run is calm, and long enough after the faults of any other."""

from __future__ import annotations

from app.fuzz.plan import Plan
from app.fuzz.profiles import Profile
from app.fuzz.world import START_S

BEGUN_S = 3.0
"""Within so long everybody knows where orders go."""

HEALED_S = 120.0
"""Within so long of the last fault everything is known, and every exchange is trusted again."""

SWITCHED_S = 25.0
"""Within so long of being asked for a failover is over, and what it left is settled."""


def gentle(profile: Profile) -> bool:
    """Whether nothing goes wrong but what is planned to the second."""
    rough = profile.outages[1] or profile.deaths[1] or profile.stalls[1] or profile.networks[1]
    return not (rough or profile.chance or profile.journal_chance or profile.books or profile.ills)


def quiet_spans(profile: Profile, plan: Plan, end_s: float) -> tuple[tuple[float, float], ...]:
    """The spans, in absolute time."""
    if profile.unknown_max_notional is not None:
        return ()
    calm_s = START_S + plan.times.calm_s
    begin_s = START_S + BEGUN_S if gentle(profile) else calm_s + HEALED_S
    loud = [(lag.at_s - 1.0, lag.at_s + lag.for_s + lag.delay_s + 1.0) for lag in plan.lags]
    loud += [(at_s - 1.0, at_s + SWITCHED_S) for at_s, _ in plan.switches]
    spans: list[tuple[float, float]] = []
    for from_s, to_s in sorted((START_S + from_s, START_S + to_s) for from_s, to_s in loud):
        if begin_s < from_s:
            spans.append((begin_s, from_s))
        begin_s = max(begin_s, to_s)
    return (*spans, (begin_s, end_s))
