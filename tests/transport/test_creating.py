"""An admin that dies while it makes the first actor is not waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from thespian.actors import ActorSystemFailure
from thespian.system.systemBase import ExternalOpsToActors

from app.transport.base import OrderRouterBase

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


class _Transport:
    """Each question has a transport of its own; while the first is waited for, somebody else asks."""

    def __init__(self, meanwhile: Any) -> None:
        self._meanwhile = meanwhile
        self.numbers: list[int] = []

    def external_transport_clone(self) -> Any:
        return SimpleNamespace(scheduleTransmit=self._asked, run=self._run, close=lambda: None)

    def _asked(self, _addresses: object, intent: Any) -> None:
        self.numbers.append(intent.message.instanceNum)

    def _run(self, _handler: object, _maximum: timedelta) -> None:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
            return
        raise ActorSystemFailure("nobody answers")


def test_whoever_else_uses_the_system_meanwhile_has_its_own_transport() -> None:
    """Of two that ask at the same time the one that ends first takes nothing away from the other."""
    base: Any = object.__new__(OrderRouterBase)
    ended: list[bool] = []

    def other() -> None:
        assert base.transport is transport
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(ActorSystemFailure, match="nobody answers"):
            base.newPrimaryActor("a.B", None, None)
        ended.append(len(os.listdir("/proc/self/fd")) == before)

    transport = _Transport(other)
    base.admin = SimpleNamespace(pid=os.getpid())
    base.transport = transport
    ExternalOpsToActors.__init__(base, object())
    with pytest.raises(ActorSystemFailure, match="nobody answers"):
        base.newPrimaryActor("a.B", None, None)
    assert ended == [True]
    assert base.transport is transport
    assert transport.numbers == [1, 2]
