"""Binance klines, spot and futures alike: the same rows under either path."""

from collections.abc import Callable
from decimal import Decimal

from app.simulator.dialects.base import Context, NativeError
from app.simulator.dialects.binance_params import need
from app.simulator.dialects.wire import int_or_none, page_size
from app.simulator.klines import DAY_MS, MONDAY_MS, SINCE_MS, WEEK_MS, Bar, candles
from app.simulator.venue import Venue

_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
BARS: dict[str, Bar] = {
    **{f"{n}m": Bar(width_ms=n * _MINUTE_MS) for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": Bar(width_ms=n * _HOUR_MS) for n in (1, 2, 4, 6, 8, 12)},
    **{f"{n}d": Bar(width_ms=n * DAY_MS) for n in (1, 3)},
    "1w": Bar(width_ms=WEEK_MS, offset_ms=MONDAY_MS),
    "1M": Bar(width_ms=0),
}
"""Intervals of klines."""


def kline_rows(
    ctx: Context, venue: Venue, symbol: str, most: int, write: Callable[[Decimal], str]
) -> list[list[object]]:
    """The rows of GET klines, oldest first: from `startTime` on, else the newest; at most `limit`."""
    bar = BARS.get(need(ctx, "interval"))
    if bar is None:
        raise NativeError(-1120, "Invalid interval.")
    limit = page_size(ctx.params.get("limit"), 500, most)
    start, end = int_or_none(ctx.params.get("startTime")), int_or_none(ctx.params.get("endTime"))
    last = ctx.now_ms if end is None else end
    if start is not None:
        furthest = bar.start(start)
        for _ in range(limit):
            furthest = bar.after(furthest)
        last = min(last, furthest if bar.start(start) != start else furthest - 1)
    from_ms = SINCE_MS if start is None else start
    found = candles(venue, symbol, bar, ctx.now_ms, from_ms=from_ms, to_ms=last, limit=limit)
    return [
        [
            c.start_ms,
            *(write(p) for p in (c.open, c.high, c.low, c.close, c.volume)),
            bar.after(c.start_ms) - 1,
            write(c.turnover),
            int(c.volume > 0),
            write(c.volume),
            write(c.turnover),
            "0",
        ]
        for c in reversed(found)
    ]
