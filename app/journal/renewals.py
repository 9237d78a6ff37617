"""The journal's operation for a leg that takes the place of another: the end of one and the intent of the next at once.

`app.domain.renewal` has the decision and says why it is one transaction.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

from attrs import evolve

from app.domain import ids
from app.domain.carry import NOT_EXECUTED
from app.domain.commit import CommitAgain, CommitNew
from app.domain.controls import Controls, controlled
from app.domain.leg_life import LegEvent
from app.domain.reduce_across import NothingToReduce
from app.domain.renewal import NOT_ROUTED, Over, stands_again, stands_in
from app.journal import statements as hot
from app.journal.facts import of_intent
from app.journal.rows import new_leg, row_of_leg, with_leg
from app.journal.totals import Totals
from app.journal.written import Recorded
from messages.failover import Route
from messages.orders import LegState, LegView, Linked, OrderSpec, OrderView, Purpose


class Renewals(Totals):
    """Of an open journal."""

    @abstractmethod
    def together(self) -> AbstractContextManager[None]: ...

    @abstractmethod
    def record(
        self,
        order_id: str,
        number: int,
        event: LegEvent,
        *,
        now_s: float,
        filled: Decimal | None = None,
        average_price: Decimal | None = None,
        exchange_order_id: str | None = None,
        code: str | None = None,
        words: str | None = None,
        native_code: str | None = None,
    ) -> Recorded: ...

    @abstractmethod
    def mark(self, order_id: str, number: int, linked: Linked, now_s: float) -> OrderView: ...

    @abstractmethod
    def _route(self) -> Route: ...

    @abstractmethod
    def _controls_now(self) -> Controls: ...

    @abstractmethod
    def _commit_again(self, leg: LegView, order_id: str, epoch: int, expiry_s: float, now_s: float) -> LegView: ...

    def _leaves(
        self, order_id: str, number: int, event: LegEvent, now_s: float, seen: dict[str, Any], why: str
    ) -> Recorded:
        """Trading has left meanwhile, or is held up: what was to take its place is placed later, where trading is."""
        self.record(order_id, number, LegEvent.CARRY_ASKED, now_s=now_s)
        if event is LegEvent.SEEN_CANCELLED:
            return self.record(order_id, number, event, now_s=now_s, **seen)
        words = f"What was to replace it never executed, and {why}"
        return self.record(order_id, number, LegEvent.PARKED, now_s=now_s, code=NOT_EXECUTED, words=words)

    def _as_reduces(
        self, order: OrderView, decision: CommitNew | CommitAgain, exchange: str
    ) -> CommitNew | CommitAgain | Over:
        """What takes the place of a reduce-only leg, as the net over all exchanges admits it: flagged as that was."""
        leg = order.leg
        assert leg is not None, "what is renewed has a leg"
        quantity = decision.quantity if isinstance(decision, CommitNew) else leg.quantity
        place = order.order_id, leg.number
        found = self._reduction(order.spec, quantity, exchange, not leg.unflagged, instead_of=place)
        if isinstance(found, NothingToReduce):
            return Over(code="nothing_to_reduce", words=found.words)
        return evolve(decision, unflagged=leg.unflagged) if isinstance(decision, CommitNew) else decision

    def renew(
        self,
        order_id: str,
        number: int,
        event: LegEvent,
        *,
        exchange: str,
        expiry_s: float,
        now_s: float,
        check: Callable[[OrderSpec], str],
        protects: bool = False,
        why: Over | None = None,
        filled: Decimal | None = None,
        average_price: Decimal | None = None,
        exchange_order_id: str | None = None,
        code: str | None = None,
        words: str | None = None,
        native_code: str | None = None,
    ) -> Recorded:
        """Records that a leg has ended (SEEN_CANCELLED), or did not execute (PROVEN_ABSENT), and commits what follows.

        The order returned ends with a fresh intent where there is one: that may be sent now, once. Otherwise it is
        over, and its newest leg says why.

        Args:
            why: Nothing is to follow, and why.
            check: Why the exchange's rules do not admit an order; empty where they do.
            protects: The order is an exit, which goes to its exchange whatever the route is.

        Raises:
            JournalError: Nothing was written.
        """
        seen: dict[str, Any] = {
            "filled": filled,
            "average_price": average_price,
            "exchange_order_id": exchange_order_id,
        }
        with self.together():
            order = self._read(order_id)
            if order is None or order.leg is None or order.leg.number != number:
                raise KeyError(f"leg {number} is not the newest of order {order_id} in the journal")
            leg, route = order.leg, self._route()
            ends = event is LegEvent.SEEN_CANCELLED
            if why is not None:
                decision: Any = why
            elif not ends:
                decision = stands_again(order, route, exchange=exchange, protects=protects)
            elif leg.wanted is None or not leg.wanted.replaces:
                decision = Over(code="cancelled", words="It was cancelled.")
            else:
                decision = stands_in(
                    order,
                    leg.wanted,
                    filled=leg.filled if filled is None else max(filled, leg.filled),
                    exchange=exchange,
                    route=route,
                    now_s=now_s,
                    check=check,
                    protects=protects,
                )
            self._memory.refresh(self._db)
            held_up = None if protects else controlled(self._controls_now(), Purpose.ORDER, order.spec, exchange)
            if isinstance(decision, Over) and decision.code == NOT_ROUTED:
                return self._leaves(order_id, number, event, now_s, seen, "trading has moved meanwhile.")
            if held_up is not None and not isinstance(decision, Over):  # it waits for that, as it would for a route
                return self._leaves(order_id, number, event, now_s, seen, held_up.words)
            if order.spec.reduce_only and not protects and isinstance(decision, CommitNew | CommitAgain):
                decision = self._as_reduces(order, decision, exchange)
            if isinstance(decision, Over):
                over = event if ends else LegEvent.REFUSED
                seen |= {"code": decision.code, "words": decision.words, "native_code": native_code}
                recorded = self.record(order_id, number, over, now_s=now_s, **seen)
                if protects and ends:  # an exit's owner has not given it up: what it was for is placed anew
                    marked = self.mark(order_id, number, Linked.RESIZED, now_s)
                    recorded = evolve(recorded, order=marked)
                return recorded
            seen |= {"code": code, "words": words, "native_code": native_code}
            recorded = self.record(order_id, number, event, now_s=now_s, **seen)
            left = recorded.order.legs[number - 1]
            epoch = route.epoch
            if left.state is not (LegState.CANCELLED if ends else LegState.ABSENT):
                return recorded  # the journal knew better
            view = recorded.order
            if isinstance(decision, CommitNew):
                if left.linked is not None:  # its exits follow the row of legs, by the newest one's mark
                    view = self.mark(order_id, number, Linked.DONE, now_s)
                wire_id = ids.wire_id(self.journal_id, order.key, decision.number)
                linked = left.linked
                fresh = new_leg(decision, wire_id, exchange, epoch, expiry_s=expiry_s, now_s=now_s, linked=linked)
                hot.ADD_LEG(self._db, **row_of_leg(order_id, fresh))
                self._placed(exchange, order.spec.symbol, now_s)
            else:
                fresh = self._commit_again(left, order_id, epoch, expiry_s, now_s)
                self._moved(order.spec, left, fresh)
            facts = of_intent(fresh, None)
            self._event("intent", now_s, order_id=order_id, leg=fresh.number, exchange=exchange, epoch=epoch, **facts)
            view = with_leg(view, fresh)
            self._memory.wrote(view)
        return evolve(recorded, order=view)
