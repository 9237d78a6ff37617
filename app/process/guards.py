"""Guards that a daemon puts on itself and on every process it forks, so that a death leaves nothing behind.

All are Linux `prctl` settings reached through libc; each is a sentence about one way in which a tree of processes goes
wrong. They belong in the daemon and its actors, never in the process of a bot that merely attaches: `die_with_parent`
cannot be undone and would put the bot's own forked workers under it as well.
"""

import ctypes
import os
import resource
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_CHILD_SUBREAPER: Final = 36

CRASH_SIGNALS: Final = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
"""Signals raised by the faulting instruction itself: a Python-level handler returns to it and spins for ever."""


class _Hook:
    """State of the fork hook: whether it is registered, and who is forking."""

    registered: bool = False
    forker_pid: int = 0


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}, {value}) was refused by the kernel: {os.strerror(code)}")


def require_linux() -> None:
    """Raise RuntimeError, in one sentence, on any other system: the guards have no equal elsewhere."""
    if sys.platform != "linux":
        raise RuntimeError(f"OrderRouter's daemon runs on Linux only; this is {sys.platform}")


def _note_forker() -> None:
    _Hook.forker_pid = os.getpid()


def _guard_child() -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # A parent that died between fork and prctl sends nothing any more: its child already has another parent.
    if os.getppid() != _Hook.forker_pid:
        os.kill(os.getpid(), signal.SIGKILL)
    default_crash_signals()


def die_with_parent() -> None:
    """Make every child forked from now on, and their children, die with SIGKILL when its parent dies.

    Why: an actor that outlives its supervisor still answers, still holds sockets and could still trade.

    The kernel ties this to the forking *thread*, so fork only from threads that live as long as their process (Thespian
    forks from the main thread). Programs started by exec from a thread are not covered: `parent_pipe` is for those.
    """
    require_linux()
    if not _Hook.registered:
        _Hook.registered = True
        os.register_at_fork(before=_note_forker, after_in_child=_guard_child)


def default_crash_signals() -> None:
    """Give the crash signals their default action back, which ends the process at once.

    Why: with a handler written in Python a crashed actor burns a core for ever and its parent is never told.
    """
    for number in CRASH_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def become_subreaper() -> None:
    """Become the parent of every orphaned descendant, instead of init.

    Why: the one process that keeps the tree must learn of, and reap, whatever its children leave behind.
    """
    require_linux()
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def disable_core_dumps() -> None:
    """Forbid core dumps of this process and of what it forks, also those piped to a crash handler.

    Why: a core holds API keys. The price: debuggers of the same user cannot attach either.
    """
    require_linux()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The limit is ignored where core_pattern pipes to a program (systemd-coredump, apport); this flag is not.
    _prctl(PR_SET_DUMPABLE, 0)


def keep_files_private() -> None:
    """Take every permission of others from files created from now on, here and in what is forked.

    Why: logs and the journal's companions are created by libraries that ask nobody for a mode, and they tell what is
    traded. Who wants a log that a group may read creates it before the daemon starts.
    """
    os.umask(0o077)
