"""Binance's USDⓈ-M futures beyond what all exchanges share: its service for triggers, its changes, settings, lists."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.domain.calls import (
    UNSUPPORTED,
    Amended,
    AmendRefused,
    CallFailed,
    CancelConfirmed,
    CancelTooLate,
    ClosedOrders,
    DeadManArmed,
    Fills,
    Found,
    KlinesResult,
    LookUpCall,
    NotExecuted,
    NotFound,
    OpenOrders,
    OrderBookResult,
    Placed,
    Refused,
    Result,
    SettingMade,
    StatusResult,
    TickerResult,
)
from app.exchanges.profiles import binance
from app.simulator.thread import SimulatorThread
from messages.health import ProbeKind
from messages.market import MarginMode, PositionMode
from messages.orders import LegState, OrderSpec, Side, TimeInForce, TriggerBy
from tests.exchanges.desk import BTC, Desk, spec, stop, symbol, take_profit, until, wire_id

ETH = symbol("ETHUSDT")
ZERO = Decimal(0)


@pytest.fixture(scope="module")
def only() -> Iterator[Desk]:
    """One desk for all of it."""
    with SimulatorThread(["binance"]) as sims:
        desk = Desk(sims["binance"])
        assert desk.open() == ""
        yield desk
        desk.close()


@pytest.fixture
def desk(only: Desk) -> Iterator[Desk]:
    """At 27,000, without positions, open orders and faults."""
    yield only
    only.flat()
    only.truthful.price("BTC/USDT:USDT", "27000")
    for order in only.truthful.truth()["orders"]:
        if order["status"] in ("open", "partially_filled"):
            only.cancel(
                order["client_order_id"], symbol(order["symbol"]), conditional=order["trigger_price"] is not None
            )
    only.flat()


def found(answer: Result) -> tuple[LegState, Decimal | None, Decimal | None]:
    """State, filled and average price of what a look-up found."""
    assert isinstance(answer, Found)
    return answer.report.state, answer.report.filled, answer.report.average_price


def native_id(desk: Desk, wire: str) -> str:
    """The number of the ordinary order under a wire id."""
    (order,) = desk.truth(wire)
    return str(order["order_id"])


# ---- orders that wait for a trigger ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "rises", "by"),
    [
        (spec("0.01", price=None, trigger=stop("28000")), True, "last"),
        (spec("0.01", price="28100", trigger=stop("28000", TriggerBy.MARK)), True, "mark"),
        (spec("0.01", price=None, trigger=take_profit("26000")), False, "last"),
        (spec("0.01", price="26100", side=Side.SELL, trigger=stop("26000"), tif=TimeInForce.IOC), False, "last"),
        (spec("0.01", price="28000", side=Side.SELL, trigger=take_profit("28000")), True, "last"),
    ],
)
def test_a_trigger_order_waits_where_it_should(desk: Desk, what: OrderSpec, rises: bool, by: str) -> None:
    """Both kinds, either price, either form; found, listed apart from what rests, and cancelled, by our wire id."""
    wire = wire_id()
    placed = desk.place(what, wire)
    assert isinstance(placed, Placed)
    (order,) = desk.truth(wire)
    trigger = desk.sim.exchange.engine.with_client_id(wire)[0].trigger
    assert trigger is not None
    assert (trigger.rising, trigger.by.value, order["status"]) == (rises, by, "open")
    assert (placed.report.state, placed.report.filled, placed.report.quantity) == (LegState.OPEN, ZERO, Decimal("0.01"))
    assert placed.report.exchange_order_id != order["order_id"], "the service counts by itself"

    assert found(desk.look_up(wire, conditional=True)) == (LegState.OPEN, ZERO, None)
    listed, plain = desk.open_orders(BTC, conditional=True), desk.open_orders(BTC)
    assert isinstance(listed, OpenOrders)
    assert isinstance(plain, OpenOrders)
    assert [report.symbol for report in listed.reports if report.wire_id == wire] == [BTC]
    assert wire not in [report.wire_id for report in plain.reports]

    assert isinstance(desk.cancel(wire, conditional=True), CancelConfirmed)
    assert found(desk.look_up(wire, conditional=True)) == (LegState.CANCELLED, ZERO, None)
    assert isinstance(desk.cancel(wire, conditional=True), CancelTooLate)


def test_a_trigger_order_that_was_set_off_is_followed_to_its_fill(desk: Desk) -> None:
    """Under its own number, which fills go by, and under our wire id."""
    wire = wire_id()
    desk.place(spec("0.01", price=None, trigger=stop("28000")), wire)
    desk.truthful.price("BTC/USDT:USDT", "28000")
    answer = desk.look_up(wire, conditional=True)
    assert found(answer) == (LegState.FILLED, Decimal("0.01"), Decimal("28000.1"))
    assert isinstance(answer, Found)
    assert (answer.report.exchange_order_id, answer.report.wire_id) == (native_id(desk, wire), wire)
    assert isinstance(desk.cancel(wire, conditional=True), CancelTooLate)
    closed = desk.closed_orders()
    assert isinstance(closed, ClosedOrders)
    (report,) = [each for each in closed.reports if each.wire_id == wire]
    assert (report.state, report.filled) == (LegState.FILLED, Decimal("0.01"))


def test_a_trigger_order_that_became_a_resting_one_is_followed_changed_and_cancelled(desk: Desk) -> None:
    """What it became has another number; every call goes there by itself."""
    wire, what = wire_id(), spec("0.02", price="27000", trigger=stop("28000"))
    desk.place(what, wire)
    early = desk.amend(wire, what, quantity="0.03")
    assert isinstance(early, AmendRefused)
    assert early.unsupported
    desk.truthful.price("BTC/USDT:USDT", "28000")
    desk.truthful.fill(client_order_id=wire, qty="0.005")
    assert found(desk.look_up(wire, conditional=True))[:2] == (LegState.PARTIALLY_FILLED, Decimal("0.005"))
    amended = desk.amend(wire, what, quantity="0.03")
    assert isinstance(amended, Amended)
    assert amended.report is not None
    assert (amended.report.quantity, amended.report.wire_id) == (Decimal("0.03"), wire)
    cancelled = desk.cancel(wire, conditional=True)
    assert isinstance(cancelled, CancelConfirmed)
    assert cancelled.final is not None
    assert (cancelled.final.filled, cancelled.final.wire_id) == (Decimal("0.005"), wire)
    assert found(desk.look_up(wire, conditional=True))[:2] == (LegState.CANCELLED, Decimal("0.005"))


def test_a_trigger_order_that_is_refused_when_it_is_set_off_is_told(desk: Desk) -> None:
    """The position it was to reduce is gone."""
    wire = wire_id()
    desk.truthful.position("BTC/USDT:USDT", "0.01")
    placed = desk.place(spec("0.01", side=Side.SELL, price=None, reduce_only=True, trigger=stop("26000")), wire)
    assert isinstance(placed, Placed)
    desk.truthful.position("BTC/USDT:USDT", "0")
    desk.truthful.price("BTC/USDT:USDT", "26000")
    state, filled, _ = found(desk.look_up(wire, conditional=True))
    assert state in (LegState.REFUSED, LegState.EXPIRED, LegState.CANCELLED)
    assert filled == 0


def test_one_that_the_service_does_not_know_by_its_id_is_found_in_its_lists(desk: Desk) -> None:
    """Waiting or ended: a look-up by id that lags proves nothing alone."""
    waits, ended = wire_id(), wire_id()
    desk.truthful.fault("stale", call="order")
    for wire in (waits, ended):
        assert isinstance(desk.place(spec("0.01", price=None, trigger=stop("28000")), wire), Placed)
    assert isinstance(desk.cancel(ended, conditional=True), CancelConfirmed)
    assert found(desk.look_up(waits, conditional=True)) == (LegState.OPEN, ZERO, None)
    assert found(desk.look_up(ended, conditional=True)) == (LegState.CANCELLED, ZERO, None)
    desk.truthful.clear_faults()


def test_an_unknown_trigger_order_is_not_found(desk: Desk) -> None:
    """Neither among those that wait nor among those that ended."""
    assert isinstance(desk.look_up(wire_id(), conditional=True), NotFound)
    assert isinstance(desk.cancel(wire_id(), conditional=True), CancelTooLate)


def test_a_trigger_order_expires_at_the_gateway_only(desk: Desk) -> None:
    """The service is not known to look at the expiry itself, so that absence is proven later."""
    wire = wire_id()
    desk.truthful.ask("POST", "/clock", {"ahead_s": 5.5})
    answer = desk.place(spec("0.01", price=None, trigger=stop("28000")), wire)
    desk.truthful.ask("POST", "/clock", {"ahead_s": 0})
    for _ in range(3):  # one refusal had it measured at once; so that the next tests find it as it was
        desk.probe(ProbeKind.PUBLIC)
    assert isinstance(answer, NotExecuted)
    assert (answer.code, answer.native_code) == ("expired", "-1021")
    assert desk.truth(wire) == []
    proof = desk.port.proof
    assert proof.margin_of(conditional=True) == proof.margin_of(conditional=False) + 2


def test_what_would_be_sent_as_something_else_is_refused(desk: Desk) -> None:
    """In words, before sending."""
    before = len(desk.truthful.requests())
    answer = desk.place(spec(trigger=stop("28000"), tif=TimeInForce.POST_ONLY), wire_id())
    assert isinstance(answer, Refused)
    assert "post-only" in answer.words
    assert len(desk.truthful.requests()) == before


def test_a_trigger_that_is_past_already_is_refused_by_a_code(desk: Desk) -> None:
    """-2021."""
    answer = desk.place(spec("0.01", price=None, trigger=stop("26000")), wire_id())
    assert isinstance(answer, Refused)
    assert (answer.code, answer.native_code) == ("would_trigger", "-2021")


def test_the_same_trigger_order_twice_is_a_duplicate_to_be_looked_up(desk: Desk) -> None:
    """Among open orders."""
    wire, what = wire_id(), spec("0.01", price=None, trigger=stop("28000"))
    assert isinstance(desk.place(what, wire), Placed)
    again = desk.place(what, wire)
    assert getattr(again, "duplicate", False)
    assert len(desk.truth(wire)) == 1


def test_market_orders_have_a_largest_size_of_their_own(desk: Desk) -> None:
    """MARKET_LOT_SIZE, also for what becomes a market order."""
    words = "Quantity 121 is above the maximum: use 120 or less."
    assert desk.port.check(spec("121", price=None)) == words
    assert desk.port.check(spec("121", price=None, trigger=stop("28000"))) == words
    assert desk.port.check(spec("121")) == ""
    assert desk.port.check(spec("120", price=None)) == ""


def test_what_ended_unfilled_and_is_forgotten_after_three_days_was_cancelled(desk: Desk) -> None:
    """By its number, which says that it was there: what filled is known for longer, and what is open always."""
    plain, waited, days_s = wire_id(), wire_id(), 4 * 86400
    placed = desk.place(spec(), plain)
    assert isinstance(placed, Placed)
    desk.cancel(plain)
    desk.place(spec("0.01", price="27000", trigger=stop("28000")), waited)
    desk.truthful.price("BTC/USDT:USDT", "28000")
    assert isinstance(desk.cancel(waited, conditional=True), CancelConfirmed)
    desk.truthful.ask("POST", "/clock", {"ahead_s": days_s})
    desk.clock.behind_s = -days_s
    try:
        since_s = desk.clock() - days_s - 60
        order_id = placed.report.exchange_order_id
        for wire, number, conditional in ((plain, order_id, False), (waited, None, True)):
            call = LookUpCall(
                symbol=BTC,
                wire_id=wire,
                exchange_order_id=number,
                since_s=since_s,
                deadline_s=desk.soon(),
                conditional=conditional,
            )
            assert found(desk.do(call)) == (LegState.CANCELLED, ZERO, None)
        assert isinstance(desk.look_up(plain, order_id=order_id), NotFound), "as if it had just been placed"
    finally:
        desk.clock.behind_s = 0.0
        desk.truthful.ask("POST", "/clock", {"ahead_s": 0})


# ---- changes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "price"), [("0.03", None), (None, "21000"), ("0.01", "19000.5")], ids=["quantity", "price", "both"]
)
def test_a_resting_order_is_changed_in_place(desk: Desk, quantity: str | None, price: str | None) -> None:
    """What is not changed stays, also after an earlier change; the ids stay too."""
    wire, what = wire_id(), spec("0.02")
    placed = desk.place(what, wire)
    assert isinstance(placed, Placed)
    desk.amend(wire, what, quantity="0.04", price="20500")
    amended = desk.amend(wire, what, quantity=quantity, price=price)
    assert isinstance(amended, Amended)
    (order,) = desk.truth(wire)
    assert (Decimal(order["qty"]), Decimal(order["price"])) == (Decimal(quantity or "0.04"), Decimal(price or "20500"))
    report = amended.report
    assert report is not None
    assert (report.quantity, report.price) == (Decimal(order["qty"]), Decimal(order["price"]))
    assert (report.exchange_order_id, report.wire_id) == (placed.report.exchange_order_id, wire)


def test_a_quantity_that_has_filled_already_would_cancel_the_order(desk: Desk) -> None:
    """So it is refused before sending."""
    wire, what, before = wire_id(), spec("0.03"), desk.seen("amend")
    desk.place(what, wire)
    desk.truthful.fill(client_order_id=wire, qty="0.02")
    answer = desk.amend(wire, what, quantity="0.02")
    assert isinstance(answer, AmendRefused)
    assert "filled" in answer.words
    assert not answer.unsupported
    assert (desk.truth(wire)[0]["status"], desk.seen("amend")) == ("partially_filled", before)


def test_a_post_only_order_moved_to_where_it_would_take_is_told_to_be_cancelled(desk: Desk) -> None:
    """The exchange takes the change and cancels the order; the answer says so."""
    wire, what = wire_id(), spec("0.02", tif=TimeInForce.POST_ONLY)
    desk.place(what, wire)
    amended = desk.amend(wire, what, price="28000")
    assert isinstance(amended, Amended)
    assert amended.report is not None
    assert (amended.report.state, amended.report.filled) == (LegState.CANCELLED, ZERO)
    assert found(desk.look_up(wire))[:2] == (LegState.CANCELLED, ZERO)


def test_a_change_of_nothing_is_done_and_one_of_an_order_that_ended_too_late(desk: Desk) -> None:
    """-5027, and -2013."""
    wire, what = wire_id(), spec("0.02")
    desk.place(what, wire)
    assert desk.amend(wire, what, quantity="0.02") == Amended(report=None)
    desk.cancel(wire)
    assert isinstance(desk.amend(wire, what, quantity="0.01"), CancelTooLate)
    assert isinstance(desk.amend(wire_id(), what, quantity="0.01"), CancelTooLate)


# ---- lists -----------------------------------------------------------------------------------------------------------


def test_fills_tell_their_fee_and_closed_orders_their_end(desk: Desk) -> None:
    """What was paid is above zero."""
    taken, left = wire_id(), wire_id()
    desk.place(spec("0.02", price=None), taken)
    desk.place(spec("0.01"), left)
    desk.cancel(left)
    fills = desk.fills()
    assert isinstance(fills, Fills)
    (fill,) = [each for each in fills.fills if each.exchange_order_id == native_id(desk, taken)]
    (true,) = [each for each in desk.truthful.truth()["fills"] if each["order_id"] == native_id(desk, taken)]
    assert (fill.quantity, fill.price, fill.side) == (Decimal(true["qty"]), Decimal(true["price"]), Side.BUY)
    assert fill.fee is not None
    assert fill.fee > 0
    assert (fill.fee, fill.fee_coin, fill.maker) == (Decimal(true["fee"]), "USDT", False)
    closed = desk.closed_orders()
    assert isinstance(closed, ClosedOrders)
    ended = {report.wire_id: report.state for report in closed.reports}
    assert (ended[taken], ended[left]) == (LegState.FILLED, LegState.CANCELLED)


def test_long_lists_are_read_whole_and_too_old_ones_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full page is halved by time until none is full."""
    monkeypatch.setattr("app.exchanges.profiles.binance_shapes.PAGE", 4)
    wires = [wire_id() for _ in range(11)]
    for wire in wires:
        desk.place(spec("0.01"), wire)
        desk.cancel(wire)
    closed = desk.closed_orders()
    assert isinstance(closed, ClosedOrders)
    assert {report.wire_id for report in closed.reports} >= set(wires)
    old = desk.closed_orders(since_s=desk.clock() - 200 * 86400)
    assert isinstance(old, CallFailed)
    assert (old.code, old.retryable) == (UNSUPPORTED, False)


def test_bars_and_books_of_any_size(desk: Desk) -> None:
    """More bars than one request brings, and a depth Binance has no name for."""
    bars = desk.klines(limit=1600)
    assert isinstance(bars, KlinesResult)
    starts = [bar.start_s for bar in bars.klines]
    assert (len(starts), starts) == (1600, sorted(set(starts)))
    begin = desk.klines(since_s=starts[0], limit=3)
    assert isinstance(begin, KlinesResult)
    assert [bar.start_s for bar in begin.klines] == starts[:3]
    book = desk.order_book(depth=7)
    assert isinstance(book, OrderBookResult)
    assert (len(book.book.bids), len(book.book.asks)) == (7, 7)
    assert book.book.bids[0].price < book.book.asks[0].price
    deep = desk.order_book(depth=1001)
    assert isinstance(deep, CallFailed)
    assert deep.code == UNSUPPORTED


# ---- settings --------------------------------------------------------------------------------------------------------


def test_leverage_is_a_whole_number(desk: Desk) -> None:
    """And what the exchange has is told by its positions."""
    assert desk.leverage("7") == SettingMade(changed=True)
    half = desk.leverage("7.5")
    assert isinstance(half, CallFailed)
    assert (half.code, half.retryable) == (UNSUPPORTED, False)
    much = desk.leverage("500")
    assert isinstance(much, CallFailed)
    assert (much.code, much.native_code) == ("invalid_leverage", "-4028")


def test_margin_mode_of_a_market(desk: Desk) -> None:
    """-4046 says that it is so already."""
    assert desk.margin_mode(MarginMode.ISOLATED, ETH) == SettingMade(changed=True)
    assert desk.margin_mode(MarginMode.ISOLATED, ETH) == SettingMade(changed=False)
    assert desk.margin_mode(MarginMode.CROSS, ETH) == SettingMade(changed=True)
    desk.truthful.position("ETH/USDT:USDT", "1")
    held = desk.margin_mode(MarginMode.ISOLATED, ETH)
    assert isinstance(held, CallFailed)
    assert (held.code, held.retryable) == ("setting_in_use", False)


def test_orders_name_their_side_in_hedge_mode(desk: Desk, only: Desk) -> None:
    """Also where somebody else changed the mode: the exchange says so by a code, and the order is sent in the other."""
    assert desk.position_mode(PositionMode.HEDGE) == SettingMade(changed=True)
    assert desk.position_mode(PositionMode.HEDGE) == SettingMade(changed=False)
    bought, sold, other = wire_id(), wire_id(), wire_id()
    assert isinstance(desk.place(spec("0.02", price=None), bought), Placed)
    assert isinstance(desk.place(spec("0.01", side=Side.SELL, price=None, reduce_only=True), sold), Placed)
    assert [desk.truth(wire)[0]["position_side"] for wire in (bought, sold)] == ["long", "long"]
    assert found(desk.look_up(sold))[:2] == (LegState.FILLED, Decimal("0.01"))
    rest = desk.place(spec("0.01", side=Side.SELL, price=None, reduce_only=True), wire_id())
    assert isinstance(rest, Placed)

    fresh = Desk(only.sim)
    assert fresh.open() == ""
    assert isinstance(fresh.place(spec("0.01"), other), Placed), "learned from -4061"
    sent = [each for each in desk.truthful.requests() if each["call"] == "place"][-2:]
    assert [each["status"] for each in sent] == [400, 200]
    assert isinstance(fresh.cancel(other), CancelConfirmed)
    fresh.close()
    fresh = Desk(only.sim)
    assert fresh.open() == ""
    desk.place(spec("0.01", price=None), wire_id())
    closing = fresh.place(spec("0.01", side=Side.SELL, price=None, reduce_only=True), wire_id())
    assert isinstance(closing, Placed), "learned from -1106"
    assert fresh.position_mode(PositionMode.ONE_WAY) == SettingMade(changed=True)
    fresh.close()
    assert isinstance(desk.place(spec("0.01"), wire_id()), Placed), "and back"


def test_the_dead_mans_countdown_covers_the_markets_where_orders_rest(desk: Desk) -> None:
    """It is really a countdown; switched off, it ends nothing; what waits for a trigger it leaves."""
    resting, waiting, late = wire_id(), wire_id(), wire_id()
    desk.place(spec(), resting)
    desk.place(spec("0.01", price=None, trigger=stop("28000")), waiting)
    armed = desk.dead_man(30)
    assert isinstance(armed, DeadManArmed)
    assert armed.fires_s is not None
    assert 25 < armed.fires_s - desk.clock() <= 30
    assert desk.dead_man(0) == DeadManArmed(fires_s=None)
    assert isinstance(desk.dead_man(0.2), DeadManArmed)
    until(lambda: desk.truth(resting)[0]["status"] == "cancelled")
    assert desk.truth(waiting)[0]["status"] == "open"
    desk.place(spec(), late)
    assert isinstance(desk.dead_man(60), DeadManArmed)
    assert set(desk.sim.exchange.engine.dead_man.due) == {"BTC/USDT:USDT"}
    desk.cancel(late)
    assert isinstance(desk.dead_man(60), DeadManArmed), "nothing rests: what was armed is switched off"
    assert desk.sim.exchange.engine.dead_man.due == {}


def test_the_dead_mans_countdown_is_none_where_there_are_too_many_markets(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was armed before is switched off: it would end while all is well."""
    one, other = wire_id(), wire_id()
    desk.place(spec(), one)
    assert isinstance(desk.dead_man(60), DeadManArmed)
    monkeypatch.setattr(binance, "MOST_SWITCHED", 1)
    desk.place(spec("0.1", of=symbol("ETHUSDT"), price="1500"), other)
    refused = desk.dead_man(60)
    assert isinstance(refused, CallFailed)
    assert refused.code == UNSUPPORTED
    assert "with more than 1 none is armed" in refused.words
    assert desk.sim.exchange.engine.dead_man.due == {}
    for wire in (one, other):
        desk.cancel(wire, BTC if wire == one else symbol("ETHUSDT"))


def test_the_ticker_tells_the_mark_price(desk: Desk) -> None:
    """Which triggers may go by, and which is not the last."""
    desk.truthful.ask("POST", "/mark", {"symbol": "BTC/USDT:USDT", "price": "27012.5"})
    answer = desk.ticker()
    desk.truthful.ask("POST", "/mark", {"symbol": "BTC/USDT:USDT", "price": None})
    assert isinstance(answer, TickerResult)
    assert (answer.ticker.last, answer.ticker.mark) == (Decimal(27000), Decimal("27012.5"))


def test_status(desk: Desk) -> None:
    """The whole exchange's."""
    well = desk.status()
    assert isinstance(well, StatusResult)
    assert (well.status.ok, well.status.words) == (True, "")
