"""Bodies of Binance spot answers, as functions of the engine's values.

Every amount is a string of eight decimals, whatever the market's steps; ids and times are JSON integers. What a request
asked for that the engine does not keep (its type, the name of its order list) is in `Order.tag`.
"""

from decimal import Decimal

from app.simulator.dialects.binance_bodies import STATUS, TIF_NAMES, amount
from app.simulator.model import ZERO, Fill, Order, OrderType, Tif, text
from app.simulator.spec import MarketSpec

ORDER_TYPES = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"]
BID_UP, BID_DOWN = Decimal(5), Decimal("0.2")
"""PERCENT_PRICE_BY_SIDE: a price must lie between these shares of the average price, on either side."""
MAX_ORDERS, MAX_ALGO = 200, 5
NO_LIST = -1
STP = "EXPIRE_MAKER"


def kind_of(order: Order) -> str:
    """The order's type as the client named it."""
    return order.tag.partition("|")[0] or ("MARKET" if order.type is OrderType.MARKET else "LIMIT")


def list_name_of(order: Order) -> str:
    """The client's name of the order list that an order belongs to."""
    return order.tag.partition("|")[2]


def list_id_of(order: Order) -> int:
    """The number of the order list, or -1."""
    return int(order.oco.rpartition(":")[2]) if order.oco is not None else NO_LIST


def order_body(order: Order, market: MarketSpec) -> dict[str, object]:
    """An order of the look-ups."""
    waiting = order.is_waiting_trigger
    body = _common(order, market) | {
        "stopPrice": amount(order.trigger.price if order.trigger is not None else ZERO),
        "icebergQty": amount(ZERO),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": not waiting,
        "workingTime": -1 if waiting else order.triggered_ms or order.created_ms,
        "origQuoteOrderQty": amount(order.cost_asked or ZERO),
        "selfTradePreventionMode": STP,
    }
    return body


def placed_body(order: Order, market: MarketSpec, kind: str, fills: list[Fill]) -> dict[str, object]:
    """The answer to a placement: ACK, RESULT or FULL."""
    ack: dict[str, object] = {
        "symbol": market.native,
        "orderId": int(order.order_id),
        "orderListId": list_id_of(order),
        "clientOrderId": order.client_order_id or "",
        "transactTime": order.created_ms,
    }
    if kind == "ACK":
        return ack
    result = _common(order, market) | ack
    result |= {
        "origQuoteOrderQty": amount(order.cost_asked or ZERO),
        "workingTime": -1 if order.is_waiting_trigger else order.created_ms,
        "selfTradePreventionMode": STP,
    }
    if order.trigger is not None:
        result["stopPrice"] = amount(order.trigger.price)
    if kind == "FULL":
        result["fills"] = [
            {
                "price": amount(f.price),
                "qty": amount(f.qty),
                "commission": amount(f.fee),
                "commissionAsset": f.fee_coin,
                "tradeId": int(f.trade_id),
            }
            for f in fills
        ]
    return result


def cancelled_body(order: Order, market: MarketSpec, cancel_id: str) -> dict[str, object]:
    """The answer to a cancel: `clientOrderId` is the cancel's own, the order's is `origClientOrderId`."""
    body = _common(order, market) | {
        "origClientOrderId": order.client_order_id or "",
        "clientOrderId": cancel_id,
        "transactTime": order.updated_ms,
        "origQuoteOrderQty": amount(order.cost_asked or ZERO),
        "selfTradePreventionMode": STP,
    }
    if order.trigger is not None:
        body["stopPrice"] = amount(order.trigger.price)
    return body


def _common(order: Order, market: MarketSpec) -> dict[str, object]:
    return {
        "symbol": market.native,
        "orderId": int(order.order_id),
        "orderListId": list_id_of(order),
        "clientOrderId": order.client_order_id or "",
        "price": amount(order.price or ZERO),
        "origQty": amount(order.qty),
        "executedQty": amount(order.filled),
        "cummulativeQuoteQty": amount(order.cost),
        "status": STATUS[order.status],
        "timeInForce": "GTC" if order.tif is Tif.POST_ONLY else TIF_NAMES[order.tif],
        "type": kind_of(order),
        "side": order.side.upper(),
    }


def trade_body(fill: Fill, market: MarketSpec) -> dict[str, object]:
    """One fill of myTrades. The exchange does not tell the client order id here."""
    return {
        "symbol": market.native,
        "id": int(fill.trade_id),
        "orderId": int(fill.order.order_id),
        "orderListId": list_id_of(fill.order),
        "price": amount(fill.price),
        "qty": amount(fill.qty),
        "quoteQty": amount(fill.price * fill.qty),
        "commission": amount(fill.fee),
        "commissionAsset": fill.fee_coin,
        "time": fill.ts_ms,
        "isBuyer": fill.side.sign > 0,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def list_body(orders: list[Order], market: MarketSpec, *, now_ms: int | None = None) -> dict[str, object]:
    """An order list."""
    first = orders[0]
    is_open = any(o.status.is_open for o in orders)
    return {
        "orderListId": list_id_of(first),
        "contingencyType": "OCO",
        "listStatusType": "EXEC_STARTED" if is_open else "ALL_DONE",
        "listOrderStatus": "EXECUTING" if is_open else "ALL_DONE",
        "listClientOrderId": list_name_of(first),
        "transactionTime": first.created_ms if now_ms is None else now_ms,
        "symbol": market.native,
        "orders": [
            {"symbol": market.native, "orderId": int(o.order_id), "clientOrderId": o.client_order_id or ""}
            for o in orders
        ],
    }


def symbol_info(market: MarketSpec, *, halted: bool) -> dict[str, object]:
    """One entry of `symbols` in GET /api/v3/exchangeInfo."""
    return {
        "symbol": market.native,
        "status": "BREAK" if halted else "TRADING",
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.settle,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ORDER_TYPES,
        "icebergAllowed": False,
        "ocoAllowed": True,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": amount(market.tick),
                "maxPrice": amount(market.price * 1000),
                "tickSize": amount(market.tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": amount(market.min_qty),
                "maxQty": amount(market.max_qty),
                "stepSize": amount(market.step),
            },
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": amount(ZERO),
                "maxQty": amount(market.max_qty),
                "stepSize": amount(ZERO),
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": text(BID_UP),
                "bidMultiplierDown": text(BID_DOWN),
                "askMultiplierUp": text(BID_UP),
                "askMultiplierDown": text(BID_DOWN),
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": amount(market.min_notional),
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": MAX_ORDERS},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": MAX_ALGO},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": STP,
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }
