"""The write-ahead log is copied by somebody no order waits for, and stays bounded without that somebody."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from app.journal import store
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


def test_what_is_committed_is_copied_beside_the_writer_and_the_log_begins_anew(path: Path) -> None:
    journal = routed(path)
    place(journal, range(50))
    assert path.stat().st_size == PAGE_BYTES, "the writer itself copies nothing"
    salt, until_s, number = salt_of(path), time.monotonic() + SOON_S, 50
    checkpointer = Checkpointer(path, every_s=0.01)
    checkpointer.start()
    while salt_of(path) == salt:
        assert time.monotonic() < until_s, "the log was never copied as a whole"
        place(journal, range(number, number := number + 1))
    checkpointer.close()
    assert path.stat().st_size > 50 * PAGE_BYTES
    assert len(journal.open_orders()) == number
    journal.close()


def test_without_it_the_writer_keeps_the_log_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "WRITER_PAGES", 200)
    journal = routed(path)
    place(journal, range(200))
    assert path.stat().st_size > PAGE_BYTES
    assert log_of(path).stat().st_size < 400 * (PAGE_BYTES + 24)
    journal.close()


def test_a_journal_that_is_not_there_is_not_made(path: Path) -> None:
    checkpointer = Checkpointer(path, every_s=0.001)
    checkpointer._ended.wait(0)
    with pytest.raises(sqlite3.OperationalError):
        checkpointer._connected()
    assert not path.exists()
