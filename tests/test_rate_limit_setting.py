"""A rate limit set in the configuration reaches the port; without one the exchange's own stands."""

from __future__ import annotations

from typing import Any

import pytest

from app.config import ConfigError, explain, from_mapping
from app.domain.rates import RateLimit, Rates, rates_of
from app.exchanges import rates
from app.exchanges.factory import PROFILES, build_port
from app.exchanges.settings import Credentials
from messages.market import MarketType

ALONE: dict[str, Any] = {"failover_exchanges": []}


def limits_of(tables: dict[str, Any], name: str, market_type: MarketType = MarketType.SWAP) -> Rates:
    """What the connector of an exchange is given."""
    settings = from_mapping(
        {"router": {**ALONE, "primary_exchange": name, "market_type": market_type.value}, **tables}, "router.toml"
    )
    credentials = Credentials(api_key="k", secret="s", password="p")
    return build_port(settings.exchange_settings(name), credentials, lambda: 0.0).rates


@pytest.mark.parametrize(("name", "market_type"), sorted(PROFILES))
def test_the_exchanges_own_limits_stand_unless_another_is_set(name: str, market_type: MarketType) -> None:
    """Of the one exchange it is set for; as many at once as in a second."""
    table = rates.TABLES[name, market_type]
    assert limits_of({}, name, market_type) is table
    assert limits_of({"exchanges": {name: {"allow_settlement_change": True}}}, name, market_type) is table
    plain = rates_of(RateLimit(per_s=500.0, burst=500))
    assert limits_of({"exchanges": {name: {"rate_limit_per_s": 500}}}, name, market_type) == plain


@pytest.mark.parametrize("value", [0, -1, 100_001, 1.5, "10", True])
def test_a_limit_that_cannot_be_is_refused_by_its_name(value: object) -> None:
    """Whole numbers from 1 to 100,000."""
    with pytest.raises(ConfigError, match=r"^router\.toml: exchanges\.bybit\.rate_limit_per_s .*whole number"):
        from_mapping({"exchanges": {"bybit": {"rate_limit_per_s": value}}}, "router.toml")


def test_it_is_explained() -> None:
    """With its value and its meaning, like every setting."""
    lines = dict(explain(from_mapping({"exchanges": {"okx": {"rate_limit_per_s": 25}}}, "x")))
    assert "requests a second" in lines["exchanges.okx.rate_limit_per_s = 25"]
