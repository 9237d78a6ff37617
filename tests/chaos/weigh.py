"""What a daemon takes up: memory, descriptors, processes, files. And where its secrets are: nowhere."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import psutil
from attrs import frozen

CALM_S: Final = 0.5
CALM_PART: Final = 0.005
"""Memory counts as settled when it changes by no more than this part between two looks, so far apart."""


@frozen(kw_only=True)
class Weight:
    """At rest.

    Attributes:
        memory_mb: Of all processes together: proportional set size, each shared page counted once; resident set size
            where the kernel shows this user no better (`proportional` says which).
        descriptors: Of all processes together, without the connections to exchanges, which are kept for as long as the
            exchange allows; None where the kernel does not show them.
        own_descriptors: Of the caller's process.
        sockets: Files in the folder of the actors' sockets.
        files: All other files in the state directory; `temporary`, in the daemon's own temporary folder.
    """

    processes: int
    memory_mb: float
    proportional: bool
    descriptors: int | None
    own_descriptors: int
    sockets: int
    files: int
    temporary: int


def weigh(pids: Sequence[int], state_dir: Path, temporary: Path, *, timeout_s: float) -> Weight:
    """Weighs, once memory has stopped changing, or at the latest after `timeout_s`."""
    pause = threading.Event()
    until_s = time.monotonic() + timeout_s
    memory_mb, proportional = _memory_mb(pids)
    while time.monotonic() < until_s:
        pause.wait(CALM_S)
        before_mb, (memory_mb, proportional) = memory_mb, _memory_mb(pids)
        if abs(memory_mb - before_mb) <= CALM_PART * before_mb:
            break
    folder = state_dir / "actors"
    return Weight(
        processes=len(pids),
        memory_mb=round(memory_mb, 1),
        proportional=proportional,
        descriptors=_descriptors(pids),
        own_descriptors=psutil.Process().num_fds(),
        sockets=sum(1 for each in folder.iterdir() if each.is_socket()) if folder.is_dir() else 0,
        files=sum(1 for each in state_dir.rglob("*") if each.is_file()),
        temporary=sum(1 for _ in temporary.iterdir()),
    )


def _memory_mb(pids: Sequence[int]) -> tuple[float, bool]:
    processes = [psutil.Process(pid) for pid in pids]
    try:
        return sum(each.memory_full_info().pss for each in processes) / 2**20, True
    except psutil.AccessDenied:
        return sum(each.memory_info().rss for each in processes) / 2**20, False


def _descriptors(pids: Sequence[int]) -> int | None:
    try:
        processes = [psutil.Process(pid) for pid in pids]
        return sum(each.num_fds() - len(each.net_connections("inet")) for each in processes)
    except psutil.AccessDenied:
        return None


def secrets_seen(secrets: Iterable[str], files: Iterable[Path], pids: Iterable[int]) -> list[str]:
    """Where a secret stands, one sentence each: in these files, or in what a process was started with."""
    wanted = [secret.encode() for secret in secrets]
    places = [*files, *(Path(f"/proc/{pid}/{name}") for pid in pids for name in ("environ", "cmdline"))]
    found = []
    for place in places:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            content = place.read_bytes()
            found += [
                f"Secret number {number} stands in {place}." for number, each in enumerate(wanted) if each in content
            ]
    return found


def readable(pids: Iterable[int]) -> int:
    """Of how many processes this user may read the environment: nobody but root, where core dumps are off."""
    return sum(_readable(Path(f"/proc/{pid}/environ")) for pid in pids)


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True
