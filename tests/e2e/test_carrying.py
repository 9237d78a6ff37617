"""Orders go along when trading moves, on real processes and over HTTP; the exchanges' own books are the verdict."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from app.core.order_router import InvalidRequest, OrderRouter
from app.core.shapes import Order
from tests.e2e.conftest import Build
from tests.e2e.world import (
    Answered,
    Heard,
    World,
    actor_pid,
    backups_ready,
    check_once,
    move_to,
    of_order,
    place,
    until,
)

D = Decimal
FOUR = ("bybit", "okx", "binance", "kraken")
RESTS = frozenset({"New", "PartiallyFilled"})
Shared = tuple[World, OrderRouter]

KINDS: dict[str, dict[str, Any]] = {
    "limit": {"qty": "0.013", "price": "20000"},
    "sale": {"qty": "0.005", "side": "Sell", "price": "28700"},
    "post-only": {"qty": "0.004", "price": "19000", "time_in_force": "PostOnly"},
    "stop": {"qty": "0.006", "order_type": "Market", "price": None, "trigger_price": "28600", "trigger": "stop"},
    "stop-limit": {"qty": "0.007", "price": "28500", "trigger_price": "28000", "trigger": "stop"},
    "with-exits": {"qty": "0.008", "price": "20000", "take_profit": "28700", "stop_loss": "15000"},
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One world of four exchanges for the file, with positions left where they are."""
    with World(FOUR, tmp_path_factory.mktemp("carrying") / "state", positions={"policy": "track"}) as world:
        tables = world.tables()
        tables["exchanges"]["kraken"].update(allow_settlement_change=True)
        with world.running(config=tables) as router:
            yield world, router


def market(world: World, name: str, price: str) -> None:
    """An exchange's market moves."""
    world[name].control.price("BTC/USD:USD" if name == "kraken" else "BTC/USDT:USDT", price)


@pytest.fixture(autouse=True)
def one_price(shared: Shared) -> None:
    """The markets are alike when a test begins."""
    for name in FOUR:
        market(shared[0], name, "25000")


def goes(router: OrderRouter, exchange: str) -> None:
    """Trading moves there, if it is elsewhere, and the switch is told to its end."""
    move_to(router, exchange)
    # None yet, where trading has not moved at all.
    until(lambda: all(each["finished"] for each in router.get_failover_history()[-1:]), means="the switch being over")


def rests(router: OrderRouter, answered: Answered, exchange: str) -> Order:
    """The order, once it rests there."""
    assert answered.order is not None, answered
    order_id = answered.order["orderId"]

    def there() -> Order | None:
        order = router.get_order(order_id)
        return order if (order["exchange"], order["orderStatus"] in RESTS) == (exchange, True) else None

    try:
        return until(there, means=f"{answered.client_order_id} on {exchange}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {router.get_order(order_id)}") from None


def parked(router: OrderRouter, order_id: str) -> Order:
    """The order, once it waits for something."""

    def waits() -> Order | None:
        order = router.get_order(order_id)
        return order if order["orderStatus"] == "Parked" else None

    return until(waits, means="it is parked")


def live_on(world: World, answered: Answered) -> list[str]:
    """Exchanges on whose books an order may still fill."""
    held = of_order(world.books(), world.presence().journal_id, "default", answered.client_order_id)
    return [name for name, order in held if order["status"] in ("open", "partially_filled")]


def end(router: OrderRouter, *orders: Answered) -> None:
    """Cancels them."""
    for each in orders:
        assert each.order is not None
        router.cancel_order("BTCUSDT", each.order["orderId"])


def test_every_kind_goes_from_exchange_to_exchange_and_back(shared: Shared) -> None:
    world, router = shared
    orders = {kind: place(router, f"tour-{kind}", **asked) for kind, asked in KINDS.items()}
    filled = {kind: D(0) for kind in KINDS}
    for answered in orders.values():
        rests(router, answered, "bybit")
    heard = Heard(router)
    for exchange in ("okx", "binance", "kraken", "bybit"):
        goes(router, exchange)
        for kind, answered in orders.items():
            now = rests(router, answered, exchange)
            assert answered.order is not None
            assert now["orderId"] == answered.order["orderId"]
            assert D(now["cumExecQty"]) == filled[kind]
            assert live_on(world, answered) == [exchange]
            check_once(world.books(), world.presence().journal_id, "default", answered)
    for answered in orders.values():
        assert answered.order is not None
        told = [each["orderStatus"] for each in heard.of(answered.order["orderId"])]
        assert "Cancelled" not in told, told
        assert "Moving" in told
    heard.close()
    end(router, *orders.values())


def test_what_filled_before_is_not_asked_for_again(shared: Shared) -> None:
    world, router = shared
    goes(router, "bybit")
    part = place(router, "part", qty="0.02", price="24000")
    whole = place(router, "whole", qty="0.003", price="24000")
    rests(router, part, "bybit")
    assert part.order is not None
    world["bybit"].control.fill(order_id=part.order["exchangeOrderId"], qty="0.012")
    until(lambda: D(router.get_order(part.order["orderId"])["cumExecQty"]) == D("0.012"))  # type: ignore[index]
    goes(router, "okx")
    now = rests(router, part, "okx")
    assert (now["qty"], now["cumExecQty"], now["leavesQty"]) == ("0.02", "0.012", "0.008")
    held = of_order(world.books(), world.presence().journal_id, "default", "part")
    assert [(name, D(order["qty"])) for name, order in held] == [("bybit", D("0.02")), ("okx", D("0.008"))]
    check_once(world.books(), world.presence().journal_id, "default", part)
    world["okx"].control.fill(order_id=now["exchangeOrderId"])
    until(lambda: router.get_order(now["orderId"])["orderStatus"] == "Filled", means="the rest filled on okx")
    end(router, whole)


def test_an_order_that_must_not_trade_at_once_waits_until_it_would_not(shared: Shared) -> None:
    world, router = shared
    goes(router, "okx")
    maker = place(router, "maker", qty="0.004", price="24500", time_in_force="PostOnly")
    rests(router, maker, "okx")
    assert maker.order is not None
    market(world, "binance", "24000")
    goes(router, "binance")
    order_id = maker.order["orderId"]
    waiting = parked(router, order_id)
    assert "post-only" in waiting["rejectReason"]
    assert waiting["leavesQty"] == "0.004"
    assert order_id in [each["orderId"] for each in router.get_open_orders()]
    again = router.place_order(
        "BTCUSDT", "Buy", "Limit", "0.004", price="24500", time_in_force="PostOnly", client_order_id="maker"
    )
    assert (again["orderId"], again["orderStatus"]) == (order_id, "Parked"), "it is the same order"
    with pytest.raises(InvalidRequest, match="parked"):
        router.amend_order("BTCUSDT", order_id, price="24400")
    market(world, "binance", "25000")
    rests(router, maker, "binance")
    end(router, maker)


def test_a_parked_order_is_ended_by_its_owner(shared: Shared) -> None:
    world, router = shared
    goes(router, "binance")
    maker = place(router, "given up", qty="0.004", price="24500", time_in_force="PostOnly")
    rests(router, maker, "binance")
    assert maker.order is not None
    market(world, "kraken", "24000")
    goes(router, "kraken")
    order_id = maker.order["orderId"]
    parked(router, order_id)
    assert router.cancel_order("BTCUSDT", order_id)["orderStatus"] == "Cancelled"
    market(world, "kraken", "25000")
    assert router.get_order(order_id)["orderStatus"] == "Cancelled"
    assert live_on(world, maker) == []


def test_too_little_for_the_next_exchange_waits_for_one_that_takes_it(shared: Shared) -> None:
    world, router = shared
    goes(router, "binance")
    small = place(router, "small", symbol="ETHUSDT", qty="0.014", price="1700.07")
    resting = rests(router, small, "binance")
    world["binance"].control.fill(order_id=resting["exchangeOrderId"], qty="0.006")
    until(lambda: D(router.get_order(resting["orderId"])["cumExecQty"]) == D("0.006"))
    goes(router, "bybit")
    parked(router, resting["orderId"])
    assert "0.008" in router.get_order(resting["orderId"])["rejectReason"], "bybit counts in hundredths"
    goes(router, "kraken")
    now = rests(router, small, "kraken")
    assert (now["leavesQty"], now["price"]) == ("0.008", "1700.0"), "a tick better for who buys, and no worse"
    router.cancel_order("ETHUSDT", now["orderId"])


def test_what_protects_a_position_that_stays_stays_with_it(shared: Shared) -> None:
    world, router = shared
    goes(router, "bybit")
    sol = {"symbol": "SOLUSDT", "qty": "2"}
    opened = place(router, "opened", **sol, order_type="Market", price=None)
    until(lambda: router.get_order(opened.order["orderId"])["orderStatus"] == "Filled")  # type: ignore[index]
    closes = {**sol, "side": "Sell", "reduce_only": True}
    stop = place(router, "protects", **closes, order_type="Market", price=None, trigger_price="20", trigger="stop")
    target = place(router, "aims", **closes, price="40")
    goes(router, "okx")
    for each in (stop, target):
        rests(router, each, "bybit")
        assert live_on(world, each) == ["bybit"]
    world["bybit"].control.fill(order_id=target.order["exchangeOrderId"])  # type: ignore[index]
    until(lambda: router.get_order(target.order["orderId"])["orderStatus"] == "Filled")  # type: ignore[index]
    until(lambda: live_on(world, stop) == [], means="what protects nothing more being taken off")
    assert "only reduces" in parked(router, stop.order["orderId"])["rejectReason"]  # type: ignore[index]
    router.cancel_order("SOLUSDT", stop.order["orderId"])  # type: ignore[index]


def test_exits_of_what_filled_before_stay_with_that_and_those_of_the_rest_go_along(shared: Shared) -> None:
    world, router = shared
    goes(router, "binance")
    entry = place(router, "entry", symbol="ETHUSDT", qty="0.5", price="1700", take_profit="1900", stop_loss="1500")
    first = rests(router, entry, "binance")
    world["binance"].control.fill(order_id=first["exchangeOrderId"], qty="0.2")

    def exits(exchange: str) -> dict[str, Order]:
        """Of what filled there, by kind."""
        rows = [row for row in router.get_open_orders("ETHUSDT") if row["parentOrderId"] == first["orderId"]]
        there = [row for row in rows if row["exchange"] == exchange and row["orderStatus"] in RESTS]
        return {row["stopOrderType"]: row for row in there}

    until(lambda: set(exits("binance")) == {"Stop", "TakeProfit"}, means="both exits of what filled on binance")
    goes(router, "kraken")
    second = rests(router, entry, "kraken")
    assert (D(second["cumExecQty"]), D(second["leavesQty"])) == (D("0.2"), D("0.3"))
    assert {D(row["qty"]) for row in exits("binance").values()} == {D("0.2")}, "they protect what stays there"
    world["kraken"].control.fill(order_id=second["exchangeOrderId"])
    until(lambda: set(exits("kraken")) == {"Stop", "TakeProfit"}, means="both exits of what filled on kraken")
    assert {D(row["qty"]) for row in exits("kraken").values()} == {D("0.3")}
    world["binance"].control.price("ETH/USDT:USDT", "1901")
    until(lambda: not exits("binance"), means="the other exit on binance being taken back")
    world["binance"].control.price("ETH/USDT:USDT", "1800")
    assert set(exits("kraken")) == {"Stop", "TakeProfit"}
    for row in exits("kraken").values():
        router.cancel_order("ETHUSDT", row["orderId"])


def test_a_wish_that_was_under_way_goes_along(shared: Shared) -> None:
    world, router = shared
    goes(router, "bybit")
    order = place(router, "wished", qty="0.01", price="20000")
    assert order.order is not None
    goes(router, "okx")
    amended = router.amend_order("BTCUSDT", order.order["orderId"], qty="0.012", price="20500")
    assert (amended["qty"], amended["price"], amended["exchange"]) == ("0.012", "20500", "okx")
    goes(router, "binance")
    now = rests(router, order, "binance")
    assert (now["qty"], now["price"]) == ("0.012", "20500")
    end(router, order)
    assert live_on(world, order) == []


@pytest.mark.parametrize(
    "victim",
    [pytest.param("old", marks=pytest.mark.deep), pytest.param("new", marks=pytest.mark.deep), "both"],
)
def test_a_connector_that_is_killed_meanwhile_loses_nothing_and_doubles_nothing(shared: Shared, victim: str) -> None:
    world, router = shared
    goes(router, "bybit")
    orders = [place(router, f"{victim}-{n}", qty="0.004", price=str(20000 + n)) for n in range(8)]
    for each in orders:
        rests(router, each, "bybit")
    names = {"old": ["bybit"], "new": ["okx"], "both": ["bybit", "okx"]}[victim]
    fault = world["bybit"].control.fault("slow", call="cancel", count=8, params={"delay_s": 0.2})
    pids = [actor_pid(router, f"connector:{name}") for name in names]
    move_to(router, "okx")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for each in orders:
        now = rests(router, each, "okx")
        assert now["cumExecQty"] == "0"
        assert live_on(world, each) == ["okx"]
        check_once(world.books(), world.presence().journal_id, "default", each)
    world["bybit"].control.clear_fault(fault)
    end(router, *orders)


def test_what_was_stranded_on_a_dead_exchange_goes_after_trading_once_that_answers(shared: Shared) -> None:
    world, router = shared
    goes(router, "okx")
    order = place(router, "stranded", qty="0.01", price="20000")
    rests(router, order, "okx")
    backups_ready(router)
    world["okx"].control.fault("refused")
    until(lambda: router.get_status()["current_exchange"] not in ("okx", None), means="okx being left")
    assert order.order is not None
    assert live_on(world, order) == ["okx"], "it may still fill there"
    now_on = router.get_status()["current_exchange"]
    assert now_on is not None
    world["okx"].control.clear_faults()
    rests(router, order, now_on)
    assert live_on(world, order) == [now_on]
    check_once(world.books(), world.presence().journal_id, "default", order)
    end(router, order)


@pytest.mark.parametrize(
    ("policy", "status"), [("park", "Parked"), pytest.param("drop", "Cancelled", marks=pytest.mark.deep)]
)
def test_its_owner_may_want_it_otherwise(world: Build, policy: str, status: str) -> None:
    here = world("bybit", "okx", orders={"policy": policy}, positions={"policy": "track"})
    with here.running() as router:
        order = place(router, "kept", qty="0.01", price="20000")
        assert order.order is not None
        router.manual_failover("okx")
        until(lambda: router.get_order(order.order["orderId"])["orderStatus"] == status)  # type: ignore[index]
        until(lambda: router.get_failover_history()[-1]["finished"])
        assert router.get_order(order.order["orderId"])["orderStatus"] == status
        assert live_on(here, order) == []
        if policy == "park":
            assert router.cancel_order("BTCUSDT", order.order["orderId"])["orderStatus"] == "Cancelled"


@pytest.mark.deep
def test_what_only_reduces_follows_its_position_though_the_exchange_was_quicker_to_end_it(world: Build) -> None:
    """Binance calls it expired as soon as nothing is left to reduce, which is no end of the order."""
    here = world("binance", "bybit", positions={"policy": "migrate", "slice_notional": 500, "slice_pause_s": 0.0})
    with here.running() as router:
        assert place(router, "opens", order_type="Market", price=None, qty="0.04").order is not None
        protects = place(router, "reduces", side="Sell", qty="0.03", price="28500", reduce_only=True)
        rests(router, protects, "binance")
        router.manual_failover("bybit")
        rests(router, protects, "bybit")
        assert live_on(here, protects) == ["bybit"]
        assert D(here["bybit"].control.truth()["positions"]["BTC/USDT:USDT"]) == D("0.04")
        check_once(here.books(), here.presence().journal_id, "default", protects)


def test_a_stop_of_its_owners_goes_after_the_position_that_is_moved(world: Build) -> None:
    here = world("bybit", "okx", positions={"policy": "migrate", "slice_notional": 200, "slice_pause_s": 0.1})
    with here.running() as router:
        opened = place(router, "opened", qty="0.02", order_type="Market", price=None)
        assert opened.order is not None
        until(lambda: router.get_order(opened.order["orderId"])["orderStatus"] == "Filled")  # type: ignore[index]
        closes = {"qty": "0.02", "side": "Sell", "order_type": "Market", "price": None, "reduce_only": True}
        stop = place(router, "protects", **closes, trigger_price="20000", trigger="stop")
        router.manual_failover("okx")
        rests(router, stop, "okx")
        assert live_on(here, stop) == ["okx"]
        assert [D(each["size"]) for each in router.get_positions()] == [D("0.02")], "the position is there as well"
        check_once(here.books(), here.presence().journal_id, "default", stop)
