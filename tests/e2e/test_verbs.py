"""The operator's verbs on a real daemon: what each holds, moves or ends, that it does so once, and what survives."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.bootstrap import JOURNAL_NAME
from app.core.order_router import InvalidRequest, OrderRefused, OrderRouter, OrderRouterError
from app.domain.verb_words import Change
from app.journal.store import Journal
from app.journal.verify import verify
from tests.e2e.world import World, actor_pid, all_well, backups_ready, restarted, until

COORDINATOR = "failover_coordinator:failover_coordinator"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three exchanges for the whole file."""
    quick = {"settle_timeout_s": 2.0, "preflight_timeout_s": 2.0, "preflight_interval_s": 0.5}
    with World(["bybit", "okx", "binance"], tmp_path_factory.mktemp("verbs") / "state", failover=quick) as here:
        yield here


@pytest.fixture(scope="module")
def running(world: World) -> Iterator[OrderRouter]:
    """One daemon for the whole file."""
    with world.running() as router:
        yield router


@pytest.fixture
def router(world: World, running: OrderRouter) -> OrderRouter:
    """The daemon as each test wants it: on bybit, held to nothing, nothing open."""
    running.panic(flatten=True)
    running.unfreeze()
    running.reduce_only(False)
    for name in world.names:
        running.release(name)
        world[name].control.clear_faults()
    until(lambda: all_well(running, world.names), means="every exchange being well")
    until(lambda: running.failback(timeout_s=20)["done"], means="trading on bybit")
    backups_ready(running)
    assert running.get_open_orders() == []
    return running


def rest(router: OrderRouter, name: str, **more: Any) -> str:
    """Places an order that rests; its id."""
    return router.place_order("BTCUSDT", "Buy", "Limit", "0.01", "20000", client_order_id=name, **more)["orderId"]


def refused(router: OrderRouter, **more: Any) -> str:
    """The code with which an order is refused."""
    with pytest.raises(OrderRefused) as error:
        router.place_order("BTCUSDT", "Buy", "Limit", "0.01", "20000", timeout_s=3.0, **more)
    return error.value.code


def steps(world: World) -> list[str]:
    """Of the chained history."""
    with closing(Journal(world.state_dir / JOURNAL_NAME)) as journal:
        return [row.step for row in journal.history_rows()]


def test_a_freeze_stops_orders_and_no_cancel_also_while_the_coordinator_is_dead(
    world: World, router: OrderRouter
) -> None:
    resting = rest(router, "before the freeze")
    frozen = router.freeze(reason="the desk is closed")
    assert frozen["done"]
    assert frozen["controls"] == ["Trading is frozen: the desk is closed."]
    assert router.freeze()["words"] == "Trading is frozen already: the desk is closed."
    assert refused(router) == "frozen"
    with pytest.raises(OrderRefused, match="rests as it was"):
        router.amend_order("BTCUSDT", resting, price="21000")

    coordinator = psutil.Process(actor_pid(router, COORDINATOR))
    coordinator.send_signal(signal.SIGSTOP)  # neither dead for its supervisor yet, nor able to say anything
    try:
        assert refused(router) == "frozen"
        assert router.cancel_order("BTCUSDT", resting)["orderStatus"] == "Cancelled"
    finally:
        coordinator.kill()
    until(lambda: restarted(router, COORDINATOR, coordinator.pid), means="the coordinator being back")
    assert refused(router) == "frozen"
    assert until(lambda: router.get_status()["controls"]) == ["Trading is frozen: the desk is closed."]
    assert router.unfreeze()["controls"] == []
    assert router.unfreeze()["words"] == "Trading is not frozen."
    rest(router, "after the freeze")
    told = steps(world)
    assert (told.count("freeze"), told[-2:].count("unfreeze")) == (1, 1)


def test_what_is_written_by_somebody_else_is_met_and_shown(world: World, router: OrderRouter) -> None:
    """The command does so where no coordinator answers: nothing has to be told to connectors."""
    with closing(Journal(world.state_dir / JOURNAL_NAME)) as journal:
        change = Change(put=(("reduce_only", "By hand."),))
        journal.control(change, verb="reduce-only", reason="By hand.", now_s=1.0)
    assert refused(router) == "reduce_only_mode"
    until(lambda: router.get_status()["controls"], means="the status showing it")
    bought = router.reduce_only(False)
    assert (bought["words"], bought["controls"]) == ("Orders of every kind are taken again.", [])
    router.place_order("BTCUSDT", "Buy", "Market", "0.01")
    router.reduce_only(reason="winding down")
    assert refused(router) == "reduce_only_mode"
    sold = router.place_order("BTCUSDT", "Sell", "Market", "0.01", reduce_only=True)
    until(lambda: router.get_order(sold["orderId"])["orderStatus"] == "Filled")


def test_an_exchange_in_use_that_is_isolated_is_left_and_orders_go_along(world: World, router: OrderRouter) -> None:
    resting = [rest(router, f"isolated-{n}") for n in range(3)]
    planned = router.isolate("bybit", dry_run=True)
    plan = planned["plan"]
    assert plan is not None
    assert not planned["done"]
    assert (plan["from_exchange"], plan["to_exchange"]) == ("bybit", "okx")
    assert [order["orderId"] for order in plan["carried"]] == resting
    assert plan["notional"] == "600"
    assert [(look["exchange"], look["ready"]) for look in plan["candidates"]] == [("okx", True), ("binance", True)]
    assert router.get_status()["controls"] == []
    assert router.get_status()["current_exchange"] == "bybit"

    epoch = router.get_status()["epoch"]
    left = router.isolate("bybit", reason="its margin engine is late")
    assert left["done"]
    assert left["switch"] is not None
    assert (left["switch"]["to_exchange"], left["switch"]["epoch"]) == ("okx", epoch + 1)
    again = router.isolate("bybit")
    assert again["done"]
    assert router.get_status()["epoch"] == epoch + 1, "once"
    until(lambda: [o["exchange"] for o in router.get_open_orders()] == ["okx"] * 3, means="orders going along")
    assert [order["orderId"] for order in router.get_open_orders()] == resting
    with pytest.raises(InvalidRequest, match="isolated"):
        router.failback()
    with pytest.raises(InvalidRequest, match="isolated"):
        router.manual_failover("bybit")
    look = next(each for each in router.get_status()["readiness"] if each["exchange"] == "bybit")
    assert not look["ready"]
    assert "isolated" in look["problems"][0]
    assert router.release("bybit")["controls"] == []
    assert router.release("bybit")["words"] == "bybit is not isolated."


def test_isolating_all_of_them_says_that_nothing_is_placed(world: World, router: OrderRouter) -> None:
    for name in ("okx", "binance"):
        assert router.isolate(name)["done"]
    last = router.isolate("bybit", timeout_s=2.0)
    assert not last["done"]
    assert "nothing is placed" in last["words"]
    assert refused(router) == "isolated"
    router.release("okx")
    until(lambda: router.get_status()["current_exchange"] == "okx", means="trading going where it can")


def test_a_drained_exchange_is_empty_and_isolated_and_nothing_happens_where_nobody_can_take_over(
    world: World, router: OrderRouter
) -> None:
    resting = rest(router, "drained")
    for name in ("okx", "binance"):
        router.isolate(name, reason="a test")
    with pytest.raises(InvalidRequest, match=r"bybit cannot be drained: no other exchange could take over \(okx: "):
        router.drain("bybit")
    assert router.get_order(resting)["exchange"] == "bybit"
    assert router.get_order(resting)["orderStatus"] == "New"
    router.release("okx")
    drained = until(lambda: came if (came := router.drain("bybit"))["done"] else None, means="bybit being drained")
    assert drained["words"].endswith("bybit is isolated: no order of ours is left there, and no position.")
    assert router.drain("bybit")["done"]
    until(lambda: router.get_order(resting)["exchange"] == "okx", means="the order going along")
    open_there = [order for order in world["bybit"].control.truth()["orders"] if order["status"] == "open"]
    assert open_there == []


def test_a_failback_is_done_once_and_its_plan_does_nothing(router: OrderRouter) -> None:
    assert router.failback()["words"] == "Trading is on bybit, the primary exchange, already."
    router.manual_failover("okx")
    backups_ready(router, "bybit")
    plan = router.failback(dry_run=True)["plan"]
    assert plan is not None
    assert (plan["from_exchange"], plan["to_exchange"]) == ("okx", "bybit")
    assert router.get_status()["current_exchange"] == "okx"
    back = router.failback()
    assert back["switch"] is not None
    assert back["switch"]["reason"] == "Failback"
    assert router.get_status()["current_exchange"] == "bybit"
    assert router.get_failover_history()[-1]["reason"] == "Failback"


def test_a_plan_of_what_cannot_be_says_why(world: World, router: OrderRouter) -> None:
    rest(router, "planned")
    world["okx"].control.fault("refused")
    until(lambda: router.get_status()["exchange_health"]["okx"]["state"] == "down", means="okx being down")
    came = router.plan_failover("okx", timeout_s=5.0)
    plan = came["plan"]
    assert plan is not None
    look = next(each for each in plan["candidates"] if each["exchange"] == "okx")
    assert not look["ready"]
    assert any("down" in problem for problem in look["problems"])
    with pytest.raises(InvalidRequest, match="already"):
        router.plan_failover("bybit")
    with pytest.raises(InvalidRequest, match="kraken"):
        router.plan_failover("kraken")
    assert router.get_failover_history()[-1]["to_exchange"] != "okx" or router.get_status()["epoch"] > 0


def test_a_panic_cancels_everything_everywhere_and_what_protects_stays_with_its_position(
    world: World, router: OrderRouter
) -> None:
    with world.router(strategy="another") as other:
        resting = [rest(router, "panic"), rest(other, "panic")]
        bought = router.place_order("BTCUSDT", "Buy", "Market", "0.01")
        until(lambda: router.get_order(bought["orderId"])["orderStatus"] == "Filled")
        stop = router.place_order(
            "BTCUSDT", "Sell", "Market", "0.01", reduce_only=True, trigger_price="15000", trigger="Stop"
        )["orderId"]
        plan = router.panic(dry_run=True)["plan"]
        assert plan is not None
        assert [order["orderId"] for order in plan["cancelled"]] == resting
        assert [order["orderId"] for order in plan["stays"]] == [stop]
        assert len(router.get_open_orders(all_strategies=True)) == 3
        came = router.panic(reason="fat finger")
        assert came["done"]
        assert sorted(came["orders_cancelled"]) == sorted(resting)
        assert came["controls"] == ["Panic: nothing new is placed, and our orders are cancelled: fat finger."]
        assert refused(router) == "frozen"
        assert [order["orderId"] for order in router.get_open_orders(all_strategies=True)] == [stop]

        # What an exchange says of positions may be some seconds old.
        slices = until(lambda: (planned := router.panic(flatten=True, dry_run=True)["plan"]) and planned["slices"])
        assert [(each["from_exchange"], each["to_exchange"], each["qty"]) for each in slices] == [
            ("bybit", None, "0.01")
        ]
        flat = router.panic(flatten=True)
        assert flat["done"], flat
        assert router.get_open_orders(all_strategies=True) == []
        assert world["bybit"].control.truth()["positions"].get("BTC/USDT:USDT", "0") == "0"
        assert router.unfreeze()["words"] == "The panic is over: orders are taken again."
        rest(router, "after the panic")


def test_a_panic_reaches_orders_on_an_exchange_that_comes_back_later(world: World, router: OrderRouter) -> None:
    resting = rest(router, "out of reach")
    world["bybit"].control.fault("refused")
    until(lambda: router.get_status()["current_exchange"] == "okx", means="trading leaving bybit")
    came = router.panic(timeout_s=3.0)
    assert not came["done"]
    assert [left["orderId"] for left in came["orders_left"]] == [resting]
    coordinator = actor_pid(router, COORDINATOR)
    os.kill(coordinator, signal.SIGKILL)
    until(lambda: restarted(router, COORDINATOR, coordinator), means="the coordinator being back")
    world["bybit"].control.clear_faults()
    until(lambda: router.get_order(resting)["orderStatus"] == "Cancelled", means="the order being cancelled")
    assert router.panic()["done"]


def test_a_verb_waits_for_no_coordinator_that_is_dead_and_is_done_once(router: OrderRouter) -> None:
    """The session sends it again to the next one."""
    coordinator = actor_pid(router, COORDINATOR)
    os.kill(coordinator, signal.SIGKILL)
    assert router.freeze(reason="while it is dead")["done"]
    assert refused(router) == "frozen"
    assert router.freeze()["words"] == "Trading is frozen already: while it is dead."


def test_two_verbs_at_once_have_one_saga(world: World, router: OrderRouter) -> None:
    """The one that wants another exchange is refused until the first has committed; controls pass meanwhile."""
    world["bybit"].control.fault("slow", call="cancel", params={"delay_s": 0.5})
    rest(router, "slow to cancel")
    epoch = router.get_status()["epoch"]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(router.manual_failover, "okx")
        until(lambda: router.get_status()["status"] == "switching", means="the switch running")
        frozen = router.freeze()
        assert frozen["done"]
        with suppress(OrderRouterError):  # too late to be refused, or too early to be done
            router.manual_failover("binance", timeout_s=1.0)
        assert first.result()["to_exchange"] == "okx"
    status = router.get_status()
    assert (status["current_exchange"], status["controls"]) == ("okx", ["Trading is frozen: It was asked for."])
    assert status["epoch"] == epoch + 1


def test_one_order_is_looked_at_and_ended(router: OrderRouter) -> None:
    resting = rest(router, "resolved")
    assert router.resolve(resting)["words"] == f"Order {resting} rests on bybit."
    assert router.resolve(resting, "drop")["words"] == f"Order {resting} is cancelled, nothing of it filled."
    assert router.resolve(resting, "drop")["done"]
    with pytest.raises(InvalidRequest, match="knows no order"):
        router.resolve("0" * 32)
    with pytest.raises(InvalidRequest, match="'look', 'place' or 'drop'"):
        router.resolve(resting, "guess")


async def drive(router: OrderRouter) -> list[str]:
    """Every verb as a coroutine."""
    aio = router.aio
    came = [await aio.freeze(), await aio.unfreeze(), await aio.reduce_only(), await aio.reduce_only(False)]
    came += [await aio.isolate("okx"), await aio.release("okx"), await aio.failback(), await aio.panic(dry_run=True)]
    came += [await aio.plan_failover("okx"), await aio.drain("binance", dry_run=True)]
    return [each["verb"] for each in came]


def test_every_verb_is_a_coroutine_too(router: OrderRouter) -> None:
    due = ["freeze", "unfreeze", "reduce-only", "reduce-only", "isolate", "release", "failback", "panic", "failover"]
    assert asyncio.run(drive(router)) == [*due, "drain"]


def test_the_history_is_exported_and_held_against_what_follows(
    world: World, router: OrderRouter, tmp_path: Path
) -> None:
    router.freeze(reason="first")
    first = router.export_history(tmp_path / "history.jsonl")
    router.unfreeze()
    second = router.export_history(tmp_path / "history.jsonl")
    assert second["rows"] > first["rows"]
    assert second["hash"] != first["hash"]
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert (len(lines), '"step": "unfreeze"' in lines[-1]) == (second["rows"], True)
    (tmp_path / "history.jsonl").write_text("\n".join([*lines[:-1], lines[-1].replace("unfreeze", "freeze")]) + "\n")
    with pytest.raises(InvalidRequest, match="is not as it was exported: Row"):
        router.export_history(tmp_path / "history.jsonl")
    assert verify(world.state_dir / JOURNAL_NAME).findings == ()


def test_orders_that_were_taken_off_wait_for_a_freeze_to_end_and_go_on_then(world: World, router: OrderRouter) -> None:
    resting = [rest(router, f"waits-{n}") for n in range(2)]
    router.freeze(reason="a look at it")
    assert router.manual_failover("okx")["to_exchange"] == "okx", "a frozen router moves, and places nothing"
    until(lambda: [o["orderStatus"] for o in router.get_open_orders()] == ["Moving"] * 2, means="both being taken off")
    assert router.resolve(resting[0])["words"].endswith("and goes where trading is as soon as it can.")
    assert [o for o in world["okx"].control.truth()["orders"] if o["status"] == "open"] == []
    assert router.resolve(resting[1], "drop")["done"]
    router.unfreeze()
    until(lambda: router.get_order(resting[0])["orderStatus"] == "New", means="the other being placed")
    assert router.get_order(resting[0])["exchange"] == "okx"
    assert router.get_order(resting[1])["orderStatus"] == "Cancelled"


def test_a_panic_ends_what_waits_to_be_placed(world: World, router: OrderRouter) -> None:
    resting = rest(router, "between two exchanges")
    router.freeze()
    router.manual_failover("okx")
    until(lambda: router.get_order(resting)["orderStatus"] == "Moving", means="the order being taken off")
    came = router.panic()
    assert (came["done"], came["orders_cancelled"]) == (True, [resting])
    router.unfreeze()
    assert router.get_order(resting)["orderStatus"] == "Cancelled"


def test_a_parked_order_is_placed_or_ended_by_its_owner(world: World, router: OrderRouter) -> None:
    placed, dropped = rest(router, "parked one"), rest(router, "parked two")
    router.freeze()
    router.manual_failover("okx")
    until(lambda: [o["orderStatus"] for o in router.get_open_orders()] == ["Moving"] * 2, means="both being taken off")
    with closing(Journal(world.state_dir / JOURNAL_NAME)) as journal:
        for order_id in (placed, dropped):
            journal.park(order_id, "a_test", "Somebody is to look at it.", journal.route().since_s)
    router.unfreeze()
    assert "waits for its owner: Somebody is to look at it." in router.resolve(placed)["words"]
    assert router.resolve(dropped, "drop")["done"]
    assert router.resolve(placed, "place")["done"]
    until(lambda: router.get_order(placed)["orderStatus"] == "New", means="it being placed")
    assert router.get_order(placed)["exchange"] == "okx"
    assert router.get_order(dropped)["orderStatus"] == "Cancelled"


def test_under_reduce_only_an_order_may_be_made_smaller_and_no_larger(router: OrderRouter) -> None:
    resting = rest(router, "smaller")
    router.reduce_only()
    with pytest.raises(OrderRefused, match="rests as it was"):
        router.amend_order("BTCUSDT", resting, qty="0.02")
    assert router.amend_order("BTCUSDT", resting, qty="0.005")["qty"] == "0.005"
