"""The book: what stands where, per exchange and symbol, and how far it could move by what may still fill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from attrs import frozen

from app.domain.leg_life import MAY_FILL
from messages.market import Symbol
from messages.orders import LegState, Side
from messages.positions import BookLine, Position

ZERO = Decimal(0)


@frozen(kw_only=True)
class Exposure:
    """One leg that may still fill, in base coin."""

    exchange: str
    symbol: Symbol
    side: Side
    quantity: Decimal
    filled: Decimal
    state: LegState


def book_lines(
    attributed: Mapping[tuple[str, Symbol], Decimal],
    may_fill: Iterable[Exposure],
    positions: Mapping[str, tuple[Position, ...]],
    read_s: Mapping[str, float],
) -> tuple[BookLine, ...]:
    """Puts sums, legs and positions together, sorted by exchange and symbol.

    A leg that is live, unproven or held widens the interval by what of it may still fill, an unproven one by all of it.

    Args:
        attributed: By exchange and symbol, what the router's own fills add up to, with what has filled of `may_fill`.
        may_fill: Every leg that may still fill; any other is passed over.
        positions: By exchange, as last read.
        read_s: By exchange, when; exchanges never read are missing.
    """
    buys: dict[tuple[str, Symbol], Decimal] = {}
    sells: dict[tuple[str, Symbol], Decimal] = {}
    for leg in may_fill:
        if leg.state in MAY_FILL:
            side = buys if leg.side is Side.BUY else sells
            key = (leg.exchange, leg.symbol)
            side[key] = side.get(key, ZERO) + leg.quantity - leg.filled
    actual = {(exchange, p.symbol): p.quantity for exchange, held in positions.items() for p in held}
    lines = []
    for key in sorted(
        attributed.keys() | buys.keys() | sells.keys() | actual.keys(), key=lambda pair: (pair[0], str(pair[1]))
    ):
        exchange, _ = key
        known = actual.get(key, ZERO) if exchange in read_s else None
        base = attributed.get(key, ZERO) if known is None else known
        lines.append(
            BookLine(
                exchange=exchange,
                symbol=key[1],
                actual=known,
                attributed=attributed.get(key, ZERO),
                possible_min=base - sells.get(key, ZERO),
                possible_max=base + buys.get(key, ZERO),
                at_s=read_s.get(exchange),
            )
        )
    return tuple(lines)
