"""OKX V5's public data: time, status, announcements, instruments, tickers, book, klines, trades."""

from itertools import islice

from app.simulator.dialects.base import Context, NativeError
from app.simulator.dialects.okx_gateway import OkxGateway
from app.simulator.dialects.okx_market_shapes import candle_row, instrument_item, ticker_item, trade_item
from app.simulator.dialects.okx_shapes import contracts, inst_type
from app.simulator.dialects.wire import Answer, int_or_none, page_size
from app.simulator.klines import DAY_MS, MONDAY_MS, SINCE_MS, WEEK_MS, Bar, Candle, candles
from app.simulator.model import text
from app.simulator.spec import MarketSpec

_HONG_KONG_MS = -8 * 3_600_000
"""Bars of six hours and longer begin at midnight in UTC+8, unless their name ends in utc."""
_LONG = {
    **{f"{n}H": (n * 3_600_000, 0) for n in (6, 12)},
    **{f"{n}D": (n * DAY_MS, 0) for n in (1, 2, 3)},
    "1W": (WEEK_MS, MONDAY_MS),
    "1M": (0, 0),
}
BARS = (
    {f"{n}m": Bar(width_ms=n * 60_000) for n in (1, 3, 5, 15, 30)}
    | {f"{n}H": Bar(width_ms=n * 3_600_000) for n in (1, 2, 4)}
    | {name: Bar(width_ms=width, offset_ms=offset + _HONG_KONG_MS) for name, (width, offset) in _LONG.items()}
    | {f"{name}utc": Bar(width_ms=width, offset_ms=offset) for name, (width, offset) in _LONG.items()}
)
"""Intervals of klines."""
INST_TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION")


class OkxPublic(OkxGateway):
    """What needs no key."""

    def inst_type(self, ctx: Context, *, needed: bool = False) -> str | None:
        """The instType asked for. Refuses what is none, and a missing one where it is needed."""
        found = ctx.params.get("instType") or None
        if (found is None and needed) or (found is not None and found not in INST_TYPES):
            raise NativeError("51000", "Parameter instType error", status=400)
        return found

    def listed(self, ctx: Context, *, needed: bool = False) -> list[MarketSpec]:
        """The markets of the instType, instId, uly and instFamily asked for."""
        kind, native = self.inst_type(ctx, needed=needed), ctx.params.get("instId")
        family = ctx.params.get("instFamily") or ctx.params.get("uly")
        found = [self.market_of(native)] if native else list(self.engine.markets.values())
        return [
            m
            for m in found
            if (kind is None or inst_type(m) == kind)
            and (not family or (not m.is_spot and family == f"{m.base}-{m.settle}"))
        ]

    def _time(self, ctx: Context) -> Answer:
        return self.ok([{"ts": str(ctx.now_ms)}])

    def _status(self, ctx: Context) -> Answer:
        """Of a maintenance that is over nothing is told unless it is asked for, as documented."""
        down, asked = self.engine.venue.maintenance, ctx.params.get("state")
        state = None if down is None else down.state(ctx.now_ms)
        if down is None or (state != asked if asked else state == "completed"):
            return self.ok([])
        entry = {
            "title": down.words,
            "state": state,
            "begin": str(down.begin_ms),
            "end": "" if down.end_ms is None else str(down.end_ms),
            "preOpenBegin": "",
            "href": "",
            "serviceType": "5",
            "system": "unified",
            "scheDesc": "",
            "maintType": "1",
            "env": "1",
        }
        return self.ok([entry])

    def _announcements(self, ctx: Context) -> Answer:
        """A maintenance is announced before it begins and while it goes on; nothing else ever is."""
        down = self.engine.venue.told_maintenance(ctx.now_ms)
        if down is None:
            return self.ok([{"totalPage": "1", "details": []}])
        begins, now = str(down.begin_ms), str(ctx.now_ms)
        entry = {"annType": "announcements-api", "businessPTime": begins, "pTime": now, "title": down.words, "url": ""}
        return self.ok([{"totalPage": "1", "details": [entry]}])

    def _instruments(self, ctx: Context) -> Answer:
        """A halted market stays in the list, with the state suspend."""
        halted = self.engine.venue.suspended
        return self.ok([instrument_item(m, halted=m.symbol in halted) for m in self.listed(ctx, needed=True)])

    def _ticker(self, ctx: Context) -> Answer:
        return self.ok([ticker_item(self.market_of(ctx.params.get("instId")), self.engine, ctx.now_ms)])

    def _tickers(self, ctx: Context) -> Answer:
        return self.ok([ticker_item(m, self.engine, ctx.now_ms) for m in self.listed(ctx, needed=True)])

    def _books(self, ctx: Context) -> Answer:
        market = self.market_of(ctx.params.get("instId"))
        bids, asks = self.engine.book(market.symbol, page_size(ctx.params.get("sz"), 1, 50))
        return self.ok(
            [
                {
                    "asks": [[text(level.price), contracts(level.qty, market), "0", "1"] for level in asks],
                    "bids": [[text(level.price), contracts(level.qty, market), "0", "1"] for level in bids],
                    "ts": str(ctx.now_ms),
                    "seqId": ctx.now_ms,
                }
            ]
        )

    def _mark_price(self, ctx: Context) -> Answer:
        now = str(ctx.now_ms)
        return self.ok(
            [
                {"instId": m.native, "instType": inst_type(m), "markPx": text(self.engine.mark(m.symbol)), "ts": now}
                for m in self.listed(ctx)
                if not m.is_spot
            ]
        )

    def _candles(self, ctx: Context) -> Answer:
        """Newest first, older than `after` and newer than `before`; 100 unless asked for up to 300."""
        market = self.market_of(ctx.params.get("instId"))
        return self.ok([candle_row(c, market) for c in self._cut(ctx, market, 300)])

    def _price_candles(self, ctx: Context) -> Answer:
        """Of the mark and the index price, which here follow the last price: no volumes. By family of an index."""
        native = ctx.params.get("instId")
        market = next((m for m in self.engine.markets.values() if native in (m.native, f"{m.base}-{m.settle}")), None)
        market = market if market is not None else self.market_of(native)
        rows = [candle_row(c, market) for c in self._cut(ctx, market, 100)]
        return self.ok([[*row[:5], row[-1]] for row in rows])

    def _cut(self, ctx: Context, market: MarketSpec, most: int) -> list[Candle]:
        bar = BARS.get(ctx.params.get("bar") or "1m")
        if bar is None:
            raise NativeError("51000", "Parameter bar error", status=400)
        after, before = int_or_none(ctx.params.get("after")), int_or_none(ctx.params.get("before"))
        return candles(
            self.engine.venue,
            market.symbol,
            bar,
            ctx.now_ms,
            from_ms=SINCE_MS if before is None else before + 1,
            to_ms=ctx.now_ms if after is None else after - 1,
            limit=page_size(ctx.params.get("limit"), 100, most),
        )

    def _trades(self, ctx: Context) -> Answer:
        """What was executed on the market, by anybody."""
        market = self.market_of(ctx.params.get("instId"))
        every = (f for a in self.engine.venue.accounts.values() for f in a.fills if f.symbol == market.symbol)
        newest = sorted(every, key=lambda f: f.seq, reverse=True)
        return self.ok([trade_item(f, market) for f in islice(newest, page_size(ctx.params.get("limit"), 100, 500))])
