"""What the configuration refuses, and in which sentence; and that whatever else there is is taken or refused so."""

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
    from_mapping,
    load,
)
from app.config.structure import SECTIONS
from app.exchanges.profiles.okx import Okx


def refused(text: str, where: str = "router.toml") -> str:
    """The sentence a document is refused by."""
    with pytest.raises(ConfigError) as caught:
        from_mapping(tomllib.loads(text), where)
    sentence = str(caught.value)
    assert sentence.startswith(f"{where}: ")
    assert "\n" not in sentence
    return sentence.removeprefix(f"{where}: ")


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
