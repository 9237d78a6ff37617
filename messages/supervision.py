"""The directory of living actors, and life and death under the supervisor."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from attrs import frozen

from messages.base import Reply, Request
from messages.failover import ActorInfo

Address = Any
"""A Thespian `ActorAddress`; opaque here, since messages import no Thespian."""


class Role(StrEnum):
    """What an actor is for."""

    CONNECTOR = "connector"
    HEALTH_MONITOR = "health_monitor"
    FAILOVER_COORDINATOR = "failover_coordinator"
    POSITION_SYNCHRONIZER = "position_synchronizer"
    STRATEGY = "strategy"


@frozen(kw_only=True)
class DirectoryEntry:
    """A living actor.

    Attributes:
        name: The exchange of a connector, the strategy's name, else the role itself.
        address: Good until the next directory; a restarted actor has a new one.
        incarnation: Grows by one with each restart of this actor.
    """

    role: Role
    name: str
    address: Address
    incarnation: int
    pid: int | None


@frozen(kw_only=True)
class Directory:
    """Supervisor to everyone who listens: on `Listen` and at each change.

    Attributes:
        generation: Grows with each change; an older one is dropped.
        journal_id: Of the journal in use; order ids are derived from it.
    """

    generation: int
    journal_id: str
    entries: tuple[DirectoryEntry, ...]

    def find(self, role: Role, name: str | None = None) -> DirectoryEntry | None:
        """The entry of a role, and of a name where there may be several; None while it is not there."""
        for entry in self.entries:
            if entry.role is role and (name is None or entry.name == name):
                return entry
        return None


@frozen(kw_only=True)
class Start:
    """Supervisor to a new child: who you are. The child answers `Started` once it can serve.

    Attributes:
        name: As in `DirectoryEntry`.
        directory: As of now; newer ones follow.
    """

    name: str
    incarnation: int
    directory: Directory


@frozen(kw_only=True)
class Started:
    """Child to supervisor: ready to serve.

    Attributes:
        incarnation: As told in `Start`, so that the words of an earlier life are not taken for those of this one.
        pid: To be killed by, should it hang.
    """

    name: str
    incarnation: int
    pid: int


@frozen(kw_only=True)
class Ping:
    """Supervisor to child: give a sign of life."""


@frozen(kw_only=True)
class Pong:
    """Child to supervisor: a sign of life.

    Attributes:
        ill: Why the child cannot do its work although it answers, in words; empty when it can.
    """

    incarnation: int
    ill: str = ""


@frozen(kw_only=True)
class Finished:
    """Child to supervisor: it is about to end, and that is not a failure."""

    incarnation: int


@frozen(kw_only=True)
class Listen:
    """Asks the supervisor to send the directory, now and at each change."""

    session_id: str


@frozen(kw_only=True)
class Unlisten:
    """Ends `Listen`."""

    session_id: str


@frozen(kw_only=True)
class StartTree:
    """Launcher to root supervisor: start the children."""


@frozen(kw_only=True)
class StopTree(Request):
    """Launcher to root supervisor: stop the children, in reverse order."""


@frozen(kw_only=True)
class TreeState(Reply):
    """Supervisor to launcher: how the tree is.

    Attributes:
        ready: Every child that trading waits for serves; users' strategies are not among them.
        words: What is missing, or why the tree was given up; empty when all is well.
        pid: The supervisor's own.
    """

    ready: bool
    gave_up: bool
    words: str
    actors: tuple[ActorInfo, ...]
    pid: int = 0


@frozen(kw_only=True)
class GetTree(Request):
    """Asks the supervisor how its children are; answered by `TreeState`."""


@frozen(kw_only=True)
class CheckOrderPath(Request):
    """Launcher to connector: can an order get through? Answered by `OrderPathChecked`; nothing is sent to the exchange.

    Attributes:
        since_s: An order that made its way after this is answer enough; otherwise a dry request goes that way.
    """

    since_s: float


@frozen(kw_only=True)
class OrderPathChecked(Reply):
    """Connector to launcher: how far a placement gets.

    Attributes:
        exchange: Of the connector that answers.
        routed: The exchange in use by the journal; None while none is, or where the journal could not be asked.
        words: Where an order is stuck, in words; empty when it gets to the edge of the network.
        dry: Whether a dry request has shown it, and not an order.
    """

    exchange: str
    routed: str | None
    words: str = ""
    dry: bool = True
