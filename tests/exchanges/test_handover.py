"""What one life of a port leaves to the next: markets to trade on at once, and a clock to sign by."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.domain.calls import (
    NotExecuted,
    Placed,
)
from app.simulator.thread import Simulated, SimulatorThread
from tests.exchanges.desk import EXCHANGES, spec, until
from tests.exchanges.lives import NOWHERE, Life, asked_for, first_life, rewritten


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
    until(lambda: not left.exists(), means="the folder being tidied")
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
    "too old": (_head(loaded_s=time.time() - 93_000), "hours ago, longer than router.markets_max_age_s allows"),
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
            before = asked_for(sim, "account")
            assert life.open() == ""
            assert isinstance(life.place(), Placed)
            assert (asked_for(sim, "account") > before) is bool(asked)
        first_life(sim, tmp_path)
        path.unlink()
        first_life(sim, tmp_path)
