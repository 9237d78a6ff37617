"""Binance USDⓈ-M futures (ccxt `binanceusdm`): gateway, native codes and the ordinary order endpoints.

Source of the rules: developers.binance.com, "USDⓈ-M Futures": General Info (signature, timing), Error Codes, and the
Trade endpoints. What a client must reckon with here:

- The expiry (`timestamp` + `recvWindow`) is checked twice: at the gateway on arrival (-1021) and by the matching engine
  on execution (-5028; its COIN-M sibling -4188 belongs to another exchange and never appears here).
- A client order id is unique among OPEN orders only; the id of a filled order may be used again.
- A post-only (GTX) order that would take and an FOK that would not fill are refused and leave no order behind, while an
  IOC that does not fill is an order with status EXPIRED.
- Fills (`userTrades`) do not carry the client order id.

The other endpoints: `binance_public`, `binance_account`, `binance_algo` (conditional orders).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

from app.simulator.calls import Call
from app.simulator.checks import check_order
from app.simulator.dialects.base import Context, Credentials, Dialect, NativeError, Request, Route
from app.simulator.dialects.binance_account import TIERS, AccountApi
from app.simulator.dialects.binance_algo import AlgoApi
from app.simulator.dialects.binance_batch import BatchApi
from app.simulator.dialects.binance_bodies import market_max, order_body, trade_body
from app.simulator.dialects.binance_gate import LIMITS, TROUBLES, check_signed, expiry_ms, limit_headers
from app.simulator.dialects.binance_params import (
    ALL_VISIBLE_MS,
    check_window,
    client_id,
    flag,
    ids,
    is_forgotten,
    is_regular,
    limit_price,
    need,
    page,
    position_side,
    price,
    quantity,
    side_of,
    time_in_force,
)
from app.simulator.dialects.binance_public import PublicApi
from app.simulator.dialects.wire import Answer, int_or_none, json_answer
from app.simulator.limits import Verdict
from app.simulator.model import NewOrder, Order, OrderType, Reason, Refusal, Side, Tif
from app.simulator.spec import DeadManRules, EngineRules, MarketSpec, level_of

CONDITIONAL_TYPES = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
_UNRECORDED = "The order will not be recorded in the order history"


def _market(base: str, reference: str, tick: str, step: str, max_qty: str) -> MarketSpec:
    return MarketSpec(
        symbol=f"{base}/USDT:USDT",
        native=f"{base}USDT",
        base=base,
        settle="USDT",
        price=Decimal(reference),
        tick=Decimal(tick),
        step=Decimal(step),
        min_qty=Decimal(step),
        max_qty=Decimal(max_qty),
        min_notional=Decimal(5),
        level_qty=level_of(reference, step),
        tiers=TIERS,
        max_leverage=Decimal(125),
    )


class Binance(Dialect):
    """Binance USDⓈ-M futures in single-asset mode; one-way and cross margin until set otherwise."""

    name = "binance"
    ccxt_id = "binanceusdm"
    engine_enforces_expiry = True
    default_credentials = Credentials(api_key="sim-binance-key", secret="sim-binance-secret")
    refusals: ClassVar = {
        Reason.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
        Reason.BAD_QTY: (-4003, "Quantity less than or equal to zero."),
        Reason.QTY_OFF_STEP: (-4023, "Qty not increased by step size."),
        Reason.QTY_TOO_SMALL: (-4004, "Quantity less than min quantity."),
        Reason.QTY_TOO_LARGE: (-4005, "Quantity greater than max quantity."),
        Reason.BAD_PRICE: (-4001, "Price less than 0."),
        Reason.PRICE_OFF_TICK: (-4014, "Price not increased by tick size."),
        Reason.NOTIONAL_TOO_SMALL: (
            -4164,
            "Order's notional must be no smaller than 5 (unless you choose reduce only).",
        ),
        Reason.BAD_TAKE_PROFIT: (-4142, "REJECT: take profit or stop order will be triggered immediately."),
        Reason.BAD_STOP_LOSS: (-4142, "REJECT: take profit or stop order will be triggered immediately."),
        Reason.WOULD_TRIGGER: (-2021, "Order would immediately trigger."),
        Reason.DUPLICATE_CLIENT_ID: (-4116, "ClientOrderId is duplicated."),
        Reason.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
        Reason.ORDER_CLOSED: (-2011, "Unknown order sent."),
        Reason.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
        Reason.INSUFFICIENT_MARGIN: (-2019, "Margin is insufficient."),
        Reason.POST_ONLY_WOULD_CROSS: (
            -5022,
            f"Due to the order could not be executed as maker, the Post Only order will be rejected. {_UNRECORDED}",
        ),
        Reason.WOULD_NOT_FILL: (
            -5021,
            f"Due to the order could not be filled immediately, the FOK order has been rejected. {_UNRECORDED}",
        ),
        Reason.NOTHING_TO_AMEND: (-5027, "No need to modify the order."),
        Reason.BAD_LEVERAGE: (-4028, "Invalid leverage"),
        Reason.EXPIRED: (-5028, "Timestamp for this request is outside of the ME recvWindow."),
        Reason.ENGINE_FULL: (-2025, "Reach max open order limit."),
        Reason.TOO_MANY_ORDERS: (-2025, "Reach max open order limit."),
        Reason.SUSPENDED: (-4140, "Invalid symbol status for opening position."),
        Reason.INSUFFICIENT_BALANCE: (-2018, "Balance is insufficient."),
        Reason.REDUCE_ONLY_ON_SPOT: (-1106, "Parameter 'reduceOnly' sent when not required."),
        Reason.BAD_TRIGGER: (-4014, "Price not increased by tick size."),
        Reason.WRONG_POSITION_SIDE: (-4061, "Order's position side does not match user's setting."),
        Reason.MODE_IN_USE: (-4068, "Position side cannot be changed if there exists position."),
        Reason.MARGIN_MODE_IN_USE: (-4048, "Margin type cannot be changed if there exists position."),
        Reason.NO_POSITION: (-4509, "Time in Force (TIF) GTE can only be used with open positions."),
        Reason.UNSUPPORTED: (-1020, "This operation is not supported."),
    }

    troubles: ClassVar = TROUBLES
    limits = LIMITS
    tells_usage = True

    @classmethod
    def markets(cls) -> Sequence[MarketSpec]:
        """BTC, ETH, SOL, XRP and ADA perpetuals; the least notional is 5 everywhere."""
        return (
            _market("BTC", "27000", "0.1", "0.001", "1000"),
            _market("ETH", "1800", "0.01", "0.001", "10000"),
            _market("SOL", "30", "0.01", "0.01", "1000000"),
            _market("XRP", "0.5", "0.0001", "0.1", "10000000"),
            _market("ADA", "0.25", "0.0001", "1", "20000000"),
        )

    @classmethod
    def rules(cls) -> EngineRules:
        """Numeric ids; client ids unique among open orders; crossing post-only orders refused."""
        return EngineRules(
            settle="USDT",
            client_id_scope="open",
            refuse_crossing_post_only=True,
            refuse_unfillable_fok=True,
            order_id=lambda n: str(8_389_765_000_000 + n),
            trade_id=lambda n: str(698_759_000 + n),
            leverage=Decimal(20),
            max_open_orders=200,
            dead_man=DeadManRules(per_symbol=True, triggers=False),
        )

    def routes(self) -> Sequence[Route]:
        """The /fapi endpoints that a trading client needs, and the wallet API's system status."""
        order = "/fapi/v1/order"
        return (
            Route(method="POST", path=order, call=Call.PLACE, handler=self._place),
            Route(method="PUT", path=order, call=Call.AMEND, handler=self._amend),
            Route(method="DELETE", path=order, call=Call.CANCEL, handler=self._cancel),
            Route(method="GET", path=order, call=Call.ORDER, handler=self._order),
            Route(method="GET", path="/fapi/v1/openOrder", call=Call.ORDER, handler=self._open_order),
            Route(method="GET", path="/fapi/v1/openOrders", call=Call.OPEN_ORDERS, handler=self._open_orders),
            Route(method="DELETE", path="/fapi/v1/allOpenOrders", call=Call.CANCEL_ALL, handler=self._cancel_all),
            Route(method="GET", path="/fapi/v1/allOrders", call=Call.CLOSED_ORDERS, handler=self._all_orders),
            Route(method="GET", path="/fapi/v1/userTrades", call=Call.FILLS, handler=self._trades),
            *PublicApi(self).routes(),
            *AccountApi(self).routes(),
            *AlgoApi(self, self._new_client_id).routes(),
            *BatchApi(self, self._place, self._amend, self._cancel).routes(),
            Route(method="POST", path=f"{order}/test", call=Call.OTHER, handler=self._test),
        )

    def key_of(self, request: Request) -> str | None:
        """X-MBX-APIKEY."""
        return request.headers.get("x-mbx-apikey")

    def limit_headers(self, verdict: Verdict, now_ms: int) -> Mapping[str, str]:
        """X-MBX-USED-WEIGHT-1M, X-MBX-ORDER-COUNT-10S, X-MBX-ORDER-COUNT-1M."""
        return limit_headers(verdict)

    # ---- gateway ----------------------------------------------------------------------------------------------------

    def authenticate(self, request: Request, now_ms: int) -> None:
        """Key, timing, signature."""
        check_signed(request, self.credentials, now_ms)

    def expiry_ms(self, request: Request) -> int | None:
        """timestamp + recvWindow."""
        return expiry_ms(request)

    def error_answer(self, error: NativeError, request: Request, now_ms: int) -> Answer:
        """{"code", "msg"} with HTTP 400 unless the error says otherwise."""
        return json_answer({"code": error.code, "msg": error.words}, status=error.status or 400)

    def unknown_path(self, request: Request) -> Answer:
        """The load balancer's 404, which is no JSON."""
        return Answer(body=b"<html><body><h2>404 Not found</h2></body></html>", status=404, content_type="text/html")

    def client_order_id_of(self, request: Request) -> str | None:
        """newClientOrderId, origClientOrderId (look-ups, cancels) or clientAlgoId (conditional orders)."""
        p = request.params
        return p.get("newClientOrderId") or p.get("origClientOrderId") or p.get("clientAlgoId")

    def refusal_error(self, refusal: Refusal, ctx: Context) -> NativeError:
        """-2013 instead of -2011 where an order is asked for or changed rather than cancelled."""
        if refusal.reason in (Reason.UNKNOWN_ORDER, Reason.ORDER_CLOSED) and ctx.request.method != "DELETE":
            return NativeError(-2013, "Order does not exist.")
        orders_open = any(self.engine.open_orders(ALL_VISIBLE_MS))
        if refusal.reason is Reason.MODE_IN_USE and orders_open:
            return NativeError(-4067, "Position side cannot be changed if there exists open orders.")
        if refusal.reason is Reason.MARGIN_MODE_IN_USE and orders_open:
            return NativeError(-4047, "Margin type cannot be changed if there exists open orders.")
        if refusal.reason is Reason.BAD_LEVERAGE:
            return NativeError(-4028, f"Leverage {ctx.params.get('leverage')} is not valid")
        return super().refusal_error(refusal, ctx)

    # ---- orders -----------------------------------------------------------------------------------------------------

    def _place(self, ctx: Context) -> Answer:
        new, answer_kind = self._read(ctx)
        self._refuse_unfillable_fok(ctx, new)
        order = self.place(ctx, new)
        return json_answer(order_body(order, self.engine.markets[order.symbol], result=True, ack=answer_kind == "ACK"))

    def _test(self, ctx: Context) -> Answer:
        """Everything but the order, as far as it does not depend on the account."""
        new, _ = self._read(ctx)
        market = self.engine.markets[new.symbol]
        check_order(new, market, new.price if new.price is not None else self.engine.prices[new.symbol])
        return json_answer({})

    def _read(self, ctx: Context) -> tuple[NewOrder, str]:
        """The order that a request asks for, and how to answer it."""
        market = self.market_of(need(ctx, "symbol"))
        side, kind = side_of(ctx), need(ctx, "type")
        if kind in CONDITIONAL_TYPES:
            raise NativeError(
                -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
            )
        if kind not in ("LIMIT", "MARKET"):
            raise NativeError(-1116, "Invalid orderType.")
        answer_kind = ctx.params.get("newOrderRespType", "ACK")
        if answer_kind not in ("ACK", "RESULT"):
            raise NativeError(-1136, "Invalid newOrderRespType.")
        qty, limit, tif = quantity(ctx, market), None, Tif.GTC
        if kind == "LIMIT":
            tif = time_in_force(need(ctx, "timeInForce"))
            limit = limit_price(ctx, market, side, self.engine.prices[market.symbol])
        else:
            for name in ("price", "timeInForce"):
                if ctx.params.get(name):
                    raise NativeError(-1106, f"Parameter '{name}' sent when not required.")
            if qty > market_max(market):
                raise Refusal(Reason.QTY_TOO_LARGE, "The market order is too large.", symbol=market.symbol)
        if self.engine.is_hedged(market.symbol) and ctx.params.get("reduceOnly"):
            raise NativeError(-1106, "Parameter 'reduceonly' sent when not required.")
        new = NewOrder(
            symbol=market.symbol,
            side=side,
            type=OrderType(kind.lower()),
            qty=qty,
            price=limit,
            tif=tif,
            reduce_only=flag(ctx, "reduceOnly"),
            position_side=position_side(ctx),
            client_order_id=client_id(ctx, "newClientOrderId") or self._new_client_id(),
        )
        return new, answer_kind

    def _new_client_id(self) -> str:
        """The exchange makes one up for an order that comes without."""
        return f"web_{self.engine.venue.next_number():020d}"

    def _refuse_unfillable_fok(self, ctx: Context, new: NewOrder) -> None:
        """The engine would keep an FOK that does not fill, as an expired order; this exchange keeps no trace of it."""
        if new.tif is not Tif.FOK or new.price is None:
            return
        expiry = self.expiry_ms(ctx.request)
        if expiry is not None and ctx.now_ms > expiry:
            return  # the engine says so
        touch = self.engine.ask(new.symbol) if new.side is Side.BUY else self.engine.bid(new.symbol)
        if (new.price - touch) * new.side.sign < 0:
            raise Refusal(Reason.WOULD_NOT_FILL, "The order would not fill.", symbol=new.symbol)

    def _refuse_expired(self, ctx: Context) -> None:
        """The engine's look at the expiry when amending and cancelling; for placing `Engine.place` does it."""
        expiry = self.expiry_ms(ctx.request)
        if expiry is not None and ctx.now_ms > expiry:
            raise Refusal(Reason.EXPIRED, f"The request expired {ctx.now_ms - expiry} ms ago.")

    def _amend(self, ctx: Context) -> Answer:
        """A limit order's quantity and price; both must be sent. Two changes cancel the order, as documented: to a
        quantity that has filled already, and to a price at which a post-only order would take."""
        market = self.market_of(need(ctx, "symbol"))
        order_id, client = ids(ctx, "orderId", "origClientOrderId")
        qty, limit = quantity(ctx, market), price(ctx, market)
        self._refuse_expired(ctx)
        order = self.engine.find(ctx.now_ms, order_id=order_id, client_order_id=client, symbol=market.symbol)
        if order is not None and order.status.is_open and (order.qty, order.price) == (qty, limit):
            raise Refusal(Reason.NOTHING_TO_AMEND, "The amendment changes nothing.", order=order)
        if order is not None and order.status.is_open and self._cancels(order, qty, limit):
            order = self.engine.cancel(ctx.now_ms, order_id=order.order_id)
            return json_answer(order_body(order, market, result=True))
        order = self.engine.amend(
            ctx.now_ms, order_id=order_id, client_order_id=client, symbol=market.symbol, qty=qty, price=limit
        )
        return json_answer(order_body(order, market, result=True))

    def _cancels(self, order: Order, qty: Decimal, limit: Decimal) -> bool:
        touch = self.engine.ask(order.symbol) if order.side is Side.BUY else self.engine.bid(order.symbol)
        takes = order.tif is Tif.POST_ONLY and (limit - touch) * order.side.sign >= 0
        return takes or 0 < qty <= order.filled

    def _cancel(self, ctx: Context) -> Answer:
        market = self.market_of(need(ctx, "symbol"))
        order_id, client = ids(ctx, "orderId", "origClientOrderId")
        self._refuse_expired(ctx)
        known = self.engine.find(ALL_VISIBLE_MS, order_id=order_id, client_order_id=client, symbol=market.symbol)
        if known is not None and not is_regular(known):
            raise Refusal(Reason.UNKNOWN_ORDER, "Conditional orders have an endpoint of their own.", order=known)
        order = self.engine.cancel(ctx.now_ms, order_id=order_id, client_order_id=client, symbol=market.symbol)
        return json_answer(order_body(order, market, result=True))

    def _cancel_all(self, ctx: Context) -> Answer:
        market = self.market_of(need(ctx, "symbol"))
        self._refuse_expired(ctx)
        for order in self.engine.open_orders(ALL_VISIBLE_MS, symbol=market.symbol):
            if is_regular(order):
                self.engine.cancel(ctx.now_ms, order_id=order.order_id)
        return json_answer({"code": 200, "msg": "The operation of cancel all open order is done."})

    def _find(self, ctx: Context, market: MarketSpec, *, open_only: bool = False) -> Order:
        order_id, client = ids(ctx, "orderId", "origClientOrderId")
        order = self.engine.find(ctx.now_ms, order_id=order_id, client_order_id=client, symbol=market.symbol)
        gone = order is None or not is_regular(order) or is_forgotten(order, ctx.now_ms)
        if order is None or gone or (open_only and not order.status.is_open):
            raise Refusal(Reason.UNKNOWN_ORDER, "There is no such order.", symbol=market.symbol)
        return order

    def _order(self, ctx: Context) -> Answer:
        market = self.market_of(need(ctx, "symbol"))
        return json_answer(order_body(self._find(ctx, market), market))

    def _open_order(self, ctx: Context) -> Answer:
        market = self.market_of(need(ctx, "symbol"))
        return json_answer(order_body(self._find(ctx, market, open_only=True), market))

    def _open_orders(self, ctx: Context) -> Answer:
        symbol = self.market_of(ctx.params["symbol"]).symbol if ctx.params.get("symbol") else None
        found = [o for o in self.engine.open_orders(ctx.now_ms, symbol=symbol) if is_regular(o)]
        return json_answer([order_body(o, self.engine.markets[o.symbol]) for o in found])

    def _all_orders(self, ctx: Context) -> Answer:
        market = self.market_of(need(ctx, "symbol"))
        check_window(ctx)
        found = self.engine.history(ctx.now_ms, symbol=market.symbol, closed_only=False)
        first = int_or_none(ctx.params.get("orderId"))
        kept = (
            (o.created_ms, o)
            for o in found
            if is_regular(o) and not is_forgotten(o, ctx.now_ms) and (first is None or int(o.order_id) >= first)
        )
        return json_answer([order_body(o, market) for o in page(ctx, kept, from_start=first is not None)])

    def _trades(self, ctx: Context) -> Answer:
        market = self.market_of(need(ctx, "symbol"))
        check_window(ctx)
        found = self.engine.trades(ctx.now_ms, symbol=market.symbol, order_id=ctx.params.get("orderId") or None)
        first = int_or_none(ctx.params.get("fromId"))
        kept = ((f.ts_ms, f) for f in found if first is None or int(f.trade_id) >= first)
        return json_answer([trade_body(f, market) for f in page(ctx, kept, from_start=first is not None)])
