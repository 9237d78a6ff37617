"""The verbs that run, look at and steer a daemon, against a real one on simulated exchanges."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psutil
import pytest

from app.core.order_router import OrderRouter
from app.simulator.run import configuration
from app.simulator.thread import Simulated, SimulatorThread
from tests.cli.desk import DEADLINE_S, Running, order_router, refusal, within
from tests.e2e.world import backups_ready
from tests.processes import Deaths
from tests.simulator.real_clients import eventually

NAMES = ["bybit", "okx", "binance"]
QUICK = """
[health]
health_check_interval = 0.5
retry_delay = 0.2
max_retry_attempts = 2
"""


def write_config(folder: Path, sims: dict[str, Simulated], more: str = QUICK) -> Path:
    """A configuration of these exchanges."""
    facts = {
        name: {"base_url": s.base_url, "api_key": s.api_key, "secret": s.secret, "password": s.password}
        for name, s in sims.items()
    }
    path = folder / "order-router.toml"
    path.write_text(configuration(facts, folder / "state") + more)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def sims() -> Iterator[dict[str, Simulated]]:
    """Simulated exchanges."""
    with SimulatorThread(NAMES) as running:
        yield dict(running.all)


@pytest.fixture(scope="module")
def free() -> Iterator[dict[str, Simulated]]:
    """Exchanges with accounts that no other daemon holds."""
    with SimulatorThread(NAMES) as running:
        yield dict(running.all)


def catches(pid: int, *numbers: signal.Signals) -> bool:
    """Whether a process has answers of its own to these signals, as the kernel tells (proc_pid_status(5), SigCgt)."""
    (mask,) = re.findall(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return all(int(mask, 16) >> (number - 1) & 1 for number in numbers)


class Desk:
    """A daemon that runs, and the command beside it."""

    def __init__(self, home: Path, config: Path, daemon: Running) -> None:
        self.home, self.config, self.daemon = home, config, daemon

    def facts(self, *arguments: str, real: bool = False) -> Any:
        """What the command prints as JSON."""
        done = self._run(real)(*arguments, "--config", self.config, "--json", home=self.home)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        (line,) = done.stdout.splitlines()
        return json.loads(line)

    def text(self, *arguments: str, real: bool = False) -> str:
        """What the command prints for people, found by the state directory alone."""
        done = self._run(real)(*arguments, "--state-dir", self.home / "state", home=self.home)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def refused(self, code: int, *arguments: str, real: bool = False) -> str:
        """The sentence of a command that ends with a code."""
        done = self._run(real)(*arguments, "--config", self.config, home=self.home)
        assert done.returncode == code, done.stderr
        return refusal(done)

    @staticmethod
    def _run(real: bool) -> Callable[..., CompletedProcess[str]]:
        """A process of its own, where that is what is tested: it costs more than all that the command does."""
        return order_router if real else within


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, sims: dict[str, Simulated]) -> Iterator[Desk]:
    """One daemon for the tests that only look; each leaves trading where it pleases."""
    home = tmp_path_factory.mktemp("desk")
    config = write_config(home, sims)
    with Running("run", "--config", config, home=home) as daemon:
        assert daemon.line() == (
            f"order-router: ready on {home}/state (pid {daemon.process.pid}), routing to bybit, okx, binance"
        )
        yield Desk(home, config, daemon)
        assert daemon.end(signal.SIGTERM) == 0
        assert daemon.line() == ""  # one line is all it prints


def ready(desk: Desk) -> None:
    """Waits until trading could move to every backup."""
    with OrderRouter(config=desk.config, strategy="looks on") as router:
        backups_ready(router)


def test_status(desk: Desk) -> None:
    """As JSON the facade's own shape; as text a table by exchange and by actor."""
    found = desk.facts("status", real=True)
    assert found["status"] == "ready"
    assert found["primary_exchange"] == "bybit"
    assert set(found["exchange_health"]) == set(NAMES)
    shown = desk.text("status", real=True)
    for word in (*NAMES, "ready", "well", "failover_coordinator"):
        assert word in shown


@pytest.mark.parametrize("as_json", [True, False])
def test_status_watched(desk: Desk, as_json: bool) -> None:
    """Again and again until Ctrl-C, which is how it is meant to end."""
    arguments = ["status", "--config", str(desk.config), "--watch", "--interval", "0.1"]
    home = desk.home / f"watch-{as_json}"
    home.mkdir()
    with Running(*arguments, *(["--json"] if as_json else []), home=home) as watching:
        if as_json:
            assert [json.loads(watching.line())["status"] for _ in range(3)] == ["ready"] * 3
        else:
            for _ in range(3):
                watching.line_with("ready: trading on")
        assert watching.end(signal.SIGINT) == 0
        assert watching.log() == ""


def test_orders_of_every_strategy(desk: Desk) -> None:
    """What rests is listed with whose it is, and is gone once cancelled."""
    assert desk.facts("orders") == []
    assert "No order is live." in desk.text("orders")
    with OrderRouter(config=desk.config, strategy="some-bot") as bot:
        order = bot.place_order("BTCUSDT", "Buy", "Limit", "0.01", "20000", client_order_id="resting-one")
        (listed,) = desk.facts("orders")
        assert (listed["orderId"], listed["strategy"]) == (order["orderId"], "some-bot")
        assert listed["orderLinkId"] == "resting-one"
        shown = desk.text("orders")
        assert order["orderId"] in shown
        assert "some-bot" in shown
        bot.cancel_order("BTCUSDT", order["orderId"])
    assert desk.facts("orders") == []


def test_positions_and_book(desk: Desk, sims: dict[str, Simulated]) -> None:
    """What the exchange says, and where."""
    exchange = desk.facts("status")["current_exchange"]
    assert "No position on" in desk.text("positions")
    with OrderRouter(config=desk.config, strategy="holder") as bot:
        bot.place_order("ETHUSDT", "Buy", "Market", "0.1")
        found = desk.facts("positions")
        assert found["exchange"] == exchange
        assert [(p["symbol"], p["side"], p["size"]) for p in found["positions"]] == [("ETHUSDT", "Buy", "0.1")]
        assert "ETHUSDT" in desk.text("positions")
        bot.place_order("ETHUSDT", "Sell", "Market", "0.1")


def test_failover_and_history(desk: Desk, sims: dict[str, Simulated]) -> None:
    """There, back, and what cannot be: to where trading is, to what is not configured, to what is dead."""
    sentence = desk.text("history")
    if not desk.facts("history"):
        assert "Trading has not moved yet." in sentence
    ready(desk)
    moved = desk.facts("failover", "okx", real=True)
    assert (moved["from_exchange"], moved["to_exchange"], moved["reason"]) == ("bybit", "okx", "Manual failover")
    assert desk.facts("status")["current_exchange"] == "okx"
    assert "okx" in desk.refused(64, "failover", "okx", real=True)
    assert "kraken" in desk.refused(64, "failover", "kraken")
    rule = sims["binance"].control.fault("refused")
    try:
        assert "binance" in desk.refused(69, "failover", "binance")
    finally:
        sims["binance"].control.clear_fault(rule)
    ready(desk)
    assert "Trading moved from okx to bybit in" in desk.text("failover", "bybit", "--reason", "the drill is over")
    last = desk.facts("history")[-1]
    assert (last["to_exchange"], last["result"], last["reason"]) == ("bybit", "completed", "the drill is over")
    assert last["evidence"][0] == "somebody asked for it"
    shown = desk.text("history")
    assert "Manual failover" in shown
    assert "chosen: bybit is well for" in shown
    assert "completed" in shown


def test_a_second_daemon_on_the_directory_is_refused(desk: Desk) -> None:
    """The first goes on."""
    sentence = desk.refused(78, "run", real=True)
    assert "in use" in sentence
    assert str(desk.daemon.process.pid) in sentence
    assert desk.facts("status")["status"] == "ready"


def test_logs_are_json_lines_on_stderr(desk: Desk) -> None:
    """Where stderr is no terminal; stdout is kept for the one line."""
    events = [json.loads(line) for line in desk.daemon.log().splitlines()]
    assert any(event["event"] == "daemon.ready" for event in events)


def test_a_reader_that_has_enough_is_no_error(desk: Desk) -> None:
    """`order-router status | head -0`, of both kinds of output."""
    home = desk.home / "reader"
    home.mkdir()
    for more in ([], ["--json"]):
        with Running("status", "--config", str(desk.config), *more, home=home) as looking:
            assert looking.process.stdout is not None
            looking.process.stdout.close()
            assert looking.end() == 141
            assert looking.log() == ""
            looking.process.stdout = None


@pytest.mark.parametrize("whole_group", [True, pytest.param(False, marks=pytest.mark.deep)])
def test_ctrl_c_ends_run_with_0_and_nothing_left(tmp_path: Path, free: dict[str, Simulated], whole_group: bool) -> None:
    """As SIGTERM does; a terminal sends it to the actors as well, which must leave the ending to the daemon."""
    config = write_config(tmp_path, free)
    with Running("run", "--config", config, home=tmp_path) as daemon:
        daemon.line_with("ready on")
        with Deaths(daemon.tree()) as deaths:
            assert daemon.end(signal.SIGINT, whole_group=whole_group) == 0
            deaths.wait(DEADLINE_S)
    assert "Traceback" not in daemon.log()


def test_stop_asked_for_while_it_starts_is_a_clean_stop(tmp_path: Path, free: dict[str, Simulated]) -> None:
    """Before it serves, with no word of failure."""
    lock = tmp_path / "state" / "lock"
    with Running("run", "--config", write_config(tmp_path, free), home=tmp_path) as daemon:
        eventually(lock.exists, deadline_s=DEADLINE_S)
        assert daemon.end(signal.SIGTERM) == 0
        assert "Traceback" not in daemon.log()
        assert "order-router: " not in daemon.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_asked_for_while_it_is_imported_is_a_clean_stop(
    tmp_path: Path, free: dict[str, Simulated], number: signal.Signals
) -> None:
    """From the moment at which the command has these signals, which is long before it has a lock."""
    with Running("run", "--config", write_config(tmp_path, free), home=tmp_path) as daemon:
        eventually(lambda: catches(daemon.process.pid, number, signal.SIGHUP), deadline_s=DEADLINE_S)
        assert not (tmp_path / "state").exists(), "so early"
        assert daemon.end(number) == 0
        assert daemon.log() == ""


def test_sighup_while_it_starts_is_remembered(tmp_path: Path, free: dict[str, Simulated]) -> None:
    """It neither ends the daemon nor is lost."""
    with Running("run", "--config", write_config(tmp_path, free), home=tmp_path) as daemon:
        eventually(lambda: catches(daemon.process.pid, signal.SIGHUP), deadline_s=DEADLINE_S)
        daemon.process.send_signal(signal.SIGHUP)  # before it was read: nothing to do
        eventually((tmp_path / "state" / "lock").exists, deadline_s=DEADLINE_S)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.line_with("ready on")
        eventually(lambda: "config.reloaded" in daemon.log(), deadline_s=DEADLINE_S)
        eventually(lambda: daemon.log().count("daemon.ready") == 2, deadline_s=DEADLINE_S)
        assert daemon.end(signal.SIGTERM) == 0


def test_run_killed_leaves_nothing_and_can_start_again(tmp_path: Path, free: dict[str, Simulated]) -> None:
    """kill -9 of the one process ends every other; the next daemon takes over the directory."""
    config = write_config(tmp_path, free)
    with Running("run", "--config", config, home=tmp_path) as daemon:
        daemon.line_with("ready on")
        tree = daemon.tree()
        assert len(tree) > len(NAMES) + 3
        with Deaths(tree) as deaths:
            assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
            deaths.wait(DEADLINE_S)
    done = within("status", "--config", config, home=tmp_path)
    assert done.returncode == 69
    assert "No order-router daemon runs" in refusal(done)
    with Running("run", "--config", config, home=tmp_path) as again:
        again.line_with("ready on")
        assert again.end(signal.SIGTERM) == 0


def test_run_gives_up_with_75(tmp_path: Path, free: dict[str, Simulated]) -> None:
    """What keeps dying: systemd is to try again; the last line says why. A strategy that cannot live is not that."""
    (tmp_path / "broken_bot.py").write_text("raise RuntimeError('no luck')\n")
    more = f"""{QUICK}
[supervision]
intensity = 0

[strategies.broken]
class = "broken_bot:Bot"
path = "{tmp_path}"
"""
    with Running("run", "--config", write_config(tmp_path, free, more), home=tmp_path) as daemon:
        daemon.line_with("ready on")
        eventually(lambda: "child.stays_down" in daemon.log(), deadline_s=DEADLINE_S)
        assert "strategy:broken ended 1 times" in daemon.log()
        (admin,) = psutil.Process(daemon.process.pid).children()
        admin.kill()
        assert daemon.end() == 75
        last = daemon.log().splitlines()[-1]
    assert last.startswith("order-router: the tree of actors ended 1 times")
    assert "admin" in last
