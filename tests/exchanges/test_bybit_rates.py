"""What calls take of Bybit's limits: as many requests as the tables count, at most."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.domain.calls import (
    AmendCall,
    Call,
    CancelCall,
    ClosedOrdersCall,
    FillsCall,
    LookUpCall,
    MarginModeCall,
    OpenOrdersCall,
    PositionModeCall,
    PositionsCall,
)
from app.exchanges.rates import TABLES
from app.simulator.thread import SimulatorThread
from messages.market import MarginMode, MarketType, PositionMode
from messages.orders import Side
from tests.exchanges.desk import Desk, stop, wire_id


@pytest.fixture(scope="module")
def desks() -> Iterator[dict[MarketType, Desk]]:
    """Swaps and spot of one simulated Bybit."""
    with SimulatorThread(["bybit"]) as sims:
        made = {market_type: Desk(sims["bybit"], market_type) for market_type in MarketType}
        for desk in made.values():
            assert desk.open() == ""
        yield made
        for desk in made.values():
            desk.close()


def taken(desk: Desk, call: Call) -> tuple[int, float]:
    """How many requests a call made, and how many the table counts for it."""
    before = len(desk.truthful.requests())
    desk.do(call)
    counted = dict(TABLES["bybit", desk.market_type].cost_of(call))["ip"]
    return len(desk.truthful.requests()) - before, counted


@pytest.mark.parametrize("market_type", list(MarketType))
@pytest.mark.parametrize("conditional", [False, True])
def test_calls_about_orders(desks: dict[MarketType, Desk], market_type: MarketType, conditional: bool) -> None:
    """Where nothing is found, so that every list is asked."""
    desk = desks[market_type]
    end_s, week_s = desk.soon(), desk.clock() - 60
    calls: list[Call] = [
        LookUpCall(
            symbol=desk.btc,
            wire_id=wire_id(),
            exchange_order_id=None,
            since_s=week_s,
            deadline_s=end_s,
            conditional=conditional,
        ),
        CancelCall(
            symbol=desk.btc, wire_id=wire_id(), exchange_order_id=None, deadline_s=end_s, conditional=conditional
        ),
        OpenOrdersCall(symbol=desk.btc, deadline_s=end_s, conditional=conditional),
        ClosedOrdersCall(symbol=desk.btc, since_s=week_s, deadline_s=end_s),
        FillsCall(symbol=desk.btc, since_s=week_s, deadline_s=end_s),
        AmendCall(
            spec=desk.spec(side=Side.SELL, price=None, trigger=stop("26000")) if conditional else desk.spec(),
            wire_id=wire_id(),
            exchange_order_id=None,
            quantity=None,
            price=None if conditional else Decimal(21000),
            trigger_price=Decimal(25000) if conditional else None,
            deadline_s=end_s,
        ),
    ]
    for call in calls:
        made, counted = taken(desk, call)
        assert made == counted, type(call).__name__


def test_calls_about_the_account(desks: dict[MarketType, Desk]) -> None:
    """The settings look first; positions are asked for by settlement coin, of which the simulated exchange has one."""
    desk = desks[MarketType.SWAP]
    end_s = desk.soon()
    for call, fewer in (
        (MarginModeCall(symbol=desk.btc, mode=MarginMode.ISOLATED, deadline_s=end_s), 0),
        (MarginModeCall(symbol=desk.btc, mode=MarginMode.CROSS, deadline_s=end_s), 0),
        (PositionModeCall(mode=PositionMode.ONE_WAY, deadline_s=end_s), 0),
        (PositionsCall(deadline_s=end_s), 1),
    ):
        made, counted = taken(desk, call)
        assert made == counted - fewer, type(call).__name__
