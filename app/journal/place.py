"""Where the journal is, and whether new orders should be begun there.

A new order is the one thing that need not be written. So it is refused while there is still room for what has to be:
what became of the orders that are out, cancels, and the route. And it is refused where the file was taken away while it
was in use: what is written to it then is lost with the last process that has it open.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Final

from app.journal.errors import JournalError, JournalUnusable, translated
from app.process.private_file import Untrusted, read_private, write_private

LEAST_BYTES: Final = 16 * 1024 * 1024
"""Free on the disk for a new order to be begun: some eight hundred orders' worth of log."""
LOOK_S: Final = 0.5
"""For looking through a journal at the start: enough for a hundred thousand orders that the kernel has read."""
ID_NAME: Final = "journal.id"
"""In the state directory: which journal was used there, so that a lost one is not taken for the first start."""


class Place:
    """Of an open journal: remembers which file it is."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._folder = str(path.parent)
        found = os.stat(path)
        self._is = found.st_dev, found.st_ino

    def trouble(self) -> str:
        """Why no new order is taken, in one sentence; empty where nothing speaks against it. A few microseconds."""
        try:
            there = os.stat(self._path)
            disk = os.statvfs(self._folder)
        except OSError as error:
            return self._gone(error.strerror or "it cannot be looked at")
        if (there.st_dev, there.st_ino) != self._is:
            return self._gone("another file is in its place")
        if disk.f_flag & os.ST_RDONLY:
            return f"The journal at {self._path} is on a file system that can only be read: make it writable again."
        free = disk.f_bavail * disk.f_frsize
        if free < LEAST_BYTES:
            return (
                f"The disk of the journal at {self._path} is full but for {free / 1024 / 1024:.1f} MB, which are kept"
                f" for orders that are out: make room, {LEAST_BYTES // 1024 // 1024} MB at least."
            )
        return ""

    def _gone(self, why: str) -> str:
        return (
            f"The journal at {self._path} was taken away under the daemon ({why}): end the daemon, put the journal"
            " back, and start it again."
        )

    def check(self) -> None:
        """Raises `JournalError` where `trouble` has something to say."""
        words = self.trouble()
        if words:
            raise JournalError(words)


def not_lost(folder: Path, journal: str) -> None:
    """Checks, before one is opened or made, that the journal which this state directory had is still there.

    Raises:
        JournalUnusable: It is gone.
    """
    mark = folder / ID_NAME
    if (folder / journal).exists() or not mark.exists():
        return
    raise JournalUnusable(
        f"The journal {folder / journal} is gone, and this state directory had one: put its newest copy back. Without"
        " it, orders that are live would be nobody's; to begin anew all the same, cancel what is live on the exchanges,"
        f" and remove {mark}."
    )


def sound(path: Path, within_s: float = LOOK_S) -> None:
    """Looks through the whole file before it is used, as far as that goes in the time there is.

    Raises:
        JournalUnusable: It is damaged.
        JournalError: It cannot be read now.
    """
    with translated(str(path)), closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as db:
        # A thread ends it, since SQLite asks no progress handler while it walks through a table (before 3.42).
        ends = threading.Timer(within_s, db.interrupt)
        ends.start()
        try:
            (said,) = db.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_INTERRUPT:
                return
            raise
        finally:
            ends.cancel()
            ends.join()
    if said != "ok":
        raise JournalUnusable(
            f"The journal at {path} is damaged ({' '.join(said.split())}): put its newest good copy there;"
            " order-router verify-journal says more."
        )


def remember(folder: Path, journal_id: str) -> None:
    """Keeps which journal is used in a state directory.

    Raises:
        JournalUnusable: It had another one.
        JournalError: It cannot be kept now.
    """
    mark = folder / ID_NAME
    try:
        had = read_private(mark, 64)
        if had is None:
            write_private(mark, f"{journal_id}\n".encode())
    except Untrusted as error:
        raise JournalError(f"Which journal this state directory has cannot be kept: {error}") from error
    if had is not None and had.decode(errors="replace").strip() != journal_id:
        raise JournalUnusable(
            f"The journal in {folder} has the id {journal_id}, and this state directory had {had.decode().strip()}: put"
            f" that one back, or, to go on with this one although orders of the other may be live, remove {mark}."
        )
