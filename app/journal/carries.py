"""The journal's operations for orders on their way from one exchange to the next.

`app.domain.carry` has the decision, and says why an order is never between two legs without a state that tells so: the
end of the drained leg for good and the intent of the next one are one transaction, as parking is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

from app.domain import ids
from app.domain.carry import (
    NO_POSITION,
    Carried,
    Carry,
    Decision,
    Finished,
    Park,
    Standing,
    is_same_leg,
    moved_first,
    waits,
)
from app.domain.carry_told import CARRIED, PARKED, carried_of, parked_of
from app.domain.commit import CommitNew
from app.domain.controls import controlled
from app.domain.history_chain import HistoryRow
from app.domain.leg_life import BETWEEN, LegEvent
from app.domain.reduce_across import NothingToReduce
from app.journal import statements as hot
from app.journal.errors import translated
from app.journal.facts import of_intent
from app.journal.renewals import Renewals
from app.journal.rows import new_leg, row_of_leg, with_leg
from app.journal.written import Recorded
from messages.market import Symbol
from messages.orders import LegState, LegView, Linked, OrderView, Purpose

ZERO = Decimal(0)


@frozen(kw_only=True)
class Moved:
    """What taking up an order did to the journal.

    Attributes:
        news: What was recorded of it, in order.
    """

    carried: Carried
    news: tuple[Recorded, ...] = ()


class Carries(Renewals):
    """Of an open journal."""

    @abstractmethod
    def _add_history(self, step: str, epoch: int, detail: Mapping[str, Any], now_s: float) -> HistoryRow: ...

    # ------------------------------------------------------------------------------------------------------ questions

    def _between(self) -> tuple[OrderView, ...]:
        with translated(self._where):
            order_ids = [row["order_id"] for row in hot.BETWEEN(self._db).fetchall()]
            found = [order for order_id in order_ids if (order := self._read(order_id)) is not None]
        return tuple(order for order in found if order.leg is not None and order.leg.state in BETWEEN)

    def drained(self) -> tuple[OrderView, ...]:
        """Orders that are to be placed where trading is, oldest first."""
        return tuple(order for order in self._between() if _newest(order) is LegState.DRAINED)

    def parked(self) -> tuple[OrderView, ...]:
        """Orders of which nothing is on any exchange, and which are not placed by themselves now; oldest first."""
        return tuple(order for order in self._between() if _newest(order) is LegState.PARKED)

    def to_carry(self, exchange: str) -> tuple[OrderView, ...]:
        """Those that are to be placed on an exchange, and those parked for what may have passed; oldest first."""
        return tuple(order for order in self._between() if waits(order, exchange))

    def standing_of(self, order: OrderView, exchange: str) -> Standing:
        """What matters to an order that is to be placed on an exchange, besides its legs."""
        with translated(self._where):
            return self._standing(order, exchange)

    def attributed(self, exchange: str, symbol: Symbol) -> Decimal:
        """What fills of ours add up to on an exchange, with what was taken over; base coin, below zero when short."""
        with translated(self._where):
            return self._held(symbol).get(exchange, ZERO)

    def attributed_elsewhere(self, exchange: str, symbol: Symbol) -> Decimal:
        """The same, of all other exchanges together."""
        with translated(self._where):
            return sum((held for name, held in self._held(symbol).items() if name != exchange), ZERO)

    # ------------------------------------------------------------------------------------------ within a transaction

    def _held(self, symbol: Symbol) -> dict[str, Decimal]:
        rows = hot.READ_HELD(self._db, key_symbol=str(symbol)).fetchall()
        return {row["exchange"]: Decimal(row["attributed"] or 0) + Decimal(row["adopted"] or 0) for row in rows}

    def _standing(self, order: OrderView, exchange: str) -> Standing:
        held: dict[str, Decimal] = self._held(order.spec.symbol) if order.spec.reduce_only else {}
        there = held.pop(exchange, ZERO)
        first = moved_first(order)
        left = hot.READ_LEFT(self._db, after=first.epoch, key_exchange=first.exchange).fetchone()
        return Standing(
            held=there, elsewhere=sum(held.values(), ZERO), left_s=None if left is None else left["fenced_s"]
        )

    # ---------------------------------------------------------------------------------------------------- operations

    def carry(
        self,
        order_id: str,
        number: int,
        *,
        exchange: str,
        epoch: int,
        expiry_s: float,
        now_s: float,
        decide: Callable[[OrderView, Standing], Decision],
        linked: bool = False,
    ) -> Moved:
        """Ends a leg that was taken off its exchange and commits the next one, or parks it, as is decided.

        Args:
            number: Of the leg that was taken off: where it is the newest no more, somebody was quicker.
            exchange: Of the connector that asks.
            epoch: Of the route it knows.
            decide: The decision, over the order as this transaction reads it.
            linked: Whether its take profit and stop loss are to be orders of their own there.

        Raises:
            JournalError: Nothing was written.
        """
        with self.together():
            order = self._read(order_id)
            if order is None or order.leg is None:
                raise KeyError(f"order {order_id} is not in the journal")
            leg, route = order.leg, self._route()
            if leg.number != number or leg.state not in BETWEEN:
                return Moved(carried=Carried(order=order, words="Somebody else has taken it up."))
            if (route.epoch, route.exchange) != (epoch, exchange):
                return Moved(carried=Carried(order=order, words=f"Trading is not on {exchange} any more."))
            self._memory.refresh(self._db)  # the controls as they are, whoever wrote them
            held_up = controlled(self._controls_now(), Purpose.ORDER, order.spec, exchange)
            if held_up is not None:
                return Moved(carried=Carried(order=order, words=held_up.words))
            decision = self._beside(order, exchange, decide(order, self._standing(order, exchange)))
            if isinstance(decision, Park):
                return self._park(order, decision, now_s)
            if not isinstance(decision, Carry | Finished):
                return Moved(carried=Carried(order=order, decision=decision))
            news = self._unparked(order, now_s)
            view = news[-1].order if news else order
            if isinstance(decision, Carry) and is_same_leg(order, decision, exchange):
                sent = self._again(view, epoch, expiry_s, now_s, linked=linked)
            else:
                if isinstance(decision, Finished):
                    code, words = "not_carried", decision.words
                else:
                    code, words = "carried", f"What was left of it went to {exchange}."
                news.append(self.record(order_id, number, LegEvent.CARRIED, now_s=now_s, code=code, words=words))
                view = news[-1].order
                if isinstance(decision, Finished):
                    return Moved(carried=Carried(order=view, decision=decision), news=tuple(news))
                view, sent = self._next(view, decision, exchange, epoch, expiry_s, now_s, linked=linked)
            facts = of_intent(sent, None)
            self._event("intent", now_s, order_id=order_id, leg=sent.number, exchange=exchange, epoch=epoch, **facts)
            view = with_leg(view, sent)
            self._memory.wrote(view)
            self._add_history(CARRIED, epoch, carried_of(view), now_s)
        # Told as it is after all of it: nobody hears of an end that is none.
        told = tuple(evolve(each, order=view) for each in news)
        return Moved(carried=Carried(order=view, fresh=True, decision=decision), news=told)

    def _again(self, order: OrderView, epoch: int, expiry_s: float, now_s: float, *, linked: bool) -> LegView:
        """The same leg, committed once more where it was proven absent; `order` as it is, drained."""
        before = order.leg
        assert before is not None
        if linked or before.linked is not None:  # what fills now has its exits placed, whatever was over before
            before = self.mark(order.order_id, before.number, Linked.OPEN, now_s).legs[-1]
        leg = self._commit_again(before, order.order_id, epoch, expiry_s, now_s)
        self._moved(order.spec, before, leg)
        return leg

    def _next(
        self,
        order: OrderView,
        decision: Carry,
        exchange: str,
        epoch: int,
        expiry_s: float,
        now_s: float,
        *,
        linked: bool,
    ) -> tuple[OrderView, LegView]:
        """The order, as it is then, and the leg that takes up what is left of it; `order` as it is, its leg ended."""
        leg = order.leg
        assert leg is not None
        new = CommitNew(
            number=leg.number + 1,
            quantity=decision.quantity,
            price=decision.price,
            trigger_price=decision.trigger_price,
            whole=decision.whole,
        )
        if leg.exchange == exchange and leg.linked is not None:
            order = self.mark(order.order_id, leg.number, Linked.DONE, now_s)  # its exits follow the newest's mark
            linked = True
        wire_id = ids.wire_id(self.journal_id, order.key, new.number)
        mark = Linked.OPEN if linked else None
        fresh = new_leg(new, wire_id, exchange, epoch, expiry_s=expiry_s, now_s=now_s, linked=mark)
        hot.ADD_LEG(self._db, **row_of_leg(order.order_id, fresh))
        self._placed(exchange, order.spec.symbol, now_s)
        return order, fresh

    def _beside(self, order: OrderView, exchange: str, decision: Decision) -> Decision:
        """What was let through without the flag keeps what it was let through for: a flagged one waits for it."""
        if not isinstance(decision, Carry) or not order.spec.reduce_only:
            return decision
        found = self._reduction(order.spec, decision.quantity, exchange, flagged=True)
        return Park(code=NO_POSITION, words=found.words) if isinstance(found, NothingToReduce) else decision

    def _unparked(self, order: OrderView, now_s: float) -> list[Recorded]:
        """As drained again, in the same transaction, where it was parked."""
        leg = order.leg
        assert leg is not None
        if leg.state is not LegState.PARKED:
            return []
        return [self.record(order.order_id, leg.number, LegEvent.UNPARKED, now_s=now_s)]

    def _park(self, order: OrderView, why: Park, now_s: float) -> Moved:
        leg = order.leg
        assert leg is not None
        if leg.state is LegState.PARKED and leg.reason_code == why.code:
            return Moved(carried=Carried(order=order, decision=why))
        news = self._unparked(order, now_s)
        kind, code = LegEvent.PARKED, leg.native_code
        words = why.words
        news.append(
            self.record(order.order_id, leg.number, kind, now_s=now_s, code=why.code, words=words, native_code=code)
        )
        self._add_history(PARKED, self._route().epoch, parked_of(news[-1].order, why.code, words), now_s)
        return Moved(carried=Carried(order=news[-1].order, decision=why), news=tuple(news))

    def park(self, order_id: str, code: str, words: str, now_s: float) -> Moved:
        """Keeps an order that was taken off its exchange from being placed by itself, and says why.

        Raises:
            JournalError: Nothing was written.
            KeyError: There is no such order.
        """
        with self.together():
            order = self._known(order_id)
            if _newest(order) not in BETWEEN:
                return Moved(carried=Carried(order=order, words="It was not taken off its exchange."))
            return self._park(order, Park(code=code, words=words), now_s)

    def unpark(self, order_id: str, code: str, words: str, now_s: float) -> Moved:
        """Lets a parked order be placed where trading is, after all; the code says why (`PLACED_BY_OWNER`).

        Raises:
            JournalError: Nothing was written.
            KeyError: There is no such order.
        """
        with self.together():
            order = self._known(order_id)
            leg = order.leg
            if leg is None or leg.state is not LegState.PARKED:
                return Moved(carried=Carried(order=order, words="It is not parked."))
            native = leg.native_code  # that an exchange refused it is not forgotten
            recorded = self.record(
                order_id, leg.number, LegEvent.UNPARKED, now_s=now_s, code=code, words=words, native_code=native
            )
        return Moved(carried=Carried(order=recorded.order), news=(recorded,))

    def _known(self, order_id: str) -> OrderView:
        order = self._read(order_id)
        if order is None:
            raise KeyError(f"order {order_id} is not in the journal")
        return order


def _newest(order: OrderView) -> LegState | None:
    return None if order.leg is None else order.leg.state
