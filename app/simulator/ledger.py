"""Balances, net positions and margin of the one account an exchange holds. Pure; the engine is its only user.

Margin is cross and simple: of each symbol the largest that position and open orders on either side could become,
divided by its leverage. Equity is the settlement balance plus unrealised profit at the reference price. There are no
liquidations and no funding: a person's control call does what those would do to a position.
"""

from collections.abc import Callable
from decimal import Decimal

from app.simulator.model import ZERO, Position, Side


class Ledger:
    """The account. `price_of` gives a symbol's reference price."""

    def __init__(
        self, settle: str, initial_balance: Decimal, leverage: Decimal, price_of: Callable[[str], Decimal]
    ) -> None:
        self.settle = settle
        self.balances: dict[str, Decimal] = {settle: initial_balance}
        self.positions: dict[str, Position] = {}
        self._leverage = leverage
        self._price_of = price_of
        # Notional of open, counted orders by (symbol, side), kept incrementally: placing must not walk the book.
        self._reserved: dict[tuple[str, Side], Decimal] = {}

    def position(self, symbol: str) -> Position:
        """The position of `symbol`, flat if never traded."""
        found = self.positions.get(symbol)
        if found is None:
            found = self.positions[symbol] = Position(symbol=symbol, leverage=self._leverage)
        return found

    def reserve(self, symbol: str, side: Side, notional: Decimal) -> None:
        """Count `notional` (negative releases) of open orders towards the margin."""
        key = (symbol, side)
        self._reserved[key] = self._reserved.get(key, ZERO) + notional

    def margin_of(self, symbol: str, *, extra_side: Side | None = None, extra: Decimal = ZERO) -> Decimal:
        """Initial margin of a symbol, settlement coin, with an order of `extra` notional on `extra_side` added."""
        position = self.position(symbol)
        held = position.qty * self._price_of(symbol)
        buys = self._reserved.get((symbol, Side.BUY), ZERO)
        sells = self._reserved.get((symbol, Side.SELL), ZERO)
        if extra_side is Side.BUY:
            buys += extra
        elif extra_side is Side.SELL:
            sells += extra
        return max(abs(held), held + buys, sells - held) / position.leverage

    def unrealised(self, symbol: str) -> Decimal:
        """Profit of the open position at the reference price, settlement coin."""
        position = self.position(symbol)
        return position.qty * (self._price_of(symbol) - position.entry_price) if position.qty else ZERO

    @property
    def equity(self) -> Decimal:
        """Settlement balance plus unrealised profit."""
        return self.balances[self.settle] + sum((self.unrealised(s) for s in self.positions), ZERO)

    @property
    def used_margin(self) -> Decimal:
        """Initial margin of everything."""
        return sum((self.margin_of(s) for s in self.positions), ZERO)

    @property
    def available(self) -> Decimal:
        """What is free for new orders; never below zero."""
        return max(self.equity - self.used_margin, ZERO)

    def lacks_margin(self, symbol: str, side: Side, notional: Decimal) -> bool:
        """True when an order of `notional` on `side` needs more margin than is available; reducing needs none."""
        need = self.margin_of(symbol, extra_side=side, extra=notional) - self.margin_of(symbol)
        return need > 0 and need > self.equity - self.used_margin

    def trade(self, symbol: str, side: Side, qty: Decimal, price: Decimal, fee: Decimal, now_ms: int) -> Decimal:
        """Apply a fill to position and balance; returns the realised profit (before the fee)."""
        position = self.position(symbol)
        signed = qty * side.sign
        before, after = position.qty, position.qty + signed
        realised = ZERO
        if before * signed >= 0:
            position.entry_price = (abs(before) * position.entry_price + qty * price) / (abs(before) + qty)
        else:
            closed = min(qty, abs(before))
            realised = closed * (price - position.entry_price) * (1 if before > 0 else -1)
            if after == 0:
                position.entry_price = ZERO
            elif after * before < 0:
                position.entry_price = price
        position.qty = after
        position.updated_ms = now_ms
        self.balances[self.settle] += realised - fee
        return realised

    def deposit(self, coin: str, amount: Decimal) -> None:
        """Add `amount` (negative: withdraw; the balance may go below zero) of `coin`."""
        self.balances[coin] = self.balances.get(coin, ZERO) + amount
