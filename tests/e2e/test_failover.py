"""Trading moves, or stays and says why: automatic and manual failover over real processes."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from app.core.order_router import InvalidRequest, OrderRouterError, OrderRouterStatus
from tests.e2e.conftest import Build
from tests.e2e.world import BTC, BUDGET_S, Heard, all_well, backups_ready, place, settled, until

NOISE_S = 1.0
"""Between processes, on a busy machine; the budget itself is the detector's."""


def test_a_dead_primary_is_left_within_the_detection_budget(world: Build) -> None:
    here = world("bybit", "okx", "binance")
    with here.running() as router:
        heard = Heard(router)
        began_s = time.monotonic()
        here["bybit"].control.fault("refused")
        until(lambda: router.status is OrderRouterStatus.READY and router.current_connector_name == "okx")
        took_s = time.monotonic() - began_s
        assert took_s <= BUDGET_S + NOISE_S
        placed = place(router, "after")
        assert placed.order is not None
        assert placed.order["exchange"] == "okx"

        (switch,) = router.get_failover_history()
        assert (switch["from_exchange"], switch["to_exchange"]) == ("bybit", "okx")
        assert switch["reason"].startswith("bybit is down: ")
        assert any(each.startswith("our own network works: ") for each in switch["evidence"])
        assert switch["evidence"][-1].startswith("chosen: okx is well for ")
        assert switch["result"] == "completed"
        until(lambda: router.get_failover_history()[0]["finished"], means="the old exchange being told of")
        route = [(e["exchange"], e["status"]) for e in heard.kinds("route_changed")]
        assert (None, "switching") in route
        assert route[-1] == ("okx", "ready")
        heard.close()

        here["bybit"].control.clear_faults()
        settled(router, here.names)
        assert router.get_status()["current_exchange"] == "okx", "failback is manual"
        back = router.manual_failover("bybit")
        assert back["reason"] == "Manual failover"
        assert place(router, "back").order["exchange"] == "bybit"  # type: ignore[index]


def test_a_manual_failover_cancels_what_rests_where_that_is_wanted_and_tells_it(world: Build) -> None:
    here = world("bybit", "okx", orders={"policy": "drop"}, positions={"policy": "track"})
    with here.running() as router:
        resting = [place(router, f"resting-{n}").order for n in range(3)]
        filled = place(router, "filled", order_type="Market", price=None, qty="0.002").order
        assert filled is not None
        until(lambda: router.get_order(filled["orderId"])["orderStatus"] == "Filled")
        assert "Why there: okx is well for " in router.plan_failover("okx")["words"]
        switch = router.manual_failover("okx", reason="a drill")
        assert (switch["result"], switch["reason"]) == ("completed", "a drill")
        assert sorted(switch["orders_cancelled"]) == sorted(order["orderId"] for order in resting if order is not None)
        assert switch["orders_left"] == []
        for order in resting:
            assert order is not None
            assert router.get_order(order["orderId"])["orderStatus"] == "Cancelled"
        assert router.get_open_orders() == []
        finished = until(lambda: next((s for s in router.get_failover_history() if s["finished"]), None))
        assert finished["positions_read"]
        assert finished["positions_left"] == [{"symbol": BTC, "size": "0.002"}]
        assert router.get_positions() == [], "there is none on okx"
        open_there = [o for o in here["bybit"].control.truth()["orders"] if o["status"] == "open"]
        assert open_there == []


def test_a_cancel_finds_its_order_on_an_exchange_that_came_back(world: Build) -> None:
    here = world("bybit", "okx")
    with here.running() as router:
        order = place(router, "left behind").order
        assert order is not None
        here["bybit"].control.fault("refused")
        until(lambda: router.get_status()["current_exchange"] == "okx")
        assert [each["orderId"] for each in router.get_open_orders()] == [order["orderId"]]
        switch = until(lambda: next((s for s in router.get_failover_history() if s["finished"]), None))
        assert [left["orderId"] for left in switch["orders_left"]] == [order["orderId"]], "it may still fill there"
        assert not switch["positions_read"]
        here["bybit"].control.clear_faults()
        cancelled = router.cancel_order("BTCUSDT", order["orderId"])
        assert cancelled["orderStatus"] == "Cancelled"
        assert cancelled["exchange"] == "bybit"


def test_a_manual_failover_that_cannot_be_is_refused_and_trading_stays(world: Build) -> None:
    here = world("bybit", "okx", "kraken")
    with here.running() as router:
        resting = place(router, "resting").order
        assert resting is not None
        for name, words in (("nowhere", "nowhere"), ("binance", "bybit, okx, kraken"), ("bybit", "already")):
            with pytest.raises(InvalidRequest, match=words):
                router.manual_failover(name)
        assert router.get_failover_history() == []

        with pytest.raises(OrderRouterError, match=r"exchanges\.kraken\.allow_settlement_change"):
            router.manual_failover("kraken")  # BTC/USDT:USDT was traded, kraken settles in USD

        here["okx"].control.fault("refused")
        until(lambda: router.get_status()["exchange_health"]["okx"]["state"] == "down")
        with pytest.raises(OrderRouterError, match="okx is down"):
            router.manual_failover("okx")
        (given_up,) = router.get_failover_history()
        assert (given_up["result"], given_up["to_exchange"]) == ("failed", None), "who is down costs no epoch"
        status = router.get_status()
        assert status["current_exchange"] == "bybit"
        assert router.get_order(resting["orderId"])["orderStatus"] == "New", "nothing was cancelled for it"
        still = place(router, "still").order
        assert still is not None
        assert still["exchange"] == "bybit"


def test_an_exchange_whose_markets_are_still_on_their_way_is_waited_for(world: Build) -> None:
    """A failover that is asked right after the start is not given up for that."""
    here = world("bybit", "okx")
    here["okx"].control.fault("slow", call="markets", params={"delay_s": 0.8})
    router = here.router()
    try:
        router.start()
        until(lambda: all_well(router, ["bybit"]), means="bybit being well")
        (okx,) = router.get_status()["readiness"]
        assert not okx["ready"], "else this shows nothing"
        switch = router.manual_failover("okx")
        assert (switch["result"], switch["candidates_rejected"]) == ("completed", {})
        assert len(router.get_failover_history()) == 1
    finally:
        router.close()


def test_a_settlement_change_that_is_allowed_carries_trading_to_kraken(world: Build) -> None:
    here = world("bybit", "kraken")
    tables = here.tables()
    tables["exchanges"]["kraken"].update(allow_settlement_change=True)
    with here.running(config=tables) as router:
        assert place(router, "before").order is not None
        assert router.manual_failover("kraken")["to_exchange"] == "kraken"
        order = place(router, "after").order
        assert order is not None
        assert order["exchange"] == "kraken"
        assert order["symbol"] == "BTCUSDT"
        until(lambda: len(here["kraken"].control.truth()["orders"]) == 2, means="the one before being carried along")
        assert {held["symbol"] for held in here["kraken"].control.truth()["orders"]} == {"BTC/USD:USD"}


@pytest.mark.deep
def test_when_every_exchange_is_gone_it_is_our_own_network_and_nothing_moves(world: Build) -> None:
    here = world("bybit", "okx", "binance")
    with here.running() as router:
        for name in here.names:
            here[name].control.fault("refused")
        status = until(lambda: status if (status := router.get_status())["status"] == "error" else None)
        assert "our own network" in status["words"]
        refused = place(router, "nowhere to go", timeout_s=1.5)
        assert refused.order is None
        assert type(refused.error).__name__ == "NoExchangeAvailable"
        assert router.get_failover_history() == []
        for name in here.names:
            here[name].control.clear_faults()
        until(lambda: all_well(router, here.names), means="recovering by itself")
        order = place(router, "nowhere to go").order
        assert order is not None, "the same id, once there is somewhere to go"
        assert order["exchange"] == "bybit"
        assert router.get_status()["words"] == ""
        assert len(here.truth(here.presence().journal_id, router.strategy, "nowhere to go")) == 1


def test_without_auto_failover_it_says_what_to_do(world: Build) -> None:
    here = world("bybit", "okx")
    with here.running(auto_failover=False) as router:
        here["bybit"].control.fault("refused")
        # Before that it may say that nobody has proven yet that our own network works.
        until(lambda: "auto_failover is off" in router.get_status()["words"], means="its saying so")
        assert router.get_status()["current_exchange"] == "bybit"
        assert router.status is OrderRouterStatus.ERROR
        router.manual_failover("okx")
        assert place(router, "moved by hand").order["exchange"] == "okx"  # type: ignore[index]
        assert router.get_status()["status"] == "ready"


def test_exits_that_binance_does_not_take_along_are_orders_of_their_own(world: Build) -> None:
    """And stay there when trading moves, with the position they protect, where that stays."""
    here = world("binance", "bybit", positions={"policy": "track"})
    with here.running() as router:
        heard = Heard(router)
        bought = router.place_order("BTCUSDT", "Buy", "Market", "0.01", take_profit="40000", stop_loss="15000")
        exits = until(lambda: exits if len(exits := router.get_open_orders()) == 2 else None)
        assert {order["parentOrderId"] for order in exits} == {bought["orderId"]}
        assert {(order["stopOrderType"], order["triggerPrice"]) for order in exits} == {
            ("TakeProfit", "40000"),
            ("Stop", "15000"),
        }
        assert all((order["side"], order["reduceOnly"]) == ("Sell", True) for order in exits)
        assert all(Decimal(order["qty"]) == Decimal("0.01") for order in exits)
        until(lambda: all(heard.of(order["orderId"]) for order in exits), means="their being told of")
        moved = router.manual_failover("bybit")
        assert moved["result"] == "completed"
        assert {order["orderStatus"] for order in router.get_open_orders()} == {"New"}
        assert router.get_status()["unprotected"] == 0
        here["binance"].control.price("BTC/USDT:USDT", 14_900)
        until(lambda: router.get_open_orders() == [], means="the stop closing, and the other exit going")
        assert here["binance"].control.truth()["positions"].get("BTC/USDT:USDT", "0") == "0"
        heard.close()


@pytest.mark.deep
def test_a_verb_of_a_later_daemon_is_not_taken_for_one_of_an_earlier(world: Build) -> None:
    """How a switch ended is told to whoever asks for the same again: not to the next daemon's first failback."""
    here = world("bybit", "okx")
    for life in range(2):
        with here.running() as router:
            router.manual_failover("okx")
            backups_ready(router, "bybit")
            assert router.failback(timeout_s=20)["done"]
            assert router.get_status()["current_exchange"] == "bybit", f"daemon {life + 1}"
