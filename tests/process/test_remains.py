"""A daemon that was killed may be started again at once; one that lives may not."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from app.process.lock import StateDirInUse, StateLock
from app.process.remains import after_remains, is_alive
from tests.process.test_lock import TIMEOUT_S, hold
from tests.processes import Deaths


def test_the_last_processes_of_a_killed_daemon_are_waited_for(tmp_path: Path) -> None:
    """The lock is had as soon as they are gone."""
    popen, child = hold(tmp_path / "state", forks=True)
    assert child is not None
    popen.kill()
    popen.wait(TIMEOUT_S)
    refusals: list[StateDirInUse] = []

    def take() -> StateLock:
        try:
            return StateLock(tmp_path / "state")
        except StateDirInUse as refused:
            refusals.append(refused)
            if len(refusals) == 3:
                os.kill(child, signal.SIGKILL)
            raise

    after_remains(take, patience_s=TIMEOUT_S).release()
    assert len(refusals) >= 3


def test_a_daemon_that_lives_is_told_of_at_once(tmp_path: Path) -> None:
    """Nobody waits for it to end."""
    popen, _ = hold(tmp_path / "state", forks=False)
    tries = []

    def take() -> StateLock:
        tries.append(time.monotonic())
        return StateLock(tmp_path / "state")

    with pytest.raises(StateDirInUse):
        after_remains(take, patience_s=TIMEOUT_S)
    assert len(tries) == 1
    popen.kill()
    popen.wait(TIMEOUT_S)


def test_what_does_not_end_is_not_waited_for_any_longer(tmp_path: Path) -> None:
    """Nobody starts beside it either."""
    popen, child = hold(tmp_path / "state", forks=True)
    assert child is not None
    popen.kill()
    popen.wait(TIMEOUT_S)
    with pytest.raises(StateDirInUse):
        after_remains(lambda: StateLock(tmp_path / "state"), patience_s=0.1)
    with Deaths([psutil.Process(child)]) as deaths:
        os.kill(child, signal.SIGKILL)
        deaths.wait(TIMEOUT_S)


def test_a_process_that_has_ended_and_was_not_waited_for_is_dead(tmp_path: Path) -> None:
    """As a launcher is whose own parent is slow."""
    popen, _ = hold(tmp_path / "state", forks=False)
    assert is_alive(popen.pid)
    with Deaths([psutil.Process(popen.pid)]) as deaths:
        popen.kill()
        deaths.wait(TIMEOUT_S)
    assert not is_alive(popen.pid)
    popen.wait(TIMEOUT_S)
    assert not is_alive(popen.pid)
