"""What a seed means: exchanges and their characters, orders, faults, deaths, all drawn before the run begins.

Drawn first and apart from what the run itself draws, so that a change of the router's code leaves the plan of a seed as
it was.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random

from attrs import evolve, field, frozen

from app.domain.calls import ExpiryEnforcement, Proof
from app.domain.limiter import RateLimit
from app.fuzz.book_plan import BookPlan, draw_books, fill_books
from app.fuzz.disk_plan import DiskPlan, draw_disk
from app.fuzz.faults import OUTAGES, Window
from app.fuzz.ill_plan import Illness, Ills, draw_illnesses, draw_orders
from app.fuzz.own_network import Outage, draw_outages
from app.fuzz.profiles import (
    CALM_S,
    CONTROL,
    COORDINATOR_POINTS,
    EXCHANGES,
    FINAL_GET_S,
    FINAL_ORDERS_S,
    MESSAGE,
    Profile,
    Times,
)
from app.fuzz.sim_orders import Duplicates, Traits
from app.fuzz.step_plan import AtStep, draw_at_steps
from app.fuzz.strategy import OrderPlan, StrategyPlan, ask_otherwise


@frozen
class Death:
    """An actor is killed: between two messages, or within its handler the next time it gets to a point."""

    at_s: float
    actor: str
    point: str = ""


@frozen
class Lag:
    """An actor is busy for a while: whatever is sent to it takes up to so long."""

    at_s: float
    actor: str
    for_s: float
    delay_s: float


@frozen
class Stall:
    """An actor is stopped for a while."""

    at_s: float
    actor: str
    for_s: float


@frozen(kw_only=True)
class Plan:
    """One run, but for chance within it. Times are seconds since its start.

    Attributes:
        networks: Outages of our own network; the windows have them, too.
        witness: Whether there is an address that tells such an outage from one of the exchanges.
        heartbeats: Whether they come at production's pace all the time (`app.fuzz.settings`).
        at_steps: What waits for a step of a switch.
    """

    traits: tuple[Traits, ...]
    strategies: tuple[StrategyPlan, ...]
    windows: tuple[Window, ...]
    deaths: tuple[Death, ...]
    stalls: tuple[Stall, ...]
    lags: tuple[Lag, ...]
    switches: tuple[tuple[float, str], ...]
    price_moves: tuple[float, ...]
    books: BookPlan | None = None
    ills: Ills | None = None
    illnesses: tuple[Illness, ...] = ()
    times: Times = field(factory=Times)
    networks: tuple[Outage, ...] = ()
    witness: bool = False
    heartbeats: bool = False
    at_steps: tuple[AtStep, ...] = ()
    disk: DiskPlan | None = None

    def reduces(self, serial: int) -> bool:
        """Whether the strategy's order of this number is to reduce a position only."""
        return any(each.orders[serial].reduce_only for each in self.strategies if serial in each.orders)


ALWAYS = 0.02
"""Share of runs whose heartbeats are never rarer than in production."""


def _near(moments: list[float], rng: Random) -> float:
    """Where something is under way, mostly; else at any time."""
    if moments and rng.random() < 0.7:
        return max(1.0, rng.choice(moments) + rng.uniform(-3.0, 6.0))
    return rng.uniform(1, CALM_S - 12)


def faults_of(plan: Plan) -> int:
    """How many things are planned to go wrong; what chance adds call by call, switches and lags are not counted."""
    disk = plan.disk
    of_disk = 0 if disk is None else len(disk.cuts) + len(disk.crashes) + len(disk.spans)
    return len(plan.windows) + len(plan.deaths) + len(plan.stalls) + len(plan.at_steps) + of_disk


def draw_plan(profile: Profile, rng: Random) -> Plan:
    """The plan of a seed."""
    plan = _drawn(profile, rng)
    actors = [*(traits.name for traits in plan.traits), *CONTROL]
    busy = [
        order.at_s for strategy in plan.strategies for order in strategy.orders.values() if order.at_s < CALM_S - 12
    ]
    while faults_of(plan) < profile.faults:
        plan = evolve(plan, deaths=(*plan.deaths, Death(_near(busy, rng), rng.choice(actors))))
    return plan


def _drawn(profile: Profile, rng: Random) -> Plan:
    names = EXCHANGES[: rng.choice((2, 2, 3))]
    if profile.ills is not None:
        return _ill(profile, profile.ills, names, rng)
    switches = tuple((rng.uniform(5, CALM_S), rng.choice(names)) for _ in range(rng.randint(*profile.switches)))
    windows = _windows(profile, names, rng)
    moments = [at_s for at_s, _ in switches] + [each for w in windows for each in (w.begin_s, w.begin_s, w.end_s)]
    strategies = _strategies(rng, moments)
    if profile.unknown_max_notional is not None:
        _patient(strategies)
    if profile.changes:
        _change(strategies, profile.changes, rng)
    busy = [order.at_s for strategy in strategies for order in strategy.orders.values() if order.at_s < CALM_S - 12]
    actors = [*names, *names, *CONTROL, *(s.name for s in strategies)]  # connectors twice: they matter most
    plan = Plan(
        traits=tuple(_traits(name, rng) for name in names),
        strategies=strategies,
        windows=windows,
        deaths=tuple(_death(names, actors, profile.points, busy, rng) for _ in range(rng.randint(*profile.deaths))),
        stalls=tuple(
            Stall(_near(busy, rng), rng.choice(actors), rng.choice((0.3, 2.0, 8.0)) * rng.random())
            for _ in range(rng.randint(*profile.stalls))
        ),
        lags=tuple(
            Lag(rng.uniform(0, CALM_S - 20), rng.choice(actors), rng.uniform(2, 20), rng.choice((0.05, 0.3, 1.0)))
            for _ in range(rng.randint(*profile.lags))
        ),
        switches=switches,
        price_moves=tuple(sorted(rng.uniform(5, FINAL_GET_S - 8) for _ in range(rng.randint(4, 12)))),
        heartbeats=rng.random() < ALWAYS,
    )
    if profile.networks[1]:
        outages = draw_outages(names, profile.networks, CALM_S, rng)
        windows = tuple(window for outage in outages for window in outage.windows())
        plan = evolve(plan, windows=(*windows, *plan.windows), networks=outages, witness=rng.random() < 0.5)
    if profile.disk is not None:
        plan = evolve(plan, disk=draw_disk(profile.disk, [*busy, *moments], CALM_S, rng))
    if profile.books is None:
        ask_otherwise(strategies, FINAL_ORDERS_S, rng)
        return plan
    for order in [order for strategy in strategies for order in strategy.orders.values()]:
        order.marked = False
    fill_books(strategies, profile.books, FINAL_ORDERS_S, rng)
    # So late that what moves is still moving, nothing fills any more.
    deaths = tuple(_death_of_book(names, plan, profile.points, rng) for _ in plan.deaths)
    moves = tuple(at_s for at_s in plan.price_moves if at_s < CALM_S + 10)
    plan = evolve(plan, books=draw_books(profile.books, names, CALM_S, rng), price_moves=moves, deaths=deaths)
    if profile.at_steps[1]:
        at_steps = draw_at_steps(names, [strategy.name for strategy in strategies], profile.at_steps, rng)
        plan = evolve(plan, at_steps=at_steps)
    return plan


def _ill(profile: Profile, ills: Ills, names: tuple[str, ...], rng: Random) -> Plan:
    """Illnesses, orders, and now and then a health monitor that dies while something is wrong."""
    times = profile.times
    illnesses = draw_illnesses(ills, names, times.calm_s, rng)
    deaths: tuple[Death, ...] = ()
    if illnesses and rng.random() < 0.3:
        ill = rng.choice(illnesses)
        deaths = (Death(rng.uniform(ill.begin_s, ill.end_s), "health_monitor"),)
    return Plan(
        traits=tuple(evolve(_traits(name, rng), rate_limit=RateLimit(per_s=20.0, burst=20)) for name in names),
        strategies=draw_orders(illnesses, times.calm_s, times.final_orders_s, times.final_get_s, rng),
        windows=tuple(each.window for each in illnesses),
        deaths=deaths,
        stalls=(),
        lags=(),
        switches=(),
        price_moves=tuple(sorted(rng.uniform(5, times.calm_s) for _ in range(rng.randint(5, 20)))),
        ills=ills,
        illnesses=illnesses,
        times=times,
    )


def _traits(name: str, rng: Random) -> Traits:
    enforcement = rng.choice(list(ExpiryEnforcement))
    lateness_s = {ExpiryEnforcement.ENGINE: 0.0, ExpiryEnforcement.GATEWAY: 2.0, ExpiryEnforcement.NONE: 8.0}
    proof = Proof(
        enforcement=enforcement,
        validity_s=rng.choice((2.0, 5.0)),
        lateness_s=lateness_s[enforcement],
        visibility_s=rng.choice((0.5, 2.0)),
        clock_error_s=0.5,
    )
    return Traits(
        name=name,
        proof=proof,
        rate_limit=rng.choice((RateLimit(per_s=20.0, burst=20), RateLimit(per_s=5.0, burst=5))),
        duplicates=rng.choice(list(Duplicates)),
        clock_s=rng.uniform(-0.45, 0.45),
        acknowledges=rng.random() < 0.4,
        final_cancels=rng.random() < 0.4,
    )


ORDERS = 20
"""Of all strategies together, at least; and one more of each at the end."""


def _strategies(rng: Random, moments: list[float]) -> tuple[StrategyPlan, ...]:
    n = rng.choice((1, 2))
    plans: list[StrategyPlan] = []
    serial = 0
    for number in range(n):
        orders: dict[int, OrderPlan] = {}
        for _ in range(-(-ORDERS // n)):
            serial += 1
            at_s = rng.uniform(1.5, CALM_S)
            draw = rng.random()
            if moments and draw < 0.65:  # just when something breaks, or trading moves, is when it is hardest
                at_s = min(CALM_S, rng.choice(moments) + rng.choice((0.002, 0.5, 6.0, 25.0)) * rng.random())
            elif orders and draw < 0.8:  # in a burst with the one before
                at_s = orders[serial - 1].at_s + 0.05 * rng.random()
            orders[serial] = _order(serial, at_s, rng)
        serial += 1
        final = _order(serial, FINAL_ORDERS_S, rng)
        orders[serial] = evolve(
            final, cancel_after_s=None, again_after_s=None, get_after_s=None, retries=0, timeout_s=10.0
        )
        plans.append(StrategyPlan(name=f"strategy{number + 1}", orders=orders, final_get_s=FINAL_GET_S))
    return tuple(plans)


def _patient(strategies: tuple[StrategyPlan, ...]) -> None:
    """Whoever has leave to place elsewhere what nobody knows of still wants it when trading has moved."""
    for order in [order for strategy in strategies for order in strategy.orders.values()]:
        if order.at_s < FINAL_ORDERS_S:
            order.timeout_s = max(order.timeout_s, 20.0)
            order.again_after_s = order.again_after_s or 15.0


def _order(serial: int, at_s: float, rng: Random) -> OrderPlan:
    market = rng.random() < 0.3
    return OrderPlan(
        serial=serial,
        at_s=at_s,
        side=rng.choice(("buy", "sell")),
        quantity=Decimal(rng.randint(1, 500)) / 1000,
        price=None if market else Decimal(rng.randint(20_000, 30_000)),
        time_in_force=rng.choice(("GTC", "GTC", "GTC", "IOC")),
        timeout_s=rng.choice((1.0, 4.0, 10.0, 20.0)),
        cancel_after_s=rng.choice((0.01, 1.0, 10.0)) * rng.random() if rng.random() < 0.4 else None,
        again_after_s=rng.choice((0.02, 2.0, 20.0)) * rng.random() if rng.random() < 0.3 else None,
        get_after_s=rng.choice((0.02, 2.0, 20.0)) * rng.random() if rng.random() < 0.3 else None,
        asks=rng.random() < 0.5,
        retries=rng.choice((0, 1, 3)),
    )


def _change(strategies: tuple[StrategyPlan, ...], share: float, rng: Random) -> None:
    """Lets owners change some of the orders that rest, once or twice, in quantity or price."""
    for strategy in strategies:
        for order in strategy.orders.values():
            if order.price is None or order.time_in_force != "GTC" or rng.random() >= share:
                continue
            quantities = (None, order.quantity * 2, (order.quantity / 2).quantize(Decimal("0.0001")))
            order.changes = tuple(
                (
                    rng.choice((0.05, 2.0, 10.0)) * rng.random(),
                    rng.choice(quantities),
                    Decimal(rng.randint(20_000, 30_000)),
                )
                for _ in range(rng.choice((1, 1, 2)))
            )


def _windows(profile: Profile, names: tuple[str, ...], rng: Random) -> tuple[Window, ...]:
    windows = []
    for _ in range(rng.randint(*profile.outages)):
        begin_s = rng.uniform(2, CALM_S - 10)
        end_s = min(CALM_S, begin_s + rng.uniform(*profile.outage_s))
        kinds = OUTAGES[rng.choice(profile.kinds)]
        hit = names if rng.random() < 0.1 else (rng.choice((names[0], *names)),)  # the primary most often; seldom all
        share, places_only = rng.choice((1.0, 1.0, 0.4)), rng.random() < 0.2
        windows += [Window(name, begin_s, end_s, kinds, share, places_only) for name in hit]
    return tuple(windows)


def _death(names: tuple[str, ...], actors: list[str], points: tuple[str, ...], busy: list[float], rng: Random) -> Death:
    at_s, draw = _near(busy, rng), rng.random()
    if draw < 0.1:
        return Death(at_s, "everything")
    if draw < 0.4:
        return Death(at_s, rng.choice(actors))
    if draw < 0.8:
        return Death(at_s, rng.choice((names[0], *names)), rng.choice(points))
    return Death(at_s, "failover_coordinator", rng.choice(COORDINATOR_POINTS))


def _death_of_book(names: tuple[str, ...], plan: Plan, points: tuple[str, ...], rng: Random) -> Death:
    """When trading moves, or just after, is when it is hardest: in any step, of any of those that take part."""
    moments = [at_s for at_s, _ in plan.switches] + [each for w in plan.windows for each in (w.begin_s, w.end_s)]
    at_s = rng.choice(moments) if moments and rng.random() < 0.85 else rng.uniform(3, CALM_S - 5)
    at_s = min(CALM_S - 2, at_s + rng.choice((0.01, 1.0, 8.0, 20.0)) * rng.random())
    draw = rng.random()
    if draw < 0.08:
        return Death(at_s, "everything")
    if draw < 0.2:
        return Death(at_s, rng.choice((*names, *CONTROL)))
    if draw < 0.4:
        return Death(at_s, rng.choice(names), rng.choice(points))
    if draw < 0.5:
        return Death(at_s, "failover_coordinator", rng.choice(COORDINATOR_POINTS))
    actor = rng.choice((*names, "failover_coordinator", "failover_coordinator", *["position_synchronizer"] * 3))
    return Death(at_s, actor, f"{MESSAGE}{rng.randint(1, 12)}")
