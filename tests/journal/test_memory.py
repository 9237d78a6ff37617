"""What a connection remembers of its own writes is what the database holds, and ends where somebody else writes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.domain.commit import AlreadyKnown, Fenced
from app.domain.leg_life import LegEvent
from app.journal import memory
from app.journal.store import Committed, Journal, JournalError
from messages.orders import LegState, OrderView
from tests.domain.orders import key, spec


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "journal.db"


def opened(path: Path) -> Journal:
    """A connection to it."""
    return Journal(path)


def place(journal: Journal, name: str = "one", exchange: str = "bybit", epoch: int = 1, at_s: float = 2.0) -> object:
    """Asks for an intent."""
    return journal.commit_intent(
        exchange=exchange, epoch=epoch, key=key(name), spec=spec("1.50", "20000"), expiry_s=at_s + 5, now_s=at_s
    )


def placed(
    journal: Journal, name: str = "one", exchange: str = "bybit", epoch: int = 1, at_s: float = 2.0
) -> OrderView:
    """Asks for an intent that must be had."""
    made = place(journal, name, exchange, epoch, at_s)
    assert isinstance(made, Committed), made
    return made.order


def test_what_is_returned_is_what_is_written(path: Path) -> None:
    journal, reader = opened(path), opened(path)
    journal.fence(1.0)
    journal.commit_route(1, "bybit", 1.0)
    order = placed(journal)
    assert reader.order(order.order_id) == order, "a new order"
    events: tuple[tuple[LegEvent, dict[str, Any]], ...] = (
        (LegEvent.SENT_AMBIGUOUS, {"code": "timeout", "words": "Nobody answered.", "native_code": "7"}),
        (LegEvent.SEEN_PARTIAL, {"filled": Decimal("0.5"), "average_price": Decimal("19999.50")}),
        (LegEvent.SEEN_FILLED, {"filled": Decimal("1.5"), "exchange_order_id": "x-1"}),
    )
    for event, more in events:
        told = journal.record(order.order_id, 1, event, now_s=3.0, **more)
        assert reader.order(order.order_id) == told.order, event
    absent = placed(journal, "two")
    journal.record(absent.order_id, 1, LegEvent.PROVEN_ABSENT, now_s=4.0, code="absent", words="It is not there.")
    again = placed(journal, "two", at_s=5.0)
    assert reader.order(again.order_id) == again, "the same leg again"
    assert (again.legs[0].attempts, again.legs[0].reason_code) == (2, None)
    journal.record(absent.order_id, 1, LegEvent.PROVEN_ABSENT, now_s=6.0, code="absent")
    journal.fence(7.0)
    journal.commit_route(2, "okx", 7.0)
    second = placed(journal, "two", "okx", 2, at_s=8.0)
    assert reader.order(second.order_id) == second, "a second leg"
    assert [leg.exchange for leg in second.legs] == ["bybit", "okx"]


def test_what_another_connection_wrote_is_seen_at_once(path: Path) -> None:
    ours, other = opened(path), opened(path)
    ours.fence(1.0)
    ours.commit_route(1, "bybit", 1.0)
    order = placed(ours)
    other.record(order.order_id, 1, LegEvent.SEEN_FILLED, now_s=3.0, filled=Decimal("1.5"), exchange_order_id="x-1")
    late = ours.record(order.order_id, 1, LegEvent.SEEN_OPEN, now_s=4.0, exchange_order_id="x-1")
    assert not late.changed, "it has filled, says the other one"
    assert late.order.legs[0].state is LegState.FILLED
    known = place(ours)
    assert isinstance(known, AlreadyKnown)
    assert known.order == other.order(order.order_id)
    other.fence(5.0)
    assert isinstance(place(ours, "two"), Fenced)


def test_what_was_undone_is_not_remembered(path: Path) -> None:
    journal = opened(path)
    journal.fence(1.0)
    journal.commit_route(1, "bybit", 1.0)
    order = placed(journal)
    journal._db.execute("CREATE TEMP TRIGGER no_more BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(JournalError):
        journal.record(order.order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0, exchange_order_id="x-1")
    with pytest.raises(JournalError):
        place(journal, "two")
    journal._db.execute("DROP TRIGGER no_more")
    known = place(journal)
    assert isinstance(known, AlreadyKnown)
    assert known.order.legs[0].state is LegState.INTENT
    assert placed(journal, "two")


def test_what_is_remembered_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_ORDERS", 3)
    journal = opened(path)
    journal.fence(1.0)
    journal.commit_route(1, "bybit", 1.0)
    orders = [placed(journal, f"order-{n}") for n in range(5)]
    assert len(journal._memory._orders) == 3
    for order in orders:
        told = journal.record(order.order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0, exchange_order_id="x")
        assert told.changed
        assert told.order == journal.order(order.order_id)


def test_what_is_written_together_is_written_as_a_whole_or_not_at_all(path: Path) -> None:
    journal, reader = opened(path), opened(path)
    journal.fence(1.0)
    journal.commit_route(1, "bybit", 1.0)
    with journal.together():
        orders = [placed(journal, name) for name in ("one", "two")]
        again = place(journal, "two")
        assert isinstance(again, AlreadyKnown), "seen before it is committed"
        assert not reader.open_orders(), "nobody else sees a part"
    assert [reader.order(order.order_id) for order in orders] == orders

    def broken_off() -> None:
        with journal.together():
            journal.record(orders[0].order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0, exchange_order_id="x-1")
            placed(journal, "three")
            journal._db.execute("INSERT INTO no_such_table VALUES (1)")

    with pytest.raises(JournalError):
        broken_off()
    assert [reader.order(order.order_id) for order in orders] == orders, "nothing of what failed"
    assert len(reader.open_orders()) == 2
    known = place(journal, "one")
    assert isinstance(known, AlreadyKnown)
    assert known.order == orders[0], "nor is it remembered"
    assert placed(journal, "three"), "and it works again, one by one"
    assert len(reader.open_orders()) == 3
