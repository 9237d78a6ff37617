"""Whoever asks for a failover by hand: each is sent again until it is answered, or its time is up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import define, field

from app.domain.session import RESEND_S
from messages.base import Failed, Reply
from messages.failover import ManualFailover

TIMEOUT_S = 20.0


@define
class Switching:
    """A manual failover asked for.

    Attributes:
        moving: Whether another was running when this one first reached the coordinator; None before.
    """

    at_s: float
    request: ManualFailover
    moving: bool | None = None
    reply: Reply | None = None


@define
class Operator:
    """Every failover that was asked for.

    Attributes:
        find: The coordinator's address; None while it is dead.
        tell: Sends a message from outside.
        moving: Whether trading is between two exchanges, or nobody knows.
        switches: By correlation id.
    """

    now: Callable[[], float]
    later: Callable[[float, Callable[[], None]], None]
    find: Callable[[], Any]
    tell: Callable[[Any, Any], None]
    note: Callable[[str, str], None]
    moving: Callable[[], bool]
    switches: dict[str, Switching] = field(factory=dict)

    def ask(self, number: int, exchange: str) -> None:
        """Begins to ask."""
        deadline_s = self.now() + TIMEOUT_S
        request = ManualFailover(correlation_id=f"manual-{number}", deadline_s=deadline_s, exchange=exchange)
        switch = self.switches[request.correlation_id] = Switching(self.now(), request)
        self.note("operator", f"asks for a failover to {exchange}")
        self._send(switch)

    def _send(self, switch: Switching) -> None:
        if switch.reply is None and self.now() < switch.request.deadline_s:
            coordinator = self.find()
            if coordinator is not None:
                self.tell(coordinator, switch.request)
            self.later(RESEND_S, partial(self._send, switch))

    def reached(self, message: Any) -> None:
        """A message is about to be handled."""
        if isinstance(message, ManualFailover) and message.correlation_id in self.switches:
            switch = self.switches[message.correlation_id]
            if switch.moving is None:  # sent again it meets itself
                switch.moving = self.moving()

    def heard(self, message: Reply) -> bool:
        """Whether a reply answers a failover."""
        switch = self.switches.get(message.correlation_id)
        if switch is None:
            return False
        switch.reply = switch.reply or message
        words = f": {message.words}" if isinstance(message, Failed) else ""
        self.note("operator", f"is answered by {type(message).__name__}{words}")
        return True
