"""A cancel of which nobody knew by its deadline is asked for again until the order is over, wherever it lives."""

from __future__ import annotations

from typing import Any

from app.domain.session import OrderTold, OutcomeUnknown
from messages.base import Failed
from messages.orders import AmendOrder, CancelOrder, GetOrder, LegState, LivesElsewhere, OrderReply
from tests.domain.session_desk import Desk, found

ORDER_ID = found(LegState.OPEN).order_id


def asked(desk: Desk, kind: type[Any]) -> Any:
    """The next message of a kind that is told."""
    for _ in range(1000):
        for _, message in desk.told:
            if isinstance(message, kind):
                desk.told.clear()
                return message
        desk.passes(max(0.0, desk.session.next_s() - desk.now_s))
    raise AssertionError("nothing is asked for")


def left_unknown() -> Desk:
    """A desk whose cancel was never answered."""
    desk = Desk()
    request = CancelOrder(correlation_id="cancel", deadline_s=5.0, strategy="maker", order_id=ORDER_ID)
    desk.perform(desk.session.ask(request, 0.0))
    desk.passes(5.0)
    assert [type(each) for each in desk.outcomes["cancel"]] == [OutcomeUnknown]
    desk.told.clear()
    return desk


def test_it_is_asked_for_again_where_the_order_lives_until_it_is_over() -> None:
    desk = left_unknown()
    again = asked(desk, CancelOrder)
    assert again.order_id == ORDER_ID
    desk.reply(LivesElsewhere(correlation_id=again.correlation_id, exchange="okx"))
    (there,) = [(to, message) for to, message in desk.told if isinstance(message, CancelOrder)]
    assert "okx" in there[0]
    desk.reply(OrderReply(correlation_id=there[1].correlation_id, order=found(LegState.CANCELLED, exchange="okx")))
    (told,) = [each for each in desk.news if isinstance(each, OrderTold)]
    assert told.order.leg is not None
    assert told.order.leg.state is LegState.CANCELLED
    desk.told.clear()
    desk.passes(60.0)
    assert not [message for _, message in desk.told if isinstance(message, CancelOrder | GetOrder)]


def test_one_that_came_too_late_ends_by_what_the_order_is() -> None:
    desk = left_unknown()
    again = asked(desk, CancelOrder)
    desk.reply(Failed(correlation_id=again.correlation_id, code="order_not_open", words="It is filled."))
    question = asked(desk, GetOrder)
    desk.reply(OrderReply(correlation_id=question.correlation_id, order=found(LegState.FILLED)))
    (told,) = [each for each in desk.news if isinstance(each, OrderTold)]
    assert told.order.leg is not None
    assert told.order.leg.state is LegState.FILLED


def test_a_change_is_asked_after_and_not_asked_for_again() -> None:
    desk = Desk()
    request = AmendOrder(correlation_id="amend", deadline_s=5.0, strategy="maker", order_id=ORDER_ID)
    desk.perform(desk.session.ask(request, 0.0))
    desk.passes(5.0)
    desk.told.clear()
    question = asked(desk, GetOrder)
    desk.reply(OrderReply(correlation_id=question.correlation_id, order=found(LegState.OPEN)))
    assert [type(each) for each in desk.news if isinstance(each, OrderTold)] == [OrderTold]
