"""The details of an `ActorAddress`: the name of a socket in the folder of the actor system.

A name, not a path: addresses travel in messages, and a name is short and stays right when the state directory is moved,
mounted elsewhere or reached over a link. It means nothing outside its actor system, and since names are never used
twice, an address never comes to mean another actor.
"""

from __future__ import annotations

import re
from typing import Final

ADMIN: Final = "admin"
"""The only name that is used again: the admin of whoever holds the folder's lock."""
NAME: Final = re.compile(r"[a-z0-9-]{1,48}")


class UnixAddress:
    """An immutable name that compares, hashes and pickles by its text."""

    __slots__ = ("name",)

    name: str

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "name", name)

    def __setattr__(self, attribute: str, value: object) -> None:
        raise AttributeError(f"an address cannot be changed, and so neither can its {attribute}")

    def __eq__(self, other: object) -> bool:
        return self.name == other.name if isinstance(other, UnixAddress) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[type[UnixAddress], tuple[str]]:
        return (UnixAddress, (self.name,))

    def __repr__(self) -> str:
        return f"(U|{self.name})"
