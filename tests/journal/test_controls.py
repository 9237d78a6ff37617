"""What a person holds the router to: kept at once, met by every commit of every connection, told in the history."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from app.domain.commit import AlreadyKnown, Decision
from app.domain.controls import Controlled, Controls
from app.domain.elsewhere import Elsewhere
from app.domain.leg_life import LegEvent, Terms
from app.domain.verb_words import Change
from app.journal.store import Committed, Journal
from app.journal.verify import verify
from messages.orders import LegState, OrderKey, Purpose
from tests.domain.orders import key, spec

FREEZE = Change(put=(("frozen", "The desk is closed."),))
FLATTEN = Change(put=(("frozen", "Panic."), ("panic", "Panic."), ("flatten", "Panic.")))


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
    journal: Journal, name: str = "one", *, reduce_only: bool = False, purpose: Purpose = Purpose.ORDER
) -> Committed | Decision:
    """Asks for an intent."""
    return journal.commit_intent(
        exchange="bybit",
        epoch=1,
        key=key(name),
        spec=evolve(spec(), reduce_only=reduce_only),
        expiry_s=7.0,
        now_s=2.0,
        purpose=purpose,
    )


def hold(journal: Journal, change: Change, verb: str = "freeze") -> Controls:
    """Holds the router to something."""
    return journal.control(change, verb=verb, reason="Why.", now_s=3.0)


def code(made: Committed | Decision) -> str:
    """Of a refusal by a control; else what it is."""
    return made.code if isinstance(made, Controlled) else type(made).__name__


def test_a_freeze_is_met_by_the_next_commit_of_every_connection(journal: Journal, path: Path) -> None:
    other = Journal(path)
    assert code(commit(journal, "before")) == code(commit(other, "before too")) == "Committed"
    assert hold(journal, FREEZE).frozen == "The desk is closed."
    for each in (journal, other, Journal(path)):
        made = commit(each, "after")
        assert isinstance(made, Controlled)
        assert made.words == "Trading is frozen: The desk is closed. Cancels still pass."
    assert journal.order("after") is None, "nothing was written of it"
    known = commit(other, "before")
    assert isinstance(known, AlreadyKnown), "what is known of an order is told, frozen or not"
    assert hold(other, Change(clear=("frozen",)), "unfreeze") == Controls()
    assert code(commit(journal, "after")) == "Committed"


def test_a_freeze_survives_whoever_wrote_it(journal: Journal, path: Path) -> None:
    hold(journal, FREEZE)
    journal.close()
    assert Journal(path).controls() == Controls(frozen="The desk is closed.")


@pytest.mark.parametrize(
    ("held", "purpose", "reduce_only", "name", "due"),
    [
        (FREEZE, Purpose.ORDER, True, "x", "frozen"),
        (FREEZE, Purpose.EXIT, True, "x", "Committed"),
        (FREEZE, Purpose.MOVE, False, "move/1/BTC/1/open", "frozen"),
        (FREEZE, Purpose.MOVE, True, "move/1/BTC/1/close", "Committed"),
        (FREEZE, Purpose.MOVE, True, "move/1/BTC/1/flat", "frozen"),
        (FLATTEN, Purpose.MOVE, True, "move/1/BTC/1/close", "Committed"),
        (FLATTEN, Purpose.MOVE, True, "move/1/BTC/1/flat", "Committed"),
        (FLATTEN, Purpose.ORDER, True, "move/1/BTC/1/flat", "frozen"),
        (Change(put=(("reduce_only", "Why."),)), Purpose.ORDER, False, "x", "reduce_only_mode"),
        (Change(put=(("reduce_only", "Why."),)), Purpose.ORDER, True, "x", "Committed"),
        (Change(put=(("reduce_only", "Why."),)), Purpose.MOVE, False, "x", "Committed"),
        (Change(put=(("isolated:bybit", "Why."),)), Purpose.ORDER, True, "x", "isolated"),
        (Change(put=(("isolated:bybit", "Why."),)), Purpose.EXIT, True, "x", "Committed"),
        (Change(put=(("isolated:bybit", "Why."),)), Purpose.MOVE, False, "x", "isolated"),
        (Change(put=(("isolated:bybit", "Why."),)), Purpose.MOVE, True, "x", "Committed"),
        (Change(put=(("isolated:okx", "Why."),)), Purpose.ORDER, False, "x", "Committed"),
    ],
)
def test_what_each_purpose_may_do_under_each_control(
    journal: Journal, held: Change, purpose: Purpose, reduce_only: bool, name: str, due: str
) -> None:
    hold(journal, held)
    assert code(commit(journal, name, purpose=purpose, reduce_only=reduce_only)) == due


def test_what_is_so_already_is_written_once(journal: Journal) -> None:
    for _ in range(3):
        hold(journal, FREEZE)
    for _ in range(3):
        hold(journal, Change(clear=("frozen", "panic")), "unfreeze")
    told = [(row.step, json.loads(row.detail)) for row in journal.history_rows()]
    assert told[2:] == [  # after the fence and the route
        ("freeze", {"reason": "Why.", "put": {"frozen": "The desk is closed."}, "clear": []}),
        ("unfreeze", {"reason": "Why.", "put": {}, "clear": ["frozen"]}),
    ]


def test_a_change_that_is_not_written_holds_nobody(journal: Journal, path: Path) -> None:
    """Its line in the history belongs to it: one is not there without the other."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON history BEGIN SELECT raise(ABORT, 'disk full'); END")
    with pytest.raises(Exception, match="disk full"):
        hold(journal, FREEZE)
    assert journal.controls() == Controls()
    assert code(commit(journal)) == "Committed"


def test_an_order_in_doubt_is_not_placed_elsewhere_while_trading_is_frozen(journal: Journal) -> None:
    made = commit(journal)
    assert isinstance(made, Committed)
    journal.record(made.order.order_id, 1, LegEvent.SENT_AMBIGUOUS, now_s=3.0)
    journal.fence(4.0)
    journal.commit_route(2, "okx", 4.0)
    hold(journal, FREEZE)
    asked = {"exchange": "okx", "epoch": 2, "key": OrderKey(strategy="maker", client_order_id="one"), "spec": spec()}
    leave = Elsewhere(max_notional=Decimal(10**6))
    there = journal.commit_intent(**asked, expiry_s=9.0, now_s=5.0, elsewhere=leave)  # type: ignore[arg-type]
    assert isinstance(there, AlreadyKnown)
    hold(journal, Change(clear=("frozen",)), "unfreeze")
    assert isinstance(journal.commit_intent(**asked, expiry_s=9.0, now_s=5.0, elsewhere=leave), Committed)  # type: ignore[arg-type]


def test_the_history_is_chained_and_a_change_of_it_is_found(journal: Journal, path: Path) -> None:
    hold(journal, FREEZE)
    hold(journal, Change(put=(("isolated:okx", "Its margin engine."),)), "isolate")
    hold(journal, Change(clear=("frozen",)), "unfreeze")
    assert verify(path).findings == ()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE history SET detail = '{}' WHERE sequence = 4")
        (found,) = verify(path).findings
        assert found == "Row 4 of the history (isolate) is not as it was written: its hash is another."
        db.execute("DELETE FROM history WHERE sequence = 4")
        assert "Row 4 of the history is missing: the next one is 5." in verify(path).findings
        db.execute("DELETE FROM history WHERE sequence = 5")
        assert verify(path).findings == ("The last row of the history is 3, and 5 were written.",)
        db.execute("DELETE FROM controls")
        assert "The control isolated:okx is in the events, and does not hold." in verify(path).findings


@pytest.mark.parametrize("held", [FREEZE, Change(put=(("reduce_only", "Why."),))])
def test_what_was_cancelled_to_be_replaced_waits_for_the_freeze_to_end(journal: Journal, held: Change) -> None:
    made = commit(journal)
    assert isinstance(made, Committed)
    order_id = made.order.order_id
    journal.record(order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0, exchange_order_id="x1")
    journal.record(
        order_id,
        1,
        LegEvent.REPLACE_ASKED,
        now_s=3.0,
        terms=Terms(quantity=Decimal(2), price=Decimal(90)),
        until_s=60.0,
    )
    hold(journal, held)
    ended = {"exchange": "bybit", "expiry_s": 20.0, "now_s": 4.0, "check": lambda _: "", "filled": Decimal(0)}
    recorded = journal.renew(order_id, 1, LegEvent.SEEN_CANCELLED, **ended)  # type: ignore[arg-type]
    assert [leg.state for leg in recorded.order.legs] == [LegState.DRAINED], "nothing of it is on any exchange"
    assert [order.order_id for order in journal.drained()] == [order_id]
