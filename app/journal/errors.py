"""What can go wrong with the journal, in words."""

from __future__ import annotations

import sqlite3
from types import TracebackType

from sqlalchemy.exc import DBAPIError


class JournalError(Exception):
    """The journal cannot do what was asked: in one sentence, what and why. Nothing was written."""


class JournalUnusable(JournalError):
    """What is there is no journal for us, whenever it is tried again: damaged, something else, or of another schema."""


class StaleEpoch(JournalError):
    """A route commit for an epoch that is not the one fenced last."""


NEVER_BETTER = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
"""Primary result codes (sqlite.org/rescode.html) that tell what the file is, and not what happens to it now."""


class translated:
    """Raises what the driver, SQLAlchemy or the system raise within as `JournalError`.

    A class, since it is around every read: a generator's turn costs as much as reading a row.
    """

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Nothing to be done."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Says it in the journal's words."""
        if isinstance(error, OSError):
            raise JournalError(f"The journal at {self._path} cannot be opened: {error.strerror}.") from error
        if isinstance(error, sqlite3.Error | DBAPIError):
            why = error.orig if isinstance(error, DBAPIError) else error  # without the statement's text
            if getattr(why, "sqlite_errorcode", 0) & 0xFF in NEVER_BETTER:
                raise JournalUnusable(
                    f"The journal at {self._path} cannot be used: {why}; put its newest good copy there, or choose"
                    " another state directory."
                ) from error
            raise JournalError(f"The journal at {self._path} cannot be used now: {why}.") from error
