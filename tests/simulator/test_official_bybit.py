"""Bybit's own client (pybit) trades on the simulator, unmodified but for its base URL.

What it and the simulator disagreed about, mended in the simulator:

- It names a market by symbol and category: linear and spot share names, and spot was not there at all.
- It cancels and looks up with `orderFilter`, which on spot is Order unless said otherwise.
- It sends `positionIdx` as a number, and amends trigger prices, which were passed over.
- It reads klines, recent trades, fee rates, closed profit and the DCP setting, and places batches: none was served.
- It asks for lists of the past by times: they are windows of at most seven days.
- Hedge mode was refused, and the two leverages of a set-leverage were taken to be one.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from pybit.exceptions import InvalidRequestError
from pybit.unified_trading import HTTP

from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.real_clients import client_id, order_of

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
SPOT = {"category": "spot", "symbol": "BTCUSDT"}
MARKETS = pytest.mark.parametrize("market", [LINEAR, SPOT], ids=["linear", "spot"])
Market = dict[str, str]


@pytest.fixture
def sim() -> Iterator[Simulated]:
    """A fresh Bybit."""
    with SimulatorThread(["bybit"]) as sims:
        yield sims["bybit"]


@pytest.fixture
def client(sim: Simulated) -> Iterator[HTTP]:
    """Its own client, with another address."""
    made = HTTP(api_key=sim.api_key, api_secret=sim.secret, timeout=5)
    made.endpoint = sim.base_url
    yield made
    made.client.close()


def code_of(call: Callable[..., Any], **params: Any) -> int:
    """The retCode with which a call is refused."""
    with pytest.raises(InvalidRequestError) as caught:
        call(**params)
    return int(caught.value.status_code)


def rows(answer: Any) -> list[Any]:
    """The list of an answer."""
    found = answer["result"]["list"]
    assert isinstance(found, list)
    return found


def wallet(client: HTTP) -> dict[str, Decimal]:
    """Wallet balances by coin."""
    [account] = rows(client.get_wallet_balance(accountType="UNIFIED"))
    return {c["coin"]: Decimal(c["walletBalance"]) for c in account["coin"]}


@MARKETS
def test_place_look_up_amend_cancel_and_list(sim: Simulated, client: HTTP, market: Market) -> None:
    """The life of a resting order, by either id; what is gone is in the history."""
    placed = client.place_order(
        **market, side="Buy", orderType="Limit", qty="0.01", price="25000", orderLinkId=client_id()
    )["result"]
    assert placed["orderLinkId"] == client_id()
    [resting] = rows(client.get_open_orders(**market, orderLinkId=client_id()))
    assert (resting["orderId"], resting["orderStatus"], resting["price"]) == (placed["orderId"], "New", "25000")
    client.amend_order(**market, orderId=placed["orderId"], qty="0.02", price="25500")
    [resting] = rows(client.get_open_orders(**market))
    assert (resting["qty"], resting["price"]) == ("0.02", "25500")
    other = SPOT if market is LINEAR else LINEAR
    assert rows(client.get_open_orders(**other)) == []
    unknown = 170213 if market is SPOT else 110001
    assert code_of(client.cancel_order, **other, orderId=placed["orderId"]) in (110001, 170213)
    client.cancel_order(**market, orderLinkId=client_id())
    assert code_of(client.cancel_order, **market, orderLinkId=client_id()) == unknown
    [gone] = rows(client.get_order_history(**market))
    assert (gone["orderStatus"], gone["cancelType"]) == ("Cancelled", "CancelByUser")
    duplicate = 170141 if market is SPOT else 110072
    again = {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "25000", "orderLinkId": client_id()}
    assert code_of(client.place_order, **market, **again) == duplicate
    assert order_of(sim, client_id())["status"] == "cancelled"


@MARKETS
def test_a_market_order_fills_and_its_fills_are_told_in_pages(sim: Simulated, client: HTTP, market: Market) -> None:
    """With fees, newest first, and a cursor that neither repeats nor skips."""
    unit = {"marketUnit": "baseCoin"} if market is SPOT else {}
    for n in range(5):
        client.place_order(**market, side="Buy", orderType="Market", qty="0.01", orderLinkId=client_id(n), **unit)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get_executions(**market, limit=2, execType="Trade", **cursor)
        seen += [f["orderLinkId"] for f in rows(page)]
        if not page["result"]["nextPageCursor"]:
            break
        cursor = {"cursor": page["result"]["nextPageCursor"]}
    assert seen == [client_id(n) for n in reversed(range(5))]
    [fill] = rows(client.get_executions(**market, orderLinkId=client_id(0)))
    assert (fill["execQty"], fill["isMaker"], fill["feeCurrency"]) == ("0.01", False, "BTC" if market is SPOT else "")
    assert rows(client.get_public_trade_history(**market))[0]["execId"] is not None
    start = int(fill["execTime"])
    assert rows(client.get_executions(**market, startTime=start - 9_000_000, endTime=start - 8_000_000)) == []
    week = 7 * 86_400_000
    assert code_of(client.get_executions, **market, startTime=start - week - 1, endTime=start) == 10001


def test_spot_orders_spend_and_receive_coins(sim: Simulated, client: HTTP) -> None:
    """A market order to buy is given by its cost; the fee is paid in what is received; too little is refused."""
    client.place_order(**SPOT, side="Buy", orderType="Market", qty="2700.001", orderLinkId=client_id(1))
    held = wallet(client)
    assert held["BTC"] == Decimal("0.1") - Decimal("0.0001")
    assert held["USDT"] == 100_000 - Decimal("2700.001")
    [bought] = rows(client.get_order_history(**SPOT))
    assert (bought["marketUnit"], bought["qty"], bought["cumExecQty"]) == ("quoteCoin", "2700.001", "0.1")
    client.place_order(**SPOT, side="Sell", orderType="Limit", qty="0.05", price="28000", orderLinkId=client_id(2))
    [account] = rows(client.get_wallet_balance(accountType="UNIFIED", coin="BTC"))
    assert account["coin"][0]["locked"] == "0.05"
    short = {"side": "Sell", "orderType": "Market", "qty": "1"}
    assert code_of(client.place_order, **SPOT, **short) == 170131
    for cost in ("1E30", "-1E30"):
        assert code_of(client.place_order, **SPOT, side="Buy", orderType="Market", qty=cost) == 170135
    sim.control.price("BTC/USDT", 28000)
    assert order_of(sim, client_id(2))["status"] == "filled"


def test_trigger_orders_of_both_markets(sim: Simulated, client: HTTP) -> None:
    """They wait, can be amended, are cancelled under their own filter, and go off."""
    trigger = {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "28500", "triggerPrice": "28000"}
    client.place_order(**LINEAR, **trigger, triggerDirection=1, triggerBy="MarkPrice", orderLinkId=client_id(1))
    client.place_order(**SPOT, **trigger, orderFilter="StopOrder", orderLinkId=client_id(2))
    client.place_order(**SPOT, **trigger, orderFilter="tpslOrder", orderLinkId=client_id(3))
    [linear] = rows(client.get_open_orders(**LINEAR, orderFilter="StopOrder"))
    assert (linear["orderStatus"], linear["stopOrderType"], linear["triggerBy"]) == ("Untriggered", "Stop", "MarkPrice")
    kinds = {o["orderLinkId"]: o["stopOrderType"] for o in rows(client.get_open_orders(**SPOT))}
    assert kinds == {client_id(2): "Stop", client_id(3): "tpslOrder"}
    assert code_of(client.cancel_order, **SPOT, orderLinkId=client_id(3)) == 170213
    client.cancel_order(**SPOT, orderLinkId=client_id(3), orderFilter="tpslOrder")
    client.amend_order(**LINEAR, orderLinkId=client_id(1), triggerPrice="28200")
    for symbol in ("BTC/USDT:USDT", "BTC/USDT"):
        sim.control.price(symbol, 28100)
    assert (order_of(sim, client_id(1))["status"], order_of(sim, client_id(2))["status"]) == ("open", "filled")
    sim.control.price("BTC/USDT:USDT", 28200)
    assert order_of(sim, client_id(1))["status"] == "filled"
    wrong = {**trigger, "triggerDirection": 1}
    assert code_of(client.place_order, **LINEAR, **wrong) == 110092


def test_trading_stop_of_a_whole_position_and_of_a_part(sim: Simulated, client: HTTP) -> None:
    """Levels are on the position; the first to go off cancels the other; trailing stops are refused in words."""
    assert code_of(client.set_trading_stop, **LINEAR, takeProfit="30000", positionIdx=0) == 10001
    client.place_order(**LINEAR, side="Buy", orderType="Market", qty="0.1")
    client.set_trading_stop(**LINEAR, takeProfit="30000", stopLoss="25000", tpslMode="Full", positionIdx=0)
    [position] = rows(client.get_positions(**LINEAR))
    assert (position["takeProfit"], position["stopLoss"]) == ("30000", "25000")
    partial = {"tpslMode": "Partial", "tpSize": "0.04", "slSize": "0.04", "tpOrderType": "Limit"}
    client.set_trading_stop(
        **LINEAR, **partial, takeProfit="28000", tpLimitPrice="28000", stopLoss="26000", positionIdx=0
    )
    kinds = sorted(o["stopOrderType"] for o in rows(client.get_open_orders(**LINEAR)))
    assert kinds == ["PartialStopLoss", "PartialTakeProfit", "StopLoss", "TakeProfit"]
    sim.control.price("BTC/USDT:USDT", 28000)
    [position] = rows(client.get_positions(**LINEAR))
    assert position["size"] == "0.06"
    assert sorted(o["stopOrderType"] for o in rows(client.get_open_orders(**LINEAR))) == ["StopLoss", "TakeProfit"]
    client.set_trading_stop(**LINEAR, takeProfit="0", positionIdx=0)
    [position] = rows(client.get_positions(**LINEAR))
    assert (position["takeProfit"], position["stopLoss"]) == ("", "25000")
    [closed] = rows(client.get_closed_pnl(**LINEAR))
    assert (closed["closedSize"], closed["avgExitPrice"]) == ("0.04", "28000")
    assert code_of(client.set_trading_stop, **LINEAR, trailingStop="100", positionIdx=0) == 10001


def test_cancel_all_keeps_to_its_scope(sim: Simulated, client: HTTP) -> None:
    """Of linear every kind of order of a coin or symbol; of spot the ordinary ones; never the other category."""
    limit = {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "20000"}
    trigger = {**limit, "triggerPrice": "20500"}
    client.place_order(**LINEAR, **limit)
    client.place_order(**LINEAR, **trigger, triggerDirection=2)
    client.place_order(**SPOT, **limit)
    client.place_order(**SPOT, **trigger, orderFilter="StopOrder")
    client.place_order(**{**LINEAR, "symbol": "ETHUSDT"}, **{**limit, "price": "1000"})
    assert code_of(client.cancel_all_orders, category="linear") == 10001
    assert len(rows(client.cancel_all_orders(**LINEAR))) == 2
    assert len(rows(client.cancel_all_orders(category="spot"))) == 1
    assert len(rows(client.get_open_orders(category="spot"))) == 1
    assert len(rows(client.cancel_all_orders(category="spot", orderFilter="StopOrder"))) == 1
    assert len(rows(client.cancel_all_orders(category="linear", settleCoin="USDT"))) == 1


def test_batches_go_order_by_order(sim: Simulated, client: HTTP) -> None:
    """A bad one does not stop the others; how each went is in retExtInfo."""
    one = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "20000"}
    good = [{**one, "orderLinkId": client_id(n)} for n in range(2)]
    answer = client.place_batch_order(category="linear", request=[*good, {**one, "qty": "0.0001"}])
    assert [c["code"] for c in answer["retExtInfo"]["list"]] == [0, 0, 10001]
    assert [bool(o["orderId"]) for o in rows(answer)] == [True, True, False]
    moved = [{"symbol": "BTCUSDT", "orderLinkId": client_id(n), "price": "21000"} for n in range(2)]
    client.amend_batch_order(category="linear", request=moved)
    assert {o["price"] for o in rows(client.get_open_orders(**LINEAR))} == {"21000"}
    named = [{"symbol": "BTCUSDT", "orderLinkId": client_id(n)} for n in (0, 1, 7)]
    answer = client.cancel_batch_order(category="linear", request=named)
    assert [c["code"] for c in answer["retExtInfo"]["list"]] == [0, 0, 110001]
    assert code_of(client.place_batch_order, category="linear", request=good * 11) == 10001


def test_leverage_position_mode_and_margin_mode(sim: Simulated, client: HTTP) -> None:
    """Saying what is so already is refused; a long and a short side by side; one margin mode for the account."""
    client.set_leverage(**LINEAR, buyLeverage="20", sellLeverage="20")
    assert code_of(client.set_leverage, **LINEAR, buyLeverage="20", sellLeverage="20") == 110043
    assert code_of(client.set_leverage, **LINEAR, buyLeverage="20", sellLeverage="10") == 10001
    assert code_of(client.switch_position_mode, **LINEAR, mode=0) == 110025
    client.switch_position_mode(**LINEAR, mode=3)
    market = {"orderType": "Market", "qty": "0.1"}
    assert code_of(client.place_order, **LINEAR, **market, side="Buy") == 10001
    client.place_order(**LINEAR, **market, side="Buy", positionIdx=1)
    client.place_order(**LINEAR, **market, side="Sell", positionIdx=2)
    sides = {(p["positionIdx"], p["side"], p["size"]) for p in rows(client.get_positions(**LINEAR))}
    assert sides == {(1, "Buy", "0.1"), (2, "Sell", "0.1")}
    assert code_of(client.set_margin_mode, setMarginMode="ISOLATED_MARGIN") == 3400045
    closing = {**market, "closeOnTrigger": True, "reduceOnly": True, "qty": "0"}
    client.place_order(**LINEAR, **closing, side="Sell", positionIdx=1)
    client.place_order(**LINEAR, **closing, side="Buy", positionIdx=2)
    client.set_margin_mode(setMarginMode="ISOLATED_MARGIN")
    assert client.get_account_info()["result"]["marginMode"] == "ISOLATED_MARGIN"
    assert code_of(client.switch_margin_mode, **LINEAR, tradeMode=1, buyLeverage="5", sellLeverage="5") == 100028


@MARKETS
def test_klines_tell_what_the_price_did(sim: Simulated, client: HTTP, market: Market) -> None:
    """Newest first; the moves of the price are in the newest ones, and nothing before them is invented."""
    symbol = "BTC/USDT" if market is SPOT else "BTC/USDT:USDT"
    for price in (27500, 26500, 27100):
        sim.control.price(symbol, price)
    client.place_order(**market, side="Buy", orderType="Limit", qty="0.01", price="28000")
    newest, *older = rows(client.get_kline(**market, interval="M", limit=3))
    assert [Decimal(x) for x in newest[1:6]] == [27000, 27500, 26500, 27100, Decimal("0.01")]
    assert [Decimal(x) for x in older[0][1:]] == [27000] * 4 + [0, 0]
    start = int(newest[0]) - 86_400_000 * 10
    forward = rows(client.get_kline(**market, interval="60", start=start, limit=5))
    assert [int(k[0]) for k in reversed(forward)] == [start + n * 3_600_000 for n in range(5)]
    assert code_of(client.get_kline, **market, interval="7") == 10001


def test_what_is_public(sim: Simulated, client: HTTP) -> None:
    """Markets of each category, a halted one left out; tickers, book, time."""
    told = client.get_server_time()
    assert 0 <= told["time"] - int(told["result"]["timeSecond"]) * 1000 < 1000
    for category, count in (("linear", 5), ("spot", 4), ("inverse", 0)):
        assert len(rows(client.get_instruments_info(category=category))) == count
        assert len(rows(client.get_tickers(category=category))) == count
    sim.control.ask("POST", "/suspend", {"symbol": "BTC/USDT:USDT", "on": True})
    assert "BTCUSDT" not in [m["symbol"] for m in rows(client.get_instruments_info(category="linear"))]
    [halted] = rows(client.get_instruments_info(**LINEAR))
    assert halted["status"] == "Closed"
    book = client.get_orderbook(**SPOT, limit=5)["result"]
    assert (len(book["b"]), book["b"][0][0], book["a"][0][0]) == (5, "27000", "27000.01")
    assert rows(client.get_fee_rates(**SPOT))[0]["takerFeeRate"] == "0.001"


def test_dcp_is_kept_and_told_and_never_goes_off(sim: Simulated, client: HTTP) -> None:
    """It waits for the loss of a websocket, of which there is none."""
    assert client.get_account_info()["result"]["dcpStatus"] == "OFF"
    client.set_dcp(timeWindow=40, product="DERIVATIVES")
    [info] = client.query_dcp_info()["result"]["dcpInfos"]
    assert (info["product"], info["dcpStatus"], info["timeWindow"]) == ("DERIVATIVES", "ON", "40")
    assert code_of(client.set_dcp, timeWindow=1) == 10001
