"""Binance USDⓈ-M futures: conditional orders (stop, take profit), which have endpoints and ids of their own.

Since December 2025 the ordinary endpoint refuses these types (-4120) and they go to /fapi/v1/algoOrder. Set off, one
becomes an ordinary order under a number of its own (`actualOrderId`); its client id it keeps here, which the exchange
does not promise.
Trailing stops are not simulated and are refused as an unsupported operation.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from app.simulator.dialects.base import Call, Context, Dialect, NativeError, Route
from app.simulator.dialects.binance_bodies import PRECISION, TIF_NAMES, fixed
from app.simulator.dialects.binance_params import (
    ALL_VISIBLE_MS,
    client_id,
    flag,
    ids,
    is_forgotten,
    limit_price,
    need,
    page,
    position_side,
    price,
    quantity,
    side_of,
    time_in_force,
)
from app.simulator.dialects.wire import Answer, json_answer
from app.simulator.model import ZERO, NewOrder, Order, OrderType, Reason, Refusal, Side, Status, Tif, Trigger, TriggerBy
from app.simulator.spec import MarketSpec

TYPES: dict[str, tuple[OrderType, bool]] = {
    "STOP": (OrderType.LIMIT, False),
    "STOP_MARKET": (OrderType.MARKET, False),
    "TAKE_PROFIT": (OrderType.LIMIT, True),
    "TAKE_PROFIT_MARKET": (OrderType.MARKET, True),
}
"""Type → (what it becomes when set off, whether it takes a profit)."""
_STATUS: dict[Status, str] = {
    Status.CANCELLED: "CANCELED",
    Status.EXPIRED: "EXPIRED",
    Status.REJECTED: "REJECTED",
}
_APART = 8_389_762_000_000
"""An order's number less its algo id: the service counts by itself."""


def algo_id(order: Order) -> int:
    """The number of a conditional order, as the service has it."""
    return int(order.order_id) - _APART


class AlgoApi:
    """The conditional-order endpoints over one dialect's engine. `new_client_id` makes one up for an order without."""

    def __init__(self, dialect: Dialect, new_client_id: Callable[[], str]) -> None:
        self._dialect = dialect
        self._engine = dialect.engine
        self._new_client_id = new_client_id

    def routes(self) -> Sequence[Route]:
        """All private."""
        one = "/fapi/v1/algoOrder"
        return (
            Route(method="POST", path=one, call=Call.PLACE, handler=self._place),
            Route(method="DELETE", path=one, call=Call.CANCEL, handler=self._cancel),
            Route(method="GET", path=one, call=Call.ORDER, handler=self._order),
            Route(method="GET", path="/fapi/v1/openAlgoOrders", call=Call.OPEN_ORDERS, handler=self._open),
            Route(method="DELETE", path="/fapi/v1/algoOpenOrders", call=Call.CANCEL_ALL, handler=self._cancel_all),
            Route(method="GET", path="/fapi/v1/allAlgoOrders", call=Call.CLOSED_ORDERS, handler=self._all),
        )

    def _place(self, ctx: Context) -> Answer:
        if need(ctx, "algoType") != "CONDITIONAL":
            raise NativeError(-1130, "Data sent for parameter 'algoType' is not valid.")
        market = self._dialect.market_of(need(ctx, "symbol"))
        side, kind = side_of(ctx), need(ctx, "type")
        if kind == "TRAILING_STOP_MARKET" or flag(ctx, "closePosition"):
            raise NativeError(-1020, "This operation is not supported.")
        if kind not in TYPES:
            raise NativeError(-1116, "Invalid orderType.")
        becomes, takes_profit = TYPES[kind]
        level, limit, tif = price(ctx, market, "triggerPrice"), None, Tif.GTC
        if level % market.tick:
            raise Refusal(Reason.PRICE_OFF_TICK, "The trigger price is off tick.", symbol=market.symbol)
        if becomes is OrderType.LIMIT:
            limit = limit_price(ctx, market, side, self._engine.prices[market.symbol])
            tif = time_in_force(ctx.params.get("timeInForce", "GTC"))
        order = self._dialect.place(
            ctx,
            NewOrder(
                symbol=market.symbol,
                side=side,
                type=becomes,
                qty=quantity(ctx, market),
                price=limit,
                tif=tif,
                reduce_only=flag(ctx, "reduceOnly"),
                position_side=position_side(ctx),
                client_order_id=client_id(ctx, "clientAlgoId") or self._new_client_id(),
                # A buy stop and a sell take-profit wait for the market to rise; the other two for it to fall.
                trigger=Trigger(price=level, rising=(side is Side.BUY) is not takes_profit, by=working_type(ctx)),
                tag=kind,
            ),
        )
        return json_answer(algo_body(order, market))

    def _find(self, ctx: Context, *, at_ms: int) -> Order:
        given, client = ids(ctx, "algoId", "clientAlgoId")
        number = None if given is None else str(int(given) + _APART)
        order = self._engine.find(at_ms, order_id=number, client_order_id=client)
        if order is None or order.trigger is None or (is_forgotten(order, ctx.now_ms) and not order.triggered):
            raise Refusal(Reason.UNKNOWN_ORDER, "There is no such conditional order.")
        return order

    def _cancel(self, ctx: Context) -> Answer:
        order = self._find(ctx, at_ms=ALL_VISIBLE_MS)
        if not order.is_waiting_trigger:
            raise Refusal(Reason.ORDER_CLOSED, "The conditional order was set off.", order=order)
        self._engine.cancel(ctx.now_ms, order_id=order.order_id)
        return json_answer(
            {"algoId": algo_id(order), "clientAlgoId": order.client_order_id, "code": "200", "msg": "success"}
        )

    def _cancel_all(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))
        for order in self._waiting(ALL_VISIBLE_MS, market.symbol):
            self._engine.cancel(ctx.now_ms, order_id=order.order_id)
        return json_answer({"code": 200, "msg": "The operation of cancel all open order is done."})

    def _order(self, ctx: Context) -> Answer:
        order = self._find(ctx, at_ms=ctx.now_ms)
        return json_answer(algo_body(order, self._engine.markets[order.symbol]))

    def _open(self, ctx: Context) -> Answer:
        symbol = self._dialect.market_of(ctx.params["symbol"]).symbol if ctx.params.get("symbol") else None
        return json_answer([algo_body(o, self._engine.markets[o.symbol]) for o in self._waiting(ctx.now_ms, symbol)])

    def _all(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))
        found = self._engine.history(ctx.now_ms, symbol=market.symbol, closed_only=False)
        kept = ((o.created_ms, o) for o in found if o.trigger is not None and not is_forgotten(o, ctx.now_ms))
        return json_answer([algo_body(o, market) for o in page(ctx, kept)])

    def _waiting(self, at_ms: int, symbol: str | None) -> list[Order]:
        return [o for o in self._engine.open_orders(at_ms, symbol=symbol) if o.is_waiting_trigger]


def working_type(ctx: Context) -> TriggerBy:
    """`workingType`: the last price unless the mark price is named."""
    given = ctx.params.get("workingType", "CONTRACT_PRICE")
    if given not in ("CONTRACT_PRICE", "MARK_PRICE"):
        raise NativeError(-1125, "Invalid workingType.")
    return TriggerBy.MARK if given == "MARK_PRICE" else TriggerBy.LAST


def algo_body(order: Order, market: MarketSpec) -> dict[str, object]:
    """A conditional order."""
    price_places, qty_places = PRECISION[market.native]
    if order.triggered:
        status = "TRIGGERED" if order.status.is_open else "FINISHED"
    else:
        status = _STATUS.get(order.status, "NEW")
    trigger = order.trigger.price if order.trigger is not None else Decimal(0)
    by_mark = order.trigger is not None and order.trigger.by is TriggerBy.MARK
    return {
        "algoId": algo_id(order),
        "clientAlgoId": order.client_order_id,
        "algoType": "CONDITIONAL",
        "orderType": order.tag,
        "symbol": market.native,
        "side": order.side.upper(),
        "positionSide": order.position_side.upper(),
        "timeInForce": TIF_NAMES[order.tif],
        "quantity": fixed(order.qty, qty_places),
        "algoStatus": status,
        "actualOrderId": order.order_id if order.triggered else "",
        "actualPrice": fixed(order.avg_price or ZERO, 5),
        "triggerPrice": fixed(trigger, price_places),
        "price": fixed(order.price or ZERO, price_places),
        "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": "MARK_PRICE" if by_mark else "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": order.reduce_only,
        "createTime": order.created_ms,
        "updateTime": order.updated_ms,
        "triggerTime": order.triggered_ms,
        "goodTillDate": 0,
    }
