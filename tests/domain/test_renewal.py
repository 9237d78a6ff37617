"""What takes a cancelled leg's place when its order is changed, and when nothing does: decided without an exchange."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve

from app.domain.commit import CommitAgain, CommitNew
from app.domain.renewal import NOT_ROUTED, Over, as_one, replaces, rows_on, stands_again, stands_in
from messages.failover import Route
from messages.orders import LegState, Linked, OrderView, Trigger, TriggerKind, Wanted
from tests.domain.orders import leg, order, spec

D = Decimal
HERE = Route(epoch=3, exchange="bybit", since_s=0.0)
AWAY = Route(epoch=4, exchange="okx", since_s=0.0)
WANTED = Wanted(quantity=D(6), price=D(101), until_s=9.0)


def cancelled(filled: str = "2") -> OrderView:
    """An order for 5 of which some has filled, and whose leg is cancelled to be replaced."""
    return order(evolve(leg(LegState.CANCELLED, filled=filled), quantity=D(5)), what=spec("5"))


def decided(
    known: OrderView | None = None,
    wanted: Wanted = WANTED,
    *,
    route: Route = HERE,
    now_s: float = 9.0,
    problem: str = "",
    protects: bool = False,
) -> CommitNew | Over:
    """What is decided, and what the exchange's rules were asked about."""
    known = cancelled() if known is None else known
    assert known.leg is not None
    return stands_in(
        known,
        wanted,
        filled=known.leg.filled,
        exchange="bybit",
        route=route,
        now_s=now_s,
        check=lambda asked: problem if asked.quantity == D(4) else "",
        protects=protects,
    )


def test_what_has_filled_is_taken_off_what_is_placed_in_its_stead() -> None:
    new = decided()
    assert new == CommitNew(number=2, quantity=D(4), price=D(101), whole=D(6))


def test_what_is_not_asked_to_change_stays_as_it_is() -> None:
    old = cancelled()
    leg_, trigger = evolve(old.legs[0], price=D(99), trigger_price=D(98)), Trigger(kind=TriggerKind.STOP, price=D(97))
    known = evolve(old, legs=(leg_,), spec=evolve(old.spec, trigger=trigger))
    assert decided(known, Wanted(until_s=9.0)) == CommitNew(number=2, quantity=D(3), price=D(99), trigger_price=D(98))
    moved = decided(known, Wanted(trigger_price=D(96), until_s=9.0))
    assert isinstance(moved, CommitNew)
    assert (moved.price, moved.trigger_price) == (D(99), D(96))


def code(found: CommitNew | CommitAgain | Over) -> str:
    """Of what is over."""
    assert isinstance(found, Over)
    assert found.words
    return found.code


def test_its_owners_cancel_is_for_good() -> None:
    gone = cancelled()
    for change in ({"cancel_asked_s": 1.0}, {"linked": Linked.RESIZED}, {"linked": Linked.GIVEN_UP}):
        assert code(decided(evolve(gone, legs=(evolve(gone.legs[0], **change),)))) == "being_cancelled"


def test_nothing_is_placed_too_late_for_nothing_or_against_the_rules() -> None:
    assert code(decided(now_s=9.001)) == "deadline_passed"
    assert code(decided(wanted=Wanted(quantity=D(6)))) == "deadline_passed", "it was to be changed in place"
    assert code(decided(wanted=evolve(WANTED, quantity=D(2)))) == "order_not_open"
    assert code(decided(problem="too small")) == "invalid_order"


@pytest.mark.parametrize("protects", [False, True])
def test_only_an_exit_stands_where_trading_has_left(protects: bool) -> None:
    new, again = decided(route=AWAY, protects=protects), stands_again(
        cancelled(), AWAY, exchange="bybit", protects=protects
    )  # fmt: skip
    if protects:
        assert isinstance(new, CommitNew)
        assert again == CommitAgain(number=1)
    else:
        assert code(new) == code(again) == NOT_ROUTED
    assert stands_again(cancelled(), HERE, exchange="bybit", protects=protects) == CommitAgain(number=1)


def test_the_rows_of_adjacent_legs_on_an_exchange_are_told_apart() -> None:
    """It was carried away and came back: two rows, and the order as it was at the end of each."""
    first, second = leg(LegState.CANCELLED), leg(LegState.CANCELLED, number=2)
    third, last = leg(LegState.CANCELLED, number=3, exchange="okx"), leg(LegState.OPEN, number=4)
    whole = order(first, second, third, last)
    assert [(number, len(part.legs)) for number, part in rows_on(whole, "bybit")] == [(1, 2), (4, 4)]
    assert [(number, len(part.legs)) for number, part in rows_on(whole, "okx")] == [(3, 3)]
    assert not list(rows_on(whole, "binance"))
    assert not replaces(whole)
    assert replaces(order(first, second))
    assert not replaces(order(first))


@pytest.mark.parametrize(("end", "whole"), [(LegState.REFUSED, LegState.CANCELLED), (LegState.OPEN, LegState.OPEN)])
def test_legs_that_stand_in_for_one_another_are_as_one(end: LegState, whole: LegState) -> None:
    """The first one's number, and what all of the row has filled: what was refused last, filled all the same."""
    elsewhere = evolve(leg(LegState.CANCELLED, exchange="okx", filled="0.7"), quantity=D(5))
    first = evolve(leg(LegState.CANCELLED, number=2, filled="0.2"), quantity=D(4))
    second = evolve(leg(LegState.CANCELLED, number=3, filled="0.1"), quantity=D(3))
    last = evolve(leg(end, number=4), quantity=D(2))
    one = as_one(order(elsewhere, first, second, last))
    assert one is not None
    assert (one.number, one.quantity, one.filled, one.state) == (2, D("2.3"), D("0.3"), whole)
    assert as_one(order(elsewhere, first)) == first
    nothing = as_one(order(leg(LegState.CANCELLED), leg(LegState.REFUSED, number=2)))
    assert nothing is not None
    assert nothing.state is LegState.REFUSED
