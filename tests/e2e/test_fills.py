"""Executions over real processes: each is kept once and told once, though whoever asks for them is killed."""

from __future__ import annotations

import os
import signal
from decimal import Decimal
from typing import Any

from app.bootstrap import JOURNAL_NAME
from app.core.order_router import OrderRouter
from app.journal.verify import verify
from tests.e2e.conftest import Build
from tests.e2e.world import World, actor_pid, of_order, restarted, until

DEATHS = 3
CONNECTOR = "connector:bybit"


def killed(router: OrderRouter) -> None:
    """The connector, by -9; back when this returns."""
    pid = actor_pid(router, CONNECTOR)
    os.kill(pid, signal.SIGKILL)
    until(lambda: restarted(router, CONNECTOR, pid), means="the connector coming back")


def kept(router: OrderRouter, names: list[str]) -> dict[str, list[tuple[Decimal, Decimal]]]:
    """Quantity and price of every execution the router has of each order."""
    fills = {name: router.get_fills(client_order_id=name) for name in names}
    assert all(len({fill["execId"] for fill in of}) == len(of) for of in fills.values())
    return {
        name: sorted((Decimal(fill["execQty"]), Decimal(fill["execPrice"])) for fill in of)
        for name, of in fills.items()
    }


def true(world: World, names: list[str]) -> dict[str, list[tuple[Decimal, Decimal]]]:
    """The same by the exchange's books."""
    books, journal_id = world.books(), world.presence().journal_id
    wires = {of_order(books, journal_id, "default", name)[0][1]["client_order_id"]: name for name in names}
    found: dict[str, list[tuple[Decimal, Decimal]]] = {name: [] for name in names}
    for fill in world["bybit"].control.truth()["fills"]:
        found[wires[fill["client_order_id"]]].append((Decimal(fill["qty"]), Decimal(fill["price"])))
    return {name: sorted(fills) for name, fills in found.items()}


def test_each_execution_is_kept_once_whoever_dies(world: Build) -> None:
    here = world("bybit")
    control = here["bybit"].control
    with here.running() as router:
        stuck = control.fault("http_5xx", call="fills")
        names = [f"taken {n}" for n in range(4)] + ["rests"]
        for name in names[:-1]:
            router.place_order("BTCUSDT", "Buy", "Market", "0.003", client_order_id=name)
        rests = router.place_order("BTCUSDT", "Buy", "Limit", "0.05", "20000", client_order_id="rests")
        wire = of_order(here.books(), here.presence().journal_id, "default", "rests")[0][1]["client_order_id"]
        for part in range(DEATHS):
            control.fill(client_order_id=wire, qty="0.01")
            _has_filled(router, rests["orderId"], Decimal("0.01") * (part + 1))
            killed(router)
        assert kept(router, names) == {name: [] for name in names}, "the exchange told none yet"
        events = router.events(after=0)
        control.clear_fault(stuck)
        until(lambda: any(kept(router, names).values()), means="the first one being kept")
        killed(router)  # in the middle of it, or nearly
        expected = true(here, names)
        until(lambda: kept(router, names) == expected, patience_s=30.0, means="all of them being kept")
        for name in names:
            order = router.get_order(client_order_id=name)
            total = sum((quantity for quantity, _ in expected[name]), Decimal(0))
            worth = sum((quantity * price for quantity, price in expected[name]), Decimal(0))
            assert Decimal(order["cumExecQty"]) == total
            assert abs(Decimal(order["avgPrice"]) - worth / total) < Decimal("1e-8")
        told = _told(events, sum(len(fills) for fills in expected.values()))
        assert len(told) == len(set(told)), "each told once"
        proven = verify(here.state_dir / JOURNAL_NAME)
        assert proven.consistent, proven.findings


def _has_filled(router: OrderRouter, order_id: str, quantity: Decimal) -> None:
    def known() -> bool:
        return Decimal(router.get_order(order_id)["cumExecQty"]) == quantity

    until(known, means="what filled being known without its executions")


def _told(events: Any, most: int) -> list[str]:
    told: list[str] = []
    while len(told) < most and (event := events.get(5.0)) is not None:
        if event["kind"] == "fill":
            told.append(event["fill"]["execId"])
    assert len(told) == most
    return told
