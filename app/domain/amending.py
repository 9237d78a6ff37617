"""Changes of resting orders, of one connector: from being asked for until everybody who asked is answered.

Theory. A change goes the way of a placement: rate-limiter grant → the limits → its intent into the journal → send. Then
it is a change in doubt (`app.domain.changes`) until evidence shows what the order is. One change of an order at a time:
the same again joins it, another one is refused in words. It is never in the way of a cancel: a cancel that is wanted
before it was sent ends it, and one that is wanted after goes as soon as its answer is back. What was not sent by its
deadline is not sent, and said so. Whoever waits for one in doubt is told by the session that asked, as always.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, evolve, field

from app.domain import calls as c
from app.domain.changes import Change, NotMade, Stage, Waiting
from app.domain.connector_settings import ConnectorSettings
from app.domain.effects import Answer, Asker, Effect, Intend
from app.domain.errands import Flight, ForLeg, Read
from app.domain.leg_life import BETWEEN, LegEvent, Terms
from app.domain.leg_task import LegTask
from app.domain.leg_watch import LegWatch
from app.domain.limiter import Priority
from app.domain.misnamed import other_symbol, unknown_order
from app.domain.placing import LEAST_TO_GO_S
from app.domain.pretrade import LimitRefused, PriceNeeded
from app.domain.pretrade_gate import PretradeGate
from app.domain.rate_gate import RateGate
from app.domain.renewal import asked_of
from app.domain.replacing import Replacing
from messages.base import Failed
from messages.market import Symbol
from messages.orders import AmendOrder, LegState, LivesElsewhere, OrderRefused, OrderReply, OrderSpec, OrderView


@define
class Amending:
    """The changes under way."""

    exchange: str
    settings: ConnectorSettings
    watch: LegWatch
    rate_gate: RateGate
    gate: PretradeGate | None
    admits: Callable[[OrderSpec], str]
    ready: Callable[[], bool]
    _replacing: Replacing = field(init=False)
    _open: dict[str, LegTask] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self._replacing = Replacing(self.exchange, self.settings, self.watch, self.rate_gate, self.admits, self.ready)

    # ------------------------------------------------------------------------------------------------ in

    def take_up(self, task: LegTask, now_s: float) -> None:
        """A leg of an earlier life: a change that one sent may still be made until what it sent has expired."""
        change = self._replacing.take_up(task)
        if change is not None:
            task.held.change = change
            self._open[task.order.order_id] = task
        elif task.leg.most is not None or task.leg.wanted is not None:
            proof = self.watch.proof
            task.held.doubt_s = now_s + proof.validity_s + proof.margin_of(conditional=task.conditional)

    def ask(self, asker: Asker, request: AmendOrder, order: OrderView | None, now_s: float) -> list[Effect]:
        """Somebody wants an order changed; `order` is what the journal knows under the id."""
        if order is None or order.leg is None or order.key.strategy != request.strategy:
            return [Answer(asker=asker, message=unknown_order(request))]
        if request.symbol not in (None, order.spec.symbol):
            return [Answer(asker=asker, message=other_symbol(request, order, "changed"))]
        leg = order.leg
        task = self.watch.tasks.get(order.order_id) or LegTask(order=order)
        if not task.live and not task.unproven:
            return [_ended(Waiting.of(asker, request), order)]
        if leg.exchange != self.exchange:
            elsewhere = LivesElsewhere(correlation_id=request.correlation_id, exchange=leg.exchange)
            return [Answer(asker=asker, message=elsewhere)]
        replacement = task.held.change is not None and task.held.change.stage is Stage.REPLACED
        if task.unproven and not replacement:
            words = f"Nobody can know yet whether {self.exchange} has order {order.order_id}: it was not changed."
            return [_failed(asker, request, "order_unproven", words, retryable=True)]
        quantity = None if request.quantity is None else request.quantity - (order.filled - leg.filled)
        terms = Terms(quantity=quantity, price=request.price, trigger_price=request.trigger_price)
        return self._wanted(Waiting.of(asker, request), task, terms, now_s, replace=request.replace)

    def _wanted(self, waiting: Waiting, task: LegTask, terms: Terms, now_s: float, *, replace: bool) -> list[Effect]:
        order, leg, change = task.order, task.leg, task.held.change
        same = change is not None and (change.stage is Stage.REPLACED and not _other(task, terms))
        if change is not None and (same or change.terms == terms):
            change.waiting = [w for w in change.waiting if w.correlation_id != waiting.correlation_id] + [waiting]
            return []
        if task.unwanted or (change is None and task.cancel_wanted):
            return [_refusal(waiting, order, _cancelled(order))]
        if change is not None:
            words = f"Another change of order {order.order_id} is under way: ask again when its outcome is known."
            return [_refusal(waiting, order, NotMade(code="change_under_way", words=words))]
        if terms.quantity is not None and terms.quantity <= leg.filled:
            words = (
                f"{format(order.filled, 'f')} of order {order.order_id} has filled already, and qty, which counts that,"
                " has to be above it: cancel it instead."
            )
            return [_refusal(waiting, order, NotMade(code="invalid_order", words=words))]
        if leg.most is None and leg.wanted is None and not _other(task, terms):
            return [_reply(waiting, order)]
        latest_s = waiting.deadline_s - min(LEAST_TO_GO_S, (waiting.deadline_s - now_s) / 4)
        change = Change(
            terms=terms, waiting=[waiting], latest_s=latest_s, deadline_s=waiting.deadline_s, replace=replace
        )
        errand = ForLeg(order.order_id, leg.number, "amend")
        if not self.rate_gate.about_leg(errand, task, Priority.PLACE, latest_s, now_s):
            words = f"The rate limit of {self.exchange} leaves no room before the deadline: it was not changed."
            return [_refusal(waiting, order, NotMade(code="rate_limited", words=words))]
        self.watch.take_up(task)
        task.held.change = change
        self._open[order.order_id] = task
        return []

    # ------------------------------------------------------------------------------------------------ on its way

    def granted(self, item: ForLeg, now_s: float) -> list[Effect]:
        """The rate limiter lets it go."""
        task = self._open.get(item.order_id)
        if task is not None and item.kind == "replace":
            return self._replacing.granted(task, now_s)
        change = None if task is None else task.held.change
        if task is None or change is None or change.stage is not Stage.WAITING:
            return []
        change.stage = Stage.READY
        return self.pursue(task, now_s)

    def late(self, item: ForLeg, now_s: float) -> list[Effect]:
        """The rate limiter did not let it go in time."""
        task = self._open.get(item.order_id)
        if task is not None and item.kind == "replace":
            return self._replacing.late(task, now_s)
        change = None if task is None else task.held.change
        if task is None or change is None or change.stage is not Stage.WAITING:
            return []
        words = f"The rate limit of {self.exchange} left no room before the deadline: it was not changed."
        return self._give_up(task, change, NotMade(code="rate_limited", words=words))

    def pursue(self, task: LegTask, now_s: float) -> list[Effect]:
        """Goes on with what can go on."""
        change = task.held.change
        if change is None or not change.unsent:
            return []
        if task.cancel_wanted:
            return self._give_up(task, change, _cancelled(task.order))
        if now_s >= change.latest_s:
            words = "Its deadline came before the change could be sent: the order rests as it was."
            return self._give_up(task, change, NotMade(code="deadline_passed", words=words))
        if change.stage is not Stage.READY or task.in_flight is not None or task.queued:
            return []
        return self._judged(task, change, now_s, again=False)

    def _judged(self, task: LegTask, change: Change, now_s: float, *, again: bool) -> list[Effect]:
        spec = asked_of(task.order, change.terms)
        judged = None if self.gate is None else self.gate.judge_change(spec, now_s)
        if isinstance(judged, LimitRefused):
            return self._give_up(task, change, NotMade(code=judged.code, words=judged.words))
        if isinstance(judged, PriceNeeded):
            assert self.gate is not None
            limit_s = min(self.settings.request_timeout_s, self.settings.limits.reference_max_age_s)
            call = c.TickerCall(symbol=spec.symbol, deadline_s=now_s + limit_s)
            why = self.gate.why_not(spec.symbol, now_s)
            if why is None and not again and self.rate_gate.read(Read(None, None, call), Priority.PLACE, now_s):
                change.stage = Stage.PRICING
                return []
            words = (
                f"The limits need a price of {spec.symbol} on {self.exchange}, and there is none"
                f"{'' if why is None else f': {why}'}. The order was not changed."
            )
            return self._give_up(task, change, NotMade(code="no_reference_price", words=words))
        change.stage = Stage.INTENDED
        task.in_flight = "amend"
        return [Intend(order_id=task.order.order_id, number=task.leg.number, terms=change.terms)]

    def priced(self, symbol: Symbol, now_s: float) -> list[Effect]:
        """A price of a market was read, or could not be."""
        out: list[Effect] = []
        for task in list(self._open.values()):
            change = task.held.change
            if change is None or change.stage is not Stage.PRICING or task.order.spec.symbol != symbol:
                continue
            change.stage = Stage.READY
            if task.in_flight is None and not task.queued and not task.cancel_wanted and now_s < change.latest_s:
                out += self._judged(task, change, now_s, again=True)
            else:
                out += self.pursue(task, now_s)
        return out

    def intended(self, order: OrderView, now_s: float) -> c.AmendCall | None:
        """The intent is in the journal: the call that is to be sent now."""
        task = self._open.get(order.order_id)
        change = None if task is None else task.held.change
        if task is None or change is None or change.stage not in (Stage.INTENDED, Stage.WISHED):
            return None
        task.in_flight = None
        if change.stage is Stage.WISHED:
            self._replacing.wished(task, change, order, now_s)
            return None
        task.order = order
        change.stage, change.sent_s = Stage.SENT, now_s
        leg, terms = task.leg, change.terms
        return c.AmendCall(
            spec=evolve(order.now, quantity=leg.quantity),
            wire_id=leg.wire_id,
            exchange_order_id=leg.exchange_order_id,
            quantity=terms.quantity,
            price=terms.price,
            trigger_price=terms.trigger_price,
            deadline_s=min(change.deadline_s, now_s + self.settings.request_timeout_s),
        )

    def not_intended(self, order_id: str, words: str, code: str) -> list[Effect]:
        """The journal did not take the intent, so nothing is sent."""
        task = self._open.get(order_id)
        change = None if task is None else task.held.change
        if task is None or change is None:
            return []
        task.in_flight = None
        why = NotMade(code=code, words=words)
        return self._not_made(task, change, why) if change.stage is Stage.WISHED else self._give_up(task, change, why)

    # ------------------------------------------------------------------------------------------------ back

    def returned(self, task: LegTask, result: c.Result, now_s: float) -> list[Effect]:
        """The exchange answered the change, or did not."""
        change = task.held.change
        if change is None or change.stage is not Stage.SENT or change.decided:
            return []
        change.stage = Stage.DOUBT
        margin_s = self.watch.proof.margin_of(conditional=task.conditional)
        match result:
            case c.Amended(report=report):
                change.acknowledged, change.provable_s = True, now_s + margin_s
                out: list[Effect] = [] if report is None else [task.report(report, now_s)]
                if not change.decided:
                    self.watch.look_at(task, now_s)
                return out
            case c.AmendRefused(unsupported=True) as refused if change.replace:
                begun = self._replacing.begin(task, change, refused, now_s)
                if isinstance(begun, NotMade):
                    return self._not_made(task, change, begun)
                task.in_flight = "replace"
                return [begun]
            case c.AmendRefused(code=code, words=words, native_code=native_code):
                return self._not_made(task, change, NotMade(code=code, words=words, native_code=native_code))
            case c.CallFailed(not_made=True, code=code, words=words, native_code=native_code):
                return self._not_made(task, change, NotMade(code=code, words=words, native_code=native_code))
            case c.CancelTooLate(words=words, native_code=native_code):
                change.provable_s = now_s
                change.otherwise = NotMade(code="order_not_found", words=words, native_code=native_code)
                self.watch.look_at(task, now_s)
            case _:
                change.provable_s = now_s + self.watch.proof.validity_s + margin_s
                task.look_ups = 0
                self.watch.look_again(task, now_s)
        return []

    def _not_made(self, task: LegTask, change: Change, why: NotMade) -> list[Effect]:
        change.not_made = why
        record = task.record(LegEvent.AMEND_SETTLED, why.code, why.words, why.native_code)
        return [evolve(record, settles=task.held.doubt_s is None)]

    def untold(self, task: LegTask, result: c.Result) -> bool:
        """Whether a look-up has found the order and does not say all of it that the change in doubt is about."""
        change = task.held.change
        if change is None or change.stage is not Stage.DOUBT or not isinstance(result, c.Found):
            return False
        return not change.decided and not change.contradicted

    def recorded(self, task: LegTask, now_s: float) -> list[Effect]:
        """The journal took over what was learned: answers whom that lets answer."""
        change = task.held.change
        if change is None:
            return []
        ended = not task.live and not task.unproven
        if change.stage is Stage.REPLACED or (change.stage is Stage.REPLACING and ended):
            return self._replaced(task, change, now_s)
        if not change.decided and not ended:
            return []
        order = task.order
        self._end(task, change, now_s)
        if change.made or (ended and change.acknowledged and not change.contradicted):
            return [_reply(waiting, order) for waiting in change.waiting]
        if ended:
            return [_ended(waiting, order) for waiting in change.waiting]
        assert change.not_made is not None
        return [_refusal(waiting, order, change.not_made) for waiting in change.waiting]

    def _replaced(self, task: LegTask, change: Change, now_s: float) -> list[Effect]:
        """What replaces the leg is proven to rest, or to have done; or the order is over."""
        if task.unproven:
            return []
        order, leg = task.order, task.leg
        self._end(task, change, now_s)
        rested = leg.state is not LegState.REFUSED and leg.exchange_order_id is not None
        if change.stage is Stage.REPLACED and rested:
            return [_reply(waiting, order) for waiting in change.waiting]
        if leg.reason_code is None or leg.state is LegState.FILLED or leg.state in BETWEEN:
            return [_ended(waiting, order) for waiting in change.waiting]
        words = leg.reason_words or ""
        if change.stage is Stage.REPLACED and not words.startswith("The order was"):
            words = f"The order was cancelled to be replaced, and what was to replace it was refused: {words}"
        why = NotMade(code=leg.reason_code, words=words, native_code=leg.native_code)
        return [_refusal(waiting, order, why) for waiting in change.waiting]

    def divert(self, task: LegTask, effects: list[Effect], flight: Flight, now_s: float) -> list[Effect]:
        """What was learned of a leg, but for an end that another leg follows."""
        return self._replacing.divert(task, effects, flight, now_s)

    def renewed(self, task: LegTask, order: OrderView) -> LegTask | None:
        """The journal took the end of a leg: the task of what takes its place, which is sent now; None for nothing."""
        after = self._replacing.renewed(task, order)
        if after is not None:
            self._open[order.order_id] = after
        return after

    def _give_up(self, task: LegTask, change: Change, why: NotMade) -> list[Effect]:
        """Nothing was sent."""
        task.held.change = None
        self._open.pop(task.order.order_id, None)
        return [_refusal(waiting, task.order, why) for waiting in change.waiting]

    def _end(self, task: LegTask, change: Change, now_s: float) -> None:
        self._open.pop(task.order.order_id, None)
        task.held.change = None
        if change.sent_s <= now_s:
            task.held.from_s = now_s + self.watch.proof.visibility_s
        if task.leg.most is not None and task.held.doubt_s is None:
            task.held.doubt_s = now_s

    # ------------------------------------------------------------------------------------------------ time

    def tick(self, now_s: float) -> list[Effect]:
        """Ends what could not be sent in time."""
        out: list[Effect] = []
        for task in list(self._open.values()):
            change = task.held.change
            if change is not None and change.unsent and now_s >= change.latest_s:
                out += self.pursue(task, now_s)
            out += self._replacing.tick(task, now_s)
        return out

    def next_s(self) -> float | None:
        """When `tick` has something to do; None for never."""
        if not self._open:
            return None
        changes = (task.held.change for task in self._open.values())
        found = [each for each in changes if each is not None]
        due = [each.latest_s for each in found if each.unsent] + [each.again_s for each in found if each.again_s]
        return min(due, default=None)


def _other(task: LegTask, terms: Terms) -> bool:
    """Whether anything would be other than it is known to be."""
    now = evolve(task.order.now, quantity=task.leg.quantity)
    trigger_price = None if now.trigger is None else now.trigger.price
    pairs = ((terms.quantity, now.quantity), (terms.price, now.price), (terms.trigger_price, trigger_price))
    return any(asked is not None and asked != known for asked, known in pairs)


def _cancelled(order: OrderView) -> NotMade:
    return NotMade(code="being_cancelled", words=f"Order {order.order_id} is being cancelled: it was not changed.")


def _reply(waiting: Waiting, order: OrderView) -> Answer:
    return Answer(asker=waiting.asker, message=OrderReply(correlation_id=waiting.correlation_id, order=order))


def _refusal(waiting: Waiting, order: OrderView, why: NotMade) -> Answer:
    message = OrderRefused(
        correlation_id=waiting.correlation_id,
        code=why.code,
        words=why.words,
        native_code=why.native_code,
        order=order,
    )
    return Answer(asker=waiting.asker, message=message)


def _ended(waiting: Waiting, order: OrderView) -> Answer:
    assert order.leg is not None
    if order.leg.state is LegState.DRAINED:
        words = f"Order {order.order_id} is on its way from {order.leg.exchange} to where trading is: ask again then."
        moving = Failed(
            correlation_id=waiting.correlation_id, code="order_moving", words=words, native_code=None, retryable=True
        )
        return Answer(asker=waiting.asker, message=moving)
    words = f"Order {order.order_id} cannot be changed: it is {order.leg.state.value}."
    if order.leg.state is LegState.PARKED:
        words = f"{words} {order.leg.reason_words} Cancel it, or have it placed, instead."
    failed = Failed(
        correlation_id=waiting.correlation_id,
        code="order_not_open",
        words=words,
        native_code=order.leg.native_code,
    )
    return Answer(asker=waiting.asker, message=failed)


def _failed(asker: Asker, request: AmendOrder, code: str, words: str, *, retryable: bool = False) -> Answer:
    failed = Failed(correlation_id=request.correlation_id, code=code, words=words, retryable=retryable)
    return Answer(asker=asker, message=failed)
