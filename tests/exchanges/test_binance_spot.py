"""Binance's spot beyond what all exchanges share: triggers that keep their ids, one change, lists by the day."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.domain.calls import (
    UNSUPPORTED,
    Ambiguous,
    Amended,
    AmendRefused,
    BalancesResult,
    CallFailed,
    CancelConfirmed,
    CancelTooLate,
    ClosedOrders,
    Fills,
    Found,
    KlinesResult,
    NotExecuted,
    NotFound,
    OpenOrders,
    OrderBookResult,
    Placed,
    PositionsResult,
    Refused,
    Result,
    StatusResult,
)
from app.simulator.thread import SimulatorThread
from messages.market import MarginMode, MarketType
from messages.orders import LegState, OrderSpec, Side, TimeInForce, TriggerBy
from tests.exchanges.desk import BTC_SPOT, FAR, Desk, spec, spot, stop, take_profit, wire_id

BTC = "BTC/USDT"
ZERO = Decimal(0)


@pytest.fixture(scope="module")
def only() -> Iterator[Desk]:
    """One desk for all of it."""
    with SimulatorThread(["binance_spot"]) as sims:
        desk = Desk.at(sims, "binance", MarketType.SPOT)
        assert desk.open() == ""
        yield desk
        desk.close()


@pytest.fixture
def desk(only: Desk) -> Iterator[Desk]:
    """At 27,000, without open orders and faults."""
    yield only
    only.truthful.clear_faults()
    only.truthful.price(BTC, "27000")
    for order in only.truthful.truth()["orders"]:
        if order["status"] in ("open", "partially_filled"):
            only.cancel(order["client_order_id"], spot(order["symbol"]))


def ordered(quantity: str = "0.01", **rest: object) -> OrderSpec:
    """An order of bitcoin."""
    return spec(quantity, of=BTC_SPOT, **rest)  # type: ignore[arg-type]


def found(answer: Result) -> tuple[LegState, Decimal | None, Decimal | None]:
    """State, filled and average price of what a look-up found."""
    assert isinstance(answer, Found)
    return answer.report.state, answer.report.filled, answer.report.average_price


@pytest.mark.parametrize("side", list(Side))
def test_a_market_order_is_sized_in_bitcoin(desk: Desk, side: Side) -> None:
    """Never in what it costs; the answer itself tells what filled, and at which price."""
    wire = wire_id()
    placed = desk.place(ordered("0.02", side=side, price=None), wire)
    assert isinstance(placed, Placed)
    (order,) = desk.truth(wire)
    assert (Decimal(order["qty"]), Decimal(order["filled"])) == (Decimal("0.02"), Decimal("0.02"))
    assert (placed.report.filled, placed.report.average_price) == (Decimal("0.02"), Decimal(order["avg_price"]))
    assert found(desk.look_up(wire)) == (LegState.FILLED, Decimal("0.02"), Decimal(order["avg_price"]))


@pytest.mark.parametrize(
    ("what", "rises", "kind"),
    [
        (ordered(price=None, trigger=stop("28000")), True, "STOP_LOSS"),
        (ordered(price="28100", trigger=stop("28000")), True, "STOP_LOSS_LIMIT"),
        (ordered(price=None, trigger=take_profit("26000")), False, "TAKE_PROFIT"),
        (ordered(price="26100", side=Side.SELL, trigger=stop("26000"), tif=TimeInForce.FOK), False, "STOP_LOSS_LIMIT"),
        (ordered(price="28000", side=Side.SELL, trigger=take_profit("28000")), True, "TAKE_PROFIT_LIMIT"),
    ],
)
def test_a_trigger_order_waits_where_it_should(desk: Desk, what: OrderSpec, rises: bool, kind: str) -> None:
    """Found, listed and cancelled like any other, by our wire id."""
    wire = wire_id()
    placed = desk.place(what, wire)
    assert isinstance(placed, Placed)
    order = desk.sim.exchange.engine.with_client_id(wire)[0]
    assert order.trigger is not None
    assert (order.trigger.rising, order.tag, order.tif.value) == (rises, kind, what.time_in_force.value)
    assert (placed.report.state, placed.report.exchange_order_id) == (LegState.OPEN, order.order_id)
    assert found(desk.look_up(wire, conditional=True)) == (LegState.OPEN, ZERO, None)
    listed = desk.open_orders(conditional=True)
    assert isinstance(listed, OpenOrders)
    assert [report.symbol for report in listed.reports if report.wire_id == wire] == [BTC_SPOT]
    cancelled = desk.cancel(wire, conditional=True)
    assert isinstance(cancelled, CancelConfirmed)
    assert cancelled.final is not None
    assert (cancelled.final.state, cancelled.final.filled, cancelled.final.wire_id) == (LegState.CANCELLED, ZERO, wire)
    assert isinstance(desk.cancel(wire, conditional=True), CancelTooLate)


def test_a_trigger_order_that_was_set_off_keeps_its_ids(desk: Desk) -> None:
    """A look-up tells what filled; one that rests then is cancelled like any other."""
    bought, rests = wire_id(), wire_id()
    desk.place(ordered(price=None, trigger=stop("28000")), bought)
    desk.place(ordered(price="27500", trigger=stop("28000")), rests)
    desk.truthful.price(BTC, "28000")
    assert found(desk.look_up(bought, conditional=True)) == (LegState.FILLED, Decimal("0.01"), Decimal("28000.01"))
    assert found(desk.look_up(rests, conditional=True))[:2] == (LegState.OPEN, ZERO)
    assert isinstance(desk.cancel(rests, conditional=True), CancelConfirmed)


def test_a_trigger_order_that_cannot_be_paid_when_it_is_set_off_is_told(desk: Desk) -> None:
    """It ends, with nothing filled."""
    wire = wire_id()
    held = Decimal(desk.truthful.truth()["balance"]["BTC"])
    assert isinstance(desk.place(ordered(side=Side.SELL, price=None, trigger=stop("26000")), wire), Placed)
    desk.own("BTC", str(-held))
    desk.truthful.price(BTC, "26000")
    desk.own("BTC", str(held))
    state, filled, _ = found(desk.look_up(wire, conditional=True))
    assert (state in (LegState.REFUSED, LegState.EXPIRED, LegState.CANCELLED), filled) == (True, ZERO)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (ordered(trigger=stop("28000"), tif=TimeInForce.POST_ONLY), "post-only"),
        (ordered(price=None, trigger=stop("28000", TriggerBy.MARK)), "mark price"),
        (ordered(take_profit="30000"), "take profit or stop loss"),
        (ordered(reduce_only=True), "reduce-only"),
    ],
)
def test_what_would_be_sent_as_something_else_is_refused(desk: Desk, what: OrderSpec, says: str) -> None:
    """In words, before sending; ccxt makes a plain LIMIT_MAKER of the first."""
    before = len(desk.truthful.requests())
    answer = desk.place(what, wire_id())
    assert isinstance(answer, Refused)
    assert says in answer.words
    assert len(desk.truthful.requests()) == before


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (ordered("5000", price="20000"), "insufficient_funds"),
        (ordered(price="28000", tif=TimeInForce.POST_ONLY), "would_take"),
        (ordered(price=None, trigger=stop("26000")), "would_trigger"),
        (ordered(price="1000000"), "invalid_price"),
    ],
)
def test_one_code_says_many_things(desk: Desk, what: OrderSpec, code: str) -> None:
    """-2010 and -1013: which, their words tell."""
    wire = wire_id()
    answer = desk.place(what, wire)
    assert isinstance(answer, Refused)
    assert answer.code == code
    assert answer.native_code in ("-2010", "-1013")
    assert desk.truth(wire) == []


def test_a_halted_market_and_a_duplicate(desk: Desk) -> None:
    """The first executes elsewhere; the second is there to be looked up."""
    wire = wire_id()
    assert isinstance(desk.place(ordered(), wire), Placed)
    again = desk.place(ordered(), wire)
    assert isinstance(again, Ambiguous)
    assert (again.duplicate, again.native_code) == (True, "-2010")
    assert len(desk.truth(wire)) == 1
    desk.truthful.ask("POST", "/suspend", {"symbol": BTC, "on": True})
    halted = desk.place(ordered(), wire_id())
    desk.truthful.ask("POST", "/suspend", {"symbol": BTC, "on": False})
    assert isinstance(halted, NotExecuted)
    assert halted.code == "market_closed"


def test_an_order_is_made_smaller_in_place_and_nothing_else(desk: Desk) -> None:
    """Under its own ids; larger, or at another price, is refused, and what it has already is no change."""
    wire, what = wire_id(), ordered("0.03")
    placed = desk.place(what, wire)
    assert isinstance(placed, Placed)
    desk.truthful.fill(client_order_id=wire, qty="0.01")
    amended = desk.amend(wire, what, quantity="0.02")
    assert isinstance(amended, Amended)
    assert amended.report is not None
    report = amended.report
    assert (report.exchange_order_id, report.wire_id) == (placed.report.exchange_order_id, wire)
    assert (report.quantity, report.filled, report.average_price) == (Decimal("0.02"), Decimal("0.01"), FAR)
    assert Decimal(desk.truth(wire)[0]["qty"]) == Decimal("0.02")
    assert desk.amend(wire, what, quantity="0.02") == Amended(report=None)
    before = desk.seen("amend")
    for answer in (desk.amend(wire, what, quantity="0.04"), desk.amend(wire, what, price="20001")):
        assert isinstance(answer, AmendRefused)
        assert (answer.unsupported, answer.code) == (True, UNSUPPORTED)
    filled = desk.amend(wire, what, quantity="0.01")
    assert isinstance(filled, AmendRefused)
    assert ("filled already" in filled.words, filled.unsupported) == (True, False)
    assert desk.seen("amend") == before
    desk.cancel(wire)
    assert isinstance(desk.amend(wire, what, quantity="0.01"), CancelTooLate)
    assert isinstance(desk.amend(wire_id(), what, quantity="0.01"), CancelTooLate)


def test_fills_tell_their_fee_in_the_coin_it_was_taken_of(desk: Desk) -> None:
    """Bitcoin where it was bought, dollars where it was sold; a maker is told as one."""
    bought, sold, rested = wire_id(), wire_id(), wire_id()
    desk.place(ordered("0.02", price=None), bought)
    desk.place(ordered("0.01", side=Side.SELL, price=None), sold)
    desk.place(ordered("0.01"), rested)
    desk.truthful.fill(client_order_id=rested)
    answer = desk.fills()
    assert isinstance(answer, Fills)
    by_order = {fill.exchange_order_id: fill for fill in answer.fills}
    true = {each["client_order_id"]: each for each in desk.truthful.truth()["fills"]}
    for wire, coin, maker in ((bought, "BTC", False), (sold, "USDT", False), (rested, "BTC", True)):
        fill = by_order[desk.truth(wire)[0]["order_id"]]
        assert (fill.fee, fill.fee_coin, fill.maker) == (Decimal(true[wire]["fee"]), coin, maker)
        assert (fill.quantity, fill.price) == (Decimal(true[wire]["qty"]), Decimal(true[wire]["price"]))


def test_what_ended_is_listed_and_too_old_a_time_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """By windows of a day, and a full one in parts."""
    monkeypatch.setattr("app.exchanges.profiles.binance_shapes.PAGE", 4)
    wires = [wire_id() for _ in range(9)]
    for wire in wires:
        desk.place(ordered(), wire)
        desk.cancel(wire)
    rests = wire_id()
    desk.place(ordered(), rests)
    closed = desk.closed_orders()
    assert isinstance(closed, ClosedOrders)
    ended = {report.wire_id: report.state for report in closed.reports}
    assert {ended[wire] for wire in wires} == {LegState.CANCELLED}
    assert rests not in ended
    old = desk.fills(since_s=desk.clock() - 30 * 86400)
    assert isinstance(old, CallFailed)
    assert (old.code, old.retryable) == (UNSUPPORTED, False)


def test_an_unknown_order_is_absent_only_after_every_day_was_listed(desk: Desk) -> None:
    """The order itself, then a window for each day it may be from."""
    before = desk.seen("closed_orders")
    assert isinstance(desk.look_up(wire_id()), NotFound)
    assert desk.seen("closed_orders") == before + 1


def test_bars_books_status_and_what_spot_has_not(desk: Desk) -> None:
    """More bars than one request brings; no positions; no leverage; no dead man's switch."""
    bars = desk.klines(limit=1200)
    assert isinstance(bars, KlinesResult)
    assert len({bar.start_s for bar in bars.klines}) == 1200
    book = desk.order_book(depth=3)
    assert isinstance(book, OrderBookResult)
    assert (len(book.book.bids), len(book.book.asks)) == (3, 3)
    assert desk.positions() == PositionsResult(positions=())
    balances = desk.balances()
    assert isinstance(balances, BalancesResult)
    assert {balance.coin for balance in balances.balances} >= {"BTC", "USDT"}
    for answer in (
        desk.leverage("3"),
        desk.margin_mode(MarginMode.CROSS),
        desk.dead_man(30),
        desk.order_book(depth=9999),
    ):
        assert isinstance(answer, CallFailed)
        assert (answer.code, answer.retryable) == (UNSUPPORTED, False)
    desk.truthful.ask("POST", "/maintenance", {"on": False})
    well = desk.status()
    assert isinstance(well, StatusResult)
    assert well.status.ok
