"""Kraken spot: looking orders and fills up.

Listings are pages of fifty, newest first, by offset (`ofs`); times are Unix seconds, or the id of an order or a trade.
`QueryOrders` takes ids only: by a client order id an order is found in the listings.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

from app.simulator.dialects.base import Call, Context, Dialect, NativeError, Route
from app.simulator.dialects.kraken_spot_bodies import Asked, order_body, trade_body
from app.simulator.dialects.kraken_spot_orders import ok
from app.simulator.dialects.kraken_spot_params import flag, invalid, names, need, seconds_ms
from app.simulator.dialects.wire import Answer, BadNumber, int_or_none
from app.simulator.model import Fill, Order

PAGE = 50
MAX_IDS = 50
MAX_TRADE_IDS = 20
T = TypeVar("T", Order, Fill)


class HistoryApi:
    """The endpoints that look orders and fills up, over one dialect's engine."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._engine = dialect.engine

    def routes(self) -> list[Route]:
        """All private."""
        table: tuple[tuple[str, Call, Callable[[Context], Answer]], ...] = (
            ("OpenOrders", Call.OPEN_ORDERS, self._open),
            ("ClosedOrders", Call.CLOSED_ORDERS, self._closed),
            ("QueryOrders", Call.ORDER, self._query),
            ("TradesHistory", Call.FILLS, self._trades),
            ("QueryTrades", Call.FILLS, self._query_trades),
        )
        return [Route(method="POST", path=f"/0/private/{name}", call=call, handler=do) for name, call, do in table]

    def _open(self, ctx: Context) -> Answer:
        found = [o for o in self._engine.open_orders(ctx.now_ms) if _meant(o, ctx.params)]
        return ok({"open": {o.order_id: self._body(ctx, o) for o in reversed(found)}})

    def _closed(self, ctx: Context) -> Answer:
        by = ctx.params.get("closetime", "both")
        if by not in ("both", "open", "close"):
            raise invalid("closetime")
        start, end = self._bound(ctx.params, "start"), self._bound(ctx.params, "end")

        def inside(order: Order) -> bool:
            times = {"open": [order.created_ms], "close": [order.updated_ms]}.get(
                by, [order.created_ms, order.updated_ms]
            )
            return any((start is None or t > start) and (end is None or t <= end) for t in times)

        kept = (o for o in self._engine.history(ctx.now_ms) if _meant(o, ctx.params) and inside(o))
        page, count = _page(ctx, kept)
        body: dict[str, object] = {"closed": {o.order_id: self._body(ctx, o) for o in page}}
        return ok(body if flag(ctx.params, "without_count") else body | {"count": count})

    def _query(self, ctx: Context) -> Answer:
        wanted = names(need(ctx.params, "txid"))
        if len(wanted) > MAX_IDS:
            raise invalid("txid")
        found = [self._engine.find(ctx.now_ms, order_id=word) for word in wanted]
        if not any(found):
            raise NativeError("EOrder:Unknown order", "")
        return ok({o.order_id: self._body(ctx, o) for o in found if o is not None and _meant(o, ctx.params)})

    def _trades(self, ctx: Context) -> Answer:
        start, end = self._bound(ctx.params, "start"), self._bound(ctx.params, "end")
        kept = (
            f
            for f in self._engine.trades(ctx.now_ms)
            if (start is None or f.ts_ms > start) and (end is None or f.ts_ms <= end)
        )
        page, count = _page(ctx, kept)
        body: dict[str, object] = {"trades": {f.trade_id: trade_body(f, self._engine) for f in page}}
        return ok(body if flag(ctx.params, "without_count") else body | {"count": count})

    def _query_trades(self, ctx: Context) -> Answer:
        wanted = names(need(ctx.params, "txid"))
        if len(wanted) > MAX_TRADE_IDS:
            raise invalid("txid")
        found = [f for f in self._engine.trades(ctx.now_ms) if f.trade_id in wanted]
        if not found:
            raise NativeError("EQuery:Unknown trade", "")
        return ok({f.trade_id: trade_body(f, self._engine) for f in found})

    def _body(self, ctx: Context, order: Order) -> dict[str, object]:
        return order_body(order, self._engine, trades=flag(ctx.params, "trades"))

    def _bound(self, params: Mapping[str, str], name: str) -> int | None:
        """A time, Unix ms; the id of an order or a trade stands for its time."""
        raw = params.get(name)
        if not raw:
            return None
        try:
            return seconds_ms(params, name)
        except BadNumber as error:
            order = self._engine.find(10**15, order_id=raw)
            fill = next((f for f in self._engine.trades(10**15) if f.trade_id == raw), None)
            if order is None and fill is None:
                raise invalid(name) from error
            return order.created_ms if order is not None else fill.ts_ms if fill is not None else None


def _meant(order: Order, params: Mapping[str, str]) -> bool:
    """True unless a user reference or a client order id is asked for that is another's."""
    ref, client = params.get("userref"), params.get("cl_ord_id")
    return (not ref or str(Asked.of(order).userref) == ref) and (not client or order.client_order_id == client)


def _page(ctx: Context, rows: Iterator[T]) -> tuple[list[T], int]:
    """Fifty rows from `ofs` on, and how many there are in all."""
    offset = int_or_none(ctx.params.get("ofs") or "0")
    if offset is None or offset < 0:
        raise invalid("ofs")
    skipped = sum(1 for _ in islice(rows, offset))
    page = list(islice(rows, PAGE))
    return page, skipped + len(page) + sum(1 for _ in rows)
