"""Guards in real processes: scripts run by exec, since a guard cannot be taken off again."""

import subprocess
import sys

import psutil
import pytest

from tests.processes import Deaths

TIMEOUT_S = 20
GONE_TIMEOUT_S = 2

TREE = """
import os, signal, sys, time
from app.process.guards import die_with_parent
die_with_parent()
die_with_parent()
pids = []
for _ in range(2):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        if grandchild:
            os.write(write, f"{os.getpid()} {grandchild}\\n".encode())
        signal.pause()
    pids += os.read(read, 100).decode().split()
print(*pids, flush=True)
signal.pause()
"""

ORPHAN = """
import os, signal, sys
from app.process.guards import die_with_parent
die_with_parent()
# A parent that dies between fork and the hook sends no signal: the child must notice by itself.
read, write = os.pipe()
if os.fork() == 0:
    import app.process.guards as guards
    original = guards._prctl
    def late(option, value):
        os.close(write)
        while os.getppid() == parent:
            pass
        original(option, value)
    parent = os.getpid()
    guards._prctl = late
    if os.fork() == 0:
        print("survived", flush=True)
        os._exit(0)
    os.close(write)
    os.read(read, 1)
    os._exit(0)
os.close(write)
os.wait()
"""

CRASH = """
import faulthandler, os, signal, sys
from app.process.guards import default_crash_signals, die_with_parent
number = signal.Signals[sys.argv[1]]
signal.signal(number, lambda *_: None)
die_with_parent()
child = os.fork()
if child == 0:
    os.kill(os.getpid(), number)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

SUBREAPER = """
import os
from app.process.guards import become_subreaper
become_subreaper()
read, write = os.pipe()
hold, release = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.close(release)
        os.write(write, str(os.getpid()).encode())
        os.read(hold, 1)
        os._exit(7)
    os._exit(0)
grandchild = int(os.read(read, 20))
os.wait()
os.close(release)
pid, status = os.wait()
print(pid == grandchild, os.waitstatus_to_exitcode(status))
"""

CORE = """
import ctypes, os, resource
from app.process.guards import disable_core_dumps
disable_core_dumps()
PR_GET_DUMPABLE = 3
child = os.fork()
if child == 0:
    os._exit(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
inherited = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), inherited)
"""


def run(script: str, *args: str) -> str:
    """What the script printed."""
    done = subprocess.run(
        [sys.executable, "-c", script, *args], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_killed_process_takes_its_forks_and_theirs() -> None:
    """kill -9 of the root ends two children and two grandchildren within two seconds."""
    with subprocess.Popen([sys.executable, "-c", TREE], stdout=subprocess.PIPE, text=True) as root:
        assert root.stdout is not None
        tree = [psutil.Process(int(pid)) for pid in root.stdout.readline().split()]
        assert len(tree) == 4
        with Deaths(tree) as deaths:
            root.kill()
            assert deaths.wait(GONE_TIMEOUT_S) < GONE_TIMEOUT_S


def test_a_parent_that_is_gone_already_is_noticed() -> None:
    """A child whose parent died before the guard was set ends instead of living on as an orphan."""
    assert "survived" not in run(ORPHAN)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL"])
def test_crash_signals_end_a_fork(name: str) -> None:
    """A Python handler the parent had set does not keep a crashed child alive."""
    number = {"SIGSEGV": -11, "SIGBUS": -7, "SIGFPE": -8, "SIGILL": -4}[name]
    assert int(run(CRASH, name)) == number


def test_a_subreaper_gets_the_orphans() -> None:
    """A grandchild whose parent ended is waited for by the subreaper, with its exit status."""
    assert run(SUBREAPER) == "True 7"


def test_core_dumps_are_off_here_and_in_forks() -> None:
    """Neither a file nor a crash handler's pipe gets this process's memory, or that of its forks."""
    assert run(CORE) == "(0, 0) 0 0"
