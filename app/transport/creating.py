"""The first actor of a system is made by the admin: nobody waits for one that has died meanwhile.

Thespian waits for its answer for 50 s in one go. Here that is in slices, with a look between them at the admin.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, Final

from thespian.actors import ActorSystemFailure

from app.process.pidfd import has_ended

SLICE_S: Final = 0.1


class WhileAdminLives:
    """Stands before a transport while an actor is asked for; everything but its waits is the transport's own."""

    def __init__(self, transport: Any, admin_fd: int) -> None:
        """
        Args:
            admin_fd: The kernel's handle of the admin's process (pidfd).
        """
        self._transport = transport
        self._admin_fd = admin_fd

    def __getattr__(self, name: str) -> Any:
        """The transport's."""
        return getattr(self._transport, name)

    def external_transport_clone(self) -> WhileAdminLives:
        """A transport of its own for one question."""
        return WhileAdminLives(self._transport.external_transport_clone(), self._admin_fd)

    def run(self, handler: Any, maximum: timedelta) -> Any:
        """See Thespian's transports.

        Raises:
            ActorSystemFailure: The admin has ended.
        """
        end_s = time.monotonic() + maximum.total_seconds()
        while True:
            left_s = end_s - time.monotonic()
            result = self._transport.run(handler, timedelta(seconds=max(0.0, min(SLICE_S, left_s))))
            if result is not None or left_s <= SLICE_S:
                return result
            if has_ended(self._admin_fd):
                raise ActorSystemFailure("The actor system's admin has ended.")
