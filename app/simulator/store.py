"""The orders and fills of an exchange, and the look-ups over them.

Apart from the engine because finding is one topic and matching another. Look-ups leave out orders (and their fills)
that are not visible yet: the visibility lag of real exchanges.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from attrs import frozen

from app.simulator.model import Fill, Order

T = TypeVar("T", Order, Fill)


@frozen(kw_only=True)
class Page(Generic[T]):
    """Some rows of a listing. `cursor`: the number of the last row if there are more, to go on with; else None."""

    rows: list[T]
    cursor: int | None


def page(
    rows: Iterable[T],
    limit: int,
    *,
    after: int | None = None,
    before: int | None = None,
    from_ms: int | None = None,
    to_ms: int | None = None,
    time_of: Callable[[T], int] | None = None,
) -> Page[T]:
    """The first `limit` rows with numbers (`seq`) below `after` and above `before`, of times `from_ms` to `to_ms`.

    Rows come newest first (`OrderStore.history`, `OrderStore.trades`) and are numbered for ever, so that going on with
    `after=cursor` never repeats or skips a row, whatever is placed meanwhile. `time_of`: what the times are compared
    with; default: an order's creation, a fill's time. Both ends are included.
    """
    when = time_of if time_of is not None else _time
    kept: list[T] = []
    for row in rows:
        if (after is not None and row.seq >= after) or (before is not None and row.seq <= before):
            continue
        if (from_ms is not None and when(row) < from_ms) or (to_ms is not None and when(row) > to_ms):
            continue
        if len(kept) == limit:
            return Page(rows=kept, cursor=kept[-1].seq)
        kept.append(row)
    return Page(rows=kept, cursor=None)


def _time(row: Order | Fill) -> int:
    return row.created_ms if isinstance(row, Order) else row.ts_ms


class OrderStore:
    """Everything accepted, open and closed, found by either id. The engine adds and closes; dialects look up."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self.fills: list[Fill] = []
        self._orders: dict[str, Order] = {}
        symbols = list(symbols)
        self._open: dict[str, dict[str, Order]] = {s: {} for s in symbols}
        # Of them those that reduce a position: every fill looks at these, and must not walk the others.
        self._reducing: dict[str, dict[str, Order]] = {s: {} for s in symbols}
        self._by_client: dict[str, list[Order]] = {}
        self._fills_of: dict[str, list[Fill]] = {}
        self.changed: dict[str, Order] | None = None
        """Orders changed since somebody who keeps the books on disk looked, by id; None while nobody does."""

    def find(
        self,
        now_ms: int,
        *,
        order_id: str | None = None,
        client_order_id: str | None = None,
        symbol: str | None = None,
    ) -> Order | None:
        """A visible order by either id; of several under one client id the open one, else the newest."""
        order = self._lookup(order_id, client_order_id, symbol)
        return order if order is not None and order.visible_from_ms <= now_ms else None

    def by_id(self, order_id: str) -> Order | None:
        """The truth: an order by the exchange's id, visible or not."""
        return self._orders.get(order_id)

    def open_orders(self, now_ms: int, *, symbol: str | None = None) -> list[Order]:
        """Visible open orders, oldest first, of one canonical symbol or of all."""
        groups = [self._open.get(symbol, {})] if symbol is not None else list(self._open.values())
        found = [o for group in groups for o in group.values() if o.visible_from_ms <= now_ms]
        found.sort(key=lambda o: o.seq)
        return found

    def history(self, now_ms: int, *, symbol: str | None = None, closed_only: bool = True) -> Iterator[Order]:
        """Visible orders, NEWEST first, lazily: stop reading at the page's limit."""
        for order in reversed(self._orders.values()):
            if order.visible_from_ms > now_ms or (symbol is not None and order.symbol != symbol):
                continue
            if not (closed_only and order.status.is_open):
                yield order

    def trades(self, now_ms: int, *, symbol: str | None = None, order_id: str | None = None) -> Iterator[Fill]:
        """Fills of visible orders, NEWEST first, lazily."""
        for fill in reversed(self.fills if order_id is None else self._fills_of.get(order_id, [])):
            if fill.order.visible_from_ms > now_ms or (symbol is not None and fill.symbol != symbol):
                continue
            yield fill

    def fills_of(self, order: Order) -> list[Fill]:
        """Fills of one order, oldest first."""
        return list(self._fills_of.get(order.order_id, ()))

    def with_client_id(self, client_order_id: str) -> list[Order]:
        """Every order ever accepted under a client order id, visible or not, oldest first."""
        return list(self._by_client.get(client_order_id, ()))

    def all_orders(self) -> Iterable[Order]:
        """The truth: every order, visible or not, oldest first."""
        return self._orders.values()

    def _lookup(self, order_id: str | None, client_order_id: str | None, symbol: str | None) -> Order | None:
        order: Order | None = None
        if order_id:
            order = self._orders.get(order_id)
        elif client_order_id:
            known = self._by_client.get(client_order_id, ())
            order = next((o for o in known if o.status.is_open), known[-1] if known else None)
        return order if order is not None and (symbol is None or order.symbol == symbol) else None

    def _add(self, order: Order) -> None:
        self._orders[order.order_id] = order
        if order.status.is_open:
            self._open[order.symbol][order.order_id] = order
            if order.reduces:
                self._reducing[order.symbol][order.order_id] = order
        if order.client_order_id is not None:
            self._by_client.setdefault(order.client_order_id, []).append(order)
        self._note(order)

    def rename(self, order: Order, client_order_id: str) -> None:
        """Give an order another client order id; it is not found under the old one any more."""
        if order.client_order_id is not None:
            self._by_client[order.client_order_id].remove(order)
        order.client_order_id = client_order_id
        self._by_client.setdefault(client_order_id, []).append(order)
        self._note(order)

    def _leave(self, order: Order) -> None:
        """A closed order is not open any more."""
        self._open[order.symbol].pop(order.order_id, None)
        self._reducing[order.symbol].pop(order.order_id, None)

    def _add_fill(self, fill: Fill) -> None:
        self.fills.append(fill)
        self._fills_of.setdefault(fill.order.order_id, []).append(fill)

    def _note(self, order: Order) -> None:
        """Remember that an order changed, for whoever keeps the books on disk."""
        if self.changed is not None:
            self.changed[order.order_id] = order
