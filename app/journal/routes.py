"""The journal's operations for the route, which fences, and for the history of switches.

Route commits are always durable (synchronous FULL): a fence that a power cut could undo would be none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from zlib import crc32

from cattrs.preconf.json import make_converter
from sqlalchemy import insert, select, update

from app.domain.saga_effects import Line
from app.journal import statements as hot
from app.journal.errors import StaleEpoch, translated
from app.journal.history import History
from app.journal.rows import route_of
from app.journal.schema import UNFINISHED, routes, switches
from messages.failover import Route, Switch

_converter = make_converter()
MAX_SWITCHES = 1000
"""Told at once, the newest; the journal keeps all."""


class Routes(History):
    """Of an open journal."""

    _power_safe: bool

    def _synchronous(self, full: bool) -> None:
        self._db.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")

    def _route(self) -> Route:
        row = hot.READ_ROUTE(self._db).fetchone()
        return Route(epoch=0, exchange=None, since_s=0.0) if row is None else route_of(row)

    def route(self) -> Route:
        """Where orders go; epoch 0 and no exchange in a new journal."""
        with translated(self._where):
            return self._route()

    def dry_commit(self) -> Route:
        """What a placement needs of the journal: the write lock, and the route read under it. Nothing is written.

        Raises:
            JournalError: A placement could not be committed now either.
        """
        with self._transaction():
            return self._route()

    @contextmanager
    def _durable_transaction(self) -> Iterator[None]:
        self._cold.ready()
        self._synchronous(True)
        try:
            with self._transaction():
                self._memory.forget()
                yield
        finally:
            self._synchronous(self._power_safe)

    def fence(self, now_s: float) -> Route:
        """Begins a new epoch without an exchange: from here on nothing of an older epoch is committed."""
        with self._durable_transaction():
            epoch = self._route().epoch + 1
            self._run(lambda core: core.execute(insert(routes).values(epoch=epoch, exchange=None, fenced_s=now_s)))
            self._event("fence", now_s, epoch=epoch)
            self._add_history("fence", epoch, {"epoch": epoch}, now_s)
        return Route(epoch=epoch, exchange=None, since_s=now_s)

    def commit_route(self, epoch: int, exchange: str, now_s: float) -> Route:
        """Gives the fenced epoch its exchange. Idempotent.

        Raises:
            StaleEpoch: Another epoch was fenced since, or this one was given to another exchange.
        """
        with self._durable_transaction():
            now = self._route()
            if now.epoch != epoch or now.exchange not in (None, exchange):
                raise StaleEpoch(f"Epoch {epoch} cannot go to {exchange}: the journal's route is {now}.")
            if now.exchange is None:
                change = update(routes).where(routes.c.epoch == epoch).values(exchange=exchange, committed_s=now_s)
                self._run(lambda core: core.execute(change))
                self._event("route", now_s, exchange=exchange, epoch=epoch)
                self._add_history("route", epoch, {"exchange": exchange}, now_s)
            return self._route()

    def between(self) -> bool:
        """Whether anything was taken off its exchange and is not placed elsewhere."""
        with translated(self._where):
            asked = "SELECT order_id FROM legs WHERE legs.state IN ('drained', 'parked') LIMIT 1"
            return self._db.execute(asked).fetchone() is not None

    def save_switch(self, switch: Switch, lines: Sequence[Line] = (), now_s: float | None = None) -> None:
        """Keeps a switch, replacing what was there for its epoch, and appends what happened to it to the history.

        Args:
            now_s: When it happened; None for when the switch began.
        """
        body = _converter.dumps(switch)
        self._cold.ready()
        with self._transaction():
            found = self._db.execute("SELECT 1 FROM switches WHERE switch_id = ?", (switch.epoch,)).fetchone()
            row = {"switch_id": switch.epoch, "body": body, "finished": switch.finished}
            statement = update(switches).where(switches.c.switch_id == switch.epoch) if found else insert(switches)
            self._run(lambda core: core.execute(statement.values(**row)))
            facts = {"finished": switch.finished, "body": crc32(body.encode())}
            self._event("switch", switch.at_s, epoch=switch.epoch, **facts)
            at_s = switch.at_s if now_s is None else now_s
            for line in lines:
                self._add_history(line.step, line.epoch, line.detail, at_s)

    def switches(self, *, unfinished: bool = False, limit: int = MAX_SWITCHES) -> tuple[Switch, ...]:
        """The newest of the history, oldest first."""
        query = select(switches.c.body).order_by(switches.c.switch_id.desc()).limit(limit)
        if unfinished:
            query = query.where(UNFINISHED)
        return tuple(_converter.loads(row.body, Switch) for row in reversed(self._all(query)))
