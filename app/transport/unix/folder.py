"""The folder that holds the sockets of one actor system, and the checks on who reaches them.

Whoever can connect to an actor can have code run in it, so three things stand in the way of others: the folder is mode
0700, the kernel says which user is at the other end before a byte is read (SO_PEERCRED), and a handshake asks for the
system's key (`frames`). The folder is opened once and then only used through that descriptor, so that nobody can put
another one in its place; and since the kernel takes 107 bytes as a socket's path, sockets are bound and reached as
`/proc/self/fd/N/NAME`, which is short however deep the state directory lies.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import socket
import stat
import struct
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from app.transport.unix.address import ADMIN

FOLDER_NAME: Final = "actors"
"""Below the state directory."""
BACKLOG: Final = 1024
_UCRED: Final = struct.Struct("3i")


class FolderError(RuntimeError):
    """The folder cannot be used, or is used by another actor system; the text says why."""


class ForeignPeerError(PermissionError):
    """The process at the other end runs as another user."""


def peer_uid(sock: socket.socket) -> int:
    """User id of the process at the other end: the one that connected, or that called listen."""
    _pid, uid, _gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)


class Folder:
    """An open, private folder of sockets."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """
        Args:
            create: Make the folder if it is not there; its parent must be.

        Raises:
            FileNotFoundError: It is not there.
            FolderError: It is no folder, not ours, or open to others.
        """
        self.path = path.absolute()
        self._lock_fd = -1
        if create:
            with contextlib.suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
        try:
            self._fd = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except NotADirectoryError as error:
            raise FolderError(f"{self.path} must be a folder for the actors' sockets, and is none") from error
        found = os.fstat(self._fd)
        wrong = ""
        if found.st_uid != os.geteuid():
            wrong = f"belongs to user id {found.st_uid}, and must belong to user id {os.geteuid()}"
        elif found.st_mode & 0o077:
            wrong = f"has mode {stat.S_IMODE(found.st_mode):04o}, open to other users, and must have mode 0700"
        if wrong:
            self.close()
            raise FolderError(f"the folder of the actors' sockets, {self.path}, {wrong}")

    def close(self) -> None:
        """Close the descriptors, which also gives back the lock; safe to call again."""
        for fd in (self._fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock_fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def where(self, name: str) -> str:
        """The socket's path, short enough for any system call of this process."""
        return f"/proc/self/fd/{self._fd}/{name}"

    # ------------------------------------------------------------------------------------------------ sockets

    @staticmethod
    def new_name() -> str:
        """A name that was never used, with the process id in it for people and for `sweep`."""
        return f"{os.getpid()}-{secrets.token_hex(8)}"

    def listen(self, name: str) -> socket.socket:
        """A listening socket of this name; raises OSError."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.setblocking(False)
            listener.bind(self.where(name))
            os.chmod(self.where(name), 0o600)
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
        return listener

    def connect(self, name: str) -> socket.socket:
        """A connection to the socket of this name, without waiting.

        Raises:
            BlockingIOError: So many wait to be accepted that the kernel takes no more now.
            ConnectionRefusedError, FileNotFoundError: Nobody listens there any more.
            ForeignPeerError: Another user listens there.
            OSError: Anything else, above all that this process has no descriptor left.
        """
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.connect(self.where(name))
            uid = peer_uid(sock)
            if uid != os.geteuid():
                raise ForeignPeerError(errno.EPERM, f"who listens as {name} runs as user id {uid}")
        except ConnectionRefusedError:
            sock.close()
            if name != ADMIN:  # names are not used again, so what nobody listens on now is of no use to anybody
                self.remove(name)
            raise
        except BaseException:
            sock.close()
            raise
        return sock

    def is_served(self, name: str) -> bool:
        """Whether some process of ours listens on the socket of this name."""
        try:
            self.connect(name).close()
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def remove(self, name: str) -> None:
        """Remove the socket's file, if it is there."""
        with contextlib.suppress(OSError):
            os.unlink(self.where(name))

    # ------------------------------------------------------------------------------------------------ the admin's

    def claim(self, admin: str = ADMIN) -> None:
        """Make this process the one that serves as `admin`, as long as it lives, and clear away what dead ones left.

        Raises:
            FolderError: Another process is.
        """
        lock = os.open(self.where(f"{admin}.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            # Of the process, not of the open file: what the admin forks must not keep it when the admin is dead.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise FolderError(f"another actor system runs in {self.path}") from error
        self._lock_fd = lock
        self.remove(admin)
        self.sweep()

    def sweep(self) -> None:
        """Remove the sockets of processes that are gone."""
        for name in os.listdir(self.where("")):
            if is_orphan(name) and not self.is_served(name):
                self.remove(name)


def is_orphan(name: str) -> bool:
    """Whether the process that made this name is gone, or dead and not reaped; False for names that tell no process."""
    pid, mark, _ = name.partition("-")
    if not mark or not pid.isdigit():
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True
    return state in "ZX"
