"""The disk of a run: real files under SQLite, whose power can be cut, and which can be in trouble.

Files lie in a folder of their own, in memory where the system has such a place: whether they are on the disk is a
matter of the model (`app.fuzz.disk`), which hears of every write and sync (`app.fuzz.vfs`).
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from random import Random

from app.fuzz import vfs
from app.fuzz.disk import Disk
from app.fuzz.disk_plan import Trouble

_FAST = Path("/dev/shm")
_FOLDER = "order-router-fuzz-"
"""How the names of folders begin; then comes the id of the process that they belong to."""

_FAILS = {
    vfs.Wrote: sqlite3.SQLITE_IOERR_WRITE,
    vfs.Cut: sqlite3.SQLITE_IOERR_TRUNCATE,
    vfs.Unnamed: sqlite3.SQLITE_IOERR_DELETE,
    vfs.Synced: sqlite3.SQLITE_IOERR_FSYNC,
}
_CALM = frozenset({vfs.Named, vfs.SyncedNames})
"""Steps that are told when they are done: nobody asks before."""


def sweep(where: Path) -> None:
    """Throws away what processes left that were killed: memory, for as long as the machine is up."""
    for folder in where.glob(f"{_FOLDER}*"):
        name = re.match(rf"{_FOLDER}([0-9]+)-", folder.name)
        if name is not None and not _lives(int(name[1])):
            shutil.rmtree(folder, ignore_errors=True)  # another process may do so at the same time


_sweep_once = cache(sweep)
"""By each process when it has its first disk."""


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it is somebody else's
    return True


class SimDisk:
    """One folder on it.

    Attributes:
        down: From now on nothing is done any more, by whoever writes: his process, or the power, is gone.
    """

    def __init__(self) -> None:
        self._ends = ExitStack()
        where = _FAST if os.access(_FAST, os.W_OK) else Path(tempfile.gettempdir())
        _sweep_once(where)
        prefix = f"{_FOLDER}{os.getpid()}-"
        self.folder = Path(self._ends.enter_context(tempfile.TemporaryDirectory(prefix=prefix, dir=where)))
        self._ends.enter_context(vfs.watching(self, str(self.folder)))
        self.model = Disk()
        self.down = False
        self.trouble: Callable[[], Trouble | None] = lambda: None
        self._countdown = 0

    def close(self) -> None:
        """Throws it away. Nobody may have a file of it open."""
        self._ends.close()

    def connect(self, path: Path) -> sqlite3.Connection:
        """A connection to a database on it."""
        assert path.parent == self.folder
        return sqlite3.connect(f"{path.as_uri()}?vfs={vfs.NAME}", uri=True, timeout=0.0, isolation_level=None)

    def settled(self) -> None:
        """All that is there is on it for certain."""
        self.model = Disk.of(self.folder)

    def goes_down_after(self, steps: int) -> None:
        """After so many more writes and syncs it is `down`; 0 takes that back."""
        self._countdown = steps

    def cut(self, chance: Random, share: float, flushed: float) -> int:
        """The power goes, and comes back: nobody may have a file open. Returns how many writes might have been lost."""
        unsynced = self.model.unsynced()
        model = self.model
        for path in self.folder.iterdir():
            path.unlink()
        model.after_a_cut(self.folder, chance, share, flushed)
        self.settled()
        vfs.put_there(str(self.folder))
        self.down, self._countdown = False, 0
        return unsynced

    # ---- what SQLite does to it ----

    def refuses(self, step: vfs.Step) -> int:
        """Asked by the shim."""
        if self.down:
            return _FAILS[type(step)]
        match self.trouble():
            case Trouble.NO_ROOM if isinstance(step, vfs.Wrote) and self._grows(step):
                return sqlite3.SQLITE_FULL
            case Trouble.WRITES_FAIL if not isinstance(step, vfs.Synced):
                return _FAILS[type(step)]
            case Trouble.SYNCS_FAIL if isinstance(step, vfs.Synced):
                return sqlite3.SQLITE_IOERR_FSYNC
        return 0

    def _grows(self, step: vfs.Wrote) -> bool:
        """Blocks that a file has are its own, whatever the disk is."""
        return step.offset + len(step.data) > os.stat(step.path).st_size

    def saw(self, step: vfs.Step) -> None:
        """Told by the shim."""
        self.model.take(step)
        if self._countdown and type(step) not in _CALM:
            self._countdown -= 1
            self.down = not self._countdown
