"""Reduce-only over all exchanges: what an order may reduce when its position stands elsewhere (opt-in).

An exchange knows only its own positions. While trading is on one exchange and a position still stands on another, the
first refuses to reduce it. With `positions.reduce_only_across_exchanges` such an order is sent without the flag, as an
ordinary one; then nobody but the router keeps it from turning the position round. So its quantity is held, within the
transaction that commits it, against what would be left of the router's own net position over all exchanges, were
everything that may still fill against it to fill: the bound of the interval nearest to zero. The leg that is committed
is itself among what may fill from then on, so that is the reservation, and two connectors cannot both take the same.

Counted for a position that is long, as sells (mirrored for one that is short), of the router's own:

    flagged reduce-only sells      each exchange fills them within what stands there: together that at most
    unflagged and ordinary sells   all that is left of them, in doubt or not
    buys                           nothing: they may not fill

An order is sent with the flag where it always was: where what stands on its exchange suffices, less all that may still
take from it there. Also where the net admits nothing, for the exchange to judge, as without this option; but not beside
an unflagged one that the net has room for only as long as this one is not there too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from attrs import frozen

from app.domain.book import NOTHING, ZERO, Exposure, Holding
from app.domain.leg_life import MAY_FILL
from messages.orders import OrderSpec, Side


@frozen(kw_only=True)
class Reduces:
    """It may be committed, with the exchange's own flag or without."""

    flagged: bool


@frozen(kw_only=True)
class NothingToReduce:
    """It is refused; `words` say what can still be reduced."""

    words: str


@frozen(kw_only=True)
class _Side:
    """What stands on one exchange, and what may still fill against it."""

    ours: Decimal = ZERO
    due: Decimal = ZERO
    flagged: Decimal = ZERO
    unflagged: Decimal = ZERO
    ordinary: Decimal = ZERO

    def least(self, *, flagged: Decimal = ZERO, ordinary: bool = True) -> Decimal:
        """What is left of it at least."""
        taken = min(self.flagged + flagged, max(ZERO, self.ours)) + self.unflagged
        return self.ours - taken - (self.ordinary if ordinary else ZERO)


def reduction(
    spec: OrderSpec,
    quantity: Decimal,
    exchange: str,
    holdings: Mapping[str, Holding],
    may_fill: Iterable[Exposure],
    flagged: bool | None = None,
) -> Reduces | NothingToReduce:
    """How a reduce-only order may be committed on an exchange, or why not.

    Args:
        quantity: Of its leg, base coin.
        holdings: Of its symbol, by exchange.
        may_fill: Legs of its symbol that may still fill, on all exchanges; its own that it replaces left out.
        flagged: What its leg was before, where it is sent again; None for a new one.
    """
    sides = _sides(spec.side, holdings, may_fill)
    here = sides.get(exchange, _Side())
    net = sum((side.least() for side in sides.values()), ZERO)
    beside = _beside(sides, exchange, quantity)
    if flagged is not False and beside and here.ours - here.flagged - here.unflagged - here.ordinary >= quantity:
        return Reduces(flagged=True)
    if flagged is not True and net >= quantity:
        return Reduces(flagged=False)
    if flagged is not False and beside and (here.due > 0 or flagged is True):
        return Reduces(flagged=True)
    room, asked = format(max(ZERO, net).normalize(), "f"), format(quantity.normalize(), "f")
    way = "sold" if spec.side is Side.SELL else "bought"
    words = (
        f"Over all exchanges {room} of {spec.symbol} can still be {way} to reduce what stands, should all that is open"
        f" fill, and {asked} was asked for: the reduce-only order was not sent."
    )
    return NothingToReduce(words=words)


def _beside(sides: Mapping[str, _Side], exchange: str, quantity: Decimal) -> bool:
    """Whether one more flagged order there leaves unflagged ones what they were let through for."""
    if not any(side.unflagged for side in sides.values()):
        return True
    before = sum((side.least(ordinary=False) for side in sides.values()), ZERO)
    here = sides.get(exchange, _Side())
    after = before - here.least(ordinary=False) + here.least(flagged=quantity, ordinary=False)
    return after >= 0 or after == before


def _sides(way: Side, holdings: Mapping[str, Holding], may_fill: Iterable[Exposure]) -> dict[str, _Side]:
    sign = 1 if way is Side.SELL else -1
    flagged: dict[str, Decimal] = {}
    unflagged: dict[str, Decimal] = {}
    ordinary: dict[str, Decimal] = {}
    for leg in may_fill:
        if leg.side is way and leg.state in MAY_FILL:
            kind = ordinary if not leg.reduce_only else unflagged if leg.unflagged else flagged
            kind[leg.exchange] = kind.get(leg.exchange, ZERO) + leg.left
    names = holdings.keys() | flagged.keys() | unflagged.keys() | ordinary.keys()
    return {
        name: _Side(
            ours=sign * holdings.get(name, NOTHING).ours,
            due=sign * holdings.get(name, NOTHING).due,
            flagged=flagged.get(name, ZERO),
            unflagged=unflagged.get(name, ZERO),
            ordinary=ordinary.get(name, ZERO),
        )
        for name in names
    }
