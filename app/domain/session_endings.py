"""How a request ends that nobody answered for good before its deadline, or that the order under its id answers."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain import ids
from app.domain.commit import REUSED, BodyDiffers, already
from app.domain.doubts import Doubts
from app.domain.leg_task import place_reply
from app.domain.session_effects import Outcome, OutcomeUnknown, Unanswered
from app.domain.session_pending import Pending
from messages.base import Failed
from messages.market import SetLeverage, SetMarginMode, SetPositionMode
from messages.orders import (
    AmendOrder,
    CancelOrder,
    OrderAccepted,
    OrderKey,
    OrderNotExecuted,
    OrderRefused,
    OrderView,
    PlaceOrder,
)


def last_word(pending: Pending, journal_id: str, ended: str = "", *, doubted: bool = False) -> Outcome:
    """What is told at the deadline: by what was answered so far, and by what is still under way.

    Args:
        journal_id: As the directory told; empty before that, when nothing can have been sent.
        ended: Why the session ends before the deadline, in one sentence; empty where it does not.
        doubted: Whether another request to place the same order leaves that in doubt. What is told is told of the
            order: who hears "unknown" of one request and "not executed" of the next would place it anew.
    """
    request = pending.request
    last = pending.last
    if isinstance(request, PlaceOrder | CancelOrder | AmendOrder) and (pending.in_doubt or doubted):
        return unknown(request, journal_id, ended)
    if isinstance(last, OrderNotExecuted | OrderRefused | Failed):
        return last
    if isinstance(request, PlaceOrder):
        return OrderNotExecuted(
            correlation_id=request.correlation_id,
            code="no_exchange",
            words="No exchange was available before the deadline; the order was never sent.",
        )
    words = f"{type(request).__name__} was not answered before its deadline."
    if isinstance(request, SetLeverage | SetMarginMode | SetPositionMode) and pending.in_doubt:
        words = f"{words} It may have been made: it can be asked for again without harm."
    return Unanswered(words=words)


def doubted_beside(pending: Pending, asked: Iterable[Pending], doubts: Doubts, now_s: float) -> bool:
    """Whether another request to place the same order leaves it in doubt: since its own deadline, by what it sent, or
    by what it may still send.

    A request whose body is not the one the order under its id has is refused whatever becomes of the order.
    """
    request, last = pending.request, pending.last
    if not isinstance(request, PlaceOrder) or (isinstance(last, OrderRefused) and last.code == REUSED):
        return False
    return doubts.of(request.key) or any(
        isinstance(each.request, PlaceOrder)
        and each.request.key == request.key
        and (each.in_doubt or each.request.deadline_s > now_s)
        for each in asked
        if each is not pending
    )


def settled_by(request: PlaceOrder, order: OrderView) -> OrderAccepted | OrderRefused | None:
    """What an order that an exchange has, or had, answers to a request under its id; None where it answers nothing.

    Of two bodies under one id one is an order, and the other never is: whoever waits for that is told so, and not at
    its deadline that nothing was executed, while the order of that id rests on the exchange.
    """
    known = already(order, request.spec)
    if isinstance(known, BodyDiffers):
        words = known.words(request.key.client_order_id)
        return OrderRefused(correlation_id=request.correlation_id, code=REUSED, words=words)
    reply = place_reply(order, request.correlation_id)
    return reply if isinstance(reply, OrderAccepted) else None


def unknown(request: PlaceOrder | CancelOrder | AmendOrder, journal_id: str, ended: str = "") -> OutcomeUnknown:
    """Nobody can know what became of a request, and what its owner can do.

    Args:
        ended: Why nobody resolves it now, in one sentence; empty where somebody does.
    """
    order_id = _order_id(request, journal_id)
    verb, again = {
        PlaceOrder: ("placed", "place it again under the same client order id, which never places it twice"),
        CancelOrder: ("cancelled", "cancel it again"),
        AmendOrder: ("changed", "ask for the same change again, which is made once"),
    }[type(request)]
    words = f"Nobody can know yet whether order {order_id} was {verb}"
    if ended:
        then = "It is resolved when the router runs again on the same state directory: ask for it by its id then"
        return OutcomeUnknown(order_id=order_id, words=f"{ended} {words}. {then}, or {again}.")
    return OutcomeUnknown(order_id=order_id, words=f"{words}; it is being resolved: ask for it by its id, or {again}.")


def _order_id(request: PlaceOrder | CancelOrder | AmendOrder, journal_id: str) -> str:
    if not isinstance(request, PlaceOrder) and request.order_id is not None:
        return request.order_id
    assert journal_id, "an order in doubt was sent, so the directory was known"
    if isinstance(request, PlaceOrder):
        return ids.order_id(journal_id, request.key)
    assert isinstance(request, CancelOrder)
    key = OrderKey(strategy=request.strategy, client_order_id=request.client_order_id or "")
    return ids.order_id(journal_id, key)
