"""The facade from every kind of caller: loops, threads, coroutines that give up, readers of events."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from app.core.events import MAX_EVENTS, EventStream
from app.core.order_router import (
    InvalidRequest,
    NoExchangeAvailable,
    NotRunning,
    OrderOutcomeUnknown,
    OrderRouter,
    OrderRouterStatus,
)
from app.core.shapes import RouteEvent
from tests.e2e.world import Heard, World, all_well, place, settled, until, watching

Shared = tuple[World, OrderRouter]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One world for the file; a test leaves no fault and no open order."""
    with World(["bybit", "okx"], tmp_path_factory.mktemp("facade") / "state") as world, world.running() as router:
        yield world, router


# ---- callers ---------------------------------------------------------------------------------------------------------


def test_a_blocking_call_inside_a_running_loop_blocks_it_and_no_more(shared: Shared) -> None:
    _, router = shared

    async def bot() -> list[str]:
        order = router.place_order("BTCUSDT", "Buy", "Limit", "0.001", "20000", client_order_id="in a loop")
        other = await router.aio.get_order(order["orderId"])
        return [
            order["orderStatus"],
            other["orderStatus"],
            router.cancel_order("BTCUSDT", order["orderId"])["orderStatus"],
        ]

    assert asyncio.run(bot()) == ["New", "New", "Cancelled"]


def test_coroutines_do_not_block_the_loop(shared: Shared) -> None:
    world, router = shared
    world["bybit"].control.fault("slow", call="ticker", count=1, params={"delay_s": 0.4})

    async def bot() -> tuple[list[str], int]:
        turns = 0
        asked = asyncio.ensure_future(router.aio.get_market_data("BTCUSDT"))
        placed = asyncio.gather(
            *(
                router.aio.place_order("BTCUSDT", "Sell", "Limit", "0.001", "35000", client_order_id=f"together-{n}")
                for n in range(10)
            )
        )
        while not asked.done():
            turns += 1
            await asyncio.sleep(0)
        orders = await placed
        await asyncio.gather(*(router.aio.cancel_order("BTCUSDT", order["orderId"]) for order in orders))
        return [order["orderStatus"] for order in orders], turns

    statuses, turns = asyncio.run(bot())
    assert statuses == ["New"] * 10
    assert turns > 100


def test_several_threads_at_once_each_get_their_own_answer(shared: Shared) -> None:
    _, router = shared

    def caller(n: int) -> bool:
        order = router.place_order("BTCUSDT", "Buy", "Limit", f"0.00{n + 1}", "20000", client_order_id=f"thread-{n}")
        mine = router.get_order(order["orderId"])
        gone = router.cancel_order("BTCUSDT", order["orderId"])
        return (order["orderLinkId"], mine["qty"], gone["orderStatus"]) == (f"thread-{n}", f"0.00{n + 1}", "Cancelled")

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(caller, range(8)))


def test_the_same_id_from_several_threads_is_one_order(shared: Shared) -> None:
    world, router = shared
    with ThreadPoolExecutor(8) as pool:
        answered = list(pool.map(lambda _: place(router, "one and the same"), range(8)))
    orders = [each.order for each in answered if each.order is not None]
    assert len(orders) == 8
    assert len({order["orderId"] for order in orders}) == 1
    assert len(world.truth(world.presence().journal_id, router.strategy, "one and the same")) == 1
    router.cancel_order("BTCUSDT", orders[0]["orderId"])


def test_cancelling_a_coroutine_ends_the_wait_and_not_the_order(shared: Shared) -> None:
    world, router = shared
    world["bybit"].control.fault("slow", call="place", count=3, params={"delay_s": 0.3})

    async def bot() -> None:
        waits = [
            asyncio.ensure_future(
                router.aio.place_order("BTCUSDT", "Buy", "Limit", "0.001", "20000", client_order_id=f"given-up-{n}")
            )
            for n in range(3)
        ]
        await asyncio.sleep(0)
        for wait in waits:
            wait.cancel()
        assert all(
            isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*waits, return_exceptions=True)
        )

    asyncio.run(bot())
    journal_id = world.presence().journal_id
    for n in range(3):
        until(partial(world.truth, journal_id, router.strategy, f"given-up-{n}"), means="the order being placed")
        order = place(router, f"given-up-{n}").order
        assert order is not None, "asked again under the same id"
        assert order["orderStatus"] == "New"
        assert len(world.truth(journal_id, router.strategy, f"given-up-{n}")) == 1
        router.cancel_order("BTCUSDT", order["orderId"])
    assert router.get_status()["status"] == "ready", "the facade's own thread took no harm"


def test_a_caller_is_answered_by_its_own_deadline(shared: Shared) -> None:
    world, router = shared
    fault = world["bybit"].control.fault("hang_after", call="place", count=1)
    began_s = time.monotonic()
    with pytest.raises(OrderOutcomeUnknown) as unknown:
        router.place_order("BTCUSDT", "Buy", "Limit", "0.001", "20000", client_order_id="soon", timeout_s=0.4)
    assert 0.3 < time.monotonic() - began_s < 1.5
    world["bybit"].control.clear_fault(fault)
    order_id = unknown.value.order_id
    until(lambda: router.get_order(order_id)["orderStatus"] == "New")
    assert (
        router.place_order("BTCUSDT", "Buy", "Limit", "0.001", "20000", client_order_id="soon")["orderId"] == order_id
    )
    assert router.cancel_order("BTCUSDT", order_id)["orderStatus"] == "Cancelled"


def test_a_cancel_whose_answer_is_lost_is_followed_up(shared: Shared) -> None:
    world, router = shared
    order = place(router, "to be cancelled").order
    assert order is not None
    world["bybit"].control.fault("drop_after", call="cancel", count=1)
    assert router.cancel_order("BTCUSDT", order["orderId"])["orderStatus"] == "Cancelled"
    filled = place(router, "filled before", order_type="Market", price=None).order
    assert filled is not None
    until(lambda: router.get_order(filled["orderId"])["orderStatus"] == "Filled")
    with pytest.raises(InvalidRequest, match="cannot be cancelled: it is filled"):
        router.cancel_order("BTCUSDT", filled["orderId"])


def test_a_part_fill_is_told_and_the_rest_can_be_cancelled(shared: Shared) -> None:
    world, router = shared
    heard = Heard(router)
    order = place(router, "in parts", qty="0.003").order
    assert order is not None
    world["bybit"].control.fill(order_id=order["exchangeOrderId"], qty="0.001")
    until(lambda: any(o["orderStatus"] == "PartiallyFilled" for o in heard.of(order["orderId"])), means="the news")
    gone = router.cancel_order("BTCUSDT", order["orderId"])
    assert (gone["orderStatus"], gone["cumExecQty"], gone["leavesQty"]) == ("Cancelled", "0.001", "0")
    until(lambda: heard.of(order["orderId"])[-1]["orderStatus"] == "Cancelled")
    heard.close()


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("qty", ["0.001", 0.001, Decimal("0.001"), "1E-3", " 0.001 "], ids=repr)
@pytest.mark.parametrize("price", ["20000", 20000, 20000.0, Decimal(20000)], ids=repr)
def test_numbers_in_any_spelling_are_the_same_order(shared: Shared, qty: Any, price: Any) -> None:
    _, router = shared
    order = router.place_order("BTCUSDT", "Buy", "Limit", qty, price, client_order_id="spelled in many ways")
    assert (Decimal(order["qty"]), Decimal(order["price"])) == (Decimal("0.001"), Decimal(20000))


# ---- reading ---------------------------------------------------------------------------------------------------------


def test_readings_name_their_exchange_and_age(shared: Shared) -> None:
    _, router = shared
    ticker = router.get_market_data("BTC/USDT:USDT")
    assert (ticker["symbol"], ticker["exchange"]) == ("BTCUSDT", "bybit")
    assert Decimal(ticker["bid1Price"]) < Decimal(ticker["ask1Price"])
    assert 0 <= ticker["age_s"] < 60
    balance = router.get_account_balance()
    assert balance["exchange"] == "bybit"
    assert [coin["coin"] for coin in router.get_balances("USDT")] == ["USDT"]
    assert router.get_balances("NOSUCH") == []


# ---- events ----------------------------------------------------------------------------------------------------------


def test_events_are_told_in_order_to_readers_of_both_kinds(shared: Shared) -> None:
    _, router = shared
    heard = Heard(router)

    async def bot() -> list[str]:
        seen: list[str] = []
        stream = router.events()
        order = await router.aio.place_order("BTCUSDT", "Buy", "Limit", "0.001", "20000", client_order_id="heard of")
        await router.aio.cancel_order("BTCUSDT", order["orderId"])
        async for event in stream:
            if event["kind"] == "order_changed" and event["order"]["orderId"] == order["orderId"]:
                seen.append(event["order"]["orderStatus"])
                if seen[-1] == "Cancelled":
                    stream.close()
        return seen

    assert asyncio.run(asyncio.wait_for(bot(), 10)) == ["New", "Cancelled"]
    until(lambda: [e["order"]["orderStatus"] for e in heard.kinds("order_changed")] == ["New", "Cancelled"])
    sequences = [event["sequence"] for event in heard.kinds("order_changed")]
    assert sequences == sorted(set(sequences))
    heard.close()
    assert router._listening._streams == []


def test_a_reader_that_does_not_keep_up_is_told_how_much_it_missed() -> None:
    closed: list[EventStream] = []
    stream = EventStream(closed.append)
    for n in range(MAX_EVENTS + 7):
        stream.put(RouteEvent(kind="route_changed", exchange=None, epoch=n, status="switching"))
    gap = stream.get(0.0)
    assert gap == {"kind": "gap", "dropped": 7}
    first = stream.get(0.0)
    assert first is not None
    assert first["kind"] == "route_changed"
    assert first["epoch"] == 7
    stream.close()
    assert len(list(stream)) == MAX_EVENTS - 1, "what had come is still read"
    assert closed == [stream]


def test_closing_the_router_ends_its_streams_and_its_callers(tmp_path: Any) -> None:
    with World(["bybit", "okx"], tmp_path / "state") as world:
        router = world.router()
        router.start()
        settled(router, world.names)
        heard = Heard(router)
        world["bybit"].control.fault("hang_before", call="place")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(place, router, "never answered")
            until(lambda: world.placements() == 1)
            with watching(world.state_dir) as deaths:
                router.close()
                deaths.wait(10)
            assert isinstance(waiting.result().error, OrderOutcomeUnknown)
        heard._thread.join(5)
        assert not heard._thread.is_alive()


# ---- before and after ------------------------------------------------------------------------------------------------


def test_status_is_answered_before_and_after_the_life_of_a_router(tmp_path: Any) -> None:
    with World(["bybit", "okx"], tmp_path / "state") as world:
        router = world.router()
        assert router.status is OrderRouterStatus.INITIALIZING
        before = router.get_status()
        assert before["status"] == "initializing"
        assert "initialize()" in before["words"]
        assert (before["primary_exchange"], before["failover_exchanges"]) == ("bybit", ["okx"])
        for call in (
            lambda: router.place_order("BTCUSDT", "Buy", "Limit", "0.001", "20000"),
            router.get_account_balance,
            lambda: router.manual_failover("okx"),
            router.get_failover_history,
        ):
            with pytest.raises(NotRunning, match="initialize"):
                call()
        with pytest.raises(NotRunning, match="initialize"):
            asyncio.run(router.aio.get_open_orders())
        router.close()

        async def life() -> None:
            async with router:
                await router.initialize()  # again changes nothing
                assert (await router.aio.get_status())["status"] == "ready"

        asyncio.run(life())
        after = router.get_status()
        assert after["status"] == "stopped" == router.status.value
        with pytest.raises(NotRunning, match="closed"):
            router.get_positions()
        router.close()
        with router:  # and once more
            until(lambda: all_well(router, world.names))


def test_threads_that_start_and_close_at_the_same_moment_leave_it_usable(tmp_path: Any) -> None:
    with World(["bybit", "okx"], tmp_path / "state") as world:
        router = world.router()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: router.start(), range(4)))
            assert place(router, "one").order is not None
            list(pool.map(lambda _: router.close(), range(4)))
        assert router.status is OrderRouterStatus.STOPPED
        assert threading.active_count() < 20


def test_an_order_without_time_is_never_sent(shared: Shared) -> None:
    world, router = shared
    before = world.placements()
    with pytest.raises(NoExchangeAvailable):
        router.place_order("BTCUSDT", "Buy", "Limit", "0.001", "20000", timeout_s=1e-6, client_order_id="no time")
    assert world.placements() == before


def test_an_order_is_not_cancelled_under_another_symbol(shared: tuple[World, OrderRouter]) -> None:
    """A bot that mixes up its ids must not lose the wrong order."""
    _, router = shared
    order = router.place_order("BTCUSDT", "Buy", "Limit", "0.001", "20000")
    with pytest.raises(InvalidRequest, match="is of BTC/USDT:USDT, not of ETH/USDT:USDT: nothing was cancelled"):
        router.cancel_order("ETHUSDT", order["orderId"])
    assert router.get_order(order["orderId"])["orderStatus"] == "New"
    assert router.cancel_order("BTC/USDT", order["orderId"])["orderStatus"] == "Cancelled"
