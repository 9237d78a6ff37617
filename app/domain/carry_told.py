"""What became of an order that was taken off its exchange, in the words of the history: rows, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from attrs import asdict

from app.domain.history_chain import HistoryRow
from messages.carries import CarryReply, OrderCarried, OrderParked
from messages.orders import OrderView

CARRIED, PARKED = "carried", "parked"
"""Steps of the history, written in the transaction that does it."""


def carried_of(order: OrderView) -> dict[str, Any]:
    """Of an order whose newest leg takes up what was left of the one before."""
    leg, before = order.legs[-1], order.legs[-2]
    price = order.now.price
    return asdict(
        OrderCarried(
            order_id=order.order_id,
            client_order_id=order.key.client_order_id,
            from_exchange=before.exchange,
            to_exchange=leg.exchange,
            filled=format(order.filled, "f"),
            quantity=format(leg.quantity, "f"),
            price="" if price is None else format(price, "f"),
        )
    )


def parked_of(order: OrderView, code: str, words: str) -> dict[str, Any]:
    """Of an order that waits for its owner, and why."""
    return asdict(
        OrderParked(
            order_id=order.order_id,
            client_order_id=order.key.client_order_id,
            from_exchange=order.legs[-1].exchange,
            quantity=format(order.quantity - order.filled, "f"),
            code=code,
            words=words,
        )
    )


def told(rows: Iterable[HistoryRow], exchange: str) -> CarryReply:
    """What rows of the history say was placed and parked, as the connector in use would tell it."""
    carried: dict[str, OrderCarried] = {}
    parked: dict[str, OrderParked] = {}
    for row in rows:
        if row.step == CARRIED:
            one = OrderCarried(**json.loads(row.detail))
            carried[one.order_id] = one
            parked.pop(one.order_id, None)
        elif row.step == PARKED:
            kept = OrderParked(**json.loads(row.detail))
            parked[kept.order_id] = kept
    return CarryReply(
        correlation_id="",
        exchange=exchange,
        carried=tuple(carried.values()),
        parked=tuple(parked.values()),
        waiting=0,
    )
