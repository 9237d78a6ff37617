"""A pipe that tells a program started by exec that the process which started it is gone.

The starter keeps the write end and writes nothing; the program inherits the read end, which reports end-of-file the
moment the last write end closes, however the starter died. PR_SET_PDEATHSIG would not do here: it fires when the
starting *thread* ends, and a bot may start its router from a thread of any length of life.
"""

import contextlib
import os
import select
import weakref
from typing import ClassVar


class ParentPipe:
    """The starter's side. Pass `read_fd` to the program (`pass_fds=`), then call `started()`.

    Attributes:
        read_fd: the end for the program, -1 once `started` was called.
    """

    _alive: ClassVar["weakref.WeakSet[ParentPipe]"] = weakref.WeakSet()
    _hook_registered: ClassVar[bool] = False

    def __init__(self) -> None:
        self.read_fd, self._write_fd = os.pipe2(os.O_CLOEXEC)
        ParentPipe._alive.add(self)
        if not ParentPipe._hook_registered:
            ParentPipe._hook_registered = True
            os.register_at_fork(after_in_child=ParentPipe._close_in_child)

    @classmethod
    def _close_in_child(cls) -> None:
        # A forked worker of the starter must not keep the pipe open after the starter's death.
        for pipe in list(cls._alive):
            pipe.close()

    def started(self) -> None:
        """Close the read end here: the program has its own."""
        if self.read_fd >= 0:
            os.close(self.read_fd)
            self.read_fd = -1

    def close(self) -> None:
        """Close both ends, which tells the program to end; safe to call again."""
        self.started()
        if self._write_fd >= 0:
            os.close(self._write_fd)
            self._write_fd = -1

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            self.close()


def at_eof(fd: int) -> bool:
    """Whether the other end is gone; for a loop in which select has just called `fd` readable.

    Reads what is there, so a stray byte is no end. Never blocks.
    """
    while True:
        ready, _, _ = select.select([fd], [], [], 0)
        if not ready:
            return False
        if not os.read(fd, 4096):
            return True


def wait_for_eof(fd: int, timeout_s: float | None = None) -> bool:
    """Wait until the other end is gone; False when `timeout_s` passed first (None waits for as long as it takes)."""
    poller = select.poll()
    poller.register(fd, select.POLLIN | select.POLLHUP)
    # A stray byte restarts the wait; nobody writes to this pipe, so the bound is not stretched in practice.
    while poller.poll(None if timeout_s is None else timeout_s * 1000):
        if at_eof(fd):
            return True
    return False
