"""The launcher of `tests.transport.daemon` on Unix sockets, for the tests of that transport."""

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
from thespian.actors import ActorAddress, ActorSystem

from app.transport import address_from_str, address_to_str, attach, detach
from tests.transport.conftest import ROOT, Daemon, end_daemon


@attrs.frozen(kw_only=True)
class UnixDaemon(Daemon):
    """A daemon on Unix sockets."""

    state_dir: Path

    @property
    def folder(self) -> Path:
        """Of its sockets."""
        return self.state_dir / "actors"

    def socket_of(self, actor: ActorAddress) -> Path:
        """Where an actor listens."""
        return self.folder / address_to_str(actor).removeprefix("unix://")

    def sockets(self) -> list[Path]:
        """Every socket in its folder."""
        return [each for each in self.folder.iterdir() if each.is_socket()]


def start(state_dir: Path) -> UnixDaemon:
    """Start the launcher and wait for its facts."""
    key = secrets.token_bytes(32)
    popen = subprocess.Popen(
        [sys.executable, "-m", "tests.transport.daemon", str(state_dir)],
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
    return UnixDaemon(popen=popen, key=key, state_dir=state_dir, **facts)


@contextmanager
def running(state_dir: Path) -> Iterator[UnixDaemon]:
    """A daemon while it is needed."""
    daemon = start(state_dir)
    try:
        yield daemon
    finally:
        end_daemon(daemon)


@contextmanager
def attached(daemon: UnixDaemon) -> Iterator[ActorSystem]:
    """This process attached to a daemon."""
    system = attach(0, daemon.key, base="unix", state_dir=daemon.state_dir)
    try:
        yield system
    finally:
        detach(system)
