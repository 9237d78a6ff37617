"""Kraken's pairs as ccxt reads them, mended.

ccxt takes a pair's tick for one unit of its last decimal; the exchange tells it apart (`tick_size`), and refuses prices
between ("EOrder:Tick size check failed").
"""

from __future__ import annotations

from typing import Any


class KrakenPairs:
    """Goes before ccxt's class in the order of resolution."""

    async def fetch_markets(self, params: Any = None) -> list[dict[str, Any]]:
        """ccxt's own, with the exchange's ticks."""
        markets: list[dict[str, Any]] = await super().fetch_markets({} if params is None else params)  # type: ignore[misc]
        for market in markets:
            tick = market["info"].get("tick_size")
            if tick:
                market["precision"]["price"] = str(tick)
        return markets
