"""The simulated disk by itself, under SQLite as it is; and seeds of the profile `disk`."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.fuzz import vfs
from app.fuzz.disk import SECTOR, Disk, File
from app.fuzz.disk_journal import NAME
from app.fuzz.disk_plan import PowerCut, Trouble
from app.fuzz.plan import draw_plan
from app.fuzz.profiles import PROFILES
from app.fuzz.record import Note
from app.fuzz.record import Trouble as Broken
from app.fuzz.run import run_seed
from app.fuzz.sim_disk import SimDisk, sweep
from app.fuzz.vfs import Cut, Named, Synced, SyncedNames, Unnamed, Wrote
from app.fuzz.world import START_S, World
from tests.depth import examples
from tests.fuzz.planted_named import NAMED, PLAYED
from tests.fuzz.seeds import hold, parts

SEEDS = 100
QUICK = 5
"""A seed with cuts in the middle of commits, and a disk in trouble."""

pytestmark = pytest.mark.skipif(not vfs.reachable(), reason="the SQLite that Python uses hides its names")


@pytest.mark.parametrize("seeds", parts(SEEDS, quick=0, deep=6))
def test_every_invariant_holds(seeds: range) -> None:
    """For each seed of this part."""
    hold("disk", seeds)


def test_the_same_seed_is_the_same_run_and_every_invariant_holds() -> None:
    """Though SQLite salts its log with a number of its own."""
    one, other = (run_seed(QUICK, "disk", story=True) for _ in range(2))
    assert one.ok, one.story
    for befell in ("DIES: the power is cut", "in the middle of a commit", "the disk "):
        assert befell in one.story
    assert (one.story, one.steps) == (other.story, other.steps)


# -------------------------------------------------------------------------------------------------- under SQLite


@pytest.fixture
def disk() -> Iterator[SimDisk]:
    with closing(SimDisk()) as disk:
        yield disk


def opened(disk: SimDisk, synchronous: str) -> sqlite3.Connection:
    db = disk.connect(disk.folder / "numbers.db")
    db.execute("PRAGMA page_size=1024")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(f"PRAGMA synchronous={synchronous}")
    return db


def numbers(disk: SimDisk) -> list[int]:
    """What SQLite finds when the power is back."""
    with closing(opened(disk, "FULL")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [n for (n,) in db.execute("SELECT n FROM numbers ORDER BY n")]


def cut(disk: SimDisk, db: sqlite3.Connection, share: float, flushed: float = 0.0, seed: int = 0) -> None:
    disk.down = True
    db.close()
    disk.cut(Random(seed), share, flushed)


def begun(disk: SimDisk) -> None:
    with closing(opened(disk, "FULL")) as db:
        db.execute("CREATE TABLE numbers (n INTEGER, filler BLOB)")
    disk.settled()


Commits = st.lists(st.sampled_from(("FULL", "NORMAL", "checkpoint")), min_size=1, max_size=25)
Shares = st.sampled_from((0.0, 0.5, 0.9, 0.99, 1.0))


@settings(max_examples=examples(40, 3), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(Commits, Shares, Shares, st.integers(0, 1000))
def test_what_was_synced_survives_and_the_rest_is_lost_from_its_end(
    commits: list[str], share: float, flushed: float, seed: int
) -> None:
    """Whatever is committed how: what is there is what was committed up to some moment after the last sync."""
    with closing(SimDisk()) as disk:
        begun(disk)
        db = opened(disk, "NORMAL")
        done, safe = 0, 0
        for commit in commits:
            if commit == "checkpoint":
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")
                safe = done
            else:
                db.execute(f"PRAGMA synchronous={commit}")
                done += 1
                db.execute("INSERT INTO numbers VALUES (?, zeroblob(?))", (done, 700 * (done % 4)))
                safe = done if commit == "FULL" else safe
        cut(disk, db, share, flushed, seed)
        found = numbers(disk)
        assert found == list(range(1, len(found) + 1))
        assert safe <= len(found) <= done
        if 1.0 in (share, flushed):
            assert len(found) == done


@pytest.mark.parametrize(("share", "there"), [(0.0, [1]), (1.0, [1, 2])])
def test_what_was_not_synced_may_be_lost(disk: SimDisk, share: float, there: list[int]) -> None:
    """The worst that may be, and the best."""
    begun(disk)
    db = opened(disk, "FULL")
    db.execute("INSERT INTO numbers VALUES (1, NULL)")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("INSERT INTO numbers VALUES (2, NULL)")
    assert disk.model.unsynced() > 0
    cut(disk, db, share)
    assert numbers(disk) == there


def test_a_torn_frame_ends_what_is_recovered(disk: SimDisk) -> None:
    """What comes after it is whole, and is not there all the same: it was never promised."""
    begun(disk)
    db = opened(disk, "NORMAL")
    for n in range(1, 6):
        db.execute("INSERT INTO numbers VALUES (?, NULL)", (n,))
    log = next(file for path, file in disk.model.now.items() if path.endswith("-wal"))
    pages = [at for at, step in enumerate(log.since) if isinstance(step, Wrote) and len(step.data) > SECTOR]
    torn = log.since[pages[len(pages) // 2]]
    assert isinstance(torn, Wrote)
    log.since[pages[len(pages) // 2]] = Wrote(torn.path, torn.offset, torn.data[:SECTOR])
    cut(disk, db, 1.0)
    assert numbers(disk) in ([1], [1, 2], [1, 2, 3])


@pytest.mark.parametrize("steps", range(1, 12))
def test_a_commit_that_is_cut_off_is_there_or_not(disk: SimDisk, steps: int) -> None:
    """After each single write and sync of it: all or nothing, and what was before it stays."""
    begun(disk)
    db = opened(disk, "FULL")
    db.execute("INSERT INTO numbers VALUES (1, NULL)")
    disk.goes_down_after(steps)
    try:
        db.execute("INSERT INTO numbers VALUES (2, zeroblob(3000))")
        acknowledged = not disk.down
    except sqlite3.OperationalError:
        acknowledged = False
    cut(disk, db, 0.5, seed=steps)
    assert numbers(disk) in ([[1, 2]] if acknowledged else [[1], [1, 2]])


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (Trouble.NO_ROOM, "full"),
        (Trouble.WRITES_FAIL, "disk I/O error"),
        (Trouble.SYNCS_FAIL, "disk I/O error"),
    ],
)
def test_a_disk_in_trouble_says_so_and_takes_nothing(disk: SimDisk, trouble: Trouble, words: str) -> None:
    """And afterwards it goes on, on the same connection."""
    begun(disk)
    db = opened(disk, "FULL")
    db.execute("INSERT INTO numbers VALUES (1, NULL)")
    disk.trouble = lambda: trouble
    with pytest.raises(sqlite3.OperationalError, match=words):
        db.execute("INSERT INTO numbers VALUES (2, zeroblob(9000))")
    disk.trouble = lambda: None
    db.execute("INSERT INTO numbers VALUES (3, NULL)")
    cut(disk, db, 0.0)
    assert numbers(disk) == [1, 3]


# -------------------------------------------------------------------------------------------------- by itself

A = "/d/a"


def left(disk: Disk, folder: Path, share: float, seed: int = 0) -> dict[str, bytes]:
    folder.mkdir()
    disk.after_a_cut(folder, Random(seed), share)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_name_is_certain_once_its_directory_was_synced(tmp_path: Path) -> None:
    """Given or taken away; the file's own sync is not enough."""
    disk = Disk()
    disk.take(Named(A))
    disk.take(Wrote(A, 0, b"here"))
    disk.take(Synced(A))
    assert left(disk, tmp_path / "1", 0.0) == {}
    assert left(disk, tmp_path / "2", 1.0) == {"a": b"here"}
    disk.take(SyncedNames("/d"))
    assert left(disk, tmp_path / "3", 0.0) == {"a": b"here"}
    disk.take(Unnamed(A))
    assert left(disk, tmp_path / "4", 0.0) == {"a": b"here"}
    disk.take(SyncedNames("/d"))
    assert left(disk, tmp_path / "5", 0.0) == {}


def test_sectors_are_lost_one_by_one() -> None:
    """Of one write some, and of two to the same place the older alone as well."""
    found = set()
    for seed in range(200):
        file = File(bytearray(b"0" * 2 * SECTOR))
        file.since = [Wrote(A, 0, b"1" * 2 * SECTOR), Wrote(A, 0, b"2" * SECTOR), Cut(A, SECTOR + 5)]
        image = file.image(Random(seed), 0.5)
        found.add((image[:1], image[SECTOR : SECTOR + 1], len(image)))
    assert {
        (first, second, size) for first in (b"0", b"1", b"2") for second in (b"0", b"1") for size in (517, 1024)
    } == found


# -------------------------------------------------------------------------------------------------- it bites


def _sql(words: str) -> Callable[[Path], None]:
    def tamper(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute(words)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    return tamper


def _page(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_orders_by_market'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : (page - 1) * size + 100] = bytes(100)
    path.write_bytes(content)


def _all(path: Path) -> None:
    path.write_bytes(b"no journal" * 500)
    path.with_name(f"{path.name}-wal").unlink()


TAMPERED: dict[str, Callable[[Path], None]] = {
    "I5 a route is lost": _sql("DELETE FROM routes"),
    "I5 lost at a power cut": _sql("DELETE FROM heard"),
    "I5 another past": _sql("UPDATE events SET checksum = 7 WHERE sequence = 1"),
    "I5 the journal is not proven": _sql("UPDATE history SET epoch = 7"),
    "I5 the journal is damaged": _page,
    "I5 the journal is lost": _all,
}


@pytest.mark.parametrize("rule", TAMPERED)
def test_what_a_cut_may_not_take_is_missed(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that loses more than it may, or something else."""
    plan = draw_plan(PROFILES["disk"], Random("tampered"))
    assert plan.disk is not None
    harmless = evolve(plan.disk, power_safe=True, cuts=(), crashes=(), spans=())
    world = World(PROFILES["disk"], evolve(plan, disk=harmless, windows=(), deaths=(), switches=()), Random(1))
    machine = world.machine
    assert machine is not None

    def cut(chance: Random, share: float, flushed: float) -> int:
        lost = SimDisk.cut(machine.disk, chance, share, flushed)
        TAMPERED[rule](machine.disk.folder / NAME)
        machine.disk.settled()
        vfs.put_there(str(machine.disk.folder))
        return lost

    monkeypatch.setattr(machine.disk, "cut", cut)
    try:
        with world.entered():
            world.begin()
            world.scheduler.run_until(START_S + 60.0)
            assert "I5" not in {fact.rule[:2] for fact in world.record.facts if isinstance(fact, Broken)}
            try:
                machine._arm(PowerCut(at_s=60.0, steps=0, off_s=1.0, share=0.0, flushed=0.0))
            except RuntimeError:
                assert rule == "I5 the journal is lost"
        assert rule in {fact.rule for fact in world.record.facts if isinstance(fact, Broken)}
    finally:
        world.close()


def test_it_is_told_that_nobody_could_be_asked() -> None:
    """A failover that is due while the machine is off is not asked for later."""
    plan = draw_plan(PROFILES["disk"], Random("off"))
    assert plan.disk is not None
    calm = evolve(plan, disk=evolve(plan.disk, cuts=(), crashes=(), spans=()), windows=(), deaths=(), switches=())
    world = World(PROFILES["disk"], calm, Random(1))
    assert world.machine is not None
    try:
        with world.entered():
            world.begin()
            world.scheduler.run_until(START_S + 20.0)
            world.machine._arm(PowerCut(at_s=20.0, steps=0, off_s=5.0, share=0.0, flushed=0.0))
            world._switch(0, "okx")
            world.scheduler.run_until(START_S + 40.0)
            world._switch(1, "okx")
        assert len(world.operator.switches) == 1
        told = [fact.words for fact in world.record.facts if isinstance(fact, Note) and fact.who == "machine"]
        assert [words for words in told if words.startswith("is off: ") and words.endswith("okx")] == told[1:]
        assert len(told) == 2
    finally:
        world.close()


@pytest.mark.deep
@pytest.mark.parametrize("name", PLAYED)
def test_a_lost_write_is_found(name: str) -> None:
    """Within a hundred seeds; how soon exactly is written down by `python -m tests.fuzz.planted_named`."""
    bug = NAMED[name]
    with bug.plant():
        for seed in range(100):
            if any(violation.rule.startswith(bug.rules) for violation in run_seed(seed, bug.profile).violations):
                return
    pytest.fail(f"{name}: not found in 100 seeds")


def test_what_a_killed_process_left_is_thrown_away_and_nothing_else(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    names = [f"order-router-fuzz-{pid}-x" for pid in (int(ended.stdout), os.getpid(), 10**30)]
    for name in (*names, "order-router-other", "order-router-fuzz-x"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "journal").touch()
    sweep(tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {names[1], "order-router-other", "order-router-fuzz-x"}


def test_the_folder_of_a_disk_says_whose_it_is(disk: SimDisk) -> None:
    assert disk.folder.name.startswith(f"order-router-fuzz-{os.getpid()}-")
