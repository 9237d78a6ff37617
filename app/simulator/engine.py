"""One matching engine, pure: no I/O, no clock (`now_ms` is an argument), nothing random.

A market is a reference price with one tick of spread: the bid is the reference, the ask one tick above. An order that
crosses fills at once, whole, at the bid or ask; one that does not rests, and fills at its own price when the reference
price comes to it (`move_price`) or when told to (`fill`). So every fill of a run is decided by its inputs alone.

A dialect calls `place`, `cancel`, `amend`, `cancel_all`, `set_leverage` and the look-ups of `store.OrderStore`; a
`Refusal` means that nothing was changed. `place`, `cancel` and the duplicate check also see orders that look-ups do not
show yet, as a real matching engine does.
"""

from collections.abc import Iterable
from decimal import Decimal

from app.simulator.checks import MAX_PRICE, check_order
from app.simulator.ledger import Ledger
from app.simulator.model import (
    ZERO,
    EngineRules,
    Fill,
    MarketSpec,
    NewOrder,
    Order,
    OrderType,
    Position,
    Reason,
    Refusal,
    Side,
    Status,
    Tif,
)
from app.simulator.store import OrderStore

MAX_ORDERS = 500_000
"""Orders kept, open and closed; beyond it placing is refused, so that a run-away client cannot eat the machine."""


class Engine(OrderStore):
    """One exchange's markets, orders, fills and account. Not thread-safe: one event loop owns it."""

    def __init__(self, markets: Iterable[MarketSpec], rules: EngineRules) -> None:
        self.rules = rules
        self.markets: dict[str, MarketSpec] = {m.symbol: m for m in markets}
        self.by_native: dict[str, MarketSpec] = {m.native: m for m in self.markets.values()}
        self.prices: dict[str, Decimal] = {m.symbol: m.price for m in self.markets.values()}
        self.ledger = Ledger(rules.settle, rules.initial_balance, rules.leverage, self.prices.__getitem__)
        super().__init__(self.markets)

    # ---- market -----------------------------------------------------------------------------------------------------

    def market(self, symbol: str) -> MarketSpec:
        """The market of a canonical symbol. Raises Refusal(UNKNOWN_SYMBOL)."""
        found = self.markets.get(symbol)
        if found is None:
            raise Refusal(Reason.UNKNOWN_SYMBOL, f"There is no market {symbol!r}.", symbol=symbol)
        return found

    def bid(self, symbol: str) -> Decimal:
        """Best price for a seller."""
        return self.prices[symbol]

    def ask(self, symbol: str) -> Decimal:
        """Best price for a buyer: one tick above the bid."""
        return self.prices[symbol] + self.markets[symbol].tick

    def move_price(self, symbol: str, price: Decimal, now_ms: int) -> list[Fill]:
        """Set the reference price; set off triggers and fill the resting orders it reached, oldest first."""
        market = self.market(symbol)
        if not 0 < price <= MAX_PRICE or price % market.tick:
            raise Refusal(
                Reason.PRICE_OFF_TICK, f"{price} is not a positive multiple of the tick {market.tick} of {symbol}."
            )
        self.prices[symbol] = price
        start = len(self.fills)
        for order in list(self._open[symbol].values()):
            if not order.status.is_open:  # closed by a fill before it in this very loop (reduce-only, position gone)
                continue
            if order.is_waiting_trigger:
                if order.trigger is not None and order.trigger.met(price):
                    self._set_off(order, now_ms)
            elif order.price is not None and (price <= order.price if order.side is Side.BUY else price >= order.price):
                self._execute(order, order.remaining, order.price, now_ms, is_maker=True)
        return self.fills[start:]

    # ---- orders -----------------------------------------------------------------------------------------------------

    def place(
        self,
        new: NewOrder,
        now_ms: int,
        *,
        expires_ms: int | None = None,
        allow_duplicate: bool = False,
        visible_from_ms: int = 0,
    ) -> Order:
        """Accept an order, and fill it if it crosses.

        expires_ms: Unix ms after which this engine refuses it with Reason.EXPIRED; None where the exchange's engine
            does not look. allow_duplicate: skip the duplicate check (the `double` fault, nothing else).
        visible_from_ms: look-ups leave the order out before it.
        """
        if expires_ms is not None and now_ms > expires_ms:
            raise Refusal(Reason.EXPIRED, f"The order expired {now_ms - expires_ms} ms ago.", symbol=new.symbol)
        if len(self._orders) >= MAX_ORDERS:
            raise Refusal(Reason.ENGINE_FULL, f"The engine holds its limit of {MAX_ORDERS} orders.", symbol=new.symbol)
        self._check(new)
        if not allow_duplicate:
            self._check_duplicate(new)
        crosses = self._crosses(new)
        self._check_account(new, crosses)
        order = self._accept(new, now_ms, visible_from_ms)
        if new.trigger is not None:
            return order
        self._activate(order, crosses, now_ms)
        return order

    def cancel(
        self, now_ms: int, *, order_id: str | None = None, client_order_id: str | None = None, symbol: str | None = None
    ) -> Order:
        """Cancel by the exchange's id or the client's. Raises Refusal UNKNOWN_ORDER or ORDER_CLOSED (with `.order`)."""
        order = self._for_change(order_id, client_order_id, symbol)
        self._close(order, Status.CANCELLED, now_ms, "by_user")
        return order

    def cancel_all(self, now_ms: int, *, symbol: str | None = None) -> list[Order]:
        """Cancel every open order, or those of `symbol`; returns them, oldest first."""
        orders = [o for s in ([symbol] if symbol is not None else self._open) for o in self._open.get(s, {}).values()]
        orders.sort(key=lambda o: o.seq)
        for order in orders:
            self._close(order, Status.CANCELLED, now_ms, "by_user")
        return orders

    def amend(
        self,
        now_ms: int,
        *,
        order_id: str | None = None,
        client_order_id: str | None = None,
        symbol: str | None = None,
        qty: Decimal | None = None,
        price: Decimal | None = None,
        take_profit: Decimal | None = None,
        stop_loss: Decimal | None = None,
    ) -> Order:
        """Change an open order in place; `qty` is the new TOTAL, base coin. A new price that crosses fills at once."""
        order = self._for_change(order_id, client_order_id, symbol)
        wanted = NewOrder(
            symbol=order.symbol,
            side=order.side,
            type=order.type,
            qty=order.qty if qty is None else qty,
            price=order.price if price is None else price,
            tif=order.tif,
            reduce_only=order.reduce_only,
            take_profit=order.take_profit if take_profit is None else take_profit,
            stop_loss=order.stop_loss if stop_loss is None else stop_loss,
            trigger=order.trigger,
        )
        if (qty, price, take_profit, stop_loss) == (None, None, None, None):
            raise Refusal(Reason.NOTHING_TO_AMEND, "The amendment names nothing to change.", order=order)
        self._check(wanted)
        if wanted.qty <= order.filled:
            raise Refusal(Reason.BAD_QTY, f"{order.filled} of the order is filled already.", order=order)
        self._reserve(order, -1)
        old = (order.qty, order.price)
        order.qty, order.price = wanted.qty, wanted.price
        crosses = self._crosses(wanted)
        try:
            if not order.is_waiting_trigger:
                self._check_account(wanted, crosses, qty=order.remaining)
        except Refusal:
            order.qty, order.price = old
            raise
        finally:
            self._reserve(order, 1)
        order.take_profit, order.stop_loss, order.updated_ms = wanted.take_profit, wanted.stop_loss, now_ms
        if not order.is_waiting_trigger:
            self._activate(order, crosses, now_ms)
        return order

    def fill(self, order: Order, now_ms: int, *, qty: Decimal | None = None) -> Fill:
        """Fill `qty` base coin (default: all that remains) of a resting order at its price, as a counterparty would."""
        if not order.status.is_open:
            raise Refusal(Reason.ORDER_CLOSED, f"Order {order.order_id} is {order.status}.", order=order)
        amount = order.remaining if qty is None else qty
        if not ZERO < amount <= order.remaining or amount % self.markets[order.symbol].step:
            raise Refusal(
                Reason.BAD_QTY, f"{amount} must be a multiple of the step, above 0 and at most {order.remaining}."
            )
        if order.is_waiting_trigger:
            order.triggered = True
            self._reserve(order, 1)
        price = order.price if order.price is not None else self._touch(order.symbol, order.side)
        done = self._execute(order, amount, price, now_ms, is_maker=True)
        if done is None:
            raise Refusal(Reason.REDUCE_ONLY, "The order is reduce-only and there is no position left.", order=order)
        return done

    # ---- account ----------------------------------------------------------------------------------------------------

    def set_leverage(self, symbol: str, leverage: Decimal) -> bool:
        """Set a symbol's leverage; returns False when it had that value already."""
        market = self.market(symbol)
        if not 1 <= leverage <= market.max_leverage:
            raise Refusal(
                Reason.BAD_LEVERAGE, f"Leverage must be 1 to {market.max_leverage}, not {leverage}.", symbol=symbol
            )
        position = self.ledger.position(symbol)
        changed = position.leverage != leverage
        position.leverage = leverage
        return changed

    def set_position(self, symbol: str, qty: Decimal, now_ms: int) -> None:
        """Make the net position `qty` (signed) at the reference price: a person's trade, without order or fill."""
        market = self.market(symbol)
        if abs(qty) > market.max_qty or qty % market.step:
            raise Refusal(Reason.QTY_OFF_STEP, f"{qty} is not a multiple of the step {market.step} of {symbol}.")
        difference = qty - self.ledger.position(symbol).qty
        if difference:
            side = Side.BUY if difference > 0 else Side.SELL
            self.ledger.trade(symbol, side, abs(difference), self.prices[symbol], ZERO, now_ms)
            self._drop_reduce_only(symbol, now_ms)

    def positions(self) -> list[Position]:
        """Positions that are not flat."""
        return [p for p in self.ledger.positions.values() if p.qty]

    # ---- checks -----------------------------------------------------------------------------------------------------

    def _check(self, new: NewOrder) -> None:
        market = self.market(new.symbol)
        check_order(new, market, new.price if new.price is not None else self._touch(new.symbol, new.side))

    def _check_duplicate(self, new: NewOrder) -> None:
        if new.client_order_id is None:
            return
        for known in self._by_client.get(new.client_order_id, ()):
            if self.rules.client_id_scope == "all" or known.status.is_open:
                raise Refusal(
                    Reason.DUPLICATE_CLIENT_ID,
                    f"Client order id {new.client_order_id} is order {known.order_id}.",
                    symbol=new.symbol,
                    order=known,
                )

    def _check_account(self, new: NewOrder, crosses: bool, *, qty: Decimal | None = None) -> None:
        if new.trigger is not None and new.trigger.met(self.prices[new.symbol]) and qty is None:
            raise Refusal(
                Reason.WOULD_TRIGGER, f"The trigger {new.trigger.price} is passed already.", symbol=new.symbol
            )
        if new.trigger is not None:
            return  # margin, and of a reduce-only one the position, are looked at when it is set off
        if new.reduce_only and self.ledger.position(new.symbol).qty * new.side.sign >= 0:
            raise Refusal(Reason.REDUCE_ONLY, "There is no position to reduce.", symbol=new.symbol)
        if crosses and new.tif is Tif.POST_ONLY and self.rules.refuse_crossing_post_only:
            raise Refusal(Reason.POST_ONLY_WOULD_CROSS, "The post-only order would take.", symbol=new.symbol)
        if not crosses and new.tif in (Tif.IOC, Tif.FOK) and self.rules.refuse_unfillable_ioc:
            raise Refusal(Reason.WOULD_NOT_FILL, "The order would not fill.", symbol=new.symbol)
        price = new.price if new.price is not None else self._touch(new.symbol, new.side)
        notional = (new.qty if qty is None else qty) * price
        if not new.reduce_only and self.ledger.lacks_margin(new.symbol, new.side, notional):
            raise Refusal(Reason.INSUFFICIENT_MARGIN, "The margin available is too small.", symbol=new.symbol)

    # ---- matching ---------------------------------------------------------------------------------------------------

    def _touch(self, symbol: str, side: Side) -> Decimal:
        return self.ask(symbol) if side is Side.BUY else self.bid(symbol)

    def _crosses(self, new: NewOrder) -> bool:
        if new.type is OrderType.MARKET or new.price is None:
            return True
        touch = self._touch(new.symbol, new.side)
        return new.price >= touch if new.side is Side.BUY else new.price <= touch

    def _accept(self, new: NewOrder, now_ms: int, visible_from_ms: int) -> Order:
        seq = len(self._orders) + 1
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
            trigger=new.trigger,
            tag=new.tag,
            created_ms=now_ms,
            updated_ms=now_ms,
            visible_from_ms=visible_from_ms,
        )
        self._add(order)
        self._reserve(order, 1)
        return order

    def _activate(self, order: Order, crosses: bool, now_ms: int) -> None:
        """An order that just became active: take, rest, or end, by its time in force."""
        if crosses and order.tif is Tif.POST_ONLY:
            self._close(order, Status.CANCELLED, now_ms, "post_only_would_cross")
        elif crosses:
            self._execute(order, order.remaining, self._touch(order.symbol, order.side), now_ms, is_maker=False)
        elif order.tif in (Tif.IOC, Tif.FOK):
            self._close(order, Status.EXPIRED, now_ms, "would_not_fill")

    def _set_off(self, order: Order, now_ms: int) -> None:
        order.triggered = True
        order.updated_ms = now_ms
        crosses = order.price is None or (
            order.price >= self.ask(order.symbol) if order.side is Side.BUY else order.price <= self.bid(order.symbol)
        )
        price = order.price if order.price is not None else self._touch(order.symbol, order.side)
        if not order.reduce_only and self.ledger.lacks_margin(order.symbol, order.side, order.remaining * price):
            self._close(order, Status.REJECTED, now_ms, "insufficient_margin")
            return
        self._reserve(order, 1)
        self._activate(order, crosses, now_ms)

    def _execute(self, order: Order, qty: Decimal, price: Decimal, now_ms: int, *, is_maker: bool) -> Fill | None:
        """Fill `qty` of an order at `price`; a reduce-only one at most the position, its rest expiring."""
        if order.reduce_only:
            held = -self.ledger.position(order.symbol).qty * order.side.sign
            if held < qty:
                if held <= 0:
                    self._close(order, Status.EXPIRED, now_ms, "reduce_only")
                    return None
                qty = held
        self._reserve(order, -1)
        fee = qty * price * (self.rules.maker_fee if is_maker else self.rules.taker_fee)
        realised = self.ledger.trade(order.symbol, order.side, qty, price, fee, now_ms)
        order.filled += qty
        order.cost += qty * price
        order.fee += fee
        order.updated_ms = now_ms
        order.status = Status.PARTIALLY_FILLED if order.remaining else Status.FILLED
        self._reserve(order, 1)
        seq = len(self.fills) + 1
        fill = Fill(
            trade_id=self.rules.trade_id(seq),
            seq=seq,
            order=order,
            symbol=order.symbol,
            side=order.side,
            qty=qty,
            price=price,
            fee=fee,
            is_maker=is_maker,
            realised_pnl=realised,
            ts_ms=now_ms,
        )
        self.fills.append(fill)
        order.last_fill = fill
        if not order.remaining:
            del self._open[order.symbol][order.order_id]
        self._drop_reduce_only(order.symbol, now_ms)
        return fill

    def _drop_reduce_only(self, symbol: str, now_ms: int) -> None:
        """Expire resting reduce-only orders that have nothing left to reduce, as exchanges do."""
        held = self.ledger.position(symbol).qty
        for order in [o for o in self._open[symbol].values() if o.reduce_only and not o.is_waiting_trigger]:
            if held * order.side.sign >= 0:
                self._close(order, Status.EXPIRED, now_ms, "reduce_only")

    def _close(self, order: Order, status: Status, now_ms: int, why: str) -> None:
        self._reserve(order, -1)
        order.status, order.updated_ms, order.close_reason = status, now_ms, why
        self._open[order.symbol].pop(order.order_id, None)

    def _reserve(self, order: Order, sign: int) -> None:
        """Count (+1) or release (-1) what remains of an open order towards the margin."""
        if order.status.is_open and not order.reduce_only and not order.is_waiting_trigger:
            price = order.price if order.price is not None else self.prices[order.symbol]
            self.ledger.reserve(order.symbol, order.side, sign * order.remaining * price)

    def _for_change(self, order_id: str | None, client_order_id: str | None, symbol: str | None) -> Order:
        order = self._lookup(order_id, client_order_id, symbol)
        if order is None:
            raise Refusal(Reason.UNKNOWN_ORDER, f"There is no order {order_id or client_order_id!r}.", symbol=symbol)
        if not order.status.is_open:
            raise Refusal(Reason.ORDER_CLOSED, f"Order {order.order_id} is {order.status}.", symbol=symbol, order=order)
        return order
