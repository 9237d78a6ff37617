"""SQLAlchemy's road to the journal's connection, for the queries that are not hot: made when it is first taken.

A connector that was just restarted takes none of it: what it asks at its start is among the hot statements. Making an
engine takes several milliseconds, and six megabytes of pages that the process would share with its siblings otherwise.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import StaticPool


class Cold:
    """One driver's connection, seen through SQLAlchemy."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._engine: Engine | None = None

    def ready(self) -> Engine:
        """The engine. Where it may not be there yet, to be called before a transaction begins, not within one."""
        if self._engine is None:
            # SQLAlchemy's first connection probes and rolls back, and would end what others began.
            assert not self._db.in_transaction, "the engine has to be made before a transaction begins"
            # Transactions are ours: SQLAlchemy neither begins nor ends one on this connection.
            self._engine = create_engine(
                "sqlite://",
                creator=lambda: self._db,
                poolclass=StaticPool,
                pool_reset_on_return=None,
                isolation_level="AUTOCOMMIT",
                skip_autocommit_rollback=True,
            )
            with self._engine.connect():
                pass  # the probes; later connections leave transactions alone
        return self._engine

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for some statements."""
        with self.ready().connect() as connection:
            yield connection

    def close(self) -> None:
        """Lets go of it; the driver's connection stays open."""
        if self._engine is not None:
            self._engine.dispose()
