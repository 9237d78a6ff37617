"""Real ccxt clients pointed at simulated exchanges, and waiting with a deadline: shared by the simulator's tests."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import ccxt.async_support as ccxt

from app.simulator.dialects import dialect_class
from app.simulator.thread import Simulated

T = TypeVar("T")
BTC = "BTC/USDT:USDT"
SYMBOLS = {"kraken": "BTC/USD:USD", "kraken_spot": "BTC/USD", "binance_spot": "BTC/USDT"}
_POLL_S = 0.01
_SENDING_S = 15.0


def symbol_of(sim: Simulated) -> str:
    """BTC's market there: the perpetual, or of a spot exchange the pair."""
    return SYMBOLS.get(sim.name, BTC)


def client_id(n: int = 1) -> str:
    """A client order id that every exchange takes: 32 hex."""
    return f"{n:032x}"


def make_client(sim: Simulated) -> Any:
    """A ccxt client of `sim`: its own class, with only the scheme and host of its addresses changed."""
    client = getattr(ccxt, dialect_class(sim.name).ccxt_id)(
        {
            "apiKey": sim.api_key,
            "secret": sim.secret,
            "password": sim.password,
            "enableRateLimit": False,
            "timeout": 5_000,
        }
    )
    client.has["fetchCurrencies"] = False
    kind = "spot" if sim.name.endswith("_spot") else "swap"
    client.options["fetchMarkets"] = {"types": [kind] if client.id == "okx" or kind == "spot" else ["linear"]}
    client.options["fetchMargins"] = False
    client.options["defaultType"] = kind
    client.urls["api"] = _moved(client.urls["api"], sim.base_url)
    return client


def _moved(node: Any, base_url: str) -> Any:
    if isinstance(node, dict):
        return {key: _moved(value, base_url) for key, value in node.items()}
    return base_url + urlsplit(node.replace("{hostname}", "localhost")).path if isinstance(node, str) else node


class _Impatient:
    """A client's session whose patience begins when a request has been sent."""

    def __init__(self, session: aiohttp.ClientSession, answer_ms: int) -> None:
        self.headers = session.headers
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=_SENDING_S, sock_read=answer_ms / 1000)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def send(url: Any, **asked: Any) -> Any:
            return getattr(self._session, method)(url, **{**asked, "timeout": self._timeout})

        return send


@contextmanager
def impatient(client: Any, answer_ms: int) -> Iterator[None]:
    """A connected client gives up that long after each request is sent, as ccxt's RequestTimeout.

    ccxt's own timeout counts from before the connection is there: with a short one, a client on a busy machine gives up
    what it has not sent, so that an order which was to be late never came.
    """
    session = client.session
    client.session = _Impatient(session, answer_ms)
    try:
        yield
    finally:
        client.session = session


@asynccontextmanager
async def connected(sim: Simulated) -> AsyncIterator[Any]:
    """A client with its markets loaded, closed afterwards."""
    client = make_client(sim)
    try:
        await client.load_markets()
        yield client
    finally:
        await client.close()


def trade(sim: Simulated, act: Callable[[Any], Awaitable[T]]) -> T:
    """Run `act` with a connected client on an event loop of its own."""

    async def run() -> T:
        async with connected(sim) as client:
            return await act(client)

    return asyncio.run(run())


def eventually(condition: Callable[[], T], *, deadline_s: float = 10.0) -> T:
    """The first true value of `condition`, asked again and again until the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"It did not come true within {deadline_s:g} s; last: {found!r}.")
        threading.Event().wait(_POLL_S)


def arrived(sim: Simulated, call: str, *, requests: int = 1) -> None:
    """Waits until so many requests for `call` have reached the exchange: giving one up is quicker than its arrival."""
    eventually(lambda: sum(row["call"] == call for row in sim.control.requests()) >= requests)


def order_of(sim: Simulated, client_order_id: str) -> dict[str, Any]:
    """The one order of a client order id, from the truth."""
    found = orders_of(sim, client_order_id)
    assert len(found) == 1, found
    return found[0]


def orders_of(sim: Simulated, client_order_id: str) -> list[dict[str, Any]]:
    """Every order of a client order id, from the truth."""
    return [o for o in sim.control.truth()["orders"] if o["client_order_id"] == client_order_id]
