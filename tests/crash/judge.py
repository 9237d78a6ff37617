"""What the journal holds of one order, and what its caller was told, against the exchange's books. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.domain.leg_life import LIVE, UNPROVEN
from messages.orders import LegState, LegView, OrderType, OrderView

STATES: Mapping[str, frozenset[LegState]] = {
    "open": frozenset({LegState.OPEN}),
    "partially_filled": frozenset({LegState.PARTIALLY_FILLED}),
    "filled": frozenset({LegState.FILLED}),
    "cancelled": frozenset({LegState.CANCELLED}),
    "expired": frozenset({LegState.EXPIRED, LegState.CANCELLED}),
    "rejected": frozenset({LegState.REFUSED}),
}
"""What the journal may call an order that the exchange's books call so."""
NOWHERE = frozenset({LegState.ABSENT, LegState.REFUSED, LegState.CANCELLED})
"""What it may call one that the exchange never had; CANCELLED where its owner withdrew it."""

Held = Mapping[str, Sequence[Mapping[str, Any]]]
"""By wire id: every order the exchange ever had under it."""


def difference(order: OrderView | None, held: Held) -> str:
    """In what the journal and the exchange's books differ; empty where in nothing.

    An order that was never committed, so that no wire id is known of it, differs in nothing: whether the exchange has
    orders nobody asked for is counted over all of them.
    """
    if order is None:
        return ""
    alive = 0
    for leg in order.legs:
        there = held.get(leg.wire_id, ())
        alive += sum(each["status"] in ("open", "partially_filled") for each in there)
        if len(there) > 1:
            return f"it is {len(there)} times on the exchange under one wire id"
        found = _leg_differs(order, leg, there[0] if there else None)
        if found:
            return found
    filled = sum((Decimal(each["filled"]) for leg in order.legs for each in held.get(leg.wire_id, ())), Decimal(0))
    if filled > order.quantity:
        return f"{filled} of it have filled, and it is for {order.quantity}"
    return f"{alive} of its legs can fill on the exchange" if alive > 1 else ""


def _leg_differs(order: OrderView, leg: LegView, there: Mapping[str, Any] | None) -> str:
    if leg.state in UNPROVEN:
        return f"the journal says {leg.state}"
    if there is None:
        said = f"the journal says {leg.state}, {leg.filled} filled, and the exchange never had it"
        return "" if leg.state in NOWHERE and leg.filled == 0 else said
    if leg.state not in STATES[there["status"]]:
        return f"the journal says {leg.state}, the exchange {there['status']}"
    if leg.filled != Decimal(there["filled"]):
        return f"the journal says {leg.filled} filled, the exchange {there['filled']}"
    if leg.filled and leg.average_price != Decimal(there["avg_price"]):
        return f"the journal says {leg.average_price} on average, the exchange {there['avg_price']}"
    if leg.state not in LIVE:
        return ""
    if leg.most is not None:
        return f"the journal says that it may be for {leg.most}"
    if leg.quantity != Decimal(there["qty"]):
        return f"the journal says {leg.quantity} in all, the exchange {there['qty']}"
    price = order.spec.price if leg.price is None else leg.price
    if order.spec.order_type is OrderType.LIMIT and price != Decimal(there["price"]):
        return f"the journal says a price of {price}, the exchange {there['price']}"
    return ""


DONE = frozenset({"New", "PartiallyFilled", "Filled", "Cancelled"})
"""Of a placement: what the caller is told where an exchange has the order."""


def lie(verb: str, told: Mapping[str, Any] | None, error: str, there: Mapping[str, Any] | None, wanted: str) -> str:
    """What a caller was told that is not so; empty for nothing.

    Args:
        verb: "place", "cancel" or "amend".
        told: The order, as the call returned it; None where it raised.
        error: What it raised: "unknown" claims nothing, anything else that nothing was done.
        there: What the exchange has of it.
        wanted: The quantity a change asked for.
    """
    done = {
        "place": there is not None and there["status"] != "rejected",
        "cancel": there is not None and there["status"] == "cancelled",
        "amend": there is not None and Decimal(there["qty"]) == Decimal(wanted),
    }[verb]
    if error == "unknown":
        return ""
    if told is None:
        return f"told that it was not done ({error}), and it was" if done else ""
    claims = {
        "place": told["orderStatus"] in DONE,
        "cancel": told["orderStatus"] == "Cancelled",
        "amend": Decimal(told["qty"]) == Decimal(wanted),
    }[verb]
    if claims and not done:
        return "told that it was done, and it was not"
    return "" if claims else f"told {told['orderStatus']}, {told['qty']}, which answers nothing"
