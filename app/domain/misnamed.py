"""Answers to who asks for an order that is none of theirs, or none at all."""

from __future__ import annotations

from messages.base import Failed
from messages.executions import GetOrderFills
from messages.orders import AmendOrder, CancelOrder, GetOrder, OrderView


def unknown_order(request: CancelOrder | AmendOrder | GetOrder | GetOrderFills) -> Failed:
    """There is no such order."""
    name = request.order_id or getattr(request, "client_order_id", None)
    words = f"No order {name!r} of strategy {request.strategy!r} is known: nothing was ever sent under this id."
    return Failed(correlation_id=request.correlation_id, code="unknown_order", words=words)


def other_symbol(request: CancelOrder | AmendOrder, order: OrderView, what: str) -> Failed:
    """It is of another symbol; nothing was done (`what` in the past)."""
    words = f"Order {order.order_id} is of {order.spec.symbol}, not of {request.symbol}: nothing was {what}."
    return Failed(correlation_id=request.correlation_id, code="invalid_symbol", words=words)
