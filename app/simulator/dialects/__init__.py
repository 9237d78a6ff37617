"""The dialects by name. Each is imported when it is asked for, so one exchange costs nothing to the others."""

from importlib import import_module

from app.simulator.dialects.base import Dialect

DIALECTS: dict[str, tuple[str, str]] = {
    "bybit": ("app.simulator.dialects.bybit", "Bybit"),
    "okx": ("app.simulator.dialects.okx", "Okx"),
    "binance": ("app.simulator.dialects.binance", "Binance"),
    "kraken": ("app.simulator.dialects.kraken", "Kraken"),
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
