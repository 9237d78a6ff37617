"""The book that a taker meets: levels one tick apart, each of the same quantity, full again for the next order.

Nothing is random, and one taker leaves no trace for the next: so what an order gets is decided by the order, the
reference price and the market's `level_qty` alone, and a big one fills in parts at several prices.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from attrs import frozen

from app.simulator.model import ZERO, Side


@frozen
class Level:
    """A price and the quantity there, base coin; of a plan, the part that is taken there."""

    price: Decimal
    qty: Decimal


def levels(touch: Decimal, tick: Decimal, level_qty: Decimal | None, count: int, side: Side) -> Iterator[Level]:
    """What a taker on `side` meets, best price first; without `level_qty` one level that holds anything."""
    if level_qty is None:
        yield Level(touch, Decimal("Infinity"))
        return
    for n in range(count):
        price = touch + n * tick * side.sign
        if price <= 0:
            return
        yield Level(price, level_qty)


def plan(book: Iterable[Level], side: Side, qty: Decimal, limit: Decimal | None) -> list[Level]:
    """What a taker of `qty` gets, at prices no worse than `limit`; less than `qty` where the book ends."""
    parts: list[Level] = []
    for level in book:
        if qty <= 0 or (limit is not None and (level.price - limit) * side.sign > 0):
            break
        parts.append(Level(level.price, min(qty, level.qty)))
        qty -= parts[-1].qty
    return parts


def affordable(book: Iterable[Level], cost: Decimal, step: Decimal) -> Decimal:
    """The quantity, in whole steps, that `cost` of the quote coin buys from the book; never more than it pays for."""
    qty = ZERO
    for level in book:
        here = min(level.qty, cost / level.price // step * step)
        qty += here
        cost -= here * level.price
        if here < level.qty:
            break
    return qty


def total(parts: Iterable[Level]) -> Decimal:
    """Quantity of a plan, base coin."""
    return sum((p.qty for p in parts), ZERO)


def cost_of(parts: Iterable[Level]) -> Decimal:
    """Price of a plan, quote coin."""
    return sum((p.qty * p.price for p in parts), ZERO)
