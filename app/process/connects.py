"""Plain TCP connects to addresses that are given as numbers: no name is resolved, nothing blocks, nothing is sent.

Whether somebody lets us connect is all that is asked: the connection is closed at once. The descriptor of all together
is one of `epoll`, for a loop that watches a single one.
"""

from __future__ import annotations

import errno
import os
import select
import socket

REACHED = ""
"""What is said of a connect that succeeded; of any other, why it did not."""


class TcpConnects:
    """Connects that are under way, by the name their owner gives them."""

    def __init__(self) -> None:
        self._poll: select.epoll | None = None
        self._sockets: dict[int, tuple[str, socket.socket]] = {}
        self._ended: list[tuple[str, str]] = []

    def begin(self, target: str) -> None:
        """Begins to connect to ``"ip:port"``, or ``"[ip]:port"``; one to the same that is under way is given up."""
        self.abandon(target)
        host, _, port = target.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            asked = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError as error:  # no descriptor left, or no such family on this machine
            self._ended.append((target, _words(error.errno)))
            return
        problem = asked.connect_ex((host, int(port)))
        if problem in (0, errno.EINPROGRESS):
            if self._poll is None:
                self._poll = select.epoll()
            self._poll.register(asked.fileno(), select.EPOLLOUT)
            self._sockets[asked.fileno()] = target, asked
        else:
            asked.close()
            self._ended.append((target, _words(problem)))

    def ended(self) -> list[tuple[str, str]]:
        """(target, why not; `REACHED` where it did) of each that has ended since the last time."""
        ended, self._ended = self._ended, []
        for fd, _ in self._poll.poll(0) if self._poll is not None else ():
            target, asked = self._sockets[fd]
            ended.append((target, _words(asked.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))))
            self._close(fd)
        return ended

    def abandon(self, target: str) -> None:
        """It is not waited for any more."""
        for fd in [fd for fd, (each, _) in self._sockets.items() if each == target]:
            self._close(fd)

    def fileno(self) -> int | None:
        """Readable when one has ended; None while there was none to connect to."""
        return None if self._poll is None else self._poll.fileno()

    def close(self) -> None:
        """Ends everything."""
        for fd in list(self._sockets):
            self._close(fd)
        if self._poll is not None:
            self._poll.close()
            self._poll = None

    def _close(self, fd: int) -> None:
        if self._poll is not None:
            self._poll.unregister(fd)
        self._sockets.pop(fd)[1].close()


def _words(problem: int | None) -> str:
    return os.strerror(problem).lower() if problem else REACHED
