"""What is asked of an open journal by whoever moves positions: what stands where, and which orders of a move there are.

Nothing is written here: a slice is an order, and goes the way of every order. Those of an epoch and symbol are numbered
without a gap, so that they are found by their names, and none has to be looked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from heapq import merge

from app.domain.ids import order_id
from app.domain.move_ground import meets_own
from app.domain.moving import Move, MoveKind
from app.domain.position_situation import Standing
from app.journal import statements as hot
from app.journal.errors import translated
from app.journal.reads import Reads
from app.journal.rows import symbol_of
from messages.market import Symbol
from messages.orders import OrderSpec, OrderView

# From one name to the next, by the index: orders are many, strategies are few.
_STRATEGIES = (
    "WITH RECURSIVE named(strategy) AS (SELECT min(strategy) FROM orders UNION ALL"
    " SELECT (SELECT min(strategy) FROM orders WHERE strategy > named.strategy) FROM named"
    " WHERE named.strategy IS NOT NULL) SELECT strategy FROM named WHERE strategy IS NOT NULL"
)


class Moves(Reads):
    """Of an open journal."""

    def _meets_own(self, exchange: str, spec: OrderSpec) -> str:
        """Within the transaction that would commit a slice: why it would trade with an order of ours."""
        rows = [row for asked in (hot.OPEN_ON, hot.ASIDE_ON) for row in asked(self._db, exchange=exchange).fetchall()]
        orders = (self._read(order_id) for order_id in dict.fromkeys(row["order_id"] for row in rows))
        return meets_own((order for order in orders if order is not None), exchange, spec)

    def standing(self) -> tuple[Standing, ...]:
        """Everything that was ever traded, of one moment."""
        with translated(self._where):
            rows = hot.READ_TRADED(self._db).fetchall()
        return tuple(
            Standing(
                exchange=row["exchange"],
                symbol=symbol_of(row),
                attributed=Decimal(row["attributed"] or 0),
                adopted=Decimal(row["adopted"] or 0),
                moved=Decimal(row["moved"] or 0),
            )
            for row in rows
        )

    def newest(self, symbol: Symbol, limit: int) -> tuple[OrderView, ...]:
        """The newest orders of a symbol that are neither live nor in doubt, of each strategy `limit`, newest first."""
        with translated(self._where):
            strategies = [row["strategy"] for row in self._db.execute(_STRATEGIES).fetchall()]
        found = (self.closed_orders(strategy, symbol, limit) for strategy in strategies)
        return tuple(merge(*found, key=lambda order: -order.created_s))

    def move(self, epoch: int, symbol: Symbol, number: int) -> OrderView | None:
        """The order of a move by its number; None where there is none yet."""
        with translated(self._where):
            for kind in MoveKind:
                name = Move(epoch, str(symbol), number, kind)
                if (found := self._read(order_id(self.journal_id, name.key))) is not None:
                    return found
        return None

    def moves_after(self, epoch: int, symbol: Symbol, number: int = 0) -> Iterable[OrderView]:
        """Those of an epoch and symbol with higher numbers, in order."""
        while (found := self.move(epoch, symbol, number := number + 1)) is not None:
            yield found
