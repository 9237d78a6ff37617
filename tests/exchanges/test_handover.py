"""What one life of a port leaves to the next: markets to trade on at once, and a clock to sign by."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import itertools
import json
import os
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog

from app.domain.calls import (
    BalancesCall,
    BalancesResult,
    Call,
    CallFailed,
    Found,
    LookUpCall,
    NotExecuted,
    NotFound,
    PlaceCall,
    Placed,
    PositionsCall,
    Refused,
    Result,
)
from app.exchanges import clock_offset, shared_json
from app.exchanges.adapter import CcxtPort
from app.exchanges.factory import build_port
from app.exchanges.settings import Credentials, ExchangeSettings
from app.process import private_file
from app.simulator.thread import Simulated, SimulatorThread
from tests.exchanges.altered import Altered, many
from tests.exchanges.desk import BTC, EXCHANGES, Clock, spec, symbol, wire_id

PATIENCE_S = 10.0
NOWHERE = "http://127.0.0.1:9"
"""The discard port, where nobody listens."""


class Life:
    """One life of a port, on a thread with a loop that always turns; a context manager."""

    def __init__(self, sim: Simulated, folder: Path, *, base_url: str | None = None, **settings: Any) -> None:
        self.clock = Clock()
        self.port: CcxtPort = build_port(
            ExchangeSettings(
                name=sim.name,
                base_url=base_url or sim.base_url,
                request_timeout_s=2.0,
                allow_settlement_change=True,
                handover_dir=folder / "markets",
                **settings,
            ),
            Credentials(api_key=sim.api_key, secret=sim.secret, password=sim.password),
            self.clock,
        )
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> Life:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.port.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE_S)
        self.loop.close()

    def run(self, what: Any) -> Any:
        """What a coroutine returns."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(PATIENCE_S)

    def open(self) -> str:
        """Opens the port."""
        words: str = self.run(self.port.open(self.clock() + PATIENCE_S))
        return words

    def do(self, call: Call) -> Result:
        """Performs a call."""
        result: Result = self.run(self.port.perform(call))
        return result

    def place(self, what: Any = None) -> Result:
        """Places a resting order."""
        now_s = self.clock()
        what = what or spec()
        return self.do(
            PlaceCall(
                spec=what,
                quantity=what.quantity,
                wire_id=wire_id(),
                committed_s=now_s,
                expiry_s=now_s + 5,
                deadline_s=now_s + 4,
            )
        )


def until(what: Callable[[], Any], means: str) -> Any:
    """What `what` returns as soon as it is true."""
    end_s = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < end_s, f"{means} did not come true"
        threading.Event().wait(0.01)
    return found


def kept(folder: Path) -> Path:
    """The file of markets, once it is there."""
    found: Path = until(lambda: next(iter((folder / "markets").glob("*.json")), None), "markets being kept")
    return found


def first_life(sim: Simulated, folder: Path, **settings: Any) -> Path:
    """A life that leaves something; where."""
    with Life(sim, folder, **settings) as life:
        assert life.open() == ""
        return kept(folder)


def rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Changes head and body of a file, with a digest that is right again."""
    first, _, second = path.read_bytes().partition(b"\n")
    head, body = json.loads(first), shared_json.loads(second)
    change(head, body)
    second = shared_json.dumps(body).encode()
    if head.get("digest"):
        head["digest"] = hashlib.sha256(second).hexdigest()
    path.write_bytes(json.dumps(head).encode() + b"\n" + second)


@pytest.fixture
def sim(sims: SimulatorThread) -> Iterator[Simulated]:
    """Bybit."""
    yield sims["bybit"]
    sims["bybit"].control.clear_faults()


# ---- what is left ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_next_life_trades_at_once_while_nothing_but_orders_is_answered(
    sims: SimulatorThread, tmp_path: Path, name: str
) -> None:
    """Markets, time and account cannot be asked for, and the order is placed, signed by the exchange's clock."""
    sim = sims[name]
    first_life(sim, tmp_path)
    for call in ("markets", "time", "account"):
        sim.control.fault("http_5xx", call=call)
    try:
        with Life(sim, tmp_path) as life:
            life.clock.behind_s = 0.0
            assert life.port.take_over()
            assert life.port.ready
            assert life.port.check(spec()) == ""
            assert life.open() == ""
            assert isinstance(life.place(), Placed)
    finally:
        sim.control.clear_faults()


def test_what_is_left_is_for_its_user_only_and_holds_no_secret(sim: Simulated, tmp_path: Path) -> None:
    path = first_life(sim, tmp_path)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        for secret in (sim.api_key, sim.secret):
            assert secret.encode() not in file.read_bytes()
    assert {file.suffix for file in path.parent.iterdir()} == {".json", ".clock"}


def test_a_start_during_an_outage_knows_its_markets(sim: Simulated, tmp_path: Path) -> None:
    path = first_life(sim, tmp_path, base_url=None)
    rewritten(path, lambda head, _: head.update(address=NOWHERE))
    with Life(sim, tmp_path, base_url=NOWHERE) as life:
        path.rename(life.port._handover.markets.path)  # type: ignore[union-attr]
        assert life.port.take_over()
        assert life.open() == ""
        assert life.port.tradable("BTCUSDT") == ""
        placed = life.place()
        assert isinstance(placed, NotExecuted), placed


def test_what_is_no_longer_used_goes_and_what_others_are_writing_stays(sim: Simulated, tmp_path: Path) -> None:
    folder = tmp_path / "markets"
    folder.mkdir(mode=0o700)
    with subprocess.Popen(["true"]) as ended:
        pass
    theirs = folder / f".okx-swap-1.json.{os.getppid()}"
    left = folder / f".okx-swap-1.json.{ended.pid}"
    odd = folder / ".keep"
    old = [folder / f"okx-swap-{number}.json" for number in range(20)]
    for path in (theirs, left, odd, *old, *(path.with_suffix(".clock") for path in old)):
        path.touch()
    for age_s, path in enumerate(old):
        os.utime(path, (1000.0 - age_s, 1000.0 - age_s))
    os.utime(theirs, (1.0, 1.0))
    first_life(sim, tmp_path)
    until(lambda: not left.exists(), "the folder being tidied")
    assert theirs.exists()
    assert odd.exists()
    for suffix in (".json", ".clock"):
        assert set(folder.glob(f"okx*{suffix}")) == {path.with_suffix(suffix) for path in old[:15]}


# ---- what is not relied on -------------------------------------------------------------------------------------------

Spoil = Callable[[Path], object]


def _head(**values: Any) -> Spoil:
    return lambda path: rewritten(path, lambda head, _: head.update(values))


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


SPOILT: dict[str, tuple[Spoil, str]] = {
    "open to others": (lambda path: path.chmod(0o640), "mode 0640"),
    "a link": (_link, "cannot be opened"),
    "a pipe": (_pipe, "no regular file"),
    "empty": (lambda path: path.write_bytes(b""), "damaged"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "damaged"),
    "one digit differs": (lambda path: path.write_bytes(path.read_bytes().replace(b'"0.1"', b'"0.2"')), "damaged"),
    "no JSON": (lambda path: path.write_bytes(b"\x80\x04\x95." * 50), "damaged"),
    "too deep": (lambda path: path.write_bytes(b"[" * 100_000), "damaged"),
    "another schema": (_head(schema=0), "another schema"),
    "another ccxt": (_head(ccxt="4.0.0"), "another ccxt"),
    "another address": (_head(address="https://elsewhere"), "another address"),
    "other options": (_head(options="0" * 16), "another options"),
    "another exchange": (_head(exchange="okx"), "another exchange"),
    "no date": (_head(loaded_s=None), "does not say when"),
    "from the future": (_head(loaded_s=time.time() + 3600), "a time to come"),
    "too old": (_head(loaded_s=time.time() - 90_000), "25.0 hours ago"),
    "no markets": (lambda path: rewritten(path, lambda _, body: body.pop("markets")), "holds no markets"),
    "too large": (lambda path: os.truncate(path, 100 * 1024 * 1024), "more than the"),
}


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda name: name.replace(" ", "-"))
def test_what_cannot_be_relied_on_is_told_and_loaded_afresh(sim: Simulated, tmp_path: Path, spoil: str) -> None:
    path = first_life(sim, tmp_path)
    SPOILT[spoil][0](path)
    with Life(sim, tmp_path) as life:
        with structlog.testing.capture_logs() as told:
            assert not life.port.take_over()
        (line,) = [each for each in told if each["event"] == "markets.not_handed_over"]
        assert SPOILT[spoil][1] in line["words"]
        assert line["exchange"] == "bybit"
        assert not life.port.ready
        assert life.open() == ""
        assert isinstance(life.place(), Placed)


def test_a_file_of_another_user_is_not_read(sim: Simulated, tmp_path: Path) -> None:
    path = first_life(sim, tmp_path)
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 65534, -1)
    with Life(sim, tmp_path) as life, structlog.testing.capture_logs() as told:
        assert not life.port.take_over()
    assert "belongs to user id 65534" in told[0]["words"]


def test_nothing_is_taken_over_where_that_is_not_wanted(sim: Simulated, tmp_path: Path) -> None:
    first_life(sim, tmp_path)
    with Life(sim, tmp_path, markets_max_age_s=0.0) as life:
        assert not life.port.take_over()


def test_one_bad_market_in_the_file_does_not_stop_a_start(sim: Simulated, tmp_path: Path) -> None:
    path = first_life(sim, tmp_path)

    def spoil(_: dict[str, Any], body: dict[str, Any]) -> None:
        body["markets"]["ETH/USDT:USDT"]["precision"] = None
        body["markets"]["BAD"] = 7

    rewritten(path, spoil)
    with Life(sim, tmp_path) as life:
        assert life.port.take_over()
        assert life.open() == ""
        assert isinstance(life.place(), Placed)


def test_what_was_learned_of_another_account_is_not_recalled(sim: Simulated, tmp_path: Path) -> None:
    path = first_life(sim, tmp_path)

    def other(_: dict[str, Any], body: dict[str, Any]) -> None:
        assert body["account"]["learned"]["enableUnifiedAccount"] is True
        body["account"]["of"] = "somebody else's"

    for change, asked in ((other, 1), (lambda head, body: None, 0)):
        rewritten(path, change) if change is other else None
        with Life(sim, tmp_path) as life:
            assert life.port.take_over()
            before = _asked(sim, "account")
            assert life.open() == ""
            assert isinstance(life.place(), Placed)
            assert (_asked(sim, "account") > before) is bool(asked)
        first_life(sim, tmp_path)
        path.unlink()
        first_life(sim, tmp_path)


def _asked(sim: Simulated, call: str) -> int:
    return sum(1 for request in sim.control.requests() if request["call"] == call)


# ---- the clock -------------------------------------------------------------------------------------------------------


def test_nothing_is_signed_before_the_clock_is_known(sim: Simulated, tmp_path: Path) -> None:
    """With the offset lost, each signed call waits for one measurement, and is not sent where there is none."""
    path = first_life(sim, tmp_path)
    path.with_suffix(".clock").unlink()
    sim.control.fault("http_5xx", call="time")
    with Life(sim, tmp_path) as life:
        life.clock.behind_s = 60.0
        assert life.port.take_over()
        placements = _asked(sim, "place")
        placed = life.place()
        assert isinstance(placed, NotExecuted)
        assert placed.code == "clock_unknown"
        assert placed.ill
        assert _asked(sim, "place") == placements
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
        until(lambda: life.port._offset.known, "a measurement")
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


# ---- loaded anew -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXCHANGES)
def test_what_changed_meanwhile_applies_once_loaded_anew(sims: SimulatorThread, tmp_path: Path, name: str) -> None:
    """A coarser tick, and a market that is gone: not traded, and what rests there is still found."""
    sim = sims[name]
    with Altered(name, sim.base_url) as between:
        first_life(sim, tmp_path, base_url=between.base_url)
        with Life(sim, tmp_path, base_url=between.base_url, markets_refresh_s=0.05) as life:
            assert life.port.take_over()
            assert life.port.tradable("ETHUSDT") == ""
            eth = spec("0.1", of=symbol("ETHUSDT"), price="1000")
            assert isinstance(life.place(eth), Placed)
            held = life.place()
            assert isinstance(held, Placed)
            between.alter = _without_eth_and_coarser(name)
            assert life.open() == ""
            until(lambda: "does not trade it" in life.port.tradable("ETHUSDT"), "the market being gone")
            assert "tick" in life.port.check(spec(price="20001"))
            assert isinstance(life.place(spec(price="20001")), Refused)
            now_s = life.clock()
            asked = LookUpCall(
                symbol=eth.symbol, wire_id=wire_id(), exchange_order_id=None, since_s=now_s - 9, deadline_s=now_s + 4
            )
            assert isinstance(life.do(asked), NotFound | Found)
            between.alter = lambda rows: rows
            until(lambda: life.port.tradable("ETHUSDT") == "", "the market being back")
            assert life.port.check(spec(price="20001")) == ""


def test_a_market_that_one_list_lacks_is_still_traded(sim: Simulated, tmp_path: Path) -> None:
    """The exchange may have answered half a list: it is asked again before a symbol is turned away."""
    with Altered("bybit", sim.base_url) as between:
        first_life(sim, tmp_path, base_url=between.base_url)
        with Life(sim, tmp_path, base_url=between.base_url, markets_refresh_s=0.05) as life:
            assert life.port.take_over()
            lists = itertools.count()
            between.alter = lambda rows: rows[:1] if next(lists) == 0 else rows
            said: list[str] = []
            assert life.open() == ""
            asked = between.of_markets()

            def loaded() -> bool:
                said.append(life.port.tradable("ETHUSDT"))
                return between.of_markets() > asked + 8

            until(loaded, "loading again and again")
            assert set(said) == {""}


def _without_eth_and_coarser(name: str) -> Callable[[list[Any]], list[Any]]:
    def alter(rows: list[Any]) -> list[Any]:
        rows = [row for row in rows if "ETH" not in json.dumps(row)]
        for row in rows:
            if name == "bybit":
                row["priceFilter"]["tickSize"] = "10"
            elif name == "okx":
                row["tickSz"] = "10"
            elif name == "binance":
                row["pricePrecision"] = -1
                for each in row["filters"]:
                    if each["filterType"] == "PRICE_FILTER":
                        each["tickSize"] = "10"
            else:
                row["tickSize"] = 10
        return rows

    return alter


def test_markets_that_cannot_be_loaded_anew_stay_as_they_were(sim: Simulated, tmp_path: Path) -> None:
    with Altered("bybit", sim.base_url) as between, structlog.testing.capture_logs() as told:
        first_life(sim, tmp_path, base_url=between.base_url)
        with Life(sim, tmp_path, base_url=between.base_url, markets_refresh_s=0.05) as life:
            assert life.port.take_over()
            between.alter = lambda rows: []
            assert life.open() == ""
            asked = between.of_markets()
            until(lambda: between.of_markets() > asked + 8, "loading again and again")
            assert isinstance(life.place(), Placed)
    lines = [line for line in told if line["event"] == "exchange.not_refreshed"]
    assert len(lines) == 1, "told once"
    assert "listed no linear swap market" in lines[0]["words"]


def test_what_is_loaded_anew_is_what_the_next_life_takes_over(sim: Simulated, tmp_path: Path) -> None:
    with Altered("bybit", sim.base_url) as between:
        path = first_life(sim, tmp_path, base_url=between.base_url)
        between.alter = many(3)
        with Life(sim, tmp_path, base_url=between.base_url, markets_refresh_s=0.05) as life:
            assert life.port.take_over()
            assert life.open() == ""
            until(lambda: b"C002USDT" in path.read_bytes(), "the new markets being kept")
        with Life(sim, tmp_path, base_url=between.base_url) as life:
            assert life.port.take_over()
            assert life.port.tradable("C002USDT") == ""


def test_nothing_is_sized_anew_under_orders_that_live(sims: SimulatorThread, tmp_path: Path) -> None:
    """A contract of OKX becomes ten times as large: orders go on being counted in the old ones, and no new one goes."""
    sim = sims["okx"]

    def tenfold(rows: list[Any]) -> list[Any]:
        return [{**row, "ctVal": "0.1"} if row["instId"] == "BTC-USDT-SWAP" else row for row in rows]

    with Altered("okx", sim.base_url) as between, structlog.testing.capture_logs() as told:
        first_life(sim, tmp_path, base_url=between.base_url)
        with Life(sim, tmp_path, base_url=between.base_url, markets_refresh_s=0.05) as life:
            assert life.port.take_over()
            filled = life.place(spec(price=None))
            assert isinstance(filled, Placed)
            between.alter = tenfold
            assert life.open() == ""
            until(lambda: life.port.tradable("BTCUSDT"), "the change being seen")
            assert life.port.tradable("ETHUSDT") == ""
            refused = life.place()
            assert isinstance(refused, Refused)
            assert "changed the contract size of BTC/USDT:USDT from 0.01 to 0.1" in refused.words
            asked = between.of_markets()
            until(lambda: between.of_markets() > asked + 3, "loading again and again")
            now_s = life.clock()
            assert filled.report.wire_id is not None
            found = life.do(
                LookUpCall(
                    symbol=BTC,
                    wire_id=filled.report.wire_id,
                    exchange_order_id=filled.report.exchange_order_id,
                    since_s=now_s - 60,
                    deadline_s=now_s + 4,
                )
            )
            assert isinstance(found, Found)
            assert found.report.filled == Decimal("0.01")
            until(lambda: b"router_resized" in kept(tmp_path).read_bytes(), "that being kept")
        assert len([line for line in told if line["event"] == "markets.resized"]) == 1, "told once"
        with Life(sim, tmp_path, base_url=between.base_url, markets_refresh_s=0.05) as life:
            assert life.port.take_over()
            life.port.live_in({BTC})
            assert life.open() == ""
            asked = between.of_markets()
            until(lambda: between.of_markets() > asked + 2, "loading anew")
            assert "changed the contract size" in life.port.tradable("BTCUSDT")
        with Life(sim, tmp_path, base_url=between.base_url, markets_refresh_s=0.05) as life:
            assert life.port.take_over()
            life.port.live_in({symbol("ETHUSDT")})
            assert life.open() == ""
            until(lambda: life.port.tradable("BTCUSDT") == "", "the new size being traded on")
            assert life.port._table.known(BTC).rules.contract_size == Decimal("0.1")


# ---- bad listings ----------------------------------------------------------------------------------------------------

BAD: dict[str, Callable[[Any], Any]] = {
    "no-object": lambda row: None,
    "no-name": lambda row: {key: value for key, value in row.items() if key not in ("symbol", "instId")},
    "no-coins": lambda row: {
        key: None if key in ("baseCoin", "quoteCoin", "settleCoin", "baseAsset", "marginAsset", "type") else value
        for key, value in row.items()
    },
    "words-for-numbers": lambda row: {
        key: "garbage" if key in ("lever", "tickSz", "pricePrecision", "contractValueTradePrecision") else value
        for key, value in row.items()
    },
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", EXCHANGES)
def test_one_bad_listing_does_not_hide_the_others(sims: SimulatorThread, tmp_path: Path, name: str, bad: str) -> None:
    sim = sims[name]
    with Altered(name, sim.base_url) as between:
        between.alter = lambda rows: [*rows, BAD[bad](many(1)(rows)[-1])]
        with Life(sim, tmp_path, base_url=between.base_url) as life:
            assert life.open() == ""
            assert life.port.tradable("ETHUSDT") == ""
            placed = life.place()
            assert isinstance(placed, Placed), placed
        path = kept(tmp_path)
        assert b"C000" not in path.read_bytes().partition(b"\n")[0]
        with Life(sim, tmp_path, base_url=between.base_url) as life:
            assert life.port.take_over()


def test_an_order_does_not_wait_while_many_markets_are_loaded(sim: Simulated, tmp_path: Path) -> None:
    """Seven hundred are taken over in a moment, and loaded anew on another thread while orders go on."""
    with Altered("bybit", sim.base_url) as between:
        between.alter = many(1400)
        first_life(sim, tmp_path, base_url=between.base_url)
        with Life(sim, tmp_path, base_url=between.base_url, markets_refresh_s=0.01) as life:
            assert life.port.take_over()
            assert life.port.check(spec(price=Decimal(20000))) == ""
            assert life.open() == ""
            asked = between.of_markets()
            longest_s = life.run(_longest_turn_s(lambda: between.of_markets() > asked + 4))
            assert isinstance(life.place(), Placed)
    assert longest_s < 0.03, "the loop that carries orders went on turning"


async def _longest_turn_s(over: Callable[[], bool]) -> float:
    """Of the loop's own CPU time, which what other threads and processes take does not count in."""
    longest_s, last_s = 0.0, time.thread_time()
    while not over():
        await asyncio.sleep(0.001)
        now_s = time.thread_time()
        longest_s, last_s = max(longest_s, now_s - last_s), now_s
    return longest_s


def test_nothing_of_the_answers_is_kept(sim: Simulated, tmp_path: Path) -> None:
    """They are megabytes; the connections' callbacks, and ccxt's own last words, would hold them for good."""

    def marked(rows: list[Any]) -> list[Any]:
        return [{**row, "marked": {"by": "this test"}} for row in rows]

    def held() -> int:
        gc.collect()
        return sum(1 for each in gc.get_objects() if type(each) is dict and each.get("marked") == {"by": "this test"})

    with Altered("bybit", sim.base_url) as between:
        between.alter = marked
        with Life(sim, tmp_path, base_url=between.base_url) as life:
            assert life.open() == ""
            until(lambda: not held(), "letting go of the answers")
            assert life.run(life.port._loaded_anew()) == ""
            until(lambda: not held(), "letting go of the answers that were loaded anew")
            assert {str(each["info"]) for each in life.port._client.markets.values()} == {"{}"}
