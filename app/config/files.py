"""Reading configuration files: bounded, anew each time, also where the path is an open file descriptor."""

from __future__ import annotations

import errno
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from app.config.errors import ConfigError

MAX_CONFIG_BYTES = 1024 * 1024


def is_descriptor(path: Path) -> bool:
    """Whether the path names an open file descriptor, such as ``/dev/fd/7``; it must not be resolved then."""
    return path.parts[:2] == ("/", "proc") or path.parts[:3] == ("/", "dev", "fd")


def descriptor_of(path: Path) -> int | None:
    """The number of this process's descriptor that a path names, such as 7 for ``/dev/fd/7``; None for any other."""
    of_ours = path.parts[:-1] in (("/", "dev", "fd"), ("/", "proc", "self", "fd"))
    return int(path.name) if of_ours and path.name.isascii() and path.name.isdecimal() else None


def read_bounded(path: str, limit_bytes: int = MAX_CONFIG_BYTES) -> bytes:
    """The content of a file.

    Linux opens ``/dev/fd/N`` of a file (a memfd included) anew, from its beginning. Nothing but a file is read: a pipe
    gives what it has only once, and it, or a device, may let its reader wait for ever, who then hears no signal either.

    Raises:
        OSError: It is no regular file, cannot be read, or is longer than the limit.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        kind = os.fstat(fd).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, "it is no regular file")
        with open(fd, "rb", closefd=False) as file:
            content = file.read(limit_bytes + 1)
    finally:
        os.close(fd)
    if len(content) > limit_bytes:
        raise OSError(0, f"it is longer than {limit_bytes} bytes")
    return content


def parse_toml(content: bytes, where: str) -> dict[str, Any]:
    """The tables of a TOML document.

    Raises:
        ConfigError: It is none; the sentence says the line, and quotes nothing of the document.
    """
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{where}: line {line} is not text in UTF-8, which TOML must be") from None
    except tomllib.TOMLDecodeError as error:
        # Only the message: newer Pythons attach the whole document, secrets included, to the exception.
        raise ConfigError(f"{where} is not valid TOML: {error.args[0] if error.args else error}") from None
