"""The operator's verbs on the command line: what they print, what they end with, and that some need no daemon."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.order_router import OrderRefused, OrderRouter
from app.simulator.thread import SimulatorThread
from tests.cli.desk import Running, order_router, refusal, within
from tests.cli.test_daemon_verbs import NAMES, Desk, write_config
from tests.e2e.world import backups_ready

CALM = """
[health]
health_check_interval = 2
[failover]
preflight_interval_s = 4
"""
"""The exchanges' own limits are those of the accounts, and looks at backups are to have room beside probes."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A daemon on simulated exchanges, whose backups were looked at."""
    home = tmp_path_factory.mktemp("verbs")
    with SimulatorThread(NAMES) as sims:
        config = write_config(home, dict(sims.all), CALM)
        with Running("run", "--config", config, home=home) as daemon:
            assert "ready on" in daemon.line()
            yield Desk(home, config, daemon)
            assert daemon.end(signal.SIGTERM) == 0


def test_a_plan_names_the_route_the_candidates_the_orders_and_what_they_are_worth(desk: Desk) -> None:
    with OrderRouter(config=desk.config, strategy="grid") as bot:
        backups_ready(bot, patience_s=60)
        order = bot.place_order("BTCUSDT", "Buy", "Limit", "0.01", "20000")["orderId"]
        shown = desk.text("failover", "okx", "--dry-run")
        for words in (
            "Dry run: nothing was done.",
            "Trading would move from bybit to okx. 1 order would be placed there.",
            "placed on okx: 1",
            order,
            "Buy 0.01 BTC/USDT:USDT at 20000",
            "worth 200.00 in quote coin",
            "binance  ready",
            "Why there: okx is well for ",
        ):
            assert words in shown, shown
        plan = desk.facts("failover", "okx", "--dry-run")["plan"]
        assert [each["orderId"] for each in plan["carried"]] == [order]
        assert desk.facts("status")["current_exchange"] == "bybit"
        assert desk.facts("history") == []
        assert f"Order {order} rests on bybit." in desk.text("resolve", order)
        assert f"Order {order} is cancelled, nothing of it filled." in desk.text("resolve", order, "--drop")


def test_what_holds_is_said_in_the_status_until_it_is_ended(desk: Desk) -> None:
    assert "Trading is frozen: nothing new is placed" in desk.text("freeze", "--reason", "the desk is closed")
    assert "Trading is frozen already: the desk is closed." in desk.text("freeze")
    assert "Trading is frozen: the desk is closed." in desk.text("status")
    assert desk.facts("status")["controls"] == ["Trading is frozen: the desk is closed."]
    assert "Trading is no longer frozen" in desk.text("unfreeze")
    assert "Trading is not frozen." in desk.text("unfreeze")
    assert "Only orders that reduce a position are taken" in desk.text("reduce-only")
    assert "Orders of every kind are taken again." in desk.text("reduce-only", "off")
    assert "okx is isolated" in desk.text("isolate", "okx", "--reason", "its margin engine is late")
    assert "not ready" in desk.text("status")
    assert "release it first" in desk.refused(64, "failover", "okx")
    assert "okx is released" in desk.text("release", "okx")
    assert desk.facts("status")["controls"] == []


def test_a_panic_says_what_it_would_cancel_and_what_it_did(desk: Desk) -> None:
    with OrderRouter(config=desk.config, strategy="grid") as bot:
        order = bot.place_order("BTCUSDT", "Buy", "Limit", "0.01", "20000")["orderId"]
        assert "cancelled: 1" in desk.text("panic", "--dry-run")
        came = desk.facts("panic", "--flatten", "--reason", "fat finger")
        assert (came["done"], came["orders_cancelled"]) == (True, [order])
        assert came["controls"][0].startswith("Panic: nothing new is placed")
        assert "The panic is over" in desk.text("unfreeze")


def test_what_cannot_be_is_one_sentence_and_64(desk: Desk) -> None:
    assert "must be on or off" in desk.refused(64, "reduce-only", "maybe")
    assert "not among the configured exchanges: bybit, okx, binance" in desk.refused(64, "isolate", "kraken")
    assert "is not known to the router" in desk.refused(64, "drain", "no-such-place")
    assert "one of --place and --drop" in desk.refused(64, "resolve", "x", "--place", "--drop")
    assert "knows no order x" in desk.refused(64, "resolve", "x")
    assert "trading is there already" in desk.refused(64, "failover", "bybit", "--dry-run")


def test_a_failback_to_where_trading_is_is_nothing_to_do(desk: Desk) -> None:
    assert "Trading is on bybit, the primary exchange, already." in desk.text("failback")


def test_the_history_is_exported_held_against_an_export_and_a_change_of_it_is_65(desk: Desk, tmp_path: Path) -> None:
    desk.text("freeze")
    desk.text("unfreeze")
    file = tmp_path / "history.jsonl"
    done = desk.facts("history", "--export", str(file))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert (done["rows"], done["hash"]) == (len(rows), rows[-1]["hash"])
    assert [row["step"] for row in rows[-2:]] == ["freeze", "unfreeze"]
    assert done["hash"] in desk.text("history", "--verify", str(file))
    assert "one of --export and --verify" in desk.refused(64, "history", "--export", str(file), "--verify", str(file))
    file.write_text(file.read_text().replace('"step": "freeze"', '"step": "thaw"'))
    assert "is not as it was exported" in desk.refused(65, "history", "--verify", str(file))
    assert "is not as it was exported" in desk.refused(65, "history", "--export", str(file))
    assert "no row of a history" in desk.refused(65, "history", "--verify", str(desk.config))


def test_a_freeze_is_had_though_the_coordinator_hangs(desk: Desk) -> None:
    """By the command itself, or by the next coordinator, if that is quicker: within seconds, and once."""
    (pid,) = [each["pid"] for each in desk.facts("status")["actors"] if each["name"].startswith("failover_coordinator")]
    os.kill(pid, signal.SIGSTOP)  # its supervisor finds it by its heartbeats, and replaces it
    came = desk.facts("freeze", "--reason", "it hangs")
    assert (came["done"], came["controls"]) == (True, ["Trading is frozen: it hangs."])
    with OrderRouter(config=desk.config, strategy="grid") as bot, pytest.raises(OrderRefused, match="it hangs"):
        bot.place_order("BTCUSDT", "Buy", "Limit", "0.01", "20000")
    assert "no longer frozen" in desk.text("unfreeze")


def test_where_no_daemon_runs_what_holds_is_written_to_the_journal_itself(desk: Desk, tmp_path: Path) -> None:
    """And is met by the daemon that is started then; what needs one says that there is none."""
    with SimulatorThread(["bybit", "okx"]) as sims:
        config = write_config(tmp_path, dict(sims.all))
        assert "there is no journal" in refusal(within("freeze", "--config", config, home=tmp_path)), "never begun here"
        with Running("run", "--config", config, home=tmp_path) as daemon:
            assert "ready on" in daemon.line()
            assert daemon.end(signal.SIGTERM) == 0
        frozen = within("freeze", "--config", config, "--reason", "before it trades", home=tmp_path)
        assert (frozen.returncode, frozen.stderr) == (0, "")
        assert "Trading is frozen" in frozen.stdout
        assert "was written to the journal" in " ".join(frozen.stdout.split())
        assert refusal(within("failover", "okx", "--config", config, home=tmp_path)).endswith("order-router run.")
        panic = within("panic", "--config", config, "--json", home=tmp_path)
        assert (panic.returncode, json.loads(panic.stdout)["done"]) == (75, False)
        assert within("unfreeze", "--config", config, home=tmp_path).returncode == 0
        assert within("isolate", "okx", "--config", config, home=tmp_path).returncode == 0
        with Running("run", "--config", config, home=tmp_path) as daemon:
            assert "ready on" in daemon.line()
            status = json.loads(order_router("status", "--config", config, "--json", home=tmp_path).stdout)
            assert status["controls"] == ["okx is isolated: It was asked for."]
            assert daemon.end(signal.SIGTERM) == 0
