"""How numbers, times, symbols and exchanges are spelled in what a bot is given."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from messages.market import Symbol

Spell = Callable[[str], str]
"""The caller's spelling of an exchange's name."""


def number(value: Decimal | None) -> str:
    """A decimal string, plain; empty for None."""
    return "" if value is None else format(value, "f")


def milliseconds(at_s: float | None) -> str:
    """Milliseconds since 1970 as a string; empty for None."""
    return "" if at_s is None else str(round(at_s * 1000))


def compact(symbol: Symbol) -> str:
    """The spelling without separators, ``BTCUSDT``."""
    return symbol.base + symbol.quote
