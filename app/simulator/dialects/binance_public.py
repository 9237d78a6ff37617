"""Binance USDⓈ-M futures: endpoints that need no key (markets, time, status, prices, book)."""

from collections.abc import Callable, Sequence
from decimal import Decimal

from app.simulator.dialects.base import Call, Context, Dialect, NativeError, Route
from app.simulator.dialects.binance_bodies import PRECISION, amount, fixed, symbol_info
from app.simulator.dialects.binance_klines import kline_rows
from app.simulator.dialects.binance_params import need
from app.simulator.dialects.wire import Answer, int_or_none, json_answer
from app.simulator.model import ZERO
from app.simulator.spec import MarketSpec

DEPTH_LEVELS = 20
"""Levels shown at most on each side, one tick apart: the simulated book is a price with a spread, not a queue."""
MAX_KLINES = 1_500
DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1000)


class PublicApi:
    """The public endpoints over one dialect's engine."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._engine = dialect.engine

    def routes(self) -> Sequence[Route]:
        """GET endpoints; none is private."""
        table: tuple[tuple[str, Call, Callable[[Context], Answer]], ...] = (
            ("/fapi/v1/ping", Call.STATUS, lambda _: json_answer({})),
            ("/sapi/v1/system/status", Call.STATUS, self._status),
            ("/fapi/v1/time", Call.TIME, lambda ctx: json_answer({"serverTime": ctx.now_ms})),
            ("/fapi/v1/exchangeInfo", Call.MARKETS, self._info),
            ("/fapi/v1/ticker/24hr", Call.TICKER, lambda ctx: self._each(ctx, self._day)),
            ("/fapi/v1/ticker/price", Call.TICKER, lambda ctx: self._each(ctx, self._last)),
            ("/fapi/v1/ticker/bookTicker", Call.TICKER, lambda ctx: self._each(ctx, self._best)),
            ("/fapi/v1/premiumIndex", Call.TICKER, lambda ctx: self._each(ctx, self._mark)),
            ("/fapi/v2/ticker/price", Call.TICKER, lambda ctx: self._each(ctx, self._last)),
            ("/fapi/v1/depth", Call.BOOK, self._depth),
            ("/fapi/v1/klines", Call.KLINES, self._klines),
            ("/fapi/v1/openInterest", Call.TICKER, self._open_interest),
        )
        return [Route(method="GET", path=path, call=call, handler=do, private=False) for path, call, do in table]

    def _status(self, ctx: Context) -> Answer:
        """Nothing is announced here: only what goes on is told."""
        down = self._engine.venue.is_down(ctx.now_ms)
        return json_answer({"status": int(down), "msg": "system_maintenance" if down else "normal"})

    def _info(self, ctx: Context) -> Answer:
        return json_answer(
            {
                "timezone": "UTC",
                "serverTime": ctx.now_ms,
                "futuresType": "U_MARGINED",
                "rateLimits": [
                    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
                    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
                    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
                ],
                "exchangeFilters": [],
                "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
                "symbols": [
                    symbol_info(m, halted=m.symbol in self._engine.venue.suspended)
                    for m in self._engine.markets.values()
                ],
            }
        )

    def _each(self, ctx: Context, one: Callable[[MarketSpec, int], dict[str, object]]) -> Answer:
        """One market's body when `symbol` is given, else a list of all."""
        if ctx.params.get("symbol"):
            return json_answer(one(self._dialect.market_of(ctx.params["symbol"]), ctx.now_ms))
        return json_answer([one(m, ctx.now_ms) for m in self._engine.markets.values()])

    def _price(self, market: MarketSpec, price: Decimal) -> str:
        return fixed(price, PRECISION[market.native][0])

    def _day(self, market: MarketSpec, now_ms: int) -> dict[str, object]:
        price = self._price(market, self._engine.prices[market.symbol])
        return {
            "symbol": market.native,
            "priceChange": self._price(market, ZERO),
            "priceChangePercent": "0.000",
            "weightedAvgPrice": price,
            "lastPrice": price,
            "lastQty": fixed(market.min_qty, PRECISION[market.native][1]),
            "openPrice": price,
            "highPrice": price,
            "lowPrice": price,
            "volume": fixed(ZERO, PRECISION[market.native][1]),
            "quoteVolume": "0.00",
            "openTime": now_ms - 86_400_000,
            "closeTime": now_ms,
            "firstId": 1,
            "lastId": 1,
            "count": 1,
        }

    def _last(self, market: MarketSpec, now_ms: int) -> dict[str, object]:
        price = self._price(market, self._engine.prices[market.symbol])
        return {"symbol": market.native, "price": price, "time": now_ms}

    def _best(self, market: MarketSpec, now_ms: int) -> dict[str, object]:
        bids, asks = self._engine.book(market.symbol, 1)
        places = PRECISION[market.native][1]
        return {
            "symbol": market.native,
            "bidPrice": self._price(market, self._engine.bid(market.symbol)),
            "bidQty": fixed(bids[0].qty, places),
            "askPrice": self._price(market, self._engine.ask(market.symbol)),
            "askQty": fixed(asks[0].qty, places),
            "time": now_ms,
            "lastUpdateId": now_ms,
        }

    def _mark(self, market: MarketSpec, now_ms: int) -> dict[str, object]:
        price = amount(self._engine.prices[market.symbol])
        return {
            "symbol": market.native,
            "markPrice": amount(self._engine.mark(market.symbol)),
            "indexPrice": price,
            "estimatedSettlePrice": price,
            "lastFundingRate": "0.00010000",
            "interestRate": "0.00010000",
            "nextFundingTime": now_ms - now_ms % 28_800_000 + 28_800_000,
            "time": now_ms,
        }

    def _klines(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))

        def write(value: Decimal) -> str:
            return self._price(market, value)

        return json_answer(kline_rows(ctx, self._engine.venue, market.symbol, MAX_KLINES, write))

    def _open_interest(self, ctx: Context) -> Answer:
        """What all accounts hold; nobody else is there."""
        market = self._dialect.market_of(need(ctx, "symbol"))
        held = abs(self._engine.ledger.position(market.symbol).qty)
        qty = fixed(held, PRECISION[market.native][1])
        return json_answer({"symbol": market.native, "openInterest": qty, "time": ctx.now_ms})

    def _depth(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))
        limit = int_or_none(ctx.params.get("limit", "500"))
        if limit not in DEPTH_LIMITS:
            raise NativeError(-4021, f"{ctx.params.get('limit')} is not valid depth limit.")
        bids, asks = self._engine.book(market.symbol, min(limit, DEPTH_LEVELS))
        places = PRECISION[market.native][1]
        return json_answer(
            {
                "lastUpdateId": ctx.now_ms,
                "E": ctx.now_ms,
                "T": ctx.now_ms,
                "bids": [[self._price(market, level.price), fixed(level.qty, places)] for level in bids],
                "asks": [[self._price(market, level.price), fixed(level.qty, places)] for level in asks],
            }
        )
