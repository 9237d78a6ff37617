"""Binance spot: the exchange's own client trades on the simulated exchange, only its address changed.

Written against this client from the start; it disagreed in nothing that is left: its complaints about types are errors
here (see `official_binance`).
"""

from collections.abc import Iterator
from typing import Any

import pytest
from binance_common.errors import BadRequestError, ClientError
from binance_sdk_spot.rest_api.models import enums as e
from binance_sdk_spot.spot import Spot

from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.official_binance import configuration, data, no_complaints

BTC = "BTCUSDT"


class Client:
    """The client, and its exchange."""

    def __init__(self, sim: Simulated) -> None:
        self.sim = sim
        self.api = Spot(configuration(sim)).rest_api

    def limit(self, price: float = 20_000, **more: Any) -> dict[str, Any]:
        """A limit order to buy."""
        given = {"quantity": 0.01, "price": price, "time_in_force": e.NewOrderTimeInForceEnum.GTC} | more
        made: dict[str, Any] = data(self.api.new_order, BTC, e.NewOrderSideEnum.BUY, e.NewOrderTypeEnum.LIMIT, **given)
        return made


@pytest.fixture
def client() -> Iterator[Client]:
    """A client of a new exchange."""
    with SimulatorThread(["binance_spot"]) as sims, no_complaints():
        yield Client(sims["binance_spot"])


def test_market_data(client: Client) -> None:
    """Time, markets, prices, book, candles."""
    api = client.api
    assert data(api.time)["serverTime"]
    info = data(api.exchange_info, symbol=BTC)
    assert [s["symbol"] for s in info["symbols"]] == [BTC]
    assert data(api.ticker_price, symbol=BTC)["price"] == "27000.00000000"
    assert len(data(api.ticker_book_ticker)) == 4
    assert data(api.ticker24hr, symbol=BTC)["lastPrice"] == "27000.00000000"
    assert data(api.depth, BTC, limit=5)["asks"][0][0] == "27000.01000000"
    rows = data(api.klines, BTC, e.KlinesIntervalEnum.INTERVAL_1h, limit=3)
    assert (len(rows), rows[1][0] - rows[0][0], rows[0][4]) == (3, 3_600_000, "27000.00000000")
    assert data(api.avg_price, BTC)["price"] == "27000.00000000"


def test_an_orders_life(client: Client) -> None:
    """Placed, told, made smaller under another id, replaced, cancelled."""
    api = client.api
    made = client.limit(new_client_order_id="one")
    assert (made["status"], made["clientOrderId"], made["fills"]) == ("NEW", "one", [])
    assert data(api.get_order, BTC, orig_client_order_id="one")["orderId"] == made["orderId"]
    amended = data(api.order_amend_keep_priority, BTC, 0.005, order_id=made["orderId"], new_client_order_id="two")
    assert (amended["amendedOrder"]["clientOrderId"], amended["amendedOrder"]["qty"]) == ("two", "0.00500000")
    assert [o["clientOrderId"] for o in data(api.get_open_orders, symbol=BTC)] == ["two"]
    replaced = data(
        api.order_cancel_replace,
        BTC,
        e.OrderCancelReplaceSideEnum.BUY,
        e.OrderCancelReplaceTypeEnum.LIMIT,
        e.OrderCancelReplaceCancelReplaceModeEnum.STOP_ON_FAILURE,
        time_in_force=e.OrderCancelReplaceTimeInForceEnum.GTC,
        quantity=0.01,
        price=21_000,
        cancel_orig_client_order_id="two",
        new_client_order_id="three",
    )
    assert (replaced["cancelResult"], replaced["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    gone = data(api.delete_order, BTC, orig_client_order_id="three", new_client_order_id="the-cancel")
    assert (gone["origClientOrderId"], gone["clientOrderId"], gone["status"]) == ("three", "the-cancel", "CANCELED")
    assert {o["status"] for o in data(api.all_orders, BTC)} == {"CANCELED"}
    with pytest.raises(BadRequestError, match="Unknown order sent"):
        api.delete_order(BTC, orig_client_order_id="three")


def test_replacing_what_is_gone(client: Client) -> None:
    """STOP_ON_FAILURE places nothing; ALLOW_FAILURE does, and says that half of it failed."""

    def replace(mode: e.OrderCancelReplaceCancelReplaceModeEnum) -> Any:
        return client.api.order_cancel_replace(
            BTC,
            e.OrderCancelReplaceSideEnum.BUY,
            e.OrderCancelReplaceTypeEnum.LIMIT,
            mode,
            time_in_force=e.OrderCancelReplaceTimeInForceEnum.GTC,
            quantity=0.01,
            price=21_000,
            cancel_order_id=1,
        )

    with pytest.raises(BadRequestError, match="cancel-replace failed"):
        replace(e.OrderCancelReplaceCancelReplaceModeEnum.STOP_ON_FAILURE)
    assert client.sim.control.truth()["orders"] == []
    with pytest.raises(ClientError, match="partially failed"):
        replace(e.OrderCancelReplaceCancelReplaceModeEnum.ALLOW_FAILURE)
    assert len(client.sim.control.truth()["orders"]) == 1


def test_fills_fees_and_balances(client: Client) -> None:
    """The fee is of the coin received; a cost buys no more than it pays for."""
    api = client.api
    buy, market = e.NewOrderSideEnum.BUY, e.NewOrderTypeEnum.MARKET
    made = data(api.new_order, BTC, buy, market, quantity=0.01)
    assert [(f["commission"], f["commissionAsset"]) for f in made["fills"]] == [("0.00001000", "BTC")]
    by_cost = data(api.new_order, BTC, buy, market, quote_order_qty=100)
    assert float(by_cost["cummulativeQuoteQty"]) <= 100
    assert by_cost["origQuoteOrderQty"] == "100.00000000"
    assert [t["orderId"] for t in data(api.my_trades, BTC)] == [made["orderId"], by_cost["orderId"]]
    client.limit()
    balances = {b["asset"]: b for b in data(api.get_account)["balances"]}
    assert balances["USDT"]["locked"] == "200.00000000"
    assert balances["BTC"]["free"] == "1.01368630"
    assert data(api.account_commission, BTC)["standardCommission"]["taker"] == "0.00100000"
    assert data(api.rate_limit_order)[1]["count"] == 3


def test_a_stop_goes_off(client: Client) -> None:
    """It does not work until then, and keeps its id."""
    api = client.api
    made = data(
        api.new_order,
        BTC,
        e.NewOrderSideEnum.SELL,
        e.NewOrderTypeEnum.STOP_LOSS_LIMIT,
        time_in_force=e.NewOrderTimeInForceEnum.GTC,
        quantity=0.01,
        price=25_900,
        stop_price=26_000,
        new_order_resp_type=e.NewOrderNewOrderRespTypeEnum.RESULT,
    )
    waiting = data(api.get_order, BTC, order_id=made["orderId"])
    assert (waiting["isWorking"], waiting["stopPrice"], waiting["status"]) == (False, "26000.00000000", "NEW")
    client.sim.control.price("BTC/USDT", 25_950)
    done = data(api.get_order, BTC, order_id=made["orderId"])
    assert (done["isWorking"], done["status"], done["type"]) == (True, "FILLED", "STOP_LOSS_LIMIT")


def oco(client: Client, name: str) -> dict[str, Any]:
    """A take profit at 30000 and a stop at 25000 for a hundredth."""
    made: dict[str, Any] = data(
        client.api.order_list_oco,
        BTC,
        e.OrderListOcoSideEnum.SELL,
        0.01,
        e.OrderListOcoAboveTypeEnum.LIMIT_MAKER,
        e.OrderListOcoBelowTypeEnum.STOP_LOSS_LIMIT,
        above_price=30_000,
        below_price=24_900,
        below_stop_price=25_000,
        below_time_in_force=e.OrderListOcoBelowTimeInForceEnum.GTC,
        list_client_order_id=name,
    )
    return made


def test_one_cancels_the_other(client: Client) -> None:
    """By a fill, by the list, and by cancelling one of it; and the older way of asking for one."""
    api = client.api
    made = oco(client, "first")
    assert (made["listOrderStatus"], len(made["orderReports"])) == ("EXECUTING", 2)
    assert len(data(api.open_order_list)) == 1
    client.sim.control.price("BTC/USDT", 30_000)
    assert sorted(o["status"] for o in data(api.all_orders, BTC)) == ["CANCELED", "FILLED"]
    assert data(api.get_order_list, orig_client_order_id="first")["listStatusType"] == "ALL_DONE"
    client.sim.control.price("BTC/USDT", 27_000)
    second = oco(client, "second")
    gone = data(api.delete_order_list, BTC, order_list_id=second["orderListId"])
    assert {r["status"] for r in gone["orderReports"]} == {"CANCELED"}
    third = oco(client, "third")
    api.delete_order(BTC, order_id=third["orders"][0]["orderId"])
    assert data(api.get_open_orders) == []
    old = data(
        api.order_oco,
        BTC,
        e.OrderOcoSideEnum.SELL,
        0.01,
        30_000,
        25_000,
        stop_limit_price=24_900,
        stop_limit_time_in_force=e.OrderOcoStopLimitTimeInForceEnum.GTC,
    )
    assert [r["type"] for r in old["orderReports"]] == ["STOP_LOSS_LIMIT", "LIMIT_MAKER"]
    assert [x["listClientOrderId"] for x in data(api.all_order_list)][:3] == ["first", "second", "third"]
    assert len(data(api.delete_open_orders, BTC)) == 2


def test_client_ids_are_unique_among_open_orders(client: Client) -> None:
    """The id of a filled order may be used again: a resend after a fill fills twice."""
    client.limit(new_client_order_id="mine")
    with pytest.raises(BadRequestError, match="Duplicate order sent"):
        client.limit(new_client_order_id="mine")
    client.api.delete_order(BTC, orig_client_order_id="mine")
    client.limit(28_000, new_client_order_id="mine")
    client.limit(28_000, new_client_order_id="mine")
    assert len(client.sim.control.truth()["fills"]) == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"quantity": 0.010001}, "LOT_SIZE"),
        ({"quantity": 0.0001}, "NOTIONAL"),
        ({"price": 20_000.001}, "PRICE_FILTER"),
        ({"price": 5_000}, "PERCENT_PRICE_BY_SIDE"),
        ({"quantity": 100}, "insufficient balance"),
        ({"recv_window": 70_000}, "recvWindow"),
    ],
)
def test_filters_and_refusals(client: Client, more: dict[str, Any], words: str) -> None:
    """In the exchange's words, and nothing is placed."""
    with pytest.raises(BadRequestError, match=words):
        client.limit(**more)
    assert client.sim.control.truth()["orders"] == []


def test_a_maker_order_that_would_take_is_refused(client: Client) -> None:
    """And leaves nothing behind; asking for a trial of an order places nothing either."""
    with pytest.raises(BadRequestError, match="immediately match and take"):
        client.api.new_order(BTC, e.NewOrderSideEnum.BUY, e.NewOrderTypeEnum.LIMIT_MAKER, quantity=0.01, price=27_001)
    trial = data(
        client.api.order_test,
        BTC,
        e.OrderTestSideEnum.BUY,
        e.OrderTestTypeEnum.MARKET,
        quantity=0.01,
        compute_commission_rates=True,
    )
    assert trial["standardCommissionForOrder"]["maker"] == "0.00100000"
    assert client.sim.control.truth()["orders"] == []
