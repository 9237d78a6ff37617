"""What the C library does with memory that Python has given back to it.

By itself glibc gives each thread an arena of its own, of which little is ever returned, and, once a big block was
freed, takes the next such blocks from the heap, where what is allocated after them keeps them resident. A connector
reads megabytes of JSON on a thread every now and then and keeps a tenth of them; both would make that a lasting cost.

What is free at a fork costs too. Imports leave some three thousand small holes, each on a page of its own, in which a
child's first allocations land, so that each copies a page that was shared: opening the journal took 2 MB so, and takes
0.4 MB where the holes were filled before.

Where there is no glibc nothing happens.
"""

from __future__ import annotations

import ctypes
import gc

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_MMAP_BYTES = 128 * 1024
"""glibc's own first choice; that it is set keeps it from growing."""


_HOLES_BYTES = (65536, 32768, 16384, 8192, 4096, 2048, *range(1032, 23, -16))
"""The classes in which glibc keeps what is free, largest first: what is left of a larger hole is a smaller one."""
MOST_HOLES_BYTES = 64 * 1024 * 1024
_MALLINFO2 = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class Heap(ctypes.Structure):
    """glibc's `struct mallinfo2`, in bytes: `fordblks` is free, of which `keepcost` is at the end of the heap."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _MALLINFO2.split())


def heap() -> Heap | None:
    """The main heap as it is; None where there is no glibc (2.33 or later)."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return None
    libc.mallinfo2.restype = Heap
    found: Heap = libc.mallinfo2()
    return found


def fill_holes() -> None:
    """Takes what is free in the middle of the heap, for good: what this process's children allocate is then together.

    It is resident already, so that costs nothing (1.2 MB, 2 ms after the imports of a daemon).
    """
    now = heap()
    if now is None:
        return
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.sbrk.restype, libc.sbrk.argtypes = ctypes.c_void_p, [ctypes.c_long]
    end = libc.sbrk(0) - now.keepcost
    left = min(now.fordblks, MOST_HOLES_BYTES)
    for size in _HOLES_BYTES:
        while left > 0 and (libc.malloc(size) or end) < end:
            left -= size


def forget_freed() -> None:
    """Lets go of what Python keeps to reuse it: single dictionaries and tuples, of which each holds a megabyte.

    Takes milliseconds where what was imported is frozen; elsewhere all of it would be looked at, so nothing is done.
    """
    if gc.get_freeze_count():
        gc.collect()


def keep_compact() -> None:
    """One arena, and big blocks apart. Before any thread; those that are forked from this process inherit it."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)


def give_back() -> None:
    """Returns what is free to the kernel: a few milliseconds, in which no other thread of this process allocates."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
