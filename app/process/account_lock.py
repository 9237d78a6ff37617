"""One daemon per account on a host: two would each take the other's orders for a stranger's, and trade twice.

The state directory's lock does not see a second daemon that was given another directory, or runs as another user, as
happens when somebody tries at a desk what a service already does. So the account itself is held, under a fingerprint of
its API key.

The hold is the name of an abstract Unix socket, and no lock file, because the two daemons that must meet may share no
folder: each user has a runtime directory of his own, which logging out may empty, and a service of systemd has a /tmp
of its own and may write hardly anywhere. An abstract name is one for all users, needs no file, and is gone with the
last process that has the socket. It is never listened on: nobody can connect. Its reach is the network namespace:
containers with a network of their own count as other hosts, and are unfenced like those.

Forked actors inherit the socket, on purpose: while a connector of a killed daemon still lives, it may still trade, and
nobody may start beside it. Programs started by exec do not inherit it.

Any user of the host can read the names in /proc/net/unix: a fingerprint, from which no key can be found, a process id
and a state directory. Who has read a fingerprint could bind it himself, once its daemon has ended, and so keep that
daemon from starting again: a nuisance by a local user, not a risk to money.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_PREFIX: Final = "order-router/"
_MAX_NAME_BYTES: Final = 107
"""Of an address in the kernel's sockaddr_un, without the leading zero of an abstract one."""
NAMES_FILE: Final = Path("/proc/net/unix")


class AccountLockError(RuntimeError):
    """The account cannot be held, for another reason than that somebody holds it."""


class AccountInUse(RuntimeError):
    """Another daemon of this host trades on the account.

    Attributes:
        exchange: Where the account is.
        pid: The other daemon's process id, None when it is not known.
        state_dir: Its state directory, as far as it is known; empty when it is not.
    """

    def __init__(self, exchange: str, pid: int | None, state_dir: str) -> None:
        holder = "another daemon" if pid is None else f"the daemon with process id {pid}"
        place = f" on {state_dir}" if state_dir else ""
        super().__init__(
            f"the account of exchanges.{exchange}.api_key is in use by {holder}{place};"
            " stop that daemon, or give this one an API key of another account"
        )
        self.exchange = exchange
        self.pid = pid
        self.state_dir = state_dir


def fingerprint(exchange: str, api_key: str, *, place: str = "") -> str:
    """What an account is called where everybody can read it: 32 hexadecimal digits.

    A keyed BLAKE2b of 128 bits: keys are random and long, so no list of guesses leads back to one, and the personal
    string keeps it from being compared with hashes that others make of the same key.

    Args:
        exchange: The router's own name for it.
        api_key: Used here and kept nowhere. The key alone signs nothing; the secret is not needed.
        place: Where the exchange is, if it is no real one: the same key on two simulators is two accounts.
    """
    digest = hashlib.blake2b(digest_size=16, person=b"OrderRouter acct")
    for part in (exchange, place, api_key):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)  # so that no two triples read the same
    return digest.hexdigest()


class AccountLock:
    """The hold on one account, until the last process that inherited it has ended.

    `release` lets go in this process only: a lock of a whole tree goes with the tree.
    """

    def __init__(self, exchange: str, print_: str, state_dir: Path) -> None:
        """Takes the hold at once.

        Args:
            print_: From `fingerprint`.
            state_dir: For the sentence that whoever comes second is told.

        Raises:
            AccountInUse: Somebody else has it.
            AccountLockError: This system has no Unix sockets for us.
        """
        self._sockets: list[socket.socket] = []
        try:
            self._bind(f"{_PREFIX}{print_}")
        except OSError as error:
            self.release()
            if error.errno == errno.EADDRINUSE:
                raise AccountInUse(exchange, *_holder(print_)) from None
            raise AccountLockError(
                f"the account of exchanges.{exchange}.api_key cannot be held against a second daemon:"
                f" Unix sockets are refused here ({error.strerror})"
            ) from error
        # Words only, for people: not to have them changes nothing.
        with contextlib.suppress(OSError):
            self._bind(_note(print_, state_dir))

    def _bind(self, name: str) -> None:
        # Made by Python, so closed by exec and kept by fork.
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sockets.append(held)
        held.bind(b"\0" + name.encode())

    def release(self) -> None:
        """Lets go, in this process; safe to call again."""
        while self._sockets:
            self._sockets.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _note(print_: str, state_dir: Path) -> str:
    """A second name, which nobody else wants: who holds the first one. Of a long path the end says most."""
    start = f"{_PREFIX}{print_}/{os.getpid()}"
    path = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in str(state_dir))
    room = _MAX_NAME_BYTES - len(start)
    return start + (path if len(path) <= room else "/..." + path[len(path) - room + 4 :])


def _holder(print_: str) -> tuple[int | None, str]:
    """Process id and state directory of who holds an account, as far as they can be found out."""
    try:
        lines = NAMES_FILE.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None, ""
    for line in lines:
        _, found, note = line.partition(f" @{_PREFIX}{print_}/")
        pid, _, state_dir = note.partition("/")
        if found and pid.isdecimal():
            return int(pid), f"/{state_dir}" if state_dir else ""
    return None, ""
