"""The base class users write their strategies on; `actors.strategy_actor` runs one.

A strategy is a plain class. It runs in an actor of its own, supervised like any other: when it raises, it is started
afresh, and asks again under the same ids for what it is unsure of. Its orders go straight to the connector of the
committed route, and it is told of a change of exchange.

    class Maker(Strategy):
        def on_start(self):
            self.place("BTCUSDT", "buy", "0.001", price="25000", client_order_id="first")

        def on_order(self, update):
            if update.told is Told.ACCEPTED:
                self.cancel(update.order_id)
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from app.domain import session as s
from app.domain.exits import PREFIX
from app.domain.ids import MAX_CLIENT_ORDER_ID, is_client_order_id
from app.domain.symbols import parse_symbol
from messages.executions import Execution
from messages.failover import Route, RouterState
from messages.health import HealthAlarms
from messages.market import MarketType, Symbol
from messages.orders import (
    Fill,
    OrderKey,
    OrderSpec,
    OrderType,
    OrderUpdate,
    Side,
    TimeInForce,
    Trigger,
    TriggerBy,
    TriggerKind,
)
from messages.positions import BookNews

Choice = TypeVar("Choice", bound=StrEnum)


class Runner(Protocol):
    """What runs a strategy, and does what it asks for."""

    timers: list[float]
    _asked: dict[str, Any]

    @property
    def market_type(self) -> MarketType: ...

    def ask_place(self, key: OrderKey, spec: OrderSpec, timeout_s: float | None) -> None: ...

    def ask_cancel(self, order_id: str, timeout_s: float | None) -> None: ...

    def ask_amend(
        self,
        order_id: str,
        quantity: Decimal | None,
        price: Decimal | None,
        trigger_price: Decimal | None,
        replace: bool,
        timeout_s: float | None,
    ) -> None: ...

    def ask_cancel_all(self, symbol: Symbol | None, timeout_s: float | None) -> None: ...

    def ask_get(self, client_order_id: str, timeout_s: float | None) -> None: ...

    def now_s(self) -> float: ...


class Strategy:
    """Base class of a user's strategy; override the `on_…` hooks, call the rest.

    Hooks run one at a time and must not block: while one does, the strategy hears nothing.

    What happens to its orders is numbered, and told in order, each once; what happened while the strategy was dead is
    told to its next life. A death may come between a hook's end and the record of it, which is made every second: then
    that news is told again, with the same number. What was told counts as heard also where the hook raised.

    Attributes:
        name: As configured in `[strategies.NAME]`.
        route: Where orders go; None until the router has told.
    """

    name: str = ""
    route: Route | None = None
    _actor: Runner

    # ------------------------------------------------------------------------------------------------ hooks

    def on_start(self) -> None:
        """The router is reachable. Called again in each new life after a restart."""

    def on_order(self, update: OrderUpdate) -> None:
        """Something is known of one of our orders, or it changed."""

    def on_resolved(self, update: OrderUpdate) -> None:
        """It was not known whether one of our orders executed, and now it is; told after `on_order` had the same."""

    def on_fill(self, fill: Fill) -> None:
        """Something of one of our orders filled."""

    def on_execution(self, execution: Execution, number: int) -> None:
        """One trade of one of our orders, with price and fee, once its exchange has listed it."""

    def on_gap(self, missed: int) -> None:
        """So much of what happened is told no more: it was too much, over too long a time; ask for what matters."""

    def on_route(self, route: Route, state: RouterState) -> None:
        """Trading moved, or is about to: between fence and commit `route.exchange` is None."""

    def on_positions(self, news: BookNews) -> None:
        """Others changed positions of the account, of any strategy, or one is in danger: see `messages.positions`."""

    def on_health(self, news: HealthAlarms) -> None:
        """Our own network is down, or an exchange does not take our credentials, and trading stays; or that is over."""

    def on_timer(self, now_s: float) -> None:
        """A moment asked for by `call_at` has come; several that passed together come as one."""

    # ------------------------------------------------------------------------------------------------ calls

    def place(
        self,
        symbol: str,
        side: str,
        quantity: str | Decimal,
        *,
        client_order_id: str,
        price: str | Decimal | None = None,
        time_in_force: str = "GTC",
        reduce_only: bool = False,
        take_profit: str | Decimal | None = None,
        stop_loss: str | Decimal | None = None,
        trigger_price: str | Decimal | None = None,
        trigger: str | None = None,
        trigger_by: str = "last",
        timeout_s: float | None = None,
    ) -> None:
        """Places an order: a limit order when a price is given, else a market order. `on_order` tells what came of it.

        Placing again under the same `client_order_id` never places twice: what is known of the order is told anew.

        Args:
            symbol: ``"BTCUSDT"``, ``"BTC/USDT"`` or ``"BTC/USDT:USDT"``.
            side: ``"buy"`` or ``"sell"``.
            quantity: In base coin.
            trigger_price: The order waits, invisible to the book, until the price has come to this.
            trigger: Which way the price has to come, needed with `trigger_price`: ``"stop"`` (a buy at or above it, a
                sell at or below) or ``"take_profit"`` (the other way).
            trigger_by: Which price: that of the ``"last"`` trade, or the ``"mark"`` price.
            client_order_id: The order's identity within this strategy; choose it so that a restarted strategy can
                tell which order it is, for instance by a counter it persists.
            timeout_s: When to be told by at the latest; the router's `order_timeout_s` by default.

        Raises:
            ValueError: One sentence saying which argument is wrong and what would be right.
        """
        actor = self._actor
        if not isinstance(symbol, str):
            raise ValueError(f"symbol is {symbol!r:.60}, and must be text such as 'BTCUSDT'.")
        if not isinstance(reduce_only, bool):
            raise ValueError(f"reduce_only is {reduce_only!r}, and must be True or False.")
        if isinstance(client_order_id, str) and client_order_id.startswith(PREFIX):
            raise ValueError(f"client_order_id is {client_order_id!r:.60}: ids like {PREFIX!r} are the router's own.")
        key = OrderKey(strategy=self.name, client_order_id=_id(client_order_id, "client_order_id"))
        spec = OrderSpec(
            symbol=parse_symbol(symbol, actor.market_type),
            side=_one_of(Side, side.lower() if isinstance(side, str) else side, "side"),
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            quantity=_number(quantity, "quantity"),
            price=None if price is None else _number(price, "price"),
            time_in_force=_one_of(TimeInForce, time_in_force, "time_in_force"),
            reduce_only=reduce_only,
            take_profit=None if take_profit is None else _number(take_profit, "take_profit"),
            stop_loss=None if stop_loss is None else _number(stop_loss, "stop_loss"),
            trigger=_trigger(trigger_price, trigger, trigger_by),
        )
        actor.ask_place(key, spec, _timeout(timeout_s))

    def cancel(self, order_id: str, *, timeout_s: float | None = None) -> None:
        """Cancels an order, wherever it lives now; `on_order` tells `CANCELLED` or `CANCEL_FAILED`."""
        self._actor.ask_cancel(_id(order_id, "order_id"), _timeout(timeout_s))

    def amend(
        self,
        order_id: str,
        *,
        quantity: str | Decimal | None = None,
        price: str | Decimal | None = None,
        trigger_price: str | Decimal | None = None,
        replace: bool = True,
        timeout_s: float | None = None,
    ) -> None:
        """Changes an open order, wherever it lives now; `on_order` tells `AMENDED` or `AMEND_FAILED`.

        In place where the exchange can; where it cannot, by a cancel and a placement as the same order, which never
        rests twice, and never fills beyond the larger of old and new. `AMEND_FAILED` says where it is over by that.

        `UNKNOWN` where nobody can know yet, and `CHANGED` when it is known. Asking for the same again is harmless.

        Args:
            quantity: Of the whole order in base coin, what has filled of it included.
            replace: False for in place or not at all.

        Raises:
            ValueError: One sentence saying which argument is wrong, or that nothing is to be changed.
        """
        if quantity is None and price is None and trigger_price is None:
            raise ValueError("Nothing is to be changed: name a quantity, a price or a trigger_price.")
        self._actor.ask_amend(
            _id(order_id, "order_id"),
            None if quantity is None else _number(quantity, "quantity"),
            None if price is None else _number(price, "price"),
            None if trigger_price is None else _number(trigger_price, "trigger_price"),
            replace,
            _timeout(timeout_s),
        )

    def cancel_all(self, symbol: str | None = None, *, timeout_s: float | None = None) -> None:
        """Cancels this strategy's open orders, or those of a symbol, on whichever exchange each lives; nothing wider.

        Take profit and stop loss of what has filled are left: they are cancelled one at a time. `on_order` tells
        `CANCELLED` or `CANCEL_FAILED` of each; of none, with an empty id, where nobody could say in time which orders
        are open.
        """
        kind = self._actor.market_type
        wanted = None if symbol is None else parse_symbol(symbol, kind)
        self._actor.ask_cancel_all(wanted, _timeout(timeout_s))

    def get(self, client_order_id: str, *, timeout_s: float | None = None) -> None:
        """Asks what is known of an order.

        `on_order` tells `CHANGED`, `REFUSED` where there is no such order, or `UNKNOWN` where nobody answered in time.
        """
        self._actor.ask_get(_id(client_order_id, "client_order_id"), _timeout(timeout_s))

    def call_at(self, at_s: float) -> None:
        """Asks for `on_timer` at a time; the earliest asked for comes first."""
        self._actor.timers.append(at_s)

    def now_s(self) -> float:
        """Unix seconds; use this clock, so that a strategy can be run under virtual time."""
        return self._actor.now_s()


def _one_of(kind: type[Choice], value: object, what: str) -> Choice:
    try:
        return kind(str(value))
    except ValueError:
        known = ", ".join(repr(str(each)) for each in kind)
        raise ValueError(f"{what} is {value!r}, and must be one of {known}.") from None


def _trigger(price: str | Decimal | None, kind: str | None, by: str) -> Trigger | None:
    if price is None:
        if kind is not None:
            raise ValueError(f"trigger is {kind!r:.60}, but no trigger_price is given.")
        return None
    return Trigger(
        kind=_one_of(TriggerKind, kind, "trigger"),
        price=_number(price, "trigger_price"),
        by=_one_of(TriggerBy, by, "trigger_by"),
    )


def _id(value: object, what: str) -> str:
    if not isinstance(value, str) or not is_client_order_id(value):
        raise ValueError(f"{what} is {value!r:.60}, and must be 1 to {MAX_CLIENT_ORDER_ID} printable characters.")
    return value


def _timeout(value: float | None) -> float | None:
    wrong = isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= s.MAX_TIMEOUT_S
    if value is not None and wrong:
        raise ValueError(f"timeout_s is {value!r:.60}, and must be a number of seconds above 0, at most a day.")
    return value


def _number(value: str | Decimal, what: str) -> Decimal:
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise ValueError(f"{what} is {value!r}, and must be a decimal number, for example '0.001'.") from None
    if not number.is_finite() or number <= 0:
        raise ValueError(f"{what} is {value!r}, and must be a finite number above zero.")
    return number
