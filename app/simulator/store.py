"""The orders and fills of an exchange, and the look-ups over them.

Apart from the engine because finding is one topic and matching another. Look-ups leave out orders (and their fills)
that are not visible yet: the visibility lag of real exchanges.
"""

from collections.abc import Iterable, Iterator

from app.simulator.model import Fill, Order


class OrderStore:
    """Everything accepted, open and closed, found by either id. The engine adds and closes; dialects look up."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self.fills: list[Fill] = []
        self._orders: dict[str, Order] = {}
        self._open: dict[str, dict[str, Order]] = {s: {} for s in symbols}
        self._by_client: dict[str, list[Order]] = {}

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
        for fill in reversed(self.fills):
            if fill.order.visible_from_ms > now_ms or (symbol is not None and fill.symbol != symbol):
                continue
            if order_id is None or fill.order.order_id == order_id:
                yield fill

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
        self._open[order.symbol][order.order_id] = order
        if order.client_order_id is not None:
            self._by_client.setdefault(order.client_order_id, []).append(order)
