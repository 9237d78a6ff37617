"""The configuration: what is read and by default, settings judged together, finding and explaining it."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import attrs
import pytest

from app.config import (
    Config,
    ConfigError,
    explain,
    find_config,
    from_mapping,
    load,
    warnings,
)
from app.config.structure import SECTIONS
from tests.test_config_refusals import PLACES

FULL = """
[router]
primary_exchange = "okx"
failover_exchanges = ["bybit_v5", "kraken"]
market_type = "swap"
state_dir = "/var/lib/order-router"
auto_failover = false
order_timeout_s = 60
request_timeout_s = 4.5
markets_max_age_s = 7200
markets_refresh_s = 600
max_in_flight = 10
max_unresolved = 3
max_unresolved_total = 5
[health]
health_check_interval = 10
max_retry_attempts = 1
retry_delay = 0.1
rise = 3
probe_timeout_s = 2
jitter = 0.2
error_window_s = 30
error_rate = 0.4
error_min_calls = 5
place_failures = 4
hold_down_s = 20
hold_down_max_s = 600
flap_half_life_s = 300
trial_calls = 2
latency_factor = 8
latency_min_s = 1
latency_min_calls = 10
suspicion = 10
ban_tolerance_s = 5
maintenance_lead_s = 60
stale_after_s = 30
status_interval_s = 15
witnesses = ["192.0.2.1:443", "[2001:db8::1]:53"]
[failover]
settle_timeout_s = 1
preflight_timeout_s = 2.5
unknown_policy = "place_elsewhere"
unknown_max_notional = 1000
failback = "auto"
hold_down_s = 60
preflight_interval_s = 5
preflight_max_age_s = 30
return_settle_s = 20
dwell_s = 30
[orders]
on_shutdown = "cancel"
policy = "park"
max_carry_age_s = 600
[orders.limits]
max_notional = 5000
max_open = 20
price_collar = 0.05
per_second = 10
reference_max_age_s = 2.5
[positions]
policy = "migrate"
sync_interval_s = 1
slice_notional = 500
slice_pause_s = 0
max_slippage = 0.001
max_cost = 0.01
leverage = 3
reduce_only_across_exchanges = true
correct_differences = true
alarm_liquidation = 0.05
[journal]
durability = "power"
[supervision]
intensity = 2
heartbeat_s = 0.5
heartbeat_timeout_s = 3.0
path_check_s = 1.0
path_check_timeout_s = 4.0
period_s = 10
[logging]
level = "debug"
file = "router.log"
[transport]
base = "tcp"
[strategies.grid]
class = "bot.strategies:Grid"
path = "lib"
args = { symbol = "BTCUSDT", steps = 3 }
[exchanges.okx]
base_url = "http://127.0.0.1:8080"
api_key_env = "OKX_KEY"
secret_env = "OKX_SECRET"
password_env = "OKX_PASSWORD"
[exchanges.bybit_v5]
sandbox = true
api_key = "key-in-the-file"
secret = "secret-in-the-file"
allow_settlement_change = true
[exchanges.bybit_v5.options]
defaultType = "swap"
"""


# Reading


def test_nothing_said_gives_the_defaults() -> None:
    """Those of the public API."""
    config = from_mapping({}, "nowhere")
    assert config.router.primary_exchange == "bybit"
    assert config.routed == ("bybit", "okx", "binance")
    assert config.health_settings.health_check_interval_s == 30.0
    assert config.health_settings.max_retry_attempts == 3
    assert config.health_settings.retry_delay_s == 5.0
    assert config.router.auto_failover is True
    assert config.router.state_dir.is_absolute()
    assert config.router.state_dir.name == "order-router"


def test_every_key_is_read(tmp_path: Path) -> None:
    """Each in its section; paths start from the file, names become the router's."""
    path = tmp_path / "router.toml"
    path.write_text(FULL)
    config = load(path)
    assert config.where == str(path)
    assert config.routed == ("okx", "bybit", "kraken")
    assert config.router.order_timeout_s == 60.0
    assert isinstance(config.router.order_timeout_s, float)
    assert config.router.state_dir == Path("/var/lib/order-router")
    assert (config.health.retry_delay, config.health.probe_timeout_s) == (0.1, 2.0)
    assert config.orders.on_shutdown == "cancel"
    assert config.journal.durability == "power"
    assert config.supervision.restart_policy.intensity == 2
    assert config.logging.file == tmp_path / "router.log"
    assert config.transport.base == "tcp"
    assert config.strategies["grid"].class_ == "bot.strategies:Grid"
    assert config.strategies["grid"].path == tmp_path / "lib"
    assert config.strategies["grid"].args == {"symbol": "BTCUSDT", "steps": 3}
    assert config.exchanges["okx"].base_url == "http://127.0.0.1:8080"
    settings = config.exchange_settings("bybit")
    assert (settings.sandbox, settings.allow_settlement_change) == (True, True)
    assert settings.request_timeout_s == 4.5
    assert settings.options == {"defaultType": "swap"}
    assert config.exchange_settings("kraken").base_url is None


def test_full_example_names_every_key_there_is() -> None:
    """So that the tests above and the shape cannot drift apart."""
    data = tomllib.loads(FULL)
    assert set(data) == set(SECTIONS)
    for section in SECTIONS:
        if section in ("strategies", "exchanges"):
            continue
        keys = {attribute.name for attribute in attrs.fields(type(getattr(Config(), section)))}
        assert set(data[section]) == keys


def test_probe_timeout_follows_a_short_interval() -> None:
    """Nobody who asks for probes each second must also know of this key."""
    config = from_mapping({"health": {"health_check_interval": 1}}, "x")
    assert config.health.probe_timeout_s == 1.0


def test_state_dir_of_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde is expanded."""
    monkeypatch.setenv("HOME", "/home/trader")
    config = from_mapping({"router": {"state_dir": "~/router"}}, "x")
    assert config.router.state_dir == Path("/home/trader/router")


# Together


def sentences(text: str) -> list[str]:
    return warnings(from_mapping(tomllib.loads(text), "x"))


def test_detection_budget_above_the_order_timeout_is_told() -> None:
    """Allowed, and rarely meant."""
    told = sentences("")
    assert told == [
        "finding a silent exchange down can take 54 s (health.*), longer than router.order_timeout_s, which is 30:"
        " orders of that time are answered before trading has moved"
    ]
    assert sentences("[router]\norder_timeout_s = 55") == []
    assert sentences("[router]\nauto_failover = false") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[health]\nhealth_check_interval = 1", "health.retry_delay is 5, above health.health_check_interval"),
        (
            "[health]\nprobe_timeout_s = 12",
            "health.probe_timeout_s is 12, above router.request_timeout_s, which is 10",
        ),
        (
            "[health]\nflap_half_life_s = 20",
            "health.flap_half_life_s is 20, below health.hold_down_s, which is 30",
        ),
        (
            "[failover]\nfailback = 'auto'\nhold_down_s = 5",
            "failover.hold_down_s is 5, below health.hold_down_s, which is 30",
        ),
        (
            "[health]\nban_tolerance_s = 31",
            "health.ban_tolerance_s is 31, above router.order_timeout_s, which is 30",
        ),
        (
            "[health]\nmaintenance_lead_s = 9",
            "health.maintenance_lead_s is 9, below failover.settle_timeout_s and preflight_timeout_s together, 10",
        ),
        ("[router]\nfailover_exchanges = []", "trading has nowhere to move"),
        ("[router]\nfailover_exchanges = ['kraken']", "exchanges.kraken.allow_settlement_change = true"),
        ("[exchanges.okx]\nbase_url = 'http://example.test'", "exchanges.okx.base_url is not encrypted"),
    ],
)
def test_doubts_are_told(text: str, words: str) -> None:
    """One sentence each."""
    assert any(words in sentence for sentence in sentences(text))


# Finding


def test_argument_then_variable_then_folder_then_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this order, and None at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORDER_ROUTER_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "users"))
    assert find_config() is None
    users = tmp_path / "users" / "order-router" / "order-router.toml"
    users.parent.mkdir(parents=True)
    users.touch()
    assert find_config() == users
    (tmp_path / "order-router.toml").touch()
    assert find_config() == Path("order-router.toml")
    monkeypatch.setenv("ORDER_ROUTER_CONFIG", "/dev/fd/7")
    assert find_config() == Path("/dev/fd/7")
    assert find_config("other.toml") == Path("other.toml")


def test_a_wrong_name_is_not_silently_another_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is taken at its word."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "order-router.toml").touch()
    monkeypatch.setenv("ORDER_ROUTER_CONFIG", str(tmp_path / "mistyped.toml"))
    found = find_config()
    assert found is not None
    with pytest.raises(ConfigError, match=r"mistyped\.toml cannot be read"):
        load(found)


def test_file_descriptor_paths_are_read_from_the_beginning_each_time() -> None:
    """Without a name in any folder, as the embedded daemon gets its configuration."""
    fd = os.memfd_create("config")
    try:
        os.write(fd, FULL.encode())
        assert load(f"/dev/fd/{fd}") == load(f"/dev/fd/{fd}")
        config = load(f"/dev/fd/{fd}")
        assert config.where == f"/dev/fd/{fd}"
        assert config.router.primary_exchange == "okx"
        assert config.strategies["grid"].path == Path.cwd() / "lib"
    finally:
        os.close(fd)


# Explaining


def test_every_setting_is_explained() -> None:
    """With its value and its meaning, and what follows from all of them."""
    lines = explain(from_mapping(tomllib.loads(FULL), "router.toml"), {"okx": "20 requests a second"})
    said = [line for line, _ in lines]
    assert all(line and meaning for line, meaning in lines)
    for section, key in PLACES:
        assert any(line.startswith((f"{section}.{key} = ", f"{section}.{key}.")) for line in said)
    assert "health.retry_delay = 0.1" in said
    assert "router.failover_exchanges = [bybit, kraken]" in said
    assert "strategies.grid.class = bot.strategies:Grid" in said
    assert "detection budget = 16 s" in said
    assert "primary okx: at http://127.0.0.1:8080" in said
    assert "failover bybit: on the exchange's test network" in said
    assert "failover kraken: no table [exchanges.kraken] yet: it needs credentials" in said
    assert dict(lines)["primary okx: at http://127.0.0.1:8080"].endswith(
        "3 unresolved, 5 with those of the others; 20 requests a second"
    )
