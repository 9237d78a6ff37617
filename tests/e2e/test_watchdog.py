"""The watchdog is fed while orders get through, and only then: by orders or, where there are none, by dry requests."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import psutil
import pytest

from app.bootstrap import JOURNAL_NAME
from app.core.order_router import OrderRouter
from app.launcher.tree import starts_within_s
from tests.e2e.daemons import Daemon
from tests.e2e.hooked import BLOCK_DRY, DRY_RUNS, NEVER_READY
from tests.e2e.world import World, place, until

WATCHDOG_S = 1.5
SUPERVISION = {
    # Nobody is killed here: what is seen is that the watchdog notices, whatever supervision may do about it.
    "heartbeat_timeout_s": 60.0,
    "path_check_s": 0.1,
    "path_check_timeout_s": 1.5,
    "intensity": 20,
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Daemon]]:
    """A daemon that systemd watches."""
    folder = tmp_path_factory.mktemp("watchdog")
    with (
        World(["bybit", "okx"], folder / "state") as world,
        Daemon(world, folder, watchdog_s=WATCHDOG_S, supervision=SUPERVISION) as running,
    ):
        running.serves()
        yield world, running


def fed_again(daemon: Daemon, times: int = 3) -> None:
    """Waits until it was fed a few times more."""
    wanted = daemon.fed() + times
    until(lambda: daemon.fed() >= wanted, means="the watchdog being fed")


def starved(daemon: Daemon, why: str) -> None:
    """Waits until feeding has ended, and it was said why; nothing is fed from then on."""
    until(lambda: daemon.statuses()[-1].startswith("orders do not get through"), means="the status")
    assert why in daemon.statuses()[-1]
    assert why in daemon.events("watchdog.withheld")[-1]["words"]


def lapsed(daemon: Daemon) -> None:
    """Waits until systemd would lose patience: nothing was fed for as long as the unit allows."""
    seen, since_s = daemon.fed(), time.monotonic()

    def nothing() -> bool:
        nonlocal seen, since_s
        if daemon.fed() != seen:
            seen, since_s = daemon.fed(), time.monotonic()
        return time.monotonic() > since_s + WATCHDOG_S

    until(nothing, means="the watchdog's time running out")


def recovered(daemon: Daemon) -> None:
    """Waits until it is fed again, and that is said too."""
    fed_again(daemon)
    assert daemon.statuses()[-1].startswith("routing to")
    assert daemon.events("watchdog.fed_again")


def actors(router: OrderRouter) -> dict[str, int | None]:
    """Every actor's process."""
    return {actor["name"]: actor["pid"] for actor in router.get_status()["actors"]}


def requests(world: World) -> list[str]:
    """What arrived at the exchanges, but for probes and polls."""
    return [row["call"] for name in world.names for row in world[name].control.requests() if row["call"] == "place"]


def test_an_idle_daemon_is_fed_by_dry_requests_that_never_reach_an_exchange(daemon: tuple[World, Daemon]) -> None:
    world, running = daemon
    fed_again(running, 10)
    assert requests(world) == []
    with running.router() as router:
        assert router.get_status()["orders"] == {}, "a dry request leaves nothing in the journal"
    said = running.said()
    assert "EXTEND_TIMEOUT_USEC" in said[0]
    assert [each for each in said if "READY" in each] == [{"READY": "1", "STATUS": "routing to bybit, okx"}]
    first_fed = next(n for n, each in enumerate(said) if "WATCHDOG" in each)
    assert first_fed > next(n for n, each in enumerate(said) if "READY" in each)


@pytest.mark.parametrize("kind", ["blackhole", "refused"])
def test_an_exchange_that_is_down_starves_nobody(daemon: tuple[World, Daemon], kind: str) -> None:
    """Restarting the daemon would not bring it back."""
    world, running = daemon
    withheld = len(running.events("watchdog.withheld"))
    for name in world.names:
        world[name].control.fault(kind)
    try:
        fed_again(running, 8)
    finally:
        for name in world.names:
            world[name].control.clear_faults()
    with running.router():
        pass  # every exchange is well again, for the tests to come
    assert len(running.events("watchdog.withheld")) == withheld


def test_a_journal_that_somebody_else_holds_starves_it(daemon: tuple[World, Daemon]) -> None:
    """The supervisor, and every actor, answers all the while, and the status says why no order is taken."""
    world, running = daemon
    fed_again(running)
    with running.router() as router:
        alive = actors(router)
    with closing(sqlite3.connect(world.state_dir / JOURNAL_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        starved(running, "database is locked")
        lapsed(running)
        with running.router(well=False) as router:
            # Not "ready": what cannot be written is not traded with. Of the exchanges that says nothing.
            status = router.get_status()
            assert status["status"] == "error"
            assert "database is locked" in status["words"]
            health = status["exchange_health"]
            assert [name for name in world.names if health[name]["healthy"]] == world.names
            assert actors(router) == alive, "nobody died of it"
        other.execute("ROLLBACK")
    recovered(running)
    with running.router():
        pass  # the status says that all is well again


def test_an_event_loop_that_is_blocked_starves_it(daemon: tuple[World, Daemon]) -> None:
    """Its connector, which turns it, stands in it; the other one's answer feeds nothing."""
    _, running = daemon
    fed_again(running)
    running.set(BLOCK_DRY)
    starved(running, "bybit has not answered for 1.5 s")
    lapsed(running)  # though the other connector answers
    running.unset(BLOCK_DRY)
    recovered(running)


def test_orders_feed_it_too(daemon: tuple[World, Daemon]) -> None:
    """Where orders flow, hardly a dry request is needed."""
    _, running = daemon
    dry_runs = running.hooks / DRY_RUNS
    with running.router() as router:
        assert place(router, "warm").order is not None
        fed_again(running)
        fed, dry = running.fed(), dry_runs.stat().st_size
        n = 0
        while running.fed() < fed + 20:
            n += 1
            assert place(router, f"fed-{n}").order is not None
        assert dry_runs.stat().st_size - dry < 10
    assert n >= 20


def allowed_s(daemon: Daemon) -> float:
    """What systemd's watchdog allows by now: the unit's, or what it was told since."""
    told = [int(each["WATCHDOG_USEC"]) / 1_000_000 for each in daemon.said() if "WATCHDOG_USEC" in each]
    return told[-1] if told else WATCHDOG_S


def test_a_tree_that_is_replaced_is_given_the_time_that_takes(daemon: tuple[World, Daemon]) -> None:
    """Nothing feeds between two trees, and a watchdog that bit then would end the daemon amid its recovery."""
    _, running = daemon
    fed_again(running)
    ready = sum("READY" in each for each in running.said())
    running.set(NEVER_READY)
    (admin,) = running.tree()[0].children()
    admin.kill()
    until(lambda: running.statuses()[-1].startswith("starting the actors anew"), means="the death being found")
    lapsed(running)
    assert allowed_s(running) >= starts_within_s("unix")
    running.unset(NEVER_READY)
    until(lambda: sum("READY" in each for each in running.said()) > ready, means="the next tree")
    assert allowed_s(running) == WATCHDOG_S, "as the unit has it"
    fed_again(running)


def test_a_tree_that_dies_while_it_starts_is_replaced_at_once(daemon: tuple[World, Daemon]) -> None:
    """Nobody waits for the answers of who has ended: that took as long as a start may take."""
    _, running = daemon
    fed_again(running)
    ready, before = sum("READY" in each for each in running.said()), running.tree()
    (admin,) = before[0].children()
    running.set(NEVER_READY)
    admin.kill()

    def starting() -> psutil.Process | None:
        anew = [each for each in running.tree()[0].children() if each not in before]
        return next((each for each in anew if len(each.children(recursive=True)) > 4), None)

    second = until(starting, means="the next tree's start")
    second.kill()
    running.unset(NEVER_READY)
    until(lambda: sum("READY" in each for each in running.said()) > ready, means="the tree after that")
    died = [event["words"] for event in running.events("tree.died")]
    assert died[-1].endswith(f"The admin (pid {second.pid}) died.")
    fed_again(running)
