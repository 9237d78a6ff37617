"""One account's matching engine, pure: no I/O, no clock (`now_ms` is an argument), nothing random.

A market is a reference price with one tick of spread: the bid is the reference, the ask one tick above. An order that
crosses takes from the book of `depth`; one that does not rests, and fills at its own price when the reference price
comes to it (`move_price`) or when told to (`fill`). So every fill of a run is decided by its inputs alone.

A dialect calls:
    place, place_oco, amend, cancel, cancel_all            orders, here
    find, open_orders, history, trades, with_client_id     look-ups, in `store`; `store.page` cuts listings into pages
    set_leverage, set_hedge_mode, set_margin_mode, add_margin, set_position_levels      in `settings`
    levels, children                                       linked orders, in `linked`
    liquidation_price                                      in `risk`
    arm_dead_man                                           here
    ledger                                                 balances, positions, margins
    venue                                                  prices, book, mark, funding, suspensions, other accounts
A `Refusal` means that nothing was changed. Placing, cancelling and the duplicate check also see orders that look-ups do
not show yet, as a real matching engine does. `new_account` makes another account on the same venue.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from attrs import evolve

from app.simulator.checks import check_order
from app.simulator.deadman import DeadMan
from app.simulator.depth import affordable, cost_of, total
from app.simulator.model import (
    ZERO,
    Fill,
    NewOrder,
    Order,
    OrderType,
    PositionSide,
    Reason,
    Refusal,
    Side,
    Status,
    Tif,
)
from app.simulator.settings import Settings
from app.simulator.spec import EngineRules, MarketKind, MarketSpec
from app.simulator.venue import Venue

MAX_ORDERS = 500_000
"""Orders an account keeps, open and closed; beyond it placing is refused, so that no client eats the machine."""
MAX_ACCOUNTS = 100
MAIN = "main"
"""Name of the account that every exchange has."""


class Engine(Settings):
    """One account on an exchange's markets. Not thread-safe: one event loop owns it and its venue."""

    def __init__(
        self, markets: Iterable[MarketSpec], rules: EngineRules, *, venue: Venue | None = None, name: str = MAIN
    ) -> None:
        super().__init__(Venue(markets) if venue is None else venue, rules, name)
        self.dead_man = DeadMan(rules.dead_man)
        self.venue.accounts[name] = self

    def new_account(self, name: str) -> "Engine":
        """Another account, with the same rules, on the same venue. Raises Refusal UNSUPPORTED for a name in use."""
        if name in self.venue.accounts or len(self.venue.accounts) >= MAX_ACCOUNTS:
            raise Refusal(Reason.UNSUPPORTED, f"There is an account {name!r} already, or there are too many.")
        return Engine((), self.rules, venue=self.venue, name=name)

    def move_price(self, symbol: str, price: Decimal, now_ms: int) -> list[Fill]:
        """Set the reference price for every account; returns the fills of all, in their order."""
        return self.venue.move_price(symbol, price, now_ms)

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
        new = self._admit(new, now_ms, expires_ms, allow_duplicate)
        self._check_account(new)
        order = self._accept(new, now_ms, visible_from_ms)
        if new.trigger is None:
            self._activate(order, now_ms)
        self._fire_born(now_ms)
        return order

    def place_oco(
        self, pair: Sequence[NewOrder], now_ms: int, *, expires_ms: int | None = None, visible_from_ms: int = 0
    ) -> list[Order]:
        """Accept orders of one symbol of which at most one is ever set off or filled: the others are cancelled then.

        Nothing is placed if any of them is refused, and none may execute at once (WOULD_TRIGGER).
        """
        names = [n.client_order_id for n in pair if n.client_order_id is not None]
        if len({n.symbol for n in pair}) != 1 or len(names) != len(set(names)):
            raise Refusal(Reason.DUPLICATE_CLIENT_ID, "Linked orders share a symbol and no client order id.")
        for new in pair:
            self._check_account(self._admit(new, now_ms, expires_ms, False))
            if new.trigger is None and self._crosses(new.symbol, new.side, new.price):
                raise Refusal(Reason.WOULD_TRIGGER, "A linked order would execute at once.", symbol=new.symbol)
        group = f"oco:{self.venue.orders_made}"
        return [self._accept(new, now_ms, visible_from_ms, oco=group) for new in pair]

    def cancel(
        self, now_ms: int, *, order_id: str | None = None, client_order_id: str | None = None, symbol: str | None = None
    ) -> Order:
        """Cancel by the exchange's id or the client's. Raises Refusal UNKNOWN_ORDER or ORDER_CLOSED (with `.order`)."""
        order = self._for_change(order_id, client_order_id, symbol)
        self._close(order, Status.CANCELLED, now_ms, "by_user")
        return order

    def cancel_all(
        self,
        now_ms: int,
        *,
        symbol: str | None = None,
        kind: MarketKind | None = None,
        waiting: bool | None = None,
        only: Callable[[Order], bool] | None = None,
        why: str = "by_user",
    ) -> list[Order]:
        """Cancel every open order, or those of `symbol`, of a kind of market; returns them, oldest first.

        waiting: True for orders that wait for a trigger only, False for the others only. only: those it is true of.
        """
        orders = [o for s in ([symbol] if symbol is not None else self._open) for o in self._open.get(s, {}).values()]
        orders = [
            o
            for o in orders
            if (kind is None or self.markets[o.symbol].kind is kind)
            and waiting in (None, o.is_waiting_trigger)
            and (only is None or only(o))
        ]
        orders.sort(key=lambda o: o.seq)
        for order in orders:
            self._close(order, Status.CANCELLED, now_ms, why)
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
        trigger_price: Decimal | None = None,
    ) -> Order:
        """Change an open order in place; `qty` is the new TOTAL, base coin. A new price that crosses takes at once."""
        order = self._for_change(order_id, client_order_id, symbol)
        if (qty, price, take_profit, stop_loss, trigger_price) == (None,) * 5:
            raise Refusal(Reason.NOTHING_TO_AMEND, "The amendment names nothing to change.", order=order)
        trigger = order.trigger
        if trigger is not None and trigger_price is not None:
            trigger = evolve(trigger, price=trigger_price)
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
            attach=order.attach,
            trigger=trigger if order.is_waiting_trigger else None,
            position_side=order.position_side,
        )
        self._check(wanted)
        if wanted.qty <= order.filled:
            raise Refusal(Reason.BAD_QTY, f"{order.filled} of the order is filled already.", order=order)
        self._reserve(order, -1)
        try:
            self._check_account(wanted, qty=wanted.qty - order.filled)
        except Refusal:
            self._reserve(order, 1)
            raise
        order.qty, order.price, order.updated_ms = wanted.qty, wanted.price, now_ms
        order.take_profit, order.stop_loss = wanted.take_profit, wanted.stop_loss
        order.trigger = wanted.trigger if order.is_waiting_trigger else order.trigger
        self._reserve(order, 1)
        self._note(order)
        if not order.is_waiting_trigger:
            self._activate(order, now_ms)
        self._amend_children(order, now_ms)
        self._fire_born(now_ms)
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
        if order.reduces and self._reducible(order) <= 0:
            raise Refusal(Reason.REDUCE_ONLY, "The order is reduce-only and there is no position left.", order=order)
        if order.is_waiting_trigger:
            if lacking := self._lacks(order):
                raise Refusal(Reason.INSUFFICIENT_BALANCE, f"The order cannot be paid for: {lacking}.", order=order)
            order.triggered, order.triggered_ms = True, now_ms
            self._on_set_off(order, now_ms)
            self._reserve(order, 1)
        price = order.price if order.price is not None else self._touch(order.symbol, order.side)
        done = self._execute(order, amount, price, now_ms, is_maker=True)
        if done is None:
            raise AssertionError("What can be reduced was looked at before.")
        self._fire_born(now_ms)
        return done

    # ---- the clock --------------------------------------------------------------------------------------------------

    def arm_dead_man(self, timeout_ms: int, now_ms: int, *, symbol: str | None = None) -> int | None:
        """Start or restart the countdown (0: stop it); returns when it ends, Unix ms. See `deadman.DeadMan.arm`."""
        if symbol is not None:
            self.market(symbol)
        return self.dead_man.arm(symbol, timeout_ms, now_ms)

    def advance(self, now_ms: int) -> None:
        """Do what is due: countdowns that ended cancel what the exchange's rule says."""
        for symbol in self.dead_man.take(now_ms):
            triggers = self.dead_man.rules is not None and self.dead_man.rules.triggers
            self.cancel_all(now_ms, symbol=symbol, waiting=None if triggers else False, why="dead_man")

    def due_ms(self) -> int | None:
        """When a countdown ends next, Unix ms."""
        return self.dead_man.next_ms

    # ---- checks -----------------------------------------------------------------------------------------------------

    def _admit(self, new: NewOrder, now_ms: int, expires_ms: int | None, allow_duplicate: bool) -> NewOrder:
        """Everything but the account's means; returns the order with its quantity, where a cost was given."""
        if expires_ms is not None and now_ms > expires_ms:
            raise Refusal(Reason.EXPIRED, f"The order expired {now_ms - expires_ms} ms ago.", symbol=new.symbol)
        if len(self._orders) >= MAX_ORDERS:
            raise Refusal(Reason.ENGINE_FULL, f"The engine holds its limit of {MAX_ORDERS} orders.", symbol=new.symbol)
        market = self.market(new.symbol)
        if new.cost is not None:
            new = self._sized(new, market)
        self._check(new)
        most = self.rules.max_open_orders
        if most is not None and len(self._open[new.symbol]) >= most:
            raise Refusal(Reason.TOO_MANY_ORDERS, f"{most} orders are open on {new.symbol}.", symbol=new.symbol)
        if not allow_duplicate:
            for name in (new.client_order_id, new.attach.take_profit_id, new.attach.stop_loss_id):
                self._check_duplicate(name, new.symbol)
        return new

    def _sized(self, new: NewOrder, market: MarketSpec) -> NewOrder:
        cost = new.cost if new.cost is not None else ZERO
        if not market.is_spot or new.side is Side.SELL or new.type is not OrderType.MARKET or new.trigger is not None:
            raise Refusal(Reason.BAD_QTY, "Only a spot market order to buy is given by its cost.", symbol=new.symbol)
        if not cost.is_finite() or cost <= 0:
            raise Refusal(Reason.BAD_QTY, f"Cost {cost} is not positive.", symbol=new.symbol)
        if self.rules.spot_fee_in == "quote":
            cost /= 1 + max(self.rules.spot_taker_fee, self.rules.spot_maker_fee)
        return evolve(new, qty=affordable(self.venue.facing(new.symbol, Side.BUY), cost, market.step))

    def _check(self, new: NewOrder) -> None:
        market = self.market(new.symbol)
        if new.symbol in self.venue.suspended:
            raise Refusal(Reason.SUSPENDED, f"{new.symbol} does not trade now.", symbol=new.symbol)
        if market.is_spot and new.reduce_only:
            raise Refusal(Reason.REDUCE_ONLY_ON_SPOT, "There are no positions on spot.", symbol=new.symbol)
        if (new.position_side is PositionSide.BOTH) is self.is_hedged(new.symbol):
            raise Refusal(
                Reason.WRONG_POSITION_SIDE,
                f"Position side {new.position_side} does not fit the mode of {new.symbol}.",
                symbol=new.symbol,
            )
        check_order(new, market, new.price if new.price is not None else self._touch(new.symbol, new.side))

    def _check_duplicate(self, client_order_id: str | None, symbol: str) -> None:
        for known in self._by_client.get(client_order_id, ()) if client_order_id is not None else ():
            if self.rules.client_id_scope == "all" or known.status.is_open:
                raise Refusal(
                    Reason.DUPLICATE_CLIENT_ID,
                    f"Client order id {client_order_id} is order {known.order_id}.",
                    symbol=symbol,
                    order=known,
                )

    def _check_account(self, new: NewOrder, *, qty: Decimal | None = None) -> None:
        """What depends on the prices and the account. `qty`: of an amended order, what remains of it."""
        if new.trigger is not None:
            if new.trigger.met(self.venue.price_by(new.symbol, new.trigger.by)):
                words = f"The trigger {new.trigger.price} is passed already."
                raise Refusal(Reason.WOULD_TRIGGER, words, symbol=new.symbol)
            return  # means, and of one that reduces the position, are looked at when it is set off
        wanted = new.qty if qty is None else qty
        reduces = new.reduce_only or (new.position_side, new.side) in (
            (PositionSide.LONG, Side.SELL),
            (PositionSide.SHORT, Side.BUY),
        )
        held = self.ledger.position(new.symbol, new.position_side).qty if not self.markets[new.symbol].is_spot else ZERO
        if reduces and held * new.side.sign >= 0:
            raise Refusal(Reason.REDUCE_ONLY, "There is no position to reduce.", symbol=new.symbol)
        crosses = self._crosses(new.symbol, new.side, new.price)
        if crosses and new.tif is Tif.POST_ONLY and self.rules.refuse_crossing_post_only:
            raise Refusal(Reason.POST_ONLY_WOULD_CROSS, "The post-only order would take.", symbol=new.symbol)
        if new.type is OrderType.LIMIT and new.tif in (Tif.IOC, Tif.FOK):
            self._check_fillable(new, crosses, wanted)
        if self.markets[new.symbol].is_spot:
            self._check_coins(new, wanted)
            return
        price = new.price if new.price is not None else self._touch(new.symbol, new.side)
        if not reduces and self.ledger.lacks_margin(new.symbol, new.side, wanted * price, new.position_side):
            raise Refusal(Reason.INSUFFICIENT_MARGIN, "The margin available is too small.", symbol=new.symbol)

    def _check_fillable(self, new: NewOrder, crosses: bool, wanted: Decimal) -> None:
        whole = crosses and total(self._plan(new.symbol, new.side, wanted, new.price)) >= wanted
        refused = self.rules.refuse_unfillable_ioc or (new.tif is Tif.FOK and self.rules.refuse_unfillable_fok)
        if refused and not (whole if new.tif is Tif.FOK else crosses):
            raise Refusal(Reason.WOULD_NOT_FILL, "The order would not fill.", symbol=new.symbol)

    def _check_coins(self, new: NewOrder, wanted: Decimal) -> None:
        limit = new.price
        cost = wanted * limit if limit is not None else cost_of(self._plan(new.symbol, new.side, wanted, None))
        coin, amount = self._payment(new, cost, wanted)
        if amount > self.ledger.free_of(coin):
            words = f"{amount} {coin} are needed, {self.ledger.free_of(coin)} are free."
            raise Refusal(Reason.INSUFFICIENT_BALANCE, words, symbol=new.symbol)

    def _for_change(self, order_id: str | None, client_order_id: str | None, symbol: str | None) -> Order:
        order = self._lookup(order_id, client_order_id, symbol)
        if order is None:
            raise Refusal(Reason.UNKNOWN_ORDER, f"There is no order {order_id or client_order_id!r}.", symbol=symbol)
        if not order.status.is_open:
            raise Refusal(Reason.ORDER_CLOSED, f"Order {order.order_id} is {order.status}.", symbol=symbol, order=order)
        return order
