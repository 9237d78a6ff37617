"""The position synchronizer: reads what stands on every exchange, keeps the book over all of them, and moves positions.

A shell over its two halves, which own what they ask and hear: `actors.position_reading` and `actors.position_moves`.
"""

from __future__ import annotations

from typing import Any

import structlog

from actors._shell import Shell
from actors.position_moves import PositionMoves
from actors.position_reading import PositionReading
from app.journal.store import Journal
from messages.base import Failed
from messages.positions import PositionsReply
from messages.supervision import Directory, Role, Start

log = structlog.get_logger()


class PositionSynchronizerActor(Shell):
    """Gives each message to the half it is for."""

    role = Role.POSITION_SYNCHRONIZER

    journal: Journal
    reading: PositionReading
    moves: PositionMoves

    def on_start(self, start: Start, now_s: float) -> None:
        """Begins with an empty book."""
        self.journal = self.environment.open_journal()
        self.environment.copy_log()  # here, since no order waits for this actor, and it forks nobody
        self.reading = PositionReading(
            self.journal,
            self.environment,
            start.incarnation,
            send=self.send,
            directory=lambda: self.directory,
            now_s=now_s,
        )
        self.moves = PositionMoves(
            self.journal,
            self.environment,
            start.incarnation,
            send=self.send,
            directory=lambda: self.directory,
            now_s=now_s,
        )

    def on_directory(self, directory: Directory, now_s: float) -> None:
        """Somebody was restarted."""
        self.moves.on_directory(directory)

    def on_exit(self) -> None:
        """Closes the journal."""
        if hasattr(self, "journal"):
            self.journal.close()

    def on_message(self, message: Any, sender: Any, now_s: float) -> None:
        """Whichever half knows it; a failure that neither asked for any more is passed over."""
        asked = self.moves.on_message(message, sender, now_s)
        # Positions are news for the book, whoever asked for them.
        if (asked and not isinstance(message, PositionsReply)) or self.reading.on_message(message, sender, now_s):
            return
        if not isinstance(message, Failed):
            log.warning("positions.unexpected_message", message_type=type(message).__name__)

    def on_tick(self, now_s: float) -> None:
        """What is due in either half."""
        self.reading.on_tick(now_s)
        self.moves.on_tick(now_s)

    def next_s(self, now_s: float) -> float | None:
        """Whatever is due first."""
        due = self.reading.next_s(now_s), self.moves.next_s(now_s)
        return min((at_s for at_s in due if at_s is not None), default=None)
