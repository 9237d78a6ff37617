"""The end of a daemon: within five seconds, with code 0 and nothing left; or with 75 or 78, and a reason."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from app.config import load
from app.config.accounts import account_fingerprint
from app.core.order_router import OrderRouter, OrderRouterError
from app.launcher.presence import read_presence
from app.launcher.tree import STOP_BUDGET_S
from app.process.account_lock import AccountInUse, AccountLock
from app.transport.base import sockets_folder
from tests.e2e.daemons import Daemon, file_mode, stopped
from tests.e2e.world import (
    PATIENCE_S,
    Answered,
    World,
    actor_pid,
    check_once,
    environment,
    place,
    restarted,
    slack_s,
    tree,
    until,
)
from tests.processes import Deaths

CONNECTOR = "connector:bybit"
SLACK_S = 0.5
"""For the machine the tests run on, where it is idle."""
SECRET_VARIABLE = "TESTED_SECRET"


def ends_in_time(daemon: Daemon, number: signal.Signals = signal.SIGTERM) -> None:
    """Ends it, and looks at what the promise says."""
    with Deaths(daemon.tree()) as deaths:
        code, took_s = daemon.end(number)
        left_s = deaths.wait(STOP_BUDGET_S)
    assert code == 0, daemon.log()[-5:]
    assert took_s + left_s <= STOP_BUDGET_S + slack_s(SLACK_S), took_s
    (stopping,) = [each for each in daemon.said() if "STOPPING" in each]
    assert int(stopping["EXTEND_TIMEOUT_USEC"]) == STOP_BUDGET_S * 1_000_000
    assert daemon.events("daemon.stopped")[0]["reason"] == number.name
    assert not [each for each in daemon.log() if "exception" in each]


def flow(router: OrderRouter, prefix: str, stop: threading.Event, into: list[Answered]) -> None:
    """Orders until told to stop; what fails fails."""
    n = 0
    while not stop.is_set():
        into.append(place(router, f"{prefix}-{n}", timeout_s=2.0))
        n += 1


@pytest.mark.parametrize(
    ("what", "number"),
    [
        ("all well", signal.SIGTERM),
        pytest.param("all well", signal.SIGINT, marks=pytest.mark.deep),
        pytest.param("exchange hangs", signal.SIGTERM, marks=pytest.mark.deep),
        pytest.param("connector stopped", signal.SIGINT, marks=pytest.mark.deep),
        ("everything stopped", signal.SIGTERM),
    ],
)
def test_it_ends_within_five_seconds_whatever_hangs(tmp_path: Path, number: signal.Signals, what: str) -> None:
    """With orders under way, and open ones to be cancelled."""
    with (
        World(["bybit", "okx"], tmp_path / "state") as world,
        Daemon(
            world,
            tmp_path,
            orders={"on_shutdown": "cancel"},
            router={"request_timeout_s": 10.0, "order_timeout_s": 20.0},
        ) as daemon,
    ):
        daemon.serves()
        with daemon.router() as router, ThreadPoolExecutor(2) as pool:
            for n in range(3):
                assert place(router, f"resting-{n}").order is not None
            answered: list[Answered] = []
            stop = threading.Event()
            flows = [pool.submit(flow, router, f"flow-{n}", stop, answered) for n in range(2)]
            until(lambda: len(answered) > 5)
            if what == "exchange hangs":
                world["bybit"].control.fault("blackhole")
                seen = len(world["bybit"].control.requests())
                until(lambda: len(world["bybit"].control.requests()) > seen)
            elif what == "connector stopped":
                os.kill(actor_pid(router, CONNECTOR), signal.SIGSTOP)
            elif what == "everything stopped":
                for process in daemon.tree()[1:]:
                    process.send_signal(signal.SIGSTOP)
            try:
                ends_in_time(daemon, number)
            finally:
                stop.set()
                world["bybit"].control.clear_faults()
            for each in flows:
                each.result()
        assert read_presence(world.state_dir) is None
        if what == "all well":
            before = [each for each in world["bybit"].control.truth()["orders"] if each["price"] is not None][:3]
            assert {each["status"] for each in before} == {"cancelled"}


@pytest.mark.deep
def test_a_stopped_supervisor_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with World(["bybit", "okx"], tmp_path / "state") as world, Daemon(world, tmp_path) as daemon:
        daemon.serves()
        with daemon.router() as router:
            supervisor = psutil.Process(actor_pid(router, CONNECTOR)).parents()[0]
        supervisor.send_signal(signal.SIGSTOP)
        until(partial(stopped, supervisor.pid))
        ends_in_time(daemon)


# ---- a new configuration ----


def test_a_new_configuration_is_taken_over_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    with World(["bybit", "okx"], tmp_path / "state") as world, Daemon(world, tmp_path) as daemon:
        daemon.serves()
        with daemon.router() as router:
            resting = place(router, "resting").order
            assert resting is not None
            connector = actor_pid(router, CONNECTOR)
            pids = {actor["name"]: actor["pid"] for actor in router.get_status()["actors"]}

            daemon.config.write_text("[health]\nhealth_check_interval = 'often'\n")
            daemon.process.send_signal(signal.SIGHUP)
            until(lambda: daemon.events("config.not_reloaded"), means="the refusal")
            (refused,) = daemon.events("config.not_reloaded")
            assert "health.health_check_interval" in refused["words"]
            assert "\n" not in refused["words"]
            assert place(router, "after the refusal").order is not None
            assert {actor["name"]: actor["pid"] for actor in router.get_status()["actors"]} == pids
            assert not [each for each in daemon.said() if "RELOADING" in each]

            answered: list[Answered] = []
            stop = threading.Event()
            with ThreadPoolExecutor(3) as pool:
                flows = [pool.submit(orders, router, f"flow-{n}", stop, answered) for n in range(3)]
                try:
                    until(lambda: len(answered) > 10)
                    daemon.write(health={"health_check_interval": 2.5, "probe_timeout_s": 1.0})
                    began_s = time.monotonic()
                    daemon.process.send_signal(signal.SIGHUP)
                    until(lambda: _settings(world).get("health_check_interval") == 2.5, means="the new settings")
                    took_s = time.monotonic() - began_s
                    until(partial(restarted, router, CONNECTOR, connector), means="new actors")
                    seen = len(answered)
                    until(lambda: len(answered) > seen + 10, means="orders after it")
                finally:
                    stop.set()
            for each in flows:
                each.result()
            assert took_s < STOP_BUDGET_S + slack_s(SLACK_S), took_s
            assert [each for each in answered if each.order is None] == [], "every order was placed"
            books = world.books()
            for one in answered:
                assert len(check_once(books, world.presence().journal_id, router.strategy, one)) == 1
            assert router.get_order(resting["orderId"])["orderStatus"] == "New"
            assert router.cancel_order("BTCUSDT", resting["orderId"])["orderStatus"] == "Cancelled"
        until(lambda: [each for each in daemon.said() if "READY" in each][1:], means="READY again")
        words = [word for each in daemon.said() for word in ("READY", "RELOADING") if word in each]
        assert words == ["READY", "RELOADING", "READY"]
        (reloading,) = [each for each in daemon.said() if "RELOADING" in each]
        assert int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def orders(router: OrderRouter, prefix: str, stop: threading.Event, into: list[Answered]) -> None:
    """Market orders until told to stop."""
    n = 0
    while not stop.is_set():
        side = "Buy" if n % 2 else "Sell"
        into.append(place(router, f"{prefix}-{n}", side=side, order_type="Market", price=None))
        n += 1


def _settings(world: World) -> dict[str, object]:
    presence = read_presence(world.state_dir)
    return {} if presence is None else presence.settings


def test_exchanges_taken_out_and_put_in_by_a_new_configuration(tmp_path: Path) -> None:
    """What is new is held against other daemons, and its secrets leave the environment, as at the start."""
    with World(["bybit", "okx", "binance"], tmp_path / "state") as world:
        two = {"primary_exchange": "bybit", "failover_exchanges": ["okx"]}
        account = world.account("binance")
        secret, account["secret_env"] = account.pop("secret"), SECRET_VARIABLE
        before = {name: world.account(name) for name in ("bybit", "okx")}
        with Daemon(world, tmp_path, environ={SECRET_VARIABLE: secret}, router=two, exchanges=before) as daemon:
            daemon.serves()
            world.names[:] = ["bybit", "okx"]
            with daemon.router() as router:
                resting = place(router, "resting").order
                assert resting is not None
                world.names.append("binance")
                daemon.write(
                    router={"primary_exchange": "bybit", "failover_exchanges": ["binance"]},
                    exchanges={"binance": account},
                )
                now = load(daemon.config)
                with AccountLock("binance", account_fingerprint(now, "binance"), tmp_path / "other"):
                    daemon.process.send_signal(signal.SIGHUP)
                    until(lambda: daemon.events("config.not_reloaded"), means="the refusal")
                (refused,) = daemon.events("config.not_reloaded")
                assert "exchanges.binance.api_key is in use by" in refused["words"]
                assert place(router, "after the refusal").order is not None

                daemon.process.send_signal(signal.SIGHUP)
                until(lambda: _settings(world).get("failover_exchanges") == ["binance"], means="the new settings")

                def moved() -> bool:
                    try:
                        return router.manual_failover("binance")["to_exchange"] == "binance"
                    except OrderRouterError:
                        return False

                until(moved, means="trading on the new exchange")
                placed = place(router, "moved").order
                assert placed is not None
                assert placed["exchange"] == "binance"
                for name in ("bybit", "binance"):
                    with pytest.raises(AccountInUse, match=f"process id {daemon.process.pid} "):
                        AccountLock(name, account_fingerprint(now, name), tmp_path / "other")
                AccountLock("okx", account_fingerprint(now, "okx"), tmp_path / "other").release()
                for each in daemon.tree():
                    assert secret.encode() not in Path(f"/proc/{each.pid}/environ").read_bytes(), each


# ---- no hope ----


def lives(daemon: Daemon, count: int) -> bool:
    """Whether its tree has served so many times."""
    return len(daemon.events("daemon.ready")) == count


def test_a_tree_that_keeps_dying_ends_the_daemon_with_75(tmp_path: Path) -> None:
    """Systemd is to try again; the last line says what it died of."""
    with (
        World(["bybit", "okx"], tmp_path / "state") as world,
        Daemon(world, tmp_path, supervision={"intensity": 2, "period_s": 60.0}) as daemon,
    ):
        daemon.serves()
        for life in range(1, 4):
            until(partial(lives, daemon, life), means=f"life {life}")
            (admin,) = daemon.tree()[0].children()
            with Deaths(daemon.tree()[1:]) as deaths:
                admin.kill()
                deaths.wait(STOP_BUDGET_S)
        daemon.process.wait(STOP_BUDGET_S)
        assert daemon.process.returncode == 75
        assert daemon.events("daemon.gave_up")
        last = (tmp_path / "stderr.log").read_text().splitlines()[-1]
        assert last.startswith("order-router: ")
        assert "died" in last
        assert read_presence(world.state_dir) is None
        assert "starting the actors anew" in " ".join(daemon.statuses())


def test_an_actor_system_that_does_not_come_up_again_is_tried_again(tmp_path: Path) -> None:
    """As a tree that dies is; only the first one is the end of the daemon."""
    with World(["bybit", "okx"], tmp_path / "state") as world, Daemon(world, tmp_path) as daemon:
        daemon.serves()
        sockets = sockets_folder(world.state_dir)
        sockets.chmod(0o755)
        (admin,) = daemon.tree()[0].children()
        admin.kill()
        until(lambda: len(daemon.events("tree.died")) > 2, means="more than one in vain")
        assert "cannot be started" in daemon.events("tree.died")[-1]["words"]
        sockets.chmod(0o700)
        until(partial(lives, daemon, 2), means="a tree that serves")
        with daemon.router() as router:
            assert place(router, "after it").order is not None


def test_a_daemon_dies_with_the_tests_that_made_it(tmp_path: Path) -> None:
    """So that tests which are killed leave nothing behind."""
    program = f"import sys; from tests.e2e.test_ends import hold; hold({str(tmp_path)!r})"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as tests:
        assert tests.stdout is not None
        pid = int(tests.stdout.readline())
        with Deaths(tree(pid)) as deaths:
            tests.kill()
            try:
                deaths.wait(PATIENCE_S)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def hold(folder: str) -> None:
    """Runs a daemon until killed."""
    with World(["bybit", "okx"], Path(folder) / "state") as world, Daemon(world, Path(folder)) as daemon:
        daemon.serves()
        print(daemon.process.pid, flush=True)
        sys.stdin.read()


# ---- whose files ----


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("journal.db", "mode"),
        pytest.param("journal.db-wal", "owner", marks=pytest.mark.deep),
        pytest.param("journal.db-shm", "symlink", marks=pytest.mark.deep),
    ],
)
def test_a_journal_that_is_not_private_is_refused_with_78(tmp_path: Path, name: str, how: str) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    path = state / name
    if how == "symlink":
        (tmp_path / "elsewhere").touch(0o600)
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.touch(0o600)
    if how == "mode":
        path.chmod(0o640)
    if how == "owner":
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        os.chown(path, 65534, 65534)
    with World(["bybit", "okx"], state) as world, Daemon(world, tmp_path) as daemon:
        assert daemon.process.wait(20) == 78
        (line,) = (tmp_path / "stderr.log").read_text().splitlines()
    assert str(path) in line
    wrong = {"mode": "0640", "owner": "65534", "symlink": "symbolic link"}[how]
    assert wrong in line
    assert how != "mode" or f"chmod 600 {path}" in line
    assert how != "mode" or file_mode(path) == 0o640, "nothing was changed"


def test_a_state_directory_that_is_not_private_is_refused_with_78(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o750)
    with World(["bybit", "okx"], state) as world, Daemon(world, tmp_path) as daemon:
        assert daemon.process.wait(20) == 78
        (line,) = (tmp_path / "stderr.log").read_text().splitlines()
    assert f"chmod 700 {state}" in line


def test_an_exchange_with_open_orders_is_not_taken_out_in_silence(tmp_path: Path) -> None:
    """A reload refuses it; a start says it, and a cancel of such an order is answered at once, in words."""
    alone: dict[str, object] = {"primary_exchange": "okx", "failover_exchanges": []}
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with World(["bybit", "okx"], tmp_path / "state") as world:
        with Daemon(world, first) as daemon:
            daemon.serves()
            with daemon.router() as router:
                resting = place(router, "resting").order
                assert resting is not None
                daemon.write(router=alone)
                daemon.process.send_signal(signal.SIGHUP)
                until(lambda: daemon.events("config.not_reloaded"), means="the refusal")
                (refused,) = daemon.events("config.not_reloaded")
                assert "1 on bybit: cancel them first, or keep the exchange configured" in refused["words"]
                assert router.get_order(resting["orderId"])["orderStatus"] == "New"
        world.names[:] = ["okx"]
        with Daemon(world, second, router=alone) as daemon:
            daemon.serves()
            (told,) = daemon.events("orders.out_of_reach")
            assert told["orders"] == {"bybit": 1}
            with daemon.router() as router:
                began_s = time.monotonic()
                with pytest.raises(OrderRouterError, match="on bybit, which is not configured"):
                    router.cancel_order("BTCUSDT", resting["orderId"])
                assert time.monotonic() - began_s < 2.0
                assert place(router, "elsewhere").order is not None
