"""Files in which the harness keeps what it found. Whether one can be written is known first; it is written whole."""

from __future__ import annotations

import os
from pathlib import Path

EX_USAGE, EX_NO_INPUT, EX_UNAVAILABLE, EX_SOFTWARE, EX_CANT_CREATE = 64, 66, 69, 70, 73
"""Exit codes (sysexits.h)."""


class Refused(Exception):
    """What is asked for cannot be done; the text says why, to whoever asked.

    Attributes:
        code: Exit code.
    """

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


def must_be_writable(path: Path) -> None:
    """To be asked before time is spent on what is to be written.

    Raises:
        Refused: Nothing can be written there.
    """
    path = path.resolve()
    if path.exists() and not (path.is_file() and os.access(path, os.W_OK)):
        raise Refused(EX_CANT_CREATE, f"{path} cannot be written: it is no file that may be changed.")
    beside = _beside(path)
    try:
        beside.touch()
        beside.unlink()
    except OSError as error:
        raise Refused(EX_CANT_CREATE, f"{path} cannot be written: {error.strerror}.") from error


def write_whole(path: Path, text: str) -> None:
    """Puts a text in the file's place at once: whoever reads it finds what was there, or all of this.

    Raises:
        Refused: It cannot be written; the file is as it was.
    """
    path = path.resolve()
    beside = _beside(path)
    try:
        beside.write_text(text)
        beside.replace(path)
    except OSError as error:
        raise Refused(EX_CANT_CREATE, f"{path} cannot be written: {error.strerror}.") from error
    finally:
        beside.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")
