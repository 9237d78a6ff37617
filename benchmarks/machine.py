"""What the figures were measured on, and the CPU time of processes."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

LIBRARIES = ("ccxt", "thespian", "aiohttp", "attrs", "sqlalchemy")


def cpu_s(pids: Iterable[int]) -> float:
    """CPU time of processes, all threads of each, user and system together.

    By the process's own clock, which counts nanoseconds; /proc counts in steps of 10 ms.
    """
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):  # it ended
            total += time.clock_gettime((~pid << 3) | 2)  # the kernel's id of a process's CPU clock
    return total


def family(pid: int) -> list[int]:
    """A process and everything below it."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def facts() -> dict[str, Any]:
    """The machine, the versions, how busy it is."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def commit(root: Path, also: Sequence[str] = ()) -> dict[str, Any]:
    """The commit measured, and whether files under it differ from it; empty outside a repository.

    Args:
        also: What was measured beside the router, by its path.

    Returns:
        Beside them `measured`: the last commit that changed any of what was measured.
    """
    measured = ("app", "actors", "messages", "supervisor.py", *also)
    try:
        head = _git(root, "rev-parse", "HEAD")
        last = _git(root, "log", "-1", "--format=%H", "--", *measured)
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *measured)
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": head, "measured": last, "changed_since": bool(changed)}


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
