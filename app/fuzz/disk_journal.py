"""The journal on a simulated disk, as each actor opens its own: whoever is in the middle of a commit may die of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.fuzz.disk_plan import Trouble
from app.fuzz.scheduler import Killed
from app.fuzz.sim_disk import SimDisk
from app.fuzz.watched import WatchedJournal
from app.journal.place import Place
from app.journal.store import Journal
from messages.failover import Route

NAME = "journal.db"


class SimPlace(Place):
    """Looks at the simulated disk, not at the one its files happen to lie on."""

    def __init__(self, disk: SimDisk) -> None:
        self._disk = disk

    def trouble(self) -> str:
        """Why no new order is taken; empty where nothing speaks against it."""
        trouble = self._disk.trouble()
        full = trouble in (Trouble.NO_ROOM, Trouble.LITTLE_ROOM)
        return f"The disk of the journal {trouble.value}." if trouble is not None and full else ""


class DiskJournal(WatchedJournal):
    """A connection of its own, as in production: what others wrote is seen because SQLite says so."""

    def __init__(
        self,
        disk: SimDisk,
        touch: Callable[[str], None],
        locked: Callable[[], bool],
        routed: Callable[[Route], None],
        *,
        power_safe: bool,
        log_pages: int,
    ) -> None:
        self._disk = disk
        Journal.__init__(self, disk.folder / NAME, power_safe=power_safe, busy_timeout_s=0.0)
        self._where = NAME  # what is said of it is the same wherever its files happen to lie
        self._touch = touch
        self._locked = locked
        self._routed = routed
        self._place = SimPlace(disk)
        self._db.execute(f"PRAGMA wal_autocheckpoint={log_pages}")

    def _connected(self, busy_timeout_s: float) -> sqlite3.Connection:
        return self._disk.connect(Path(self._where))

    def close(self) -> None:
        """Ends this connection."""
        self.end()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with super()._transaction():
                yield
        except Exception:
            if self._disk.down:  # nobody is left who could be told
                raise Killed("in the middle of a commit") from None
            raise
        if self._disk.down:
            raise Killed("as soon as its commit was done")


def named(journal: Journal, journal_id: str) -> None:
    """Gives a new journal the one thing that would else be drawn by nobody's seed."""
    journal.journal_id = journal_id
    journal._db.execute("UPDATE meta SET value = ? WHERE name = 'journal_id'", (journal_id,))
