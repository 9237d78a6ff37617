"""Where secrets are, in a daemon that trades and whose actors die: in the connectors that use them, nowhere else."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from app.core.order_router import OrderRouter, OrderRouterError
from app.launcher.spawn import OwnDaemon
from tests.e2e.snooping_daemon import DIGESTS, FOLDER, digest
from tests.e2e.world import World, actor_pid, place, restarted, tree, until, watching

OTHERS = ("health_monitor", "failover_coordinator", "position_synchronizer", "idler")


@frozen(kw_only=True)
class Run:
    """A daemon that traded, and was hurt."""

    world: World
    secrets: dict[str, str]
    reports: dict[str, list[dict[str, Any]]]
    processes: dict[int, tuple[bytes, bytes, str]]
    log: list[dict[str, Any]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Secrets in variables; orders, and connectors killed between them."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "snoop").mkdir()
    with World(["bybit", "okx"], folder / "state") as world, pytest.MonkeyPatch.context() as patch:
        tables = world.tables()
        secrets = {}
        for name in world.names:
            for key in ("api_key", "secret", "password"):
                value = tables["exchanges"][name].pop(key, None)
                if value is not None:
                    variable = f"TEST_{name}_{key}".upper()
                    secrets[variable] = value
                    tables["exchanges"][name][f"{key}_env"] = variable
                    patch.setenv(variable, value)
        lengths = " ".join(sorted({str(len(value)) for value in secrets.values()}))
        digests = {name: digest(value.encode()) for name, value in secrets.items()}
        patch.setenv(DIGESTS, json.dumps({**digests, "#lengths": lengths}))
        patch.setenv(FOLDER, str(folder / "snoop"))
        tables["router"]["state_dir"] = str(world.state_dir)
        tables["supervision"] = {"intensity": 20, "heartbeat_timeout_s": 30.0}  # looking takes a while
        tables["strategies"] = {"idler": {"class": "tests.e2e.strategies:Idler", "path": os.getcwd()}}
        daemon = OwnDaemon(tables, module="tests.e2e.snooping_daemon")
        router = OrderRouter(config=tables)
        try:
            router.start()
            for n in range(9):
                if n % 3 == 2:
                    until(lambda: "bybit" in _looked(folder / "snoop"), patience_s=60, means="the first one looking")
                    old = actor_pid(router, "connector:bybit")
                    os.kill(old, signal.SIGKILL)
                    until(partial(restarted, router, "connector:bybit", old), means="a new connector")
                place(router, f"order-{n}")
            with pytest.raises(OrderRouterError):
                router.get_balances()
            until(lambda: _looked(folder / "snoop") >= {"bybit", "okx", *OTHERS}, patience_s=60, means="looking")
            until(
                lambda: len(list((folder / "snoop").glob("bybit.*.json"))) > 1, patience_s=60, means="the last one too"
            )
            processes = {
                each.pid: (
                    Path(f"/proc/{each.pid}/environ").read_bytes(),
                    Path(f"/proc/{each.pid}/cmdline").read_bytes(),
                    Path(f"/proc/{each.pid}/limits").read_text(),
                )
                for each in tree(world.presence().pid)
            }
            log = (world.state_dir / "order-router.log").read_text()
            reports: dict[str, list[dict[str, Any]]] = {}
            for path in (folder / "snoop").glob("*.json"):
                reports.setdefault(path.name.partition(".")[0], []).append(json.loads(path.read_text()))
            lines = [json.loads(line) for line in log.splitlines()]
            yield Run(world=world, secrets=secrets, reports=reports, processes=processes, log=lines)
        finally:
            with watching(world.state_dir) as deaths:
                router.close()
                daemon.close()
                deaths.wait(10.0)


def _looked(folder: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in folder.glob("*.json")}


def test_a_connector_holds_its_own_exchanges_secrets_only(run: Run) -> None:
    for name in run.world.names:
        own = {variable for variable in run.secrets if f"_{name.upper()}_" in variable}
        for report in run.reports[name]:
            assert set(report["found"]) == own, "which also shows that looking finds them"
            assert report["taken"] == [], "its client has them by now"
    assert len(run.reports["bybit"]) > 1, "restarted ones too"


@pytest.mark.parametrize("actor", OTHERS)
def test_other_actors_hold_none(run: Run, actor: str) -> None:
    for report in run.reports[actor]:
        assert report["found"] == []
        assert report["taken"] == []


def test_no_process_shows_any_or_leaves_a_core(run: Run) -> None:
    assert len(run.processes) >= 9
    for pid, (environ, cmdline, limits) in run.processes.items():
        for name, value in run.secrets.items():
            assert value.encode() not in environ + cmdline, f"{name} in process {pid}"
        (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert line.split()[-3:-1] == ["0", "0"]
    for reports in run.reports.values():
        for report in reports:
            assert report["core_limit"] == [0, 0]
            assert report["dumpable"] == 0


def test_no_file_holds_any(run: Run) -> None:
    """The journal and its write-ahead log, markets, presence, log."""
    files = [path for path in run.world.state_dir.rglob("*") if path.is_file()]
    assert {"journal.db", "order-router.log", "daemon.json"} <= {path.name for path in files}
    assert any(path.parent.name == "markets" for path in files)
    for path in files:
        content = path.read_bytes()
        for name, value in run.secrets.items():
            assert value.encode() not in content, f"{name} in {path}"


def test_an_exception_with_a_secret_in_it_reaches_the_log_without(run: Run) -> None:
    lines = [line["exception"] for line in run.log if line["event"] == "exchange.port_bug"]
    assert lines, "the call that raised was logged"
    assert all("RuntimeError: Credentials(" in line and "[redacted]" in line for line in lines)
    assert not any(value in line for line in lines for value in run.secrets.values())


def test_an_orders_life_can_be_found_by_its_id(run: Run) -> None:
    for n in (0, 2):
        lines = [line for line in run.log if line.get("client_order_id") == f"order-{n}"]
        assert lines, "one line a change"
        for line in lines:
            assert line["event"] == "order.changed"
            assert line["strategy"] == "default"
            assert line["exchange"] == "bybit"
            assert line["epoch"] >= 1
            assert len(line["order_id"]) == 32
            assert line["actor"] == "connector:bybit"
        assert lines[-1]["state"] == "open"
        assert len({line["order_id"] for line in lines}) == 1
