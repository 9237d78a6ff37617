"""The state directory: private to its user, and held by one daemon at a time.

The lock is flock(2) on `<state_dir>/lock`. It belongs to the open file, which forked actors inherit, so after a daemon
is killed it stays taken until the last process of its tree is gone: a successor never starts beside leftovers.
"""

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

LOCK_NAME = "lock"


class StateDirError(RuntimeError):
    """The state directory cannot be used; the text says what is wrong and what would be right."""


class StateDirInUse(StateDirError):
    """Another daemon holds the state directory.

    Attributes:
        pid: its process id, None when it could not be read.
    """

    def __init__(self, state_dir: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid is not None else "another process"
        super().__init__(
            f"the state directory {state_dir} is in use by {holder}; stop that daemon or choose another state_dir"
        )
        self.pid = pid


def private_dir(path: Path) -> Path:
    """Create `path` with mode 0700, or check that it already is ours alone; return it resolved.

    Raises:
        StateDirError: it is no directory, belongs to another user, is open to group or others, or cannot be made.
    """
    path = path.expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = path.stat()
    except OSError as error:
        raise StateDirError(f"the state directory {path} cannot be used: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise StateDirError(f"the state directory {path} is not a directory")
    if found.st_uid != os.geteuid():
        raise StateDirError(
            f"the state directory {path} belongs to user id {found.st_uid}; it must belong to user id {os.geteuid()}"
        )
    if found.st_mode & 0o077:
        raise StateDirError(
            f"the state directory {path} has mode {stat.S_IMODE(found.st_mode):04o}, open to other users;"
            f" make it private with: chmod 700 {path}"
        )
    return path.resolve()


def private_file(path: Path) -> None:
    """Check that a file, where there is one, is ours alone; nothing is changed about it.

    What decides what was traded is not read from a file that somebody else could have written, and a journal others
    may read tells them every order. A symbolic link is refused: who holds the directory it points into decides.

    Raises:
        StateDirError: it is no regular file, belongs to another user, or is open to group or others.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateDirError(f"the file {path} cannot be looked at: {error.strerror}") from error
    if stat.S_ISLNK(found.st_mode):
        raise StateDirError(f"{path} is a symbolic link; it must be a file of its own in the state directory")
    if not stat.S_ISREG(found.st_mode):
        raise StateDirError(f"{path} is no regular file; move it out of the state directory")
    if found.st_uid != os.geteuid():
        raise StateDirError(f"{path} belongs to user id {found.st_uid}; it must belong to user id {os.geteuid()}")
    if found.st_mode & 0o077:
        raise StateDirError(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}, open to other users; make it private with:"
            f" chmod 600 {path}"
        )


class StateLock:
    """The hold on a state directory; a context manager, released by `release` or by the end of the whole tree.

    Attributes:
        state_dir: the directory held, resolved.
    """

    def __init__(self, state_dir: Path) -> None:
        """Take the lock at once.

        Raises:
            StateDirInUse: somebody else has it.
            StateDirError: the directory or the lock file cannot be used.
        """
        self.state_dir = private_dir(state_dir)
        path = self.state_dir / LOCK_NAME
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateDirError(f"the lock file {path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_pid(self._fd)
            os.close(self._fd)
            raise StateDirInUse(self.state_dir, holder) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go, also for forked children that inherited the file; safe to call again.

        The file stays: removing it would let two daemons lock two different files of one name.
        """
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _read_pid(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdigit() else None
