"""The router's calls as (request, how to read its outcome): one place for the sync and the async spelling of each."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Generic, NoReturn, TypeVar

from attrs import frozen

from app.core import render, render_plans, shapes
from app.core.errors import (
    InvalidRequest,
    NoExchangeAvailable,
    OrderOutcomeUnknown,
    OrderRefused,
    OrderRouterError,
)
from app.core.render import Spell
from app.domain import session as s
from app.domain.calls import UNSUPPORTED
from messages.base import Failed, Request
from messages.control import Steered
from messages.executions import ExecutionsReply
from messages.failover import HistoryReply, StatusReply, SwitchReply
from messages.market import (
    BalancesReply,
    ExchangeStatusReply,
    KlinesReply,
    OrderBookReply,
    ServerTimeReply,
    SettingDone,
    TickerReply,
)
from messages.orders import OrderAccepted, OrderNotExecuted, OrderReply, OrdersReply
from messages.orders import OrderRefused as Refused
from messages.positions import PositionsReply

INVALID = frozenset(
    {
        "invalid_order",
        "invalid_symbol",
        "client_order_id_reused",
        "unknown_order",
        "failover_refused",
        "verb_refused",
        "order_not_open",
        "unsupported",
    }
)
"""Codes of the router's own refusals that mean: what was asked cannot be right."""


T = TypeVar("T")


@frozen
class Call(Generic[T]):
    """One call: what is asked, and how its outcome is read."""

    request: Request
    read: Callable[[s.Outcome], T]


@frozen
class Reading:
    """Reads outcomes into shapes, or raises.

    Attributes:
        spell: The caller's spelling of an exchange's name.
        clock: Unix seconds.
    """

    spell: Spell
    clock: Callable[[], float]

    def order(self, outcome: s.Outcome) -> shapes.Order:
        """Of placing, cancelling and asking for an order."""
        if isinstance(outcome, OrderAccepted | OrderReply):
            return render.order(outcome.order, self.spell)
        fail(outcome)

    def amended(self, outcome: s.Outcome) -> shapes.Order:
        """Of changing an order; that its exchange cannot do so is its refusal, and no mistake of the caller's."""
        if isinstance(outcome, Refused) and outcome.code == UNSUPPORTED:
            raise OrderRefused(outcome.code, outcome.words)
        return self.order(outcome)

    def orders(self, outcome: s.Outcome) -> list[shapes.Order]:
        """Of asking for open or closed orders."""
        if isinstance(outcome, OrdersReply):
            return [render.order(view, self.spell) for view in outcome.orders]
        fail(outcome)

    def balances(self, outcome: s.Outcome) -> list[shapes.CoinBalance]:
        """Of asking for coins."""
        if isinstance(outcome, BalancesReply):
            return [render.coin(balance, self.spell, self.clock()) for balance in outcome.balances]
        fail(outcome)

    def account(self, outcome: s.Outcome) -> shapes.AccountBalance:
        """Of asking for the account."""
        coins = self.balances(outcome)
        newest = max(coins, key=lambda coin: Decimal(coin["time"] or 0), default=None)
        return shapes.AccountBalance(
            exchange=newest["exchange"] if newest else "",
            time=newest["time"] if newest else "",
            age_s=newest["age_s"] if newest else 0.0,
            coins=coins,
        )

    def ticker(self, outcome: s.Outcome) -> shapes.Ticker:
        """Of asking for a market."""
        if isinstance(outcome, TickerReply):
            return render.ticker(outcome.ticker, self.spell, self.clock())
        fail(outcome)

    def order_book(self, outcome: s.Outcome) -> shapes.OrderBook:
        """Of asking for the best prices."""
        if isinstance(outcome, OrderBookReply):
            return render.order_book(outcome.book, self.spell, self.clock())
        fail(outcome)

    def klines(self, outcome: s.Outcome) -> list[shapes.Kline]:
        """Of asking for bars."""
        if isinstance(outcome, KlinesReply):
            return [render.kline(bar) for bar in outcome.klines]
        fail(outcome)

    def fills(self, outcome: s.Outcome) -> list[shapes.Fill]:
        """Of asking for trades."""
        if isinstance(outcome, ExecutionsReply):
            return [render.fill(each, self.spell) for each in outcome.executions]
        fail(outcome)

    def exchange_status(self, outcome: s.Outcome) -> shapes.ExchangeStatus:
        """Of asking what an exchange says of itself."""
        if isinstance(outcome, ExchangeStatusReply):
            return render.exchange_status(outcome, self.spell)
        fail(outcome)

    def server_time(self, outcome: s.Outcome) -> shapes.ServerTime:
        """Of asking for the time."""
        if isinstance(outcome, ServerTimeReply):
            return render.server_time(outcome, self.spell)
        fail(outcome)

    def setting(self, outcome: s.Outcome) -> shapes.Setting:
        """Of making a setting."""
        if isinstance(outcome, SettingDone):
            return render.setting(outcome, self.spell)
        fail(outcome)

    def positions(self, outcome: s.Outcome) -> list[shapes.Position]:
        """Of asking for positions."""
        if isinstance(outcome, PositionsReply):
            return [render.position(position, self.spell) for position in outcome.positions]
        fail(outcome)

    def status(self, outcome: s.Outcome) -> shapes.Status:
        """Of asking for the status."""
        if isinstance(outcome, StatusReply):
            return render.status(outcome, self.spell)
        fail(outcome)

    def history(self, outcome: s.Outcome) -> list[shapes.HistoryEntry]:
        """Of asking for the history."""
        if isinstance(outcome, HistoryReply):
            return [render.switch(switch, self.spell) for switch in outcome.switches]
        fail(outcome)

    def switch(self, outcome: s.Outcome) -> shapes.HistoryEntry:
        """Of a manual failover."""
        if isinstance(outcome, SwitchReply):
            return render.switch(outcome.switch, self.spell)
        fail(outcome)

    def steered(self, outcome: s.Outcome) -> shapes.Steered:
        """Of a verb."""
        if isinstance(outcome, Steered):
            return render_plans.steered(outcome, self.spell)
        fail(outcome)


def fail(outcome: s.Outcome) -> NoReturn:
    """Raises the error an outcome stands for."""
    match outcome:
        case Refused(code=code, words=words, native_code=native_code):
            if native_code is None and code in INVALID:
                raise InvalidRequest(words)
            raise OrderRefused(native_code or code, words)
        case OrderNotExecuted(words=words):
            raise NoExchangeAvailable(words)
        case s.OutcomeUnknown(order_id=order_id, words=words):
            raise OrderOutcomeUnknown(order_id, words)
        case Failed(code=code, words=words, native_code=native_code):
            if code in INVALID:
                raise InvalidRequest(words)
            raise OrderRouterError(words if native_code is None else f"{words} ({native_code})")
        case s.Unanswered(words=words):
            raise OrderRouterError(words)
    raise OrderRouterError(f"The router answered {type(outcome).__name__}, which answers something else.")
