"""OKX's contracts as ccxt reads them, held against what it passes over.

A contract is `ctVal` times `ctMult` of the coin: https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments.
ccxt takes `ctVal` alone. The multiplier of every swap there was is 1; one with another is left out, since an order
there would be so many times too large or too small.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any


class OkxContracts:
    """Goes before ccxt's class in the order of resolution."""

    async def fetch_markets(self, params: Any = None) -> list[dict[str, Any]]:
        """ccxt's own; a contract whose multiplier is not 1 has no size, and so is not traded."""
        markets: list[dict[str, Any]] = await super().fetch_markets({} if params is None else params)  # type: ignore[misc]
        for market in markets:
            if market.get("contract") and not _is_one(market["info"].get("ctMult")):
                market["contractSize"] = None
        return markets


def _is_one(multiplier: Any) -> bool:
    """Whether a multiplier is 1, or is not told."""
    if multiplier in (None, ""):
        return True
    try:
        return Decimal(str(multiplier)) == 1
    except InvalidOperation:
        return False
