"""A stderr that nobody reads stops nobody who writes to it."""

from __future__ import annotations

import faulthandler
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from app.process.logs import configure_actor_logs, get_logger

LINES = 3000
"""Of a hundred bytes and more: several times what a pipe holds."""
PATIENCE_S = 20.0


class Writer:
    """A process with a stderr of its own: it writes lines, and again whenever it is told to."""

    def __init__(self) -> None:
        self.stderr, theirs = os.pipe()
        go, self._go = os.pipe()
        self._done, done = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            faulthandler.disable()
            os.dup2(theirs, 2)
            sys.stderr = os.fdopen(2, "w", closefd=False)
            configure_actor_logs(actor="connector:bybit", human=False)
            while os.read(go, 1) == b"x":
                for number in range(LINES):
                    get_logger("actors.x").info("order.changed", number=number, words="\u00e9" * 20)
                os.write(done, b"x")
            os._exit(0)
        for fd in (theirs, go, done):
            os.close(fd)

    def writes(self) -> bool:
        """Whether it gets through all of its lines."""
        os.write(self._go, b"x")
        return bool(select.select([self._done], [], [], PATIENCE_S)[0]) and os.read(self._done, 1) == b"x"

    def read(self) -> bytes:
        """What is in the pipe."""
        found = b""
        while select.select([self.stderr], [], [], 0)[0] and (more := os.read(self.stderr, 65536)):
            found += more
        return found

    def close(self) -> None:
        """Ends it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        for fd in (self.stderr, self._go, self._done):
            os.close(fd)


@pytest.fixture
def writer() -> Iterator[Writer]:
    """One."""
    made = Writer()
    yield made
    made.close()


def test_who_writes_gets_through_and_tells_what_was_dropped(writer: Writer) -> None:
    begin_s = time.monotonic()
    assert writer.writes(), "it blocks on a pipe that nobody reads"
    assert writer.writes()
    assert time.monotonic() - begin_s < PATIENCE_S
    first = [json.loads(line) for line in writer.read().splitlines()]
    assert [line["number"] for line in first] == list(range(len(first))), "whole lines, in order"
    assert 0 < len(first) < LINES
    assert writer.writes()
    told, *rest = [json.loads(line) for line in writer.read().splitlines()]
    assert (told["event"], told["count"]) == ("log.lines_dropped", 2 * LINES - len(first))
    assert [line["number"] for line in rest] == list(range(len(rest)))


def test_a_reader_gets_every_line() -> None:
    """Also one that is longer than what is written at once."""
    reader, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        faulthandler.disable()
        os.dup2(theirs, 2)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        configure_actor_logs(actor="connector:bybit", human=False)
        for number in range(200):
            get_logger("actors.x").info("order.changed", number=number, words="x" * 9000)
        os._exit(0)
    os.close(theirs)
    with open(reader, "rb") as file:
        found = [json.loads(line) for line in file]
    os.waitpid(pid, 0)
    assert [line["number"] for line in found] == list(range(200))
    assert all(len(line["words"]) == 9000 for line in found)
