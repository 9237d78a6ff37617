"""Orders that their exchange cannot change in place, changed on real processes: Binance's triggers, for one."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.core.order_router import OrderRefused, OrderRouter
from app.core.shapes import Order
from tests.e2e.world import Heard, World, until

Shared = tuple[World, OrderRouter]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One world for the file."""
    world = World(["binance"], tmp_path_factory.mktemp("replacing") / "state")
    with world, world.running() as router:
        yield world, router


def test_a_stop_is_moved_as_the_same_order(shared: Shared) -> None:
    _, router = shared
    stop = router.place_order("BTCUSDT", "Sell", "Market", "0.01", trigger_price="20000", trigger="stop")
    with pytest.raises(OrderRefused, match=r"waits for a trigger|limit orders only"):
        router.amend_order("BTCUSDT", stop["orderId"], trigger_price="21000", replace=False)
    moved = router.amend_order("BTCUSDT", stop["orderId"], trigger_price="21000")
    assert (moved["orderId"], moved["orderStatus"], moved["qty"]) == (stop["orderId"], "New", "0.01")
    assert Decimal(moved["triggerPrice"]) == 21000
    assert moved["exchangeOrderId"] != stop["exchangeOrderId"]
    again = router.amend_order("BTCUSDT", stop["orderId"], trigger_price="21000", qty="0.02")
    assert (again["qty"], Decimal(again["triggerPrice"])) == ("0.02", Decimal(21000))
    open_ = [each for each in router.get_open_orders("BTCUSDT") if each["orderId"] == stop["orderId"]]
    assert [each["qty"] for each in open_] == ["0.02"]
    assert router.cancel_order("BTCUSDT", stop["orderId"])["orderStatus"] == "Cancelled"
    assert router.get_order(stop["orderId"])["orderStatus"] == "Cancelled"


def test_terms_that_would_be_refused_leave_the_order_where_it_is(shared: Shared) -> None:
    _, router = shared
    stop = router.place_order("BTCUSDT", "Sell", "Market", "0.01", trigger_price="20000", trigger="stop")
    with pytest.raises(Exception, match=r"0.0001|step|tick|Trigger price"):
        router.amend_order("BTCUSDT", stop["orderId"], trigger_price="20000.00001")
    assert router.get_order(stop["orderId"])["orderStatus"] == "New"
    router.cancel_order("BTCUSDT", stop["orderId"])


def test_events_tell_no_end_of_an_order_that_goes_on(shared: Shared) -> None:
    _, router = shared
    stop = router.place_order("BTCUSDT", "Sell", "Market", "0.01", trigger_price="20000", trigger="stop")
    heard = Heard(router)
    try:
        router.amend_order("BTCUSDT", stop["orderId"], trigger_price="22000")

        def moved() -> bool:
            told = heard.of(stop["orderId"])
            return bool(told) and (told[-1]["triggerPrice"], told[-1]["orderStatus"]) == ("22000", "New")

        until(moved)
        assert "Cancelled" not in [each["orderStatus"] for each in heard.of(stop["orderId"])]
    finally:
        heard.close()
    router.cancel_order("BTCUSDT", stop["orderId"])


def test_take_profit_and_stop_loss_go_with_what_replaces_an_order_and_are_moved_themselves(shared: Shared) -> None:
    world, router = shared
    world["binance"].control.price("BTCUSDT", "25000")
    entry = router.place_order(
        "BTCUSDT",
        "Buy",
        "Market",
        "0.01",
        trigger_price="26000",
        trigger="stop",
        stop_loss="20000",
        take_profit="40000",
        client_order_id="entry",
    )
    moved = router.amend_order("BTCUSDT", entry["orderId"], trigger_price="25500", qty="0.02")
    assert (moved["stopLoss"], moved["takeProfit"], moved["orderStatus"]) == ("20000", "40000", "New")
    world["binance"].control.price("BTCUSDT", "25600")

    def exits() -> dict[str, Order]:
        rows = router.get_open_orders("BTCUSDT")
        mine = [row for row in rows if row["parentOrderId"] == entry["orderId"] and row["orderStatus"] == "New"]
        return {row["stopOrderType"]: row for row in mine if Decimal(row["qty"]) == Decimal("0.02")}

    until(lambda: set(exits()) == {"Stop", "TakeProfit"}, means="both exits of all that filled")
    stop = exits()["Stop"]
    trailed = router.amend_order("BTCUSDT", stop["orderId"], trigger_price="24000")
    assert (trailed["orderId"], trailed["triggerPrice"], trailed["orderStatus"]) == (stop["orderId"], "24000", "New")
    until(lambda: set(exits()) == {"Stop", "TakeProfit"}, means="both exits still")
    rows = [row for row in router.get_open_orders("BTCUSDT") if row["parentOrderId"] == entry["orderId"]]
    assert len(rows) == 2, "one of each, and the stop where its owner moved it"
    world["binance"].control.price("BTCUSDT", "23900")
    until(lambda: not exits(), means="the stop fired and the take profit taken back")
    until(lambda: not [each for each in router.get_positions() if Decimal(each["size"]) != 0], means="no position left")
