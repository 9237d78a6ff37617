"""The journal's operations for executions: each is kept once, and a leg is what they add up to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from decimal import Decimal

from app.domain.calls import FillReport
from app.domain.fill_sums import FillSum, with_fills
from app.domain.leg_life import LegEvent
from app.journal import statements as hot
from app.journal.errors import translated
from app.journal.links import Links
from app.journal.news import FILL, News
from app.journal.rows import execution_of, learned_leg, life_of, row_of_fill, text, with_leg
from app.journal.written import FillRecorded, FillsRecorded, Recorded
from messages.executions import Execution
from messages.orders import OrderView

TOLD = ("trade_id", "side", "quantity", "price", "fee", "fee_coin", "maker", "at_s")
"""Of an execution, what its event keeps; the symbol is the order's."""


class Fills(Links, News):
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
    ) -> Recorded: ...

    def record_fills(self, order_id: str, number: int, reports: Iterable[FillReport], *, now_s: float) -> FillsRecorded:
        """Keeps executions of a leg, each once by its exchange's id, and what the leg is by all that are kept of it.

        One transaction: an execution that is kept counts in `listed` and has an event of its own, which its strategy is
        told; one that is not, in neither. Those kept before change nothing. Where they add up to more than was known to
        have filled, that is recorded first, as if the exchange had reported it.

        Raises:
            JournalError: Nothing was written.
            KeyError: There is no such leg.
        """
        ahead: Recorded | None = None
        fresh: list[FillRecorded] = []
        with self.together():
            self._memory.refresh(self._db)
            order = self._memory.order(order_id) or self._read(order_id)
            if order is None or not 1 <= number <= len(order.legs):
                raise KeyError(f"no leg {number} of order {order_id} in the journal")
            before = hot.FILLS_OF_LEG(self._db, key_order=order_id, key_leg=number).fetchall()
            total = FillSum.of((Decimal(row["quantity"]), Decimal(row["price"])) for row in before)
            rows = []
            for report in reports:
                row = row_of_fill(order, number, report)
                if hot.ADD_FILL(self._db, **row).rowcount == 1:
                    rows.append((row, report))
            ahead = self._ahead(order, number, total, [report for _, report in rows], now_s)
            if ahead is not None:
                order = ahead.order
            for row, report in rows:
                total.add(report.quantity, report.price)
                old = order.legs[number - 1]
                new = with_fills(life_of(old), total)
                reason = old.reason_code, old.reason_words, old.native_code
                leg = learned_leg(old, new, None, reason, elsewhere=Decimal(0), now_s=now_s)
                order = with_leg(order, leg)
                count = self._next_number(order.key.strategy)
                sequence = self._event(
                    FILL,
                    now_s,
                    order_id=order_id,
                    leg=number,
                    exchange=leg.exchange,
                    epoch=leg.epoch,
                    told=(order.key.strategy, count),
                    listed=text(leg.listed),
                    **{name: row[name] for name in TOLD if row[name] is not None},
                )
                execution = execution_of(row, order)
                fresh.append(FillRecorded(sequence=sequence, number=count, order=order, execution=execution))
            if fresh:
                leg = order.legs[number - 1]
                hot.LIST_LEG(
                    self._db,
                    key_order=order_id,
                    key_leg=number,
                    listed=text(leg.listed),
                    average_price=text(leg.average_price),
                    updated_s=now_s,
                )
        if fresh:
            self._memory.wrote(order)
        return FillsRecorded(order=order, ahead=ahead, fresh=tuple(fresh))

    def _ahead(
        self, order: OrderView, number: int, before: FillSum, reports: list[FillReport], now_s: float
    ) -> Recorded | None:
        """Records what they show of how much filled, where that is more than was known."""
        total = FillSum(before.quantity, before.worth, before.places)
        for report in reports:
            total.add(report.quantity, report.price)
        if not reports or total.quantity <= order.legs[number - 1].filled:
            return None
        return self.record(
            order.order_id,
            number,
            LegEvent.SEEN_PARTIAL,
            now_s=now_s,
            filled=total.quantity,
            average_price=total.average_price,
            # A trigger order's own id stays that under which it waits, where what it became has another.
            exchange_order_id=reports[0].exchange_order_id or None if order.spec.trigger is None else None,
        )

    def fills_of(self, order_id: str) -> tuple[Execution, ...]:
        """Every execution kept of an order, of all its legs, the oldest first."""
        with translated(self._where):
            order = self._read(order_id)
            rows = hot.FILLS_OF_ORDER(self._db, key_order=order_id).fetchall() if order is not None else []
        return () if order is None else tuple(execution_of(row, order) for row in rows)

    def unlisted(self, exchange: str, most: int) -> tuple[OrderView, ...]:
        """The oldest orders with a leg on an exchange of which more filled than the executions kept add up to."""
        with translated(self._where):
            rows = hot.UNLISTED_ON(self._db, exchange=exchange, most=most).fetchall()
            return tuple(order for row in rows if (order := self._read(row["order_id"])) is not None)
