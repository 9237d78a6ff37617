"""Markets that are loaded anew beside trading, and listings that cannot be read."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.domain.calls import (
    Found,
    LookUpCall,
    NotFound,
    Placed,
    Refused,
)
from app.simulator.thread import Simulated, SimulatorThread
from tests.exchanges.altered import Altered, many
from tests.exchanges.desk import BTC, EXCHANGES, spec, symbol, until, wire_id
from tests.exchanges.lives import Life, first_life, kept


@pytest.fixture
def sim(sims: SimulatorThread) -> Iterator[Simulated]:
    """Bybit."""
    yield sims["bybit"]
    sims["bybit"].control.clear_faults()


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
            until(lambda: "does not trade it" in life.port.tradable("ETHUSDT"), means="the market being gone")
            assert "tick" in life.port.check(spec(price="20001"))
            assert isinstance(life.place(spec(price="20001")), Refused)
            now_s = life.clock()
            asked = LookUpCall(
                symbol=eth.symbol, wire_id=wire_id(), exchange_order_id=None, since_s=now_s - 9, deadline_s=now_s + 4
            )
            assert isinstance(life.do(asked), NotFound | Found)
            between.alter = lambda rows: rows
            until(lambda: life.port.tradable("ETHUSDT") == "", means="the market being back")
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

            until(loaded, means="loading again and again")
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
            until(lambda: between.of_markets() > asked + 8, means="loading again and again")
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
            until(lambda: b"C002USDT" in path.read_bytes(), means="the new markets being kept")
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
            until(lambda: life.port.tradable("BTCUSDT"), means="the change being seen")
            assert life.port.tradable("ETHUSDT") == ""
            refused = life.place()
            assert isinstance(refused, Refused)
            assert "changed the contract size of BTC/USDT:USDT from 0.01 to 0.1" in refused.words
            asked = between.of_markets()
            until(lambda: between.of_markets() > asked + 3, means="loading again and again")
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
            until(lambda: b"router_resized" in kept(tmp_path).read_bytes(), means="that being kept")
        assert len([line for line in told if line["event"] == "markets.resized"]) == 1, "told once"
        with Life(sim, tmp_path, base_url=between.base_url, markets_refresh_s=0.05) as life:
            assert life.port.take_over()
            life.port.live_in({BTC})
            assert life.open() == ""
            asked = between.of_markets()
            until(lambda: between.of_markets() > asked + 2, means="loading anew")
            assert "changed the contract size" in life.port.tradable("BTCUSDT")
        with Life(sim, tmp_path, base_url=between.base_url, markets_refresh_s=0.05) as life:
            assert life.port.take_over()
            life.port.live_in({symbol("ETHUSDT")})
            assert life.open() == ""
            until(lambda: life.port.tradable("BTCUSDT") == "", means="the new size being traded on")
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
            until(lambda: not held(), means="letting go of the answers")
            assert life.run(life.port._loaded_anew()) == ""
            until(lambda: not held(), means="letting go of the answers that were loaded anew")
            assert {str(each["info"]) for each in life.port._client.markets.values()} == {"{}"}
