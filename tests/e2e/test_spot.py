"""Spot, end to end: coins are exchanged, there are no positions, and trading moves as anywhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.core.order_router import InvalidRequest, OrderRouter
from tests.e2e.world import World, move_to, until

Shared = tuple[World, OrderRouter]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One world for the file."""
    sections: dict[str, Any] = {"router": {"market_type": "spot"}, "positions": {"sync_interval_s": 0.5}}
    world = World(["bybit", "okx"], tmp_path_factory.mktemp("spot") / "state", **sections)
    with world, world.running() as router:
        yield world, router


def free(router: OrderRouter, coin: str) -> Decimal:
    """What is free of a coin."""
    return sum((Decimal(row["availableBalance"]) for row in router.get_balances(coin)), Decimal(0))


def test_a_coin_is_bought_and_sold_and_there_is_no_position(shared: Shared) -> None:
    _, router = shared
    dollars = free(router, "USDT")
    ask = Decimal(router.get_order_book("BTCUSDT", 1)["asks"][0]["price"])
    bought = router.place_order("BTC/USDT", "Buy", "Limit", "0.01", ask + 50, "ImmediateOrCancel")
    until(lambda: router.get_order(bought["orderId"])["orderStatus"] == "Filled")
    assert dollars - free(router, "USDT") > ask * Decimal("0.0099")
    assert router.get_positions() == []
    [line] = until(lambda: router.get_status()["book"])
    assert (line["exchange"], line["symbol"], line["actual"], Decimal(line["attributed"])) == (
        "bybit",
        "BTCUSDT",
        "",
        Decimal("0.01"),
    )
    [fill] = until(lambda: [each for each in router.get_fills("BTCUSDT") if each["orderId"] == bought["orderId"]])
    assert fill["feeCurrency"] in ("BTC", "USDT")
    sold = router.place_order("BTCUSDT", "Sell", "Market", "0.009")
    until(lambda: router.get_order(sold["orderId"])["orderStatus"] == "Filled")


def test_what_spot_does_not_have_is_refused_in_words(shared: Shared) -> None:
    world, router = shared
    before = world.placements()
    with pytest.raises(InvalidRequest, match="names a settlement coin, which spot does not have"):
        router.place_order("BTC/USDT:USDT", "Buy", "Limit", "0.01", "20000")
    with pytest.raises(InvalidRequest, match="no order there can be reduce-only"):
        router.place_order("BTCUSDT", "Sell", "Limit", "0.01", "60000", reduce_only=True)
    settings: tuple[Callable[[], object], ...] = (
        lambda: router.set_leverage("BTCUSDT", 3),
        lambda: router.set_margin_mode("BTCUSDT", "cross"),
        lambda: router.set_position_mode("one_way"),
    )
    for call in settings:
        with pytest.raises(InvalidRequest, match="Spot markets have no leverage"):
            call()
    assert world.placements() == before


def test_trading_moves_to_the_next_exchange(shared: Shared) -> None:
    world, router = shared
    order = router.place_order("BTCUSDT", "Buy", "Limit", "0.01", "20000", client_order_id="before")
    moved = router.manual_failover("okx")
    assert (moved["to_exchange"], moved["result"]) == ("okx", "completed")

    def along() -> bool:
        found = router.get_order(order["orderId"])
        return (found["exchange"], found["orderStatus"]) == ("okx", "New")

    until(along, means="its going along")
    assert router.cancel_order("BTCUSDT", order["orderId"])["orderStatus"] == "Cancelled"
    there = router.place_order("BTCUSDT", "Buy", "Limit", "0.01", "20000", client_order_id="after")
    [(name, held)] = world.truth(world.presence().journal_id, "default", "after")
    assert (name, held["symbol"]) == ("okx", "BTC/USDT")
    assert router.cancel_order("BTCUSDT", there["orderId"])["orderStatus"] == "Cancelled"
    move_to(router, "bybit")


BOT = """
import json, sys
from app.core.order_router import OrderRouter
with OrderRouter() as router:
    order = router.place_order("BTCUSDT", "Buy", "Limit", "0.01", "20000")
    gone = router.cancel_order("BTCUSDT", order["orderId"])
    print(json.dumps([gone["orderStatus"], gone["exchange"], router.get_positions()]))
"""


@pytest.mark.deep
def test_a_bot_trades_spot_under_simulate() -> None:
    command = [str(Path(sys.executable).parent / "order-router"), "simulate", "--market-type", "spot"]
    named = ["--exchange", "bybit", "--exchange", "okx"]
    done = subprocess.run(
        [*command, *named, "--", sys.executable, "-c", BOT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["Cancelled", "bybit", []]


def test_coins_stay_where_an_exchange_is_drained_and_there_is_nothing_to_flatten(shared: Shared) -> None:
    _, router = shared
    with pytest.raises(InvalidRequest, match="balances and no positions"):
        router.panic(flatten=True)
    there = router.get_status()["current_exchange"]
    assert there is not None
    until(lambda: any(look["ready"] for look in router.get_status()["readiness"]), patience_s=30, means="a backup")
    drained = router.drain(there)
    assert drained["done"], drained
    assert all(each["exchange"] == there for each in drained["positions_left"])
    assert router.get_status()["current_exchange"] != there
    router.release(there)
