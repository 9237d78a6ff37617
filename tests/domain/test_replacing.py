"""Changes that the exchange cannot make in place: a cancel and a placement, and everything that may come between.

Along any sequence of fills, late answers, lost ones, cancels, deaths and locked journals: the order never rests twice,
never fills beyond the larger of old and new, the record is never smaller than the truth, nobody is told what is not so;
and when all is answered the record is what the exchange has, and nobody waits.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain import calls as c
from app.domain.carry import asked_of
from app.domain.leg_life import BETWEEN
from app.domain.order_life import OrderState, state_of
from messages.base import Failed
from messages.orders import LegState, OrderAccepted, OrderRefused, OrderReply
from tests.depth import examples
from tests.domain.test_cancels import flying, placed
from tests.domain.truth import FAILED, PROOF, Truth

D = Decimal


@settings(
    max_examples=examples(40, 500),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_whatever_comes_between(data: st.DataObject) -> None:
    """See the module."""
    truth = Truth()
    truth.places()
    gone = False
    steps = ["back"] * 5 + ["amend", "amend", "fill", "pass", "cancel", "crash", "lock", "switch"]
    for _ in range(data.draw(st.integers(1, 30))):
        match data.draw(st.sampled_from(steps)):
            case "back" if truth.flights:
                call_id = data.draw(st.sampled_from(sorted(truth.flights)))
                truth.back(call_id, truth.result(truth.flights[call_id], data))
            case "amend" if truth.journal.order(truth.order_id) is not None:
                quantity = data.draw(st.sampled_from([None, D(2), D(3), D(6), D(8)]))
                price = data.draw(st.sampled_from([None, D(101), D(102)]))
                if quantity is not None or price is not None:
                    truth.amends(quantity, price, data.draw(st.sampled_from([2.0, 20.0])))
            case "fill":
                truth.fills(data.draw(st.sampled_from([D(1), D(8)])))
            case "pass":
                truth.passes(data.draw(st.sampled_from([0.1, 0.7, 4.0, 9.0])))
            case "cancel" if data.draw(st.booleans()):
                truth.cancels(data.draw(st.sampled_from([0.5, 600.0])))
                gone = gone or not truth.locked
            case "crash":
                truth.crash()
            case "lock":
                truth.locked = data.draw(st.booleans())
            case "switch" if data.draw(st.integers(0, 4)) == 0:
                truth.journal.fence(truth.now_s)
    truth.ends()
    assert not (gone and truth.open), "it rests although its owner wanted it gone"
    for asker, answers in truth.answers.items():
        assert len(answers) == 1 or asker.startswith("place"), answers
    leg = truth.order.leg if truth.journal.order(truth.order_id) else None
    if leg is not None and leg.state not in BETWEEN:  # there, what was asked for last is kept for what takes its place
        assert (leg.wanted, leg.most) == (None, None), "something is still in doubt"


def resting(fill: int = 0) -> Truth:
    """An order that rests, of which something has filled."""
    truth = Truth()
    placed(truth)
    truth.fills(D(fill))
    return truth


def refused_in_place(truth: Truth) -> None:
    """The exchange says that it cannot."""
    truth.back(flying(truth, c.AmendCall), truth.result(truth.flights[flying(truth, c.AmendCall)], None))


def test_end_and_new_intent_are_one_step_of_the_journal() -> None:
    truth = resting(fill=1)
    name = truth.amends(D(6), D(101))
    refused_in_place(truth)
    leg = truth.order.leg
    assert leg is not None
    assert leg.wanted is not None, "the wish is kept before the cancel is sent"
    assert (leg.state, leg.most, leg.remaining) == (LegState.OPEN, D(6), D(6))
    truth.back(flying(truth, c.CancelCall), truth.result(truth.flights[flying(truth, c.CancelCall)], None))
    assert [(each.state, each.filled, each.quantity) for each in truth.order.legs] == [
        (LegState.CANCELLED, D(1), D(4)),
        (LegState.INTENT, D(0), D(5)),
    ]
    call = truth.flights[flying(truth, c.PlaceCall)].call
    assert isinstance(call, c.PlaceCall)
    assert (call.quantity, call.spec.price) == (D(5), D(101))
    assert name not in truth.answers
    truth.ends()
    (answer,) = truth.answers[name]
    assert isinstance(answer, OrderReply)
    assert (answer.order.quantity, answer.order.now.price, answer.order.filled) == (D(6), D(101), D(1))
    states = [order.leg.state for order in truth.told if order.leg is not None]
    assert LegState.CANCELLED not in states, "nobody is told of an end that is none"


def test_in_place_or_not_at_all() -> None:
    truth = resting()
    name = truth.amends(D(6), None, replace=False)
    refused_in_place(truth)
    (answer,) = truth.answers[name]
    assert isinstance(answer, OrderRefused)
    assert answer.code == c.UNSUPPORTED
    assert (truth.order.leg and truth.order.leg.state, len(truth.open)) == (LegState.OPEN, 1)


def test_terms_that_the_exchange_would_refuse_cost_no_order() -> None:
    truth = resting()
    name = truth.amends(D("2.5"), None)
    refused_in_place(truth)
    (answer,) = truth.answers[name]
    assert isinstance(answer, OrderRefused)
    assert (answer.code, len(truth.open)) == ("invalid_order", 1)
    assert truth.order.leg is not None
    assert (truth.order.leg.wanted, truth.order.leg.most) == (None, None)


def test_what_filled_meanwhile_is_taken_off_and_nothing_left_is_told() -> None:
    truth = resting()
    name = truth.amends(D(2), None)
    refused_in_place(truth)
    truth.fills(D(3))
    truth.ends()
    (answer,) = truth.answers[name]
    assert isinstance(answer, OrderRefused)
    assert answer.code == "order_not_open"
    assert "had filled by then" in answer.words
    assert [each.state for each in truth.order.legs] == [LegState.CANCELLED]


def test_what_is_filled_before_it_is_cancelled_is_filled() -> None:
    truth = resting()
    name = truth.amends(D(8), None)
    refused_in_place(truth)
    truth.fills(D(4))
    truth.ends()
    (answer,) = truth.answers[name]
    assert isinstance(answer, Failed)
    assert "filled" in answer.words
    assert len(truth.order.legs) == 1


def test_a_look_up_that_shows_the_end_is_asked_again_a_visibility_lag_later() -> None:
    """Where the engine's own word is not to be had: an amount that was behind would be filled twice."""
    truth = resting()
    truth.amends(D(6), None)
    refused_in_place(truth)
    wire_id = next(iter(truth.legs))
    truth.end(wire_id)
    truth.back(flying(truth, c.CancelCall), c.CancelConfirmed(final=None))
    first_s = truth.now_s
    while len(truth.order.legs) == 1 and truth.now_s < 30.0:
        for call_id, flight in list(truth.flights.items()):
            truth.back(call_id, truth.result(flight, None))
        truth.passes(0.05)
    assert PROOF.visibility_s <= truth.now_s - first_s < PROOF.visibility_s + 1.0


def test_a_refused_replacement_ends_the_order_in_words() -> None:
    truth = resting(fill=1)
    name = truth.amends(None, D(101))
    refused_in_place(truth)
    truth.back(flying(truth, c.CancelCall), truth.result(truth.flights[flying(truth, c.CancelCall)], None))
    truth.back(flying(truth, c.PlaceCall), c.Refused(code="no_funds", words="Not enough money.", native_code="7"))
    (answer,) = truth.answers[name]
    assert isinstance(answer, OrderRefused)
    assert (answer.code, answer.native_code) == ("no_funds", "7")
    assert "cancelled to be replaced" in answer.words
    truth = resting()
    truth.amends(None, D(101))
    refused_in_place(truth)
    cancelled(truth)
    truth.back(flying(truth, c.PlaceCall), c.Refused(code="no_funds", words="Not enough money.", native_code="7"))
    assert state_of(truth.order) is OrderState.CANCELLED, "an exchange had it: that is no refusal of the order"
    truth.places()
    (placing,) = truth.answers["place-2"]
    assert isinstance(placing, OrderAccepted)


def test_a_replacement_that_did_not_execute_is_sent_again_under_its_wire_id() -> None:
    truth = resting()
    name = truth.amends(None, D(101))
    refused_in_place(truth)
    truth.back(flying(truth, c.CancelCall), truth.result(truth.flights[flying(truth, c.CancelCall)], None))
    for _ in range(3):
        call_id = flying(truth, c.PlaceCall)
        truth.back(call_id, c.NotExecuted(code="overloaded", words="Not now."))
        truth.passes(5.0)
    truth.ends()
    (answer,) = truth.answers.get(name, [None])  # who asked has stopped waiting, or is told
    assert answer is None or isinstance(answer, OrderReply)
    assert [(each.state, each.attempts) for each in truth.order.legs] == [
        (LegState.CANCELLED, 1),
        (LegState.OPEN, 4),
    ]


def test_one_that_never_goes_is_given_up_and_told() -> None:
    truth = resting()
    truth.amends(None, D(101), within_s=600.0)
    refused_in_place(truth)
    truth.back(flying(truth, c.CancelCall), truth.result(truth.flights[flying(truth, c.CancelCall)], None))
    while truth.now_s < 120.0 and not truth.answers.get("amend-1"):
        for call_id, flight in list(truth.flights.items()):
            placing = isinstance(flight.call, c.PlaceCall)
            truth.back(call_id, c.NotExecuted(code="overloaded", words="Not now.") if placing else FAILED)
        truth.passes(0.1)
    (answer,) = truth.answers["amend-1"]
    assert isinstance(answer, OrderRefused)
    assert "did not execute" in answer.words or "never executed" in answer.words
    assert [each.state for each in truth.order.legs] == [LegState.CANCELLED, LegState.REFUSED]


def cancelled(truth: Truth) -> None:
    """The exchange carries the cancel out, and says so."""
    truth.back(flying(truth, c.CancelCall), truth.result(truth.flights[flying(truth, c.CancelCall)], None))


def ended_unheard(truth: Truth) -> None:
    """It carries it out, and nobody hears."""
    truth.end(next(iter(truth.legs)))


@pytest.mark.parametrize(
    "steps",
    [(refused_in_place,), (refused_in_place, ended_unheard), (refused_in_place, cancelled)],
    ids=["wished", "cancelled", "committed"],
)
def test_a_death_at_any_step_is_gone_on_from(steps: tuple[Callable[[Truth], None], ...]) -> None:
    truth = resting(fill=1)
    truth.amends(D(6), D(101))
    for step in steps:
        step(truth)
    truth.crash()
    if truth.order.legs[-1].number == 1:
        again = truth.amends(D(6), D(101), within_s=600.0)  # whoever waits asks again, and joins
        truth.ends()
        assert [type(each) for each in truth.answers[again]] == [OrderReply]
    truth.ends()
    assert (truth.order.quantity, truth.order.now.price, len(truth.order.legs)) == (D(6), D(101), 2)
    assert [leg.quantity for leg in truth.open] == [D(5)]


def test_a_change_in_place_that_a_death_left_in_doubt_is_told_also_where_it_was_not_made() -> None:
    """Of the price alone: nothing else would say that it is settled."""
    truth = resting()
    truth.amends(None, D(101))
    truth.crash()
    told = len(truth.told)
    truth.ends()
    assert truth.order.now.price == D(100)
    assert truth.order.leg is not None
    assert truth.order.leg.wanted is None
    assert len(truth.told) > told


def test_when_trading_has_moved_what_was_asked_for_goes_after_it() -> None:
    truth = resting()
    name = truth.amends(D(6), None)
    refused_in_place(truth)
    truth.journal.fence(truth.now_s)
    truth.journal.commit_route(2, "okx", truth.now_s)
    truth.ends()
    (answer,) = truth.answers[name]
    assert isinstance(answer, Failed)
    assert (answer.code, answer.retryable) == ("order_moving", True)
    assert (not truth.open, len(truth.order.legs), state_of(truth.order)) == (True, 1, OrderState.MOVING)
    assert asked_of(truth.order) == (truth.order.spec, D(6)), "its owner's newest word is kept"


def test_a_cancel_meanwhile_is_for_good() -> None:
    truth = resting()
    changing = truth.amends(D(6), None)
    refused_in_place(truth)
    cancelling = truth.cancels()
    truth.ends()
    assert (not truth.open, len(truth.order.legs)) == (True, 1)
    assert [type(each) for each in truth.answers[cancelling]] == [OrderReply]
    assert [type(each) for each in truth.answers[changing]] == [Failed]


def test_the_same_joins_and_another_waits() -> None:
    truth = resting()
    first = truth.amends(D(6), None)
    refused_in_place(truth)
    second = truth.amends(D(6), None)
    third = truth.amends(D(8), None)
    (answer,) = truth.answers[third]
    assert isinstance(answer, OrderRefused)
    assert answer.code == "change_under_way"
    truth.ends()
    for name in (first, second):
        assert [type(each) for each in truth.answers[name]] == [OrderReply]
