"""From a seed's plan to what is done to real processes and to exchanges over HTTP: pure, so that it can be tested.

A plan lasts 600 simulated seconds. Until all is calm, ten of them are one real second, and so are the router's own
intervals, time-outs and hold-downs (`TABLES`): what is longer than another stays so. Then eight are one. Not scaled,
since no setting of a user's scales them: the validity, lateness and visibility by which absence is proven, heartbeats
and restarts; with them what is measured by them, how late an exchange carries out, and how long somebody is stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from decimal import Decimal
from random import Random
from types import MappingProxyType
from typing import Any

from attrs import evolve, frozen

from app.exchanges.factory import profile_of
from app.fuzz.faults import BY_CHANCE, Fault, Window
from app.fuzz.plan import Death, Plan, Stall
from app.fuzz.profiles import COORDINATOR_POINTS, MESSAGE, Profile, Times
from app.fuzz.sim_orders import MARKET as SIMULATED
from app.fuzz.strategy import OrderPlan, StrategyPlan
from messages.market import MarketType

PACE = 10.0
"""Simulated seconds in a real one, until all is calm."""
CALM_PACE = 8.0
"""And from then on."""
MARKET, NARROWER = Decimal(27_000), 2
"""What the market costs there, and how much nearer to it prices are than in simulation: real exchanges refuse what is
too far off (Binance's PERCENT_PRICE, 15 %)."""
LEAST_TIMEOUT_S = 1.0
"""An answer of real processes on a machine that others use takes its time."""

TABLES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "router": {"request_timeout_s": 1.0, "order_timeout_s": 6.0},
        "health": {
            "health_check_interval": 3.0,
            "retry_delay": 0.5,
            "probe_timeout_s": 0.8,
            "error_window_s": 6.0,
            "hold_down_max_s": 180.0,
            "flap_half_life_s": 90.0,
            "ban_tolerance_s": 3.0,
            "maintenance_lead_s": 30.0,
            "stale_after_s": 12.0,
            "status_interval_s": 6.0,
        },
        "failover": {
            "settle_timeout_s": 1.0,
            "preflight_timeout_s": 1.0,
            "preflight_interval_s": 2.0,
            "preflight_max_age_s": 6.0,
            "hold_down_s": 30.0,
            "dwell_s": 6.0,
            "return_settle_s": 6.0,
        },
        "orders": {"policy": "drop"},
        "positions": {"policy": "track"},
        "supervision": {"intensity": 5 * int(PACE)},
    }
)
"""Production's settings, a tenth of them; orders are dropped and positions stay when trading moves, as in the runs that
are simulated. Restarts are counted in real seconds, in which ten times as many deaths fall."""

POINTS = (
    "before the intent",
    "after the intent",
    "after sending a placement",
    "after sending a cancel",
    "before recording",
    "after recording",
    *COORDINATOR_POINTS,
)
"""Where within a handler a real actor kills itself."""

LATE_S = (0.3, 2.0, 6.0, 12.0)
"""After so long a late request is carried out: not scaled, since a placement's validity is not."""
STALE_S = 0.5
"""So long look-ups do not show an order where they are stale: less than any exchange's declared visibility."""
SLOW_S = 0.3
"""What an answer of a slow exchange takes, on average: at most twice that."""


@frozen
class Rule:
    """A fault rule of the control interface."""

    kind: str
    call: str = "*"
    params: Mapping[str, Any] = MappingProxyType({})


@frozen
class Sky:
    """What an exchange is like from a time on: its rules, and how long look-ups lag."""

    at_s: float
    exchange: str
    rules: tuple[Rule, ...]
    lag_s: float = 0.0


@frozen(kw_only=True)
class RealPlan:
    """What is done, in real seconds since the run began.

    Attributes:
        plan: The seed's, in real seconds, with the exchanges' real promises; what the checkers go by.
        skies: By time.
        left_out: What of the seed's plan is not done, for people.
    """

    plan: Plan
    skies: tuple[Sky, ...]
    left_out: tuple[str, ...]


def real_s(at_s: float, calm_s: float) -> float:
    """When in real seconds, since the run began, a simulated second of a plan comes."""
    return min(at_s, calm_s) / PACE + max(0.0, at_s - calm_s) / CALM_PACE


def mapped(plan: Plan, profile: Profile, rng: Random, *, hurry: float = 1.0) -> RealPlan:
    """What a seed's plan is in reality; the plan is left as it is.

    Args:
        rng: For the fault rules' own chance.
        hurry: So many times as fast, while the router's intervals stay: for a test that shall not take long.

    Raises:
        ValueError: It is of a profile that is not played: one with positions, illnesses, changes, leave to place
            elsewhere, outages of our own network, a disk that fails, or what waits for a step of a switch.
    """
    more = plan.books is not None or plan.ills is not None or plan.networks or plan.at_steps or plan.disk
    if more or profile.changes or profile.unknown_max_notional is not None:
        raise ValueError("Plans of this profile are not played.")
    calm_s = plan.times.calm_s

    def when(at_s: float) -> float:
        return real_s(at_s, calm_s) / hurry

    deaths = tuple(_death(death, when(death.at_s)) for death in plan.deaths if _can(death))
    real = evolve(
        plan,
        traits=tuple(
            evolve(traits, proof=profile_of(traits.name, MarketType.SWAP).proof, clock_s=0.0) for traits in plan.traits
        ),
        strategies=tuple(_strategy(each, when) for each in plan.strategies),
        windows=tuple(evolve(w, begin_s=when(w.begin_s), end_s=when(w.end_s)) for w in plan.windows),
        deaths=deaths,
        stalls=tuple(Stall(when(stall.at_s), stall.actor, stall.for_s) for stall in plan.stalls),
        lags=(),
        switches=tuple((when(at_s), exchange) for at_s, exchange in plan.switches),
        price_moves=tuple(when(at_s) for at_s in plan.price_moves),
        times=Times(
            calm_s=when(calm_s),
            final_orders_s=when(plan.times.final_orders_s),
            final_get_s=when(plan.times.final_get_s),
            end_s=when(plan.times.end_s),
        ),
    )
    return RealPlan(plan=real, skies=tuple(_skies(real, profile, rng)), left_out=tuple(_left_out(plan, profile)))


def _can(death: Death) -> bool:
    return not death.point or death.point in POINTS


def _death(death: Death, at_s: float) -> Death:
    return Death(at_s, death.actor, death.point)


def _left_out(plan: Plan, profile: Profile) -> Iterator[str]:
    points = sorted({death.point for death in plan.deaths if not _can(death)})
    yield from (f"a death at the point {point!r}" for point in points if not point.startswith(MESSAGE))
    if any(point.startswith(MESSAGE) for point in points):
        yield "a death at an actor's n-th message"
    if plan.lags:
        yield "messages that take long"
    if profile.duplicates:
        yield "messages that arrive twice"
    if profile.journal_chance:
        yield "a locked journal"


def _strategy(strategy: StrategyPlan, when: Callable[[float], float]) -> StrategyPlan:
    orders = {serial: _order(deepcopy(order), when) for serial, order in strategy.orders.items()}
    return StrategyPlan(name=strategy.name, orders=orders, final_get_s=when(strategy.final_get_s))


def _order(order: OrderPlan, when: Callable[[float], float]) -> OrderPlan:
    """In real seconds; told apart by its own id, and as every exchange admits it, and half of it."""
    thousandths = max(2, int(order.quantity * 1000))
    order.quantity = Decimal(thousandths + thousandths % 2) / 1000
    if order.price is not None:
        order.price = MARKET + (order.price - SIMULATED) / NARROWER
    order.at_s = when(order.at_s)
    order.timeout_s = max(LEAST_TIMEOUT_S, order.timeout_s / PACE)
    order.marked = False
    for name in ("cancel_after_s", "again_after_s", "get_after_s", "other_after_s"):
        after_s = getattr(order, name)
        setattr(order, name, None if after_s is None else after_s / PACE)
    return order


# -------------------------------------------------------------------------------------------------------- weather


def _skies(plan: Plan, profile: Profile, rng: Random) -> Iterator[Sky]:
    """Each exchange's faults anew whenever one of its outages begins or ends; none from the calm on."""
    calm_s = plan.times.calm_s
    for traits in plan.traits:
        own = [window for window in plan.windows if window.exchange == traits.name]
        moments = {0.0, *(w.begin_s for w in own), *(w.end_s for w in own)}
        for at_s in sorted(moment for moment in moments if moment < calm_s):
            now = [window for window in own if window.begin_s <= at_s < window.end_s]
            lag_s = STALE_S if any(Fault.STALE in window.kinds for window in now) else 0.0
            yield Sky(at_s, traits.name, tuple(_rules(now, profile, rng)), lag_s)
        yield Sky(calm_s, traits.name, ())


def _rules(windows: Sequence[Window], profile: Profile, rng: Random) -> Iterator[Rule]:
    for window in windows:
        whole = window.share >= 1.0 and not window.places_only
        if whole and window.kinds == (Fault.REFUSED,):
            yield Rule("refused")
            continue
        yield from _shared(window.kinds, window.share, "place" if window.places_only else "*", rng)
    if profile.chance:  # three times as often for a placement, which both rows of rules are for
        yield from _shared(BY_CHANCE, 2 * profile.chance, "place", rng)
        yield from _shared(BY_CHANCE, profile.chance, "*", rng)
    if profile.refusals:
        yield Rule("suspended", "place", {"probability": profile.refusals, "seed": rng.getrandbits(29)})


def _shared(kinds: Sequence[Fault], share: float, call: str, rng: Random) -> Iterator[Rule]:
    """Rules that together break a share of the calls, each kind as often as another.

    The first rule that says yes is the one, so that each after it has to say yes more often.
    """
    spent = 0.0
    for kind in kinds:
        part = share / len(kinds)
        variants = list(_variants(kind, call))
        for rule in variants:
            probability = min(1.0, part / len(variants) / (1.0 - spent)) if spent < 1.0 else 1.0
            if probability < 1.0:
                chance = {"probability": probability, "seed": rng.getrandbits(29)}
                rule = evolve(rule, params={**rule.params, **chance})
            yield rule
            spent += part / len(variants)


def _variants(kind: Fault, call: str) -> Iterator[Rule]:
    """What a fault is over HTTP; one that lasts, like a closed port, is here for single calls."""
    match kind:
        case Fault.REFUSED:
            yield Rule("drop_before", call, {"how": "rst"})
        case Fault.HANG_BEFORE:
            yield Rule("hang_before", call)
        case Fault.HANG_AFTER:
            yield Rule("hang_after", call)
        case Fault.LATE:
            yield from (Rule("late", call, {"delay_s": delay_s}) for delay_s in LATE_S)
        case Fault.DROP_BEFORE:
            yield Rule("drop_before", call)
        case Fault.DROP_AFTER:
            yield Rule("drop_after", call)
        case Fault.SLOW:
            yield Rule("slow", call, {"delay_s": SLOW_S, "distribution": "uniform"})
        case Fault.OVERLOADED:
            yield Rule("busy", call)
        case Fault.READS_FAIL if call != "place":
            yield Rule("http_5xx", "reads")
        case Fault.READS_FAIL | Fault.STALE:
            return  # a placement reads nothing; staleness is a lag of the books, not a rule
        case _:
            raise ValueError(f"{kind} is of no plan that is played.")
