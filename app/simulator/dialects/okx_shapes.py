"""How OKX V5 writes orders, fills and positions. Sizes of swaps are CONTRACTS there, and converted here.

An order that a trigger set off has the algo's ids, and no clOrdId of its own.
"""

from decimal import Decimal

from app.simulator.dialects.wire import with_money
from app.simulator.engine import Engine
from app.simulator.model import Fill, Order, OrderType, Position, PositionSide, Role, Side, Status, Tif, TriggerBy, text
from app.simulator.spec import MarketSpec

FIRST_ALGO_ID = 2_000_000_000_000_000_000
"""Algo ids are numbers of 19 digits too, of their own: this plus the number of the order that waits."""
_STATES = {
    Status.OPEN: "live",
    Status.PARTIALLY_FILLED: "partially_filled",
    Status.FILLED: "filled",
    Status.CANCELLED: "canceled",
    Status.EXPIRED: "canceled",
    Status.REJECTED: "canceled",
}
_ORD_TYPES = {Tif.GTC: "limit", Tif.IOC: "ioc", Tif.FOK: "fok", Tif.POST_ONLY: "post_only"}
_CANCEL_SOURCES = {"": "", "by_user": "1", "post_only_would_cross": "31", "reduce_only": "9", "liquidation": "3"}


def contracts(qty: Decimal, market: MarketSpec) -> str:
    """Base coin as a number of contracts."""
    return text(qty / market.contract_size)


def order_state(order: Order) -> str:
    """State: OKX has one word for every end without a complete fill."""
    return _STATES[order.status]


def _cancel_source(order: Order) -> str:
    if order.close_reason in ("would_not_fill", "no_liquidity"):
        return "13" if order.tif is Tif.FOK else "14"
    return _CANCEL_SOURCES.get(order.close_reason, "0")


def order_type(order: Order) -> str:
    """OrdType: a market order, or the limit order's time in force."""
    return "market" if order.type is OrderType.MARKET else _ORD_TYPES[order.tif]


def inst_type(market: MarketSpec) -> str:
    """SPOT or SWAP."""
    return "SPOT" if market.is_spot else "SWAP"


def td_mode(market: MarketSpec, engine: Engine) -> str:
    """Cash on spot, else what stands behind the symbol's positions now."""
    return "cash" if market.is_spot else engine.ledger.mode(market.symbol).value


def pos_side(side: PositionSide) -> str:
    """PosSide: net in one-way mode."""
    return "net" if side is PositionSide.BOTH else side.value


def algo_id(order: Order) -> str:
    """The id of the algo order that an order waits or waited as."""
    return str(FIRST_ALGO_ID + order.seq)


def own_tag(order: Order) -> str:
    """What the client gave as tag; of an algo order its kind stands before it."""
    return order.tag.partition(":")[2] if order.trigger is not None else order.tag


def price_type(by: TriggerBy) -> str:
    """Last or mark."""
    return by.value


def order_item(order: Order, market: MarketSpec, engine: Engine) -> dict[str, object]:
    """An element of /trade/order, /trade/orders-pending and /trade/orders-history."""
    last, attach = order.last_fill, order.attach
    is_spot_market = market.is_spot and order.type is OrderType.MARKET
    algo = order.trigger is not None
    client_id = order.client_order_id or ""
    fee_coin = order.fee_coin or (market.base if market.is_spot and order.side is Side.BUY else market.settle)
    attached: list[dict[str, object]] = []
    if order.take_profit is not None or order.stop_loss is not None:
        attached.append(
            {
                "attachAlgoClOrdId": attach.take_profit_id or attach.stop_loss_id or "",
                "attachAlgoId": algo_id(order),
                "tpTriggerPx": text(order.take_profit) if order.take_profit is not None else "",
                "tpTriggerPxType": price_type(attach.take_profit_by) if order.take_profit is not None else "",
                "tpOrdPx": _level_price(order.take_profit, attach.take_profit_limit),
                "tpOrdKind": "condition" if order.take_profit is not None else "",
                "slTriggerPx": text(order.stop_loss) if order.stop_loss is not None else "",
                "slTriggerPxType": price_type(attach.stop_loss_by) if order.stop_loss is not None else "",
                "slOrdPx": _level_price(order.stop_loss, attach.stop_loss_limit),
                "callbackRatio": "",
                "callbackSpread": "",
                "activePx": "",
                "amendPxOnTriggerType": "0",
                "sz": "",
                "failCode": "",
                "failReason": "",
            }
        )
    average = order.avg_price
    return {
        "accFillSz": contracts(order.filled, market),
        "algoClOrdId": client_id if algo else "",
        "algoId": algo_id(order) if algo else "",
        "attachAlgoClOrdId": "",
        "attachAlgoOrds": attached,
        "avgPx": text(round(average, 10)) if average is not None else "",
        "cTime": str(order.created_ms),
        "cancelSource": _cancel_source(order),
        "cancelSourceReason": "",
        "category": "normal",
        "ccy": "",
        "clOrdId": "" if algo else client_id,
        "fee": with_money(-order.fee),
        "feeCcy": fee_coin,
        "fillPx": text(last.price) if last is not None else "",
        "fillSz": contracts(last.qty, market) if last is not None else "0",
        "fillTime": str(last.ts_ms) if last is not None else "",
        "instId": market.native,
        "instType": inst_type(market),
        "isTpLimit": "false",
        "lever": "" if market.is_spot else text(engine.position_of(order.symbol, order.position_side).leverage),
        "linkedAlgoOrd": {"algoId": ""},
        "ordId": order.order_id,
        "ordType": order_type(order),
        "pnl": with_money(sum((f.realised_pnl for f in engine.fills_of(order)), Decimal(0))),
        "posSide": "" if market.is_spot else pos_side(order.position_side),
        "px": text(order.price) if order.price is not None else "",
        "pxType": "",
        "pxUsd": "",
        "pxVol": "",
        "tradeQuoteCcy": market.settle if market.is_spot else "",
        "quickMgnType": "",
        "rebate": "0",
        "rebateCcy": market.settle if order.side is Side.BUY or not market.is_spot else market.base,
        "reduceOnly": "true" if order.reduce_only else "false",
        "side": order.side.value,
        "slOrdPx": "",
        "slTriggerPx": "",
        "slTriggerPxType": "",
        "source": "7" if algo else "",
        "state": order_state(order),
        "stpId": "",
        "stpMode": "cancel_maker",
        "sz": contracts(order.qty, market) if order.cost_asked is None else text(order.cost_asked),
        "tag": own_tag(order),
        "tdMode": td_mode(market, engine),
        "tgtCcy": "" if not is_spot_market else "base_ccy" if order.cost_asked is None else "quote_ccy",
        "tpOrdPx": "",
        "tpTriggerPx": "",
        "tpTriggerPxType": "",
        "tradeId": last.trade_id if last is not None else "",
        "uTime": str(order.updated_ms),
    }


def _level_price(level: Decimal | None, limit: Decimal | None) -> str:
    """Price of the order that an attached level becomes; -1 is a market order."""
    if level is None:
        return ""
    return "-1" if limit is None else text(limit)


def _sub_type(fill: Fill) -> str:
    """Buy and sell, or what a liquidation is listed as, of a net position."""
    buys = fill.side is Side.BUY
    if fill.order.role is Role.LIQUIDATION:
        return "106" if buys else "107"
    return "1" if buys else "2"


def fill_item(fill: Fill, market: MarketSpec) -> dict[str, object]:
    """An element of /trade/fills and /trade/fills-history."""
    return {
        "instType": inst_type(market),
        "instId": market.native,
        "tradeId": fill.trade_id,
        "ordId": fill.order.order_id,
        "clOrdId": "" if fill.order.trigger is not None else fill.order.client_order_id or "",
        "billId": fill.trade_id,
        "subType": _sub_type(fill),
        "tag": own_tag(fill.order),
        "fillPx": text(fill.price),
        "fillSz": contracts(fill.qty, market),
        "fillIdxPx": text(fill.price),
        "fillPnl": with_money(fill.realised_pnl),
        "fillPxVol": "",
        "fillPxUsd": "",
        "fillMarkVol": "",
        "fillFwdPx": "",
        "fillMarkPx": text(fill.price),
        "side": fill.side.value,
        "posSide": pos_side(fill.order.position_side),
        "execType": "M" if fill.is_maker else "T",
        "feeCcy": fill.fee_coin or market.settle,
        "fee": with_money(-fill.fee),
        "ts": str(fill.ts_ms),
        "fillTime": str(fill.ts_ms),
        "feeRate": "",
        "tradeQuoteCcy": market.settle if market.is_spot else "",
    }


def position_item(position: Position, market: MarketSpec, engine: Engine) -> dict[str, object]:
    """An element of /account/positions. In net mode the sign of `pos` is the side, else it is above zero."""
    isolated, hedged = position.symbol in engine.ledger.isolated, position.side is not PositionSide.BOTH
    mark = engine.mark(position.symbol)
    value = abs(position.qty) * mark
    profit, liquidation = engine.ledger.profit(position), engine.liquidation_price(position)
    cost = abs(position.qty) * position.entry_price / position.leverage
    return {
        "adl": "1",
        "availPos": contracts(abs(position.qty), market),
        "avgPx": text(round(position.entry_price, 10)) if position.qty else "",
        "cTime": str(position.updated_ms),
        "ccy": market.settle,
        "closeOrderAlgo": [],
        "baseBal": "",
        "baseBorrowed": "",
        "baseInterest": "",
        "bePx": "",
        "bizRefId": "",
        "bizRefType": "",
        "deltaBS": "",
        "deltaPA": "",
        "gammaBS": "",
        "gammaPA": "",
        "idxPx": text(mark),
        "liqPenalty": "0",
        "optVal": "",
        "pTime": str(position.updated_ms),
        "pendingCloseOrdLiabVal": "",
        "quoteBal": "",
        "quoteBorrowed": "",
        "quoteInterest": "",
        "spotInUseAmt": "",
        "spotInUseCcy": "",
        "thetaBS": "",
        "thetaPA": "",
        "usdPx": "",
        "vegaBS": "",
        "vegaPA": "",
        "fee": "0",
        "fundingFee": "0",
        "imr": "" if isolated else with_money(value / position.leverage),
        "instId": market.native,
        "instType": inst_type(market),
        "interest": "",
        "last": text(mark),
        "lever": text(position.leverage),
        "liab": "",
        "liabCcy": "",
        "liqPx": text(round(liquidation, 8)) if liquidation is not None else "",
        "margin": with_money(position.margin) if isolated else "",
        "markPx": text(mark),
        "mgnMode": engine.ledger.mode(position.symbol).value,
        "mgnRatio": "1000",
        "mmr": with_money(engine.ledger.maintenance(position)),
        "notionalUsd": with_money(value),
        "pnl": with_money(position.realised),
        "pos": contracts(abs(position.qty) if hedged else position.qty, market),
        "posCcy": "",
        "posId": str(
            1_100_000_000_000_000_000
            + list(engine.markets).index(position.symbol) * 10
            + list(PositionSide).index(position.side)
        ),
        "posSide": pos_side(position.side),
        "realizedPnl": with_money(position.realised),
        "tradeId": engine.fills[-1].trade_id if engine.fills else "",
        "uTime": str(position.updated_ms),
        "upl": with_money(profit),
        "uplLastPx": with_money(profit),
        "uplRatioLastPx": with_money(profit / cost) if cost else "0",
        "uplRatio": with_money(profit / cost) if cost else "0",
    }
