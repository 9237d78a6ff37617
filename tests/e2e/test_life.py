"""Life and death: who starts a daemon, who shares it, who kills what of it, and that nothing is lost or left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
import tomli_w

from app.core.order_router import (
    InvalidRequest,
    NotRunning,
    OrderOutcomeUnknown,
    OrderRefused,
    OrderRouter,
    OrderRouterStatus,
)
from app.launcher.presence import read_presence
from tests.e2e.conftest import Build
from tests.e2e.world import (
    ORDER_TIMEOUT_S,
    PATIENCE_S,
    Answered,
    Heard,
    World,
    actor_pid,
    all_well,
    check_once,
    environment,
    place,
    resolved,
    restarted,
    settled,
    tree,
    until,
    watching,
)
from tests.processes import Deaths

GONE_S = 5.0
"""From the end of its owner to the end of the last process of a daemon."""

OWNER = """
import sys
from app.core.order_router import OrderRouter
router = OrderRouter(config=sys.argv[1])
router.start()
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, OrderRouter]]:
    """A world and a router whose actors may be killed, as long as they come back."""
    with World(["bybit", "okx"], tmp_path_factory.mktemp("life") / "state") as world, world.running() as router:
        yield world, router


@contextmanager
def owner(world: World, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A program of its own with an embedded daemon."""
    config = folder / "owner.toml"
    tables = world.tables()
    tables["router"]["state_dir"] = str(world.state_dir)
    config.write_text(tomli_w.dumps(tables))
    config.chmod(0o600)
    program = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "started\n"
        yield program
    finally:
        program.kill()
        program.communicate()


# ---- owners ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.deep)], ids=lambda number: number.name
)
def test_an_embedded_daemon_dies_with_its_owner(world: Build, tmp_path: Path, number: signal.Signals) -> None:
    here = world("bybit", "okx")
    with owner(here, tmp_path) as program:
        presence = here.presence()
        with Deaths(tree(presence.pid)) as deaths:
            program.send_signal(number)
            program.wait()
            deaths.wait(GONE_S)
    assert read_presence(here.state_dir) is None


def test_sigterm_ends_a_daemon_cleanly(world: Build, tmp_path: Path) -> None:
    here = world("bybit", "okx")
    with owner(here, tmp_path), here.running() as router, watching(here.state_dir) as deaths:
        order = place(router, "resting").order
        assert order is not None
        os.kill(here.presence().pid, signal.SIGTERM)
        deaths.wait(GONE_S)
        assert not (here.state_dir / "daemon.json").exists()
        until(lambda: router.status is OrderRouterStatus.ERROR, means="the end being noticed")
        status = router.get_status()
        assert status["status"] == "error"
        assert "has ended" in status["words"]
        with pytest.raises(NotRunning, match="has ended"):
            router.get_order(order["orderId"])
        (held,) = here["bybit"].control.truth()["orders"]
        assert held["status"] == "open", "orders.on_shutdown is leave"


def test_a_daemon_started_from_a_thread_outlives_the_thread(world: Build) -> None:
    here = world("bybit", "okx")
    router = here.router()
    thread = threading.Thread(target=router.start)
    thread.start()
    thread.join()
    try:
        pid = here.presence().pid
        until(lambda: all_well(router, here.names))
        assert place(router, "one").order is not None
        assert here.presence().pid == pid
    finally:
        with watching(here.state_dir) as deaths:
            router.close()
            deaths.wait(GONE_S)


@pytest.mark.deep
def test_orders_are_cancelled_at_the_end_where_that_is_wanted(world: Build) -> None:
    here = world("bybit", "okx", orders={"on_shutdown": "cancel"})
    with here.running() as router:
        for n in range(3):
            assert place(router, f"resting-{n}").order is not None
    assert {order["status"] for order in here["bybit"].control.truth()["orders"]} == {"cancelled"}


# ---- sharing ---------------------------------------------------------------------------------------------------------


def test_a_second_router_attaches_and_only_detaches(shared: tuple[World, OrderRouter]) -> None:
    here, first = shared
    pid = here.presence().pid
    with here.running(strategy="second") as second:
        assert here.presence().pid == pid
        ours = place(second, "same id").order
        theirs = place(first, "same id").order
        assert ours is not None
        assert theirs is not None
        assert ours["orderId"] != theirs["orderId"], "a strategy is a namespace"
        assert [order["orderId"] for order in second.get_open_orders()] == [ours["orderId"]]
        with pytest.raises(InvalidRequest, match="No order"):
            second.get_order(theirs["orderId"])
        with pytest.raises(InvalidRequest, match="No order"):
            second.cancel_order("BTCUSDT", theirs["orderId"])
    assert psutil.pid_exists(pid)
    assert first.get_order(theirs["orderId"])["orderStatus"] == "New"
    first.cancel_order("BTCUSDT", theirs["orderId"])


@pytest.mark.parametrize(
    ("argument", "ours", "theirs"),
    [
        ("primary_exchange", "okx", "bybit"),
        ("failover_exchanges", ["binance"], "okx"),
        ("health_check_interval", 7, "1.0"),
        ("max_retry_attempts", 9, "3"),
        ("retry_delay", 3.5, "0.1"),
        ("auto_failover", False, "True"),
    ],
)
def test_an_argument_that_contradicts_the_daemon_is_refused_with_both_values(
    shared: tuple[World, OrderRouter], argument: str, ours: object, theirs: str
) -> None:
    here, _ = shared
    tables = here.tables()
    if argument == "primary_exchange":
        tables["router"]["failover_exchanges"] = ["bybit"]
    router = here.router(config=tables, **{argument: ours})
    with pytest.raises(InvalidRequest) as refused:
        router.start()
    words = str(refused.value)
    assert argument in words
    assert theirs in words
    assert str(ours[0] if isinstance(ours, list) else ours) in words
    assert router.status is OrderRouterStatus.INITIALIZING


def test_routers_that_start_at_the_same_moment_share_one_daemon(world: Build) -> None:
    here = world("bybit", "okx")
    routers = [here.router(strategy=f"s{n}") for n in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda router: router.start(), routers))
    pid = here.presence().pid
    owners = [router for router in routers if router._daemon is not None]
    assert len(owners) == 1
    until(lambda: all_well(routers[0], here.names))
    assert all(place(router, "one").order is not None for router in routers)
    with Deaths(tree(pid)) as deaths:
        for router in sorted(routers, key=lambda router: router in owners):
            router.close()
        deaths.wait(GONE_S)


# ---- restart ---------------------------------------------------------------------------------------------------------


def test_orders_outlive_the_daemon(world: Build) -> None:
    here = world("bybit", "okx")
    router = here.router()
    router.start()
    resting = place(router, "resting").order
    filled = place(router, "filled", order_type="Market", price=None).order
    assert resting is not None
    assert filled is not None
    with watching(here.state_dir) as deaths:
        os.kill(here.presence().pid, signal.SIGKILL)
        deaths.wait(GONE_S)
    here["bybit"].control.fill(order_id=resting["exchangeOrderId"])  # while nobody looks
    until(lambda: router.status is OrderRouterStatus.ERROR, means="the end being noticed")
    router.start()  # again, on the same object: the daemon is gone
    try:
        until(lambda: all_well(router, here.names))
        until(lambda: router.get_order(resting["orderId"])["orderStatus"] == "Filled")
        assert router.get_order(filled["orderId"])["orderStatus"] == "Filled"
        again = place(router, "resting").order
        assert again is not None
        assert (again["orderId"], again["orderStatus"]) == (resting["orderId"], "Filled")
        other = place(router, "resting", qty="0.002")
        assert isinstance(other.error, InvalidRequest | OrderRefused)
        assert "'resting' was used before with quantity 0.001, now 0.002" in str(other.error)
        assert len(here["bybit"].control.truth()["orders"]) == 2
    finally:
        router.close()


# ---- deaths of parts -------------------------------------------------------------------------------------------------


def stream(router: OrderRouter, prefix: str, count: int, stop: threading.Event | None = None) -> list[Answered]:
    """Orders by a few callers at once, until enough are placed and `stop` is set."""
    answered: list[Answered] = []

    def caller(n: int) -> None:
        k = 0
        while k < count or (stop is not None and not stop.is_set()):
            answered.append(
                place(router, f"{prefix}-{n}-{k}", side="Buy" if k % 2 else "Sell", order_type="Market", price=None)
            )
            k += 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(caller, range(4)))
    return answered


@pytest.mark.parametrize(
    "name",
    ["connector:bybit", "connector:okx", "health_monitor:health_monitor", "failover_coordinator:failover_coordinator",
     "position_synchronizer:position_synchronizer"],
)  # fmt: skip
def test_an_actor_that_is_killed_comes_back_and_no_order_is_lost_or_doubled(
    shared: tuple[World, OrderRouter], name: str
) -> None:
    here, router = shared
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        flowing = pool.submit(stream, router, name, 5, stop)
        try:
            for _ in range(2):
                pid = actor_pid(router, name)
                os.kill(pid, signal.SIGKILL)
                until(partial(restarted, router, name, pid), means=f"{name} coming back")
        finally:
            stop.set()
        answered = flowing.result()
    assert all(isinstance(each.error, OrderOutcomeUnknown | None) for each in answered), answered
    assert all(each.took_s < ORDER_TIMEOUT_S + 1.5 for each in answered)
    if "connector:bybit" not in name:
        assert all(each.order is not None for each in answered), "nobody else is on an order's way"
    for each in answered:
        resolved(router, each)
    books = here.books()
    for each in answered:
        held = check_once(books, here.presence().journal_id, router.strategy, each)
        if each.order is not None:
            assert [name for name, _ in held] == ["bybit"], each
    settled(router, here.names)
    assert router.get_status()["current_exchange"] == "bybit", "a death of ours is no failure of the exchange"
    assert place(router, f"{name} after").order is not None


def _told(heard: Heard, order_id: str, status: str) -> bool:
    return status in [order["orderStatus"] for order in heard.of(order_id)]


def test_what_happens_while_a_connector_is_dead_is_told_when_it_is_back(shared: tuple[World, OrderRouter]) -> None:
    here, router = shared
    heard = Heard(router)
    filled = place(router, "filled meanwhile").order
    gone = place(router, "cancelled meanwhile").order
    assert filled is not None
    assert gone is not None
    here["bybit"].control.fault("hang_after", call="place", count=1)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(place, router, "in doubt meanwhile")
        until(lambda: router.get_status()["orders"].get("intent") or router.get_status()["orders"].get("unknown"))
        pid = actor_pid(router, "connector:bybit")
        os.kill(pid, signal.SIGKILL)
        here["bybit"].control.fill(order_id=filled["exchangeOrderId"])
        until(partial(restarted, router, "connector:bybit", pid), means="the connector coming back")
        doubtful = resolved(router, hanging.result())
    assert doubtful is not None
    assert doubtful["orderStatus"] == "New"
    assert router.cancel_order("BTCUSDT", gone["orderId"])["orderStatus"] == "Cancelled"
    for order_id, status in (
        (filled["orderId"], "Filled"),
        (gone["orderId"], "Cancelled"),
        (doubtful["orderId"], "New"),
    ):
        until(partial(_told, heard, order_id, status), means=f"news of {order_id} being {status}")
    router.cancel_order("BTCUSDT", doubtful["orderId"])
    heard.close()


def _root(router: OrderRouter) -> tuple[psutil.Process, psutil.Process]:
    """The supervisor's process and the admin's."""
    supervisor = psutil.Process(actor_pid(router, "connector:bybit")).parent()
    assert supervisor is not None
    admin = supervisor.parent()
    assert admin is not None
    return supervisor, admin


@pytest.mark.parametrize(
    ("who", "how"),
    [
        (0, signal.SIGKILL),
        pytest.param(1, signal.SIGKILL, marks=pytest.mark.deep),
        pytest.param(0, signal.SIGSTOP, marks=pytest.mark.deep),
    ],
)
def test_a_tree_whose_root_dies_or_hangs_is_replaced_and_callers_get_their_orders(
    world: Build, who: int, how: signal.Signals
) -> None:
    here = world("bybit", "okx")
    with here.running() as router:
        victim = _root(router)[who]
        journal_id = here.presence().journal_id
        old = psutil.Process(here.presence().pid).children(recursive=True)
        here["bybit"].control.fault("hang_after", call="place")
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(place, router, f"hanging-{n}") for n in range(4)]
            until(lambda: here.placements() >= 4)
            here["bybit"].control.clear_faults()
            victim.send_signal(how)
            answers = [each.result() for each in asked]
        gone, alive = psutil.wait_procs(old, timeout=PATIENCE_S)
        assert not alive, "the old tree is gone, whole"
        assert gone
        for answered in answers:
            order = resolved(router, answered)
            assert order is not None
            assert order["orderStatus"] == "New"
            check_once(here.books(), journal_id, router.strategy, answered)
        late = place(router, "late")
        assert late.order is not None, late
        assert _root(router)[who].pid != victim.pid
