"""The book: what stands where, per exchange and symbol, and how far it could move by what may still fill.

What the exchange should show of a symbol is what the journal says: the sum of our own fills (`attributed`), and of
every difference that was found and adopted since. A difference is either of our own position, which somebody or
something has cut or closed (`adopted`), or it is somebody else's beside ours (`foreign`). Ours is what moves when
trading moves, what reduce-only is held against, and what the router answers for; what is foreign stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from attrs import frozen

from app.domain.leg_life import MAY_FILL
from messages.market import Symbol
from messages.orders import LegState, Side
from messages.positions import BookLine, Position

ZERO = Decimal(0)
Place = tuple[str, Symbol]
"""Exchange and symbol."""


@frozen(kw_only=True)
class Exposure:
    """One leg that may still fill, in base coin.

    Attributes:
        reduce_only: Asked for so.
        unflagged: Its exchange does not hold it to that.
        stop: It waits for a trigger on the losing side.
    """

    exchange: str
    symbol: Symbol
    side: Side
    quantity: Decimal
    filled: Decimal
    state: LegState
    reduce_only: bool = False
    unflagged: bool = False
    stop: bool = False

    @property
    def left(self) -> Decimal:
        """What of it may still fill."""
        return self.quantity - self.filled


@frozen(kw_only=True)
class Holding:
    """What the journal says stands on an exchange of a symbol, in base coin, signed."""

    attributed: Decimal = ZERO
    adopted: Decimal = ZERO
    foreign: Decimal = ZERO

    @property
    def ours(self) -> Decimal:
        """The router's own position."""
        return self.attributed + self.adopted

    @property
    def due(self) -> Decimal:
        """What the exchange should show."""
        return self.ours + self.foreign


NOTHING = Holding()


def shared(holding: Holding, quantity: Decimal, *, ours_first: bool) -> tuple[Decimal, Decimal]:
    """What of a difference is of our own position, and what is somebody else's; they add up to it.

    What closes something closes what is there; what is left of it is somebody's new position, never ours: the router
    opens nothing but by its own orders.

    Args:
        ours_first: It is known to have closed ours (a stop of ours, a liquidation); else what is foreign goes first,
            since who traded beside us most likely traded what was his.
    """
    taken: dict[bool, Decimal] = {}
    left = quantity
    for ours in (ours_first, not ours_first):
        there = holding.ours if ours else holding.foreign
        taken[ours] = ZERO
        if there and (there > 0) is not (left > 0) and left:
            taken[ours] = max(left, -there) if left < 0 else min(left, -there)
            left -= taken[ours]
    return taken[True], taken[False] + left


def _sides(may_fill: Iterable[Exposure]) -> tuple[dict[Place, Decimal], dict[Place, Decimal]]:
    buys: dict[Place, Decimal] = {}
    sells: dict[Place, Decimal] = {}
    for leg in may_fill:
        if leg.state in MAY_FILL:
            side, key = buys if leg.side is Side.BUY else sells, (leg.exchange, leg.symbol)
            side[key] = side.get(key, ZERO) + leg.left
    return buys, sells


def _spelled(place: Place) -> tuple[str, str]:
    return place[0], str(place[1])


def book_lines(
    holdings: Mapping[Place, Holding],
    may_fill: Iterable[Exposure],
    positions: Mapping[str, tuple[Position, ...]],
    read_s: Mapping[str, float],
    targets: Mapping[Place, Decimal] | None = None,
) -> tuple[BookLine, ...]:
    """Puts sums, legs and positions together, sorted by exchange and symbol.

    A leg that is live, unproven or held widens the interval by what of it may still fill, an unproven one by all of it.

    Args:
        holdings: By exchange and symbol, what the journal says, with what has filled of `may_fill`.
        may_fill: Every leg that may still fill; any other is passed over.
        positions: By exchange, as last read.
        read_s: By exchange, when; exchanges never read are missing.
        targets: What should come to stand there; where it is missing, what is there.
    """
    buys, sells = _sides(may_fill)
    targets = {} if targets is None else targets
    actual = {(exchange, p.symbol): p.quantity for exchange, held in positions.items() for p in held}
    lines = []
    keys = holdings.keys() | buys.keys() | sells.keys() | actual.keys() | targets.keys()
    for key in sorted(keys, key=_spelled):
        exchange, symbol = key
        holding = holdings.get(key, NOTHING)
        known = actual.get(key, ZERO) if exchange in read_s else None
        base = holding.due if known is None else known
        lines.append(
            BookLine(
                exchange=exchange,
                symbol=symbol,
                actual=known,
                attributed=holding.attributed,
                adopted=holding.adopted,
                foreign=holding.foreign,
                target=targets.get(key, holding.due),
                possible_min=base - sells.get(key, ZERO),
                possible_max=base + buys.get(key, ZERO),
                at_s=read_s.get(exchange),
            )
        )
    return tuple(lines)


def net_lines(lines: Iterable[BookLine]) -> tuple[BookLine, ...]:
    """The same per symbol over all exchanges, sorted by symbol; their exchange is empty.

    What has not been read of an exchange counts as the journal says, so that `actual` is None unless all were read.
    """
    by_symbol: dict[Symbol, list[BookLine]] = {}
    for line in lines:
        by_symbol.setdefault(line.symbol, []).append(line)
    out = []
    for symbol, held in sorted(by_symbol.items(), key=lambda each: str(each[0])):
        known = [line.actual for line in held if line.actual is not None]
        read = [line.at_s for line in held if line.at_s is not None]
        out.append(
            BookLine(
                exchange="",
                symbol=symbol,
                actual=sum(known, ZERO) if len(known) == len(held) else None,
                attributed=sum((line.attributed for line in held), ZERO),
                adopted=sum((line.adopted for line in held), ZERO),
                foreign=sum((line.foreign for line in held), ZERO),
                target=sum((line.target or ZERO for line in held), ZERO),
                possible_min=sum((line.possible_min for line in held), ZERO),
                possible_max=sum((line.possible_max for line in held), ZERO),
                at_s=min(read) if len(read) == len(held) else None,
            )
        )
    return tuple(out)


def targets_of(holdings: Mapping[Place, Holding], policy: str, in_use: str | None) -> dict[Place, Decimal]:
    """What should come to stand where by a policy, where all is done that it asks for.

    Args:
        policy: ``track``: what is there. ``migrate``: what is ours goes to the exchange in use. ``flatten``: nothing of
            ours. ``mirror``: what is ours elsewhere stands on the exchange in use as well.
        in_use: Where trading is; None while it is nowhere, and nothing moves.
    """
    targets = {place: holding.due for place, holding in holdings.items()}
    if in_use is None or policy == "track":
        return targets
    for (exchange, symbol), holding in holdings.items():
        if exchange == in_use or not holding.ours:
            continue
        if policy in ("migrate", "flatten"):
            targets[exchange, symbol] -= holding.ours
        if policy in ("migrate", "mirror"):
            here = holdings.get((in_use, symbol), NOTHING)
            targets[in_use, symbol] = targets.get((in_use, symbol), here.due) + holding.ours
    return targets
