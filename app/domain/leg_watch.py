"""The legs one connector has to follow: what answers teach of them, and when each is to be looked at next."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from heapq import heappop, heappush

from attrs import define, field

from app.domain import calls as c
from app.domain.effects import Effect
from app.domain.leg_life import LIVE, LegEvent
from app.domain.leg_task import CANCEL_AGAIN_AFTER, LOOK_UP_DELAYS_S, LegTask
from messages.orders import LegState, OrderSpec, OrderType, TimeInForce

LOOK_UP_SHARE = 0.5
"""Of the exchange's rate, for look-ups of unknown orders: the rest is for cancels, probes and new orders."""


@define
class LegWatch:
    """Tasks by order id, with indexes by what is known of them and a schedule.

    Attributes:
        tasks: Every leg that is live or unproven, by the order's id.
        unknown: Orders whose outcome nobody knows.
        live: Orders that rest on the exchange.
    """

    exchange: str
    proof: c.Proof
    per_s: float
    tasks: dict[str, LegTask] = field(init=False, factory=dict)
    unknown: set[str] = field(init=False, factory=set)
    live: set[str] = field(init=False, factory=set)
    _due: list[tuple[float, str]] = field(init=False, factory=list)

    @property
    def conditional(self) -> bool:
        """Whether any that rests was placed with a trigger."""
        return any(self.tasks[order_id].order.spec.trigger is not None for order_id in self.live)

    def take_up(self, task: LegTask) -> LegTask:
        """Follows a leg from now on."""
        self.tasks[task.order.order_id] = task
        self.learned(task)
        return task

    def let_go(self, task: LegTask) -> None:
        """Follows it no longer."""
        order_id = task.order.order_id
        self.tasks.pop(order_id, None)
        self.unknown.discard(order_id)
        self.live.discard(order_id)

    def learned(self, task: LegTask) -> None:
        """The state of its leg may have changed."""
        for states, index in (({LegState.UNKNOWN}, self.unknown), (LIVE, self.live)):
            if task.leg.state in states:
                index.add(task.order.order_id)
            else:
                index.discard(task.order.order_id)

    def by_wire_id(self, wire_id: str) -> LegTask | None:
        """The task of a leg by what the exchange calls it."""
        return next((task for task in self.tasks.values() if task.leg.wire_id == wire_id), None)

    def look_at(self, task: LegTask, at_s: float, *, anew: bool = True) -> None:
        """Looks at a leg at a time; `anew` begins with short distances again."""
        if anew:
            task.look_ups = 0
        task.next_s = at_s
        heappush(self._due, (at_s, task.order.order_id))

    def look_again(self, task: LegTask, now_s: float) -> None:
        """Looks at a leg after a distance that grows, and with the number of those nobody knows."""
        task.look_again(now_s, self.proof, least_s=len(self.unknown) / (LOOK_UP_SHARE * self.per_s))
        if task.next_s is not None:
            heappush(self._due, (task.next_s, task.order.order_id))

    def due(self, now_s: float) -> Iterator[LegTask]:
        """The legs it is time to look at, each once."""
        while self._due and self._due[0][0] <= now_s:
            at_s, order_id = heappop(self._due)
            task = self.tasks.get(order_id)
            if task is not None and task.next_s == at_s:
                yield task

    def next_s(self) -> float | None:
        """When a leg is to be looked at next; None when none is."""
        return self._due[0][0] if self._due else None

    def learn(self, task: LegTask, result: c.Result, now_s: float) -> list[Effect]:
        """What the result of a call about a leg teaches, and when the leg is to be looked at next."""
        match result:
            case c.Found(report=report):
                task.next_s = None
                record = task.report(report, task.sent_s)
                self._after_found(task, now_s)
                return [record]
            case c.Placed(report=report):
                task.next_s = None
                if report.filled is None and (report.ended or _ends_at_once(task.order.spec)):
                    self.look_at(task, now_s)  # Bybit's answer, for one, does not say what filled
                return [task.report(report)]
            case c.Refused():
                return [task.record(LegEvent.REFUSED, result.code, result.words, result.native_code)]
            case c.NotExecuted():
                return [task.record(LegEvent.PROVEN_ABSENT, result.code, result.words, result.native_code)]
            case c.Ambiguous():
                task.look_ups = 0
                self.look_again(task, now_s)
                return [task.record(LegEvent.SENT_AMBIGUOUS, result.code, result.words, result.native_code)]
            case c.NotFound(asked_s=asked_s):
                if task.unproven and asked_s >= task.provable_s(self.proof):
                    words = f"{self.exchange} does not have the order, asked after it had expired: it never executed."
                    return [task.record(LegEvent.PROVEN_ABSENT, "absent", words, None)]
                if task.live:
                    self._looked(task)
                self.look_again(task, now_s)
            case c.CancelConfirmed(final=c.OrderReport(filled=Decimal()) as final):
                return [task.report(final, task.sent_s)]
            case c.CancelConfirmed():
                self._cancelled(task, now_s, look_ups=CANCEL_AGAIN_AFTER)
            case c.CancelTooLate():  # also said of what has not arrived yet: once it shows, it is cancelled at once
                self._cancelled(task, now_s, look_ups=1)
            case c.CallFailed():
                if task.last == "cancel":
                    task.cancels += 1
                    if task.cancels > 1:  # it may have been carried out: looking tells, where cancelling does not
                        task.look_ups_since_cancel = CANCEL_AGAIN_AFTER - 1
                else:
                    self._looked(task)
                self.look_again(task, now_s)
            case _:
                raise AssertionError(f"{type(result).__name__} is no answer to a call about a leg")
        return []

    def _cancelled(self, task: LegTask, now_s: float, *, look_ups: int) -> None:
        """A cancel was answered by what does not show the end: looked at now, and cancelled again after look-ups that
        still show the order open, which are further apart each time."""
        task.look_ups_since_cancel = CANCEL_AGAIN_AFTER - look_ups
        self.look_at(task, now_s)
        task.look_ups = min(task.cancels, len(LOOK_UP_DELAYS_S))
        task.cancels += 1

    def _looked(self, task: LegTask) -> None:
        if task.look_ups_since_cancel is not None:
            task.look_ups_since_cancel += 1
            if task.look_ups_since_cancel >= CANCEL_AGAIN_AFTER:
                task.look_ups_since_cancel = None

    def _after_found(self, task: LegTask, now_s: float) -> None:
        self._looked(task)
        if task.cancel_wanted or task.held.until_s is not None:
            self.look_again(task, now_s)


def _ends_at_once(spec: OrderSpec) -> bool:
    return spec.order_type is OrderType.MARKET or spec.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
