"""Bybit's linear swaps through the port: triggers, changes, what ended, fills, settings, long and short apart."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from attrs import evolve

from app.domain.calls import (
    UNSUPPORTED,
    Amended,
    AmendRefused,
    CallFailed,
    CancelConfirmed,
    CancelTooLate,
    ClosedOrders,
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
    SettingMade,
    StatusResult,
)
from app.simulator.thread import SimulatorThread
from messages.market import MarginMode, PositionMode
from messages.orders import LegState, OrderSpec, Side, TimeInForce, Trigger, TriggerBy
from tests.exchanges.altered import Altered
from tests.exchanges.desk import BTC, Desk, spec, stop, symbol, take_profit, wire_id

ZERO = Decimal(0)
HOST = "BTC/USDT:USDT"
ETH = symbol("ETHUSDT")


@pytest.fixture(scope="module")
def opened() -> Iterator[Desk]:
    """A desk at a simulated Bybit."""
    with SimulatorThread(["bybit"]) as sims:
        desk = Desk(sims["bybit"])
        assert desk.open() == ""
        yield desk
        desk.close()


@pytest.fixture
def desk(opened: Desk) -> Iterator[Desk]:
    """The desk with nothing open and the price at 27,000, before and after."""
    yield opened
    opened.truthful.clear_faults()
    opened.truthful.ask("POST", "/mark", {"symbol": HOST, "price": None})
    opened.truthful.price(HOST, 27000)
    for order in opened.truthful.truth()["orders"]:
        if order["status"] in ("open", "partially_filled"):
            opened.truthful.ask("POST", "/cancel", {"order_id": order["order_id"]})
    opened.flat()


def found(desk: Desk, wire: str) -> OrderReport:
    """What a look-up of an order with a trigger tells."""
    answer = desk.look_up(wire, conditional=True)
    assert isinstance(answer, Found)
    return answer.report


def requests(desk: Desk, call: str) -> int:
    """How many requests of a call arrived."""
    return desk.seen(call)


# ---- triggers -------------------------------------------------------------------------------------------------------

TRIGGERS = [
    (Side.BUY, stop("28000"), "28000"),
    (Side.SELL, stop("26000"), "26000"),
    (Side.BUY, take_profit("26000"), "26000"),
    (Side.SELL, take_profit("28000"), "28000"),
    (Side.SELL, stop("26000", TriggerBy.MARK), "26000"),
]


@pytest.mark.parametrize(("side", "trigger", "at"), TRIGGERS)
def test_a_market_order_waits_for_its_trigger_is_set_off_and_filled(
    desk: Desk, side: Side, trigger: Trigger, at: str
) -> None:
    """Found while it waits, listed as open, and under the same ids when it has filled."""
    wire = wire_id()
    placed = desk.place(spec("0.02", side=side, price=None, trigger=trigger), wire)
    assert isinstance(placed, Placed)
    waiting = found(desk, wire)
    assert (waiting.state, waiting.filled, waiting.quantity) == (LegState.OPEN, ZERO, Decimal("0.02"))
    listed = desk.open_orders(conditional=True)
    assert isinstance(listed, OpenOrders)
    assert wire in [report.wire_id for report in listed.reports]
    if trigger.by is TriggerBy.MARK:
        desk.truthful.ask("POST", "/mark", {"symbol": HOST, "price": at})
    else:
        desk.truthful.price(HOST, at)
    done = found(desk, wire)
    assert done.exchange_order_id == placed.report.exchange_order_id
    assert (done.state, done.filled) == (LegState.FILLED, Decimal("0.02"))
    (truth,) = desk.truth(wire)
    assert done.average_price == Decimal(truth["avg_price"])


def test_a_trigger_by_the_mark_price_is_not_set_off_by_the_last(desk: Desk) -> None:
    """And the other way round."""
    by_mark, by_last = wire_id(), wire_id()
    desk.truthful.ask("POST", "/mark", {"symbol": HOST, "price": 27000})
    for wire, by in ((by_mark, TriggerBy.MARK), (by_last, TriggerBy.LAST)):
        assert isinstance(desk.place(spec(side=Side.SELL, price=None, trigger=stop("26000", by)), wire), Placed)
    desk.truthful.price(HOST, 25900)
    assert (found(desk, by_mark).state, found(desk, by_last).state) == (LegState.OPEN, LegState.FILLED)


def test_a_limit_order_rests_once_it_is_set_off(desk: Desk) -> None:
    """At its own limit, and is cancelled there."""
    wire = wire_id()
    assert isinstance(desk.place(spec("0.01", price="25000", trigger=take_profit("26000")), wire), Placed)
    desk.truthful.price(HOST, 25900)
    (truth,) = desk.truth(wire)
    assert truth["status"] == "open"
    resting = found(desk, wire)
    assert (resting.state, resting.price) == (LegState.OPEN, Decimal(25000))
    assert isinstance(desk.cancel(wire, conditional=True), CancelConfirmed)
    assert found(desk, wire).state is LegState.CANCELLED


def test_a_waiting_order_is_cancelled(desk: Desk) -> None:
    """Once; then it is too late."""
    wire = wire_id()
    assert isinstance(desk.place(spec(side=Side.SELL, price=None, trigger=stop("26000")), wire), Placed)
    assert isinstance(desk.cancel(wire, conditional=True), CancelConfirmed)
    assert (found(desk, wire).state, found(desk, wire).filled) == (LegState.CANCELLED, ZERO)
    assert isinstance(desk.cancel(wire, conditional=True), CancelTooLate)
    desk.truthful.price(HOST, 25000)
    assert found(desk, wire).filled == ZERO


def test_an_order_refused_when_it_is_set_off_is_told_so(desk: Desk) -> None:
    """Nothing was reserved for it while it waited."""
    wire = wire_id()
    assert isinstance(desk.place(spec("100", price=None, trigger=stop("28000")), wire), Placed)
    desk.truthful.price(HOST, 28000)
    assert (found(desk, wire).state, found(desk, wire).filled) == (LegState.REFUSED, ZERO)


def test_a_reduce_only_trigger_closes_and_no_more(desk: Desk) -> None:
    """The stop of a position, larger than it."""
    desk.truthful.position(HOST, "0.02")
    wire = wire_id()
    stops = spec("0.05", side=Side.SELL, price=None, reduce_only=True, trigger=stop("26000"))
    assert isinstance(desk.place(stops, wire), Placed)
    desk.truthful.price(HOST, 26000)
    assert found(desk, wire).filled == Decimal("0.02")
    assert desk.truthful.truth()["positions"] == {}


@pytest.mark.parametrize("trigger", [stop("26000"), take_profit("28000")])
def test_a_trigger_that_the_price_has_passed_is_refused(desk: Desk, trigger: Trigger) -> None:
    """By Bybit's own codes, each of the two directions."""
    answer = desk.place(spec(price=None, trigger=trigger), wire_id())
    assert isinstance(answer, Refused)
    assert (answer.code, answer.native_code) in (("would_trigger", "110092"), ("would_trigger", "110093"))


def test_a_trigger_order_is_refused_after_its_expiry(desk: Desk) -> None:
    """The gateway looks at it as at any other order's: signed long ago by our clock, it is turned away."""
    wire = wire_id()
    desk.clock.behind_s = 12.0
    answer = desk.place(spec(side=Side.SELL, price=None, trigger=stop("26000")), wire)
    desk.clock.behind_s = 0.0
    assert isinstance(answer, NotExecuted)
    assert (answer.code, answer.native_code) == ("expired", "10002")
    assert desk.truth(wire) == []


# ---- changes --------------------------------------------------------------------------------------------------------


def test_a_resting_order_is_changed_in_place(desk: Desk) -> None:
    """Quantity, price, and both; the ids stay."""
    wire, what = wire_id(), spec("0.02")
    placed = desk.place(what, wire)
    assert isinstance(placed, Placed)
    for changed, quantity, price in (
        ({"quantity": "0.05"}, "0.05", "20000"),
        ({"price": "21000.5"}, "0.05", "21000.5"),
        ({"quantity": "0.03", "price": "19000"}, "0.03", "19000"),
    ):
        assert desk.amend(wire, what, **changed) == Amended(report=None)
        now = found(desk, wire)
        assert (now.exchange_order_id, now.quantity, now.price) == (
            placed.report.exchange_order_id,
            Decimal(quantity),
            Decimal(price),
        )
        (truth,) = desk.truth(wire)
        assert (Decimal(truth["qty"]), Decimal(truth["price"])) == (Decimal(quantity), Decimal(price))


def test_a_quantity_counts_what_filled(desk: Desk) -> None:
    """Of 0.03 one third filled: changed to 0.02, one third of the order is left; less than filled is refused."""
    wire, what = wire_id(), spec("0.03")
    desk.place(what, wire)
    desk.truthful.fill(client_order_id=wire, qty="0.01")
    for quantity in ("0.01", "0.005"):
        refused = desk.amend(wire, what, quantity=quantity)
        assert isinstance(refused, AmendRefused)
        assert (refused.code, refused.native_code) == ("invalid_quantity", "110064")
    assert isinstance(desk.amend(wire, what, quantity="0.02"), Amended)
    assert (found(desk, wire).state, found(desk, wire).quantity) == (LegState.PARTIALLY_FILLED, Decimal("0.02"))
    desk.truthful.fill(client_order_id=wire)
    assert (found(desk, wire).state, found(desk, wire).filled) == (LegState.FILLED, Decimal("0.02"))


def test_a_change_that_changes_nothing_is_one_made(desk: Desk) -> None:
    """Bybit says so by words, under the code of every wrong parameter."""
    wire, what = wire_id(), spec("0.02")
    desk.place(what, wire)
    assert desk.amend(wire, what, quantity="0.02", price="20000") == Amended(report=None)


def test_an_order_that_ended_is_not_changed(desk: Desk) -> None:
    """Filled, cancelled, or never there: look it up."""
    filled, gone = wire_id(), wire_id()
    what = spec("0.02")
    desk.place(spec("0.02", price=None), filled)
    desk.place(what, gone)
    desk.cancel(gone)
    for wire in (filled, gone, wire_id()):
        assert isinstance(desk.amend(wire, what, price="21000"), CancelTooLate)


def test_the_trigger_of_a_waiting_order_is_changed(desk: Desk) -> None:
    """And that is where it goes off then."""
    wire, what = wire_id(), spec(side=Side.SELL, price=None, trigger=stop("26000"))
    desk.place(what, wire)
    assert desk.amend(wire, what, trigger_price="25000", quantity="0.02") == Amended(report=None)
    desk.truthful.price(HOST, 25900)
    assert found(desk, wire).state is LegState.OPEN
    desk.truthful.price(HOST, 24900)
    assert (found(desk, wire).state, found(desk, wire).filled) == (LegState.FILLED, Decimal("0.02"))


def test_a_change_off_the_steps_is_not_sent(desk: Desk) -> None:
    """In words, as an order."""
    wire, what = wire_id(), spec("0.02")
    desk.place(what, wire)
    before = requests(desk, "amend")
    for changed in ({"quantity": "0.0205"}, {"price": "20000.05"}, {"trigger_price": "25000"}):
        refused = desk.amend(wire, what, **changed)
        assert isinstance(refused, AmendRefused)
        assert refused.words
    assert requests(desk, "amend") == before


# ---- what is past ---------------------------------------------------------------------------------------------------


def test_what_ended_is_listed_and_what_is_open_is_not(desk: Desk) -> None:
    """Filled, cancelled in part, cancelled whole, cancelled before it was set off; each once."""
    taken, part, whole, never, resting = (wire_id() for _ in range(5))
    since_s = desk.clock()
    desk.place(spec("0.02", price=None), taken)
    for wire in (part, whole, resting):
        desk.place(spec("0.03"), wire)
    desk.place(spec(side=Side.SELL, price=None, trigger=stop("26000")), never)
    desk.truthful.fill(client_order_id=part, qty="0.01")
    for wire in (part, whole, never):
        desk.cancel(wire)
    listed = desk.closed_orders(since_s=since_s)
    assert isinstance(listed, ClosedOrders)
    assert {report.wire_id: (report.state, report.filled) for report in listed.reports if report.wire_id} == {
        taken: (LegState.FILLED, Decimal("0.02")),
        part: (LegState.CANCELLED, Decimal("0.01")),
        whole: (LegState.CANCELLED, ZERO),
        never: (LegState.CANCELLED, ZERO),
    }
    assert len(listed.reports) == 4
    other = desk.closed_orders(ETH, since_s=since_s)
    assert other == ClosedOrders(reports=())


def test_fills_tell_their_fees_and_no_funding(desk: Desk) -> None:
    """A cost is above zero; every page is read; what is not an execution is left out."""
    since_s = desk.clock()
    maker, taker = wire_id(), wire_id()
    desk.place(spec("1.2"), maker)
    for _ in range(110):
        desk.truthful.fill(client_order_id=maker, qty="0.01")
    desk.place(spec("0.02", side=Side.SELL, price=None), taker)
    desk.truthful.ask("POST", "/funding", {"symbol": HOST, "rate": "0.0001"})
    told = desk.fills(since_s=since_s)
    assert isinstance(told, Fills)
    assert len({fill.trade_id for fill in told.fills}) == len(told.fills) == 111
    assert [fill.at_s for fill in told.fills] == sorted(fill.at_s for fill in told.fills)
    last = next(fill for fill in told.fills if fill.wire_id == taker)
    assert (last.side, last.quantity, last.fee_coin, last.maker) == (Side.SELL, Decimal("0.02"), "USDT", False)
    assert last.fee == last.quantity * last.price * Decimal("0.00055")
    resting = [fill for fill in told.fills if fill.wire_id == maker]
    assert {(fill.maker, fill.fee) for fill in resting} == {(True, Decimal("0.01") * 20000 * Decimal("0.0002"))}


def test_the_newest_is_told_though_the_clocks_differ(desk: Desk) -> None:
    """Filled in the exchange's future, as we see it."""
    since_s, wire = desk.clock(), wire_id()
    desk.truthful.ask("POST", "/clock", {"ahead_s": 0.7})
    try:
        desk.place(spec("0.02", price=None), wire)
        told, listed = desk.fills(since_s=since_s), desk.closed_orders(since_s=since_s)
    finally:
        desk.truthful.ask("POST", "/clock", {"ahead_s": 0})
    assert isinstance(told, Fills)
    assert wire in [fill.wire_id for fill in told.fills]
    assert isinstance(listed, ClosedOrders)
    assert wire in [report.wire_id for report in listed.reports]


def test_a_long_past_is_asked_for_window_by_window(desk: Desk) -> None:
    """Of seven days each; one too long to be read whole is refused."""
    before = requests(desk, "fills")
    assert isinstance(desk.fills(ETH, since_s=desk.clock() - 20 * 86400), Fills)
    assert requests(desk, "fills") == before + 3
    too_long = desk.fills(ETH, since_s=desk.clock() - 200 * 86400)
    assert isinstance(too_long, CallFailed)


# ---- the market -----------------------------------------------------------------------------------------------------


def test_book_bars_and_status(desk: Desk) -> None:
    """As many as asked for; a maintenance is told in Bybit's words."""
    book = desk.order_book(depth=3)
    assert isinstance(book, OrderBookResult)
    assert (len(book.book.bids), len(book.book.asks)) == (3, 3)
    assert book.book.bids[0].price < book.book.asks[0].price
    bars = desk.klines(limit=4)
    assert isinstance(bars, KlinesResult)
    assert len(bars.klines) == 4
    assert [b.start_s for b in bars.klines] == sorted(b.start_s for b in bars.klines)
    since = desk.klines(since_s=bars.klines[1].start_s, limit=2)
    assert isinstance(since, KlinesResult)
    assert [bar.start_s for bar in since.klines] == [bars.klines[1].start_s, bars.klines[2].start_s]
    too_many = desk.klines(limit=1001)
    assert isinstance(too_many, CallFailed)
    assert too_many.code == UNSUPPORTED
    well = desk.status()
    assert isinstance(well, StatusResult)
    assert (well.status.ok, well.status.words) == (True, "")
    desk.truthful.ask("POST", "/maintenance", {"on": True, "message": "The engine is upgraded"})
    ill = desk.status()
    desk.truthful.ask("POST", "/maintenance", {"on": False})
    assert isinstance(ill, StatusResult)
    assert (ill.status.ok, ill.status.words) == (False, "The engine is upgraded")


# ---- settings -------------------------------------------------------------------------------------------------------


def test_leverage_is_set_and_told_to_be_so_already(desk: Desk) -> None:
    """And refused above what the market allows."""
    assert desk.leverage("7") == SettingMade(changed=True)
    assert desk.leverage("7") == SettingMade(changed=False)
    refused = desk.leverage("1000")
    assert isinstance(refused, CallFailed)
    assert (refused.code, refused.native_code, refused.retryable) == ("invalid_leverage", "110013", False)
    desk.truthful.position(HOST, "0.02")
    held = desk.positions()
    assert isinstance(held, PositionsResult)
    assert [position.leverage for position in held.positions] == [Decimal(7)]


def test_the_margin_mode_is_the_accounts(desk: Desk) -> None:
    """So it is not changed while another market would change with it."""
    assert desk.margin_mode(MarginMode.CROSS) == SettingMade(changed=False)
    desk.truthful.position(str(ETH), "1")
    refused = desk.margin_mode(MarginMode.ISOLATED)
    assert isinstance(refused, CallFailed)
    assert refused.code == UNSUPPORTED
    assert "ETHUSDT would change with BTCUSDT" in refused.words
    desk.flat()
    assert desk.margin_mode(MarginMode.ISOLATED) == SettingMade(changed=True)
    assert desk.margin_mode(MarginMode.ISOLATED, ETH) == SettingMade(changed=False)
    assert desk.margin_mode(MarginMode.CROSS) == SettingMade(changed=True)


def test_the_position_mode_is_set_where_nothing_is_open(desk: Desk) -> None:
    """Bybit would pass silently over markets with orders or positions."""
    assert desk.position_mode(PositionMode.ONE_WAY) == SettingMade(changed=False)
    wire = wire_id()
    desk.place(spec(of=ETH, price="1000"), wire)
    refused = desk.position_mode(PositionMode.HEDGE)
    assert isinstance(refused, CallFailed)
    assert (refused.code, "ETHUSDT" in refused.words) == (UNSUPPORTED, True)
    desk.cancel(wire, ETH)
    desk.truthful.position(HOST, "0.02")
    assert isinstance(desk.position_mode(PositionMode.HEDGE), CallFailed)
    desk.flat()
    assert desk.position_mode(PositionMode.HEDGE) == SettingMade(changed=True)
    assert desk.position_mode(PositionMode.HEDGE) == SettingMade(changed=False)
    assert desk.position_mode(PositionMode.ONE_WAY) == SettingMade(changed=True)


def test_there_is_no_countdown(desk: Desk) -> None:
    """In words, and nothing is sent."""
    before = len(desk.truthful.requests())
    answer = desk.dead_man(30)
    assert isinstance(answer, CallFailed)
    assert (answer.code, answer.retryable) == (UNSUPPORTED, False)
    assert "countdown" in answer.words
    assert len(desk.truthful.requests()) == before


@pytest.fixture
def hedged(desk: Desk) -> Iterator[Desk]:
    """An account that holds long and short apart, which the port was not told of."""
    desk.truthful.ask("POST", "/mode", {"symbol": HOST, "hedge": True})
    yield desk
    for order in desk.truthful.truth()["orders"]:
        if order["status"] in ("open", "partially_filled"):
            desk.truthful.ask("POST", "/cancel", {"order_id": order["order_id"]})
    desk.place(spec("0.03", side=Side.SELL, price=None, reduce_only=True), wire_id())
    desk.place(spec("0.03", price=None, reduce_only=True), wire_id())
    desk.truthful.ask("POST", "/mode", {"symbol": HOST, "hedge": False})
    assert isinstance(desk.place(spec(), wire_id()), Placed)  # which learns that it is one net position again


def test_long_and_short_apart(hedged: Desk) -> None:
    """The first order learns it from a refusal, the next knows; reduce-only closes the position of the other side."""
    before = requests(hedged, "place")
    orders: list[tuple[OrderSpec, Decimal]] = [
        (spec("0.03", price=None), Decimal("0.03")),
        (spec("0.01", side=Side.SELL, price=None), Decimal("0.02")),
        (spec("0.02", side=Side.SELL, price=None, reduce_only=True), Decimal(0)),
        (spec("0.01", price=None, reduce_only=True), Decimal("0.01")),
    ]
    for what, net in orders:
        wire = wire_id()
        assert isinstance(hedged.place(what, wire), Placed)
        assert len([order for order in hedged.truth(wire) if order["status"] == "filled"]) == 1
        held = hedged.positions()
        assert isinstance(held, PositionsResult)
        assert sum((position.quantity for position in held.positions), ZERO) == net
    assert requests(hedged, "place") == before + len(orders) + 1
    refused = hedged.place(spec("0.01", price=None, reduce_only=True), wire_id())
    assert isinstance(refused, Refused)
    assert refused.code == "reduce_only_rejected"
    wire = wire_id()
    assert isinstance(
        hedged.place(spec(side=Side.SELL, price=None, trigger=stop("26000"), reduce_only=True), wire), Placed
    )
    assert isinstance(hedged.cancel(wire, conditional=True), CancelConfirmed)


def test_a_refusal_for_another_reason_is_not_sent_again(desk: Desk) -> None:
    """10001 says many things."""
    before = requests(desk, "place")
    answer = desk.place(spec(price="28000", take_profit="20000"), wire_id())
    assert isinstance(answer, Refused)
    assert answer.native_code == "10001"
    assert requests(desk, "place") == before + 1


def test_a_market_order_larger_than_market_orders_may_be_is_not_sent(opened: Desk) -> None:
    """A reduce-only one would be split into several, which nobody could find."""

    def smaller(rows: list[dict[str, dict[str, str]]]) -> list[dict[str, dict[str, str]]]:
        return [{**row, "lotSizeFilter": {**row["lotSizeFilter"], "maxMktOrderQty": "5"}} for row in rows]

    with Altered("bybit", opened.sim.base_url) as proxy:
        proxy.alter = smaller
        desk = Desk(evolve(opened.sim, base_url=proxy.base_url))
        assert desk.open() == ""
        for closes in (True, False):
            told = desk.port.check(spec("5.001", side=Side.SELL, price=None, reduce_only=closes))
            assert told == "Quantity 5.001 is above the maximum: use 5 or less."
        assert desk.port.check(spec("5.001", side=Side.SELL, reduce_only=True)) == ""
        desk.close()


# ---- attached levels ------------------------------------------------------------------------------------------------


def test_attached_levels_are_the_orders_own(desk: Desk) -> None:
    """As large as what it filled, not as the position; one that goes off takes the other with it."""
    desk.truthful.position(HOST, "0.05")
    wire = wire_id()
    desk.place(spec("0.02", price="28000", take_profit="30000", stop_loss="25000"), wire)
    waiting = [order for order in desk.truthful.truth()["orders"] if order["status"] == "open"]
    assert [Decimal(order["qty"]) for order in waiting] == [Decimal("0.02")] * 2
    desk.truthful.price(HOST, 30000)
    held = desk.positions()
    assert isinstance(held, PositionsResult)
    assert [position.quantity for position in held.positions] == [Decimal("0.05")]
    assert [order for order in desk.truthful.truth()["orders"] if order["status"] == "open"] == []


def test_a_reduce_only_order_carries_no_levels(desk: Desk) -> None:
    """Bybit's rule, told before anything is sent."""
    wanted = spec(side=Side.SELL, price="28000", reduce_only=True, take_profit="20000")
    assert "reduce-only" in desk.port.check(wanted)


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC, TimeInForce.POST_ONLY])
def test_every_time_in_force_reaches_a_trigger_order(desk: Desk, tif: TimeInForce) -> None:
    """As it is, not as the exchange's default."""
    wire = wire_id()
    assert isinstance(desk.place(spec(price="25000", tif=tif, trigger=take_profit("26000")), wire), Placed)
    assert desk.truth(wire)[0]["tif"] == tif.value
    assert found(desk, wire).symbol == BTC
