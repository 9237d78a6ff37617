"""[orders] limits in a real daemon: what one refuses no exchange has heard of, on whichever exchange trading is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from app.cli.look import status_view
from app.core.order_router import OrderRefused, OrderRouter
from tests.e2e.world import BUDGET_S, Answered, World, place, until

LIMITS = {"max_notional": 500, "price_collar": 0.1, "max_open": 8, "per_second": 6}
SYMBOL = "BTC/USDT:USDT"


def refused(answered: Answered) -> str:
    """The limit that did it; empty for anything else."""
    error = answered.error
    if not isinstance(error, OrderRefused) or not error.code.startswith("limit_"):
        return ""
    limit = error.code.removeprefix("limit_")
    assert f"The limit {limit} is {LIMITS[limit]}" in str(error)
    return limit


def at_leisure(router: OrderRouter, client_order_id: str, **asked: object) -> Answered:
    """Places an order when there is room in the second."""

    def placed() -> Answered | None:
        answered = place(router, client_order_id, **asked)
        return None if refused(answered) == "per_second" else answered

    return until(placed)


def test_each_limit_holds_over_all_exchanges(tmp_path: Path) -> None:
    """The market is at 30,000, that of the next exchange at 22,000."""
    with World(("bybit", "okx"), tmp_path / "state", orders={"limits": LIMITS}) as world, world.running() as router:
        status = router.get_status()
        assert status["limits"] == {name: str(value) for name, value in LIMITS.items()}
        console = Console(width=200)
        with console.capture() as shown:
            console.print(status_view(status))
        assert "max_notional 500, max_open 8, price_collar 0.1, per_second 6" in shown.get()

        world["bybit"].control.price(SYMBOL, 30000)
        world["okx"].control.price(SYMBOL, 22000)  # from the beginning: a price that was read serves for seconds
        assert refused(place(router, "large", qty="0.03")) == "max_notional"
        large = place(router, "large at the market", qty="0.03", order_type="Market", price=None)
        assert refused(large) == "max_notional"
        assert refused(place(router, "dear", price="33500")) == "price_collar"
        assert refused(place(router, "cheap", price="26500", side="Sell")) == "price_collar"
        assert world.placements() == 0
        for name in ("large", "dear"):
            assert at_leisure(router, name).order is not None, "its id was free"
        assert at_leisure(router, "bought", order_type="Market", price=None, qty="0.003").order is not None

        before = world.placements()
        with ThreadPoolExecutor(16) as callers:
            burst = list(callers.map(lambda n: place(router, f"burst-{n}", time_in_force="IOC"), range(16)))
        limits = [refused(answered) for answered in burst]
        assert limits.count("per_second") >= 16 - 2 * LIMITS["per_second"], "it took less than a second"
        assert world.placements() - before == limits.count("")

        resting = [at_leisure(router, f"resting-{n}") for n in range(6)]
        assert [answered.error for answered in resting] == [None] * 6
        before = world.placements()
        assert refused(at_leisure(router, "one more")) == "max_open"
        assert world.placements() == before
        again = place(router, "resting-3")
        assert again.order is not None
        assert resting[3].order is not None
        assert again.order["orderId"] == resting[3].order["orderId"], "what is known is told, whatever the limits say"

        # Closing passes: the exchange has the last word on it.
        closed = place(router, "close", side="Sell", order_type="Market", price=None, qty="0.003", reduce_only=True)
        assert closed.order is not None

        # What was left on a dead exchange counts, and the next exchange's own market is the one that matters.
        world["bybit"].control.fault("refused")
        router.manual_failover("okx")
        until(lambda: router.get_status()["current_exchange"] == "okx")
        assert refused(at_leisure(router, "on the next")) == "max_open"
        assert refused(at_leisure(router, "dear there", price="25000", reduce_only=True)) == "price_collar"
        world["bybit"].control.clear_faults()
        assert resting[0].order is not None
        router.cancel_order("BTCUSDT", resting[0].order["orderId"])
        assert at_leisure(router, "on the next").order is not None


def test_an_order_that_waits_for_the_price_of_a_dead_exchange_goes_to_the_next(tmp_path: Path) -> None:
    """It was never sent there, and is placed once."""
    limits = {"max_notional": 500, "price_collar": 0.1}
    with World(("bybit", "okx"), tmp_path / "state", orders={"limits": limits}) as world, world.running() as router:
        world["bybit"].control.fault("blackhole")
        answered = place(router, "moved", order_type="Market", price=None, timeout_s=BUDGET_S + 10)
        assert answered.order is not None, answered
        assert answered.order["exchange"] == "okx"
        placed = [name for name in world.names for each in world[name].control.requests() if each["call"] == "place"]
        assert placed == ["okx"]
