"""Cancels against everything that may come between: fills, answers late or lost, deaths, orders nobody knows of.

Who is told "cancelled" is told of an end, and of all that had filled; who is told nothing by his deadline still has his
wish carried out; and an exchange that acknowledges and does nothing is not asked without a pause.
"""

from __future__ import annotations

from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain import calls as c
from messages.base import Failed
from messages.orders import LegState, OrderRefused, OrderReply
from tests.depth import examples
from tests.domain.truth import FAILED, Truth

D = Decimal


@settings(
    max_examples=examples(30, 300),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_a_cancel_is_carried_out_whatever_comes_between(data: st.DataObject) -> None:
    """Also when whoever asked has stopped waiting, and when the connector dies."""
    truth = Truth()
    truth.places()
    asked = False
    for _ in range(data.draw(st.integers(1, 20))):
        match data.draw(st.sampled_from(["back", "back", "back", "fill", "pass", "cancel", "crash", "lock"])):
            case "back" if truth.flights:
                call_id = data.draw(st.sampled_from(sorted(truth.flights)))
                truth.back(call_id, truth.result(truth.flights[call_id], data))
            case "fill":
                truth.fills(data.draw(st.sampled_from([D(1), D(4)])))
            case "pass":
                truth.passes(data.draw(st.sampled_from([0.1, 0.7, 4.0, 9.0])))
            case "cancel":
                truth.cancels(data.draw(st.sampled_from([0.5, 20.0, 600.0])))
                asked = asked or not truth.locked
            case "crash" if data.draw(st.booleans()):
                truth.crash()
            case "lock":
                truth.locked = data.draw(st.booleans())
    truth.ends()
    assert not (asked and truth.open), "it rests although its owner wanted it gone"
    assert all(len(answers) == 1 for asker, answers in truth.answers.items() if asker.startswith("cancel"))


def placed(truth: Truth) -> None:
    """The order rests."""
    truth.places()
    ((call_id, flight),) = truth.flights.items()
    truth.back(call_id, truth.result(flight, None))


def flying(truth: Truth, kind: type[c.Call]) -> int:
    """The one call of a kind that is on its way."""
    (call_id,) = (call_id for call_id, flight in truth.flights.items() if isinstance(flight.call, kind))
    return call_id


def test_the_wish_is_kept_before_the_cancel_is_sent_and_outlives_all_who_know_of_it() -> None:
    truth = Truth()
    placed(truth)
    name = truth.cancels(within_s=1.0)
    assert isinstance(truth.flights[flying(truth, c.CancelCall)].call, c.CancelCall)
    assert truth.order.leg is not None
    assert truth.order.leg.cancel_asked_s == truth.now_s
    truth.passes(2.0)  # nobody waits for it any more
    truth.crash()
    truth.ends()
    assert truth.order.leg.state is LegState.CANCELLED
    assert name not in truth.answers
    assert truth.told[-1].leg is not None
    assert truth.told[-1].leg.state is LegState.CANCELLED, "and its sessions are told"


def test_an_order_that_nobody_knows_of_is_cancelled_as_soon_as_it_shows() -> None:
    truth = Truth()
    truth.places()
    call_id = flying(truth, c.PlaceCall)
    call = truth.flights[call_id].call
    assert isinstance(call, c.PlaceCall)
    truth.back(call_id, c.Ambiguous(code="timeout", words="No answer."))
    truth.cancels(within_s=0.5)
    truth.passes(0.1)
    truth.back(flying(truth, c.CancelCall), c.CancelTooLate(native_code="1", words="None."))  # it has not arrived
    truth.passes(1.0)
    leg = truth.take(call)
    assert leg is not None
    sent: list[c.Call] = []
    while truth.now_s < 30.0 and not (sent and isinstance(sent[-1], c.CancelCall)):
        for each, flight in list(truth.flights.items()):
            sent.append(flight.call)
            truth.back(each, truth.result(flight, None))
        truth.passes(0.1)
    assert [type(each) for each in sent[-2:]] == [c.LookUpCall, c.CancelCall], "the first look-up that shows it"
    truth.ends()
    assert not truth.open


def test_absence_ends_an_order_whose_owner_wanted_it_gone() -> None:
    """So that no other connector can place it in between."""
    truth = Truth()
    truth.places()
    truth.back(flying(truth, c.PlaceCall), c.Ambiguous(code="timeout", words="No answer."))
    name = truth.cancels(within_s=60.0)
    truth.ends()
    assert [(leg.state, leg.attempts) for leg in truth.order.legs] == [(LegState.CANCELLED, 1)]
    (answer,) = truth.answers[name]
    assert isinstance(answer, OrderReply)
    (placing,) = truth.answers["place-0"]
    assert isinstance(placing, OrderRefused)
    assert placing.code == "withdrawn"


def test_too_late_tells_the_final_fill() -> None:
    truth = Truth()
    placed(truth)
    truth.fills(D(4))
    name = truth.cancels()
    truth.back(flying(truth, c.CancelCall), c.CancelTooLate(native_code="1", words="None."))
    truth.back(flying(truth, c.LookUpCall), truth.result(truth.flights[flying(truth, c.LookUpCall)], None))
    (answer,) = truth.answers[name]
    assert isinstance(answer, Failed)
    assert answer.code == "order_not_open"
    assert "filled, and 4 of 4 have filled" in answer.words


def test_what_filled_before_the_cancel_took_effect_is_in_the_answer() -> None:
    truth = Truth()
    placed(truth)
    name = truth.cancels()
    truth.fills(D(3))
    truth.back(flying(truth, c.CancelCall), c.CancelConfirmed(final=None))
    assert name not in truth.answers, "an acknowledgement is no end"
    truth.end(next(iter(truth.legs)))
    truth.ends()
    (answer,) = truth.answers[name]
    assert isinstance(answer, OrderReply)
    assert answer.order.filled == 3


def test_an_end_that_does_not_say_what_filled_is_looked_up() -> None:
    truth = Truth()
    placed(truth)
    truth.fills(D(1))
    name = truth.cancels()
    truth.end(next(iter(truth.legs)))
    (leg,) = truth.legs.values()
    silent = c.OrderReport(
        exchange_order_id="x",
        wire_id=leg.wire_id,
        symbol=None,
        state=LegState.CANCELLED,
        filled=None,
        average_price=None,
    )
    truth.back(flying(truth, c.CancelCall), c.CancelConfirmed(final=silent))
    assert name not in truth.answers
    truth.ends()
    (answer,) = truth.answers[name]
    assert isinstance(answer, OrderReply)
    assert answer.order.filled == 1


def test_a_cancel_that_is_acknowledged_and_never_done_is_sent_again_ever_more_seldom() -> None:
    truth = Truth()
    placed(truth)
    truth.cancels(within_s=5.0)
    cancels: list[float] = []
    while truth.now_s < 300.0:
        for call_id, flight in list(truth.flights.items()):
            if isinstance(flight.call, c.CancelCall):
                cancels.append(flight.sent_s)
                truth.back(call_id, c.CancelConfirmed(final=None))
            else:
                truth.back(call_id, truth.result(flight, None))
        truth.passes(0.1)
    assert 15 < len(cancels) < 60, "never given up, and never in a hurry"
    assert cancels[1] < 2.0


def test_a_cancel_that_always_fails_is_looked_after() -> None:
    """It may have been carried out: an exchange whose cancels fail may answer look-ups."""
    truth = Truth()
    placed(truth)
    name = truth.cancels(within_s=60.0)
    truth.end(next(iter(truth.legs)))
    while name not in truth.answers and truth.now_s < 30.0:
        for call_id, flight in list(truth.flights.items()):
            failed = isinstance(flight.call, c.CancelCall)
            truth.back(call_id, FAILED if failed else truth.result(flight, None))
        truth.passes(0.05)
    assert truth.now_s < 2.0
    (answer,) = truth.answers[name]
    assert isinstance(answer, OrderReply)


def test_look_ups_that_fail_do_not_keep_a_cancel_from_being_sent_again() -> None:
    truth = Truth()
    placed(truth)
    truth.cancels(within_s=60.0)
    truth.back(flying(truth, c.CancelCall), c.CancelConfirmed(final=None))  # and nothing was done
    while truth.open and truth.now_s < 30.0:
        for call_id, flight in list(truth.flights.items()):
            failed = isinstance(flight.call, c.LookUpCall)
            truth.back(call_id, FAILED if failed else truth.result(flight, None))
        truth.passes(0.05)
    assert truth.now_s < 5.0


def test_a_journal_that_cannot_be_written_keeps_no_cancel_back() -> None:
    truth = Truth()
    placed(truth)
    truth.locked = True
    truth.cancels()
    truth.passes(0.2)
    assert flying(truth, c.CancelCall)
