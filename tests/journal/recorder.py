"""What SQLite does to its files, recorded: every write, cut, sync and name, under the journal's own code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define, field, frozen

from app.fuzz import vfs


@frozen
class Acknowledged:
    """Whoever asked for it was told that it is in the journal."""

    what: Any


@define
class Recorder:
    """The recording. One at a time in a process, and all connections it is to see are made while it records."""

    steps: list[vfs.Step | Acknowledged] = field(factory=list)

    def refuses(self, step: vfs.Step) -> int:
        """Nothing."""
        return 0

    def saw(self, step: vfs.Step) -> None:
        """Writes it down."""
        self.steps.append(step)

    def acknowledge(self, what: Any) -> None:
        """From here on it has to survive."""
        self.steps.append(Acknowledged(what))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Every connection that is opened within is recorded for as long as it lasts.

        Raises:
            LookupError: The SQLite that Python uses is out of reach: it is built in and hides its names.
        """
        with vfs.watching(self):
            yield
