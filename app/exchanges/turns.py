"""An event loop that somebody else's thread turns: it runs what is ready, and returns where it would wait.

An actor waits in one place, its transport's. A second thread with a loop of its own would cost two hand-overs an order,
and the interpreter's lock passed to and fro between them. So the loop's selector, asked to wait, stops the loop instead
and keeps until when there is nothing to do; its descriptor is readable when there is something before that.
"""

from __future__ import annotations

import asyncio
import selectors
import time

MAX_TURNS = 256
"""Of the loop in one go: then whoever turns it looks at everything else first."""


class _Selector(selectors.EpollSelector):
    """Waits like any other while `waits`; else never.

    Attributes:
        waits: Whether the loop has a thread of its own.
        looks: Whether descriptors are looked at, too, or only what is ready already is run.
        left: Turns until the loop is stopped in any case.
        idle_s: How long the loop would have waited; None for ever, 0 where it was stopped with work to do.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits = True
        self.looks = True
        self.left = 0
        self.idle_s: float | None = 0.0
        self.loop: asyncio.AbstractEventLoop | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See the class."""
        if self.waits:
            return super().select(timeout)
        assert self.loop is not None
        found = super().select(0) if self.looks else []
        self.left -= 1
        if found or timeout == 0:
            if self.left <= 0:
                self.idle_s = 0.0
                self.loop.stop()
        else:
            self.idle_s = timeout
            self.loop.stop()
        return found


class TurnedLoop:
    """A loop that is turned, or run by a thread for as long as that takes; by one thread at a time."""

    def __init__(self) -> None:
        self._selector = _Selector()
        self.loop = asyncio.SelectorEventLoop(self._selector)
        self._selector.loop = self.loop
        self._due_s: float | None = None

    def fileno(self) -> int:
        """Readable when a turn has something to do, other than what is due by time."""
        return self._selector.fileno()

    def turn(self, *, looks: bool = True) -> None:
        """Runs what is ready, and, with `looks`, what descriptors have become ready for; never waits.

        Without `looks` what was begun by its caller gets as far as it gets by itself.
        """
        selector = self._selector
        selector.waits, selector.looks, selector.left = False, looks, MAX_TURNS
        try:
            self.loop.run_forever()
        finally:
            selector.waits = True
        idle_s = selector.idle_s
        self._due_s = None if idle_s is None else time.monotonic() + idle_s
        if idle_s == 0.0:
            self.ring()

    def wait_s(self) -> float | None:
        """Seconds until a turn has something to do by time alone; None for never."""
        return None if self._due_s is None else max(0.0, self._due_s - time.monotonic())

    def ring(self) -> None:
        """Makes the descriptor readable, until the next turn that looks."""
        self.loop.call_soon_threadsafe(_nothing)

    def run(self) -> None:
        """Runs it in this thread, waiting, until it is stopped."""
        self.loop.run_forever()

    def close(self) -> None:
        """Closes it; it does not run."""
        self.loop.close()
        self._due_s = None


def _nothing() -> None:
    """Rings."""
