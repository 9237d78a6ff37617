"""Placing: every kind of order, checked against the exchange's own books."""

from __future__ import annotations

from decimal import Decimal

from app.domain import calls
from messages.market import MarketType
from messages.orders import LegState, OrderSpec, Side, TimeInForce, Trigger, TriggerBy
from tests.conformance.scenarios import APART, WORKS, scenario
from tests.conformance.stand import LAST, Stand, Wrong
from tests.exchanges.desk import stop, take_profit, wire_id

PLACING = "Placing"
TRIGGERS = "Waiting for a trigger"
BEYOND = "28000"
"""A price at which a buy takes."""


@scenario(PLACING, "limit, GTC, rests")
def limit(at: Stand) -> None:
    wire, report = at.place(at.desk.spec())
    at.expect(at.order(wire)["tif"], "GTC", "The time in force on the exchange")
    at.expect(report.state, LegState.OPEN, "The state told")
    at.found(wire)


@scenario(PLACING, "limit, GTC, crosses")
def crossing(at: Stand) -> None:
    wire, _ = at.place(at.desk.spec(price=BEYOND))
    at.expect(at.order(wire)["status"], "filled", "The order on the exchange")
    at.found(wire)


@scenario(PLACING, "market, buy")
def market_buy(at: Stand) -> None:
    _market(at, Side.BUY)


@scenario(PLACING, "market, sell")
def market_sell(at: Stand) -> None:
    _market(at, Side.SELL)


def _market(at: Stand, side: Side) -> None:
    """Sized in base coin, whatever the exchange counts in: the quantity on its books is the one asked for."""
    wire, _ = at.place(at.desk.spec("0.02", side=side, price=None))
    order = at.order(wire)
    at.expect(order["status"], "filled", "The order on the exchange")
    at.expect(order["type"], "market", "The type on the exchange")
    at.found(wire)


@scenario(PLACING, "IOC, crosses")
def ioc_crossing(at: Stand) -> None:
    _immediate(at, TimeInForce.IOC)


@scenario(PLACING, "IOC, would rest")
def ioc_resting(at: Stand) -> None:
    _may_not_rest(at, TimeInForce.IOC)


@scenario(PLACING, "FOK, crosses")
def fok_crossing(at: Stand) -> None:
    _immediate(at, TimeInForce.FOK)


@scenario(PLACING, "FOK, would rest")
def fok_resting(at: Stand) -> None:
    _may_not_rest(at, TimeInForce.FOK)


def _immediate(at: Stand, tif: TimeInForce) -> None:
    wire, _ = at.place(at.desk.spec(price=BEYOND, tif=tif))
    order = at.order(wire)
    at.expect((order["status"], order["tif"]), ("filled", tif.value), "The order on the exchange")
    at.found(wire)


def _may_not_rest(at: Stand, tif: TimeInForce) -> None:
    """It ends unfilled, told by the answer or by a look-up; where the exchange refuses it instead, that is told."""
    wire = wire_id()
    answer = at.desk.place(at.desk.spec(tif=tif), wire)
    there = at.desk.truth(wire)
    if any(order["status"] == "open" for order in there):
        raise Wrong("It rests.")
    if isinstance(answer, calls.Refused) and answer.code == "would_not_fill":
        return
    at.got(answer, calls.Placed)
    at.found(wire)


@scenario(PLACING, "post-only, rests")
def post_only_resting(at: Stand) -> None:
    wire, _ = at.place(at.desk.spec(tif=TimeInForce.POST_ONLY))
    order = at.order(wire)
    at.expect((order["status"], order["tif"]), ("open", "PostOnly"), "The order on the exchange")


@scenario(PLACING, "post-only, would take")
def post_only_crossing(at: Stand) -> None:
    wire = wire_id()
    answer = at.desk.place(at.desk.spec(price=BEYOND, tif=TimeInForce.POST_ONLY), wire)
    if any(Decimal(order["filled"]) for order in at.desk.truth(wire)):
        raise Wrong("It took.")
    if isinstance(answer, calls.Refused) and answer.code == "would_take":
        return
    at.got(answer, calls.Placed)
    at.found(wire)


@scenario(PLACING, "reduce-only, closes")
def reduce_only(at: Stand) -> None:
    closing = at.desk.spec("0.02", side=Side.SELL, price=None, reduce_only=True)
    if not at.desk.port.check(closing):
        at.desk.truthful.position(at.native, "0.02")
    wire, _ = at.place(closing)
    at.expect(at.order(wire)["status"], "filled", "The order on the exchange")
    at.expect(at.desk.truthful.truth()["positions"], {}, "The positions on the exchange")


@scenario(PLACING, "reduce-only, nothing to reduce")
def reduce_nothing(at: Stand) -> None:
    wire = wire_id()
    answer = at.desk.place(at.desk.spec("0.02", side=Side.SELL, price=None, reduce_only=True), wire)
    at.expect(at.desk.truth(wire), [], "What is on the exchange")
    if isinstance(answer, calls.Refused) and answer.code == "reduce_only_rejected":
        return
    at.got(answer, calls.Placed)


@scenario(PLACING, "take profit and stop loss attached")
def attached(at: Stand) -> str:
    """Or left out, where the port says that it takes none along: then the router places them as orders of their own,
    which is another matter than this cell's."""
    wanted = at.desk.spec(take_profit="30000", stop_loss="15000")
    wire, _ = at.place(wanted)
    order = at.order(wire)
    if not at.desk.port.attaches(wanted):
        at.expect((order["take_profit"], order["stop_loss"]), (None, None), "The levels on the exchange")
        return APART
    levels = tuple(order[name] and Decimal(order[name]) for name in ("take_profit", "stop_loss"))
    at.expect(levels, (Decimal(30000), Decimal(15000)), "The levels on the exchange")
    return WORKS


@scenario(PLACING, "the same wire id again")
def duplicate(at: Stand) -> None:
    """The exchange keeps one, and the port says that it knows the id; or that nobody can know."""
    spec = at.desk.spec()
    wire, _ = at.place(spec)
    again = at.desk.place(spec, wire)
    at.expect(len(at.desk.truth(wire)), 1, "The number of orders on the exchange")
    if not isinstance(again, calls.Ambiguous):
        at.got(again, calls.Ambiguous)
    if at.knows_codes:
        at.expect(getattr(again, "duplicate", None), True, "Whether it is told to be a duplicate")


@scenario(PLACING, "what cannot be paid for")
def too_dear(at: Stand) -> None:
    """Refused by a code of the exchange, and by the router's own name of it."""
    wire = wire_id()
    quantity = "50" if at.desk.market_type is MarketType.SPOT else "400"  # neither is above what the markets take
    answer = at.desk.place(at.desk.spec(quantity, price="26000"), wire)
    at.expect(at.desk.truth(wire), [], "What is on the exchange")
    if not isinstance(answer, calls.Refused):
        at.got(answer, calls.Refused)
    assert isinstance(answer, calls.Refused)
    at.expect((answer.code, bool(answer.native_code)), ("insufficient_funds", True), "The code, and a native one,")


# ---- triggers --------------------------------------------------------------------------------------------------------

UP, DOWN = "28000", "26000"


def _waits(at: Stand, trigger: Trigger, price: str | None) -> tuple[str, OrderSpec]:
    spec = at.desk.spec(trigger=trigger, price=price)
    wire, _ = at.place(spec)
    order = at.order(wire)
    at.expect((order["status"], order["triggered"]), ("open", False), "The order on the exchange")
    return wire, spec


def _set_off(at: Stand, trigger: Trigger, price: str | None, *, stays: str) -> None:
    """It waits while the price stays on the other side, is set off by the price it names, and found all the time."""
    wire, _ = _waits(at, trigger, price)
    at.move(stays)
    at.expect(at.order(wire)["triggered"], False, "Whether it is set off on the exchange")
    waiting = at.found(wire, conditional=True)
    at.expect(waiting.state, LegState.OPEN, "The state told of one that waits")
    at.move(str(trigger.price))
    order = at.order(wire)
    at.expect((order["triggered"], order["status"]), (True, "filled"), "The order on the exchange, set off,")
    done = at.found(wire, conditional=True)
    at.expect(done.filled, Decimal("0.01"), "What filled, as told,")


@scenario(TRIGGERS, "stop, market")
def stop_market(at: Stand) -> None:
    _set_off(at, stop(UP), None, stays=DOWN)


@scenario(TRIGGERS, "stop, limit")
def stop_limit(at: Stand) -> None:
    _set_off(at, stop(UP), "28100", stays=DOWN)


@scenario(TRIGGERS, "take profit, market")
def take_profit_market(at: Stand) -> None:
    _set_off(at, take_profit(DOWN), None, stays=UP)


@scenario(TRIGGERS, "take profit, limit")
def take_profit_limit(at: Stand) -> None:
    _set_off(at, take_profit(DOWN), "26100", stays=UP)


@scenario(TRIGGERS, "stop, market, by the mark price")
def stop_by_mark(at: Stand) -> None:
    _by_mark(at, stop(UP, TriggerBy.MARK))


@scenario(TRIGGERS, "take profit, market, by the mark price")
def take_profit_by_mark(at: Stand) -> None:
    _by_mark(at, take_profit(DOWN, TriggerBy.MARK))


def _by_mark(at: Stand, trigger: Trigger) -> None:
    """The last price leaves it alone, the mark price sets it off."""
    wire, _ = _waits(at, trigger, None)
    at.mark(LAST)
    at.move(str(trigger.price))
    at.expect(at.order(wire)["triggered"], False, "Whether the last price set it off on the exchange")
    at.mark(str(trigger.price))
    at.expect(at.order(wire)["triggered"], True, "Whether the mark price set it off on the exchange")
    at.found(wire, conditional=True)


@scenario(TRIGGERS, "stop, reduce-only")
def stop_reduce_only(at: Stand) -> None:
    """What protects a position: it closes it, and nothing more."""
    spec = at.desk.spec("0.02", side=Side.SELL, price=None, trigger=stop(DOWN), reduce_only=True)
    if not at.desk.port.check(spec):
        at.desk.truthful.position(at.native, "0.02")
    wire, _ = at.place(spec)
    at.move(DOWN)
    at.expect(at.order(wire)["status"], "filled", "The order on the exchange")
    at.expect(at.desk.truthful.truth()["positions"], {}, "The positions on the exchange")
    at.found(wire, conditional=True)


@scenario(TRIGGERS, "set off, then rests")
def set_off_resting(at: Stand) -> None:
    """A stop-limit whose limit the market has left behind: it is an open order by then, found and cancelled."""
    wire, _ = _waits(at, stop(UP), "27500")
    at.move(UP)
    order = at.order(wire)
    at.expect((order["triggered"], order["status"]), (True, "open"), "The order on the exchange, set off,")
    at.found(wire, conditional=True)
    at.got(at.desk.cancel(wire, conditional=True), calls.CancelConfirmed)
    at.expect(at.order(wire)["status"], "cancelled", "The order on the exchange")
    at.found(wire, conditional=True)


@scenario(TRIGGERS, "cancel of one that waits")
def cancel_waiting(at: Stand) -> None:
    wire, _ = _waits(at, stop(UP), None)
    at.got(at.desk.cancel(wire, conditional=True), calls.CancelConfirmed)
    at.expect(at.order(wire)["status"], "cancelled", "The order on the exchange")
    at.found(wire, conditional=True)


@scenario(TRIGGERS, "cancel of one that was set off and filled")
def cancel_set_off(at: Stand) -> None:
    wire, _ = _waits(at, stop(UP), None)
    at.move(UP)
    at.got(at.desk.cancel(wire, conditional=True), calls.CancelTooLate)
    at.found(wire, conditional=True)


@scenario(TRIGGERS, "listed among the open orders")
def listed_waiting(at: Stand) -> None:
    wire, _ = _waits(at, stop(UP), None)
    for of in (None, at.desk.btc):
        listed = at.got(at.desk.open_orders(of, conditional=True), calls.OpenOrders)
        at.expect([r.wire_id for r in listed.reports if r.wire_id == wire], [wire], "What is listed")


@scenario(TRIGGERS, "amend of the trigger price")
def amend_trigger(at: Stand) -> None:
    wire, spec = _waits(at, stop(UP), None)
    at.got(at.desk.amend(wire, spec, trigger_price="28500"), calls.Amended)
    order = at.order(wire)
    at.expect((order["trigger_price"], order["status"]), ("28500", "open"), "The order on the exchange")
    at.found(wire, conditional=True)


@scenario(TRIGGERS, "amend of quantity and limit while it waits")
def amend_waiting(at: Stand) -> None:
    wire, spec = _waits(at, stop(UP), "28100")
    at.got(at.desk.amend(wire, spec, quantity="0.02", price="28200"), calls.Amended)
    order = at.order(wire)
    at.expect(
        (order["qty"], order["price"], order["trigger_price"]), ("0.02", "28200", UP), "The order on the exchange"
    )
    at.found(wire, conditional=True)
