"""Mistakes this harness found in the router, or in itself, put back one at a time, to see that they would be found.

Each is the smallest change that brings the old behaviour back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from attrs import evolve

from actors._shell import Shell
from actors.failover_coordinator import FailoverCoordinatorActor
from actors.strategy_actor import StrategyActor
from app.domain import carry, carrying, failover, leaving, leg_task, network, placing, session, session_endings
from app.domain.connector import Connector
from app.domain.doubts import Doubts
from app.domain.effects import Effect
from app.domain.failover import Coordinator
from app.domain.limiter import Priority
from app.domain.move_ground import Ground
from app.domain.mover import Mover, ToConnector
from app.domain.news import News, Told
from app.domain.saga_asked import SagaAsked
from app.domain.session import Session, Unanswered
from app.domain.session_effects import NewsEffect, OrderTold
from app.fuzz.operator import Operator
from app.fuzz.sim_orders import SimOrder
from app.journal import carries
from messages.base import Failed
from messages.health import HealthView
from messages.orders import GetOrder, LegState, OrderAccepted, OrderView, PlaceOrder
from messages.positions import PositionPolicy
from tests.fuzz.planted import swapped


@contextmanager
def early_messages_handled() -> Iterator[None]:
    """An actor handles what reaches it before it was started."""
    FailoverCoordinatorActor.needs_start = False
    try:
        yield
    finally:
        del FailoverCoordinatorActor.needs_start


@contextmanager
def withdrawn_called_accepted() -> Iterator[None]:
    """An order that no exchange ever had is answered as accepted."""
    reply = leg_task.place_reply

    def old(order: OrderView, correlation_id: str) -> Any:
        if order.leg is not None and order.leg.state is LegState.CANCELLED:
            return OrderAccepted(correlation_id=correlation_id, order=order)
        return reply(order, correlation_id)

    with (
        swapped(leg_task, "place_reply", old),
        swapped(placing, "place_reply", old),
        swapped(session, "place_reply", old),
    ):
        yield


@contextmanager
def switch_resumed_as_if_trading_had_moved() -> Iterator[None]:
    """A coordinator that died at the commit settles the exchange the switch began at, whatever the route says."""
    recover = Coordinator.recover

    def old(self: Coordinator, route: Any, past: Any, now_s: float, **more: Any) -> Any:
        unfinished = [each for each in past if not each.finished]
        if unfinished and unfinished[-1].epoch <= route.epoch and route.exchange is not None:
            self.route, self.switch = route, unfinished[-1]
            return self._leave(now_s)
        return recover(self, route, past, now_s, **more)

    with swapped(Coordinator, "recover", old):
        yield


@contextmanager
def failover_sent_again_refused() -> Iterator[None]:
    """A manual failover that takes a while is refused, because it is running."""
    with swapped(SagaAsked, "_runs_as_asked", lambda self, exchange: False):
        yield


@contextmanager
def failover_judged_when_asked_for() -> Iterator[None]:
    """Whether another switch is running is looked at when a failover is asked for, not when that is heard."""
    ask = Operator.ask

    def old(self: Operator, number: int, exchange: str) -> None:
        ask(self, number, exchange)
        self.switches[f"manual-{number}"].moving = self.moving()

    with swapped(Operator, "ask", old):
        yield


@contextmanager
def doubts_left_to_news() -> Iterator[None]:
    """A session waits to be told what became of an order it called unknown; news are told as they come, and none that
    was missed is asked for."""
    told, next_s = News.told, News.next_s

    def as_they_come(self: News, news: Told, now_s: float) -> list[NewsEffect]:
        return told(self, evolve(news, number=0), now_s)

    def at_once(self: News, order: OrderView, now_s: float, number: int = 0) -> list[NewsEffect]:
        return [OrderTold(order=order, sequence=0, resolved=True)]

    with (
        swapped(Doubts, "add", lambda self, *doubt: None),
        swapped(News, "told", as_they_come),
        swapped(News, "owes", at_once),
        swapped(News, "next_s", lambda self: next_s(self) if self.heard is None else float("inf")),
    ):
        yield


@contextmanager
def requests_for_one_order_apart() -> Iterator[None]:
    """That one request for an order was answered says nothing to another."""
    with swapped(Session, "_settle", lambda self, order: []):
        yield


@contextmanager
def questions_spend_all_their_time() -> Iterator[None]:
    """A question after an order waits for its exchange until its own deadline, and is told as refused then."""
    tell = StrategyActor._tell_outcome

    def old_get(self: Connector, asker: Any, request: GetOrder, order: OrderView | None, now_s: float) -> list[Effect]:
        task = self.tasks.get(order.order_id) if order is not None else None
        if order is None or task is None or task.in_flight is not None:
            return get(self, asker, request, order, now_s)
        call = task.look_up_call(min(request.deadline_s, now_s + self.settings.request_timeout_s))
        return self.read(asker, request, call, now_s, Priority.LOOK_UP)

    def old_tell(self: StrategyActor, asked: Any, outcome: Any) -> None:
        if isinstance(outcome, Unanswered) and asked.kind == "get":
            outcome = Failed(correlation_id="", code="unknown_order", words=outcome.words)
        tell(self, asked, outcome)

    get = Connector.get
    with swapped(Connector, "get", old_get), swapped(StrategyActor, "_tell_outcome", old_tell):
        yield


@contextmanager
def every_wake_up_answered() -> Iterator[None]:
    """A wake-up that was overtaken plans the next one all the same, so that they become more and more."""
    plan = Shell._plan_wake

    def old(self: Shell) -> None:
        self._wakes = 0
        plan(self)
        self._wakes = 1

    with swapped(Shell, "_plan_wake", old):
        yield


@contextmanager
def answers_held_against_the_end() -> Iterator[None]:
    """What was answered of an order is held against what is live when the run ends, not when it was answered."""
    with swapped(SimOrder, "live_at", lambda self, at_s: self.ended_s is None):
        yield


@contextmanager
def asked_again_taken_for_carried() -> Iterator[None]:
    """A leg that its owner asked for after one was proven absent is the router's own, where that was to be carried."""

    def old(order: OrderView, number: int) -> bool:
        before = order.legs[number - 2]
        return number > 1 and before.carry_s is not None and before.state is not LegState.HELD

    with swapped(carry, "is_carried", old), swapped(carrying, "is_carried", old):
        yield


@contextmanager
def plan_asked_between_two_exchanges() -> Iterator[None]:
    """What would be moved is looked at although nobody knows where to."""

    def old(self: Mover, ground: Ground, policy: PositionPolicy | None, now_s: float) -> tuple[list[ToConnector], bool]:
        for symbol in ground.standing:
            self._under(symbol, ground, policy)
        return look(self, ground, policy, now_s)

    look = Mover.look
    with swapped(Mover, "look", old):
        yield


@contextmanager
def another_body_left_waiting() -> Iterator[None]:
    """An order answers the requests that have its body; one that waits under its id with another waits on."""
    settled_by = session_endings.settled_by

    def old(request: PlaceOrder, order: OrderView) -> Any:
        return settled_by(request, order) if request.spec == order.spec else None

    with swapped(session, "settled_by", old):
        yield


@contextmanager
def doubt_beside_forgotten() -> Iterator[None]:
    """What is told of a request goes by its own copies alone, whatever was told of another for the same order."""

    def old(pending: Any, asked: Any, doubts: Any, now_s: float) -> bool:
        return False

    with swapped(session, "doubted_beside", old):
        yield


@contextmanager
def left_for_not_being_better() -> Iterator[None]:
    """That an exchange is not known to be better than a backup that fails is a reason to leave it."""

    def old(view: HealthView | None, isolated: str) -> Any:
        return why_leave(view if view is None else evolve(view, unfit=view.keeps_away), isolated)

    why_leave = leaving.why_leave
    with swapped(failover, "why_leave", old):
        yield


@contextmanager
def proof_from_before_a_second_silence() -> Iterator[None]:
    """An answer proves that our network works although the exchange that is down was heard of since."""

    def old(asked: HealthView, others: Iterable[HealthView]) -> float:
        return max((asked.since_s, *(view.since_s for view in others if view.health in network.ILL)))

    with swapped(network, "_began_s", old):
        yield


@contextmanager
def carried_again_under_another_id() -> Iterator[None]:
    """What was carried and proven absent there goes out as another leg."""
    with swapped(carries, "is_same_leg", lambda order, carry, exchange: False):
        yield
