"""A stream of what happens, for one reader: iterate over it, in a `for` or an `async for`."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

from app.core.shapes import Event, GapEvent

MAX_EVENTS = 10_000
"""Kept for a reader that does not keep up; beyond it the oldest go, and a `gap` says how many."""


class EventStream:
    """Events from its creation on, in order. Ends when the router closes, or by `close`."""

    def __init__(self, on_close: Callable[[EventStream], None]) -> None:
        self._events: deque[Event] = deque()
        self._dropped = 0
        self._closed = False
        self._on_close = on_close
        self._changed = threading.Condition()

    def put(self, event: Event) -> None:
        """Adds an event; never blocks."""
        with self._changed:
            if self._closed:
                return
            if len(self._events) >= MAX_EVENTS:
                self._events.popleft()
                self._dropped += 1
            self._events.append(event)
            self._changed.notify_all()

    def get(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None when the stream has ended, or `timeout_s` passed without one."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._closed or self._dropped, timeout_s)
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                return GapEvent(kind="gap", dropped=dropped)
            return self._events.popleft() if self._events else None

    @property
    def closed(self) -> bool:
        """Whether nothing more will come, and everything was read."""
        with self._changed:
            return self._closed and not self._events

    def close(self) -> None:
        """Ends the stream; safe to call again."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._on_close(self)

    def __iter__(self) -> Iterator[Event]:
        while True:
            event = self.get()
            if event is None:
                return
            yield event

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            # The wait is on a thread of the loop's pool, in slices, so that a cancelled reader leaves none behind.
            event = await asyncio.to_thread(self.get, 0.5)
            if event is not None:
                yield event
            elif self.closed:
                return
