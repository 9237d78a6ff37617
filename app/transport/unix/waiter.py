"""The one place where a process waits: for its connections, its bell, its signals, and what its actor watches."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
from typing import Final

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT
GONE: Final = select.EPOLLHUP | select.EPOLLERR


class Waiter:
    """An epoll with a bell.

    Attributes:
        ready: Watched descriptors that were readable when `wait` last returned.
        unwatchable: Why the last descriptor that cannot be watched cannot; empty while there is none.
    """

    def __init__(self) -> None:
        self.ready: list[int] = []
        self.unwatchable = ""
        self._watched: list[int] = []
        self._signals: tuple[socket.socket, socket.socket] | None = None
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._bell, READABLE)

    def add(self, fd: int) -> None:
        """Wait for `fd` to be readable."""
        self._epoll.register(fd, READABLE)

    def change(self, fd: int, wanted: int) -> None:
        """Wait for other things of `fd`; that it is gone is told in any case."""
        self._epoll.modify(fd, wanted)

    def drop(self, fd: int) -> None:
        """Do not wait for `fd` any more; before it is closed."""
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)

    def watch(self, fds: list[int]) -> None:
        """Report these descriptors, and no others, in `ready`."""
        if not fds and not self._watched:
            return
        for fd in set(self._watched) - set(fds):
            self.drop(fd)
        for fd in fds:
            try:
                self._epoll.modify(fd, READABLE)  # fails where the number names another file than it did
            except OSError:
                try:
                    self._epoll.register(fd, READABLE)
                except OSError as error:
                    self.unwatchable = f"file descriptor {fd} cannot be watched: {error.strerror}"
        self._watched = list(fds)

    def watch_signals(self) -> None:
        """Make every signal end `wait`, even one that comes just before it begins. In the main thread only.

        Python runs handlers between two of its instructions; what arrives after the last one before the system call
        would else be handled only when something else ends the call: a child's death, for example.
        """
        self._signals = socket.socketpair()
        for each in self._signals:
            each.setblocking(False)
        signal.set_wakeup_fd(self._signals[1].fileno(), warn_on_full_buffer=False)
        self._epoll.register(self._signals[0].fileno(), READABLE)

    def ring(self) -> None:
        """Make `wait` return, the one under way or the next; from any thread or signal handler."""
        os.eventfd_write(self._bell, 1)

    def wait(self, timeout_s: float) -> list[tuple[int, int]]:
        """What happened to the descriptors that were added, within `timeout_s`, which may be infinite."""
        happened = self._epoll.poll(None if timeout_s == float("inf") else max(timeout_s, 0.0))
        if self.ready:
            self.ready = []
        if len(happened) == 1 and happened[0][0] != self._bell and not self._watched and self._signals is None:
            return happened
        ours = []
        for fd, mask in happened:
            if fd == self._bell:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(fd)
            elif self._signals is not None and fd == self._signals[0].fileno():
                with contextlib.suppress(BlockingIOError):
                    self._signals[0].recv(4096)
            elif fd in self._watched:
                self.ready.append(fd)
            else:
                ours.append((fd, mask))
        return ours

    def close(self) -> None:
        """Close what is ours; what was added is its owner's to close."""
        self._epoll.close()
        os.close(self._bell)
        if self._signals is not None:
            if threading.current_thread() is threading.main_thread():
                signal.set_wakeup_fd(-1)
            for each in self._signals:
                each.close()
