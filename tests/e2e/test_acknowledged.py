"""What an exchange acknowledges and its engine does not do, where an answer says no more than that it will be tried."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.core.order_router import OrderRefused, OrderRouter
from app.core.shapes import Order
from tests.e2e.world import World, move_to, place, until

WAIT_S = 20.0
"""Longer than it takes to prove that a change will not be made any more."""
Shared = tuple[World, OrderRouter]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """The two whose answers are acknowledgements."""
    world = World(["bybit", "okx"], tmp_path_factory.mktemp("acknowledged") / "state")
    with world, world.running() as router:
        yield world, router


def resting(shared: Shared, exchange: str, name: str) -> Order:
    """An order that rests there."""
    _, router = shared
    move_to(router, exchange)
    order = place(router, name, qty="0.003").order
    assert order is not None
    assert order["exchange"] == exchange
    return order


def there(shared: Shared, exchange: str) -> dict[str, str]:
    """The newest order, as the exchange's books have it."""
    found: dict[str, str] = shared[0][exchange].control.truth()["orders"][-1]
    return found


@pytest.mark.parametrize("exchange", ["bybit", "okx"])
def test_a_cancel_that_is_acknowledged_and_not_done_is_asked_for_until_it_is(shared: Shared, exchange: str) -> None:
    world, router = shared
    order = resting(shared, exchange, f"cancel-{exchange}")
    control = world[exchange].control
    fault = control.fault("acknowledged", call="cancel", count=2)
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(router.cancel_order, "BTCUSDT", order["orderId"], timeout_s=WAIT_S)
        until(lambda: control.faults()[0]["hits"] == 1, means="the first acknowledgement")
        assert there(shared, exchange)["status"] == "open"
        assert not answer.done(), "an acknowledgement is no end"
        assert answer.result()["orderStatus"] == "Cancelled"
    assert there(shared, exchange)["status"] == "cancelled"
    assert control.faults()[0]["hits"] == 2
    control.clear_fault(fault)


@pytest.mark.parametrize("exchange", ["bybit", "okx"])
def test_a_change_that_is_acknowledged_and_not_done_is_told_as_not_made(shared: Shared, exchange: str) -> None:
    world, router = shared
    order = resting(shared, exchange, f"change-{exchange}")
    control = world[exchange].control
    fault = control.fault("acknowledged", call="amend", count=1)
    with pytest.raises(OrderRefused):
        router.amend_order("BTCUSDT", order["orderId"], qty="0.002", timeout_s=WAIT_S)
    assert there(shared, exchange)["qty"] == "0.003"
    assert router.get_order(order["orderId"])["qty"] == "0.003"
    control.clear_fault(fault)
    assert router.cancel_order("BTCUSDT", order["orderId"])["orderStatus"] == "Cancelled"
