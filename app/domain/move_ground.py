"""What the journal says of positions that move, put in the order in which a decision asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from attrs import field, frozen

from app.domain.exits import parent_of
from app.domain.ids import ROUTER
from app.domain.leg_life import MAY_FILL
from app.domain.lots import ZERO
from app.domain.moving import Move, MoveKind
from app.domain.position_situation import Piece, Standing
from messages.failover import Route
from messages.market import Symbol
from messages.orders import LegView, OrderSpec, OrderType, OrderView, Side
from messages.positions import PositionPolicy, Slice

Place = tuple[str, Symbol]
"""An exchange and a symbol."""


@frozen(kw_only=True)
class Ground:
    """One moment of the journal.

    Attributes:
        standing: By symbol and exchange.
        opened: Every order that may still fill, on whatever exchange.
        done: Of a symbol, all orders of moves under the route's epoch, in order.
        pieces: What of a position, by place and its signed quantity, has exits there.
        left: The exchange trading was on before; empty where that is not known.
        frozen: Why no position is moved; empty where it is.
        flatten: A person wants every position closed.
    """

    route: Route
    standing: Mapping[Symbol, Mapping[str, Standing]]
    opened: tuple[OrderView, ...] = ()
    done: Callable[[Symbol], tuple[OrderView, ...]] = field(default=lambda _: ())
    pieces: Callable[[str, Symbol, Decimal], tuple[Piece, ...]] = field(default=lambda *_: ())
    left: str = ""
    frozen: str = ""
    flatten: bool = False

    @classmethod
    def of(cls, rows: Iterable[Standing], **more: object) -> Ground:
        """From rows of the journal."""
        standing: dict[Symbol, dict[str, Standing]] = {}
        for row in rows:
            standing.setdefault(row.symbol, {})[row.exchange] = row
        return cls(standing=standing, **more)  # type: ignore[arg-type]

    @property
    def marks(self) -> Mapping[str, object]:
        """By exchange, what our fills there add up to: where that is another, so is what stands there."""
        out: dict[str, tuple[object, ...]] = {}
        for symbol in sorted(self.standing, key=str):
            for name, row in self.standing[symbol].items():
                out[name] = (*out.get(name, ()), symbol, row.attributed)
        return out

    def imbalance(self, symbol: Symbol) -> Decimal:
        """What moves have opened of a symbol and not closed."""
        return sum((row.moved for row in self.standing.get(symbol, {}).values()), ZERO)

    def moving(self, symbol: Symbol) -> tuple[OrderView, ...]:
        """Orders of moves of a symbol that may still fill."""
        return tuple(o for o in self.opened if o.spec.symbol == symbol and Move.named(o.key) is not None)

    def exits(self, place: Place) -> tuple[OrderView, ...]:
        """Exits that stand there."""
        exchange, symbol = place
        here = (order for order in self.opened if order.spec.symbol == symbol and parent_of(order.key))
        return tuple(order for order in here if any(leg.exchange == exchange for leg in _may_fill(order)))

    def own_prices(self, place: Place) -> tuple[Decimal | None, Decimal | None]:
        """The highest price at which an order of ours may buy there, and the lowest at which one may sell."""
        return own_prices(self.opened, place)


def own_prices(opened: Iterable[OrderView], place: Place) -> tuple[Decimal | None, Decimal | None]:
    """Of orders that may still fill: the highest price at which one may buy at a place, the lowest to sell."""
    exchange, symbol = place
    bids: list[Decimal] = []
    asks: list[Decimal] = []
    for order in opened:
        spec = order.now
        if spec.symbol != symbol or spec.order_type is not OrderType.LIMIT or spec.trigger is not None:
            continue  # what waits for its trigger is in no book
        for leg in _may_fill(order):
            if leg.exchange == exchange:
                own = bids if spec.side is Side.BUY else asks
                own += [price for price in (_price(order, leg), _wanted(leg)) if price is not None]
    return max(bids, default=None), min(asks, default=None)


def meets_own(opened: Iterable[OrderView], exchange: str, spec: OrderSpec) -> str:
    """Why an order would trade with one of ours, in a sentence; empty where it would not."""
    bid, ask = own_prices(opened, (exchange, spec.symbol))
    own = ask if spec.side is Side.BUY else bid
    if own is None or (spec.price is not None and (spec.price < own if spec.side is Side.BUY else spec.price > own)):
        return ""
    what = f"To {spec.side.value} {spec.symbol} on {exchange} at {spec.price}"
    return f"{what} would trade with an order of our own at {own}."


def _may_fill(order: OrderView) -> Iterable[LegView]:
    return (leg for leg in order.legs if leg.state in MAY_FILL)


def _price(order: OrderView, leg: LegView) -> Decimal | None:
    return order.spec.price if leg.price is None else leg.price


def _wanted(leg: LegView) -> Decimal | None:
    return None if leg.wanted is None else leg.wanted.price


def spent(done: Iterable[OrderView]) -> tuple[Decimal, Decimal]:
    """What was opened by orders of moves, and what moving it cost so far, in quote coin.

    Of what was opened and is not closed, and of what the exchange told no price for, the limit stands.
    """
    opened = cost = open_now = last = ZERO
    for order in done:
        name, leg = Move.named(order.key), order.leg
        if name is None or name.kind not in (MoveKind.OPEN, MoveKind.CLOSE) or leg is None or not leg.filled:
            continue
        price = leg.average_price or order.spec.price or ZERO
        signed = leg.filled if order.spec.side is Side.BUY else -leg.filled
        cost, open_now, last = cost + signed * price, open_now + signed, price
        opened += leg.filled * price if name.kind is MoveKind.OPEN else ZERO
    return opened, cost - open_now * last


def moved(done: Iterable[OrderView], in_use: str) -> tuple[Slice, ...]:
    """What orders of moves have done, as it is told: each part that was closed, or opened for good."""
    out = []
    for order in done:
        name, leg = Move.named(order.key), order.leg
        if name is None or name.kind is MoveKind.OPEN or leg is None or not leg.filled:
            continue
        buys, opens = order.spec.side is Side.BUY, name.kind is MoveKind.MIRROR
        price = leg.average_price or order.spec.price or ZERO
        out.append(
            Slice(
                symbol=order.spec.symbol,
                from_exchange="" if opens else leg.exchange,
                to_exchange=in_use if name.kind is not MoveKind.FLAT else "",
                quantity=leg.filled,
                long=buys is opens,
                open_limit=price if opens else None,
                close_limit=None if opens else price,
                notional=leg.filled * price,
            )
        )
    return tuple(out)


def stale_exits(
    ground: Ground, policy: PositionPolicy, exchanges: Iterable[str], *, everywhere: bool
) -> tuple[tuple[str, OrderView], ...]:
    """Exits that stand where nothing of ours does any more: they protect nothing, and are to be cancelled.

    So do those of a slice that was undone where it was opened: what stands there otherwise is not theirs to close.
    Until they are gone, they count among what may still fill.

    Args:
        everywhere: Of FLATTEN: also on the exchange in use.
    """
    if policy not in (PositionPolicy.MIGRATE, PositionPolicy.FLATTEN):
        return ()
    also_here = policy is PositionPolicy.FLATTEN and everywhere
    out: dict[tuple[str, str], OrderView] = {}
    for symbol, rows in ground.standing.items():
        if ground.imbalance(symbol):
            continue
        for name in exchanges:
            exits = ground.exits((name, symbol)) if name in rows else ()
            left = not rows[name].attributed if exits else False
            if not (left and (also_here or name != ground.route.exchange)):
                moves = any(order.key.strategy == ROUTER for order in exits)
                gone = undone(ground.done(symbol)) if moves else frozenset[str]()
                exits = tuple(order for order in exits if parent_of(order.key) in gone)
            out |= {(name, order.order_id): order for order in exits}
    return tuple((name, order) for (name, _), order in out.items())


def undone(done: Iterable[OrderView]) -> frozenset[str]:
    """Ids of orders that opened a slice all of which was closed again where it was opened."""
    opened, back, out = None, ZERO, set[str]()
    for order in done:
        name, leg = Move.named(order.key), order.leg
        if name is None or leg is None or not leg.filled:
            continue
        if name.kind is MoveKind.OPEN:
            opened, back = order, ZERO
        elif name.kind is MoveKind.CLOSE and opened is not None and opened.leg is not None:
            back += leg.filled if leg.exchange == opened.leg.exchange else ZERO
            if back >= opened.leg.filled:
                out.add(opened.order_id)
    return frozenset(out)
