"""Bybit V5, linear perpetuals and spot, a unified account: routes and look-ups.

`realtime` lists what is open and, asked by id, what was closed recently; `history` lists what is closed. Lists come
newest first, in pages that go on from a cursor, and those of the past in windows of at most seven days.
Not there: inverse and option markets (their lists are empty), trailing stops, borrowing, websockets, ids of their own
for spot orders.
Source: https://bybit-exchange.github.io/docs/v5/order/open-order and its neighbours.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from app.simulator.dialects.base import Call, Context, NativeError, Route
from app.simulator.dialects.bybit_orders import BybitOrders
from app.simulator.dialects.bybit_shapes import closed_pnl_item, execution_item, order_item
from app.simulator.dialects.wire import Answer, int_or_none, page_size
from app.simulator.model import Fill, Order
from app.simulator.store import Page, page

RECENT_CLOSED = 500
"""/v5/order/realtime finds this many recently closed orders by id; older ones are only in the history."""
UNFILLED_MS = 86_400_000
"""What ended without a fill is in the history this long; realtime, which a restart clears, forgets what closed then."""
WINDOW_MS = 7 * 86_400_000
"""The longest time that a list of the past covers; without times the newest such one."""


class Bybit(BybitOrders):
    """The dialect: routes and look-ups."""

    def routes(self) -> Sequence[Route]:
        """The V5 endpoints a trading client uses."""
        public = (
            ("market/instruments-info", Call.MARKETS, self._instruments),
            ("market/time", Call.TIME, self._time),
            ("system/status", Call.STATUS, self._status),
            ("announcements/index", Call.STATUS, self._announcements),
            ("market/tickers", Call.TICKER, self._tickers),
            ("market/orderbook", Call.BOOK, self._orderbook),
            ("market/kline", Call.KLINES, self._kline),
            ("market/mark-price-kline", Call.KLINES, self._price_kline),
            ("market/index-price-kline", Call.KLINES, self._price_kline),
            ("market/recent-trade", Call.TICKER, self._recent_trades),
        )
        private = (
            ("GET", "user/query-api", Call.ACCOUNT, self._query_api),
            ("GET", "account/info", Call.ACCOUNT, self._account_info),
            ("GET", "account/wallet-balance", Call.BALANCE, self._wallet),
            ("GET", "account/fee-rate", Call.ACCOUNT, self._fee_rate),
            ("GET", "account/instruments-info", Call.MARKETS, self._instruments),
            ("GET", "account/query-dcp-info", Call.ACCOUNT, self._dcp_info),
            ("POST", "account/set-margin-mode", Call.ACCOUNT, self._set_margin_mode),
            ("POST", "order/create", Call.PLACE, self._create),
            ("POST", "order/create-batch", Call.PLACE, self._create_batch),
            ("POST", "order/amend", Call.AMEND, self._amend),
            ("POST", "order/amend-batch", Call.AMEND, self._amend_batch),
            ("POST", "order/cancel", Call.CANCEL, self._cancel),
            ("POST", "order/cancel-batch", Call.CANCEL, self._cancel_batch),
            ("POST", "order/cancel-all", Call.CANCEL_ALL, self._cancel_all),
            ("POST", "order/disconnected-cancel-all", Call.DEAD_MAN, self._set_dcp),
            ("GET", "order/realtime", Call.OPEN_ORDERS, self._realtime),
            ("GET", "order/history", Call.CLOSED_ORDERS, self._history),
            ("GET", "execution/list", Call.FILLS, self._executions),
            ("GET", "position/list", Call.POSITIONS, self._positions),
            ("GET", "position/closed-pnl", Call.FILLS, self._closed_pnl),
            ("POST", "position/set-leverage", Call.LEVERAGE, self._set_leverage),
            ("POST", "position/switch-mode", Call.ACCOUNT, self._switch_mode),
            ("POST", "position/switch-isolated", Call.ACCOUNT, self._switch_isolated),
            ("POST", "position/add-margin", Call.ACCOUNT, self._add_margin),
            ("POST", "position/trading-stop", Call.PLACE, self._trading_stop),
        )
        found = [Route(method="GET", path=f"/v5/{p}", call=c, handler=h, private=False) for p, c, h in public]
        return [*found, *(Route(method=m, path=f"/v5/{p}", call=c, handler=h) for m, p, c, h in private)]

    # ---- orders -----------------------------------------------------------------------------------------------------

    def _realtime(self, ctx: Context) -> Answer:
        """Open orders; by id also the recently closed ones."""
        symbols, wanted = self._whole_scope(ctx), self.order_filter(ctx)
        order_id, link_id = ctx.params.get("orderId"), ctx.params.get("orderLinkId")
        rows: Iterable[Order]
        if order_id or link_id:
            closed = islice(self.engine.history(ctx.now_ms), RECENT_CLOSED)
            found = self.engine.find(ctx.now_ms, order_id=order_id, client_order_id=link_id)
            recent = found is not None and (
                found.status.is_open
                or (found.updated_ms > ctx.now_ms - UNFILLED_MS and any(o is found for o in closed))
            )
            rows = [found] if found is not None and recent else []
        elif ctx.params.get("openOnly") == "1":
            rows = islice((o for o in self.engine.history(ctx.now_ms) if o.symbol in symbols), RECENT_CLOSED)
        else:
            rows = reversed(self.engine.open_orders(ctx.now_ms))
        return self._page_of_orders(ctx, (o for o in rows if o.symbol in symbols and self.fits(o, wanted)))

    def _whole_scope(self, ctx: Context) -> set[str]:
        """By id, and of spot, nothing else need be named."""
        unnamed = ctx.params.get("orderId") or ctx.params.get("orderLinkId") or ctx.params.get("category") == "spot"
        return self.whole_category(ctx) if unnamed else self.scope(ctx)

    def _history(self, ctx: Context) -> Answer:
        """Closed orders."""
        symbols, wanted = self.whole_category(ctx), self.order_filter(ctx)
        order_id, link_id, state = (ctx.params.get(k) for k in ("orderId", "orderLinkId", "orderStatus"))
        rows: Iterable[Order]
        if order_id:
            found = self.engine.find(ctx.now_ms, order_id=order_id)
            rows = [found] if found is not None else []
        elif link_id:
            rows = reversed([o for o in self.engine.with_client_id(link_id) if o.visible_from_ms <= ctx.now_ms])
        else:
            rows = self.engine.history(ctx.now_ms)
        start, end = self._window(ctx)
        by_id = bool(order_id or link_id) and not ctx.params.get("startTime") and not ctx.params.get("endTime")
        kept = (
            o
            for o in rows
            if not o.status.is_open
            and (o.filled or o.updated_ms > ctx.now_ms - UNFILLED_MS)
            and o.symbol in symbols
            and self.fits(o, wanted)
            and (by_id or start <= o.created_ms <= end)
        )
        shown = self._page_of_orders
        return shown(ctx, kept) if not state else shown(ctx, (o for o in kept if self._item(o)["orderStatus"] == state))

    def _page_of_orders(self, ctx: Context, rows: Iterable[Order]) -> Answer:
        """Up to the limit (20, at most 50)."""
        cut = page(rows, page_size(ctx.params.get("limit"), 20, 50), after=int_or_none(ctx.params.get("cursor")))
        return self._listed(ctx, [self._item(o) for o in cut.rows], cut)

    def _item(self, order: Order) -> dict[str, object]:
        return order_item(order, self.engine.markets[order.symbol])

    def _listed(self, ctx: Context, items: list[dict[str, object]], cut: Page[Order] | Page[Fill]) -> Answer:
        cursor = "" if cut.cursor is None else str(cut.cursor)
        return self.ok(ctx, {"category": ctx.params["category"], "list": items, "nextPageCursor": cursor})

    @staticmethod
    def _window(ctx: Context) -> tuple[int, int]:
        """From startTime to endTime, seven days at most; of one alone seven days from or up to it."""
        start, end = int_or_none(ctx.params.get("startTime")), int_or_none(ctx.params.get("endTime"))
        if start is None:
            end = ctx.now_ms if end is None else end
            return end - WINDOW_MS, end
        if end is None:
            return start, start + WINDOW_MS
        if end < start:
            raise NativeError(10001, "startTime should not be greater than endTime.")
        if end - start > WINDOW_MS:
            raise NativeError(10001, "The time range between startTime and endTime cannot exceed 7 days.")
        return start, end

    # ---- fills ------------------------------------------------------------------------------------------------------

    def _fills(self, ctx: Context) -> Iterator[Fill]:
        symbols, link_id = self.whole_category(ctx), ctx.params.get("orderLinkId")
        order_id, kind = ctx.params.get("orderId") or None, ctx.params.get("execType")
        start, end = self._window(ctx)
        any_time = bool(order_id or link_id) and not ctx.params.get("startTime") and not ctx.params.get("endTime")
        for fill in self.engine.trades(ctx.now_ms, order_id=order_id):
            if fill.symbol not in symbols or (link_id and fill.order.client_order_id != link_id):
                continue
            if kind and execution_item(fill, self.engine.markets[fill.symbol], self.engine)["execType"] != kind:
                continue
            if any_time or start <= fill.ts_ms <= end:
                yield fill

    def _executions(self, ctx: Context) -> Answer:
        cut = page(
            self._fills(ctx), page_size(ctx.params.get("limit"), 50, 100), after=int_or_none(ctx.params.get("cursor"))
        )
        items = [execution_item(f, self.engine.markets[f.symbol], self.engine) for f in cut.rows]
        return self._listed(ctx, items, cut)

    def _closed_pnl(self, ctx: Context) -> Answer:
        """What fills closed of positions."""
        closing = (f for f in self._fills(ctx) if f.realised_pnl)
        cut = page(closing, page_size(ctx.params.get("limit"), 50, 100), after=int_or_none(ctx.params.get("cursor")))
        return self._listed(
            ctx, [closed_pnl_item(f, self.engine.markets[f.symbol], self.engine) for f in cut.rows], cut
        )
