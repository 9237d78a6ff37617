"""What systemd is told, read from a real datagram socket in systemd's place."""

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.process.notify import MAX_STATUS_CHARS, VARIABLES, Notifier

TIMEOUT_S = 10


class Systemd:
    """The far end of the socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.named = address.replace("\0", "@")

    def heard(self) -> list[str] | None:
        """The lines of the next datagram, None when there is none: sending is done when the call returns."""
        readable, _, _ = select.select([self.socket], [], [], 0)
        return self.socket.recv(65536).decode().split("\n") if readable else None


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    there = Systemd(str(tmp_path / "notify") if request.param == "path" else f"\0order-router-test-{os.getpid()}")
    yield there
    there.socket.close()


def test_every_word(systemd: Systemd) -> None:
    """One datagram a call, in sd_notify's words."""
    notifier = Notifier({"NOTIFY_SOCKET": systemd.named})
    notifier.ready("trading on okx")
    assert systemd.heard() == ["READY=1", "STATUS=trading on okx"]
    notifier.status("trading on binance")
    assert systemd.heard() == ["STATUS=trading on binance"]
    notifier.watchdog()
    assert systemd.heard() == ["WATCHDOG=1"]
    before_us = time.monotonic_ns() // 1000
    notifier.reloading()
    said, at = systemd.heard() or ["", ""]
    assert said == "RELOADING=1"
    assert before_us <= int(at.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    notifier.starting(1.5)
    assert systemd.heard() == ["EXTEND_TIMEOUT_USEC=1500000"]
    notifier.stopping(5)
    assert systemd.heard() == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=5000000"]
    assert systemd.heard() is None


def test_a_watchdog_waits_for_a_new_start_and_then_as_before(systemd: Systemd) -> None:
    """What a unit grants is never cut short, and where it has no watchdog none is begun."""
    notifier = Notifier({"NOTIFY_SOCKET": systemd.named, "WATCHDOG_USEC": "3000000"})
    notifier.starting(2.0)
    assert systemd.heard() == ["EXTEND_TIMEOUT_USEC=2000000"], "it does not run before ready"
    notifier.ready("well")
    assert systemd.heard() == ["READY=1", "STATUS=well"]
    for asked_s, given in ((20.0, "20000000"), (1.0, "3000000")):
        notifier.starting_anew(asked_s)
        assert f"WATCHDOG_USEC={given}" in (systemd.heard() or [])
    notifier.ready("well")
    assert systemd.heard() == ["READY=1", "STATUS=well", "WATCHDOG_USEC=3000000"]
    notifier.ready("well")
    assert systemd.heard() == ["READY=1", "STATUS=well"]
    unwatched = Notifier({"NOTIFY_SOCKET": systemd.named})
    unwatched.starting_anew(2.0)
    assert systemd.heard() == ["EXTEND_TIMEOUT_USEC=2000000"]


def test_the_variables_are_taken_out_of_the_environment(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child of ours would speak, or be watched, in our place."""
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.named)
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    notifier = Notifier()
    assert notifier.watchdog_interval_s == 15.0
    assert not set(VARIABLES) & set(os.environ)
    seen = subprocess.run(["env"], capture_output=True, text=True, timeout=TIMEOUT_S, check=True).stdout
    assert not any(name in seen for name in VARIABLES)
    notifier.watchdog()
    assert systemd.heard() == ["WATCHDOG=1"]


def test_a_fork_says_nothing(systemd: Systemd) -> None:
    """Actors inherit the object; only the daemon's own process speaks."""
    notifier = Notifier({"NOTIFY_SOCKET": systemd.named})
    child = os.fork()
    if child == 0:
        notifier.ready("not I")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert systemd.heard() is None


def test_a_status_is_one_line_of_bounded_length(systemd: Systemd) -> None:
    """No text, of an exchange's error for example, can forge an assignment; odd characters do no harm."""
    notifier = Notifier({"NOTIFY_SOCKET": systemd.named})
    notifier.status("bad\nREADY=1\r\u2028MAINPID=1\ud800" + "x" * 10_000)
    heard = systemd.heard()
    assert heard is not None
    assert len(heard) == 1
    assert heard[0].startswith("STATUS=bad READY=1 MAINPID=1?xxx")
    assert len(heard[0]) == len("STATUS=") + MAX_STATUS_CHARS


@pytest.mark.parametrize(
    "named", ["", "@", "relative", "vsock:2:1234", "/no/such/socket", "/" + "x" * 200, "@" + "x" * 200, "/dev/null"]
)
def test_nobody_to_tell(named: str) -> None:
    """Outside systemd, or with something else in its place, every call is silent."""
    for environ in ({"NOTIFY_SOCKET": named}, {}):
        notifier = Notifier(environ)
        notifier.ready("well")
        notifier.status("well")
        notifier.reloading()
        notifier.watchdog()
        notifier.starting(1.0)
        notifier.stopping(1.0)
        assert environ == {}


def test_a_full_socket_never_blocks_and_loses_no_ready(systemd: Systemd) -> None:
    """The word that found no room goes with the next one that does."""
    notifier = Notifier({"NOTIFY_SOCKET": systemd.named})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as crowd:
        crowd.setblocking(False)
        with pytest.raises(BlockingIOError):  # noqa: PT012  (it is filled until there is no room)
            while True:
                crowd.sendto(b"crowd", systemd.named.replace("@", "\0"))
    began_s = time.monotonic()
    notifier.reloading()
    notifier.ready("trading")
    notifier.watchdog()
    assert time.monotonic() - began_s < 1.0
    while systemd.heard() == ["crowd"]:
        pass
    notifier.status("trading on okx")
    assert systemd.heard() == ["READY=1", "STATUS=trading on okx", "WATCHDOG=1"]
    notifier.watchdog()
    assert systemd.heard() == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    ("allowed_us", "pid", "interval_s"),
    [
        ("30000000", "", 15.0),
        ("30000000", "own", 15.0),
        ("1", "own", 0.0000005),
        ("30000000", "1", None),
        ("30000000", "x", None),
        ("0", "", None),
        ("", "own", None),
        ("-5", "", None),
        ("ten", "", None),
        ("²", "", None),
    ],
)
def test_how_often_the_watchdog_wants_to_hear(allowed_us: str, pid: str, interval_s: float | None) -> None:
    """Half of what is allowed; nothing where the variables are another process's, or no numbers."""
    pid = str(os.getpid()) if pid == "own" else pid
    assert Notifier({"WATCHDOG_USEC": allowed_us, "WATCHDOG_PID": pid}).watchdog_interval_s == interval_s


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux only")
def test_systemds_own_library_hears_the_same(systemd: Systemd) -> None:
    """Where systemd-notify is installed, what it sends for the same words reads the same."""
    try:
        subprocess.run(
            ["systemd-notify", "--no-block", "--ready", "--status=trading on okx"],
            env={**os.environ, "NOTIFY_SOCKET": systemd.named},
            timeout=TIMEOUT_S,
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("systemd-notify is not installed")
    theirs = systemd.heard()
    Notifier({"NOTIFY_SOCKET": systemd.named}).ready("trading on okx")
    assert set(systemd.heard() or []) == set(theirs or [""])
