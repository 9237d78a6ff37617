"""The journal's operations for what a person holds the router to: written by verbs, read by every commit.

A change is written as the route is, durable against a power cut too: a freeze that one could undo would be none. Its
line in the history and its event go into the same transaction.
"""

from __future__ import annotations

from app.domain.controls import NONE, Controls
from app.domain.verb_words import FLATTEN, FROZEN, ISOLATED, PANIC, REDUCE_ONLY, Change
from app.journal import statements as hot
from app.journal.errors import translated
from app.journal.routes import Routes

CONTROL = "control"
"""The event of a change."""


class ControlsKept(Routes):
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
        held = {name: rows.get(name, "") for name in (FROZEN, PANIC, FLATTEN, REDUCE_ONLY)}
        return Controls(**held, isolated=tuple(isolated))

    def controls(self) -> Controls:
        """What holds now."""
        with translated(self._where):
            return self._read_controls()

    def control(self, change: Change, *, verb: str, reason: str, now_s: float) -> Controls:
        """Holds the router to something from this commit on, or no longer; what is so already is not written again.

        Args:
            verb: Which asked for it, and `reason` why: for the history.

        Returns:
            What holds now.

        Raises:
            JournalError: Nothing was written.
        """
        with self._durable_transaction():
            before = {row["name"] for row in hot.READ_CONTROLS(self._db).fetchall()}
            put = {name: why for name, why in change.put if name not in before}
            clear = [name for name in change.clear if name in before]
            for name in clear:
                hot.CLEAR_CONTROL(self._db, key_name=name)
            for name, why in put.items():
                hot.PUT_CONTROL(self._db, name=name, value=why, at_s=float(now_s))
            if put or clear:
                epoch = self._route().epoch
                self._event(CONTROL, now_s, epoch=epoch, put=put, clear=clear)
                self._add_history(verb, epoch, {"reason": reason, "put": put, "clear": clear}, now_s)
            return self._read_controls()
