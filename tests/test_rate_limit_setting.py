"""A rate limit set in the configuration reaches the port; without one the exchange's own stands."""

from __future__ import annotations

from typing import Any

import pytest

from app.config import ConfigError, explain, from_mapping
from app.domain.calls import CancelCall, LookUpCall, PlaceCall, ProbeCall
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


def test_the_limits_are_told_in_words() -> None:
    """What follows from a configuration names them, or the one that was set instead."""
    own = rates.in_words("binance", MarketType.SWAP, None)
    assert own == "limits of binance: weight 2400 in 60 s; orders_10s 300 in 10 s; orders_1m 1200 in 60 s"
    assert "rest 0.33 a second, 15 at once" in rates.in_words("kraken", MarketType.SPOT, None)
    assert "place 60 in 2 s for each symbol" in rates.in_words("okx", MarketType.SWAP, None)
    assert rates.in_words("okx", MarketType.SWAP, 25).startswith("25 requests a second as configured")
    assert rates.in_words("unheard of", MarketType.SWAP, None) == ""


def test_an_exchange_without_a_table_has_what_ccxt_says() -> None:
    """One budget; two at once at least, so that a cancel does not wait for an order's refill."""
    assert rates.by_ccxt(100.0) == rates_of(RateLimit(per_s=10.0, burst=10))
    assert rates.by_ccxt(2000.0) == rates_of(RateLimit(per_s=0.5, burst=2))


@pytest.mark.parametrize(("name", "market_type"), sorted(rates.TABLES))
def test_every_row_has_its_source_and_fits_its_budgets(name: str, market_type: MarketType) -> None:
    """No call costs more than there can be, and of what placements share with others something is kept back."""
    table = rates.TABLES[name, market_type]
    most = {budget.name: budget.most - budget.reserve for budget in table.budgets}
    assert all(price.source for price in table.prices.values())
    for cost in table.every_cost():
        assert all(units <= most[budget] for budget, units in cost)
    reserved = {budget.name for budget in table.budgets if budget.reserve}
    placing = {budget for budget, _ in table.cost_for(PlaceCall)}
    for kind in (CancelCall, LookUpCall, ProbeCall):
        shared = placing & {budget for budget, _ in table.cost_for(kind)}
        assert shared <= reserved, f"{kind.__name__} could wait behind placements"


def test_usage_is_read_from_headers() -> None:
    """By name in lower case; what is no number is passed over."""
    headers = {"x-mbx-used-weight-1m": "17", "x-mbx-order-count-10s": "3", "x-mbx-order-count-1m": "x"}
    told = rates.USAGE["binance"]("/fapi/v1/order", headers)
    assert {(usage.budget, usage.used) for usage in told} == {("weight", 17.0), ("orders_10s", 3.0)}
    headers = {"x-bapi-limit": "10", "x-bapi-limit-status": "7", "x-bapi-limit-reset-timestamp": "1"}
    (usage,) = rates.USAGE["bybit"]("/v5/order/create", headers)
    assert (usage.budget, usage.used, usage.most) == ("create", 3.0, 10.0)
    assert rates.USAGE["bybit"]("/v5/market/time", headers) == ()
    assert rates.USAGE["bybit"]("/v5/order/create", {**headers, "x-bapi-limit": "?"}) == ()
