"""Small files that one life of a process leaves to the next, in a folder of the state directory, for its user only.

What is read back decides how orders are sent, so a file that anybody else could have written is not read: it must be a
regular file of ours, with no permission for others, and no larger than expected. Writing is atomic: a reader sees the
old content or the new. Nothing here survives a power cut for certain; the reader checks what it gets.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from app.process.lock import StateDirError, private_dir


class Untrusted(Exception):
    """The file, or its folder, is not one to rely on; the message is one sentence that says why."""


def read_private(path: Path, most_bytes: int) -> bytes | None:
    """The content; None where there is no such file.

    Raises:
        Untrusted: It is no regular file, belongs to another user, is open to others, too large, or cannot be read.
    """
    try:
        # Not blocking: what lies there may be a pipe.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Untrusted(f"{path} cannot be opened: {error.strerror}.") from error
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)  # before Python is asked to open it, which it refuses of a folder
        raise Untrusted(f"{path} is no regular file.")
    with open(fd, "rb") as file:
        if found.st_uid != os.geteuid():
            raise Untrusted(f"{path} belongs to user id {found.st_uid}, and must belong to {os.geteuid()}.")
        if found.st_mode & 0o077:
            raise Untrusted(f"{path} has mode {stat.S_IMODE(found.st_mode):04o}, and must be closed to other users.")
        if found.st_size > most_bytes:
            raise Untrusted(f"{path} has {found.st_size} bytes, more than the {most_bytes} it may have.")
        try:
            content = file.read(most_bytes + 1)
        except OSError as error:
            raise Untrusted(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > most_bytes:
        raise Untrusted(f"{path} grew beyond {most_bytes} bytes while it was read.")
    return content


def write_private(path: Path, content: bytes) -> None:
    """Puts `content` in the file's place at once; its folder is made if it is not there.

    Raises:
        Untrusted: The folder is not ours alone, or nothing can be written there.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        private_dir(path.parent)
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "wb") as file:
                file.write(content)
            beside.rename(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except StateDirError as error:
        raise Untrusted(f"{error}.") from error
    except OSError as error:
        raise Untrusted(f"{path} cannot be written: {error.strerror}.") from error


def remove_half_written(folder: Path) -> None:
    """Removes what `write_private` left there in processes that were killed; what lives may still be writing."""
    with contextlib.suppress(OSError):  # somebody else does the same
        for path in folder.glob(".*"):
            _, _, pid = path.name.rpartition(".")
            if pid.isascii() and pid.isdecimal() and not _lives(int(pid)):
                path.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
