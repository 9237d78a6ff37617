"""A rate limit set in the configuration reaches the port; without one the exchange's own stands."""

from __future__ import annotations

from typing import Any

import pytest

from app.config import ConfigError, explain, from_mapping
from app.domain.limiter import RateLimit
from app.exchanges.factory import PROFILES, build_port, profile_of
from app.exchanges.settings import Credentials
from messages.market import MarketType


def limit_of(tables: dict[str, Any], name: str) -> RateLimit:
    """What the connector of an exchange is given."""
    settings = from_mapping(tables, "router.toml").exchange_settings(name)
    return build_port(settings, Credentials(api_key="k", secret="s", password="p"), lambda: 0.0).rate_limit


@pytest.mark.parametrize("name", sorted({name for name, _ in PROFILES}))
def test_the_exchanges_own_limit_stands_unless_another_is_set(name: str) -> None:
    """Of the one exchange it is set for; as many at once as in a second."""
    assert limit_of({}, name) == profile_of(name, MarketType.SWAP).rate_limit
    assert limit_of({"exchanges": {name: {"rate_limit_per_s": 500}}}, name) == RateLimit(per_s=500.0, burst=500)
    assert limit_of({"exchanges": {name: {"sandbox": True}}}, name) == profile_of(name, MarketType.SWAP).rate_limit


@pytest.mark.parametrize("value", [0, -1, 100_001, 1.5, "10", True])
def test_a_limit_that_cannot_be_is_refused_by_its_name(value: object) -> None:
    """Whole numbers from 1 to 100,000."""
    with pytest.raises(ConfigError, match=r"^router\.toml: exchanges\.bybit\.rate_limit_per_s .*whole number"):
        from_mapping({"exchanges": {"bybit": {"rate_limit_per_s": value}}}, "router.toml")


def test_it_is_explained() -> None:
    """With its value and its meaning, like every setting."""
    lines = dict(explain(from_mapping({"exchanges": {"okx": {"rate_limit_per_s": 25}}}, "x")))
    assert "requests a second" in lines["exchanges.okx.rate_limit_per_s = 25"]
