"""Processes that must not end meanwhile, watched by the kernel's own handles, so that no pid is taken for another."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from app.process.pidfd import has_ended


class Lives:
    """Watches some processes; a context manager."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._fds: dict[int, int] = {}

    def watch(self, pid: int, name: str) -> None:
        """From now on; one that is watched already, and one that has ended, may be named as well."""
        if pid in self._fds:
            return
        self._names[pid] = name
        try:
            self._fds[pid] = os.pidfd_open(pid)
        except ProcessLookupError:
            self._fds[pid] = -1

    def ended(self) -> str:
        """One sentence on who has ended; empty while all live."""
        for pid, fd in self._fds.items():
            if fd < 0 or has_ended(fd):
                return f"The {self._names[pid]} (pid {pid}) died."
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for fd in self._fds.values():
            if fd >= 0:
                os.close(fd)
