"""Differences that are taken over: kept with their evidence, summed by market, and only while what was judged holds."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from app.domain.book import NOTHING, Holding
from app.domain.leg_life import LegEvent
from app.journal.store import Committed, Journal
from app.journal.verify import verify
from messages.orders import Side
from messages.positions import Difference, DifferenceKind
from tests.domain.orders import BTC, key, spec
from tests.journal.test_totals import ETH, place, routed

KIND = DifferenceKind.PERSON


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """One on disk, routed to bybit, with one BTC bought."""
    journal = routed(tmp_path / "journal.db")
    order_id = place(journal, "bought")
    journal.record(order_id, 1, LegEvent.SEEN_FILLED, now_s=2.0, filled=Decimal(1))
    yield journal
    journal.close()


def adopt(journal: Journal, quantity: str, ours: str, judged: Holding) -> Difference | None:
    """Takes over a difference in BTC on bybit."""
    return journal.adopt("bybit", BTC, Decimal(quantity), Decimal(ours), KIND, "Sold.", judged=judged, now_s=3.0)


def test_it_moves_the_sums_and_is_proven(journal: Journal, tmp_path: Path) -> None:
    """What is ours and what is not are summed apart, over several of them, and the symbols a candidate must have follow
    what is ours."""
    bought = Holding(attributed=Decimal(1))
    first = adopt(journal, "-0.4", "-0.4", bought)
    assert first is not None
    assert (first.number, first.adopted, first.ours) == (1, True, Decimal("-0.4"))
    second = adopt(journal, "-0.75", "-0.6", Holding(attributed=Decimal(1), adopted=Decimal("-0.4")))
    assert second is not None
    holding = Holding(attributed=Decimal(1), adopted=Decimal(-1), foreign=Decimal("-0.15"))
    assert journal.holdings()[0] == {("bybit", BTC): holding}
    assert (holding.ours, holding.due) == (Decimal(0), Decimal("-0.15"))
    assert journal.adjusted() == (first, second)
    assert journal.adjusted(1) == (second,)
    assert journal.symbols(1e9) == ()
    assert journal.sums_differ() == ""
    assert verify(tmp_path / "journal.db").findings == ()


def test_it_is_taken_over_only_while_what_was_judged_holds(journal: Journal) -> None:
    """What filled meanwhile may be what it was; so is what another has taken over."""
    bought = Holding(attributed=Decimal(1))
    order_id = place(journal, "sold", side=Side.SELL)
    journal.record(order_id, 1, LegEvent.SEEN_FILLED, now_s=2.5, filled=Decimal("0.4"))
    assert adopt(journal, "-0.4", "-0.4", bought) is None
    now = Holding(attributed=Decimal("0.6"))
    assert journal.holdings()[0] == {("bybit", BTC): now}
    assert adopt(journal, "0.1", "0", now) is not None
    assert adopt(journal, "0.1", "0", now) is None
    assert journal.holdings()[0] == {("bybit", BTC): Holding(attributed=Decimal("0.6"), foreign=Decimal("0.1"))}


def test_a_market_that_was_never_traded_is_taken_over_as_well(journal: Journal, tmp_path: Path) -> None:
    made = journal.adopt("okx", ETH, Decimal(2), Decimal(0), KIND, "Bought.", judged=NOTHING, now_s=3.0)
    assert made is not None
    assert journal.holdings()[0]["okx", ETH] == Holding(foreign=Decimal(2))
    assert journal.symbols(1e9) == (str(BTC),), "nothing of ours is there"
    place(journal, "then", symbol=ETH)
    assert journal.sums_differ() == ""
    assert verify(tmp_path / "journal.db").findings == ()


def test_another_process_goes_on_with_the_numbers(journal: Journal, tmp_path: Path) -> None:
    other = Journal(tmp_path / "journal.db")
    one = adopt(journal, "1", "0", Holding(attributed=Decimal(1)))
    two = other.adopt("okx", BTC, Decimal(1), Decimal(0), KIND, "Bought.", judged=NOTHING, now_s=4.0)
    assert one is not None
    assert two is not None
    assert (one.number, two.number) == (1, 2)
    assert other.adjusted() == journal.adjusted() == (one, two)
    other.close()


def test_orders_whose_exits_went_along_are_told_by_exchange(journal: Journal) -> None:
    """Those that filled there, and whose exits are no orders of their own."""
    ids = []
    for name, stop, linked, filled in (("plain", None, False, 1), ("went along", 9, False, 1), ("own", 9, True, 1)):
        made = journal.commit_intent(
            exchange="bybit",
            epoch=1,
            key=key(name),
            spec=evolve(spec(), symbol=BTC, stop_loss=None if stop is None else Decimal(stop)),
            expiry_s=9.0,
            now_s=4.0,
            linked=linked,
        )
        assert isinstance(made, Committed)
        ids.append(made.order.order_id)
        journal.record(ids[-1], 1, LegEvent.SEEN_FILLED, now_s=5.0, filled=Decimal(filled))
    assert [order.order_id for order in journal.attached("bybit", BTC)] == [ids[1]]
    assert journal.attached("okx", BTC) == ()
    assert journal.attached("bybit", ETH) == ()
