"""Orphans are reaped by the subreaper that adopted them, in real processes; whoever is waited for is left alone."""

import subprocess
import sys

TIMEOUT_S = 20

SUBREAPER = """
import os, signal
import psutil
from app.process.guards import become_subreaper
from app.process.reap import reap_orphans

become_subreaper()
hold, release = os.pipe()
told, tell = os.pipe()
living = os.fork()
if living == 0:
    os.closerange(min(hold, release, told, tell), max(hold, release, told, tell) + 1)
    signal.alarm(15)
    signal.pause()
middle = os.fork()
if middle == 0:
    os.close(release)
    for _ in range(3):
        if os.fork() == 0:
            signal.alarm(15)
            os.write(tell, str(os.getpid()).encode() + b" ")
            os.read(hold, 1)
            os._exit(0)
    os._exit(0)
os.close(hold)
os.close(tell)
os.waitpid(middle, 0)
assert reap_orphans(()) == []
os.close(release)
text = b""
while piece := os.read(told, 100):  # to its end: then all three are gone, or about to be
    text += piece
orphans = sorted(map(int, text.split()))
found = []
for pid in orphans:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
known = os.fork()
if known == 0:
    os._exit(7)
os.waitid(os.P_PID, known, os.WEXITED | os.WNOWAIT)
while reaped := reap_orphans({known}):
    found += reaped
print(sorted(found) == orphans, psutil.Process(known).status())
print(os.waitstatus_to_exitcode(os.waitpid(known, 0)[1]), reap_orphans({known}), psutil.pid_exists(living))
os.kill(living, signal.SIGKILL)
os.waitpid(living, 0)
print(reap_orphans(()))
"""


def test_orphans_are_reaped_and_others_are_not() -> None:
    """Three adopted orphans go; a dead child that somebody knows keeps its exit status; a living one is left alone."""
    done = subprocess.run(
        [sys.executable, "-c", SUBREAPER], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert done.stderr == ""
    assert done.stdout.split("\n") == ["True zombie", "7 [] True", "[]", ""]
