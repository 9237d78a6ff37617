"""`python -m tests.chaos.daemon CONFIG`: `order-router run`, any process of which can be told to call `_exit`.

Nothing of this is in the product. The C library's own `_exit` is put in as handler of a real-time signal before
anything is forked, so every process of the tree has it: it ends there and then, whatever it does, without a word of
Python, and with an exit code instead of a signal. Apart from that this is the daemon that people run; it ends with
whoever started it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

from thespian.system import multiprocCommon

from app.cli.daemon import run
from app.process.guards import PR_SET_PDEATHSIG

EXIT_SIGNAL: Final = signal.SIGRTMAX - 1


def arm() -> None:
    """Makes `EXIT_SIGNAL` end this process, and all forked from it, by `_exit`."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.signal.argtypes, libc.signal.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
    libc.signal(EXIT_SIGNAL, ctypes.cast(libc._exit, ctypes.c_void_p))
    # Thespian puts handlers of its own on every signal that it does not find in this list.
    multiprocCommon.uncatchable_signals.append(EXIT_SIGNAL)


def end_with(parent: int) -> None:
    """Ends this process when the one that started it does, also when it has already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    end_with(int(sys.argv[2]))
    arm()
    sys.exit(run(Path(sys.argv[1])))
