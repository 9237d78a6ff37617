"""The connector's machine against a journal of its own and an exchange that answers whatever it likes.

Along any sequence of requests and answers: a leg is sent only when it was just committed, at most one call about a leg
is in flight, whoever asked is answered once and not before it is proven, and when all is answered nothing is left over.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve

from app.domain import calls as c
from app.domain import effects as e
from app.domain import ids
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from app.domain.leg_life import LIVE, UNPROVEN, LegEvent
from app.domain.leg_task import LegTask
from messages.base import Failed
from messages.failover import NotRouted, SettleReply, SettleRequest
from messages.orders import (
    CancelOrder,
    GetOrder,
    LegState,
    LivesElsewhere,
    OrderAccepted,
    OrderNotExecuted,
    OrderRefused,
    OrderReply,
    Trigger,
    TriggerKind,
)
from tests.domain.connector_desk import NO_LIMITS, PROOF, ROOM, Desk, flight, report
from tests.domain.orders import key, leg, order


def test_not_found_is_proof_only_when_asked_after_expiry_and_margin() -> None:
    desk = Desk()
    asker = desk.place("a")
    call_id, call = flight(desk, c.PlaceCall)
    desk.returns(call_id, c.Ambiguous(code="timeout", words="No answer."))
    asked_s = 0.0
    while asker not in desk.answers:
        desk.passes(0.05)
        for look_up, each in list(desk.flights.items()):
            assert isinstance(each, c.LookUpCall)
            asked_s = desk.now_s
            desk.returns(look_up, c.NotFound(asked_s=asked_s))
    (answer,) = desk.answers[asker]
    assert isinstance(answer, OrderNotExecuted)
    assert desk.now_s >= call.expiry_s + PROOF.margin_s
    assert asked_s - (call.expiry_s + PROOF.margin_s) < 0.5, "and it is looked up just when it becomes provable"


def test_a_failed_look_up_is_no_answer() -> None:
    desk = Desk()
    asker = desk.place("a")
    desk.returns(flight(desk, c.PlaceCall)[0], c.Ambiguous(code="timeout", words="No answer."))
    for _ in range(200):
        desk.passes(0.5)
        for call_id in list(desk.flights):
            desk.returns(call_id, c.CallFailed(code="timeout", words="No answer.", ill=True))
    assert asker not in desk.answers
    assert [task.leg.state for task in desk.machine.tasks.values()] == [LegState.UNKNOWN]


def test_an_acknowledged_cancel_is_not_the_end_and_is_sent_again_when_it_did_nothing() -> None:
    desk = Desk()
    desk.place("a")
    call_id, call = flight(desk, c.PlaceCall)
    desk.returns(call_id, c.Placed(report=report(call.wire_id, LegState.OPEN, "0")))
    asker = desk.cancel("a")
    cancels = 0
    for _ in range(60):
        desk.passes(0.2)
        for each, flying in list(desk.flights.items()):
            if isinstance(flying, c.CancelCall):
                cancels += 1
                desk.returns(each, c.CancelConfirmed(final=None))
            elif isinstance(flying, c.LookUpCall):
                desk.returns(each, c.Found(report=report(call.wire_id, LegState.OPEN, "0")))
            else:
                desk.returns(each, c.CallFailed(code="x", words="x"))
    assert asker not in desk.answers
    assert cancels >= 2
    desk.passes(6.0)
    for each, flying in list(desk.flights.items()):
        if isinstance(flying, c.CancelCall):
            desk.returns(each, c.CancelConfirmed(final=report(call.wire_id, LegState.CANCELLED, "0.25")))
        elif isinstance(flying, c.LookUpCall):
            desk.returns(each, c.Found(report=report(call.wire_id, LegState.CANCELLED, "0.25")))
    (answer,) = desk.answers[asker]
    assert isinstance(answer, OrderReply)
    assert answer.order.filled == Decimal("0.25")


def test_a_stale_epoch_is_told_the_route() -> None:
    desk = Desk()
    desk.journal.fence(1.0)
    asker = desk.place("a")
    (answer,) = desk.answers[asker]
    assert isinstance(answer, NotRouted)
    assert (answer.route.epoch, answer.route.exchange) == (2, None)
    assert not desk.flights


def test_an_order_withdrawn_after_proven_absence_was_never_accepted() -> None:
    """No exchange ever had it: placing it again under the same id is refused, not answered as accepted."""
    desk = Desk()
    desk.place("a")
    desk.returns(flight(desk, c.PlaceCall)[0], c.NotExecuted(code="overloaded", words="Not now."))
    (withdrawn,) = desk.answers[desk.cancel("a")]
    assert isinstance(withdrawn, OrderReply)
    (again,) = desk.answers[desk.place("a")]
    assert isinstance(again, OrderRefused)
    assert again.code == "withdrawn"
    assert not desk.flights


def test_a_leg_placed_elsewhere_while_it_was_withdrawn_here_is_not_looked_up_here() -> None:
    """On the wrong exchange nothing would be found, and its absence taken for proven."""
    machine = Connector("bybit", PROOF, ConnectorSettings(), ROOM)
    absent = order(leg(LegState.ABSENT))
    request = CancelOrder(correlation_id="c", deadline_s=9.0, strategy="maker", order_id=absent.order_id)
    (record,) = machine.cancel("me", request, absent, 0.0)
    assert isinstance(record, e.Record)
    assert record.event is LegEvent.WITHDRAWN
    placed = order(leg(LegState.ABSENT), leg(LegState.INTENT, exchange="okx", number=2))
    (answer,) = machine.recorded(placed, 0.1)
    assert answer == e.Answer(asker="me", message=LivesElsewhere(correlation_id="c", exchange="okx"))
    assert not machine.tasks


def test_a_start_takes_up_what_an_earlier_life_left() -> None:
    """An intent may have been sent: it is unknown from now on, and looked up."""
    for state in UNPROVEN | LIVE:
        machine = Connector("bybit", PROOF, ConnectorSettings(), ROOM)
        effects = machine.recover((order(leg(state)),), 100.0)
        recorded = [effect.event for effect in effects if isinstance(effect, e.Record)]
        assert recorded == ([LegEvent.SENT_AMBIGUOUS] if state is LegState.INTENT else [])
        (send,) = [effect for effect in effects if isinstance(effect, e.Send)]
        assert isinstance(send.call, c.LookUpCall)


def test_settling_answers_when_nothing_is_left_or_at_its_deadline() -> None:
    desk = Desk()
    desk.place("a")
    call_id, call = flight(desk, c.PlaceCall)
    desk.returns(call_id, c.Placed(report=report(call.wire_id, LegState.OPEN, "0")))
    late = SettleRequest(correlation_id="s", deadline_s=desk.now_s + 2.0)
    desk.perform(desk.machine.settle("coordinator", late, desk.now_s))
    desk.passes(2.5)
    (told,) = desk.answers["coordinator"]
    assert isinstance(told, SettleReply)
    assert [left.client_order_id for left in told.left] == ["a"]
    desk.returns(flight(desk, c.CancelCall)[0], c.CancelConfirmed(final=report(call.wire_id, LegState.CANCELLED, "0")))
    soon = SettleRequest(correlation_id="s2", deadline_s=desk.now_s + 2.0)
    desk.perform(desk.machine.settle("coordinator 2", soon, desk.now_s))
    assert desk.answers["coordinator 2"] == [SettleReply(correlation_id="s2", exchange="bybit", cancelled=(), left=())]


def test_settling_touches_only_what_is_of_an_older_epoch() -> None:
    """A request that arrives after trading came back must not take off what was placed there since."""
    desk = Desk()
    desk.place("a")
    call_id, call = flight(desk, c.PlaceCall)
    desk.returns(call_id, c.Placed(report=report(call.wire_id, LegState.OPEN, "0")))
    for epoch, left in ((1, []), (2, ["a"])):
        request = SettleRequest(correlation_id="s", deadline_s=desk.now_s + 1.0, epoch=epoch)
        desk.perform(desk.machine.settle(f"coordinator {epoch}", request, desk.now_s))
        cancels = [each for each in desk.flights.values() if isinstance(each, c.CancelCall)]
        assert len(cancels) == len(left), f"committed under 1, settled before {epoch}"
        desk.passes(1.5)
        (told,) = desk.answers[f"coordinator {epoch}"]
        assert [each.client_order_id for each in told.left] == left


def test_strangers_and_repeated_results_are_dropped() -> None:
    desk = Desk()
    desk.place("a")
    call_id, call = flight(desk, c.PlaceCall)
    placed = c.Placed(report=report(call.wire_id, LegState.OPEN, "0"))
    assert desk.machine.returned(999, placed, 0.0) == []
    desk.returns(call_id, placed)
    assert desk.machine.returned(call_id, placed, 0.0) == []


def test_an_order_of_another_strategy_is_unknown() -> None:
    desk = Desk()
    desk.place("a")
    order_id = ids.order_id(desk.journal.journal_id, key("a"))
    request = CancelOrder(correlation_id="c", deadline_s=9.0, strategy="somebody else", order_id=order_id)
    (answer,) = desk.machine.cancel("me", request, desk.journal.order(order_id), 0.0)
    assert isinstance(answer, e.Answer)
    assert isinstance(answer.message, Failed)
    assert answer.message.code == "unknown_order"


def test_a_leg_is_looked_at_again_no_later_than_its_absence_becomes_provable() -> None:
    task = LegTask(order=order(leg(LegState.UNKNOWN)), look_ups=99)
    task.look_again(7.0, PROOF)
    assert task.next_s == task.leg.expiry_s + PROOF.margin_s


def test_a_leg_that_waits_for_a_trigger_is_absent_only_after_the_lateness_of_such() -> None:
    proof = evolve(PROOF, trigger_lateness_s=27.0)
    plain = order(leg(LegState.UNKNOWN))
    trigger = Trigger(kind=TriggerKind.STOP, price=Decimal(28000))
    waits = evolve(plain, spec=evolve(plain.spec, trigger=trigger))
    assert LegTask(order=plain).provable_s(proof) == plain.legs[-1].expiry_s + PROOF.margin_s
    late_s = 27.0 - PROOF.lateness_s
    assert LegTask(order=waits).provable_s(proof) == plain.legs[-1].expiry_s + PROOF.margin_s + late_s


def test_what_ended_at_a_price_nobody_told_is_looked_up_at_once() -> None:
    desk = Desk()
    desk.place("a")
    call_id, call = flight(desk, c.PlaceCall)
    shown = evolve(report(call.wire_id, LegState.OPEN, "0"), filled=None, ended=True)
    desk.returns(call_id, c.Placed(report=shown))
    assert [type(each) for each in desk.flights.values()] == [c.LookUpCall]


def placed_here(desk: Desk, name: str = "a") -> None:
    """An order that rests."""
    desk.place(name)
    call_id, call = flight(desk, c.PlaceCall)
    desk.returns(call_id, c.Placed(report=report(call.wire_id, LegState.OPEN, "0")))


def test_an_order_that_lives_elsewhere_is_cancelled_there() -> None:
    """Whoever asks is told where; nothing is sent here."""
    desk = Desk()
    placed_here(desk)
    desk.machine = Connector("okx", PROOF, ConnectorSettings(limits=NO_LIMITS), ROOM)
    (answer,) = desk.answers[desk.cancel("a")]
    assert isinstance(answer, LivesElsewhere)
    assert answer.exchange == "bybit"
    assert not desk.flights


def test_a_question_leaves_half_of_its_time_to_say_what_the_journal_knows() -> None:
    desk = Desk()
    placed_here(desk)
    for within_s, most_s in ((4.0, 2.0), (1000.0, ConnectorSettings(limits=NO_LIMITS).request_timeout_s)):
        order_id = ids.order_id(desk.journal.journal_id, key("a"))
        request = GetOrder(correlation_id="q", deadline_s=desk.now_s + within_s, strategy="maker", order_id=order_id)
        desk.perform(desk.machine.get("q", request, desk.journal.order(order_id), desk.now_s))
        call_id, call = flight(desk, c.LookUpCall)
        assert call.deadline_s == desk.now_s + most_s
        desk.returns(call_id, c.Found(report=report(call.wire_id, LegState.OPEN, "0")))


@pytest.mark.parametrize(
    "result",
    [
        c.Refused(code="funds", words="Not enough money.", native_code="110007"),
        c.NotExecuted(code="overloaded", words="Not now.", native_code="10006"),
        c.Ambiguous(code="timeout", words="No word on it.", native_code="504"),
    ],
    ids=lambda result: type(result).__name__,
)
def test_what_the_exchange_said_of_a_placement_is_kept_word_for_word(result: c.Result) -> None:
    """Its code, ours, and its words: whoever looks for a reason later has nothing else."""
    desk = Desk()
    desk.place("a")
    call_id, _ = flight(desk, c.PlaceCall)
    records: list[e.Record] = []
    effects = desk.machine.returned(call_id, result, desk.now_s)
    records += [effect for effect in effects if isinstance(effect, e.Record)]
    assert [(r.code, r.words, r.native_code) for r in records] == [
        (getattr(result, "code", None), getattr(result, "words", None), getattr(result, "native_code", None))
    ]


def test_a_cancel_that_is_not_due_is_not_sent() -> None:
    task = LegTask(order=order(evolve(leg(LegState.OPEN), cancel_asked_s=1.0)))
    task.cancel_wanted = True
    task.next_s = 10.0
    assert task.wanted(9.9) is None
    assert task.wanted(10.0) == "cancel"
    task.next_s = None
    assert task.wanted(0.0) == "cancel"


def test_whoever_placed_is_told_the_order_as_it_is() -> None:
    desk = Desk()
    asker = desk.place("a")
    call_id, call = flight(desk, c.PlaceCall)
    desk.returns(call_id, c.Placed(report=report(call.wire_id, LegState.PARTIALLY_FILLED, "0.4")))
    (answer,) = desk.answers[asker]
    assert isinstance(answer, OrderAccepted)
    assert answer.correlation_id == asker
    assert answer.order == desk.journal.order(ids.order_id(desk.journal.journal_id, key("a")))
    assert answer.order.filled == Decimal("0.4")
