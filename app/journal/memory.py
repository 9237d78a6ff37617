"""What a connection still knows from its own last transactions, so that it need not read it again.

SQLite itself says whether that still holds: `PRAGMA data_version`, asked inside a write transaction, changes when any
other connection, of this process or another, has committed anything since it was asked last, and not for commits of
our own. So the fence still comes from the database, in the transaction that commits the leg; what is saved is reading
rows again that nobody can have changed. Nothing of this outlives the connection.
"""

from __future__ import annotations

import sqlite3

from app.domain.controls import Controls
from messages.failover import Route
from messages.market import Symbol
from messages.orders import OrderView

MAX_ORDERS = 1024
"""Orders remembered; the one written longest ago is forgotten first, and read again when it is needed."""


class Memory:
    """The committed route and the orders written last, while nobody else writes.

    Attributes:
        route: As committed; None where it is to be read.
        controls: Likewise.
        numbers: Given last to what each strategy is told; no entry where it is to be read.
        in_doubt: How many legs nobody knows of; None where they are to be counted.
        traded_s: By exchange and symbol, a time that the journal has, or a later one: whoever else writes, too.
    """

    __slots__ = ("_orders", "_version", "controls", "in_doubt", "numbers", "route", "traded_s")

    def __init__(self) -> None:
        self.route: Route | None = None
        self.controls: Controls | None = None
        self.in_doubt: int | None = None
        self.numbers: dict[str, int] = {}
        self.traded_s: dict[tuple[str, Symbol], float] = {}
        self._orders: dict[str, OrderView] = {}
        self._version = -1

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Forgets everything unless the database says that nobody else has written. In a write transaction only."""
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self.forget()
            self._version = version

    def forget(self) -> None:
        """Everything that others may write is to be read again: somebody did."""
        self.route = self.controls = self.in_doubt = None
        self.numbers.clear()
        self._orders.clear()

    def undone(self) -> None:
        """A transaction of ours was undone: nothing is known any more."""
        self.forget()
        self.traded_s.clear()

    def order(self, order_id: str) -> OrderView | None:
        """An order as we wrote it; None where it is to be read."""
        return self._orders.get(order_id)

    def wrote(self, order: OrderView) -> None:
        """The transaction that wrote this was committed."""
        self._orders.pop(order.order_id, None)
        self._orders[order.order_id] = order
        if len(self._orders) > MAX_ORDERS:
            del self._orders[next(iter(self._orders))]
