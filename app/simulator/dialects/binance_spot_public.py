"""Binance spot: what needs no key (markets, prices, book, candles), and the account's balances, fees and counts."""

import json
from collections.abc import Callable
from decimal import Decimal

from app.simulator.dialects.base import Call, Context, Dialect, NativeError, Route
from app.simulator.dialects.binance_bodies import amount
from app.simulator.dialects.binance_klines import kline_rows
from app.simulator.dialects.binance_params import need
from app.simulator.dialects.binance_spot_bodies import symbol_info
from app.simulator.dialects.wire import Answer, json_answer, page_size
from app.simulator.klines import DAY_MS
from app.simulator.model import ZERO
from app.simulator.spec import MarketSpec

MAX_DEPTH = 5_000
MAX_CANDLES = 1_000
INTERVALS = frozenset(["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w"])


class PublicApi:
    """The public and the account endpoints over one dialect's engine."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._engine = dialect.engine

    def routes(self) -> list[Route]:
        """GET endpoints; the account's are private."""
        table: tuple[tuple[str, Call, Callable[[Context], Answer], bool], ...] = (
            ("/api/v3/ping", Call.STATUS, lambda _: json_answer({}), False),
            ("/sapi/v1/system/status", Call.STATUS, self._status, False),
            ("/api/v3/time", Call.TIME, lambda ctx: json_answer({"serverTime": ctx.now_ms}), False),
            ("/api/v3/exchangeInfo", Call.MARKETS, self._info, False),
            ("/api/v3/ticker/24hr", Call.TICKER, lambda ctx: self._each(ctx, self._day), False),
            ("/api/v3/ticker/price", Call.TICKER, lambda ctx: self._each(ctx, self._last), False),
            ("/api/v3/ticker/bookTicker", Call.TICKER, lambda ctx: self._each(ctx, self._best), False),
            ("/api/v3/avgPrice", Call.TICKER, self._average, False),
            ("/api/v3/depth", Call.BOOK, self._depth, False),
            ("/api/v3/klines", Call.KLINES, self._klines, False),
            ("/api/v3/account", Call.BALANCE, self._account, True),
            ("/api/v3/account/commission", Call.ACCOUNT, self._commission, True),
            ("/api/v3/rateLimit/order", Call.ACCOUNT, self._counts, True),
        )
        return [Route(method="GET", path=path, call=call, handler=do, private=p) for path, call, do, p in table]

    # ---- public -----------------------------------------------------------------------------------------------------

    def _status(self, ctx: Context) -> Answer:
        """Nothing is announced here: only what goes on is told."""
        down = self._engine.venue.is_down(ctx.now_ms)
        return json_answer({"status": int(down), "msg": "system_maintenance" if down else "normal"})

    def _chosen(self, ctx: Context) -> list[MarketSpec]:
        raw = ctx.params.get("symbols")
        if ctx.params.get("symbol"):
            return [self._dialect.market_of(ctx.params["symbol"])]
        if not raw:
            return list(self._engine.markets.values())
        try:
            wanted = json.loads(raw)
        except ValueError:
            wanted = None
        if not isinstance(wanted, list):
            raise NativeError(-1100, "Illegal characters found in parameter 'symbols'.")
        return [self._dialect.market_of(str(w)) for w in wanted]

    def _info(self, ctx: Context) -> Answer:
        halted = self._engine.venue.suspended
        return json_answer(
            {
                "timezone": "UTC",
                "serverTime": ctx.now_ms,
                "rateLimits": RATE_LIMITS,
                "exchangeFilters": [],
                "symbols": [symbol_info(m, halted=m.symbol in halted) for m in self._chosen(ctx)],
                "sors": [],
            }
        )

    def _each(self, ctx: Context, one: Callable[[MarketSpec, int], dict[str, object]]) -> Answer:
        """One market's body when `symbol` is given, else a list."""
        found = [one(m, ctx.now_ms) for m in self._chosen(ctx)]
        return json_answer(found[0] if ctx.params.get("symbol") else found)

    def _day(self, market: MarketSpec, now_ms: int) -> dict[str, object]:
        price, best = amount(self._engine.prices[market.symbol]), self._best(market, now_ms)
        body: dict[str, object] = {
            "symbol": market.native,
            "priceChange": amount(ZERO),
            "priceChangePercent": "0.000",
            "weightedAvgPrice": price,
            "prevClosePrice": price,
            "lastPrice": price,
            "lastQty": amount(market.min_qty),
        }
        body |= {k: v for k, v in best.items() if k != "symbol"}
        return body | {
            "openPrice": price,
            "highPrice": price,
            "lowPrice": price,
            "volume": amount(ZERO),
            "quoteVolume": amount(ZERO),
            "openTime": now_ms - DAY_MS,
            "closeTime": now_ms,
            "firstId": -1,
            "lastId": -1,
            "count": 0,
        }

    def _last(self, market: MarketSpec, now_ms: int) -> dict[str, object]:
        return {"symbol": market.native, "price": amount(self._engine.prices[market.symbol])}

    def _best(self, market: MarketSpec, now_ms: int) -> dict[str, object]:
        bids, asks = self._engine.book(market.symbol, 1)
        return {
            "symbol": market.native,
            "bidPrice": amount(bids[0].price),
            "bidQty": amount(bids[0].qty),
            "askPrice": amount(asks[0].price),
            "askQty": amount(asks[0].qty),
        }

    def _average(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))
        return json_answer({"mins": 5, "price": amount(self._engine.prices[market.symbol]), "closeTime": ctx.now_ms})

    def _depth(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))
        bids, asks = self._engine.book(market.symbol, page_size(ctx.params.get("limit"), 100, MAX_DEPTH))
        return json_answer(
            {
                "lastUpdateId": ctx.now_ms,
                "bids": [[amount(level.price), amount(level.qty)] for level in bids],
                "asks": [[amount(level.price), amount(level.qty)] for level in asks],
            }
        )

    def _klines(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))
        return json_answer(kline_rows(ctx, self._engine.venue, market.symbol, MAX_CANDLES, amount))

    # ---- the account ------------------------------------------------------------------------------------------------

    def _account(self, ctx: Context) -> Answer:
        ledger, rules = self._engine.ledger, self._engine.rules
        balances = [
            {
                "asset": coin,
                "free": amount(held - ledger.locked.get(coin, ZERO)),
                "locked": amount(ledger.locked.get(coin, ZERO)),
            }
            for coin, held in ledger.balances.items()
            if held or ctx.params.get("omitZeroBalances") != "true"
        ]
        return json_answer(
            {
                "makerCommission": int(rules.spot_maker_fee * 10_000),
                "takerCommission": int(rules.spot_taker_fee * 10_000),
                "buyerCommission": 0,
                "sellerCommission": 0,
                "commissionRates": rates(rules.spot_maker_fee, rules.spot_taker_fee),
                "canTrade": True,
                "canWithdraw": False,
                "canDeposit": True,
                "brokered": False,
                "requireSelfTradePrevention": False,
                "preventSor": False,
                "updateTime": ctx.now_ms,
                "accountType": "SPOT",
                "balances": balances,
                "permissions": ["SPOT"],
                "uid": 354_937_868,
            }
        )

    def _commission(self, ctx: Context) -> Answer:
        market, rules = self._dialect.market_of(need(ctx, "symbol")), self._engine.rules
        return json_answer(
            {
                "symbol": market.native,
                "standardCommission": rates(rules.spot_maker_fee, rules.spot_taker_fee),
                "specialCommission": rates(ZERO, ZERO),
                "taxCommission": rates(ZERO, ZERO),
                "discount": {
                    "enabledForAccount": False,
                    "enabledForSymbol": False,
                    "discountAsset": "BNB",
                    "discount": "0.75000000",
                },
            }
        )

    def _counts(self, ctx: Context) -> Answer:
        """How many orders the account placed in each window."""
        at = [o.created_ms for o in self._engine.all_orders()]
        return json_answer(
            [
                limit | {"count": sum(1 for t in at if t // window == ctx.now_ms // window)}
                for limit, window in ((RATE_LIMITS[1], 10_000), (RATE_LIMITS[2], DAY_MS))
            ]
        )


RATE_LIMITS: list[dict[str, object]] = [
    {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": most}
    for kind, interval, count, most in (
        ("REQUEST_WEIGHT", "MINUTE", 1, 6_000),
        ("ORDERS", "SECOND", 10, 100),
        ("ORDERS", "DAY", 1, 200_000),
        ("RAW_REQUESTS", "MINUTE", 5, 61_000),
    )
]
"""What exchangeInfo tells of the limits."""


def rates(maker: Decimal, taker: Decimal) -> dict[str, str]:
    """Fees as shares of the notional."""
    return {"maker": amount(maker), "taker": amount(taker), "buyer": amount(ZERO), "seller": amount(ZERO)}
