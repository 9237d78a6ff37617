"""Taking leave of adopted processes: a subreaper gets every orphan below it, and each stays a zombie until waited for.

A strategy that starts programs of its own, and dies, leaves them to the daemon; in a container, where the daemon is
process 1, so does every other program there. A table of processes is finite, and so is a container's limit.
"""

from __future__ import annotations

import os
from collections.abc import Container
from typing import Final

MAX_AT_ONCE: Final = 256


def reap_orphans(known: Container[int]) -> list[int]:
    """Waits for dead children that nobody else waits for, without blocking; returns their process ids.

    Args:
        known: Process ids that somebody does wait for, such as the admin's: taking their exit status away would make
            them look alive for ever. While one of these is dead, nothing more is reaped: its owner acts first.
    """
    reaped = list[int]()
    while len(reaped) < MAX_AT_ONCE:
        try:
            # Looked at without taking it: whose it is decides who takes it.
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            break
        if dead is None or dead.si_pid in known:
            break
        os.waitpid(dead.si_pid, os.WNOHANG)
        reaped.append(dead.si_pid)
    return reaped
