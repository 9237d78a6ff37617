"""Every call of the router as a request: what a caller wrote, checked, and how its outcome is to be read.

One place for the blocking and the awaiting spelling of each; the arguments are `OrderRouter`'s own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from app.core import parse, shapes
from app.core.calls import Call, Reading
from app.core.client import Client
from app.core.errors import InvalidRequest
from app.core.settings import Settings
from app.core.verb_requests import VerbRequests
from app.domain.names import UnknownExchange
from app.exchanges.known import known_name
from messages.executions import CatchUp, GetExecutions, GetOrderFills
from messages.failover import GetHistory, GetStatus, ManualFailover
from messages.market import (
    GetBalances,
    GetExchangeStatus,
    GetKlines,
    GetOrderBook,
    GetServerTime,
    GetTicker,
    MarketType,
    SetLeverage,
    SetMarginMode,
    SetPositionMode,
    Symbol,
)
from messages.orders import AmendOrder, CancelOrder, GetClosedOrders, GetOpenOrders, GetOrder, OrderKey, PlaceOrder
from messages.positions import GetPositions

MAX_ROWS = 1000
"""Of bars or closed orders, in one answer."""
MAX_DEPTH = 200
"""Prices of each side of an order book, in one answer."""
FILLS_S = 86_400.0
"""How far back fills are asked for where nobody says: a day."""


class Requests(VerbRequests):
    """Makes calls for one strategy; each raises InvalidRequest for what cannot be, and NotRunning by `client`."""

    def __init__(self, settings: Settings, strategy: str, client: Callable[[], Client]) -> None:
        self._settings = settings
        self._market_type = MarketType(settings.config.router.market_type)
        self.strategy = strategy
        self._client = client

    def _frame(self, timeout_s: float | None) -> dict[str, Any]:
        client = self._client()
        wait_s = self._settings.config.router.order_timeout_s
        if timeout_s is not None:
            wait_s = parse.timeout_s(timeout_s)
        return {"correlation_id": secrets.token_hex(8), "deadline_s": client.clock() + wait_s}

    def _reading(self) -> Reading:
        return Reading(self._settings.spell, self._client().clock)

    def _symbol(self, text: object) -> Symbol:
        return parse.symbol(text, self._market_type)

    def place(
        self,
        symbol: str,
        side: str,
        order_type: str,
        qty: parse.Number,
        price: parse.Number | None = None,
        time_in_force: str = "GoodTillCancel",
        reduce_only: bool = False,
        take_profit: parse.Number | None = None,
        stop_loss: parse.Number | None = None,
        *,
        trigger_price: parse.Number | None = None,
        trigger: str | None = None,
        trigger_by: str | None = None,
        client_order_id: str | None = None,
        timeout_s: float | None = None,
    ) -> Call[shapes.Order]:
        """Of `OrderRouter.place_order`."""
        frame = self._frame(timeout_s)
        spec = parse.spec(
            market_type=self._market_type,
            symbol_text=symbol,
            side=side,
            order_type=order_type,
            qty=qty,
            price=price,
            time_in_force=time_in_force,
            reduce_only=reduce_only,
            take_profit=take_profit,
            stop_loss=stop_loss,
            trigger_price=trigger_price,
            trigger=trigger,
            trigger_by=trigger_by,
        )
        own = secrets.token_hex(16) if client_order_id is None else parse.own_identifier(client_order_id)
        route = self._client().session.route
        key = OrderKey(strategy=self.strategy, client_order_id=own)
        request = PlaceOrder(epoch=route.epoch if route is not None else 0, key=key, spec=spec, **frame)
        return Call(request, self._reading().order)

    def cancel(
        self,
        symbol: str,
        order_id: str | None = None,
        *,
        client_order_id: str | None = None,
        timeout_s: float | None = None,
    ) -> Call[shapes.Order]:
        """Of `OrderRouter.cancel_order`."""
        named, own = parse.either_id(order_id, client_order_id)
        request = CancelOrder(
            strategy=self.strategy,
            order_id=named,
            symbol=self._symbol(symbol),
            client_order_id=own,
            **self._frame(timeout_s),
        )
        return Call(request, self._reading().order)

    def amend(
        self,
        symbol: str,
        order_id: str,
        *,
        qty: parse.Number | None = None,
        price: parse.Number | None = None,
        trigger_price: parse.Number | None = None,
        replace: bool = True,
        timeout_s: float | None = None,
    ) -> Call[shapes.Order]:
        """Of `OrderRouter.amend_order`."""
        if qty is None and price is None and trigger_price is None:
            raise InvalidRequest("Nothing is to be changed: name a qty, a price or a trigger_price.")
        request = AmendOrder(
            strategy=self.strategy,
            order_id=parse.identifier(order_id, "order_id"),
            symbol=self._symbol(symbol),
            quantity=None if qty is None else parse.number(qty, "qty"),
            price=None if price is None else parse.number(price, "price"),
            trigger_price=None if trigger_price is None else parse.number(trigger_price, "trigger_price"),
            replace=parse.flag(replace, "replace"),
            **self._frame(timeout_s),
        )
        return Call(request, self._reading().amended)

    def cancel_known(self, order_id: str, deadline_s: float) -> Call[shapes.Order]:
        """Of an order that the router told of, by a deadline in its own clock."""
        frame = {**self._frame(None), "deadline_s": deadline_s}
        return Call(CancelOrder(strategy=self.strategy, order_id=order_id, **frame), self._reading().order)

    def get_order(
        self, order_id: str | None = None, *, client_order_id: str | None = None, timeout_s: float | None = None
    ) -> Call[shapes.Order]:
        """Of `OrderRouter.get_order`."""
        named, own = parse.either_id(order_id, client_order_id)
        frame = self._frame(timeout_s)
        request = GetOrder(strategy=self.strategy, order_id=named, client_order_id=own, **frame)
        return Call(request, self._reading().order)

    def open_orders(
        self,
        symbol: str | None = None,
        *,
        all_strategies: bool = False,
        fresh: bool = True,
        timeout_s: float | None = None,
    ) -> Call[list[shapes.Order]]:
        """Of `OrderRouter.get_open_orders`; by the journal alone where it need not be `fresh`."""
        wanted = None if symbol is None else self._symbol(symbol)
        strategy = None if all_strategies else self.strategy
        request = GetOpenOrders(strategy=strategy, symbol=wanted, fresh=fresh, **self._frame(timeout_s))
        return Call(request, self._reading().orders)

    def closed_orders(
        self, symbol: str | None = None, limit: int = 50, *, timeout_s: float | None = None
    ) -> Call[list[shapes.Order]]:
        """Of `OrderRouter.get_closed_orders`."""
        wanted = None if symbol is None else self._symbol(symbol)
        most = parse.count(limit, "limit", MAX_ROWS)
        request = GetClosedOrders(strategy=self.strategy, symbol=wanted, limit=most, **self._frame(timeout_s))
        return Call(request, self._reading().orders)

    def fills(
        self,
        symbol: str | None = None,
        since: parse.Moment | None = None,
        *,
        order_id: str | None = None,
        client_order_id: str | None = None,
        timeout_s: float | None = None,
    ) -> Call[list[shapes.Fill]]:
        """Of `OrderRouter.get_fills`."""
        if order_id is not None or client_order_id is not None:
            if symbol is not None or since is not None:
                raise InvalidRequest("An order is named: its fills are all told, so leave out symbol and since.")
            named, own = parse.either_id(order_id, client_order_id)
            asked = GetOrderFills(strategy=self.strategy, order_id=named, client_order_id=own, **self._frame(timeout_s))
            return Call(asked, self._reading().fills)
        if symbol is None:
            raise InvalidRequest("get_fills() needs a symbol, or an order by its order_id or client_order_id.")
        frame = self._frame(timeout_s)
        since_s = self._client().clock() - FILLS_S if since is None else parse.moment_s(since)
        return Call(GetExecutions(symbol=self._symbol(symbol), since_s=since_s, **frame), self._reading().fills)

    def catch_up(self, after: int, timeout_s: float) -> CatchUp:
        """What the strategy was told after a number."""
        return CatchUp(strategy=self.strategy, after=after, **self._frame(timeout_s))

    def order_book(self, symbol: str, depth: int = 25, *, timeout_s: float | None = None) -> Call[shapes.OrderBook]:
        """Of `OrderRouter.get_order_book`."""
        most = parse.count(depth, "depth", MAX_DEPTH)
        request = GetOrderBook(symbol=self._symbol(symbol), depth=most, **self._frame(timeout_s))
        return Call(request, self._reading().order_book)

    def klines(
        self,
        symbol: str,
        interval: str,
        limit: int = 200,
        since: parse.Moment | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Call[list[shapes.Kline]]:
        """Of `OrderRouter.get_klines`."""
        request = GetKlines(
            symbol=self._symbol(symbol),
            interval=parse.interval(interval),
            since_s=None if since is None else parse.moment_s(since),
            limit=parse.count(limit, "limit", MAX_ROWS),
            **self._frame(timeout_s),
        )
        return Call(request, self._reading().klines)

    def exchange_status(self, *, timeout_s: float | None = None) -> Call[shapes.ExchangeStatus]:
        """Of `OrderRouter.get_exchange_status`."""
        return Call(GetExchangeStatus(**self._frame(timeout_s)), self._reading().exchange_status)

    def server_time(self, *, timeout_s: float | None = None) -> Call[shapes.ServerTime]:
        """Of `OrderRouter.get_server_time`."""
        return Call(GetServerTime(**self._frame(timeout_s)), self._reading().server_time)

    def set_leverage(
        self, symbol: str, leverage: parse.Number, *, timeout_s: float | None = None
    ) -> Call[shapes.Setting]:
        """Of `OrderRouter.set_leverage`."""
        times = parse.number(leverage, "leverage")
        request = SetLeverage(symbol=self._symbol(symbol), leverage=times, **self._frame(timeout_s))
        return Call(request, self._reading().setting)

    def set_margin_mode(self, symbol: str, mode: str, *, timeout_s: float | None = None) -> Call[shapes.Setting]:
        """Of `OrderRouter.set_margin_mode`."""
        wanted = parse.margin_mode(mode)
        request = SetMarginMode(symbol=self._symbol(symbol), mode=wanted, **self._frame(timeout_s))
        return Call(request, self._reading().setting)

    def set_position_mode(self, mode: str, *, timeout_s: float | None = None) -> Call[shapes.Setting]:
        """Of `OrderRouter.set_position_mode`."""
        request = SetPositionMode(mode=parse.position_mode(mode), **self._frame(timeout_s))
        return Call(request, self._reading().setting)

    def account(self, *, timeout_s: float | None = None) -> Call[shapes.AccountBalance]:
        """Of `OrderRouter.get_account_balance`."""
        return Call(GetBalances(**self._frame(timeout_s)), self._reading().account)

    def balances(self, coin: str | None = None, *, timeout_s: float | None = None) -> Call[list[shapes.CoinBalance]]:
        """Of `OrderRouter.get_balances`."""
        return Call(GetBalances(coin=parse.coin(coin), **self._frame(timeout_s)), self._reading().balances)

    def ticker(self, symbol: str, *, timeout_s: float | None = None) -> Call[shapes.Ticker]:
        """Of `OrderRouter.get_market_data`."""
        return Call(GetTicker(symbol=self._symbol(symbol), **self._frame(timeout_s)), self._reading().ticker)

    def positions(self, *, timeout_s: float | None = None) -> Call[list[shapes.Position]]:
        """Of `OrderRouter.get_positions`."""
        return Call(GetPositions(**self._frame(timeout_s)), self._reading().positions)

    def status(self, *, timeout_s: float | None = None) -> Call[shapes.Status]:
        """Of `OrderRouter.get_status`."""
        return Call(GetStatus(**self._frame(timeout_s)), self._reading().status)

    def failover(self, exchange: str, *, reason: str = "", timeout_s: float | None = None) -> Call[shapes.HistoryEntry]:
        """Of `OrderRouter.manual_failover`."""
        words = parse.reason(reason)
        try:
            name = known_name(exchange)
        except (UnknownExchange, AttributeError):
            known = ", ".join(self._settings.spell(name) for name in self._settings.config.routed)
            raise InvalidRequest(f"Cannot fail over to {exchange!r}: the configured exchanges are {known}.") from None
        return Call(ManualFailover(exchange=name, reason=words, **self._frame(timeout_s)), self._reading().switch)

    def history(self, *, timeout_s: float | None = None) -> Call[list[shapes.HistoryEntry]]:
        """Of `OrderRouter.get_failover_history`."""
        return Call(GetHistory(**self._frame(timeout_s)), self._reading().history)
