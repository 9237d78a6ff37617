"""What an account is like: position mode, margin left, what is set for a market, and its dead-man switch."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from messages.base import Message, Reply, Request
from messages.market import MarginMode, PositionMode, Symbol


@frozen(kw_only=True)
class SymbolSettings:
    """What an account has set for one market.

    Attributes:
        leverage: None where the exchange does not tell it, or has none to choose (Kraken's cross margin).
        margin_mode: None where the exchange does not tell it.
    """

    symbol: Symbol
    leverage: Decimal | None
    margin_mode: MarginMode | None


@frozen(kw_only=True)
class AccountView:
    """What an account is like, as far as its exchange tells.

    Attributes:
        position_mode: None where the exchange does not tell it, and on spot.
        free: What orders and positions to come can still take: margin, in quote coin; on spot None, see the balances.
        symbols: Of the markets asked for.
        clock_offset_s: Exchange clock minus ours; None where it is not known.
        clock_error_s: By how much that may err.
    """

    exchange: str
    position_mode: PositionMode | None
    free: Decimal | None
    symbols: tuple[SymbolSettings, ...]
    clock_offset_s: float | None
    clock_error_s: float | None
    at_s: float

    def of(self, symbol: Symbol) -> SymbolSettings | None:
        """What is set for a market; None where it was not asked for."""
        return next((each for each in self.symbols if each.symbol == symbol), None)


@frozen(kw_only=True)
class GetAccount(Request):
    """Asks a connector what its account is like, and what it has set for some markets."""

    symbols: tuple[Symbol, ...] = ()


@frozen(kw_only=True)
class AccountReply(Reply):
    """Answers `GetAccount`."""

    account: AccountView


@frozen(kw_only=True)
class PrepareSymbol(Request):
    """Asks a connector to set what a position is to be opened with, where that is not so already.

    Sent again it changes nothing twice. What an exchange cannot set is no failure: `SymbolPrepared` says so.

    Attributes:
        leverage: None for whatever is set.
        margin_mode: Likewise.
    """

    symbol: Symbol
    leverage: Decimal | None = None
    margin_mode: MarginMode | None = None


@frozen(kw_only=True)
class SymbolPrepared(Reply):
    """Answers `PrepareSymbol`.

    Attributes:
        settings: As they are now; None where the exchange tells none.
        changed: Something was set.
        words: What is not as was wanted, and why, a sentence each.
    """

    exchange: str
    settings: SymbolSettings | None
    changed: bool
    words: tuple[str, ...] = ()


@frozen(kw_only=True)
class DeadManView:
    """How the dead-man switch of an exchange stands.

    Attributes:
        timeout_s: What it counts down from.
        armed_s: When the newest request was sent that was answered; None before the first.
        fires_s: The earliest moment at which the exchange may cancel; None where nobody knows that it is armed.
        words: What is wrong, or what has happened; empty while it is armed and nothing is.
        gone: Orders of ours that are gone from there, and of which nobody knows yet how much filled.
    """

    exchange: str
    timeout_s: float
    armed_s: float | None
    fires_s: float | None
    words: str
    gone: int = 0


@frozen(kw_only=True)
class DeadManTold(Message):
    """Connector to coordinator: how its switch stands, at every change."""

    view: DeadManView


@frozen(kw_only=True)
class Disarm(Request):
    """Asks a connector to switch its dead-man switch off, since the router stops and what rests is to stay."""


@frozen(kw_only=True)
class Disarmed(Reply):
    """Answers `Disarm`; `words` say what went wrong, and are empty where nothing did."""

    exchange: str
    words: str
