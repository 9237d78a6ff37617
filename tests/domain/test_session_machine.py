"""The session along any sequence of answers, losses, deaths and routes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from messages.failover import (
    NotRouted,
    Route,
    RouteChanged,
    RouterState,
)
from messages.orders import (
    LegState,
    OrderAccepted,
    OrderNotExecuted,
    OrderPending,
    OrderRefused,
    PlaceOrder,
)
from tests.depth import stateful
from tests.domain.orders import spec
from tests.domain.session_desk import EXCHANGES, Desk, found


def some_answer(request: Any, data: st.DataObject, route: Route) -> Any:
    """What a connector may answer to a placement that it has not placed yet."""
    correlation_id, name = request.correlation_id, request.key.client_order_id
    return data.draw(
        st.sampled_from(
            [
                OrderAccepted(correlation_id=correlation_id, order=found(LegState.OPEN, name)),
                OrderRefused(correlation_id=correlation_id, code="no", words="No."),
                OrderNotExecuted(correlation_id=correlation_id, code="busy", words="Busy."),
                OrderNotExecuted(
                    correlation_id=correlation_id, code="absent", words="Absent.", order=found(LegState.ABSENT, name)
                ),
                OrderPending(correlation_id=correlation_id, order=found(LegState.UNKNOWN, name)),
                NotRouted(correlation_id=correlation_id, route=route),
            ]
        )
    )


class SessionMachine(RuleBasedStateMachine):
    """Whatever answers come, come twice or are lost, whoever dies, wherever trading moves.

    - Each request is answered once, and by its deadline.
    - Only what was asked is sent, under ids of its own, to somebody of the directory, and a placement to a connector.
    - "Not executed" is told only when each copy that was sent was answered so, or is held by nobody any more.
    - What was accepted in an answer is told as that, and never as anything else afterwards.
    - Time is asked for whenever something is due, and never without end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.deadlines: dict[str, float] = {}
        self.sent: dict[str, str] = {}
        """Each copy that was told, and to whom; until it is answered."""
        self.accepted: set[str] = set()

    @rule(name=st.sampled_from(["a", "b"]), within_s=st.sampled_from([0.5, 5.0, 20.0]))
    def place(self, name: str, within_s: float) -> None:
        asked = self.desk.place(name, within_s)
        self.deadlines[asked] = self.desk.now_s + within_s

    @precondition(lambda self: self.desk.told)
    @rule(data=st.data(), again=st.booleans())
    def answer(self, data: st.DataObject, again: bool) -> None:
        _, request = self.desk.told.pop(data.draw(st.integers(0, len(self.desk.told) - 1)))
        if isinstance(request, PlaceOrder):
            reply = some_answer(request, data, self.desk.route)
            if isinstance(reply, OrderAccepted):
                self.accepted |= {each for each in self.deadlines if request.correlation_id.startswith(f"{each}.")}
            self.sent.pop(request.correlation_id, None)
            self.desk.reply(reply)
            if again:
                self.desk.reply(reply)

    @precondition(lambda self: self.desk.told)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.desk.told.pop(data.draw(st.integers(0, len(self.desk.told) - 1)))

    @rule(name=st.sampled_from(["bybit", "okx", "coordinator"]))
    def die(self, name: str) -> None:
        self.desk.dies(name)

    @rule()
    def fence(self) -> None:
        self.desk.routes(Route(epoch=self.desk.route.epoch + 1, exchange=None, since_s=self.desk.now_s))

    @precondition(lambda self: self.desk.route.exchange is None)
    @rule(exchange=st.sampled_from(EXCHANGES))
    def commit(self, exchange: str) -> None:
        self.desk.routes(Route(epoch=self.desk.route.epoch, exchange=exchange, since_s=self.desk.now_s))

    @rule(down=st.booleans())
    def called(self, down: bool) -> None:
        told = RouteChanged(route=self.desk.route, state=RouterState.READY, down=down)
        self.desk.perform(self.desk.session.route_told(told, self.desk.now_s))

    @rule(seconds=st.sampled_from([0.01, 1.0, 4.0]))
    def wait(self, seconds: float) -> None:
        self.desk.passes(seconds)

    @invariant()
    def only_what_was_asked(self) -> None:
        there = {f"{name}#{each}" for name, each in self.desk.incarnations.items()}
        for to, request in self.desk.told:
            if isinstance(request, PlaceOrder):
                assert request.key.strategy == "maker"
                assert request.spec == spec()
                assert request.correlation_id.split(".")[0] in self.deadlines
                assert to.split("#")[0] in EXCHANGES
                assert to in there
                assert request.deadline_s == self.deadlines[request.correlation_id.split(".")[0]]
                self.sent[request.correlation_id] = to
        self.sent = {copy: to for copy, to in self.sent.items() if to in there}

    @invariant()
    def once_and_in_time(self) -> None:
        desk = self.desk
        assert all(len(outcomes) == 1 for outcomes in desk.outcomes.values()), "answered twice"
        late = [asked for asked, due_s in self.deadlines.items() if desk.now_s >= due_s + 0.01]
        assert all(asked in desk.outcomes for asked in late), "not answered by its deadline"

    @invariant()
    def honest(self) -> None:
        for asked, (outcome, *_) in self.desk.outcomes.items():
            if isinstance(outcome, OrderNotExecuted):
                assert asked not in self.accepted, "accepted, and told not to have executed"
                assert asked not in {copy.split(".")[0] for copy in self.sent}, "somebody may yet carry it out"

    def teardown(self) -> None:
        self.desk.passes(25.0)
        assert Counter(map(len, self.desk.outcomes.values())) == ({1: len(self.deadlines)} if self.deadlines else {})
        assert set(self.desk.outcomes) == set(self.deadlines)
        assert self.desk.session.next_s() > self.desk.now_s


TestSessionMachine = stateful(SessionMachine, 40, 400)
