"""Proves the tables beside orders: what a person holds the router to, and the history, whose rows are chained."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping

from app.domain.history_chain import broken
from app.journal.history import rows_of


def controls_differ(db: sqlite3.Connection, by_events: Mapping[str, tuple[str, float]]) -> Iterator[str]:
    """Where the controls are not as the events say, a sentence each."""
    due = dict(by_events)
    for name, value, at_s in db.execute("SELECT name, value, at_s FROM controls ORDER BY name"):
        told = due.pop(name, None)
        if told is None:
            yield f"The control {name} is in no event."
        elif told != (value, at_s):
            yield f"The control {name} is {value!r} since {at_s}, and by its events {told[0]!r} since {told[1]}."
    for name in due:
        yield f"The control {name} is in the events, and does not hold."


def history_differs(db: sqlite3.Connection) -> Iterator[str]:
    """Where the history is not as it was written, a sentence each; also where its end was cut off."""
    yield from broken(rows_of(db))
    last = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'history'").fetchone()
    there = db.execute("SELECT max(sequence) FROM history").fetchone()[0] or 0
    if last is not None and last[0] != there:
        yield f"The last row of the history is {there}, and {last[0]} were written."
