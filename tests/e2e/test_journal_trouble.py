"""A real daemon's journal on a full disk, taken away, locked, damaged: orders are refused in words, nobody dies."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from app.bootstrap import JOURNAL_NAME
from app.core.order_router import OrderRouter, OrderRouterError
from app.journal.checkpoints import PAGE_BYTES
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
            with suppress(OrderRouterError):  # nobody may know yet: the exchange's books say whether it passed
                router.cancel_order("BTCUSDT", before[1]["orderId"])
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
    except OrderRouterError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Exchanges for the tests below, each with a daemon of its own, one after the other."""
    with World(["bybit", "okx"], tmp_path_factory.mktemp("trouble") / "state", router=SOON) as world:
        yield world


def folder_for(world: World, tmp_path: Path) -> Path:
    """The state directory of the next daemon."""
    world.state_dir = tmp_path / "state"
    return world.state_dir


@pytest.mark.deep
def test_a_journal_that_is_taken_away_is_not_taken_for_a_new_one(shared: World, tmp_path: Path) -> None:
    state = folder_for(shared, tmp_path)
    with Daemon(shared, tmp_path) as daemon:
        daemon.serves()
        with daemon.router() as router:
            kept = place(router, "kept").order
            assert kept is not None
            (state / JOURNAL_NAME).rename(state / "elsewhere.db")
            refused(place(router, "after"), "taken away", "put the journal back")
            in_trouble(router, "taken away")
            assert router.get_order(kept["orderId"])["orderStatus"] == "New"
            assert router.cancel_order("BTCUSDT", kept["orderId"])["orderStatus"] == "Cancelled"
        assert daemon.end()[0] == 0
    assert (state / ID_NAME).exists()
    (tmp_path / "again").mkdir()
    with Daemon(shared, tmp_path / "again") as daemon:
        assert daemon.process.wait(60) == 78, "no daemon begins anew where a journal was"
        said = (daemon.folder / "stderr.log").read_text()
    assert "is gone" in said
    assert str(state / ID_NAME) in said
    assert not (state / JOURNAL_NAME).exists()
    (state / "elsewhere.db").rename(state / JOURNAL_NAME)
    (tmp_path / "back").mkdir()
    with Daemon(shared, tmp_path / "back") as daemon:
        daemon.serves()
        with daemon.router() as router:
            assert place(router, "back again").order is not None
        assert daemon.end()[0] == 0
    assert verify(state / JOURNAL_NAME).findings == ()


@pytest.mark.deep
def test_a_journal_that_is_locked_for_long_refuses_and_goes_on(shared: World, tmp_path: Path) -> None:
    state = folder_for(shared, tmp_path)
    with Daemon(shared, tmp_path) as daemon:
        daemon.serves()
        with daemon.router() as router:
            alive = pids(router)
            with closing(sqlite3.connect(state / JOURNAL_NAME, isolation_level=None)) as stranger:
                stranger.execute("BEGIN IMMEDIATE")
                refused(place(router, "while locked"), "locked")
                moved = until(lambda: _failover(router), means="a failover being refused")
                assert "locked" in moved, moved
                in_trouble(router, "locked")
                stranger.execute("ROLLBACK")
            until(lambda: router.get_status()["status"] == "ready", means="the status being well again")
            assert place(router, "unlocked").order is not None
            assert pids(router) == alive
        assert daemon.end()[0] == 0
    assert verify(state / JOURNAL_NAME).findings == ()


def test_a_damaged_journal_is_told_and_no_daemon_starts_on_it(shared: World, tmp_path: Path) -> None:
    state = folder_for(shared, tmp_path)
    with Daemon(shared, tmp_path) as daemon:
        daemon.serves()
        with daemon.router() as router:
            assert all(place(router, f"order-{n}").order for n in range(5))
        assert daemon.end()[0] == 0
    path = state / JOURNAL_NAME
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'legs'").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(b"\xa5" * PAGE_BYTES)
    assert verify(path).findings
    (tmp_path / "again").mkdir()
    before = path.read_bytes()
    with Daemon(shared, tmp_path / "again") as daemon:
        assert daemon.process.wait(60) == 78
        said = (daemon.folder / "stderr.log").read_text()
    assert "damaged" in said
    assert "verify-journal" in said
    assert path.read_bytes() == before, "it is left as it is"
