"""Carrying a position slice by slice: which order is next, by what the journal says has filled.

Theory. Nothing is remembered of a move but its orders. Each is an order of the router's own, keyed by what it is of

    move/<epoch>/<symbol>/<number>/<kind>

and goes the way of every order, so it is placed once. What the fills of `open` and `close` orders add up to over all
exchanges is the *imbalance*: what was opened and is not closed yet. A symbol has one such order at a time that may
still fill, and whoever begins anew, at any moment, asks the same three questions of the journal:

    an order may still fill     it counts as executed; nothing follows until it is known
    the imbalance is not zero   as much is closed where the position came from; where nothing of it is left there (a
                                stop of ours closed it), on the exchange in use, so that our moves changed nothing
    else                        the next slice of the plan is opened

So the net over all exchanges is off by one slice at most, and a move that was cut off by a crash, a switch or a dead
exchange is resumed by whoever finds it. The number is one more than the last that the journal has of the epoch: the
same order, should it have been asked for before and not come so far.

`flat` orders close for good, and `mirror` orders open a second time: both are meant to change the net, so they count in
no imbalance.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from attrs import frozen

from app.domain.ids import ROUTER
from app.domain.lots import ZERO, down, least, plain
from app.domain.position_plan import PlannedSlice, closing_side, opening_side, plan, unanswered
from app.domain.position_situation import MoveLimits, Situation, Venue
from messages.market import Symbol
from messages.orders import OrderKey, OrderSpec, OrderType, Side, TimeInForce
from messages.positions import NotMoved, PositionPolicy

PREFIX = "move/"


class MoveKind(StrEnum):
    """What an order of a move is for."""

    OPEN = "open"
    CLOSE = "close"
    FLAT = "flat"
    MIRROR = "mirror"


@frozen
class Move:
    """The name of an order of a move.

    Attributes:
        symbol: The unified spelling.
        number: From 1 in its epoch and symbol, without a gap, over all kinds.
    """

    epoch: int
    symbol: str
    number: int
    kind: MoveKind

    @property
    def key(self) -> OrderKey:
        """Of its order."""
        name = f"{PREFIX}{self.epoch}/{self.symbol}/{self.number}/{self.kind.value}"
        return OrderKey(strategy=ROUTER, client_order_id=name)

    @classmethod
    def named(cls, key: OrderKey) -> Move | None:
        """The move of a key; None where it is none."""
        if key.strategy != ROUTER or not key.client_order_id.startswith(PREFIX):
            return None
        epoch, _, rest = key.client_order_id.removeprefix(PREFIX).partition("/")
        symbol, number, kind = (*rest.rsplit("/", 2), "", "")[:3]
        if not (epoch.isdigit() and number.isdigit() and symbol) or kind not in set(MoveKind):
            return None
        return cls(int(epoch), symbol, int(number), MoveKind(kind))


def balances(key: OrderKey) -> bool:
    """Whether the fills of an order count in the imbalance: it opens or closes a slice."""
    # Asked with every fill, so the strategy is looked at first.
    return key.strategy == ROUTER and key.client_order_id.endswith(("/open", "/close"))


@frozen(kw_only=True)
class MoveOrder:
    """The order that is next.

    Attributes:
        quantity: Base coin, above zero.
        limit: The worst price; what does not execute at once does not rest.
    """

    exchange: str
    kind: MoveKind
    side: Side
    quantity: Decimal
    limit: Decimal
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None

    def spec(self, symbol: Symbol) -> OrderSpec:
        """What is asked for."""
        return OrderSpec(
            symbol=symbol,
            side=self.side,
            order_type=OrderType.LIMIT,
            quantity=self.quantity,
            price=self.limit,
            time_in_force=TimeInForce.IOC,
            reduce_only=self.kind in (MoveKind.CLOSE, MoveKind.FLAT),
            take_profit=self.take_profit,
            stop_loss=self.stop_loss,
        )


@frozen(kw_only=True)
class Stays:
    """Nothing is to be placed now.

    Attributes:
        waits: What is looked at again; empty where all that is left stays for good.
    """

    waits: tuple[NotMoved, ...] = ()
    dust: tuple[NotMoved, ...] = ()


def next_step(situation: Situation, limits: MoveLimits) -> MoveOrder | Stays:
    """What is next of a symbol of which no move may still fill."""
    waits: tuple[NotMoved, ...] = ()
    dust: tuple[NotMoved, ...] = ()
    if situation.imbalance:
        balance = _balanced(situation, limits)
        if isinstance(balance, MoveOrder):
            return balance
        if balance.waits and situation.policy is not PositionPolicy.FLATTEN:  # which only ever makes less
            return balance
        waits, dust = balance.waits, balance.dust
    planned = plan(situation, limits)
    for one in planned.slices:
        order = _begun(situation, one)
        if order is not None:
            return order
    return Stays(waits=(*waits, *planned.waits), dust=(*dust, *planned.dust))


def _begun(situation: Situation, one: PlannedSlice) -> MoveOrder | None:
    """The order that begins a slice; None where that would open more than one at once."""
    if one.open_limit is None:
        assert one.close_limit is not None, "a slice is opened or closed"
        return MoveOrder(
            exchange=one.from_exchange,
            kind=MoveKind.FLAT,
            side=closing_side(one.quantity),
            quantity=abs(one.quantity),
            limit=one.close_limit,
        )
    quantity = abs(one.quantity)
    if one.close_limit is not None and situation.imbalance:
        quantity = _less(situation, one)
        if not quantity:
            return None
    return MoveOrder(
        exchange=one.to_exchange,
        kind=MoveKind.MIRROR if one.close_limit is None else MoveKind.OPEN,
        side=opening_side(one.quantity),
        quantity=quantity,
        limit=one.open_limit,
        take_profit=None if one.piece is None else one.piece.take_profit,
        stop_loss=None if one.piece is None else one.piece.stop_loss,
    )


def _less(situation: Situation, one: PlannedSlice) -> Decimal:
    """Of a slice, so much that no more than one is open, with what was opened before and is too little to be closed."""
    here = situation.here
    assert here.market is not None
    if abs(situation.imbalance + one.quantity) <= one.bound:
        return abs(one.quantity)
    quantity = down(abs(one.quantity) - abs(situation.imbalance), here.market.lots.step)
    side = opening_side(one.quantity)
    return quantity if quantity >= least(here.market.lots, here.market.touch(side)) else ZERO


def _balanced(situation: Situation, limits: MoveLimits) -> MoveOrder | Stays:
    """Brings the imbalance to zero: where the position came from, else on the exchange in use."""
    symbol, imbalance = situation.symbol, situation.imbalance
    elsewhere = [v for v in situation.venues.values() if v.exchange != situation.in_use]
    same = [venue for venue in elsewhere if venue.attributed * imbalance > 0]
    for venue in same:
        if not venue.answers:
            return _waits(situation, venue, unanswered(symbol, (venue,)))
    # Where most of it can be closed: lots differ, and what is left over must fit somewhere too.
    closing = max((_closing(situation, venue, limits) for venue in same), key=_size, default=None)
    if closing is not None:
        return closing
    here = situation.here
    if not here.answers:
        return _waits(situation, here, unanswered(symbol, (here,)))
    order = _closing(situation, here, limits)
    if order is not None:
        return order
    if not any(venue.movable * imbalance > 0 for venue in (*same, here)):
        order = _restoring(situation, limits)
        if order is not None:
            return order
    words = f"{plain(imbalance)} {symbol} was opened on {here.exchange} and is less than can be closed."
    return Stays(dust=(NotMoved(exchange=here.exchange, symbol=symbol, quantity=imbalance, words=words),))


def _size(closing: MoveOrder | Stays | None) -> tuple[bool, Decimal]:
    return closing is not None, closing.quantity if isinstance(closing, MoveOrder) else ZERO


def _closing(situation: Situation, venue: Venue, limits: MoveLimits) -> MoveOrder | Stays | None:
    """Closes on an exchange as much of the imbalance as stands there and fits its lots; None where nothing does."""
    market = venue.market
    assert market is not None
    if venue.movable * situation.imbalance <= 0:
        return None
    quantity = down(min(abs(venue.movable), abs(situation.imbalance)), market.lots.step)
    if quantity < market.lots.minimum:
        return None
    side = closing_side(situation.imbalance)
    limit = market.limit(side, limits.max_slippage)
    if limit is None:
        words = f"{situation.symbol} waits: an order of our own is the best price on {venue.exchange}."
        return _waits(situation, venue, words)
    return MoveOrder(exchange=venue.exchange, kind=MoveKind.CLOSE, side=side, quantity=quantity, limit=limit)


def _restoring(situation: Situation, limits: MoveLimits) -> MoveOrder | Stays | None:
    """Nothing stands anywhere that closing would reduce: what our moves changed is undone where trading is."""
    market = situation.here.market
    assert market is not None
    side = closing_side(situation.imbalance)
    quantity = down(abs(situation.imbalance), market.lots.step)
    if quantity < least(market.lots, market.touch(side)):
        return None
    limit = market.limit(side, limits.max_slippage)
    if limit is None:
        words = f"{situation.symbol} waits: an order of our own is the best price on {situation.in_use}."
        return _waits(situation, situation.here, words)
    return MoveOrder(exchange=situation.in_use, kind=MoveKind.OPEN, side=side, quantity=quantity, limit=limit)


def _waits(situation: Situation, venue: Venue, words: str) -> Stays:
    one = NotMoved(exchange=venue.exchange, symbol=situation.symbol, quantity=situation.imbalance, words=words)
    return Stays(waits=(one,))
