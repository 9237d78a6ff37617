"""What SQLite does to its files, recorded: every write, cut, sync and name, under the journal's own code.

Python's `sqlite3` is left as it is. Into the very library it uses, a copy of that library's own VFS for Unix is
registered as the default: it does all the real one does, to real files, and writes down what would matter if the power
went. So it is the journal as it runs that is recorded, with its pragmas, its statements and SQLite's locks.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import field, frozen

_VFS_WORDS, _METHODS_WORDS = 21, 19
"""Of `struct sqlite3_vfs` and `sqlite3_io_methods` (sqlite3.h), where each pair of int is one word."""
_X_OPEN, _X_DELETE, _X_SET_CALL, _X_GET_CALL = 5, 6, 18, 19
_X_CLOSE, _X_WRITE, _X_TRUNCATE, _X_SYNC = 1, 3, 4, 5

_Pointer = ctypes.c_void_p
# The name as the pointer it is: SQLite keeps it, and of bytes only a copy would be handed on.
_Open = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, _Pointer, ctypes.c_int, _Pointer)
_Delete = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_char_p, ctypes.c_int)
_SetCall = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_char_p, _Pointer)
_GetCall = ctypes.CFUNCTYPE(_Pointer, _Pointer, ctypes.c_char_p)
_Close = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer)
_Write = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, ctypes.c_int, ctypes.c_int64)
_Truncate = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_int)
_OpenDirectory = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(ctypes.c_int))


@frozen
class Named:
    """A file got its name."""

    path: str


@frozen
class Unnamed:
    """A file lost its name."""

    path: str


@frozen
class Wrote:
    """Bytes were written."""

    path: str
    offset: int
    data: bytes = field(repr=lambda data: f"{len(data)} bytes")


@frozen
class Cut:
    """A file was made shorter, or longer by nothing."""

    path: str
    size: int


@frozen
class Synced:
    """What was written to a file is on the disk now."""

    path: str


@frozen
class SyncedNames:
    """The names in a directory are on the disk now."""

    directory: str


@frozen
class Acknowledged:
    """Whoever asked for it was told that it is in the journal."""

    what: Any


Step = Named | Unnamed | Wrote | Cut | Synced | SyncedNames | Acknowledged


class Recorder:
    """The recording. One at a time in a process, and all connections it is to see are made while it records."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._there: set[str] = set()
        self._names: dict[int, str] = {}
        self._methods: dict[int, Any] = {}
        self._kept: list[Any] = []

    def acknowledge(self, what: Any) -> None:
        """From here on it has to survive."""
        self.steps.append(Acknowledged(what))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Every connection that is opened within is recorded for as long as it lasts.

        Raises:
            LookupError: The SQLite that Python uses is out of reach: it is built in and hides its names.
        """
        library = ctypes.CDLL(_sqlite3.__file__) if hasattr(_sqlite3, "__file__") else ctypes.CDLL(None)
        try:
            find, register, unregister = (
                getattr(library, f"sqlite3_vfs_{name}") for name in ("find", "register", "unregister")
            )
        except AttributeError:
            raise LookupError("the SQLite that Python uses is built in and hides its names") from None
        find.restype, find.argtypes = _Pointer, (ctypes.c_char_p,)
        register.argtypes, unregister.argtypes = (_Pointer, ctypes.c_int), (_Pointer,)
        real = int(find(None))
        ours = (_Pointer * _VFS_WORDS).from_buffer_copy(ctypes.string_at(real, 8 * _VFS_WORDS))
        name = ctypes.create_string_buffer(b"recorder")
        self._kept += [ours, name]
        ours[3] = ctypes.addressof(name)
        ours[_X_OPEN] = self._address(_Open(self._opened(real, _Open(ours[_X_OPEN] or 0))))
        ours[_X_DELETE] = self._address(_Delete(self._deleted(real, _Delete(ours[_X_DELETE] or 0))))
        real_directory = int(_GetCall(ours[_X_GET_CALL] or 0)(real, b"openDirectory"))
        directory = self._address(_OpenDirectory(self._directory(_OpenDirectory(real_directory))))
        set_call = _SetCall(ours[_X_SET_CALL] or 0)
        assert set_call(real, b"openDirectory", directory) == 0
        assert register(ctypes.addressof(ours), 1) == 0
        try:
            yield
        finally:
            unregister(ctypes.addressof(ours))
            register(real, 1)
            assert set_call(real, b"openDirectory", real_directory) == 0

    def _address(self, callback: Any) -> int:
        self._kept.append(callback)
        address = ctypes.cast(callback, _Pointer).value
        assert address is not None
        return address

    # ---- in the place of the real ones: each does what the real one does, and writes down what has succeeded ----

    def _opened(self, real: int, open_: Any) -> Any:
        def opened(_vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
            code = int(open_(real, name, file, flags, out))
            if code == 0 and name is not None:
                path = os.fsdecode(ctypes.string_at(name))
                if path not in self._there:  # made by this, or just before: the journal makes its file itself
                    self._there.add(path)
                    self.steps.append(Named(path))
                self._names[file] = path
                word = ctypes.cast(file, ctypes.POINTER(_Pointer))
                word[0] = self._replaced(int(word[0] or 0))
            return code

        return opened

    def _replaced(self, methods: int) -> int:
        if methods not in self._methods:
            ours = (_Pointer * _METHODS_WORDS).from_buffer_copy(ctypes.string_at(methods, 8 * _METHODS_WORDS))
            close, write = _Close(ours[_X_CLOSE] or 0), _Write(ours[_X_WRITE] or 0)
            truncate, sync = _Truncate(ours[_X_TRUNCATE] or 0), _Sync(ours[_X_SYNC] or 0)

            def closed(file: int) -> int:
                self._names.pop(file, None)
                return int(close(file))

            def wrote(file: int, data: int, size: int, offset: int) -> int:
                code = int(write(file, data, size, offset))
                if code == 0:
                    self.steps.append(Wrote(self._names[file], offset, ctypes.string_at(data, size)))
                return code

            def cut(file: int, size: int) -> int:
                code = int(truncate(file, size))
                if code == 0:
                    self.steps.append(Cut(self._names[file], size))
                return code

            def synced(file: int, flags: int) -> int:
                at = len(self.steps)
                code = int(sync(file, flags))
                if code == 0:
                    self.steps.insert(at, Synced(self._names[file]))  # the directory's follows the file's
                return code

            ours[_X_CLOSE] = self._address(_Close(closed))
            ours[_X_WRITE] = self._address(_Write(wrote))
            ours[_X_TRUNCATE] = self._address(_Truncate(cut))
            ours[_X_SYNC] = self._address(_Sync(synced))
            self._methods[methods] = ours
        return ctypes.addressof(self._methods[methods])

    def _deleted(self, real: int, delete: Any) -> Any:
        def deleted(_vfs: int, name: bytes, sync_names: int) -> int:
            at = len(self.steps)
            code = int(delete(real, name, sync_names))
            if code == 0:
                self._there.discard(os.fsdecode(name))
                self.steps.insert(at, Unnamed(os.fsdecode(name)))  # the directory is synced after it
            return code

        return deleted

    def _directory(self, open_directory: Any) -> Any:
        def opened(path: bytes, out: Any) -> int:
            code = int(open_directory(path, out))
            if code == 0:  # it is opened for this alone: what follows is its fsync (os_unix.c, unixSync and unixDelete)
                self.steps.append(SyncedNames(os.path.dirname(os.fsdecode(path))))
            return code

        return opened
