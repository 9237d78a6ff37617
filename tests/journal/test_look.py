"""Looking through a journal at the start ends in time, however large it is."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.journal.errors import JournalUnusable
from app.journal.place import sound
from app.journal.store import Journal

MB = 48


def test_a_large_journal_is_looked_through_as_far_as_there_is_time(tmp_path: Path) -> None:
    """One large table is one step for SQLite's machine."""
    path = tmp_path / "journal.db"
    Journal(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE filler AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT "
                   f"{MB * 1024 // 2}) SELECT i, zeroblob(1800) AS what FROM n")  # fmt: skip
    threads = threading.active_count()
    all_s = part_s = 0.0
    for _ in range(5):  # on a machine that others use
        began_s = time.monotonic()
        sound(path, 60.0)
        all_s = time.monotonic() - began_s
        sound(path, all_s / 10)
        part_s = time.monotonic() - began_s - all_s
        if part_s < all_s / 2:
            break
    else:
        pytest.fail(f"all of it took {all_s:.3f} s, and a tenth of that {part_s:.3f} s")
    assert threading.active_count() == threads


def test_a_small_one_is_looked_through_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal(path).close()
    sound(path)
    with path.open("r+b") as file:
        file.seek(5 * 1024)
        file.write(b"\xff" * 2048)
    with pytest.raises(JournalUnusable, match=r"damaged|malformed"):  # by SQLite's own check, or sooner
        sound(path)
