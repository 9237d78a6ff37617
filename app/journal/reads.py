"""What is asked of an open journal: orders and legs by id, state and owner, and what they add up to. Writes nothing."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, Executable, func, select

from app.domain.book import Exposure, book_lines
from app.domain.leg_life import LIVE, UNPROVEN
from app.journal import queries
from app.journal import statements as hot
from app.journal.cold import Cold
from app.journal.errors import translated
from app.journal.memory import Memory
from app.journal.rows import exposure_of, order_of, symbol_of
from app.journal.schema import events, legs
from messages.market import Symbol
from messages.orders import LegState, OrderKey, OrderView


class Reads(ABC):
    """Of an open journal; the ground on which its other operations stand."""

    journal_id: str
    _db: sqlite3.Connection
    _cold: Cold
    _memory: Memory
    _where: str

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[None]: ...

    @abstractmethod
    def _event(self, kind: str, now_s: float, **facts: Any) -> int: ...

    def _read(self, order_id: str) -> OrderView | None:
        row = hot.READ_ORDER(self._db, order_id=order_id).fetchone()
        return None if row is None else order_of(row, hot.READ_LEGS(self._db, order_id=order_id).fetchall())

    def _all(self, query: Executable) -> Sequence[Any]:
        with translated(self._where), self._cold.connection() as core:
            return core.execute(query).all()

    def _run(self, work: Callable[[Connection], Any]) -> None:
        with self._cold.connection() as core:
            work(core)

    def order(self, order_id: str) -> OrderView | None:
        """One order by the router's id; None when the journal does not know it."""
        with translated(self._where):
            return self._read(order_id)

    def orders_in(
        self, states: Sequence[LegState], *, exchange: str | None = None, strategy: str | None = None
    ) -> tuple[OrderView, ...]:
        """Orders with a leg in one of `states`, oldest first, of an exchange or a strategy where given."""
        query = queries.in_states(states, exchange, strategy)
        found = [self.order(row.order_id) for row in self._all(query)]
        return tuple(order for order in found if order is not None)

    def open_orders(self, *, exchange: str | None = None, strategy: str | None = None) -> tuple[OrderView, ...]:
        """Orders with a leg that is live or unproven."""
        if exchange is not None and strategy is None:  # what a connector asks first
            with translated(self._where):
                rows = hot.OPEN_ON(self._db, exchange=exchange).fetchall()
                return tuple(order for row in rows if (order := self._read(row["order_id"])) is not None)
        return self.orders_in(sorted(LIVE | UNPROVEN), exchange=exchange, strategy=strategy)

    def closed_orders(self, strategy: str, symbol: Symbol | None, limit: int) -> tuple[OrderView, ...]:
        """The newest orders of a strategy, or of a symbol of it, that are neither live nor in doubt, newest first."""
        query = queries.closed(strategy, symbol, limit)
        found = [self.order(row.order_id) for row in self._all(query)]
        return tuple(order for order in found if order is not None)

    def owners(self, wire_ids: Collection[str]) -> dict[str, tuple[str, OrderKey]]:
        """Order id and key by wire id, of those that are ours."""
        return {
            row.wire_id: (row.order_id, OrderKey(strategy=row.strategy, client_order_id=row.client_order_id))
            for row in self._all(queries.owners(wire_ids))
        }

    def owners_there(self, exchange: str, order_ids: Collection[str]) -> dict[tuple[Symbol, str], tuple[str, OrderKey]]:
        """Order id and key by symbol and the exchange's own id, which it may have given in another market too."""
        return {
            (symbol_of(row._mapping), row.exchange_order_id): (
                row.order_id,
                OrderKey(strategy=row.strategy, client_order_id=row.client_order_id),
            )
            for row in self._all(queries.owners_there(exchange, order_ids))
        }

    def counts(self) -> dict[str, int]:
        """Legs by state."""
        query = select(legs.c.state, func.count().label("n")).group_by(legs.c.state)
        return {row.state: row.n for row in self._all(query)}

    def oldest_unproven_s(self) -> float | None:
        """When the oldest leg whose outcome nobody knows was committed; None when there is none."""
        query = select(func.min(legs.c.committed_s).label("oldest")).where(legs.c.state.in_(sorted(UNPROVEN)))
        return next((row.oldest for row in self._all(query)), None)

    def exposures(self) -> tuple[Exposure, ...]:
        """Every leg that filled or may still: what positions are made of."""
        return tuple(exposure_of(row._mapping) for row in self._all(queries.exposed()))

    def symbols(self, since_s: float) -> tuple[str, ...]:
        """Unified symbols traded since a time, resting now, or adding up to something: what a candidate must have.

        Not every one ever traded: a market that is long done with must not keep trading from moving.
        """
        found = {str(symbol_of(row._mapping)) for row in self._all(queries.traded(since_s))}
        found |= {str(line.symbol) for line in book_lines(self.exposures(), {}, {}) if line.attributed != 0}
        return tuple(sorted(found))

    def last_sequence(self) -> int:
        """Of the newest event; 0 when there is none."""
        return next((row.last or 0 for row in self._all(select(func.max(events.c.sequence).label("last")))), 0)

    def changed_orders(self, after: int, strategy: str, limit: int = 1000) -> tuple[tuple[int, OrderView], ...]:
        """Orders of a strategy with events after a sequence, each once with its last sequence, oldest first."""
        query = queries.changed(after, strategy, limit)
        found = [(row.last, self.order(row.order_id)) for row in self._all(query)]
        return tuple((last, order) for last, order in found if order is not None)
