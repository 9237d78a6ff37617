"""Every table of what exchanges promise, by the router's name and what is traded there."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from app.exchanges.rules import binance, bybit, kraken, okx
from app.exchanges.rules.base import ExchangeRules
from messages.market import MarketType

TABLES: Mapping[tuple[str, MarketType], ExchangeRules] = MappingProxyType(
    {
        (table.exchange, table.market_type): table
        for room in (bybit, okx, binance, kraken)
        for table in (room.SWAP, room.SPOT)
    }
)
"""By name and market type."""
