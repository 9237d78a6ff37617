"""The decision to commit: every case of what is known, where the route is and who asks."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from attrs import evolve

from app.domain.commit import AlreadyKnown, BodyDiffers, CommitAgain, CommitNew, Fenced, Inadmissible, decide
from app.domain.reduce_across import Reduces
from messages.failover import Route
from messages.orders import LegState
from tests.domain.orders import leg, order, spec

STATES = [None, *(state for state in LegState if state is not LegState.HELD)]
ROUTES = [
    Route(epoch=1, exchange="bybit", since_s=0.0),
    Route(epoch=2, exchange="bybit", since_s=0.0),
    Route(epoch=1, exchange="okx", since_s=0.0),
    Route(epoch=2, exchange=None, since_s=0.0),
    Route(epoch=0, exchange=None, since_s=0.0),
]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.exchange}-{route.epoch}")
@pytest.mark.parametrize("problem", ["", "too small"])
def test_every_case(state: LegState | None, route: Route, problem: str) -> None:
    """Knowledge is told whatever the route is; a leg is committed only under the route its asker holds."""
    for on, exchange, epoch in itertools.product(("bybit", "okx"), ("bybit", "okx"), (0, 1, 2)):
        known = None if state is None else order(leg(state, exchange=on))
        decision = decide(route=route, known=known, exchange=exchange, epoch=epoch, spec=spec(), problem=problem)
        routed = route.exchange == exchange and route.epoch == epoch
        match decision:
            case AlreadyKnown(order=told):
                assert told is known
                assert state is not LegState.ABSENT
            case Fenced(route=told_route):
                assert not routed
                assert told_route is route
            case Inadmissible(words=words):
                assert routed
                assert words == problem != ""
            case CommitNew(number=number, quantity=quantity):
                assert routed
                assert not problem
                assert (number, quantity) == (1 if state is None else 2, Decimal(1))
                assert state is None or on != exchange
            case CommitAgain(number=number):
                assert routed
                assert not problem
                assert number == 1
                assert state is LegState.ABSENT
                assert on == exchange
            case _:
                pytest.fail(f"{decision!r} makes no sense here")
        if state not in (None, LegState.ABSENT):
            assert isinstance(decision, AlreadyKnown)


def test_another_body_under_a_known_id_is_refused_whatever_the_route() -> None:
    """And the first field that differs is named, with both values."""
    known = order(leg(LegState.ABSENT))
    decision = decide(route=ROUTES[3], known=known, exchange="okx", epoch=9, spec=spec(quantity="2"))
    assert decision == BodyDiffers(field="quantity", known="1", asked="2")


def test_a_new_leg_is_for_what_the_order_was_changed_to() -> None:
    """Of that, what has filled is not asked for again."""
    old = evolve(leg(LegState.CANCELLED, filled="0.3"), quantity=Decimal(2), whole=Decimal(2), price=Decimal(101))
    gone = evolve(leg(LegState.ABSENT, exchange="okx", number=2), quantity=Decimal("1.7"))
    known = order(old, evolve(gone, whole=Decimal(2), price=Decimal(101)))
    decision = decide(route=ROUTES[0], known=known, exchange="bybit", epoch=1, spec=spec())
    assert decision == CommitNew(number=3, quantity=Decimal("1.7"), price=Decimal(101), whole=Decimal(2))


def test_a_new_leg_asks_for_what_is_not_proven_filled() -> None:
    """What filled on the exchange left behind is not asked for again."""
    known = order(leg(LegState.CANCELLED, filled="0.3"), leg(LegState.ABSENT, exchange="okx", number=2))
    decision = decide(route=ROUTES[0], known=known, exchange="bybit", epoch=1, spec=spec())
    assert decision == CommitNew(number=3, quantity=Decimal("0.7"))


@pytest.mark.parametrize("unflagged", [False, True])
def test_what_is_sent_again_reduces_as_it_was_sent_at_first(unflagged: bool) -> None:
    """The flag is part of what an exchange knows under that id; a new leg may go either way, and keeps which."""
    asked: list[tuple[Decimal, bool | None]] = []

    def reduce(quantity: Decimal, flagged: bool | None) -> Reduces:
        asked.append((quantity, flagged))
        return Reduces(flagged=not unflagged)

    what = evolve(spec(), reduce_only=True)
    absent = order(evolve(leg(LegState.ABSENT), unflagged=unflagged), what=what)
    again = decide(route=ROUTES[0], known=absent, exchange="bybit", epoch=1, spec=what, reduce=reduce)
    assert again == CommitAgain(number=1)
    new = decide(route=ROUTES[0], known=None, exchange="bybit", epoch=1, spec=what, reduce=reduce)
    assert isinstance(new, CommitNew)
    assert new.unflagged is unflagged
    assert asked == [(Decimal(1), not unflagged), (Decimal(1), None)]
