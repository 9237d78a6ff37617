"""The life of a leg: the table is total, knowledge only grows, and evidence may come in any order."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.leg_life import (
    EXECUTED_NOTHING,
    LIVE,
    TABLE,
    TERMINAL,
    UNPROVEN,
    Leg,
    LegEvent,
    advance,
    event_of_report,
)
from messages.orders import LIVE_OR_UNPROVEN, LegState

S, E = LegState, LegEvent
QUANTITY = Decimal(10)
RANK = {
    S.INTENT: 0,
    S.UNKNOWN: 1,
    S.ABSENT: 2,
    S.REFUSED: 2,
    S.OPEN: 3,
    S.PARTIALLY_FILLED: 4,
    S.CANCELLED: 5,
    S.EXPIRED: 5,
    S.FILLED: 6,
}
BACKWARD = {(S.ABSENT, E.RECOMMITTED), (S.OPEN, E.REFUSED), (S.PARTIALLY_FILLED, E.REFUSED)}

states = st.sampled_from(list(LegState))
events = st.sampled_from(list(LegEvent))
amounts = st.none() | st.integers(0, 10).map(Decimal)


def some_leg(state: LegState, filled: Decimal) -> Leg:
    """A leg that can be: what executed nothing has no fills, what is filled is filled."""
    if state in EXECUTED_NOTHING or state in UNPROVEN or state is S.OPEN:
        filled = Decimal(0)
    elif state is S.FILLED:
        filled = QUANTITY
    return Leg(state=state, quantity=QUANTITY, filled=filled)


def test_every_state_has_a_row_and_every_row_leads_to_a_state() -> None:
    """A state forgotten in the table would be one no evidence could ever leave."""
    assert set(TABLE) == set(LegState)
    for row in TABLE.values():
        assert set(row) <= set(LegEvent)
        assert set(row.values()) <= set(LegState)


def test_the_groups_of_states_are_disjoint_and_complete() -> None:
    """And "live or unproven" is what the journal's index says it is."""
    groups = [LIVE, UNPROVEN, TERMINAL, frozenset({S.ABSENT})]
    assert sum(len(group) for group in groups) == len(LegState)
    assert frozenset().union(*groups) == frozenset(LegState)
    assert LIVE | UNPROVEN == LIVE_OR_UNPROVEN


@pytest.mark.parametrize("state", [S.FILLED, S.CANCELLED, S.EXPIRED])
def test_what_has_ended_is_not_revived(state: LegState) -> None:
    """Only that it filled after all can still be learned of an order that ended on its exchange."""
    assert set(TABLE[state].values()) <= {S.FILLED}


def test_every_pair_is_answered_and_only_the_named_ones_lead_backward() -> None:
    """Every state, every event, with and without an amount."""
    for state in LegState:
        for event in LegEvent:
            for filled in (None, Decimal(0), Decimal(3), QUANTITY):
                before = some_leg(state, Decimal(2))
                after = advance(before, event, filled=filled)
                assert after.filled >= before.filled
                if (state, event) not in BACKWARD:
                    assert RANK[after.state] >= RANK[state], (state, event, filled, after.state)


@given(states, events, amounts, amounts)
def test_the_same_evidence_twice_teaches_nothing_new(
    state: LegState, event: LegEvent, before: Decimal | None, filled: Decimal | None
) -> None:
    """Messages come twice."""
    if event is E.RECOMMITTED:
        return
    once = advance(some_leg(state, before or Decimal(2)), event, filled=filled)
    if event is E.REFUSED and once.state is S.PARTIALLY_FILLED:
        return
    twice = advance(once, event, filled=filled)
    assert (twice.state, twice.filled) == (once.state, once.filled)


@given(st.data())
def test_evidence_in_any_order_leads_to_the_truth(data: st.DataObject) -> None:
    """Reports of one history, shuffled and repeated: the last thing that happened is what is believed in the end."""
    fills = sorted(data.draw(st.lists(st.integers(1, 9), max_size=4, unique=True)))
    end = data.draw(st.sampled_from([S.FILLED, S.CANCELLED, S.EXPIRED]))
    history = [(S.OPEN, Decimal(0)), *((S.PARTIALLY_FILLED, Decimal(fill)) for fill in fills)]
    last = QUANTITY if end is S.FILLED else history[-1][1]
    history.append((end, last))
    extra = data.draw(st.lists(st.sampled_from(history), max_size=6))
    leg = Leg(state=data.draw(st.sampled_from([S.INTENT, S.UNKNOWN])), quantity=QUANTITY)
    for state, filled in data.draw(st.permutations([*history, *extra])):
        leg = advance(leg, event_of_report(state), filled=filled)
    assert leg.state is end
    assert leg.filled == last
    assert not leg.contradiction


@given(st.lists(st.tuples(events, amounts), max_size=12))
def test_a_leg_never_holds_less_than_it_has_proven(steps: list[tuple[LegEvent, Decimal | None]]) -> None:
    """Along any sequence at all."""
    leg = Leg(state=S.INTENT, quantity=QUANTITY)
    for event, filled in steps:
        after = advance(leg, event, filled=filled)
        assert after.filled >= leg.filled
        assert after.contradiction >= leg.contradiction
        if after.state is S.OPEN:
            assert after.filled == 0
        leg = after


@pytest.mark.parametrize("state", sorted(EXECUTED_NOTHING))
@pytest.mark.parametrize("seen", [E.SEEN_OPEN, E.SEEN_PARTIAL, E.SEEN_FILLED, E.SEEN_CANCELLED])
def test_a_proof_that_was_wrong_is_told(state: LegState, seen: LegEvent) -> None:
    """The truth is taken over, and called a contradiction, since hiding it would lose an order."""
    after = advance(Leg(state=state, quantity=QUANTITY), seen, filled=Decimal(0))
    assert after.contradiction
    assert after.state not in EXECUTED_NOTHING
