"""A journal is proven consistent, and one value that is not as it was written is found, in whichever column."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.journal.schema import metadata
from app.journal.store import Journal
from app.journal.verify import verify, verify_tables
from tests.journal.lives import Lives

STEPS = 160
ROWS = 3
"""Of each table, whose columns are each changed once."""

BEYOND = {
    ("heard", "strategy"): "how far a strategy has heard is no truth about orders, and hearing twice is harmless",
    ("heard", "number"): "the same",
    ("heard", "at_s"): "the same",
}
"""Columns in which a wrong value is not found, and why that may be."""


def lived(path: Path, seed: int) -> None:
    """Writes a journal by chance."""
    with closing(Journal(path)) as journal:
        Lives(journal, random.Random(seed)).run(STEPS)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_journal_writes_is_consistent(tmp_path: Path, seed: int) -> None:
    lived(tmp_path / "journal.db", seed)
    report = verify(tmp_path / "journal.db")
    assert report.findings == ()
    assert report.events > 100
    assert report.older == 0


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """A journal by chance, to be changed within a savepoint."""
    path = tmp_path_factory.mktemp("verify") / "journal.db"
    lived(path, 3)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA foreign_keys=OFF")
    yield db
    db.close()


def other(value: Any) -> list[Any]:
    """Values that one may have become: next to it, and none."""
    match value:
        case None:
            return ["1", 1]
        case bool() | int():
            return [value + 1, None]
        case float():
            return [value + 0.001, None]
        case _:
            return [f"{value[:-1]}{'1' if value[-1:] != '1' else '2'}", f"{value}0", None]


COLUMNS = [
    (table.name, column.name)
    for table in metadata.sorted_tables
    for column in table.columns
    if (table.name, column.name) not in BEYOND
]


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=lambda name: name)
def test_a_value_that_was_not_written_so_is_found(written: sqlite3.Connection, table: str, column: str) -> None:
    rows = written.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
    if not rows:
        pytest.skip(f"nothing writes {table} in this journal yet")
    chance = random.Random(f"{table} {column}")
    filled = [row for row in rows if row[1] is not None]
    tried = refused = 0
    for rowid, value in [*chance.sample(rows, min(ROWS, len(rows))), *chance.sample(filled, min(ROWS, len(filled)))]:
        for wrong in other(value):
            written.execute("SAVEPOINT here")
            try:
                written.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (wrong, rowid))
                report = verify_tables(written)
            except sqlite3.IntegrityError:
                refused += 1  # the database itself does not have it
                continue
            finally:
                written.execute("ROLLBACK TO here")
                written.execute("RELEASE here")
            tried += 1
            assert report.findings, f"{table}.{column} of row {rowid} was {value!r} and is {wrong!r}"
    assert tried or refused
    assert not verify_tables(written).findings, "as it was"


def as_version_2_wrote_it(db: sqlite3.Connection, until: int) -> None:
    """Makes of the events up to a sequence what they were when they said less."""
    for sequence, kind, detail in db.execute("SELECT sequence, kind, detail FROM events").fetchall():
        told = json.loads(detail)
        less = {name: told[name] for name in ("state", "filled", "linked") if name in told and kind != "intent"}
        if sequence <= until:
            said = "UPDATE events SET detail = ?, checksum = NULL, strategy = NULL, number = NULL WHERE sequence = ?"
            db.execute(said, (json.dumps(less), sequence))
    # Of executions, of switches, and of what a strategy was told nothing was said at all.
    db.execute("UPDATE events SET strategy = NULL, number = NULL")
    db.execute("UPDATE events SET checksum = NULL")


def test_events_of_an_older_schema_are_checked_as_far_as_they_say(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with closing(Journal(path)) as journal:
        lives = Lives(journal, random.Random(4), old=True)
        lives.run(STEPS)
        until = journal.last_sequence()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        as_version_2_wrote_it(db, until)
    with closing(Journal(path)) as journal:
        lives.journal = journal
        lives.more(STEPS // 2)
        assert journal.last_sequence() > until + 20
    report = verify(path)
    assert (report.findings, report.older) == ((), until)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE legs SET state = 'filled' WHERE rowid = (SELECT min(rowid) FROM legs WHERE state = 'open')")
    assert any("state is filled" in words for words in verify(path).findings)
