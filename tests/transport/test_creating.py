"""An admin that dies while it makes the first actor is not waited for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, signal, sys, threading
from pathlib import Path
import psutil

sys.setswitchinterval(0.0001)
from thespian.actors import ActorSystemException
from app.transport import admin_pid, free_port, start_system
from tests.transport.actors import Echo

base = sys.argv[1]
port = free_port() if base == "tcp" else 0
system = start_system(port, bytes(32), base=base, state_dir=Path(sys.argv[2]))
below = psutil.Process().children(recursive=True)
admin = psutil.Process(admin_pid(system))
children = Path(f"/proc/{admin.pid}/task/{admin.pid}/children")
before = set(children.read_text().split())


def kill():
    while not (made := set(children.read_text().split()) - before):
        pass
    for pid in (*made, admin.pid):  # before it has said that it is there
        os.kill(int(pid), signal.SIGKILL)


threading.Thread(target=kill).start()
try:
    system.createActor(Echo)
    print("made")
except ActorSystemException as error:
    print(type(error).__name__, error)
finally:
    for each in below:
        if each.is_running():
            each.kill()
    os._exit(0)
"""
PATIENCE_S = 25.0
"""Half of what Thespian waits."""


TRIES = 5
"""A machine that is busy may have made the actor before anybody is killed."""


@pytest.mark.parametrize("base", ["unix", pytest.param("tcp", marks=pytest.mark.deep)])
def test_nobody_waits_for_an_admin_that_has_ended(base: str, short_path: Path) -> None:
    said = errors = ""
    for number in range(TRIES):
        folder = short_path / str(number)
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-u", "-c", SCRIPT, base, str(folder)],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            cwd=Path(__file__).parents[2],
            check=True,
        )
        said, errors = done.stdout, done.stderr
        if said != "made\n":
            break
    assert said.startswith("ActorSystemFailure"), said + errors
