"""The journal's operations for the history: what was done about trading as a whole, each row hashed with the last.

Append-only: nothing here changes or takes out a row. What the chain proves, and what it does not, says
`app.domain.history_chain`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from app.domain.history_chain import FIRST, HistoryRow, link
from app.journal import statements as hot
from app.journal.errors import translated
from app.journal.reads import Reads

_ROWS = "SELECT sequence, at_s, epoch, step, detail, previous, hash FROM history ORDER BY sequence"


class History(Reads):
    """Of an open journal."""

    def _add_history(self, step: str, epoch: int, detail: Mapping[str, Any], now_s: float) -> HistoryRow:
        """Within a transaction: one more row."""
        last = hot.LAST_HISTORY(self._db).fetchone()
        row = link(
            sequence=1 if last is None else last["sequence"] + 1,
            at_s=float(now_s),
            epoch=epoch,
            step=step,
            detail=json.dumps(detail, ensure_ascii=False, default=str),
            previous=FIRST if last is None else last["hash"],
        )
        columns = ("sequence", "at_s", "epoch", "step", "detail", "previous", "hash")
        hot.ADD_HISTORY(self._db, **{name: getattr(row, name) for name in columns})
        return row

    def history_add(self, step: str, epoch: int, detail: Mapping[str, Any], now_s: float) -> HistoryRow:
        """Appends what was done, and on what evidence.

        Args:
            step: What was done: a step of a switch, or a verb.
            epoch: Of the switch, or of the route at that moment.
            detail: Evidence and result, by name: what JSON can say; anything else as its text.

        Raises:
            JournalError: Nothing was written.
        """
        with self._transaction():
            return self._add_history(step, epoch, detail, now_s)

    def history_since(self, epoch: int) -> tuple[HistoryRow, ...]:
        """Rows from the first one of an epoch on, the oldest first."""
        newest: list[HistoryRow] = []
        with translated(self._where):
            for row in self._db.execute(f"{_ROWS} DESC"):
                if row["epoch"] < epoch:
                    break
                newest.append(HistoryRow(**{name: row[name] for name in row.keys()}))  # noqa: SIM118
        return tuple(reversed(newest))

    def history_rows(self) -> Iterator[HistoryRow]:
        """All of it, the oldest first, as it is while it is read."""
        with translated(self._where):
            yield from rows_of(self._db)


def rows_of(db: sqlite3.Connection) -> Iterator[HistoryRow]:
    """The history of a journal that is only read, the oldest first."""
    for row in db.execute(_ROWS):
        yield HistoryRow(
            sequence=row[0], at_s=row[1], epoch=row[2], step=row[3], detail=row[4], previous=row[5], hash=row[6]
        )
