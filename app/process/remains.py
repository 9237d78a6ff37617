"""Waiting for what is left of a daemon that was killed: its processes die with it, but a moment later.

Whoever starts it again at once would meet its locks, held by processes that are already dying, and be told that another
daemon runs. A holder that lives is another matter: then the answer is at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from app.process.account_lock import AccountInUse
from app.process.lock import StateDirInUse

T = TypeVar("T")

REMAINS_S: Final = 5.0
"""What a killed daemon leaves is gone after a tenth of a second, on a machine that has time for it."""
LOOK_S: Final = 0.02


def after_remains(take: Callable[[], T], *, patience_s: float = REMAINS_S) -> T:
    """What `take` returns, once it is not refused for the sake of a dead daemon's last processes.

    Raises:
        StateDirInUse, AccountInUse: The daemon lives, or something of it still did after `patience_s`.
    """
    until_s = time.monotonic() + patience_s
    while True:
        try:
            return take()
        except (StateDirInUse, AccountInUse) as refused:
            if refused.pid is None or is_alive(refused.pid) or time.monotonic() >= until_s:
                raise
        time.sleep(LOOK_S)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in "ZX"
