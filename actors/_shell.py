"""What every actor's shell does the same way.

Thespian delivers a message whose handler raised once more, and keeps the actor. Half-changed state is worse than a
restart, so here a handler that raises ends its actor: the exception is logged, nothing more is handled, and the
supervisor starts a fresh one, which takes its state from the journal.

Thespian's wake-ups cannot be cancelled and come in any order, so a shell keeps only the earliest it still needs, by its
number, and asks its machine what is due when that one arrives. Its watch list is replaced after every message, so
`receiveMessage` returns it from every path.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import structlog
from thespian.actors import (
    Actor,
    ActorExitRequest,
    ActorSystemMessage,
    ChildActorExited,
    ThespianWatch,
    WakeupMessage,
    WatchMessage,
)

from actors.environment import Environment, installed
from app.domain.gather import gathered
from messages.base import Together
from messages.supervision import Address, Directory, Finished, Ping, Pong, Role, Start, Started

log = structlog.get_logger()

SHORTEST_WAKE_S = 0.001
MAX_EARLY = 1000
"""Messages kept for an actor that has not been started yet; the rest is dropped, and sent again by who needs it."""


class Shell(Actor):  # type: ignore[misc]  # Thespian is untyped
    """An actor with a name, a directory, wake-ups that can be moved, and a clean death."""

    needs_start = True
    """Whether it can do nothing before the supervisor said who it is."""

    role: Role | None = None
    """What the actor is for; None for the supervisor."""

    def __init__(self) -> None:
        super().__init__()
        self.name = type(self).__name__
        self.incarnation = 0
        self.supervisor: Address = None
        self.directory: Directory | None = None
        self._early: list[tuple[Any, Any]] = []
        self._dying = False
        self._wake_s: float | None = None
        self._wakes = 0
        self._watched: list[int] = []
        self._posted: list[tuple[Address, Any]] = []

    @property
    def environment(self) -> Environment:
        """What this process was given."""
        return installed()

    def now_s(self) -> float:
        """Unix seconds."""
        return installed().clock()

    # ------------------------------------------------------------------------------------------------ Thespian

    def receiveMessage(self, message: Any, sender: Any) -> Any:
        """One message; never raises."""
        if not self._dying:
            try:
                self._dispatch(message, sender)
            except Exception:  # whatever went wrong, the answer is the same: log it and start afresh
                log.exception("actor.failed", actor=self.name, message_type=type(message).__name__)
                self.die()
        return ThespianWatch(self._watched) if self._watched else None

    def _dispatch(self, message: Any, sender: Any) -> None:
        if self.needs_start and self.directory is None and not isinstance(message, Start | ActorSystemMessage):
            # Its address is in the directory before `Start` is in its mailbox: who learned of it there may be quicker.
            if len(self._early) < MAX_EARLY:
                self._early.append((message, sender))
            return
        match message:
            case WakeupMessage():
                if message.payload != self._wakes:
                    return  # one that was overtaken by an earlier one: answering it too would plan two from then on
                self._wake_s = None
                self.on_tick(self.now_s())
            case WatchMessage():
                self.on_ready(self.now_s())
            case Start():
                self.supervisor = sender
                self.name = message.name
                self.incarnation = message.incarnation
                self.directory = message.directory
                self.environment.adopt(self.role, message.name)
                self.on_start(message, self.now_s())
                self.send(sender, Started(name=message.name, incarnation=message.incarnation, pid=os.getpid()))
                early_messages, self._early = self._early, []
                for earlier, earlier_sender in early_messages:
                    self._dispatch(earlier, earlier_sender)
            case Directory():
                if self.directory is None or message.generation > self.directory.generation:
                    self.directory = message
                    self.on_directory(message, self.now_s())
            case Ping():
                self.send(sender, Pong(incarnation=self.incarnation, ill=self.ill(self.now_s())))
            case ActorExitRequest():
                self.on_exit()
            case ChildActorExited():
                self.on_child_exited(message.childAddress, self.now_s())
            case ActorSystemMessage():
                pass
            case Together():
                self.on_messages(message.messages, sender, self.now_s())
            case _:
                self.on_message(message, sender, self.now_s())
        self._send_posted()
        self._plan_wake()

    # ------------------------------------------------------------------------------------------------ for actors

    def on_start(self, start: Start, now_s: float) -> None:
        """The supervisor said who we are; after this the actor serves."""

    def on_directory(self, directory: Directory, now_s: float) -> None:
        """Somebody was restarted."""

    def on_message(self, message: Any, sender: Any, now_s: float) -> None:
        """Anything else."""

    def on_messages(self, messages: tuple[Any, ...], sender: Any, now_s: float) -> None:
        """Several that left together: one after the other, in this order."""
        for message in messages:
            self.on_message(message, sender, now_s)

    def on_tick(self, now_s: float) -> None:
        """What was due may be done."""

    def on_ready(self, now_s: float) -> None:
        """A watched file descriptor is readable."""

    def on_child_exited(self, child: Address, now_s: float) -> None:
        """A child is dead."""

    def on_exit(self) -> None:
        """The actor is asked to end: close what must be closed."""

    def ill(self, now_s: float) -> str:
        """Why the actor cannot do its work although it answers, in words; empty when it can."""
        return ""

    def next_s(self, now_s: float) -> float | None:
        """When `on_tick` has something to do next."""
        return None

    def watch(self, fd: int | None) -> None:
        """Calls `on_ready` whenever the descriptor is readable, from now on."""
        self._watched = [] if fd is None else [fd]

    def finish(self) -> None:
        """Ends this actor, and says that this is no failure."""
        self.send(self.supervisor, Finished(incarnation=self.incarnation))
        self.die()

    def post(self, address: Address, message: Any) -> None:
        """Sends when the handler is done, in one message with whatever else it posts to the same address by then."""
        self._posted.append((address, message))

    def _send_posted(self) -> None:
        if self._posted:
            posted, self._posted = self._posted, []
            for address, message in gathered(posted):
                self.send(address, message)

    def die(self) -> None:
        """Ends this actor, as soon as Thespian gets to it; nothing more is handled."""
        self._dying = True
        self._watched = []
        self.send(self.myAddress, ActorExitRequest())

    def _plan_wake(self) -> None:
        if self._dying:
            return
        now_s = self.now_s()
        due_s = self.next_s(now_s)
        if due_s is not None and (self._wake_s is None or due_s < self._wake_s - SHORTEST_WAKE_S):
            self._wake_s = max(due_s, now_s + SHORTEST_WAKE_S)
            self._wakes += 1
            self.wakeupAfter(timedelta(seconds=self._wake_s - now_s), payload=self._wakes)
