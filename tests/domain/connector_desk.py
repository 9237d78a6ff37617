"""A connector's machine over a journal in memory, and an exchange that answers as a test has it."""

from __future__ import annotations

from collections import Counter, deque
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from app.domain import calls as c
from app.domain import effects as e
from app.domain import ids
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from app.domain.limiter import RateLimit
from app.domain.pretrade import PretradeLimits
from app.journal.store import Committed
from messages.orders import (
    CancelOrder,
    GetOrder,
    LegState,
    OrderSpec,
    PlaceOrder,
)
from tests.domain.orders import BTC, fixed_journal, key, spec

PROOF = c.Proof(enforcement=c.ExpiryEnforcement.GATEWAY, validity_s=5.0, lateness_s=2.0, visibility_s=1.0)
NO_LIMITS = PretradeLimits()
ROOM = RateLimit(per_s=1000.0, burst=1000)


class Desk:
    """A connector, its journal, and the calls in flight."""

    def __init__(self, limits: PretradeLimits = NO_LIMITS) -> None:
        self.now_s, self.epoch = 0.0, 1
        self.journal = fixed_journal()
        self.journal.fence(0.0)
        self.journal.commit_route(1, "bybit", 0.0)
        self.machine = Connector("bybit", PROOF, ConnectorSettings(limits=limits), ROOM)
        self.machine.fills._unsupported = True  # of executions see test_fill_watch
        self.flights: dict[int, c.Call] = {}
        self.answers: dict[str, list[Any]] = {}
        self.asked: Counter[str] = Counter()
        self.serial = 0

    def perform(self, effects: list[e.Effect]) -> None:
        """As the actor does."""
        queue = deque(effects)
        while queue:
            effect = queue.popleft()
            match effect:
                case e.Commit(request=request):
                    made = self.journal.commit_intent(
                        exchange=self.machine.exchange,
                        epoch=request.epoch,
                        key=request.key,
                        spec=request.spec,
                        expiry_s=effect.expiry_s,
                        now_s=self.now_s,
                        judge=self.machine.judge(request, self.now_s),
                        elsewhere=self.machine.elsewhere(request, self.now_s),
                    )
                    known = made.order if isinstance(made, Committed) else made
                    queue.extendleft(reversed(self.machine.committed(effect.asker, request, known, self.now_s)))
                case e.TurnAway(request=request):
                    there = self.journal.order(ids.order_id(self.journal.journal_id, request.key))
                    queue.extendleft(reversed(self.machine.turned_away(effect, there, self.now_s)))
                case e.Record():
                    recorded = self.journal.record(
                        effect.order_id,
                        effect.number,
                        effect.event,
                        now_s=self.now_s,
                        filled=effect.filled,
                        exchange_order_id=effect.exchange_order_id,
                        code=effect.code,
                        words=effect.words,
                    )
                    queue.extend(self.machine.recorded(recorded.order, self.now_s))
                case e.Send(call_id=call_id, call=call):
                    self.sent(call_id, call)
                case e.Answer(asker=asker, message=message):
                    self.answers.setdefault(asker, []).append(message)
                case e.Deliver(asker=asker):
                    self.answers.setdefault(asker, []).append(effect.result)
                case e.Observe():
                    pass

    def sent(self, call_id: int, call: c.Call) -> None:
        """A call leaves."""
        if isinstance(call, c.PlaceCall):
            (there,) = [o for o in self.journal.orders_in([LegState.INTENT]) if o.legs[-1].wire_id == call.wire_id]
            assert there.legs[-1].committed_s == self.now_s == call.committed_s, "committed for this very call"
            assert call.deadline_s <= call.expiry_s == self.now_s + PROOF.validity_s
        wire_id = getattr(call, "wire_id", None)
        if wire_id is not None and not isinstance(call, c.LookUpCall):
            others = [o for o in self.flights.values() if getattr(o, "wire_id", None) == wire_id]
            assert all(isinstance(o, c.LookUpCall) for o in others), f"{call} while {others} is in flight"
        self.flights[call_id] = call

    def place(self, name: str, within_s: float = 20.0, what: OrderSpec | None = None) -> str:
        """Somebody places an order."""
        asker = self.asker("place")
        request = PlaceOrder(
            correlation_id=asker,
            deadline_s=self.now_s + within_s,
            epoch=self.epoch,
            key=key(name),
            spec=what or spec(),
        )
        self.perform(self.machine.place(asker, request, self.now_s))
        return asker

    def cancel(self, name: str) -> str:
        """Somebody cancels one."""
        asker = self.asker("cancel")
        order_id = ids.order_id(self.journal.journal_id, key(name))
        request = CancelOrder(correlation_id=asker, deadline_s=self.now_s + 20.0, strategy="maker", order_id=order_id)
        self.perform(self.machine.cancel(asker, request, self.journal.order(order_id), self.now_s))
        return asker

    def get(self, name: str) -> str:
        """Somebody asks for one."""
        asker = self.asker("get")
        order_id = ids.order_id(self.journal.journal_id, key(name))
        request = GetOrder(correlation_id=asker, deadline_s=self.now_s + 20.0, strategy="maker", order_id=order_id)
        self.perform(self.machine.get(asker, request, self.journal.order(order_id), self.now_s))
        return asker

    def asker(self, kind: str) -> str:
        """A new one."""
        self.serial += 1
        return f"{kind}-{self.serial}"

    def returns(self, call_id: int, result: c.Result) -> None:
        """A call comes back."""
        del self.flights[call_id]
        self.perform(self.machine.returned(call_id, result, self.now_s))

    def passes(self, seconds: float) -> None:
        """Time goes by, from one moment the machine asked for to the next."""
        until_s = self.now_s + seconds
        while (next_s := self.machine.next_s(self.now_s)) is not None and next_s <= until_s:
            self.now_s = max(self.now_s + 0.001, next_s)
            self.perform(self.machine.tick(self.now_s))
        self.now_s = max(self.now_s, until_s)


def report(wire_id: str, state: LegState, filled: str) -> c.OrderReport:
    """What the exchange says."""
    return c.OrderReport(
        exchange_order_id=f"x-{wire_id[-4:]}",
        wire_id=wire_id,
        symbol=BTC,
        state=state,
        filled=Decimal(filled),
        average_price=None,
    )


REPORTS = [
    (LegState.OPEN, "0"),
    (LegState.PARTIALLY_FILLED, "0.5"),
    (LegState.FILLED, "1"),
    (LegState.CANCELLED, "0.5"),
]
reports = st.sampled_from(REPORTS)


def some_result(desk: Desk, call: c.Call, data: st.DataObject) -> c.Result:
    """Anything the port may answer to a call, but for what contradicts a proof given before."""
    failed = c.CallFailed(code="timeout", words="No answer.", ill=True)
    results: list[c.Result]
    match call:
        case c.PlaceCall():
            results = [
                c.Placed(report=report(call.wire_id, *data.draw(reports))),
                c.Ambiguous(code="timeout", words="No answer."),
                c.Ambiguous(code="duplicate", words="In use.", duplicate=True),
                c.NotExecuted(code="overloaded", words="Not now."),
                c.Refused(code="no", words="No.", native_code="1"),
            ]
        case c.CancelCall():
            results = [
                failed,
                c.CancelTooLate(native_code=None, words="Too late."),
                c.CancelConfirmed(final=None),
                c.CancelConfirmed(final=report(call.wire_id, LegState.CANCELLED, "0.5")),
            ]
        case c.LookUpCall():
            live = any(t.live for t in desk.machine.tasks.values() if t.leg.wire_id == call.wire_id)
            absent = c.NotFound(asked_s=data.draw(st.sampled_from([0.0, desk.now_s])))
            results = [failed, c.Found(report=report(call.wire_id, *data.draw(reports))), failed if live else absent]
        case _:
            tasks = desk.machine.tasks.values()
            open_ = tuple(report(t.leg.wire_id, LegState.OPEN, "0") for t in tasks if t.live)
            results = [failed, c.OpenOrders(reports=open_, asked_s=desk.now_s)]
    return data.draw(st.sampled_from(results))


def check(desk: Desk) -> None:
    """What holds at every moment."""
    assert all(len(answers) == 1 for answers in desk.answers.values()), "answered twice"
    live = {order.order_id for order in desk.journal.open_orders(exchange="bybit")}
    assert set(desk.machine.tasks) == live, "what is followed is what the journal holds live or unproven"
    for task in desk.machine.tasks.values():
        assert task.order == desk.journal.order(task.order.order_id)
    assert len(desk.machine._flights) == len(desk.flights)


def settle(desk: Desk) -> None:
    """The exchange answers everything truthfully from here on: what it was not seen to have, it does not have."""
    for _ in range(400):
        desk.passes(0.5)
        for call_id, call in list(desk.flights.items()):
            match call:
                case c.PlaceCall():
                    desk.returns(call_id, c.NotExecuted(code="expired", words="Expired."))
                case c.CancelCall():
                    desk.returns(call_id, c.CancelConfirmed(final=report(call.wire_id, LegState.CANCELLED, "0.5")))
                case c.LookUpCall():
                    live = any(t.live for t in desk.machine.tasks.values() if t.leg.wire_id == call.wire_id)
                    found = c.Found(report=report(call.wire_id, LegState.FILLED, "1"))
                    desk.returns(call_id, found if live else c.NotFound(asked_s=desk.now_s))
                case _:
                    desk.returns(call_id, c.CallFailed(code="x", words="x"))
        if not desk.flights and not any(t.unproven or t.next_s for t in desk.machine.tasks.values()):
            return
    raise AssertionError(f"still not settled: {desk.machine.tasks} {desk.flights}")


# ---------------------------------------------------------------------------------------------------- single cases


def flight(desk: Desk, kind: type[Any]) -> tuple[int, Any]:
    """The one call of a kind in flight."""
    ((call_id, call),) = [(i, call) for i, call in desk.flights.items() if isinstance(call, kind)]
    return call_id, call
