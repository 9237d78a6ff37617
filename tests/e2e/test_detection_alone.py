"""Scenes that need a world of their own: what is wrong from the start, what flaps, and a single exchange on trial."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from app.core.order_router import NoExchangeAvailable, OrderOutcomeUnknown
from tests.e2e.scenes import PATIENCE_S, QUICK, Scene, Traffic, scene
from tests.e2e.world import World, place, until

FLAPS = 5
UP_S = DOWN_S = 1.2
"""Of a primary that flaps: long enough to be found each time, if it were looked at alike each time."""


def test_wrong_credentials_of_the_primary_are_an_alarm_and_no_switch(tmp_path: Path) -> None:
    """A typing error is no outage: the backup would trade, and nobody would know that the primary never did."""
    with World(["bybit", "okx"], tmp_path / "state", **QUICK) as world:
        tables = world.tables()
        tables["exchanges"]["bybit"]["secret"] = "not-the-secret-of-this-key"
        router = world.router(config=tables)
        router.start()
        try:
            until(lambda: router.get_status()["exchange_health"]["okx"]["healthy"], patience_s=PATIENCE_S)
            found = until(lambda: router.get_status()["exchange_health"]["bybit"]["credentials"], patience_s=PATIENCE_S)
            assert found
            until(lambda: "credentials" in router.get_status()["words"], patience_s=PATIENCE_S, means="an alarm")
            since = len(world["okx"].control.requests())
            until(lambda: len(world["okx"].control.requests()) >= since + 8, patience_s=PATIENCE_S)
            assert router.get_status()["current_exchange"] == "bybit"
            assert router.get_failover_history() == []
            answered = place(router, "with the wrong key", timeout_s=2.0)
            assert answered.order is None
            assert world.placements() == 0 or not world["okx"].control.truth()["orders"]
            router.manual_failover("okx")
            assert place(router, "by hand").order is not None
        finally:
            router.close()


@pytest.mark.deep
def test_a_primary_that_flaps_is_returned_to_more_and_more_rarely(tmp_path: Path) -> None:
    """With failback by itself, that is as often as it could be fooled; intervals are scaled down forty times."""
    health = {"hold_down_s": 1.0, "hold_down_max_s": 30.0, "flap_half_life_s": 20.0}
    failover = {"failback": "auto", "hold_down_s": 1.0}
    with scene(["bybit", "okx"], tmp_path, health=health, failover=failover) as on:
        on.begin()
        with Traffic(on, callers=1, pause_s=0.05) as traffic:
            for _ in range(FLAPS):
                on.world["bybit"].control.fault("refused")
                _pass(on, DOWN_S)
                on.world["bybit"].control.clear_faults()
                _pass(on, UP_S)
        done = [s for s in on.switches() if s["result"] == "completed"]
        assert 1 <= len(done) <= 4, done
        assert sum(answered.order is not None for answered in traffic.answers) > len(traffic.answers) * 0.6


def _pass(on: Scene, for_s: float) -> None:
    """So long passes, by the exchange's clock: what flaps does so by time, and not by what it meets."""
    control = on.world["okx"].control
    end_ms = control.truth()["now_ms"] + for_s * 1000
    until(lambda: control.truth()["now_ms"] >= end_ms, patience_s=for_s + PATIENCE_S)


def test_the_first_order_after_a_return_is_its_trial(tmp_path: Path) -> None:
    """A single exchange that is back is used at once, and trusted only when orders went through."""
    health = {"hold_down_s": 0.0, "trial_calls": 1000, "flap_half_life_s": 600.0}
    with scene(["okx"], tmp_path, health=health) as on:
        control = on.world["okx"].control
        control.fault("refused")
        on.until(lambda: on.health("okx")["state"] == "down", "its being down")
        refused = place(on.router, "while it is down", timeout_s=1.0)
        assert isinstance(refused.error, NoExchangeAvailable | OrderOutcomeUnknown), refused
        control.clear_faults()
        on.until(lambda: on.health("okx")["state"] == "half_open", "its being on trial")
        began_s = time.monotonic()
        trial = place(on.router, "the trial")
        assert trial.order is not None, trial
        assert time.monotonic() - began_s < 3.0
        assert on.health("okx")["state"] == "half_open", "one is not enough"
        control.fault("http_5xx", call="orders")
        place(on.router, "a trial that fails", timeout_s=2.0)
        # Its probes being answered, it is on trial again the moment after.
        on.until(lambda: on.health("okx")["flap_penalty"] > 1.5, "its being down again by that")
        probes = [row for row in control.requests()[-20:] if row["call"] in ("time", "balance", "account")]
        assert all(row["status"] == 200 for row in probes), "which no probe has said"
