"""The journal of a run, as its actors are given it: in the middle of each write an actor may die, or find it locked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.domain.commit import Decision
from app.journal.store import Committed, Journal, JournalError
from app.journal.written import FillsRecorded
from messages.failover import Route
from messages.orders import OrderKey


class WatchedJournal(Journal):
    """The one journal of a run: it notes routes, can be killed in the middle of a handler, and is sometimes locked."""

    def __init__(
        self,
        journal_id: str,
        touch: Callable[[str], None],
        locked: Callable[[], bool],
        routed: Callable[[Route], None],
    ) -> None:
        super().__init__(None)
        self.journal_id = journal_id  # the one thing of a run that would else be drawn by nobody's seed
        self._db.execute("UPDATE meta SET value = ? WHERE name = 'journal_id'", (journal_id,))
        self._touch = touch
        self._locked = locked
        self._routed = routed

    def close(self) -> None:
        """An actor's connection ends; the journal stays."""

    def end(self) -> None:
        """The run is over."""
        super().close()

    def commit_intent(self, **arguments: Any) -> Committed | Decision:
        """As the journal does."""
        self._touch("before the intent")
        if self._locked():
            raise JournalError("The journal cannot be used now: database is locked.")
        result = super().commit_intent(**arguments)
        self._touch("after the intent")
        return result

    def record(self, *positional: Any, **arguments: Any) -> Any:
        """As the journal does."""
        self._touch("before recording")
        if self._locked():
            raise JournalError("The journal cannot be used now: database is locked.")
        result = super().record(*positional, **arguments)
        self._touch("after recording")
        return result

    def renew(self, *positional: Any, **arguments: Any) -> Any:
        """As the journal does; what it records within is touched by itself, in the middle of the transaction."""
        self._touch("before renewing")
        result = super().renew(*positional, **arguments)
        self._touch("after renewing")
        return result

    def record_fills(self, *positional: Any, **arguments: Any) -> FillsRecorded:
        """As the journal does."""
        self._touch("before recording")
        if self._locked():
            raise JournalError("The journal cannot be used now: database is locked.")
        result = super().record_fills(*positional, **arguments)
        self._touch("after recording")
        return result

    def fence(self, now_s: float) -> Route:
        """As the journal does."""
        self._touch("before the fence")
        route = super().fence(now_s)
        self._routed(route)
        self._touch("after the fence")
        return route

    def commit_route(self, epoch: int, exchange: str, now_s: float) -> Route:
        """As the journal does."""
        self._touch("before the route")
        route = super().commit_route(epoch, exchange, now_s)
        self._routed(route)
        self._touch("after the route")
        return route

    def save_switch(self, *positional: Any, **arguments: Any) -> None:
        """As the journal does."""
        self._touch("before the history")
        super().save_switch(*positional, **arguments)
        self._touch("after the history")

    def key_of(self, wire_id: str) -> OrderKey | None:
        """Which order a leg is of; None where none was committed under that id."""
        legs = "SELECT order_id FROM legs WHERE wire_id = ?"
        orders = f"SELECT strategy, client_order_id FROM orders WHERE order_id = ({legs})"
        row = self._db.execute(orders, (wire_id,)).fetchone()
        return None if row is None else OrderKey(strategy=row["strategy"], client_order_id=row["client_order_id"])
