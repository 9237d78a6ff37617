"""Changing, cancelling and looking up."""

from __future__ import annotations

from app.domain import calls
from messages.orders import LegState
from tests.conformance.scenarios import scenario
from tests.conformance.stand import Declined, Stand, Wrong
from tests.exchanges.desk import wire_id

AMENDING = "Changing"
CANCELLING = "Cancelling"
LOOKING = "Looking up"


@scenario(AMENDING, "amend to a smaller quantity")
def amend_smaller(at: Stand) -> None:
    _amended(at, quantity="0.005")


@scenario(AMENDING, "amend to a larger quantity")
def amend_larger(at: Stand) -> None:
    _amended(at, quantity="0.02")


@scenario(AMENDING, "amend of the price")
def amend_price(at: Stand) -> None:
    _amended(at, price="21000")


@scenario(AMENDING, "amend of both")
def amend_both(at: Stand) -> None:
    _amended(at, quantity="0.03", price="21000")


def _amended(at: Stand, *, quantity: str = "0.01", price: str = "20000") -> None:
    spec = at.desk.spec()
    wire, report = at.place(spec)
    answer = at.desk.amend(
        wire,
        spec,
        quantity=quantity if quantity != "0.01" else None,
        price=price if price != "20000" else None,
        order_id=report.exchange_order_id,
    )
    order = at.order(wire)
    if isinstance(answer, calls.AmendRefused):
        at.expect(
            (order["qty"], order["price"]), ("0.01", "20000"), "The order on the exchange, which was not changed,"
        )
    amended = at.got(answer, calls.Amended)
    at.expect((order["qty"], order["price"], order["status"]), (quantity, price, "open"), "The order on the exchange")
    if amended.report is not None:
        at.agrees(amended.report, order)
    at.found(wire)


@scenario(AMENDING, "amend of a partly filled order")
def amend_partly(at: Stand) -> None:
    """The quantity is of the whole order."""
    spec = at.desk.spec("0.03")
    wire, _ = at.place(spec)
    at.desk.truthful.fill(client_order_id=wire, qty="0.01")
    at.got(at.desk.amend(wire, spec, quantity="0.02"), calls.Amended)
    order = at.order(wire)
    at.expect((order["qty"], order["filled"]), ("0.02", "0.01"), "The order on the exchange")
    at.found(wire)


@scenario(AMENDING, "amend to below what filled")
def amend_below(at: Stand) -> None:
    spec = at.desk.spec("0.03")
    wire, _ = at.place(spec)
    at.desk.truthful.fill(client_order_id=wire, qty="0.02")
    answer = at.desk.amend(wire, spec, quantity="0.01")
    order = at.order(wire)
    at.expect(order["filled"], "0.02", "What filled on the exchange")
    if isinstance(answer, calls.Amended) and order["status"] == "cancelled":  # taken, and the rest given back
        at.found(wire)
        return
    if isinstance(answer, calls.Amended):
        raise Wrong("It says that an order was made smaller than what filled of it.")
    if isinstance(answer, calls.CancelTooLate) and order["status"] not in ("cancelled", "filled"):
        raise Wrong("The order rests, and is said to be gone.")
    if not isinstance(answer, calls.CancelTooLate):
        _refusal(at, answer)


@scenario(AMENDING, "amend to what it is already")
def amend_unchanged(at: Stand) -> None:
    spec = at.desk.spec()
    wire, _ = at.place(spec)
    answer = at.desk.amend(wire, spec, price="20000", quantity="0.01")
    at.expect(at.order(wire)["status"], "open", "The order on the exchange")
    if isinstance(answer, calls.AmendRefused) and not answer.unsupported:
        return
    at.got(answer, calls.Amended)


@scenario(AMENDING, "amend of a filled order")
def amend_filled(at: Stand) -> None:
    spec = at.desk.spec()
    wire, _ = at.place(spec)
    at.desk.truthful.fill(client_order_id=wire)
    _gone(at, at.desk.amend(wire, spec, price="21000"))


@scenario(AMENDING, "amend of an unknown order")
def amend_unknown(at: Stand) -> None:
    _gone(at, at.desk.amend(wire_id(), at.desk.spec(), price="21000"))


def _gone(at: Stand, answer: object) -> None:
    if isinstance(answer, calls.Amended):
        raise Wrong("It says that an order was changed that is none.")
    at.got(answer, calls.CancelTooLate)


def _refusal(at: Stand, answer: object) -> None:
    """A refusal is what is right here; only "it has no such thing" is told apart."""
    try:
        at.got(answer, calls.Amended)
    except Declined:
        if isinstance(answer, calls.AmendRefused) and not answer.unsupported:
            return
        raise


# ---- cancelling ------------------------------------------------------------------------------------------------------


def _cancelled(at: Stand, wire: str, order_id: str | None = None) -> None:
    confirmed = at.got(at.desk.cancel(wire, order_id=order_id), calls.CancelConfirmed)
    order = at.order(wire)
    at.expect(order["status"], "cancelled", "The order on the exchange")
    if confirmed.final is not None:
        at.agrees(confirmed.final, order)
    at.found(wire)


@scenario(CANCELLING, "cancel by wire id")
def cancel(at: Stand) -> None:
    wire, _ = at.place(at.desk.spec())
    _cancelled(at, wire)


@scenario(CANCELLING, "cancel, the exchange's id known too")
def cancel_by_id(at: Stand) -> None:
    wire, report = at.place(at.desk.spec())
    _cancelled(at, wire, report.exchange_order_id)


@scenario(CANCELLING, "cancel of a partly filled order")
def cancel_partly(at: Stand) -> None:
    wire, _ = at.place(at.desk.spec("0.03"))
    at.desk.truthful.fill(client_order_id=wire, qty="0.01")
    _cancelled(at, wire)


@scenario(CANCELLING, "cancel of a filled order")
def cancel_filled(at: Stand) -> None:
    wire, _ = at.place(at.desk.spec())
    at.desk.truthful.fill(client_order_id=wire)
    at.got(at.desk.cancel(wire), calls.CancelTooLate)


@scenario(CANCELLING, "cancel of a cancelled order")
def cancel_twice(at: Stand) -> None:
    wire, _ = at.place(at.desk.spec())
    _cancelled(at, wire)
    at.got(at.desk.cancel(wire), calls.CancelTooLate)


@scenario(CANCELLING, "cancel of an unknown order")
def cancel_unknown(at: Stand) -> None:
    at.got(at.desk.cancel(wire_id()), calls.CancelTooLate)


# ---- looking up ------------------------------------------------------------------------------------------------------


@scenario(LOOKING, "look-up of an open order")
def find_open(at: Stand) -> None:
    wire, report = at.place(at.desk.spec())
    for order_id in (None, report.exchange_order_id):
        at.expect(at.found(wire, order_id=order_id).state, LegState.OPEN, "The state told")


@scenario(LOOKING, "look-up of a partly filled order")
def find_partly(at: Stand) -> None:
    wire, _ = at.place(at.desk.spec("0.03"))
    at.desk.truthful.fill(client_order_id=wire, qty="0.01")
    at.expect(at.found(wire).state, LegState.PARTIALLY_FILLED, "The state told")


@scenario(LOOKING, "look-up of a filled order")
def find_filled(at: Stand) -> None:
    wire, _ = at.place(at.desk.spec())
    at.desk.truthful.fill(client_order_id=wire)
    at.expect(at.found(wire).state, LegState.FILLED, "The state told")


@scenario(LOOKING, "look-up of a cancelled order")
def find_cancelled(at: Stand) -> None:
    wire, _ = at.place(at.desk.spec())
    at.desk.truthful.ask("POST", "/cancel", {"client_order_id": wire})
    at.expect(at.found(wire).state, LegState.CANCELLED, "The state told")


@scenario(LOOKING, "look-up of one cancelled after it filled in part")
def find_cancelled_partly(at: Stand) -> None:
    wire, _ = at.place(at.desk.spec("0.03"))
    at.desk.truthful.fill(client_order_id=wire, qty="0.01")
    at.desk.truthful.ask("POST", "/cancel", {"client_order_id": wire})
    at.expect(at.found(wire).state, LegState.CANCELLED, "The state told")


@scenario(LOOKING, "look-up of an unknown order")
def find_unknown(at: Stand) -> None:
    """In a market with few orders: a list that may have been cut proves nothing."""
    before_s = at.desk.clock()
    missing = at.got(at.desk.look_up(wire_id(), at.symbols()[1]), calls.NotFound)
    if missing.asked_s < before_s:
        raise Wrong("It says that it asked before it did.")
