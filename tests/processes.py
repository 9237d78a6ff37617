"""Waiting for processes to end, of whoever they are children and whether or not anybody reaps them."""

import os
import select
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import psutil


class Deaths:
    """Watches processes from before they are killed; a context manager."""

    def __init__(self, processes: Iterable[psutil.Process]) -> None:
        self._pids: dict[int, int] = {}
        for process in processes:
            try:
                self._pids[os.pidfd_open(process.pid)] = process.pid
            except ProcessLookupError:
                continue  # ended already

    def wait(self, timeout_s: float) -> float:
        """Wait until all have ended, and return how long that took in seconds; AssertionError names who did not."""
        began_s = time.monotonic()
        poller = select.poll()
        waiting = dict(self._pids)
        for fd in waiting:
            poller.register(fd, select.POLLIN)
        while waiting and (left_s := began_s + timeout_s - time.monotonic()) > 0:
            for fd, _ in poller.poll(left_s * 1000):
                poller.unregister(fd)
                del waiting[fd]
        assert not waiting, f"processes {sorted(waiting.values())} still run after {timeout_s} s"
        return time.monotonic() - began_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for fd in self._pids:
            os.close(fd)
