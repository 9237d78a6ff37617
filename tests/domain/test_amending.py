"""Changes of resting orders against an exchange that answers late, twice, with what was, or not at all.

Along any sequence: what the journal says an order may be for holds what the exchange has (so the book's interval does),
nothing filled is lost, everybody is told once, and what they are told is true; and when all is answered, the record is
what the exchange has.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain import calls as c
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from app.domain.effects import Answer
from messages.base import Failed
from messages.market import MarketType, Symbol
from messages.orders import (
    AmendOrder,
    LegState,
    LivesElsewhere,
    OrderRefused,
    OrderReply,
)
from tests.depth import examples
from tests.domain.amending_desk import PROOF, ROOM, D, Desk

quantities = st.sampled_from([None, D(2), D(3), D(4), D(6), D(8)])
prices = st.sampled_from([None, D(100), D(101), D(102)])


@settings(
    max_examples=examples(30, 300),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_the_record_converges_to_what_the_exchange_has(data: st.DataObject) -> None:
    """Whatever happens in between, and however often the connector dies."""
    desk = Desk()
    for _ in range(data.draw(st.integers(1, 25))):
        match data.draw(st.sampled_from(["amend", "amend", "back", "back", "back", "fill", "pass", "cancel", "crash"])):
            case "amend":
                quantity, price = data.draw(quantities), data.draw(prices)
                if quantity is not None or price is not None:
                    desk.amends(quantity, price, data.draw(st.sampled_from([2.0, 20.0])))
            case "back" if desk.flights:
                call_id = data.draw(st.sampled_from(sorted(desk.flights)))
                desk.back(call_id, desk.result(desk.flights[call_id], data))
            case "fill" if desk.book.open:
                desk.book.filled += data.draw(st.sampled_from([D(1), desk.book.quantity - desk.book.filled]))
                desk.book.filled = min(desk.book.filled, desk.book.quantity)
                desk.remember()
            case "pass":
                desk.passes(data.draw(st.sampled_from([0.1, 0.7, 4.0, 9.0])))
            case "cancel" if data.draw(st.booleans()):
                desk.cancels()
            case "crash" if data.draw(st.booleans()):
                desk.crash()
    ends(desk)


def ends(desk: Desk) -> None:
    """All is answered, truthfully and at once; then everything is known and nobody waits."""
    for _ in range(60):
        while desk.flights:
            call_id = min(desk.flights)
            desk.back(call_id, desk.result(desk.flights[call_id], None))
        desk.passes(0.5)
    while desk.flights:
        call_id = min(desk.flights)
        desk.back(call_id, desk.result(desk.flights[call_id], None))
    leg, book = desk.leg, desk.book
    assert leg.filled == book.filled
    assert leg.state is book.report().state
    if book.open:
        assert (leg.quantity, desk.order.now.price, leg.most) == (book.quantity, book.price, None)
        assert leg.remaining == book.quantity - book.filled
    assert all(len(messages) == 1 for asker, messages in desk.answers.items() if asker != "place")
    for asker, (request, life) in desk.asked.items():
        if life == desk.life and request.deadline_s - desk.now_s > 0:
            assert desk.answers.get(asker), f"{request} was never answered"


def flight_of(desk: Desk, kind: type[c.Call]) -> int:
    """The one call of a kind that is on its way."""
    (call_id,) = (call_id for call_id, flight in desk.flights.items() if isinstance(flight.call, kind))
    return call_id


def test_an_answer_that_shows_the_order_needs_no_look_up() -> None:
    """Binance's, for one."""
    desk = Desk()
    desk.amends(D(6), D(101))
    call_id = flight_of(desk, c.AmendCall)
    assert desk.book.amend(desk.flights[call_id].call)  # type: ignore[arg-type]
    desk.back(call_id, c.Amended(report=desk.seen(desk.book.report())))
    assert not desk.flights
    ((answer,),) = [messages for asker, messages in desk.answers.items() if asker.startswith("amend")]
    assert isinstance(answer, OrderReply)
    assert (answer.order.quantity, answer.order.now.price) == (D(6), D(101))


def test_a_list_asked_for_before_takes_nothing_back() -> None:
    """It was on its way all the time, and shows what was."""
    desk = Desk()
    desk.passes(2.0)
    poll = flight_of(desk, c.OpenOrdersCall)
    stale = desk.seen(desk.book.report())
    desk.amends(D(6), None)
    call_id = flight_of(desk, c.AmendCall)
    desk.book.amend(desk.flights[call_id].call)  # type: ignore[arg-type]
    desk.remember()
    desk.back(call_id, c.Amended(report=desk.seen(desk.book.report())))
    desk.back(poll, c.OpenOrders(reports=(stale,), asked_s=2.0))
    assert desk.leg.quantity == D(6)


def test_one_change_at_a_time_and_a_cancel_first() -> None:
    """The same joins; another is refused; a cancel ends what was not sent."""
    desk = Desk()
    desk.amends(D(6), None)
    desk.amends(D(6), None)
    desk.amends(D(8), None)
    answers = {asker: messages for asker, messages in desk.answers.items() if asker != "place"}
    (refused,) = answers["amend-2"]
    assert isinstance(refused, OrderRefused)
    assert refused.code == "change_under_way"
    assert list(answers) == ["amend-2"]
    desk.back(flight_of(desk, c.AmendCall), c.AmendRefused(code="no", words="No.", native_code="7"))
    for name in ("amend-0", "amend-1"):
        (refused,) = desk.answers[name]
        assert isinstance(refused, OrderRefused)
        assert (refused.code, refused.native_code) == ("no", "7")
    desk.cancels()
    desk.amends(D(8), None)
    (late,) = desk.answers["amend-4"]
    assert isinstance(late, OrderRefused)
    assert late.code == "being_cancelled"


def test_an_order_that_is_over_says_what_it_is() -> None:
    """And one that nobody knows that it is none."""
    desk = Desk()
    desk.book.cancelled = True
    desk.remember()
    desk.cancels()
    ends(desk)
    desk.amends(D(6), None)
    (answer,) = desk.answers[f"amend-{len(desk.asked) - 1}"]
    assert isinstance(answer, Failed)
    assert (answer.code, "cancelled" in answer.words) == ("order_not_open", True)


def sent(desk: Desk) -> c.AmendCall:
    """The change that is on its way, which is never answered."""
    call = desk.flights[flight_of(desk, c.AmendCall)].call
    assert isinstance(call, c.AmendCall)
    return call


def answered(desk: Desk, seconds: float) -> None:
    """Time goes by, and every read is answered by what is."""
    until_s = desk.now_s + seconds
    while desk.now_s < until_s:
        for call_id in sorted(desk.flights):
            desk.back(call_id, desk.result(desk.flights[call_id], None))
        desk.passes(min(0.25, until_s - desk.now_s))


def test_a_change_that_arrives_late_is_counted_until_it_cannot_any_more() -> None:
    """Look-ups before it had expired show the order as it was, and prove nothing."""
    desk = Desk()
    desk.amends(D(6), None)
    desk.late.append((6.9, sent(desk)))
    desk.back(flight_of(desk, c.AmendCall), c.CallFailed(code="timeout", words="No answer."))
    answered(desk, 6.5)
    assert (desk.leg.quantity, desk.leg.most, "amend-0" in desk.answers) == (D(4), D(6), False)
    ends(desk)
    assert desk.leg.quantity == D(6)


def test_a_change_of_an_earlier_life_too() -> None:
    """Also where another one is made meanwhile."""
    desk = Desk()
    desk.amends(D(8), None)
    desk.late.append((6.9, sent(desk)))
    desk.crash()
    answered(desk, 2.0)
    assert desk.leg.most == D(8)
    desk.amends(D(6), None)
    answered(desk, 2.0)
    assert (desk.leg.quantity, desk.leg.most) == (D(6), D(8))
    ends(desk)
    assert desk.leg.quantity == D(8)


def test_all_of_what_it_was_for_is_not_all_of_it() -> None:
    """A report that says what filled, and not of how much."""
    desk = Desk()
    desk.amends(D(6), None)
    desk.book.amend(sent(desk))
    desk.book.filled = D(4)
    desk.remember()
    desk.back(flight_of(desk, c.AmendCall), c.CallFailed(code="timeout", words="No answer."))
    desk.passes(0.1)
    look_up = flight_of(desk, c.LookUpCall)
    desk.back(look_up, c.Found(report=evolve(desk.seen(desk.book.report()), quantity=None)))
    assert (desk.leg.state, desk.leg.remaining) == (LegState.PARTIALLY_FILLED, D(2))
    ends(desk)


def asks(desk: Desk, **other: Any) -> Any:
    """What somebody is told at once who asks for a change with something of it unlike the order."""
    request = AmendOrder(
        correlation_id="c", deadline_s=20.0, strategy="maker", order_id=desk.order.order_id, price=D(101)
    )
    sent = len(desk.flights)
    (answer,) = desk.machine.amend("me", evolve(request, **other), desk.order, desk.now_s)
    assert isinstance(answer, Answer)
    assert answer.asker == "me"
    assert answer.message.correlation_id == "c"
    assert len(desk.flights) == sent
    return answer.message


def test_what_is_not_the_askers_order_is_not_changed() -> None:
    """Nobody else's, none that nobody knows, and none of another symbol."""
    desk = Desk()
    assert asks(desk, strategy="somebody else").code == "unknown_order"
    other = asks(desk, symbol=Symbol(base="ETH", quote="USDT", settle="USDT", market_type=MarketType.SWAP))
    assert isinstance(other, Failed)
    assert "changed" in other.words
    request = AmendOrder(correlation_id="c", deadline_s=20.0, strategy="maker", order_id="x", price=D(101))
    (answer,) = desk.machine.amend("me", request, None, 0.0)
    assert isinstance(answer, Answer)
    assert isinstance(answer.message, Failed)


def test_what_lives_elsewhere_is_changed_there() -> None:
    desk = Desk()
    desk.machine = Connector("okx", PROOF, ConnectorSettings(), ROOM)
    told = asks(desk)
    assert isinstance(told, LivesElsewhere)
    assert told.exchange == "bybit"


def test_what_nobody_knows_whether_it_is_there_is_not_changed() -> None:
    """A change of an order that may not be there could not be told from a new one."""
    desk = Desk()
    unproven = evolve(desk.order, legs=(evolve(desk.leg, state=LegState.UNKNOWN),))
    request = AmendOrder(correlation_id="c", deadline_s=20.0, strategy="maker", order_id="x", price=D(101))
    desk.machine = desk.born()
    desk.machine.recover((unproven,), 0.0)
    (answer,) = desk.machine.amend("me", request, unproven, 0.0)
    assert isinstance(answer, Answer)
    assert isinstance(answer.message, Failed)
    assert answer.message.code == "order_unproven"
    assert "it was not changed" in answer.message.words
