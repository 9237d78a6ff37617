"""The journal's disk under a real daemon: full, taken away, damaged. Orders are refused in words, nothing dies of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.bootstrap import JOURNAL_NAME
from app.core.order_router import OrderRouter
from app.journal.place import ID_NAME, LEAST_BYTES
from app.journal.verify import verify
from tests.e2e.daemons import Daemon
from tests.e2e.world import Answered, World, place, until

DISK_BYTES = 4 * LEAST_BYTES
SOON = {"primary_exchange": "bybit", "failover_exchanges": ["okx"], "request_timeout_s": 1.0, "order_timeout_s": 2.0}
"""So that who is refused is told soon."""


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own; skips where this user may not make one."""
    options = f"size={DISK_BYTES},mode=0700"
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"no file system can be made here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    """Takes all of a disk but so many bytes."""
    ballast = folder / "ballast"
    disk = os.statvfs(folder)
    with ballast.open("ab") as file:
        file.write(bytes(max(0, disk.f_bavail * disk.f_frsize - leave)))
    return ballast


def pids(router: OrderRouter) -> dict[str, int | None]:
    """Every actor's process."""
    return {actor["name"]: actor["pid"] for actor in router.get_status()["actors"]}


def refused(answered: Answered, *words: str) -> str:
    """The sentence with which an order was refused."""
    assert answered.error is not None, answered
    said = str(answered.error)
    assert all(word in said for word in words), said
    return said


def in_trouble(router: OrderRouter, *words: str) -> str:
    """What the status says, once it says so."""

    def said() -> str:
        found = router.get_status()
        return found["words"] if found["status"] == "error" and all(word in found["words"] for word in words) else ""

    return until(said, means=f"the status saying {words}")


def open_there(world: World) -> int:
    """Orders that rest on the first exchange, by its own books."""
    orders = world[world.names[0]].control.truth()["orders"]
    return sum(order["status"] in ("open", "partially_filled") for order in orders)


def test_a_full_disk_refuses_new_orders_and_keeps_everything_else(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    with small_disk(state), World(["bybit", "okx"], state, router=SOON) as world, Daemon(world, tmp_path) as daemon:
        daemon.serves()
        with daemon.router() as router:
            before = [place(router, f"before-{n}").order for n in range(3)]
            assert all(before)
            alive = pids(router)
            ballast = fill(state, LEAST_BYTES // 2)

            # There is room for what is out, and none for more.
            refused(place(router, "while scarce"), "full but for", "make room")
            in_trouble(router, "full but for")
            assert before[0] is not None
            assert router.cancel_order("BTCUSDT", before[0]["orderId"])["orderStatus"] == "Cancelled"
            assert open_there(world) == 2

            # There is room for nothing, not even for a switch that is asked for.
            fill(state, 0)
            refused(place(router, "while full"), "full")
            moved = until(lambda: _failover(router), means="a failover being refused")
            assert "full" in moved or "disk" in moved, moved
            assert before[1] is not None
            try:
                router.cancel_order("BTCUSDT", before[1]["orderId"])
            except Exception as error:  # whatever is said of it: the exchange's books say whether it passed
                assert "cancel" in str(error) or before[1]["orderId"] in str(error), error
            until(lambda: open_there(world) == 1, means="the cancel reaching the exchange")
            assert pids(router) == alive, "nobody died of it"

            ballast.unlink()
            until(lambda: router.get_status()["status"] == "ready", means="the status being well again")
            assert place(router, "after").order is not None
            one = before[1]["orderId"]
            until(lambda: router.get_order(one)["orderStatus"] == "Cancelled", means="the cancel being recorded")
            assert router.manual_failover("okx")
            assert pids(router) == alive
        assert verify(state / JOURNAL_NAME).findings == ()


def _failover(router: OrderRouter) -> str:
    try:
        router.manual_failover("okx")
    except Exception as error:
        return str(error)
    return ""
