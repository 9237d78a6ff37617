"""What users call an exchange, and the one name the router uses for it in journal, messages and logs."""

from __future__ import annotations

import re
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
"""The exchanges the router has adapters for, by its own names."""

_ID = re.compile(r"[a-z][a-z0-9]{1,29}")
"""What ccxt's ids look like."""


class UnknownExchange(ValueError):
    """A name that is no exchange's; the message is one sentence that lists the router's own."""


def canonical_name(name: str) -> str:
    """The router's own name of an exchange: ``"bybit_v5"`` is ``"bybit"``. Upper case and blanks around are forgiven.

    Any other exchange is called by ccxt's id. Only the shape is looked at here; whether ccxt has it, is asked in
    `app.exchanges.known`.

    Raises:
        UnknownExchange: It cannot be the name of an exchange.
    """
    wanted = name.strip().lower()
    canonical = CANONICAL.get(wanted)
    if canonical is None and _ID.fullmatch(wanted) is None:
        known = ", ".join(sorted(CANONICAL))
        raise UnknownExchange(f"Exchange {name!r} is not known to the router: it must be one of {known}.")
    return canonical or wanted
