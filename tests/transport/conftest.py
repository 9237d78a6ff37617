"""A real launcher process for the transport's tests, and nothing left of it afterwards."""

import contextlib
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import psutil
import pytest
from thespian.actors import ActorAddress, ActorSystem

from app.transport import Mailbox, address_from_str, attach, detach
from tests.processes import Deaths
from tests.transport.hall import Hall

ROOT = Path(__file__).parents[2]
GONE_TIMEOUT_S = 10


@attrs.frozen(kw_only=True)
class Daemon:
    """The launcher of `tests.transport.daemon`, as seen by a test."""

    popen: subprocess.Popen[str]
    key: bytes
    port: int
    admin_pid: int
    actors: list[ActorAddress]
    actor_pids: list[int]

    def tree(self) -> list[psutil.Process]:
        """The launcher and everything under it."""
        launcher = psutil.Process(self.popen.pid)
        return [launcher, *launcher.children(recursive=True)]

    def say(self, line: str) -> str:
        """Send a line, return the answered one."""
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()
        return self.popen.stdout.readline().strip()


def start_daemon() -> Daemon:
    """Start the launcher and wait for its facts."""
    key = secrets.token_bytes(32)
    popen = subprocess.Popen(
        [sys.executable, "-m", "tests.transport.daemon"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert popen.stdin is not None
    assert popen.stdout is not None
    popen.stdin.write(key.hex() + "\n")
    popen.stdin.flush()
    facts = json.loads(popen.stdout.readline())
    facts["actors"] = [address_from_str(text) for text in facts["actors"]]
    return Daemon(popen=popen, key=key, **facts)


def end_daemon(daemon: Daemon) -> None:
    """Kill whatever is left, and wait until it is gone."""
    tree = daemon.tree() if daemon.popen.poll() is None else []
    with Deaths(tree) as deaths:
        for each in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        daemon.popen.communicate(timeout=GONE_TIMEOUT_S)
        deaths.wait(GONE_TIMEOUT_S)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon shared by the tests of a module: for those that leave it as it was."""
    started = start_daemon()
    yield started
    end_daemon(started)


@pytest.fixture
def own_daemon() -> Iterator[Daemon]:
    """A daemon for one test that does something to it."""
    started = start_daemon()
    yield started
    end_daemon(started)


@pytest.fixture
def system(daemon: Daemon) -> Iterator[ActorSystem]:
    """This process attached to the shared daemon."""
    attached = attach(daemon.port, daemon.key)
    yield attached
    detach(attached)


@pytest.fixture
def mailbox(system: ActorSystem) -> Iterator[Mailbox]:
    """A mailbox owned by the test's thread."""
    with Mailbox(system) as opened:
        yield opened


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """Switchboards of one test."""
    made = Hall(tmp_path / "actors")
    yield made
    made.close()
