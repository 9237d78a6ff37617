"""What strategies are told is numbered without a gap, in the order of commits, and read again from the journal."""

from __future__ import annotations

import multiprocessing
from decimal import Decimal
from pathlib import Path

import pytest

from app.domain.calls import FillReport
from app.domain.leg_life import LegEvent
from app.journal import statements as hot
from app.journal.store import Committed, Journal
from messages.executions import OrderFilled
from messages.orders import LegState, OrderChanged, OrderKey, OrderView, Side
from tests.domain.orders import BTC, spec


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a journal that routes to bybit."""
    path = tmp_path / "journal.db"
    journal = Journal(path)
    journal.fence(1.0)
    journal.commit_route(1, "bybit", 1.0)
    journal.close()
    return path


def placed(journal: Journal, name: str, strategy: str = "maker") -> OrderView:
    """An intent."""
    made = journal.commit_intent(
        exchange="bybit",
        epoch=1,
        key=OrderKey(strategy=strategy, client_order_id=name),
        spec=spec("2", "20000"),
        expiry_s=7.0,
        now_s=2.0,
    )
    assert isinstance(made, Committed), made
    return made.order


def test_each_strategy_is_told_in_numbers_of_its_own(path: Path) -> None:
    journal = Journal(path)
    ours, theirs = placed(journal, "one"), placed(journal, "one", "taker")
    numbers = [
        journal.record(order.order_id, 1, event, now_s=3.0).number
        for order, event in (
            (ours, LegEvent.SEEN_OPEN),
            (theirs, LegEvent.SENT_AMBIGUOUS),
            (ours, LegEvent.SEEN_CANCELLED),
            (ours, LegEvent.SEEN_OPEN),  # stale: nobody is told
            (theirs, LegEvent.SEEN_FILLED),
        )
    ]
    assert numbers == [1, 1, 2, 0, 2]
    assert (journal.last_told("maker"), journal.last_told("taker"), journal.last_told("nobody")) == (2, 2, 0)


def test_several_connections_number_together(path: Path) -> None:
    first, second = Journal(path), Journal(path)
    numbers = []
    for each in range(10):
        journal = (first, second)[each // 2 % 2]
        order = placed(journal, f"n{each}")
        numbers.append(journal.record(order.order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0).number)
    assert numbers == list(range(1, 11))


def _write(path: Path, name: str, orders: int) -> None:
    journal = Journal(path, busy_timeout_s=30.0)
    for each in range(orders):
        order = placed(journal, f"{name}{each}")
        journal.record(order.order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0)
        journal.record(order.order_id, 1, LegEvent.SEEN_FILLED, now_s=4.0, filled=Decimal(2))


def test_processes_that_write_at_once_leave_no_gap(path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write, args=(path, name, 40)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    told = Journal(path).told_after("maker", 0)
    assert [news.number for news in told.news] == list(range(1, 161))
    assert [news.sequence for news in told.news] == sorted(news.sequence for news in told.news), (
        "in the order of commits"
    )


def test_a_number_is_undone_with_what_it_was_for(path: Path) -> None:
    journal = Journal(path)
    one, two = placed(journal, "one"), placed(journal, "two")

    def fail() -> None:
        with journal.together():
            assert journal.record(one.order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0).number == 1
            journal.record(two.order_id, 9, LegEvent.SEEN_OPEN, now_s=3.0)

    with pytest.raises(KeyError):
        fail()
    with journal.together():
        assert journal.record(two.order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0).number == 1
        assert journal.record(one.order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0).number == 2
    assert [news.order.order_id for news in journal.told_after("maker", 0).news] == [two.order_id, one.order_id]


def test_what_was_told_is_read_again_as_it_is_by_now(path: Path) -> None:
    journal = Journal(path)
    order = placed(journal, "one")
    live = [
        journal.record(order.order_id, 1, LegEvent.SENT_AMBIGUOUS, now_s=3.0),
        journal.record(order.order_id, 1, LegEvent.SEEN_PARTIAL, now_s=4.0, filled=Decimal("0.5")),
        journal.record(order.order_id, 1, LegEvent.SEEN_PARTIAL, now_s=5.0, filled=Decimal("1.25")),
        journal.record(order.order_id, 1, LegEvent.SEEN_CANCELLED, now_s=6.0),
    ]
    assert [(r.number, r.resolved, r.grew) for r in live] == [
        (1, False, Decimal(0)),
        (2, True, Decimal("0.5")),
        (3, False, Decimal("0.75")),
        (4, False, Decimal(0)),
    ]
    told = Journal(path).told_after("maker", 0)
    assert told.latest == 4
    assert [each.resolved for each in told.news if isinstance(each, OrderChanged)] == [False, True, False, False]
    for again, then in zip(told.news, live, strict=True):
        news = then.as_news()
        assert isinstance(again, OrderChanged)
        assert (again.sequence, again.number, again.grew, again.total) == (
            news.sequence,
            news.number,
            news.grew,
            news.total,
        )
        assert again.order.legs[0].state is LegState.CANCELLED, "as it is by now"


def test_it_is_read_in_pages(path: Path) -> None:
    journal = Journal(path)
    for each in range(7):
        journal.record(placed(journal, f"n{each}").order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0)
    page = journal.told_after("maker", 2, limit=3)
    assert ([news.number for news in page.news], page.latest) == ([3, 4, 5], 7)
    assert journal.told_after("maker", 7).news == ()
    assert journal.told_after("nobody", 0).latest == 0


def test_a_fill_is_told_with_its_trade(path: Path) -> None:
    journal = Journal(path)
    order = placed(journal, "one")
    journal.record(order.order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0, exchange_order_id="x-1")
    trade = FillReport(
        trade_id="t-1",
        exchange_order_id="x-1",
        wire_id=None,
        symbol=BTC,
        side=Side.BUY,
        quantity=Decimal("0.5"),
        price=Decimal("19999.5"),
        fee=Decimal("-0.01"),
        fee_coin="USDT",
        maker=True,
        at_s=3.5,
    )
    journal.record_fills(order.order_id, 1, [trade], now_s=4.0)
    _, _, told = journal.told_after("maker", 0).news
    assert isinstance(told, OrderFilled)
    execution = told.execution
    assert (told.number, execution.trade_id, execution.exchange_order_id) == (3, "t-1", "x-1")
    assert (execution.quantity, execution.price, execution.fee) == (
        Decimal("0.5"),
        Decimal("19999.5"),
        Decimal("-0.01"),
    )
    assert execution.maker is True


@pytest.mark.parametrize("statement", [hot.LAST_TOLD, hot.TOLD_AFTER])
def test_reading_goes_by_the_index(path: Path, statement: hot.Hot) -> None:
    journal = Journal(path)
    sql = "EXPLAIN QUERY PLAN " + statement._sql
    values = {"strategy": "maker", "after": 5, "most": 10} | statement._fixed
    plan = journal._db.execute(sql, [values[name] for name in statement._names]).fetchall()
    assert all("USING INDEX ix_told" in row["detail"] or "COVERING INDEX ix_told" in row["detail"] for row in plan), [
        row["detail"] for row in plan
    ]


def test_how_far_a_strategy_has_heard_is_kept(path: Path) -> None:
    journal = Journal(path)
    for each in range(3):
        journal.record(placed(journal, f"n{each}").order_id, 1, LegEvent.SEEN_OPEN, now_s=3.0)
    assert journal.heard("maker", 4.0) == 3, "a new one begins with what is told from now on"
    journal.record(placed(journal, "later").order_id, 1, LegEvent.SEEN_OPEN, now_s=5.0)
    assert journal.heard("maker", 5.0) == 3
    journal.hear("maker", 4, 6.0)
    journal.hear("maker", 2, 7.0)
    assert Journal(path).heard("maker", 8.0) == 4
    journal.hear("nobody", 4, 6.0)
    assert journal.heard("nobody", 8.0) == 0
