"""The strategy's own account: what it asked and what it was told, one JSON object a line.

Written by the strategy's process, read by the demo's. It is evidence: nothing in it comes from the router's books, only
from what the strategy was told at the time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Line = dict[str, Any]

NEVER_SENT = "never_sent"
"""What the strategy concludes of an order told unknown when the router, asked after its deadline, knows none such."""


class DiaryWriter:
    """Appends, a whole line at once, so that a reader never sees half of one as a line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def write(self, **line: Any) -> None:
        """One line."""
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


class DiaryReader:
    """Follows a diary from its beginning; it may not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def new_lines(self) -> list[Line]:
        """Lines written since the last time."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                content = file.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._at += len(whole)
        return [json.loads(line) for line in whole.splitlines()]
