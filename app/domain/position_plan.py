"""Which slices carry a position to the exchange in use: a pure plan over the book, the quotes and the limits.

Theory. A position on an exchange that is not in use still exists, so copying it would double the exposure. It is moved
in slices: a slice is opened where trading is, then as much is closed where it was, so that the net over all exchanges
is never off by more than one slice, whatever happens between the two. What is moved of a position is the least of

    what our own fills add up to there     more is not ours to move
    the same with what was adopted         less where somebody, or a stop, has closed some of it
    what the exchange says is there        closing more would open the other way round

and nothing where these differ in sign. A slice fits both markets: whole steps of both, at least what both take. What is
left of it, less than a step or than the least order, is dust: it stays, and is told.

A slice is priced as an order that executes at once or not at all, so that nothing of it rests: at most `max_slippage`
beyond the best price. Where an order of our own rests within that, the bound is drawn in to a tick before it, and
where our own order is the best price nothing is moved until it is not. What a slice is expected to cost is what is
paid on one exchange more than is got on the other, by the best prices; where that is more than `max_cost` of its
worth, or with it all that was moved under the same route would have cost more, the position waits for better ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from attrs import frozen

from app.domain.lots import ZERO, common_step, cut, down, least, plain
from app.domain.position_situation import MoveLimits, Piece, Situation, Venue
from messages.market import Symbol
from messages.orders import Side
from messages.positions import NotMoved, PositionPlan, PositionPolicy, Slice


@frozen(kw_only=True)
class PlannedSlice:
    """One slice: opened on an exchange, then closed on another.

    Attributes:
        quantity: Base coin, signed as the position.
        open_limit: The worst price for opening it; None where it is only closed.
        close_limit: The worst for closing it; None where it is only opened.
        cost: What it is expected to cost, in quote coin; below zero where it gains.
        bound: The most a slice may be here, base coin.
        piece: The exits it takes along; None where it has none.
    """

    from_exchange: str
    to_exchange: str
    quantity: Decimal
    open_limit: Decimal | None
    close_limit: Decimal | None
    notional: Decimal
    cost: Decimal
    bound: Decimal
    piece: Piece | None = None

    def shown(self, symbol: Symbol) -> Slice:
        """As it is told."""
        return Slice(
            symbol=symbol,
            from_exchange=self.from_exchange if self.close_limit is not None else "",
            to_exchange=self.to_exchange,
            quantity=abs(self.quantity),
            long=self.quantity > 0,
            open_limit=self.open_limit,
            close_limit=self.close_limit,
            notional=self.notional,
        )


@frozen(kw_only=True)
class SymbolPlan:
    """What is to be done about one symbol.

    Attributes:
        slices: In order.
        waits: What is not moved now, and looked at again.
        dust: What stays for good.
    """

    symbol: Symbol
    slices: tuple[PlannedSlice, ...] = ()
    waits: tuple[NotMoved, ...] = ()
    dust: tuple[NotMoved, ...] = ()


def shown(plans: Iterable[SymbolPlan]) -> PositionPlan:
    """Plans of several symbols, as they are told."""
    plans = tuple(plans)
    slices = [(one.symbol, each) for one in plans for each in one.slices]
    return PositionPlan(
        slices=tuple(each.shown(symbol) for symbol, each in slices),
        notional=sum((each.notional for _, each in slices), ZERO),
        cost=sum((each.cost for _, each in slices), ZERO),
        stays=tuple(each for one in plans for each in (*one.waits, *one.dust)),
    )


@frozen
class _Cut:
    """One source, as far as it was cut, and what of it waits or stays, with the reason."""

    slices: tuple[PlannedSlice, ...] = ()
    wait: str = ""
    dust: str = ""
    stays: Decimal = ZERO


def opening_side(quantity: Decimal) -> Side:
    """The side of an order that opens a signed quantity."""
    return Side.BUY if quantity > 0 else Side.SELL


def closing_side(quantity: Decimal) -> Side:
    """The side of an order that closes it."""
    return Side.SELL if quantity > 0 else Side.BUY


def plan(situation: Situation, limits: MoveLimits) -> SymbolPlan:
    """What moves, slice by slice, were nothing to change meanwhile."""
    cutting = _CUTTING.get(situation.policy, _flattened)
    cuts = [(source, cutting(situation, source, limits)) for source in situation.sources]

    def stays(source: Venue, quantity: Decimal, words: str) -> NotMoved:
        return NotMoved(exchange=source.exchange, symbol=situation.symbol, quantity=quantity, words=words)

    return SymbolPlan(
        symbol=situation.symbol,
        slices=tuple(each for _, one in cuts for each in one.slices),
        waits=tuple(stays(source, source.attributed, one.wait) for source, one in cuts if one.wait),
        dust=tuple(stays(source, one.stays, one.dust) for source, one in cuts if one.dust),
    )


def unanswered(symbol: Symbol, venues: Iterable[Venue]) -> str:
    """One sentence on the first that does not answer; empty where all do."""
    for venue in venues:
        if not venue.answers:
            why = f": {venue.words}" if venue.words else ""
            return f"{symbol} waits until {venue.exchange} answers{why}."
    return ""


def slice_bound(limits: MoveLimits, step: Decimal, minimum: Decimal, price: Decimal) -> Decimal:
    """The most one slice may be, in base coin: what it may be worth, or the least order where that is more."""
    return max(down(limits.slice_notional / price, step), minimum)


def _migrated(situation: Situation, source: Venue, limits: MoveLimits) -> _Cut:
    here, symbol = situation.here, situation.symbol
    if words := unanswered(symbol, (here, source)):
        return _Cut(wait=words)
    assert here.market is not None
    assert source.market is not None
    quantity = source.movable
    side = opening_side(quantity)
    price = here.market.touch(side)
    step = common_step(here.market.lots.step, source.market.lots.step)
    minimum = max(least(here.market.lots, price), source.market.lots.minimum)
    if not quantity:
        return _Cut(wait=_not_there(symbol, source))
    bound = slice_bound(limits, step, minimum, price)
    pieces = _in_pieces(abs(quantity), source.pieces, bound, step, minimum)
    stays = quantity - sum((size for size, _ in pieces), ZERO).copy_sign(quantity)
    dust = f"{plain(stays)} {symbol} stays on {source.exchange}: less than both exchanges take." if stays else ""
    open_limit = here.market.limit(side, limits.max_slippage)
    other = closing_side(quantity)
    close_limit = source.market.limit(other, limits.max_slippage)
    for venue, limit, what in ((here, open_limit, side), (source, close_limit, other)):
        if limit is None and pieces:
            return _Cut(wait=_meets_own(symbol, venue, what), dust=dust, stays=stays)
    each_costs = price - source.market.touch(other) if side is Side.BUY else source.market.touch(other) - price
    first = pieces[0][0] if pieces else ZERO
    most = limits.max_cost * (first * price + situation.moved_notional)
    if pieces and (each_costs > limits.max_cost * price or first * each_costs + situation.spent > most):
        words = _too_dear(situation, source, each_costs / price, limits)
        return _Cut(wait=words, dust=dust, stays=stays)
    slices = tuple(
        PlannedSlice(
            from_exchange=source.exchange,
            to_exchange=here.exchange,
            quantity=size.copy_sign(quantity),
            open_limit=open_limit,
            close_limit=close_limit,
            notional=size * price,
            cost=size * each_costs,
            bound=bound,
            piece=piece,
        )
        for size, piece in pieces
    )
    return _Cut(slices=slices, dust=dust, stays=stays)


def _flattened(situation: Situation, source: Venue, limits: MoveLimits) -> _Cut:
    symbol = situation.symbol
    if words := unanswered(symbol, (source,)):
        return _Cut(wait=words)
    assert source.market is not None
    quantity, lots = source.movable, source.market.lots
    if not quantity:
        return _Cut(wait=_not_there(symbol, source))
    side = closing_side(quantity)
    price = source.market.touch(side)
    bound = slice_bound(limits, lots.step, lots.minimum, price)
    sizes = cut(abs(quantity), bound, lots.step, lots.minimum)
    stays = quantity - sum(sizes, ZERO).copy_sign(quantity)
    dust = f"{plain(stays)} {symbol} stays on {source.exchange}: less than it takes." if stays else ""
    limit = source.market.limit(side, limits.max_slippage)
    if limit is None and sizes:
        return _Cut(wait=_meets_own(symbol, source, side), dust=dust, stays=stays)
    slices = tuple(
        PlannedSlice(
            from_exchange=source.exchange,
            to_exchange="",
            quantity=size.copy_sign(quantity),
            open_limit=None,
            close_limit=limit,
            notional=size * price,
            cost=ZERO,
            bound=bound,
        )
        for size in sizes
    )
    return _Cut(slices=slices, dust=dust, stays=stays)


def _mirrored(situation: Situation, source: Venue, limits: MoveLimits) -> _Cut:
    """The same once more where trading is: what is there already counts."""
    here, symbol = situation.here, situation.symbol
    if words := unanswered(symbol, (here,)):
        return _Cut(wait=words)
    assert here.market is not None
    quantity = source.attributed + source.adopted - here.attributed - here.adopted
    side, lots = opening_side(quantity), here.market.lots
    price = here.market.touch(side)
    minimum = least(lots, price)
    bound = slice_bound(limits, lots.step, minimum, price)
    sizes = cut(abs(quantity), bound, lots.step, minimum)
    limit = here.market.limit(side, limits.max_slippage)
    if limit is None and sizes:
        return _Cut(wait=_meets_own(symbol, here, side))
    slices = tuple(
        PlannedSlice(
            from_exchange=source.exchange,
            to_exchange=here.exchange,
            quantity=size.copy_sign(quantity),
            open_limit=limit,
            close_limit=None,
            notional=size * price,
            cost=ZERO,
            bound=bound,
        )
        for size in sizes
    )
    return _Cut(slices=slices)


_CUTTING = {PositionPolicy.MIGRATE: _migrated, PositionPolicy.MIRROR: _mirrored}


def _in_pieces(
    total: Decimal, pieces: Iterable[Piece], most: Decimal, step: Decimal, minimum: Decimal
) -> list[tuple[Decimal, Piece | None]]:
    """Slices with the exits they take along: what was opened first goes first, and what is too small with the next."""
    parts = list(pieces)[::-1]
    unknown = total - sum((piece.quantity for piece in parts), ZERO)
    if unknown > 0:
        parts.insert(0, Piece(quantity=unknown))
    out: list[tuple[Decimal, Piece | None]] = []
    gone, left_over = max(-unknown, ZERO), ZERO
    for piece in parts:
        skipped = min(gone, piece.quantity)  # of what somebody else has closed, nothing is moved
        gone -= skipped
        size = piece.quantity - skipped + left_over
        sizes = cut(size, most, step, minimum)
        left_over = size - sum(sizes, ZERO)
        exits = piece if piece.take_profit is not None or piece.stop_loss is not None else None
        out += [(each, exits) for each in sizes]
    return out


def _not_there(symbol: Symbol, venue: Venue) -> str:
    there = ZERO if venue.actual is None else venue.actual
    return (
        f"{symbol} on {venue.exchange}: our fills add up to {plain(venue.attributed)}, and {plain(there)}"
        " is there, so there is nothing of ours to move."
    )


def _meets_own(symbol: Symbol, venue: Venue, side: Side) -> str:
    what = "buy" if side is Side.BUY else "sell"
    return (
        f"{symbol} waits: an order of our own is the best price on {venue.exchange}, and to {what} there would trade"
        " with it."
    )


def _too_dear(situation: Situation, source: Venue, share: Decimal, limits: MoveLimits) -> str:
    so_far = f", after {plain(situation.spent)} for what was moved so far" if situation.spent > 0 else ""
    return (
        f"{situation.symbol} waits: moving it from {source.exchange} to {situation.in_use} would cost"
        f" {share * 100:.3f} % of its worth by the prices now{so_far}, and max_cost is {limits.max_cost * 100:.3f} %."
    )
