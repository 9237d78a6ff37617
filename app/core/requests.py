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
from app.domain.names import UnknownExchange, canonical_name
from messages.failover import GetHistory, GetStatus, ManualFailover
from messages.market import GetBalances, GetTicker, MarketType, Symbol
from messages.orders import CancelOrder, GetOpenOrders, GetOrder, OrderKey, PlaceOrder
from messages.positions import GetPositions


class Requests:
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
        )
        own = secrets.token_hex(16) if client_order_id is None else parse.identifier(client_order_id)
        route = self._client().session.route
        key = OrderKey(strategy=self.strategy, client_order_id=own)
        request = PlaceOrder(epoch=route.epoch if route is not None else 0, key=key, spec=spec, **frame)
        return Call(request, self._reading().order)

    def cancel(self, symbol: str, order_id: str, *, timeout_s: float | None = None) -> Call[shapes.Order]:
        """Of `OrderRouter.cancel_order`."""
        request = CancelOrder(
            strategy=self.strategy,
            order_id=parse.order_id(order_id),
            symbol=self._symbol(symbol),
            **self._frame(timeout_s),
        )
        return Call(request, self._reading().order)

    def get_order(self, order_id: str, *, timeout_s: float | None = None) -> Call[shapes.Order]:
        """Of `OrderRouter.get_order`."""
        request = GetOrder(strategy=self.strategy, order_id=parse.order_id(order_id), **self._frame(timeout_s))
        return Call(request, self._reading().order)

    def open_orders(
        self, symbol: str | None = None, *, all_strategies: bool = False, timeout_s: float | None = None
    ) -> Call[list[shapes.Order]]:
        """Of `OrderRouter.get_open_orders`."""
        wanted = None if symbol is None else self._symbol(symbol)
        strategy = None if all_strategies else self.strategy
        request = GetOpenOrders(strategy=strategy, symbol=wanted, **self._frame(timeout_s))
        return Call(request, self._reading().orders)

    def account(self, *, timeout_s: float | None = None) -> Call[shapes.AccountBalance]:
        """Of `OrderRouter.get_account_balance`."""
        return Call(GetBalances(**self._frame(timeout_s)), self._reading().account)

    def balances(self, coin: str | None = None, *, timeout_s: float | None = None) -> Call[list[shapes.CoinBalance]]:
        """Of `OrderRouter.get_balances`."""
        return Call(GetBalances(coin=coin, **self._frame(timeout_s)), self._reading().balances)

    def ticker(self, symbol: str, *, timeout_s: float | None = None) -> Call[shapes.Ticker]:
        """Of `OrderRouter.get_market_data`."""
        return Call(GetTicker(symbol=self._symbol(symbol), **self._frame(timeout_s)), self._reading().ticker)

    def positions(self, *, timeout_s: float | None = None) -> Call[list[shapes.Position]]:
        """Of `OrderRouter.get_positions`."""
        return Call(GetPositions(**self._frame(timeout_s)), self._reading().positions)

    def status(self, *, timeout_s: float | None = None) -> Call[shapes.Status]:
        """Of `OrderRouter.get_status`."""
        return Call(GetStatus(**self._frame(timeout_s)), self._reading().status)

    def failover(self, exchange: str, *, timeout_s: float | None = None) -> Call[shapes.HistoryEntry]:
        """Of `OrderRouter.manual_failover`."""
        try:
            name = canonical_name(exchange)
        except (UnknownExchange, AttributeError):
            known = ", ".join(self._settings.spell(name) for name in self._settings.config.routed)
            raise InvalidRequest(f"Cannot fail over to {exchange!r}: the configured exchanges are {known}.") from None
        return Call(ManualFailover(exchange=name, **self._frame(timeout_s)), self._reading().switch)

    def history(self, *, timeout_s: float | None = None) -> Call[list[shapes.HistoryEntry]]:
        """Of `OrderRouter.get_failover_history`."""
        return Call(GetHistory(**self._frame(timeout_s)), self._reading().history)
