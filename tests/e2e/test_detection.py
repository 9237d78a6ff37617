"""An exchange falls ill in one way at a time: what is noticed, what is decided, and on what evidence.

Decided at once, since there is nothing left to be done there. What leaves time for more is in `test_detection_planned`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from app.core.order_router import NoExchangeAvailable, OrderRefused
from tests.e2e.scenes import Scene, Traffic, scene
from tests.e2e.world import BTC, Heard, actor_pid, place, restarted

NAMES = ("bybit", "okx", "binance")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One world for all scenes."""
    with scene(NAMES, tmp_path_factory.mktemp("scenes")) as ground:
        yield ground


@pytest.fixture
def on(ground: Scene) -> Scene:
    """All is well, and trading is on bybit."""
    ground.begin()
    return ground


def evidence(switch: object) -> str:
    """What a switch rests on, in one text."""
    assert isinstance(switch, dict)
    return f"{switch['reason']}; {'; '.join(switch['evidence'])}"


# ---- where trading has to go ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "cause"), [("http_5xx", "server"), ("blackhole", "silent"), ("drop_before", "connection")]
)
def test_an_exchange_that_answers_nobody_is_left_and_it_is_said_why(on: Scene, fault: str, cause: str) -> None:
    on.world["bybit"].control.fault(fault)
    switch = on.moved(to="okx")
    assert switch["reason"].startswith("bybit is down")
    assert len(switch["evidence"]) >= 2, "more than one witness"
    assert on.health("bybit")["cause"] == cause


def test_a_maintenance_that_nobody_announced_is_called_one(on: Scene) -> None:
    """It says itself that it is closed: that is no outage, and known at once."""
    on.world["bybit"].control.maintenance(True, message="Unplanned upgrade")
    switch = on.moved(to="okx")
    assert "maintenance" in evidence(switch)
    assert on.until(lambda: on.health("bybit")["believed"] == "maintenance", "its being called a maintenance")
    on.world["bybit"].control.maintenance(False)
    on.until(lambda: on.health("bybit")["healthy"], "bybit being back")
    assert len(on.switches()) == 1


def test_a_backup_whose_credentials_are_wrong_is_passed_over_with_the_reason(on: Scene) -> None:
    on.world["okx"].control.revoke(on.world["okx"].api_key)
    on.until(lambda: on.health("okx")["credentials"], "wrong credentials being told")

    def refused() -> str:
        found = {each["exchange"]: each for each in on.router.get_status()["readiness"]}["okx"]
        return "" if found["ready"] else str(found)

    assert "okx" in on.until(refused, "okx not being ready")
    on.world["bybit"].control.fault("refused")
    on.moved(to="binance")


def test_a_monitor_that_is_killed_knows_again_who_is_down(on: Scene) -> None:
    on.world["bybit"].control.fault("refused")
    on.moved(to="okx")
    pid = actor_pid(on.router, "health_monitor:health_monitor")
    os.kill(pid, signal.SIGKILL)
    on.until(lambda: restarted(on.router, "health_monitor:health_monitor", pid), "a new monitor")
    seen = {on.health("bybit")["believed"] for _ in range(20)}
    assert seen == {"down"}, "from the first moment on"
    on.rounds("okx", 6)
    assert on.current == "okx"
    assert len(on.switches()) == 1


# ---- where it has to stay -------------------------------------------------------------------------------------------


def test_credentials_that_are_revoked_are_told_and_trading_stays(on: Scene) -> None:
    """Whoever fails over from a wrong key stands on the next exchange with the same mistake, or without positions."""
    since, heard = on.requests("bybit"), Heard(on.router)
    on.world["bybit"].control.revoke(on.world["bybit"].api_key)
    words = on.until(lambda: on.health("bybit")["credentials"], "wrong credentials being told")
    assert "bybit" in words or "10003" in words or "API key" in words
    on.until(lambda: "credentials" in on.router.get_status()["words"], "an alarm")
    on.until(lambda: len(on.asked("bybit", since, "balance", "account")) >= 5, "five signed probes more")
    assert (on.current, on.switches()) == ("bybit", [])
    on.world["bybit"].control.revoke(on.world["bybit"].api_key, False)
    on.until(lambda: not on.health("bybit")["credentials"], "the alarm being over")
    alarms = [("credentials", "bybit", False), ("credentials", "bybit", True)]
    on.until(lambda: heard.alarms() == alarms, "a bot hearing of it, and of its end")
    heard.close()
    assert place(on.router, "known again").order is not None


def test_one_halted_symbol_is_told_and_the_others_trade_on(on: Scene) -> None:
    on.world["bybit"].control.suspend(BTC, True)
    for n in range(8):  # more than the placements that make an exchange down if they fail in a row
        answered = place(on.router, f"halted-{n}", timeout_s=0.5)
        assert isinstance(answered.error, OrderRefused | NoExchangeAvailable), answered
        assert "110074" in str(answered.error), "in its own words"
        other = place(on.router, f"trades-{n}", symbol="ETHUSDT", qty="0.1", price="1500")
        assert other.order is not None, other
        assert other.order["exchange"] == "bybit"
    assert "BTC/USDT:USDT" in on.until(lambda: on.health("bybit")["halted"], "the halt being told")
    assert on.health("bybit")["state"] == "well"
    assert on.switches() == []
    on.world["bybit"].control.suspend(BTC, False)
    assert place(on.router, "open again").order is not None
    on.until(lambda: not on.health("bybit")["halted"], "the halt being over")


@pytest.mark.parametrize("whose", ["ours", "theirs"])
@pytest.mark.parametrize("jump_s", [30.0, -30.0])
def test_a_clock_that_jumps_is_measured_anew_and_nothing_moves(on: Scene, whose: str, jump_s: float) -> None:
    """Ours is a jump of all of theirs; exchanges refuse what is signed by the wrong time."""
    for name in on.world.names if whose == "ours" else ("bybit",):
        on.world[name].control.clock(jump_s)

    def measured() -> bool:
        offset_ms = on.health("bybit")["clock_offset_ms"]
        return offset_ms is not None and abs(offset_ms / 1000 - jump_s) < 1.0

    on.until(measured, "the jump being measured")
    assert place(on.router, f"after {whose} {jump_s}").order is not None
    on.rounds("bybit", 6)
    assert (on.current, on.switches()) == ("bybit", [])
    assert all(on.health(name)["state"] == "well" for name in on.world.names)


def test_a_short_ban_is_sat_out_and_not_asked_into(on: Scene) -> None:
    """Nothing is sent while it lasts, since that would make it longer; and orders get through afterwards."""
    on.begin("binance")
    control = on.world["binance"].control
    control.ban(2.0)
    until_ms = control.ask("GET", "/limits")["banned_until_ms"]
    answered = place(on.router, "during the ban")
    on.until(lambda: control.truth()["now_ms"] > until_ms, "the ban being over")
    limits = control.ask("GET", "/limits")
    assert limits["banned_until_ms"] == until_ms, "it was not made longer"
    assert limits["asked_while_banned"] <= 4, "one call of each kind found out"
    if answered.order is None:
        assert place(on.router, "after the ban").order is not None
    assert (on.current, on.switches()) == ("binance", [])


@pytest.mark.deep
def test_an_exchange_that_takes_no_order_for_its_rate_is_left_in_order(on: Scene) -> None:
    """Without an end, and though everything else is answered: our own limiter lets through enough to know."""
    on.world["bybit"].control.fault("http_429", call="orders")
    with Traffic(on):
        switch = on.moved(to="okx")
    assert "bybit is unfit: it has refused every placement" in switch["reason"]
    assert on.health("bybit")["state"] == "well"
    assert place(on.router, "after the limit").order is not None


# ---- and what leaves a trace --------------------------------------------------------------------------------------


def test_an_order_path_that_is_dead_is_left_though_everything_else_answers(on: Scene) -> None:
    """The classic of cheap probes: the time endpoint is well, and so are look-ups.

    The last scene, since an exchange whose newest order failed is no candidate for a minute, whatever probes say.
    """
    since = on.requests("bybit")
    on.world["bybit"].control.fault("http_5xx", call="orders")
    with Traffic(on, callers=10):
        switch = on.moved(to="okx")
    # Six placements in a row, or half of the last: whichever comes first, placing alone has told it.
    assert "place" in evidence(switch)
    probes = on.asked("bybit", since, "time", "balance", "account")
    assert probes
    assert all(row["status"] == 200 for row in probes), "whoever only probes has seen nothing"
    assert place(on.router, "after the order path").order is not None
