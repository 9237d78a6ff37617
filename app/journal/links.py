"""The journal's operations for take profit and stop loss that are orders of their own (`app.domain.exits`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from attrs import evolve
from sqlalchemy import func, select

from app.domain import ids
from app.domain.exits import NOW, Exit
from app.journal import statements as hot
from app.journal.errors import translated
from app.journal.reads import Reads
from app.journal.rows import with_leg
from app.journal.schema import LINKED_LEG, legs
from messages.market import Symbol
from messages.orders import Linked, OrderView


class Links(Reads):
    """Of an open journal."""

    def mark(self, order_id: str, number: int, linked: Linked, now_s: float) -> OrderView:
        """Keeps something of a leg for the sake of exits that are orders of their own.

        Raises:
            JournalError: Nothing was written.
            KeyError: There is no such leg.
        """
        with self._transaction():
            order = self._read(order_id)
            if order is None or not 1 <= number <= len(order.legs):
                raise KeyError(f"no leg {number} of order {order_id} in the journal")
            hot.MARK_LEG(self._db, key_order=order_id, key_leg=number, linked=linked.value)
            leg = order.legs[number - 1]
            self._event("exits", now_s, order_id=order_id, leg=number, exchange=leg.exchange, linked=linked.value)
            view = with_leg(order, evolve(leg, linked=linked))
        self._memory.wrote(view)
        return view

    def linked(self, exchange: str) -> tuple[tuple[OrderView, tuple[OrderView, ...]], ...]:
        """Orders with a leg on an exchange whose exits are not over, each with all the exits it was given."""
        with translated(self._where):
            ids_ = [row["order_id"] for row in hot.LINKED_ON(self._db, exchange=exchange).fetchall()]
            parents = [order for order_id in ids_ if (order := self._read(order_id)) is not None]
            return tuple((parent, tuple(self._exits_of(parent))) for parent in parents)

    def _exits_of(self, parent: OrderView) -> Iterator[OrderView]:
        """By their names: those of a kind are numbered without a gap, and one at the market stands for one of them."""
        for leg in parent.legs:
            for kind, at_market in NOW.items():
                for number in count(1):
                    named = (Exit(parent.order_id, leg.number, each, number) for each in (kind, at_market))
                    found = [self._read(ids.order_id(self.journal_id, name.key(parent))) for name in named]
                    yield from (order for order in found if order is not None)
                    if found[0] is None:
                        break

    def unprotected_on(self, exchange: str) -> dict[Symbol, int]:
        """How many orders there are on an exchange of which not all that filled has its exits, by symbol."""
        found: dict[Symbol, int] = {}
        with translated(self._where):
            rows = hot.LINKED_ON(self._db, exchange=exchange).fetchall()
            for order in (self._read(row["order_id"]) for row in rows):
                if order is not None and any(
                    leg.exchange == exchange and leg.linked is Linked.UNPROTECTED for leg in order.legs
                ):
                    found[order.spec.symbol] = found.get(order.spec.symbol, 0) + 1
        return found

    def unprotected(self) -> int:
        """How many legs lack exits that could not be placed."""
        query = select(func.count().label("n")).where(LINKED_LEG, legs.c.linked == Linked.UNPROTECTED.value)
        return int(next(row.n for row in self._all(query)))
