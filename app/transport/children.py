"""Of children that die together, each is told to their parent.

Thespian 4.0.1 keeps the processes of an actor's children in a list. When it handles the end of one, it drops every dead
one from that list, also those whose own end it has yet to find out, which then nobody is ever told of: a supervisor
would wait for them for ever. Here the end of one takes that one out of the list, and no other.
"""

from __future__ import annotations

from typing import Any

from thespian.system.multiprocCommon import MultiProcReplicator


def tell_every_end() -> None:
    """Put ours in the place of Thespian's, in this process and in every one forked from it; safe to call again."""
    MultiProcReplicator._childExited = _child_exited


def _child_exited(self: Any, address: object) -> None:
    """Forget the child of this address, if it is dead. One that lives yet is found out when its process ends."""
    self._child_procs = [
        child
        for child in getattr(self, "_child_procs", [])
        if not (_is_at(child, address) and not self._checkChildLiveness(child))
    ]


def _is_at(child: Any, address: object) -> bool:
    # By the address that it told of itself, and by the one that its parent gave it before that.
    return bool(address == child.childAddr or address == getattr(child, "childRealAddr", None))
