"""Taking the write lock: how long a writer waits for another, and how long after it has waited in vain.

SQLite has one write lock, and a process that hangs inside a write keeps it until it is killed for hanging. Others must
not hang because of it: one wait is below the heartbeat budget, but an actor with ten writes in its mailbox would wait
ten times, and be killed as well. So after a wait in vain the next ones are short, until one succeeds.
"""

from __future__ import annotations

import sqlite3
from typing import Final

BUSY_TIMEOUT_S: Final = 1.0
"""How long a writer waits for another at most."""
AFTER_VAIN_S: Final = 0.01
"""How long, while whoever has the lock has had it for longer than that."""


def busy_timeout_s(heartbeat_timeout_s: float) -> float:
    """How long a writer waits for another, where whoever owes a sign of life for so long is taken to have hung.

    Two thirds of that: waiting is never taken for hanging, and time is left for the answer.
    """
    return min(BUSY_TIMEOUT_S, heartbeat_timeout_s * 2 / 3)


class WriteLock:
    """Of one connection, which waits for `busy_timeout_s` as long as nobody has waited in vain."""

    def __init__(self, db: sqlite3.Connection, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._db = db
        self._busy_timeout_s = busy_timeout_s
        self._patient = True

    def begin(self) -> None:
        """Begins a transaction that writes. Raises `sqlite3.OperationalError` when the lock was not to be had."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if self._patient and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                self._be_patient(False)
            raise
        if not self._patient:
            self._be_patient(True)

    def _be_patient(self, patient: bool) -> None:
        self._patient = patient
        self._db.execute(f"PRAGMA busy_timeout={int(1000 * (self._busy_timeout_s if patient else AFTER_VAIN_S))}")
