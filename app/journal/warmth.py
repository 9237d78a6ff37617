"""Has the kernel read an old journal before orders need it.

Ids are hashes, so an order touches a leaf of each index anywhere in the file. As long as the kernel has these pages a
million orders cost an intent some 30 µs; after the machine was started each is a read from the disk, and the first
thousands of orders took 0.6 ms longer each. So whoever copies the log also asks for all of the file once, at a pace
that leaves the disk to others, and no more of it than a part of the memory that is free.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

STEP_BYTES = 1024 * 1024
"""Asked for at once; the kernel takes no more than a few of them."""
PAUSE_S = 0.004
"""Between two, so that 250 MB a second are asked for at most."""
PART = 4
"""Of the memory that is free, at most one part in so many."""


def free_bytes() -> int:
    """Memory that the kernel could give to whoever asks, by its own word; 0 where it says nothing."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    said = dict(line.split(":", 1) for line in lines)
    return 1024 * int(said.get("MemAvailable", "0").split()[0])


def warm(handle: int, most_bytes: int, ended: threading.Event) -> int:
    """Asks the kernel to read a file, from its beginning. What it has already costs nothing.

    Returns how many bytes it was asked for.

    Args:
        handle: Open for reading. It must not be closed in a process that has the journal open: SQLite's locks on it are
            the process's, and would go.
        most_bytes: No more than so much.
        ended: Ends it.
    """
    size = min(os.fstat(handle).st_size, most_bytes)
    for offset in range(0, size, STEP_BYTES):
        os.posix_fadvise(handle, offset, STEP_BYTES, os.POSIX_FADV_WILLNEED)
        if ended.wait(PAUSE_S):
            return min(size, offset + STEP_BYTES)
    return size
