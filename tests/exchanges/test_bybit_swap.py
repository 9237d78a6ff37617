"""Bybit's linear swaps through the port: triggers, changes, attached levels."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.domain.calls import (
    Amended,
    AmendRefused,
    CancelConfirmed,
    CancelTooLate,
    NotExecuted,
    OpenOrders,
    Placed,
    PositionsResult,
    Refused,
)
from messages.orders import LegState, Side, TimeInForce, Trigger, TriggerBy
from tests.exchanges.bybit_desk import HOST, at_rest, found, opened, requests
from tests.exchanges.desk import BTC, Desk, spec, stop, take_profit, wire_id

ZERO = Decimal(0)


@pytest.fixture(scope="module")
def bybit() -> Iterator[Desk]:
    """Opened once."""
    yield from opened()


@pytest.fixture
def desk(bybit: Desk) -> Iterator[Desk]:
    """At rest before and after."""
    yield from at_rest(bybit)


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
