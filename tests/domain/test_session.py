"""A session among actors that answer, die, lie silent and move: every request ends once, in time, and honestly."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from app.domain import ids
from app.domain.session import (
    RESEND_S,
    NeverCommitted,
    OrderTold,
    OutcomeUnknown,
    RouteTold,
    Session,
    SessionSettings,
    Tell,
    Unanswered,
)
from messages.base import Failed
from messages.executions import ToldUpTo
from messages.failover import (
    GetStatus,
    ManualFailover,
    NotRouted,
    Route,
    RouteChanged,
    RouterState,
    Subscribe,
    Unsubscribe,
)
from messages.health import GetHealth
from messages.orders import (
    CancelOrder,
    LegState,
    LivesElsewhere,
    OrderAccepted,
    OrderChanged,
    OrderNotExecuted,
    OrderRefused,
    OrderReply,
    PlaceOrder,
)
from messages.supervision import Directory, DirectoryEntry, Role, Unlisten
from tests.domain.orders import JOURNAL, key, leg, order, spec
from tests.domain.session_desk import Desk, found


@given(st.integers(0, 3), st.booleans())
def test_what_was_sent_and_not_answered_is_unknown_at_the_deadline(deaths: int, moved: bool) -> None:
    """However often its connector died: its earlier life may have placed it."""
    desk = Desk()
    asked = desk.place()
    for _ in range(deaths):
        desk.dies("bybit")
    if moved:
        desk.routes(Route(epoch=2, exchange=None, since_s=0.0))
        desk.routes(Route(epoch=2, exchange="okx", since_s=0.0))
    desk.passes(21.0)
    (outcome,) = desk.outcomes[asked]
    assert isinstance(outcome, OutcomeUnknown)
    assert outcome.order_id == ids.order_id(JOURNAL, key())


def test_it_is_sent_again_with_the_same_key_after_silence_and_to_a_new_life() -> None:
    desk = Desk()
    desk.place()
    to, first = desk.take()
    assert to == "bybit#1"
    desk.passes(RESEND_S + 0.01)
    to, second = desk.take()
    assert (to, second.key) == ("bybit#1", first.key)
    desk.dies("bybit")
    to, third = desk.take()
    assert (to, third.key, third.deadline_s) == ("bybit#2", first.key, first.deadline_s)
    assert len({first.correlation_id, second.correlation_id, third.correlation_id}) == 3


def test_what_is_proven_of_an_order_answers_every_request_for_it() -> None:
    """Of two requests for one order none is told "not executed" once the other was accepted."""
    desk = Desk()
    one = desk.place()
    first = desk.take()[1]
    desk.reply(
        OrderNotExecuted(
            correlation_id=first.correlation_id, code="absent", words="Absent.", order=found(LegState.ABSENT)
        )
    )
    two = desk.place()
    second = desk.take()[1]
    desk.reply(OrderAccepted(correlation_id=second.correlation_id, order=found(LegState.OPEN)))
    assert isinstance(desk.outcomes[two][0], OrderAccepted)
    assert isinstance(desk.outcomes[one][0], OrderAccepted)


def test_news_answers_as_well() -> None:
    desk = Desk()
    desk.perform(desk.session.news_told(ToldUpTo(strategy="maker", latest=2), 0.0))
    asked = desk.place()
    changed = OrderChanged(sequence=7, number=3, order=found(LegState.FILLED))
    desk.perform(desk.session.news_told(changed, desk.now_s))
    assert isinstance(desk.outcomes[asked][0], OrderAccepted)
    desk.perform(desk.session.news_told(changed, desk.now_s))
    told = [news for news in desk.news if isinstance(news, OrderTold)]
    assert [news.sequence for news in told] == [7], "news comes twice, and is told once"


def test_an_unknown_outcome_is_asked_for_until_it_is_known() -> None:
    """News can be lost with the connector that had it; what is owed an answer is asked for."""
    desk = Desk()
    desk.place(within_s=1.0)
    desk.passes(1.1)
    order_id = ids.order_id(JOURNAL, key())
    first = desk.question()
    assert first.order_id == order_id
    desk.passes(30.0)  # nobody answers
    second = desk.question()
    desk.reply(OrderReply(correlation_id=second.correlation_id, order=found(LegState.UNKNOWN)))
    third = desk.question()
    assert not [news for news in desk.news if isinstance(news, OrderTold)]
    desk.reply(OrderReply(correlation_id=third.correlation_id, order=found(LegState.OPEN)))
    (told,) = [news for news in desk.news if isinstance(news, OrderTold)]
    assert told.order == found(LegState.OPEN)
    desk.told.clear()
    desk.passes(60.0)
    assert not desk.told, "known, and no longer asked for"


def test_an_unknown_order_nobody_has_a_trace_of_was_never_committed() -> None:
    """After its deadline no connector begins it; unless it is being placed again meanwhile."""
    desk = Desk()
    desk.place(within_s=1.0)
    desk.passes(1.1)
    again = desk.place(within_s=6.0)
    question = desk.question()
    assert again not in desk.outcomes
    desk.reply(Failed(correlation_id=question.correlation_id, code="unknown_order", words="No such order."))
    desk.passes(6.0)
    assert again in desk.outcomes
    assert not [news for news in desk.news if isinstance(news, NeverCommitted)], "it was being placed again"
    question = desk.question()
    desk.reply(Failed(correlation_id=question.correlation_id, code="unknown_order", words="No such order."))
    (never,) = [news for news in desk.news if isinstance(news, NeverCommitted)]
    assert never.key == key()


def test_between_fence_and_commit_an_order_is_asked_for_once_and_not_pushed() -> None:
    """It may have been placed before: any connector can say."""
    desk = Desk()
    desk.routes(Route(epoch=2, exchange=None, since_s=0.0))
    asked = desk.place()
    to, request = desk.take()
    assert to == "bybit#1"
    desk.reply(NotRouted(correlation_id=request.correlation_id, route=desk.route))
    desk.passes(5.0)
    assert not desk.told
    desk.routes(Route(epoch=2, exchange="okx", since_s=5.0))
    to, request = desk.take()
    assert (to, request.epoch) == ("okx#1", 2)
    desk.reply(OrderAccepted(correlation_id=request.correlation_id, order=found(LegState.OPEN, exchange="okx")))
    assert isinstance(desk.outcomes[asked][0], OrderAccepted)


def test_a_cancel_follows_its_order_to_where_it_lives() -> None:
    desk = Desk()
    request = CancelOrder(correlation_id="c", deadline_s=9.0, strategy="maker", order_id="x")
    desk.perform(desk.session.ask(request, 0.0))
    assert desk.take()[0] == "bybit#1"
    desk.reply(LivesElsewhere(correlation_id="c", exchange="okx"))
    assert desk.take()[0] == "okx#1"
    desk.reply(OrderReply(correlation_id="c", order=found(LegState.CANCELLED, exchange="okx")))
    assert isinstance(desk.outcomes["c"][0], OrderReply)


def test_control_requests_go_to_their_actor_and_end_unanswered() -> None:
    """Asking changed nothing, so nothing is in doubt."""
    desk = Desk()
    desk.perform(desk.session.ask(GetStatus(correlation_id="s", deadline_s=4.0), 0.0))
    desk.perform(desk.session.ask(GetHealth(correlation_id="h", deadline_s=4.0), 0.0))
    failover = ManualFailover(correlation_id="m", deadline_s=4.0, exchange="okx")
    desk.perform(desk.session.ask(failover, 0.0))
    assert [to for to, _ in desk.told] == ["coordinator#1", "coordinator#1"], "there is no health monitor"
    desk.dies("coordinator")
    assert [to for to, _ in desk.told] == ["coordinator#2", "coordinator#2"]
    desk.passes(5.0)
    assert all(isinstance(desk.outcomes[each][0], Unanswered) for each in "shm")


def test_an_older_route_and_an_older_directory_are_dropped() -> None:
    desk = Desk()
    desk.routes(Route(epoch=5, exchange="okx", since_s=0.0))
    desk.news.clear()
    old = RouteChanged(route=Route(epoch=4, exchange="bybit", since_s=0.0), state=RouterState.READY)
    desk.perform(desk.session.route_told(old, 0.0))
    assert not [news for news in desk.news if isinstance(news, RouteTold)]
    assert desk.session.route is not None
    assert desk.session.route.exchange == "okx"
    before = desk.session.directory
    desk.perform(desk.session.directory_told(Directory(generation=1, journal_id="x", entries=()), 0.0))
    assert desk.session.directory is before


def test_an_order_with_another_body_under_its_id_refuses_a_request_that_waits() -> None:
    """At its deadline it would hear that nothing was executed, while the order of that id rests."""
    desk = Desk()
    waits = desk.place()
    _, message = desk.take()
    turned_away = OrderNotExecuted(correlation_id=message.correlation_id, code="rate_limited", words="No room.")
    desk.perform(desk.session.reply(turned_away, desk.now_s))
    other = evolve(order(leg(LegState.OPEN)), key=key("one"), spec=evolve(spec(), quantity=spec().quantity / 2))
    desk.perform(desk.session.news_told(OrderChanged(sequence=1, number=1, order=other), desk.now_s))
    (refused,) = desk.outcomes[waits]
    assert isinstance(refused, OrderRefused)
    assert refused.code == "client_order_id_reused"
    assert refused.order is None


def not_executed(desk: Desk, request: PlaceOrder) -> None:
    """The exchange in use has proven that a try did not execute."""
    proof = OrderNotExecuted(
        correlation_id=request.correlation_id, code="absent", words="Absent.", order=found(LegState.ABSENT)
    )
    desk.reply(proof)


@pytest.mark.parametrize("fenced", [False, True])
def test_a_new_epoch_on_the_same_exchange_brings_no_try_before_its_time(fenced: bool) -> None:
    """Tries are counted and spread by exchange: a switch that was given up is no reason to hurry."""
    desk = Desk()
    desk.place()
    not_executed(desk, desk.take()[1])
    if fenced:
        desk.routes(Route(epoch=2, exchange=None, since_s=0.0))
    desk.routes(Route(epoch=2, exchange="bybit", since_s=0.0))
    assert not desk.told
    desk.passes(1.5)
    to, again = desk.take()
    assert (to, again.epoch) == ("bybit#1", 2)


def test_where_trading_has_gone_it_is_tried_at_once_and_under_that_epoch() -> None:
    desk = Desk()
    desk.place()
    not_executed(desk, desk.take()[1])
    desk.routes(Route(epoch=2, exchange="okx", since_s=0.0))
    to, again = desk.take()
    assert (to, again.epoch) == ("okx#1", 2)


def test_news_of_its_own_orders_is_what_it_asks_for() -> None:
    session = Session(SessionSettings(session_id="s", strategy="maker"))
    session.start(0.0)
    entries = tuple(
        DirectoryEntry(role=role, name=name, address=name, incarnation=1, pid=None)
        for role, name in ((Role.FAILOVER_COORDINATOR, "coordinator"), (Role.CONNECTOR, "bybit"))
    )
    told = session.directory_told(Directory(generation=1, journal_id=JOURNAL, entries=entries), 0.0)
    asked = [effect.message for effect in told if isinstance(effect, Tell) and isinstance(effect.message, Subscribe)]
    assert asked
    assert {(each.session_id, each.strategy) for each in asked} == {("s", "maker")}


def test_whoever_ends_takes_its_name_off_every_list() -> None:
    """Else connectors would tell it news for as long as they remember it."""
    desk = Desk()
    ended = [effect for effect in desk.session.end() if isinstance(effect, Tell)]
    assert [str(effect.to) for effect in ended if isinstance(effect.message, Unsubscribe)] == [
        "bybit#1",
        "okx#1",
        "coordinator#1",
    ]
    assert {effect.message.session_id for effect in ended if isinstance(effect.message, Unsubscribe)} == {"s"}
    assert any(isinstance(effect.message, Unlisten) and effect.to is None for effect in ended)
