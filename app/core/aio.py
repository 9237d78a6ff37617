"""The router's calls as coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from app.core import parse, shapes
from app.core.calls import Call
from app.core.cancel_all import CancelAll
from app.core.client import ANSWER_SLACK_S, no_answer
from app.core.errors import NotRunning
from app.core.events import EventStream
from app.core.waiting import LoopWaiting

if TYPE_CHECKING:
    from app.core.order_router import OrderRouter

T = TypeVar("T")


class AsyncCalls:
    """The router's calls as coroutines: the same arguments, results and errors."""

    def __init__(self, router: OrderRouter) -> None:
        self._router = router

    async def _wait(self, call: Call[T]) -> T:
        client = self._router._connected()
        waiting = LoopWaiting()
        client.ask_for(waiting, call.request)
        try:
            async with asyncio.timeout(call.request.deadline_s - client.clock() + ANSWER_SLACK_S):
                outcome = await waiting.future
        except TimeoutError:
            no_answer(call.request, client)
        except asyncio.CancelledError:
            client.forget(call.request.correlation_id)  # the wait ends, not the order
            raise
        return call.read(outcome)

    async def place_order(self, *args: Any, **kwargs: Any) -> shapes.Order:
        """See `OrderRouter.place_order`. Cancelling the coroutine ends the wait, not the order."""
        return await self._wait(self._router._requests.place(*args, **kwargs))

    async def cancel_order(
        self,
        symbol: str,
        order_id: str | None = None,
        *,
        client_order_id: str | None = None,
        timeout_s: float | None = None,
    ) -> shapes.Order:
        """See `OrderRouter.cancel_order`."""
        requests = self._router._requests
        return await self._wait(requests.cancel(symbol, order_id, client_order_id=client_order_id, timeout_s=timeout_s))

    async def cancel_all_orders(
        self, symbol: str | None = None, *, timeout_s: float | None = None
    ) -> shapes.CancelledAll:
        """See `OrderRouter.cancel_all_orders`."""
        plan = CancelAll(self._router._requests, symbol, timeout_s)
        calls = plan.calls(await self._wait(plan.first))
        for outcome in await asyncio.gather(*map(self._wait, calls), return_exceptions=True):
            plan.heard(outcome)
        return plan.result()

    async def amend_order(
        self,
        symbol: str,
        order_id: str,
        *,
        qty: parse.Number | None = None,
        price: parse.Number | None = None,
        trigger_price: parse.Number | None = None,
        replace: bool = True,
        timeout_s: float | None = None,
    ) -> shapes.Order:
        """See `OrderRouter.amend_order`."""
        return await self._wait(
            self._router._requests.amend(
                symbol,
                order_id,
                qty=qty,
                price=price,
                trigger_price=trigger_price,
                replace=replace,
                timeout_s=timeout_s,
            )
        )

    async def get_order(
        self, order_id: str | None = None, *, client_order_id: str | None = None, timeout_s: float | None = None
    ) -> shapes.Order:
        """See `OrderRouter.get_order`."""
        requests = self._router._requests
        return await self._wait(requests.get_order(order_id, client_order_id=client_order_id, timeout_s=timeout_s))

    async def get_open_orders(
        self, symbol: str | None = None, *, all_strategies: bool = False, timeout_s: float | None = None
    ) -> list[shapes.Order]:
        """See `OrderRouter.get_open_orders`."""
        return await self._wait(
            self._router._requests.open_orders(symbol, all_strategies=all_strategies, timeout_s=timeout_s)
        )

    async def get_closed_orders(
        self, symbol: str | None = None, limit: int = 50, *, timeout_s: float | None = None
    ) -> list[shapes.Order]:
        """See `OrderRouter.get_closed_orders`."""
        return await self._wait(self._router._requests.closed_orders(symbol, limit, timeout_s=timeout_s))

    async def get_account_balance(self, *, timeout_s: float | None = None) -> shapes.AccountBalance:
        """See `OrderRouter.get_account_balance`."""
        return await self._wait(self._router._requests.account(timeout_s=timeout_s))

    async def get_balances(
        self, coin: str | None = None, *, timeout_s: float | None = None
    ) -> list[shapes.CoinBalance]:
        """See `OrderRouter.get_balances`."""
        return await self._wait(self._router._requests.balances(coin, timeout_s=timeout_s))

    async def get_market_data(self, symbol: str, *, timeout_s: float | None = None) -> shapes.Ticker:
        """See `OrderRouter.get_market_data`."""
        return await self._wait(self._router._requests.ticker(symbol, timeout_s=timeout_s))

    async def get_positions(self, *, timeout_s: float | None = None) -> list[shapes.Position]:
        """See `OrderRouter.get_positions`."""
        return await self._wait(self._router._requests.positions(timeout_s=timeout_s))

    async def get_fills(
        self,
        symbol: str | None = None,
        since: parse.Moment | None = None,
        *,
        order_id: str | None = None,
        client_order_id: str | None = None,
        timeout_s: float | None = None,
    ) -> list[shapes.Fill]:
        """See `OrderRouter.get_fills`."""
        return await self._wait(
            self._router._requests.fills(
                symbol, since, order_id=order_id, client_order_id=client_order_id, timeout_s=timeout_s
            )
        )

    async def get_order_book(self, symbol: str, depth: int = 25, *, timeout_s: float | None = None) -> shapes.OrderBook:
        """See `OrderRouter.get_order_book`."""
        return await self._wait(self._router._requests.order_book(symbol, depth, timeout_s=timeout_s))

    async def get_klines(
        self,
        symbol: str,
        interval: str,
        limit: int = 200,
        since: parse.Moment | None = None,
        *,
        timeout_s: float | None = None,
    ) -> list[shapes.Kline]:
        """See `OrderRouter.get_klines`."""
        return await self._wait(self._router._requests.klines(symbol, interval, limit, since, timeout_s=timeout_s))

    async def get_exchange_status(self, *, timeout_s: float | None = None) -> shapes.ExchangeStatus:
        """See `OrderRouter.get_exchange_status`."""
        return await self._wait(self._router._requests.exchange_status(timeout_s=timeout_s))

    async def get_server_time(self, *, timeout_s: float | None = None) -> shapes.ServerTime:
        """See `OrderRouter.get_server_time`."""
        return await self._wait(self._router._requests.server_time(timeout_s=timeout_s))

    async def set_leverage(
        self, symbol: str, leverage: parse.Number, *, timeout_s: float | None = None
    ) -> shapes.Setting:
        """See `OrderRouter.set_leverage`."""
        return await self._wait(self._router._requests.set_leverage(symbol, leverage, timeout_s=timeout_s))

    async def set_margin_mode(self, symbol: str, mode: str, *, timeout_s: float | None = None) -> shapes.Setting:
        """See `OrderRouter.set_margin_mode`."""
        return await self._wait(self._router._requests.set_margin_mode(symbol, mode, timeout_s=timeout_s))

    async def set_position_mode(self, mode: str, *, timeout_s: float | None = None) -> shapes.Setting:
        """See `OrderRouter.set_position_mode`."""
        return await self._wait(self._router._requests.set_position_mode(mode, timeout_s=timeout_s))

    def events(
        self, callback: Callable[[shapes.Event], object] | None = None, *, after: int | None = None
    ) -> EventStream:
        """See `OrderRouter.events`; a callback, which may be a coroutine function, is called on the running loop."""
        stream = self._router._stream(after)
        if callback is not None:
            stream.tell_here(callback)
        return stream

    async def get_status(self, *, timeout_s: float | None = None) -> shapes.Status:
        """See `OrderRouter.get_status`."""
        if not self._router._at_rest():
            try:
                return await self._wait(self._router._requests.status(timeout_s=timeout_s))
            except NotRunning:
                if not self._router._at_rest():
                    raise
        return self._router._status_at_rest()

    async def manual_failover(
        self, exchange: str, *, reason: str = "", timeout_s: float | None = None
    ) -> shapes.HistoryEntry:
        """See `OrderRouter.manual_failover`."""
        return await self._wait(self._router._requests.failover(exchange, reason=reason, timeout_s=timeout_s))

    async def get_failover_history(self, *, timeout_s: float | None = None) -> list[shapes.HistoryEntry]:
        """See `OrderRouter.get_failover_history`."""
        return await self._wait(self._router._requests.history(timeout_s=timeout_s))

    # ------------------------------------------------------------------------------------------------ verbs

    async def plan_failover(self, exchange: str, *, timeout_s: float | None = None) -> shapes.Steered:
        """See `OrderRouter.plan_failover`."""
        return await self._wait(self._router._requests.plan_failover(exchange, timeout_s=timeout_s))

    async def failback(
        self, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> shapes.Steered:
        """See `OrderRouter.failback`."""
        requests = self._router._requests
        return await self._wait(requests.failback(dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    async def isolate(
        self, exchange: str, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> shapes.Steered:
        """See `OrderRouter.isolate`."""
        requests = self._router._requests
        return await self._wait(requests.isolate(exchange, dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    async def release(
        self, exchange: str, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> shapes.Steered:
        """See `OrderRouter.release`."""
        requests = self._router._requests
        return await self._wait(requests.release(exchange, dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    async def drain(
        self, exchange: str, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> shapes.Steered:
        """See `OrderRouter.drain`."""
        requests = self._router._requests
        return await self._wait(requests.drain(exchange, dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    async def freeze(
        self, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> shapes.Steered:
        """See `OrderRouter.freeze`."""
        requests = self._router._requests
        return await self._wait(requests.freeze(dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    async def unfreeze(
        self, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> shapes.Steered:
        """See `OrderRouter.unfreeze`."""
        requests = self._router._requests
        return await self._wait(requests.unfreeze(dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    async def reduce_only(
        self, on: bool = True, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> shapes.Steered:
        """See `OrderRouter.reduce_only`."""
        requests = self._router._requests
        return await self._wait(requests.reduce_only(on, dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    async def panic(
        self, flatten: bool = False, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> shapes.Steered:
        """See `OrderRouter.panic`."""
        requests = self._router._requests
        return await self._wait(requests.panic(flatten, dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    async def resolve(
        self,
        order_id: str,
        how: str = "look",
        *,
        dry_run: bool = False,
        reason: str = "",
        timeout_s: float | None = None,
    ) -> shapes.Steered:
        """See `OrderRouter.resolve`."""
        requests = self._router._requests
        return await self._wait(requests.resolve(order_id, how, dry_run=dry_run, reason=reason, timeout_s=timeout_s))

    async def export_history(self, path: str | Path) -> shapes.HistoryExport:
        """See `OrderRouter.export_history`."""
        return await asyncio.to_thread(self._router.export_history, path)

    async def close(self) -> None:
        """See `OrderRouter.close`."""
        await asyncio.to_thread(self._router.close)
