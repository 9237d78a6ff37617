"""A stream of events reads from the journal whatever it missed, and goes on without a hole."""

from __future__ import annotations

import asyncio
import threading

import pytest

from app.core import events as e
from app.core.events import EventStream, Page
from app.core.shapes import Event, Order, OrderEvent, RouteEvent

ORDER = Order(orderId="o")  # type: ignore[typeddict-item]  # streams look at numbers only


def numbered(number: int) -> OrderEvent:
    """An order changed."""
    return OrderEvent(kind="order_changed", order=ORDER, number=number, sequence=2 * number)


def routed(epoch: int) -> RouteEvent:
    """Trading moved."""
    return RouteEvent(kind="route_changed", exchange="okx", epoch=epoch, status="ready")


class Kept:
    """The journal: as much as was recorded, in pages; and whether anybody can be asked."""

    def __init__(self, latest: int = 0, page: int = 100) -> None:
        self.latest = latest
        self.page = page
        self.asked: list[int] = []
        self.silent = 0

    def fetch(self, after: int, timeout_s: float) -> Page | None:
        """As a router does."""
        self.asked.append(after)
        if self.silent:
            self.silent -= 1
            return None
        last = min(self.latest, after + self.page)
        return Page(tuple(numbered(number) for number in range(after + 1, last + 1)), self.latest)


def stream_of(kept: Kept, after: int | None = None, *, replay: bool = False) -> EventStream:
    """A stream on it."""
    return EventStream(lambda _: None, after=after, fetch=kept.fetch, replay=replay)


def read(stream: EventStream) -> list[int]:
    """Everything there is to read now: numbers, and epochs as negative ones."""
    found = []
    while (event := stream.get(0.0)) is not None:
        found.append(-event["epoch"] if event["kind"] == "route_changed" else e.number_of(event))
    return found


def test_what_followed_an_older_number_is_told_first_and_then_what_happens() -> None:
    kept = Kept(latest=250)
    stream = stream_of(kept, after=20, replay=True)
    stream.put(numbered(250))  # told at the same moment: it is in the journal too
    kept.latest = 252
    stream.put(numbered(251))
    stream.put(numbered(252))
    assert read(stream) == list(range(21, 253))
    asked = len(kept.asked)
    stream.put(numbered(252))
    stream.put(numbered(253))
    assert read(stream) == [253]
    assert len(kept.asked) == asked, "nothing is read again that was told"


def test_a_hole_is_read_from_the_journal() -> None:
    kept = Kept()
    stream = stream_of(kept)
    stream.put(numbered(4))
    stream.put(routed(1))
    kept.latest = 7
    stream.put(numbered(7))
    assert read(stream) == [4, -1, 5, 6, 7]


def test_another_session_that_begins_later_leaves_no_hole() -> None:
    """The daemon was started again, and this stream's router with it."""
    kept = Kept(latest=9)
    stream = stream_of(kept, after=4)
    stream.starts(4)
    assert read(stream) == []
    stream.starts(9)
    stream.put(numbered(10))
    kept.latest = 10
    assert read(stream) == [5, 6, 7, 8, 9, 10]


def test_a_reader_that_does_not_keep_up_reads_the_rest_from_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(e, "MAX_EVENTS", 10)
    kept = Kept(latest=40)
    stream = stream_of(kept, after=0)
    stream.put(routed(1))
    for number in range(1, 41):
        stream.put(numbered(number))
    stream.put(routed(2))
    assert len(stream._events) <= 10
    assert read(stream) == [-1, -2, *range(1, 41)], "those without a number may be told before"


def test_nobody_who_answers_is_asked_again() -> None:
    kept = Kept(latest=3)
    kept.silent = 1
    stream = stream_of(kept, after=0, replay=True)
    assert stream.get(0.0) is None
    event = stream.get(5.0)
    assert event is not None
    assert e.number_of(event) == 1
    assert kept.asked == [0, 0]


def test_numbers_of_another_journal_begin_anew() -> None:
    kept = Kept(latest=3)
    stream = stream_of(kept, after=90, replay=True)
    assert read(stream) == []
    stream.put(numbered(4))
    assert read(stream) == [4]


def test_a_waiting_reader_is_told_the_end() -> None:
    stream = stream_of(Kept(), after=0)
    seen: list[Event] = []
    reader = threading.Thread(target=lambda: seen.extend(stream))
    reader.start()
    stream.put(numbered(1))
    stream.close()
    reader.join(5)
    assert not reader.is_alive()
    assert [e.number_of(event) for event in seen] == [1]
    assert stream.closed


def test_a_callback_that_raises_hears_the_rest() -> None:
    stream = stream_of(Kept(), after=0)
    heard: list[int] = []
    done = threading.Event()

    def callback(event: Event) -> None:
        heard.append(e.number_of(event))
        if len(heard) == 2:
            raise RuntimeError("a bug of the user's")
        if len(heard) == 3:
            done.set()

    stream.tell(callback)
    for number in (1, 2, 3):
        stream.put(numbered(number))
    assert done.wait(5)
    stream.close()
    assert heard == [1, 2, 3]


def test_a_coroutine_is_called_back_on_its_loop() -> None:
    async def bot() -> tuple[list[int], set[str]]:
        stream = stream_of(Kept(), after=0)
        heard: list[int] = []
        threads = set()
        done = asyncio.Event()

        async def callback(event: Event) -> None:
            await asyncio.sleep(0)
            heard.append(e.number_of(event))
            threads.add(threading.current_thread().name)
            if len(heard) == 1:
                raise RuntimeError("a bug of the user's")
            done.set()

        stream.tell_here(callback)
        stream.put(numbered(1))
        stream.put(numbered(2))
        await asyncio.wait_for(done.wait(), 5)
        stream.close()
        return heard, threads

    heard, threads = asyncio.run(bot())
    assert (heard, threads) == ([1, 2], {threading.current_thread().name})
