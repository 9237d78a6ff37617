"""What a forked child must let go of: its parent's sockets, which would else stay open when the parent ends.

Peers learn of a death by the end of a connection, and that comes only when the last process that holds it has closed
it. So a child closes what it inherited before it does anything else.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Abandonable(Protocol):
    """Something with descriptors of its own."""

    def abandon(self) -> None:
        """Close them, and touch nothing that others share."""


_known: WeakSet[Abandonable] = WeakSet()


def forget_in_children(holder: Abandonable) -> None:
    """Have `holder` abandoned in every process that is forked from now on."""
    _known.add(holder)


def _abandon_all() -> None:
    for holder in list(_known):
        holder.abandon()
    _known.clear()


os.register_at_fork(after_in_child=_abandon_all)
