"""Kraken Futures: an independent client (python-kraken-sdk) trades on the simulated exchange, only its address changed.

Mended in the simulator because this client disagreed: candles, fee schedules, the state of instruments and the
countdown were not served; a halted instrument was told as tradeable.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from kraken.futures import Market, Trade, User

from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.real_clients import eventually

XBT, SYMBOL = "PF_XBTUSD", "BTC/USD:USD"


class Client:
    """The three futures clients of one key."""

    def __init__(self, sim: Simulated) -> None:
        keys: Any = {"key": sim.api_key, "secret": sim.secret, "url": sim.base_url}
        self.sim = sim
        self.trade: Any = Trade(**keys)
        self.user: Any = User(**keys)
        self.market: Any = Market(**keys)

    def limit(self, price: float = 20_000, **more: Any) -> dict[str, Any]:
        """A limit order to buy; what became of it."""
        made = self.trade.create_order(orderType="lmt", symbol=XBT, side="buy", size=0.01, limitPrice=price, **more)
        status: dict[str, Any] = made["sendStatus"]
        return status


@pytest.fixture
def client() -> Iterator[Client]:
    """Clients of a new exchange."""
    with SimulatorThread(["kraken"]) as sims:
        yield Client(sims["kraken"])


def test_market_data(client: Client) -> None:
    """Instruments, tickers, book, candles, fees; a halted instrument says so."""
    market = client.market
    assert {i["symbol"] for i in market.get_instruments()["instruments"]} >= {XBT}
    assert market.get_orderbook(symbol=XBT)["orderBook"]["bids"][0][0] == 27_000
    client.sim.control.price(SYMBOL, 27_500)
    candles = market.get_ohlc(tick_type="trade", symbol=XBT, resolution="1h")
    assert (candles["candles"][-1]["close"], candles["more_candles"]) == ("27500", False)
    assert market.get_fee_schedules()["feeSchedules"][0]["tiers"][0]["takerFee"] == 0.05
    assert market.get_instruments_status(instrument=XBT)["tradeable"] == XBT
    client.sim.control.ask("POST", "/suspend", {"symbol": SYMBOL, "on": True})
    (halted,) = [i for i in market.get_instruments()["instruments"] if i["symbol"] == XBT]
    assert halted["tradeable"] is False


def test_an_orders_life(client: Client) -> None:
    """Placed, told, edited, cancelled; a client id is free again then."""
    made = client.limit(cliOrdId="one")
    assert made["status"] == "placed"
    order_id = made["order_id"]
    (told,) = client.user.get_open_orders()["openOrders"]
    assert (told["order_id"], told["cliOrdId"]) == (order_id, "one")
    edited = client.trade.edit_order(orderId=order_id, size=0.02, limitPrice=21_000)["editStatus"]
    assert edited["status"] == "edited"
    (status,) = client.trade.get_orders_status(orderIds=[order_id])["orders"]
    assert (status["order"]["quantity"], status["order"]["limitPrice"]) == (0.02, 21_000)
    assert client.limit(cliOrdId="one")["status"] == "clientOrderIdAlreadyExist"
    assert client.trade.cancel_order(cliOrdId="one")["cancelStatus"]["status"] == "cancelled"
    assert client.trade.cancel_order(order_id=order_id)["cancelStatus"]["status"] == "notFound"
    assert client.limit(cliOrdId="one")["status"] == "placed"
    assert client.trade.cancel_all_orders(symbol=XBT)["cancelStatus"]["status"] == "cancelled"


def test_fills_positions_and_history(client: Client) -> None:
    """A fill, the position, the wallets; the history in pages."""
    for _ in range(3):
        client.trade.create_order(orderType="mkt", symbol=XBT, side="buy", size=0.01)
    assert len(client.trade.get_fills()["fills"]) == 3
    (position,) = client.user.get_open_positions()["openPositions"]
    assert (position["side"], position["size"]) == ("long", 0.03)
    assert client.user.get_wallets()["accounts"]["flex"]["initialMargin"] > 0
    uri = "/api/history/v2/executions"  # the client's own method takes no `count` that it also sends
    first = client.user.request(method="GET", uri=uri, query_params={"count": 2})
    assert len(first["elements"]) == 2
    rest = client.user.get_execution_events(continuation_token=first["continuationToken"])
    assert len(rest["elements"]) == 1
    assert {e["event"]["OrderPlaced"]["reason"] for e in client.user.get_order_events()["elements"]} == {
        "new_user_order"
    }


def test_triggers_and_batches(client: Client) -> None:
    """A stop that goes off; several instructions in one request, each with a status of its own."""
    client.trade.create_order(orderType="mkt", symbol=XBT, side="buy", size=0.01)
    stop = client.trade.create_order(
        orderType="stp", symbol=XBT, side="sell", size=0.01, stopPrice=26_000, reduceOnly=True
    )
    assert stop["sendStatus"]["orderEvents"][0]["orderTrigger"]["triggerPrice"] == 26_000
    client.sim.control.price(SYMBOL, 25_900)
    assert client.user.get_open_positions()["openPositions"] == []
    assert len(client.user.get_trigger_events()["elements"]) == 2
    done = client.trade.create_batch_order(
        batchorder_list=[
            {
                "order": "send",
                "order_tag": "1",
                "orderType": "lmt",
                "symbol": XBT,
                "side": "buy",
                "size": 0.01,
                "limitPrice": 20_000,
                "cliOrdId": "batch",
            },
            {"order": "cancel", "cliOrdId": "batch"},
        ]
    )["batchStatus"]
    assert [s["status"] for s in done] == ["placed", "cancelled"]


def test_leverage_and_the_countdown(client: Client) -> None:
    """Preferences by symbol; the switch cancels everything unless it is stopped."""
    client.market.set_leverage_preference(symbol=XBT, maxLeverage=5)
    assert client.market.get_leverage_preference()["leveragePreferences"] == [{"symbol": XBT, "maxLeverage": 5.0}]
    client.limit()
    assert client.trade.dead_mans_switch(timeout=60)["status"]["triggerTime"] != "0"
    assert client.trade.dead_mans_switch(timeout=0)["status"]["triggerTime"] == "0"
    client.trade.dead_mans_switch(timeout=1)
    eventually(lambda: client.sim.control.truth()["orders"][0]["status"] == "cancelled")
