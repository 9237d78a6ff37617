"""Whom a connector tells what it records, and how it answers who has missed some of it.

Numbers and what they stand for are the journal's (`app.journal.news`), so any connector answers for all of them.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from attrs import define

from app.journal.store import Journal, JournalError
from messages.base import Failed
from messages.executions import CatchUp, CaughtUp, Heard, OrderFilled, ToldUpTo
from messages.failover import Subscribe
from messages.orders import OrderChanged
from messages.supervision import Address

log = structlog.get_logger()

SUBSCRIPTION_S = 35.0
"""How long a session is told of its orders without renewing; sessions renew every ten seconds."""

MAX_SUBSCRIBERS = 1000


@define
class _Subscriber:
    address: Address
    strategy: str
    until_s: float


class Listeners:
    """The sessions that one connector tells."""

    def __init__(self, exchange: str, journal: Journal, post: Callable[[Address, object], None]) -> None:
        self._exchange = exchange
        self._journal = journal
        self._post = post
        self._subscribers: dict[str, _Subscriber] = {}

    def subscribe(self, message: Subscribe, sender: Address, now_s: float) -> None:
        """Somebody wants to be told, or goes on to; he is told how much there is, so that he knows what he missed."""
        late = [session for session, subscriber in self._subscribers.items() if subscriber.until_s < now_s]
        for session in late:
            del self._subscribers[session]
        if len(self._subscribers) >= MAX_SUBSCRIBERS and message.session_id not in self._subscribers:
            log.warning("connector.too_many_subscribers", exchange=self._exchange, limit=MAX_SUBSCRIBERS)
            return
        self._subscribers[message.session_id] = _Subscriber(sender, message.strategy, now_s + SUBSCRIPTION_S)
        try:
            latest = self._journal.last_told(message.strategy)
        except JournalError as error:  # he renews, and is told then
            log.error("journal.unavailable", words=str(error), exchange=self._exchange, strategy=message.strategy)
            return
        self._post(sender, ToldUpTo(strategy=message.strategy, latest=latest))

    def unsubscribe(self, session_id: str) -> None:
        """Somebody has left."""
        self._subscribers.pop(session_id, None)

    def tell(self, news: OrderChanged | OrderFilled, now_s: float) -> None:
        """Tells every session of the order's strategy."""
        strategy = news.order.key.strategy
        for subscriber in self._subscribers.values():
            if subscriber.strategy == strategy and subscriber.until_s >= now_s:
                self._post(subscriber.address, news)

    def catch_up(self, request: CatchUp, now_s: float) -> CaughtUp | Failed:
        """What a strategy was told after a number."""
        try:
            after = request.after if request.after is not None else self._journal.heard(request.strategy, now_s)
            told = self._journal.told_after(request.strategy, after, request.limit)
        except JournalError as error:
            return Failed(
                correlation_id=request.correlation_id, code="journal_unavailable", words=str(error), retryable=True
            )
        return CaughtUp(correlation_id=request.correlation_id, after=after, news=told.news, latest=told.latest)

    def heard(self, message: Heard, now_s: float) -> None:
        """A strategy's hooks have heard so much; where that cannot be kept, a later life hears some of it again."""
        try:
            self._journal.hear(message.strategy, message.number, now_s)
        except JournalError as error:
            log.warning("journal.unavailable", words=str(error), exchange=self._exchange, strategy=message.strategy)
