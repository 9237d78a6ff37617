"""Processes that are watched: who has ended is known at once and by name, whatever number his handle has."""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest

from app.launcher import tree as launched
from app.launcher.lives import Lives
from app.launcher.tree import Tree
from app.process.pidfd import first_ended, has_ended


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """It lives until it is told not to."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


def end(child: subprocess.Popen[bytes]) -> None:
    """It is a zombie at least: nobody has reaped it."""
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)


def test_who_has_ended_is_named(child: subprocess.Popen[bytes]) -> None:
    with Lives() as lives:
        lives.watch(os.getpid(), "test")
        lives.watch(child.pid, "child")
        lives.watch(child.pid, "child again")
        assert lives.ended() == ""
        end(child)
        assert lives.ended() == f"The child (pid {child.pid}) died."


def test_one_who_has_ended_before_is_named_as_well(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    with Lives() as lives:
        lives.watch(child.pid, "child")
        assert lives.ended() == f"The child (pid {child.pid}) died."


def test_handles_are_closed(child: subprocess.Popen[bytes]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with Lives() as lives:
        lives.watch(child.pid, "child")
        assert len(os.listdir("/proc/self/fd")) == before + 1
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_handle_may_have_any_number(child: subprocess.Popen[bytes]) -> None:
    """Of a process that has more than a thousand files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2000:
        pytest.skip("so many files may not be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    try:
        low = os.pidfd_open(child.pid)
        high = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 1500)
        os.close(low)
        with closing(os.fdopen(high, closefd=True)):
            assert not has_ended(high)
            end(child)
            assert has_ended(high)
            assert first_ended((high,)) == high
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_tree_whose_supervisor_is_gone_has_died_whatever_we_were_told(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So nobody asks it to end."""
    child.kill()
    child.wait()
    tree: Any = object.__new__(Tree)
    tree._system, tree._supervisor_pid, tree.died = None, child.pid, False
    tree._orders = SimpleNamespace(stopped=lambda: "told to", reload=lambda: False)
    monkeypatch.setattr(launched, "admin_pid", lambda system: os.getpid())
    assert tree.watch() == f"The supervisor (pid {child.pid}) died."
    assert tree.died
