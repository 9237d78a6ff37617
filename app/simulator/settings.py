"""What an account sets: leverage, cross or isolated margin, one-way or hedge mode, levels of a position, margin of it.

Modes change only while there is neither a position nor an open order that they would change under, as on the exchanges.
Setting what is set already returns False: some exchanges call that an error, and the dialect decides.
"""

from collections.abc import Iterable
from decimal import Decimal

from app.simulator.model import (
    ZERO,
    Attach,
    MarginMode,
    Order,
    PositionSide,
    Reason,
    Refusal,
    Role,
    Side,
    Status,
)
from app.simulator.risk import Risk
from app.simulator.venue import MAX_PRICE


class Settings(Risk):
    """The account's own settings."""

    def set_leverage(self, symbol: str, leverage: Decimal, side: PositionSide | None = None) -> bool:
        """Set a symbol's leverage, of all its positions or of one side; returns False when it had that value already.

        An isolated position's margin follows. Raises Refusal BAD_LEVERAGE, INSUFFICIENT_MARGIN, UNSUPPORTED (spot).
        """
        market = self.market(symbol)
        if market.is_spot:
            raise Refusal(Reason.UNSUPPORTED, f"{symbol} is a spot market: there is no leverage.", symbol=symbol)
        if not 1 <= leverage <= market.max_leverage:
            raise Refusal(
                Reason.BAD_LEVERAGE, f"Leverage must be 1 to {market.max_leverage}, not {leverage}.", symbol=symbol
            )
        sides = list(PositionSide) if side is None else [side]
        positions = [self.ledger.position(symbol, s) for s in sides if s is PositionSide.BOTH or self.is_hedged(symbol)]
        changed = [p for p in positions if p.leverage != leverage]
        if symbol in self.ledger.isolated:
            margins = [(p, abs(p.qty) * p.entry_price / leverage) for p in changed if p.qty]
            more = sum((margin - p.margin for p, margin in margins), ZERO)
            if more > 0 and more > self.ledger.free:
                raise Refusal(Reason.INSUFFICIENT_MARGIN, "Too little is free for that leverage.", symbol=symbol)
            for position, margin in margins:
                position.margin = margin
        for position in changed:
            position.leverage = leverage
        return bool(changed)

    def is_hedged(self, symbol: str) -> bool:
        """True while the symbol has a long and a short position side by side."""
        return symbol in self.ledger.hedged

    def set_hedge_mode(self, on: bool, symbols: Iterable[str] | None = None) -> bool:
        """Long and short apart (True), or one net position, of `symbols` or of all swaps; False if nothing changed.

        Raises Refusal MODE_IN_USE while one of them that would change has a position or an open order.
        """
        changing = [s for s in self._swaps(symbols) if self.is_hedged(s) is not on]
        for symbol in changing:
            if self._in_use(symbol):
                raise Refusal(Reason.MODE_IN_USE, f"{symbol} has a position or open orders.", symbol=symbol)
        if on:
            self.ledger.hedged.update(changing)
            for symbol in changing:
                for side in (PositionSide.LONG, PositionSide.SHORT):
                    self.ledger.position(symbol, side).leverage = self.ledger.position(symbol).leverage
        else:
            self.ledger.hedged.difference_update(changing)
        return bool(changing)

    def set_margin_mode(self, mode: MarginMode, symbols: Iterable[str] | None = None) -> bool:
        """Cross or isolated margin, of `symbols` or of all swaps; returns False if nothing changed.

        Raises Refusal MARGIN_MODE_IN_USE while one of them that would change has a position or an open order.
        """
        changing = [s for s in self._swaps(symbols) if self.ledger.mode(s) is not mode]
        for symbol in changing:
            if self._in_use(symbol):
                raise Refusal(Reason.MARGIN_MODE_IN_USE, f"{symbol} has a position or open orders.", symbol=symbol)
        if mode is MarginMode.ISOLATED:
            self.ledger.isolated.update(changing)
        else:
            self.ledger.isolated.difference_update(changing)
        return bool(changing)

    def add_margin(self, symbol: str, amount: Decimal, side: PositionSide = PositionSide.BOTH) -> Decimal:
        """Move settlement coin into an isolated position's margin (negative: out of it); returns what it is then.

        Out of it only down to the initial margin. Raises Refusal NO_POSITION, INSUFFICIENT_MARGIN.
        """
        self.market(symbol)
        position = self.ledger.position(symbol, side)
        if not position.qty or symbol not in self.ledger.isolated:
            raise Refusal(Reason.NO_POSITION, f"There is no isolated position of {symbol}.", symbol=symbol)
        least = abs(position.qty) * position.entry_price / position.leverage
        if amount > self.ledger.free or (amount < 0 and position.margin + amount < least):
            raise Refusal(Reason.INSUFFICIENT_MARGIN, f"{amount} cannot be moved.", symbol=symbol)
        position.margin += amount
        return position.margin

    def set_position(self, symbol: str, qty: Decimal, now_ms: int, side: PositionSide = PositionSide.BOTH) -> None:
        """Make a position `qty` (signed) at the reference price: a person's trade, without order or fill."""
        market = self.market(symbol)
        if market.is_spot:
            raise Refusal(Reason.UNSUPPORTED, f"{symbol} is a spot market: there are no positions.", symbol=symbol)
        if (side is PositionSide.BOTH) is self.is_hedged(symbol):
            raise Refusal(Reason.WRONG_POSITION_SIDE, f"{side} does not fit the mode of {symbol}.", symbol=symbol)
        if qty * {PositionSide.LONG: -1, PositionSide.SHORT: 1}.get(side, 0) > 0:
            raise Refusal(Reason.WRONG_POSITION_SIDE, f"A {side} position cannot be {qty}.", symbol=symbol)
        if abs(qty) > market.max_qty or qty % market.step:
            raise Refusal(Reason.QTY_OFF_STEP, f"{qty} is not a multiple of the step {market.step} of {symbol}.")
        position = self.ledger.position(symbol, side)
        difference = qty - position.qty
        if difference:
            way = Side.BUY if difference > 0 else Side.SELL
            self.ledger.trade(symbol, way, abs(difference), self.prices[symbol], ZERO, now_ms, side)
            self._on_position(position, now_ms)

    def set_position_levels(
        self,
        symbol: str,
        now_ms: int,
        *,
        take_profit: Decimal | None = None,
        stop_loss: Decimal | None = None,
        attach: Attach | None = None,
        side: PositionSide = PositionSide.BOTH,
    ) -> dict[Role, Order]:
        """Take profit and stop loss of a whole position (0 removes one, None leaves it); returns those that wait.

        They follow the position's size, cancel each other, and go with it. A level that the market is past is refused.
        Raises Refusal NO_POSITION, BAD_TAKE_PROFIT, BAD_STOP_LOSS.
        """
        market, position = self.market(symbol), self.ledger.position(symbol, side)
        if not position.qty:
            raise Refusal(Reason.NO_POSITION, f"There is no position of {symbol}.", symbol=symbol)
        terms = attach if attach is not None else Attach()
        sign = 1 if position.qty > 0 else -1
        for reason, level, way, by in (
            (Reason.BAD_TAKE_PROFIT, take_profit, sign, terms.take_profit_by),
            (Reason.BAD_STOP_LOSS, stop_loss, -sign, terms.stop_loss_by),
        ):
            if level is None or level == 0:
                continue
            now = self.venue.price_by(symbol, by)
            if not 0 < level <= MAX_PRICE or (level - now) * way <= 0 or level % market.tick:
                raise Refusal(reason, f"{level} is on the wrong side of {now}, or off tick.", symbol=symbol)
        for role, level in ((Role.TAKE_PROFIT, take_profit), (Role.STOP_LOSS, stop_loss)):
            old = self.levels(symbol, side).get(role)
            if level == 0 and old is not None:
                self._close(old, Status.CANCELLED, now_ms, "by_user")
        self._set_levels(position, take_profit or None, stop_loss or None, terms, now_ms)
        self._fire_born(now_ms)
        return self.levels(symbol, side)

    def _swaps(self, symbols: Iterable[str] | None) -> list[str]:
        wanted = [self.market(s) for s in symbols] if symbols is not None else list(self.markets.values())
        return [m.symbol for m in wanted if not m.is_spot]

    def _in_use(self, symbol: str) -> bool:
        return bool(self._open[symbol] or self.ledger.of_symbol(symbol))
