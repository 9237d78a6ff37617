"""The moving half of the position synchronizer: what carries positions to the exchange in use.

A position that is to move is a fact of the journal, not of this actor: what our own fills add up to on an exchange that
is not in use. So a life that begins anew finds it there, and goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.environment import Environment
from app.journal.store import Journal
from messages.supervision import Address, Directory


class PositionMoves:
    """Of one life of the synchronizer. Nothing moves yet: positions stay where they are, and are tracked."""

    def __init__(
        self,
        journal: Journal,
        environment: Environment,
        incarnation: int,
        *,
        send: Callable[[Address, Any], None],
        directory: Callable[[], Directory | None],
        now_s: float,
    ) -> None:
        """
        Args:
            send: Sends a message for the actor.
            directory: Who is where, as last told.
        """
        self._journal = journal
        self._environment = environment
        self._incarnation = incarnation
        self._send = send
        self._directory = directory

    def on_message(self, message: Any, sender: Any, now_s: float) -> bool:
        """A request to move, or an answer to what was asked for one; False where the message is neither."""
        return False

    def on_tick(self, now_s: float) -> None:
        """What is due."""

    def next_s(self, now_s: float) -> float | None:
        """When `on_tick` has something to do next."""
        return None
