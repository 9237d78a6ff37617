"""An actor system that does not end by itself is ended in the time it was given, and not in twice that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from app.launcher.tree import (
    ADMIN_TIMEOUT_S,
    CANCEL_TIMEOUT_S,
    CHILDREN_TIMEOUT_S,
    LEAST_LEFTOVER_S,
    OWN_TIME_S,
    STOP_BUDGET_S,
)
from tests.e2e.world import environment

TIMEOUT_S = 2.0
STOPPED = """
import os, signal, sys, time
from pathlib import Path
from app.transport.base import admin_pid, start_system, stop_system
system = start_system(0, bytes(32), base="unix", state_dir=Path(sys.argv[1]))
pid = admin_pid(system)
os.kill(pid, signal.SIGSTOP)
while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
    pass
began_s = time.monotonic()
stop_system(system, timeout_s=float(sys.argv[2]))
print(pid, time.monotonic() - began_s)
"""


def test_an_admin_that_is_stopped_takes_no_longer_than_it_was_given(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, str(tmp_path), str(TIMEOUT_S)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    pid, took_s = done.stdout.split()
    assert TIMEOUT_S <= float(took_s) < 1.75 * TIMEOUT_S
    assert not os.path.exists(f"/proc/{pid}")


def test_the_shares_of_an_end_leave_time_for_the_launcher_itself() -> None:
    shares_s = CANCEL_TIMEOUT_S + CHILDREN_TIMEOUT_S + 2 * ADMIN_TIMEOUT_S + LEAST_LEFTOVER_S
    assert shares_s + OWN_TIME_S <= STOP_BUDGET_S, "the admin's twice: where the kernel cannot end it"
