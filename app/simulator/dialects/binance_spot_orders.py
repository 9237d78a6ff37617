"""Binance spot: placing, replacing, amending, cancelling and looking orders and fills up.

Trigger orders keep their id when they are set off, and `isWorking` tells whether they are. They lock nothing before: an
account that cannot pay for one is refused when it is placed, and again, without an order, when it is set off.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

from app.simulator.checks import check_order
from app.simulator.dialects.base import Call, Context, Dialect, NativeError, Route
from app.simulator.dialects.binance_params import ALL_VISIBLE_MS, client_id, ids, need, page, side_of
from app.simulator.dialects.binance_spot_bodies import (
    BID_DOWN,
    BID_UP,
    MAX_ALGO,
    cancelled_body,
    list_id_of,
    order_body,
    placed_body,
    trade_body,
)
from app.simulator.dialects.wire import Answer, decimal_or_none, int_or_none, json_answer
from app.simulator.model import NewOrder, Order, OrderType, Reason, Refusal, Side, Tif, Trigger
from app.simulator.spec import MarketSpec

TYPES: dict[str, tuple[OrderType, bool | None]] = {
    "LIMIT": (OrderType.LIMIT, None),
    "LIMIT_MAKER": (OrderType.LIMIT, None),
    "MARKET": (OrderType.MARKET, None),
    "STOP_LOSS": (OrderType.MARKET, False),
    "STOP_LOSS_LIMIT": (OrderType.LIMIT, False),
    "TAKE_PROFIT": (OrderType.MARKET, True),
    "TAKE_PROFIT_LIMIT": (OrderType.LIMIT, True),
}
"""Type → (what it is or becomes, whether it takes a profit; None: it does not wait for a price)."""
_TIFS = {"GTC": Tif.GTC, "IOC": Tif.IOC, "FOK": Tif.FOK}
WINDOW_MS = 86_400_000
"""Listings answer for at most a day between `startTime` and `endTime`."""


class OrdersApi:
    """The order endpoints over one dialect's engine. `new_client_id` makes one up for an order without."""

    def __init__(self, dialect: Dialect, new_client_id: Callable[[], str]) -> None:
        self._dialect = dialect
        self._engine = dialect.engine
        self._new_client_id = new_client_id

    def routes(self) -> list[Route]:
        """All private."""
        one = "/api/v3/order"
        return [
            Route(method="POST", path=one, call=Call.PLACE, handler=self._place),
            Route(method="POST", path=f"{one}/test", call=Call.OTHER, handler=self._test),
            Route(method="DELETE", path=one, call=Call.CANCEL, handler=self._cancel),
            Route(method="GET", path=one, call=Call.ORDER, handler=self._order),
            Route(method="POST", path=f"{one}/cancelReplace", call=Call.PLACE, handler=self._replace),
            Route(method="PUT", path=f"{one}/amend/keepPriority", call=Call.AMEND, handler=self._amend),
            Route(method="GET", path="/api/v3/openOrders", call=Call.OPEN_ORDERS, handler=self._open),
            Route(method="DELETE", path="/api/v3/openOrders", call=Call.CANCEL_ALL, handler=self._cancel_all),
            Route(method="GET", path="/api/v3/allOrders", call=Call.CLOSED_ORDERS, handler=self._all),
            Route(method="GET", path="/api/v3/myTrades", call=Call.FILLS, handler=self._trades),
        ]

    # ---- placing ----------------------------------------------------------------------------------------------------

    def _place(self, ctx: Context) -> Answer:
        new, kind = self.read(ctx)
        order = self._dialect.place(ctx, new)
        return json_answer(self._told(order, kind))

    def _told(self, order: Order, kind: str) -> dict[str, object]:
        return placed_body(order, self._engine.markets[order.symbol], kind, self._engine.fills_of(order))

    def _test(self, ctx: Context) -> Answer:
        new, _ = self.read(ctx)
        market = self._engine.markets[new.symbol]
        if new.cost is None:
            check_order(new, market, new.price if new.price is not None else self._engine.prices[new.symbol])
        if ctx.params.get("computeCommissionRates") != "true":
            return json_answer({})
        rates = {"maker": "0.00100000", "taker": "0.00100000"}
        discount = {"enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB", "discount": "0.75"}
        none = {"maker": "0.00000000", "taker": "0.00000000"}
        return json_answer({"standardCommissionForOrder": rates, "taxCommissionForOrder": none, "discount": discount})

    def read(self, ctx: Context) -> tuple[NewOrder, str]:
        """The order that a request asks for, and how to answer it."""
        p = ctx.params
        market = self._dialect.market_of(need(ctx, "symbol"))
        side, kind = side_of(ctx), need(ctx, "type")
        if kind not in TYPES:
            raise NativeError(-1116, "Invalid orderType.")
        becomes, profit = TYPES[kind]
        for name in ("icebergQty", "trailingDelta", "pegPriceType"):
            if p.get(name):
                raise NativeError(-1013, "This operation is not supported.")
        answer = p.get("newOrderRespType", "FULL" if kind in ("LIMIT", "MARKET") else "ACK")
        if answer not in ("ACK", "RESULT", "FULL"):
            raise NativeError(-1136, "Invalid newOrderRespType.")
        limit, tif, trigger, cost = None, Tif.GTC, None, None
        if becomes is OrderType.LIMIT:
            limit = self.price(p, "price", market)
            self._check_percent(limit, market)
        elif p.get("price"):
            raise NativeError(-1106, "Parameter 'price' sent when not required.")
        if kind == "LIMIT_MAKER":
            tif = Tif.POST_ONLY
        elif becomes is OrderType.LIMIT:
            tif = self.time_in_force(need(ctx, "timeInForce"))
        elif p.get("timeInForce"):
            raise NativeError(-1106, "Parameter 'timeInForce' sent when not required.")
        if kind == "MARKET" and p.get("quoteOrderQty"):
            cost = self._quote_quantity(p, market, side)
        qty = cost[1] if cost is not None else self.quantity(p, "quantity")
        if profit is not None:
            trigger = self.trigger(self.price(p, "stopPrice", market), side, profit=profit)
            waiting = [
                o for o in self._engine.open_orders(ALL_VISIBLE_MS, symbol=market.symbol) if o.is_waiting_trigger
            ]
            if len(waiting) >= MAX_ALGO:
                raise NativeError(-1013, "Filter failure: MAX_NUM_ALGO_ORDERS")
        new = NewOrder(
            symbol=market.symbol,
            side=side,
            type=becomes,
            qty=qty,
            price=limit,
            tif=tif,
            client_order_id=client_id(ctx, "newClientOrderId") or self._new_client_id(),
            trigger=trigger,
            cost=cost[0] if cost is not None and side is Side.BUY else None,
            tag=kind,
        )
        if trigger is not None:
            self.check_payable(new, market)
        return new, answer

    def trigger(self, level: Decimal, side: Side, *, profit: bool) -> Trigger:
        """A buy stop and a sell take-profit wait for the market to rise; the other two for it to fall."""
        return Trigger(price=level, rising=(side is Side.BUY) is not profit)

    def time_in_force(self, raw: str) -> Tif:
        """GTC, IOC or FOK; post-only is a type of its own."""
        if raw not in _TIFS:
            raise NativeError(-1115, "Invalid timeInForce.")
        return _TIFS[raw]

    def quantity(self, p: Mapping[str, str], name: str) -> Decimal:
        """A mandatory quantity above zero."""
        value = _number(p, name)
        if value <= 0:
            raise NativeError(-1013, "Invalid quantity.")
        return value

    def price(self, p: Mapping[str, str], name: str, market: MarketSpec) -> Decimal:
        """A mandatory price on the market's tick."""
        value = _number(p, name)
        if value <= 0 or value % market.tick or value > market.price * 1000:
            raise NativeError(-1013, "Filter failure: PRICE_FILTER")
        return value

    def _check_percent(self, price: Decimal, market: MarketSpec) -> None:
        average = self._engine.prices[market.symbol]
        if not average * BID_DOWN <= price <= average * BID_UP:
            raise NativeError(-1013, "Filter failure: PERCENT_PRICE_BY_SIDE")

    def _quote_quantity(self, p: Mapping[str, str], market: MarketSpec, side: Side) -> tuple[Decimal, Decimal]:
        """`quoteOrderQty`: (what to spend, 0) to buy; to sell (it, the quantity that brings no more than that)."""
        if p.get("quantity"):
            raise NativeError(-1106, "Parameter 'quantity' sent when not required.")
        wanted = _number(p, "quoteOrderQty")
        if wanted <= 0:
            raise NativeError(-1013, "Invalid quantity.")
        if side is Side.BUY:
            return wanted, Decimal(0)
        return wanted, wanted / self._engine.bid(market.symbol) // market.step * market.step

    def check_payable(self, new: NewOrder, market: MarketSpec) -> None:
        """Refuse a trigger order that the account could not pay for now."""
        coin = market.base if new.side is Side.SELL else market.settle
        level = new.price or (new.trigger.price if new.trigger is not None else Decimal(0))
        if (new.qty if new.side is Side.SELL else new.qty * level) > self._engine.ledger.free_of(coin):
            raise Refusal(Reason.INSUFFICIENT_BALANCE, f"Too little {coin} is free.", symbol=market.symbol)

    # ---- changing ---------------------------------------------------------------------------------------------------

    def _known(self, ctx: Context, market: MarketSpec, *, prefix: str = "") -> Order:
        """The open order that a request names; of both ids both must fit."""
        by_id, by_client = (
            ("orderId", "origClientOrderId") if not prefix else ("cancelOrderId", "cancelOrigClientOrderId")
        )
        order_id, client = ids(ctx, by_id, by_client)
        order = self._engine.find(ALL_VISIBLE_MS, order_id=order_id, client_order_id=client, symbol=market.symbol)
        if order is None or not order.status.is_open or (order_id and client and order.client_order_id != client):
            raise Refusal(Reason.UNKNOWN_ORDER, "There is no such open order.", symbol=market.symbol, order=order)
        return order

    def _cancel(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))
        order = self._known(ctx, market)
        only = ctx.params.get("cancelRestrictions")
        if only and (order.filled > 0) is not (only == "ONLY_PARTIALLY_FILLED"):
            raise NativeError(-2011, "Order was not canceled due to cancel restrictions.")
        self.cancel(order, ctx.now_ms)
        return json_answer(cancelled_body(order, market, client_id(ctx, "newClientOrderId") or self._new_client_id()))

    def cancel(self, order: Order, now_ms: int) -> None:
        """Cancel an order, and with it the others of its list."""
        for one in self.family(order):
            if one.status.is_open:
                self._engine.cancel(now_ms, order_id=one.order_id)

    def family(self, order: Order) -> list[Order]:
        """The orders of an order's list, or the order alone."""
        if order.oco is None:
            return [order]
        return [o for o in self._engine.all_orders() if o.oco == order.oco]

    def _cancel_all(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))
        gone = self._engine.cancel_all(ctx.now_ms, symbol=market.symbol)
        if not gone:
            raise Refusal(Reason.UNKNOWN_ORDER, "There is nothing to cancel.", symbol=market.symbol)
        return json_answer([cancelled_body(o, market, self._new_client_id()) for o in gone])

    def _replace(self, ctx: Context) -> Answer:
        """Cancel one order and place another; with STOP_ON_FAILURE the second only if the first went."""
        market, mode = self._dialect.market_of(need(ctx, "symbol")), need(ctx, "cancelReplaceMode")
        if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
            raise NativeError(
                -1102, "Mandatory parameter 'cancelReplaceMode' was not sent, was empty/null, or malformed."
            )
        body: dict[str, object] = {
            "cancelResult": "SUCCESS",
            "newOrderResult": "NOT_ATTEMPTED",
            "newOrderResponse": None,
        }
        new, kind = self.read(ctx)
        try:
            old = self._known(ctx, market, prefix="cancel")
            self.cancel(old, ctx.now_ms)
            cancel_id = client_id(ctx, "cancelNewClientOrderId") or self._new_client_id()
            body["cancelResponse"] = cancelled_body(old, market, cancel_id)
        except Refusal:
            body |= {"cancelResult": "FAILURE", "cancelResponse": {"code": -2011, "msg": "Unknown order sent."}}
        if body["cancelResult"] == "SUCCESS" or mode == "ALLOW_FAILURE":
            try:
                body["newOrderResponse"] = self._told(self._dialect.place(ctx, new), kind)
                body["newOrderResult"] = "SUCCESS"
            except Refusal as refusal:
                error = self._dialect.refusal_error(refusal, ctx)
                body |= {"newOrderResult": "FAILURE", "newOrderResponse": {"code": error.code, "msg": error.words}}
        results = {body["cancelResult"], body["newOrderResult"]}
        if results == {"SUCCESS"}:
            return json_answer(body)
        if "SUCCESS" in results:
            raise NativeError(-2021, "Order cancel-replace partially failed.", status=409, data=body)
        raise NativeError(-2022, "Order cancel-replace failed.", status=400, data=body)

    def _amend(self, ctx: Context) -> Answer:
        """Less of the same order, at its place in the queue; its client order id changes unless it is sent again."""
        market = self._dialect.market_of(need(ctx, "symbol"))
        order, qty = self._known(ctx, market), self.quantity(ctx.params, "newQty")
        if qty > order.qty:
            raise NativeError(-2038, "Order amend (quantity increase) is not supported.")
        if qty == order.qty or qty <= order.filled:
            raise NativeError(-2038, "The requested action would change no state; rejecting.")
        name = client_id(ctx, "newClientOrderId") or self._new_client_id()
        before = order.client_order_id
        if name != before and any(o.status.is_open for o in self._engine.with_client_id(name)):
            raise Refusal(Reason.DUPLICATE_CLIENT_ID, "The new id is in use.", order=order)
        self._engine.amend(ctx.now_ms, order_id=order.order_id, qty=qty)
        if name != before:
            self._engine.rename(order, name)
        amended = {
            "symbol": market.native,
            "orderId": int(order.order_id),
            "orderListId": list_id_of(order),
            "origClientOrderId": before,
            "clientOrderId": name,
        }
        rest = {k: v for k, v in order_body(order, market).items() if k in _AMENDED}
        rest |= {"qty": rest.pop("origQty"), "preventedQty": "0.00000000", "quoteOrderQty": "0.00000000"}
        rest |= {"cumulativeQuoteQty": rest.pop("cummulativeQuoteQty")}
        return json_answer(
            {
                "transactTime": ctx.now_ms,
                "executionId": self._engine.venue.next_number(),
                "amendedOrder": amended | rest,
            }
        )

    # ---- looking up -------------------------------------------------------------------------------------------------

    def _order(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))
        order_id, client = ids(ctx, "orderId", "origClientOrderId")
        order = self._engine.find(ctx.now_ms, order_id=order_id, client_order_id=client, symbol=market.symbol)
        if order is None:
            raise Refusal(Reason.UNKNOWN_ORDER, "There is no such order.", symbol=market.symbol)
        return json_answer(order_body(order, market))

    def _open(self, ctx: Context) -> Answer:
        symbol = self._dialect.market_of(ctx.params["symbol"]).symbol if ctx.params.get("symbol") else None
        found = self._engine.open_orders(ctx.now_ms, symbol=symbol)
        return json_answer([order_body(o, self._engine.markets[o.symbol]) for o in found])

    def _all(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))
        check_window(ctx)
        first = int_or_none(ctx.params.get("orderId"))
        found = self._engine.history(ctx.now_ms, symbol=market.symbol, closed_only=False)
        kept = ((o.created_ms, o) for o in found if first is None or int(o.order_id) >= first)
        return json_answer([order_body(o, market) for o in page(ctx, kept, from_start=first is not None)])

    def _trades(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))
        check_window(ctx)
        first = int_or_none(ctx.params.get("fromId"))
        found = self._engine.trades(ctx.now_ms, symbol=market.symbol, order_id=ctx.params.get("orderId") or None)
        kept = ((f.ts_ms, f) for f in found if first is None or int(f.trade_id) >= first)
        return json_answer([trade_body(f, market) for f in page(ctx, kept, from_start=first is not None)])


_AMENDED = frozenset(
    {
        "price",
        "origQty",
        "executedQty",
        "cummulativeQuoteQty",
        "status",
        "timeInForce",
        "type",
        "side",
        "workingTime",
        "selfTradePreventionMode",
    }
)


def check_window(ctx: Context) -> None:
    """-1127: more than a day between the two ends."""
    start, end = int_or_none(ctx.params.get("startTime")), int_or_none(ctx.params.get("endTime"))
    if start is not None and end is not None and end - start > WINDOW_MS:
        raise NativeError(-1127, "More than 24 hours between startTime and endTime.")


def _number(p: Mapping[str, str], name: str) -> Decimal:
    given = p.get(name)
    if not given:
        raise NativeError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    if not given.replace(".", "", 1).isdecimal() or len(given) > 40:
        raise NativeError(
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is '^([0-9]{{1,20}})(\\.[0-9]{{1,20}})?$'.",
        )
    value = decimal_or_none(given)
    if value is None or value != round(value, 8):
        raise NativeError(-1111, f"Parameter '{name}' has too much precision.")
    return value
