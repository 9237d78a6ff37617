"""The exchange's port: open, refusing connections, or letting them hang; and how a connection is broken.

The port stays ours whatever happens to it: a socket that never listens is bound to it all the time.
"""

import asyncio
import contextlib
import socket
import struct

from aiohttp import web

from app.simulator.fault_rules import Kind

_BACKLOG = 1024
_FILLERS = 4
"""Connections that fill the queue of a socket that accepts none: one is enough, the others are for certainty."""


class Port:
    """One loopback port for an HTTP server."""

    def __init__(self, http: web.Server, number: int) -> None:
        """Binds it; `number` 0 takes a free one. Raises OSError for a taken port."""
        self._http = http
        self._held: socket.socket | None = bound(number)
        self._listener: asyncio.Server | None = None
        self._deaf: list[socket.socket] = []
        self.number: int = self._held.getsockname()[1]

    async def apply(self, trouble: Kind | None) -> None:
        """Open the port, or close it as the fault says."""
        if trouble is not None:
            self._shut()
        self._unplug()
        if trouble is Kind.CONNECT_HANGS:
            self._plug()
        elif trouble is None and self._listener is None and self._held is not None:
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_server(self._http, sock=bound(self.number), backlog=_BACKLOG)

    def close(self) -> None:
        """Give the port back."""
        self._shut()
        self._unplug()
        if self._held is not None:
            self._held.close()
            self._held = None

    def _shut(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        # Kept-alive connections would go on trading behind a closed door.
        for connection in self._http.connections:
            if connection.transport is not None:
                connection.transport.abort()

    def _plug(self) -> None:
        """Listen with a queue that is full: Linux drops further SYNs, so that connecting never ends."""
        deaf = bound(self.number)
        deaf.listen(0)
        self._deaf.append(deaf)
        for _ in range(_FILLERS):
            filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            filler.setblocking(False)
            self._deaf.append(filler)
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", self.number))

    def _unplug(self) -> None:
        for sock in reversed(self._deaf):
            sock.close()
        self._deaf.clear()


def cut(transport: asyncio.BaseTransport | None, how: str) -> None:
    """Break a connection: "fin" ends it in an orderly way, "rst" resets it."""
    if not isinstance(transport, asyncio.Transport):
        return
    if how == "rst":
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()


def bound(number: int) -> socket.socket:
    """A socket bound to a loopback port; SO_REUSEADDR lets a second one bind while none listens."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", number))
    except OSError:
        sock.close()
        raise
    return sock
