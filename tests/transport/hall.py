"""Switchboards in one folder, with time by hand, and what they send and are told (`test_unix_switchboard`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.transport.unix.folder import Folder
from app.transport.unix.link import NEVER
from app.transport.unix.switchboard import Outcome, Switchboard

KEY = b"a key of the tests"
TIMEOUT_S = 20
IDLE_S = 100.0


class Clock:
    """Real time, and what was added by hand."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.perf_counter() + self.ahead_s


class Hall:
    """Switchboards in one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.boards: list[Switchboard] = []

    def board(self, name: str = "", key: bytes = KEY) -> Switchboard:
        """Another one."""
        opened = Folder(self.path, create=True)
        board = Switchboard(opened, name or opened.new_name(), key, idle_s=IDLE_S, clock=self.clock)
        self.boards.append(board)
        return board

    def pump(self, until: Callable[[], bool], *only: Switchboard) -> None:
        """Poll all (or `only` these) until something is so."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while not until():
            assert time.monotonic() < deadline_s, "did not happen in time"
            for board in only or self.boards:
                board.poll(0.001)

    def close(self) -> None:
        """Close all."""
        for board in self.boards:
            board.close()


def say(board: Switchboard, to: Switchboard | str, *texts: str, within_s: float = NEVER) -> None:
    """Send texts, each its own token."""
    for text in texts:
        board.send(to if isinstance(to, str) else to.name, text.encode(), text, board._clock() + within_s)


def taken(board: Switchboard) -> list[str]:
    """Everything that waits to be taken."""
    got = []
    while (item := board.take()) is not None:
        got.append(item[1].decode())
    return got


def collect(board: Switchboard, into: list[str]) -> int:
    """Add everything that waits to be taken; how much there is now."""
    into.extend(taken(board))
    return len(into)


def outcomes(board: Switchboard) -> list[tuple[Any, Outcome]]:
    """What the sender was told."""
    told = list(board.done)
    board.done.clear()
    return told


def all_of(outcome: Outcome, texts: list[str]) -> list[tuple[Any, Outcome]]:
    """These texts with one outcome."""
    return [(text, outcome) for text in texts]
