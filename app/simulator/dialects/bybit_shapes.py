"""How Bybit V5 writes orders, executions, positions and markets. Its quantities are base coin: none is converted."""

from decimal import Decimal

from app.simulator.dialects.wire import with_money
from app.simulator.engine import Engine
from app.simulator.model import Fill, Order, OrderType, Position, Role, Side, Status, TriggerBy, text
from app.simulator.spec import MarketSpec

_REJECT_REASONS = {
    "": "EC_NoError",
    "by_user": "EC_PerCancelRequest",
    "post_only_would_cross": "EC_PostOnlyWillTakeLiquidity",
    "would_not_fill": "EC_NoImmediateQtyToFill",
    "no_liquidity": "EC_NoImmediateQtyToFill",
    "reduce_only": "EC_ReduceOnly",
    "insufficient_margin": "EC_NoEnoughBalance",
}
_CANCEL_TYPES = {
    "by_user": "CancelByUser",
    "reduce_only": "CancelByReduceOnly",
    "oco": "CancelByTpSlTsClear",
    "position_closed": "CancelByTpSlTsClear",
    "replaced": "CancelByTpSlTsClear",
    "liquidation": "CancelAllBeforeLiq",
    "dead_man": "CancelByDCP",
}
_CREATE_TYPES = {
    Role.USER: "CreateByUser",
    Role.TAKE_PROFIT: "CreateByTakeProfit",
    Role.STOP_LOSS: "CreateByStopLoss",
    Role.LIQUIDATION: "CreateByLiq",
}


def order_status(order: Order) -> str:
    """orderStatus: derivatives have no PartiallyFilledCanceled; a cancelled trigger order is Deactivated."""
    if order.is_waiting_trigger:
        return "Untriggered" if order.status.is_open else "Deactivated"
    match order.status:
        case Status.OPEN:
            return "New"
        case Status.PARTIALLY_FILLED:
            return "PartiallyFilled"
        case Status.FILLED:
            return "Filled"
        case Status.CANCELLED | Status.EXPIRED:
            return "Cancelled"
        case Status.REJECTED:
            return "Rejected"


def side_word(side: Side) -> str:
    """Buy or Sell."""
    return "Buy" if side is Side.BUY else "Sell"


def stop_type(order: Order) -> str:
    """stopOrderType: "" for an order without a trigger."""
    if order.role in (Role.TAKE_PROFIT, Role.STOP_LOSS):
        word = "TakeProfit" if order.role is Role.TAKE_PROFIT else "StopLoss"
        return word if order.whole_position else f"Partial{word}"
    return "Stop" if order.trigger is not None else ""


def _tpsl_mode(order: Order) -> str:
    if order.role in (Role.TAKE_PROFIT, Role.STOP_LOSS):
        return "Full" if order.whole_position else "Partial"
    if order.take_profit is None and order.stop_loss is None:
        return ""
    return "Full" if order.attach.whole_position else "Partial"


def _trigger_by(order: Order) -> str:
    if order.trigger is None:
        return ""
    return "MarkPrice" if order.trigger.by is TriggerBy.MARK else "LastPrice"


def _level(order: Order | None) -> str:
    return "" if order is None or order.trigger is None else text(order.trigger.price)


def _or_empty(value: Decimal | None) -> str:
    return "" if value is None else text(value)


def order_item(order: Order, market: MarketSpec) -> dict[str, object]:
    """An element of /v5/order/realtime and /v5/order/history."""
    is_market = order.type is OrderType.MARKET
    left = order.remaining if order.status.is_open else Decimal(0)
    price = order.price if order.price is not None else (order.avg_price or Decimal(0))
    return {
        "orderId": order.order_id,
        "orderLinkId": order.client_order_id or "",
        "blockTradeId": "",
        "symbol": market.native,
        "price": text(round(price, 10)),
        "qty": text(order.qty),
        "side": side_word(order.side),
        "isLeverage": "",
        "positionIdx": 0,
        "orderStatus": order_status(order),
        "createType": _CREATE_TYPES[order.role],
        "cancelType": _CANCEL_TYPES.get(order.close_reason, "UNKNOWN"),
        "rejectReason": _REJECT_REASONS.get(order.close_reason, "EC_NoError"),
        "avgPrice": text(round(order.avg_price, 10)) if order.avg_price is not None else "",
        "leavesQty": text(left),
        "leavesValue": text(left * (order.price or Decimal(0))),
        "cumExecQty": text(order.filled),
        "cumExecValue": text(order.cost),
        "cumExecFee": with_money(order.fee),
        "cumFeeDetail": {market.settle: with_money(order.fee)} if order.filled else {},
        "timeInForce": "IOC" if is_market else order.tif.value,
        "orderType": "Market" if is_market else "Limit",
        "stopOrderType": stop_type(order),
        "orderIv": "",
        "triggerPrice": text(order.trigger.price) if order.trigger is not None else "",
        "takeProfit": _or_empty(order.take_profit),
        "stopLoss": _or_empty(order.stop_loss),
        "tpslMode": _tpsl_mode(order),
        "tpLimitPrice": "",
        "slLimitPrice": "",
        "tpTriggerBy": "LastPrice" if order.take_profit is not None else "",
        "slTriggerBy": "LastPrice" if order.stop_loss is not None else "",
        "triggerDirection": 0 if order.trigger is None else (1 if order.trigger.rising else 2),
        "triggerBy": _trigger_by(order),
        "lastPriceOnCreated": "",
        "reduceOnly": order.reduce_only,
        "closeOnTrigger": False,
        "placeType": "",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "createdTime": str(order.created_ms),
        "updatedTime": str(order.updated_ms),
    }


def execution_item(fill: Fill, market: MarketSpec, engine: Engine) -> dict[str, object]:
    """An element of /v5/execution/list."""
    order = fill.order
    rate = engine.rules.maker_fee if fill.is_maker else engine.rules.taker_fee
    return {
        "symbol": market.native,
        "orderId": order.order_id,
        "orderLinkId": order.client_order_id or "",
        "side": side_word(fill.side),
        "orderPrice": text(order.price if order.price is not None else fill.price),
        "orderQty": text(order.qty),
        "leavesQty": text(order.remaining if order.status.is_open else Decimal(0)),
        "createType": _CREATE_TYPES[order.role],
        "orderType": "Market" if order.type is OrderType.MARKET else "Limit",
        "stopOrderType": stop_type(order) or "UNKNOWN",
        "execFee": with_money(fill.fee),
        "execId": fill.trade_id,
        "execPrice": text(fill.price),
        "execQty": text(fill.qty),
        "execType": "BustTrade" if order.role is Role.LIQUIDATION else "Trade",
        "execValue": text(fill.qty * fill.price),
        "execTime": str(fill.ts_ms),
        "feeCurrency": "",
        "feeCoin": market.settle,
        "isMaker": fill.is_maker,
        "feeRate": text(rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": text(engine.mark(fill.symbol)),
        "indexPrice": text(engine.prices[fill.symbol]),
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": text(fill.qty) if fill.realised_pnl else "0",
        "seq": fill.seq,
    }


def position_item(position: Position, market: MarketSpec, engine: Engine) -> dict[str, object]:
    """An element of /v5/position/list; also of a flat position, which Bybit lists when asked by symbol."""
    mark = engine.mark(position.symbol)
    levels, liquidation = engine.levels(position.symbol, position.side), engine.liquidation_price(position)
    flat = position.qty == 0
    value = abs(position.qty) * position.entry_price
    return {
        "positionIdx": 0,
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": market.native,
        "side": "" if flat else ("Buy" if position.qty > 0 else "Sell"),
        "size": text(abs(position.qty)),
        "avgPrice": text(round(position.entry_price, 10)),
        "positionValue": "" if flat else with_money(value),
        "tradeMode": 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": 0 if flat else 2,
        "leverage": text(position.leverage),
        "positionBalance": "0",
        "markPrice": text(mark),
        "liqPrice": text(round(liquidation, 8)) if liquidation is not None else "",
        "bustPrice": "",
        "positionMM": "" if flat else with_money(engine.ledger.maintenance(position)),
        "positionIM": "" if flat else with_money(value / position.leverage),
        "tpslMode": "Full",
        "takeProfit": _level(levels.get(Role.TAKE_PROFIT)),
        "stopLoss": _level(levels.get(Role.STOP_LOSS)),
        "trailingStop": "0",
        "unrealisedPnl": "" if flat else with_money(engine.ledger.profit(position)),
        "curRealisedPnl": "0",
        "cumRealisedPnl": "0",
        "seq": len(engine.fills),
        "isReduceOnly": False,
        "createdTime": str(position.updated_ms),
        "updatedTime": str(position.updated_ms),
    }


def instrument_item(market: MarketSpec) -> dict[str, object]:
    """An element of /v5/market/instruments-info."""
    return {
        "symbol": market.native,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": market.base,
        "quoteCoin": market.settle,
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(max(0, -int(market.tick.normalize().as_tuple().exponent))),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": text(market.max_leverage), "leverageStep": "0.01"},
        "priceFilter": {"minPrice": text(market.tick), "maxPrice": "1999999.8", "tickSize": text(market.tick)},
        "lotSizeFilter": {
            "maxOrderQty": text(market.max_qty),
            "minOrderQty": text(market.min_qty),
            "qtyStep": text(market.step),
            "postOnlyMaxOrderQty": text(market.max_qty),
            "maxMktOrderQty": text(market.max_qty),
            "minNotionalValue": text(market.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": market.settle,
        "copyTrading": "none",
        "upperFundingRate": "0.005",
        "lowerFundingRate": "-0.005",
        "isPreListing": False,
        "preListingInfo": None,
    }


def ticker_item(market: MarketSpec, engine: Engine) -> dict[str, object]:
    """An element of /v5/market/tickers. openInterestValue must be there: without it a client takes it for spot."""
    last = engine.prices[market.symbol]
    return {
        "symbol": market.native,
        "lastPrice": text(last),
        "indexPrice": text(last),
        "markPrice": text(engine.mark(market.symbol)),
        "prevPrice24h": text(market.price),
        "price24hPcnt": text(round((last - market.price) / market.price, 6)),
        "highPrice24h": text(max(last, market.price)),
        "lowPrice24h": text(min(last, market.price)),
        "prevPrice1h": text(market.price),
        "openInterest": "1000",
        "openInterestValue": text(1000 * last),
        "turnover24h": text(1000 * last),
        "volume24h": "1000",
        "fundingRate": "0.0001",
        "nextFundingTime": "0",
        "predictedDeliveryPrice": "",
        "basisRate": "",
        "deliveryFeeRate": "",
        "deliveryTime": "0",
        "ask1Size": "10",
        "bid1Price": text(engine.bid(market.symbol)),
        "ask1Price": text(engine.ask(market.symbol)),
        "bid1Size": "10",
        "basis": "",
    }
