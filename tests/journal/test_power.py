"""The power goes, at any moment: what was acknowledged is there when it is back, and what is there can be used.

The journal as it runs is recorded down to its files (`tests.journal.recorder`), and then cut off after every single
step, with whatever of the unsynced part chance leaves (`app.fuzz.disk`).
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import define, field

from app.domain.leg_life import LegEvent
from app.fuzz.disk import Disk
from app.fuzz.vfs import Step, Synced, SyncedNames, Unnamed, Wrote
from app.journal import checkpoints, store
from app.journal.checkpoints import Checkpointer
from app.journal.store import Committed, Journal
from app.journal.verify import reading, verify_tables
from messages.failover import Route
from messages.orders import OrderView
from tests.depth import examples
from tests.domain.orders import key, spec
from tests.journal.recorder import Acknowledged, Recorder

ORDERS = examples(10, 13)


@define
class Writers:
    """Connector, coordinator and checkpointer over one journal, as three connections of it."""

    path: Path
    power_safe: bool
    chance: random.Random
    recorder: Recorder = field(factory=Recorder)
    epoch: int = 0

    def run(self) -> None:
        """Orders of every fate, a switch now and then, and checkpoints in between."""
        connector, coordinator = (Journal(self.path, power_safe=self.power_safe) for _ in range(2))
        checkpointer = Checkpointer(self.path, events=20)
        with closing(checkpointer._connected()) as copying:
            self._switch(coordinator, "bybit")
            for number in range(ORDERS):
                if number % 9 == 8:
                    self._switch(coordinator, "okx" if number % 2 else "bybit")
                self._order(connector, number)
                checkpointer._look(copying)
        connector.close()
        coordinator.close()

    def _switch(self, journal: Journal, exchange: str) -> None:
        self.epoch += 1
        self.recorder.acknowledge(journal.fence(float(self.epoch)))
        self.recorder.acknowledge(journal.commit_route(self.epoch, exchange, float(self.epoch)))

    def _order(self, journal: Journal, number: int) -> None:
        exchange = str(journal.route().exchange)
        made = journal.commit_intent(
            exchange=exchange, epoch=self.epoch, key=key(f"order-{number}"), spec=spec(), expiry_s=7.0, now_s=2.0
        )
        assert isinstance(made, Committed)
        self.recorder.acknowledge(made.order)
        event = self.chance.choice([LegEvent.REFUSED, LegEvent.SEEN_PARTIAL, LegEvent.SEEN_FILLED])
        filled = None if event is LegEvent.REFUSED else Decimal(1 if event is LegEvent.SEEN_FILLED else "0.25")
        code = "no_money" if event is LegEvent.REFUSED else None
        known = journal.record(made.order.order_id, 1, event, now_s=3.0, filled=filled, code=code)
        self.recorder.acknowledge(known.order)


@pytest.fixture(params=[True, pytest.param(False, marks=pytest.mark.deep)], ids=["power", "process"])
def power_safe(request: pytest.FixtureRequest) -> bool:
    """What the journal promises of a power cut: everything, or the routes."""
    return bool(request.param)


@pytest.fixture
def recorded(tmp_path: Path, power_safe: bool, monkeypatch: pytest.MonkeyPatch) -> Writers:
    """A run that was recorded to its end. Its log is short, so that writers copy it too, and begin it anew."""
    monkeypatch.setattr(checkpoints, "WRITER_BYTES", 40_000)
    (tmp_path / "run").mkdir()
    writers = Writers(tmp_path / "run" / "journal.db", power_safe, random.Random(7))
    try:
        with writers.recorder.recording():
            writers.run()
    except LookupError as error:
        pytest.skip(str(error))
    return writers


def cuts(steps: list[Step | Acknowledged], folder: Path, chance: random.Random) -> Iterator[tuple[int, Path]]:
    """Number of the last step before the cut, and what is on the disk after it, for every step."""
    disk = Disk()
    for number, step in enumerate(steps):
        if not isinstance(step, Acknowledged):
            disk.take(step)
        # Nothing of what was not synced, wherever that is other than at the last step; and a random part, each time.
        lost = [] if isinstance(step, Wrote) else [0.0]
        for share in (*lost, chance.choice([0.05, 0.5, 0.95, 1.0])):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            disk.after_a_cut(folder, chance, share)
            yield number, folder / "journal.db"


def missing(journal: Journal, what: object) -> str:
    """What of an acknowledgement is not there; empty where all of it is."""
    if isinstance(what, Route):
        rows = journal._db.execute(
            "SELECT epoch, exchange FROM routes WHERE epoch = ? AND (exchange = ? OR ? IS NULL)",
            (what.epoch, what.exchange, what.exchange),
        ).fetchall()
        return "" if rows else f"{what} is gone"
    assert isinstance(what, OrderView)
    found = journal.order(what.order_id)
    assert what.leg is not None
    if found is None or found.leg is None:
        return f"{what.key} is gone"
    known = found == what or found.leg.updated_s > what.leg.updated_s
    return "" if known else f"{what.key} is {found.leg}, and was acknowledged as {what.leg}"


def test_what_was_acknowledged_survives_a_cut_at_any_step(recorded: Writers, power_safe: bool, tmp_path: Path) -> None:
    chance = random.Random(11)
    steps = recorded.recorder.steps
    assert sum(isinstance(step, Unnamed) for step in steps) >= 1
    acknowledged = [(n, step.what) for n, step in enumerate(steps) if isinstance(step, Acknowledged)]
    promised = [(n, what) for n, what in acknowledged if power_safe or isinstance(what, Route)]
    survivors = set()
    for number, path in cuts(steps, tmp_path / "cut", chance):
        with closing(Journal(path, power_safe=power_safe)) as journal:
            assert journal._db.execute("PRAGMA integrity_check").fetchone()[0] == "ok", number
            with closing(reading(path)) as snapshot:
                assert verify_tables(snapshot).findings == (), (number, steps[number])
            gone = [words for n, what in promised if n <= number and (words := missing(journal, what))]
            assert not gone, (number, steps[number], gone)
            survivors.add(sum(journal.counts().values()))
            if isinstance(steps[number], Synced | SyncedNames):
                assert journal.dry_commit() == journal.route(), "and it goes on"
    assert survivors == set(range(ORDERS + 1)), "cuts fell everywhere"


def test_an_unsafe_journal_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk bites: with power-safe journals that sync like unsafe ones, acknowledged orders are missing."""
    monkeypatch.setattr(store.Journal, "_synchronous", lambda self, full: self._db.execute("PRAGMA synchronous=NORMAL"))
    (tmp_path / "run").mkdir()
    writers = Writers(tmp_path / "run" / "journal.db", True, random.Random(7))
    try:
        with writers.recorder.recording():
            writers.run()
    except LookupError as error:
        pytest.skip(str(error))
    gone = 0
    for number, path in cuts(writers.recorder.steps, tmp_path / "cut", random.Random(11)):
        step = writers.recorder.steps[number]
        if isinstance(step, Acknowledged):
            with closing(Journal(path)) as journal:
                gone += bool(missing(journal, step.what))
    assert gone > ORDERS
