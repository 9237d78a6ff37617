"""Whatever hangs is found, killed and replaced by itself, under orders, none of which is lost or placed twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from app.bootstrap import JOURNAL_NAME
from app.core.order_router import OrderOutcomeUnknown, OrderRouter
from app.domain.supervision import Timing
from app.transport.address import address_from_str
from app.transport.base import attach, detach
from app.transport.mailbox import MAX_IN_FLIGHT, Mailbox, MailboxFullError
from messages.failover import Unsubscribe
from messages.supervision import Directory, Listen, Role
from tests.e2e.daemons import Daemon, stopped
from tests.e2e.hooked import BLOCK_LOOP, BLOCK_OPENING, DEAF, LOOP_IN_HANDLER, SLOW, STOP_IN_WRITE
from tests.e2e.world import (
    ORDER_TIMEOUT_S,
    PATIENCE_S,
    Answered,
    World,
    actor_pid,
    check_once,
    move_to,
    place,
    resolved,
    restarted,
    settled,
    slack_s,
    until,
)

BUDGET_S = Timing().heartbeat_s + Timing().heartbeat_timeout_s
HEALED_S = BUDGET_S + 0.5
"""From the hang to the next order that is placed after it."""
SLACK_S = 1.5
"""For the machine the tests run on, where it is idle; what is measured is in the message of a failure."""
PACE_S = 0.06
CONNECTOR = "connector:bybit"

LOOPING = """
from actors.strategy import Strategy

class Looping(Strategy):
    def __init__(self, folder):
        self.folder = folder

    def on_start(self):
        from pathlib import Path
        first = Path(self.folder) / "looped"
        self.place("BTCUSDT", "buy", "0.001", price="20000", client_order_id="before")
        if not first.exists():
            self.call_at(self.now_s() + 0.2)

    def on_timer(self, now_s):
        from pathlib import Path
        (Path(self.folder) / "looped").touch()
        while True:
            pass
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Daemon, OrderRouter]]:
    """A daemon whose actors may hang, and a router on it."""
    folder = tmp_path_factory.mktemp("hangs")
    with World(["bybit", "okx"], folder / "state") as world, Daemon(world, folder) as daemon:
        daemon.serves()
        with daemon.router() as router:
            yield world, daemon, router


class Load:
    """Orders at a steady pace, whether or not earlier ones were answered, until `end`."""

    def __init__(self, router: OrderRouter, prefix: str) -> None:
        self.router, self.prefix = router, prefix
        self.answered: list[tuple[float, Answered]] = []
        self.stop = threading.Event()
        self._pool = ThreadPoolExecutor(int((ORDER_TIMEOUT_S + SLACK_S) / PACE_S))
        self._orders: list[Future[None]] = []
        self._pacer = threading.Thread(target=self._go)
        self._pacer.start()

    def _go(self) -> None:
        while not self.stop.wait(PACE_S):
            self._orders.append(self._pool.submit(self._place, len(self._orders)))

    def _place(self, n: int) -> None:
        began_s = time.monotonic()
        side = "Buy" if n % 2 else "Sell"
        answered = place(self.router, f"{self.prefix}-{n}", side=side, order_type="Market", price=None)
        self.answered.append((began_s, answered))

    def placed_after(self, at_s: float) -> float | None:
        """How long after a moment the first order that was asked for later was placed."""
        ends = [began_s + each.took_s for began_s, each in list(self.answered) if began_s > at_s and each.order]
        return min(ends) - at_s if ends else None

    def __len__(self) -> int:
        return len(self.answered)

    def end(self) -> None:
        """No more orders."""
        self.stop.set()
        self._pacer.join()
        for each in self._orders:
            each.result()
        self._pool.shutdown()


@contextmanager
def under_load(world: World, router: OrderRouter, prefix: str) -> Iterator[Load]:
    """Orders all the while; afterwards each was answered in time, is resolved, and was placed at most once."""
    load = Load(router, prefix)
    try:
        until(lambda: len(load) >= 10, means="orders flowing")
        yield load
        seen = len(load)
        until(lambda: len(load) >= seen + 10, means="orders flowing again")
    finally:
        load.end()
    for _, each in load.answered:
        assert isinstance(each.error, OrderOutcomeUnknown | None), each
        assert each.took_s < ORDER_TIMEOUT_S + slack_s(SLACK_S), each
        resolved(router, each)
    books, journal_id = world.books(), world.presence().journal_id
    for _, each in load.answered:
        held = check_once(books, journal_id, router.strategy, each)
        if each.order is not None:
            assert [name for name, _ in held] == ["bybit"], each
    assert router.get_status()["current_exchange"] == "bybit", "a hang of ours is no failure of the exchange"


def healed(load: Load, began_s: float) -> float:
    """Waits for an order that was asked for after a moment; how long that took."""
    return until(partial(load.placed_after, began_s), means="an order after the hang")


def armed_and_hit(daemon: Daemon, hook: str) -> float:
    """Arms a place and waits until it has acted; when that was."""
    daemon.set(hook)
    until(lambda: not daemon.armed(hook), means=hook)
    return time.monotonic()


@pytest.mark.parametrize(
    "hook", [STOP_IN_WRITE, *(pytest.param(hook, marks=pytest.mark.deep) for hook in (LOOP_IN_HANDLER, BLOCK_LOOP))]
)
def test_a_connector_that_hangs_is_replaced_and_orders_go_on(
    shared: tuple[World, Daemon, OrderRouter], hook: str
) -> None:
    world, daemon, router = shared
    others = {each: actor_pid(router, each) for each in ("connector:okx", "failover_coordinator:failover_coordinator")}
    pid = actor_pid(router, CONNECTOR)
    with under_load(world, router, hook.replace(" ", "-")) as load:
        began_s = armed_and_hit(daemon, hook)
        if hook == STOP_IN_WRITE:
            until(lambda: stopped(pid), means="the connector being stopped")
        took_s = healed(load, began_s)
        until(partial(restarted, router, CONNECTOR, pid), means="the connector being another")
    assert took_s < HEALED_S + slack_s(SLACK_S), took_s
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert {each: actor_pid(router, each) for each in others} == others, "nobody else was to blame"
    killed = [each for each in daemon.events("child.killed") if each["child"] == CONNECTOR][-1]
    assert killed["child_pid"] == pid
    assert "gave no sign of life" in killed["why"]


def test_a_thread_that_hangs_beside_an_actor_that_answers_is_found(
    shared: tuple[World, Daemon, OrderRouter],
) -> None:
    """The one that loads the markets: its actor says so itself."""
    world, daemon, router = shared
    pid = actor_pid(router, CONNECTOR)
    killed = len(daemon.events("child.killed"))
    daemon.set(BLOCK_OPENING)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not daemon.armed(BLOCK_OPENING), means="the thread being blocked")
    began_s = time.monotonic()
    until(lambda: len(daemon.events("child.killed")) > killed, means="the hang being found")
    assert time.monotonic() - began_s < HEALED_S + slack_s(SLACK_S)
    settled(router, world.names)
    assert place(router, "after the thread").order is not None
    assert "event loop of bybit has stood still" in daemon.events("child.killed")[-1]["why"]


def test_an_end_that_nobody_tells_of_is_found_like_a_hang(shared: tuple[World, Daemon, OrderRouter]) -> None:
    """Whoever owes a sign of life is killed, and whoever was killed and is gone has ended."""
    _world, daemon, router = shared
    pid = actor_pid(router, CONNECTOR)
    daemon.set(DEAF)
    os.kill(pid, signal.SIGKILL)
    began_s = time.monotonic()
    until(partial(restarted, router, CONNECTOR, pid), means="the connector being another")
    assert time.monotonic() - began_s < HEALED_S + slack_s(SLACK_S)
    assert not daemon.armed(DEAF)
    assert place(router, "after an end untold").order is not None


def test_trading_moves_while_the_connector_in_use_sits_on_the_write_lock(
    shared: tuple[World, Daemon, OrderRouter],
) -> None:
    """A switch by hand has to write: it is begun anew until it can."""
    world, daemon, router = shared
    pid = actor_pid(router, CONNECTOR)
    daemon.set(STOP_IN_WRITE)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(place, router, "sits on the lock")
        until(lambda: stopped(pid), means="the connector being stopped")
        try:
            assert router.manual_failover("okx")["to_exchange"] == "okx"
            answered = asked.result()
            assert resolved(router, answered) is not None
        finally:
            settled(router, world.names)
            move_to(router, "bybit")
    check_once(world.books(), world.presence().journal_id, router.strategy, answered)
    assert {each["child"] for each in daemon.events("child.killed")} == {CONNECTOR}


def test_a_write_lock_that_somebody_holds_for_long_gets_nobody_killed(
    shared: tuple[World, Daemon, OrderRouter],
) -> None:
    """Orders are answered truthfully meanwhile, and go on when it is free; waiting for it is no hanging."""
    world, daemon, router = shared
    pid, killed = actor_pid(router, CONNECTOR), len(daemon.events("child.killed"))
    with under_load(world, router, "locked") as load:
        with closing(sqlite3.connect(world.state_dir / JOURNAL_NAME, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began_s = time.monotonic()
            until(
                lambda: time.monotonic() > began_s + 1.5 * BUDGET_S, means="more than the time after which one has hung"
            )
            assert daemon.events("journal.unavailable")
            other.execute("ROLLBACK")
        free_s = time.monotonic()
        assert healed(load, free_s) < 1.0 + slack_s(SLACK_S)
    assert actor_pid(router, CONNECTOR) == pid
    assert len(daemon.events("child.killed")) == killed


def test_a_connector_whose_mailbox_is_full_is_replaced_and_orders_go_on(
    shared: tuple[World, Daemon, OrderRouter],
) -> None:
    """It lives, and would answer after thousands of messages: that is too late for a sign of life, and for an order."""
    world, daemon, router = shared
    pid = actor_pid(router, CONNECTOR)
    presence = world.presence()
    daemon.set(SLOW)
    system = attach(0, bytes.fromhex(presence.key), base="unix", state_dir=world.state_dir)
    try:
        with Mailbox(system) as strangers, under_load(world, router, "flooded") as load:
            strangers.tell(address_from_str(presence.supervisor), Listen(session_id="flood"))
            directory = until(lambda: strangers.receive(0.1), means="the directory")
            assert isinstance(directory, Directory)
            entry = directory.find(Role.CONNECTOR, "bybit")
            assert entry is not None
            began_s = time.monotonic()
            for n in range(MAX_IN_FLIGHT - strangers.in_flight):
                strangers.tell(entry.address, Unsubscribe(session_id=f"nobody-{n}"))
            with pytest.raises(MailboxFullError):
                strangers.tell(entry.address, Unsubscribe(session_id="one too many"))
            assert strangers.flush(0.0) is False
            took_s = healed(load, began_s)
            until(partial(restarted, router, CONNECTOR, pid), means="the connector being another")
            assert took_s < HEALED_S + slack_s(SLACK_S), took_s
            assert strangers.flush(PATIENCE_S), "what waited for the dead one was given back"
    finally:
        detach(system)
        daemon.unset(SLOW)
    assert "gave no sign of life" in daemon.events("child.killed")[-1]["why"]


@pytest.mark.parametrize("who", [0, pytest.param(1, marks=pytest.mark.deep)], ids=["supervisor", "admin"])
def test_a_root_that_hangs_is_found_within_the_same_budget(shared: tuple[World, Daemon, OrderRouter], who: int) -> None:
    """The admin is on nobody's way: orders go on until the tree is replaced."""
    world, daemon, router = shared
    pid = actor_pid(router, CONNECTOR)
    process = psutil.Process(pid).parents()[who]
    died = len(daemon.events("tree.died"))
    with under_load(world, router, f"root-{who}") as load:
        process.send_signal(signal.SIGSTOP)
        began_s = time.monotonic()
        until(lambda: len(daemon.events("tree.died")) > died, means="the hang being found")
        found_s = time.monotonic() - began_s
        until(partial(restarted_after, router, pid), means="the tree being another")
        assert found_s < BUDGET_S + slack_s(SLACK_S), found_s
        assert healed(load, began_s + found_s) < 1.0 + slack_s(SLACK_S)
    assert "has not answered for" in daemon.events("tree.died")[-1]["words"]


def restarted_after(router: OrderRouter, pid: int) -> bool:
    """Whether a connector of a new tree serves."""
    return router.get_status()["status"] == "ready" and restarted(router, CONNECTOR, pid)


def test_a_strategy_that_loops_for_ever_is_replaced_and_orders_of_others_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "bots"
    folder.mkdir()
    (folder / "looping_bot.py").write_text(LOOPING)
    strategies = {"looping": {"class": "looping_bot:Looping", "path": str(folder), "args": {"folder": str(folder)}}}
    with (
        World(["bybit", "okx"], tmp_path / "state") as world,
        Daemon(world, tmp_path, strategies=strategies) as daemon,
    ):
        daemon.serves()
        with daemon.router() as router:
            with under_load(world, router, "beside") as load:
                until(lambda: (folder / "looped").exists(), means="the strategy looping")
                began_s = time.monotonic()
                until(lambda: daemon.events("child.killed"), means="it being found")
                assert time.monotonic() - began_s < HEALED_S + slack_s(SLACK_S)
                until(lambda: len(started(daemon, "strategy:looping")) == 2, means="it being started anew")
            assert all(each.error is None for _, each in load.answered), "orders of others never waited for it"
            (killed,) = daemon.events("child.killed")
            assert killed["child"] == "strategy:looping"
            settled(router, world.names)
            orders = [each for each in world["bybit"].control.truth()["orders"] if each["status"] == "open"]
            assert len(orders) == 1, "both lives asked for the same order"


def started(daemon: Daemon, child: str) -> list[object]:
    """Each time a child was started."""
    return [each for each in daemon.events("child.started") if each["child"] == child]


def test_roots_are_the_launchers_child_and_grandchild(shared: tuple[World, Daemon, OrderRouter]) -> None:
    """What the tests above take for granted."""
    _, daemon, router = shared
    parents = psutil.Process(actor_pid(router, CONNECTOR)).parents()
    assert parents[2].pid == daemon.process.pid
