"""`verify-journal` in a folder: its words, its JSON, and its codes."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.bootstrap import JOURNAL_NAME
from app.journal.store import Journal
from tests.cli.desk import refusal, within
from tests.journal.lives import Lives


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a journal in `state`, of no daemon that runs."""
    (tmp_path / "state").mkdir(mode=0o700)
    with closing(Journal(tmp_path / "state" / JOURNAL_NAME)) as journal:
        Lives(journal, random.Random(5)).run(140)
    return tmp_path


def change(home: Path, statement: str) -> None:
    """As somebody with a tool might."""
    with closing(sqlite3.connect(home / "state" / JOURNAL_NAME)) as db, db:
        db.execute(statement)


def test_a_journal_in_order(home: Path) -> None:
    done = within("verify-journal", "--state-dir", home / "state", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("It is consistent.\n")
    done = within("verify-journal", "--state-dir", home / "state", "--json", home=home)
    facts = json.loads(done.stdout)
    assert facts["consistent"] is True
    assert facts["findings"] == []
    assert facts["orders"] <= facts["legs"] <= facts["events"]


def test_what_is_wrong_is_told_in_a_sentence_each(home: Path) -> None:
    change(home, "UPDATE orders SET quantity = '1000' WHERE rowid = 2")
    change(home, "DELETE FROM events WHERE sequence = 5")
    done = within("verify-journal", "--state-dir", home / "state", home=home)
    assert done.returncode == 65
    assert "quantity is 1000, and by its events" in done.stdout
    assert "Event 5 is missing: the next one is 6." in done.stdout
    assert done.stdout.endswith("It is not consistent.\n")
    facts = json.loads(within("verify-journal", "--state-dir", home / "state", "--json", home=home).stdout)
    assert facts["consistent"] is False


def test_what_is_told_is_bounded(home: Path) -> None:
    change(home, "UPDATE events SET checksum = checksum + 1")
    done = within("verify-journal", "--state-dir", home / "state", "--json", home=home)
    facts = json.loads(done.stdout)
    assert (done.returncode, len(facts["findings"]), facts["more"] > 0) == (65, 100, True)


def test_a_page_that_was_overwritten_is_found(home: Path) -> None:
    path = home / "state" / JOURNAL_NAME
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 1024 * 1024)
        file.write(b"\xa5" * 1024)
    done = within("verify-journal", "--state-dir", home / "state", home=home)
    assert done.returncode == 65
    assert "It is not consistent." in done.stdout


def test_a_journal_that_was_cut_short_is_found(home: Path) -> None:
    path = home / "state" / JOURNAL_NAME
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    assert within("verify-journal", "--state-dir", home / "state", home=home).returncode == 65


def test_where_there_is_none_or_another_thing(home: Path) -> None:
    path = home / "state" / JOURNAL_NAME
    path.unlink()
    done = within("verify-journal", "--state-dir", home / "state", home=home)
    assert done.returncode == 66
    assert str(path) in refusal(done)
    path.write_text("a letter to my aunt, longer than a header\n" * 100)
    done = within("verify-journal", "--state-dir", home / "state", home=home)
    assert done.returncode == 65
    assert "not a database" in refusal(done)
    path.unlink()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE aunts (name TEXT)")
    done = within("verify-journal", "--state-dir", home / "state", home=home)
    assert "is no journal of order-router" in refusal(done)


def test_one_of_another_schema_is_left_alone(home: Path) -> None:
    change(home, "UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    done = within("verify-journal", "--state-dir", home / "state", home=home)
    assert done.returncode == 65
    assert "schema 99" in refusal(done)
