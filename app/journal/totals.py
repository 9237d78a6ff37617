"""Sums over all legs that were ever placed, kept as they change: per exchange and symbol what our fills add up to, and
when it was traded last; and how many legs ended how.

Book, status and pre-flight ask for them every few seconds. Added up anew each time, a million orders took ten seconds.
So each is written in the transaction of the leg that changes it, and it is only what has an end that is counted: legs
that may still fill are few, and a partial index has them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from app.domain.book import NOTHING, Exposure, Holding, Place
from app.domain.leg_life import ASIDE, MAY_FILL, UNPROVEN
from app.domain.reduce_across import NothingToReduce, Reduces, reduction
from app.journal import queries
from app.journal import statements as hot
from app.journal.errors import translated
from app.journal.reads import Reads
from app.journal.rows import exposure_of, holding_of, symbol_of
from app.journal.schema import ended, legs
from app.journal.sums import TRADED_AGAIN_S, differences, sum_text
from messages.market import Symbol
from messages.orders import LegView, OrderSpec, Side


class Totals(Reads):
    """Of an open journal."""

    # ------------------------------------------------------------------------------------------ within a transaction

    def _placed(self, exchange: str, symbol: Symbol, now_s: float) -> None:
        """A leg is new."""
        known_s = self._memory.traded_s.get((exchange, symbol))
        if known_s is not None and 0 <= now_s - known_s < TRADED_AGAIN_S:
            return
        hot.TRADE(
            self._db,
            exchange=exchange,
            symbol=str(symbol),
            base=symbol.base,
            quote=symbol.quote,
            settle=symbol.settle,
            market_type=symbol.market_type.value,
            last_s=now_s,
        )
        self._memory.traded_s[exchange, symbol] = now_s

    def _moved(self, spec: OrderSpec, old: LegView, new: LegView, *, slice_: bool = False) -> None:
        """A leg is another; `slice_` where its order opens or closes a slice of a position that is moved."""
        if new.state is not old.state:
            if new.state not in MAY_FILL:
                hot.COUNT_ENDED(self._db, state=new.state.value, legs=1)
            if old.state not in MAY_FILL:
                hot.COUNT_ENDED(self._db, state=old.state.value, legs=-1)
        if new.filled != old.filled:
            market = {"key_exchange": new.exchange, "key_symbol": str(spec.symbol)}
            more = new.filled - old.filled if spec.side is Side.BUY else old.filled - new.filled
            (before,) = hot.READ_ATTRIBUTED(self._db, **market).fetchone()
            hot.ATTRIBUTE(self._db, **market, attributed=sum_text(more if before is None else Decimal(before) + more))
            if slice_:
                (before,) = hot.READ_MOVED(self._db, **market).fetchone()
                hot.ADD_MOVED(self._db, **market, moved=sum_text(more if before is None else Decimal(before) + more))

    def _reduction(
        self,
        spec: OrderSpec,
        quantity: Decimal,
        exchange: str,
        flagged: bool | None,
        instead_of: tuple[str, int] | None = None,
    ) -> Reduces | NothingToReduce:
        """How a reduce-only leg may be committed by the net over all exchanges: what is committed by this transaction
        is among what may fill in the next.

        Args:
            flagged: As it was before, where it is sent again or takes the place of another; None for a new one.
            instead_of: Order and number of the leg whose place it takes.
        """
        symbol = spec.symbol
        held = hot.READ_HOLDINGS(self._db, key_symbol=str(symbol)).fetchall()
        legs_ = [
            exposure_of(row)
            for row in hot.EXPOSED(self._db).fetchall()
            if (row["base"], row["quote"]) == (symbol.base, symbol.quote)
            and (row["order_id"], row["number"]) != instead_of
        ]
        holdings = {row["exchange"]: holding_of(row) for row in held}
        same = [leg for leg in legs_ if leg.symbol == symbol]
        return reduction(spec, quantity, exchange, holdings, same, flagged)

    # ------------------------------------------------------------------------------------------------------ questions

    @contextmanager
    def _one_moment(self) -> Iterator[None]:
        """What is read within is of one moment, whoever writes meanwhile."""
        self._cold.ready()
        with translated(self._where):
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("COMMIT")

    def counts(self) -> dict[str, int]:
        """Legs by state."""
        with self._one_moment():
            over = {row.state: row.legs for row in self._all(select(ended)) if row.legs}
            return over | Counter(row.state for row in self._all(queries.may_fill(legs.c.state)))

    def oldest_unproven_s(self) -> float | None:
        """When the oldest leg whose outcome nobody knows was committed; None when there is none."""
        rows = self._all(queries.may_fill(legs.c.state, legs.c.committed_s))
        return min((row.committed_s for row in rows if row.state in UNPROVEN | ASIDE), default=None)

    def exposures(self) -> tuple[Exposure, ...]:
        """Every leg that may still fill."""
        with translated(self._where):
            return tuple(exposure_of(row) for row in hot.EXPOSED(self._db).fetchall())

    def _traded(self) -> list[Any]:
        with translated(self._where):
            return hot.READ_TRADED(self._db).fetchall()

    def book(self) -> tuple[dict[tuple[str, Symbol], Decimal], tuple[Exposure, ...]]:
        """What positions are made of: by exchange and symbol what our fills add up to, and every leg that may still
        fill."""
        with self._one_moment():
            rows = [row for row in self._traded() if row["attributed"] is not None]
            attributed = {(row["exchange"], symbol_of(row)): Decimal(row["attributed"]) for row in rows}
            return attributed, self.exposures()

    def holdings(self) -> tuple[dict[Place, Holding], tuple[Exposure, ...]]:
        """What stands by the journal, by exchange and symbol, what is not ours included; and every leg that may still
        fill."""
        with self._one_moment():
            held = {(row["exchange"], symbol_of(row)): holding_of(row) for row in self._traded()}
            return {place: holding for place, holding in held.items() if holding != NOTHING}, self.exposures()

    def symbols(self, since_s: float) -> tuple[str, ...]:
        """Unified symbols traded since a time, resting now, or adding up to something: what a candidate must have.

        Not every one ever traded: a market that is long done with must not keep trading from moving.
        """
        with self._one_moment():
            found = {str(symbol_of(row)) for row in hot.EXPOSED(self._db).fetchall()}
            for row in self._traded():
                if row["last_s"] + TRADED_AGAIN_S >= since_s or holding_of(row).ours:
                    found.add(row["symbol"])
        return tuple(sorted(found))

    def sums_differ(self) -> str:
        """Where a sum is not what the legs add up to, in words; empty where none differs. Reads every leg."""
        with self._one_moment():
            return " ".join(differences(self._db))
