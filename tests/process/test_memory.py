"""What is free is taken before a fork, and given back after a loading; each time in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.process.memory import heap

pytestmark = pytest.mark.skipif(heap() is None, reason="no glibc here that tells of its heap")

LITTERED = """
import ctypes
from app.process.memory import {what}, heap
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
blocks = [libc.malloc(600) for _ in range(20_000)]
for block in blocks[::{step}]:
    libc.free(block)
before = heap()
{what}()
after = heap()
"""


def run(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert not done.returncode, done.stderr


def test_holes_are_filled_and_the_end_of_the_heap_is_left() -> None:
    run(
        LITTERED.format(what="fill_holes", step=2)
        + "assert before.fordblks - before.keepcost > 5_000_000\n"
        + "assert after.fordblks - after.keepcost < 100_000, (after.fordblks, after.keepcost)\n"
        + "assert after.arena < before.arena + 1_000_000"
    )


def test_what_is_free_goes_back_to_the_kernel() -> None:
    resident = "int(open('/proc/self/statm').read().split()[1])"
    run(
        LITTERED.format(what="give_back", step=1).replace("before =", f"pages = {resident}\nbefore =")
        + f"assert pages - {resident} > 1_000"
    )


def test_threads_have_no_heap_of_their_own() -> None:
    run(
        """
import ctypes, threading
from app.process.memory import heap, keep_compact
keep_compact()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
before = libc.malloc(1000)
found = []
thread = threading.Thread(target=lambda: found.append(libc.malloc(1000)))
thread.start()
thread.join()
assert abs(found[0] - before) < 100_000_000, "the thread's block lies in another arena"
"""
    )
