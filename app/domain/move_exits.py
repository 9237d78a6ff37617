"""Which exits a position has on an exchange: what is armed again where it is moved to.

A slice takes along what protected the part it moves: its order has that take profit and stop loss, and so they stand on
the new exchange as those of any order do, attached where it takes them along, otherwise as orders of their own.

- Where exits are orders of their own, those that stand say what is protected, at which prices.
- Where an exchange keeps them with the order they came with, the newest orders say it which opened what stands there.

What has exits of its own is told apart from what has none; an exit that its owner has given up is not armed again.

Asked again after a part was moved, the answer must be what is left: exits that are orders stay as large as they were
until all is gone, so what has none is moved before; and what the newest orders opened is what stands there now, so what
the oldest opened is moved before.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from app.domain.exits import Exit, ExitKind
from app.domain.leg_life import LIVE, UNPROVEN
from app.domain.lots import ZERO
from app.domain.position_situation import Piece
from messages.orders import LegState, Linked, OrderView, Side

Link = tuple[OrderView, Iterable[OrderView]]
"""An order whose exits are orders of their own, and those."""


def pieces_of(
    exchange: str, quantity: Decimal, newest: Iterable[OrderView], linked: Iterable[Link]
) -> tuple[Piece, ...]:
    """What a position is made of, what is to be moved last first.

    Args:
        quantity: Of the position, signed; base coin.
        newest: Orders of the symbol that are over, the newest first.
        linked: Those on the exchange whose exits are not over.
    """
    side = Side.BUY if quantity > 0 else Side.SELL
    rest, out = abs(quantity), []
    for piece in _apart(side, linked):
        size = min(rest, piece.quantity)
        if size > 0:
            out.append(Piece(quantity=size, take_profit=piece.take_profit, stop_loss=piece.stop_loss))
            rest -= size
    for order in newest:
        if rest <= 0:
            break
        spec, filled = order.spec, ZERO
        for leg in order.legs:
            if leg.exchange == exchange and leg.linked is None:
                filled += leg.filled
        if spec.side is not side or spec.reduce_only or not filled:
            continue
        size = min(rest, filled)
        rest -= size
        out.append(Piece(quantity=size, take_profit=spec.take_profit, stop_loss=spec.stop_loss))
    return tuple(out)


def _apart(side: Side, linked: Iterable[Link]) -> Iterable[Piece]:
    """By the exits that stand."""
    for parent, exits in linked:
        if parent.spec.side is not side:
            continue
        sizes: dict[ExitKind, Decimal] = {}
        prices: dict[ExitKind, Decimal] = {}
        for order in exits:
            name, leg = Exit.named(order.key.client_order_id), order.leg
            trigger = order.now.trigger
            if name is None or leg is None or trigger is None or leg.linked in (Linked.GIVEN_UP, Linked.RESIZED):
                continue
            if leg.state in LIVE or leg.state in UNPROVEN or leg.state is LegState.HELD:
                sizes[name.kind] = sizes.get(name.kind, ZERO) + leg.quantity - leg.filled
                prices[name.kind] = trigger.price
        if sizes:
            yield Piece(
                quantity=max(sizes.values()),
                take_profit=prices.get(ExitKind.TAKE_PROFIT),
                stop_loss=prices.get(ExitKind.STOP_LOSS),
            )
