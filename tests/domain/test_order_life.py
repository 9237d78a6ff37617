"""The life of an order: what its legs prove together, and the page that is drawn from the tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.render import STATUS_WORDS
from app.domain.leg_life import EXECUTED_NOTHING, MAY_FILL
from app.domain.leg_life import TERMINAL as LEG_TERMINAL
from app.domain.leg_task import cancel_reply, place_reply
from app.domain.order_life import (
    NOTHING_EXECUTED,
    OPEN,
    TABLE,
    UNPROVEN,
    Elders,
    OrderState,
    elders_of,
    state_of,
    unproven,
)
from messages.base import Failed
from messages.orders import LegState, OrderAccepted, OrderNotExecuted, OrderPending, OrderRefused, OrderView
from tests.domain.life import PAGE, moves, page
from tests.domain.orders import leg, order, spec

L, O, N = LegState, OrderState, Elders  # noqa: E741
TERMINAL = {O.FILLED, O.CANCELLED, O.EXPIRED, O.REFUSED}


def order_of(*legs: tuple[LegState, str]) -> OrderView:
    """An order of ten, with legs in these states, so much of each filled."""
    made = [
        leg(state, number=number, filled=filled, exchange=("bybit", "okx")[number % 2])
        for number, (state, filled) in enumerate(legs, start=1)
    ]
    return order(*made, what=spec("10"))


def test_every_pair_is_answered_and_every_state_has_a_word() -> None:
    """A state forgotten would be an order nobody can name."""
    assert set(TABLE) == set(LegState)
    assert all(set(row) == set(Elders) for row in TABLE.values())
    assert set(STATUS_WORDS) == set(OrderState)


@pytest.mark.parametrize("state", [state for state in LegState if state is not L.HELD])
def test_an_order_of_one_leg_is_what_its_leg_is(state: LegState) -> None:
    """By the same name but for three: nothing is sent without an intent, an open leg is a live order, and so on."""
    names = {L.INTENT: O.SENT, L.OPEN: O.LIVE, L.DRAINED: O.MOVING}
    named = names[state] if state in names else O(state.value)
    assert state_of(order_of((state, "0"))) is named


def test_an_order_of_which_nothing_is_committed_is_an_intent() -> None:
    """Nothing was sent of it, and nobody is in doubt."""
    asked = order()
    assert state_of(asked) is O.INTENT
    assert not unproven(asked)


@pytest.mark.parametrize("over", [L.CANCELLED, L.EXPIRED, L.REFUSED, L.ABSENT])
def test_nobody_knows_of_an_order_while_a_leg_of_it_is_held(over: LegState) -> None:
    """Whatever became of the newer leg: it cannot be said that the order executed nothing, nor what."""
    doubtful = order_of((L.HELD, "0"), (over, "0"))
    assert state_of(doubtful) is O.HELD
    assert unproven(doubtful)
    assert isinstance(place_reply(doubtful, "a"), OrderPending)


@pytest.mark.parametrize(
    ("legs", "state", "reply"),
    [
        ([(L.CANCELLED, "4"), (L.REFUSED, "0")], O.CANCELLED, OrderAccepted),
        ([(L.CANCELLED, "4"), (L.ABSENT, "0")], O.UNFINISHED, OrderAccepted),
        ([(L.FILLED, "10"), (L.REFUSED, "0")], O.FILLED, OrderAccepted),
        ([(L.FILLED, "10"), (L.CANCELLED, "2")], O.FILLED, OrderAccepted),
        ([(L.ABSENT, "0"), (L.REFUSED, "0")], O.REFUSED, OrderRefused),
        ([(L.REFUSED, "0"), (L.ABSENT, "0")], O.ABSENT, OrderNotExecuted),
        ([(L.HELD, "0"), (L.OPEN, "0")], O.LIVE, OrderAccepted),
        ([(L.HELD, "0"), (L.UNKNOWN, "0")], O.UNKNOWN, OrderPending),
        ([(L.CANCELLED, "4"), (L.OPEN, "0")], O.PARTIALLY_FILLED, OrderAccepted),
    ],
)
def test_what_older_legs_executed_counts(legs: list[tuple[LegState, str]], state: OrderState, reply: type) -> None:
    """Neither "refused" nor "not executed" is said of an order of which another leg executed something."""
    made = order_of(*legs)
    assert state_of(made) is state
    assert isinstance(place_reply(made, "a"), reply)


def test_a_cancel_of_what_is_filled_together_is_refused_in_words() -> None:
    """By what the order is, not by its newest leg."""
    reply = cancel_reply(order_of((L.FILLED, "10"), (L.CANCELLED, "0")), "a")
    assert isinstance(reply, Failed)
    assert "it is filled" in reply.words


def test_a_held_leg_is_never_the_newest() -> None:
    """Whoever wrote that was not this router."""
    with pytest.raises(ValueError, match="set aside only for a newer one"):
        state_of(order_of((L.HELD, "0")))


@given(st.lists(st.tuples(st.sampled_from(list(LegState)), st.integers(0, 12)), min_size=1, max_size=4))
def test_an_order_is_never_said_to_be_over_while_something_of_it_may_fill(drawn: list[tuple[LegState, int]]) -> None:
    """But for one that is filled, which a held leg can only exceed; and what executed is never called nothing."""
    legs = [(s, "0" if s in EXECUTED_NOTHING else str(filled)) for s, filled in drawn]
    over = LEG_TERMINAL | {L.ABSENT, L.HELD}
    legs = [(s if s in over else L.HELD, filled) for s, filled in legs[:-1]] + legs[-1:]
    if legs[-1][0] is L.HELD:
        return
    made = order_of(*legs)
    state = state_of(made)
    if any(each.state in MAY_FILL for each in made.legs):
        assert state in OPEN | {O.FILLED}
    if made.filled > 0:
        assert state not in NOTHING_EXECUTED
    if elders_of(made) is N.IN_DOUBT:
        assert state in UNPROVEN | {O.LIVE, O.PARTIALLY_FILLED, O.FILLED, O.MOVING, O.PARKED}


def test_an_order_that_has_ended_stays_so_but_for_fills() -> None:
    """By both tables together."""
    for before, after in moves():
        if before in TERMINAL:
            assert after is O.FILLED, (before, after)


def test_no_order_becomes_unknown_again_that_was_known() -> None:
    """Only what is on its way, was proven absent and is sent again, or is replaced; or waits for a held leg."""
    for (before, after), by in moves().items():
        if after in (O.SENT, O.UNKNOWN) and set(by) != {"replaced"}:
            assert before in UNPROVEN | {O.ABSENT, O.UNFINISHED}, (before, after)


def test_the_page_says_what_the_tables_say() -> None:
    """Otherwise: make life."""
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/LIFE.md is out of date: make life"
