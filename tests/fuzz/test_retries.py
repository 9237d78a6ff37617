"""Retries in the whole router, in simulated time: they stop when the detector says down, until its next word."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from attrs import evolve

from app.fuzz.faults import Fault, Window
from app.fuzz.plan import Plan, draw_plan
from app.fuzz.profiles import PROFILES
from app.fuzz.record import Heard, Note, Sent
from app.fuzz.strategy import OrderPlan, StrategyPlan
from app.fuzz.world import START_S, World
from messages.orders import Told

OUT_S, BACK_S = 4.0, 40.0
TRIED_S = 20.0
"""Within so long of its return an exchange has answered two rounds of probes, at the pace of one that is down."""
HEARD_S = 1.0
"""By then a session has heard what the detector says."""


def order(serial: int, at_s: float) -> OrderPlan:
    """One that has the whole outage, and more, to get through."""
    return OrderPlan(
        serial=serial, at_s=at_s, side="buy", quantity=Decimal(1), price=None, time_in_force="GTC", timeout_s=60.0
    )


def outage(exchanges: int, seed: int, *orders: OrderPlan) -> World:
    """The first exchange takes no connection for 36 s, and nothing else goes wrong."""
    drawn = draw_plan(PROFILES["calm"], Random(seed))
    strategy = StrategyPlan(name="strategy1", orders={each.serial: each for each in orders}, final_get_s=138.0)
    traits = (*drawn.traits, *drawn.traits)[:exchanges]
    plan: Plan = evolve(
        drawn,
        traits=tuple(evolve(one, name=name) for one, name in zip(traits, ("bybit", "okx"), strict=False)),
        strategies=(strategy,),
        windows=(Window("bybit", OUT_S, BACK_S, (Fault.REFUSED,)),),
        lags=(),
        switches=(),
    )
    world = World(evolve(PROFILES["calm"], refusals=0.0), plan, Random(seed))
    try:
        world.run()
    finally:
        world.close()
    return world


def sent(world: World, serial: int) -> list[tuple[float, str]]:
    """When an order was handed to which exchange."""
    return [(f.at_s - START_S, f.exchange) for f in world.record.facts if isinstance(f, Sent) and f.serial == serial]


def accepted(world: World, serial: int) -> bool:
    """Whether its owner heard so."""
    heard = [f for f in world.record.facts if isinstance(f, Heard) and f.serial == serial]
    return any(each.told is Told.ACCEPTED for each in heard)


def test_nothing_is_tried_again_at_an_exchange_that_is_down_until_it_is_well() -> None:
    """There is no other one. An order asked for meanwhile is tried once: nobody has refused it yet."""
    for seed in range(5):
        world = outage(1, seed, order(1, 5.0), order(2, 20.0))
        # The first: once it is back, one placement that is not answered ends its trial, and is no part of this.
        down_s, *_ = [f.at_s - START_S for f in world.record.facts if isinstance(f, Note) and "state=down" in f.words]
        assert OUT_S < down_s < 20.0
        first, second = sent(world, 1), sent(world, 2)
        assert 2 <= len([at_s for at_s, _ in first if at_s <= down_s + HEARD_S]) <= 3
        for tries, while_down in ((first, 0), (second, 1)):
            assert len([at_s for at_s, _ in tries if down_s + HEARD_S < at_s < BACK_S]) == while_down
            assert BACK_S < tries[-1][0] < BACK_S + TRIED_S
        assert accepted(world, 1)
        assert accepted(world, 2)


def test_what_waits_for_its_next_try_goes_where_trading_goes() -> None:
    """With another exchange to go to, the second one has it as soon as trading has moved."""
    for seed in range(5):
        world = outage(2, seed, order(1, 5.0))
        (moved_s,) = [f.at_s - START_S for f in world.record.facts if getattr(f, "exchange", "") == "okx"][:1]
        tries = sent(world, 1)
        assert [exchange for at_s, exchange in tries if at_s > moved_s] == ["okx"]
        assert tries[-1][0] < moved_s + HEARD_S
        assert accepted(world, 1)
