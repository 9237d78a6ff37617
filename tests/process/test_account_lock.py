"""An account is held once on a host, by real processes that share nothing but the kernel."""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from app.process import account_lock
from app.process.account_lock import AccountInUse, AccountLock, AccountLockError, fingerprint
from tests.processes import Deaths

TIMEOUT_S = 20
NOBODY = 65534

HOLDER = """
import os, signal, subprocess, sys
from pathlib import Path
from app.process.account_lock import AccountLock
user = int(sys.argv[4])
if user:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
lock = AccountLock("okx", sys.argv[1], Path(sys.argv[2]))
if sys.argv[3] == "forks":
    child = os.fork()
    if child == 0:
        signal.pause()
elif sys.argv[3] == "execs":
    child = subprocess.Popen(["sleep", "1000"], close_fds=False).pid
else:
    child = 0
print(child, flush=True)
signal.pause()
"""


def account() -> str:
    """The fingerprint of an account that nobody else on this machine has."""
    return fingerprint("okx", secrets.token_hex(16))


@contextmanager
def holder(
    print_: str, *, how: str = "alone", user: int = 0, state_dir: str = "/var/lib/first"
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that holds the account, and the child it started afterwards."""
    arguments = [sys.executable, "-c", HOLDER, print_, state_dir, how, str(user)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as popen:
        assert popen.stdout is not None
        child = int(popen.stdout.readline())
        try:
            yield popen, child
        finally:
            popen.kill()
            popen.wait(TIMEOUT_S)
            if child:
                with Deaths([psutil.Process(child)] if psutil.pid_exists(child) else []) as deaths:
                    if psutil.pid_exists(child):
                        os.kill(child, signal.SIGKILL)
                    deaths.wait(TIMEOUT_S)


def take(print_: str) -> None:
    """Take it and let go."""
    AccountLock("okx", print_, Path("/var/lib/second")).release()


def test_the_second_is_told_who_is_first() -> None:
    """One sentence with process and state directory, in another process and in the same."""
    print_, state_dir = account(), "/var/lib/order-router/of-the-desk"
    with holder(print_, state_dir=state_dir) as (first, _):
        with pytest.raises(AccountInUse) as refused:
            take(print_)
        assert str(refused.value) == (
            f"the account of exchanges.okx.api_key is in use by the daemon with process id {first.pid} on {state_dir};"
            " stop that daemon, or give this one an API key of another account"
        )
        assert (refused.value.exchange, refused.value.pid, refused.value.state_dir) == ("okx", first.pid, state_dir)
    with AccountLock("okx", print_, Path(state_dir)), pytest.raises(AccountInUse, match=f"process id {os.getpid()} "):
        take(print_)
    take(print_)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_dead_holder_lets_go_at_once(number: signal.Signals) -> None:
    """However it died, the moment it is reaped there is room again; nothing of it is left on the disk."""
    print_ = account()
    with holder(print_) as (first, _):
        first.send_signal(number)
        first.wait(TIMEOUT_S)
        take(print_)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_users_daemon_is_met_too() -> None:
    """A service runs as its own user; somebody at a desk as another."""
    print_ = account()
    with holder(print_, user=NOBODY) as (first, _):
        with pytest.raises(AccountInUse) as refused:
            take(print_)
        assert (refused.value.pid, refused.value.state_dir) == (first.pid, "/var/lib/first")
    with AccountLock("okx", print_, Path("/s")):
        arguments = [sys.executable, "-c", HOLDER, print_, "/theirs", "alone", str(NOBODY)]
        second = subprocess.run(arguments, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert second.returncode == 1
    assert "AccountInUse: the account of exchanges.okx.api_key is in use by" in second.stderr
    assert f"process id {os.getpid()} on /s;" in second.stderr


def test_a_killed_holders_fork_still_holds() -> None:
    """A connector that survives its daemon may still trade; with the last of them the account is free."""
    print_ = account()
    with holder(print_, how="forks") as (first, child):
        first.kill()
        first.wait(TIMEOUT_S)
        with pytest.raises(AccountInUse):
            take(print_)
        with Deaths([psutil.Process(child)]) as deaths:
            os.kill(child, signal.SIGKILL)
            deaths.wait(TIMEOUT_S)
        take(print_)


def test_a_program_that_was_started_does_not_hold() -> None:
    """What a strategy leaves running is no daemon of ours."""
    print_ = account()
    with holder(print_, how="execs") as (first, child):
        first.kill()
        first.wait(TIMEOUT_S)
        assert psutil.pid_exists(child)
        take(print_)


def test_letting_go_in_the_parent_leaves_it_to_the_fork() -> None:
    """The launcher's end is not the tree's end."""
    print_ = account()
    lock = AccountLock("okx", print_, Path("/var/lib/first"))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    lock.release()
    lock.release()
    with pytest.raises(AccountInUse):
        take(print_)
    os.close(write)
    os.waitpid(child, 0)
    take(print_)


def test_other_accounts_are_not_affected() -> None:
    """Another key, another exchange, another simulator: each is an account of its own."""
    prints = [
        fingerprint("okx", "key-of-one"),
        fingerprint("okx", "key-of-two"),
        fingerprint("bybit", "key-of-one"),
        fingerprint("okx", "key-of-one", place="127.0.0.1:4001"),
        fingerprint("okx", "key-of-one", place="127.0.0.1:4002"),
        fingerprint("okxk", "ey-of-one"),
        fingerprint("okx", "key-of-one", place="x"),
        fingerprint("okx", "xkey-of-one"),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint("okx", "key-of-one") == prints[0]
    suffix = secrets.token_hex(8)
    with holder(fingerprint("okx", f"one-{suffix}")):
        take(fingerprint("okx", f"two-{suffix}"))
        take(fingerprint("bybit", f"one-{suffix}"))
        with pytest.raises(AccountInUse):
            take(fingerprint("okx", f"one-{suffix}"))


def test_no_name_shows_the_key() -> None:
    """What every user of the host can read is a hash, and not one that is made elsewhere too."""
    key = f"key-{secrets.token_hex(16)}"
    print_ = fingerprint("okx", key)
    assert re.fullmatch("[0-9a-f]{32}", print_)
    with AccountLock("okx", print_, Path("/var/lib/first")):
        shown = account_lock.NAMES_FILE.read_text()
        assert f"@order-router/{print_}\n" in shown
        assert key not in shown
    assert print_ not in account_lock.NAMES_FILE.read_text()


@pytest.mark.parametrize(
    ("state_dir", "told"),
    [
        ("/s", "/s"),
        ("/with spaces/and @order-router/too", "/with spaces/and @order-router/too"),
        ("/new\nline/\N{LATIN SMALL LETTER E WITH ACUTE}", "/new?line/?"),
    ],
)
def test_any_state_directory_is_told(state_dir: str, told: str) -> None:
    """Nothing in a path can break the line it stands in."""
    print_ = account()
    with AccountLock("okx", print_, Path(state_dir)), pytest.raises(AccountInUse) as refused:
        take(print_)
    assert (refused.value.pid, refused.value.state_dir) == (os.getpid(), told)


@pytest.mark.parametrize("length", range(45, 65))
def test_of_a_long_state_directory_the_end_is_told(length: int) -> None:
    """A name has 107 bytes, and is filled to the last of them."""
    print_, path = account(), "/long/" + "x" * (length - 14) + "/the-end"
    with AccountLock("okx", print_, Path(path)), pytest.raises(AccountInUse) as refused:
        take(print_)
    told = refused.value.state_dir
    room = 107 - len(f"order-router/{print_}/{os.getpid()}")
    assert len(told) == min(length, room)
    assert told == path if length <= room else told == "/..." + path[4 - room :]


def test_without_proc_the_account_is_held_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the sentence is poorer."""
    print_ = account()
    monkeypatch.setattr(account_lock, "NAMES_FILE", Path("/no/such/file"))
    with AccountLock("okx", print_, Path("/s")), pytest.raises(AccountInUse, match="in use by another daemon;"):
        take(print_)


def test_a_system_without_unix_sockets_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox that forbids them must not be taken for a second daemon, nor for none."""

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refused)
    with pytest.raises(AccountLockError, match=r"cannot be held against a second daemon: .*Operation not permitted"):
        take(account())
