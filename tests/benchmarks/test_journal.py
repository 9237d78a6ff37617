"""The benchmark of the journal, real and small: that what it makes is a journal, and that it measures what it says."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from app.journal.store import Journal
from app.journal.verify import verify
from benchmarks import grown, journal
from benchmarks.grown import build, kept

ORDERS = 600


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of some orders."""
    path = tmp_path_factory.mktemp("grown") / "old.db"
    build(path, ORDERS, 1_700_000_000.0)
    return path


def test_what_is_made_is_as_the_journal_would_have_written_it(old: Path) -> None:
    """To the last column, by the journal's own proof; nothing of it is open."""
    report = verify(old)
    assert report.findings == ()
    assert (report.orders, report.live) == (ORDERS, 0)
    with closing(Journal(old)) as opened:
        assert opened.sums_differ() == ""
        counted = opened.counts()
        assert sum(counted.values()) == ORDERS
        assert set(counted) == {"filled", "cancelled", "refused"}
        assert opened.unlisted("bybit", 10) == ()
        told = opened.last_told(grown.STRATEGIES[0])
        assert told > ORDERS / len(grown.STRATEGIES)
        assert len(opened.told_after(grown.STRATEGIES[0], told - 5).news) == 5


def test_it_is_kept_for_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kept(tmp_path, 50)
    made = first.stat().st_mtime_ns
    assert kept(tmp_path, 50) == first
    assert first.stat().st_mtime_ns == made
    monkeypatch.setattr(grown, "__file__", str(Path(grown.__file__).with_name("figures.py")))
    other = kept(tmp_path, 50)
    assert other != first, "other code made it"
    assert not first.exists()


def test_the_journal_alone_is_measured_and_shown(old: Path, tmp_path: Path) -> None:
    bare = journal._bare(old, tmp_path / "bare", power_safe=False, rounds=1)
    assert 0 < bare["empty"]["intent_p50_us"] <= bare["old"]["intent_p99_us"]
    assert bare["ratio"] > 0
    asked = journal._asked(old, tmp_path / "asked")
    assert asked["book"].keys() == {"empty", "old"}


@pytest.mark.slow
def test_a_small_run_measures_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LIVE", 10)
    monkeypatch.setattr(journal, "UNKNOWN", 5)
    result = journal.run(ORDERS, tmp_path, quick=True)
    killed = result["recovery_s"]["old"]["killed"]
    assert killed["connector:bybit"]["all_looked_up"] > 0
    shown = io.StringIO()
    journal.show(result, Console(file=shown, width=140))
    assert "connector:bybit killed: all_looked_up" in shown.getvalue()
