"""What can go wrong with the journal, in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError


class JournalError(Exception):
    """The journal cannot do what was asked: in one sentence, what and why. Nothing was written."""


class StaleEpoch(JournalError):
    """A route commit for an epoch that is not the one fenced last."""


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raises what the driver, SQLAlchemy or the system raise as `JournalError`."""
    try:
        yield
    except OSError as error:
        raise JournalError(f"The journal at {path} cannot be opened: {error.strerror}.") from error
    except (sqlite3.Error, DBAPIError) as error:
        why = error.orig if isinstance(error, DBAPIError) else error  # without the statement's text
        raise JournalError(f"The journal at {path} cannot be used now: {why}.") from error
