"""Orders that their exchange cannot change in place, changed on real processes: Binance's triggers, for one."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.core.order_router import OrderRefused, OrderRouter
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
