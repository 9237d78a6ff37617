"""What users call an exchange, and the one name the router uses for it in journal, messages and logs."""

from __future__ import annotations

from types import MappingProxyType

CANONICAL = MappingProxyType(
    {
        "bybit": "bybit",
        "bybit_v5": "bybit",
        "okx": "okx",
        "binance": "binance",
        "binanceusdm": "binance",
        "kraken": "kraken",
        "krakenfutures": "kraken",
    }
)
"""Every accepted spelling, and the router's own name."""

EXCHANGES = ("bybit", "okx", "binance", "kraken")
"""The exchanges the router trades on, by its own names."""


class UnknownExchange(ValueError):
    """A name that is not an exchange the router trades on; the message is one sentence that lists those it does."""


def canonical_name(name: str) -> str:
    """The router's own name of an exchange: ``"bybit_v5"`` is ``"bybit"``. Upper case and blanks around are forgiven.

    Raises:
        UnknownExchange: There is no such exchange here.
    """
    try:
        return CANONICAL[name.strip().lower()]
    except KeyError:
        known = ", ".join(sorted(CANONICAL))
        raise UnknownExchange(f"Exchange {name!r} is not known to the router: it must be one of {known}.") from None
