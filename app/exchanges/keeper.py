"""What a port does beside its calls: measures the clock, makes hidden calls, and loads the markets anew now and then.

Orders do not wait for any of it. Markets are loaded on a thread and by a client of their own, since ccxt reads some
hundreds of them in one go, during which an event loop does nothing else; that client has no credentials, and asks
nothing that needs them. What comes of it is taken over by the port's own loop, in a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog
from attrs import frozen

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

SETTLING_S = 2.0
"""After a start from what was handed over, before anything but the clock is asked for: orders that waited go first."""
RETRY_S = 30.0
"""After markets could not be loaded; the exchange may be out."""


@frozen(kw_only=True)
class Chores:
    """What is to be done, each answering with an empty text, or one sentence that says why it could not.

    Attributes:
        measure: The clock, once.
        warm_up: Hidden calls.
        load: The markets.
    """

    measure: Callable[[], Awaitable[str]]
    warm_up: Callable[[], Awaitable[str]]
    load: Callable[[], Awaitable[str]]


class Keeper:
    """Does the chores of one port, on its event loop, until closed."""

    def __init__(self, exchange: str, chores: Chores, *, refresh_s: float) -> None:
        """
        Args:
            refresh_s: Between two loadings of the markets.
        """
        self._exchange = exchange
        self._chores = chores
        self._refresh_s = refresh_s
        self._task: asyncio.Task[None] | None = None
        self._said: dict[str, str] = {}

    def start(self, *, measurements: int, handed_over: bool) -> None:
        """Begins, unless it has.

        Args:
            measurements: Of the clock, still to be made.
            handed_over: The markets are of an earlier life, and are to be loaded soon.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(measurements, handed_over))

    async def close(self) -> None:
        """Ends it."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self, measurements: int, handed_over: bool) -> None:
        if measurements:
            await self._do("clock", self._chores.measure)
        if handed_over:
            await asyncio.sleep(min(SETTLING_S, self._refresh_s))
            for _ in range(measurements - 1):
                await self._do("clock", self._chores.measure)
            await self._do("account", self._chores.warm_up)
        else:
            await asyncio.sleep(self._refresh_s)
        while True:
            loaded = await self._do("markets", self._chores.load)
            await asyncio.sleep(self._refresh_s if loaded else min(RETRY_S, self._refresh_s))

    async def _do(self, what: str, chore: Callable[[], Awaitable[str]]) -> bool:
        """Does it and says, once each time it changes, that it could not."""
        words = await chore()
        if words and words != self._said.get(what, ""):
            log.warning("exchange.not_refreshed", exchange=self._exchange, what=what, words=words)
        self._said[what] = words
        return not words


async def apart(work: Callable[[], Coroutine[Any, Any, T]], name: str) -> T:
    """What a coroutine returns, or raises, that is run by an event loop of its own on a thread of its own.

    Who stops waiting leaves it to its end, which has to be bounded by its own deadline; its result is then dropped.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None only where T is

    def run() -> None:
        result: T | None = None
        failed: BaseException | None = None
        try:
            result = asyncio.run(work())
        except Exception as error:  # handed to who waits
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failed)

    # A daemon thread, since the end of the process must not wait for it; its context is empty, so its trace is its own.
    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
