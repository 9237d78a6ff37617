"""What prices and the clock do to positions: liquidation, funding.

An isolated position is closed when its margin and profit fall to its maintenance margin; it never costs more than its
margin. Cross positions are closed, the one with the largest loss first, when what stands behind all of them falls to
their maintenance margin; their symbols' open orders are cancelled before. Whole, at the mark price, with the taker's
fee. What the account cannot pay the exchange bears: an "insurance" entry.
"""

from decimal import Decimal

from app.simulator.linked import Linked, other
from app.simulator.model import ZERO, NewOrder, OrderType, Position, Role, Side, Status


class Risk(Linked):
    """Liquidation and funding of one account."""

    def react(self, symbol: str, now_ms: int) -> None:
        """The price of `symbol` moved: triggers, resting orders, then margins. Nothing happens on a suspended one."""
        if symbol in self.venue.suspended:
            return
        while self._follow_price(symbol, now_ms):
            pass
        self._liquidate(now_ms)

    def fund(self, symbol: str, rate: Decimal, now_ms: int) -> None:
        """Longs pay `rate` of their notional at the mark price, shorts receive it; a negative rate turns it round."""
        for position in self.ledger.of_symbol(symbol):
            amount = -position.qty * self.venue.mark(symbol) * rate
            self.ledger.enter("funding", self.ledger.settle, amount, now_ms, symbol)
            position.realised += amount
            if symbol in self.ledger.isolated:
                position.margin += amount
        self._liquidate(now_ms)

    def liquidation_price(self, position: Position) -> Decimal | None:
        """The mark price at which a position is liquidated if nothing else moves; None if there is none above zero."""
        if not position.qty:
            return None
        mark, market = self.venue.mark(position.symbol), self.markets[position.symbol]
        rate = market.maintenance_rate(abs(position.qty) * mark)
        if position.symbol in self.ledger.isolated:
            behind = position.margin + self.ledger.profit(position)
        else:
            others = [p for p in self._cross() if p is not position]
            behind = self.ledger.cross_equity - sum((self.ledger.maintenance(p) for p in others), ZERO)
        # behind + qty * (price - mark) = |qty| * price * rate
        slope = position.qty - abs(position.qty) * rate
        price = (position.qty * mark - behind) / slope
        return price if price > 0 else None

    def _cross(self) -> list[Position]:
        return [p for p in self.positions() if p.symbol not in self.ledger.isolated]

    def _liquidate(self, now_ms: int) -> None:
        ledger = self.ledger
        for position in [p for p in self.positions() if p.symbol in ledger.isolated]:
            if position.margin + ledger.profit(position) <= ledger.maintenance(position):
                self._cancel_of({position.symbol}, now_ms)
                self._close_out(position, now_ms)
        cross = self._cross()
        if not cross or ledger.cross_equity > sum((ledger.maintenance(p) for p in cross), ZERO):
            return
        self._cancel_of({p.symbol for p in cross}, now_ms)
        for position in sorted(cross, key=ledger.profit):
            self._close_out(position, now_ms)
            left = self._cross()
            if left and ledger.cross_equity > sum((ledger.maintenance(p) for p in left), ZERO):
                return
        # All of them are closed: what is left of the balance belongs to isolated positions, or is owed.
        owed = sum((p.margin for p in self.positions()), ZERO) - ledger.balances[ledger.settle]
        if owed > 0:
            ledger.enter("insurance", ledger.settle, owed, now_ms)

    def _cancel_of(self, symbols: set[str], now_ms: int) -> None:
        for symbol in symbols:
            for order in list(self._open[symbol].values()):
                self._close(order, Status.CANCELLED, now_ms, "liquidation")

    def _close_out(self, position: Position, now_ms: int) -> None:
        ledger, margin = self.ledger, position.margin
        before = ledger.balances[ledger.settle]
        side = other(Side.BUY if position.qty > 0 else Side.SELL)
        order = self._accept(
            NewOrder(
                symbol=position.symbol,
                side=side,
                type=OrderType.MARKET,
                qty=abs(position.qty),
                reduce_only=True,
                position_side=position.side,
            ),
            now_ms,
            role=Role.LIQUIDATION,
        )
        self._execute(order, order.qty, self.venue.mark(position.symbol), now_ms, is_maker=False)
        lost = before - ledger.balances[ledger.settle]
        if position.symbol in ledger.isolated and lost > margin:
            ledger.enter("insurance", ledger.settle, lost - margin, now_ms, position.symbol)
