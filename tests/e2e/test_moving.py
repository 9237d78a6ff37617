"""Positions go with trading, on real processes and over HTTP: by slices, through kill -9, by the exchanges' books."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from app.core.order_router import OrderRouter
from tests.e2e.conftest import Build
from tests.e2e.world import World, place, until

D = Decimal
MIGRATE = {"policy": "migrate", "slice_notional": 300, "slice_pause_s": 0.05, "max_slippage": 0.01, "max_cost": 0.02}


def there(world: World, name: str, base: str = "BTC") -> Decimal:
    """What an exchange's own books say stands there, in base coin."""
    found = world[name].control.truth()["positions"]
    return sum((D(held) for symbol, held in found.items() if symbol.startswith(f"{base}/")), D(0))


def bought(router: OrderRouter, quantity: str, side: str = "Buy", **asked: Any) -> None:
    """A position, by a market order."""
    name = f"begin-{side}-{quantity}-{asked}"
    order = place(router, name, order_type="Market", price=None, qty=quantity, side=side, **asked).order
    assert order is not None
    until(lambda: router.get_order(order["orderId"])["orderStatus"] == "Filled", means="a position")


def moved(world: World, to: str, quantity: str, base: str = "BTC") -> Callable[[], bool]:
    def so() -> bool:
        return all(there(world, name, base) == (D(quantity) if name == to else 0) for name in world.names)

    return so


def test_a_position_goes_with_trading_slice_by_slice(world: Build) -> None:
    here = world("bybit", "okx", positions=MIGRATE)
    with here.running() as router:
        bought(router, "0.05")
        assert there(here, "bybit") == D("0.05")
        router.manual_failover("okx")
        until(moved(here, "okx", "0.05"), means="the position being on okx")
