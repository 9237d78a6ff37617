"""Binance USDⓈ-M futures: the exchange's own client trades on the simulated exchange, only its address changed.

Mended in the simulator because this client disagreed: `isAutoAddMargin` of symbolConfig was a string; klines, batches,
the countdown, trials of orders, version 2 of account and of the price ticker, the account's configuration, commission
rates, income and open interest were not served; the account could leave neither one-way mode nor cross margin.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from binance_common.errors import BadRequestError
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import DerivativesTradingUsdsFutures
from binance_sdk_derivatives_trading_usds_futures.rest_api.models import enums as e

from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.official_binance import configuration, data, no_complaints
from tests.simulator.real_clients import BTC as SYMBOL
from tests.simulator.real_clients import eventually

BTC, ETH = "BTCUSDT", "ETHUSDT"
BUY, SELL = e.NewOrderSideEnum.BUY, e.NewOrderSideEnum.SELL
LIMIT, MARKET = e.NewOrderTypeEnum.LIMIT, e.NewOrderTypeEnum.MARKET


class Client:
    """The client, and its exchange."""

    def __init__(self, sim: Simulated) -> None:
        self.sim = sim
        self.api = DerivativesTradingUsdsFutures(configuration(sim)).rest_api

    def limit(self, price: float = 20_000, **more: Any) -> dict[str, Any]:
        """A limit order to buy a hundredth."""
        tif = e.NewOrderTimeInForceEnum.GTC
        made: dict[str, Any] = data(
            self.api.new_order, BTC, BUY, LIMIT, time_in_force=tif, quantity=0.01, price=price, **more
        )
        return made

    def market(self, side: e.NewOrderSideEnum = BUY, **more: Any) -> dict[str, Any]:
        """A market order of a hundredth."""
        result = e.NewOrderNewOrderRespTypeEnum.RESULT
        made: dict[str, Any] = data(
            self.api.new_order, BTC, side, MARKET, quantity=0.01, new_order_resp_type=result, **more
        )
        return made


@pytest.fixture
def client() -> Iterator[Client]:
    """A client of a new exchange, whose types it must not complain of."""
    with SimulatorThread(["binance"]) as sims, no_complaints():
        yield Client(sims["binance"])


def test_market_data(client: Client) -> None:
    """Time, markets, prices, book, klines, what is held."""
    api = client.api
    assert data(api.check_server_time)["serverTime"]
    assert {s["status"] for s in data(api.exchange_information)["symbols"]} == {"TRADING"}
    assert data(api.symbol_price_ticker_v2, symbol=BTC)["price"] == "27000.00"
    assert data(api.mark_price, symbol=BTC)["markPrice"] == "27000.00000000"
    assert data(api.order_book, BTC, limit=5)["asks"][0][0] == "27000.10"
    assert len(data(api.symbol_order_book_ticker)) == 5
    client.sim.control.price(SYMBOL, 27_500)
    client.market()
    rows = data(api.kline_candlestick_data, BTC, e.KlineCandlestickDataIntervalEnum.INTERVAL_1d, limit=2)
    assert (len(rows), rows[-1][4], rows[-1][2]) == (2, "27500.00", "27500.00")
    assert data(api.open_interest, BTC)["openInterest"] == "0.010"


def test_an_orders_life(client: Client) -> None:
    """Tried, placed, told, changed, cancelled, listed."""
    api = client.api
    api.test_order(BTC, e.TestOrderSideEnum.BUY, e.TestOrderTypeEnum.MARKET, quantity=0.01)
    assert client.sim.control.truth()["orders"] == []
    made = client.limit(new_client_order_id="one")
    assert data(api.query_order, BTC, orig_client_order_id="one")["orderId"] == made["orderId"]
    assert data(api.query_current_open_order, BTC, order_id=made["orderId"])["status"] == "NEW"
    changed = data(api.modify_order, BTC, e.ModifyOrderSideEnum.BUY, 0.02, 21_000, order_id=made["orderId"])
    assert (changed["price"], changed["origQty"]) == ("21000.00", "0.020")
    assert [o["clientOrderId"] for o in data(api.current_all_open_orders)] == ["one"]
    assert data(api.cancel_order, BTC, orig_client_order_id="one")["status"] == "CANCELED"
    with pytest.raises(BadRequestError, match="-2011"):
        api.cancel_order(BTC, orig_client_order_id="one")
    assert [o["status"] for o in data(api.all_orders, BTC)] == ["CANCELED"]
    with pytest.raises(BadRequestError, match="-4165"):
        api.all_orders(BTC, start_time=1, end_time=8 * 86_400_000)


def test_fills_positions_and_money(client: Client) -> None:
    """A position with its margins; fees and profits as income; balances in both versions."""
    api = client.api
    client.market()
    client.sim.control.price(SYMBOL, 28_000)
    client.market(SELL)
    client.market()
    assert len(data(api.account_trade_list, BTC)) == 3
    (position,) = data(api.position_information_v3)
    assert (position["positionAmt"], position["positionSide"]) == ("0.010", "BOTH")
    (old,) = data(api.position_information_v2, symbol=BTC)
    assert (old["marginType"], old["leverage"]) == ("cross", "20")
    income = data(api.get_income_history)
    assert [i["incomeType"] for i in income].count("COMMISSION") == 3
    (profit,) = [i for i in income if i["incomeType"] == "REALIZED_PNL"]
    assert profit["income"] == "9.99900000"
    new, former = data(api.account_information_v3), data(api.account_information_v2)
    assert new["totalWalletBalance"] == former["totalWalletBalance"]
    assert len(former["positions"]) == 5
    assert data(api.futures_account_balance_v3)[0]["asset"] == "USDT"
    assert data(api.user_commission_rate, BTC)["takerCommissionRate"] == "0.00050000"
    assert data(api.futures_account_configuration)["dualSidePosition"] is False
    assert data(api.query_user_rate_limit)[0]["limit"] == 300


def test_leverage_and_modes(client: Client) -> None:
    """Leverage and its brackets; isolated margin and hedge mode, refused while something is open."""
    api = client.api
    assert data(api.change_initial_leverage, BTC, 10)["leverage"] == 10
    assert data(api.notional_and_leverage_brackets)[0]["brackets"][0]["initialLeverage"] == 125
    isolated = e.ChangeMarginTypeMarginTypeEnum.ISOLATED
    api.change_margin_type(BTC, isolated)
    with pytest.raises(BadRequestError, match="-4046"):
        api.change_margin_type(BTC, isolated)
    config = {c["symbol"]: c for c in data(api.symbol_configuration)}
    assert (config[BTC]["marginType"], config[BTC]["leverage"], config[ETH]["marginType"]) == (
        "ISOLATED",
        10,
        "CROSSED",
    )
    api.change_position_mode("true")
    assert data(api.get_current_position_mode)["dualSidePosition"] is True
    with pytest.raises(BadRequestError, match="-4061"):
        client.market()
    client.market(position_side="LONG")
    client.market(SELL, position_side="SHORT")
    both = {p["positionSide"]: p["positionAmt"] for p in data(api.position_information_v2, symbol=BTC)}
    assert both == {"LONG": "0.010", "SHORT": "-0.010"}
    assert data(api.modify_isolated_position_margin, BTC, 10, "1", position_side="LONG")["amount"] == 10
    with pytest.raises(BadRequestError, match="-4068"):
        api.change_position_mode("false")


def test_conditional_orders(client: Client) -> None:
    """Under ids of their own, until they are set off: then an ordinary order is there, and has filled."""
    api = client.api
    client.market()
    stop = (e.NewAlgoOrderAlgoTypeEnum.CONDITIONAL, BTC, e.NewAlgoOrderSideEnum.SELL)
    made = data(
        api.new_algo_order,
        *stop,
        e.NewAlgoOrderTypeEnum.STOP_MARKET,
        quantity=0.01,
        trigger_price=26_000,
        client_algo_id="stop",
        working_type=e.NewAlgoOrderWorkingTypeEnum.MARK_PRICE,
        reduce_only=e.NewAlgoOrderReduceOnlyEnum.TRUE,
    )
    assert (made["algoStatus"], made["workingType"], made["reduceOnly"]) == ("NEW", "MARK_PRICE", True)
    data(api.new_algo_order, *stop, e.NewAlgoOrderTypeEnum.TAKE_PROFIT_MARKET, quantity=0.01, trigger_price=30_000)
    assert len(data(api.current_all_algo_open_orders)) == 2
    assert data(api.current_all_open_orders) == []
    client.sim.control.price(SYMBOL, 25_900)
    done = data(api.query_algo_order, client_algo_id="stop")
    assert (done["algoStatus"], data(api.query_order, BTC, order_id=int(done["actualOrderId"]))["status"]) == (
        "FINISHED",
        "FILLED",
    )
    assert data(api.cancel_all_algo_open_orders, BTC)["code"] == 200
    assert len(data(api.query_all_algo_orders, BTC)) == 2
    with pytest.raises(BadRequestError, match="-4120"):
        api.new_order(BTC, SELL, e.NewOrderTypeEnum.STOP_MARKET, quantity=0.01)


def test_cancelling_everything(client: Client) -> None:
    """At once, and by the countdown, which leaves conditional orders alone."""
    api = client.api
    client.limit()
    assert data(api.cancel_all_open_orders, BTC)["code"] == 200
    assert data(api.current_all_open_orders) == []
    client.limit(new_client_order_id="dies")
    assert data(api.auto_cancel_all_open_orders, BTC, 300)["countdownTime"] == "300"
    eventually(lambda: client.sim.control.truth()["orders"][-1]["status"] == "cancelled")


def test_usage_is_told_in_the_headers(client: Client) -> None:
    """Whether the limits are enforced or not."""
    made = client.api.new_order(
        BTC, BUY, LIMIT, time_in_force=e.NewOrderTimeInForceEnum.GTC, quantity=0.01, price=20_000
    )
    headers = {k.lower(): v for k, v in made.headers.items()}
    assert headers["x-mbx-order-count-10s"] == headers["x-mbx-order-count-1m"] == headers["x-mbx-used-weight-1m"] == "1"
    assert len(made.rate_limits) == 3
