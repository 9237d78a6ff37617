"""Whether a process has ended, by the kernel's own handle of it, which is never taken for another's as a pid is."""

from __future__ import annotations

import select
from collections.abc import Iterable


def first_ended(handles: Iterable[int]) -> int | None:
    """The first of some handles (`os.pidfd_open`) whose process has ended; None while all live. Never waits.

    By poll: select knows no descriptor above 1023.
    """
    poller = select.poll()
    for handle in handles:
        poller.register(handle, select.POLLIN)
    return next((handle for handle, _ in poller.poll(0)), None)


def has_ended(handle: int) -> bool:
    """Whether the process of one has."""
    return first_ended((handle,)) is not None
