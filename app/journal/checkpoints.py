"""Copies what was committed from the write-ahead log into the database, on nobody's way.

SQLite would have the writer whose commit makes the log long enough do it: an order in eighty then waits for two fsyncs,
milliseconds each. So writers only do it at a far bound (`WRITER_PAGES`), and a thread beside an actor that no order
waits for does it all the time. When that thread is dead or stuck, the bound holds: the log stays as small, and the
writers pay again.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import structlog

log = structlog.get_logger()

PAGE_BYTES = 1024
"""Of a new journal. Ids are hashes, so what an order changes lies on a dozen pages of its own, and each is written
whole: 21 KB an order, instead of 68 with SQLite's 4096."""
WRITER_PAGES = 65_536
"""A writer whose commit makes the log so long copies it itself: 64 MB of a new journal."""
EVERY_S = 0.5


class Checkpointer:
    """The thread. A context of its own: its connection is used by nobody else.

    Args:
        path: The database file, which is there.
        every_s: Seconds between two checkpoints.
    """

    def __init__(self, path: Path, *, every_s: float = EVERY_S) -> None:
        self._path = path
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpointer", daemon=True)

    def start(self) -> None:
        """Begins; ends with the process, or by `close`."""
        self._thread.start()

    def close(self) -> None:
        """Ends, after the checkpoint under way."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        try:
            while not self._ended.wait(self._every_s):
                try:
                    connection = connection or self._connected()
                    # Passive: waits for no reader and no writer, and copies what it can.
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                except sqlite3.Error as error:
                    log.warning("journal.checkpoint_failed", words=str(error))
                    self._every_s = max(self._every_s, 5.0)
        finally:
            if connection is not None:
                connection.close()

    def _connected(self) -> sqlite3.Connection:
        # By URI, so that a journal that is not there is not made.
        return sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=True,
        )
