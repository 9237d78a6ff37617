"""Sums over all legs are what the legs add up to, whatever happened to them and whoever wrote it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.commit import Inadmissible
from app.domain.leg_life import LegEvent
from app.domain.leg_table import IllegalEvent
from app.domain.moving import Move, MoveKind
from app.journal.store import Committed, Journal, JournalError
from app.journal.sums import TRADED_AGAIN_S
from messages.market import MarketType, Symbol
from messages.orders import Purpose, Side
from tests.domain.orders import BTC, key, spec

ETH = Symbol(base="ETH", quote="USDT", settle="USDT", market_type=MarketType.SWAP)
DAY_S = 86_400.0


def routed(path: Path | None = None) -> Journal:
    """A journal that routes to bybit."""
    journal = Journal(path)
    journal.commit_route(journal.fence(0.0).epoch, "bybit", 0.0)
    return journal


@pytest.fixture
def journal() -> Iterator[Journal]:
    """One in memory."""
    journal = routed()
    yield journal
    journal.close()


def place(journal: Journal, name: str, *, symbol: Symbol = BTC, side: Side = Side.BUY, now_s: float = 1.0) -> str:
    """Commits an intent on wherever the route is; returns the order's id, whether it was had or not."""
    route = journal.route()
    assert route.exchange is not None
    made = journal.commit_intent(
        exchange=route.exchange,
        epoch=route.epoch,
        key=key(name),
        spec=evolve(spec(), symbol=symbol, side=side),
        expiry_s=now_s + 5,
        now_s=now_s,
    )
    known = made.order if isinstance(made, Committed) else getattr(made, "order", None)
    assert known is not None
    return str(known.order_id)


steps = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from([*(each for each in LegEvent if each is not LegEvent.SET_ASIDE), "placed again", "moved"]),
        st.integers(0, 10).map(lambda tenths: Decimal(tenths) / 10),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_they_are_what_the_legs_add_up_to(happens: list[tuple[int, LegEvent | str, Decimal]]) -> None:
    journal = routed()
    try:
        symbols, sides = (BTC, ETH, BTC, ETH, BTC), (Side.BUY, Side.SELL, Side.SELL, Side.BUY, Side.BUY)
        for number, what, filled in happens:
            order_id = place(journal, f"o{number}", symbol=symbols[number], side=sides[number])
            order = journal.order(order_id)
            assert order is not None
            if what == "moved":
                epoch = journal.fence(2.0).epoch
                journal.commit_route(epoch, "okx" if epoch % 2 else "bybit", 2.0)
            elif isinstance(what, LegEvent):
                with contextlib.suppress(IllegalEvent):
                    journal.record(order_id, len(order.legs), what, now_s=2.0, filled=filled)
            assert journal.sums_differ() == ""
        legs = journal._db.execute("SELECT state, count(*) FROM legs GROUP BY state").fetchall()
        assert journal.counts() == dict(legs)
    finally:
        journal.close()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(MoveKind), st.booleans(), st.integers(0, 10)), max_size=12))
def test_what_slices_have_opened_and_not_closed_is_kept(moves: list[tuple[MoveKind, bool, int]]) -> None:
    """Of `open` and `close` only: the others are meant to change the net. A late fill counts too."""
    journal = routed()
    due = Decimal(0)
    try:
        for number, (kind, buys, tenths) in enumerate(moves, start=1):
            made = journal.commit_intent(
                exchange="okx" if kind is MoveKind.CLOSE else "bybit",  # wherever trading is
                epoch=1,
                key=Move(1, str(BTC), number, kind).key,
                spec=evolve(spec(), side=Side.BUY if buys else Side.SELL),
                expiry_s=6.0,
                now_s=1.0,
                purpose=Purpose.MOVE,
            )
            assert isinstance(made, Committed)
            filled = Decimal(tenths) / 10
            journal.record(made.order.order_id, 1, LegEvent.SEEN_CANCELLED, now_s=2.0, filled=filled / 2)
            journal.record(made.order.order_id, 1, LegEvent.SEEN_CANCELLED, now_s=2.0, filled=filled)
            due += (filled if buys else -filled) if kind in (MoveKind.OPEN, MoveKind.CLOSE) else 0
            assert journal.sums_differ() == ""
        assert sum((each.moved for each in journal.standing()), Decimal(0)) == due
        found = tuple(journal.moves_after(1, BTC))
        assert [Move.named(each.key) for each in found] == [
            Move(1, str(BTC), number, kind) for number, (kind, _, _) in enumerate(moves, start=1)
        ]
        assert tuple(journal.moves_after(2, BTC)) == ()
    finally:
        journal.close()


def test_a_slice_that_would_trade_with_an_order_of_ours_is_not_committed(journal: Journal) -> None:
    """Also where the order came to rest since the slice was planned."""
    order_id = place(journal, "ours", side=Side.SELL)
    journal.record(order_id, 1, LegEvent.SEEN_OPEN, now_s=1.0, exchange_order_id="x")
    price = spec().price
    assert price is not None
    cases = ((price, Side.BUY, Inadmissible), (price - 1, Side.BUY, Committed), (price, Side.SELL, Committed))
    for number, (limit, side, due) in enumerate(cases, start=1):
        made = journal.commit_intent(
            exchange="bybit",
            epoch=1,
            key=Move(1, str(BTC), number, MoveKind.OPEN).key,
            spec=evolve(spec(), side=side, price=limit),
            expiry_s=6.0,
            now_s=1.0,
            purpose=Purpose.MOVE,
        )
        assert isinstance(made, due), made
        if isinstance(made, Committed):
            journal.record(made.order.order_id, 1, LegEvent.SEEN_CANCELLED, now_s=1.0, filled=Decimal(0))


def test_a_wrong_sum_of_slices_is_told() -> None:
    journal = routed()
    name = Move(1, str(BTC), 1, MoveKind.OPEN)
    made = journal.commit_intent(
        exchange="bybit", epoch=1, key=name.key, spec=spec(), expiry_s=6.0, now_s=1.0, purpose=Purpose.MOVE
    )
    assert isinstance(made, Committed)
    journal.record(made.order.order_id, 1, LegEvent.SEEN_FILLED, now_s=2.0, filled=Decimal(1))
    journal._db.execute("UPDATE traded SET moved = '2'")
    assert journal.sums_differ() == "BTC/USDT:USDT on bybit was moved by 1, and is kept as 2."
    journal.close()


def test_the_newest_orders_of_a_symbol_are_found_whoever_owns_them(journal: Journal) -> None:
    for number, strategy in enumerate(["a", "b", "a", "c"]):
        made = journal.commit_intent(
            exchange="bybit",
            epoch=1,
            key=key(f"o{number}", strategy),
            spec=spec(),
            expiry_s=6.0,
            now_s=float(number),
        )
        assert isinstance(made, Committed)
        journal.record(made.order.order_id, 1, LegEvent.SEEN_FILLED, now_s=5.0, filled=Decimal(1))
    assert [order.key.client_order_id for order in journal.newest(BTC, 5)] == ["o3", "o2", "o1", "o0"]
    assert journal.newest(ETH, 5) == ()


def test_what_one_process_counts_is_seen_by_another_that_goes_on_from_there(tmp_path: Path) -> None:
    one = routed(tmp_path / "journal.db")
    other = Journal(tmp_path / "journal.db")
    for journal, name in ((one, "one"), (other, "two"), (one, "three")):
        order_id = place(journal, name)
        journal.record(order_id, 1, LegEvent.SEEN_FILLED, now_s=2.0, filled=Decimal(1), exchange_order_id=name)
    assert other.book()[0] == one.book()[0] == {("bybit", BTC): Decimal(3)}
    assert one.counts() == {"filled": 3}
    assert one.sums_differ() == ""
    one.close()
    other.close()


def test_what_was_undone_is_not_counted(journal: Journal) -> None:
    def undone() -> None:
        with journal.together():
            order_id = place(journal, "gone")
            journal.record(order_id, 1, LegEvent.SEEN_FILLED, now_s=2.0, filled=Decimal(1))
            journal._db.execute("SELECT * FROM no_such_table")

    with pytest.raises(JournalError):
        undone()
    assert (journal.counts(), journal.book()[0], journal.symbols(0.0)) == ({}, {}, ())
    place(journal, "kept")
    assert journal.symbols(0.0) == (str(BTC),), "it is written again, although it was written before"
    assert journal.sums_differ() == ""


def test_a_wrong_sum_is_told(journal: Journal) -> None:
    order_id = place(journal, "one")
    journal.record(order_id, 1, LegEvent.SEEN_FILLED, now_s=2.0, filled=Decimal(1))
    journal._db.execute("UPDATE traded SET attributed = '1.5'")
    journal._db.execute("UPDATE ended SET legs = 2")
    assert journal.sums_differ() == (
        "BTC/USDT:USDT on bybit adds up to 1, and is kept as 1.5. 1 legs are filled, and 2 are counted."
    )


def test_a_candidate_needs_what_was_traded_lately_rests_or_adds_up_to_something(journal: Journal) -> None:
    """Known to the hour, on the side of caution."""
    place(journal, "rests", now_s=1.0)
    bought = place(journal, "bought", symbol=ETH, now_s=2.0)
    journal.record(bought, 1, LegEvent.SEEN_FILLED, now_s=2.0, filled=Decimal(1))
    sold = [place(journal, f"sold-{n}", symbol=evolve(ETH, base="SOL"), now_s=10 * DAY_S + n * 60) for n in range(3)]
    for order_id in sold:
        journal.record(order_id, 1, LegEvent.REFUSED, now_s=10 * DAY_S + 200, code="no")
    assert journal.symbols(10 * DAY_S + 121.0) == (str(BTC), str(ETH), "SOL/USDT:USDT")
    assert journal.symbols(10 * DAY_S + TRADED_AGAIN_S + 121.0) == (str(BTC), str(ETH))
    again = place(journal, "later", symbol=evolve(ETH, base="SOL"), now_s=20 * DAY_S)
    journal.record(again, 1, LegEvent.REFUSED, now_s=20 * DAY_S, code="no")
    assert "SOL/USDT:USDT" in journal.symbols(20 * DAY_S - 1.0)


def test_when_a_symbol_was_traded_is_not_written_with_every_order(journal: Journal) -> None:
    place(journal, "one", now_s=1.0)
    written: list[str] = []
    journal._db.set_trace_callback(written.append)
    place(journal, "two", now_s=TRADED_AGAIN_S)
    assert not [sql for sql in written if "traded" in sql]
    place(journal, "three", now_s=TRADED_AGAIN_S + 2.0)
    assert [sql for sql in written if "traded" in sql]
    journal._db.set_trace_callback(None)


def test_the_newest_closed_orders_of_all_markets_come_first(journal: Journal) -> None:
    """Each market's are found by its own index, and put together by age."""
    for number in range(9):
        symbol = (BTC, ETH, evolve(ETH, settle=None, market_type=MarketType.SPOT))[number % 3]
        order_id = place(journal, f"o{number}", symbol=symbol, now_s=10.0 + number)
        if number != 7:
            journal.record(order_id, 1, LegEvent.REFUSED, now_s=30.0, code="no")
    named = [order.key.client_order_id for order in journal.closed_orders("maker", None, 4)]
    assert named == ["o8", "o6", "o5", "o4"]
    assert [order.key.client_order_id for order in journal.closed_orders("maker", ETH, 9)] == ["o4", "o1"]
    assert journal.closed_orders("nobody", None, 4) == ()


def test_a_reader_is_not_left_open(tmp_path: Path) -> None:
    """What was read as far as it was needed must not keep the log from being copied and begun anew."""
    journal = routed(tmp_path / "journal.db")
    for number in range(50):
        order_id = place(journal, f"o{number}", now_s=float(number))
        journal.record(order_id, 1, LegEvent.REFUSED, now_s=60.0, code="no")
    assert len(journal.closed_orders("maker", None, 2)) == 2
    with sqlite3.connect(tmp_path / "journal.db", isolation_level=None) as other:
        busy, _, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    other.close()
    assert busy == 0
    journal.close()
