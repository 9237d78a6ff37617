"""A trading desk for tests: one real ccxt client, pointed at a simulated exchange that is new for every test.

The client is kept for a whole module (starting and closing one costs a quarter of a second), the exchange is not: so
every test begins with an empty account. Everything is on loopback, and every wait is bounded.
"""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import ccxt.async_support as ccxt

from app.simulator.dialects import dialect_class
from app.simulator.dialects.base import Matched, Request
from app.simulator.server import wall_clock_ms
from app.simulator.thread import Simulated, SimulatorThread

T = TypeVar("T")
DEADLINE_S = 15.0


class SkewedClock:
    """The wall clock of an exchange, moved by `ahead_ms`."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        """Unix ms."""
        return wall_clock_ms() + self.ahead_ms


class Desk:
    """A client and its exchange. `sim` and `clock` are those of the running test."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.loop = asyncio.new_event_loop()
        self.client: Any = None
        self.clock = SkewedClock()
        self.sim: Simulated

    @contextmanager
    def exchange(self) -> Iterator["Desk"]:
        """A new exchange, with the client pointed at it and its markets loaded."""
        self.clock = SkewedClock()
        with SimulatorThread([self.name], clock=self.clock) as sims:
            self.sim = sims[self.name]
            if self.client is None:
                self.client = self.new_client()
            self._point(self.client)
            self.run(self.client.load_markets())
            yield self

    def new_client(self, **options: Any) -> Any:
        """A ccxt client with light settings, pointed at the exchange of this test; the caller closes it."""
        settings = {"apiKey": self.sim.api_key, "secret": self.sim.secret, "enableRateLimit": False, "timeout": 5_000}
        client = getattr(ccxt, dialect_class(self.name).ccxt_id)({**settings, **options})
        client.has["fetchCurrencies"] = False
        client.options["warnOnFetchOpenOrdersWithoutSymbol"] = False
        self._point(client)
        return client

    def _point(self, client: Any) -> None:
        client.urls["api"] = _moved(client.urls["api"], self.sim.base_url)
        client.apiKey, client.secret = self.sim.api_key, self.sim.secret

    def run(self, awaitable: Awaitable[T]) -> T:
        """The result of a call, within the deadline."""

        async def bounded() -> T:
            return await asyncio.wait_for(awaitable, DEADLINE_S)

        return self.loop.run_until_complete(bounded())

    def refused(self, awaitable: Awaitable[Any]) -> Any:
        """The ccxt error with which a call ends. A call that succeeds fails the test."""
        try:
            result = self.run(awaitable)
        except ccxt.BaseError as error:
            return error
        raise AssertionError(f"The call succeeded: {result!r}.")

    def close(self) -> None:
        """End the client and its loop."""
        if self.client is not None:
            self.run(self.client.close())
        self.loop.close()

    # ---- the exchange's side ----------------------------------------------------------------------------------------

    def truth(self) -> dict[str, Any]:
        """What really happened."""
        return self.sim.control.truth()

    def orders_of(self, client_order_id: str) -> list[dict[str, Any]]:
        """Every order under a client order id, from the truth."""
        return [o for o in self.truth()["orders"] if o["client_order_id"] == client_order_id]

    def order_of(self, client_order_id: str) -> dict[str, Any]:
        """The one order under a client order id, from the truth."""
        (found,) = self.orders_of(client_order_id)
        return found

    def filled_of(self, client_order_id: str) -> str | None:
        """The sum that an order filled, from the truth; None if there is no such order."""
        orders = self.orders_of(client_order_id)
        return orders[0]["filled"] if orders else None

    def signed(self, path: str, section: str, method: str, params: dict[str, Any]) -> tuple[Request, Matched]:
        """A request as the client signs it, for the dialect itself: to execute it at another time than it arrived."""
        made = self.client.sign(path, [section], method, params)
        url = urlsplit(made["url"])
        request = Request(
            method=method,
            path=url.path,
            raw_query=url.query,
            headers={k.lower(): v for k, v in (made["headers"] or {}).items()},
            body=(made["body"] or "").encode(),
            arrived_ms=wall_clock_ms(),
        )
        matched = self.sim.exchange.dialect.match(request)
        assert matched is not None
        return request, matched


def _moved(node: Any, base_url: str) -> Any:
    if isinstance(node, dict):
        return {key: _moved(value, base_url) for key, value in node.items()}
    return base_url + urlsplit(node).path if isinstance(node, str) and "://" in node else node
