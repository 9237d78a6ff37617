"""Who comes in: connections of our own user only, and only so many that have not said who they are."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Final

from app.transport.unix.folder import peer_uid
from app.transport.unix.link import NEVER, Link
from app.transport.unix.waiter import READABLE, Waiter

HANDSHAKE_S: Final = 5.0
PAUSE_S: Final = 0.1
MAX_STRANGERS: Final = 128
"""Connections that have not shown a handshake yet; others wait in the kernel until some have, or their time is up."""


class Door:
    """The listening socket, and the connections accepted from it that are strangers yet.

    Attributes:
        fd: Of the listening socket; readable when somebody waits.
    """

    def __init__(
        self, listener: socket.socket, waiter: Waiter, note: Callable[[str, str], None], clock: Callable[[], float]
    ) -> None:
        """`note(kind, words)` is told what was refused."""
        self.fd = listener.fileno()
        self._listener = listener
        self._waiter = waiter
        self._note = note
        self._clock = clock
        self._uid = os.geteuid()
        self._strangers: dict[Link, float] = {}
        self._deaf_until_s = NEVER
        waiter.add(self.fd)

    def admit(self, room: int) -> list[socket.socket]:
        """Connections of our own user that wait, `room` at the most; others are closed before a byte is read."""
        admitted: list[socket.socket] = []
        room = min(room, MAX_STRANGERS - len(self._strangers))
        for _ in range(MAX_STRANGERS):
            if len(admitted) >= room:
                self._go_deaf("too many are open, or have not said who they are")
                break
            try:
                sock, _address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                break
            except OSError as error:
                self._go_deaf(error.strerror or str(error))
                break
            uid = peer_uid(sock)
            if uid != self._uid:
                self._note("foreign", f"refused a connection of user id {uid}")
                sock.close()
            else:
                sock.setblocking(False)
                admitted.append(sock)
        return admitted

    def _go_deaf(self, why: str) -> None:
        """Accepts nothing for a while: what cannot be accepted would else wake us without end."""
        self._note("crowded", f"accepts no connection for {PAUSE_S:g} s: {why}")
        self._waiter.change(self.fd, 0)
        self._deaf_until_s = self._clock() + PAUSE_S

    def expect(self, link: Link) -> None:
        """`link` shall say who it is."""
        self._strangers[link] = self._clock() + HANDSHAKE_S

    def forget(self, link: Link) -> None:
        """It has said who it is, or is closed."""
        self._strangers.pop(link, None)

    def late(self, now_s: float) -> list[Link]:
        """Those who have not said who they are in time; and listens again, where that is due."""
        if self._deaf_until_s <= now_s:
            self._deaf_until_s = NEVER
            self._waiter.change(self.fd, READABLE)
        return [link for link, until_s in self._strangers.items() if until_s <= now_s]

    @property
    def due_s(self) -> float:
        """When to call `late`."""
        return min(self._deaf_until_s, next(iter(self._strangers.values()), NEVER))

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()
