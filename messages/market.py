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
class Lots:
    """Which orders a market takes. Quantities in base coin, whatever a contract is worth; prices in quote coin.

    Attributes:
        step: Between two valid quantities.
        minimum: The least valid quantity, a whole number of steps.
        maximum: None where none is known.
        tick: Between two valid prices.
        minimum_notional: What an order that opens is worth at least, in quote coin; None where that is not asked.
        settle: The coin it settles in here, which may be another than the symbol's; None on spot.
        max_leverage: None where the exchange does not list it.
    """

    step: Decimal
    minimum: Decimal
    tick: Decimal
    maximum: Decimal | None = None
    minimum_notional: Decimal | None = None
    settle: str | None = None
    max_leverage: Decimal | None = None


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
class Level:
    """One price of an order book, and the base coin offered or wanted at it."""

    price: Decimal
    quantity: Decimal


@frozen(kw_only=True)
class OrderBook:
    """The best prices of one market on one exchange, the best first."""

    exchange: str
    symbol: Symbol
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    at_s: float


@frozen(kw_only=True)
class Kline:
    """One bar. Prices in quote coin, the volume in base coin.

    Attributes:
        start_s: When it begins.
    """

    start_s: float
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Interval(StrEnum):
    """Lengths of a bar that every exchange here has."""

    MINUTE_1 = "1m"
    MINUTE_5 = "5m"
    MINUTE_15 = "15m"
    MINUTE_30 = "30m"
    HOUR_1 = "1h"
    HOUR_4 = "4h"
    DAY_1 = "1d"


class MarginMode(StrEnum):
    """Whether a position is backed by the whole account or by its own margin."""

    CROSS = "cross"
    ISOLATED = "isolated"


class PositionMode(StrEnum):
    """Whether a symbol has one net position, or a long and a short one beside each other."""

    ONE_WAY = "one_way"
    HEDGE = "hedge"


@frozen(kw_only=True)
class ExchangeStatus:
    """What an exchange says of itself.

    Attributes:
        ok: It trades as usual.
        words: What it says where it does not, or announces that it will not; empty otherwise.
        until_s: When it expects to be back; None where it does not say.
    """

    exchange: str
    ok: bool
    words: str
    until_s: float | None
    at_s: float


@frozen(kw_only=True)
class GetTicker(Request):
    """Asks a connector for the market of a symbol."""

    symbol: Symbol


@frozen(kw_only=True)
class GetQuote(Request):
    """Asks a connector what an order of a symbol would meet: the market, and which orders it takes."""

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
class QuoteReply(Reply):
    """Answers `GetQuote`."""

    ticker: Ticker
    lots: Lots


@frozen(kw_only=True)
class BalancesReply(Reply):
    """Answers `GetBalances`."""

    balances: tuple[Balance, ...]


@frozen(kw_only=True)
class GetOrderBook(Request):
    """Asks a connector for the best prices of a symbol, `depth` of each side."""

    symbol: Symbol
    depth: int = 25


@frozen(kw_only=True)
class GetKlines(Request):
    """Asks a connector for bars of a symbol, the newest `limit` of them, or the first since a time."""

    symbol: Symbol
    interval: Interval
    since_s: float | None = None
    limit: int = 200


@frozen(kw_only=True)
class GetExchangeStatus(Request):
    """Asks a connector what its exchange says of itself, and what time it is there."""


@frozen(kw_only=True)
class GetServerTime(Request):
    """Asks a connector what time it is on its exchange."""


@frozen(kw_only=True)
class SetLeverage(Request):
    """Asks for a symbol's leverage to be set on the exchange in use."""

    symbol: Symbol
    leverage: Decimal


@frozen(kw_only=True)
class SetMarginMode(Request):
    """Asks for a symbol's margin mode to be set on the exchange in use."""

    symbol: Symbol
    mode: MarginMode


@frozen(kw_only=True)
class SetPositionMode(Request):
    """Asks for the account's position mode to be set on the exchange in use."""

    mode: PositionMode


@frozen(kw_only=True)
class OrderBookReply(Reply):
    """Answers `GetOrderBook`."""

    book: OrderBook


@frozen(kw_only=True)
class KlinesReply(Reply):
    """Answers `GetKlines`, the oldest first."""

    exchange: str
    symbol: Symbol
    klines: tuple[Kline, ...]


@frozen(kw_only=True)
class ExchangeStatusReply(Reply):
    """Answers `GetExchangeStatus`.

    Attributes:
        clock_offset_s: Exchange clock minus ours; None where it was not measured.
    """

    status: ExchangeStatus
    clock_offset_s: float | None


@frozen(kw_only=True)
class ServerTimeReply(Reply):
    """Answers `GetServerTime`.

    Attributes:
        server_s: Unix seconds by the exchange's clock, when it was asked.
        clock_offset_s: Exchange clock minus ours.
    """

    exchange: str
    server_s: float
    clock_offset_s: float


@frozen(kw_only=True)
class SettingDone(Reply):
    """Answers a setting that was made, or that was so already.

    Attributes:
        changed: False where it was so already.
    """

    exchange: str
    changed: bool
