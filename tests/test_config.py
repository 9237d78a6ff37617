"""The configuration: defaults, strictness, sentences, settings judged together, finding and explaining it."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from app.exchanges.profiles.okx import Okx

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


def refused(text: str, where: str = "router.toml") -> str:
    """The sentence a document is refused by."""
    with pytest.raises(ConfigError) as caught:
        from_mapping(tomllib.loads(text), where)
    sentence = str(caught.value)
    assert sentence.startswith(f"{where}: ")
    assert "\n" not in sentence
    return sentence.removeprefix(f"{where}: ")


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


# Refusals


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "[router]\nprimary_exchnage = 'okx'",
            "router.primary_exchnage is not a setting the router knows; did you mean router.primary_exchange?",
        ),
        ("[ruoter]", "ruoter is not a section the router knows; did you mean router?"),
        (
            "[web]\nport = 1",
            "web is not a section the router knows; known here are exchanges, failover, health, journal, logging,"
            " orders, positions, router, strategies, supervision",
        ),
        (
            "[orders.limits]\nfoo = 1",
            "orders.limits.foo is not a setting the router knows; known here are max_notional, max_open, per_second,"
            " price_collar, reference_max_age_s",
        ),
        (
            "[exchanges.okx]\nsecret_evn = 'X'",
            "exchanges.okx.secret_evn is not a setting the router knows; did you mean exchanges.okx.secret_env?",
        ),
        (
            "[strategies.grid]\nclass = 'a:B'\nargz = {}",
            "strategies.grid.argz is not a setting the router knows; did you mean strategies.grid.args?",
        ),
        ("[strategies.grid]", "strategies.grid.class is missing, and must be set"),
        (
            "[strategies.grid]\nclass = 'grid'",
            'strategies.grid.class is the text \'grid\', and must be "module:Class", e.g. "bot.strategies:Grid"',
        ),
        ("router = 5", "router is 5, and must be a table"),
        ("exchanges = 'okx'", "exchanges is a text, and must be a table of tables"),
        ("strategies = 5", "strategies is a whole number, and must be a table of tables"),
        ("strategies.grid = 5", "strategies.grid is 5, and must be a table"),
        ("[strategies.'a b']", "strategies.'a b' must be named by 1 to 64 letters, digits, _ or -"),
        ("[exchanges]\nokx = 5", "exchanges.okx is a whole number, and must be a table"),
        (
            "[router]\norder_timeout_s = '30'",
            "router.order_timeout_s is the text '30', and must be a number of seconds",
        ),
        ("[router]\nmax_in_flight = 2.5", "router.max_in_flight is 2.5, and must be a whole number"),
        ("[router]\nmax_in_flight = true", "router.max_in_flight is true, and must be a whole number"),
        ("[router]\nmax_in_flight = 0", "router.max_in_flight is 0, and must be a whole number from 1 to 100000"),
        ("[router]\nauto_failover = 1", "router.auto_failover is 1, and must be true or false"),
        ("[router]\nfailover_exchanges = 'okx'", "router.failover_exchanges is the text 'okx', and must be a list"),
        ("[router]\nfailover_exchanges = [1]", "router.failover_exchanges holds a whole number, and must be a list"),
        (
            "[router]\nprimary_exchange = 'mtgox'",
            "router.primary_exchange is the text 'mtgox', and must be one of \"bybit_v5\"",
        ),
        (
            "[router]\nfailover_exchanges = ['mtgox']",
            "router.failover_exchanges holds the text 'mtgox', and must hold only",
        ),
        (
            "[router]\nmarket_type = 'future'",
            'router.market_type is the text \'future\', and must be "swap" or "spot"',
        ),
        ("[failover]\nfailback = 'never'", 'failover.failback is the text \'never\', and must be "manual" or "auto"'),
        ("[positions]\npolicy = 'copy'", "positions.policy is the text 'copy', and must be \"migrate\""),
        ("[orders]\non_shutdown = 'x'", 'orders.on_shutdown is the text \'x\', and must be "leave" or "cancel"'),
        ("[router]\nstate_dir = 'state'", "router.state_dir is the text 'state', and must be an absolute path"),
        ("[router]\nstate_dir = 5", "router.state_dir is 5, and must be the path of a file or folder"),
        (
            "[health]\nwitnesses = ['dns.example:53']",
            "health.witnesses is the text 'dns.example:53', and must be an IP address and a port",
        ),
        ("[health]\nwitnesses = ['192.0.2.1']", "health.witnesses is the text '192.0.2.1', and must be an IP address"),
        ("[health]\njitter = 0.6", "health.jitter is 0.6, and must be a number from 0 to 0.5"),
        ("[health]\nretry_delay = nan", "health.retry_delay is nan, and must be a number of seconds, 0.01 or more"),
        ("[health]\nretry_delay = inf", "health.retry_delay is inf, and must be a number of seconds"),
        ("[health]\nretry_delay = -1", "health.retry_delay is -1, and must be a number of seconds"),
        ("[router]\norder_timeout_s = 0", "router.order_timeout_s is 0, and must be a number of seconds, above 0"),
        ("[router]\norder_timeout_s = 2020-01-01", "router.order_timeout_s is a date or time, and must be a number"),
        (
            "[router]\norder_timeout_s = 10",
            "router.order_timeout_s is 10, and must be above router.request_timeout_s, which is 10",
        ),
        (
            "[router]\nmarkets_max_age_s = 60",
            "router.markets_max_age_s is 60, and must be 0, or at least router.markets_refresh_s, which is 3600",
        ),
        (
            "[router]\nmarkets_refresh_s = 0",
            "router.markets_refresh_s is 0, and must be a number of seconds, 1 or more",
        ),
        (
            "[health]\nhold_down_s = 60\nhold_down_max_s = 50",
            "health.hold_down_s is 60, and must be at most health.hold_down_max_s, which is 50",
        ),
        (
            "[health]\nstale_after_s = 100",
            "health.stale_after_s is 100, and must be at least 2 times health.status_interval_s, which is 60",
        ),
        (
            "[health]\nlatency_min_s = 5",
            "health.latency_min_s is 5, and must be below health.probe_timeout_s, which is 5",
        ),
        (
            "[failover]\npreflight_max_age_s = 24",
            "failover.preflight_max_age_s is 24, and must be at least failover.preflight_interval_s and"
            " preflight_timeout_s together, 25",
        ),
        (
            "[health]\nprobe_timeout_s = 31",
            "health.probe_timeout_s is 31, and must be at most health.health_check_interval, which is 30",
        ),
        (
            "[router]\nprimary_exchange = 'okx'",
            "router.primary_exchange is okx, and router.failover_exchanges (okx, binance) must not name it again",
        ),
        (
            "[router]\nfailover_exchanges = ['okx', 'okx']",
            "router.failover_exchanges is okx, okx, and must name each exchange only once",
        ),
        ("[exchanges.mtgox]", "exchanges.mtgox is not an exchange the router knows, and must be one of"),
        (
            "[exchanges.bybit]\n[exchanges.bybit_v5]",
            "exchanges.bybit and exchanges.bybit_v5 are the same exchange, and only one of them may be there",
        ),
        (
            "[exchanges.okx]\nmarket_type = 'spot'",
            'exchanges.okx.market_type is "spot", and router.market_type is "swap": both must be the same',
        ),
        ("[exchanges.okx]\nbase_url = 'okx.com'", "exchanges.okx.base_url must be an http or https address"),
        ("[exchanges.okx]\nbase_url = 'http://h:x'", "exchanges.okx.base_url must be an http or https address"),
        (
            "[exchanges.okx]\nbase_url = 'http://127.0.0.1:1'\nsandbox = true",
            "exchanges.okx.base_url and exchanges.okx.sandbox are both set, and only one of them may be",
        ),
    ],
)
def test_refusals_are_one_sentence_with_the_dotted_name(text: str, sentence: str) -> None:
    """What, where, and what would be right."""
    assert refused(text).startswith(sentence)


def test_a_sandbox_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the profile's own sentence, rather than trading with real money or not at all."""
    monkeypatch.setattr(Okx, "no_sandbox", "OKX has no test network for swaps.")
    assert refused("[exchanges.okx]\nsandbox = true").startswith(
        "exchanges.okx.sandbox is set, and cannot be: OKX has no test network for swaps"
    )


def test_syntax_errors_name_the_line(tmp_path: Path) -> None:
    """As the parser counts it."""
    path = tmp_path / "router.toml"
    path.write_text('[router]\nprimary_exchange = "okx"\nmarket_type = swap\n')
    with pytest.raises(ConfigError, match=r"router\.toml is not valid TOML: .*line 3"):
        load(path)
    path.write_bytes(b'[router]\nprimary_exchange = "\xff"\n')
    with pytest.raises(ConfigError, match="line 2 is not text in UTF-8"):
        load(path)


def test_unreadable_files_are_one_sentence(tmp_path: Path) -> None:
    """Missing, a folder, far too long."""
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read: No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="pipe cannot be read: it is no regular file"):
        load(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="cannot be read: it is no regular file"):
        load("/dev/zero")
    (tmp_path / "long.toml").write_text("#" * 2_000_000)
    with pytest.raises(ConfigError, match="longer than"):
        load(tmp_path / "long.toml")


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers() | st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)
PLACES = [
    (section, attribute.name)
    for section in SECTIONS
    if section not in ("strategies", "exchanges")
    for attribute in attrs.fields(type(getattr(Config(), section)))
]


@given(st.sampled_from(PLACES), SCALARS)
def test_any_value_anywhere_is_taken_or_refused_by_its_name(place: tuple[str, str], value: Any) -> None:
    """Never another exception, and never a refusal that leaves one guessing."""
    section, key = place
    try:
        from_mapping({section: {key: value}}, "x")
    except ConfigError as error:
        assert f"{section}.{key}" in str(error)  # noqa: PT017
        assert "cannot be used" not in str(error)  # noqa: PT017


@given(st.dictionaries(st.sampled_from([*SECTIONS, "other"]), SCALARS | st.dictionaries(st.text(max_size=5), SCALARS)))
def test_any_tables_are_taken_or_refused(tables: dict[str, Any]) -> None:
    """Whatever shape they have."""
    try:
        from_mapping(tables, "x")
    except ConfigError as error:
        assert "cannot be used" not in str(error)  # noqa: PT017


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
