"""The dialects by name. Each is imported when it is asked for, so one exchange costs nothing to the others.

A simulated exchange is one host of the real one. Bybit and OKX serve spot and swaps from one host and one account; spot
of Binance and of Kraken is a host, an account and a set of rules of its own, and so has a name of its own here.
"""

from importlib import import_module

from app.simulator.dialects.base import Dialect

DIALECTS: dict[str, tuple[str, str]] = {
    "bybit": ("app.simulator.dialects.bybit", "Bybit"),
    "okx": ("app.simulator.dialects.okx", "Okx"),
    "binance": ("app.simulator.dialects.binance", "Binance"),
    "binance_spot": ("app.simulator.dialects.binance_spot", "BinanceSpot"),
    "kraken": ("app.simulator.dialects.kraken", "Kraken"),
    "kraken_spot": ("app.simulator.dialects.kraken_spot", "KrakenSpot"),
}
"""Registry name → (module, class)."""

ALIASES: dict[str, str] = {"bybit_v5": "bybit", "binanceusdm": "binance", "krakenfutures": "kraken"}
"""Other names under which a configuration may know the same exchange."""


def dialect_class(name: str) -> type[Dialect]:
    """The dialect of an exchange's name or alias. Raises ValueError that lists the names."""
    known = DIALECTS.get(ALIASES.get(name, name))
    if known is None:
        raise ValueError(f"There is no simulated exchange {name!r}; there are {', '.join([*DIALECTS, *ALIASES])}.")
    module, cls = known
    found: type[Dialect] = getattr(import_module(module), cls)
    return found
