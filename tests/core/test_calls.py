"""Every call of the facade over real dialects: what it returns, what it refuses, and that it can be awaited."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from app.core.aio import AsyncCalls
from app.core.order_router import InvalidRequest, OrderOutcomeUnknown, OrderRefused, OrderRouter
from tests.e2e.world import World, until

Shared = tuple[World, OrderRouter]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One world for the file."""
    with World(["bybit", "okx"], tmp_path_factory.mktemp("calls") / "state") as world, world.running() as router:
        yield world, router


def resting(router: OrderRouter, symbol: str = "BTCUSDT", price: str = "20000", **more: Any) -> str:
    """The id of an order that rests."""
    qty = "0.001" if symbol == "BTCUSDT" else "0.1"
    return router.place_order(symbol, "Buy", "Limit", qty, price, **more)["orderId"]


def test_every_call_can_be_awaited_with_the_same_arguments() -> None:
    blocking = {name for name in dir(OrderRouter) if name.startswith(("get_", "set_", "place", "cancel", "amend"))}
    assert {"cancel_all_orders", "get_fills", "set_leverage", "get_server_time"} <= blocking
    for name in blocking:
        awaited = getattr(AsyncCalls, name)
        ours = list(inspect.signature(getattr(OrderRouter, name)).parameters)
        theirs = list(inspect.signature(awaited).parameters)
        assert theirs in (ours, ["self", "args", "kwargs"]), name


# ---- either id -------------------------------------------------------------------------------------------------------


def test_an_order_is_found_and_cancelled_by_the_caller_s_own_id(shared: Shared) -> None:
    _, router = shared
    order_id = resting(router, client_order_id="by my own name")
    assert router.get_order(client_order_id="by my own name")["orderId"] == order_id
    gone = router.cancel_order("BTCUSDT", client_order_id="by my own name")
    assert (gone["orderId"], gone["orderStatus"]) == (order_id, "Cancelled")
    asks: list[tuple[Callable[[], Any], str]] = [
        (lambda: router.get_order(client_order_id="never"), "No order"),
        (lambda: router.cancel_order("BTCUSDT", client_order_id="never"), "No order 'never'"),
        (lambda: router.cancel_order("BTCUSDT"), "order_id is None"),
        (lambda: router.get_order(order_id, client_order_id="by my own name"), "both given"),
    ]
    for ask, words in asks:
        with pytest.raises(InvalidRequest, match=words):
            ask()


# ---- changing --------------------------------------------------------------------------------------------------------


def test_an_open_order_is_changed_in_place(shared: Shared) -> None:
    """Asked for again under its own id it is still the same order; the exchange's book has what was asked."""
    world, router = shared
    order_id = resting(router, client_order_id="to be changed")
    changed = router.amend_order("BTCUSDT", order_id, qty="0.003", price=20100)
    assert (changed["orderId"], changed["orderStatus"]) == (order_id, "New")
    assert (changed["qty"], changed["leavesQty"], changed["price"]) == ("0.003", "0.003", "20100")
    (there,) = [
        row for row in world["bybit"].control.truth()["orders"] if row["order_id"] == changed["exchangeOrderId"]
    ]
    assert (there["qty"], there["price"]) == ("0.003", "20100")
    world["bybit"].control.fill(order_id=changed["exchangeOrderId"], qty="0.001")
    awaited = asyncio.run(router.aio.amend_order("BTCUSDT", order_id, qty="0.002"))
    assert (awaited["qty"], awaited["cumExecQty"], awaited["leavesQty"]) == ("0.002", "0.001", "0.001")
    again = router.place_order("BTCUSDT", "Buy", "Limit", "0.001", "20000", client_order_id="to be changed")
    assert (again["orderId"], again["qty"], again["price"]) == (order_id, "0.002", "20100")
    assert [row["qty"] for row in router.get_open_orders() if row["orderId"] == order_id] == ["0.002"]
    router.cancel_order("BTCUSDT", order_id)
    world["bybit"].control.position("BTC/USDT:USDT", 0)
    asks: list[tuple[Callable[[], Any], str]] = [
        (lambda: router.amend_order("BTCUSDT", order_id, qty="0.004"), "it is cancelled"),
        (lambda: router.amend_order("BTCUSDT", "0" * 32, qty="0.004"), "No order '000"),
        (lambda: router.amend_order("ETHUSDT", order_id, qty="0.004"), "nothing was changed"),
    ]
    for ask, words in asks:
        with pytest.raises(InvalidRequest, match=words):
            ask()


def test_a_change_that_is_not_made_leaves_the_order_as_it_was(shared: Shared) -> None:
    """Off the market's steps, below what filled, by the exchange's word, or because nobody can know yet."""
    world, router = shared
    order_id = resting(router)
    bybit = world["bybit"].control
    with pytest.raises(InvalidRequest, match="20000"):
        router.amend_order("BTCUSDT", order_id, price="20000.01")
    fault = bybit.fault("hang_before", call="amend", count=1)
    with pytest.raises(OrderOutcomeUnknown) as unknown:
        router.amend_order("BTCUSDT", order_id, qty="0.004", timeout_s=1.0)
    bybit.clear_fault(fault)
    assert unknown.value.order_id == order_id
    assert "was changed" in str(unknown.value)
    known = router.get_order(order_id)
    assert (known["qty"], known["price"], known["orderStatus"]) == ("0.001", "20000", "New")
    assert known["leavesQty"] == "0.004", "so much may fill for all that is known"
    with pytest.raises(OrderRefused, match="under way"):
        router.amend_order("BTCUSDT", order_id, qty="0.005")
    gone = router.cancel_order("BTCUSDT", order_id)
    assert (gone["orderStatus"], gone["leavesQty"], gone["cumExecQty"]) == ("Cancelled", "0", "0")
    order_id = resting(router)
    fault = bybit.fault("http_429", call="amend", count=1)
    with pytest.raises(OrderRefused, match="turned away the change"):
        router.amend_order("BTCUSDT", order_id, price="20100")
    bybit.clear_fault(fault)
    assert router.cancel_order("BTCUSDT", order_id)["price"] == "20000"


# ---- cancelling all --------------------------------------------------------------------------------------------------


def test_cancelling_all_takes_this_strategy_s_orders_and_no_others(shared: Shared) -> None:
    world, router = shared
    mine = {resting(router), resting(router, price="20001"), resting(router, "ETHUSDT", "1000")}
    with world.router(strategy="another") as other:
        theirs = resting(other)
        done = router.cancel_all_orders("BTCUSDT")
        assert len(done["cancelled"]) == 2
        assert {order["orderStatus"] for order in done["cancelled"]} == {"Cancelled"}
        assert done["not_cancelled"] == []
        assert [order["symbol"] for order in router.get_open_orders()] == ["ETHUSDT"]
        rest = asyncio.run(router.aio.cancel_all_orders())
        assert {order["orderId"] for order in (*done["cancelled"], *rest["cancelled"])} == mine
        assert other.get_order(theirs)["orderStatus"] == "New", "another strategy's order"
        assert other.cancel_all_orders()["cancelled"][0]["orderId"] == theirs
    assert router.cancel_all_orders() == {"cancelled": [], "not_cancelled": []}
    asked = [row["call"] for row in world["bybit"].control.requests()]
    assert "cancel_all" not in asked


def test_an_order_whose_cancel_nobody_can_know_of_is_told_so(shared: Shared) -> None:
    world, router = shared
    order_id = resting(router)
    fault = world["bybit"].control.fault("hang_before", call="cancel", count=10)
    try:
        done = router.cancel_all_orders(timeout_s=1.0)
    finally:
        world["bybit"].control.clear_fault(fault)
    assert done["cancelled"] == []
    [failed] = done["not_cancelled"]
    assert (failed["orderId"], failed["unknown"]) == (order_id, True)
    assert "Nobody can know yet" in failed["words"]
    until(lambda: router.get_order(order_id)["orderStatus"] in ("New", "Cancelled"))
    router.cancel_all_orders()
    until(lambda: router.get_order(order_id)["orderStatus"] == "Cancelled")


# ---- what was --------------------------------------------------------------------------------------------------------


def test_closed_orders_are_this_strategy_s_newest_first(shared: Shared) -> None:
    world, _ = shared
    with world.router(strategy="closing") as router:
        names = []
        for n in range(4):
            names.append(f"closed {n}")
            symbol, price = ("BTCUSDT", "20000") if n % 2 else ("ETHUSDT", "1000")
            resting(router, symbol, price, client_order_id=names[-1])
            router.cancel_order(symbol, client_order_id=names[-1])
        still = resting(router)
        assert [order["orderLinkId"] for order in router.get_closed_orders()] == names[::-1]
        assert [order["orderLinkId"] for order in router.get_closed_orders("BTCUSDT", 1)] == ["closed 3"]
        assert router.get_closed_orders("SOLUSDT") == []
        router.cancel_order("BTCUSDT", still)
        for limit in (0, 1001, True, "5"):
            with pytest.raises(InvalidRequest, match="limit is"):
                router.get_closed_orders(limit=limit)  # type: ignore[arg-type]


# ---- the market ------------------------------------------------------------------------------------------------------


def test_the_order_book_has_as_many_prices_as_asked_the_best_first(shared: Shared) -> None:
    _, router = shared
    book = router.get_order_book("BTCUSDT", 5)
    asks, bids = ([float(level["price"]) for level in side] for side in (book["asks"], book["bids"]))
    assert (len(asks), len(bids)) == (5, 5)
    assert (asks, bids) == (sorted(asks), sorted(bids, reverse=True))
    assert bids[0] < asks[0]
    assert (book["symbol"], book["exchange"]) == ("BTCUSDT", "bybit")
    for depth in (0, 201, 1.5):
        with pytest.raises(InvalidRequest, match="depth is"):
            router.get_order_book("BTCUSDT", depth)  # type: ignore[arg-type]


def test_bars_come_oldest_first_in_either_spelling(shared: Shared) -> None:
    _, router = shared
    bars = router.get_klines("BTCUSDT", "1m", 10)
    assert 0 < len(bars) <= 10
    starts = [int(bar["startTime"]) for bar in bars]
    assert starts == sorted(starts)
    assert all(b - a == 60_000 for a, b in pairwise(starts))
    assert set(bars[0]) == {"startTime", "openPrice", "highPrice", "lowPrice", "closePrice", "volume"}
    assert len(router.get_klines("BTCUSDT", "60", 3)) <= 3
    since = datetime.fromtimestamp(starts[-1] / 1000, UTC)
    assert {int(bar["startTime"]) >= starts[-1] for bar in router.get_klines("BTCUSDT", "1", since=since)} == {True}
    for interval in ("1M", "2m", "soon", None):
        with pytest.raises(InvalidRequest, match="interval is"):
            router.get_klines("BTCUSDT", interval)  # type: ignore[arg-type]
    for moment in ("yesterday", 5, datetime(2026, 1, 1), True):
        with pytest.raises(InvalidRequest, match="since is"):
            router.get_klines("BTCUSDT", "1m", since=moment)


def test_the_exchange_says_how_it_is_and_what_time_it_is(shared: Shared) -> None:
    _, router = shared
    now_ms = datetime.now(UTC).timestamp() * 1000
    told = router.get_server_time()
    assert abs(int(told["serverTime"]) - now_ms) < 5000
    assert abs(told["clock_offset_ms"]) < 1000
    status = router.get_exchange_status()
    assert (status["exchange"], status["ok"], status["words"], status["until"]) == ("bybit", True, "", "")
    assert status["clock_offset_ms"] is not None
    assert abs(int(status["serverTime"]) - now_ms) < 5000


# ---- settings --------------------------------------------------------------------------------------------------------


def test_what_cannot_be_set_is_refused_in_words(shared: Shared) -> None:
    _, router = shared
    with pytest.raises(InvalidRequest, match="one net position a symbol"):
        router.set_position_mode("hedge")
    for mode in ("sideways", None, 1):
        with pytest.raises(InvalidRequest, match=r"mode is .*, and must be"):
            router.set_margin_mode("BTCUSDT", mode)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="leverage is"):
        router.set_leverage("BTCUSDT", 0)


def test_a_setting_says_whether_it_was_so_already(shared: Shared) -> None:
    _, router = shared
    router.set_leverage("BTCUSDT", 7)
    assert router.set_leverage("BTCUSDT", "7") == {"exchange": "bybit", "changed": False}
    assert router.set_leverage("BTCUSDT", 8)["changed"]
    assert router.set_position_mode("one_way")["exchange"] == "bybit"
    with pytest.raises(InvalidRequest):
        router.set_leverage("NOSUCHUSDT", 3)


# ---- triggers and fills ----------------------------------------------------------------------------------------------


def test_an_order_waits_for_its_trigger_and_its_fill_is_told_with_its_fee(shared: Shared) -> None:
    world, router = shared
    last = Decimal(router.get_market_data("BTCUSDT")["lastPrice"])
    level = (last * Decimal("1.01")).quantize(Decimal(1))
    waiting = router.place_order(
        "BTCUSDT", "Buy", "Market", "0.002", trigger_price=level, trigger="Stop", client_order_id="breakout"
    )
    assert (waiting["orderStatus"], waiting["stopOrderType"]) == ("New", "Stop")
    assert (Decimal(waiting["triggerPrice"]), waiting["triggerBy"]) == (level, "LastPrice")
    other = router.place_order(
        "BTCUSDT", "Buy", "Limit", "0.002", level - 900, trigger_price=level - 800, trigger="TakeProfit",
        trigger_by="MarkPrice",
    )  # fmt: skip
    assert (other["stopOrderType"], other["triggerBy"]) == ("TakeProfit", "MarkPrice")
    assert {order["orderId"] for order in router.get_open_orders("BTCUSDT")} == {waiting["orderId"], other["orderId"]}
    [gone] = [o for o in router.cancel_all_orders()["cancelled"] if o["orderId"] == other["orderId"]]
    assert gone["orderStatus"] == "Cancelled"
    again = router.place_order(
        "BTCUSDT", "Buy", "Market", "0.002", trigger_price=level, trigger="Stop", client_order_id="breakout 2"
    )
    world["bybit"].control.price("BTC/USDT:USDT", level + 5)
    until(lambda: router.get_order(again["orderId"])["orderStatus"] == "Filled")
    fills = until(lambda: [fill for fill in router.get_fills("BTCUSDT") if fill["orderId"] == again["orderId"]])
    assert sum(Decimal(fill["execQty"]) for fill in fills) == Decimal("0.002")
    assert all(Decimal(fill["execFee"]) > 0 and fill["feeCurrency"] == "USDT" for fill in fills)
    assert {(fill["orderLinkId"], fill["strategy"], fill["side"]) for fill in fills} == {
        ("breakout 2", "default", "Buy")
    }
    kept = until(lambda: router.get_fills(order_id=again["orderId"]))
    assert kept == fills, "the journal's are as the exchange lists them"
    assert asyncio.run(router.aio.get_fills(client_order_id="breakout 2")) == kept
    done = router.get_order(again["orderId"])
    worth = sum((Decimal(fill["execQty"]) * Decimal(fill["execPrice"]) for fill in kept), Decimal(0))
    assert (Decimal(done["avgPrice"]), done["leavesQty"]) == (worth / Decimal("0.002"), "0")
    assert router.get_fills(order_id=other["orderId"]) == []
    with pytest.raises(InvalidRequest, match="needs a symbol, or an order"):
        router.get_fills()
    with pytest.raises(InvalidRequest, match="leave out symbol and since"):
        router.get_fills("BTCUSDT", order_id=done["orderId"])
    with pytest.raises(InvalidRequest, match="No order"):
        router.get_fills(order_id="a" * 32)
    later = int(fills[-1]["execTime"]) + 60_000
    assert router.get_fills("BTCUSDT", later) == []
    assert asyncio.run(router.aio.get_fills("BTCUSDT", later)) == []
    world["bybit"].control.price("BTC/USDT:USDT", last)


def test_the_words_of_the_awaited_calls_are_the_same(shared: Shared) -> None:
    _, router = shared

    async def bot() -> list[Any]:
        return [
            await router.aio.get_order_book("BTCUSDT", 2),
            await router.aio.get_klines("BTCUSDT", "5m", 2),
            await router.aio.get_closed_orders(limit=1),
            await router.aio.get_exchange_status(),
            await router.aio.get_server_time(),
        ]

    book, bars, closed, status, clock = asyncio.run(bot())
    assert len(book["bids"]) == 2
    assert len(bars) <= 2
    assert len(closed) <= 1
    assert status["ok"]
    assert int(clock["serverTime"]) > 0


def test_a_trigger_is_named_in_full_or_not_at_all(shared: Shared) -> None:
    _, router = shared
    for bad, words in (
        ({"trigger_price": "26000"}, "trigger is None, and must be 'Stop'"),
        ({"trigger": "Stop"}, "no trigger_price is given"),
        ({"trigger_by": "MarkPrice"}, "no trigger_price is given"),
        ({"trigger_price": "26000", "trigger": "Up"}, "trigger is 'Up'"),
        ({"trigger_price": "26000", "trigger": "Stop", "trigger_by": "Index"}, "trigger_by is 'Index'"),
        ({"trigger_price": "-1", "trigger": "Stop"}, "trigger_price is '-1'"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            router.place_order("BTCUSDT", "Buy", "Market", "0.001", **bad)  # type: ignore[arg-type]
        assert words in str(refused.value)


def test_all_spellings_of_a_time_in_force_are_known(shared: Shared) -> None:
    _, router = shared
    for spelling, means in (
        ("GoodTillCancel", "GTC"), ("GoodTillCancelled", "GTC"), ("GoodTilCanceled", "GTC"), ("GTC", "GTC"),
        ("PostOnly", "PostOnly"), ("GTX", "PostOnly"), ("post_only", "PostOnly"),
    ):  # fmt: skip
        order_id = resting(router, time_in_force=spelling)
        assert router.cancel_order("BTCUSDT", order_id)["timeInForce"] == means
    for spelling, means in (
        ("ImmediateOrCancel", "IOC"), ("IOC", "IOC"), ("FillOrKill", "FOK"), ("FOK", "FOK"),
    ):  # fmt: skip
        assert router.place_order("BTCUSDT", "Buy", "Limit", "0.001", "20000", spelling)["timeInForce"] == means
