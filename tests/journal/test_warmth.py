"""An old journal is read by the kernel before orders need it, and no lock is lost for that."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from app.journal import warmth
from app.journal.checkpoints import Checkpointer
from app.journal.store import Journal
from app.journal.warmth import STEP_BYTES, free_bytes, warm

BYTES = 12 * STEP_BYTES
SOON_S = 10.0


def in_memory(path: Path) -> float:
    """Which part of a file the kernel has read (mincore(2))."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE) as mapped:
        pages = -(-len(mapped) // mmap.PAGESIZE)
        seen = (ctypes.c_ubyte * pages)()
        address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        libc = ctypes.CDLL(None, use_errno=True)
        failed = libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(len(mapped)), seen)
        assert failed == 0, os.strerror(ctypes.get_errno())
        return sum(each & 1 for each in seen) / pages


def forgotten(path: Path) -> None:
    """Lets the kernel forget a file; skips where it cannot."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if in_memory(path) > 0.1:
        pytest.skip("the file system keeps its files in memory")


def soon(path: Path, part: float) -> None:
    """Waits until so much of a file was read."""
    until_s = time.monotonic() + SOON_S
    while in_memory(path) < part:
        assert time.monotonic() < until_s, f"{in_memory(path):.0%} of the file was read"
        threading.Event().wait(0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that the kernel does not have in memory."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(BYTES))
    forgotten(path)
    return path


def test_all_of_it_is_read(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    assert warm(handle, 10 * BYTES, threading.Event()) == BYTES
    soon(path, 0.99)
    os.close(handle)


def test_no_more_than_there_is_memory_for(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    assert warm(handle, 3 * STEP_BYTES, threading.Event()) == 3 * STEP_BYTES
    soon(path, 0.2)
    assert in_memory(path) < 0.7
    os.close(handle)


def test_it_ends_when_told(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    ended = threading.Event()
    ended.set()
    assert warm(handle, BYTES, ended) == STEP_BYTES
    os.close(handle)


def test_the_kernel_says_how_much_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1024 * 1024 < free_bytes() < 1 << 50
    monkeypatch.setattr(warmth, "Path", lambda _: Path("/nowhere"))
    assert free_bytes() == 0


def test_whoever_copies_the_log_reads_ahead_and_takes_no_lock_away(tmp_path: Path) -> None:
    """Closing any descriptor of the file would drop the locks of the connections this process has."""
    path = tmp_path / "journal.db"
    journal = Journal(path)
    journal._db.execute("BEGIN EXCLUSIVE")
    checkpointer = Checkpointer(path, every_s=0.01)
    checkpointer.start()
    checkpointer.close()
    code = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None);"
        "db.execute('PRAGMA locking_mode=EXCLUSIVE'); db.execute('BEGIN EXCLUSIVE')"
    )
    other = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert "database is locked" in other.stderr
    journal._db.execute("ROLLBACK")
    journal.close()
