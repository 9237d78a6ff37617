"""Whatever else finds a socket of the router, against one switchboard: garbage, silence, no descriptors left."""

from __future__ import annotations

import errno
import os
import socket
import time

import pytest

from app.transport.unix import door
from app.transport.unix.folder import Folder
from app.transport.unix.frames import HEADER, handshake
from app.transport.unix.switchboard import Switchboard
from tests.transport.hall import KEY, TIMEOUT_S, Hall, say, taken


def raw(hall: Hall, board: Switchboard) -> socket.socket:
    """A connection that can send anything."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with Folder(hall.path) as opened:
        sock.connect(opened.where(board.name))
    sock.settimeout(TIMEOUT_S)
    return sock


def closed(hall: Hall, board: Switchboard, sock: socket.socket) -> bool:
    """Whether the board has closed it, after a while at most."""
    sock.setblocking(False)

    def ended() -> bool:
        try:
            while sock.recv(4096):
                pass
        except BlockingIOError:
            return False
        except ConnectionResetError:
            pass
        return True

    hall.pump(ended, board)
    sock.close()
    return True


def framed(payload: bytes, acks: int = 0) -> bytes:
    """One frame."""
    return HEADER.pack(len(payload), acks) + payload


def test_garbage_closes_its_connection_and_no_other(hall: Hall) -> None:
    """Before and behind a handshake; it is counted, told once in words, and others are served on."""
    a, b = hall.board(), hall.board()
    hello = framed(handshake(KEY, dialled=True, own="x-1", other=b.name))
    for data, kind in [
        (b"GET / HTTP/1.1\r\n\r\n", "malformed"),
        (b"\x00" * 8, "malformed"),
        (framed(b"x" * 100), "malformed"),
        (framed(handshake(b"another key", dialled=True, own="x-1", other=b.name)), "malformed"),
        (hello + HEADER.pack(2**31, 0), "malformed"),
        (hello + framed(b"", acks=1), "malformed"),
    ]:
        before = b.counts[kind]
        sock = raw(hall, b)
        sock.sendall(data)
        assert closed(hall, b, sock)
        assert b.counts[kind] == before + 1
    for data in (hello[:20], hello + framed(b"x" * 100)[:50]):
        sock = raw(hall, b)
        sock.sendall(data)
        sock.close()
    hall.pump(lambda: b.counts["truncated"] == 2, b)
    assert set(b.incidents) == {"malformed", "truncated"}
    assert b.take() is None
    say(a, b, "serves on")
    hall.pump(lambda: b.waiting == 1)
    assert taken(b) == ["serves on"]


def test_strangers_are_few_and_soon_gone(hall: Hall) -> None:
    """Only so many connections that say nothing are accepted, and closed after a while; then others get through."""
    a, b = hall.board(), hall.board()
    silent = [raw(hall, b) for _ in range(door.MAX_STRANGERS + 10)]
    say(a, b, "hello")
    hall.pump(lambda: b.counts["crowded"] > 0, b)
    assert len(b._links) == door.MAX_STRANGERS
    hall.clock.ahead_s += 2 * door.HANDSHAKE_S
    hall.pump(lambda: b.waiting == 1)
    hall.clock.ahead_s += 2 * door.HANDSHAKE_S
    hall.pump(lambda: len(b._links) == 1, b)
    for each in silent:
        each.close()


def test_no_descriptor_left_means_a_pause_and_no_spinning(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing can be accepted, waiting is waiting; afterwards everybody gets in."""
    a, b = hall.board(), hall.board()

    class Exhausted:
        """A listener in a process without descriptors."""

        def accept(self) -> None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    listener = b._door._listener
    monkeypatch.setattr(b._door, "_listener", Exhausted())
    say(a, b, "patient")
    hall.pump(lambda: b.counts["crowded"] == 1, b)
    began_s = time.monotonic()
    b.poll(0.1)
    assert time.monotonic() - began_s >= 0.09
    assert b.counts["crowded"] == 1
    monkeypatch.setattr(b._door, "_listener", listener)
    hall.pump(lambda: b.waiting == 1)
