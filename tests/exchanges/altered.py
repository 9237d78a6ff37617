"""An exchange whose list of markets is altered on the way: everything else passes through, signatures included."""

from __future__ import annotations

import asyncio
import copy
import json
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientSession, ClientTimeout, web
from yarl import URL

ROWS = {
    "bybit": ("result", "list"),
    "okx": ("data",),
    "binance": ("symbols",),
    "kraken": ("instruments",),
    "kraken_spot": ("result",),  # an object with a pair under each name
}
MARKETS = {
    "bybit": "instruments-info",
    "okx": "public/instruments",
    "binance": "exchangeInfo",
    "kraken": "instruments",
    "kraken_spot": "AssetPairs",
}
TIMEOUT_S = 10.0
_DROPPED = {"host", "content-length", "transfer-encoding", "content-encoding", "connection"}

Alter = Callable[[Any], Any]


def as_it_is(rows: Any) -> Any:
    """Nothing is altered."""
    return rows


class Altered:
    """A proxy before a simulated exchange, on a thread of its own; a context manager.

    Attributes:
        alter: What becomes of the rows of each list of markets; may be set at any time.
        asked: Paths that were asked for, in order.
    """

    def __init__(self, name: str, base_url: str) -> None:
        self.alter: Alter = as_it_is
        self.asked: list[str] = []
        self.base_url = ""
        self._name, self._target = name, base_url
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(TIMEOUT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(TIMEOUT_S)
        self._loop.close()

    def of_markets(self) -> int:
        """How often the markets were asked for."""
        return sum(1 for path in self.asked if path.endswith(MARKETS[self._name]))

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._pass_on)
        async with ClientSession(timeout=ClientTimeout(total=TIMEOUT_S)) as self._session:
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _DROPPED}
        async with self._session.request(
            request.method,
            URL(self._target + request.raw_path, encoded=True),
            headers=headers,
            data=await request.read(),
        ) as answer:
            body = await answer.read()
            if request.path.endswith(MARKETS[self._name]):
                body = json.dumps(self._altered(json.loads(body))).encode()
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in _DROPPED}
            return web.Response(status=answer.status, body=body, headers=kept)

    def _altered(self, answer: Any) -> Any:
        *way, last = ROWS[self._name]
        holder = answer
        for key in way:
            holder = holder[key]
        if holder[last]:
            holder[last] = self.alter(copy.deepcopy(holder[last]))
        return answer


def many(count: int) -> Alter:
    """So many more markets, each like the first with a base coin of its own."""

    def alter(rows: list[Any]) -> list[Any]:
        first = json.dumps(rows[0])
        return [
            *rows,
            *(json.loads(first.replace("BTC", f"C{n:03d}").replace("XBT", f"C{n:03d}")) for n in range(count)),
        ]

    return alter
