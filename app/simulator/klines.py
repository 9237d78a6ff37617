"""Klines of a simulated market, from what really happened: the moves of its reference price, and the fills.

Nothing is invented: before the first move a market stood at its first price, and where nothing was traded the volume is
zero. Pure. The moves are remembered in memory alone: after a restart a market is told to have stood where it stands.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from attrs import frozen

from app.simulator.model import ZERO
from app.simulator.venue import Venue

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
MONDAY_MS = 4 * DAY_MS
"""The first Monday of Unix time: weeks begin there."""
SINCE_MS = 1_585_526_400_000
"""There are no klines from before it: the launch of the markets."""


@frozen(kw_only=True)
class Bar:
    """How klines are cut. `width_ms` 0: calendar months. `offset_ms`: where a width begins, from the Unix epoch."""

    width_ms: int
    offset_ms: int = 0

    def start(self, at_ms: int) -> int:
        """When the kline that holds `at_ms` began, Unix ms."""
        if self.width_ms:
            return at_ms - (at_ms - self.offset_ms) % self.width_ms
        return self._month(at_ms - self.offset_ms) + self.offset_ms

    def before(self, start_ms: int) -> int:
        """When the kline before the one that began at `start_ms` began."""
        return self.start(start_ms - 1)

    def after(self, start_ms: int) -> int:
        """When the next one begins."""
        return start_ms + self.width_ms if self.width_ms else self.start(start_ms + 32 * DAY_MS)

    @staticmethod
    def _month(at_ms: int) -> int:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
        return round(moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)


@frozen(kw_only=True)
class Candle:
    """One kline: prices, base coin traded, quote coin traded; `is_closed` False while it goes on."""

    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal
    is_closed: bool


def candles(venue: Venue, symbol: str, bar: Bar, now_ms: int, *, from_ms: int, to_ms: int, limit: int) -> list[Candle]:
    """The newest `limit` klines that began from `from_ms` to `to_ms`, newest first."""
    if min(to_ms, now_ms) < SINCE_MS:
        return []
    starts = list(_starts(bar, max(from_ms, SINCE_MS), min(to_ms, now_ms), limit))
    if not starts:
        return []
    moves = venue.moves[symbol]
    times = [m.ts_ms for m in moves]
    volumes: dict[int, tuple[Decimal, Decimal]] = {}
    for account in venue.accounts.values():
        for fill in reversed(account.fills):
            if fill.ts_ms < starts[-1]:
                break
            if fill.symbol == symbol:
                start = bar.start(fill.ts_ms)
                volume, turnover = volumes.get(start, (ZERO, ZERO))
                volumes[start] = (volume + fill.qty, turnover + fill.qty * fill.price)
    found = []
    for start in starts:
        end = bar.after(start)
        first, last = bisect_right(times, start), bisect_right(times, end - 1)
        opened = moves[first - 1].price if first else (moves[0].before if moves else venue.prices[symbol])
        path = [opened, *(moves[n].price for n in range(first, last))]
        volume, turnover = volumes.get(start, (ZERO, ZERO))
        found.append(
            Candle(
                start_ms=start,
                open=opened,
                high=max(path),
                low=min(path),
                close=path[-1],
                volume=volume,
                turnover=turnover,
                is_closed=end <= now_ms,
            )
        )
    return found


def _starts(bar: Bar, from_ms: int, to_ms: int, limit: int) -> Iterator[int]:
    start = bar.start(to_ms)
    for _ in range(limit):
        if start < from_ms:
            return
        yield start
        start = bar.before(start)
