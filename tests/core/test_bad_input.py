"""Bad input: one sentence, typed, that says what is wrong and what would be right; and nothing is sent anywhere."""

from __future__ import annotations

import asyncio
import re
import stat
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.core.order_router import InvalidRequest, NotRunning, OrderRouter, OrderRouterError
from tests.e2e.world import World, place, until

GOOD = {"symbol": "BTCUSDT", "side": "Buy", "order_type": "Limit", "qty": "0.001", "price": "20000"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, OrderRouter]]:
    """One world for the file."""
    with World(["bybit", "okx"], tmp_path_factory.mktemp("bad") / "state") as world, world.running() as router:
        yield world, router


def one_sentence(words: str) -> bool:
    """Whether a text is one sentence on one line, without a trace of Python or of a machine."""
    more = re.findall(r"[.!?]\s+[A-Z]", words)
    return not more and "\n" not in words and "Traceback" not in words and 10 < len(words) < 400


NO_QUANTITIES: list[Any] = [
    *("nan", "inf", "-inf", "", "abc", "0", "-1", "0.0", "1,5", "0x10", "sNaN", None, True, [], b"1"),
    *(float("nan"), float("inf"), -1.0, 0, Decimal("NaN"), Decimal(0), 1j),
]
NO_PRICES: list[Any] = ["nan", float("inf"), 0, "-5", "cheap", True, {}]
BAD_ORDERS: list[tuple[dict[str, Any], str]] = [
    ({"symbol": "NOSUCHUSDT"}, "no linear swap NOSUCH/USDT:USDT"),
    ({"symbol": "BTCUSD"}, "BTC/USD:USD"),
    ({"symbol": "btc"}, "must look like BTCUSDT"),
    ({"symbol": ""}, "must look like BTCUSDT"),
    ({"symbol": "BTC/USDT:"}, "must look like"),
    ({"symbol": None}, "symbol is None"),
    ({"symbol": "BTC/USDT; DROP TABLE orders"}, "must look like"),
    ({"side": "Hold"}, "side is 'Hold', and must be 'Buy' or 'Sell'"),
    ({"side": None}, "side is None"),
    ({"side": 1}, "side is 1"),
    ({"order_type": "Stop"}, "order_type is 'Stop', and must be 'Limit' or 'Market'"),
    ({"time_in_force": "Forever"}, "time_in_force is 'Forever'"),
    ({"reduce_only": "no"}, "reduce_only is 'no'"),
    *[({"qty": qty}, "qty is ") for qty in NO_QUANTITIES],
    *[({"price": price}, "price is ") for price in NO_PRICES],
    ({"price": None}, "price is missing"),
    ({"price": ""}, "price is missing"),
    ({"qty": "0.0001"}, "below the minimum: use 0.001 or more"),
    ({"qty": "0.0015"}, "the nearest valid quantity is 0.002"),
    ({"qty": 0.1 + 0.2}, "the nearest valid quantity is 0.3"),
    ({"qty": "1e9"}, "above the maximum: use "),
    ({"qty": "1e999999"}, "qty is '1e999999', and must be a number from 1e-18 to 1e18"),
    ({"qty": "1e18"}, "above the maximum"),
    ({"qty": "0." + "1" * 40}, "at most 36 digits"),
    ({"qty": "1e-999999"}, "must be a number from 1e-18"),
    ({"qty": "1e-18"}, "below the minimum"),
    ({"price": "20000.05"}, "the nearest valid one is 20000"),
    ({"price": "1e-9"}, "the nearest valid one is 0.1"),
    ({"price": "1e999999"}, "price is '1e999999', and must be a number from 1e-18"),
    ({"take_profit": "0"}, "take_profit is '0'"),
    ({"take_profit": "30000.01"}, "Take profit 30000.01 is not a multiple of the tick"),
    ({"stop_loss": "none"}, "stop_loss is 'none'"),
    ({"client_order_id": ""}, "client_order_id is ''"),
    ({"client_order_id": "a\nb"}, "printable"),
    ({"client_order_id": "x" * 129}, "1 to 128"),
    ({"client_order_id": 7}, "client_order_id is 7"),
    ({"client_order_id": "exit/mine"}, "ids that begin with 'exit/' are the router's own"),
    ({"timeout_s": "soon"}, "timeout_s is 'soon'"),
    ({"timeout_s": -1}, "timeout_s is -1"),
    ({"timeout_s": float("nan")}, "timeout_s is nan"),
    ({"timeout_s": 1e12}, "at most 86400"),
    ({"order_type": "Market", "time_in_force": "PostOnly"}, "market order cannot be PostOnly"),
]


@pytest.mark.parametrize(("bad", "words"), BAD_ORDERS, ids=lambda value: str(value)[:60])
def test_a_bad_order_is_refused_in_one_sentence_and_nothing_is_sent(
    shared: tuple[World, OrderRouter], bad: dict[str, Any], words: str
) -> None:
    world, router = shared
    placed = world.placements()
    asked: dict[str, Any] = {**GOOD, **bad}
    with pytest.raises(InvalidRequest) as refused:
        router.place_order(**asked)
    assert words in str(refused.value)
    assert one_sentence(str(refused.value)), str(refused.value)
    with pytest.raises(InvalidRequest):
        asyncio.run(router.aio.place_order(**asked))
    assert world.placements() == placed
    assert router.get_open_orders() == []


def test_an_integer_python_itself_does_not_write_is_refused(shared: tuple[World, OrderRouter]) -> None:
    world, router = shared
    with pytest.raises(InvalidRequest, match="qty is an integer of thousands of digits, and must be"):
        router.place_order("BTCUSDT", "Buy", "Limit", 10**5000, "20000")
    assert world.placements() == 0


def test_bad_questions_are_refused_in_one_sentence(shared: tuple[World, OrderRouter]) -> None:
    world, router = shared
    calls: list[tuple[Any, str]] = [
        (lambda: router.get_order("nonsense"), "No order 'nonsense'"),
        (lambda: router.get_order(""), "order_id is ''"),
        (lambda: router.get_order(None), "order_id is None"),
        (lambda: router.cancel_order("BTCUSDT", "0" * 32), "No order"),
        (lambda: router.cancel_order("nonsense", "0" * 32), "must look like"),
        (lambda: router.get_market_data("NOSUCHUSDT"), "no linear swap"),
        (lambda: router.get_market_data(5), "symbol is 5"),  # type: ignore[arg-type]
        (lambda: router.get_open_orders("BTC"), "must look like"),
        (lambda: router.manual_failover("mtgox"), "the configured exchanges are bybit, okx"),
        (lambda: router.manual_failover(None), "the configured exchanges are bybit, okx"),  # type: ignore[arg-type]
        (lambda: router.amend_order("BTCUSDT", "0" * 32), "Nothing is to be changed"),
        (lambda: router.amend_order("BTCUSDT", "0" * 32, qty="0"), "qty"),
        (lambda: router.amend_order("BTCUSDT", "0" * 32, qty="1", price="x"), "price"),
        (lambda: router.amend_order("BTCUSDT", "", price="1"), "order_id"),
    ]
    for call, words in calls:
        with pytest.raises(InvalidRequest) as refused:
            call()
        assert words in str(refused.value)
        assert one_sentence(str(refused.value)), str(refused.value)
    assert world.placements() == 0


BAD_ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"primary_exchange": "mtgox"}, "router.primary_exchange"),
    ({"primary_exchange": 7}, "router.primary_exchange"),
    ({"primary_exchange": "okx"}, "must not name it again"),
    ({"failover_exchanges": "okx"}, "must be a list"),
    ({"failover_exchanges": ["okx", "okx"]}, "only once"),
    ({"failover_exchanges": ["okx", None]}, "failover_exchanges"),
    ({"failover_exchanges": ["bybit_v5"]}, "must not name it again"),
    ({"health_check_interval": "often"}, "health.health_check_interval"),
    ({"health_check_interval": 0}, "health.health_check_interval"),
    ({"health_check_interval": float("nan")}, "health.health_check_interval"),
    ({"max_retry_attempts": 2.5}, "health.max_retry_attempts"),
    ({"max_retry_attempts": 0}, "health.max_retry_attempts"),
    ({"retry_delay": -1}, "health.retry_delay"),
    ({"auto_failover": "yes"}, "router.auto_failover"),
    ({"market_type": "future"}, 'must be "swap" or "spot"'),
    ({"state_dir": "relative/path"}, "absolute"),
    ({"strategy": ""}, "strategy is ''"),
    ({"exchanges": ["okx"]}, "exchanges must be a mapping"),
    ({"exchanges": {"mtgox": {}}}, "mtgox"),
    ({"exchanges": {"okx": {"api_kee": "x"}}}, "did you mean exchanges.okx.api_key"),
    ({"exchanges": {"okx": None}}, "exchanges['okx'] must be a mapping"),
    ({"config": "/nowhere/at/all.toml"}, "cannot be read"),
    ({"config": {"rooter": {}}}, "did you mean router"),
    ({"config": {"router": {"primary": "okx"}}}, "router.primary"),
    ({"config": {"router": {"order_timeout_s": 1}}}, "router.request_timeout_s"),
    ({"config": {"router": 5}}, "router is of type int, and must be a table"),
    ({"config": 5}, "config is 5"),
]


@pytest.mark.parametrize(("bad", "words"), BAD_ARGUMENTS, ids=lambda value: str(value)[:60])
def test_a_bad_argument_is_refused_before_anything_starts(bad: dict[str, Any], words: str, tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    arguments: dict[str, Any] = {"config": {}, "state_dir": state_dir, **bad}
    with pytest.raises(InvalidRequest) as refused:
        OrderRouter(**arguments)
    assert words in str(refused.value)
    assert one_sentence(str(refused.value)), str(refused.value)
    assert not state_dir.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"okx": {"secret": None}}, "okx has no secret: set exchanges.okx.secret, secret_env or secret_file"),
        pytest.param({"okx": None}, "okx has no credentials", marks=pytest.mark.deep),
        pytest.param(
            {"bybit": {"api_key": None, "api_key_env": "NO_SUCH_VARIABLE_HERE"}},
            "NO_SUCH_VARIABLE_HERE",
            marks=pytest.mark.deep,
        ),
        pytest.param({"okx": {"password": None}}, "okx has no password", marks=pytest.mark.deep),
    ],
    ids=["no secret", "no table", "an empty variable", "no passphrase"],
)
def test_missing_credentials_are_named_and_no_daemon_is_left(
    shared: tuple[World, OrderRouter], tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    world, _ = shared
    tables = world.tables()
    for name, keys in change.items():
        if keys is None:
            del tables["exchanges"][name]
            continue
        tables["exchanges"][name] = {
            key: value for key, value in {**tables["exchanges"][name], **keys}.items() if value is not None
        }
    state_dir = tmp_path / "state"
    router = OrderRouter(config=tables, state_dir=state_dir)
    with pytest.raises(InvalidRequest) as refused:
        router.start()
    assert words in str(refused.value)
    assert one_sentence(str(refused.value)), str(refused.value)
    assert str(refused.value).startswith("the configuration given: ")
    for sim in world.names:
        assert world[sim].secret not in str(refused.value)
    assert not (state_dir / "daemon.json").exists()


def test_a_state_directory_that_others_may_read_is_refused(shared: tuple[World, OrderRouter], tmp_path: Path) -> None:
    world, _ = shared
    state_dir = tmp_path / "open"
    state_dir.mkdir(mode=0o755)
    state_dir.chmod(0o755)
    with pytest.raises(OrderRouterError, match=r"0700|private|mode"):
        world.router(state_dir=state_dir).start()
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o755


@pytest.mark.deep
def test_wrong_credentials_are_no_orders(shared: tuple[World, OrderRouter], tmp_path: Path) -> None:
    world, _ = shared
    tables = world.tables()
    tables["exchanges"]["bybit"] |= {"api_key": "somebody-else", "secret": "not the secret"}
    tables["router"]["failover_exchanges"] = []
    placed = world.placements()
    router = OrderRouter(config=tables, state_dir=tmp_path / "state")
    router.start()
    try:
        answered = place(router, "not ours", timeout_s=2.0)
        assert answered.order is None
        assert not isinstance(answered.error, NotRunning)

        def reason() -> str:
            return router.get_status()["exchange_health"]["bybit"]["reason"]

        until(lambda: "not loaded" not in reason() and "10003" in reason(), means="the refused key being told")
        later = place(router, "not ours either", timeout_s=2.0)
        assert "10003" in str(later.error), "that its markets are not loaded helps nobody to find a wrong key"
        assert [row for row in world["bybit"].control.truth()["orders"] if row["status"] != "rejected"] == []
        assert world.placements() - placed < 10
    finally:
        router.close()


def test_a_coin_is_named_by_text_however_it_is_written(shared: tuple[World, OrderRouter]) -> None:
    _, router = shared
    assert [row["coin"] for row in router.get_balances("usdt")] == ["USDT"]
    for wrong in (5, "", b"USDT"):
        with pytest.raises(InvalidRequest, match="must be text such as 'USDT'") as refused:
            router.get_balances(wrong)  # type: ignore[arg-type]
        assert one_sentence(str(refused.value))
