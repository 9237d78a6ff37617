"""Actors that the transport's tests start in real processes; importable, because Thespian imports them by name."""

import ctypes
import os
from typing import Any

import attrs
from thespian.actors import Actor, ActorAddress, ChildActorExited


@attrs.frozen(kw_only=True)
class Say:
    """Answered by its own text."""

    text: str


@attrs.frozen(kw_only=True)
class Spawn:
    """Answered by the address of a new child of the actor."""


@attrs.frozen(kw_only=True)
class AskPid:
    """Answered by the process id of the actor."""


@attrs.frozen(kw_only=True)
class Fault:
    """Makes the actor read address zero."""


@attrs.frozen(kw_only=True)
class Exited:
    """The address of a child that a `Parent` was told the end of."""

    child: str


class Parent(Actor):  # type: ignore[misc]  # Thespian is untyped
    """Has children, and tells who asked for one of each that ended, by name."""

    def __init__(self) -> None:
        self.asker: ActorAddress | None = None

    def receiveMessage(self, message: Any, sender: ActorAddress) -> None:
        """One case a message class."""
        match message:
            case Spawn():
                self.asker = sender
                self.send(sender, self.createActor(Echo))
            case ChildActorExited(childAddress=child) if self.asker is not None:
                self.send(self.asker, Exited(child=str(child)))


class Echo(Actor):  # type: ignore[misc]  # Thespian is untyped
    """Answers, has children, crashes on demand, and tells who asked for a child that the child ended."""

    def __init__(self) -> None:
        self.asker: ActorAddress | None = None

    def receiveMessage(self, message: Any, sender: ActorAddress) -> None:
        """One case a message class."""
        match message:
            case Say(text=text):
                self.send(sender, text)
            case Spawn():
                self.asker = sender
                self.send(sender, self.createActor(Echo))
            case AskPid():
                self.send(sender, os.getpid())
            case Fault():
                ctypes.string_at(0)
            case ChildActorExited() if self.asker is not None:
                self.send(self.asker, "child exited")
