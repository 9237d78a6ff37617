"""Bybit V5, linear perpetuals, one-way mode, a unified account.

A create answers the ids and nothing else. `realtime` lists what is open and, asked by id, what was closed recently;
`history` lists what is closed. Source: https://bybit-exchange.github.io/docs/v5/order/create-order and its neighbours.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice

from app.simulator.dialects.base import (
    Call,
    Context,
    NativeError,
    Route,
)
from app.simulator.dialects.bybit_account import BybitAccount
from app.simulator.dialects.bybit_shapes import (
    execution_item,
    order_item,
)
from app.simulator.dialects.wire import (
    Answer,
    decimal_or_none,
    int_or_none,
    page_size,
)
from app.simulator.model import (
    Attach,
    NewOrder,
    Order,
    OrderType,
    Side,
    Tif,
    Trigger,
    TriggerBy,
)

RECENT_CLOSED = 500
"""/v5/order/realtime finds this many recently closed orders by id; older ones are only in the history."""
_BY = {"MarkPrice": TriggerBy.MARK}
"""LastPrice is the default; the index price is the last price here."""
_TIFS = {"GTC": Tif.GTC, "IOC": Tif.IOC, "FOK": Tif.FOK, "PostOnly": Tif.POST_ONLY}


class Bybit(BybitAccount):
    """The dialect: routes and orders."""

    def routes(self) -> Sequence[Route]:
        """The V5 endpoints a trading client uses."""
        public = (
            ("/v5/market/instruments-info", Call.MARKETS, self._instruments),
            ("/v5/market/time", Call.TIME, self._time),
            ("/v5/system/status", Call.STATUS, self._status),
            ("/v5/market/tickers", Call.TICKER, self._tickers),
            ("/v5/market/orderbook", Call.BOOK, self._orderbook),
        )
        private = (
            ("GET", "/v5/user/query-api", Call.ACCOUNT, self._query_api),
            ("GET", "/v5/account/info", Call.ACCOUNT, self._account_info),
            ("GET", "/v5/account/wallet-balance", Call.BALANCE, self._wallet),
            ("POST", "/v5/order/create", Call.PLACE, self._create),
            ("POST", "/v5/order/amend", Call.AMEND, self._amend),
            ("POST", "/v5/order/cancel", Call.CANCEL, self._cancel),
            ("POST", "/v5/order/cancel-all", Call.CANCEL_ALL, self._cancel_all),
            ("GET", "/v5/order/realtime", Call.OPEN_ORDERS, self._realtime),
            ("GET", "/v5/order/history", Call.CLOSED_ORDERS, self._history),
            ("GET", "/v5/execution/list", Call.FILLS, self._executions),
            ("GET", "/v5/position/list", Call.POSITIONS, self._positions),
            ("POST", "/v5/position/set-leverage", Call.LEVERAGE, self._set_leverage),
            ("POST", "/v5/position/switch-mode", Call.ACCOUNT, self._switch_mode),
        )
        found = [Route(method="GET", path=p, call=c, handler=h, private=False) for p, c, h in public]
        return [*found, *(Route(method=m, path=p, call=c, handler=h) for m, p, c, h in private)]

    # ---- orders -----------------------------------------------------------------------------------------------------

    def _create(self, ctx: Context) -> Answer:
        self.linear(ctx)
        given = ctx.params
        market = self.market_of(given.get("symbol"))
        side = {"Buy": Side.BUY, "Sell": Side.SELL}.get(given.get("side", ""))
        kind = {"Limit": OrderType.LIMIT, "Market": OrderType.MARKET}.get(given.get("orderType", ""))
        tif = _TIFS.get(given.get("timeInForce") or "GTC")
        if side is None or kind is None or tif is None or len(given.get("orderLinkId", "")) > 36:
            wrong = "side" if side is None else "orderType" if kind is None else "timeInForce" if tif is None else ""
            raise NativeError(10001, f"params error: {wrong or 'OrderLinkId'} invalid")
        if given.get("positionIdx", "0") != "0":
            raise NativeError(10001, "position idx not match position mode")
        trigger_price = decimal_or_none(given.get("triggerPrice"))
        trigger = None
        if trigger_price is not None:
            by = _BY.get(given.get("triggerBy", ""), TriggerBy.LAST)
            trigger = Trigger(price=trigger_price, rising=given.get("triggerDirection") == "1", by=by)
        order = self.place(
            ctx,
            NewOrder(
                symbol=market.symbol,
                side=side,
                type=kind,
                qty=decimal_or_none(given.get("qty")) or Decimal(0),
                price=decimal_or_none(given.get("price")) if kind is OrderType.LIMIT else None,
                tif=tif if kind is OrderType.LIMIT else Tif.IOC,
                reduce_only=given.get("reduceOnly") == "true",
                client_order_id=given.get("orderLinkId") or None,
                take_profit=decimal_or_none(given.get("takeProfit")) or None,
                stop_loss=decimal_or_none(given.get("stopLoss")) or None,
                attach=_attach(given),
                trigger=trigger,
            ),
        )
        return self.ok(ctx, _ids(order))

    def _amend(self, ctx: Context) -> Answer:
        given = ctx.params
        order = self.engine.amend(
            ctx.now_ms,
            order_id=given.get("orderId"),
            client_order_id=given.get("orderLinkId"),
            symbol=self.market_of(given.get("symbol")).symbol,
            qty=decimal_or_none(given.get("qty")),
            price=decimal_or_none(given.get("price")),
            take_profit=decimal_or_none(given.get("takeProfit")) or None,
            stop_loss=decimal_or_none(given.get("stopLoss")) or None,
        )
        return self.ok(ctx, _ids(order))

    def _cancel(self, ctx: Context) -> Answer:
        self.linear(ctx)
        market = self.market_of(ctx.params.get("symbol"))
        order_id, link_id = ctx.params.get("orderId"), ctx.params.get("orderLinkId")
        if not order_id and not link_id:
            raise NativeError(10001, "params error: OrderId or orderLinkId is required")
        order = self.engine.cancel(ctx.now_ms, order_id=order_id, client_order_id=link_id, symbol=market.symbol)
        return self.ok(ctx, _ids(order))

    def _cancel_all(self, ctx: Context) -> Answer:
        self.linear(ctx)
        symbol = self.scope(ctx)
        gone = self.engine.cancel_all(ctx.now_ms, symbol=symbol)
        return self.ok(ctx, {"list": [_ids(o) for o in gone], "success": "1"})

    def _realtime(self, ctx: Context) -> Answer:
        """Open orders; by id also the recently closed ones."""
        self.linear(ctx)
        symbol = self.scope(ctx)
        order_id, link_id = ctx.params.get("orderId"), ctx.params.get("orderLinkId")
        rows: Iterator[Order]
        if order_id or link_id:
            closed = islice(self.engine.history(ctx.now_ms), RECENT_CLOSED)
            found = self.engine.find(ctx.now_ms, order_id=order_id, client_order_id=link_id, symbol=symbol)
            recent = found is not None and (found.status.is_open or any(o is found for o in closed))
            rows = iter([found] if found is not None and recent else [])
        elif ctx.params.get("openOnly") == "1":
            rows = islice(self.engine.history(ctx.now_ms, symbol=symbol), RECENT_CLOSED)
        else:
            rows = reversed(self.engine.open_orders(ctx.now_ms, symbol=symbol))
        return self._page_of_orders(ctx, rows)

    def _history(self, ctx: Context) -> Answer:
        """Closed orders, newest first."""
        self.linear(ctx)
        native = ctx.params.get("symbol")
        symbol = self.market_of(native).symbol if native else None
        rows = self.engine.history(ctx.now_ms, symbol=symbol)
        order_id, link_id = ctx.params.get("orderId"), ctx.params.get("orderLinkId")
        if order_id:
            found = self.engine.find(ctx.now_ms, order_id=order_id, symbol=symbol)
            rows = iter([found] if found is not None else [])
        elif link_id:
            rows = reversed([o for o in self.engine.with_client_id(link_id) if o.visible_from_ms <= ctx.now_ms])
        start, end = int_or_none(ctx.params.get("startTime")), int_or_none(ctx.params.get("endTime"))
        rows = (
            o
            for o in rows
            if not o.status.is_open
            and (start is None or o.created_ms >= start)
            and (end is None or o.created_ms <= end)
        )
        return self._page_of_orders(ctx, rows)

    def _page_of_orders(self, ctx: Context, rows: Iterator[Order]) -> Answer:
        """Newest first, after the cursor (the last order's number), up to the limit (20, at most 50)."""
        limit = page_size(ctx.params.get("limit"), 20, 50)
        after = int_or_none(ctx.params.get("cursor"))
        page = list(islice((o for o in rows if after is None or o.seq < after), limit))
        items = [order_item(o, self.engine.markets[o.symbol]) for o in page]
        cursor = str(page[-1].seq) if len(page) == limit else ""
        return self.ok(ctx, {"category": "linear", "list": items, "nextPageCursor": cursor})

    def _executions(self, ctx: Context) -> Answer:
        self.linear(ctx)
        native = ctx.params.get("symbol")
        symbol = self.market_of(native).symbol if native else None
        link_id, limit = ctx.params.get("orderLinkId"), page_size(ctx.params.get("limit"), 50, 100)
        start, end = int_or_none(ctx.params.get("startTime")), int_or_none(ctx.params.get("endTime"))
        after = int_or_none(ctx.params.get("cursor"))
        rows = (
            f
            for f in self.engine.trades(ctx.now_ms, symbol=symbol, order_id=ctx.params.get("orderId") or None)
            if (not link_id or f.order.client_order_id == link_id)
            and (start is None or f.ts_ms >= start)
            and (end is None or f.ts_ms <= end)
            and (after is None or f.seq < after)
        )
        page = list(islice(rows, limit))
        items = [execution_item(f, self.engine.markets[f.symbol], self.engine) for f in page]
        cursor = str(page[-1].seq) if len(page) == limit else ""
        return self.ok(ctx, {"category": "linear", "list": items, "nextPageCursor": cursor})


def _attach(given: Mapping[str, str]) -> Attach:
    """How the attached levels act: for the whole position unless tpslMode says Partial, which takes limit prices."""
    partial = given.get("tpslMode") == "Partial"
    return Attach(
        take_profit_limit=decimal_or_none(given.get("tpLimitPrice")) if partial else None,
        stop_loss_limit=decimal_or_none(given.get("slLimitPrice")) if partial else None,
        take_profit_by=_BY.get(given.get("tpTriggerBy", ""), TriggerBy.LAST),
        stop_loss_by=_BY.get(given.get("slTriggerBy", ""), TriggerBy.LAST),
        whole_position=not partial,
    )


def _ids(order: Order) -> dict[str, str]:
    return {"orderId": order.order_id, "orderLinkId": order.client_order_id or ""}
