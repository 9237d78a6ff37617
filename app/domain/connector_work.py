"""What a connector does at its exchange by itself: what goes out, what comes back, what is due, what follows from it.

The theory is that of `app.domain.connector`, which is this machine together with what it is asked from outside and
what the journal answers it. One errand at a time for each leg; everything that goes out passes the rate gate in
`_grant`, and everything that comes back passes `returned`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from attrs import define, field
from attrs.setters import NO_OP

from app.domain import calls as c
from app.domain.amending import Amending
from app.domain.carrying import Carrying
from app.domain.changes import Waiting
from app.domain.connector_settings import ConnectorSettings
from app.domain.dead_man import DeadMan
from app.domain.effects import Answer, Asker, Deliver, Effect, Inside, Mark, Observe, Send
from app.domain.errands import BY_CHANGES, Errand, Flight, ForLeg, Place, Read
from app.domain.evidence import evidence_of
from app.domain.exit_watch import ExitWatch
from app.domain.fill_watch import FillWatch
from app.domain.leg_life import BETWEEN, LegEvent
from app.domain.leg_task import LegTask
from app.domain.leg_watch import LegWatch
from app.domain.limiter import Priority
from app.domain.no_room import left_no_room, no_room
from app.domain.placing import Placing
from app.domain.preparing import Preparing
from app.domain.rate_gate import RateGate
from app.domain.rates import Rates, rates_of
from app.domain.settling import Settlings
from app.domain.unanswered import Unanswered
from messages.base import Request
from messages.market import Lots, Symbol
from messages.orders import (
    LegState,
    OrderSpec,
    OrderView,
    PlaceOrder,
)

SILENT = (c.CallFailed, c.Ambiguous, c.NotExecuted, c.DryOk)
"""Results that do not show that the exchange has answered."""

POLL_SHARE = 0.5
"""Of the rate of the exchange that polls of open orders may take; they are further apart where it is low."""


@define(on_setattr=NO_OP)  # else every assignment would look for the converter of `rates`
class ConnectorWork:
    """The part of a connector's machine that faces the exchange and the clock."""

    exchange: str
    proof: c.Proof
    settings: ConnectorSettings
    rates: Rates = field(converter=rates_of)
    _watch: LegWatch = field(init=False)
    _rate_gate: RateGate = field(init=False)
    _flights: dict[int, Flight] = field(init=False, factory=dict)
    _last_call: int = field(init=False, default=0)
    _placing: Placing = field(init=False)
    _poll_at_s: float | None = field(init=False, default=None)
    _settlings: Settlings = field(init=False)
    _poll_s: float = field(init=False)
    admits: Callable[[OrderSpec], str] = field(default=lambda _: "")
    ready: Callable[[], bool] = field(default=lambda: True)
    exits: ExitWatch = field(init=False)
    lots: Callable[[Symbol], Lots | None] = field(default=lambda _: None)
    left: Callable[[], bool] = field(default=lambda: False)
    held: Callable[[Symbol], Decimal] = field(default=lambda _: Decimal(0))
    held_elsewhere: Callable[[Symbol], Decimal] = field(default=lambda _: Decimal(0))
    _amending: Amending = field(init=False)
    _carrying: Carrying = field(init=False)
    fills: FillWatch = field(init=False)
    _preparing: Preparing = field(init=False)
    dead_man: DeadMan = field(init=False)
    unanswered: Unanswered = field(init=False)
    told_fills: int = field(init=False, default=0)
    """How often the exchange has told of more that filled of our orders."""

    def __attrs_post_init__(self) -> None:
        self.exits = ExitWatch(self.exchange, self.settings.request_timeout_s, self.admits, self.ready)
        self.fills = FillWatch(self.exchange, self.rates, self.settings.request_timeout_s)
        timeout_s = self.settings.request_timeout_s
        self._preparing = Preparing(self.exchange, timeout_s)
        self.dead_man = DeadMan(self.exchange, self.settings.dead_man, self.proof, timeout_s)
        self.unanswered = Unanswered(self.exchange)
        self._rate_gate = RateGate(self.rates)
        self._watch = LegWatch(self.exchange, self.proof, self.rates.per_s(c.LookUpCall))
        self._placing = Placing(self.exchange, self.settings, self._watch, self._rate_gate)
        self._settlings = Settlings(self.exchange)
        poll = c.OpenOrdersCall(symbol=None, deadline_s=0.0, conditional=True)
        slowest_s = 1.0 / (POLL_SHARE * self.rates.times_per_s(self.rates.cost_of(poll)))
        self._poll_s = max(self.settings.poll_s, slowest_s)
        gate, watch = self._placing.gate, self._watch
        settings, rates = self.settings, self._rate_gate
        self._amending = Amending(self.exchange, settings, watch, rates, gate, self.admits, self.ready)
        ask = self.admits, self.lots, self.left, self.held, self.held_elsewhere
        self._carrying = Carrying(self.exchange, settings, watch, rates, *ask)

    @property
    def tasks(self) -> dict[str, LegTask]:
        """The legs it follows, by the order's id."""
        return self._watch.tasks

    @property
    def limits(self) -> RateGate:
        """What is used of the exchange's limits: taken over before anything is asked, kept before a call is sent."""
        return self._rate_gate

    # ------------------------------------------------------------------------------------------------ in

    def place(self, asker: Asker, request: PlaceOrder, now_s: float) -> list[Effect]:
        """Somebody wants an order placed."""
        turned_away = self._placing.ask(asker, request, now_s)
        return [turned_away] if turned_away is not None else self._grant(now_s)

    def read(
        self, asker: Asker, request: Request | None, call: c.Call, now_s: float, priority: Priority = Priority.READ
    ) -> list[Effect]:
        """A call whose result goes back to the asker as it comes; `Returned` by `returned`."""
        errand = Read(asker, request, call)
        if not self._rate_gate.read(errand, priority, now_s):
            return self._read_back(errand, no_room(self.exchange, self._rate_gate.banned_until_s - now_s), now_s)
        return self._grant(now_s)

    # ------------------------------------------------------------------------------------------------ back

    def returned(self, call_id: int, result: c.Result, now_s: float) -> list[Effect]:
        """A call came back. Ids of an earlier life, and repeated ones, are dropped."""
        flight = self._flights.pop(call_id, None)
        if flight is None:
            return []
        out: list[Effect] = []
        self.unanswered.answered(call_id, flight.call, now_s)
        self._rate_gate.answered(flight.call, result, flight.sent_s, now_s)
        evidence = evidence_of(
            self.exchange,
            flight.call,
            result,
            flight.sent_s,
            now_s,
            silent_for_s=self._rate_gate.silent_for_s(now_s),
            fills=self.told_fills,
            request_timeout_s=self.settings.request_timeout_s,
        )
        if evidence is not None:
            out.append(Observe(evidence=evidence))
        if not isinstance(result, SILENT):
            self.dead_man.alive(now_s)
        item = flight.errand
        if isinstance(item, Read):
            out += self._read_back(item, result, now_s, flight.sent_s)
        elif isinstance(item, ForLeg):
            task = self._watch.of(item.order_id, item.number)
            if item.kind == "place":
                self._placing.under_way -= 1
            if task is not None:
                task.in_flight, task.last = None, item.kind
                learn = self._amending.returned if item.kind == "amend" else self._watch.learn
                learned = self._amending.divert(task, learn(task, result, now_s), flight, now_s)
                out += self._carrying.divert(task, learned, flight, now_s)
                if self._amending.untold(task, result):
                    self._poll_at_s = now_s  # some tell in the list of open orders what no look-up does
                return out + self._step(task, now_s)
        return out + self._grant(now_s)

    def _read_back(self, item: Read, result: c.Result, now_s: float, asked_s: float = 0.0) -> list[Effect]:
        if item.asker is Inside.FILLS:
            return list(self.fills.returned(result, self.tasks, now_s))
        if item.asker is Inside.PREPARING:
            return self._prepared(self._preparing.returned(item.call, result, now_s), now_s)
        if isinstance(item.call, c.DeadManCall):
            self.dead_man.returned(item.call, result, asked_s, now_s)
            self._disarm(now_s)
        if item.asker is Inside.CARRIES and isinstance(item.call, c.TickerCall):
            return self._carrying.priced(item.call.symbol, result, now_s)
        out = self._placing.ticker_read(item, result, asked_s, now_s)
        if isinstance(item.call, c.TickerCall):
            out += self._amending.priced(item.call.symbol, now_s)
        if isinstance(result, c.OpenOrders):
            out += self._polled(result, now_s)
        if isinstance(item.call, c.LookUpCall):
            task = self._watch.by_wire_id(item.call.wire_id)
            if task is not None and isinstance(result, c.Found) and item.request is not None:
                task.readers.append(Waiting.of(item.asker, item.request))
                flight = Flight(item, item.call, asked_s)
                learned = self._amending.divert(task, [task.report(result.report, asked_s)], flight, now_s)
                return self._carrying.divert(task, learned, flight, now_s)
        if item.request is not None:
            out.append(Deliver(asker=item.asker, request=item.request, result=result))
        return out

    def _prepared(self, wanted: list[Answer | c.Call], now_s: float) -> list[Effect]:
        out: list[Effect] = []
        for each in wanted:
            out += [each] if isinstance(each, Answer) else self.read(Inside.PREPARING, None, each, now_s)
        return out

    def _disarm(self, now_s: float) -> None:
        for asker, request, call in self.dead_man.to_disarm():
            self._rate_gate.read(Read(asker, request, call), Priority.CANCEL, now_s)

    def _polled(self, result: c.OpenOrders, now_s: float) -> list[Effect]:
        out: list[Effect] = []
        by_wire_id = {report.wire_id: report for report in result.reports}
        for task in self.tasks.values():
            report = by_wire_id.get(task.leg.wire_id)
            if report is not None:
                out.append(task.report(report, result.asked_s))
            elif task.live and task.next_s is None and task.leg.committed_s + self.proof.visibility_s < result.asked_s:
                self._watch.look_at(task, now_s)
        return out + self.tick(now_s)

    # ------------------------------------------------------------------------------------------------ recorded

    def recorded(self, order: OrderView, now_s: float) -> list[Effect]:
        """The journal took over what was learned: tell whoever waited for it."""
        self.fills.changed(order, now_s)
        self._carrying.recorded(order)
        followed = self._for_exits(self.exits.changed(order, now_s), now_s)
        told = [effect for task in self._watch.all_of(order) for effect in self._told(task, order, now_s)]
        return [*told, *followed]

    def _told(self, task: LegTask, order: OrderView, now_s: float) -> list[Effect]:
        filled = task.leg.filled
        self._watch.now(task, order)
        self.told_fills += task.leg.filled > filled
        self._watch.learned(task)
        freed = self._placing.known(task, now_s)
        changed = self._amending.recorded(task, now_s)
        # Where another connector has placed it meanwhile, there is nothing to withdraw: who waits is to ask that one.
        nowhere = task.leg.state is LegState.ABSENT or task.leg.state in BETWEEN
        withdrawn = nowhere and not task.behind and bool(task.cancellers)
        out: list[Effect] = [] if withdrawn else list(task.answers())
        if withdrawn:
            out.append(task.record(LegEvent.WITHDRAWN))
        elif task.leg.carry_s is not None and not task.cancel_wanted and (task.live or task.unproven):
            self._want_cancel(task, now_s)
        elif not task.live and not task.unproven:
            self._watch.let_go(task)
            self._settlings.ended(task)
        return out + freed + changed + self._step(task, now_s)

    def not_recorded(self, order_id: str, now_s: float) -> list[Effect]:
        """The journal could not take it: learn it again from the exchange, a little later."""
        self._carrying.not_recorded(order_id)
        for task in [task for task in self.tasks.values() if task.order.order_id == order_id]:
            if task.live or task.unproven:
                task.in_flight = None if task.in_flight == "replace" else task.in_flight
                self._watch.look_again(task, now_s)
            else:
                self._watch.let_go(task)  # a withdrawal, which no exchange knows of: whoever wants it asks again
        return []

    def _for_exits(self, wanted: list[PlaceOrder | Mark], now_s: float) -> list[Effect]:
        out: list[Effect] = []
        for each in wanted:
            out += [each] if isinstance(each, Mark) else self.place(Inside.EXITS, each, now_s)
        return out

    # ------------------------------------------------------------------------------------------------ time

    def tick(self, now_s: float) -> list[Effect]:
        """Does whatever is due."""
        self.unanswered.tick(now_s)
        changes = self._amending.tick(now_s) + self._carrying.tick(now_s)
        gone = self.dead_man.gone(self.tasks.values(), now_s)
        changes += self._carrying.marks(self.tasks, self._settlings, now_s, gone)
        if (armed := self.dead_man.call(now_s)) is not None:
            changes += self.read(Inside.DEAD_MAN, None, armed, now_s, Priority.PROBE)
        for task in self._watch.due(now_s):
            self._pursue(task, now_s)
            changes += self._amending.pursue(task, now_s)
        exits = self._for_exits(self.exits.tick(now_s), now_s)
        if (fills := self.fills.call(now_s)) is not None:
            changes += self.read(Inside.FILLS, None, fills, now_s)
        if self._watch.live:
            if self._poll_at_s is None:
                self._poll_at_s = now_s + self._poll_s
            elif now_s >= self._poll_at_s:
                self._poll_at_s = now_s + self._poll_s
                end_s, conditional = now_s + self.settings.request_timeout_s, self._watch.conditional
                call = c.OpenOrdersCall(symbol=None, deadline_s=end_s, conditional=conditional)
                self._rate_gate.read(Read(None, None, call), Priority.LOOK_UP, now_s)
        else:
            self._poll_at_s = None
        out = changes + self._placing.held_too_long(now_s) + self._grant(now_s)
        return exits + out + self._settlings.answers(self.tasks, now_s)

    def _step(self, task: LegTask, now_s: float) -> list[Effect]:
        changes: list[Effect] = []
        if task.name in self.tasks:
            self._pursue(task, now_s)
            changes = self._amending.pursue(task, now_s)
        if self._watch.live and self._poll_at_s is None:
            self._poll_at_s = now_s + self._poll_s
        return changes + self._grant(now_s) + self._settlings.answers(self.tasks, now_s)

    def _pursue(self, task: LegTask, now_s: float) -> None:
        task.forget_late(now_s)
        if task.in_flight is not None or task.queued:
            return
        task.cancel_wanted = task.owner_cancels or self._settlings.wants_cancelled(task)
        kind = task.wanted(now_s)
        if kind is None:
            return
        waits = bool(task.cancellers) or task.cancels == 0  # one that is tried in vain goes behind those that are not
        priority = Priority.CANCEL if kind == "cancel" and waits else Priority.LOOK_UP
        deadline_s = now_s + self.settings.request_timeout_s
        errand = ForLeg(task.order.order_id, task.number, kind)
        if self._rate_gate.about_leg(errand, task, priority, deadline_s, now_s):
            task.queued = True
        else:
            self._watch.look_at(task, now_s + 0.5, anew=False)

    def next_s(self, now_s: float) -> float | None:
        """When `tick` has something to do next; None when nothing is due."""
        due = (
            self._watch.next_s(),
            self._settlings.next_s(),
            self._placing.next_s(),
            self.exits.next_s(),
            self._amending.next_s(),
            self._carrying.next_s(),
            self.fills.next_s(),
            self.dead_man.next_s(),
            self._poll_at_s,
            self._rate_gate.limiter.next_s(now_s),
            self.unanswered.next_s(),
        )
        return min([at_s for at_s in due if at_s is not None], default=None)

    # ------------------------------------------------------------------------------------------------ out

    def _grant(self, now_s: float) -> list[Effect]:
        out: list[Effect] = []
        go, late = self._rate_gate.limiter.granted(now_s)
        for item in late:
            if isinstance(item, Place):
                out.append(self._placing.late(item))
            elif isinstance(item, ForLeg) and item.kind == "carry":
                out += self._carrying.late(item, now_s)
            elif isinstance(item, ForLeg) and item.kind in BY_CHANGES:
                out += self._amending.late(item, now_s)
            elif isinstance(item, ForLeg):
                task = self._watch.of(item.order_id, item.number)
                if task is not None:
                    task.queued = False
                    self._watch.look_at(task, now_s + 0.5, anew=False)
            else:
                out += self._read_back(item, left_no_room(self.exchange), now_s)
        for item in go:
            if isinstance(item, Place):
                out.append(self._placing.commit(item, now_s))
            elif isinstance(item, ForLeg) and item.kind == "carry":
                out += self._carrying.granted(item, now_s)
            elif isinstance(item, ForLeg) and item.kind in BY_CHANGES:
                out += self._amending.granted(item, now_s)
            elif isinstance(item, ForLeg):
                out += self._send_for_leg(item, now_s)
            else:
                out.append(self._send(item, item.call, now_s))
        return out

    def _send_for_leg(self, item: ForLeg, now_s: float) -> list[Effect]:
        task = self._watch.of(item.order_id, item.number)
        if task is None:
            return []
        task.queued, task.next_s = False, None
        deadline_s = now_s + self.settings.request_timeout_s
        call = task.cancel_call(deadline_s) if item.kind == "cancel" else task.look_up_call(deadline_s)
        return [self._send(item, call, now_s)]

    def _send(self, item: Errand, call: c.Call, now_s: float) -> Send:
        self._last_call += 1
        self._flights[self._last_call] = Flight(item, call, now_s)
        self.unanswered.sent(self._last_call, call, now_s)
        self._rate_gate.sent(call, now_s)
        if isinstance(item, ForLeg):
            task = self._watch.of(item.order_id, item.number)
            assert task is not None, "what is sent about a leg is followed"
            task.in_flight, task.sent_s = item.kind, now_s
        return Send(call_id=self._last_call, call=call)

    def _want_cancel(self, task: LegTask, now_s: float) -> None:
        task.cancel_wanted = True
        if task.in_flight is None and not task.queued:
            self._watch.look_at(task, now_s)
