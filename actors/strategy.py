"""Strategies: the base class users write theirs on, and the actor that runs one.

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

import importlib
import sys
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

import structlog
from attrs import define

from actors._shell import Shell
from actors.environment import StrategySpec
from app.domain import session as s
from app.domain.exits import PREFIX, parent_of
from app.domain.ids import MAX_CLIENT_ORDER_ID, is_client_order_id
from app.domain.symbols import parse_symbol
from messages.base import Failed, Reply
from messages.failover import Route, RouteChanged, RouterState
from messages.market import MarketType, Symbol
from messages.orders import (
    AmendOrder,
    CancelOrder,
    Fill,
    GetOpenOrders,
    GetOrder,
    OrderAccepted,
    OrderChanged,
    OrderKey,
    OrderNotExecuted,
    OrderRefused,
    OrderReply,
    OrderSpec,
    OrdersReply,
    OrderType,
    OrderUpdate,
    OrderView,
    PlaceOrder,
    Side,
    TimeInForce,
    Told,
    Trigger,
    TriggerBy,
    TriggerKind,
)
from messages.supervision import Directory, Role, Start

log = structlog.get_logger()

MAX_FILLS_SEEN = 10_000

Choice = TypeVar("Choice", bound=StrEnum)


class Strategy:
    """Base class of a user's strategy; override the `on_…` hooks, call the rest.

    Hooks run one at a time and must not block: while one does, the strategy hears nothing.

    Attributes:
        name: As configured in `[strategies.NAME]`.
        route: Where orders go; None until the router has told.
    """

    name: str = ""
    route: Route | None = None
    _actor: StrategyActor

    # ------------------------------------------------------------------------------------------------ hooks

    def on_start(self) -> None:
        """The router is reachable. Called again in each new life after a restart."""

    def on_order(self, update: OrderUpdate) -> None:
        """Something is known of one of our orders, or it changed."""

    def on_fill(self, fill: Fill) -> None:
        """Something of one of our orders filled."""

    def on_route(self, route: Route, state: RouterState) -> None:
        """Trading moved, or is about to: between fence and commit `route.exchange` is None."""

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
            symbol=parse_symbol(symbol, MarketType(actor.environment.market_type)),
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
        timeout_s: float | None = None,
    ) -> None:
        """Changes an open order in place, wherever it lives now; `on_order` tells `AMENDED` or `AMEND_FAILED`.

        `UNKNOWN` where nobody can know yet, and `CHANGED` when it is known. Asking for the same again is harmless.

        Args:
            quantity: Of the whole order in base coin, what has filled of it included.

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
            _timeout(timeout_s),
        )

    def cancel_all(self, symbol: str | None = None, *, timeout_s: float | None = None) -> None:
        """Cancels this strategy's open orders, or those of a symbol, on whichever exchange each lives; nothing wider.

        Take profit and stop loss of what has filled are left: they are cancelled one at a time. `on_order` tells
        `CANCELLED` or `CANCEL_FAILED` of each; of none, with an empty id, where nobody could say in time which orders
        are open.
        """
        kind = MarketType(self._actor.environment.market_type)
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


@define
class _Asked:
    client_order_id: str
    order_id: str
    kind: str
    deadline_s: float = 0.0


def load_strategy(spec: StrategySpec) -> Strategy:
    """Imports and makes the user's class. Raises ValueError, in one sentence, where it is none."""
    module_name, colon, class_name = spec.target.partition(":")
    if not colon:
        raise ValueError(f"[strategies.{spec.name}] class is {spec.target!r}, and must be 'module:Class'.")
    if spec.path is not None and spec.path not in sys.path:
        sys.path.append(spec.path)  # behind ours: a folder of the user's must not hide the router's own packages
    found: Any = getattr(importlib.import_module(module_name), class_name, None)
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise ValueError(f"[strategies.{spec.name}] {spec.target} is not a class based on actors.strategy.Strategy.")
    strategy = found(**spec.arguments)
    strategy.name = spec.name
    return strategy


class StrategyActor(Shell):
    """Runs one strategy: a session inside, the user's hooks outside."""

    role = Role.STRATEGY

    def on_start(self, start: Start, now_s: float) -> None:
        """Makes the user's strategy; its own `on_start` follows when the route is known."""
        spec = next(spec for spec in self.environment.strategies if spec.name == start.name)
        self.timers: list[float] = []
        self._begun = False
        self._serial = 0
        self._asked: dict[str, _Asked] = {}
        self._filled: dict[str, Decimal] = {}
        settings = s.SessionSettings(
            session_id=f"strategy-{start.name}-{start.incarnation}",
            strategy=start.name,
            max_retry_attempts=self.environment.max_retry_attempts,
            retry_delay_s=self.environment.retry_delay_s,
        )
        self._incarnation = start.incarnation
        self.session = s.Session(settings)
        self.strategy = load_strategy(spec)
        self.strategy._actor = self
        self._perform(self.session.start(now_s))
        self._perform(self.session.directory_told(start.directory, now_s))

    def on_directory(self, directory: Directory, now_s: float) -> None:
        """Somebody was restarted."""
        self._perform(self.session.directory_told(directory, now_s))

    def on_message(self, message: Any, sender: Any, now_s: float) -> None:
        """Answers and news."""
        match message:
            case RouteChanged():
                self._perform(self.session.route_told(message, now_s))
            case OrderChanged():
                self._perform(self.session.order_told(message))
            case Reply():
                self._perform(self.session.reply(message, now_s))
            case _:
                log.warning("strategy.unexpected_message", strategy=self.name, message_type=type(message).__name__)

    def on_tick(self, now_s: float) -> None:
        """The session's moments and the user's."""
        self._perform(self.session.tick(now_s))
        if any(at_s <= now_s for at_s in self.timers):
            self.timers = [at_s for at_s in self.timers if at_s > now_s]
            self.strategy.on_timer(now_s)

    def next_s(self, now_s: float) -> float | None:
        """Whichever comes first."""
        return min([self.session.next_s(), *self.timers])

    # ------------------------------------------------------------------------------------------------ asking

    def ask_place(self, key: OrderKey, spec: OrderSpec, timeout_s: float | None) -> None:
        """On behalf of `Strategy.place`."""
        epoch = self.session.route.epoch if self.session.route is not None else 0
        asked = _Asked(key.client_order_id, "", "place")
        correlation_id, deadline_s = self._ask(asked, timeout_s)
        request = PlaceOrder(correlation_id=correlation_id, deadline_s=deadline_s, epoch=epoch, key=key, spec=spec)
        self._perform(self.session.ask(request, self.now_s()))

    def ask_cancel(self, order_id: str, timeout_s: float | None) -> None:
        """On behalf of `Strategy.cancel`."""
        correlation_id, deadline_s = self._ask(_Asked("", order_id, "cancel"), timeout_s)
        request = CancelOrder(
            correlation_id=correlation_id, deadline_s=deadline_s, strategy=self.name, order_id=order_id
        )
        self._perform(self.session.ask(request, self.now_s()))

    def ask_amend(
        self,
        order_id: str,
        quantity: Decimal | None,
        price: Decimal | None,
        trigger_price: Decimal | None,
        timeout_s: float | None,
    ) -> None:
        """On behalf of `Strategy.amend`."""
        correlation_id, deadline_s = self._ask(_Asked("", order_id, "amend"), timeout_s)
        request = AmendOrder(
            correlation_id=correlation_id,
            deadline_s=deadline_s,
            strategy=self.name,
            order_id=order_id,
            quantity=quantity,
            price=price,
            trigger_price=trigger_price,
        )
        self._perform(self.session.ask(request, self.now_s()))

    def ask_cancel_all(self, symbol: Symbol | None, timeout_s: float | None) -> None:
        """On behalf of `Strategy.cancel_all`: which are open is asked first, and each is then cancelled by itself."""
        correlation_id, deadline_s = self._ask(_Asked("", "", "cancel_all"), timeout_s)
        request = GetOpenOrders(
            correlation_id=correlation_id, deadline_s=deadline_s, strategy=self.name, symbol=symbol, fresh=False
        )
        self._perform(self.session.ask(request, self.now_s()))

    def ask_get(self, client_order_id: str, timeout_s: float | None) -> None:
        """On behalf of `Strategy.get`."""
        correlation_id, deadline_s = self._ask(_Asked(client_order_id, "", "get"), timeout_s)
        request = GetOrder(
            correlation_id=correlation_id,
            deadline_s=deadline_s,
            strategy=self.name,
            order_id=None,
            client_order_id=client_order_id,
        )
        self._perform(self.session.ask(request, self.now_s()))

    def _ask(self, asked: _Asked, timeout_s: float | None) -> tuple[str, float]:
        self._serial += 1
        correlation_id = f"{self.name}-{self._incarnation}-{self._serial}"
        self._asked[correlation_id] = asked
        asked.deadline_s = self.now_s() + (timeout_s or self.environment.order_timeout_s)
        return correlation_id, asked.deadline_s

    # ------------------------------------------------------------------------------------------------ effects

    def _perform(self, effects: list[s.SessionEffect]) -> None:
        for effect in effects:
            match effect:
                case s.Tell(to=to, message=message):
                    self.send(self.supervisor if to is None else to, message)
                case s.RouteTold(route=route, state=state):
                    self.strategy.route = route
                    if not self._begun and route.exchange is not None:
                        self._begun = True
                        self.strategy.on_start()
                    self.strategy.on_route(route, state)
                case s.OrderTold(order=order):
                    key = order.key.client_order_id
                    self._tell_fill(order)
                    update = OrderUpdate(told=Told.CHANGED, client_order_id=key, order_id=order.order_id, order=order)
                    self.strategy.on_order(update)
                case s.NeverCommitted(order_id=order_id, key=order_key, words=words):
                    never = OrderUpdate(
                        told=Told.NOT_EXECUTED,
                        client_order_id=order_key.client_order_id,
                        order_id=order_id,
                        words=words,
                    )
                    self.strategy.on_order(never)
                case s.Resolved(correlation_id=correlation_id, outcome=outcome):
                    asked = self._asked.pop(correlation_id, None)
                    if asked is not None and asked.kind == "cancel_all" and isinstance(outcome, OrdersReply):
                        self._cancel_each(outcome.orders, asked.deadline_s)
                    elif asked is not None:
                        self._tell_outcome(asked, outcome)

    def _cancel_each(self, orders: tuple[OrderView, ...], deadline_s: float) -> None:
        left_s = max(0.001, deadline_s - self.now_s())
        for order in (each for each in orders if not parent_of(each.key)):
            self.ask_cancel(order.order_id, left_s)

    def _tell_outcome(self, asked: _Asked, outcome: s.Outcome) -> None:
        cancelling, amending = asked.kind in ("cancel", "cancel_all"), asked.kind == "amend"
        order: OrderView | None = None
        order_id, words = asked.order_id, ""
        match outcome:
            case OrderAccepted(order=order):
                told = Told.ACCEPTED
            case OrderReply(order=order):
                told = Told.CANCELLED if cancelling else Told.AMENDED if amending else Told.CHANGED
            case OrderRefused(order=order, words=words):
                told = Told.AMEND_FAILED if amending else Told.REFUSED
            case OrderNotExecuted(order=order, words=words):
                told = Told.NOT_EXECUTED
            case s.OutcomeUnknown(order_id=order_id, words=words):
                told = Told.UNKNOWN
            case Failed(words=words) if amending:
                told = Told.AMEND_FAILED
            case Failed(code=code, words=words) if not cancelling and (
                asked.kind == "place" or code == "unknown_order"
            ):
                told = Told.REFUSED
            case Failed(words=words) | s.Unanswered(words=words):
                # That nobody answered a question says nothing of the order, least of all that it was refused.
                told = Told.CANCEL_FAILED if cancelling else Told.UNKNOWN
            case _:
                raise AssertionError(f"a session cannot resolve a strategy's request by {outcome!r}")
        if order is not None:
            order_id = order.order_id
            self._tell_fill(order)
        update = OrderUpdate(
            told=told,
            client_order_id=asked.client_order_id or (order.key.client_order_id if order is not None else ""),
            order_id=order_id,
            order=order,
            words=words,
        )
        self.strategy.on_order(update)

    def _tell_fill(self, order: OrderView) -> None:
        before = self._filled.get(order.order_id, Decimal(0))
        if order.filled <= before:
            return
        self._filled[order.order_id] = order.filled
        if len(self._filled) > MAX_FILLS_SEEN:
            del self._filled[next(iter(self._filled))]
        price = order.leg.average_price if order.leg is not None else None
        fill = Fill(order=order, quantity=order.filled - before, total=order.filled, average_price=price)
        self.strategy.on_fill(fill)


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
