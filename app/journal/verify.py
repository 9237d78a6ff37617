"""Proves a journal consistent: SQLite's own checks, and the tables against what the events give (`app.journal.replay`).

One snapshot is read, beside whoever writes. Orders and legs were inserted in the order of their first events, so that
the tables are read side by side, each once and from its beginning to its end: what is kept in memory are the orders
that are not yet as their rows say, which in a journal that is in order are those that were under way at once.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from zlib import crc32

from attrs import define, evolve, field, frozen

from app.domain import ids
from app.domain.fill_sums import FillSum
from app.domain.leg_life import MAY_FILL
from app.journal.errors import NEVER_BETTER, JournalError, JournalUnusable, translated
from app.journal.news import FILL
from app.journal.replay import ADJUSTMENT, DIM, Event, Life, Replay
from app.journal.row_order import MAX_OPEN, Row, Rows
from app.journal.rows import leg_of, row_of_leg, symbol_of
from app.journal.schema import SCHEMA_VERSION, events, fills, legs, orders
from app.journal.sums import differences
from app.journal.verify_rest import controls_differ, history_differs
from messages.orders import OrderKey

MAX_FINDINGS = 100
"""Told in words; the rest is counted."""
_ORDER = tuple(column.name for column in orders.columns)
_LEG = tuple(column.name for column in legs.columns)
_FILL_KEY = tuple(column.name for column in fills.primary_key)
_FILL = (*_FILL_KEY, *(column.name for column in fills.columns if column.name not in _FILL_KEY))
_EVENT = tuple(column.name for column in events.columns)
_CREATED = _ORDER.index("created_s")
_ASKED = _ORDER[1:_CREATED]
_AT = {name: at for at, name in enumerate(_LEG)}
_UPDATED = _AT["updated_s"]


@frozen(kw_only=True)
class Report:
    """What was found.

    Attributes:
        findings: What is not as it must be, a sentence each, the first `MAX_FINDINGS`.
        more: How many more there are.
        live: Orders that are, or may be, live.
        route: The exchange new orders go to; empty where there is none.
        older: Events of older schemas, which say less and were checked as far as they do.
    """

    journal_id: str = ""
    orders: int = 0
    legs: int = 0
    events: int = 0
    older: int = 0
    live: int = 0
    route: str = ""
    findings: tuple[str, ...] = ()
    more: int = 0

    @property
    def consistent(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


@define
class _Found:
    findings: list[str] = field(factory=list)
    more: int = 0

    def tell(self, words: str) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(words)
        else:
            self.more += 1


def reading(path: Path) -> sqlite3.Connection:
    """A connection that only reads, to a journal that is there.

    Raises:
        JournalError: It cannot be opened.
    """
    with translated(str(path)):
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0, isolation_level=None)
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            db.close()
            raise
        return db


def verify(path: Path) -> Report:
    """Proves the journal in a file, whether or not a daemon writes to it.

    Raises:
        JournalUnusable: It is no journal, or of another schema.
        JournalError: It cannot be read now.
    """
    # SQLite's own check reads all of it too: on a thread of its own, since the driver lets go of the interpreter.
    said: list[str] = []
    thread = threading.Thread(target=_own_check, args=(path, said), name="integrity-check")
    with closing(reading(path)) as db:
        with translated(str(path)):
            known_schema(db, path)
        found = _Found()
        thread.start()
        try:
            report = _proven(db, found)
        finally:
            thread.join()
    for words in said:
        found.tell(words)
    return evolve(report, findings=tuple(found.findings), more=found.more)


def _proven(db: sqlite3.Connection, found: _Found) -> Report:
    try:
        return verify_tables(db, found)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in NEVER_BETTER:
            raise JournalError(f"The journal cannot be read to its end now: {error}.") from error
        found.tell(f"It cannot be read to its end: {error}.")
        return Report()


def _own_check(path: Path, said: list[str]) -> None:
    try:
        with closing(reading(path)) as db:
            said += [f"SQLite: {row[0]}." for row in db.execute(f"PRAGMA integrity_check({MAX_FINDINGS})")]
            if said == ["SQLite: ok."]:
                said.clear()
            for table, number, parent, _ in db.execute("PRAGMA foreign_key_check").fetchmany(MAX_FINDINGS):
                said.append(f"Row {number} of {table} names a row of {parent} that is not there.")
    except sqlite3.Error as error:
        said.append(f"SQLite: {error}.")


def known_schema(db: sqlite3.Connection, path: Path) -> None:
    """Raises JournalUnusable where it is no journal, or of another schema."""
    there = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
    if there is None:
        raise JournalUnusable(f"The database at {path} is no journal of order-router.")
    found = dict(db.execute("SELECT name, value FROM meta").fetchall())
    if found.get("schema_version") != str(SCHEMA_VERSION):
        raise JournalUnusable(
            f"The journal at {path} has schema {found.get('schema_version')}, this version of order-router knows"
            f" {SCHEMA_VERSION}: start the daemon on it once, which brings an older one to this schema."
        )


def verify_tables(db: sqlite3.Connection, found: _Found | None = None) -> Report:
    """Proves what the tables say, of an open connection; SQLite's own checks are apart."""
    found = found or _Found()
    began = not db.in_transaction
    if began:
        db.execute("BEGIN")
    try:
        return _Check(db, found).run()
    finally:
        if began:
            db.execute("ROLLBACK")


@define
class _Open:
    """An order that is not yet as its rows say."""

    life: Life
    order: Row | None
    legs: list[Row | None]


class _Check:
    def __init__(self, db: sqlite3.Connection, found: _Found) -> None:
        self._db = db
        self._tell = found.tell
        self._found = found
        self._meta = dict(db.execute("SELECT name, value FROM meta").fetchall())
        self._orders = Rows(db, "orders", _ORDER, 1)
        self._legs = Rows(db, "legs", _LEG, 2)
        self._fills = Rows(db, "fills", _FILL, len(_FILL_KEY))
        self._open: dict[str, _Open] = {}
        self._live = 0
        self._replay = Replay(str(self._meta.get("journal_id")), self._tell)

    def run(self) -> Report:
        """All of it."""
        if not ids.is_journal_id(self._replay.journal_id):
            self._tell(f"The journal's id is {self._replay.journal_id}, which is none.")
        if set(self._meta) != {"journal_id", "schema_version"}:
            self._tell(f"The journal says of itself {', '.join(map(str, self._meta))}, and not its id and schema.")
        if self._meta.get("schema_version") != str(SCHEMA_VERSION):
            self._tell(f"The journal's schema is {self._meta.get('schema_version')}, and not {SCHEMA_VERSION}.")
        for row in self._db.execute(f"SELECT {', '.join(_EVENT)} FROM events ORDER BY sequence"):
            self._take(Event(*row))
            if len(self._open) > MAX_OPEN:
                self._tell(f"More than {MAX_OPEN} orders are not as their events say: the rest was not looked at.")
                break
        for open_ in self._open.values():
            self._differences(open_)
        for row in self._orders.rest():
            self._tell(f"Order {row[0]} is in no event.")
        for row in self._legs.rest():
            self._tell(f"Leg {row[1]} of order {row[0]} is in no event.")
        for row in self._fills.rest():
            self._tell(f"Execution {row[2]} of {row[1]} on {row[0]} is in no event.")
        self._end_of_events()
        self._routes()
        self._switches()
        self._adjustments()
        beside = controls_differ(self._db, self._replay.controls), history_differs(self._db)
        for words in (*differences(self._db), *beside[0], *beside[1]):
            self._tell(words)
        route = self._replay.routes[max(self._replay.routes)] if self._replay.routes else None
        return Report(
            journal_id=self._replay.journal_id,
            orders=self._orders.count,
            legs=self._legs.count,
            events=self._replay.events,
            older=self._replay.older,
            live=self._live,
            route="" if route is None or route.exchange is None else route.exchange,
            findings=tuple(self._found.findings),
            more=self._found.more,
        )

    # ------------------------------------------------------------------------------------------------ orders

    def _take(self, event: Event) -> None:
        if event.order_id is None:
            self._replay.take(event, None)
            return
        open_ = self._open.get(event.order_id)
        if open_ is None:
            open_ = self._again(event)
            if open_ is not None:
                self._open[event.order_id] = open_
        life = self._replay.take(event, None if open_ is None else open_.life)
        if life is None:
            return
        if open_ is None:
            open_ = self._open[event.order_id] = _Open(life, self._orders.take(event.order_id), [])
            if open_.order is None:
                self._tell(f"Event {event.sequence}: order {event.order_id} is not there.")
            elif life.key is None:
                life.key = OrderKey(strategy=open_.order[1], client_order_id=open_.order[2])
                wire_id = ids.wire_id(self._replay.journal_id, life.key, 1)
                life.legs[0] = evolve(life.legs[0], wire_id=wire_id)
        while len(open_.legs) < len(life.legs):
            number = len(open_.legs) + 1
            open_.legs.append(self._legs.take(event.order_id, number))
            if open_.legs[-1] is None:
                self._tell(f"Event {event.sequence}: leg {number} of order {event.order_id} is not there.")
        if event.kind == FILL:
            self._fill(event, open_)
        if not life.legs:
            self._tell(f"Event {event.sequence}: order {event.order_id} has no leg.")
            return
        leg, row = life.legs[-1], open_.legs[-1]
        # What comes last of an order sets the time of its newest leg, most often: only then is it worth to look closer.
        if (
            row is not None
            and (row[_UPDATED] == leg.updated_s or event.kind == "exits")
            and next(_different(open_), None) is None
        ):
            del self._open[event.order_id]
            self._live += any(each.state in MAY_FILL for each in life.legs)

    def _fill(self, event: Event, open_: _Open) -> None:
        """An execution, as its event says and as its row does."""
        if open_.order is None:
            return
        facts = self._replay.facts
        try:
            symbol = str(symbol_of(dict(zip(_ORDER, open_.order, strict=False))))
        except ValueError as error:
            self._tell(f"Order {event.order_id} is of no market: {error}.")
            return
        row = self._fills.take(event.exchange, symbol, facts.get("trade_id"), facts.get("side"))
        if row is None:
            self._tell(f"Event {event.sequence}: execution {facts.get('trade_id')} is not among the fills.")
            return
        due = {**facts, "order_id": event.order_id, "leg": event.leg}
        for name, value in zip(_FILL[len(_FILL_KEY) :], row[len(_FILL_KEY) :], strict=False):
            if value != due.get(name):
                words = f"{name} is {value}, and by its event {due.get(name)}."
                self._tell(f"Execution {facts.get('trade_id')} of order {event.order_id}: {words}")

    def _again(self, event: Event) -> _Open | None:
        """An order that was as its rows say, and of which there is more; None for one that was not there yet."""
        if event.leg == 1 and event.kind == "intent" and '"order"' in event.detail:
            return None  # by its own word: not even looked for
        order = self._orders.seen(event.order_id)
        if order is None:
            return None
        rows: list[Row | None] = []
        while (row := self._legs.seen(event.order_id, len(rows) + 1)) is not None:
            rows.append(row)
        try:
            lives = [leg_of(dict(zip(_LEG, row, strict=False))) for row in rows if row is not None]
        except (ValueError, ArithmeticError, TypeError):
            return None  # found already, where it was compared
        life = Life(
            order_id=order[0],
            key=OrderKey(strategy=order[1], client_order_id=order[2]),
            created_s=order[_CREATED],
            order=dict(zip(_ASKED, order[1:_CREATED], strict=True)),
            legs=lives,
            dim=set() if event.checksum is not None else {leg.number for leg in lives},
        )
        for number, quantity, price in self._db.execute(
            "SELECT leg, quantity, price FROM fills WHERE order_id = ? AND rowid <= ?",
            (life.order_id, self._fills.last),
        ):
            life.sums.setdefault(number, FillSum()).add(Decimal(quantity), Decimal(price))
        self._live -= any(leg.state in MAY_FILL for leg in lives)
        return _Open(life, order, rows)

    def _differences(self, open_: _Open) -> None:
        for words in _different(open_):
            self._tell(words)

    # ------------------------------------------------------------------------------------------------ the rest

    def _end_of_events(self) -> None:
        last = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        told = 0 if last is None else last[0]
        if told != self._replay.sequence:
            self._tell(f"The last event is {self._replay.sequence}, and {told} were written.")

    def _routes(self) -> None:
        due = dict(self._replay.routes)
        for epoch, exchange, fenced_s, committed_s in self._db.execute(
            "SELECT epoch, exchange, fenced_s, committed_s FROM routes ORDER BY epoch"
        ):
            life = due.pop(epoch, None)
            if life is None:
                self._tell(f"Epoch {epoch} is in no event.")
            elif (exchange, fenced_s, committed_s) != (life.exchange, life.fenced_s, life.committed_s):
                there = f"fenced at {fenced_s}, given to {exchange} at {committed_s}"
                told = f"fenced at {life.fenced_s}, given to {life.exchange} at {life.committed_s}"
                self._tell(f"Epoch {epoch} is {there}, and by its events {told}.")
        for epoch in due:
            self._tell(f"Epoch {epoch} is in the events, and not among the routes.")

    def _switches(self) -> None:
        due = dict(self._replay.switches)
        for epoch, body, finished in self._db.execute("SELECT switch_id, body, finished FROM switches"):
            told = due.pop(epoch, None)
            if told is None and self._replay.older:
                continue
            if told != (finished, crc32(body.encode())):
                self._tell(f"The switch of epoch {epoch} is not as its events say.")
        for epoch in due:
            self._tell(f"The switch of epoch {epoch} is in the events, and not in the history.")

    def _adjustments(self) -> None:
        due = iter(self._replay.adjustments)
        for row in self._db.execute(f"SELECT {', '.join(ADJUSTMENT)} FROM adjustments ORDER BY number"):
            told = next(due, None)
            if told is None:
                self._tell(f"Difference {row[0]} is in no event.")
            elif tuple(row) != told:
                self._tell(f"Difference {row[0]} is not as its event says: {tuple(row)}, and not {told}.")
        for told in due:
            self._tell(f"Difference {told[0]} is in the events, and not among what was taken over.")


def _different(open_: _Open) -> Iterator[str]:
    """Where an order's rows are not as its events say, a sentence each."""
    life = open_.life
    if open_.order is not None:
        if open_.order[_CREATED] != life.created_s:
            yield f"Order {life.order_id}: created_s is {open_.order[_CREATED]}, and by its events {life.created_s}."
        if life.order is not None and open_.order[1:_CREATED] != tuple(map(life.order.get, _ASKED)):
            for name, value in zip(_ASKED, open_.order[1:], strict=False):
                if value != life.order.get(name):
                    yield f"Order {life.order_id}: {name} is {value}, and by its events {life.order.get(name)}."
    for leg, row in zip(life.legs, open_.legs, strict=False):
        if row is None:
            continue
        due = row_of_leg(life.order_id, leg)
        if row[:-1] == tuple(due.values()):
            continue
        for name in DIM if leg.number in life.dim else _LEG:
            value = row[_AT[name]]
            if value != due[name]:
                yield f"Leg {leg.number} of order {life.order_id}: {name} is {value}, and by its events {due[name]}."
