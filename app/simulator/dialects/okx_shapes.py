"""How OKX V5 writes orders, fills, positions and instruments. Sizes are CONTRACTS there, and converted here."""

from decimal import Decimal

from app.simulator.dialects.wire import with_money
from app.simulator.engine import Engine
from app.simulator.model import Fill, Order, OrderType, Position, Status, Tif, text
from app.simulator.spec import MarketSpec

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


def order_item(order: Order, market: MarketSpec) -> dict[str, object]:
    """An element of /trade/order, /trade/orders-pending and /trade/orders-history."""
    last = order.last_fill
    attached: list[dict[str, object]] = []
    if order.take_profit is not None or order.stop_loss is not None:
        attached.append(
            {
                "attachAlgoClOrdId": "",
                "attachAlgoId": f"{int(order.order_id) + 10**17}",
                "tpTriggerPx": text(order.take_profit) if order.take_profit is not None else "",
                "tpTriggerPxType": "last" if order.take_profit is not None else "",
                "tpOrdPx": "-1" if order.take_profit is not None else "",
                "tpOrdKind": "condition" if order.take_profit is not None else "",
                "slTriggerPx": text(order.stop_loss) if order.stop_loss is not None else "",
                "slTriggerPxType": "last" if order.stop_loss is not None else "",
                "slOrdPx": "-1" if order.stop_loss is not None else "",
                "sz": "",
                "failCode": "",
                "failReason": "",
            }
        )
    average = order.avg_price
    return {
        "accFillSz": contracts(order.filled, market),
        "algoClOrdId": "",
        "algoId": "",
        "attachAlgoClOrdId": "",
        "attachAlgoOrds": attached,
        "avgPx": text(round(average, 10)) if average is not None else "",
        "cTime": str(order.created_ms),
        "cancelSource": _cancel_source(order),
        "cancelSourceReason": "",
        "category": "normal",
        "ccy": "",
        "clOrdId": order.client_order_id or "",
        "fee": with_money(-order.fee),
        "feeCcy": market.settle,
        "fillPx": text(last.price) if last is not None else "",
        "fillSz": contracts(last.qty, market) if last is not None else "0",
        "fillTime": str(last.ts_ms) if last is not None else "",
        "instId": market.native,
        "instType": "SWAP",
        "isTpLimit": "false",
        "lever": "10",
        "linkedAlgoOrd": {"algoId": ""},
        "ordId": order.order_id,
        "ordType": order_type(order),
        "pnl": "0",
        "posSide": "net",
        "px": text(order.price) if order.price is not None else "",
        "pxType": "",
        "quickMgnType": "",
        "rebate": "0",
        "rebateCcy": market.settle,
        "reduceOnly": "true" if order.reduce_only else "false",
        "side": order.side.value,
        "slOrdPx": "",
        "slTriggerPx": "",
        "slTriggerPxType": "",
        "source": "",
        "state": order_state(order),
        "stpId": "",
        "stpMode": "cancel_maker",
        "sz": contracts(order.qty, market),
        "tag": order.tag,
        "tdMode": "cross",
        "tgtCcy": "",
        "tpOrdPx": "",
        "tpTriggerPx": "",
        "tpTriggerPxType": "",
        "tradeId": last.trade_id if last is not None else "",
        "uTime": str(order.updated_ms),
    }


def fill_item(fill: Fill, market: MarketSpec) -> dict[str, object]:
    """An element of /trade/fills and /trade/fills-history."""
    return {
        "instType": "SWAP",
        "instId": market.native,
        "tradeId": fill.trade_id,
        "ordId": fill.order.order_id,
        "clOrdId": fill.order.client_order_id or "",
        "billId": fill.trade_id,
        "subType": "1",
        "tag": fill.order.tag,
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
        "posSide": "net",
        "execType": "M" if fill.is_maker else "T",
        "feeCcy": market.settle,
        "fee": with_money(-fill.fee),
        "ts": str(fill.ts_ms),
        "fillTime": str(fill.ts_ms),
        "feeRate": "",
    }


def position_item(position: Position, market: MarketSpec, engine: Engine) -> dict[str, object]:
    """An element of /account/positions: net mode, the sign of `pos` is the side."""
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
        "fee": "0",
        "fundingFee": "0",
        "imr": with_money(value / position.leverage),
        "instId": market.native,
        "instType": "SWAP",
        "interest": "",
        "last": text(mark),
        "lever": text(position.leverage),
        "liab": "",
        "liabCcy": "",
        "liqPx": text(round(liquidation, 8)) if liquidation is not None else "",
        "margin": "",
        "markPx": text(mark),
        "mgnMode": "cross",
        "mgnRatio": "1000",
        "mmr": with_money(engine.ledger.maintenance(position)),
        "notionalUsd": with_money(value),
        "pnl": "0",
        "pos": contracts(position.qty, market),
        "posCcy": "",
        "posId": str(1_100_000_000_000_000_000 + list(engine.markets).index(position.symbol)),
        "posSide": "net",
        "realizedPnl": "0",
        "tradeId": engine.fills[-1].trade_id if engine.fills else "",
        "uTime": str(position.updated_ms),
        "upl": with_money(profit),
        "uplRatio": with_money(profit / cost) if cost else "0",
    }


def instrument_item(market: MarketSpec) -> dict[str, object]:
    """An element of /public/instruments."""
    lot = contracts(market.step, market)
    return {
        "alias": "",
        "baseCcy": "",
        "category": "1",
        "ctMult": "1",
        "ctType": "linear",
        "ctVal": text(market.contract_size),
        "ctValCcy": market.base,
        "expTime": "",
        "instFamily": f"{market.base}-{market.settle}",
        "instId": market.native,
        "instType": "SWAP",
        "lever": text(market.max_leverage),
        "listTime": "1585526400000",
        "lotSz": lot,
        "maxIcebergSz": "100000000",
        "maxLmtAmt": "20000000",
        "maxLmtSz": contracts(market.max_qty, market),
        "maxMktAmt": "",
        "maxMktSz": contracts(market.max_qty, market),
        "maxStopSz": contracts(market.max_qty, market),
        "maxTriggerSz": "100000000",
        "maxTwapSz": "100000000",
        "minSz": contracts(market.min_qty, market),
        "optType": "",
        "quoteCcy": "",
        "ruleType": "normal",
        "settleCcy": market.settle,
        "state": "live",
        "stk": "",
        "tickSz": text(market.tick),
        "uly": f"{market.base}-{market.settle}",
    }


def ticker_item(market: MarketSpec, engine: Engine, now_ms: int) -> dict[str, object]:
    """An element of /market/ticker and /market/tickers."""
    last = engine.prices[market.symbol]
    return {
        "instType": "SWAP",
        "instId": market.native,
        "last": text(last),
        "lastSz": "1",
        "askPx": text(engine.ask(market.symbol)),
        "askSz": "1000",
        "bidPx": text(engine.bid(market.symbol)),
        "bidSz": "1000",
        "open24h": text(market.price),
        "high24h": text(max(last, market.price)),
        "low24h": text(min(last, market.price)),
        "volCcy24h": "1000",
        "vol24h": contracts(Decimal(1000), market),
        "ts": str(now_ms),
        "sodUtc0": text(market.price),
        "sodUtc8": text(market.price),
    }
