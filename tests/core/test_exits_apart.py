"""Take profit and stop loss where an exchange does not take them along, by the facade: who may cancel them, and what is
told of fills there."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.core.order_router import OrderRouter
from tests.e2e.world import World, until


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrderRouter]:
    """On Binance."""
    with World(["binance"], tmp_path_factory.mktemp("apart") / "state") as world, world.running() as running:
        yield running


def test_cancelling_all_leaves_the_exits_of_what_has_filled(router: OrderRouter) -> None:
    """As it does where an exchange attaches them; each can be cancelled by itself."""
    bought = router.place_order("BTCUSDT", "Buy", "Market", "0.002", take_profit="90000", stop_loss="9000")["orderId"]
    resting = router.place_order("BTCUSDT", "Buy", "Limit", "0.002", "20000")["orderId"]

    def exits() -> list[str]:
        rows = router.get_open_orders()
        return [row["orderId"] for row in rows if row["parentOrderId"] == bought and row["orderStatus"] == "New"]

    until(lambda: len(exits()) == 2)
    told = router.cancel_all_orders()
    assert [row["orderId"] for row in told["cancelled"]] == [resting]
    assert told["not_cancelled"] == []
    assert len(exits()) == 2
    for order_id in exits():
        assert router.cancel_order("BTCUSDT", order_id)["orderStatus"] == "Cancelled"
    assert exits() == []
    assert router.get_status()["unprotected"] == 0


def test_a_fill_without_a_client_order_id_is_known_by_the_exchanges_own(router: OrderRouter) -> None:
    """Binance's list of trades has none."""
    order = router.place_order("ETHUSDT", "Buy", "Market", "0.1", client_order_id="mine")
    fills = until(lambda: router.get_fills("ETHUSDT"))
    assert {(fill["orderId"], fill["orderLinkId"], fill["strategy"]) for fill in fills} == {
        (order["orderId"], "mine", "default")
    }
    assert sum(Decimal(fill["execQty"]) for fill in fills) == Decimal("0.1")
