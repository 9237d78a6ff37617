"""What an endpoint is made from, and the envelopes it hands out: our part of what Thespian passes around."""

from __future__ import annotations

from pathlib import Path

from thespian.system.transport import ReceiveEnvelope, TransportInit__Base

from app.transport.unix.address import ADMIN


class Outside(TransportInit__Base):  # type: ignore[misc]  # Thespian is untyped
    """How a process that holds no actor joins the system whose sockets are in `folder`."""

    def __init__(self, folder: Path, key: bytes, admin: str = ADMIN) -> None:
        """`admin` is the name of its admin's socket."""
        self.folder = folder
        self.key = key
        self.admin = admin


class Inside(Outside):
    """What the process of a new actor is given; inherited by fork, never sent.

    Attributes:
        addrInst: Thespian's number of the new actor, by which its parent knows it until it has an address.
    """

    def __init__(self, start: Outside, instance: int | None) -> None:
        """`instance` is None for the admin."""
        super().__init__(start.folder, start.key, start.admin)
        self.addrInst = instance


class Envelope(ReceiveEnvelope):  # type: ignore[misc]  # Thespian is untyped
    """Thespian writes every envelope out as text for its log, off or not; this makes it a short one."""

    def identify(self) -> str:
        """Sender and class, without the message's own text."""
        return f"ReceiveEnvelope({type(self.message).__name__} from {self.sender})"
