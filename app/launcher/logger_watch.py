"""Thespian's logger, which nobody asks for a sign of life: it takes records, and answers nothing.

Its death is noticed: the admin starts another one. A logger that is stopped (SIGSTOP) neither dies nor works, and keeps
what is sent to it from being written, so it is found by its state in the kernel's eyes, and killed, which is the death
that the admin notices.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger()

STOPPED: Final = "T"
"""In /proc/PID/stat, by proc(5); a process held by a debugger is in another state, and is left to it."""


class LoggerWatch:
    """Looks after the admin's children that nobody else looks after: the logger."""

    def __init__(self, admin: int, supervisor: int, patience_s: float) -> None:
        """
        Args:
            admin, supervisor: Process ids; the supervisor is a child of the admin, and answers for itself.
            patience_s: How long a stop may last.
        """
        self._admin = admin
        self._supervisor = supervisor
        self._patience_s = patience_s
        self._since_s: dict[int, float] = {}

    def look(self, now_s: float) -> None:
        """Kills whoever has been stopped for too long."""
        stopped = [pid for pid in _children(self._admin) if pid != self._supervisor and _state(pid) == STOPPED]
        self._since_s = {pid: self._since_s.get(pid, now_s) for pid in stopped}
        for pid, since_s in self._since_s.items():
            if now_s >= since_s + self._patience_s:
                log.error("logger.killed", child_pid=pid, why=f"was stopped for {self._patience_s:g} s")
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):  # the admin has ended, which is noticed elsewhere
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
