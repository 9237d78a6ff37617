"""What a session keeps of a request until it is answered."""

from __future__ import annotations

from attrs import define, field, frozen

from messages.base import Reply, Request
from messages.supervision import DirectoryEntry


@frozen
class Copy:
    """One sending of a request, and to whom; `number` counts them from 1."""

    number: int
    target: DirectoryEntry


@define
class Pending:
    """A request that was asked and is not answered.

    Attributes:
        target: Who has the newest copy; None while there is nobody to ask.
        next_s: When it is sent again; None while only news may send it.
        unproven: A copy was handed over and its answer proves nothing yet.
        buried: The newest copy that died with its receiver, unanswered; 0 for none.
        deaths: Receivers that died with a copy, one after the other.
        copies: Those under way, by correlation id.
        failures: Answers that it failed and may be asked again.
        failed: A placement that is proven not to have executed, and waits for its next try; none is under way.
        elsewhere: The exchange the order was said to live on.
        last: The last answer.
    """

    request: Request
    target: DirectoryEntry | None = None
    next_s: float | None = None
    unproven: bool = False
    buried: int = 0
    deaths: int = 0
    sends: int = 0
    copies: dict[str, Copy] = field(factory=dict)
    failures: int = 0
    failed: bool = False
    pendings: int = 0
    elsewhere: str | None = None
    last: Reply | None = None

    @property
    def in_doubt(self) -> bool:
        """It may have been carried out, or may yet be."""
        return self.unproven or self.buried > 0 or bool(self.copies)

    def clear(self, number: int) -> None:
        """A copy was answered: the order is proven not to have executed; by a copy sent after a death, also there."""
        self.unproven = False
        if number >= self.buried:
            self.buried = 0


def successor(left: DirectoryEntry, right: DirectoryEntry) -> bool:
    """Whether the left one is a later life of the right one."""
    return left.role is right.role and left.name == right.name and left.incarnation > right.incarnation


def same(left: DirectoryEntry, right: DirectoryEntry) -> bool:
    """Whether both are the same actor in the same life."""
    return left.role is right.role and left.name == right.name and left.incarnation == right.incarnation
