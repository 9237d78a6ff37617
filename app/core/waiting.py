"""How whoever asks from an event loop is answered by the router's own thread.

A `concurrent.futures.Future` and `asyncio.wrap_future` do the same with a lock, a condition and a chain of callbacks
per call; all an awaiting caller needs is one call on its loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from app.domain import session as s


class Waiting(Protocol):
    """Somebody who asked: is told one outcome, or one error, by the router's thread."""

    def done(self) -> bool:
        """Whether it was told already."""
        ...

    def set_result(self, result: s.Outcome, /) -> None:
        """The outcome."""
        ...

    def set_exception(self, exception: BaseException, /) -> None:
        """There will be none, and why."""
        ...


class LoopWaiting:
    """A future of the running loop, told from another thread.

    Attributes:
        future: What the caller awaits; cancelling it ends the wait.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[s.Outcome] = self._loop.create_future()
        self._told = False

    def done(self) -> bool:
        """Whether it was told."""
        return self._told

    def set_result(self, result: s.Outcome, /) -> None:
        """From any thread."""
        self._tell(self.future.set_result, result)

    def set_exception(self, exception: BaseException, /) -> None:
        """From any thread."""
        self._tell(self.future.set_exception, exception)

    def _tell(self, how: Callable[[Any], None], what: object) -> None:
        self._told = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._on_loop, how, what)

    def _on_loop(self, how: Callable[[Any], None], what: object) -> None:
        if not self.future.done():  # the caller may have stopped waiting meanwhile
            how(what)
