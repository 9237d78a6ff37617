"""Binance USDⓈ-M futures: a real ccxt client trades on the simulated exchange, and hears what the truth says."""

from collections.abc import Iterator

import ccxt.async_support as ccxt
import pytest

from tests.simulator.desk import Desk

BTC, ETH, XRP = "BTC/USDT:USDT", "ETH/USDT:USDT", "XRP/USDT:USDT"


@pytest.fixture(scope="module")
def client_of_module() -> Iterator[Desk]:
    """The desk with its client, kept for the module."""
    desk = Desk("binance")
    yield desk
    desk.close()


@pytest.fixture
def desk(client_of_module: Desk) -> Iterator[Desk]:
    """The desk at an exchange of its own."""
    with client_of_module.exchange() as running:
        yield running


# ---- market data and account ---------------------------------------------------------------------------------------


def test_markets_are_perpetuals_with_the_exchanges_steps(desk: Desk) -> None:
    """The five markets, linear swaps settled in USDT."""
    markets = desk.client.markets
    assert set(markets) == {BTC, ETH, "SOL/USDT:USDT", XRP, "ADA/USDT:USDT"}
    btc = markets[BTC]
    assert btc["swap"]
    assert btc["linear"]
    assert btc["settle"] == "USDT"
    assert btc["contractSize"] == 1
    assert btc["precision"]["amount"] == 0.001
    assert btc["precision"]["price"] == 0.1
    assert btc["limits"]["cost"]["min"] == 5
    assert markets[XRP]["precision"] == {"amount": 0.1, "price": 0.0001, "base": 1e-8, "quote": 1e-8}


def test_time_and_status(desk: Desk) -> None:
    """The exchange tells its own clock, and that it is well."""
    desk.clock.ahead_ms = 60_000
    assert abs(desk.run(desk.client.fetch_time()) - desk.clock()) < 5_000
    assert desk.run(desk.client.fetch_status())["status"] == "ok"


def test_prices_follow_the_market(desk: Desk) -> None:
    """Ticker, best prices and book stand at the reference price, the ask a tick above."""
    desk.sim.control.price(BTC, 27_123)
    assert desk.run(desk.client.fetch_ticker(BTC))["last"] == 27_123
    best = desk.run(desk.client.fetch_bids_asks([BTC]))[BTC]
    assert (best["bid"], best["ask"]) == (27_123, 27_123.1)
    book = desk.run(desk.client.fetch_order_book(BTC, 5))
    assert (book["bids"][0][0], book["asks"][0][0], len(book["bids"])) == (27_123, 27_123.1, 5)
    assert set(desk.run(desk.client.fetch_tickers())) == set(desk.client.markets)


def test_balance_has_margin_and_other_coins(desk: Desk) -> None:
    """Free, used and total of the settlement coin; a coin deposited beside it."""
    assert desk.run(desk.client.fetch_balance())["USDT"] == {"free": 100_000, "used": 0, "total": 100_000}
    desk.sim.control.deposit("BNB", "2.5")
    desk.run(desk.client.create_order(BTC, "limit", "buy", 1, 27_000))
    balance = desk.run(desk.client.fetch_balance())
    assert balance["USDT"] == {"free": 98_650, "used": 1_350, "total": 100_000}  # 27,000 / 20
    assert balance["BNB"]["total"] == 2.5


def test_leverage_and_modes(desk: Desk) -> None:
    """Leverage is set and told; asking for the mode that is set is an error; others are set."""
    assert desk.run(desk.client.set_leverage(7, BTC))["leverage"] == 7
    assert desk.run(desk.client.fetch_leverage(BTC))["longLeverage"] == 7
    assert desk.run(desk.client.fetch_position_mode(BTC))["hedged"] is False
    assert "-4059" in str(desk.refused(desk.client.set_position_mode(False, BTC)))
    assert isinstance(desk.refused(desk.client.set_margin_mode("cross", BTC)), ccxt.MarginModeAlreadySet)
    desk.run(desk.client.set_margin_mode("isolated", BTC))
    desk.run(desk.client.set_position_mode(True, BTC))
    assert desk.run(desk.client.fetch_position_mode(BTC))["hedged"] is True


# ---- orders ---------------------------------------------------------------------------------------------------------


def test_a_limit_order_rests_and_is_found_by_both_ids(desk: Desk) -> None:
    """Placed, listed, found by client id and by the exchange's id."""
    made = desk.run(desk.client.create_order(BTC, "limit", "buy", 0.002, 26_000, {"clientOrderId": "a1"}))
    assert (made["status"], made["clientOrderId"], made["filled"], made["amount"]) == ("open", "a1", 0, 0.002)
    assert made["id"] == desk.order_of("a1")["order_id"]
    (listed,) = desk.run(desk.client.fetch_open_orders(BTC))
    assert (listed["id"], listed["price"]) == (made["id"], 26_000)
    assert desk.run(desk.client.fetch_open_orders()) == [listed]
    assert desk.run(desk.client.fetch_open_orders(ETH)) == []
    by_client = desk.run(desk.client.fetch_order(None, BTC, {"clientOrderId": "a1"}))
    by_id = desk.run(desk.client.fetch_order(made["id"], BTC))
    assert by_client == by_id
    assert by_id["timestamp"] == desk.order_of("a1")["created_ms"]


def test_a_market_order_fills_at_once(desk: Desk) -> None:
    """The reply tells the fill; trade, position and balance agree with the truth."""
    made = desk.run(desk.client.create_order(BTC, "market", "buy", 0.01, None, {"clientOrderId": "m1"}))
    assert (made["status"], made["filled"], made["average"]) == ("closed", 0.01, 27_000.1)
    (trade,) = desk.run(desk.client.fetch_my_trades(BTC))
    assert (trade["order"], trade["amount"], trade["price"], trade["takerOrMaker"]) == (
        made["id"],
        0.01,
        27_000.1,
        "taker",
    )
    assert trade["fee"] == {"cost": pytest.approx(27_000.1 * 0.01 * 0.0005), "currency": "USDT"}
    (fill,) = desk.truth()["fills"]
    assert (fill["trade_id"], fill["client_order_id"], fill["qty"]) == (trade["id"], "m1", "0.01")
    (position,) = desk.run(desk.client.fetch_positions())
    assert (position["symbol"], position["side"], position["contracts"]) == (BTC, "long", 0.01)
    assert position["entryPrice"] == 27_000.1
    assert desk.truth()["positions"] == {BTC: "0.01"}


def test_a_short_position_is_told_with_its_side(desk: Desk) -> None:
    """Signed amounts become sides; both versions of the endpoint."""
    desk.sim.control.position(ETH, "-2")
    for params in ({}, {"useV2": True}):
        (position,) = desk.run(desk.client.fetch_positions([ETH], params))
        assert (position["side"], position["contracts"], position["notional"]) == ("short", 2, 3_600)


def test_a_partial_fill_shows_in_every_look_up(desk: Desk) -> None:
    """PARTIALLY_FILLED stays open; the rest can be cancelled, and the fill stays."""
    desk.run(desk.client.create_order(BTC, "limit", "sell", 0.004, 28_000, {"clientOrderId": "p1"}))
    desk.sim.control.fill(client_order_id="p1", qty="0.001")
    (listed,) = desk.run(desk.client.fetch_open_orders(BTC))
    assert (listed["filled"], listed["remaining"], listed["average"]) == (0.001, 0.003, 28_000)
    cancelled = desk.run(desk.client.cancel_order(None, BTC, {"clientOrderId": "p1"}))
    assert (cancelled["status"], cancelled["filled"]) == ("canceled", 0.001)
    (trade,) = desk.run(desk.client.fetch_my_trades(BTC))
    assert (trade["takerOrMaker"], trade["amount"]) == ("maker", 0.001)


def test_a_resting_order_fills_when_the_market_comes(desk: Desk) -> None:
    """Filled while away: the look-up by client id tells it, the open orders do not."""
    desk.run(desk.client.create_order(BTC, "limit", "buy", 0.002, 26_000, {"clientOrderId": "r1"}))
    desk.sim.control.price(BTC, 25_900)
    assert desk.run(desk.client.fetch_open_orders(BTC)) == []
    found = desk.run(desk.client.fetch_order(None, BTC, {"clientOrderId": "r1"}))
    assert (found["status"], found["filled"], found["average"]) == ("closed", 0.002, 26_000)
    assert [o["id"] for o in desk.run(desk.client.fetch_closed_orders(BTC))] == [found["id"]]


def test_reduce_only(desk: Desk) -> None:
    """It reduces at most the position, and needs one."""
    desk.run(desk.client.create_order(BTC, "market", "buy", 0.002))
    reduce = {"reduceOnly": True, "clientOrderId": "red"}
    made = desk.run(desk.client.create_order(BTC, "market", "sell", 0.005, None, reduce))
    assert made["reduceOnly"] is True
    assert made["filled"] == 0.002
    assert desk.truth()["positions"] == {}
    assert "-2022" in str(desk.refused(desk.client.create_order(BTC, "market", "sell", 0.001, None, reduce)))


def test_immediate_or_cancel_leaves_an_expired_order(desk: Desk) -> None:
    """An IOC that does not fill is an order all the same."""
    params = {"clientOrderId": "i1", "timeInForce": "IOC"}
    made = desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, params))
    assert (made["status"], made["timeInForce"]) == ("expired", "IOC")
    assert desk.run(desk.client.fetch_order(None, BTC, {"clientOrderId": "i1"}))["status"] == "expired"
    filled = desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 27_500, params))
    assert (filled["status"], filled["average"]) == ("closed", 27_000.1)


@pytest.mark.parametrize(
    ("params", "price", "code"),
    [({"timeInForce": "FOK"}, 26_000, "-5021"), ({"postOnly": True}, 27_500, "-5022")],
)
def test_what_cannot_be_as_asked_is_not_recorded(desk: Desk, params: dict[str, str], price: int, code: str) -> None:
    """An FOK that would not fill and a post-only that would take leave no order."""
    asked = {**params, "clientOrderId": "x1"}
    assert code in str(desk.refused(desk.client.create_order(BTC, "limit", "buy", 0.001, price, asked)))
    assert desk.truth()["orders"] == []
    missing = desk.refused(desk.client.fetch_order(None, BTC, {"clientOrderId": "x1"}))
    assert isinstance(missing, ccxt.OrderNotFound)
    assert "-2013" in str(missing)


def test_what_can_be_as_asked_is_done(desk: Desk) -> None:
    """An FOK that fills, a post-only that rests, also reduce-only."""
    filled = desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 27_500, {"timeInForce": "FOK"}))
    assert filled["status"] == "closed"
    resting = desk.run(desk.client.create_order(BTC, "limit", "sell", 0.001, 28_000, {"postOnly": True}))
    assert (resting["status"], resting["timeInForce"], resting["postOnly"]) == ("open", "PO", True)
    crossing = {"postOnly": True, "reduceOnly": True}
    assert "-5022" in str(desk.refused(desk.client.create_order(BTC, "limit", "sell", 0.001, 26_000, crossing)))


def test_a_client_id_is_unique_among_open_orders_only(desk: Desk) -> None:
    """-4116 while it is open; once filled the id can be used again, and fills again: why look-ups come first."""
    once = {"clientOrderId": "d1"}
    desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, once))
    assert "-4116" in str(desk.refused(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, once)))
    assert "-4116" in str(desk.refused(desk.client.create_order(ETH, "limit", "buy", 0.01, 1_700, once)))
    desk.sim.control.fill(client_order_id="d1")
    desk.run(desk.client.create_order(BTC, "market", "buy", 0.001, None, once))
    assert [o["filled"] for o in desk.orders_of("d1")] == ["0.001", "0.001"]


def test_cancelling(desk: Desk) -> None:
    """By client id and by id; what is closed or unknown is an unknown order (-2011)."""
    desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, {"clientOrderId": "c1"}))
    second = desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, {"clientOrderId": "c2"}))
    assert desk.run(desk.client.cancel_order(None, BTC, {"clientOrderId": "c1"}))["status"] == "canceled"
    assert desk.run(desk.client.cancel_order(second["id"], BTC))["clientOrderId"] == "c2"
    for order_id, params in ((None, {"clientOrderId": "c1"}), (second["id"], {}), ("77", {})):
        gone = desk.refused(desk.client.cancel_order(order_id, BTC, params))
        assert isinstance(gone, ccxt.OrderNotFound)
        assert "-2011" in str(gone)
    assert {o["status"] for o in desk.truth()["orders"]} == {"cancelled"}


def test_cancel_all_is_of_one_symbol(desk: Desk) -> None:
    """Also of orders that look-ups do not show yet; conditional orders stay."""
    desk.run(desk.client.create_order(ETH, "limit", "buy", 0.01, 1_700, {"clientOrderId": "e1"}))
    desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, {"clientOrderId": "b1"}))
    stop = {"stopLossPrice": 25_000, "reduceOnly": True, "clientOrderId": "s1"}
    desk.run(desk.client.create_order(BTC, "market", "sell", 0.001, None, stop))
    desk.sim.control.fault("not_visible", call="place", params={"delay_s": 600})
    desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, {"clientOrderId": "b2"}))
    desk.run(desk.client.cancel_all_orders(BTC))
    assert {o["client_order_id"]: o["status"] for o in desk.truth()["orders"]} == {
        "e1": "open",
        "b1": "cancelled",
        "s1": "open",
        "b2": "cancelled",
    }


def test_amending(desk: Desk) -> None:
    """Quantity and price change in place; amending to the same is refused."""
    made = desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, {"clientOrderId": "am"}))
    changed = desk.run(desk.client.edit_order(made["id"], BTC, "limit", "buy", 0.003, 26_100))
    assert (changed["id"], changed["amount"], changed["price"]) == (made["id"], 0.003, 26_100)
    same = desk.refused(desk.client.edit_order(made["id"], BTC, "limit", "buy", 0.003, 26_100))
    assert "-5027" in str(same)
    assert "-2013" in str(desk.refused(desk.client.edit_order("77", BTC, "limit", "buy", 0.003, 26_100)))


def test_amending_to_what_filled_already_or_to_what_would_take_cancels(desk: Desk) -> None:
    """As documented: "the order will be cancelled by the amendment" then."""
    part = desk.run(desk.client.create_order(BTC, "limit", "buy", 0.003, 26_000, {"clientOrderId": "part"}))
    desk.sim.control.fill(client_order_id="part", qty="0.002")
    gone = desk.run(desk.client.edit_order(part["id"], BTC, "limit", "buy", 0.002, 26_100))
    assert (gone["status"], gone["filled"]) == ("canceled", 0.002)
    maker = desk.run(desk.client.create_order(BTC, "limit", "buy", 0.003, 26_000, {"postOnly": True}))
    gone = desk.run(desk.client.edit_order(maker["id"], BTC, "limit", "buy", 0.003, 28_000))
    assert (gone["status"], gone["filled"]) == ("canceled", 0)


def test_an_acknowledgement_tells_no_fill(desk: Desk) -> None:
    """newOrderRespType ACK, the exchange's default: the order is NEW whatever happened; a client id is made up."""
    asked = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
    said = desk.run(desk.client.fapiPrivatePostOrder(asked))
    assert (said["status"], said["executedQty"]) == ("NEW", "0.000")
    found = desk.run(desk.client.fapiPrivateGetOrder({"symbol": "BTCUSDT", "orderId": said["orderId"]}))
    assert (found["status"], found["executedQty"]) == ("FILLED", "0.001")
    assert found["clientOrderId"]


# ---- look-ups in pages ----------------------------------------------------------------------------------------------


def test_lists_come_in_pages_oldest_first(desk: Desk) -> None:
    """Without a start the newest of them, from a start or an id the first of them."""
    for n in range(5):
        desk.clock.ahead_ms = n * 100
        desk.run(desk.client.create_order(BTC, "market", "buy", 0.001, None, {"clientOrderId": f"h{n}"}))
    told = [o["client_order_id"] for o in desk.truth()["orders"]]
    assert told == [f"h{n}" for n in range(5)]

    def listed(**params: object) -> list[str]:
        return [o["clientOrderId"] for o in desk.run(desk.client.fetch_orders(BTC, params=params))]

    third = desk.order_of("h2")
    assert listed() == told
    assert listed(limit=2) == ["h3", "h4"]
    assert listed(startTime=third["created_ms"], limit=2) == ["h2", "h3"]
    assert listed(endTime=third["created_ms"]) == ["h0", "h1", "h2"]
    assert listed(orderId=third["order_id"]) == ["h2", "h3", "h4"]
    trades = desk.run(desk.client.fetch_my_trades(BTC, limit=2))
    assert [t["order"] for t in trades] == [desk.order_of("h3")["order_id"], desk.order_of("h4")["order_id"]]
    assert len(desk.run(desk.client.fetch_my_trades(BTC, params={"orderId": third["order_id"]}))) == 1
    backwards = {"startTime": third["created_ms"] + 1, "endTime": third["created_ms"]}
    assert "-1023" in str(desk.refused(desk.client.fetch_orders(BTC, params=backwards)))


def test_empty_orders_are_forgotten_after_three_days(desk: Desk) -> None:
    """Cancelled without a fill: not found any more; a filled order still is."""
    desk.run(desk.client.create_order(BTC, "limit", "buy", 0.001, 26_000, {"clientOrderId": "old"}))
    desk.run(desk.client.cancel_order(None, BTC, {"clientOrderId": "old"}))
    desk.run(desk.client.create_order(BTC, "market", "buy", 0.001, None, {"clientOrderId": "kept"}))
    ask = {"symbol": "BTCUSDT", "origClientOrderId": "old"}
    assert desk.run(desk.client.fapiPrivateGetOrder(ask))["status"] == "CANCELED"
    desk.clock.ahead_ms = 3 * 86_400_000 + 1_000
    late = {"timestamp": desk.clock()}
    assert "-2013" in str(desk.refused(desk.client.fapiPrivateGetOrder({**ask, **late})))
    kept = {"symbol": "BTCUSDT", "origClientOrderId": "kept", **late}
    assert desk.run(desk.client.fapiPrivateGetOrder(kept))["status"] == "FILLED"


# ---- conditional orders ---------------------------------------------------------------------------------------------


def test_conditional_orders_live_apart_until_set_off(desk: Desk) -> None:
    """Not among the ordinary orders while they wait; an ordinary order afterwards."""
    desk.run(desk.client.create_order(BTC, "market", "buy", 0.002))
    stop = {"stopLossPrice": 26_000, "reduceOnly": True, "clientOrderId": "sl"}
    profit = {"takeProfitPrice": 28_000, "reduceOnly": True, "clientOrderId": "tp"}
    made = desk.run(desk.client.create_order(BTC, "market", "sell", 0.002, None, stop))
    assert (made["status"], made["triggerPrice"]) == ("open", 26_000)
    desk.run(desk.client.create_order(BTC, "limit", "sell", 0.002, 28_000, profit))
    assert desk.run(desk.client.fetch_open_orders(BTC)) == []
    waiting = desk.run(desk.client.fetch_open_orders(BTC, params={"trigger": True}))
    assert [o["clientOrderId"] for o in waiting] == ["sl", "tp"]
    assert "-2013" in str(desk.refused(desk.client.fetch_order(None, BTC, {"clientOrderId": "sl"})))
    assert "-2011" in str(desk.refused(desk.client.cancel_order(None, BTC, {"clientOrderId": "sl"})))

    desk.sim.control.price(BTC, 25_950)
    assert desk.order_of("sl")["filled"] == "0.002"
    assert desk.truth()["positions"] == {}
    one = {"trigger": True, "clientOrderId": "sl"}
    finished = desk.run(desk.client.fetch_order(None, BTC, one))
    assert (finished["id"], finished["status"]) == (made["id"], "closed")
    assert finished["info"]["actualOrderId"] == desk.order_of("sl")["order_id"] != made["id"]
    ordinary = desk.run(desk.client.fetch_order(finished["info"]["actualOrderId"], BTC))
    assert (ordinary["status"], ordinary["filled"]) == ("closed", 0.002)
    assert "-2011" in str(desk.refused(desk.client.cancel_order(None, BTC, one)))


def test_conditional_orders_are_cancelled_apart(desk: Desk) -> None:
    """One, and all of a symbol."""
    for n, side in enumerate(("buy", "sell")):
        price = 28_000 if side == "buy" else 26_000
        params = {"triggerPrice": price, "clientOrderId": f"t{n}"}
        desk.run(desk.client.create_order(BTC, "market", side, 0.001, None, params))
    desk.run(desk.client.cancel_order(None, BTC, {"trigger": True, "clientOrderId": "t0"}))
    assert desk.order_of("t0")["status"] == "cancelled"
    desk.run(desk.client.cancel_all_orders(BTC, {"trigger": True}))
    assert desk.order_of("t1")["status"] == "cancelled"
    history = desk.run(desk.client.fetch_orders(BTC, params={"trigger": True}))
    assert [o["status"] for o in history] == ["canceled", "canceled"]


def test_a_trigger_that_is_passed_already_is_refused(desk: Desk) -> None:
    """-2021, and nothing is left behind."""
    passed = {"triggerPrice": 26_000}
    assert "-2021" in str(desk.refused(desk.client.create_order(BTC, "market", "buy", 0.001, None, passed)))
    assert desk.truth()["orders"] == []
