"""The write-ahead log is copied by somebody no order waits for, and stays bounded without that somebody."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.journal import checkpoints
from app.journal.checkpoints import PAGE_BYTES, Checkpointer
from app.journal.store import Journal
from tests.domain.orders import key, spec

SOON_S = 10.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "journal.db"


def routed(path: Path) -> Journal:
    """A journal that takes orders."""
    journal = Journal(path)
    journal.fence(1.0)
    journal.commit_route(1, "bybit", 1.0)
    return journal


def place(journal: Journal, names: range) -> None:
    """Commits an intent for each."""
    for n in names:
        journal.commit_intent(exchange="bybit", epoch=1, key=key(f"o{n}"), spec=spec(), expiry_s=7.0, now_s=2.0)


def log_of(path: Path) -> Path:
    """The write-ahead log."""
    return path.with_name(path.name + "-wal")


def salt_of(path: Path) -> bytes:
    """Changes whenever the log begins anew, which it does once all of it was copied."""
    return log_of(path).read_bytes()[16:24]


def wait_for(what: Callable[[], object]) -> None:
    """Until it is true; AssertionError where that takes too long."""
    until_s = time.monotonic() + SOON_S
    while not what():
        assert time.monotonic() < until_s
        threading.Event().wait(0.005)


def test_what_is_committed_is_copied_beside_the_writer_and_the_log_begins_anew(path: Path) -> None:
    journal = routed(path)
    place(journal, range(50))
    assert path.stat().st_size == PAGE_BYTES, "the writer itself copies nothing"
    salt, until_s, number = salt_of(path), time.monotonic() + SOON_S, 50
    checkpointer = Checkpointer(path, every_s=0.01, events=1)
    checkpointer.start()
    while salt_of(path) == salt:
        assert time.monotonic() < until_s, "the log was never copied as a whole"
        place(journal, range(number, number := number + 1))
    checkpointer.close()
    assert path.stat().st_size > 50 * PAGE_BYTES
    assert len(journal.open_orders()) == number
    journal.close()


def test_an_order_now_and_then_does_not_begin_the_log_anew(path: Path) -> None:
    """Beginning it anew is an fsync that the order waits for: one in some hundreds pays it, not each."""
    journal = routed(path)
    place(journal, range(60))
    with sqlite3.connect(path) as counting:
        events = counting.execute("SELECT max(sequence) FROM events").fetchone()[0]
    counting.close()
    checkpointer = Checkpointer(path, events=events)
    connection = checkpointer._connected()
    salts, salt = 0, salt_of(path)
    for number in range(60, 60 + 2 * events):
        checkpointer._look(connection)
        place(journal, range(number, number + 1))
        salts, salt = salts + (salt_of(path) != salt), salt_of(path)
    assert salts == 2
    connection.close()
    journal.close()


@pytest.mark.parametrize("page_bytes", [1024, 4096])
def test_without_it_the_writer_keeps_the_log_bounded(
    path: Path, monkeypatch: pytest.MonkeyPatch, page_bytes: int
) -> None:
    """In bytes, also where an older version made the journal with larger pages."""
    bound = 400 * 1024
    monkeypatch.setattr(checkpoints, "WRITER_BYTES", bound)
    with sqlite3.connect(path) as made:
        made.execute(f"PRAGMA page_size={page_bytes}")
        made.execute("PRAGMA journal_mode=WAL")
    made.close()
    journal = routed(path)
    place(journal, range(200))
    assert path.stat().st_size > page_bytes
    assert log_of(path).stat().st_size < 2 * bound
    journal.close()


def test_an_error_is_told_and_the_next_look_copies(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that is not there is not made; when it is there, its log is copied."""
    monkeypatch.setattr(checkpoints, "AFTER_ERROR_S", 0.01)
    with capture_logs() as told:
        checkpointer = Checkpointer(path, every_s=0.001, events=1)
        checkpointer.start()
        wait_for(lambda: [line for line in told if line["event"] == "journal.checkpoint_failed"])
        assert not path.exists()
        journal = routed(path)
        place(journal, range(5))
        wait_for(lambda: path.stat().st_size > PAGE_BYTES)
        checkpointer.close()
    journal.close()


def test_what_is_no_error_of_the_database_is_told_as_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the thread: its end would go unseen."""
    monkeypatch.setattr(Checkpointer, "_look", lambda *_: 1 // 0)
    routed(path).close()
    with capture_logs() as told:
        checkpointer = Checkpointer(path, every_s=0.001)
        checkpointer.start()
        wait_for(lambda: [line for line in told if line["event"] == "journal.checkpointer_ended"])
        checkpointer.close()


def test_opening_the_journal_takes_no_locks_away(path: Path) -> None:
    """A second connection of the same process, while the first writes: its lock must hold against other processes."""
    journal = routed(path)
    journal._db.execute("BEGIN EXCLUSIVE")
    Journal(path).close()
    code = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None);"
        "db.execute('PRAGMA locking_mode=EXCLUSIVE'); db.execute('BEGIN EXCLUSIVE')"
    )
    other = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert "database is locked" in other.stderr
    journal._db.execute("ROLLBACK")
    journal.close()
