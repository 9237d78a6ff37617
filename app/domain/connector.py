"""The connector's machine: what one exchange is asked, in which order, and what is made of its answers.

Theory. To place is: rate-limiter grant → one journal transaction that fences, finds duplicates and commits the leg →
send. From the commit on the leg is a `LegTask` until it is proven dead or filled, whatever happens in between:

- an answer that proves something is recorded, then told to whoever waits;
- an answer that proves nothing makes the leg UNKNOWN, and look-ups follow, at growing distances, until one finds the
  order or proves it absent: a look-up that finds nothing is proof only when it was asked after the expiry the exchange
  enforces plus `Proof.margin_s`, and a look-up that failed is no answer at all;
- a leg that rests is watched by one poll of all open orders; one that vanished from it is looked up by its id;
- one that was set aside for a newer leg is followed beside it until its end is shown or its absence proven.

A cancel's acknowledgement is not the end of an order (Bybit and OKX acknowledge the request): only a report that shows
the end, and what had filled by then, is: the cancel's own answer or a look-up's. Nothing here answers a waiter at its
deadline: the session that asked does, since this process may be dead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import define
from attrs.setters import NO_OP

from app.domain.carry import Carried, Standing
from app.domain.changes import Waiting
from app.domain.commit import Decision, Judge, already
from app.domain.connector_work import ConnectorWork
from app.domain.effects import Answer, Asker, Effect, Mark, TurnAway
from app.domain.elsewhere import Elsewhere
from app.domain.errands import ForLeg
from app.domain.exits import parent_of
from app.domain.leg_life import BETWEEN, LegEvent
from app.domain.leg_task import LegTask
from app.domain.limiter import Priority
from app.domain.misnamed import other_symbol, unknown_order
from app.domain.pretrade import PriceNeeded
from messages.account import Disarm, PrepareSymbol
from messages.base import Reply
from messages.carries import CarryOrders, CarryPolicy
from messages.failover import SettleRequest
from messages.orders import (
    AmendOrder,
    CancelOrder,
    GetOrder,
    LegState,
    Linked,
    LivesElsewhere,
    OrderNotExecuted,
    OrderReply,
    OrderView,
    PlaceOrder,
)


@define(on_setattr=NO_OP)  # as `ConnectorWork` is
class Connector(ConnectorWork):
    """The machine of one connector. Methods take an event and the time, and return effects to perform in order."""

    # ------------------------------------------------------------------------------------------------ asked

    def recover(
        self,
        orders: tuple[OrderView, ...],
        now_s: float,
        linked: Iterable[tuple[OrderView, Iterable[OrderView]]] = (),
    ) -> list[Effect]:
        """After a start: takes up every leg of this exchange the journal holds live or unproven.

        An INTENT of an earlier life may have been sent: it becomes UNKNOWN and is looked up.

        Args:
            linked: Orders whose exits are not over, each with all that were placed for it.
        """
        out: list[Effect] = []
        self.exits.recover(linked)
        self._carrying.recover(now_s)
        self.dead_man.recover(now_s)
        for task in self._watch.recover(orders, now_s):
            if task.unproven:
                self._placing.waits.doubted(task)
            if task.leg.state is LegState.INTENT:
                out.append(task.record(LegEvent.SENT_AMBIGUOUS))
            self._amending.take_up(task, now_s)
        return out + self.tick(now_s)

    def cancel(self, asker: Asker, request: CancelOrder, order: OrderView | None, now_s: float) -> list[Effect]:
        """Somebody wants an order cancelled; `order` is what the journal knows under the id."""
        if order is None or order.key.strategy != request.strategy or order.leg is None:
            return [Answer(asker=asker, message=unknown_order(request))]
        if request.symbol not in (None, order.spec.symbol):
            return [Answer(asker=asker, message=other_symbol(request, order, "cancelled"))]
        task, waiting = self._watch.concerned(order), Waiting.of(asker, request)
        leg = order.legs[task.number - 1]
        if leg.state is LegState.ABSENT or leg.state in BETWEEN:  # on no exchange: any connector can end it
            self._watch.take_up(task).cancellers.append(waiting)
            return [task.record(LegEvent.WITHDRAWN)]
        if not task.live and not task.unproven:
            task.cancellers.append(waiting)
            return list(task.answers())
        if leg.exchange != self.exchange:
            elsewhere = LivesElsewhere(correlation_id=request.correlation_id, exchange=leg.exchange)
            return [Answer(asker=asker, message=elsewhere)]
        self._watch.take_up(task)
        task.cancellers.append(waiting)
        self._want_cancel(task, now_s)
        if parent_of(order.key):  # first, so that it is not placed again
            mark = Mark(order_id=order.order_id, number=leg.number, linked=Linked.GIVEN_UP)
            return [mark, *self._step(task, now_s)]
        # Kept first, so that it outlives whoever asked, and this process.
        return [task.record(LegEvent.CANCEL_ASKED)] if leg.cancel_asked_s is None else self._step(task, now_s)

    def amend(self, asker: Asker, request: AmendOrder, order: OrderView | None, now_s: float) -> list[Effect]:
        """Somebody wants a resting order changed; `order` is what the journal knows under the id."""
        return self._amending.ask(asker, request, order, now_s) + self._grant(now_s)

    def get(self, asker: Asker, request: GetOrder, order: OrderView | None, now_s: float) -> list[Effect]:
        """Somebody wants to know of an order: what the exchange says, where it is ours to ask and answers in time."""
        if order is None or order.key.strategy != request.strategy:
            return [Answer(asker=asker, message=unknown_order(request))]
        task = self.tasks.get(order.order_id)
        if task is None or task.in_flight is not None:
            return [Answer(asker=asker, message=OrderReply(correlation_id=request.correlation_id, order=order))]
        # Half of the time: an exchange that does not answer leaves the other half to say what the journal knows.
        half_s = (request.deadline_s - now_s) / 2
        call = task.look_up_call(now_s + min(half_s, self.settings.request_timeout_s))
        return self.read(asker, request, call, now_s, Priority.LOOK_UP)

    def settle(self, asker: Asker, request: SettleRequest, now_s: float) -> list[Effect]:
        """The coordinator leaves this exchange: resolve what is in doubt, cancel what rests, say what is left.

        Exits stay: they protect a position that stays too. So does what only reduces, while there is what it reduces,
        unless the policy is to drop all. What is of the request's epoch, or later, is not meant.
        """
        epoch = request.epoch
        meant = {name: task for name, task in self.tasks.items() if epoch is None or task.leg.epoch < epoch}
        staying = {name for name, task in meant.items() if parent_of(task.order.key)}
        if request.policy is not CarryPolicy.DROP:
            staying |= {name for name, task in meant.items() if self._carrying.stays(task)}
        self._settlings.add(asker, request, meant, staying)
        going = {task.name for task in self._settlings.to_mark(self.tasks)}
        for name, task in meant.items():
            if name in staying:
                continue
            if name in going:
                continue  # marked first, and cancelled once that is in the journal
            if request.cancel:
                self._want_cancel(task, now_s)
            elif task.unproven:
                self._watch.look_at(task, now_s)
        return self.tick(now_s)

    def carry(
        self, asker: Asker, request: CarryOrders, orders: Iterable[tuple[OrderView, Standing]], now_s: float
    ) -> list[Effect]:
        """The coordinator wants placed here what was taken off other exchanges: all that the journal has of it now."""
        return self._carrying.ask(asker, request, orders, now_s) + self._grant(now_s)

    def carried(self, carried: Carried, now_s: float) -> list[Effect]:
        """What the journal made of an order that was to be taken up: a fresh intent is sent now."""
        task = self._carrying.carried(carried, now_s)
        if task is None:
            return [*self.recorded(carried.order, now_s), *self._carrying.tick(now_s), *self._grant(now_s)]
        order = carried.order
        for older in self._watch.all_of(order):
            self._watch.now(older, order)
        self._watch.take_up(task)
        self.fills.changed(order, now_s)
        self._placing.under_way += 1
        call = task.place_call(now_s + self.settings.request_timeout_s)
        sent = self._send(ForLeg(order.order_id, task.number, "place"), call, now_s)
        return [sent, *self._for_exits(self.exits.changed(order, now_s), now_s), *self._carrying.answers(now_s)]

    def not_carried(self, order_id: str, now_s: float) -> list[Effect]:
        """The journal did not take it, so nothing is sent."""
        self._carrying.not_carried(order_id)
        return self._carrying.answers(now_s)

    # ------------------------------------------------------------------------------------------------ placements

    def judge(self, request: PlaceOrder, now_s: float) -> Judge | None:
        """For the transaction that would commit it; None where no limit is set."""
        return self._placing.judge(request, now_s)

    def elsewhere(self, request: PlaceOrder, now_s: float) -> Elsewhere | None:
        """Likewise, the leave to place elsewhere what nobody knows of; None where there is none."""
        return self._placing.elsewhere(request, now_s)

    def committed(self, asker: Asker, request: PlaceOrder, known: OrderView | Decision, now_s: float) -> list[Effect]:
        """The journal's word on a placement: an `OrderView` is a fresh intent, to be sent now."""
        if isinstance(known, PriceNeeded):
            held = self._placing.hold(asker, request, now_s)
            return [held] if held is not None else self._grant(now_s)
        if isinstance(known, OrderView):
            task = LegTask(order=known, placers=[Waiting.of(asker, request)])
            if (earlier := self.tasks.get(known.order_id)) is not None:
                task.placers += earlier.placers
                earlier.placers = []
            self._watch.take_up(task)
            sent = self._send(ForLeg(known.order_id, task.number, "place"), task.place_call(request.deadline_s), now_s)
            return [sent, *self._for_exits(self.exits.changed(known, now_s), now_s)]
        self._placing.not_sent(asker, request, now_s)
        return self._not_committed(asker, request, known, now_s)

    def _not_committed(self, asker: Asker, request: PlaceOrder, known: Decision, now_s: float) -> list[Effect]:
        answered = self._placing.not_committed(asker, request, known, now_s)
        return self._step(answered, now_s) if isinstance(answered, LegTask) else answered

    def commit_failed(self, asker: Asker, request: PlaceOrder, words: str, now_s: float) -> list[Effect]:
        """The journal could not commit the intent, so nothing is sent."""
        return [self._placing.commit_failed(asker, request, words, now_s)]

    def turned_away(self, turned: TurnAway, order: OrderView | None, now_s: float) -> list[Effect]:
        """A placement was not begun; `order` is what the journal knows under its id, so that the answer is true."""
        known = already(order, turned.request.spec)
        if known is not None:
            return self._not_committed(turned.asker, turned.request, known, now_s)
        if turned.by_limit:
            return self._placing.over_limit(turned, order, now_s) + self._grant(now_s)
        message = OrderNotExecuted(correlation_id=turned.request.correlation_id, code=turned.code, words=turned.words)
        return [Answer(asker=turned.asker, message=message)]

    def prepare(self, asker: Asker, request: PrepareSymbol, now_s: float) -> list[Effect]:
        """Somebody is about to open a position, and wants its margin mode and leverage set."""
        return self._prepared(self._preparing.ask(asker, request, now_s), now_s)

    def disarm(self, asker: Asker, request: Disarm, now_s: float) -> list[Effect]:
        """The router stops: what rests is not to be cancelled by the exchange for its silence."""
        answer = self.dead_man.disarm(asker, request)
        self._disarm(now_s)
        return [answer] if answer is not None else self._grant(now_s)

    # ------------------------------------------------------------------------------------------------ changes

    def intended(self, order: OrderView, now_s: float) -> list[Effect]:
        """The intent of a change is in the journal: it is sent now."""
        call = self._amending.intended(order, now_s)
        if call is None:
            return self.tick(now_s)
        return [self._send(ForLeg(order.order_id, len(order.legs), "amend"), call, now_s)]

    def not_intended(self, order_id: str, words: str, now_s: float, code: str = "journal_unavailable") -> list[Effect]:
        """The journal did not take it, so nothing is sent."""
        return self._amending.not_intended(order_id, words, code) + self.tick(now_s)

    def renewed(self, order: OrderView, now_s: float) -> list[Effect]:
        """The journal took the end of a leg, and what takes its place, if anything does: that is sent now."""
        task = self.tasks.get(order.order_id)
        if task is None or (after := self._amending.renewed(task, order)) is None:
            return self.recorded(order, now_s)
        self._watch.take_up(after)
        self.fills.changed(order, now_s)
        self._placing.under_way += 1
        call = after.place_call(now_s + self.settings.request_timeout_s)
        sent = self._send(ForLeg(order.order_id, after.number, "place"), call, now_s)
        return [sent, *self._for_exits(self.exits.changed(order, now_s), now_s)]

    # ------------------------------------------------------------------------------------------------ exits

    def marked(self, order: OrderView, now_s: float) -> list[Effect]:
        """The journal took a mark: what is taken back is cancelled now."""
        out = self._for_exits(self.exits.marked(order, now_s), now_s)
        task = self.tasks.get(order.order_id)
        if task is None:
            return out
        self._watch.now(task, order)
        if task.leg.linked is Linked.RESIZED:
            self._want_cancel(task, now_s)
        return out + self._step(task, now_s)

    def not_marked(self, order_id: str, now_s: float) -> list[Effect]:
        """The journal did not take it."""
        self.exits.not_marked(order_id, now_s)
        return []

    def exits_answered(self, message: Any, now_s: float) -> list[Effect]:
        """What an exit's placement was answered."""
        return self._for_exits(self.exits.answered(message, now_s), now_s) if isinstance(message, Reply) else []
