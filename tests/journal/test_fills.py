"""Executions in the journal: each kept once, summed exactly, told once, and whole whenever its writer is killed."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.calls import FillReport
from app.domain.fill_sums import FillSum
from app.domain.leg_life import LegEvent
from app.journal.store import Committed, Journal, JournalError
from messages.orders import LegState, LegView, OrderView, Side
from tests.domain.orders import BTC, key, spec

ENOUGH = 200
"""Acknowledgements before the writer is killed."""


def fill(trade_id: str, quantity: str = "0.1", price: str = "100", wire_id: str | None = None) -> FillReport:
    """An execution of an order that the exchange calls x1."""
    return FillReport(
        trade_id=trade_id,
        exchange_order_id="x1",
        wire_id=wire_id,
        symbol=BTC,
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal("-0.01"),
        fee_coin="USDT",
        maker=True,
        at_s=3.0,
    )


@pytest.fixture
def journal() -> Iterator[Journal]:
    """One that routes to bybit, in epoch 1."""
    journal = opened(None)
    yield journal
    journal.close()


def opened(path: Path | None) -> Journal:
    """A new one."""
    journal = Journal(path)
    journal.fence(1.0)
    journal.commit_route(1, "bybit", 1.0)
    return journal


def placed(journal: Journal, name: str = "one", state: LegEvent = LegEvent.SEEN_OPEN) -> OrderView:
    """An order of one coin, of which something was learned."""
    made = journal.commit_intent(exchange="bybit", epoch=1, key=key(name), spec=spec(), expiry_s=7.0, now_s=2.0)
    assert isinstance(made, Committed)
    return journal.record(made.order.order_id, 1, state, now_s=2.5, exchange_order_id="x1").order


def leg_of(journal: Journal, order: OrderView) -> LegView:
    """Its leg, as it is written."""
    found = journal.order(order.order_id)
    assert found is not None
    assert found.leg is not None
    return found.leg


# ---------------------------------------------------------------------------------------------------- one by one


def test_an_execution_counts_once_however_often_it_is_listed(journal: Journal) -> None:
    order = placed(journal)
    first = journal.record_fills(order.order_id, 1, [fill("t1"), fill("t2", "0.2", "103"), fill("t1")], now_s=3.0)
    again = journal.record_fills(order.order_id, 1, [fill("t2", "0.2", "103"), fill("t1")], now_s=4.0)
    assert [each.execution.trade_id for each in first.fresh] == ["t1", "t2"]
    assert (again.fresh, again.order) == ((), first.order)
    leg = leg_of(journal, order)
    assert (leg.state, leg.filled, leg.listed) == (LegState.PARTIALLY_FILLED, Decimal("0.3"), Decimal("0.3"))
    assert leg.average_price == Decimal(102)
    (one, two) = journal.fills_of(order.order_id)
    assert (one.fee, one.fee_coin, one.maker, one.order_id, one.key) == (
        Decimal("-0.01"),
        "USDT",
        True,
        order.order_id,
        key("one"),
    )
    assert (one.exchange_order_id, one.side, one.symbol, two.price) == ("x1", Side.BUY, BTC, Decimal(103))


def test_each_is_told_with_the_order_as_it_was_then(journal: Journal) -> None:
    order = placed(journal)
    recorded = journal.record_fills(order.order_id, 1, [fill("t1", "0.4"), fill("t2", "0.6", "105")], now_s=3.0)
    assert recorded.ahead is not None, "that it filled is told first, as when the exchange reports it"
    ahead, told = recorded.ahead.as_news(), [each.as_news() for each in recorded.fresh]
    assert (ahead.grew, ahead.total, ahead.order.filled) == (Decimal(1), Decimal(1), Decimal(1))
    assert leg_of(journal, order).state is LegState.FILLED
    legs = [each.order.leg for each in told]
    assert [(leg.listed, leg.average_price) for leg in legs if leg] == [
        (Decimal("0.4"), Decimal(103)),
        (Decimal("1.0"), Decimal(103)),
    ]
    assert [ahead.number, *(each.number for each in told)] == [2, 3, 4], "numbered in one row"
    assert journal.told_after("maker", 1).news == (
        evolve(ahead, order=recorded.order),
        *(evolve(each, order=recorded.order) for each in told),
    )


def test_what_was_known_to_have_filled_is_not_told_again_when_it_is_listed(journal: Journal) -> None:
    order = placed(journal)
    known = journal.record(order.order_id, 1, LegEvent.SEEN_FILLED, now_s=3.0)
    assert known.grew == 1
    listed = journal.record_fills(order.order_id, 1, [fill("t1", "0.4"), fill("t2", "0.6")], now_s=3.5)
    assert (listed.ahead, len(listed.fresh)) == (None, 2)


def test_executions_raise_what_filled_and_a_report_behind_them_does_not_lower_it(journal: Journal) -> None:
    order = placed(journal, state=LegEvent.SENT_AMBIGUOUS)
    journal.record_fills(order.order_id, 1, [fill("t1", "0.7", "100.5")], now_s=3.0)
    stale = journal.record(
        order.order_id, 1, LegEvent.SEEN_PARTIAL, now_s=4.0, filled=Decimal("0.5"), average_price=Decimal(99)
    )
    leg = leg_of(journal, order)
    assert stale.order.leg == leg
    assert (leg.state, leg.filled, leg.average_price) == (
        LegState.PARTIALLY_FILLED,
        Decimal("0.7"),
        Decimal("100.5"),
    )


def test_the_average_is_the_exchanges_word_until_all_executions_are_there(journal: Journal) -> None:
    order = placed(journal)
    journal.record(
        order.order_id, 1, LegEvent.SEEN_PARTIAL, now_s=3.0, filled=Decimal("0.3"), average_price=Decimal("101.2")
    )
    journal.record_fills(order.order_id, 1, [fill("t1", "0.1", "100")], now_s=3.5)
    leg = leg_of(journal, order)
    assert (leg.average_price, leg.listed) == (Decimal("101.2"), Decimal("0.1"))
    journal.record_fills(order.order_id, 1, [fill("t2", "0.2", "102")], now_s=4.0)
    assert leg_of(journal, order).average_price == Decimal("101.33333333")
    journal.record(
        order.order_id, 1, LegEvent.SEEN_CANCELLED, now_s=5.0, filled=Decimal("0.3"), average_price=Decimal("101.3")
    )
    leg = leg_of(journal, order)
    assert (leg.state, leg.average_price) == (LegState.CANCELLED, Decimal("101.33333333"))


def test_what_is_not_listed_is_found_by_exchange_and_no_longer_once_it_is(journal: Journal) -> None:
    orders = [placed(journal, f"o{n}") for n in range(3)]
    for order in orders[:2]:
        journal.record(order.order_id, 1, LegEvent.SEEN_PARTIAL, now_s=3.0, filled=Decimal("0.10"))
    assert {found.order_id for found in journal.unlisted("bybit", 10)} == {each.order_id for each in orders[:2]}
    assert journal.unlisted("okx", 10) == ()
    assert len(journal.unlisted("bybit", 1)) == 1
    journal.record_fills(orders[0].order_id, 1, [fill("t1", "0.1")], now_s=4.0)  # 0.10 by another spelling
    assert [found.order_id for found in journal.unlisted("bybit", 10)] == [orders[1].order_id]
    plan = journal._db.execute(
        "EXPLAIN QUERY PLAN SELECT order_id FROM legs WHERE exchange = ? AND filled != '0' "
        "AND (listed IS NULL OR listed != filled)",
        ("bybit",),
    ).fetchall()
    assert "ix_unlisted_by_exchange" in str([tuple(row) for row in plan])


def test_a_trade_of_the_account_with_itself_counts_on_both_sides(journal: Journal) -> None:
    buys = placed(journal, "buys")
    made = journal.commit_intent(
        exchange="bybit", epoch=1, key=key("sells"), spec=evolve(spec(), side=Side.SELL), expiry_s=7.0, now_s=2.0
    )
    assert isinstance(made, Committed)
    for order in (buys, made.order):
        journal.record_fills(order.order_id, 1, [fill("t1")], now_s=3.0)
        assert leg_of(journal, order).listed == Decimal("0.1")


def test_an_execution_belongs_to_one_order_only(journal: Journal) -> None:
    one, two = placed(journal, "one"), placed(journal, "two")
    journal.record_fills(one.order_id, 1, [fill("t1")], now_s=3.0)
    assert journal.record_fills(two.order_id, 1, [fill("t1")], now_s=3.0).fresh == ()
    assert leg_of(journal, two).filled == 0


def test_an_execution_of_a_leg_proven_absent_is_told_as_a_contradiction(journal: Journal) -> None:
    order = placed(journal, state=LegEvent.PROVEN_ABSENT)
    told = journal.record_fills(order.order_id, 1, [fill("t1")], now_s=3.0)
    assert told.ahead is not None
    assert told.ahead.contradiction
    assert leg_of(journal, order).state is LegState.PARTIALLY_FILLED


def test_what_cannot_be_written_whole_is_not_written_at_all(journal: Journal) -> None:
    """The second event fails, after the first execution, its event and what filled are written."""
    order = placed(journal)
    before = journal.order(order.order_id), journal.last_sequence(), journal.last_told("maker")
    journal._db.execute(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON events WHEN NEW.detail LIKE '%t2%' "
        "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
    )
    shown = [fill("t1"), fill("t2")]
    with pytest.raises(JournalError):
        journal.record_fills(order.order_id, 1, shown, now_s=3.0)
    assert (journal.order(order.order_id), journal.last_sequence(), journal.last_told("maker")) == before
    assert journal.fills_of(order.order_id) == ()
    journal._db.execute("DROP TRIGGER full")
    told = journal.record_fills(order.order_id, 1, shown, now_s=4.0)
    assert ([each.number for each in told.fresh], told.order.filled) == ([3, 4], Decimal("0.2"))


def test_no_leg_no_fills(journal: Journal) -> None:
    with pytest.raises(KeyError):
        journal.record_fills(placed(journal).order_id, 2, [fill("t1")], now_s=3.0)
    assert journal.fills_of("nothing") == ()


def test_what_filled_before_there_was_a_list_is_summed_from_the_list_alone(journal: Journal) -> None:
    """A journal of an older schema counts what had filled as listed, though no execution of it is kept."""
    order = placed(journal)
    journal.record(order.order_id, 1, LegEvent.SEEN_PARTIAL, now_s=3.0, filled=Decimal("0.3"))
    journal._db.execute("UPDATE legs SET listed = filled")
    journal._memory.forget()
    journal.record(order.order_id, 1, LegEvent.SEEN_PARTIAL, now_s=4.0, filled=Decimal("0.5"))
    journal.record_fills(order.order_id, 1, [fill("t1", "0.3"), fill("t2", "0.2")], now_s=5.0)
    leg = leg_of(journal, order)
    assert (leg.filled, leg.listed) == (Decimal("0.5"), Decimal("0.5"))


# ---------------------------------------------------------------------------------------------------- any order


@frozen
class Report:
    """The exchange says how much of the order had filled after so many of its executions."""

    executions: int


@frozen
class Listing:
    """The exchange lists some of its executions, in some order, some of them twice."""

    which: tuple[int, ...]


class Restart:
    """The journal is closed and opened again."""


executions = st.lists(st.tuples(st.integers(1, 400), st.integers(1, 10**6)), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    executions,
    st.lists(
        st.one_of(
            st.integers(0, 8).map(Report),
            st.lists(st.integers(0, 7), max_size=8).map(lambda which: Listing(tuple(which))),
            st.just(Restart()),
        ),
        max_size=15,
    ),
)
def test_reports_listings_and_restarts_in_any_order_come_to_the_same(
    executed: list[tuple[int, int]], steps: list[Report | Listing | Restart]
) -> None:
    trades = [
        fill(f"t{n}", str(Decimal(quantity) / 10000), str(Decimal(price) / 100))
        for n, (quantity, price) in enumerate(executed)
    ]
    whole = FillSum.of((each.quantity, each.price) for each in trades)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        journal = opened(path)
        order = placed(journal)
        known: set[str] = set()
        told: list[str] = []
        reported = Decimal(0)
        for step in [*steps, Report(len(trades)), Listing(tuple(range(len(trades))))]:
            if isinstance(step, Restart):
                journal.close()
                journal = Journal(path)
                continue
            if isinstance(step, Report):
                part = FillSum.of((each.quantity, each.price) for each in trades[: step.executions])
                reported = max(reported, part.quantity)
                event = LegEvent.SEEN_PARTIAL if part.quantity else LegEvent.SEEN_OPEN
                average = part.average_price.quantize(Decimal("0.1")) if part.quantity else None
                journal.record(order.order_id, 1, event, now_s=3.0, filled=part.quantity, average_price=average)
            else:
                shown = [trades[n] for n in step.which if n < len(trades)]
                fresh = journal.record_fills(order.order_id, 1, shown, now_s=3.0).fresh
                told += [each.execution.trade_id for each in fresh]
                known |= {each.trade_id for each in shown}
            leg = leg_of(journal, order)
            kept = FillSum.of((each.quantity, each.price) for each in journal.fills_of(order.order_id))
            assert {each.trade_id for each in journal.fills_of(order.order_id)} == known
            assert leg.listed == kept.quantity
            assert leg.filled == max(reported, kept.quantity), "the larger of what both say"
            assert bool(journal.unlisted("bybit", 1)) == (leg.filled != leg.listed)
            if kept.quantity == leg.filled > 0:
                assert leg.average_price == kept.average_price
        assert sorted(told) == sorted(each.trade_id for each in trades), "each told once, restarts or not"
        leg = leg_of(journal, order)
        assert (leg.filled, leg.listed, leg.average_price) == (whole.quantity, whole.quantity, whole.average_price)
        journal.close()


# ---------------------------------------------------------------------------------------------------- killed


def test_a_writer_that_is_killed_leaves_every_execution_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    command = [sys.executable, "-m", "tests.journal.fills_writer", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(ENOUGH)]
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.readlines()
    assert writer.returncode == -signal.SIGKILL
    acknowledged = {line.strip() for line in told if line.endswith("\n")}
    journal = Journal(path)
    kept: set[str] = set()
    with sqlite3.connect(path) as db:
        events = [json.loads(detail) for (detail,) in db.execute("SELECT detail FROM events WHERE kind = 'fill'")]
        ids = [order_id for (order_id,) in db.execute("SELECT order_id FROM orders")]
    db.close()
    for order_id in ids:
        order = journal.order(order_id)
        assert order is not None
        assert order.leg is not None
        mine = journal.fills_of(order_id)
        kept |= {each.trade_id for each in mine}
        total = sum((each.quantity for each in mine), Decimal(0))
        assert order.leg.listed == total == order.leg.filled
        # All executions of one listing are kept together: a leg is asked for again, or has them all.
        again = journal.record_fills(order_id, 1, [fill(each.trade_id) for each in mine], now_s=9.0)
        assert again.fresh == ()
    assert acknowledged <= kept, "what was acknowledged is there"
    assert sorted(event["trade_id"] for event in events) == sorted(kept), "an event for each, and for no other"
    journal.close()
