"""An exchange that answers, and is no place to trade any more: trading leaves it in order, or does not, and says why.

There is time: what rests is taken along. Which of the backups takes trading is not asked here: on a busy machine the
first one's pre-flight may be too old at that moment. Beside it, what must not make trading move at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from app.core.shapes import HistoryEntry
from tests.e2e.scenes import Scene, Traffic, scene
from tests.e2e.world import place

NAMES = ("bybit", "okx", "binance")
CALLS = 300
"""Of the run at 5 %: fifteen of them fail, and others with them."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One world for all scenes."""
    # A ban is found out some time after it began: on a busy machine seconds of it are gone by then.
    with scene(NAMES, tmp_path_factory.mktemp("scenes"), health={"ban_tolerance_s": 1.0}) as ground:
        yield ground


@pytest.fixture
def on(ground: Scene) -> Scene:
    """All is well, and trading is on bybit."""
    ground.begin()
    return ground


def left_in_order(on: Scene, switch: HistoryEntry, resting: str) -> None:
    """Trading left an exchange that was not down, and what rested there went along."""
    assert "is down" not in switch["reason"], switch
    assert switch["evidence"], switch
    on.until(lambda: on.switches()[0]["finished"], "the switch being settled")
    # An order that was slow to go may be placed a moment after that.
    on.until(lambda: resting in [each["orderId"] for each in on.switches()[0]["orders_carried"]], "its going along")
    on.until(lambda: not on.switches()[0]["orders_left"], "nothing being left behind")
    order = on.router.get_order(resting)
    assert (order["exchange"], order["orderStatus"]) == (switch["to_exchange"], "New")
    on.router.cancel_order("BTCUSDT", resting)
    assert len(on.switches()) == 1


def rests(on: Scene, name: str) -> str:
    """The id of an order that rests, far from the market."""
    answered = place(on.router, name, price="15000")
    assert answered.order is not None, answered
    return answered.order["orderId"]


def test_an_announced_maintenance_is_left_before_it_begins(on: Scene) -> None:
    resting = rests(on, "before the maintenance")
    began_s = time.monotonic()
    on.world["bybit"].control.maintenance(True, begins_in_s=12.0, lasts_s=1.0, message="Planned upgrade")
    switch = on.moved()
    assert "maintenance" in switch["reason"].lower()
    left_in_order(on, switch, resting)
    assert time.monotonic() - began_s < 12.0, "drained before it began"
    assert on.health("bybit")["maintenance"] is not None
    on.world["bybit"].control.maintenance(False)


def test_an_exchange_that_grows_slow_is_left_in_order(on: Scene) -> None:
    """Against its own usual latency, and long before anything times out."""
    resting = rests(on, "before it is slow")
    with Traffic(on, callers=2, mixed=True) as traffic:
        on.until(lambda: traffic.calls >= 90, "its usual latency being known")
        on.world["bybit"].control.fault("slow", params={"delay_s": 0.4, "ramp_s": 1.0})
        switch = on.moved()
    assert "times the usual" in switch["reason"], switch
    left_in_order(on, switch, resting)


def test_prices_that_stand_still_while_others_move_are_no_prices(on: Scene) -> None:
    resting = rests(on, "before it is stale")
    assert place(on.router, "so that a price matters", order_type="Market", price=None).order is not None
    on.world["bybit"].control.fault("stale", call="quotes")
    assert on.until(lambda: on.health("bybit")["stale"], "its being told")
    left_in_order(on, on.moved(), resting)


def test_a_ban_that_is_long_is_left(on: Scene) -> None:
    """Nobody asks while it lasts; and where it ends the exchange is used again."""
    on.begin("binance")
    control = on.world["binance"].control
    control.ban(15.0)  # so long that a busy machine learns of it with more than the tolerated second left
    until_ms = control.ask("GET", "/limits")["banned_until_ms"]
    switch = on.moved()
    assert "does not let us ask" in switch["reason"]
    assert on.health("binance")["banned_until"] != ""
    on.until(lambda: control.truth()["now_ms"] > until_ms, "the ban being over")
    assert control.ask("GET", "/limits")["banned_until_ms"] == until_ms, "it was not made longer"
    assert control.ask("GET", "/limits")["asked_while_banned"] <= 4
    on.until(lambda: on.health("binance")["healthy"], "its being used again")
    assert len(on.switches()) == 1


def test_one_answer_in_twenty_that_fails_moves_nothing(on: Scene) -> None:
    on.world["bybit"].control.fault("http_5xx", params={"probability": 0.05, "seed": 5})
    with Traffic(on, callers=4, mixed=True) as traffic:
        on.until(lambda: traffic.calls >= CALLS, f"{CALLS} calls")
    assert on.world["bybit"].control.faults()[0]["hits"] > CALLS // 60
    assert (on.current, on.switches()) == ("bybit", [])


@pytest.mark.deep
def test_one_answer_in_five_that_fails_is_illness_and_judged_once(on: Scene) -> None:
    on.world["bybit"].control.fault("http_5xx", params={"probability": 0.2, "seed": 20})
    with Traffic(on, callers=4, mixed=True):
        switch = on.moved()
        on.rounds(switch["to_exchange"] or "", 50)
    assert any(words in switch["reason"] for words in ("%", "down", "at least half")), switch
    assert switch["evidence"]
    assert (on.current, len(on.switches())) == (switch["to_exchange"], 1)
