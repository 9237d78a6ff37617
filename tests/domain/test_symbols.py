"""Spellings of symbols: each known quote coin splits one without a slash, and what is wrong is said."""

from __future__ import annotations

import pytest

from app.domain.symbols import QUOTES, InvalidSymbol, parse_symbol
from messages.market import MarketType, Symbol

SPOT, SWAP = MarketType.SPOT, MarketType.SWAP


@pytest.mark.parametrize("quote", ["FDUSD", "USDT", "USDC", "TUSD", "USDE", "USD", "EUR", "GBP", "JPY", "BTC", "ETH"])
def test_a_spelling_without_a_slash_is_split_before_its_quote_coin(quote: str) -> None:
    """The longest that ends it: FDUSD is no USD of a coin called xFD."""
    assert quote in QUOTES
    spot = Symbol(base="SOL", quote=quote, settle=None, market_type=SPOT)
    assert parse_symbol(f"SOL{quote}", SPOT) == parse_symbol(f" sol/{quote.lower()} ", SPOT) == spot
    swap = Symbol(base="SOL", quote=quote, settle=quote, market_type=SWAP)
    assert parse_symbol(f"SOL{quote}", SWAP) == parse_symbol(f"SOL/{quote}:{quote}", SWAP) == swap


@pytest.mark.parametrize(
    "text", ["", "USDT", "SOL", "SOL/", "/USDT", "SOL/SOL", "SOL/USDT:", "SOLUSDT:USDT", "S-L/USDT"]
)
def test_what_names_no_market_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(InvalidSymbol, match=r"BTC/USDT:USDT|does not have"):
        parse_symbol(text, SWAP)


def test_a_spot_market_has_no_settlement_coin() -> None:
    with pytest.raises(InvalidSymbol, match="use SOL/USDT"):
        parse_symbol("SOL/USDT:USDT", SPOT)
