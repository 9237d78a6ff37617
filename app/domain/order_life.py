"""The life of an order: what it is, by its newest leg and by what became of the legs before it.

An order has no state of its own in the journal: it is what its legs are, so that no two records can differ. For as long
as it has one leg, it is what that leg is. A second one is there after a carry, or where a leg of which nobody knows was
set aside (`LegState.HELD`); then a newest leg that executed nothing does not mean that the order did not. The table
answers every pair of the newest leg's state and of what is known of the others.

SENT is an intent in the journal: it is sent in the turn that wrote it, and after a death nobody could tell the two
apart (`app.domain.leg_life` says why there is no record of the sending).
"""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from app.domain.leg_table import ASIDE
from messages.orders import LegState, OrderView


class OrderState(StrEnum):
    """What an order is.

    Attributes:
        INTENT: Asked for; nothing of it is in the journal yet, so nothing was sent.
        SENT: In the journal, and on its way.
        UNKNOWN: It may have executed, and nobody can know yet.
        LIVE: The exchange has it, nothing filled.
        PARTIALLY_FILLED: Part of it filled, and the rest rests.
        FILLED: All that was asked has filled.
        CANCELLED: It is over, and not all of it filled, perhaps nothing.
        EXPIRED: The same, by its time in force.
        REFUSED: By a code; nothing of it executed on any exchange.
        ABSENT: Proven never to have executed on any exchange: it may be placed again.
        UNFINISHED: Part of it filled in an older leg, and its newest is proven absent: the rest may be placed again.
        HELD: Its newest leg is over, and one that was set aside may have executed: nobody can know yet.
        MOVING: It was taken off an exchange that was left, and what is left of it is to be placed where trading is.
        PARKED: The same, but what is left waits for its owner.
    """

    INTENT = "intent"
    SENT = "sent"
    UNKNOWN = "unknown"
    LIVE = "live"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUSED = "refused"
    ABSENT = "absent"
    UNFINISHED = "unfinished"
    HELD = "held"
    MOVING = "moving"
    PARKED = "parked"


class Elders(StrEnum):
    """What the legs before the newest executed.

    Attributes:
        NOTHING: There are none, or nothing of them executed, nor ever will.
        RESTED: The same, but an exchange had one: it was cancelled to be replaced, or found after it was set aside.
        SOME: Some of what was asked.
        ALL: With the newest leg's fills, all of it or more.
        IN_DOUBT: One is set aside, and may have executed.
    """

    NOTHING = "nothing"
    RESTED = "rested"
    SOME = "some"
    ALL = "all"
    IN_DOUBT = "in_doubt"


@frozen
class Impossible:
    """No order is so, and why."""

    why: str


L, O, N = LegState, OrderState, Elders  # noqa: E741  (the states of legs and of orders stand side by side below)


def _whatever(state: OrderState) -> dict[Elders, OrderState | Impossible]:
    return dict.fromkeys(N, state)


def _over(state: OrderState) -> dict[Elders, OrderState | Impossible]:
    """The newest leg is over: what the others did decides, and where nobody knows that, nobody knows of the order."""
    part = {O.REFUSED: O.CANCELLED, O.ABSENT: O.UNFINISHED}.get(state, state)
    rested = O.CANCELLED if state is O.REFUSED else state  # what an exchange had was not refused
    return {N.NOTHING: state, N.RESTED: rested, N.SOME: part, N.ALL: O.FILLED, N.IN_DOUBT: O.HELD}


TABLE: dict[LegState, dict[Elders, OrderState | Impossible]] = {
    L.INTENT: _whatever(O.SENT),
    L.UNKNOWN: _whatever(O.UNKNOWN),
    L.OPEN: _whatever(O.PARTIALLY_FILLED) | {N.NOTHING: O.LIVE, N.RESTED: O.LIVE, N.IN_DOUBT: O.LIVE},
    L.PARTIALLY_FILLED: _whatever(O.PARTIALLY_FILLED),
    L.FILLED: _whatever(O.FILLED),
    L.CANCELLED: _over(O.CANCELLED),
    L.EXPIRED: _over(O.EXPIRED),
    L.REFUSED: _over(O.REFUSED),
    L.ABSENT: _over(O.ABSENT),
    L.HELD: dict.fromkeys(N, Impossible("a leg is set aside only for a newer one")),
    L.DRAINED: _whatever(O.MOVING) | {N.ALL: O.FILLED},
    L.PARKED: _whatever(O.PARKED) | {N.ALL: O.FILLED},
}
"""By the newest leg's state, then by the others."""

UNPROVEN = frozenset({O.SENT, O.UNKNOWN, O.HELD})
"""Nobody can know yet what became of it."""

NOTHING_EXECUTED = frozenset({O.REFUSED, O.ABSENT})
PLACEABLE = frozenset({O.ABSENT, O.UNFINISHED, O.HELD})
"""A request to place it may commit a leg of it again: an ABSENT newest leg, of a HELD order under the owner's
policy."""

OPEN = frozenset({O.SENT, O.UNKNOWN, O.LIVE, O.PARTIALLY_FILLED, O.HELD, O.MOVING, O.PARKED})
"""Something of it may still fill, as far as its newest leg, or nobody, knows, or is yet to be placed."""


_HAD = frozenset({L.CANCELLED, L.EXPIRED})


def elders_of(order: OrderView) -> Elders:
    """What its legs before the newest executed."""
    elders = order.legs[:-1]
    if any(leg.state in ASIDE for leg in elders):
        return N.IN_DOUBT
    if not any(leg.filled for leg in elders):
        had = any(leg.state in _HAD and leg.exchange_order_id is not None for leg in elders)
        return N.RESTED if had else N.NOTHING
    return N.ALL if order.filled >= order.quantity else N.SOME


def state_of(order: OrderView) -> OrderState:
    """What an order is.

    Raises:
        ValueError: No order is so; the journal was written by something else.
    """
    leg = order.leg
    if leg is None:
        return O.INTENT
    found = TABLE[leg.state][N.NOTHING if len(order.legs) == 1 else elders_of(order)]
    if isinstance(found, Impossible):
        raise ValueError(f"Order {order.order_id} has {leg.state.value} as its newest leg: {found.why}.")
    return found


def unproven(order: OrderView) -> bool:
    """Whether nobody can know yet what became of it; False of one of which nothing was committed."""
    return state_of(order) in UNPROVEN
