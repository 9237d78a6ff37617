"""A table read once, in the order in which its rows were written, while its rows are asked for by their keys.

Rows and events are written in one transaction, so who goes through the events meets the rows in their own order, and
hardly ever has to look one up. A copy of a journal keeps that order, as `VACUUM` does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

MAX_OPEN = 200_000
"""Rows, or orders, that are kept because what belongs to them has not come: beyond it is no journal of ours."""

Row = tuple[Any, ...]


class Rows:
    """A table in the order of its rows, of which the next one is asked for by its key. A row ends with its number."""

    def __init__(self, db: sqlite3.Connection, table: str, columns: Sequence[str], key: int) -> None:
        self._db = db
        self._select = f"SELECT {', '.join(columns)}, rowid FROM {table}"
        self._where = " AND ".join(f"{name} = ?" for name in columns[:key])
        self._key = key
        self._cursor = db.cursor().execute(f"{self._select} ORDER BY rowid")
        self._ahead: dict[Row, Row] = {}
        self._taken: set[Row] = set()
        self.last = -1
        self.count = 0

    def take(self, *key: Any) -> Row | None:
        """The row of a key, which was not asked for before; None where there is none."""
        if key in self._ahead:
            return self._ahead.pop(key)
        row = self._next()
        if row is None or row[: self._key] == key:
            return row
        if len(self._ahead) < MAX_OPEN:
            self._ahead[row[: self._key]] = row
        found = self.find(*key)
        if found is not None:
            self._taken.add(key)
        return found

    def find(self, *key: Any) -> Row | None:
        """The row of a key, wherever it is."""
        found: Row | None = self._db.execute(f"{self._select} WHERE {self._where}", key).fetchone()
        return found

    def seen(self, *key: Any) -> Row | None:
        """The row of a key that was asked for before; None for any other."""
        if key in self._ahead:
            return None
        row = self.find(*key)
        return row if row is not None and (row[-1] <= self.last or key in self._taken) else None

    def _next(self) -> Row | None:
        for row in self._cursor:
            self.count += 1
            self.last = row[-1]
            if not self._taken or row[: self._key] not in self._taken:
                return row  # type: ignore[no-any-return]
            self._taken.discard(row[: self._key])
        return None

    def rest(self) -> Iterator[Row]:
        """Rows nobody asked for."""
        yield from self._ahead.values()
        while (row := self._next()) is not None:
            yield row
