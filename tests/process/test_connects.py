"""Connects to addresses, on real sockets: reached, refused, silent, given up, and nothing left open."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.process.connects import REACHED, TcpConnects

PATIENCE_S = 5.0


@pytest.fixture
def connects() -> Iterator[TcpConnects]:
    made = TcpConnects()
    yield made
    made.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def target(made: socket.socket) -> str:
    return f"127.0.0.1:{made.getsockname()[1]}"


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as made:
        return target(made)


def heard(connects: TcpConnects, n: int = 1) -> list[tuple[str, str]]:
    """What has ended, waited for as an actor does: by the one descriptor."""
    ended = connects.ended()
    end_s = time.monotonic() + PATIENCE_S
    while len(ended) < n:
        fd = connects.fileno()
        assert fd is not None
        assert select.select([fd], [], [], end_s - time.monotonic())[0], "nothing came"
        ended += connects.ended()
    return ended


def open_files() -> set[str]:
    return {each.name for each in Path("/proc/self/fd").iterdir()}


def test_whoever_listens_is_reached(connects: TcpConnects, listener: socket.socket) -> None:
    connects.begin(target(listener))
    assert heard(connects) == [(target(listener), REACHED)]
    assert connects.ended() == [], "each is told once"


def test_a_closed_port_refuses(connects: TcpConnects) -> None:
    where = closed_port()
    connects.begin(where)
    assert heard(connects) == [(where, "connection refused")]


def test_several_are_asked_at_once(connects: TcpConnects, listener: socket.socket) -> None:
    refused = closed_port()
    connects.begin(target(listener))
    connects.begin(refused)
    assert dict(heard(connects, 2)) == {target(listener): REACHED, refused: "connection refused"}


def test_one_without_an_answer_says_nothing_until_it_is_given_up(connects: TcpConnects) -> None:
    """A full backlog: the kernel drops what else comes, as a blackhole does."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        where = target(deaf)
        with socket.create_connection(deaf.getsockname()), socket.socket() as filler:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
            before = open_files()
            connects.begin(where)
            assert connects.ended() == []
            connects.abandon(where)
            assert connects.ended() == []
            connects.close()
            assert open_files() == before


def test_a_new_one_to_the_same_address_takes_the_place_of_the_old(
    connects: TcpConnects, listener: socket.socket
) -> None:
    connects.begin(target(listener))
    connects.begin(target(listener))
    assert heard(connects) == [(target(listener), REACHED)]
    assert connects.ended() == []


def test_an_address_of_a_family_that_is_not_there_is_not_reached(connects: TcpConnects) -> None:
    """2001:db8::/32 is for documentation (RFC 3849): no way leads there, or nobody answers."""
    connects.begin("[2001:db8::1]:443")
    for _, words in connects.ended():
        assert words != REACHED


def test_before_the_first_there_is_nothing_to_watch(connects: TcpConnects) -> None:
    assert connects.fileno() is None
    assert connects.ended() == []


def test_nothing_is_left_open(listener: socket.socket) -> None:
    before = open_files()
    made = TcpConnects()
    for _ in range(3):
        made.begin(target(listener))
        made.begin(closed_port())
        heard(made, 2)
    made.begin(target(listener))
    made.close()
    assert open_files() == before
