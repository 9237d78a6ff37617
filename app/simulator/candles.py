"""Candles of a market that has no past: every one is flat at the price of now, with no volume.

Enough for a client to read, page and align; whoever wants a history has to bring one. Pure.
"""

from decimal import Decimal

from attrs import frozen

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
_WEEK_OFFSET_MS = 4 * DAY_MS
"""Unix time begins on a Thursday, weekly candles on a Monday."""
_SPANS_MS = {"m": 60_000, "h": 3_600_000, "d": DAY_MS, "w": WEEK_MS}


@frozen(kw_only=True)
class Candle:
    """One candle. `open_ms` to `close_ms`, both included, Unix ms; `price` is open, high, low and close."""

    open_ms: int
    close_ms: int
    price: Decimal


def span_ms(name: str) -> int | None:
    """Milliseconds of an interval written as "1m", "4h", "1d", "1w"; None for anything else."""
    count, unit = name[:-1], name[-1:]
    if not count.isdecimal() or len(count) > 3 or unit not in _SPANS_MS or int(count) == 0:
        return None
    return int(count) * _SPANS_MS[unit]


def candles(
    price: Decimal, width_ms: int, now_ms: int, limit: int, *, from_ms: int | None = None, to_ms: int | None = None
) -> list[Candle]:
    """At most `limit` candles, oldest first: those from `from_ms` on, else the newest; none that opens after now."""
    shift = _WEEK_OFFSET_MS if width_ms % WEEK_MS == 0 else 0
    last = _floor(min(now_ms, now_ms if to_ms is None else to_ms), width_ms, shift)
    first = last - (limit - 1) * width_ms
    if from_ms is not None:
        first = -_floor(-from_ms, width_ms, -shift)  # the next to open
        last = min(last, first + (limit - 1) * width_ms)
    return [
        Candle(open_ms=at, close_ms=at + width_ms - 1, price=price)
        for at in range(max(first, shift), last + 1, width_ms)
    ]


def _floor(at_ms: int, width_ms: int, shift: int) -> int:
    return (at_ms - shift) // width_ms * width_ms + shift
