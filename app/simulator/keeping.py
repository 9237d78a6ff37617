"""The books of an exchange in a file, so that a killed exchange comes back with them.

One JSON object a line: the first a whole dump, each after it what one request changed, written before it is answered.
So what a client was told is in the file when the process dies the next moment; a line that death cut short is left out
when reading, as its request was never answered. (The file is handed to the kernel, not forced to disk: it outlives the
process, not the machine.) It holds API secrets and is readable by its owner only.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.simulator.books import BadBooks

MAX_BYTES = 64 << 20
"""A file larger than this is written anew, as one dump."""


class BooksFile:
    """One exchange's file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None
        self._size = 0

    def read(self) -> list[dict[str, Any]]:
        """The lines, oldest first; empty if there is no file. Raises BadBooks, OSError."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return []
        lines = raw.split(b"\n")
        found: list[dict[str, Any]] = []
        for number, line in enumerate(lines[:-1], 1):  # what follows the last newline was cut short, or is empty
            try:
                part = json.loads(line)
            except ValueError as error:
                raise BadBooks(f"Line {number} of {self.path} is no JSON: {error}.") from error
            if not isinstance(part, dict):
                raise BadBooks(f"Line {number} of {self.path} is no JSON object.")
            found.append(part)
        return found

    def start(self, dump: Mapping[str, Any]) -> None:
        """Write the file anew, atomically, with one dump. Raises OSError."""
        self.close()
        beside = self.path.with_name(f".{self.path.name}.new")
        self._handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0
        self._write(dump)
        os.replace(beside, self.path)

    @property
    def is_full(self) -> bool:
        """True when it is time to `start` again."""
        return self._size > MAX_BYTES

    def add(self, change: Mapping[str, Any]) -> None:
        """Append what changed. Raises OSError."""
        self._write(change)

    def close(self) -> None:
        """Close it; the file stays."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _write(self, part: Mapping[str, Any]) -> None:
        if self._handle is None:
            raise RuntimeError("The books are not open.")
        line = json.dumps(part, separators=(",", ":")).encode() + b"\n"
        self._size += len(line)
        while line:
            line = line[os.write(self._handle, line) :]
