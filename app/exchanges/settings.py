"""What has to be known to trade on one exchange: where it is, how to talk to it, and who we are there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from messages.market import MarketType


@frozen(kw_only=True)
class ExchangeSettings:
    """One exchange, as configured.

    Attributes:
        name: The router's name of it, e.g. ``"bybit"``.
        base_url: Scheme and host that stand instead of the exchange's own, e.g. of a simulator; None for the real one.
        sandbox: Use the exchange's own test network.
        market_type: Only swaps are traded in this version.
        request_timeout_s: A single HTTP request not answered by then is given up.
        options: Further options for ccxt, over those of the profile.
        allow_settlement_change: Whether ``BTC/USDT:USDT`` may be traded as ``BTC/USD:USD`` where there is no other.
        rate_limit_per_s: Requests a second, and at once, instead of the profile's: for an account that has another
            limit than the usual one, and for simulators, which have none.
        handover_dir: Where markets and clock offset are left for the next life, and beside it what is used of limits;
            None for nowhere.
        markets_max_age_s: Markets left longer ago are not taken over; 0 for never.
        markets_refresh_s: Between two loadings of the markets.
    """

    name: str
    base_url: str | None = None
    sandbox: bool = False
    market_type: MarketType = MarketType.SWAP
    request_timeout_s: float = 10.0
    options: Mapping[str, Any] = field(factory=dict)
    allow_settlement_change: bool = False
    rate_limit_per_s: int | None = None
    handover_dir: Path | None = None
    markets_max_age_s: float = 86_400.0
    markets_refresh_s: float = 3600.0


@frozen(kw_only=True)
class Credentials:
    """Who we are on an exchange. `repr` and `str` hide all of it, so that it can reach no log by accident.

    Attributes:
        password: Empty where the exchange has none (OKX calls it the passphrase).
    """

    api_key: str = field(repr=False)
    secret: str = field(repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        """Hides everything."""
        return "Credentials(hidden)"
