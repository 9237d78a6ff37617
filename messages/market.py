"""Symbols, tickers and balances."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from attrs import frozen

from messages.base import Reply, Request


class MarketType(StrEnum):
    """The kind of market: `SWAP` are perpetual contracts, `SPOT` exchanges one coin for another."""

    SWAP = "swap"
    SPOT = "spot"


@frozen(kw_only=True)
class Symbol:
    """A market, whatever an exchange calls it.

    Attributes:
        base: Coin bought or sold, e.g. ``"BTC"``.
        quote: Coin the price is in, e.g. ``"USDT"``.
        settle: Coin profit is paid in; None on spot.
        market_type: Swap or spot.
    """

    base: str
    quote: str
    settle: str | None
    market_type: MarketType

    def __str__(self) -> str:
        """The unified spelling, ``BTC/USDT:USDT``."""
        tail = f":{self.settle}" if self.settle else ""
        return f"{self.base}/{self.quote}{tail}"


@frozen(kw_only=True)
class Ticker:
    """The market at one moment on one exchange; prices in quote coin, `at_s` when the exchange said it."""

    exchange: str
    symbol: Symbol
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    mark: Decimal | None
    at_s: float


@frozen(kw_only=True)
class Balance:
    """One coin of the account on one exchange, in that coin."""

    exchange: str
    coin: str
    total: Decimal
    free: Decimal
    used: Decimal
    at_s: float


@frozen(kw_only=True)
class GetTicker(Request):
    """Asks a connector for the market of a symbol."""

    symbol: Symbol


@frozen(kw_only=True)
class GetBalances(Request):
    """Asks a connector for the account's coins; all of them where `coin` is None."""

    coin: str | None = None


@frozen(kw_only=True)
class TickerReply(Reply):
    """Answers `GetTicker`."""

    ticker: Ticker


@frozen(kw_only=True)
class BalancesReply(Reply):
    """Answers `GetBalances`."""

    balances: tuple[Balance, ...]
