"""Secrets that came in environment variables: taken out of the environment, kept in memory, forgotten where not needed.

An environment is copied to every child, printed by `ps e`, by crash reports and by well-meant debug pages, and shown in
`/proc/PID/environ`. So the launcher takes the variables which the configuration names out of it, before it forks:

- out of `os.environ`, so that no program started later inherits them;
- out of the block of memory in which the kernel handed them over. `/proc/PID/environ` shows that block, not
  `os.environ`: unsetting a variable changes nothing there, so the bytes themselves are overwritten. A fork copies the
  block as it is then.

What was taken is inherited by fork. Each actor then keeps what is its own: a connector its exchange's
(`SecretStore.keep_only`), the supervisor all, since it forks connectors again when they die, everybody else nothing
(`SecretStore.drop`).

What this does not do: hide a secret from the same user, who can read the memory itself where the kernel lets him trace
(`app.process.guards.disable_core_dumps` closes that way too). And forgetting is the best that CPython allows: the
store's own copy is overwritten, and so are the environment's, but a text that somebody made of a secret (`get` makes
one) stays in freed memory until that memory is used again.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NoReturn

_ENV_START: Final = 50 - 3
_ENV_END: Final = 51 - 3
"""Fields of /proc/PID/stat, counted by proc(5) from 1; what is split here begins after the second."""

_BYTES_HEADER: Final = bytes.__basicsize__ - 1
"""Where the content of CPython's bytes objects begins."""


class SecretStore:
    """Values by the names of the variables they came from. Never printed, never pickled."""

    def __init__(self) -> None:
        self._values: dict[str, bytearray] = {}

    def get(self, name: str) -> str | None:
        """The value; None where it never was there, or this process has forgotten it."""
        value = self._values.get(name)
        return None if value is None else os.fsdecode(bytes(value))

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def keep_only(self, names: Iterable[str]) -> None:
        """Forgets, in this process, every value but these."""
        kept = set(names)
        for name in [name for name in self._values if name not in kept]:
            value = self._values.pop(name)
            value[:] = bytes(len(value))  # in place: a bytearray keeps its buffer while its length stays

    def drop(self) -> None:
        """Forgets everything, in this process."""
        self.keep_only(())

    def __repr__(self) -> str:
        """Without a value."""
        return f"SecretStore({', '.join(sorted(self._values))})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled: no message and no file may hold them")


_store: Final = SecretStore()


def taken() -> SecretStore:
    """The store of this process; empty where nothing was taken."""
    return _store


def env_secret(name: str) -> str | None:
    """What a variable says: from the store, or from the environment where it was not taken out of that."""
    value = _store.get(name)
    return os.environ.get(name) if value is None else value


def has_env_secret(name: str) -> bool:
    """Whether `env_secret` finds more than white space there. Makes no text of it."""
    value = _store._values.get(name) or os.environb.get(os.fsencode(name))
    return value is not None and len(value) > 0 and not value.isspace()


def take(names: Iterable[str]) -> SecretStore:
    """Moves these variables from the environment into the store; names that are not set are passed over.

    To be called before anything is forked and while there is one thread: the C library's environment has no lock.
    """
    wanted = {os.fsencode(name) for name in names if name}
    for name in sorted(wanted):
        value = os.environb.get(name)
        if value is None:
            continue
        _store._values[os.fsdecode(name)] = bytearray(value)
        _overwrite_c(name)
        del os.environb[name]
        _overwrite_bytes(value)
    if wanted:
        _overwrite_block(wanted)
    return _store


def _overwrite_c(name: bytes) -> None:
    """The C library's copy: in the kernel's block, or on the heap for a variable that was set since the start."""
    getenv = ctypes.CDLL(None).getenv
    getenv.argtypes, getenv.restype = [ctypes.c_char_p], ctypes.c_void_p
    address = getenv(name)
    if address:
        strlen = ctypes.CDLL(None).strlen
        strlen.argtypes, strlen.restype = [ctypes.c_void_p], ctypes.c_size_t
        ctypes.memset(address, 0, strlen(address))


def _overwrite_bytes(value: bytes) -> None:
    """The copy that was in `os.environ`, which nobody has any more but `take` and this function.

    One that somebody else still holds is his, and so are those of a single byte, which the whole interpreter shares.
    """
    ours = 3  # take's name for it, our own, and the argument of getrefcount
    if sys.implementation.name == "cpython" and sys.getrefcount(value) <= ours:
        ctypes.memset(id(value) + _BYTES_HEADER, 0, len(value))


def _overwrite_block(names: set[bytes]) -> None:
    """Every entry of these names in the kernel's block, also one that another of the same name had hidden.

    Read and written in place, since it is our own memory: a copy of it would be one more to overwrite, and
    /proc/self/mem cannot be opened by a process that forbids core dumps.
    """
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return  # no /proc: nobody can read the block there, and getenv has led to the entries that count
    start, end = int(fields[_ENV_START]), int(fields[_ENV_END])
    if not 0 < start < end:
        return
    block = (ctypes.c_char * (end - start)).from_address(start)
    entry = re.compile(rb"(?:\A|(?<=\0))(?:%s)=[^\0]*" % b"|".join(map(re.escape, sorted(names))))
    for found in entry.finditer(block):
        ctypes.memset(start + found.start(), 0, found.end() - found.start())
