"""OKX V5, linear swaps, net mode, cross margin.

A placement or cancel answers the ids and an `sCode`; what became of it is asked afterwards. Sizes are contracts on the
wire and base coin in the engine. Source: https://www.okx.com/docs-v5/en/#order-book-trading-trade.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice

from attrs import evolve

from app.simulator.dialects.base import Call, Context, NativeError, Route
from app.simulator.dialects.okx_account import OkxAccount
from app.simulator.dialects.okx_shapes import fill_item, order_item, order_state, order_type
from app.simulator.dialects.wire import Answer, BadNumber, decimal_or_none, flat, int_or_none, page_size
from app.simulator.model import NewOrder, Order, OrderType, Refusal, Side, Tif
from app.simulator.spec import MarketSpec

MAX_BATCH = 20
UNFILLED_KEPT_MS = 2 * 3_600_000
"""An order cancelled without any fill is forgotten by look-ups after two hours."""
_TIFS = {"limit": Tif.GTC, "post_only": Tif.POST_ONLY, "ioc": Tif.IOC, "fok": Tif.FOK, "optimal_limit_ioc": Tif.IOC}


_Act = Callable[[Context, Mapping[str, object]], Order]
"""What is done to one item of a body."""


class Okx(OkxAccount):
    """The dialect: routes and orders."""

    def routes(self) -> Sequence[Route]:
        """The V5 endpoints a trading client uses."""
        public = (
            ("public/time", Call.TIME, self._time),
            ("system/status", Call.STATUS, self._status),
            ("public/instruments", Call.MARKETS, self._instruments),
            ("public/mark-price", Call.TICKER, self._mark_price),
            ("market/ticker", Call.TICKER, self._ticker),
            ("market/tickers", Call.TICKER, self._tickers),
            ("market/books", Call.BOOK, self._books),
        )
        private = (
            ("GET", "account/config", Call.ACCOUNT, self._config),
            ("GET", "account/balance", Call.BALANCE, self._balance),
            ("GET", "account/positions", Call.POSITIONS, self._positions),
            ("GET", "account/leverage-info", Call.LEVERAGE, self._leverage_info),
            ("POST", "account/set-leverage", Call.LEVERAGE, self._set_leverage),
            ("POST", "account/set-position-mode", Call.ACCOUNT, self._set_position_mode),
            ("POST", "trade/order", Call.PLACE, self._place_one),
            ("POST", "trade/batch-orders", Call.PLACE, self._place_batch),
            ("POST", "trade/amend-order", Call.AMEND, self._amend),
            ("POST", "trade/cancel-order", Call.CANCEL, self._cancel),
            ("POST", "trade/cancel-batch-orders", Call.CANCEL_ALL, self._cancel_batch),
            ("GET", "trade/order", Call.ORDER, self._order),
            ("GET", "trade/orders-pending", Call.OPEN_ORDERS, self._pending),
            ("GET", "trade/orders-history", Call.CLOSED_ORDERS, self._history),
            ("GET", "trade/orders-history-archive", Call.CLOSED_ORDERS, self._history),
            ("GET", "trade/fills", Call.FILLS, self._fills),
            ("GET", "trade/fills-history", Call.FILLS, self._fills),
        )
        found = [Route(method="GET", path=f"/api/v5/{p}", call=c, handler=h, private=False) for p, c, h in public]
        return [*found, *(Route(method=m, path=f"/api/v5/{p}", call=c, handler=h) for m, p, c, h in private)]

    # ---- placing ----------------------------------------------------------------------------------------------------

    def _place_one(self, ctx: Context) -> Answer:
        return self._many(ctx, [ctx.request.json], self._place_item)

    def _place_batch(self, ctx: Context) -> Answer:
        return self._many(ctx, self._batch(ctx), self._place_item)

    def _cancel(self, ctx: Context) -> Answer:
        return self._many(ctx, [ctx.request.json], self._cancel_item)

    def _cancel_batch(self, ctx: Context) -> Answer:
        return self._many(ctx, self._batch(ctx), self._cancel_item)

    def _amend(self, ctx: Context) -> Answer:
        return self._many(ctx, [ctx.request.json], self._amend_item)

    @staticmethod
    def _batch(ctx: Context) -> list[object]:
        body = ctx.request.json
        if not isinstance(body, list) or not body:
            raise NativeError("50000", "Body for POST request can't be empty.", status=400)
        if len(body) > MAX_BATCH:
            raise NativeError("51111", f"Maximum {MAX_BATCH} orders can be placed in bulk", status=400)
        return body

    def _many(self, ctx: Context, bodies: Sequence[object], act: _Act) -> Answer:
        """Each order on its own: "0" if all went, "1" if none did, "2" if some did."""
        data: list[dict[str, str]] = []
        failed = 0
        for body in bodies:
            if not isinstance(body, dict):
                raise NativeError("50002", "JSON syntax error", status=400)
            one = evolve(ctx, params=flat(body))
            try:
                order = act(one, body)
            except (Refusal, BadNumber, NativeError) as error:
                failed += 1
                native = self._native(error, one)
                data.append(_item(one, "", str(native.code), native.words))
            else:
                data.append(_item(one, order.order_id, "0", "Order placed" if act == self._place_item else ""))
        code = "0" if not failed else "1" if failed == len(data) else "2"
        return self.items(code, "All operations failed" if code == "1" else "", data, ctx.now_ms)

    def _native(self, error: Refusal | BadNumber | NativeError, ctx: Context) -> NativeError:
        if isinstance(error, Refusal):
            return self.refusal_error(error, ctx)
        return self.bad_number(error, ctx) if isinstance(error, BadNumber) else error

    def _place_item(self, ctx: Context, body: Mapping[str, object]) -> Order:
        given = ctx.params
        market = self.market_of(given.get("instId"))
        kind = given.get("ordType", "")
        side = {"buy": Side.BUY, "sell": Side.SELL}.get(given.get("side", ""))
        client_id = given.get("clOrdId", "")
        for name, wrong in (
            ("tdMode", given.get("tdMode") not in ("cross", "isolated")),
            ("side", side is None),
            ("ordType", kind != "market" and kind not in _TIFS),
            ("posSide", given.get("posSide", "net") != "net"),
            ("clOrdId", len(client_id) > 32 or bool(client_id and not (client_id.isascii() and client_id.isalnum()))),
        ):
            if wrong:
                raise NativeError("51000", f"Parameter {name} error")
        is_market = kind in ("market", "optimal_limit_ioc")
        profit, loss = _attached(body)
        return self.place(
            ctx,
            NewOrder(
                symbol=market.symbol,
                side=side or Side.BUY,
                type=OrderType.MARKET if is_market else OrderType.LIMIT,
                qty=_base(given.get("sz"), market) or Decimal(0),
                price=None if is_market else decimal_or_none(given.get("px")),
                tif=Tif.IOC if is_market else _TIFS[kind],
                reduce_only=given.get("reduceOnly") == "true",
                client_order_id=client_id or None,
                take_profit=profit,
                stop_loss=loss,
                tag=given.get("tag", ""),
            ),
        )

    def _cancel_item(self, ctx: Context, body: Mapping[str, object]) -> Order:
        market = self.market_of(ctx.params.get("instId"))
        order_id, client_id = _ids(ctx)
        return self.engine.cancel(ctx.now_ms, order_id=order_id, client_order_id=client_id, symbol=market.symbol)

    def _amend_item(self, ctx: Context, body: Mapping[str, object]) -> Order:
        market = self.market_of(ctx.params.get("instId"))
        order_id, client_id = _ids(ctx)
        return self.engine.amend(
            ctx.now_ms,
            order_id=order_id,
            client_order_id=client_id,
            symbol=market.symbol,
            qty=_base(ctx.params.get("newSz"), market),
            price=decimal_or_none(ctx.params.get("newPx")),
        )

    # ---- look-ups ---------------------------------------------------------------------------------------------------

    def _order(self, ctx: Context) -> Answer:
        market = self.market_of(ctx.params.get("instId"))
        order_id, client_id = _ids(ctx)
        order = self.engine.find(ctx.now_ms, order_id=order_id, client_order_id=client_id, symbol=market.symbol)
        if order is None or _is_algo(order) or _forgotten(order, ctx.now_ms):
            raise NativeError("51603", "Order does not exist")
        return self.ok([self._shown(order)])

    def _pending(self, ctx: Context) -> Answer:
        native = ctx.params.get("instId")
        symbol = self.market_of(native).symbol if native else None
        rows = reversed(self.engine.open_orders(ctx.now_ms, symbol=symbol))
        return self._page(ctx, (o for o in rows if not _is_algo(o)))

    def _history(self, ctx: Context) -> Answer:
        if ctx.params.get("instType") != "SWAP":
            raise NativeError("51000", "Parameter instType error", status=400)
        native = ctx.params.get("instId")
        symbol = self.market_of(native).symbol if native else None
        rows = self.engine.history(ctx.now_ms, symbol=symbol)
        return self._page(ctx, (o for o in rows if not _is_algo(o) and not _forgotten(o, ctx.now_ms)))

    def _page(self, ctx: Context, rows: Iterable[Order]) -> Answer:
        """Newest first: older than `after`, newer than `before` (order ids), at most 100."""
        given = ctx.params
        after, before = int_or_none(given.get("after")), int_or_none(given.get("before"))
        begin, end = int_or_none(given.get("begin")), int_or_none(given.get("end"))
        kept = (
            o
            for o in rows
            if (after is None or int(o.order_id) < after)
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
        native = given.get("instId")
        symbol = self.market_of(native).symbol if native else None
        after, before = int_or_none(given.get("after")), int_or_none(given.get("before"))
        begin, end = int_or_none(given.get("begin")), int_or_none(given.get("end"))
        kept = (
            f
            for f in self.engine.trades(ctx.now_ms, symbol=symbol, order_id=given.get("ordId") or None)
            if (after is None or int(f.trade_id) < after)
            and (before is None or int(f.trade_id) > before)
            and (begin is None or f.ts_ms >= begin)
            and (end is None or f.ts_ms <= end)
        )
        limit = page_size(given.get("limit"), 100, 100)
        return self.ok([fill_item(f, self.engine.markets[f.symbol]) for f in islice(kept, limit)])

    def _shown(self, order: Order) -> dict[str, object]:
        return order_item(order, self.engine.markets[order.symbol])


def _item(ctx: Context, order_id: str, code: str, words: str) -> dict[str, str]:
    return {
        "clOrdId": ctx.params.get("clOrdId", ""),
        "ordId": order_id or ctx.params.get("ordId", ""),
        "sCode": code,
        "sMsg": words,
        "tag": ctx.params.get("tag", ""),
        "ts": str(ctx.now_ms),
    }


def _base(raw: str | None, market: MarketSpec) -> Decimal | None:
    """A size in contracts as base coin."""
    size = decimal_or_none(raw)
    return None if size is None else size * market.contract_size


def _attached(body: Mapping[str, object]) -> tuple[Decimal | None, Decimal | None]:
    """Take profit and stop loss of `attachAlgoOrds`."""
    orders = body.get("attachAlgoOrds")
    if not isinstance(orders, list):
        return None, None
    levels = [flat(o) for o in orders if isinstance(o, dict)]
    profits = [decimal_or_none(o.get("tpTriggerPx")) for o in levels]
    losses = [decimal_or_none(o.get("slTriggerPx")) for o in levels]
    return next((p for p in profits if p), None), next((x for x in losses if x), None)


def _ids(ctx: Context) -> tuple[str | None, str | None]:
    """The order's two ids; the exchange's own wins."""
    order_id, client_id = ctx.params.get("ordId") or None, ctx.params.get("clOrdId") or None
    if order_id is None and client_id is None:
        raise NativeError("51003", "Either client order ID or order ID is required.")
    return order_id, client_id


def _is_algo(order: Order) -> bool:
    """Take profit and stop loss that were never set off are algo orders, which these endpoints do not tell."""
    return order.is_waiting_trigger


def _forgotten(order: Order, now_ms: int) -> bool:
    return not order.status.is_open and not order.filled and now_ms - order.updated_ms > UNFILLED_KEPT_MS
