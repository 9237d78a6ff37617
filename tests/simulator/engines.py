"""Engines for tests: a BTC swap and a BTC spot market at 27000, a hundred thousand USDT, no fees unless asked for."""

from decimal import Decimal

import pytest

from app.simulator.engine import Engine
from app.simulator.model import (
    Attach,
    NewOrder,
    Order,
    OrderType,
    PositionSide,
    Reason,
    Refusal,
    Side,
    Tif,
    Trigger,
)
from app.simulator.spec import EngineRules, MarketKind, MarketSpec

BTC, SPOT = "BTC/USDT:USDT", "BTC/USDT"
D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def swap(**changes: object) -> MarketSpec:
    """The swap."""
    fields: dict[str, object] = {
        "symbol": BTC,
        "native": "BTCUSDT",
        "base": "BTC",
        "settle": "USDT",
        "price": D(27000),
        "tick": D("0.1"),
        "step": D("0.001"),
        "min_qty": D("0.001"),
        "max_qty": D(1000),
        "min_notional": D(5),
    }
    return MarketSpec(**{**fields, **changes})  # type: ignore[arg-type]


def spot(**changes: object) -> MarketSpec:
    """The spot market, under the same native name."""
    return swap(**{"symbol": SPOT, "kind": MarketKind.SPOT, **changes})


def engine(*markets: MarketSpec, **rules: object) -> Engine:
    """An engine over the markets given, or both."""
    fees: dict[str, object] = {
        key: D(0) for key in ("taker_fee", "maker_fee", "spot_taker_fee", "spot_maker_fee") if key not in rules
    }
    return Engine(markets or (swap(), spot()), EngineRules(**{**fees, **rules}))  # type: ignore[arg-type]


def order(
    side: Side = BUY,
    qty: str = "1",
    price: str | None = None,
    *,
    symbol: str = BTC,
    tif: Tif = Tif.GTC,
    reduce_only: bool = False,
    client_order_id: str | None = None,
    take_profit: str | None = None,
    stop_loss: str | None = None,
    attach: Attach | None = None,
    trigger: Trigger | None = None,
    position_side: PositionSide = PositionSide.BOTH,
    cost: str | None = None,
) -> NewOrder:
    """A market order, or with a price a limit order."""
    return NewOrder(
        symbol=symbol,
        side=side,
        type=OrderType.MARKET if price is None else OrderType.LIMIT,
        qty=D(qty),
        price=None if price is None else D(price),
        tif=tif,
        reduce_only=reduce_only,
        client_order_id=client_order_id,
        take_profit=None if take_profit is None else D(take_profit),
        stop_loss=None if stop_loss is None else D(stop_loss),
        attach=Attach() if attach is None else attach,
        trigger=trigger,
        position_side=position_side,
        cost=None if cost is None else D(cost),
    )


def refusal(e: Engine, new: NewOrder) -> Reason:
    """The reason for which `new` is refused, with proof that nothing changed."""

    def state() -> tuple[object, ...]:
        ledger = e.ledger
        return (
            len(list(e.all_orders())),
            len(e.fills),
            dict(ledger.balances),
            {c: a for c, a in ledger.locked.items() if a},
            ledger.used_margin,
            e.venue.orders_made,
        )

    before = state()
    with pytest.raises(Refusal) as caught:
        e.place(new, 1)
    assert state() == before
    return caught.value.reason


def told(orders: list[Order]) -> list[tuple[str, str, str]]:
    """Role, quantity and status of orders, for comparing."""
    return [(o.role.value, str(o.qty), o.status.value) for o in orders]
