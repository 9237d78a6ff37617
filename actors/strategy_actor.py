"""The actor that runs one strategy: a session inside, the user's hooks outside."""

from __future__ import annotations

import importlib
import sys
from decimal import Decimal
from typing import Any

import structlog
from attrs import define

from actors._shell import Shell
from actors.environment import StrategySpec
from actors.strategy import Strategy
from app.domain import session as s
from app.domain.exits import parent_of
from messages.base import Failed, Reply
from messages.executions import Heard, OrderFilled, ToldUpTo
from messages.failover import RouteChanged
from messages.health import HealthAlarms
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
    OrderUpdate,
    OrderView,
    PlaceOrder,
    Told,
)
from messages.positions import BookNews
from messages.supervision import Directory, Role, Start

log = structlog.get_logger()

HEARD_S = 1.0
"""Between records of what the hooks have heard: each is a write, which no order should wait for."""


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
        self._heard = self._heard_told = 0
        self._heard_s = now_s
        settings = s.SessionSettings(
            session_id=f"strategy-{start.name}-{start.incarnation}",
            strategy=start.name,
            max_retry_attempts=self.environment.max_retry_attempts,
            retry_delay_s=self.environment.retry_delay_s,
            jitter=self.environment.retry_jitter,
            resumes=True,
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
            case OrderChanged() | OrderFilled() | ToldUpTo():
                if isinstance(message, ToldUpTo):
                    self._heard_told = 0  # now and then again: whoever was told may have died of something else
                self._perform(self.session.news_told(message, now_s))
            case Reply():
                self._perform(self.session.reply(message, now_s))
            case BookNews():
                self.strategy.on_positions(message)
            case HealthAlarms():
                self.strategy.on_health(message)
            case _:
                log.warning("strategy.unexpected_message", strategy=self.name, message_type=type(message).__name__)

    def on_tick(self, now_s: float) -> None:
        """The session's moments and the user's."""
        self._perform(self.session.tick(now_s))
        if self._heard > self._heard_told and now_s >= self._heard_s:
            self._tell_heard(now_s)
        if any(at_s <= now_s for at_s in self.timers):
            self.timers = [at_s for at_s in self.timers if at_s > now_s]
            self.strategy.on_timer(now_s)

    def next_s(self, now_s: float) -> float | None:
        """Whichever comes first."""
        heard_s = [self._heard_s] if self._heard > self._heard_told else []
        return min([self.session.next_s(), *self.timers, *heard_s])

    # ------------------------------------------------------------------------------------------------ asking

    @property
    def market_type(self) -> MarketType:
        """What the strategy trades."""
        return MarketType(self.environment.market_type)

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
        replace: bool,
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
            replace=replace,
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
                    self._begin()
                    self.strategy.on_route(route, state)
                case s.OrderTold():
                    self._tell_news(effect)
                case s.NewsBegin(number=number, missed=missed):
                    self._heard = self._heard_told = number
                    self._begin()
                    if missed:
                        log.error("strategy.news_missed", strategy=self.name, missed=missed)
                        self.strategy.on_gap(missed)
                case s.NeverCommitted(order_id=order_id, key=order_key, words=words):
                    never = OrderUpdate(
                        told=Told.NOT_EXECUTED,
                        client_order_id=order_key.client_order_id,
                        order_id=order_id,
                        words=words,
                    )
                    self.strategy.on_order(never)
                    self.strategy.on_resolved(never)
                case s.Resolved(correlation_id=correlation_id, outcome=outcome):
                    asked = self._asked.pop(correlation_id, None)
                    if asked is not None and asked.kind == "cancel_all" and isinstance(outcome, OrdersReply):
                        self._cancel_each(outcome.orders, asked.deadline_s)
                    elif asked is not None:
                        self._tell_outcome(asked, outcome)

    def _begin(self) -> None:
        """Once it is known where orders go, and what the strategy's earlier lives have heard."""
        route = self.session.route
        if self._begun or route is None or route.exchange is None or self.session.news.heard is None:
            return
        self._begun = True
        self.strategy.on_start()
        self._perform([*self.session.news.listen(self.now_s())])

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
        update = OrderUpdate(
            told=told,
            client_order_id=asked.client_order_id or (order.key.client_order_id if order is not None else ""),
            order_id=order_id,
            order=order,
            words=words,
        )
        self.strategy.on_order(update)

    def _tell_news(self, news: s.OrderTold) -> None:
        order, strategy = news.order, self.strategy
        update = OrderUpdate(
            told=Told.CHANGED,
            client_order_id=order.key.client_order_id,
            order_id=order.order_id,
            order=order,
            number=news.number,
        )
        try:
            if isinstance(news, s.FillTold):
                strategy.on_execution(news.execution, news.number)
            if news.grew > 0:
                price = order.leg.average_price if order.leg is not None else None
                strategy.on_fill(
                    Fill(order=order, quantity=news.grew, total=news.total, average_price=price, number=news.number)
                )
            strategy.on_order(update)
            if news.resolved:
                strategy.on_resolved(update)
        except Exception:  # the strategy's own bug, raised again below, which is logged and ends this life
            # Told to its next life again, what it cannot bear would end that one as well, and the one after it.
            self._heard = max(self._heard, news.number)
            self._tell_heard(self.now_s())
            raise
        self._heard = max(self._heard, news.number)

    def _tell_heard(self, now_s: float) -> None:
        self._heard_s = now_s + HEARD_S
        route, directory = self.session.route, self.session.directory
        if directory is None or self._heard <= self._heard_told:
            return
        exchange = route.exchange if route is not None else None
        entry = directory.find(Role.CONNECTOR, exchange) if exchange is not None else None
        entry = entry or directory.find(Role.CONNECTOR)
        if entry is not None:
            self._heard_told = self._heard
            self.send(entry.address, Heard(strategy=self.name, number=self._heard))
