"""The actors that are soaked: workers that answer, or hand on to others, and a keeper that replaces the dead."""

from __future__ import annotations

import os
from typing import Any

import attrs
from thespian.actors import Actor, ActorAddress, ChildActorExited

WORKERS = 6


@attrs.frozen(kw_only=True)
class Note:
    """Comes back to `home` as an `Answer`, by way of the other workers named in `via`."""

    number: int
    home: ActorAddress
    via: tuple[ActorAddress, ...] = ()
    text: str = "BTC/USDT:USDT buy 0.25 limit 64250.5"


@attrs.frozen(kw_only=True)
class Answer:
    """To one note."""

    number: int


@attrs.frozen(kw_only=True)
class Exit:
    """Ends the process on the spot, without a word."""


@attrs.frozen(kw_only=True)
class AskStaff:
    """To the keeper; answered by `Staff`."""


@attrs.frozen(kw_only=True)
class AskPid:
    """Answered by `Pid`."""


@attrs.frozen(kw_only=True)
class Pid:
    """Of one worker."""

    pid: int


@attrs.frozen(kw_only=True)
class Staff:
    """Every worker that has said its process id, and how many died so far."""

    keeper_pid: int
    workers: tuple[tuple[int, ActorAddress], ...]
    deaths: int


class Worker(Actor):  # type: ignore[misc]  # Thespian is untyped
    """Answers notes, or hands them on."""

    def receiveMessage(self, message: Any, sender: ActorAddress) -> None:
        """One case a message class."""
        match message:
            case Note(via=()):
                self.send(message.home, Answer(number=message.number))
            case Note(via=(first, *rest)):
                self.send(first, attrs.evolve(message, via=tuple(rest)))
            case AskPid():
                self.send(sender, Pid(pid=os.getpid()))
            case Exit():
                os._exit(3)


class Keeper(Actor):  # type: ignore[misc]  # Thespian is untyped
    """Has `WORKERS` workers at all times."""

    def __init__(self) -> None:
        self._staff: dict[str, tuple[ActorAddress, int | None]] = {}
        self._deaths = 0

    def receiveMessage(self, message: Any, sender: ActorAddress) -> None:
        """One case a message class."""
        match message:
            case AskStaff():
                while len(self._staff) < WORKERS:
                    self._hire()
                known = tuple((pid, address) for address, pid in self._staff.values() if pid is not None)
                self.send(sender, Staff(keeper_pid=os.getpid(), workers=known, deaths=self._deaths))
            case Pid(pid=pid):
                self._staff[str(sender)] = (sender, pid)
            case ChildActorExited(childAddress=child):
                self._deaths += 1
                # A worker that died before it said its process id is in the books under its first address.
                for key in [key for key, (address, _) in self._staff.items() if address == child]:
                    del self._staff[key]
                self._hire()

    def _hire(self) -> None:
        worker = self.createActor(Worker)
        self._staff[str(worker)] = (worker, None)
        self.send(worker, AskPid())
