"""An exchange takes orders and says nothing: by their owner's word they are placed on the next one as well."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from tests.e2e.conftest import Build
from tests.e2e.world import BTC, actor_pid, place, restarted, until


def test_what_nobody_knows_of_is_placed_elsewhere_and_followed_on_both(world: Build) -> None:
    """One that rests is cancelled where it was left, one that executed twice is told, also by a connector that died."""
    here = world("bybit", "okx")
    tables = here.tables()
    tables["failover"].update(unknown_policy="place_elsewhere", unknown_max_notional=2000)
    with here.running(config=tables) as router:
        here["bybit"].control.fault("hang_after", call="*")
        with ThreadPoolExecutor(3) as callers:
            asked = [
                callers.submit(place, router, "rests", timeout_s=20.0),
                callers.submit(place, router, "fills", order_type="Market", price=None, qty="0.002", timeout_s=20.0),
                callers.submit(place, router, "too much", qty="0.5", timeout_s=12.0),
            ]
            rests, fills, too_much = (each.result() for each in asked)
        assert rests.order is not None, rests
        assert fills.order is not None, fills
        assert (rests.order["exchange"], fills.order["exchange"]) == ("okx", "okx")
        assert (rests.order["heldQty"], rests.order["excessQty"]) == ("0.001", "0")
        assert type(too_much.error).__name__ == "OrderOutcomeUnknown", "beyond the bound it is held"
        status = router.get_status()
        assert status["orders"]["held"] == 2
        assert Decimal("20") < Decimal(status["held_notional"]) <= 2000
        assert status["excess"] == 0
        (line,) = (line for line in status["book"] if (line["exchange"], line["symbol"]) == ("bybit", "BTCUSDT"))
        assert Decimal(line["possible_max"]) == Decimal("0.503"), "what is held counts in full"

        old = actor_pid(router, "connector:bybit")
        os.kill(old, signal.SIGKILL)
        until(lambda: restarted(router, "connector:bybit", old), means="bybit's connector being back")
        here["bybit"].control.clear_faults()
        until(lambda: router.get_status()["held_notional"] == "0", means="both being proven on bybit")
        resting, filled = (router.get_order(each.order["orderId"]) for each in (rests, fills) if each.order)
        assert (resting["orderStatus"], resting["exchange"], resting["heldQty"]) == ("New", "okx", "0")
        assert (filled["orderStatus"], filled["cumExecQty"], filled["excessQty"]) == ("Filled", "0.004", "0.002")
        assert router.get_status()["excess"] == 1
        left = {order["qty"]: order["status"] for order in here["bybit"].control.truth()["orders"]}
        assert left == {"0.001": "cancelled", "0.002": "filled", "0.5": left["0.5"]}
        assert here["bybit"].control.truth()["positions"][BTC] == "0.002"
