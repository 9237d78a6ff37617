"""Nothing that a running router asks of its journal takes longer because the journal is older.

SQLite counts the steps of its own machine, so this needs no clock: what takes as many in a journal with ten times the
orders does not grow. And every statement's plan is read: none may walk through a table that grows.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from typing import Any, Self

import pytest

from app.domain.book import NOTHING
from app.domain.calls import FillReport
from app.domain.carry import Carry
from app.domain.leg_life import LegEvent
from app.domain.verb_words import Change
from app.journal import statements
from app.journal.store import Committed, Journal
from benchmarks.grown import EXCHANGES, STRATEGIES, build
from messages.failover import Switch, SwitchResult
from messages.orders import Linked, Side
from messages.positions import DifferenceKind
from tests.domain.orders import BTC, key, spec

FEW, MANY = 400, 4000
NOW_S = 1_700_000_000.0
GROWS = ("orders", "legs", "events", "fills", "adjustments")
BOUNDED = (
    "ix_one_live_leg",
    "ix_aside",
    "ix_linked_by_exchange",
    "ix_unlisted_by_exchange",
    "ix_unfinished",
    "ix_exceeded",
    "ix_set_aside",
    "ix_unknown",
    "ix_between",
)
"""Indexes of what is not over, which does not become more with age, and of what is rare: alarms, and what an outage had
set aside."""
STRATEGY = STRATEGIES[0]


class Noted(sqlite3.Connection):
    """Keeps every statement as it was given to the driver, with its parameters."""

    def __init__(self, *positional: Any, **named: Any) -> None:
        super().__init__(*positional, **named)
        self.noted: list[tuple[str, Any]] = []

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """As the driver does."""
        self.noted.append((sql, parameters))
        return super().execute(sql, parameters)

    def cursor(self, factory: Any = None) -> Any:
        """SQLAlchemy's way."""
        noted = self.noted

        class Cursor(sqlite3.Cursor):
            def execute(self, sql: str, parameters: Any = ()) -> Self:
                noted.append((sql, parameters))
                return super().execute(sql, parameters)

        return super().cursor(Cursor)


@pytest.fixture(scope="module")
def journals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Journal]]:
    """One of few orders and one of many, by their number, each with as many that are not over."""
    folder = tmp_path_factory.mktemp("grown")
    with pytest.MonkeyPatch.context() as patched:
        connect = sqlite3.connect
        patched.setattr(sqlite3, "connect", lambda *args, **named: connect(*args, factory=Noted, **named))
        opened = {}
        for number in (FEW, MANY):
            build(folder / f"{number}.db", number, NOW_S)
            opened[number] = _with_open(Journal(folder / f"{number}.db"))
        yield opened
        for journal in opened.values():
            journal.close()


def _with_open(journal: Journal) -> Journal:
    route = journal.fence(NOW_S)
    journal.commit_route(route.epoch, EXCHANGES[0], NOW_S)
    for number in range(12):
        order_id = place(journal, f"open-{number}")
        if number % 3 == 0:
            journal.record(order_id, 1, LegEvent.SEEN_OPEN, now_s=NOW_S, exchange_order_id=f"x{number}")
        if number % 3 == 1:
            journal.record(order_id, 1, LegEvent.SENT_AMBIGUOUS, now_s=NOW_S)
        if number == 2:
            journal.mark(order_id, 1, Linked.UNPROTECTED, NOW_S)
    for number in range(FEW):
        journal.save_switch(switch(route.epoch + number))
    return journal


def switch(epoch: int) -> Switch:
    """One that is over."""
    return Switch(
        from_exchange="okx",
        to_exchange="bybit",
        reason="Manual failover",
        at_s=1.0,
        epoch=epoch,
        result=SwitchResult.COMPLETED,
        duration_s=0.1,
        steps=(),
        finished=True,
    )


def place(journal: Journal, name: str) -> str:
    """Commits an intent; returns the order's id."""
    made = journal.commit_intent(
        exchange=EXCHANGES[0],
        epoch=journal.route().epoch,
        key=key(name, STRATEGY),
        spec=spec(),
        expiry_s=NOW_S + 5,
        now_s=NOW_S,
    )
    assert isinstance(made, Committed)
    return made.order.order_id


names = count()


def life(journal: Journal) -> None:
    """An order's, to its end."""
    order_id = place(journal, f"another-{next(names)}")
    journal.record(order_id, 1, LegEvent.SEEN_OPEN, now_s=NOW_S, exchange_order_id="another")
    journal.record(order_id, 1, LegEvent.SEEN_FILLED, now_s=NOW_S, filled=Decimal(1), average_price=Decimal(100))


def renewed(journal: Journal) -> None:
    """One that was absent stands again."""
    journal.renew(
        place(journal, f"again-{next(names)}"),
        1,
        LegEvent.PROVEN_ABSENT,
        exchange=EXCHANGES[0],
        expiry_s=NOW_S + 5,
        now_s=NOW_S,
        check=lambda _: "",
    )


def moved(journal: Journal) -> None:
    """One that was taken off its exchange, parked, let go again, and taken up."""
    order_id = place(journal, f"moved-{next(names)}")
    journal.record(order_id, 1, LegEvent.CARRY_ASKED, now_s=NOW_S)
    journal.record(order_id, 1, LegEvent.SEEN_CANCELLED, now_s=NOW_S, filled=Decimal(0))
    journal.park(order_id, "policy", "It waits.", NOW_S)
    journal.unpark(order_id, "placed_by_owner", "Place it.", NOW_S)
    taken_up = journal.carry(
        order_id,
        1,
        exchange=EXCHANGES[0],
        epoch=journal.route().epoch,
        expiry_s=NOW_S + 5,
        now_s=NOW_S,
        decide=lambda _order, _standing: Carry(quantity=Decimal(1), price=None, trigger_price=None, whole=None),
    )
    assert taken_up.carried.fresh
    journal.record(order_id, 2, LegEvent.SEEN_FILLED, now_s=NOW_S, filled=Decimal(1), average_price=Decimal(100))


def some(journal: Journal, column: str) -> list[str]:
    """Values that ended legs have."""
    rows = sqlite3.Connection.execute(
        journal._db, f"SELECT {column} FROM legs WHERE {column} IS NOT NULL LIMIT 5"
    ).fetchall()
    return [row[0] for row in rows]


def execution(trade_id: str) -> FillReport:
    """One that names its order by the exchange's own id."""
    return FillReport(
        trade_id=trade_id,
        exchange_order_id="x0",
        wire_id=None,
        symbol=BTC,
        side=Side.BUY,
        quantity=Decimal("0.01"),
        price=Decimal(100),
        fee=None,
        fee_coin=None,
        maker=None,
        at_s=NOW_S,
    )


def adopted(journal: Journal) -> None:
    """A difference is taken over."""
    holdings, _ = journal.holdings()
    judged, one = holdings.get((EXCHANGES[0], BTC), NOTHING), Decimal(1)
    kind = DifferenceKind.PERSON
    assert journal.adopt(EXCHANGES[0], BTC, one, one, kind, "words", judged=judged, now_s=NOW_S) is not None


ASKED: dict[str, Callable[[Journal], Any]] = {
    "adjusted": Journal.adjusted,
    "adopt": adopted,
    "attached": lambda journal: journal.attached(EXCHANGES[0], BTC),
    "attributed": lambda journal: journal.attributed(EXCHANGES[0], BTC),
    "attributed_elsewhere": lambda journal: journal.attributed_elsewhere(EXCHANGES[0], BTC),
    "book": Journal.book,
    "carry": moved,
    "closed_orders": lambda journal: (
        journal.closed_orders(STRATEGY, None, 5),
        journal.closed_orders(STRATEGY, BTC, 3),
        journal.closed_orders("nobody", None, 5),
    ),
    "commit_intent": life,
    "control": lambda journal: [
        journal.control(Change(put=(("frozen", "Why."),)), verb="freeze", reason="Why.", now_s=NOW_S),
        journal.control(Change(clear=("frozen",)), verb="unfreeze", reason="Why.", now_s=NOW_S),
    ],
    "controls": Journal.controls,
    "counts": Journal.counts,
    "drained": Journal.drained,
    "dry_commit": Journal.dry_commit,
    "exposures": Journal.exposures,
    "fence": lambda journal: journal.commit_route(journal.fence(NOW_S).epoch, EXCHANGES[0], NOW_S),
    "fills_of": lambda journal: journal.fills_of(some(journal, "order_id")[0]),
    "holdings": Journal.holdings,
    "hear": lambda journal: journal.hear(STRATEGY, journal.heard(STRATEGY, NOW_S) + 1, NOW_S),
    "history_since": lambda journal: journal.history_since(journal.route().epoch),
    "history_add": lambda journal: journal.history_add("fence", 1, {"why": "down"}, NOW_S),
    "last_told": lambda journal: journal.last_told(STRATEGY),
    "last_sequence": Journal.last_sequence,
    "linked": lambda journal: journal.linked(EXCHANGES[0]),
    "mark": lambda journal: journal.mark(journal.open_orders()[2].order_id, 1, Linked.UNPROTECTED, NOW_S),
    "moves_after": lambda journal: tuple(journal.moves_after(1, BTC)),
    "newest": lambda journal: journal.newest(BTC, 5),
    "oldest_unproven_s": Journal.oldest_unproven_s,
    "open_orders": lambda journal: (
        journal.open_orders(),
        journal.open_orders(exchange=EXCHANGES[0]),
        journal.open_orders(strategy=STRATEGY),
    ),
    "order": lambda journal: journal.order(some(journal, "order_id")[0]),
    "owners": lambda journal: journal.owners(some(journal, "wire_id")),
    "owners_there": lambda journal: journal.owners_there(EXCHANGES[0], [execution("1"), execution("2")]),
    "record_fills": lambda journal: journal.record_fills(
        some(journal, "order_id")[0], 1, [execution("1")], now_s=NOW_S
    ),
    "exceeded": Journal.exceeded,
    "held_notional": Journal.held_notional,
    "parked": Journal.parked,
    "renew": renewed,
    "route": Journal.route,
    "between": lambda journal: journal.between(),
    "save_switch": lambda journal: journal.save_switch(switch(7)),
    "stamp": Journal.stamp,
    "standing": Journal.standing,
    "standing_of": lambda journal: journal.standing_of(journal.open_orders()[0], EXCHANGES[0]),
    "switches": lambda journal: (journal.switches(limit=20), journal.switches(unfinished=True)),
    "symbols": lambda journal: journal.symbols(NOW_S - 100.0),
    "told_after": lambda journal: journal.told_after(STRATEGY, journal.last_told(STRATEGY) - 20, 10),
    "to_carry": lambda journal: journal.to_carry(EXCHANGES[0]),
    "trouble": Journal.trouble,
    "unlisted": lambda journal: journal.unlisted(EXCHANGES[0], 10),
    "unprotected": Journal.unprotected,
    "unprotected_on": lambda journal: journal.unprotected_on(EXCHANGES[0]),
    "unknown_trades": lambda journal: journal.unknown_trades(journal.fills_of(some(journal, "order_id")[0])),
}
"""What a running router does with its journal; a new operation is to be added here, or to one of the below."""
WITH = {
    "commit_route": "fence",
    "heard": "hear",
    "move": "moves_after",
    "park": "carry",
    "record": "commit_intent",
    "together": "commit_intent",
    "unpark": "carry",
}
"""Done with another."""
NOT_RUNNING = {
    "close": "ends it",
    "history_rows": "asked by whoever exports the history: all of it",
    "orders_in": "asked by demo and tests: any states",
    "sums_differ": "asked by whoever doubts the sums: adds everything up anew",
}


def steps(journal: Journal, call: Callable[[Journal], Any]) -> int:
    """Of SQLite's machine, in hundreds."""
    counted = 0

    def one_more() -> int:
        nonlocal counted
        counted += 1
        return 0

    journal._db.set_progress_handler(one_more, 100)
    try:
        call(journal)
    finally:
        journal._db.set_progress_handler(None, 0)
    return counted


def test_every_operation_is_looked_at() -> None:
    public = {name for name in dir(Journal) if not name.startswith("_")}
    assert public == ASKED.keys() | WITH.keys() | NOT_RUNNING.keys()


@pytest.mark.parametrize("name", ASKED)
def test_it_takes_no_longer_in_a_journal_of_ten_times_the_orders(journals: dict[int, Journal], name: str) -> None:
    few, many = (steps(journals[number], ASKED[name]) for number in (FEW, MANY))
    assert many <= few * 1.5 + 5, f"{100 * few} steps for {FEW} orders, {100 * many} for {MANY}"


@pytest.mark.parametrize("name", ASKED)
def test_it_walks_through_no_table_that_grows(journals: dict[int, Journal], name: str) -> None:
    journal = journals[FEW]
    noted = _noted(journal)
    noted.clear()
    ASKED[name](journal)
    for sql, parameters in list(noted):
        if not sql.startswith(("PRAGMA", "BEGIN", "COMMIT", "ROLLBACK")):
            assert not walks(journal, sql, parameters), sql


def test_no_hot_statement_does() -> None:
    journal = Journal(None)
    for name, statement in vars(statements).items():
        if isinstance(statement, statements.Hot):
            assert not walks(journal, statement._sql, [None] * len(statement._names)), name
    journal.close()


def test_a_walk_is_seen(journals: dict[int, Journal]) -> None:
    """And so are steps."""
    journal = journals[FEW]
    assert walks(journal, "SELECT count(*) FROM legs WHERE state = ?", ("open",))
    few, many = (steps(journals[number], Journal.sums_differ) for number in (FEW, MANY))
    assert many > 5 * few


def _noted(journal: Journal) -> list[tuple[str, Any]]:
    assert isinstance(journal._db, Noted)
    return journal._db.noted


def walks(journal: Journal, sql: str, parameters: Any) -> list[str]:
    """Lines of a statement's plan that go through all of a table or index that grows."""
    found = []
    for row in journal._db.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall():
        line = row["detail"]
        match = re.match(r"SCAN (\w+?)(_\d+)?( USING (COVERING )?INDEX (\w+))?$", line)
        if match is not None and match[1] in GROWS and match[5] not in BOUNDED:
            found.append(line)
    return found
