"""The journal's operations for what a person holds the router to: written by verbs, read by every commit."""

from __future__ import annotations

from app.domain.controls import NONE, Controls
from app.journal import statements as hot
from app.journal.errors import translated
from app.journal.reads import Reads

FROZEN, REDUCE_ONLY, ISOLATED = "frozen", "reduce_only", "isolated:"
"""Names of rows; the last is followed by the exchange. A value says why, in words."""


class ControlsKept(Reads):
    """Of an open journal."""

    def _controls_now(self) -> Controls:
        """Within a transaction: as committed, remembered while nobody else writes."""
        if self._memory.controls is None:
            self._memory.controls = self._read_controls()
        return self._memory.controls

    def _read_controls(self) -> Controls:
        rows = {row["name"]: row["value"] for row in hot.READ_CONTROLS(self._db).fetchall()}
        if not rows:
            return NONE
        isolated = sorted((n.removeprefix(ISOLATED), why) for n, why in rows.items() if n.startswith(ISOLATED))
        return Controls(frozen=rows.get(FROZEN, ""), reduce_only=rows.get(REDUCE_ONLY, ""), isolated=tuple(isolated))

    def controls(self) -> Controls:
        """What holds now."""
        with translated(self._where):
            return self._read_controls()
