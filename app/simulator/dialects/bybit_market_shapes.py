"""How Bybit V5 writes markets, tickers and public trades."""

from decimal import Decimal

from app.simulator.engine import Engine
from app.simulator.model import Fill, text
from app.simulator.spec import MarketSpec


def instrument_item(market: MarketSpec, *, halted: bool = False) -> dict[str, object]:
    """An element of /v5/market/instruments-info, linear."""
    return {
        "symbol": market.native,
        "contractType": "LinearPerpetual",
        "status": "Closed" if halted else "Trading",
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
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.15"},
        "displayName": "",
        "symbolType": "",
    }


def spot_item(market: MarketSpec, *, halted: bool = False) -> dict[str, object]:
    """An element of /v5/market/instruments-info, spot."""
    return {
        "symbol": market.native,
        "baseCoin": market.base,
        "quoteCoin": market.settle,
        "innovation": "0",
        "status": "Closed" if halted else "Trading",
        "marginTrading": "none",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": text(market.step),
            "quotePrecision": "0.0000001",
            "minOrderQty": text(market.min_qty),
            "maxOrderQty": text(market.max_qty),
            "minOrderAmt": text(market.min_notional),
            "maxOrderAmt": "4000000",
            "maxLimitOrderQty": text(market.max_qty),
            "maxMarketOrderQty": text(market.max_qty),
            "postOnlyMaxLimitOrderSize": text(market.max_qty),
        },
        "priceFilter": {"tickSize": text(market.tick)},
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.05"},
        "symbolType": "",
    }


def spot_ticker(market: MarketSpec, engine: Engine) -> dict[str, object]:
    """An element of /v5/market/tickers, spot."""
    last, (bids, asks) = engine.prices[market.symbol], engine.book(market.symbol, 1)
    return {
        "symbol": market.native,
        "bid1Price": text(bids[0].price),
        "bid1Size": text(bids[0].qty),
        "ask1Price": text(asks[0].price),
        "ask1Size": text(asks[0].qty),
        "lastPrice": text(last),
        "prevPrice24h": text(market.price),
        "price24hPcnt": text(round((last - market.price) / market.price, 6)),
        "highPrice24h": text(max(last, market.price)),
        "lowPrice24h": text(min(last, market.price)),
        "turnover24h": text(1000 * last),
        "volume24h": "1000",
        "usdIndexPrice": text(last),
    }


def swap_ticker(market: MarketSpec, engine: Engine) -> dict[str, object]:
    """An element of /v5/market/tickers, linear. Without openInterestValue a client takes it for spot."""
    last = engine.prices[market.symbol]
    item = spot_ticker(market, engine)
    del item["usdIndexPrice"]
    return {
        **item,
        "indexPrice": text(last),
        "markPrice": text(engine.mark(market.symbol)),
        "prevPrice1h": text(market.price),
        "openInterest": "1000",
        "openInterestValue": text(1000 * last),
        "fundingRate": "0.0001",
        "nextFundingTime": "0",
        "fundingIntervalHour": "8",
        "fundingCap": "0.005",
        "predictedDeliveryPrice": "",
        "basisRate": "",
        "basis": "",
        "deliveryFeeRate": "",
        "deliveryTime": "0",
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
        "basisRateYear": "",
    }


def trade_item(fill: Fill, market: MarketSpec) -> dict[str, object]:
    """An element of /v5/market/recent-trade: the side is the taker's."""
    taker_buys = (fill.side.sign > 0) is not fill.is_maker
    return {
        "execId": fill.trade_id,
        "symbol": market.native,
        "price": text(fill.price),
        "size": text(fill.qty),
        "side": "Buy" if taker_buys else "Sell",
        "time": str(fill.ts_ms),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(fill.seq),
    }


def coin_value(coin: str, amount: Decimal, engine: Engine) -> Decimal:
    """What an amount of a coin is worth in the settlement coin, by its spot market; nothing where there is none."""
    if coin == engine.ledger.settle:
        return amount
    for market in engine.markets.values():
        if market.is_spot and market.base == coin:
            return amount * engine.prices[market.symbol]
    return Decimal(0)
