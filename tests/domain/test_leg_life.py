"""The life of a leg: the table is total, knowledge only grows, and evidence may come in any order."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from app.domain.leg_life import (
    ASIDE,
    EXECUTED_NOTHING,
    LIVE,
    MAY_FILL,
    TABLE,
    TERMINAL,
    UNPROVEN,
    IllegalEvent,
    Leg,
    LegEvent,
    advance,
    event_of_report,
)
from app.domain.leg_table import BETWEEN, OURS, SEEN, Contradicts, Illegal, Stale
from messages.orders import LIVE_OR_UNPROVEN, LegState

S, E = LegState, LegEvent
QUANTITY = Decimal(10)
RANK = {
    S.INTENT: 0,
    S.UNKNOWN: 1,
    S.HELD: 2,
    S.ABSENT: 2,
    S.REFUSED: 2,
    S.OPEN: 3,
    S.PARTIALLY_FILLED: 4,
    S.DRAINED: 5,
    S.PARKED: 5,
    S.CANCELLED: 5,
    S.EXPIRED: 5,
    S.FILLED: 6,
}
BACKWARD = {(S.ABSENT, E.RECOMMITTED), (S.DRAINED, E.RECOMMITTED), (S.OPEN, E.REFUSED), (S.PARTIALLY_FILLED, E.REFUSED)}

states = st.sampled_from(list(LegState))
events = st.sampled_from(list(LegEvent))
amounts = st.none() | st.integers(0, 10).map(Decimal)


def some_leg(state: LegState, filled: Decimal) -> Leg:
    """A leg that can be: what executed nothing has no fills, what is filled is filled."""
    if state in EXECUTED_NOTHING or state in UNPROVEN or state in (S.OPEN, S.HELD):
        filled = Decimal(0)
    elif state is S.FILLED:
        filled = QUANTITY
    return Leg(state=state, quantity=QUANTITY, filled=filled)


def test_every_state_has_a_row_and_every_row_leads_to_a_state() -> None:
    """A state forgotten in the table would be one no evidence could ever leave."""
    assert set(TABLE) == set(LegState)
    for row in TABLE.values():
        assert set(row) == set(LegEvent)
        assert all(isinstance(answer, LegState) or answer.why for answer in row.values())


def test_only_what_the_router_itself_does_is_illegal() -> None:
    """Evidence may come in any order at any time; an exchange cannot stop an actor by what it says."""
    for row in TABLE.values():
        for event, answer in row.items():
            if event not in OURS:
                assert not isinstance(answer, Illegal), event


@pytest.mark.parametrize("state", list(LegState))
@pytest.mark.parametrize("event", sorted(OURS))
def test_what_is_illegal_is_raised(state: LegState, event: LegEvent) -> None:
    """An order is doubled by a leg sent twice, so who tries is stopped before anything is written."""
    allowed = {
        (S.ABSENT, E.RECOMMITTED): S.INTENT,
        (S.DRAINED, E.RECOMMITTED): S.INTENT,
        (S.UNKNOWN, E.SET_ASIDE): S.HELD,
        (S.DRAINED, E.CARRIED): S.CANCELLED,
    }.get((state, event))
    leg = some_leg(state, Decimal(0 if event is E.RECOMMITTED else 2))
    if allowed is not None:
        assert advance(leg, event).state is allowed
    else:
        with pytest.raises(IllegalEvent, match=f"{event.value} is illegal for a leg that is {state.value}"):
            advance(leg, event)


def test_what_an_exchange_has_shown_is_not_sent_again() -> None:
    """Only what was placed for what was left, and proven absent: what was taken off has an end under its id."""
    drained = Leg(state=S.DRAINED, quantity=QUANTITY)
    for each in (evolve(drained, filled=Decimal(1)), evolve(drained, carry_s=5.0)):
        with pytest.raises(IllegalEvent, match="its exchange has shown"):
            advance(each, E.RECOMMITTED)


def test_stale_evidence_changes_nothing_and_what_contradicts_is_told() -> None:
    """Every pair, by its own word."""
    for state, row in TABLE.items():
        for event, answer in row.items():
            leg = some_leg(state, Decimal(2))
            if isinstance(answer, Stale):
                assert advance(leg, event) is leg, (state, event)
            elif isinstance(answer, Contradicts):
                after = advance(leg, event)
                assert after.contradiction, (state, event)
                assert after.state is answer.state or after.filled > 0, (state, event)


def test_the_groups_of_states_are_disjoint_and_complete() -> None:
    """And "live or unproven" is what the journal's index says it is."""
    groups = [LIVE, UNPROVEN, ASIDE, BETWEEN, TERMINAL, frozenset({S.ABSENT})]
    assert sum(len(group) for group in groups) == len(LegState)
    assert frozenset().union(*groups) == frozenset(LegState)
    assert LIVE | UNPROVEN == LIVE_OR_UNPROVEN
    assert MAY_FILL == LIVE_OR_UNPROVEN | ASIDE


@pytest.mark.parametrize("state", [S.FILLED, S.CANCELLED, S.EXPIRED])
def test_what_has_ended_is_not_revived(state: LegState) -> None:
    """Only that it filled after all can still be learned of an order that ended on its exchange."""
    assert {answer for answer in TABLE[state].values() if isinstance(answer, LegState)} <= {S.FILLED}
    assert {answer.state for answer in TABLE[state].values() if isinstance(answer, Contradicts)} <= {state}


def test_every_pair_is_answered_and_only_the_named_ones_lead_backward() -> None:
    """Every state, every event, with and without an amount."""
    for state in LegState:
        for event in LegEvent:
            if isinstance(TABLE[state][event], Illegal):
                continue
            for filled in (None, Decimal(0), Decimal(3), QUANTITY):
                before = some_leg(state, Decimal(0 if event is E.RECOMMITTED else 2))
                after = advance(before, event, filled=filled)
                assert after.filled >= before.filled
                if (state, event) not in BACKWARD:
                    assert RANK[after.state] >= RANK[state], (state, event, filled, after.state)


@given(states, events, amounts, amounts)
def test_the_same_evidence_twice_teaches_nothing_new(
    state: LegState, event: LegEvent, before: Decimal | None, filled: Decimal | None
) -> None:
    """Messages come twice."""
    if event in OURS:
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
        if isinstance(TABLE[leg.state][event], Illegal):
            continue
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


@given(st.lists(st.tuples(events, amounts), max_size=16), st.booleans())
def test_nothing_proven_is_ever_forgotten(steps: list[tuple[LegEvent, Decimal | None]], behind: bool) -> None:
    """Along any sequence: what was shown is not unknown again, what has ended stays so, and steps back are told.

    But for what was absent, which is unproven again once it is sent again.
    """
    leg = Leg(state=S.UNKNOWN if behind else S.INTENT, quantity=QUANTITY)
    if behind:
        leg = advance(leg, E.SET_ASIDE)
    for event, filled in steps:
        if isinstance(TABLE[leg.state][event], Illegal):
            continue
        after = advance(leg, event, filled=filled, behind=behind)
        if leg.state not in UNPROVEN | ASIDE and event is not E.RECOMMITTED:
            assert after.state not in UNPROVEN
            assert after.state not in ASIDE or after.contradiction
        if leg.state in (S.FILLED, S.CANCELLED, S.EXPIRED):
            assert after.state in (leg.state, S.FILLED)
        if leg.state in EXECUTED_NOTHING and after.state not in EXECUTED_NOTHING | {S.INTENT}:
            assert after.contradiction or event is E.WITHDRAWN
        assert not (behind and after.state in LIVE), "at most one leg of an order counts as live"
        leg = after


@given(st.data())
def test_what_an_exchange_shows_of_a_held_leg_may_come_in_any_order_too(data: st.DataObject) -> None:
    """It stays held until it has ended, and ends as it ended, with all that filled."""
    fill = Decimal(data.draw(st.integers(1, 9)))
    end = data.draw(st.sampled_from([S.FILLED, S.CANCELLED, S.EXPIRED]))
    history = [(S.OPEN, Decimal(0)), (S.PARTIALLY_FILLED, fill), (end, QUANTITY if end is S.FILLED else fill)]
    leg = advance(Leg(state=S.UNKNOWN, quantity=QUANTITY), E.SET_ASIDE)
    ended = False
    for state, filled in data.draw(st.permutations(history)):
        leg = advance(leg, event_of_report(state), filled=filled, behind=True)
        ended = ended or state is end
        assert leg.state is (end if ended else S.HELD)
    assert (leg.state, leg.filled, leg.contradiction) == (end, history[-1][1], False)


def test_what_filled_in_part_is_neither_refused_nor_absent() -> None:
    """A refusal is of the rest; a proof of absence is wrong, and told."""
    leg = advance(advance(Leg(state=S.UNKNOWN, quantity=QUANTITY), E.SET_ASIDE), E.SEEN_PARTIAL, filled=Decimal(4))
    assert advance(leg, E.REFUSED).state is S.CANCELLED
    absent = advance(leg, E.PROVEN_ABSENT)
    assert (absent.state, absent.filled, absent.contradiction) == (S.HELD, Decimal(4), True)


@given(st.permutations([E.SEEN_OPEN, E.SEEN_PARTIAL, E.SEEN_FILLED, E.SENT_AMBIGUOUS]))
def test_reports_of_one_history_commute(order: list[LegEvent]) -> None:
    """Whatever comes first, the end is the same: what is known last is the most that was shown."""
    amount = {E.SEEN_OPEN: Decimal(0), E.SEEN_PARTIAL: Decimal(4), E.SEEN_FILLED: QUANTITY}
    leg = Leg(state=S.INTENT, quantity=QUANTITY)
    for event in order:
        leg = advance(leg, event, filled=amount.get(event))
    assert (leg.state, leg.filled, leg.contradiction) == (S.FILLED, QUANTITY, False)
    assert set(order) - set(SEEN) == {E.SENT_AMBIGUOUS}


@given(events, amounts, st.booleans())
def test_what_was_taken_off_its_exchange_is_over_only_when_it_is_cancelled_filled_or_carried(
    event: LegEvent, filled: Decimal | None, parked: bool
) -> None:
    """No late word of the exchange that was left makes an order end that is to go on elsewhere."""
    if event in (E.RECOMMITTED, E.SET_ASIDE) or (parked and event is E.CARRIED):
        return
    after = advance(some_leg(S.PARKED if parked else S.DRAINED, Decimal(2)), event, filled=filled)
    if after.state not in BETWEEN:
        assert event in (E.CARRIED, E.WITHDRAWN, E.SEEN_FILLED) or after.filled == QUANTITY


def test_a_cancel_for_a_switch_is_not_the_end_of_the_order() -> None:
    """But its owner's is, and so is a cancel after which nothing is left."""
    resting = advance(some_leg(S.OPEN, Decimal(0)), E.CARRY_ASKED, at_s=5.0)
    assert resting.carry_s == 5.0
    assert advance(resting, E.SEEN_CANCELLED, filled=Decimal(3)).state is S.DRAINED
    assert advance(resting, E.SEEN_CANCELLED, filled=QUANTITY).state is not S.DRAINED
    unwanted = advance(resting, E.CANCEL_ASKED, at_s=6.0)
    assert advance(unwanted, E.SEEN_CANCELLED, filled=Decimal(3)).state is S.CANCELLED
    assert advance(resting, E.SEEN_EXPIRED, filled=Decimal(3)).state is S.EXPIRED
    assert advance(some_leg(S.CANCELLED, Decimal(0)), E.CARRY_ASKED, at_s=5.0).carry_s is None


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("event", LegEvent)
@pytest.mark.parametrize("state", [S.INTENT, S.UNKNOWN, S.OPEN, S.PARTIALLY_FILLED])
def test_what_was_asked_of_a_leg_outlives_what_its_exchange_shows(
    state: LegState, event: LegEvent, behind: bool
) -> None:
    """Its terms, that its owner wants it gone, and that it moves: forgotten, it would be placed again, or left."""
    filled = Decimal(1) if state is S.PARTIALLY_FILLED else Decimal(0)
    leg = Leg(state=state, quantity=QUANTITY, filled=filled, price=Decimal(99), trigger_price=Decimal(98))
    leg = evolve(leg, cancel_asked_s=3.0, carry_s=4.0)
    if isinstance(TABLE[state][event], Illegal):
        return
    after = advance(leg, event, filled=Decimal(2), behind=behind, at_s=7.0)
    kept = (after.quantity, after.price, after.trigger_price, after.cancel_asked_s, after.carry_s)
    assert kept == (QUANTITY, Decimal(99), Decimal(98), 3.0, 4.0)
