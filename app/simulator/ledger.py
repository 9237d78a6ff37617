"""Balances, positions and margin of one account. Pure; the engine is its only user.

Swaps: initial margin is, of each symbol, the largest that position and open orders on either side could become, divided
by its leverage. Under cross margin the whole account stands behind it; an isolated position has a margin of its own,
which is part of the settlement balance and of nothing else. Unrealised profit is at the mark price. Spot: coins, of
which open orders lock what they would pay.
"""

from collections import deque
from collections.abc import Mapping
from decimal import Decimal

from app.simulator.model import ZERO, Entry, MarginMode, Position, PositionSide, Side
from app.simulator.spec import MarketSpec
from app.simulator.venue import Venue

MAX_ENTRIES = 10_000
"""Entries remembered, newest; the balances do not depend on them."""
_OPENS = ((PositionSide.LONG, Side.BUY), (PositionSide.SHORT, Side.SELL))


class Ledger:
    """The account's money."""

    def __init__(self, venue: Venue, settle: str, balances: Mapping[str, Decimal], leverage: Decimal) -> None:
        self.settle = settle
        self.balances: dict[str, Decimal] = dict(balances)
        self.locked: dict[str, Decimal] = {}
        self.positions: dict[tuple[str, PositionSide], Position] = {}
        self.isolated: set[str] = set()
        self.hedged: set[str] = set()
        self.entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)
        self.entries_made = 0
        self._leverage = leverage
        self._venue = venue
        # Notional of open, counted orders, kept incrementally: placing must not walk the book.
        self._reserved: dict[tuple[str, PositionSide, Side], Decimal] = {}

    # ---- positions --------------------------------------------------------------------------------------------------

    def position(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> Position:
        """The position of `symbol`, flat if never traded."""
        found = self.positions.get((symbol, side))
        if found is None:
            both = self.positions.get((symbol, PositionSide.BOTH))
            leverage = both.leverage if both is not None else self._leverage
            found = self.positions[symbol, side] = Position(symbol=symbol, side=side, leverage=leverage)
        return found

    def of_symbol(self, symbol: str) -> list[Position]:
        """The positions of a symbol that are not flat."""
        found = (self.positions.get((symbol, side)) for side in PositionSide)
        return [p for p in found if p is not None and p.qty]

    def mode(self, symbol: str) -> MarginMode:
        """What stands behind the positions of `symbol`."""
        return MarginMode.ISOLATED if symbol in self.isolated else MarginMode.CROSS

    def profit(self, position: Position) -> Decimal:
        """Unrealised profit of a position at the mark price."""
        return position.qty * (self._venue.mark(position.symbol) - position.entry_price) if position.qty else ZERO

    def unrealised(self, symbol: str) -> Decimal:
        """Unrealised profit of all positions of a symbol, settlement coin."""
        return sum((self.profit(p) for p in self.of_symbol(symbol)), ZERO)

    def maintenance(self, position: Position) -> Decimal:
        """Maintenance margin of a position, settlement coin."""
        notional = abs(position.qty) * self._venue.mark(position.symbol)
        return notional * self._venue.markets[position.symbol].maintenance_rate(notional)

    # ---- margin -----------------------------------------------------------------------------------------------------

    def reserve(self, symbol: str, position_side: PositionSide, side: Side, notional: Decimal) -> None:
        """Count `notional` (negative releases) of open orders that may open a position towards the margin."""
        key = (symbol, position_side, side)
        self._reserved[key] = self._reserved.get(key, ZERO) + notional

    def reserved(self) -> Mapping[tuple[str, PositionSide, Side], Decimal]:
        """What open orders have reserved, notional by symbol, position side and side."""
        return self._reserved

    def margin_of(
        self,
        symbol: str,
        *,
        extra_side: Side | None = None,
        extra: Decimal = ZERO,
        position_side: PositionSide = PositionSide.BOTH,
    ) -> Decimal:
        """Initial margin of a symbol, settlement coin, with an order of `extra` notional on `extra_side` added."""

        def orders(of: PositionSide, side: Side) -> Decimal:
            counted = self._reserved.get((symbol, of, side), ZERO)
            return counted + extra if (of, side) == (position_side, extra_side) else counted

        mark, isolated = self._venue.mark(symbol), symbol in self.isolated
        both = self.position(symbol)
        held = both.qty * mark
        worst = max(abs(held), held + orders(PositionSide.BOTH, Side.BUY), orders(PositionSide.BOTH, Side.SELL) - held)
        margin = (worst - abs(held)) / both.leverage + both.margin if isolated else worst / both.leverage
        for of, side in _OPENS:
            position, opening = self.positions.get((symbol, of)), orders(of, side)
            if position is not None:
                own = position.margin if isolated else abs(position.qty) * mark / position.leverage
                margin += own + opening / position.leverage
            elif opening:
                margin += opening / both.leverage
        return margin

    @property
    def equity(self) -> Decimal:
        """Settlement balance plus unrealised profit."""
        return self.balances.get(self.settle, ZERO) + sum((self.profit(p) for p in self.positions.values()), ZERO)

    @property
    def used_margin(self) -> Decimal:
        """Initial margin of everything."""
        return sum((self.margin_of(s) for s in dict.fromkeys(s for s, _ in self.positions)), ZERO)

    @property
    def cross_equity(self) -> Decimal:
        """What stands behind the cross positions: equity without isolated positions, their margin and their profit."""
        apart = sum((p.margin + self.profit(p) for p in self.positions.values() if p.symbol in self.isolated), ZERO)
        return self.equity - apart

    @property
    def free(self) -> Decimal:
        """Settlement coin for new orders and positions; below zero when the margin in use is more than the equity."""
        profits = sum((self.profit(p) for p in self.positions.values() if p.symbol in self.isolated), ZERO)
        return self.equity - profits - self.used_margin - self.locked.get(self.settle, ZERO)

    @property
    def available(self) -> Decimal:
        """`free`, never below zero."""
        return max(self.free, ZERO)

    def lacks_margin(
        self, symbol: str, side: Side, notional: Decimal, position_side: PositionSide = PositionSide.BOTH
    ) -> bool:
        """True when an order of `notional` on `side` needs more margin than is free; reducing needs none."""
        with_it = self.margin_of(symbol, extra_side=side, extra=notional, position_side=position_side)
        need = with_it - self.margin_of(symbol)
        return need > 0 and need > self.free

    def trade(
        self,
        symbol: str,
        side: Side,
        qty: Decimal,
        price: Decimal,
        fee: Decimal,
        now_ms: int,
        position_side: PositionSide = PositionSide.BOTH,
    ) -> Decimal:
        """Apply a fill to position and balance; returns the realised profit (before the fee)."""
        position = self.position(symbol, position_side)
        signed = qty * side.sign
        before, after = position.qty, position.qty + signed
        realised, opened = ZERO, qty
        if before * signed >= 0:
            position.entry_price = (abs(before) * position.entry_price + qty * price) / (abs(before) + qty)
        else:
            closed = min(qty, abs(before))
            opened = qty - closed
            realised = closed * (price - position.entry_price) * (1 if before > 0 else -1)
            position.margin = position.margin * (abs(before) - closed) / abs(before)
            if after == 0:
                position.entry_price = ZERO
            elif after * before < 0:
                position.entry_price = price
        if symbol in self.isolated:
            position.margin += opened * price / position.leverage
        position.qty = after
        position.updated_ms = now_ms
        position.realised += realised - fee
        self.balances[self.settle] += realised - fee
        return realised

    # ---- coins ------------------------------------------------------------------------------------------------------

    def lock(self, coin: str, amount: Decimal) -> None:
        """Set `amount` of a coin aside for an open spot order (negative: free it again)."""
        self.locked[coin] = self.locked.get(coin, ZERO) + amount

    def free_of(self, coin: str) -> Decimal:
        """What a spot order may pay with; of the settlement coin no more than the positions leave."""
        unlocked = self.balances.get(coin, ZERO) - self.locked.get(coin, ZERO)
        return min(unlocked, self.free) if coin == self.settle else unlocked

    def exchange(
        self, market: MarketSpec, side: Side, qty: Decimal, price: Decimal, fee: Decimal, fee_coin: str
    ) -> None:
        """Apply a spot fill to the balances."""
        for coin, amount in ((market.base, qty), (market.settle, -qty * price)):
            self.balances[coin] = self.balances.get(coin, ZERO) + amount * side.sign
        self.balances[fee_coin] = self.balances.get(fee_coin, ZERO) - fee

    def enter(self, kind: str, coin: str, amount: Decimal, now_ms: int, symbol: str = "") -> None:
        """Change a balance without a fill, and remember why."""
        self.balances[coin] = self.balances.get(coin, ZERO) + amount
        self.entries_made += 1
        self.entries.append(Entry(ts_ms=now_ms, kind=kind, coin=coin, amount=amount, symbol=symbol))

    def deposit(self, coin: str, amount: Decimal, now_ms: int = 0) -> None:
        """Add `amount` (negative: withdraw; the balance may go below zero) of `coin`."""
        self.enter("deposit", coin, amount, now_ms)
