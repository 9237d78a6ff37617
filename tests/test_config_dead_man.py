"""`[exchanges.NAME] dead_man_switch_s`: off unless it is set, and refused where it would do harm or nothing."""

from __future__ import annotations

import tomllib

import pytest

from app.config import Config, ConfigError, explain, from_mapping
from app.config.dead_man import least_s, settings_of

QUICK = "[health]\nhealth_check_interval = 1\nmax_retry_attempts = 1\nretry_delay = 0.1\njitter = 0\n"
"""Found down within three seconds: a switch of 20 s outlasts every hiccup (3 + 10, and half as much again)."""


def config(switches: dict[str, float], *, health: str = QUICK, router: str = "", orders: str = "") -> Config:
    """A configuration with some switches."""
    names = ", ".join(f'"{name}"' for name in ("okx", "binance", "kraken"))
    tables = "".join(f"[exchanges.{name}]\ndead_man_switch_s = {value}\n" for name, value in switches.items())
    text = (
        f"[router]\nprimary_exchange = 'bybit_v5'\nfailover_exchanges = [{names}]\n{router}\n{health}{orders}{tables}"
    )
    return from_mapping(tomllib.loads(text), "router.toml")


def test_off_by_default() -> None:
    """For every exchange."""
    made = config({})
    assert made.dead_man_switches == {}
    assert [settings_of(made, name) for name in made.routed] == [None] * 4
    assert not any("dead-man switch of" in line for line, _ in explain(made))


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        (
            {"bybit": 60},
            "exchanges.bybit.dead_man_switch_s is set, and cannot be: bybit cancels when a private websocket",
        ),
        ({"okx": 130}, "exchanges.okx.dead_man_switch_s is 130, and must be a whole number of seconds from 10 to 120"),
        ({"okx": 20.5}, "must be a whole number of seconds from 10 to 120, as okx counts"),
        ({"kraken": 100_000}, "must be"),
        (
            {"okx": 19},
            "is 19, and would cancel orders during a hiccup in which okx is not even found down: two thirds of it must"
            " outlast 3 s (health.*) and a request of 10 s; use 20 or more",
        ),
    ],
)
def test_refused(switches: dict[str, float], words: str) -> None:
    """In one sentence, with what would be right."""
    with pytest.raises(ConfigError, match="dead_man_switch_s") as refused:
        config(switches)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_least_that_is_admitted() -> None:
    """And what the router's usual patience asks for."""
    made = config({"okx": 20, "binance": 20, "kraken": 20})
    assert least_s(made) == 20
    assert made.dead_man_switches == {"okx": 20, "binance": 20, "kraken": 20}
    with pytest.raises(ConfigError, match="use 96 or more"):
        config({"okx": 95}, health="")
    assert least_s(config({"okx": 96}, health="")) == 96
    with pytest.raises(ConfigError, match="okx counts down from 120 at most: make health"):
        config({"okx": 120}, health="[health]\nhealth_check_interval = 60\n")


def test_spot_of_binance_has_none_and_the_others_have() -> None:
    """By kind of market."""
    spot = "market_type = 'spot'"
    with pytest.raises(ConfigError, match="binance has no dead-man switch for spot markets"):
        config({"binance": 60}, router=spot)
    assert config({"okx": 60, "kraken": 60}, router=spot).dead_man_switches == {"okx": 60, "kraken": 60}


def test_what_it_does_is_told() -> None:
    """Scope, kinds of orders, and what follows, for each exchange by itself."""
    lines = dict(explain(config({"okx": 60, "binance": 60, "kraken": 60})))
    okx, binance, kraken = (lines[f"dead-man switch of {name} = 60 s"] for name in ("okx", "binance", "kraken"))
    assert "every order on the book of the account, of every symbol and by whomever, a person's orders too" in okx
    assert "stop losses and take profits that wait for their trigger stay" in okx
    assert "each market in which an order rests when it is armed" in binance
    assert "triggers included" in kraken
    assert "stay" not in kraken
    for words in (okx, binance, kraken):
        assert "It is renewed every 20 s, and a stop in order ends that" in words
        assert "placed where trading is, once it is known how much filled" in words
    parked = dict(explain(config({"okx": 60}, orders="[orders]\npolicy = 'park'\n")))
    assert "parked, once it is known how much filled" in parked["dead-man switch of okx = 60 s"]


def test_what_the_connector_is_given() -> None:
    """By the exchange's own rules; nothing is taken up again where orders are dropped."""
    made = config({"okx": 60, "binance": 60, "kraken": 60})
    found = {name: settings_of(made, name) for name in ("okx", "binance", "kraken")}
    told = {name: (s.triggers, s.by_market, s.marks) for name, s in found.items() if s is not None}
    assert told == {"okx": (False, False, True), "binance": (False, True, True), "kraken": (True, False, True)}
    dropped = settings_of(config({"okx": 60}, orders="[orders]\npolicy = 'drop'\n"), "okx")
    assert dropped is not None
    assert not dropped.marks
