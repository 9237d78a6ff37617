"""A journal that cannot do what is asked says why in words, writes nothing, and works again once it can."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.bootstrap import JOURNAL_NAME, build_environment
from app.config import from_mapping
from app.journal.patience import AFTER_VAIN_S, BUSY_TIMEOUT_S
from app.journal.store import Committed, Journal, JournalError
from tests.domain.orders import key, spec


def commit(journal: Journal, name: str) -> Committed:
    """Asks for an intent that must be had."""
    made = journal.commit_intent(exchange="bybit", epoch=1, key=key(name), spec=spec(), expiry_s=7.0, now_s=2.0)
    assert isinstance(made, Committed)
    return made


def test_a_full_disk_is_told_as_one_and_passes(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.fence(1.0)
    journal.commit_route(1, "bybit", 1.0)
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count={pages}")
    placed: list[str] = []

    def fill() -> None:
        for n in range(1000):
            placed.append(commit(journal, f"order-{n}").order.order_id)

    with pytest.raises(JournalError, match="full"):
        fill()
    assert len(journal.open_orders()) == len(placed), "nothing of the one that did not fit"
    journal._db.execute(f"PRAGMA max_page_count={pages + 1000}")
    assert commit(journal, "after").order.order_id
    journal.close()


@pytest.mark.parametrize(("heartbeat_timeout_s", "wait_s"), [(0.2, 0.2 * 2 / 3), (1.5, 1.0), (60.0, BUSY_TIMEOUT_S)])
def test_whoever_waits_for_the_lock_is_not_taken_to_have_hung(
    tmp_path: Path, heartbeat_timeout_s: float, wait_s: float
) -> None:
    """As each actor opens it: a wait is over before its sign of life is overdue."""
    supervision = {"heartbeat_s": 0.1, "heartbeat_timeout_s": heartbeat_timeout_s}
    config = from_mapping({"router": {"state_dir": str(tmp_path)}, "supervision": supervision}, "router.toml")
    Journal(tmp_path / JOURNAL_NAME).close()
    journal = build_environment(config, time.time).open_journal()
    assert journal._db.execute("PRAGMA busy_timeout").fetchone()[0] == int(1000 * wait_s)
    journal.fence(1.0)
    journal.commit_route(1, "bybit", 1.0)
    with closing(sqlite3.connect(tmp_path / JOURNAL_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked"):
            commit(journal, "first")
        other.execute("ROLLBACK")
    commit(journal, "second")
    assert journal._db.execute("PRAGMA busy_timeout").fetchone()[0] == int(1000 * wait_s), "and patient again"
    journal.close()


def test_what_sqlalchemy_meets_is_a_journal_error_too(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path)
    with sqlite3.connect(path) as stranger:
        stranger.execute("DROP TABLE switches")
    stranger.close()
    with pytest.raises(JournalError, match=r"no such table: switches\.$"):
        journal.switches()
    journal.close()


def test_a_directory_in_the_journals_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(JournalError, match=r"journal\.db cannot be opened: Is a directory\.$"):
        Journal(tmp_path / "journal.db")


def test_whoever_waited_in_vain_does_not_wait_so_long_again(tmp_path: Path) -> None:
    """An actor with many writes before it would else look as if it hung, as whoever holds the lock may."""
    path = tmp_path / "journal.db"
    journal = Journal(path)
    journal.fence(1.0)
    journal.commit_route(1, "bybit", 1.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked"):
            commit(journal, "first")
        began_s = time.monotonic()
        for n in range(20):
            with pytest.raises(JournalError, match="locked"):
                commit(journal, f"next-{n}")
        assert time.monotonic() - began_s < 20 * BUSY_TIMEOUT_S / 4, AFTER_VAIN_S
        with closing(Journal(path)) as late:
            assert late.journal_id == journal.journal_id, "one can be opened meanwhile"
        other.execute("ROLLBACK")
        assert commit(journal, "after").order.order_id
        other.execute("BEGIN IMMEDIATE")
        began_s = time.monotonic()
        with pytest.raises(JournalError, match="locked"):
            commit(journal, "patient again")
        assert time.monotonic() - began_s > 0.9 * BUSY_TIMEOUT_S
    journal.close()
