"""What a connector writes into the journal: intents, and what became of them; several in one transaction.

What a transaction costs is its end, hardly what is in it. So orders that left a session together are committed
together, and outcomes that came back together are recorded together. The machine is told of neither before the
transaction has ended: nothing is sent, and nobody is answered, on the strength of what may still be undone. When the
journal does not take it, none of it is written, and all of them are told so: what keeps a journal from being written
(a lock, a full disk) keeps it from every one of them, and sessions ask again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import structlog
from attrs import evolve

from actors.environment import PortRunner
from actors.order_path import OrderPath
from app.domain import effects as e
from app.domain.commit import Decision, TooLate
from app.domain.connector import Connector
from app.domain.controls import NONE, Controlled, controlled
from app.domain.effects import Effect
from app.domain.exits import wants_exits
from app.domain.leg_life import LegEvent
from app.journal.store import Committed, Journal, JournalError, Recorded
from app.process.logs import state
from messages.executions import OrderFilled
from messages.orders import Linked, OrderChanged, OrderSpec, OrderView, PlaceOrder, Purpose

log = structlog.get_logger()

E = TypeVar("E", bound=Effect)

MAX_AT_ONCE = 64
"""In one transaction."""

News = OrderChanged | OrderFilled


def leading(queue: deque[Effect], first: E) -> list[E]:
    """`first` and what the queue goes on with of its kind, taken out of it; no more than a transaction should hold."""
    kind = type(first)
    taken = [first]
    while queue and isinstance(following := queue[0], kind) and len(taken) < MAX_AT_ONCE:
        taken.append(following)
        queue.popleft()
    return taken


def order_facts(order: OrderView, number: int | None = None) -> dict[str, str | int | None]:
    """What every line of the log about an order says, so that its life can be found by any of its names.

    Args:
        number: Of the leg it is about; None for the newest.
    """
    leg, key = order.leg if number is None else order.legs[number - 1], order.key
    facts: dict[str, str | int | None] = {
        "strategy": key.strategy,
        "client_order_id": key.client_order_id,
        "order_id": order.order_id,
    }
    if leg is not None:
        facts |= {
            "exchange": leg.exchange,
            "epoch": leg.epoch,
            "wire_id": leg.wire_id,
            "leg": leg.number,
            "state": leg.state.value,
            "filled": format(leg.filled, "f"),
            "exchange_order_id": leg.exchange_order_id,
            "code": leg.reason_code,
            "native_code": leg.native_code,
        }
    return facts


def request_facts(request: PlaceOrder, exchange: str) -> dict[str, str | int | None]:
    """The same of an order that is only asked for."""
    key = request.key
    return {
        "strategy": key.strategy,
        "client_order_id": key.client_order_id,
        "exchange": exchange,
        "epoch": request.epoch,
    }


def _tell(recorded: Recorded, number: int, learned: str, changes: list[News]) -> None:
    """Says in the log what was recorded of a leg, and adds what sessions are to be told to `changes`."""
    if recorded.contradiction:
        log.error("order.contradiction", learned=learned, **order_facts(recorded.order, number))
    if recorded.excess:
        log.error("order.excess", excess=format(recorded.excess, "f"), **order_facts(recorded.order, number))
    if recorded.changed:
        state(__name__, "order.changed", **order_facts(recorded.order, number))
        changes.append(recorded.as_news())


class OrderWrites:
    """Of one connector."""

    def __init__(
        self,
        journal: Journal,
        machine: Connector,
        runner: PortRunner,
        path: OrderPath,
        clock: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._machine = machine
        self._runner = runner
        self._path = path
        self._clock = clock
        self._exchange = machine.exchange

    def commit(self, effects: list[e.Commit], now_s: float) -> list[Effect]:
        """Fences, finds duplicates, commits; returns what the machine makes of it."""
        out: list[Effect] = []
        try:
            # Begun apart from what is in it also where that is one: the write lock may have been waited for longer than
            # an order has time, and what has not begun by its deadline is not begun.
            with self._journal.together():
                results = [self._committed(effect, now_s) for effect in effects]
        except JournalError as error:
            for effect in effects:
                log.error("journal.unavailable", words=str(error), **request_facts(effect.request, self._exchange))
                out += self._machine.commit_failed(effect.asker, effect.request, str(error), now_s)
            return out
        for effect, result in zip(effects, results, strict=True):
            known = result.order if isinstance(result, Committed) else result
            out += self._machine.committed(effect.asker, effect.request, known, now_s)
        return out

    def record(self, effects: list[e.Record], now_s: float, changes: list[News]) -> list[Effect]:
        """Records; returns what the machine makes of it, and adds what sessions are to be told to `changes`."""
        out: list[Effect] = []
        try:
            with self._transaction_for(effects):
                results = [self._recorded(effect, now_s) for effect in effects]
        except JournalError as error:
            self._path.not_recorded()
            for effect in effects:
                facts = {"exchange": self._exchange, "order_id": effect.order_id, "leg": effect.number}
                log.error("journal.unavailable", words=str(error), learned=effect.event.value, **facts)
                out += self._machine.not_recorded(effect.order_id, now_s)
            return out
        for effect, recorded in zip(effects, results, strict=True):
            _tell(recorded, effect.number, effect.event.value, changes)
            out += self._machine.recorded(recorded.order, now_s)
        return out

    def record_fills(self, effects: list[e.RecordFills], now_s: float, changes: list[News]) -> list[Effect]:
        """Keeps executions; returns what the machine makes of it, and adds what is to be told to `changes`."""
        out: list[Effect] = []
        try:
            with self._transaction_for(effects):
                results = [
                    self._journal.record_fills(effect.order_id, effect.number, effect.fills, now_s=now_s)
                    for effect in effects
                ]
        except JournalError as error:  # they are asked for again, since the journal lacks them
            for effect in effects:
                facts = {"exchange": self._exchange, "order_id": effect.order_id, "leg": effect.number}
                log.error("journal.unavailable", words=str(error), learned="fills", **facts)
            return out
        for effect, recorded in zip(effects, results, strict=True):
            if recorded.ahead is not None:
                _tell(recorded.ahead, effect.number, "fills", changes)
            changes += [fill.as_news() for fill in recorded.fresh]
            self._machine.fills.recorded(effect, recorded.order, now_s)
            if recorded.fresh:
                out += self._machine.recorded(recorded.order, now_s)
        return out

    def not_listed(self, effect: e.NotListed) -> None:
        """Says that an exchange does not list all that filled."""
        facts = order_facts(effect.order, effect.number)
        log.warning("order.fills_not_listed", missing=format(effect.missing, "f"), **facts)

    def mark(self, effect: e.Mark, now_s: float) -> list[Effect]:
        """Keeps something of a leg for the sake of its exits; returns what the machine makes of it."""
        try:
            order = self._journal.mark(effect.order_id, effect.number, effect.linked, now_s)
        except JournalError as error:
            facts = {"exchange": self._exchange, "order_id": effect.order_id, "leg": effect.number}
            log.error("journal.unavailable", words=str(error), learned=effect.linked.value, **facts)
            return self._machine.not_marked(effect.order_id, now_s)
        if effect.linked is Linked.UNPROTECTED:
            log.error("order.unprotected", words=effect.words, **order_facts(order))
        return self._machine.marked(order, now_s)

    def _transaction_for(self, effects: Sequence[Effect]) -> AbstractContextManager[None]:
        return self._journal.together() if len(effects) > 1 else nullcontext()

    def _committed(self, effect: e.Commit, now_s: float) -> Committed | Decision:
        request = effect.request
        if self._clock() >= request.deadline_s:
            return TooLate()
        port = self._runner.port
        ordinary = request.purpose is Purpose.ORDER
        return self._journal.commit_intent(
            exchange=self._exchange,
            epoch=request.epoch,
            key=request.key,
            spec=request.spec,
            expiry_s=effect.expiry_s,
            now_s=now_s,
            problem=port.check(request.spec) if port.ready else f"{self._exchange} has not answered yet.",
            judge=self._machine.judge(request, now_s) if ordinary else None,
            linked=wants_exits(request.spec) and not port.attaches(request.spec),
            purpose=request.purpose,
            max_unresolved=self._machine.settings.max_unresolved_total,
            elsewhere=self._machine.elsewhere(request, now_s) if ordinary else None,
            across=self._unflagged(request.spec) if self._machine.settings.reduce_across else None,
        )

    def _unflagged(self, spec: OrderSpec) -> Callable[[], str]:
        """Asks why the exchange does not admit a reduce-only order without that."""
        return lambda: self._runner.port.check(evolve(spec, reduce_only=False))

    def _grows_unheld(self, effect: e.Intend) -> bool:
        """Whether a leg is to be for more than was held of the net for it (`app.domain.reduce_across`)."""
        if effect.terms.quantity is None:
            return False
        order = self._journal.order(effect.order_id)
        leg = None if order is None else order.legs[effect.number - 1]
        return leg is not None and leg.unflagged and effect.terms.quantity > leg.quantity

    def _recorded(self, effect: e.Record, now_s: float) -> Recorded:
        return self._journal.record(
            effect.order_id,
            effect.number,
            effect.event,
            now_s=now_s,
            filled=effect.filled,
            average_price=effect.average_price,
            exchange_order_id=effect.exchange_order_id,
            code=effect.code,
            words=effect.words,
            native_code=effect.native_code,
            terms=effect.terms,
            settles=effect.settles,
        )

    def renew(self, effect: e.Renew, now_s: float, changes: list[News]) -> list[Effect]:
        """Records the end of a leg and commits what takes its place; returns what the machine makes of it."""
        ended, port = effect.ended, self._runner.port
        try:
            recorded = self._journal.renew(
                ended.order_id,
                ended.number,
                ended.event,
                exchange=self._exchange,
                expiry_s=effect.expiry_s,
                now_s=now_s,
                check=lambda spec: port.check(spec) if port.ready else f"{self._exchange} has not answered yet.",
                protects=effect.protects,
                why=effect.why,
                filled=ended.filled,
                average_price=ended.average_price,
                exchange_order_id=ended.exchange_order_id,
                code=ended.code,
                words=ended.words,
                native_code=ended.native_code,
            )
        except JournalError as error:
            self._path.not_recorded()
            facts = {"exchange": self._exchange, "order_id": ended.order_id, "leg": ended.number}
            log.error("journal.unavailable", words=str(error), learned=ended.event.value, **facts)
            return self._machine.not_recorded(ended.order_id, now_s)
        _tell(recorded, len(recorded.order.legs), ended.event.value, changes)
        return self._machine.renewed(recorded.order, now_s)

    def take_up(self, effect: e.TakeUp, now_s: float, changes: list[News]) -> list[Effect]:
        """Ends what was taken off another exchange and commits the next leg here, or parks it; returns what follows."""
        try:
            moved = self._journal.carry(
                effect.order_id,
                effect.number,
                exchange=self._exchange,
                epoch=effect.epoch,
                expiry_s=effect.expiry_s,
                now_s=now_s,
                decide=effect.decide,
                linked=wants_exits(effect.spec) and not self._runner.port.attaches(effect.spec),
            )
        except JournalError as error:
            facts = {"exchange": self._exchange, "order_id": effect.order_id, "leg": effect.number}
            log.error("journal.unavailable", words=str(error), learned="carry", **facts)
            return self._machine.not_carried(effect.order_id, now_s)
        for recorded in moved.news:
            _tell(recorded, effect.number, "carry", changes)
        return self._machine.carried(moved.carried, now_s)

    def _held_up(self, effect: e.Intend) -> Controlled | None:
        """Why a leg may not be changed now, by what a person holds the router to; making it smaller always may be."""
        controls = self._journal.controls()
        order = None if controls is NONE else self._journal.order(effect.order_id)
        if order is None:
            return None
        less, terms = order.legs[effect.number - 1].quantity, effect.terms
        smaller = terms.price is None and terms.trigger_price is None
        if smaller and effect.until_s is None and terms.quantity is not None and terms.quantity <= less:
            return None
        return controlled(controls, Purpose.ORDER, order.spec, self._exchange)

    def intend(self, effect: e.Intend, now_s: float) -> list[Effect]:
        """Keeps what a leg is about to be asked to become; returns what the machine makes of it."""
        event = LegEvent.AMEND_SENT if effect.until_s is None else LegEvent.REPLACE_ASKED
        try:
            if not effect.protects and (held_up := self._held_up(effect)) is not None:
                words = f"{held_up.words} The order rests as it was."
                return self._machine.not_intended(effect.order_id, words, now_s, held_up.code)
            if effect.until_s is not None and not effect.protects and self._journal.route().exchange != self._exchange:
                words = f"{self._exchange} is not traded on now, so nothing could take its place: it was not touched."
                return self._machine.not_intended(effect.order_id, words, now_s, "not_routed")
            if self._grows_unheld(effect):
                words = "It reduces what stands on another exchange, and no more than it is for was held for that."
                return self._machine.not_intended(effect.order_id, words, now_s, "nothing_to_reduce")
            recorded = self._journal.record(
                effect.order_id, effect.number, event, now_s=now_s, terms=effect.terms, until_s=effect.until_s
            )
        except JournalError as error:
            facts = {"exchange": self._exchange, "order_id": effect.order_id, "leg": effect.number}
            log.error("journal.unavailable", words=str(error), learned=event.value, **facts)
            return self._machine.not_intended(effect.order_id, str(error), now_s)
        return self._machine.intended(recorded.order, now_s)
