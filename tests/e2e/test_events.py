"""Whoever listens hears everything, once and in order: connectors die untold, daemons end, readers come late."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.order_router import InvalidRequest, OrderOutcomeUnknown, OrderRouter
from app.core.shapes import Event
from tests.e2e.daemons import Daemon
from tests.e2e.hooked import DIE_UNTOLD
from tests.e2e.world import Heard, World, actor_pid, all_well, place, restarted, until, watching

CONNECTOR = "connector:bybit"
Shared = tuple[World, Daemon, OrderRouter]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """A daemon whose connectors may die, and a router on it."""
    folder = tmp_path_factory.mktemp("events")
    with World(["bybit", "okx"], folder / "state") as world, Daemon(world, folder) as daemon:
        daemon.serves()
        with daemon.router() as router:
            yield world, daemon, router


def told(events: list[Event], client_order_id: str) -> list[tuple[str, str]]:
    """(kind, status) of what was told of an order."""
    return [
        (event["kind"], event["order"]["orderStatus"])
        for event in list(events)
        if (event["kind"] == "order_changed" or event["kind"] == "order_resolved")
        and event["order"]["orderLinkId"] == client_order_id
    ]


def numbers(events: list[Event]) -> list[int]:
    """Of what is numbered."""
    found: list[Any] = [event.get("number") for event in list(events)]
    return [number for number in found if number]


def in_order(events: list[Event]) -> bool:
    """Whether no number is missing, and none comes twice."""
    heard = numbers(events)
    return heard == list(range(heard[0], heard[0] + len(heard)))


def test_what_a_connector_recorded_and_told_nobody_is_heard(shared: Shared) -> None:
    _, daemon, router = shared
    heard = Heard(router)
    old_pid = actor_pid(router, CONNECTOR)
    daemon.set(DIE_UNTOLD)
    order = place(router, "untold").order
    assert order is not None, "it was asked for again, and found"
    assert not daemon.armed(DIE_UNTOLD)
    assert restarted(router, CONNECTOR, old_pid)
    until(lambda: told(heard.events, "untold"))
    router.cancel_order("BTCUSDT", order["orderId"])
    until(lambda: ("order_changed", "Cancelled") in told(heard.events, "untold"))
    assert told(heard.events, "untold") == [("order_changed", "New"), ("order_changed", "Cancelled")]
    assert in_order(heard.events)
    heard.close()


def test_whoever_comes_late_hears_it_all_and_goes_on(shared: Shared) -> None:
    _, _, router = shared
    early = Heard(router)
    for name in ("late 1", "late 2"):
        order = place(router, name).order
        assert order is not None
        router.cancel_order("BTCUSDT", order["orderId"])
    until(lambda: told(early.events, "late 2")[-1:] == [("order_changed", "Cancelled")])
    after = numbers(early.events)[0] - 1

    async def bot() -> list[Event]:
        seen: list[Event] = []
        done = asyncio.Event()

        async def hear(event: Event) -> None:
            seen.append(event)
            if told([event], "late 3"):
                done.set()

        stream = router.aio.events(hear, after=after)
        await asyncio.to_thread(until, lambda: len(numbers(seen)) >= 4)
        await router.aio.place_order("BTCUSDT", "Buy", "Limit", "0.001", "20000", client_order_id="late 3")
        await asyncio.wait_for(done.wait(), 10)
        stream.close()
        return seen

    seen = asyncio.run(bot())
    assert in_order(seen)
    assert numbers(seen)[0] == after + 1
    assert told(seen, "late 1")[0] == ("order_changed", "Cancelled"), "as it is by now"
    called: list[Event] = []
    stream = router.events(called.append, after=0)
    until(lambda: told(called, "late 3"))
    assert numbers(called)[0] == 1
    assert in_order(called)
    stream.close()
    early.close()
    with pytest.raises(InvalidRequest, match=r"after is -1, and must be the number of an event"):
        router.events(after=-1)


def test_an_order_nobody_knew_of_is_told_as_resolved(shared: Shared) -> None:
    world, _, router = shared
    heard = Heard(router)
    world["bybit"].control.fault("hang_after", call="place", count=1)
    with pytest.raises(OrderOutcomeUnknown) as unknown:
        router.place_order("BTCUSDT", "Buy", "Limit", "0.001", "20000", client_order_id="doubted", timeout_s=0.5)
    until(lambda: ("order_resolved", "New") in told(heard.events, "doubted"))
    assert router.get_order(unknown.value.order_id)["orderStatus"] == "New"
    assert in_order(heard.events)
    heard.close()


def test_an_order_that_reached_nobody_is_told_as_never_committed(shared: Shared) -> None:
    _, _, router = shared
    heard = Heard(router)
    pid = actor_pid(router, CONNECTOR)
    os.kill(pid, signal.SIGSTOP)  # found as hung, killed and replaced
    with pytest.raises(OrderOutcomeUnknown) as unknown:
        router.place_order("BTCUSDT", "Buy", "Limit", "0.001", "20000", client_order_id="unheard", timeout_s=0.3)
    (never,) = until(lambda: heard.kinds("order_never_committed"), patience_s=30)
    assert (never["orderId"], never["orderLinkId"]) == (unknown.value.order_id, "unheard")
    with pytest.raises(InvalidRequest, match="nothing was ever sent"):
        router.get_order(client_order_id="unheard")
    assert restarted(router, CONNECTOR, pid)
    heard.close()


def test_numbers_go_on_where_an_ended_daemon_left_them(tmp_path: Path) -> None:
    with World(["bybit", "okx"], tmp_path / "state") as world, world.running() as router:
        heard = Heard(router)
        assert place(router, "before").order is not None
        until(lambda: told(heard.events, "before"))
        last = numbers(heard.events)[-1]
        with watching(world.state_dir) as deaths:
            os.kill(world.presence().pid, signal.SIGKILL)
            deaths.wait(10)
        until(lambda: router.status.value == "error")
        router.start()
        until(lambda: all_well(router, world.names))
        assert place(router, "after").order is not None
        until(lambda: told(heard.events, "after"))
        assert in_order(heard.events)
        late: list[Event] = []
        router.events(late.append, after=last)
        until(lambda: told(late, "after"))
        assert numbers(late)[0] == last + 1
