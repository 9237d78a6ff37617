"""Bodies of Binance USDⓈ-M futures answers, as functions of the engine's values.

Apart from `binance.py` so that what the exchange decides (checks, codes, expiry) is not buried in how it writes things
down. Field names, order and number formats follow developers.binance.com; numbers are strings padded to the market's
precision, ids and times are JSON integers.
"""

from decimal import ROUND_DOWN, Decimal

from app.simulator.model import ZERO, Fill, Order, OrderType, Status, Tif
from app.simulator.spec import MarketSpec

PRECISION: dict[str, tuple[int, int]] = {
    "BTCUSDT": (2, 3),
    "ETHUSDT": (2, 3),
    "SOLUSDT": (4, 2),
    "XRPUSDT": (4, 1),
    "ADAUSDT": (4, 0),
}
"""Native name → (pricePrecision, quantityPrecision): decimals above which a number is refused with -1111."""

MULTIPLIER_UP = Decimal("1.15")
MULTIPLIER_DOWN = Decimal("0.85")
"""PERCENT_PRICE filter: a buy may not be priced above, a sell not below, this share of the mark price."""

STATUS: dict[Status, str] = {
    Status.OPEN: "NEW",
    Status.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    Status.FILLED: "FILLED",
    Status.CANCELLED: "CANCELED",
    Status.EXPIRED: "EXPIRED",
    Status.REJECTED: "REJECTED",
}
TIF_NAMES: dict[Tif, str] = {Tif.GTC: "GTC", Tif.IOC: "IOC", Tif.FOK: "FOK", Tif.POST_ONLY: "GTX"}

ORDER_TYPES = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]


def fixed(value: Decimal, places: int) -> str:
    """A decimal cut to exactly `places` decimals ("0.010")."""
    return format(value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_DOWN), "f")


def amount(value: Decimal) -> str:
    """Money, as the exchange writes it: eight decimals."""
    return fixed(value, 8)


def market_max(market: MarketSpec) -> Decimal:
    """The largest market order: a good part of the largest limit order."""
    return market.max_qty * Decimal("0.12")


def symbol_info(market: MarketSpec, *, halted: bool = False) -> dict[str, object]:
    """One entry of `symbols` in GET /fapi/v1/exchangeInfo."""
    price_places, qty_places = PRECISION[market.native]
    lot = {"stepSize": fixed(market.step, qty_places), "maxQty": str(market.max_qty), "minQty": str(market.min_qty)}
    return {
        "symbol": market.native,
        "pair": market.native,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "SETTLING" if halted else "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": market.base,
        "quoteAsset": market.settle,
        "marginAsset": market.settle,
        "pricePrecision": price_places,
        "quantityPrecision": qty_places,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": fixed(market.tick, price_places),
                "maxPrice": fixed(market.price * 1000, price_places),
                "tickSize": fixed(market.tick, price_places),
            },
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot, "maxQty": str(market_max(market))},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
            {"filterType": "MIN_NOTIONAL", "notional": str(market.min_notional)},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": fixed(MULTIPLIER_UP, 4),
                "multiplierDown": fixed(MULTIPLIER_DOWN, 4),
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": ORDER_TYPES,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def order_body(order: Order, market: MarketSpec, *, result: bool = False, ack: bool = False) -> dict[str, object]:
    """An order. `result`: as placing and cancelling write it (cumQty, no `time`); `ack`: telling no execution yet."""
    price_places, qty_places = PRECISION[market.native]
    filled, cost = (ZERO, ZERO) if ack else (order.filled, order.cost)
    kind = "LIMIT" if order.type is OrderType.LIMIT else "MARKET"
    body: dict[str, object] = {
        "orderId": int(order.order_id),
        "symbol": market.native,
        "status": "NEW" if ack else STATUS[order.status],
        "clientOrderId": order.client_order_id or "",
        "price": fixed(order.price or ZERO, price_places),
        "avgPrice": fixed(cost / filled if filled else ZERO, 5),
        "origQty": fixed(order.qty, qty_places),
        "executedQty": fixed(filled, qty_places),
        "cumQuote": fixed(cost, 5),
        "timeInForce": TIF_NAMES[order.tif],
        "type": kind,
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side.upper(),
        "positionSide": order.position_side.upper(),
        "stopPrice": fixed(ZERO, price_places),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": kind,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "updateTime": order.updated_ms,
    }
    if result:
        body["cumQty"] = body["executedQty"]
    else:
        body["time"] = order.created_ms
    return body


def trade_body(fill: Fill, market: MarketSpec) -> dict[str, object]:
    """One fill of GET /fapi/v1/userTrades. The exchange does not tell the client order id here."""
    price_places, qty_places = PRECISION[market.native]
    return {
        "symbol": market.native,
        "id": int(fill.trade_id),
        "orderId": int(fill.order.order_id),
        "side": fill.side.upper(),
        "price": fixed(fill.price, price_places),
        "qty": fixed(fill.qty, qty_places),
        "realizedPnl": amount(fill.realised_pnl),
        "quoteQty": amount(fill.price * fill.qty),
        "commission": amount(fill.fee),
        "commissionAsset": market.settle,
        "time": fill.ts_ms,
        "positionSide": fill.order.position_side.upper(),
        "maker": fill.is_maker,
        "buyer": fill.side.sign > 0,
        "marginAsset": market.settle,
    }
