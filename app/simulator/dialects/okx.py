"""OKX V5, linear swaps and spot, an account of the mode "spot and futures": routes and look-ups.

Lists come newest first in pages of at most a hundred, older than `after` and newer than `before` (ids of orders, of
fills their billId). The past has horizons: seven days of orders, three of fills, three months in the archives.
Not there: futures, options, margin on spot, trailing and iceberg orders, borrowing, the funding account, websockets.
Source: https://www.okx.com/docs-v5/en/#order-book-trading-trade.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

from app.simulator.dialects.base import Call, Context, NativeError, Route
from app.simulator.dialects.okx_algo import OkxAlgo
from app.simulator.dialects.okx_orders import ids
from app.simulator.dialects.okx_shapes import fill_item, order_item, order_state, order_type
from app.simulator.dialects.wire import Answer, int_or_none, page_size
from app.simulator.model import Order

UNFILLED_KEPT_MS = 2 * 3_600_000
"""An order cancelled without any fill is forgotten by look-ups after two hours."""
DAY_MS = 86_400_000
HORIZONS_MS = {"orders-history": 7 * DAY_MS, "fills": 3 * DAY_MS}
"""How far back a list goes; the archives three months."""
ARCHIVE_MS = 90 * DAY_MS


class Okx(OkxAlgo):
    """The dialect: routes and look-ups."""

    def routes(self) -> Sequence[Route]:
        """The V5 endpoints a trading client uses."""
        public = (
            ("public/time", Call.TIME, self._time),
            ("system/status", Call.STATUS, self._status),
            ("support/announcements", Call.STATUS, self._announcements),
            ("public/instruments", Call.MARKETS, self._instruments),
            ("public/mark-price", Call.TICKER, self._mark_price),
            ("market/ticker", Call.TICKER, self._ticker),
            ("market/tickers", Call.TICKER, self._tickers),
            ("market/trades", Call.TICKER, self._trades),
            ("market/books", Call.BOOK, self._books),
            ("market/candles", Call.KLINES, self._candles),
            ("market/history-candles", Call.KLINES, self._candles),
            ("market/mark-price-candles", Call.KLINES, self._price_candles),
            ("market/history-mark-price-candles", Call.KLINES, self._price_candles),
            ("market/index-candles", Call.KLINES, self._price_candles),
            ("market/history-index-candles", Call.KLINES, self._price_candles),
        )
        private = (
            ("GET", "account/config", Call.ACCOUNT, self._config),
            ("GET", "account/balance", Call.BALANCE, self._balance),
            ("GET", "account/instruments", Call.MARKETS, self._instruments),
            ("GET", "account/trade-fee", Call.ACCOUNT, self._fees),
            ("GET", "account/positions", Call.POSITIONS, self._positions),
            ("GET", "account/leverage-info", Call.LEVERAGE, self._leverage_info),
            ("POST", "account/set-leverage", Call.LEVERAGE, self._set_leverage),
            ("POST", "account/set-position-mode", Call.ACCOUNT, self._set_position_mode),
            ("POST", "account/position/margin-balance", Call.ACCOUNT, self._margin_balance),
            ("POST", "trade/order", Call.PLACE, self._place_one),
            ("POST", "trade/batch-orders", Call.PLACE, self._place_batch),
            ("POST", "trade/close-position", Call.PLACE, self._close_position),
            ("POST", "trade/order-algo", Call.PLACE, self._place_algo),
            ("POST", "trade/amend-order", Call.AMEND, self._amend),
            ("POST", "trade/amend-batch-orders", Call.AMEND, self._amend_batch),
            ("POST", "trade/amend-algos", Call.AMEND, self._amend_algo),
            ("POST", "trade/cancel-order", Call.CANCEL, self._cancel),
            ("POST", "trade/cancel-algos", Call.CANCEL, self._cancel_algos),
            ("POST", "trade/cancel-batch-orders", Call.CANCEL_ALL, self._cancel_batch),
            ("POST", "trade/cancel-all-after", Call.DEAD_MAN, self._cancel_all_after),
            ("GET", "trade/order", Call.ORDER, self._order),
            ("GET", "trade/order-algo", Call.ORDER, self._algo),
            ("GET", "trade/orders-pending", Call.OPEN_ORDERS, self._pending),
            ("GET", "trade/orders-algo-pending", Call.OPEN_ORDERS, self._algos_pending),
            ("GET", "trade/orders-history", Call.CLOSED_ORDERS, self._history),
            ("GET", "trade/orders-history-archive", Call.CLOSED_ORDERS, self._history),
            ("GET", "trade/orders-algo-history", Call.CLOSED_ORDERS, self._algos_history),
            ("GET", "trade/fills", Call.FILLS, self._fills),
            ("GET", "trade/fills-history", Call.FILLS, self._fills),
        )
        found = [Route(method="GET", path=f"/api/v5/{p}", call=c, handler=h, private=False) for p, c, h in public]
        return [*found, *(Route(method=m, path=f"/api/v5/{p}", call=c, handler=h) for m, p, c, h in private)]

    # ---- orders -----------------------------------------------------------------------------------------------------

    def _order(self, ctx: Context) -> Answer:
        market = self.market_of(ctx.params.get("instId"))
        order_id, client_id = ids(ctx)
        order = self.engine.find(ctx.now_ms, order_id=order_id, client_order_id=client_id, symbol=market.symbol)
        by_algo_id = order is not None and order_id is None and order.trigger is not None
        if order is None or order.is_waiting_trigger or by_algo_id or _forgotten(order, ctx.now_ms):
            raise NativeError("51603", "Order does not exist")
        return self.ok([self._shown(order)])

    def _pending(self, ctx: Context) -> Answer:
        return self._page(ctx, reversed(self.engine.open_orders(ctx.now_ms)))

    def _history(self, ctx: Context) -> Answer:
        self.inst_type(ctx, needed=True)
        since = self._since(ctx)
        rows = self.engine.history(ctx.now_ms)
        return self._page(ctx, (o for o in rows if o.updated_ms >= since and not _forgotten(o, ctx.now_ms)))

    @staticmethod
    def _since(ctx: Context) -> int:
        return ctx.now_ms - HORIZONS_MS.get(ctx.request.path.rpartition("/")[2], ARCHIVE_MS)

    def _page(self, ctx: Context, rows: Iterable[Order]) -> Answer:
        given = ctx.params
        symbols = {m.symbol for m in self.listed(ctx)}
        after, before = int_or_none(given.get("after")), int_or_none(given.get("before"))
        begin, end = int_or_none(given.get("begin")), int_or_none(given.get("end"))
        kept = (
            o
            for o in rows
            if o.symbol in symbols
            and not o.is_waiting_trigger
            and (after is None or int(o.order_id) < after)
            and (before is None or int(o.order_id) > before)
            and (begin is None or o.created_ms >= begin)
            and (end is None or o.created_ms <= end)
            and (not given.get("state") or order_state(o) == given["state"])
            and (not given.get("ordType") or order_type(o) in given["ordType"].split(","))
        )
        limit = page_size(given.get("limit"), 100, 100)
        return self.ok([self._shown(o) for o in islice(kept, limit)])

    def _fills(self, ctx: Context) -> Answer:
        given = ctx.params
        if ctx.request.path.endswith("-history"):
            self.inst_type(ctx, needed=True)
        symbols, since = {m.symbol for m in self.listed(ctx)}, self._since(ctx)
        after, before = int_or_none(given.get("after")), int_or_none(given.get("before"))
        begin, end = int_or_none(given.get("begin")), int_or_none(given.get("end"))
        kept = (
            f
            for f in self.engine.trades(ctx.now_ms, order_id=given.get("ordId") or None)
            if f.symbol in symbols
            and f.ts_ms >= since
            and (after is None or int(f.trade_id) < after)
            and (before is None or int(f.trade_id) > before)
            and (begin is None or f.ts_ms >= begin)
            and (end is None or f.ts_ms <= end)
        )
        limit = page_size(given.get("limit"), 100, 100)
        return self.ok([fill_item(f, self.engine.markets[f.symbol]) for f in islice(kept, limit)])

    def _shown(self, order: Order) -> dict[str, object]:
        return order_item(order, self.engine.markets[order.symbol], self.engine)


def _forgotten(order: Order, now_ms: int) -> bool:
    return not order.status.is_open and not order.filled and now_ms - order.updated_ms > UNFILLED_KEPT_MS
