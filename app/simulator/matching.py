"""How an accepted order becomes fills: taking from the book, resting, being set off, ending.

The engine decides what is accepted (`engine`), this room what becomes of it. `linked` adds, through the hooks at the
end, what follows from a fill: attached levels, orders that cancel each other, levels of a position.
"""

from collections.abc import Mapping
from decimal import Decimal

from app.simulator.depth import Level, plan, total
from app.simulator.ledger import Ledger
from app.simulator.model import (
    ZERO,
    Fill,
    NewOrder,
    Order,
    OrderType,
    Position,
    PositionSide,
    Role,
    Side,
    Status,
    Tif,
)
from app.simulator.spec import EngineRules, MarketSpec
from app.simulator.store import OrderStore
from app.simulator.venue import Venue


class Matching(OrderStore):
    """The orders of one account and what the market does to them."""

    def __init__(self, venue: Venue, rules: EngineRules, name: str) -> None:
        super().__init__(venue.markets)
        self.name = name
        self.venue = venue
        self.rules = rules
        self._held: dict[str, tuple[str, Decimal]] = {}
        coins = {**rules.initial_coins, rules.settle: rules.initial_balance}
        self.ledger = Ledger(venue, rules.settle, {rules.settle: ZERO, **coins}, rules.leverage)

    # ---- market -----------------------------------------------------------------------------------------------------

    @property
    def markets(self) -> dict[str, MarketSpec]:
        """Markets by canonical symbol."""
        return self.venue.markets

    @property
    def by_native(self) -> dict[str, MarketSpec]:
        """Markets by the exchange's name; where a swap and a spot market share one, the swap."""
        return self.venue.by_native

    @property
    def prices(self) -> Mapping[str, Decimal]:
        """Reference (last) prices by canonical symbol."""
        return self.venue.prices

    def market(self, symbol: str) -> MarketSpec:
        """The market of a canonical symbol. Raises Refusal(UNKNOWN_SYMBOL)."""
        return self.venue.market(symbol)

    def bid(self, symbol: str) -> Decimal:
        """Best price for a seller."""
        return self.venue.bid(symbol)

    def ask(self, symbol: str) -> Decimal:
        """Best price for a buyer: one tick above the bid."""
        return self.venue.ask(symbol)

    def mark(self, symbol: str) -> Decimal:
        """The mark price."""
        return self.venue.mark(symbol)

    def book(self, symbol: str, count: int) -> tuple[list[Level], list[Level]]:
        """Bids and asks, best first, at most `count` each."""
        return self.venue.book(symbol, count)

    def _touch(self, symbol: str, side: Side) -> Decimal:
        return self.venue.touch(symbol, side)

    def _plan(self, symbol: str, side: Side, qty: Decimal, limit: Decimal | None) -> list[Level]:
        return plan(self.venue.facing(symbol, side), side, qty, limit)

    def _crosses(self, symbol: str, side: Side, price: Decimal | None) -> bool:
        return price is None or (price - self._touch(symbol, side)) * side.sign >= 0

    # ---- an order's life --------------------------------------------------------------------------------------------

    def _accept(
        self,
        new: NewOrder,
        now_ms: int,
        visible_from_ms: int = 0,
        *,
        role: Role = Role.USER,
        parent_id: str | None = None,
        oco: str | None = None,
        whole_position: bool = False,
    ) -> Order:
        self.venue.orders_made += 1
        seq = self.venue.orders_made
        order = Order(
            order_id=self.rules.order_id(seq),
            seq=seq,
            client_order_id=new.client_order_id,
            symbol=new.symbol,
            side=new.side,
            type=new.type,
            tif=new.tif,
            qty=new.qty,
            price=new.price if new.type is OrderType.LIMIT else None,
            reduce_only=new.reduce_only,
            take_profit=new.take_profit,
            stop_loss=new.stop_loss,
            attach=new.attach,
            trigger=new.trigger,
            position_side=new.position_side,
            cost_asked=new.cost,
            tag=new.tag,
            role=role,
            parent_id=parent_id,
            oco=oco,
            whole_position=whole_position,
            created_ms=now_ms,
            updated_ms=now_ms,
            visible_from_ms=max(visible_from_ms, now_ms + self.venue.lag_ms if self.venue.lag_ms else 0),
        )
        self._add(order)
        self._reserve(order, 1)
        return order

    def _activate(self, order: Order, now_ms: int) -> None:
        """An order that just became active: take, rest, or end, by its time in force."""
        crosses = self._crosses(order.symbol, order.side, order.price)
        if crosses and order.tif is Tif.POST_ONLY:
            self._close(order, Status.CANCELLED, now_ms, "post_only_would_cross")
        elif crosses:
            self._take(order, now_ms)
        elif order.tif in (Tif.IOC, Tif.FOK):
            self._close(order, Status.EXPIRED, now_ms, "would_not_fill")

    def _take(self, order: Order, now_ms: int) -> None:
        parts = self._plan(order.symbol, order.side, order.remaining, order.price)
        limited = order.type is OrderType.LIMIT
        if limited and order.tif is Tif.FOK and total(parts) < order.remaining:
            self._close(order, Status.EXPIRED, now_ms, "would_not_fill")
            return
        for part in parts:
            if not order.status.is_open:  # reduce-only, and the position is gone
                return
            self._execute(order, min(part.qty, order.remaining), part.price, now_ms, is_maker=False)
        if order.status.is_open and (not limited or order.tif is Tif.IOC):
            self._close(order, Status.EXPIRED, now_ms, "no_liquidity")

    def _set_off(self, order: Order, now_ms: int) -> None:
        """A trigger order becomes an ordinary one."""
        order.triggered, order.triggered_ms, order.updated_ms = True, now_ms, now_ms
        self._note(order)
        self._on_set_off(order, now_ms)
        if order.reduces and not self._reducible(order):
            self._close(order, Status.EXPIRED, now_ms, "reduce_only")
            return
        lacking = self._lacks(order)
        if lacking:
            order.status, order.close_reason = Status.REJECTED, lacking
            self._leave(order)
            return
        self._reserve(order, 1)
        self._activate(order, now_ms)

    def _lacks(self, order: Order) -> str:
        """Why a triggered order cannot be paid for; "" if it can."""
        price = order.price if order.price is not None else self._touch(order.symbol, order.side)
        market = self.markets[order.symbol]
        if market.is_spot:
            coin, amount = self._payment(order, order.remaining * price, order.remaining)
            return "insufficient_balance" if amount > self.ledger.free_of(coin) else ""
        if order.reduces:
            return ""
        lacks = self.ledger.lacks_margin(order.symbol, order.side, order.remaining * price, order.position_side)
        return "insufficient_margin" if lacks else ""

    def _payment(self, order: Order | NewOrder, notional: Decimal, qty: Decimal) -> tuple[str, Decimal]:
        """Which coin a spot order pays with, and how much of it."""
        market = self.markets[order.symbol]
        if order.side is Side.SELL:
            return market.base, qty
        if self.rules.spot_fee_in == "quote":
            notional *= 1 + max(self.rules.spot_taker_fee, self.rules.spot_maker_fee)
        return market.settle, notional

    def _reducible(self, order: Order) -> Decimal:
        """How much of its position an order on this side can close; zero or less: nothing."""
        return -self.ledger.position(order.symbol, order.position_side).qty * order.side.sign

    def _execute(self, order: Order, qty: Decimal, price: Decimal, now_ms: int, *, is_maker: bool) -> Fill | None:
        """Fill `qty` of an order at `price`; one that reduces at most the position, its rest expiring."""
        if order.reduces:
            held = self._reducible(order)
            if held <= 0:
                self._close(order, Status.EXPIRED, now_ms, "reduce_only")
                return None
            qty = min(qty, held)
        market = self.markets[order.symbol]
        self._reserve(order, -1)
        rate = self.rules.fee_rate(market, is_maker=is_maker)
        fee, fee_coin, realised = qty * price * rate, market.settle, ZERO
        if market.is_spot:
            if order.side is Side.BUY and self.rules.spot_fee_in == "received":
                fee, fee_coin = qty * rate, market.base
            self.ledger.exchange(market, order.side, qty, price, fee, fee_coin)
        else:
            realised = self.ledger.trade(order.symbol, order.side, qty, price, fee, now_ms, order.position_side)
        order.filled += qty
        order.cost += qty * price
        order.fee += fee
        order.fee_coin = fee_coin
        order.updated_ms = now_ms
        order.status = Status.PARTIALLY_FILLED if order.remaining else Status.FILLED
        self._reserve(order, 1)
        self.venue.fills_made += 1
        fill = Fill(
            trade_id=self.rules.trade_id(self.venue.fills_made),
            seq=self.venue.fills_made,
            order=order,
            symbol=order.symbol,
            side=order.side,
            qty=qty,
            price=price,
            fee=fee,
            fee_coin=fee_coin,
            is_maker=is_maker,
            realised_pnl=realised,
            ts_ms=now_ms,
        )
        self._add_fill(fill)
        order.last_fill = fill
        self._note(order)
        if not order.remaining:
            self._leave(order)
        self._on_fill(order, fill, now_ms)
        if not market.is_spot:
            self._on_position(self.ledger.position(order.symbol, order.position_side), now_ms)
        return fill

    def _close(self, order: Order, status: Status, now_ms: int, why: str) -> None:
        self._reserve(order, -1)
        order.status, order.updated_ms, order.close_reason = status, now_ms, why
        self._leave(order)
        self._note(order)

    def _reserve(self, order: Order, sign: int) -> None:
        """Count (+1) what remains of an open order towards the margin, or lock its coins; -1 releases that again.

        What was counted is remembered, so that exactly it is released, at whatever price the market is by then.
        """
        if sign < 0:
            held = self._held.pop(order.order_id, None)
            if held is not None:
                self._count(order, held[0], -held[1])
            return
        if not order.status.is_open or order.is_waiting_trigger or order.role is Role.LIQUIDATION:
            return
        price = order.price if order.price is not None else self.prices[order.symbol]
        coin, amount = "", order.remaining * price
        if self.markets[order.symbol].is_spot:
            coin, amount = self._payment(order, amount, order.remaining)
        elif order.reduces:
            return
        self._held[order.order_id] = (coin, amount)
        self._count(order, coin, amount)

    def _count(self, order: Order, coin: str, amount: Decimal) -> None:
        if coin:
            self.ledger.lock(coin, amount)
        else:
            self.ledger.reserve(order.symbol, order.position_side, order.side, amount)

    # ---- hooks ------------------------------------------------------------------------------------------------------

    def _on_set_off(self, order: Order, now_ms: int) -> None:
        """A trigger order was set off; its rivals go."""
        raise NotImplementedError

    def _on_fill(self, order: Order, fill: Fill, now_ms: int) -> None:
        """An order filled, wholly or in part."""
        raise NotImplementedError

    def _on_position(self, position: Position, now_ms: int) -> None:
        """A position changed."""
        raise NotImplementedError

    def positions(self) -> list[Position]:
        """Positions that are not flat."""
        return [p for p in self.ledger.positions.values() if p.qty]

    def position_of(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> Position:
        """One position, flat if there is none."""
        return self.ledger.position(symbol, side)
