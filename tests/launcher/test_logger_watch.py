"""A stopped logger is found and killed; whoever runs, goes on in time, or is somebody else's, is not."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from app.launcher.logger_watch import LoggerWatch
from tests.e2e.world import until
from tests.processes import Deaths

FAMILY = """
import subprocess, sys
wait = [sys.executable, "-c", "import sys; sys.stdin.read()"]
children = [subprocess.Popen(wait, stdin=subprocess.PIPE) for _ in range(2)]
print(*(child.pid for child in children), flush=True)
sys.stdin.read()
"""
PATIENCE_S = 1.5


@pytest.fixture
def family() -> Iterator[tuple[int, psutil.Process, psutil.Process]]:
    """An admin, its logger, and its supervisor, as far as the kernel can tell."""
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as admin:
        assert admin.stdout is not None
        logger, supervisor = (psutil.Process(int(pid)) for pid in admin.stdout.readline().split())
        yield admin.pid, logger, supervisor
        for each in (logger, supervisor):
            if each.is_running():
                each.kill()
        admin.kill()


def stop(process: psutil.Process) -> None:
    """And wait until it is."""
    process.send_signal(signal.SIGSTOP)
    until(lambda: process.status() == psutil.STATUS_STOPPED)


def test_a_logger_that_is_stopped_for_too_long_is_killed(family: tuple[int, psutil.Process, psutil.Process]) -> None:
    """And the supervisor is not: others ask it."""
    admin, logger, supervisor = family
    watch = LoggerWatch(admin, supervisor.pid, PATIENCE_S)
    watch.look(0.0)
    stop(logger)
    stop(supervisor)
    watch.look(10.0)
    watch.look(10.0 + PATIENCE_S - 0.01)
    assert logger.status() == psutil.STATUS_STOPPED
    with Deaths([logger]) as deaths:
        watch.look(10.0 + PATIENCE_S)
        deaths.wait(5.0)
    assert supervisor.status() == psutil.STATUS_STOPPED


def test_a_logger_that_goes_on_in_time_is_left(family: tuple[int, psutil.Process, psutil.Process]) -> None:
    """The next stop counts from its own beginning."""
    admin, logger, supervisor = family
    watch = LoggerWatch(admin, supervisor.pid, PATIENCE_S)
    stop(logger)
    watch.look(0.0)
    logger.send_signal(signal.SIGCONT)
    until(lambda: logger.status() != psutil.STATUS_STOPPED)
    watch.look(1.0)
    stop(logger)
    watch.look(2.0)
    watch.look(2.0 + PATIENCE_S - 0.01)
    assert logger.status() == psutil.STATUS_STOPPED


def test_an_admin_that_is_gone_is_somebody_elses_affair() -> None:
    """No process has this id."""
    LoggerWatch(2**22 + 1, 1, PATIENCE_S).look(0.0)
