"""Our own network is down, over real processes and HTTP: nothing moves, somebody is told, and it goes on by itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.core.order_router import OrderRouter
from app.core.shapes import Status
from tests.e2e.conftest import Build
from tests.e2e.world import Heard, World, actor_pid, all_well, place, restarted, until

MONITOR, COORDINATOR = "health_monitor:health_monitor", "failover_coordinator:failover_coordinator"


def ready(router: OrderRouter) -> None:
    until(lambda: all(each["ready"] for each in router.get_status()["readiness"]), means="ready backups")


def frozen(router: OrderRouter) -> Status:
    """Waits until our own network is said to be down."""
    return until(
        lambda: status if (status := router.get_status())["own_network"]["state"] == "ours" else None,
        means="our own network being said to be down",
    )


def all_are(here: World, router: OrderRouter, state: str) -> bool:
    health = router.get_status()["exchange_health"]
    return all(health[name]["state"] == state for name in here.names)


def nothing_moved(here: World, router: OrderRouter) -> None:
    assert router.get_failover_history() == []
    assert router.get_status()["current_exchange"] == here.names[0]
    until(lambda: router.get_status()["status"] == "ready", means="trading being ready again")
    order = place(router, "after the outage").order
    assert order is not None, "orders flow again by themselves"
    assert order["exchange"] == here.names[0]
    assert router.get_failover_history() == []


@pytest.mark.parametrize("fault", ["refused", pytest.param("blackhole", marks=pytest.mark.deep)])
def test_when_all_fail_at_once_nothing_moves_and_orders_flow_again(world: Build, fault: str, tmp_path: Path) -> None:
    """Bots hear of it, and so do strategies in the daemon."""
    diary = tmp_path / "diary"
    spec = {"class": "strategies:Watcher", "path": str(Path(__file__).parent), "args": {"diary": str(diary)}}
    here = world("bybit", "okx", "binance", strategies={"watcher": spec})
    alarm = ("own_network", "")

    def noted() -> list[tuple[str, str, bool]]:
        lines = map(json.loads, diary.read_text().splitlines() if diary.exists() else ())
        return [(line["code"], line["exchange"], line["over"]) for line in lines if line["what"] == "alarm"]

    with here.running() as router:
        heard = Heard(router)
        ready(router)
        for name in here.names:
            here[name].control.fault(fault)
        frozen(router)
        status = until(lambda: found if "own network" in (found := router.get_status())["words"] else None)
        assert status["status"] == "error"
        assert "together" in status["own_network"]["words"]
        until(lambda: noted() == [(*alarm, False)], means="a strategy being told")
        os.kill(actor_pid(router, "strategy:watcher"), signal.SIGKILL)
        until(lambda: all_are(here, router, "down"), means="all being down")
        until(lambda: noted() == [(*alarm, False)] * 2, means="its next life being told what stands")
        assert router.get_failover_history() == []
        for name in here.names:
            here[name].control.clear_faults()
        nothing_moved(here, router)
        until(lambda: router.get_status()["own_network"]["state"] == "theirs", means="the alarm being over")

        told = until(lambda: alarms if len(alarms := heard.alarms()) > 1 else None, means="both being heard")
        assert told == [(*alarm, False), (*alarm, True)]
        until(lambda: noted() == [told[0], *told], means="the strategy being told the end as well")
        heard.close()


@pytest.mark.parametrize("first", ["primary", pytest.param("backups", marks=pytest.mark.deep)])
def test_when_they_fail_one_after_the_other_nothing_moves(world: Build, first: str) -> None:
    """The last falls silent before the first is called down; they answer again one after the other, too."""
    here = world("bybit", "okx", "binance", health={"retry_delay": 0.6})
    with here.running() as router:
        ready(router)
        names = here.names if first == "primary" else here.names[::-1]
        pause = threading.Event()
        for name in names:
            here[name].control.fault("refused")
            pause.wait(0.3)
        frozen(router)
        for name in names[::-1]:
            here[name].control.clear_faults()
            pause.wait(0.5)
        nothing_moved(here, router)


def test_one_that_dies_is_left_though_another_backup_is_dead_for_long(world: Build) -> None:
    """The dead backup cannot prove anything; the well one can, and does at once."""
    here = world("bybit", "okx", "binance", health={"max_retry_attempts": 1})
    with here.running() as router:
        ready(router)
        here["okx"].control.fault("refused")
        until(lambda: router.get_status()["exchange_health"]["okx"]["state"] == "down", means="okx being down")
        until(lambda: router.get_status()["own_network"]["state"] == "theirs", means="the others' word")
        began_s = time.monotonic()
        here["bybit"].control.fault("refused")
        until(lambda: router.get_status()["current_exchange"] == "binance", means="trading being on binance")
        assert time.monotonic() - began_s < 4.0
        assert place(router, "there").order["exchange"] == "binance"  # type: ignore[index]


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A witness: somebody who lets others connect."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        host, port = listener.getsockname()
        yield listener, f"{host}:{port}"


def test_a_witness_tells_a_dead_exchange_from_a_dead_network(world: Build) -> None:
    """With a single exchange nobody else can: reached, it is the exchange's fault; not reached, it is ours."""
    with listening() as (listener, target):
        here = world("bybit", health={"witnesses": [target]})
        with here.running() as router:
            told = until(lambda: router.get_status()["own_network"]["witnesses"], means="the witness being known")
            assert [(each["target"], each["ok"]) for each in told] == [(target, True)]
            here["bybit"].control.fault("refused")
            until(lambda: all_are(here, router, "down"), means="bybit being down")
            until(lambda: router.get_status()["own_network"]["state"] == "theirs", means="the witness's word")
            here["bybit"].control.clear_faults()
            until(lambda: all_well(router, here.names), means="bybit being well")

            listener.close()
            here["bybit"].control.fault("refused")
            status = frozen(router)
            assert target in status["own_network"]["words"]
            assert [each["ok"] for each in status["own_network"]["witnesses"]] == [False]
            assert "refused" in status["own_network"]["witnesses"][0]["words"]
            here["bybit"].control.clear_faults()
            until(lambda: router.get_status()["status"] == "ready", means="trading going on")
            assert place(router, "back").order is not None


def test_a_monitor_that_is_killed_goes_on_from_what_was_known(world: Build) -> None:
    """Orders fail while probes are answered: who has seen no order fail would take the exchange for well."""
    patient = {"place_failures": 2, "hold_down_s": 600.0}
    here = world("bybit", "okx", health=patient, router={"auto_failover": False})
    with here.running() as router:
        here["bybit"].control.fault("http_5xx", call="place")

        def down() -> bool:
            place(router, f"lost-{time.monotonic()}", timeout_s=0.5)
            return router.get_status()["exchange_health"]["bybit"]["state"] in ("down", "half_open")

        until(down, means="bybit being down by its orders alone")
        before = router.get_status()["exchange_health"]["bybit"]
        old = actor_pid(router, MONITOR)
        os.kill(old, signal.SIGKILL)
        until(lambda: restarted(router, MONITOR, old), means="another monitor")
        states: list[str] = []

        def heard() -> bool:
            health = router.get_status()["exchange_health"]["bybit"]
            states.append(health["state"])
            return health["last_ok"] > before["last_ok"]

        until(heard, means="news from the new monitor")
        assert set(states) <= {"down", "half_open"}, "never taken for well, nor for one that nothing is known of"


def test_a_coordinator_that_is_killed_is_told_everything(world: Build) -> None:
    here = world("bybit", "okx", "binance", health={"witnesses": ["127.0.0.1:9"]})
    with here.running() as router:
        here["binance"].control.fault("refused")
        until(lambda: router.get_status()["exchange_health"]["binance"]["state"] == "down", means="binance being down")
        old = actor_pid(router, COORDINATOR)
        os.kill(old, signal.SIGKILL)
        until(lambda: restarted(router, COORDINATOR, old), means="another coordinator")

        def told() -> bool:
            status = router.get_status()
            health = {name: each["state"] for name, each in status["exchange_health"].items()}
            wanted = {"bybit": "well", "okx": "well", "binance": "down"}
            return health == wanted and [each["ok"] for each in status["own_network"]["witnesses"]] == [False]

        until(told, means="the new coordinator knowing all of it")


def test_one_that_a_person_keeps_out_is_shown_so_also_by_a_monitor_that_was_killed(world: Build) -> None:
    here = world("bybit", "okx", "binance")
    with here.running() as router:
        router.isolate("binance", reason="for a look")

        def kept_out() -> bool:
            health = router.get_status()["exchange_health"]["binance"]
            return (health["state"], health["believed"]) == ("isolated", "well") and "for a look" in health["reason"]

        until(kept_out, means="binance being isolated")
        old = actor_pid(router, MONITOR)
        os.kill(old, signal.SIGKILL)
        until(lambda: restarted(router, MONITOR, old) and kept_out(), means="being so for another monitor")
        router.release("binance")
        until(lambda: all_well(router, here.names), means="binance being well")
