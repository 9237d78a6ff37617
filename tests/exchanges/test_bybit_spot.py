"""Bybit's spot markets through the port: base coin always, orders that wait, changes, fills in their own fee coin."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from app.domain.calls import (
    UNSUPPORTED,
    Amended,
    AmendRefused,
    BalancesResult,
    CallFailed,
    CancelConfirmed,
    CancelTooLate,
    ClosedOrders,
    DryCall,
    DryOk,
    Fills,
    Found,
    KlinesResult,
    NotExecuted,
    OpenOrders,
    OrderBookResult,
    OrderReport,
    Placed,
    PositionsResult,
    Refused,
    Result,
    StatusResult,
    TickerResult,
)
from app.simulator.thread import SimulatorThread
from messages.market import Interval, MarginMode, MarketType, PositionMode
from messages.orders import LegState, OrderSpec, Side, TimeInForce, Trigger, TriggerBy
from tests.exchanges.desk import Desk, spot, stop, take_profit, wire_id

ZERO = Decimal(0)
HOST = "BTC/USDT"
HANG_S = 1.0
"""Of one request, one of which is to hang: a slow machine needs so much for the others."""
BTC = spot("BTCUSDT")
ETH = spot("ETHUSDT")


@pytest.fixture(scope="module")
def opened() -> Iterator[Desk]:
    """A desk at a simulated Bybit."""
    with SimulatorThread(["bybit"]) as sims:
        desk = Desk(sims["bybit"], MarketType.SPOT, timeout_s=HANG_S)
        assert desk.open() == ""
        desk.own("BTC", "5")
        yield desk
        desk.close()


@pytest.fixture
def desk(opened: Desk) -> Iterator[Desk]:
    """The desk with nothing open and the price at 27,000, before and after."""
    yield opened
    opened.truthful.clear_faults()
    for order in opened.truthful.truth()["orders"]:
        if order["status"] in ("open", "partially_filled"):
            opened.truthful.ask("POST", "/cancel", {"order_id": order["order_id"]})
    opened.truthful.price(HOST, 27000)


def found(desk: Desk, wire: str, *, conditional: bool = False) -> OrderReport:
    """What a look-up tells."""
    answer = desk.look_up(wire, conditional=conditional)
    assert isinstance(answer, Found)
    return answer.report


def held(desk: Desk, coin: str) -> Decimal:
    """What the account has of a coin, as the port tells."""
    answer = desk.balances()
    assert isinstance(answer, BalancesResult)
    return next(balance.total for balance in answer.balances if balance.coin == coin)


# ---- orders ---------------------------------------------------------------------------------------------------------


def test_a_resting_order_is_placed_found_listed_and_cancelled(desk: Desk) -> None:
    """Under its wire id, and not among the swaps of the same name."""
    wire = wire_id()
    placed = desk.place(desk.spec("0.015"), wire)
    assert isinstance(placed, Placed)
    (order,) = desk.truth(wire)
    assert (order["symbol"], placed.report.exchange_order_id) == (HOST, order["order_id"])
    report = found(desk, wire)
    assert (report.symbol, report.state, report.filled) == (BTC, LegState.OPEN, ZERO)
    assert (report.quantity, report.price) == (Decimal("0.015"), Decimal(20000))
    for listed in (desk.open_orders(), desk.open_orders(BTC)):
        assert isinstance(listed, OpenOrders)
        assert [each.symbol for each in listed.reports if each.wire_id == wire] == [BTC]
    assert desk.open_orders(ETH).reports == ()  # type: ignore[union-attr]
    assert isinstance(desk.cancel(wire), CancelConfirmed)
    assert isinstance(desk.cancel(wire), CancelTooLate)
    assert (found(desk, wire).state, found(desk, wire).filled) == (LegState.CANCELLED, ZERO)


@pytest.mark.parametrize("side", list(Side))
def test_a_market_order_is_sized_in_base_coin(desk: Desk, side: Side) -> None:
    """Bybit's default for a market order to buy would be an amount of USDT."""
    wire = wire_id()
    assert isinstance(desk.place(desk.spec("0.02", side=side, price=None), wire), Placed)
    (order,) = desk.truth(wire)
    assert Decimal(order["filled"]) == Decimal("0.02")
    report = found(desk, wire)
    assert (report.state, report.filled, report.quantity) == (LegState.FILLED, Decimal("0.02"), Decimal("0.02"))
    assert report.average_price == Decimal(order["avg_price"])


def test_an_account_that_is_not_unified_places_no_market_orders(desk: Desk) -> None:
    """There Bybit would take the quantity for an amount of the quote coin."""
    options = desk.port._client.options
    known = dict(options)
    options.update({"enableUnifiedMargin": False, "enableUnifiedAccount": False})
    before = desk.seen("place")
    answer = desk.place(desk.spec("0.02", price=None), wire_id())
    resting = desk.place(desk.spec("0.02"), wire_id())
    options.clear()
    options.update(known)
    assert isinstance(answer, Refused)
    assert (answer.code, "quote coin" in answer.words) == (UNSUPPORTED, True)
    assert isinstance(resting, Placed)
    assert desk.seen("place") == before + 1


def test_where_the_kind_of_account_is_not_known_no_market_order_is_placed(desk: Desk) -> None:
    """Nothing was sent, so it may be tried again; ccxt asks once, and a first order may be too early."""
    options = desk.port._client.options
    known = dict(options)
    options.update({"enableUnifiedMargin": None, "enableUnifiedAccount": None})
    before = desk.seen("place")
    desk.truthful.fault("http_5xx", call="account")
    answer = desk.place(desk.spec("0.02", price=None), wire_id())
    options.clear()
    options.update(known)
    assert isinstance(answer, NotExecuted)
    assert answer.code == "not_sent"
    assert desk.seen("place") == before


@pytest.mark.parametrize("tif", list(TimeInForce))
def test_every_time_in_force(desk: Desk, tif: TimeInForce) -> None:
    """As it is: what may not rest does not, what may not take does not, and crossing ones fill."""
    far, near = wire_id(), wire_id()
    for wire, price in ((far, "20000"), (near, "28000")):
        assert isinstance(desk.place(desk.spec("0.02", price=price, tif=tif), wire), Placed)
        assert desk.truth(wire)[0]["tif"] == tif.value
    rests = tif in (TimeInForce.GTC, TimeInForce.POST_ONLY)
    assert found(desk, far).state is (LegState.OPEN if rests else LegState.CANCELLED)
    takes = tif is not TimeInForce.POST_ONLY
    assert found(desk, near).state is (LegState.FILLED if takes else LegState.CANCELLED)
    assert found(desk, near).filled == (Decimal("0.02") if takes else ZERO)


def test_refusals_have_their_own_codes(desk: Desk) -> None:
    """170xxx: a duplicate is one to be looked up, what cannot be paid for is refused."""
    wire = wire_id()
    desk.place(desk.spec(), wire)
    again = desk.place(desk.spec(), wire)
    assert (again.native_code, again.duplicate) == ("170141", True)  # type: ignore[union-attr]
    poor = desk.place(desk.spec("50", price="26000"), wire_id())
    assert isinstance(poor, Refused)
    assert (poor.code, poor.native_code) == ("insufficient_funds", "170131")
    assert "reduce-only" in desk.port.check(desk.spec(side=Side.SELL, reduce_only=True))


# ---- triggers -------------------------------------------------------------------------------------------------------

TRIGGERS = [
    (Side.BUY, stop("28000"), "28000"),
    (Side.SELL, stop("26000"), "26000"),
    (Side.BUY, take_profit("26000"), "26000"),
    (Side.SELL, take_profit("28000"), "28000"),
]


@pytest.mark.parametrize(("side", "trigger", "at"), TRIGGERS)
def test_a_market_order_waits_is_set_off_and_filled_in_base_coin(
    desk: Desk, side: Side, trigger: Trigger, at: str
) -> None:
    """Of both kinds and sides; while it waits it takes nothing up."""
    wire = wire_id()
    placed = desk.place(desk.spec("0.02", side=side, price=None, trigger=trigger), wire)
    assert isinstance(placed, Placed)
    waiting = found(desk, wire, conditional=True)
    assert (waiting.state, waiting.filled, waiting.quantity) == (LegState.OPEN, ZERO, Decimal("0.02"))
    listed = desk.open_orders(conditional=True)
    assert isinstance(listed, OpenOrders)
    assert [each.wire_id for each in listed.reports] == [wire]
    desk.truthful.price(HOST, at)
    done = found(desk, wire, conditional=True)
    assert (done.exchange_order_id, done.state, done.filled) == (
        placed.report.exchange_order_id,
        LegState.FILLED,
        Decimal("0.02"),
    )


def test_a_limit_order_rests_once_it_is_set_off_and_is_cancelled_there(desk: Desk) -> None:
    """Bybit finds it under another kind by then."""
    wire = wire_id()
    desk.place(desk.spec("0.01", price="25000", trigger=take_profit("26000")), wire)
    desk.truthful.price(HOST, 25900)
    resting = found(desk, wire, conditional=True)
    assert (resting.state, resting.price) == (LegState.OPEN, Decimal(25000))
    assert isinstance(desk.cancel(wire, conditional=True), CancelConfirmed)
    assert found(desk, wire, conditional=True).state is LegState.CANCELLED
    assert desk.truth(wire)[0]["status"] == "cancelled"


def test_a_waiting_order_is_cancelled(desk: Desk) -> None:
    """Once; then it is too late, under either kind."""
    wire = wire_id()
    desk.place(desk.spec(side=Side.SELL, price=None, trigger=stop("26000")), wire)
    assert isinstance(desk.cancel(wire, conditional=True), CancelConfirmed)
    assert isinstance(desk.cancel(wire, conditional=True), CancelTooLate)
    assert found(desk, wire, conditional=True).state is LegState.CANCELLED


def test_a_cancel_that_was_not_answered_is_not_taken_for_done(desk: Desk) -> None:
    """Of a waiting order: the second question is asked only where the first was answered."""
    wire = wire_id()
    desk.place(desk.spec(side=Side.SELL, price=None, trigger=stop("26000")), wire)
    before = desk.seen("cancel")
    desk.truthful.fault("hang_before", call="cancel", count=1)
    answer = desk.cancel(wire, conditional=True)
    assert isinstance(answer, CallFailed)
    assert desk.seen("cancel") == before + 1
    assert found(desk, wire, conditional=True).state is LegState.OPEN


def test_an_order_refused_when_it_is_set_off_is_told_so(desk: Desk) -> None:
    """For want of coins."""
    wire = wire_id()
    desk.place(desk.spec("70", price=None, trigger=stop("28000")), wire)
    desk.truthful.price(HOST, 28000)
    assert (found(desk, wire, conditional=True).state, found(desk, wire).filled) == (LegState.REFUSED, ZERO)


@pytest.mark.parametrize("trigger", [stop("26000"), take_profit("28000")])
def test_a_trigger_that_the_price_has_passed_is_refused(desk: Desk, trigger: Trigger) -> None:
    """Bybit would wait for the price to come back, which is the opposite of what was asked."""
    before = desk.seen("place")
    answer = desk.place(desk.spec(price=None, trigger=trigger), wire_id())
    assert isinstance(answer, Refused)
    assert (answer.code, "has passed the trigger" in answer.words) == (UNSUPPORTED, True)
    assert desk.seen("place") == before


def test_without_a_price_no_trigger_is_placed(desk: Desk) -> None:
    """Nothing was sent, so it may be tried again."""
    before = desk.seen("place")
    desk.truthful.fault("http_5xx", call="ticker")
    answer = desk.place(desk.spec(side=Side.SELL, price=None, trigger=stop("26000")), wire_id())
    assert isinstance(answer, NotExecuted)
    assert answer.code == "not_sent"
    assert desk.seen("place") == before


def test_spot_has_no_mark_price(desk: Desk) -> None:
    """In words, before anything is sent."""
    wanted = desk.spec(price=None, trigger=stop("28000", TriggerBy.MARK))
    assert "no mark price" in desk.port.check(wanted)


# ---- changes --------------------------------------------------------------------------------------------------------


def test_a_resting_order_is_changed_in_place(desk: Desk) -> None:
    """Quantity and price; what filled counts, less is refused; the same again is made."""
    wire, what = wire_id(), desk.spec("0.03")
    desk.place(what, wire)
    assert desk.amend(wire, what, quantity="0.05", price="21000") == Amended(report=None)
    assert (found(desk, wire).quantity, found(desk, wire).price) == (Decimal("0.05"), Decimal(21000))
    assert desk.amend(wire, what, quantity="0.05") == Amended(report=None)
    desk.truthful.fill(client_order_id=wire, qty="0.02")
    refused = desk.amend(wire, what, quantity="0.01")
    assert isinstance(refused, AmendRefused)
    assert (refused.code, refused.native_code) == ("invalid_quantity", "170313")
    desk.cancel(wire)
    assert isinstance(desk.amend(wire, what, quantity="0.06"), CancelTooLate)


def test_a_waiting_order_is_changed(desk: Desk) -> None:
    """Its trigger, where the price has not passed it; not the quantity of a market order, whose coin is not certain."""
    wire, what = wire_id(), desk.spec("0.02", side=Side.SELL, price=None, trigger=stop("26000"))
    desk.place(what, wire)
    refused = desk.amend(wire, what, quantity="0.03")
    assert isinstance(refused, AmendRefused)
    assert (refused.unsupported, refused.code) == (True, UNSUPPORTED)
    passed = desk.amend(wire, what, trigger_price="27500")
    assert isinstance(passed, AmendRefused)
    assert "has passed the trigger" in passed.words
    assert desk.amend(wire, what, trigger_price="25000") == Amended(report=None)
    desk.truthful.price(HOST, 25900)
    assert found(desk, wire, conditional=True).state is LegState.OPEN
    desk.truthful.price(HOST, 25000)
    assert found(desk, wire, conditional=True).state is LegState.FILLED


# ---- what is past, and the account ----------------------------------------------------------------------------------


def test_fills_tell_their_fees_in_their_own_coin(desk: Desk) -> None:
    """Of a purchase in what was bought, of a sale in what was had for it."""
    since_s = desk.clock()
    bought, sold = wire_id(), wire_id()
    desk.place(desk.spec("0.02", price=None), bought)
    desk.place(desk.spec("0.01", side=Side.SELL, price=None), sold)
    told = desk.fills(since_s=since_s)
    assert isinstance(told, Fills)
    fees = {fill.wire_id: (fill.side, fill.quantity, fill.fee_coin, fill.maker) for fill in told.fills}
    assert fees == {
        bought: (Side.BUY, Decimal("0.02"), "BTC", False),
        sold: (Side.SELL, Decimal("0.01"), "USDT", False),
    }
    assert all(fill.fee is not None and fill.fee > 0 for fill in told.fills)
    truth = {order["client_order_id"]: order for order in desk.truthful.truth()["orders"]}
    assert all(fill.exchange_order_id == truth[fill.wire_id]["order_id"] for fill in told.fills)


def test_what_ended_is_listed_and_what_is_open_is_not(desk: Desk) -> None:
    """Filled, cancelled in part, and before it was set off."""
    since_s = desk.clock()
    taken, part, never, resting = (wire_id() for _ in range(4))
    desk.place(desk.spec("0.02", price=None), taken)
    desk.place(desk.spec("0.03"), part)
    desk.place(desk.spec("0.03"), resting)
    desk.place(desk.spec(side=Side.SELL, price=None, trigger=stop("26000")), never)
    desk.truthful.fill(client_order_id=part, qty="0.01")
    desk.cancel(part)
    desk.cancel(never, conditional=True)
    listed = desk.closed_orders(since_s=since_s)
    assert isinstance(listed, ClosedOrders)
    assert {report.wire_id: (report.state, report.filled) for report in listed.reports} == {
        taken: (LegState.FILLED, Decimal("0.02")),
        part: (LegState.CANCELLED, Decimal("0.01")),
        never: (LegState.CANCELLED, ZERO),
    }


def test_balances_follow_and_there_are_no_positions(desk: Desk) -> None:
    """What is bought is had."""
    before = held(desk, "BTC")
    desk.place(desk.spec("0.5", side=Side.SELL, price=None), wire_id())
    assert held(desk, "BTC") == before - Decimal("0.5")
    assert desk.positions() == PositionsResult(positions=())


def test_the_market(desk: Desk) -> None:
    """Ticker, book, bars and status are those of spot."""
    ticker = desk.ticker()
    assert isinstance(ticker, TickerResult)
    assert (ticker.ticker.symbol, ticker.ticker.last) == (BTC, Decimal(27000))
    book = desk.order_book(depth=3)
    assert isinstance(book, OrderBookResult)
    assert (len(book.book.bids), len(book.book.asks)) == (3, 3)
    bars = desk.klines(limit=3)
    assert isinstance(bars, KlinesResult)
    assert len(bars.klines) == 3
    status = desk.status()
    assert isinstance(status, StatusResult)
    assert status.status.ok


@pytest.mark.parametrize("interval", list(Interval))
def test_every_interval(desk: Desk, interval: Interval) -> None:
    """Two bars, as far apart as the interval says."""
    bars = desk.klines(interval=interval, limit=2)
    assert isinstance(bars, KlinesResult)
    first, second = bars.klines
    unit_s = {"m": 60, "h": 3600, "d": 86400}[interval.value[-1]]
    assert second.start_s - first.start_s == int(interval.value[:-1]) * unit_s


def test_a_dry_placement_sends_nothing(desk: Desk) -> None:
    """Though it is made and signed."""
    before = len(desk.truthful.requests())
    assert desk.do(DryCall(deadline_s=desk.soon())) == DryOk()
    assert len(desk.truthful.requests()) == before


def test_there_is_nothing_to_set(desk: Desk) -> None:
    """In words, and nothing is sent."""
    before = len(desk.truthful.requests())
    answers: list[Result] = [
        desk.leverage("3"),
        desk.margin_mode(MarginMode.ISOLATED),
        desk.position_mode(PositionMode.HEDGE),
        desk.dead_man(30),
    ]
    assert all(isinstance(each, CallFailed) and each.code == UNSUPPORTED and each.words for each in answers)
    assert len(desk.truthful.requests()) == before


# ---- attached levels ------------------------------------------------------------------------------------------------


def test_a_purchase_by_a_limit_order_carries_its_levels(desk: Desk) -> None:
    """They sell what was bought; one that goes off takes the other with it."""
    wire = wire_id()
    before = held(desk, "BTC")
    desk.place(desk.spec("0.02", price="28000", take_profit="30000", stop_loss="25000"), wire)
    assert len([order for order in desk.truthful.truth()["orders"] if order["status"] == "open"]) == 2
    desk.truthful.price(HOST, 30000)
    assert [order for order in desk.truthful.truth()["orders"] if order["status"] == "open"] == []
    assert held(desk, "BTC") <= before + Decimal("0.00002")


@pytest.mark.parametrize(
    "refused",
    [
        {"price": None, "take_profit": "30000"},
        {"price": "20000", "stop_loss": "19000", "trigger": take_profit("21000")},
        {"side": Side.SELL, "price": "28000", "take_profit": "20000"},
    ],
)
def test_levels_bybit_would_not_take_are_refused_in_words(desk: Desk, refused: dict[str, Any]) -> None:
    """Before anything is sent."""
    wanted: OrderSpec = desk.spec("0.02", **refused)
    assert desk.port.check(wanted)
    before = desk.seen("place")
    assert isinstance(desk.place(wanted, wire_id()), Refused)
    assert desk.seen("place") == before
