"""The dead-man switch of a real daemon: kept armed, off after a stop in order, and left to fire by a death."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.core.order_router import OrderRouter
from tests.e2e.world import World, all_well, place, tree, until
from tests.processes import Deaths

COUNT_S = 12


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    """OKX, where the switch is on, and a backup."""
    with World(("okx", "bybit"), tmp_path / "state") as made:
        yield made


@contextmanager
def switched(here: World) -> Iterator[OrderRouter]:
    """A router whose daemon keeps the switch armed."""
    config = here.tables()
    config["exchanges"]["okx"]["dead_man_switch_s"] = COUNT_S
    with here.running(config=config) as router:
        until(lambda: due(here), means="the switch being armed")
        yield router


def due(here: World) -> dict[Any, int]:
    """What OKX counts down to."""
    return dict(here["okx"].exchange.engine.dead_man.due)


def status_there(here: World) -> list[str]:
    """Of every order OKX ever had."""
    return [order["status"] for order in here["okx"].control.truth()["orders"]]


def test_armed_while_it_runs_and_off_when_it_has_stopped(here: World) -> None:
    with switched(here) as router:
        assert place(router, "resting").order is not None
        (first_ms,) = due(here).values()
        until(lambda: next(iter(due(here).values()), 0) > first_ms, means="it being armed anew")
    assert due(here) == {}
    here["okx"].control.ask("POST", "/clock", {"ahead_s": str(10 * COUNT_S)})
    assert status_there(here) == ["open"], "orders.on_shutdown is leave"


def test_a_death_of_all_leaves_it_to_fire_and_nothing_is_placed_again(here: World) -> None:
    """That is what it is for."""
    with switched(here) as router:
        order = place(router, "resting").order
        assert order is not None
        processes = tree(here.presence().pid)
        with Deaths(processes) as deaths:
            for process in processes:
                os.kill(process.pid, signal.SIGKILL)
            deaths.wait(10.0)
    assert due(here) != {}
    here["okx"].control.ask("POST", "/clock", {"ahead_s": str(2 * COUNT_S)})
    assert status_there(here) == ["cancelled"]
    here["okx"].control.ask("POST", "/clock", {"ahead_s": "0"})
    with here.running() as again:
        until(lambda: again.get_order(order["orderId"])["orderStatus"] == "Cancelled", means="its end being read")
    assert [len(here[name].control.truth()["orders"]) for name in here.names] == [1, 0]


@pytest.mark.slow
def test_what_it_cancelled_on_an_exchange_that_was_left_is_placed_once_it_is_known_what_filled(here: World) -> None:
    """OKX is cut off and trading moves; half a minute later the order is gone from there, and placed nowhere else."""
    with switched(here) as router:
        order = place(router, "resting", qty="0.02").order
        assert order is not None
        until(lambda: router.get_order(order["orderId"])["orderStatus"] == "New", means="it resting")
        okx = here["okx"].control
        okx.fault("blackhole")
        (wire,) = [held["client_order_id"] for held in okx.truth()["orders"]]
        okx.fill(client_order_id=wire, qty="0.005")
        until(lambda: router.get_status()["current_exchange"] == "bybit", means="trading moving")
        until(lambda: status_there(here) == ["cancelled"], patience_s=40.0, means="the switch firing")
        until(lambda: _gone(router) == 1, patience_s=60.0, means="its firing being certain")
        assert here["bybit"].control.truth()["orders"] == [], "nobody knows how much filled"
        okx.clear_faults()
        until(lambda: here["bybit"].control.truth()["orders"], patience_s=30.0, means="the rest being placed")
        (carried,) = here["bybit"].control.truth()["orders"]
        assert carried["qty"] == "0.015"
        until(lambda: all_well(router, here.names), patience_s=30.0, means="both being well")
        found = router.get_order(order["orderId"])
        assert (found["exchange"], found["cumExecQty"], found["symbol"]) == ("bybit", "0.005", "BTCUSDT")


def _gone(router: OrderRouter) -> int:
    return sum(switch["gone"] for switch in router.get_status()["dead_man"].values())
