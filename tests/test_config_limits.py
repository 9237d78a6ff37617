"""[orders] limits: read to the last digit, refused by name, explained, and given to every connector."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app.bootstrap import build_environment
from app.config import ConfigError, explain, from_mapping, load
from app.domain.pretrade import PretradeLimits

ALL = "limits = { max_notional = 50_000.10, max_open = 20, price_collar = 0.05, per_second = 10 }"


def test_none_is_set_unless_somebody_says_so() -> None:
    assert from_mapping({}, "x").orders.pretrade == PretradeLimits()
    assert not from_mapping({"orders": {"limits": {"reference_max_age_s": 1}}}, "x").orders.pretrade.any


@pytest.mark.parametrize("text", [f"[orders]\n{ALL}", f"[orders.limits]\n{ALL[11:-2].replace(',', chr(10))}"])
def test_they_are_read_to_the_last_digit_and_reach_every_connector(text: str, tmp_path: Any) -> None:
    """As a table of its own, or in one line."""
    path = tmp_path / "router.toml"
    path.write_text(text)
    wanted = PretradeLimits(max_notional=Decimal("50000.1"), max_open=20, price_collar=Decimal("0.05"), per_second=10)
    config = load(path)
    assert config.orders.pretrade == wanted
    connectors = build_environment(config, lambda: 0.0).connectors
    assert {name: settings.limits for name, settings in connectors.items()} == dict.fromkeys(config.routed, wanted)


@pytest.mark.parametrize(
    ("key", "value", "right"),
    [
        ("max_notional", 0, "above 0"),
        ("max_notional", -1.5, "above 0"),
        ("max_notional", float("nan"), "above 0"),
        ("max_notional", float("inf"), "above 0"),
        ("max_notional", "50000", "must be a number"),
        ("max_notional", True, "must be a number"),
        ("max_open", 0, "whole number from 1"),
        ("max_open", 1.5, "whole number"),
        ("price_collar", 5, "0.05 for 5 %"),
        ("price_collar", 1, "below 1"),
        ("price_collar", 0.0, "above 0"),
        ("per_second", 0, "whole number from 1"),
        ("per_second", False, "whole number"),
        ("reference_max_age_s", 0, "0.1 or more"),
        ("per_secnd", 1, "did you mean orders.limits.per_second"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(key: str, value: object, right: str) -> None:
    with pytest.raises(ConfigError) as told:
        from_mapping({"orders": {"limits": {key: value}}}, "router.toml")
    assert str(told.value).startswith(f"router.toml: orders.limits.{key} ")
    assert right in str(told.value)


@pytest.mark.parametrize("value", [5, [1], "none", True])
def test_a_table_is_wanted(value: object) -> None:
    with pytest.raises(ConfigError, match=r"orders\.limits is .*must be a table"):
        from_mapping({"orders": {"limits": value}}, "router.toml")


def test_they_are_explained() -> None:
    lines = dict(explain(from_mapping({"orders": {"limits": {"max_notional": 1e6, "price_collar": 0.02}}}, "x")))
    assert "in quote coin" in lines["orders.limits.max_notional = 1000000.0"]
    assert "0.05 is 5 %" in lines["orders.limits.price_collar = 0.02"]
    assert "orders.limits.max_open = (not set)" in lines
