"""What can go wrong with the journal, in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError


class JournalError(Exception):
    """The journal cannot do what was asked: in one sentence, what and why. Nothing was written."""


class JournalUnusable(JournalError):
    """What is there is no journal for us, whenever it is tried again: damaged, something else, or of another schema."""


class StaleEpoch(JournalError):
    """A route commit for an epoch that is not the one fenced last."""


NEVER_BETTER = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
"""Primary result codes (sqlite.org/rescode.html) that tell what the file is, and not what happens to it now."""


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raises what the driver, SQLAlchemy or the system raise as `JournalError`."""
    try:
        yield
    except OSError as error:
        raise JournalError(f"The journal at {path} cannot be opened: {error.strerror}.") from error
    except (sqlite3.Error, DBAPIError) as error:
        why = error.orig if isinstance(error, DBAPIError) else error  # without the statement's text
        if getattr(why, "sqlite_errorcode", 0) & 0xFF in NEVER_BETTER:
            raise JournalUnusable(
                f"The journal at {path} cannot be used: {why}; put its newest good copy there, or choose another state"
                f" directory."
            ) from error
        raise JournalError(f"The journal at {path} cannot be used now: {why}.") from error
