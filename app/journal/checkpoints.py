"""Copies what was committed from the write-ahead log into the database, on nobody's way.

SQLite would have the writer whose commit makes the log long enough do it: an order in eighty then waits for two fsyncs,
milliseconds each. So writers only do it at a far bound (`writer_pages`), and a thread beside an actor that no order
waits for does it before. When that thread is dead or stuck, the bound holds: the log stays as small, and the writers
pay again.

Not too often, either: once all of the log was copied, the next writer begins it anew, and SQLite has it wait for an
fsync of the new header (`walFrames`), also with synchronous NORMAL. Copied every half second, each order of a bot that
trades now and then would pay 2.5 ms for it. So the thread waits until enough has happened, by the journal's own events.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import structlog

from app.journal.warmth import PART, free_bytes, warm

log = structlog.get_logger()

PAGE_BYTES = 1024
"""Of a new journal. Ids are hashes, so what an order changes lies on a dozen pages of its own, and each is written
whole: 21 KB an order, instead of 68 with SQLite's 4096."""
WRITER_BYTES = 64 * 1024 * 1024
"""A writer whose commit makes the log so long copies it itself."""
EVENTS = 500
"""Between two checkpoints: about 5 MB of log, and one order in some 250 that waits for an fsync."""
EVERY_S = 0.5
AFTER_ERROR_S = 5.0


def writer_pages(page_bytes: int) -> int:
    """`WRITER_BYTES` in pages of a journal, which keeps the size it was made with."""
    return WRITER_BYTES // page_bytes


class Checkpointer:
    """The thread. A context of its own: its connection is used by nobody else.

    To be started when the process has opened its journal, not before: opening may create the file, and closing that
    descriptor would take away, without a word, the locks of a connection that this process has already.

    Args:
        path: The database file, which is there.
        every_s: Seconds between two looks.
        events: What must have happened since the last checkpoint.
    """

    def __init__(self, path: Path, *, every_s: float = EVERY_S, events: int = EVENTS) -> None:
        self._path = path
        self._every_s = every_s
        self._events = events
        self._copied = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpointer", daemon=True)
        # Beside it, since the log must be copied meanwhile.
        self._warming = threading.Thread(target=self._warm, name="read-ahead", daemon=True)

    def start(self) -> None:
        """Begins; ends with the process, or by `close`."""
        self._thread.start()
        self._warming.start()

    def close(self) -> None:
        """Ends, after the checkpoint under way."""
        self._ended.set()
        self._thread.join()
        self._warming.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        wait_s = self._every_s
        try:
            while not self._ended.wait(wait_s):
                wait_s = self._every_s
                try:
                    connection = connection or self._connected()
                    self._look(connection)
                except sqlite3.Error as error:
                    log.warning("journal.checkpoint_failed", words=str(error))
                    wait_s = max(self._every_s, AFTER_ERROR_S)
        except Exception:  # nobody joins this thread: without the line, writers would pay again and nobody know why
            log.exception("journal.checkpointer_ended")
        finally:
            if connection is not None:
                connection.close()

    def _warm(self) -> None:
        try:
            self._handle = os.open(self._path, os.O_RDONLY)  # never closed: with it this process's locks would go
            warm(self._handle, free_bytes() // PART, self._ended)
        except OSError as error:  # it is not there yet, or cannot be read ahead: orders do without
            log.info("journal.not_read_ahead", words=str(error))

    def _look(self, connection: sqlite3.Connection) -> None:
        newest = connection.execute("SELECT max(sequence) FROM events").fetchone()[0] or 0
        if newest < self._copied + self._events:
            return
        # Passive: waits for no reader and no writer, and copies what it can; the rest the next time.
        _busy, frames, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if frames == copied:
            self._copied = newest

    def _connected(self) -> sqlite3.Connection:
        # By URI, so that a journal that is not there is not made.
        return sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=True,
        )
