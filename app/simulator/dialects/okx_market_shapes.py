"""How OKX V5 writes instruments, tickers, klines and public trades. Sizes of swaps are contracts."""

from decimal import Decimal
from zlib import crc32

from app.simulator.dialects.okx_shapes import contracts, inst_type
from app.simulator.engine import Engine
from app.simulator.klines import Candle
from app.simulator.model import Fill, text
from app.simulator.spec import MarketSpec


def instrument_item(market: MarketSpec, *, halted: bool = False) -> dict[str, object]:
    """An element of /public/instruments."""
    lot, spot = contracts(market.step, market), market.is_spot
    return {
        "alias": "",
        "baseCcy": market.base if spot else "",
        "category": "1",
        "ctMult": "" if spot else "1",
        "ctType": "" if spot else "linear",
        "ctVal": "" if spot else text(market.contract_size),
        "ctValCcy": "" if spot else market.base,
        "expTime": "",
        "instFamily": "" if spot else f"{market.base}-{market.settle}",
        "instIdCode": crc32(market.native.encode()) % 1_000_000,
        "instId": market.native,
        "instType": inst_type(market),
        "lever": text(market.max_leverage),
        "listTime": "1585526400000",
        "contTdSwTime": "1585526400000",
        "preMktSwTime": "",
        "openType": "",
        "futureSettlement": False,
        "auctionEndTime": "",
        "groupId": "1",
        "posLmtAmt": "",
        "posLmtPct": "",
        "maxPlatOILmt": "",
        "tradeQuoteCcyList": [market.settle] if spot else [],
        "lotSz": lot,
        "maxIcebergSz": "100000000",
        "maxLmtAmt": "20000000",
        "maxLmtSz": contracts(market.max_qty, market),
        "maxMktAmt": "1000000" if spot else "",
        "maxMktSz": "1000000" if spot else contracts(market.max_qty, market),
        "maxStopSz": contracts(market.max_qty, market),
        "maxTriggerSz": "100000000",
        "maxTwapSz": "100000000",
        "minSz": contracts(market.min_qty, market),
        "optType": "",
        "quoteCcy": market.settle if spot else "",
        "ruleType": "normal",
        "settleCcy": "" if spot else market.settle,
        "state": "suspend" if halted else "live",
        "stk": "",
        "tickSz": text(market.tick),
        "uly": "" if spot else f"{market.base}-{market.settle}",
    }


def ticker_item(market: MarketSpec, engine: Engine, now_ms: int) -> dict[str, object]:
    """An element of /market/ticker and /market/tickers."""
    last, (bids, asks) = engine.prices[market.symbol], engine.book(market.symbol, 1)
    return {
        "instType": inst_type(market),
        "instId": market.native,
        "last": text(last),
        "lastSz": "1",
        "askPx": text(engine.ask(market.symbol)),
        "askSz": contracts(asks[0].qty, market),
        "bidPx": text(engine.bid(market.symbol)),
        "bidSz": contracts(bids[0].qty, market),
        "open24h": text(market.price),
        "high24h": text(max(last, market.price)),
        "low24h": text(min(last, market.price)),
        "volCcy24h": text(1000 * last) if market.is_spot else "1000",
        "vol24h": contracts(Decimal(1000), market),
        "ts": str(now_ms),
        "sodUtc0": text(market.price),
        "sodUtc8": text(market.price),
    }


def trade_item(fill: Fill, market: MarketSpec) -> dict[str, object]:
    """An element of /market/trades: the side is the taker's."""
    taker_buys = (fill.side.sign > 0) is not fill.is_maker
    return {
        "instId": market.native,
        "side": "buy" if taker_buys else "sell",
        "sz": contracts(fill.qty, market),
        "px": text(fill.price),
        "tradeId": fill.trade_id,
        "ts": str(fill.ts_ms),
        "source": "0",
        "seqId": fill.seq,
    }


def candle_row(candle: Candle, market: MarketSpec) -> list[str]:
    """Start, open, high, low, close; volume in contracts, base and quote coin, of spot base, quote and quote; state."""
    prices = (candle.open, candle.high, candle.low, candle.close)
    volumes = [contracts(candle.volume, market), text(candle.volume), text(candle.turnover)]
    if market.is_spot:
        volumes = [text(candle.volume), text(candle.turnover), text(candle.turnover)]
    return [str(candle.start_ms), *(text(p) for p in prices), *volumes, "1" if candle.is_closed else "0"]
