"""Whether anything grows: memory, descriptors, threads and sockets of those who live as long as the soak does."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

PSS_SHARE = 0.05
PSS_BYTES = 1_500_000
"""Python's allocator gives and takes arenas of 1 MB."""
COUNTED = 3
"""A connection more or less while somebody is being replaced."""

Sample = dict[str, float]


def pss_bytes(pid: int) -> int:
    """Proportional set size: its own pages, and its share of those it shares. 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def measure(lasting: Mapping[str, int], folder: Path, tree: psutil.Process) -> Sample:
    """One look: by name of those who last, and of everything together."""
    sample: Sample = {}
    for name, pid in lasting.items():
        process = psutil.Process(pid)
        sample[f"{name}_pss_bytes"] = pss_bytes(pid)
        sample[f"{name}_descriptors"] = process.num_fds()
        sample[f"{name}_threads"] = process.num_threads()
    sample["processes"] = len(tree.children(recursive=True))
    sample["sockets"] = sum(1 for each in folder.iterdir() if each.is_socket())
    return sample


def growth(samples: Sequence[Sample]) -> list[str]:
    """In words, what the last quarter has more of than the second; empty when nothing has, or too little was seen.

    The first quarter is left out: whoever starts still grows.
    """
    quarter = len(samples) // 4
    if quarter < 2:
        return []
    words = []
    for name in samples[0]:
        before = statistics.median(each[name] for each in samples[quarter : 2 * quarter])
        after = statistics.median(each[name] for each in samples[-quarter:])
        room = max(PSS_BYTES, PSS_SHARE * before) if name.endswith("_bytes") else COUNTED
        if after > before + room:
            words.append(f"{name} went from {before:g} to {after:g}")
    return words
