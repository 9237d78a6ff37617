"""What each exchange lets one account ask: a table per exchange and kind of market, with the source of each row.

Any other exchange has what ccxt says of it: one budget, from which every call takes one. `rate_limit_per_s` of the
configuration stands instead of all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import ClassVar, Protocol
from urllib.parse import urlsplit

from app.domain.rates import RateLimit, Rates, Usage, rates_of
from app.exchanges.client import Prepared, prepare
from app.exchanges.rates import binance, bybit, kraken, okx
from messages.market import MarketType

TABLES: Mapping[tuple[str, MarketType], Rates] = MappingProxyType(
    {
        ("bybit", MarketType.SWAP): bybit.SWAP,
        ("bybit", MarketType.SPOT): bybit.SPOT,
        ("okx", MarketType.SWAP): okx.SWAP,
        ("okx", MarketType.SPOT): okx.SPOT,
        ("binance", MarketType.SWAP): binance.SWAP,
        ("binance", MarketType.SPOT): binance.SPOT,
        ("kraken", MarketType.SWAP): kraken.SWAP,
        ("kraken", MarketType.SPOT): kraken.SPOT,
    }
)
"""By the router's own name, and what is traded there."""

ReadsUsage = Callable[[str, Mapping[str, str]], tuple[Usage, ...]]
"""Of an answer: its path, and its headers by name in lower case."""


class Profiled(Prepared, Protocol):
    """What a profile says of itself."""

    name: ClassVar[str]


USAGE: Mapping[str, ReadsUsage] = MappingProxyType({"bybit": bybit.usage, "binance": binance.usage})
"""Exchanges that tell by headers how much of their limits is used; the others do not."""


def of(profile: Profiled, per_s: int | None) -> Rates:
    """The limits of an account: `per_s` where it is configured, else the exchange's table, else what ccxt says."""
    if per_s is not None:
        return plain(float(per_s))
    table = TABLES.get((profile.name, profile.market_type))
    return by_ccxt(float(prepare(profile).rateLimit)) if table is None else table


class UsageSeen:
    """What the answers of one exchange told of its limits, the newest of each, until somebody asks.

    `heard` is called on the event loop's thread, and `drained` on the actor's.
    """

    def __init__(self, name: str, per_s: int | None) -> None:
        # Under a limit that was configured the exchange's own budgets are not counted.
        self._reads = USAGE.get(name) if per_s is None else None
        self._seen: dict[str, Usage] = {}

    def heard(self, url: str, headers: Mapping[str, str]) -> None:
        """An answer came."""
        if self._reads is None:
            return
        lower = {name.lower(): value for name, value in headers.items()}
        for usage in self._reads(urlsplit(url).path, lower):
            self._seen[usage.budget] = usage

    def drained(self) -> Collection[Usage]:
        """What was heard since the last time."""
        if not self._seen:
            return ()
        seen, self._seen = self._seen, {}
        return tuple(seen.values())


def plain(per_s: float) -> Rates:
    """As many requests a second, and at once, whatever they are."""
    return rates_of(RateLimit(per_s=per_s, burst=max(1, int(per_s))))


def by_ccxt(rate_limit_ms: float) -> Rates:
    """What ccxt's `rateLimit` says, for an exchange without a table: milliseconds between two requests."""
    per_s = 1000.0 / max(1.0, rate_limit_ms)
    return rates_of(RateLimit(per_s=per_s, burst=max(2, int(per_s))))


def in_words(name: str, market_type: MarketType, per_s: int | None) -> str:
    """The limits of an account in one sentence, for people; empty for an exchange without a table."""
    if per_s is not None:
        return f"{per_s} requests a second as configured, whatever they are, instead of {name}'s own limits"
    table = TABLES.get((name, market_type))
    return "" if table is None else f"limits of {name}: {words_of(table)}"


def words_of(rates: Rates) -> str:
    """The budgets, for people."""
    each = []
    for budget in rates.budgets:
        span = (
            f"{budget.per_s:g} a second, {budget.most:g} at once"
            if budget.per_s
            else _span(budget.most, budget.window_s)
        )
        each.append(f"{budget.name} {span}{' for each symbol' if budget.per_symbol else ''}")
    return "; ".join(each)


def _span(most: float, window_s: float) -> str:
    return f"{most:g} in {window_s:g} s"
