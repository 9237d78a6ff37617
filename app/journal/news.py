"""What strategies are told, and up to where they have heard it.

Whatever is told to a strategy gets the strategy's next number in the transaction that records it. So the numbers follow
the order of commits, whichever connector's process wrote, without a gap, and a rollback takes its number along: who
hears number 7 after number 5 knows that something is missing, and asks the journal for it (`told_after`).

The number given last is remembered beside the orders written last (`app.journal.memory`), and read by the index where
somebody else has written since.
"""

from __future__ import annotations

import json
import sqlite3
from decimal import Decimal
from typing import Any

from app.journal import statements as hot
from app.journal.errors import translated
from app.journal.reads import Reads
from app.journal.rows import execution_of, text
from app.journal.written import ToldSoFar
from messages.executions import Execution, OrderFilled
from messages.orders import OrderChanged, OrderView

MAX_STRATEGIES = 1024
"""Whose last numbers are remembered."""

FILL = "fill"
"""Kind of the event of an execution; its detail names the trade, `{"trade_id": …}`, of which `fills` has the rest."""


def of_news(*, resolved: bool, grew: Decimal, total: Decimal) -> dict[str, Any]:
    """What an event's detail keeps for whoever is told of it later: the order itself is shown as it is by then."""
    facts: dict[str, Any] = {"resolved": True} if resolved else {}
    return facts | {"grew": text(grew), "total": text(total)} if grew else facts


class News(Reads):
    """Of an open journal."""

    def _next_number(self, strategy: str) -> int:
        """The number of what is told to a strategy next: an event has to be written with it, in this transaction.

        To be called in a write transaction, after `Memory.refresh`.
        """
        numbers = self._memory.numbers
        last = numbers.get(strategy)
        if last is None:
            last = self._last_told(strategy)
            if len(numbers) >= MAX_STRATEGIES:
                numbers.clear()
        numbers[strategy] = last + 1
        return last + 1

    def _last_told(self, strategy: str) -> int:
        row = hot.LAST_TOLD(self._db, strategy=strategy).fetchone()
        return 0 if row is None else int(row["number"])

    def last_told(self, strategy: str) -> int:
        """The number given last; 0 where a strategy was told nothing yet."""
        with translated(self._where):
            return self._last_told(strategy)

    def told_after(self, strategy: str, after: int, limit: int = 500) -> ToldSoFar:
        """What a strategy was told after a number, oldest first, each order as it is by now.

        By the index: what this costs does not grow with what was told before.
        """
        with translated(self._where):
            latest = self._last_told(strategy)  # first: what is told meanwhile is in `news`, or asked for again
            rows = hot.TOLD_AFTER(self._db, strategy=strategy, after=after, most=limit).fetchall()
            orders = {order_id: self._read(order_id) for order_id in {row["order_id"] for row in rows}}
            news = tuple(self._news_of(row, orders[row["order_id"]]) for row in rows)
        return ToldSoFar(news=news, latest=max(latest, news[-1].number if news else 0))

    def _news_of(self, row: sqlite3.Row, order: OrderView | None) -> OrderChanged | OrderFilled:
        assert order is not None, f"event {row['sequence']} is of an order the journal does not have"
        sequence, number = row["sequence"], row["number"]
        detail = json.loads(row["detail"])
        if row["kind"] == FILL:
            execution = self._execution(row["exchange"], detail["trade_id"], order)
            return OrderFilled(sequence=sequence, number=number, order=order, execution=execution)
        return OrderChanged(
            sequence=sequence,
            number=number,
            order=order,
            resolved=detail.get("resolved", False),
            grew=Decimal(detail.get("grew", "0")),
            total=Decimal(detail.get("total", "0")),
        )

    def _execution(self, exchange: str, trade_id: str, order: OrderView) -> Execution:
        named = {"symbol": str(order.spec.symbol), "trade_id": trade_id, "side": order.spec.side.value}
        row = hot.READ_FILL(self._db, exchange=exchange, **named).fetchone()
        assert row is not None, f"trade {trade_id} on {exchange} is told and not among the fills"
        return execution_of(row, order)

    def heard(self, strategy: str, now_s: float) -> int:
        """Up to which number a strategy has heard what it was told. A new one begins with what is told from now on."""
        with self._transaction():
            row = hot.READ_HEARD(self._db, strategy=strategy).fetchone()
            if row is not None:
                return int(row["number"])
            latest = self._last_told(strategy)
            hot.BEGIN_TO_HEAR(self._db, strategy=strategy, number=latest, at_s=now_s)
            return latest

    def hear(self, strategy: str, number: int, now_s: float) -> None:
        """A strategy has heard everything up to a number; less than what it has heard already changes nothing."""
        with translated(self._where):
            row = hot.READ_HEARD(self._db, strategy=strategy).fetchone()
        if row is not None and row["number"] < number:
            with self._transaction():
                hot.HEAR(self._db, key_strategy=strategy, number=number, at_s=now_s)
