"""What happened, written down by whoever lived it: facts appended to a file of their own, which outlives a kill -9."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

from app.fuzz.record import Fact, Record

FACTS = "facts"
TURNED_AWAY = "turned away"
"""Who notes the wire id of a placement that was answered as not executed."""


class Diary(Record):
    """A record that is kept on disk: each fact is one write, so that a death leaves whole ones only."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__()
        (folder / FACTS).mkdir(exist_ok=True)
        self._fd = os.open(folder / FACTS / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def add(self, fact: Fact) -> None:
        """One more."""
        os.write(self._fd, pickle.dumps(fact))


def read(folder: Path, name: str) -> list[Fact]:
    """What one of them wrote, the oldest first; nothing where nobody did."""
    path = folder / FACTS / name
    return list(_facts(path)) if path.exists() else []


def read_all(folder: Path) -> list[Fact]:
    """What everybody wrote, by time."""
    names = sorted(path.name for path in (folder / FACTS).iterdir())
    return sorted((fact for name in names for fact in read(folder, name)), key=lambda fact: fact.at_s)


def _facts(path: Path) -> Iterator[Fact]:
    with path.open("rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except EOFError:
                return
