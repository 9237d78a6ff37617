"""The journal: what it decides, what it keeps when its writer is killed, and how it fails."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from app.domain import ids
from app.domain.commit import AlreadyKnown, BodyDiffers, Decision, Fenced, Inadmissible
from app.domain.leg_life import LegEvent, Terms
from app.journal.schema import ADDED, INDEXED, MADE, SCHEMA_VERSION
from app.journal.store import BUSY_TIMEOUT_S, Committed, Journal, JournalError, JournalUnusable, StaleEpoch
from messages.failover import Switch, SwitchResult
from messages.orders import LegState, OrderView, Trigger, TriggerBy, TriggerKind
from tests.domain.orders import BTC, key, spec

ENOUGH = 200
"""Acknowledgements before the writer is killed."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Journal:
    """One that routes to bybit, in epoch 1."""
    journal = Journal(path)
    journal.fence(1.0)
    journal.commit_route(1, "bybit", 1.0)
    return journal


def commit(
    journal: Journal, name: str = "one", exchange: str = "bybit", epoch: int = 1, problem: str = ""
) -> Committed | Decision:
    """Asks for an intent."""
    return journal.commit_intent(
        exchange=exchange, epoch=epoch, key=key(name), spec=spec(), expiry_s=7.0, now_s=2.0, problem=problem
    )


def committed(journal: Journal, name: str = "one", exchange: str = "bybit", epoch: int = 1) -> OrderView:
    """Asks for an intent that must be had."""
    made = commit(journal, name, exchange, epoch)
    assert isinstance(made, Committed), made
    return made.order


# ---------------------------------------------------------------------------------------------------- opening


def test_a_new_journal_is_private_and_keeps_its_id(path: Path) -> None:
    first = Journal(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ids.is_journal_id(first.journal_id)
    first.close()
    second = Journal(path)
    assert second.journal_id == first.journal_id
    assert second.route().epoch == 0
    second.close()


def test_a_journal_of_another_schema_is_refused_and_left_alone(path: Path) -> None:
    Journal(path).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = ? WHERE name = 'schema_version'", (str(SCHEMA_VERSION + 1),))
    db.close()
    with pytest.raises(JournalUnusable, match=f"schema {SCHEMA_VERSION + 1}.*knows {SCHEMA_VERSION}"):
        Journal(path)


@pytest.mark.parametrize("version", [1, 2])
def test_a_journal_of_an_older_schema_is_brought_to_this_one_with_all_it_holds(
    path: Path, journal: Journal, version: int
) -> None:
    """As that version wrote it, without what came since."""
    made = committed(journal)
    old = journal.record(made.order_id, 1, LegEvent.SEEN_PARTIAL, now_s=3.0, filled=Decimal("0.5")).order
    assert old.leg is not None
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute("CREATE INDEX ix_orders_by_age ON orders (strategy, created_s)")
        db.execute("CREATE INDEX ix_live_by_exchange ON legs (exchange) WHERE state = 'open'")
        for later in range(SCHEMA_VERSION, version, -1):
            for table in MADE.get(later, ()):
                db.execute(f"DROP TABLE {table.name}")
            for index in INDEXED[later]:
                db.execute(f"DROP INDEX {index}")
            for column in ADDED[later]:
                db.execute(f"ALTER TABLE {column.table.name} DROP COLUMN {column.name}")
        db.execute("UPDATE meta SET value = ? WHERE name = 'schema_version'", (str(version),))
    db.close()
    upgraded = Journal(path)
    listed = evolve(old.leg, listed=Decimal("0.5"))  # so that what filled before fills were listed is not asked for
    assert upgraded.order(old.order_id) == evolve(old, legs=(listed,))
    assert upgraded.sums_differ() == ""
    assert upgraded._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'ix_live_by_exchange'").fetchone() is None
    assert upgraded.book()[0] == {("bybit", BTC): Decimal("0.5")}
    assert upgraded.symbols(since_s=9.0) == (str(BTC),)
    trigger = Trigger(kind=TriggerKind.STOP, price=Decimal("23000.5"), by=TriggerBy.MARK)
    two = upgraded.commit_intent(
        exchange="bybit", epoch=1, key=key("two"), spec=evolve(spec(), trigger=trigger), expiry_s=7.0, now_s=2.0
    )
    assert isinstance(two, Committed)
    upgraded.close()
    again = Journal(path)
    known = again.order(two.order.order_id)
    assert known is not None
    assert known.spec.trigger == trigger
    again.close()


def test_a_file_that_is_no_journal_is_refused(path: Path) -> None:
    path.write_text("this is a letter to my aunt, not a database, and it is longer than a header\n" * 20)
    with pytest.raises(JournalUnusable, match=str(path)):
        Journal(path)
    assert path.read_text().startswith("this is a letter")


# ---------------------------------------------------------------------------------------------------- deciding


def test_an_intent_is_had_once(journal: Journal) -> None:
    order = committed(journal)
    assert order.leg is not None
    assert (order.leg.state, order.leg.wire_id) == (
        LegState.INTENT,
        ids.wire_id(journal.journal_id, key("one"), 1),
    )
    again = commit(journal)
    assert isinstance(again, AlreadyKnown)
    assert again.order == order
    other = journal.commit_intent(exchange="bybit", epoch=1, key=key("one"), spec=spec("2"), expiry_s=7.0, now_s=2.0)
    assert isinstance(other, BodyDiffers)


def test_a_fence_stops_the_old_epoch_in_every_connection(journal: Journal, path: Path) -> None:
    other = Journal(path)
    route = other.fence(3.0)
    assert (route.epoch, route.exchange) == (2, None)
    assert isinstance(commit(journal), Fenced)
    assert isinstance(commit(journal, epoch=2), Fenced), "nobody has the new epoch yet"
    other.commit_route(2, "okx", 4.0)
    assert isinstance(commit(journal), Fenced)
    assert isinstance(commit(journal, epoch=2), Fenced), "the epoch is right, the exchange is not"
    assert committed(journal, exchange="okx", epoch=2)
    other.close()


def test_an_inadmissible_order_leaves_no_trace(journal: Journal) -> None:
    assert commit(journal, problem="too small") == Inadmissible(words="too small")
    assert journal.order(ids.order_id(journal.journal_id, key("one"))) is None


def test_a_route_is_committed_once_and_only_for_the_newest_fence(journal: Journal) -> None:
    assert journal.commit_route(1, "bybit", 9.0).since_s == 1.0, "again, and nothing changes"
    with pytest.raises(StaleEpoch):
        journal.commit_route(1, "okx", 9.0)
    journal.fence(9.0)
    with pytest.raises(StaleEpoch):
        journal.commit_route(1, "bybit", 9.0)
    assert journal.route().exchange is None


def test_the_database_itself_refuses_a_second_live_leg(journal: Journal) -> None:
    order = committed(journal)
    with pytest.raises(sqlite3.IntegrityError):
        journal._db.execute(
            "INSERT INTO legs SELECT order_id, 2, 'okx', 1, 'another', quantity, 'open', committed_s, expiry_s, 1,"
            " NULL, '0', NULL, NULL, NULL, NULL, created_s, updated_s, NULL, NULL, NULL, NULL, NULL, NULL,"
            " NULL, NULL, NULL, NULL FROM legs"
            " WHERE order_id = ?",
            (order.order_id,),
        )


def test_what_a_leg_is_for_is_kept_and_the_larger_counts_while_it_is_in_doubt(journal: Journal, path: Path) -> None:
    """Intent first; the order stays what it was asked for at first."""
    order = committed(journal)
    asked = Terms(quantity=Decimal(3), price=Decimal(99))
    journal.record(order.order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0, exchange_order_id="x")
    journal.record(order.order_id, 1, LegEvent.AMEND_SENT, now_s=4.0, terms=asked)
    (doubted,) = journal.exposures()
    assert doubted.quantity == Decimal(3)
    made = journal.record(order.order_id, 1, LegEvent.SEEN_OPEN, now_s=5.0, terms=asked, settles=True)
    assert made.changed
    other = Journal(path)
    known = other.order(order.order_id)
    assert known == made.order
    assert known is not None
    assert (known.spec, known.now.quantity, known.now.price) == (order.spec, Decimal(3), Decimal(99))
    assert known.legs[0].most is None
    assert isinstance(commit(other), AlreadyKnown), "asked for as at first, it is the same order"
    (alive,) = other.exposures()
    assert alive.quantity == Decimal(3)
    other.close()


def test_absence_frees_the_order_for_the_same_leg_or_for_another_exchange(journal: Journal) -> None:
    order = committed(journal)
    journal.record(order.order_id, 1, LegEvent.PROVEN_ABSENT, now_s=3.0, code="absent")
    again = committed(journal)
    assert again.leg is not None
    assert (again.leg.number, again.leg.attempts, again.leg.wire_id) == (1, 2, order.legs[0].wire_id)
    journal.record(order.order_id, 1, LegEvent.PROVEN_ABSENT, now_s=4.0, code="absent")
    journal.fence(5.0)
    journal.commit_route(2, "okx", 5.0)
    elsewhere = committed(journal, exchange="okx", epoch=2)
    assert [leg.exchange for leg in elsewhere.legs] == ["bybit", "okx"]
    assert elsewhere.legs[1].wire_id != order.legs[0].wire_id


# ---------------------------------------------------------------------------------------------------- recording


def test_what_teaches_nothing_is_no_event(journal: Journal) -> None:
    order = committed(journal)
    first = journal.record(order.order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0, exchange_order_id="x")
    before = journal.last_sequence()
    again = journal.record(order.order_id, 1, LegEvent.SEEN_OPEN, now_s=4.0, exchange_order_id="x")
    assert (first.changed, again.changed, again.sequence) == (True, False, 0)
    assert journal.last_sequence() == before == first.sequence


def test_fills_only_grow(journal: Journal) -> None:
    order = committed(journal)
    for filled, known in (("0.4", "0.4"), ("0.2", "0.4"), ("0.9", "0.9")):
        recorded = journal.record(
            order.order_id, 1, LegEvent.SEEN_PARTIAL, now_s=3.0, filled=Decimal(filled), exchange_order_id="x"
        )
        assert recorded.order.filled == Decimal(known)


def test_a_leg_that_is_not_there_is_a_mistake_of_the_caller(journal: Journal) -> None:
    order = committed(journal)
    with pytest.raises(KeyError):
        journal.record(order.order_id, 2, LegEvent.SEEN_OPEN, now_s=3.0)
    with pytest.raises(KeyError):
        journal.record("nobody", 1, LegEvent.SEEN_OPEN, now_s=3.0)


def test_open_orders_counts_and_exposures_say_the_same(journal: Journal) -> None:
    open_, unknown, gone = (committed(journal, name) for name in ("open", "unknown", "gone"))
    journal.record(open_.order_id, 1, LegEvent.SEEN_PARTIAL, now_s=3.0, filled=Decimal("0.5"), exchange_order_id="x")
    journal.record(unknown.order_id, 1, LegEvent.SENT_AMBIGUOUS, now_s=3.0)
    journal.record(gone.order_id, 1, LegEvent.REFUSED, now_s=3.0, code="no")
    assert {order.order_id for order in journal.open_orders(exchange="bybit")} == {open_.order_id, unknown.order_id}
    assert journal.open_orders(exchange="okx") == ()
    assert journal.counts() == {"partially_filled": 1, "unknown": 1, "refused": 1}
    assert journal.oldest_unproven_s() == 2.0
    assert sorted(exposure.filled for exposure in journal.exposures()) == [Decimal(0), Decimal("0.5")]
    assert journal.symbols(0.0) == (str(BTC),)


def test_the_history_replaces_a_switch_and_finds_the_unfinished(journal: Journal) -> None:
    switch = Switch(
        from_exchange="bybit",
        to_exchange="okx",
        reason="Manual failover",
        at_s=1.5,
        epoch=2,
        result=SwitchResult.RUNNING,
        duration_s=0.0,
        steps=(("fence", 0.1),),
        finished=False,
    )
    journal.save_switch(switch)
    assert journal.switches(unfinished=True) == (switch,)
    finished = evolve(switch, result=SwitchResult.COMPLETED, finished=True)
    journal.save_switch(finished)
    assert journal.switches() == (finished,)
    assert journal.switches(unfinished=True) == ()


def test_a_switch_that_was_kept_before_it_carried_evidence_is_read(journal: Journal, path: Path) -> None:
    switch = Switch(
        from_exchange="bybit",
        to_exchange="okx",
        reason="bybit is down",
        at_s=1.5,
        epoch=2,
        result=SwitchResult.COMPLETED,
        duration_s=0.0,
        evidence=("3 failures",),
    )
    journal.save_switch(switch)
    assert journal.switches() == (switch,)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE switches SET body = json_remove(body, '$.evidence')")
    assert journal.switches() == (evolve(switch, evidence=()),)


# ---------------------------------------------------------------------------------------------------- failing


def test_a_locked_journal_is_an_error_in_bounded_time_and_nothing_is_written(journal: Journal, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began_s = time.monotonic()
    with pytest.raises(JournalError, match="locked"):
        commit(journal)
    assert time.monotonic() - began_s < BUSY_TIMEOUT_S + 5.0
    assert journal.route().exchange == "bybit", "readers do not wait"
    other.execute("ROLLBACK")
    other.close()
    assert committed(journal)


def test_a_journal_that_cannot_be_written_is_an_error(journal: Journal) -> None:
    journal._db.execute("PRAGMA query_only=ON")
    for attempt in (
        lambda: commit(journal),
        lambda: journal.fence(5.0),
        lambda: journal.commit_route(1, "bybit", 5.0) and journal.fence(5.0),
    ):
        with pytest.raises(JournalError, match="readonly"):
            attempt()
    journal._db.execute("PRAGMA query_only=OFF")
    assert committed(journal), "and works again when it can be written"
    assert journal.route().epoch == 1


def test_what_was_acknowledged_survives_kill_9_of_the_writer(path: Path) -> None:
    """In the middle of its stream: every line it printed is in the journal, and at most the next one more."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.journal.writer", str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(ENOUGH)]
        writer.kill()
        lines += writer.stdout.readlines()
    finally:
        writer.kill()
        writer.communicate()
    assert writer.returncode == -signal.SIGKILL
    journal = Journal(path)
    assert journal._db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    intents, filled = 0, dict[int, Decimal]()
    for line in lines:
        match line.split() if line.endswith("\n") else ():
            case ["intent", which]:
                intents = int(which)
            case ["filled", which, amount]:
                filled[int(which)] = Decimal(amount)
    assert intents >= ENOUGH // 2
    for number in range(1, intents + 1):
        order = journal.order(ids.order_id(journal.journal_id, key(f"order-{number}")))
        assert order is not None, f"intent {number} was acknowledged"
        if number in filled:
            assert order.filled == filled[number]
    assert sum(journal.counts().values()) in (intents, intents + 1)
    assert isinstance(commit(journal, f"order-{intents}"), AlreadyKnown)
    assert committed(journal, "after the death")
    journal.close()
