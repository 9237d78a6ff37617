"""What a router tells of itself: the news of its session as events, in as many streams as are read."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from app.core import render, shapes
from app.core.calls import Call, fail
from app.core.errors import InvalidRequest, OrderRouterError
from app.core.events import EventStream, Page
from app.core.render import Spell
from app.core.waits import Waits
from app.domain import session as s
from messages.executions import CaughtUp, OrderFilled
from messages.orders import OrderChanged

LEAST_S = 0.05
"""To read a page within, also for a reader who does not wait."""


def order_event(order: shapes.Order, *, resolved: bool, number: int, sequence: int) -> shapes.OrderEvent:
    """An order changed."""
    return shapes.OrderEvent(
        kind="order_resolved" if resolved else "order_changed", order=order, number=number, sequence=sequence
    )


def news_event(news: s.OrderTold | OrderChanged | OrderFilled, spell: Spell) -> shapes.Event:
    """What a session tells, or the journal has, as its caller sees it."""
    order = render.order(news.order, spell)
    if isinstance(news, s.FillTold | OrderFilled):
        return shapes.FillEvent(
            kind="fill",
            fill=render.fill(news.execution, spell),
            order=order,
            number=news.number,
            sequence=news.sequence,
        )
    return order_event(order, resolved=news.resolved, number=news.number, sequence=news.sequence)


def never_event(news: s.NeverCommitted) -> shapes.NeverCommittedEvent:
    """An order never was."""
    return shapes.NeverCommittedEvent(
        kind="order_never_committed",
        orderId=news.order_id,
        orderLinkId=news.key.client_order_id,
        words=news.words,
    )


@define
class Listening:
    """The streams of one router."""

    _waits: Waits
    _spell: Spell
    _streams: list[EventStream] = field(init=False, factory=list)

    def stream(self, after: object, heard: Callable[[], int | None]) -> EventStream:
        """A new one.

        Args:
            after: The number its reader heard last; None for what happens from now on.
            heard: What the session was told last; None while that is not known.

        Raises:
            InvalidRequest: `after` is no such number.
        """
        if after is not None and (not isinstance(after, int) or isinstance(after, bool) or after < 0):
            raise InvalidRequest(f"after is {after!r:.60}, and must be the number of an event heard before, or 0.")
        begins = heard() if after is None else after
        stream = EventStream(self._streams.remove, after=begins, fetch=self._fetch, replay=after is not None)
        self._streams.append(stream)
        now = heard()
        if now is not None:  # what was told between the two
            stream.starts(now)
        return stream

    def tell(self, news: s.OrderTold | s.NewsBegin | s.NeverCommitted | shapes.Event) -> None:
        """Something happened. On the router's own thread; does not block."""
        if not self._streams:
            return  # nobody listens: what an answer costs its caller is also what is done here beside it
        if isinstance(news, s.NewsBegin):
            for stream in list(self._streams):
                stream.starts(news.number)
            return
        event: shapes.Event
        if isinstance(news, s.OrderTold):
            event = news_event(news, self._spell)
        elif isinstance(news, s.NeverCommitted):
            event = never_event(news)
        else:
            event = news
        for stream in list(self._streams):
            stream.put(event)

    def close(self) -> None:
        """Ends them all."""
        for stream in list(self._streams):
            stream.close()

    def _fetch(self, after: int, timeout_s: float) -> Page | None:
        try:
            request = self._waits._requests.catch_up(after, max(timeout_s, LEAST_S))
            return self._waits._wait(Call(request, self._page))
        except OrderRouterError:
            return None  # nobody can be asked now: it is tried again

    def _page(self, outcome: s.Outcome) -> Page:
        if not isinstance(outcome, CaughtUp):
            fail(outcome)
        return Page(tuple(news_event(each, self._spell) for each in outcome.news), outcome.latest)
