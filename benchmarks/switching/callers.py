"""Two ways for a strategy to place its orders: through the router, and by a plain loop over ccxt's own clients.

Both run on the event loop of the strategy's process. The loop is what bots are made of: try an exchange, again after a
pause where the network failed, then the next exchange, and stay there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final, Protocol

from app.core.order_router import InvalidRequest, OrderOutcomeUnknown, OrderRouter, OrderRouterError
from app.exchanges.client import redirected
from benchmarks.contest import CCXT_IDS
from benchmarks.switching.verdict import Asked, Told

SYMBOL: Final = "BTC/USDT:USDT"
SETTLED: Final = frozenset({"New", "PartiallyFilled", "Filled", "Cancelled", "Rejected", "Expired", "NotExecuted"})
ASK_AGAIN_S: Final = 0.05
BACK_S: Final = 0.25


class Caller(Protocol):
    """One way to place."""

    async def place(self, asked: Asked) -> None:
        """Places a market order, and notes in it what came of it."""
        ...

    async def settle(self, asked: Sequence[Asked], timeout_s: float) -> None:
        """Finds out what nobody knew, where there is a way to ask."""
        ...

    async def back(self, exchange: str) -> None:
        """Trades on an exchange again that had died."""
        ...


class Through:
    """`router.aio.place_order`, and `get_order` where that says that nobody can know yet."""

    def __init__(self, router: OrderRouter) -> None:
        self.router = router
        self._doubts: list[tuple[Asked, str]] = []

    async def place(self, asked: Asked) -> None:
        """See `Caller`."""
        try:
            order = await self.router.aio.place_order("BTCUSDT", asked.side, "Market", str(asked.qty))
        except OrderOutcomeUnknown as unknown:
            asked.told, asked.words = Told.UNKNOWN, str(unknown)
            self._doubts.append((asked, unknown.order_id))
        except OrderRouterError as error:
            asked.told, asked.words = Told.NOT_DONE, f"{type(error).__name__}: {error}"
        else:
            self._note(asked, order["orderStatus"], order["exchange"])
        asked.first, asked.answered_s = asked.told, time.monotonic()

    def _note(self, asked: Asked, status: str, exchange: str) -> None:
        if status in SETTLED:
            asked.told = Told.NOT_DONE if status in ("NotExecuted", "Rejected") else Told.DONE
            asked.exchange = exchange if asked.told is Told.DONE else ""

    async def settle(self, asked: Sequence[Asked], timeout_s: float) -> None:
        """See `Caller`."""
        end_s = time.monotonic() + timeout_s
        while self._doubts and time.monotonic() < end_s:
            for each, order_id in list(self._doubts):
                try:
                    order = await self.router.aio.get_order(order_id)
                except InvalidRequest as never:
                    if "nothing was ever sent" in str(never):
                        each.told = Told.NOT_DONE
                except OrderRouterError as error:
                    each.words = str(error)
                else:
                    self._note(each, order["orderStatus"], order["exchange"])
                if each.told is not Told.UNKNOWN:
                    self._doubts.remove((each, order_id))
            await asyncio.sleep(ASK_AGAIN_S)

    async def back(self, exchange: str) -> None:
        """See `Caller`."""
        while True:
            try:
                if self.router.current_connector_name != exchange:
                    await asyncio.to_thread(self.router.manual_failover, exchange)
                return
            except OrderRouterError:
                await asyncio.sleep(BACK_S)  # it is not well again yet, or still being settled


class Loop:
    """Tries `1 + retries` times, `pause_s` apart, on each exchange in turn, beginning with the one that last did it."""

    def __init__(self, clients: Mapping[str, Any], *, retries: int, pause_s: float) -> None:
        self._clients = clients
        self._names = list(clients)
        self._retries, self._pause_s = retries, pause_s
        self._current = 0

    async def place(self, asked: Asked) -> None:
        """See `Caller`."""
        import ccxt

        asked.told = Told.UNKNOWN
        for at in range(self._current, len(self._names)):
            if at < self._current:
                continue  # another order has found out meanwhile
            name = self._names[at]
            for attempt in range(1 + self._retries):
                if attempt:
                    await asyncio.sleep(self._pause_s)
                try:
                    await self._create(self._clients[name], asked)
                except ccxt.NetworkError as error:
                    asked.words = str(error)[:200]
                    continue
                except ccxt.BaseError as error:
                    asked.told, asked.words = Told.NOT_DONE, str(error)[:200]
                else:
                    asked.told, asked.exchange, self._current = Told.DONE, name, max(self._current, at)
                break
            if asked.told is not Told.UNKNOWN:
                break
            self._current = max(self._current, min(at + 1, len(self._names) - 1))
        asked.first, asked.answered_s = asked.told, time.monotonic()

    async def _create(self, client: Any, asked: Asked) -> None:
        contracts = asked.qty / Decimal(str(client.markets[SYMBOL]["contractSize"]))
        await client.create_order(SYMBOL, "market", asked.side.lower(), float(contracts))

    async def settle(self, asked: Sequence[Asked], timeout_s: float) -> None:
        """It remembers nothing that it could ask by."""

    async def back(self, exchange: str) -> None:
        """See `Caller`."""
        self._current = self._names.index(exchange)


@asynccontextmanager
async def loop_over(
    facts: Mapping[str, Mapping[str, str]], *, request_timeout_s: float, retries: int, pause_s: float
) -> AsyncIterator[Loop]:
    """A loop over ccxt's own clients, markets loaded and connections warm; its rate limiter off."""
    import ccxt.async_support as ccxt

    clients: dict[str, Any] = {}
    try:
        for name, fact in facts.items():
            client = clients[name] = getattr(ccxt, CCXT_IDS[name])(
                {
                    "apiKey": fact["api_key"],
                    "secret": fact["secret"],
                    "password": fact["password"],
                    "timeout": int(1000 * request_timeout_s),
                    "enableRateLimit": False,
                    "options": {
                        "defaultType": "swap",
                        "fetchMarkets": {"types": ["linear" if name == "bybit" else "swap"]},
                    },
                }
            )
            client.has["fetchCurrencies"] = False
            client.urls["api"] = redirected(client.urls["api"], fact["base_url"])
            await client.load_markets()
        yield Loop(clients, retries=retries, pause_s=pause_s)
    finally:
        for client in clients.values():
            await client.close()
