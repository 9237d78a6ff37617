"""How Bybit V5 writes orders, executions and positions. Its quantities are base coin: none is converted.

What an order was besides what the engine knows (a spot TP/SL order, a part of a position's levels, close-on-trigger) is
in its tag.
"""

from decimal import Decimal

from app.simulator.dialects.wire import with_money
from app.simulator.engine import Engine
from app.simulator.model import (
    Fill,
    Order,
    OrderType,
    Position,
    PositionSide,
    Role,
    Side,
    Status,
    TriggerBy,
    text,
)
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
TAG_TPSL, TAG_CLOSE, TAG_TAKE_PROFIT, TAG_STOP_LOSS = "tpsl", "close", "partial-tp", "partial-sl"
_PARTIAL = {TAG_TAKE_PROFIT: "TakeProfit", TAG_STOP_LOSS: "StopLoss"}
_INDEXES = {PositionSide.BOTH: 0, PositionSide.LONG: 1, PositionSide.SHORT: 2}


def order_status(order: Order, market: MarketSpec) -> str:
    """orderStatus: only spot has PartiallyFilledCanceled; a cancelled trigger order is Deactivated."""
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
            return "PartiallyFilledCanceled" if market.is_spot and order.filled else "Cancelled"
        case Status.REJECTED:
            return "Rejected"


def side_word(side: Side) -> str:
    """Buy or Sell."""
    return "Buy" if side is Side.BUY else "Sell"


def stop_type(order: Order, market: MarketSpec) -> str:
    """stopOrderType: "" for an order without a trigger."""
    if order.trigger is None:
        return ""
    if market.is_spot:
        if order.role is not Role.USER:
            return "BidirectionalTpslOrder"
        return "tpslOrder" if order.tag == TAG_TPSL else "Stop"
    if order.role in (Role.TAKE_PROFIT, Role.STOP_LOSS):
        word = "TakeProfit" if order.role is Role.TAKE_PROFIT else "StopLoss"
        return word if order.whole_position else f"Partial{word}"
    return f"Partial{_PARTIAL[order.tag]}" if order.tag in _PARTIAL else "Stop"


def create_type(order: Order) -> str:
    """createType: who made the order, and of what."""
    if order.tag in _PARTIAL:
        return f"CreateByPartial{_PARTIAL[order.tag]}"
    linked = order.role in (Role.TAKE_PROFIT, Role.STOP_LOSS)
    if linked and not order.whole_position:
        return _CREATE_TYPES[order.role].replace("CreateBy", "CreateByPartial")
    return _CREATE_TYPES[order.role]


def _tpsl_mode(order: Order) -> str:
    if order.role in (Role.TAKE_PROFIT, Role.STOP_LOSS) or order.tag in _PARTIAL:
        return "Full" if order.whole_position else "Partial"
    if order.take_profit is None and order.stop_loss is None:
        return ""
    return "Full" if order.attach.whole_position else "Partial"


def _by(level: Decimal | None, by: TriggerBy) -> str:
    if level is None:
        return ""
    return "MarkPrice" if by is TriggerBy.MARK else "LastPrice"


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
    coin, attach = order.fee_coin or market.settle, order.attach
    item: dict[str, object] = {
        "orderId": order.order_id,
        "orderLinkId": order.client_order_id or "",
        "parentOrderLinkId": "",
        "blockTradeId": "",
        "symbol": market.native,
        "price": text(round(price, 10)),
        "qty": text(order.cost_asked if order.cost_asked is not None else order.qty),
        "side": side_word(order.side),
        "isLeverage": "0" if market.is_spot else "",
        "positionIdx": _INDEXES[order.position_side],
        "orderStatus": order_status(order, market),
        "createType": create_type(order),
        "cancelType": _CANCEL_TYPES.get(order.close_reason, "UNKNOWN"),
        "rejectReason": _REJECT_REASONS.get(order.close_reason, "EC_NoError"),
        "avgPrice": text(round(order.avg_price, 10)) if order.avg_price is not None else "",
        "leavesQty": text(left),
        "leavesValue": text(left * (order.price or Decimal(0))),
        "cumExecQty": text(order.filled),
        "cumExecValue": text(order.cost),
        "cumExecFee": with_money(order.fee),
        "cumFeeDetail": {coin: with_money(order.fee)} if order.filled else {},
        "timeInForce": "IOC" if is_market else order.tif.value,
        "orderType": "Market" if is_market else "Limit",
        "stopOrderType": stop_type(order, market),
        "ocoTriggerBy": "",
        "orderIv": "",
        "triggerPrice": text(order.trigger.price) if order.trigger is not None else "",
        "takeProfit": _or_empty(order.take_profit),
        "stopLoss": _or_empty(order.stop_loss),
        "tpslMode": _tpsl_mode(order),
        "tpLimitPrice": _or_empty(attach.take_profit_limit),
        "slLimitPrice": _or_empty(attach.stop_loss_limit),
        "tpTriggerBy": _by(order.take_profit, attach.take_profit_by),
        "slTriggerBy": _by(order.stop_loss, attach.stop_loss_by),
        "triggerDirection": 0 if order.trigger is None else (1 if order.trigger.rising else 2),
        "triggerBy": _trigger_by(order),
        "lastPriceOnCreated": "",
        "reduceOnly": order.reduce_only,
        "closeOnTrigger": order.tag == TAG_CLOSE,
        "marketUnit": _market_unit(order, market),
        "slippageToleranceType": "UNKNOWN",
        "slippageTolerance": "0",
        "extraFees": "",
        "placeType": "",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "createdTime": str(order.created_ms),
        "updatedTime": str(order.updated_ms),
    }
    if market.is_spot:
        del item["tpslMode"]  # clients tell an order of spot by its not being there
    return item


def _market_unit(order: Order, market: MarketSpec) -> str:
    if not market.is_spot or order.type is not OrderType.MARKET:
        return ""
    return "baseCoin" if order.cost_asked is None else "quoteCoin"


def execution_item(fill: Fill, market: MarketSpec, engine: Engine) -> dict[str, object]:
    """An element of /v5/execution/list."""
    order = fill.order
    rate = engine.rules.fee_rate(market, is_maker=fill.is_maker)
    return {
        "symbol": market.native,
        "orderId": order.order_id,
        "orderLinkId": order.client_order_id or "",
        "side": side_word(fill.side),
        "orderPrice": text(order.price if order.price is not None else fill.price),
        "orderQty": text(order.qty),
        "leavesQty": text(order.remaining if order.status.is_open else Decimal(0)),
        "createType": create_type(order),
        "orderType": "Market" if order.type is OrderType.MARKET else "Limit",
        "stopOrderType": stop_type(order, market) or "UNKNOWN",
        "execFee": with_money(fill.fee),
        "execId": fill.trade_id,
        "execPrice": text(fill.price),
        "execQty": text(fill.qty),
        "execType": "BustTrade" if order.role is Role.LIQUIDATION else "Trade",
        "execValue": text(fill.qty * fill.price),
        "execTime": str(fill.ts_ms),
        "feeCurrency": fill.fee_coin if market.is_spot else "",
        "feeCoin": fill.fee_coin or market.settle,
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
        "extraFees": "",
        "execPnl": with_money(fill.realised_pnl),
    }


def position_item(position: Position, market: MarketSpec, engine: Engine) -> dict[str, object]:
    """An element of /v5/position/list; also of a flat position, which Bybit lists when asked by symbol."""
    mark = engine.mark(position.symbol)
    levels, liquidation = engine.levels(position.symbol, position.side), engine.liquidation_price(position)
    flat = position.qty == 0
    value = abs(position.qty) * position.entry_price
    return {
        "positionIdx": _INDEXES[position.side],
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": market.native,
        "side": "" if flat else ("Buy" if position.qty > 0 else "Sell"),
        "size": text(abs(position.qty)),
        "avgPrice": text(round(position.entry_price, 10)),
        "positionValue": "" if flat else with_money(value),
        "tradeMode": 1 if position.symbol in engine.ledger.isolated else 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": 0 if flat else 2,
        "leverage": text(position.leverage),
        "positionBalance": with_money(position.margin),
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
        "curRealisedPnl": with_money(position.realised),
        "cumRealisedPnl": with_money(position.realised),
        "seq": len(engine.fills),
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "sessionAvgPrice": "",
        "createdTime": str(position.updated_ms),
        "updatedTime": str(position.updated_ms),
    }


def closed_pnl_item(fill: Fill, market: MarketSpec, engine: Engine) -> dict[str, object]:
    """An element of /v5/position/closed-pnl: one fill that closed."""
    entry = fill.price - fill.realised_pnl / fill.qty * -fill.side.sign
    return {
        "symbol": market.native,
        "orderId": fill.order.order_id,
        "side": side_word(fill.side),
        "qty": text(fill.order.qty),
        "orderPrice": text(fill.order.price if fill.order.price is not None else fill.price),
        "orderType": "Market" if fill.order.type is OrderType.MARKET else "Limit",
        "execType": "BustTrade" if fill.order.role is Role.LIQUIDATION else "Trade",
        "closedSize": text(fill.qty),
        "cumEntryValue": with_money(fill.qty * entry),
        "avgEntryPrice": text(round(entry, 10)),
        "cumExitValue": with_money(fill.qty * fill.price),
        "avgExitPrice": text(fill.price),
        "closedPnl": with_money(fill.realised_pnl - fill.fee),
        "fillCount": "1",
        "leverage": text(engine.position_of(fill.symbol, fill.order.position_side).leverage),
        "openFee": "0",
        "closeFee": with_money(fill.fee),
        "createdTime": str(fill.ts_ms),
        "updatedTime": str(fill.ts_ms),
    }
