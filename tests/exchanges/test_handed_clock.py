"""The clock that one life of a port leaves to the next, and what may be signed by it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app.domain.calls import (
    BalancesCall,
    BalancesResult,
    CallFailed,
    LookUpCall,
    NotExecuted,
    Placed,
    PositionsCall,
)
from app.exchanges import clock_offset
from app.process import private_file
from app.simulator.thread import Simulated, SimulatorThread
from tests.exchanges.desk import BTC, until, wire_id
from tests.exchanges.lives import Life, asked_for, first_life


@pytest.fixture
def sim(sims: SimulatorThread) -> Iterator[Simulated]:
    """Bybit."""
    yield sims["bybit"]
    sims["bybit"].control.clear_faults()


# ---- the clock -------------------------------------------------------------------------------------------------------


def test_nothing_is_signed_before_the_clock_is_known(sim: Simulated, tmp_path: Path) -> None:
    """With the offset lost, each signed call waits for one measurement, and is not sent where there is none."""
    path = first_life(sim, tmp_path)
    path.with_suffix(".clock").unlink()
    sim.control.fault("http_5xx", call="time")
    with Life(sim, tmp_path) as life:
        life.clock.behind_s = 60.0
        assert life.port.take_over()
        placements = asked_for(sim, "place")
        placed = life.place()
        assert isinstance(placed, NotExecuted)
        assert placed.code == "clock_unknown"
        assert placed.ill
        assert asked_for(sim, "place") == placements
        now_s = life.clock()
        for call in (
            BalancesCall(deadline_s=now_s + 4),
            PositionsCall(deadline_s=now_s + 4),
            LookUpCall(symbol=BTC, wire_id=wire_id(), exchange_order_id=None, since_s=now_s, deadline_s=now_s + 4),
        ):
            failed = life.do(call)
            assert isinstance(failed, CallFailed)
            assert failed.code == "clock_unknown"
        sim.control.clear_faults()
        assert isinstance(life.place(), Placed), "measured for the order, a minute off"
        assert life.port.clock_offset_s == pytest.approx(60, abs=1)
        assert isinstance(life.do(BalancesCall(deadline_s=life.clock() + 4)), BalancesResult)


def test_the_offset_holds_for_a_clock_anchored_at_another_date(sim: Simulated, tmp_path: Path) -> None:
    first_life(sim, tmp_path)
    sim.control.fault("http_5xx", call="time")
    with Life(sim, tmp_path) as life:
        life.clock.behind_s = 40.0
        assert life.port.take_over()
        assert life.port.clock_offset_s == pytest.approx(40, abs=1)
        assert isinstance(life.place(), Placed)


@pytest.mark.parametrize(
    ("change", "usable"),
    [
        ({}, True),
        ({"boot": "another"}, False),
        ({"boot_s": -901.0}, False),
        ({"boot_s": 5.0}, False),
        ({"raw_s": -0.3}, False),
        ({"server_minus_boot_s": "x"}, False),
    ],
    ids=str,
)
def test_an_offset_that_may_have_drifted_is_not_handed_over(
    tmp_path: Path, change: dict[str, Any], usable: bool
) -> None:
    """Of another boot, too old, of a time to come, slewed since, or damaged."""
    path = tmp_path / "markets" / "x.clock"
    held = clock_offset.Measured(3.0, 0.1, time.time())
    clock_offset.OffsetFile(path, exchange="bybit").write(held, time.time)
    found = json.loads(path.read_bytes())
    for key, value in change.items():
        found[key] = found[key] + value if isinstance(value, float) else value
        if key == "boot_s":
            found["raw_s"] += value
    path.write_text(json.dumps(found))
    handed = clock_offset.OffsetFile(path, exchange="bybit").read(time.time)
    if not usable:
        assert handed is None
        return
    assert handed is not None
    assert handed.offset_s == pytest.approx(3.0, abs=0.1)
    assert handed.error_s == pytest.approx(0.1, abs=0.05)


def test_what_was_handed_over_stands_until_something_errs_less() -> None:
    offset = clock_offset.ClockOffset()
    offset.hand_over(clock_offset.Measured(5.0, 0.1, 10.0))
    assert offset.value_s == 5.0
    assert offset.measured(10.0, 15.6, 10.8) == pytest.approx(5.2)
    assert offset.value_s == 5.0, "0.8 s on the way: it may err by 0.4"
    offset.measured(20.0, 25.02, 20.02)
    assert offset.value_s == pytest.approx(5.01)
    offset.hand_over(clock_offset.Measured(5.0, 0.0, 20.0))
    assert offset.value_s == pytest.approx(5.01), "too late"


def test_measurements_that_prove_it_wrong_replace_what_was_handed_over() -> None:
    offset = clock_offset.ClockOffset()
    offset.hand_over(clock_offset.Measured(5.0, 0.01, 10.0))
    offset.measured(10.0, 12.2, 10.4)
    assert offset.value_s == 5.0, "it may be an answer out of some cache"
    offset.measured(10.4, 12.6, 10.8)
    assert offset.value_s == pytest.approx(2.0)


def test_a_measurement_that_may_err_by_more_than_proofs_allow_is_none() -> None:
    offset = clock_offset.ClockOffset(0.5)
    offset.hand_over(clock_offset.Measured(5.0, 0.6, 10.0))
    assert offset.measured(10.0, 15.5, 11.1) is None
    assert not offset.known
    assert offset.measured(11.1, 16.6, 12.0) == pytest.approx(5.05)
    assert offset.known
    assert offset.measured(20.0, 35.0, 25.0) is None
    assert offset.known
    assert offset.measured(25.0, 40.0, 30.0) is None
    assert not offset.known, "no measurements, but they prove the other one wrong"


def test_an_old_measurement_gives_way_to_a_new_one() -> None:
    """Clocks drift: what was closer to the truth half an hour ago is not by now."""
    offset = clock_offset.ClockOffset()
    offset.measured(0.0, 5.001, 0.002)
    offset.measured(1800.0, 1805.35, 1800.1)
    assert offset.value_s == pytest.approx(5.3)


def test_a_slow_reading_of_the_file_moves_no_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the disk takes, and whenever the process is set aside between its readings of two clocks."""
    time_s = [1000.0]
    stops_s = [0.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 0.0, 0.0]

    def read(offset_s: float) -> float:
        time_s[0] += stops_s.pop() if stops_s else 0.0
        return time_s[0] + offset_s

    monkeypatch.setattr(clock_offset, "_boot_s", lambda: read(0.0))
    monkeypatch.setattr(clock_offset, "_raw_s", lambda: time_s[0])
    path = tmp_path / "markets" / "x.clock"
    clock_offset.OffsetFile(path, exchange="bybit").write(clock_offset.Measured(3.0, 0.0, 6000.0), lambda: read(5000.0))
    really = private_file.read_private

    def slowly(*arguments: Any) -> bytes | None:
        content = really(*arguments)
        time_s[0] += 11.0
        return content

    monkeypatch.setattr(clock_offset, "read_private", slowly)
    stops_s[:] = [0.0, 0.0, 0.0, 0.0, 13.0, 0.0, 0.0, 0.0]
    handed = clock_offset.OffsetFile(path, exchange="bybit").read(lambda: read(5000.0))
    assert handed is not None
    assert handed.offset_s == pytest.approx(3.0, abs=0.001)


def test_the_time_it_takes_to_connect_moves_no_clock(
    sim: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first packet that is lost costs a second, all of it on one of the two ways."""
    path = first_life(sim, tmp_path)
    path.with_suffix(".clock").unlink()
    really = aiohttp.TCPConnector.connect

    async def late(*arguments: Any) -> Any:
        await asyncio.sleep(1.2)
        return await really(*arguments)

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", late)
    with Life(sim, tmp_path) as life:
        assert life.port.take_over()
        assert life.open() == ""
        until(lambda: life.port._offset.known, means="a measurement")
        assert life.port.clock_offset_s == pytest.approx(0, abs=0.3)


def test_nothing_is_signed_by_a_clock_that_took_too_long_to_be_told(sim: Simulated, tmp_path: Path) -> None:
    path = first_life(sim, tmp_path)
    path.with_suffix(".clock").unlink()
    sim.control.fault("slow", call="time", params={"delay_s": 1.3})
    with Life(sim, tmp_path) as life:
        assert life.port.take_over()
        placed = life.place()
        assert isinstance(placed, NotExecuted)
        assert (placed.code, placed.ill) == ("clock_unknown", True)
        assert "took too long to tell its time" in placed.words
        sim.control.clear_faults()
        assert isinstance(life.place(), Placed)
