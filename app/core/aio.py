"""The router's calls as coroutines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from app.core import shapes
from app.core.calls import Call
from app.core.errors import NotRunning
from app.core.waiting import LoopWaiting

if TYPE_CHECKING:
    from app.core.order_router import OrderRouter

T = TypeVar("T")


class AsyncCalls:
    """The router's calls as coroutines: the same arguments, results and errors."""

    def __init__(self, router: OrderRouter) -> None:
        self._router = router

    async def _wait(self, call: Call[T]) -> T:
        router = self._router
        waiting = LoopWaiting()
        router._connected().ask_for(waiting, call.request)
        try:
            outcome = await waiting.future
        except asyncio.CancelledError:
            client = router._client
            if client is not None:
                client.forget(call.request.correlation_id)  # the wait ends, not the order
            raise
        return call.read(outcome)

    async def place_order(self, *args: Any, **kwargs: Any) -> shapes.Order:
        """See `OrderRouter.place_order`. Cancelling the coroutine ends the wait, not the order."""
        return await self._wait(self._router._requests.place(*args, **kwargs))

    async def cancel_order(self, symbol: str, order_id: str, *, timeout_s: float | None = None) -> shapes.Order:
        """See `OrderRouter.cancel_order`."""
        return await self._wait(self._router._requests.cancel(symbol, order_id, timeout_s=timeout_s))

    async def amend_order(self, symbol: str, order_id: str, **changes: Any) -> shapes.Order:
        """See `OrderRouter.amend_order`."""
        return self._router.amend_order(symbol, order_id, **changes)

    async def get_order(self, order_id: str, *, timeout_s: float | None = None) -> shapes.Order:
        """See `OrderRouter.get_order`."""
        return await self._wait(self._router._requests.get_order(order_id, timeout_s=timeout_s))

    async def get_open_orders(
        self, symbol: str | None = None, *, all_strategies: bool = False, timeout_s: float | None = None
    ) -> list[shapes.Order]:
        """See `OrderRouter.get_open_orders`."""
        return await self._wait(
            self._router._requests.open_orders(symbol, all_strategies=all_strategies, timeout_s=timeout_s)
        )

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

    async def get_status(self, *, timeout_s: float | None = None) -> shapes.Status:
        """See `OrderRouter.get_status`."""
        if not self._router._at_rest():
            try:
                return await self._wait(self._router._requests.status(timeout_s=timeout_s))
            except NotRunning:
                if not self._router._at_rest():
                    raise
        return self._router._status_at_rest()

    async def manual_failover(self, exchange: str, *, timeout_s: float | None = None) -> shapes.HistoryEntry:
        """See `OrderRouter.manual_failover`."""
        return await self._wait(self._router._requests.failover(exchange, timeout_s=timeout_s))

    async def get_failover_history(self, *, timeout_s: float | None = None) -> list[shapes.HistoryEntry]:
        """See `OrderRouter.get_failover_history`."""
        return await self._wait(self._router._requests.history(timeout_s=timeout_s))

    async def close(self) -> None:
        """See `OrderRouter.close`."""
        await asyncio.to_thread(self._router.close)
