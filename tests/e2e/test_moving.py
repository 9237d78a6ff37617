"""Positions go with trading, on real processes and over HTTP: by slices, through kill -9, by the exchanges' books."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from app.core.order_router import OrderRouter
from app.domain import ids
from app.domain.moving import Move, MoveKind
from tests.e2e.conftest import Build
from tests.e2e.world import World, actor_pid, backups_ready, move_to, place, until

D = Decimal
BALANCED = (MoveKind.OPEN, MoveKind.CLOSE)
MIGRATE = {"policy": "migrate", "slice_notional": 300, "slice_pause_s": 0.05, "max_slippage": 0.01, "max_cost": 0.02}


def there(world: World, name: str, base: str = "BTC") -> Decimal:
    """What an exchange's own books say stands there, in base coin."""
    found = world[name].control.truth()["positions"]
    return sum((D(held) for symbol, held in found.items() if symbol.startswith(f"{base}/")), D(0))


def bought(router: OrderRouter, quantity: str, side: str = "Buy", **asked: Any) -> None:
    """A position, by a market order, while every backup could take it over."""
    backups_ready(router)
    name = f"begin-{side}-{quantity}-{asked}"
    order = place(router, name, order_type="Market", price=None, qty=quantity, side=side, **asked).order
    assert order is not None
    until(lambda: router.get_order(order["orderId"])["orderStatus"] == "Filled", means="a position")


def moved(world: World, to: str, quantity: str, base: str = "BTC") -> Callable[[], bool]:
    def so() -> bool:
        return all(there(world, name, base) == (D(quantity) if name == to else 0) for name in world.names)

    return so


def slices(world: World, base: str = "BTC") -> list[tuple[str, Decimal]]:
    """What orders of moves have filled, by the exchanges' books and in the order of their times: (exchange, signed)."""
    journal_id = world.presence().journal_id
    found: list[tuple[int, str, Decimal]] = []
    for name in world.names:
        for fill in world[name].control.truth()["fills"]:
            if fill["client_order_id"] in _names(journal_id, base):
                signed = D(fill["qty"]) if fill["side"] == "buy" else -D(fill["qty"])
                found.append((fill["ts_ms"], name, signed))
    return [(name, signed) for _, name, signed in sorted(found, key=lambda each: each[0])]


@cache
def _names(journal_id: str, base: str) -> frozenset[str]:
    symbol = f"{base}/USDT:USDT"
    moves = (Move(epoch, symbol, n, kind) for epoch in range(1, 9) for n in range(1, 99) for kind in BALANCED)
    return frozenset(ids.wire_id(journal_id, move.key, 1) for move in moves)


def off_by(world: World, base: str = "BTC") -> Decimal:
    """The most by which moving had the net off; in the end it is not."""
    net = worst = D(0)
    for _, signed in slices(world, base):
        net += signed
        worst = max(worst, abs(net))
    assert net == 0
    return worst


SLICE = D(300) / 26900
"""Of `MIGRATE`, at the simulators' price."""


def test_a_position_goes_with_trading_slice_by_slice(world: Build) -> None:
    here = world("bybit", "okx", positions=MIGRATE)
    with here.running() as router:
        bought(router, "0.05")
        assert there(here, "bybit") == D("0.05")
        router.manual_failover("okx")
        until(moved(here, "okx", "0.05"), means="the position being on okx")
        assert len(slices(here)) >= 10
        assert 0 < off_by(here) <= SLICE
        assert router.get_order(place(router, "after").order["orderId"])["exchange"] == "okx"  # type: ignore[index]


def test_long_and_short_go_through_all_exchanges_and_back_in_another_coin_too(world: Build) -> None:
    """Contracts of OKX are hundredths of a coin, and Kraken's settle in USD."""
    here = world("bybit", "okx", "binance", "kraken", positions=MIGRATE)
    tables = here.tables()
    tables["exchanges"]["kraken"].update(allow_settlement_change=True)
    with here.running(config=tables) as router:
        bought(router, "0.03")
        bought(router, "0.4", side="Sell", symbol="ETHUSDT")
        for exchange in ("okx", "binance", "kraken", "bybit"):
            move_to(router, exchange)
            until(moved(here, exchange, "0.03"), means=f"the long position being on {exchange}")
            until(moved(here, exchange, "-0.4", "ETH"), means=f"the short position being on {exchange}")
        assert 0 < off_by(here) <= SLICE
        assert off_by(here, "ETH") > 0


@pytest.mark.parametrize(
    "victim",
    [
        "position_synchronizer",
        pytest.param("connector:okx", marks=pytest.mark.deep),
        pytest.param("connector:bybit", marks=pytest.mark.slow),
        pytest.param("failover_coordinator", marks=pytest.mark.slow),
    ],
)
def test_kill_9_in_the_middle_of_a_move_loses_and_doubles_nothing(world: Build, victim: str) -> None:
    here = world("bybit", "okx", positions={**MIGRATE, "slice_notional": 100})
    with here.running() as router:
        bought(router, "0.06")
        router.manual_failover("okx")
        for part in ("0.008", "0.02", "0.035"):
            until(lambda part=part: there(here, "okx") >= D(part), means=f"{part} being moved")  # type: ignore[misc]
            name = next(a["name"] for a in router.get_status()["actors"] if a["name"].startswith(victim))
            os.kill(actor_pid(router, name), signal.SIGKILL)
        until(moved(here, "okx", "0.06"), patience_s=40.0, means="the position being on okx")
        assert 0 < off_by(here) <= D(100) / 26900


def test_a_position_on_a_dead_exchange_stays_until_it_is_back(world: Build) -> None:
    here = world("bybit", "okx", positions=MIGRATE)
    with here.running() as router:
        bought(router, "0.03")
        here["bybit"].control.fault("refused")
        until(lambda: router.get_status()["current_exchange"] == "okx", means="trading being on okx")
        until(lambda: place(router, "there").order is not None, means="an order on okx")
        assert there(here, "okx") == 0, "copying it would double the exposure"
        here["bybit"].control.clear_faults()
        until(moved(here, "okx", "0.03"), patience_s=40.0, means="the position being on okx")
        assert 0 < off_by(here) <= SLICE


@pytest.mark.deep
def test_an_exchange_that_dies_between_opening_and_closing_leaves_one_slice(world: Build) -> None:
    here = world("bybit", "okx", positions=MIGRATE)
    with here.running() as router:
        bought(router, "0.05")
        router.manual_failover("okx")
        until(lambda: there(here, "okx") > D("0.01"), means="the first slices")
        here["bybit"].control.fault("hang_before")
        until(lambda: there(here, "okx") + there(here, "bybit") >= D("0.05"), means="no more than a slice too little")
        assert abs(there(here, "okx") + there(here, "bybit") - D("0.05")) <= SLICE
        here["bybit"].control.clear_faults()
        until(moved(here, "okx", "0.05"), patience_s=40.0, means="the position being on okx")
        assert 0 < off_by(here) <= SLICE


EXITS = {"20000": D("0.02"), "40000": D("0.02")}


def guards(world: World, name: str) -> dict[str, Decimal]:
    """Base coin that waiting triggers of an exchange would close, by their price."""
    found: dict[str, Decimal] = {}
    for order in world[name].control.truth()["orders"]:
        if order["trigger_price"] and order["status"] in ("open", "untriggered", "partially_filled"):
            found[order["trigger_price"]] = found.get(order["trigger_price"], D(0)) + D(order["qty"])
    return found


def test_stop_loss_and_take_profit_go_along_and_none_stays_behind(world: Build) -> None:
    """Bybit and OKX keep them with the order; on Binance they are orders of the router's own."""
    here = world("bybit", "binance", "okx", positions=MIGRATE)
    with here.running() as router:
        bought(router, "0.02", stop_loss="20000", take_profit="40000")
        bought(router, "0.01")
        for exchange, left in (("binance", "bybit"), ("okx", "binance"), ("bybit", "okx")):
            move_to(router, exchange)
            until(moved(here, exchange, "0.03"), means=f"the position being on {exchange}")
            until(lambda e=exchange: guards(here, e) == EXITS, means=f"its exits being on {exchange}")  # type: ignore[misc]
            until(lambda e=left: not guards(here, e), means=f"no exit being on {left}")  # type: ignore[misc]
            assert router.get_status()["unprotected"] == 0
        here["bybit"].control.price("BTC/USDT:USDT", "19990")
        until(lambda: there(here, "bybit") == D("0.01"), means="the stop having closed what it protects")
