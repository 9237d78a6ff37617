"""Watches what SQLite does to its files, under whatever code uses Python's own `sqlite3`, and may refuse it.

Python's driver is left as it is. Into the very library it uses, a copy of that library's own VFS for Unix is
registered: it does all the real one does, to real files, but asks a watcher first and tells it afterwards. So it is the
journal as it runs that is watched, with its pragmas, its statements and SQLite's locks. The wal-index (`-shm`) is
shared memory, no file that outlives a power cut, and is not watched.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from sqlite3 import SQLITE_IOERR
from typing import Any, Protocol

from attrs import field, frozen

NAME = "order-router-watched"
"""Of the VFS, in `file:…?vfs=`."""

OUT_OF_REACH = "A simulated disk is not to be had: the SQLite of this Python is built in and hides its names."

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


Step = Named | Unnamed | Wrote | Cut | Synced | SyncedNames


class Watcher(Protocol):
    """Whoever is asked and told. What it raises is raised when watching ends: SQLite cannot hear of it."""

    def refuses(self, step: Step) -> int:
        """SQLite's result code with which a step fails that is about to be done; 0 lets it be done."""
        ...

    def saw(self, step: Step) -> None:
        """A step was done."""
        ...


def reachable() -> bool:
    """Whether the SQLite that Python uses can be watched: not where it is built in and hides its names."""
    return _functions() is not None


@contextmanager
def watching(watcher: Watcher, folder: str | None = None) -> Iterator[None]:
    """Files that connections open within are watched until they are closed.

    Args:
        folder: Of connections that ask for the VFS `NAME`, those to files in this folder; None for all connections of
            the process, whatever they ask for: one such watcher at a time.

    Raises:
        LookupError: The SQLite that Python uses is out of reach.
    """
    shim = _shim()
    shim.enter(watcher, folder)
    try:
        yield
    finally:
        shim.leave(folder)


def _functions() -> tuple[Any, Any, Any] | None:
    library = ctypes.CDLL(_sqlite3.__file__) if hasattr(_sqlite3, "__file__") else ctypes.CDLL(None)
    try:
        find, register, unregister = (
            getattr(library, f"sqlite3_vfs_{name}") for name in ("find", "register", "unregister")
        )
    except AttributeError:
        return None
    find.restype, find.argtypes = _Pointer, (ctypes.c_char_p,)
    register.argtypes, unregister.argtypes = (_Pointer, ctypes.c_int), (_Pointer,)
    return find, register, unregister


_made: list[_Shim] = []
"""The one of this process. Kept until it ends: a connection may outlive whoever watched it."""


def _shim() -> _Shim:
    if not _made:
        functions = _functions()
        if functions is None:
            raise LookupError("The SQLite that this Python uses is built in and hides its names: it cannot be watched.")
        _made.append(_Shim(*functions))
    return _made[0]


class _Shim:
    """Stands between SQLite and its VFS for Unix."""

    def __init__(self, find: Any, register: Any, unregister: Any) -> None:
        self._register, self._unregister = register, unregister
        self._everywhere: Watcher | None = None
        self._folders: dict[str, Watcher] = {}
        self._there: set[str] = set()
        self._files: dict[int, tuple[str, Watcher]] = {}
        self._methods: dict[int, Any] = {}
        self._kept: list[Any] = []
        self._later: list[tuple[Watcher, SyncedNames]] = []
        self._raised: list[Exception] = []
        real = self._real = int(find(None))
        ours = self._ours = (_Pointer * _VFS_WORDS).from_buffer_copy(ctypes.string_at(real, 8 * _VFS_WORDS))
        name = ctypes.create_string_buffer(NAME.encode())
        self._kept.append(name)
        ours[3] = ctypes.addressof(name)
        ours[_X_OPEN] = self._address(_Open(self._opened(_Open(ours[_X_OPEN] or 0))))
        ours[_X_DELETE] = self._address(_Delete(self._deleted(_Delete(ours[_X_DELETE] or 0))))
        self._real_directory = int(_GetCall(ours[_X_GET_CALL] or 0)(real, b"openDirectory"))
        self._directory = self._address(_OpenDirectory(self._opened_directory(_OpenDirectory(self._real_directory))))
        self._set_call = _SetCall(ours[_X_SET_CALL] or 0)

    def enter(self, watcher: Watcher, folder: str | None) -> None:
        if not self._folders and self._everywhere is None:
            assert self._set_call(self._real, b"openDirectory", self._directory) == 0
        if folder is None:
            assert self._everywhere is None, "one watches all connections already"
            self._everywhere = watcher
        else:
            self._folders[folder] = watcher
        assert self._register(ctypes.addressof(self._ours), int(self._everywhere is not None)) == 0

    def leave(self, folder: str | None) -> None:
        if folder is None:
            self._everywhere = None
            self._there.clear()
        else:
            del self._folders[folder]
            self._there = {path for path in self._there if os.path.dirname(path) != folder}
        self._unregister(ctypes.addressof(self._ours))
        self._register(self._real, 1)
        if self._folders or self._everywhere is not None:
            self._register(ctypes.addressof(self._ours), int(self._everywhere is not None))
        else:
            assert self._set_call(self._real, b"openDirectory", self._real_directory) == 0
        raised, self._raised = self._raised, []
        if raised:
            raise raised[0]

    def there(self, folder: str) -> None:
        self._there = {path for path in self._there if os.path.dirname(path) != folder}
        self._there.update(os.path.join(folder, name) for name in os.listdir(folder))

    def _watcher(self, path: str) -> Watcher | None:
        return self._folders.get(os.path.dirname(path), self._everywhere)

    def _tell(self, watcher: Watcher, step: Step) -> None:
        try:
            watcher.saw(step)
        except Exception as error:  # raised when watching ends: here it would be written to stderr, and forgotten
            self._raised.append(error)

    def _ask(self, watcher: Watcher, step: Step) -> int:
        try:
            return watcher.refuses(step)
        except Exception as error:
            self._raised.append(error)
            return SQLITE_IOERR

    def _address(self, callback: Any) -> int:
        self._kept.append(callback)
        address = ctypes.cast(callback, _Pointer).value
        assert address is not None
        return address

    # ---- in the place of the real ones: each asks, does what the real one does, and tells what has succeeded ----

    def _opened(self, open_: Any) -> Any:
        def opened(_vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
            code = int(open_(self._real, name, file, flags, out))
            if code != 0 or name is None:
                return code
            path = os.fsdecode(ctypes.string_at(name))
            watcher = self._watcher(path)
            if watcher is not None:
                if path not in self._there:  # made by this, or just before: the journal makes its file itself
                    self._there.add(path)
                    self._tell(watcher, Named(path))
                self._files[file] = path, watcher
                word = ctypes.cast(file, ctypes.POINTER(_Pointer))
                word[0] = self._replaced(int(word[0] or 0))
            return code

        return opened

    def _replaced(self, methods: int) -> int:
        if methods not in self._methods:
            ours = (_Pointer * _METHODS_WORDS).from_buffer_copy(ctypes.string_at(methods, 8 * _METHODS_WORDS))
            close, write = _Close(ours[_X_CLOSE] or 0), _Write(ours[_X_WRITE] or 0)
            truncate, sync = _Truncate(ours[_X_TRUNCATE] or 0), _Sync(ours[_X_SYNC] or 0)
            files, string_at = self._files, ctypes.string_at

            def closed(file: int) -> int:
                files.pop(file, None)
                return int(close(file))

            def wrote(file: int, data: int, size: int, offset: int) -> int:
                path, watcher = files[file]
                step = Wrote(path, offset, string_at(data, size))
                code = self._ask(watcher, step) or int(write(file, data, size, offset))
                if code == 0:
                    self._tell(watcher, step)
                return code

            def cut(file: int, size: int) -> int:
                path, watcher = files[file]
                step = Cut(path, size)
                code = self._ask(watcher, step) or int(truncate(file, size))
                if code == 0:
                    self._tell(watcher, step)
                return code

            def synced(file: int, flags: int) -> int:
                path, watcher = files[file]
                step = Synced(path)
                code = self._ask(watcher, step) or int(sync(file, flags))
                if code == 0:
                    self._tell(watcher, step)
                self._names_too()
                return code

            ours[_X_CLOSE] = self._address(_Close(closed))
            ours[_X_WRITE] = self._address(_Write(wrote))
            ours[_X_TRUNCATE] = self._address(_Truncate(cut))
            ours[_X_SYNC] = self._address(_Sync(synced))
            self._methods[methods] = ours
        return ctypes.addressof(self._methods[methods])

    def _deleted(self, delete: Any) -> Any:
        def deleted(_vfs: int, name: bytes, sync_names: int) -> int:
            path = os.fsdecode(name)
            watcher, step = self._watcher(path), Unnamed(path)
            code = (0 if watcher is None else self._ask(watcher, step)) or int(delete(self._real, name, sync_names))
            if code == 0 and watcher is not None and path in self._there:
                self._there.discard(path)
                self._tell(watcher, step)
            self._names_too()
            return code

        return deleted

    def _names_too(self) -> None:
        """The directory's sync comes within the file's, and follows it."""
        later, self._later = self._later, []
        for watcher, step in later:
            self._tell(watcher, step)

    def _opened_directory(self, open_directory: Any) -> Any:
        def opened(path: bytes, out: Any) -> int:
            code = int(open_directory(path, out))
            watcher = self._watcher(os.fsdecode(path))
            if code == 0 and watcher is not None:
                # It is opened for this alone: what follows is its fsync (os_unix.c, unixSync and unixDelete).
                self._later.append((watcher, SyncedNames(os.path.dirname(os.fsdecode(path)))))
            return code

        return opened


def put_there(folder: str) -> None:
    """Says that the files in a watched folder were put there by others than SQLite: whoever opens one makes none."""
    _shim().there(folder)
