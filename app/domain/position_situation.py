"""What a plan of moving positions is made of: one symbol over all exchanges, and the limits that moving keeps to."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import frozen

from app.domain.lots import ZERO, buy_limit, sell_limit
from messages.market import Lots, Symbol
from messages.orders import Side
from messages.positions import PositionPolicy


@frozen(kw_only=True)
class Standing:
    """One symbol on one exchange, in base coin, signed.

    Attributes:
        attributed: What our own fills add up to.
        adopted: What was taken over into the book besides.
        moved: Of `attributed`, what slices of moved positions have filled.
    """

    exchange: str
    symbol: Symbol
    attributed: Decimal
    adopted: Decimal
    moved: Decimal


@frozen(kw_only=True)
class MoveLimits:
    """What moving keeps to.

    Attributes:
        slice_notional: What one slice is worth at most, in quote coin.
        pause_s: Between two slices of a symbol.
        max_slippage: Beyond the best price, as a fraction of it.
        max_cost: Of what is moved, as a fraction of its worth.
    """

    slice_notional: Decimal = Decimal(1000)
    pause_s: float = 0.5
    max_slippage: Decimal = Decimal("0.002")
    max_cost: Decimal = Decimal("0.005")


@frozen(kw_only=True)
class Piece:
    """Part of a position, and the exits it has; quantity above zero, prices in quote coin."""

    quantity: Decimal
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None


@frozen(kw_only=True)
class Market:
    """What an order meets there now.

    Attributes:
        own_bid: The highest price at which an order of our own wants to buy; None where none rests.
        own_ask: The lowest at which one wants to sell, likewise.
    """

    lots: Lots
    bid: Decimal
    ask: Decimal
    own_bid: Decimal | None = None
    own_ask: Decimal | None = None

    def limit(self, side: Side, slippage: Decimal) -> Decimal | None:
        """The worst price an order of a side may meet; None where it would meet an order of our own first."""
        tick = self.lots.tick
        if side is Side.BUY:
            limit = buy_limit(self.ask, slippage, tick)
            if self.own_ask is not None:
                limit = min(limit, self.own_ask - tick)
            return limit if limit >= self.ask else None
        limit = sell_limit(self.bid, slippage, tick)
        if self.own_bid is not None:
            limit = max(limit, self.own_bid + tick)
        return limit if limit <= self.bid else None

    def touch(self, side: Side) -> Decimal:
        """The best price for an order of a side."""
        return self.ask if side is Side.BUY else self.bid


@frozen(kw_only=True)
class Venue:
    """One symbol on one exchange; quantities in base coin, signed.

    Attributes:
        attributed: What our own fills add up to.
        adopted: What others did to our position, taken over into the book: a stop, a liquidation, a person.
        actual: What the exchange says; None while it does not answer.
        market: None while it does not answer.
        pieces: What our position there is made of, as far as that is known: what goes last stands first.
        words: Why it does not answer; empty where it does.
    """

    exchange: str
    attributed: Decimal = ZERO
    adopted: Decimal = ZERO
    actual: Decimal | None = None
    market: Market | None = None
    pieces: tuple[Piece, ...] = ()
    words: str = ""

    @property
    def answers(self) -> bool:
        """Whether it is known what is there and what an order would meet."""
        return self.actual is not None and self.market is not None

    @property
    def ours(self) -> Decimal:
        """What is left of our position, with what others did to it."""
        return self.attributed + self.adopted

    @property
    def movable(self) -> Decimal:
        """What of the position may be moved or closed, signed; zero while it is not known what is there."""
        own = (self.attributed, self.ours, ZERO if self.actual is None else self.actual)
        if all(each > 0 for each in own):
            return min(own)
        return max(own) if all(each < 0 for each in own) else ZERO


@frozen(kw_only=True)
class Situation:
    """One symbol over all exchanges.

    Attributes:
        in_use: The exchange trading is on.
        imbalance: What our moves have opened and not closed yet, signed; what is closed and not opened below zero.
        everywhere: Of FLATTEN: also on the exchange in use.
        left: Of MIRROR: the exchange whose position is to stand here, too; empty where there is none.
        moved_notional: What was opened under this epoch so far, in quote coin.
        spent: What moving that has cost so far, in quote coin.
    """

    symbol: Symbol
    in_use: str
    venues: Mapping[str, Venue]
    imbalance: Decimal = ZERO
    policy: PositionPolicy = PositionPolicy.MIGRATE
    everywhere: bool = False
    left: str = ""
    moved_notional: Decimal = ZERO
    spent: Decimal = ZERO

    @property
    def here(self) -> Venue:
        """The exchange in use."""
        return self.venues.get(self.in_use, Venue(exchange=self.in_use))

    @property
    def sources(self) -> tuple[Venue, ...]:
        """The exchanges whose position is to go, in their order."""
        if self.policy is PositionPolicy.TRACK:
            return ()
        if self.policy is PositionPolicy.MIRROR:
            return tuple(v for v in self.venues.values() if v.exchange == self.left)
        here = self.policy is PositionPolicy.FLATTEN and self.everywhere
        return tuple(v for v in self.venues.values() if v.attributed and v.ours and (here or v.exchange != self.in_use))
