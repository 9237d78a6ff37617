"""Bybit V5's public data: markets, time, status, announcements, tickers, book, klines, trades."""

from itertools import islice

from app.simulator.dialects.base import Context, NativeError
from app.simulator.dialects.bybit_gateway import BybitGateway
from app.simulator.dialects.bybit_market_shapes import instrument_item, spot_item, spot_ticker, swap_ticker, trade_item
from app.simulator.dialects.wire import Answer, int_or_none, page_size
from app.simulator.klines import MONDAY_MS, SINCE_MS, WEEK_MS, Bar, candles
from app.simulator.model import Fill, text
from app.simulator.spec import MarketKind, MarketSpec

BARS = {str(n): Bar(width_ms=n * 60_000) for n in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)} | {
    "D": Bar(width_ms=86_400_000),
    "W": Bar(width_ms=WEEK_MS, offset_ms=MONDAY_MS),
    "M": Bar(width_ms=0),
}
"""Intervals of klines."""


class BybitPublic(BybitGateway):
    """What needs no key."""

    def _instruments(self, ctx: Context) -> Answer:
        """A halted market is told with another status than Trading, so that the usual list leaves it out."""
        kind, native = self.kind(ctx), ctx.params.get("symbol")
        wanted, base = ctx.params.get("status") or "Trading", ctx.params.get("baseCoin")
        halted = self.engine.venue.suspended
        items = [
            spot_item(m, halted=m.symbol in halted) if m.is_spot else instrument_item(m, halted=m.symbol in halted)
            for m in self.engine.markets.values()
            if m.kind is kind and (not native or m.native == native) and (not base or m.base == base)
        ]
        items = [i for i in items if native or i["status"] == wanted]
        limit, start = page_size(ctx.params.get("limit"), 500, 1000), int_or_none(ctx.params.get("cursor")) or 0
        page = items[start : start + limit]
        cursor = str(start + limit) if kind is MarketKind.SWAP and start + limit < len(items) else ""
        answer = {"category": ctx.params["category"], "list": page}
        return self.ok(ctx, answer if kind is MarketKind.SPOT else {**answer, "nextPageCursor": cursor})

    def _time(self, ctx: Context) -> Answer:
        return self.ok(ctx, {"timeSecond": str(ctx.now_ms // 1000), "timeNano": str(ctx.now_ms * 1_000_000)})

    def _status(self, ctx: Context) -> Answer:
        down = self.engine.venue.maintenance
        if down is None or ctx.params.get("state", down.state(ctx.now_ms)) != down.state(ctx.now_ms):
            return self.ok(ctx, {"list": []})
        entry = {
            "id": "1",
            "title": down.words,
            "state": down.state(ctx.now_ms),
            "begin": str(down.begin_ms),
            "end": "" if down.end_ms is None else str(down.end_ms),
            "href": "",
            "serviceTypes": [1, 2, 3, 4, 5],
            "product": [1, 2, 3, 4],
            "uidSuffix": [],
            "maintainType": 1,
            "env": 1,
        }
        return self.ok(ctx, {"list": [entry]})

    def _announcements(self, ctx: Context) -> Answer:
        """A maintenance is announced before it begins and while it goes on; nothing else ever is."""
        down = self.engine.venue.told_maintenance(ctx.now_ms)
        if down is None:
            return self.ok(ctx, {"total": 0, "list": []})
        entry = {
            "title": down.words,
            "description": down.words,
            "type": {"title": "Maintenance updates", "key": "maintenance_updates"},
            "tags": ["System Maintenance"],
            "url": "",
            "dateTimestamp": ctx.now_ms,
            "startDateTimestamp": down.begin_ms,
            "endDateTimestamp": down.begin_ms if down.end_ms is None else down.end_ms,
            "publishTime": ctx.now_ms,
        }
        return self.ok(ctx, {"total": 1, "list": [entry]})

    def _tickers(self, ctx: Context) -> Answer:
        kind = self.kind(ctx)
        found = (
            [self.market(ctx)]
            if ctx.params.get("symbol")
            else [m for m in self.engine.markets.values() if m.kind is kind]
        )
        items = [spot_ticker(m, self.engine) if m.is_spot else swap_ticker(m, self.engine) for m in found]
        return self.ok(ctx, {"category": ctx.params["category"], "list": items})

    def _orderbook(self, ctx: Context) -> Answer:
        market = self.market(ctx)
        bids, asks = self.engine.book(
            market.symbol, page_size(ctx.params.get("limit"), 1 if market.is_spot else 25, 50)
        )
        return self.ok(
            ctx,
            {
                "s": market.native,
                "b": [[text(level.price), text(level.qty)] for level in bids],
                "a": [[text(level.price), text(level.qty)] for level in asks],
                "ts": ctx.now_ms,
                "u": ctx.now_ms,
                "seq": ctx.now_ms,
                "cts": ctx.now_ms,
            },
        )

    def _kline(self, ctx: Context) -> Answer:
        """Newest first: start, open, high, low, close, base volume, turnover; 200 unless asked for up to 1000."""
        return self._klines(ctx, 7)

    def _price_kline(self, ctx: Context) -> Answer:
        """Of the mark and the index price, which here follow the last price: no volume."""
        return self._klines(ctx, 5)

    def _klines(self, ctx: Context, columns: int) -> Answer:
        market, bar = self.market(ctx), BARS.get(ctx.params.get("interval", ""))
        if bar is None:
            raise NativeError(10001, "params error: interval invalid")
        limit = page_size(ctx.params.get("limit"), 200, 1000)
        start, end = int_or_none(ctx.params.get("start")), int_or_none(ctx.params.get("end"))
        if start is not None and end is None:
            end = bar.start(min(max(start, SINCE_MS), ctx.now_ms))
            for _ in range(limit - 1):
                end = bar.after(end)
        found = candles(
            self.engine.venue,
            market.symbol,
            bar,
            ctx.now_ms,
            from_ms=SINCE_MS if start is None else start,
            to_ms=ctx.now_ms if end is None else end,
            limit=limit,
        )
        rows = [
            [str(c.start_ms), *(text(p) for p in (c.open, c.high, c.low, c.close, c.volume, c.turnover))][:columns]
            for c in found
        ]
        return self.ok(ctx, {"category": ctx.params["category"], "symbol": market.native, "list": rows})

    def _recent_trades(self, ctx: Context) -> Answer:
        """What was executed on the market, by anybody."""
        market = self.market(ctx)
        limit = page_size(ctx.params.get("limit"), 60 if market.is_spot else 500, 60 if market.is_spot else 1000)
        items = [trade_item(f, market) for f in islice(self._public_fills(market), limit)]
        return self.ok(ctx, {"category": ctx.params["category"], "list": items})

    def _public_fills(self, market: MarketSpec) -> list[Fill]:
        every = (f for a in self.engine.venue.accounts.values() for f in a.fills if f.symbol == market.symbol)
        return sorted(every, key=lambda f: f.seq, reverse=True)
