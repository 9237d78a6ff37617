"""One exchange held against the journal: each kind of difference is told, of every order, and nothing else is."""

from __future__ import annotations

from decimal import Decimal

from attrs import evolve

from app.domain import ids
from app.domain.calls import CallFailed, Found, NotFound, OrderReport, Placed
from app.domain.truth import Compared, Held, both, compare
from messages.orders import LegState
from tests.domain.orders import BTC, JOURNAL, key, leg

D = Decimal


def held(name: str, state: LegState = LegState.OPEN, filled: str = "0") -> Held:
    """A leg, by the journal."""
    wire_id = ids.wire_id(JOURNAL, key(name), 1)
    return Held(order_id=name, symbol=BTC, conditional=False, leg=evolve(leg(state, filled=filled), wire_id=wire_id))


def there(wire_id: str | None, state: LegState = LegState.OPEN, filled: str = "0", quantity: str = "1") -> OrderReport:
    """An order, by the exchange."""
    return OrderReport(
        exchange_order_id="x",
        wire_id=wire_id,
        symbol=BTC,
        state=state,
        filled=D(filled),
        average_price=None,
        quantity=D(quantity),
    )


def compared(
    ours: list[Held], reports: list[OrderReport], looked_up: dict[str, object] | None = None, known: str = ""
) -> Compared:
    """With what the journal says of any other id."""
    by_id = {each.leg.wire_id: each for each in ours}
    return compare("bybit", JOURNAL, by_id, reports, looked_up or {}, lambda _: known)  # type: ignore[arg-type]


def kinds(found: Compared) -> list[str]:
    """The kinds of its differences."""
    return sorted(kind for _, kind in found.differences)


def test_what_is_alike_is_no_difference() -> None:
    ours = [held("one"), held("two", LegState.PARTIALLY_FILLED, "0.5")]
    reports = [there(ours[0].leg.wire_id), there(ours[1].leg.wire_id, LegState.PARTIALLY_FILLED, "0.5")]
    assert compared(ours, reports) == Compared(exchange="bybit", resting=2)


def test_every_order_that_is_unlike_is_told_with_all_that_is() -> None:
    one, two, three = held("one"), held("two"), held("three")
    reports = [
        there(one.leg.wire_id, filled="0.3"),
        there(two.leg.wire_id),
        there(three.leg.wire_id, LegState.PARTIALLY_FILLED, "0.5", "2"),
    ]
    found = compared([one, two, three], reports)
    assert set(found.differences) == {
        (one.leg.wire_id, "filled"),
        (three.leg.wire_id, "filled"),
        (three.leg.wire_id, "quantity"),
    }
    assert all(words.startswith("bybit: ") for words in found.differences.values())
    ended = Found(report=there(one.leg.wire_id, LegState.CANCELLED))
    fuller = Found(report=there(three.leg.wire_id, filled="0.1"))
    gone = compared([one, three], [], {one.leg.wire_id: ended, three.leg.wire_id: fuller})
    assert all(words.startswith("bybit: ") for words in gone.differences.values())
    assert set(gone.differences) == {(one.leg.wire_id, "state"), (three.leg.wire_id, "filled")}


def test_what_rests_there_is_told_apart_by_whose_it_is() -> None:
    lost = ids.wire_id(JOURNAL, key("lost"), 1)
    other = ids.wire_id("f" * 8, key("one"), 1)
    found = compared([], [there(lost), there(other), there(None), there("by-hand")], known="order one is cancelled")
    assert (found.resting, found.others, found.persons) == (1, 1, 2)
    assert kinds(found) == ["rests"]
    assert "order one is cancelled" in found.differences[lost, "rests"]
    assert "does not know it" in compared([], [there(lost)]).differences[lost, "rests"]


def test_what_is_not_there_is_a_difference_only_where_the_journal_says_that_it_rests() -> None:
    one, two = held("one"), held("two", LegState.UNKNOWN)
    found = compared([one, two], [], {each.leg.wire_id: NotFound(asked_s=9.0) for each in (one, two)})
    assert set(found.differences) == {(one.leg.wire_id, "gone")}
    assert found.unproven == 1


def test_an_exchange_that_could_not_be_asked_is_told_so() -> None:
    one = held("one")
    failed = compared([one], [], {one.leg.wire_id: CallFailed(code="timeout", words="no answer")})
    assert (failed.failed, dict(failed.differences)) == ("no answer", {})
    odd = compared([one], [], {one.leg.wire_id: Placed(report=there(one.leg.wire_id))})
    assert odd.failed


def test_only_what_was_there_both_times_lasts() -> None:
    one, two = held("one"), held("two")
    first = compared([one, two], [there(one.leg.wire_id, filled="0.3"), there(two.leg.wire_id)])
    second = compared([one, two], [there(one.leg.wire_id, filled="0.4"), there(two.leg.wire_id, filled="0.1")])
    found = both(first, second)
    assert set(found.differences) == {(one.leg.wire_id, "filled")}
    assert "0.4" in found.differences[one.leg.wire_id, "filled"]
    assert found.resting == 2
