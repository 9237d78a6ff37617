"""Kraken Futures: a real ccxt client trades on the simulated exchange, and the truth agrees with what it hears."""

from collections.abc import Iterator
from typing import Any

import ccxt.async_support as ccxt
import pytest

from tests.simulator.desk import Desk

BTC, ETH, XRP = "BTC/USD:USD", "ETH/USD:USD", "XRP/USD:USD"


@pytest.fixture(scope="module")
def client_of_module() -> Iterator[Desk]:
    """The desk with its client, kept for the module."""
    desk = Desk("kraken")
    yield desk
    desk.close()


@pytest.fixture
def desk(client_of_module: Desk) -> Iterator[Desk]:
    """The desk at an exchange of its own."""
    with client_of_module.exchange() as running:
        yield running


def status_of(desk: Desk, client_order_id: str) -> list[tuple[str, float]]:
    """What /orders/status tells of a client id: status and filled size."""
    answer = desk.run(desk.client.privateGetOrdersStatus({"cliOrdIds": client_order_id}))
    return [(o["status"], o["order"]["filled"]) for o in answer["orders"]]


# ---- market data and account ---------------------------------------------------------------------------------------


def test_markets_are_perpetuals_with_the_exchanges_steps(desk: Desk) -> None:
    """The five markets, linear swaps settled in USD, named by the exchange's ids."""
    markets = desk.client.markets
    assert {s: m["id"] for s, m in markets.items()} == {
        BTC: "PF_XBTUSD",
        ETH: "PF_ETHUSD",
        "SOL/USD:USD": "PF_SOLUSD",
        XRP: "PF_XRPUSD",
        "ADA/USD:USD": "PF_ADAUSD",
    }
    btc = markets[BTC]
    assert btc["swap"]
    assert btc["linear"]
    assert btc["settle"] == "USD"
    assert btc["contractSize"] == 1
    assert (btc["precision"]["amount"], btc["precision"]["price"]) == (0.0001, 1)
    assert (markets[XRP]["precision"]["amount"], markets[XRP]["precision"]["price"]) == (1, 0.00001)


def test_prices_follow_the_market(desk: Desk) -> None:
    """Tickers and book stand at the reference price, the ask a tick above."""
    desk.sim.control.price(BTC, 27_123)
    ticker = desk.run(desk.client.fetch_ticker(BTC))
    assert (ticker["last"], ticker["bid"], ticker["ask"]) == (27_123, 27_123, 27_124)
    assert desk.run(desk.client.fetch_tickers())[BTC]["last"] == 27_123
    book = desk.run(desk.client.fetch_order_book(BTC))
    assert (book["bids"][0][0], book["asks"][0][0]) == (27_123, 27_124)


def test_balance_has_margin_and_other_coins(desk: Desk) -> None:
    """The flex account: free, used and total in USD; a coin deposited beside it."""
    assert desk.run(desk.client.fetch_balance())["USD"] == {"free": 100_000, "used": 0, "total": 100_000}
    desk.sim.control.deposit("ETH", "2.5")
    desk.run(desk.client.create_order(BTC, "limit", "buy", 1, 27_000))
    balance = desk.run(desk.client.fetch_balance())
    assert balance["USD"] == {"free": 99_460, "used": 540, "total": 100_000}  # 27,000 / 50
    assert balance["ETH"]["total"] == 2.5


def test_leverage_preferences(desk: Desk) -> None:
    """Set, told, shown with the position as isolated; too much is refused; without a number back to cross."""
    assert desk.run(desk.client.fetch_leverages()) == {}
    desk.run(desk.client.set_leverage(5, BTC))
    assert desk.run(desk.client.fetch_leverage(BTC))["longLeverage"] == 5
    desk.sim.control.position(BTC, "0.1")
    (position,) = desk.run(desk.client.fetch_positions())
    assert (position["leverage"], position["marginMode"]) == (5, "isolated")
    assert isinstance(desk.refused(desk.client.set_leverage(51, BTC)), ccxt.BadRequest)
    unknown = desk.refused(desk.client.privatePutLeveragepreferences({"symbol": "PF_DOGEUSD", "maxLeverage": 5}))
    assert "CONTRACT_DOES_NOT_EXIST" in str(unknown)
    back = desk.client.privatePutLeveragepreferences
    assert isinstance(desk.refused(back({"symbol": "PF_XBTUSD"})), ccxt.BadRequest)
    desk.sim.control.position(BTC, 0)
    desk.run(back({"symbol": "PF_XBTUSD"}))
    desk.sim.control.position(BTC, "0.1")
    (position,) = desk.run(desk.client.fetch_positions())
    assert (position["leverage"], position["marginMode"]) == (None, "cross")


# ---- orders ---------------------------------------------------------------------------------------------------------


def test_a_limit_order_rests_and_is_found(desk: Desk) -> None:
    """Placed, listed, found by client id and by the exchange's id."""
    made = desk.run(desk.client.create_order(BTC, "limit", "buy", 0.002, 26_000, {"clientOrderId": "a1"}))
    assert (made["status"], made["clientOrderId"], made["filled"], made["amount"]) == ("open", "a1", 0, 0.002)
    assert made["id"] == desk.order_of("a1")["order_id"]
    (listed,) = desk.run(desk.client.fetch_open_orders(BTC))
    assert (listed["id"], listed["clientOrderId"], listed["remaining"]) == (made["id"], "a1", 0.002)
    assert listed["info"]["limitPrice"] == 26_000
    assert desk.run(desk.client.fetch_open_orders(ETH)) == []
    assert desk.run(desk.client.fetch_order(made["id"], BTC))["clientOrderId"] == "a1"
    assert status_of(desk, "a1") == [("ENTERED_BOOK", 0)]
    assert status_of(desk, "none") == []


def test_a_market_order_fills_at_once(desk: Desk) -> None:
    """The reply tells the execution; fill, position and balance agree with the truth; the fill has the client id."""
    made = desk.run(desk.client.create_order(BTC, "market", "buy", 0.01, None, {"clientOrderId": "m1"}))
    assert (made["status"], made["filled"], made["average"]) == ("closed", 0.01, 27_001)
    (trade,) = desk.run(desk.client.fetch_my_trades(BTC))
    assert (trade["order"], trade["amount"], trade["price"]) == (made["id"], 0.01, 27_001)
    assert (trade["takerOrMaker"], trade["info"]["cliOrdId"]) == ("taker", "m1")
    (fill,) = desk.truth()["fills"]
    assert (fill["trade_id"], fill["client_order_id"], fill["qty"]) == (trade["id"], "m1", "0.01")
    (position,) = desk.run(desk.client.fetch_positions())
    assert (position["symbol"], position["side"], position["contracts"], position["entryPrice"]) == (
        BTC,
        "long",
        0.01,
        27_001,
    )
    assert desk.truth()["positions"] == {BTC: "0.01"}
    assert desk.run(desk.client.fetch_positions([ETH])) == []


def test_a_partial_fill_shows_in_every_look_up(desk: Desk) -> None:
    """Still in the book with its filled size; the rest can be cancelled, and the fill stays."""
    desk.run(desk.client.create_order(BTC, "limit", "sell", 0.004, 28_000, {"clientOrderId": "p1"}))
    desk.sim.control.fill(client_order_id="p1", qty="0.001")
    (listed,) = desk.run(desk.client.fetch_open_orders(BTC))
    assert (listed["filled"], listed["remaining"], listed["amount"]) == (0.001, 0.003, 0.004)
    assert listed["info"]["status"] == "partiallyFilled"
    assert status_of(desk, "p1") == [("ENTERED_BOOK", 0.001)]
    (cancelled,) = desk.run(desk.client.cancel_orders([], BTC, {"clientOrderIds": ["p1"]}))
    assert (cancelled["status"], cancelled["filled"]) == ("canceled", 0.001)
    (trade,) = desk.run(desk.client.fetch_my_trades(BTC))
    assert (trade["takerOrMaker"], trade["amount"]) == ("maker", 0.001)
    (position,) = desk.run(desk.client.fetch_positions())
    assert (position["side"], position["contracts"]) == ("short", 0.001)


def test_a_resting_order_fills_when_the_market_comes(desk: Desk) -> None:
    """Filled while away: executed by its status, gone from the open orders."""
    desk.run(desk.client.create_order(BTC, "limit", "buy", 0.002, 26_000, {"clientOrderId": "r1"}))
    desk.sim.control.price(BTC, 25_900)
    assert desk.run(desk.client.fetch_open_orders(BTC)) == []
    assert status_of(desk, "r1") == [("FULLY_EXECUTED", 0.002)]


def test_closed_orders_leave_the_status_after_five_seconds(desk: Desk) -> None:
    """Then only fills and history tell: why a look-up has to ask all three."""
    desk.run(desk.client.create_order(BTC, "market", "buy", 0.001, None, {"clientOrderId": "gone"}))
    desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, {"clientOrderId": "open"}))
    desk.clock.ahead_ms = 5_500
    assert status_of(desk, "gone") == []
    assert status_of(desk, "open") == [("ENTERED_BOOK", 0)]
    assert [t["info"]["cliOrdId"] for t in desk.run(desk.client.fetch_my_trades())] == ["gone"]
    assert [o["clientOrderId"] for o in desk.run(desk.client.fetch_closed_orders(BTC))] == ["gone"]


def test_reduce_only(desk: Desk) -> None:
    """It reduces at most the position, and needs one."""
    desk.run(desk.client.create_order(BTC, "market", "buy", 0.002))
    reduce = {"reduceOnly": True, "clientOrderId": "red"}
    made = desk.run(desk.client.create_order(BTC, "market", "sell", 0.005, None, reduce))
    assert made["reduceOnly"] is True
    assert made["filled"] == 0.002
    assert desk.truth()["positions"] == {}
    again = desk.refused(desk.client.create_order(BTC, "market", "sell", 0.001, None, reduce))
    assert "wouldNotReducePosition" in str(again)


def test_immediate_or_cancel(desk: Desk) -> None:
    """ccxt wants it in lower case, and drops the upper case silently: that order rests."""
    ioc = {"timeInForce": "ioc", "clientOrderId": "i1"}
    unfilled = desk.refused(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, ioc))
    assert isinstance(unfilled, ccxt.OrderNotFillable)
    filled = desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 27_500, ioc))
    assert (filled["status"], filled["average"]) == ("closed", 27_001)
    upper = {"timeInForce": "IOC", "clientOrderId": "i2"}
    assert desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, upper))["status"] == "open"


def test_fill_or_kill_is_a_type_of_its_own(desk: Desk) -> None:
    """By the exchange's own orderType."""
    fok = {"orderType": "fok", "clientOrderId": "f1"}
    unfilled = desk.refused(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, fok))
    assert isinstance(unfilled, ccxt.OrderNotFillable)
    assert desk.truth()["orders"] == []
    assert desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 27_500, fok))["filled"] == 0.001


def test_post_only(desk: Desk) -> None:
    """It rests or is refused with a REJECT event, also when reduce-only."""
    made = desk.run(desk.client.create_order(BTC, "limit", "sell", 0.001, 28_000, {"postOnly": True}))
    assert (made["status"], made["postOnly"]) == ("open", True)
    desk.sim.control.position(BTC, "0.1")
    for params in ({"postOnly": True}, {"postOnly": True, "reduceOnly": True}):
        taking = desk.refused(desk.client.create_order(BTC, "limit", "sell", 0.001, 26_000, params))
        assert isinstance(taking, ccxt.OrderImmediatelyFillable)
    assert len(desk.truth()["orders"]) == 1
    raw = {"symbol": "PF_XBTUSD", "side": "sell", "orderType": "post", "size": 0.001, "limitPrice": 26_000}
    sent = desk.run(desk.client.privatePostSendorder(raw))["sendStatus"]
    assert (sent["status"], sent["orderEvents"][0]["type"]) == ("postWouldExecute", "REJECT")
    assert sent["orderEvents"][0]["reason"] == "POST_WOULD_EXECUTE"


def test_a_client_id_is_unique_among_open_orders_only(desk: Desk) -> None:
    """Refused while it is open; once filled the id can be used again, and fills again."""
    once = {"clientOrderId": "d1"}
    desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, once))
    again = desk.refused(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, once))
    assert isinstance(again, ccxt.DuplicateOrderId)
    desk.sim.control.fill(client_order_id="d1")
    desk.run(desk.client.create_order(BTC, "market", "buy", 0.001, None, once))
    assert [o["filled"] for o in desk.orders_of("d1")] == ["0.001", "0.001"]


def test_cancelling(desk: Desk) -> None:
    """By the exchange's id, by client id alone and in a batch; a filled order says so, the rest are not found."""
    first = desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, {"clientOrderId": "c1"}))
    for n in (2, 3):
        desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, {"clientOrderId": f"c{n}"}))
    assert desk.run(desk.client.cancel_order(first["id"], BTC))["status"] == "canceled"
    alone = desk.run(desk.client.privatePostCancelorder({"cliOrdId": "c2"}))["cancelStatus"]
    assert (alone["status"], alone["cliOrdId"], alone["orderEvents"][0]["type"]) == ("cancelled", "c2", "CANCEL")
    batch = desk.run(desk.client.cancel_orders([], BTC, {"clientOrderIds": ["c3", "none"]}))
    assert {o["status"] for o in batch} == {"canceled", "rejected"}
    assert [r["call"] for r in desk.sim.control.requests()][-3:] == ["cancel"] * 3
    assert isinstance(desk.refused(desk.client.cancel_order(first["id"], BTC)), ccxt.OrderNotFound)
    filled = desk.run(desk.client.create_order(BTC, "market", "buy", 0.001))
    gone = desk.run(desk.client.privatePostCancelorder({"order_id": filled["id"]}))["cancelStatus"]
    assert gone["status"] == "filled"
    assert {o["status"] for o in desk.truth()["orders"]} == {"cancelled", "filled"}


def test_cancel_all(desk: Desk) -> None:
    """Of a symbol or of everything, with orders that look-ups do not show yet; nothing to cancel is said."""
    desk.run(desk.client.create_order(ETH, "limit", "buy", 0.01, 1_700, {"clientOrderId": "e1"}))
    desk.sim.control.fault("not_visible", call="place", params={"delay_s": 600})
    desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, {"clientOrderId": "b1"}))
    assert desk.run(desk.client.fetch_open_orders(BTC)) == []
    desk.run(desk.client.cancel_all_orders(BTC))
    assert (desk.order_of("b1")["status"], desk.order_of("e1")["status"]) == ("cancelled", "open")
    desk.run(desk.client.cancel_all_orders())
    assert desk.order_of("e1")["status"] == "cancelled"
    none = desk.run(desk.client.privatePostCancelallorders())["cancelStatus"]
    assert (none["status"], none["cancelOnly"], none["cancelledOrders"]) == ("noOrdersToCancel", "all", [])


def test_editing(desk: Desk) -> None:
    """Size and price change in place, and a price that crosses fills."""
    made = desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, {"clientOrderId": "ed"}))
    changed = desk.run(desk.client.edit_order(made["id"], BTC, "limit", "buy", 0.003, 26_100))
    assert (changed["id"], changed["amount"]) == (made["id"], 0.003)
    assert (desk.order_of("ed")["qty"], desk.order_of("ed")["price"]) == ("0.003", "26100")
    desk.run(desk.client.edit_order(made["id"], BTC, "limit", "buy", 0.003, 27_500))
    assert desk.filled_of("ed") == "0.003"
    again = desk.refused(desk.client.edit_order(made["id"], BTC, "limit", "buy", 0.004, 26_000))
    assert isinstance(again, ccxt.OrderNotFound)
    assert "orderForEditNotFound" in str(again)


def test_a_batch_places_edits_and_cancels(desk: Desk) -> None:
    """Each instruction has its own status, and what is wrong with one leaves the others alone."""
    orders = [
        {"symbol": BTC, "type": "limit", "side": "buy", "amount": 0.001, "price": 26_000, "params": {"cliOrdId": c}}
        for c in ("b1", "b1", "b2")
    ]
    made = desk.run(desk.client.create_orders(orders))
    assert sorted(str(o["status"]) for o in made) == ["open", "open", "rejected"]
    assert {o["client_order_id"] for o in desk.truth()["orders"]} == {"b1", "b2"}
    mixed: list[dict[str, Any]] = [
        {"order": "edit", "order_tag": "1", "cliOrdId": "b1", "size": 0.002, "limitPrice": 26_000},
        {"order": "cancel", "order_tag": "2", "cliOrdId": "b2"},
        {"order": "send", "order_tag": "3", "orderType": "lmt", "symbol": "PF_NONE", "side": "buy", "size": 1},
        {"order": "dance", "order_tag": "4"},
    ]
    said = desk.run(desk.client.privatePostBatchorder({"batchOrder": mixed}))["batchStatus"]
    assert [(s["order_tag"], s["status"]) for s in said] == [
        ("1", "edited"),
        ("2", "cancelled"),
        ("3", "invalidArgument: symbol"),
        ("4", "invalidArgument: order"),
    ]
    assert (desk.order_of("b1")["qty"], desk.order_of("b2")["status"]) == ("0.002", "cancelled")


# ---- conditional orders ---------------------------------------------------------------------------------------------


def test_stop_and_take_profit_orders(desk: Desk) -> None:
    """They wait among the open orders, are told as triggers, and fill when the market reaches them."""
    desk.run(desk.client.create_order(BTC, "market", "buy", 0.002))
    stop = {"stopLossPrice": 26_000, "clientOrderId": "sl"}
    profit = {"takeProfitPrice": 28_000, "clientOrderId": "tp"}
    made = desk.run(desk.client.create_order(BTC, "market", "sell", 0.002, None, stop))
    assert (made["status"], made["triggerPrice"], made["reduceOnly"]) == ("open", 26_000, True)
    desk.run(desk.client.create_order(BTC, "limit", "sell", 0.002, 28_000, profit))
    waiting = desk.run(desk.client.fetch_open_orders(BTC))
    assert sorted((o["clientOrderId"], o["triggerPrice"], o["info"]["orderType"]) for o in waiting) == [
        ("sl", 26_000, "stop"),
        ("tp", 28_000, "take_profit"),
    ]
    assert status_of(desk, "tp") == [("TRIGGER_PLACED", 0)]
    desk.sim.control.price(BTC, 25_950)
    assert desk.filled_of("sl") == "0.002"
    assert desk.truth()["positions"] == {}
    desk.run(desk.client.cancel_orders([], BTC, {"clientOrderIds": ["tp"]}))
    assert desk.order_of("tp")["status"] == "cancelled"


def test_a_trigger_that_is_passed_already_is_set_off_at_once(desk: Desk) -> None:
    """Unlike on Binance, where it is refused."""
    passed = {"triggerPrice": 26_000, "clientOrderId": "now"}
    made = desk.run(desk.client.create_order(BTC, "market", "buy", 0.001, None, passed))
    assert made["filled"] == 0.001
