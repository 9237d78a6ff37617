"""What is asked of an open journal: orders and legs by id, state and owner. Writes nothing."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from heapq import merge
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Executable, func, select

from app.domain.calls import FillReport
from app.journal import queries
from app.journal import statements as hot
from app.journal.cold import Cold
from app.journal.errors import translated
from app.journal.memory import Memory
from app.journal.rows import order_of, symbol_of
from app.journal.schema import events
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

    def stamp(self) -> tuple[int, int]:
        """The same as before only if nothing was written since, by whomever: much cheaper than reading again."""
        with translated(self._where):
            return self._db.execute("PRAGMA data_version").fetchone()[0], self._db.total_changes

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
        """Orders with a leg that is live, unproven or set aside, oldest first; of all exchanges also those of which
        what is left was taken off one and is on none yet."""
        with translated(self._where):  # what a connector asks first
            asked = hot.OPEN(self._db) if exchange is None else hot.OPEN_ON(self._db, exchange=exchange)
            aside = hot.ASIDE(self._db) if exchange is None else hot.ASIDE_ON(self._db, exchange=exchange)
            between = hot.BETWEEN(self._db).fetchall() if exchange is None else []
            order_ids = dict.fromkeys(row["order_id"] for row in (*asked.fetchall(), *aside.fetchall(), *between))
            found = [order for order_id in order_ids if (order := self._read(order_id)) is not None]
            found.sort(key=lambda order: (order.created_s, order.order_id))
        return tuple(order for order in found if strategy in (None, order.key.strategy))

    def closed_orders(self, strategy: str, symbol: Symbol | None, limit: int) -> tuple[OrderView, ...]:
        """The newest orders of a strategy, or of a symbol of it, that are neither live nor in doubt, newest first."""
        with translated(self._where), ExitStack() as cursors:
            if symbol is not None:
                markets = [(symbol.base, symbol.quote, symbol.settle)]
            else:
                markets = hot.MARKETS(self._db).fetchall()
            listed = []
            for base, quote, settle in markets:
                cursor = hot.CLOSED(self._db, strategy=strategy, base=base, quote=quote, settle=settle)
                # Each is read as far as it is needed: a market's index has its orders by age.
                listed.append(cursors.enter_context(closing(cursor)))
            newest = merge(*listed, key=lambda row: (-row["created_s"], row["order_id"]))
            order_ids = [row["order_id"] for row in islice(newest, limit)]
            return tuple(order for order_id in order_ids if (order := self._read(order_id)) is not None)

    def owners(self, wire_ids: Collection[str]) -> dict[str, tuple[str, OrderKey]]:
        """Order id and key by wire id, of those that are ours."""
        return {
            row.wire_id: (row.order_id, OrderKey(strategy=row.strategy, client_order_id=row.client_order_id))
            for row in self._all(queries.owners(wire_ids))
        }

    def owners_there(self, exchange: str, reports: Collection[FillReport]) -> dict[FillReport, tuple[str, OrderKey]]:
        """Order id and key of executions that do not name their order by a wire id, of those that are ours.

        An execution is either kept, with its order, or its leg has more to list: no other leg is looked at. (Executions
        of what was over before there was a table of them are nobody's.)
        """
        found: dict[FillReport, tuple[str, OrderKey]] = {}
        rest = []
        with translated(self._where):
            for report in reports:
                named = {"symbol": str(report.symbol), "trade_id": report.trade_id, "side": report.side.value}
                kept = hot.READ_FILL(self._db, exchange=exchange, **named).fetchone()
                order = None if kept is None else self._read(kept["order_id"])
                if order is not None:
                    found[report] = (order.order_id, order.key)
                else:
                    rest.append(report)
        rows = self._all(queries.owners_there(exchange, {report.exchange_order_id for report in rest})) if rest else ()
        # An exchange may have given the same id in another market, too.
        owners = {(symbol_of(row._mapping), row.exchange_order_id): row for row in rows}
        for report in rest:
            row = owners.get((report.symbol, report.exchange_order_id))
            if row is not None:
                key = OrderKey(strategy=row.strategy, client_order_id=row.client_order_id)
                found[report] = (row.order_id, key)
        return found

    def last_sequence(self) -> int:
        """Of the newest event; 0 when there is none."""
        return next((row.last or 0 for row in self._all(select(func.max(events.c.sequence).label("last")))), 0)
