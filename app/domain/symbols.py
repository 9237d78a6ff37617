"""Reads the spellings of a symbol a caller may use into the one value the router passes around.

`BTCUSDT`, `BTC/USDT` and `BTC/USDT:USDT` are the same swap. Nothing here knows which markets an exchange has: that is
asked of the port.
"""

from __future__ import annotations

import re

from messages.market import MarketType, Symbol

QUOTES = ("FDUSD", "USDT", "USDC", "TUSD", "USDE", "USD", "EUR", "GBP", "JPY", "BTC", "ETH")
"""Quote coins by which a spelling without a slash is split, the longest first."""

_COIN = re.compile(r"[A-Z0-9]{1,20}")
_SHAPE = "it must look like BTCUSDT, BTC/USDT or BTC/USDT:USDT"


class InvalidSymbol(ValueError):
    """A spelling that names no market; the message is one sentence saying what is wrong and what would be right."""


def parse_symbol(text: str, market_type: MarketType) -> Symbol:
    """The symbol a spelling means on markets of a type.

    A swap whose spelling does not say what it settles in is settled in its quote coin (linear). Lower case and blanks
    around are forgiven.

    Raises:
        InvalidSymbol: The text is not a spelling of a symbol, or names a settlement coin on spot.
    """
    spelling = text.strip().upper()
    pair, colon, settle = spelling.partition(":")
    if colon and not _COIN.fullmatch(settle):
        raise InvalidSymbol(f"Symbol {text!r} names no settlement coin after its colon: {_SHAPE}.")
    base, slash, quote = pair.partition("/")
    if not slash:
        if colon:
            raise InvalidSymbol(f"Symbol {text!r} names a settlement coin but has no slash: {_SHAPE}.")
        base, quote = _split(pair)
    if not _COIN.fullmatch(base) or not _COIN.fullmatch(quote) or base == quote:
        raise InvalidSymbol(f"Symbol {text!r} does not name two coins: {_SHAPE}.")
    if market_type is MarketType.SPOT:
        if colon:
            raise InvalidSymbol(f"Symbol {text!r} names a settlement coin, which spot does not have: use {pair}.")
        return Symbol(base=base, quote=quote, settle=None, market_type=market_type)
    return Symbol(base=base, quote=quote, settle=settle or quote, market_type=market_type)


def _split(compact: str) -> tuple[str, str]:
    """Base and quote of a spelling without a slash; empty strings where no known quote coin ends it."""
    for quote in QUOTES:
        if compact.endswith(quote) and len(compact) > len(quote):
            return compact.removesuffix(quote), quote
    return "", ""
