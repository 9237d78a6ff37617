"""A stream of what happens, for one reader: iterate over it, in a `for` or an `async for`.

What is told of orders is numbered, and the journal has all of it. So a stream that finds a hole in the numbers (it
began at an older one, its reader did not keep up, the daemon was another one meanwhile) reads what is missing from the
journal before it goes on, a page at a time, whenever its reader has read the last. What has no number is kept up to a
bound.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import structlog
from attrs import frozen

from app.core.shapes import Event, GapEvent

log = structlog.get_logger()

MAX_EVENTS = 10_000
"""Kept for a reader that does not keep up. Beyond it those with a number are read again later; of the others the oldest
go, and a `gap` says how many."""

FETCH_S = 5.0
"""How long reading a page may take."""

AGAIN_S = 0.5
"""Between attempts while nobody can be asked."""


@frozen
class Page:
    """Numbered events behind a number, as far as they were asked for; `latest` is the number given last."""

    events: tuple[Event, ...]
    latest: int


Fetch = Callable[[int, float], Page | None]
"""Reads what follows a number, within so many seconds; None where nobody could be asked in time."""

Callback = Callable[[Event], object]


def number_of(event: Event) -> int:
    """What is told of orders is numbered from 1; 0 for what has no number."""
    found = event.get("number", 0)
    assert isinstance(found, int)
    return found


class EventStream:
    """Events from its creation on, in order. Ends when the router closes, or by `close`."""

    def __init__(
        self,
        on_close: Callable[[EventStream], None],
        *,
        after: int | None = None,
        fetch: Fetch | None = None,
        replay: bool = False,
    ) -> None:
        """
        Args:
            after: The number it goes on behind; None for whatever is told first.
            fetch: How to read what is missing.
            replay: Whether there may be something behind `after` already.
        """
        self._number = after
        self._fetch = fetch
        self._behind = replay
        self._known = 0
        self._events: deque[Event] = deque()
        self._dropped = 0
        self._closed = False
        self._on_close = on_close
        self._changed = threading.Condition()
        self._fetching = threading.Lock()
        self._task: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------------------------------------ for the router

    def put(self, event: Event) -> None:
        """Adds an event; never blocks."""
        with self._changed:
            if self._closed:
                return
            number = number_of(event)
            if number and not self._next(number):
                return
            if len(self._events) >= MAX_EVENTS:
                self._make_room()
                if number and self._behind:  # it is read again behind the others
                    self._known = max(self._known, number)
                    return
            if number:
                self._number = number
            self._events.append(event)
            self._changed.notify_all()

    def starts(self, number: int) -> None:
        """Whatever is put next has a number above this one: what is missing before it is to be read."""
        with self._changed:
            if self._number is None:
                self._number = number
            elif number > self._number:
                self._falls_behind(number)

    def _next(self, number: int) -> bool:
        if self._fetch is None or self._number is None or (number == self._number + 1 and not self._behind):
            return True
        if number > self._number:
            self._falls_behind(number)
        return False

    def _falls_behind(self, number: int) -> None:
        self._known = max(self._known, number)
        self._behind = True
        self._changed.notify_all()

    def _make_room(self) -> None:
        numbers = [number for event in self._events if (number := number_of(event))]
        if numbers and self._fetch is not None:
            self._events = deque(event for event in self._events if not number_of(event))
            self._number = numbers[0] - 1
            self._falls_behind(numbers[-1])
        while len(self._events) >= MAX_EVENTS:
            self._events.popleft()
            self._dropped += 1

    # ------------------------------------------------------------------------------------------------ for its reader

    def get(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None when the stream has ended, or `timeout_s` passed without one."""
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = None if until_s is None else max(0.0, until_s - time.monotonic())
            with self._changed:
                self._changed.wait_for(self._something, left_s)
                if self._dropped:
                    dropped, self._dropped = self._dropped, 0
                    return GapEvent(kind="gap", dropped=dropped)
                if self._events:
                    return self._events.popleft()
                if self._closed or not self._behind:
                    return None
            read = self._read_on(FETCH_S if left_s is None else min(left_s, FETCH_S))
            if until_s is not None and time.monotonic() >= until_s and not self._events:
                return None
            if not read:
                with self._changed:
                    rest_s = AGAIN_S if until_s is None else min(AGAIN_S, max(0.0, until_s - time.monotonic()))
                    self._changed.wait_for(lambda: self._closed or self._events, rest_s)

    def _something(self) -> bool:
        return bool(self._events or self._closed or self._dropped or self._behind)

    def _read_on(self, timeout_s: float) -> bool:
        """Takes in what is missing; whether that could be read."""
        with self._fetching:
            after = self._number
            if not self._behind or self._fetch is None or after is None:
                self._behind = False
                return True
            page = self._fetch(after, timeout_s)
            if page is None:
                return False
            with self._changed:
                if page.latest < after:  # another journal, as after a copy was put back: its numbers begin anew
                    self._number = self._known = page.latest
                for event in page.events:
                    self._number = number_of(event)
                    self._events.append(event)
                assert self._number is not None
                self._behind = self._number < max(page.latest, self._known)
                return bool(page.events) or not self._behind

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

    # ------------------------------------------------------------------------------------------------ for a callback

    def tell(self, callback: Callback) -> None:
        """Calls back with each event, on a thread of its own; what the callback raises is logged."""
        threading.Thread(target=self._tell_each, args=(callback,), name="order-router-events", daemon=True).start()

    def _tell_each(self, callback: Callback) -> None:
        for event in self:
            try:
                callback(event)
            except Exception:  # the caller's own bug, which must not keep him from hearing the rest
                log.exception("events.callback_failed", kind=event["kind"])

    def tell_here(self, callback: Callable[[Event], Awaitable[Any] | object]) -> None:
        """The same on the running event loop; a coroutine is awaited before the next event."""
        self._task = asyncio.get_running_loop().create_task(self._tell_each_here(callback))

    async def _tell_each_here(self, callback: Callable[[Event], Awaitable[Any] | object]) -> None:
        async for event in self:
            try:
                told = callback(event)
                if inspect.isawaitable(told):
                    await told
            except Exception:  # as above
                log.exception("events.callback_failed", kind=event["kind"])
