"""The journal's operations for differences that were taken over: what an exchange has and our fills do not add up to.

Each is kept with its evidence and told by an event; the sums of a market are moved in the same transaction, so that the
book agrees with the exchange from then on. It is taken over only while the journal says what it did when the difference
was judged: whatever was recorded meanwhile may be what it was.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from sqlalchemy import Executable, insert, select, update

from app.domain.book import NOTHING, Holding
from app.journal import statements as hot
from app.journal.errors import translated
from app.journal.reads import Reads
from app.journal.rows import holding_of, symbol_of
from app.journal.schema import ATTACHED, adjustments, orders, traded
from app.journal.sums import sum_text
from messages.executions import Execution
from messages.market import Symbol
from messages.orders import OrderView
from messages.positions import Difference, DifferenceKind

ADJUSTED = "adjusted"
"""The event of a difference that was taken over; its detail has the whole row."""

MAX_ATTACHED = 50
"""Orders that took exits along, of which a trade is held against the levels: the newest."""


class Adjustments(Reads):
    """Of an open journal."""

    def adopt(
        self,
        exchange: str,
        symbol: Symbol,
        quantity: Decimal,
        ours: Decimal,
        kind: DifferenceKind,
        words: str,
        *,
        judged: Holding,
        now_s: float,
    ) -> Difference | None:
        """Takes a difference over; None where the journal says something else by now than when it was judged.

        Args:
            quantity: Base coin that the exchange has more than the journal said, signed; `ours`, what of it is of the
                router's own position.
            judged: What the journal said.

        Raises:
            JournalError: Nothing was written.
        """
        self._cold.ready()
        with self._transaction():
            market = {"exchange": exchange, "symbol": str(symbol)}
            here = (traded.c.exchange == exchange, traded.c.symbol == str(symbol))
            row = self._first(select(traded).where(*here))
            holding = NOTHING if row is None else holding_of(row)
            if holding != judged:
                return None
            sums = {
                "adopted": sum_text(holding.adopted + ours),
                "beside": sum_text(holding.foreign + quantity - ours),
            }
            kept_type = {"market_type": symbol.market_type.value}
            named = {"base": symbol.base, "quote": symbol.quote, "settle": symbol.settle} | kept_type
            change: Executable
            if row is None:
                change = insert(traded).values(**market, **named, **sums, last_s=0.0)
            else:
                change = update(traded).where(*here).values(**sums)
            self._run(lambda core: core.execute(change))
            facts = {"quantity": sum_text(quantity), "ours": sum_text(ours), "words": words} | kept_type
            (last,) = self._db.execute("SELECT coalesce(max(number), 0) FROM adjustments").fetchone()
            number = int(last) + 1
            kept = insert(adjustments).values(number=number, **market, **facts, kind=kind.value, at_s=now_s)
            self._run(lambda core: core.execute(kept))
            told = {"difference": number, "cause": kind.value, "symbol": str(symbol), **facts}
            self._event(ADJUSTED, now_s, exchange=exchange, **told)
        return Difference(
            exchange=exchange,
            symbol=symbol,
            kind=kind,
            quantity=quantity,
            words=words,
            at_s=now_s,
            adopted=True,
            ours=ours,
            number=number,
        )

    def _first(self, query: Executable) -> Any:
        with self._cold.connection() as core:
            row = core.execute(query).first()
        return None if row is None else row._mapping

    def adjusted(self, limit: int = 100) -> tuple[Difference, ...]:
        """The newest differences that were taken over, the oldest first."""
        (last,) = self._db.execute("SELECT coalesce(max(number), 0) FROM adjustments").fetchone()
        columns = (traded.c.base, traded.c.quote, traded.c.settle, traded.c.market_type)
        same = adjustments.c.exchange == traded.c.exchange, adjustments.c.symbol == traded.c.symbol
        query = select(adjustments, *columns).where(*same, adjustments.c.number > last - limit)
        rows = sorted(self._all(query), key=lambda row: int(row.number))
        return tuple(
            Difference(
                exchange=row.exchange,
                symbol=symbol_of(row._mapping),
                kind=DifferenceKind(row.kind),
                quantity=Decimal(row.quantity),
                words=row.words,
                at_s=row.at_s,
                adopted=True,
                ours=Decimal(row.ours),
                number=row.number,
            )
            for row in rows
        )

    def unknown_trades(self, executions: Collection[Execution]) -> frozenset[str]:
        """Trade ids of our own executions that are not kept, of legs of which not all that filled is."""
        unknown = set()
        with translated(self._where):
            for each in executions:
                if each.order_id is None:
                    continue
                named = {"symbol": str(each.symbol), "trade_id": each.trade_id, "side": each.side.value}
                if hot.READ_FILL(self._db, exchange=each.exchange, **named).fetchone() is not None:
                    continue
                order = self._read(each.order_id)
                there = () if order is None else tuple(leg for leg in order.legs if leg.exchange == each.exchange)
                if any(not leg.filled or leg.listed != leg.filled for leg in there):
                    unknown.add(each.trade_id)
        return frozenset(unknown)

    def attached(self, exchange: str, symbol: Symbol) -> tuple[OrderView, ...]:
        """The newest orders that filled on an exchange and whose take profit or stop loss it took along."""
        query = (
            select(orders.c.order_id)
            .where(
                orders.c.base == symbol.base,
                orders.c.quote == symbol.quote,
                orders.c.settle.is_not_distinct_from(symbol.settle),
                ATTACHED,
            )
            .order_by(orders.c.created_s.desc())
            .limit(MAX_ATTACHED)
        )
        found = [self.order(row.order_id) for row in self._all(query)]
        return tuple(
            order
            for order in found
            if order is not None
            and any(leg.exchange == exchange and leg.filled and leg.linked is None for leg in order.legs)
        )
