"""The journal's operations, each one transaction.

SQLite in WAL mode: readers never wait, one writer at a time, and what was committed survives kill -9 of any process
(synchronous NORMAL) or a power cut too (`power_safe`, FULL). Route commits are always FULL: a fence
that a power cut could undo would be none.

Every actor process opens its own; a connection never crosses a fork.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from errno import ENOENT
from functools import partial
from pathlib import Path
from typing import Any

from app.domain import ids
from app.domain.commit import CommitAgain, CommitNew, Decision, Inadmissible, Judge, decide
from app.domain.elsewhere import Elsewhere
from app.domain.leg_life import ASKED, CHANGES, DOUBTED, SAME, LegEvent, Terms, advance, resolved
from app.domain.moving import balances
from app.domain.reduce_across import NothingToReduce, Reduces
from app.journal import statements as hot
from app.journal.adjustments import Adjustments
from app.journal.aside import Asides
from app.journal.carries import Carries
from app.journal.checkpoints import PAGE_BYTES, writer_pages
from app.journal.cold import Cold
from app.journal.controls import ControlsKept
from app.journal.errors import JournalError, JournalUnusable, StaleEpoch, translated
from app.journal.facts import as_told, checksum, of_intent, of_report
from app.journal.fills import Fills
from app.journal.memory import Memory
from app.journal.moves import Moves
from app.journal.news import of_news
from app.journal.patience import BUSY_TIMEOUT_S, WriteLock
from app.journal.place import Place
from app.journal.routes import Routes
from app.journal.rows import (
    learned_leg,
    leg_again,
    life_of,
    new_leg,
    row_of_leg,
    row_of_order,
    row_of_terms,
    text,
    with_leg,
)
from app.journal.schema import SCHEMA_VERSION, make_schema, meta
from app.journal.written import Committed, Recorded
from messages.orders import LegView, Linked, OrderKey, OrderSpec, OrderView, Purpose

__all__ = ["BUSY_TIMEOUT_S", "Committed", "Journal", "JournalError", "JournalUnusable", "Recorded", "StaleEpoch"]

ZERO = Decimal(0)


class Journal(Adjustments, Asides, ControlsKept, Fills, Moves, Routes, Carries):
    """An open journal. Not thread-safe: one thread of one process."""

    def __init__(
        self,
        path: Path | None,
        *,
        power_safe: bool = False,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        make: bool = True,
    ) -> None:
        """Opens the journal, creating it with mode 0600 if it is not there.

        Args:
            path: The database file; None keeps it in memory.
            power_safe: Whether acknowledged orders survive a power cut, not only the death of processes.
            busy_timeout_s: How long a writer waits for another; see `app.journal.patience.busy_timeout_s`.
            make: Whether one that is not there is made; else that is an error.

        Raises:
            JournalUnusable: It is not a journal, damaged, or of another schema.
            JournalError: It cannot be opened now.
        """
        self._where = str(path) if path else ":memory:"
        self._power_safe = power_safe
        with translated(self._where):
            if path is not None and not make and not path.exists():
                raise FileNotFoundError(ENOENT, os.strerror(ENOENT))
            if path is not None and not path.is_file():
                # Not where it is there: closing any descriptor of it drops the locks this process holds on it.
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = self._connected(busy_timeout_s)
            self._db.row_factory = sqlite3.Row
            self._lock = WriteLock(self._db, busy_timeout_s)
            self._memory = Memory()
            self._joined = False
            self._db.execute(f"PRAGMA page_size={PAGE_BYTES}")  # of a new one; no other changes
            self._db.execute("PRAGMA journal_mode=WAL")
            (page_bytes,) = self._db.execute("PRAGMA page_size").fetchone()
            self._db.execute(f"PRAGMA wal_autocheckpoint={writer_pages(page_bytes)}")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._synchronous(power_safe)
            self._cold = Cold(self._db)
            self._place = None if path is None else Place(path)
            self.journal_id = self._open_schema()

    def _connected(self, busy_timeout_s: float) -> sqlite3.Connection:
        return sqlite3.connect(self._where, timeout=busy_timeout_s, isolation_level=None)

    def close(self) -> None:
        """Closes the connection; the journal stays."""
        self._cold.close()
        self._db.close()

    def trouble(self) -> str:
        """Why the journal takes no new order, in one sentence; empty where nothing speaks against it."""
        return "" if self._place is None else self._place.trouble()

    def _open_schema(self) -> str:
        # Read first: an actor must be able to start while another, which may hang, is in the middle of a write. And by
        # the driver: through SQLAlchemy it would take longer than all the rest of opening.
        new = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (meta.name,)).fetchone() is None
        found = {} if new else dict(hot.READ_META(self._db).fetchall())
        if not found or int(found["schema_version"]) < SCHEMA_VERSION:
            self._cold.ready()
            with self._transaction(), self._cold.connection() as core:
                found = make_schema(core)
        if int(found["schema_version"]) != SCHEMA_VERSION:
            raise JournalUnusable(
                f"The journal at {self._where} has schema {found['schema_version']}, this version of order-router "
                f"knows {SCHEMA_VERSION}: run the version that wrote it, or choose another state directory."
            )
        return str(found["journal_id"])

    @contextmanager
    def together(self) -> Iterator[None]:
        """One transaction for every `commit_intent` and `record` inside: all of them are written, or none.

        Nothing of what they return may be acted upon before this is left without an error.

        Raises:
            JournalError: Nothing was written.
        """
        with self._transaction():
            joined, self._joined = self._joined, True
            try:
                yield
            finally:
                self._joined = joined

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._joined:
            yield
            return
        with translated(self._where):
            self._lock.begin()
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._memory.undone()
                if self._db.in_transaction:  # SQLite has ended it by itself where the disk is full, for one
                    self._db.execute("ROLLBACK")
                raise

    # ------------------------------------------------------------------------------------------------ orders

    def _event(
        self,
        kind: str,
        now_s: float,
        *,
        order_id: str | None = None,
        leg: int | None = None,
        exchange: str | None = None,
        epoch: int | None = None,
        told: tuple[str, int] | None = None,
        **facts: Any,
    ) -> int:
        at_s, detail = float(now_s), as_told(facts)
        strategy, number = (None, None) if told is None else told
        cursor = hot.ADD_EVENT(
            self._db,
            at_s=at_s,
            kind=kind,
            order_id=order_id,
            leg=leg,
            exchange=exchange,
            epoch=epoch,
            detail=detail,
            strategy=strategy,
            number=number,
            checksum=checksum(at_s, kind, order_id, leg, exchange, epoch, detail, strategy, number),
        )
        return int(cursor.lastrowid or 0)

    def commit_intent(
        self,
        *,
        exchange: str,
        epoch: int,
        key: OrderKey,
        spec: OrderSpec,
        expiry_s: float,
        now_s: float,
        problem: str = "",
        judge: Judge | None = None,
        linked: bool = False,
        purpose: Purpose = Purpose.ORDER,
        max_unresolved: int | None = None,
        elsewhere: Elsewhere | None = None,
        across: Callable[[], str] | None = None,
    ) -> Committed | Decision:
        """Fence, duplicate check and intent in one transaction: the leg returned may be sent, once.

        Args:
            exchange: Of the connector that asks.
            epoch: Of the route the requester holds.
            expiry_s: Until when the exchange may begin to execute it.
            problem: Why the exchange's rules do not admit the order; empty when they do.
            judge: Holds it against the limits; None where there are none.
            linked: Whether its take profit and stop loss are to be orders of their own, since it cannot carry them.
            purpose: What it is for, which decides where it may go (`app.domain.commit`).
            max_unresolved: At so many legs in doubt, over all exchanges, nothing else is placed; None for no limit.
            elsewhere: The owner's leave to place what nobody knows of elsewhere; None where it is held.
            across: Where reduce-only holds over all exchanges (`app.domain.reduce_across`), why the exchange's rules do
                not admit the order without the flag; None where each exchange holds it to its own position.

        Returns:
            `Committed`, or why not: `AlreadyKnown`, `BodyDiffers`, `Fenced`, `Inadmissible`, or what `judge` said.

        Raises:
            JournalError: Nothing was written.
        """
        order_id = ids.order_id(self.journal_id, key)
        with self._transaction():
            self._memory.refresh(self._db)
            known = self._memory.order(order_id) or self._read(order_id)
            if self._memory.route is None:
                self._memory.route = self._route()
            decision = decide(
                route=self._memory.route,
                known=known,
                exchange=exchange,
                epoch=epoch,
                spec=spec,
                client_order_id=key.client_order_id,
                problem=problem or (self._meets_own(exchange, spec) if purpose is Purpose.MOVE else ""),
                judge=judge,
                purpose=purpose,
                controls=self._controls_now(),
                open_orders=lambda: int(hot.COUNT_OPEN(self._db).fetchone()[0]),
                unresolved=self._in_doubt,
                max_unresolved=max_unresolved,
                elsewhere=elsewhere,
                held=self._held_notional,
                reduce=None if across is None else partial(self._reduce, spec, exchange, across),
            )
            if purpose is Purpose.EXIT:
                epoch = self._memory.route.epoch
            elif self._place is not None and isinstance(decision, CommitNew | CommitAgain):
                self._place.check()
            new = None
            if isinstance(decision, CommitNew):
                if known is not None and decision.aside is not None:  # first: one leg at most may be live
                    known = self._set_aside(known, decision.aside, exchange, now_s)
                if known is None:
                    new = row_of_order(order_id, key, spec, now_s)
                    hot.ADD_ORDER(self._db, **new)
                    known = OrderView(order_id=order_id, key=key, spec=spec, legs=(), created_s=now_s)
                wire_id = ids.wire_id(self.journal_id, key, decision.number)
                mark = Linked.OPEN if linked else None
                leg = new_leg(decision, wire_id, exchange, epoch, expiry_s=expiry_s, now_s=now_s, linked=mark)
                hot.ADD_LEG(self._db, **row_of_leg(order_id, leg))
                self._placed(exchange, spec.symbol, now_s)
            elif isinstance(decision, CommitAgain):
                assert known is not None
                before = known.legs[decision.number - 1]
                leg = self._commit_again(before, order_id, epoch, expiry_s, now_s)
                self._moved(spec, before, leg)
            else:
                return decision
            facts = of_intent(leg, new)
            self._event("intent", now_s, order_id=order_id, leg=leg.number, exchange=exchange, epoch=epoch, **facts)
            order = with_leg(known, leg)
        self._memory.wrote(order)
        return Committed(order=order)

    def _reduce(
        self, spec: OrderSpec, exchange: str, across: Callable[[], str], quantity: Decimal, flagged: bool | None
    ) -> Reduces | NothingToReduce | Inadmissible:
        found = self._reduction(spec, quantity, exchange, flagged)
        if isinstance(found, Reduces) and not found.flagged and (problem := across()):
            return Inadmissible(words=problem)
        return found

    def _commit_again(self, leg: LegView, order_id: str, epoch: int, expiry_s: float, now_s: float) -> LegView:
        state = advance(life_of(leg), LegEvent.RECOMMITTED).state
        hot.COMMIT_AGAIN(
            self._db,
            key_order=order_id,
            key_leg=leg.number,
            state=state.value,
            epoch=epoch,
            committed_s=now_s,
            expiry_s=expiry_s,
        )
        return leg_again(leg, epoch, expiry_s=expiry_s, now_s=now_s)

    def record(
        self,
        order_id: str,
        number: int,
        event: LegEvent,
        *,
        now_s: float,
        filled: Decimal | None = None,
        average_price: Decimal | None = None,
        exchange_order_id: str | None = None,
        code: str | None = None,
        words: str | None = None,
        native_code: str | None = None,
        terms: Terms = SAME,
        settles: bool = False,
        until_s: float | None = None,
    ) -> Recorded:
        """Records what was learned of a leg.

        Args:
            terms: What it is shown to be for; of AMEND_SENT what is asked for.
            settles: No change of it is in doubt any more.
            until_s: Of REPLACE_ASKED, until when another leg may take its place.

        Raises:
            JournalError: Nothing was written.
            KeyError: There is no such leg.
        """
        with self._transaction():
            self._memory.refresh(self._db)
            order = self._memory.order(order_id) or self._read(order_id)
            if order is None or not 1 <= number <= len(order.legs):
                raise KeyError(f"no leg {number} of order {order_id} in the journal")
            old = order.legs[number - 1]
            leg, behind = life_of(old), number < len(order.legs)
            new = advance(
                leg,
                event,
                filled=filled,
                average_price=average_price,
                terms=terms,
                settles=settles,
                behind=behind,
                at_s=now_s,
                until_s=until_s,
            )
            told = settles or event is LegEvent.AMEND_SETTLED or (new is not leg and event not in ASKED)
            if new is leg and not told and (exchange_order_id is None or old.exchange_order_id is not None):
                return Recorded(order=order, changed=False, sequence=0)
            reason = (code, words, native_code)
            if event in CHANGES:  # why a change was not made is no reason of the leg's own state
                reason = old.reason_code, old.reason_words, old.native_code
            others = order.filled - old.filled if len(order.legs) > 1 else ZERO
            learned = learned_leg(old, new, exchange_order_id, reason, elsewhere=others, now_s=now_s)
            filled_text = text(learned.filled)
            hot.ADVANCE_LEG(
                self._db,
                key_order=order_id,
                key_leg=number,
                state=learned.state.value,
                filled=filled_text,
                average_price=text(learned.average_price),
                exchange_order_id=learned.exchange_order_id,
                reason_code=learned.reason_code,
                reason_words=learned.reason_words,
                native_code=learned.native_code,
                updated_s=now_s,
            )
            self._moved(order.spec, old, learned, slice_=balances(order.key))
            now = row_of_terms(learned, old)
            if now:  # apart from the rest, so that what is never changed does not pay for it
                hot.CHANGE_TERMS(self._db, key_order=order_id, key_leg=number, **now)
            if event is LegEvent.CANCEL_ASKED:
                hot.ASK_CANCEL(self._db, key_order=order_id, key_leg=number, cancel_asked_s=learned.cancel_asked_s)
            elif event is LegEvent.CARRY_ASKED:
                hot.ASK_CARRY(self._db, key_order=order_id, key_leg=number, carry_s=learned.carry_s)
            facts = of_report(
                learned,
                filled=filled,
                average_price=average_price,
                exchange_order_id=exchange_order_id,
                code=code,
                words=words,
                native_code=native_code,
                terms=terms,
                settles=settles,
                until_s=until_s,
            )
            grew = ZERO if learned.filled == old.filled else learned.filled - old.filled
            known = resolved(old.state, learned.state)
            to = None
            if told:
                to = (order.key.strategy, self._next_number(order.key.strategy))
                facts |= of_news(resolved=known, grew=grew, total=others + learned.filled)
            sequence = self._event(
                event.value,
                now_s,
                order_id=order_id,
                leg=number,
                exchange=old.exchange,
                epoch=old.epoch,
                told=to,
                **facts,
            )
            view = with_leg(order, learned)
            excess = self._exceeded(view, learned, now_s) if grew and len(order.legs) > 1 else ZERO
            if (old.state in DOUBTED) is not (learned.state in DOUBTED):
                self._memory.in_doubt = None
        self._memory.wrote(view)
        return Recorded(
            order=view,
            changed=told,
            sequence=sequence,
            number=0 if to is None else to[1],
            resolved=known,
            grew=grew,
            excess=excess,
            contradiction=new.contradiction,
        )
