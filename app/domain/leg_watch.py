"""The legs one connector has to follow: what answers teach of them, and when each is to be looked at next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from heapq import heappop, heappush

from attrs import define, field

from app.domain import calls as c
from app.domain.effects import Effect
from app.domain.leg_life import ASIDE, BETWEEN, DOUBTED, LIVE, MAY_FILL, UNPROVEN, LegEvent
from app.domain.leg_task import CANCEL_AGAIN_AFTER, LOOK_UP_DELAYS_S, LegTask
from messages.orders import LegState, OrderSpec, OrderType, OrderView, TimeInForce

LOOK_UP_SHARE = 0.5
"""Of the exchange's rate, for look-ups of unknown orders: the rest is for cancels, probes and new orders."""

AT_ONCE = 16
"""Legs looked at in the moment of a start."""


@define
class LegWatch:
    """Tasks by name, with indexes by what is known of them and a schedule.

    Attributes:
        tasks: Every leg that is live or unproven: an order's newest by the order's id, one set aside by a name of its
            own (`LegTask.name`).
        unknown: Those whose outcome nobody knows, by the same name.
        live: Those that rest on the exchange.
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

    def recover(self, orders: Iterable[OrderView], now_s: float) -> list[LegTask]:
        """After a start: every leg here that may fill is followed, and looked at: those in doubt first.

        The first few at once, and then no more than the share of the rate that look-ups have, so that a thousand of
        them do not hold up the orders that come meanwhile.
        """
        found = [
            self.take_up(LegTask(order=order, number=leg.number))
            for order in orders
            for leg in order.legs
            if leg.exchange == self.exchange and leg.state in MAY_FILL
        ]
        if len(found) > AT_ONCE:
            found.sort(key=lambda task: not task.unproven)
        for place, task in enumerate(found):
            self.look_at(task, now_s + max(0, place + 1 - AT_ONCE) / (LOOK_UP_SHARE * self.per_s))
        return found

    def take_up(self, task: LegTask) -> LegTask:
        """Follows a leg from now on; an older one of its order that may still fill goes on under a name of its own."""
        older = self.tasks.get(task.name)
        if older is not None and older.number < task.number:
            self.now(older, task.order)
            if older.leg.state not in MAY_FILL:
                self.let_go(older)
        self.tasks[task.name] = task
        self.learned(task)
        return task

    def now(self, task: LegTask, order: OrderView) -> None:
        """The order of a task is this by now; once it has a newer leg, the task has another name."""
        before, task.order = task.name, order
        if task.name != before and self.tasks.get(before) is task:
            self._forget(before)
            self.tasks[task.name] = task
            self.learned(task)
            if task.next_s is not None:
                heappush(self._due, (task.next_s, task.name))

    def of(self, order_id: str, number: int) -> LegTask | None:
        """The task of a leg; None where it is not followed."""
        task = self.tasks.get(order_id)
        return task if task is not None and task.number == number else self.tasks.get(f"{order_id}/{number}")

    def all_of(self, order: OrderView) -> list[LegTask]:
        """Every task of an order's legs here, the newest leg's first."""
        legs = range(len(order.legs), 0, -1)
        return [task for number in legs if (task := self.of(order.order_id, number)) is not None]

    def concerned(self, order: OrderView) -> LegTask:
        """The task that whoever asks for an order is about: its newest leg's or, once that is over, one's that is set
        aside here."""
        leg = order.legs[-1]
        if leg.state not in LIVE | UNPROVEN | BETWEEN | {LegState.ABSENT}:
            here = (each for each in order.legs if each.state in ASIDE and each.exchange == self.exchange)
            leg = next(here, leg)
        return self.of(order.order_id, leg.number) or LegTask(order=order, number=leg.number)

    def let_go(self, task: LegTask) -> None:
        """Follows it no longer."""
        if self.tasks.get(task.name) is task:
            self._forget(task.name)

    def _forget(self, name: str) -> None:
        self.tasks.pop(name, None)
        self.unknown.discard(name)
        self.live.discard(name)

    def learned(self, task: LegTask) -> None:
        """The state of its leg may have changed."""
        for states, index in ((DOUBTED, self.unknown), (LIVE, self.live)):
            if task.leg.state in states:
                index.add(task.name)
            else:
                index.discard(task.name)

    def by_wire_id(self, wire_id: str) -> LegTask | None:
        """The task of a leg by what the exchange calls it."""
        return next((task for task in self.tasks.values() if task.leg.wire_id == wire_id), None)

    def look_at(self, task: LegTask, at_s: float, *, anew: bool = True) -> None:
        """Looks at a leg at a time; `anew` begins with short distances again."""
        if anew:
            task.look_ups = 0
        task.next_s = at_s
        heappush(self._due, (at_s, task.name))

    def look_again(self, task: LegTask, now_s: float) -> None:
        """Looks at a leg after a distance that grows, and with the number of those nobody knows."""
        task.look_again(now_s, self.proof, least_s=len(self.unknown) / (LOOK_UP_SHARE * self.per_s))
        if task.next_s is not None:
            heappush(self._due, (task.next_s, task.name))

    def due(self, now_s: float) -> Iterator[LegTask]:
        """The legs it is time to look at, each once."""
        while self._due and self._due[0][0] <= now_s:
            at_s, name = heappop(self._due)
            task = self.tasks.get(name)
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
                if task.unproven and not task.strays and asked_s >= task.provable_s(self.proof):
                    words = f"{self.exchange} does not have the order, asked after it had expired: it never executed."
                    return [task.record(LegEvent.PROVEN_ABSENT, "absent", words, None)]
                if task.live or task.strays:
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
