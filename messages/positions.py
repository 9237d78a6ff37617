"""Positions, and the book that adds them up over all exchanges."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from messages.base import Reply, Request
from messages.market import Symbol


@frozen(kw_only=True)
class Position:
    """A position as its exchange reports it.

    Attributes:
        quantity: Base coin, above zero when long, below when short.
        entry_price: Average, in quote coin; None where the exchange does not say.
        unrealised_pnl: In settlement coin.
    """

    exchange: str
    symbol: Symbol
    quantity: Decimal
    entry_price: Decimal | None
    mark_price: Decimal | None
    leverage: Decimal | None
    unrealised_pnl: Decimal | None
    at_s: float


@frozen(kw_only=True)
class BookLine:
    """One symbol on one exchange, in base coin.

    Attributes:
        actual: What the exchange said last; None while it has not answered.
        attributed: Sum of the proven fills of the router's own orders.
        possible_min: The least the position could be, were every unproven or resting sell to fill.
        possible_max: The most, were every unproven or resting buy to fill.
        at_s: When `actual` was read.
    """

    exchange: str
    symbol: Symbol
    actual: Decimal | None
    attributed: Decimal
    possible_min: Decimal
    possible_max: Decimal
    at_s: float | None


@frozen(kw_only=True)
class GetPositions(Request):
    """Asks a connector for the positions on its exchange."""


@frozen(kw_only=True)
class PositionsReply(Reply):
    """Answers `GetPositions`."""

    exchange: str
    positions: tuple[Position, ...]


@frozen(kw_only=True)
class GetBook(Request):
    """Asks the position synchronizer for the book of all exchanges.

    Attributes:
        refresh: Exchanges to read anew first, where they answer in time; the rest is told as last read.
    """

    refresh: tuple[str, ...] = ()


@frozen(kw_only=True)
class BookReply(Reply):
    """Answers `GetBook`.

    Attributes:
        positions: Every open position as last read, of all exchanges.
        unread: Exchanges that have not answered since they were last asked.
    """

    lines: tuple[BookLine, ...]
    positions: tuple[Position, ...]
    unread: tuple[str, ...]
