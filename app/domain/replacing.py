"""Changes that an exchange cannot make in place: the leg is cancelled, proven gone, and another takes its place.

Theory. `app.domain.renewal` has what is decided and why; here is how one connector comes to that decision:

    asked     the exchange cannot change such an order: nothing was sent
    wished    the new terms pass its rules, and the wish is in the journal: the leg is cancelled like any other
    gone      its end is proven, with what filled: by the cancel's own answer where the exchange's engine gives that,
              else by two look-ups, the second a visibility lag after the first that showed it
    renewed   end and new intent are in the journal, in one transaction, when the rate limiter lets a placement go; it
              is sent, and looked up, like any other; proven not to have executed it is sent again, some times

What is known of it besides the journal is the change (`app.domain.changes.Change`) with whoever waits. A life that
finds the wish in the journal makes it anew, without anybody who waits: he asks again, and joins it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from attrs import define, evolve, field

from app.domain import calls as c
from app.domain.changes import Change, NotMade, Stage
from app.domain.connector_settings import ConnectorSettings
from app.domain.effects import Effect, Intend, Record, Renew
from app.domain.errands import Flight, ForLeg
from app.domain.exits import parent_of
from app.domain.leg_life import LegEvent, Terms
from app.domain.leg_task import LegTask
from app.domain.leg_watch import LegWatch
from app.domain.limiter import Priority
from app.domain.rate_gate import RateGate
from app.domain.renewal import GRACE_S, Over, again_after_s, asked_of, replaces
from messages.orders import OrderSpec, OrderView, Wanted


@define
class Replacing:
    """Of one connector.

    Attributes:
        admits: Why the exchange's rules do not admit an order; empty where they do.
        ready: Whether they are known.
    """

    exchange: str
    settings: ConnectorSettings
    watch: LegWatch
    rate_gate: RateGate
    admits: Callable[[OrderSpec], str]
    ready: Callable[[], bool]
    _ends: dict[str, Record] = field(init=False, factory=dict)

    def take_up(self, task: LegTask) -> Change | None:
        """A leg of an earlier life: the change under way of it, if it is being replaced or replaces another."""
        newest = task.order.leg
        if newest is None or newest.number != task.leg.number:
            return None  # one that was set aside
        if task.leg.carry_s is not None:
            return None  # trading moves, and what was asked for goes with it
        wanted = task.leg.wanted
        if wanted is not None and wanted.replaces:
            terms = Terms(quantity=wanted.quantity, price=wanted.price, trigger_price=wanted.trigger_price)
            return Change(terms=terms, waiting=[], latest_s=inf, deadline_s=inf, stage=Stage.REPLACING)
        if task.unproven and replaces(task.order):
            return Change(terms=Terms(), waiting=[], latest_s=inf, deadline_s=inf, stage=Stage.REPLACED)
        return None

    def begin(self, task: LegTask, change: Change, refused: c.AmendRefused, now_s: float) -> Intend | NotMade:
        """The exchange cannot change such an order: the wish to replace it, or why it is not, and rests as it was."""
        order, leg, terms = task.order, task.leg, change.terms
        wanted = Wanted(quantity=terms.quantity, price=terms.price, trigger_price=terms.trigger_price)
        left = asked_of(order, wanted)
        left = evolve(left, quantity=left.quantity - leg.filled)
        if task.unwanted:
            return NotMade(
                code="being_cancelled", words=f"Order {order.order_id} is being cancelled: it rests no more."
            )
        if now_s >= change.deadline_s:
            return NotMade(code="deadline_passed", words=f"{refused.words} There was no time left to replace it.")
        if task.held.doubt_s is not None or leg.most not in (None, terms.quantity):
            words = "An earlier change of it is still in doubt: ask again when the order says what came of that."
            return NotMade(code="change_under_way", words=words)
        problem = self.admits(left) if self.ready() else f"The markets of {self.exchange} are not loaded."
        if problem:
            return NotMade(code="invalid_order", words=f"{problem} The order was not touched.")
        change.stage = Stage.WISHED
        until_s = change.deadline_s + GRACE_S
        return Intend(
            order_id=order.order_id,
            number=leg.number,
            terms=terms,
            until_s=until_s,
            protects=bool(parent_of(order.key)),
        )

    def wished(self, task: LegTask, change: Change, order: OrderView, now_s: float) -> None:
        """The wish is in the journal: the leg is cancelled as any other."""
        task.order = order
        change.stage = Stage.REPLACING
        self.watch.look_at(task, now_s)

    # ------------------------------------------------------------------------------------------------ the end of a leg

    def divert(self, task: LegTask, effects: list[Effect], flight: Flight, now_s: float) -> list[Effect]:
        """What was learned of a leg, but for its end where another one is to take its place: that is kept until then.

        Args:
            flight: The call by which it was learned.
        """
        change = task.held.change
        if change is None or change.stage not in (Stage.REPLACING, Stage.REPLACED):
            return effects
        out: list[Effect] = []
        for each in effects:
            mine = isinstance(each, Record) and each.order_id == task.order.order_id and each.number == task.leg.number
            out += self._diverted(task, change, each, flight, now_s) if mine and isinstance(each, Record) else [each]
        return out

    def _diverted(self, task: LegTask, change: Change, record: Record, flight: Flight, now_s: float) -> list[Effect]:
        if task.unwanted or task.leg.carry_s is not None:  # trading moves, and what was asked for goes with it
            return [record]
        if change.stage is Stage.REPLACING and record.event is LegEvent.SEEN_CANCELLED:
            return self._gone(task, change, record, flight, now_s)
        if change.stage is Stage.REPLACED and record.event is LegEvent.PROVEN_ABSENT:
            after_s = again_after_s(task.order)
            if after_s is None or now_s > task.leg.created_s + GRACE_S:
                words = (
                    f"The order was cancelled to be replaced, and what was to replace it never executed: {record.words}"
                )
                return [self._renew(task, record, Over(code=record.code or "not_executed", words=words), now_s)]
            self._ends[task.order.order_id] = record
            change.again_s, task.next_s = now_s + after_s, None
            return []
        return [record]

    def _gone(self, task: LegTask, change: Change, record: Record, flight: Flight, now_s: float) -> list[Effect]:
        if record.filled is None:
            self.watch.look_again(task, now_s)
            return []
        if not isinstance(flight.call, c.CancelCall):
            lag_s = self.watch.proof.visibility_s
            first_s = change.gone_s
            if first_s is None or flight.sent_s < first_s + lag_s:
                change.gone_s = now_s if first_s is None else first_s
                self.watch.look_at(task, change.gone_s + lag_s)
                known = record.filled > task.leg.filled
                return [evolve(record, event=LegEvent.SEEN_PARTIAL)] if known else []
        self._ends[task.order.order_id] = record
        task.next_s = None
        return self._ask(task, now_s)

    def _ask(self, task: LegTask, now_s: float) -> list[Effect]:
        """Asks the rate limiter for the turn of a placement, which protects as a cancel does: the order is gone."""
        errand = ForLeg(task.order.order_id, task.number, "replace")
        wanted = task.leg.wanted
        until_s = now_s + GRACE_S if wanted is None or wanted.until_s is None else max(now_s + 1.0, wanted.until_s)
        if self.rate_gate.about_leg(errand, task, Priority.CANCEL, until_s, now_s):
            task.queued = True
            return []
        return self.late(task, now_s)

    def granted(self, task: LegTask, now_s: float) -> list[Effect]:
        """The rate limiter lets the placement go."""
        task.queued = False
        record = self._ends.pop(task.order.order_id, None)
        if record is None:
            return []
        if task.unwanted or task.leg.carry_s is not None:
            return [record]  # its owner wants it gone by now, or trading moves
        return [self._renew(task, record, None, now_s)]

    def late(self, task: LegTask, now_s: float) -> list[Effect]:
        """The rate limiter does not let it go in time."""
        task.queued = False
        record = self._ends.pop(task.order.order_id, None)
        words = (
            f"The order was cancelled to be replaced, and the rate limit of {self.exchange} left no room to place it."
        )
        return [] if record is None else [self._renew(task, record, Over(code="rate_limited", words=words), now_s)]

    def _renew(self, task: LegTask, record: Record, why: Over | None, now_s: float) -> Renew:
        task.in_flight = "replace"
        return Renew(
            ended=record,
            expiry_s=now_s + self.watch.proof.validity_s,
            protects=bool(parent_of(task.order.key)),
            why=why,
        )

    def renewed(self, task: LegTask, order: OrderView) -> LegTask | None:
        """The journal took it: the task of what is to be sent now; None where nothing is to follow."""
        task.in_flight = None
        self._ends.pop(order.order_id, None)
        leg, change = order.leg, task.held.change
        fresh = leg is not None and (leg.number, leg.attempts) > (task.leg.number, task.leg.attempts)
        if not fresh or change is None:
            return None
        after = LegTask(order=order, placers=task.placers, cancellers=task.cancellers, readers=task.readers)
        change.stage, change.again_s, change.gone_s = Stage.REPLACED, None, None
        after.held.change = change
        return after

    def tick(self, task: LegTask, now_s: float) -> list[Effect]:
        """Sends again what is due."""
        change = task.held.change
        if change is None or change.again_s is None or now_s < change.again_s or task.queued:
            return []
        change.again_s = None
        return self._ask(task, now_s)
