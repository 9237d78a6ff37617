"""Kraken spot: what needs no key (pairs, prices, book, candles, time, status), and balances and fees."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from app.simulator.dialects.base import Call, Context, Dialect, Route
from app.simulator.dialects.kraken_spot_bodies import LOT_DECIMALS, fixed, pair_body, priced, ticker_body
from app.simulator.dialects.kraken_spot_orders import iso, ok
from app.simulator.dialects.kraken_spot_params import asset, decimals, invalid, names, need, seconds_ms
from app.simulator.dialects.wire import Answer, int_or_none, page_size
from app.simulator.klines import MONDAY_MS, WEEK_MS, Bar, candles
from app.simulator.model import ZERO
from app.simulator.spec import MarketSpec

INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
"""Minutes of a candle."""
MAX_CANDLES = 720
_TICKET = 4


class AccountApi:
    """The public and the account endpoints over one dialect's engine."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._engine = dialect.engine

    def routes(self) -> list[Route]:
        """Market data by GET, the account by POST; python clients ask public endpoints by either."""
        public: tuple[tuple[str, Call, Callable[[Context], Answer]], ...] = (
            ("Time", Call.TIME, self._time),
            ("SystemStatus", Call.STATUS, self._status),
            ("Assets", Call.MARKETS, self._assets),
            ("AssetPairs", Call.MARKETS, self._pairs),
            ("Ticker", Call.TICKER, self._ticker),
            ("Depth", Call.BOOK, self._depth),
            ("OHLC", Call.KLINES, self._ohlc),
        )
        private: tuple[tuple[str, Call, Callable[[Context], Answer]], ...] = (
            ("Balance", Call.BALANCE, self._balance),
            ("BalanceEx", Call.BALANCE, self._balance_ex),
            ("TradeBalance", Call.BALANCE, self._trade_balance),
            ("TradeVolume", Call.OTHER, self._volume),
        )
        return [
            *(
                Route(method=m, path=f"/0/public/{name}", call=call, handler=do, private=False)
                for name, call, do in public
                for m in ("GET", "POST")
            ),
            *(Route(method="POST", path=f"/0/private/{name}", call=call, handler=do) for name, call, do in private),
        ]

    # ---- public -----------------------------------------------------------------------------------------------------

    def _time(self, ctx: Context) -> Answer:
        at = datetime.fromtimestamp(ctx.now_ms // 1000, UTC)
        return ok({"unixtime": ctx.now_ms // 1000, "rfc1123": at.strftime("%a, %d %b %y %H:%M:%S +0000")})

    def _status(self, ctx: Context) -> Answer:
        """Nothing is announced here: only what goes on is told."""
        down = self._engine.venue.is_down(ctx.now_ms)
        return ok({"status": "maintenance" if down else "online", "timestamp": iso(ctx.now_ms)})

    def _assets(self, ctx: Context) -> Answer:
        coins = dict.fromkeys(c for m in self._engine.markets.values() for c in (m.base, m.settle))
        wanted = names(ctx.params.get("asset"))
        return ok(
            {
                asset(coin): {
                    "aclass": "currency",
                    "altname": "XBT" if coin == "BTC" else coin,
                    "decimals": _TICKET if coin == "USD" else 10,
                    "display_decimals": 2 if coin == "USD" else 5,
                    "status": "enabled",
                }
                for coin in coins
                if not wanted or coin in wanted or asset(coin) in wanted or (coin == "BTC" and "XBT" in wanted)
            }
        )

    def _chosen(self, ctx: Context) -> list[MarketSpec]:
        wanted = names(ctx.params.get("pair"))
        return [self._dialect.market_of(w) for w in wanted] if wanted else list(self._engine.markets.values())

    def _pairs(self, ctx: Context) -> Answer:
        rules, halted = self._engine.rules, self._engine.venue.suspended
        return ok({m.native: pair_body(m, rules, online=m.symbol not in halted) for m in self._chosen(ctx)})

    def _ticker(self, ctx: Context) -> Answer:
        return ok({m.native: ticker_body(m, self._engine) for m in self._chosen(ctx)})

    def _depth(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx.params, "pair"))
        bids, asks = self._engine.book(market.symbol, page_size(ctx.params.get("count"), 100, 500))
        at = ctx.now_ms // 1000
        return ok(
            {
                market.native: {
                    side: [[priced(market, level.price), fixed(level.qty, 3), at] for level in levels]
                    for side, levels in (("asks", asks), ("bids", bids))
                }
            }
        )

    def _ohlc(self, ctx: Context) -> Answer:
        """At most 720, whatever `since` says; `last` is the newest that is closed."""
        market = self._dialect.market_of(need(ctx.params, "pair"))
        minutes = int_or_none(ctx.params.get("interval", "1"))
        if minutes not in INTERVALS:
            raise invalid("interval")
        since_ms = seconds_ms(ctx.params, "since")
        width_ms = minutes * 60_000
        bar = Bar(width_ms=width_ms, offset_ms=MONDAY_MS if width_ms == WEEK_MS else 0)
        found = candles(
            self._engine.venue,
            market.symbol,
            bar,
            ctx.now_ms,
            from_ms=0 if since_ms is None else since_ms + 1,
            to_ms=ctx.now_ms,
            limit=MAX_CANDLES,
        )
        rows = [
            [
                c.start_ms // 1000,
                *(priced(market, p) for p in (c.open, c.high, c.low, c.close)),
                priced(market, c.turnover / c.volume if c.volume else ZERO),
                fixed(c.volume, LOT_DECIMALS),
                int(c.volume > 0),
            ]
            for c in reversed(found)
        ]
        return ok({market.native: rows, "last": bar.before(bar.start(ctx.now_ms)) // 1000})

    # ---- the account ------------------------------------------------------------------------------------------------

    def _coins(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Coin → (balance, of that locked by orders)."""
        ledger = self._engine.ledger
        return {coin: (amount, ledger.locked.get(coin, ZERO)) for coin, amount in ledger.balances.items()}

    def _balance(self, ctx: Context) -> Answer:
        return ok({asset(coin): fixed(amount, 10) for coin, (amount, _) in self._coins().items()})

    def _balance_ex(self, ctx: Context) -> Answer:
        return ok(
            {
                asset(coin): {"balance": fixed(amount, 10), "hold_trade": fixed(locked, 10)}
                for coin, (amount, locked) in self._coins().items()
            }
        )

    def _trade_balance(self, ctx: Context) -> Answer:
        """Everything in dollars, at the prices of now; there is no margin."""
        prices = {m.base: self._engine.prices[m.symbol] for m in self._engine.markets.values()}
        total = sum((amount * prices.get(coin, Decimal(1)) for coin, (amount, _) in self._coins().items()), ZERO)
        worth, none = fixed(total, 4), fixed(ZERO, 4)
        return ok({"eb": worth, "tb": worth, "m": none, "n": none, "c": none, "v": none, "e": worth, "mf": worth})

    def _volume(self, ctx: Context) -> Answer:
        rules = self._engine.rules

        def fees(rate: Decimal) -> dict[str, object]:
            percent = fixed(rate * 100, 4)
            return {
                m.native: {
                    "fee": percent,
                    "minfee": percent,
                    "maxfee": percent,
                    "nextfee": None,
                    "tiervolume": "0.0000",
                    "nextvolume": None,
                }
                for m in (self._chosen(ctx) if ctx.params.get("pair") else [])
            }

        volume = sum((f.qty * f.price for f in self._engine.fills), ZERO)
        return ok(
            {
                "currency": "ZUSD",
                "volume": fixed(volume, decimals(Decimal("0.0001"))),
                "fees": fees(rules.spot_taker_fee),
                "fees_maker": fees(rules.spot_maker_fee),
            }
        )
