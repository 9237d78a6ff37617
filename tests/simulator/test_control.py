"""The control interface: the truth, the log, prices, fills, deposits, positions; and sentences for bad input."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from app.simulator.client import ControlClient, ControlError
from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.real_clients import BTC, client_id, order_of, trade


@pytest.fixture
def sim() -> Iterator[Simulated]:
    """A fresh Bybit with one resting order of 0.01 BTC at 25000."""
    with SimulatorThread(["bybit"]) as sims:
        found = sims["bybit"]

        async def act(client: Any) -> None:
            await client.create_order(BTC, "limit", "buy", 0.01, 25000, {"clientOrderId": client_id()})

        trade(found, act)
        yield found


def test_the_truth_of_a_resting_order(sim: Simulated) -> None:
    """Every field, decimals as strings."""
    truth = sim.control.truth()
    [order] = truth["orders"]
    assert {k: order[k] for k in ("client_order_id", "symbol", "side", "type", "qty", "price", "status", "filled")} == {
        "client_order_id": client_id(),
        "symbol": BTC,
        "side": "buy",
        "type": "limit",
        "qty": "0.01",
        "price": "25000",
        "status": "open",
        "filled": "0",
    }
    assert (order["avg_price"], order["reduce_only"], order["take_profit"]) == (None, False, None)
    assert order["created_ms"] == order["updated_ms"] <= truth["now_ms"]
    assert (truth["exchange"], truth["fills"], truth["positions"]) == ("bybit", [], {})
    assert truth["balance"] == {"USDT": "100000"}


def test_a_price_fills_what_it_reaches(sim: Simulated) -> None:
    """By canonical or native symbol; the fills are answered, and in the truth."""
    assert sim.control.price("BTCUSDT", "25000.1") == []
    [fill] = sim.control.price(BTC, 24900)
    assert (fill["client_order_id"], fill["qty"], fill["price"], fill["side"]) == (client_id(), "0.01", "25000", "buy")
    truth = sim.control.truth()
    assert truth["fills"] == [fill]
    assert truth["positions"] == {BTC: "0.01"}
    assert truth["balance"] == {"USDT": "99999.95"}
    assert order_of(sim, client_id())["avg_price"] == "25000"


def test_a_fill_in_parts(sim: Simulated) -> None:
    """By either id."""
    sim.control.fill(client_order_id=client_id(), qty="0.004")
    assert order_of(sim, client_id())["status"] == "partially_filled"
    sim.control.fill(order_id=order_of(sim, client_id())["order_id"])
    assert order_of(sim, client_id())["status"] == "filled"
    with pytest.raises(ControlError, match="is filled"):
        sim.control.fill(client_order_id=client_id())


def test_deposits_and_a_persons_position(sim: Simulated) -> None:
    """Neither leaves an order."""
    sim.control.deposit("USDT", "-99990")
    sim.control.deposit("BTC", "0.5")
    sim.control.position(BTC, "-0.25")
    truth = sim.control.truth()
    assert truth["balance"] == {"USDT": "10", "BTC": "0.5"}
    assert truth["positions"] == {BTC: "-0.25"}
    assert len(truth["orders"]) == 1
    sim.control.position(BTC, 0)
    assert sim.control.truth()["positions"] == {}


def test_the_log_says_what_arrived(sim: Simulated) -> None:
    """In order, with call, client order id and status."""
    log = sim.control.requests()
    assert [entry["call"] for entry in log if entry["call"] in ("markets", "place")] == ["markets", "markets", "place"]
    placed = log[-1]
    assert {k: placed[k] for k in ("call", "method", "path", "client_order_id", "fault", "status")} == {
        "call": "place",
        "method": "POST",
        "path": "/v5/order/create",
        "client_order_id": client_id(),
        "fault": None,
        "status": 200,
    }


def test_bad_input_is_answered_with_a_sentence(sim: Simulated) -> None:
    """400 and what would be right."""
    control = sim.control
    for call, words in (
        (lambda: control.price("DOGE", 1), "There is no market 'DOGE'; there are BTC/USDT:USDT"),
        (lambda: control.price(BTC, "much"), "price must be a number"),
        (lambda: control.price(BTC, "NaN"), "finite"),
        (lambda: control.price(BTC, "25000.05"), "multiple of the tick"),
        (lambda: control.price(BTC, -1), "positive"),
        (lambda: control.fill(), "either client_order_id or order_id"),
        (lambda: control.fill(client_order_id="x"), "no order 'x'"),
        (lambda: control.fill(client_order_id=client_id(), qty="1"), "at most 0.01"),
        (lambda: control.deposit("", 1), "coin"),
        (lambda: control.position(BTC, "0.0001"), "multiple of the step"),
        (lambda: control.clear_fault(99), "There is no fault rule 99"),
    ):
        with pytest.raises(ControlError, match=words):
            call()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/price", b"{", 400, "no JSON"),
        ("POST", "/price", b"[]", 400, "must be a JSON object"),
        ("POST", "/price", b'{"symbol": "BTCUSDT", "prize": 1}', 400, "'prize' is not taken here"),
        ("POST", "/fault", b'{"kind": "slow", "params": 1}', 400, "params must be an object"),
        ("POST", "/fault", b'{"kind": "hang_after", "count": "two"}', 400, "whole number"),
        ("DELETE", "/fault/x", None, 400, "is a whole number, not 'x'"),
        ("GET", "/nowhere", None, 404, "Not Found"),
        ("GET", "/price", None, 405, "Method Not Allowed"),
    ],
)
def test_malformed_requests(
    sim: Simulated, method: str, path: str, body: bytes | None, status: int, words: str
) -> None:
    """As a person with curl would send them."""
    request = urllib.request.Request(sim.control_url + path, data=body, method=method)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as answer:
        assert answer.code == status
        assert words in json.load(answer)["error"]


def test_exchanges_of_one_thread_do_not_share_anything() -> None:
    """Two of them, each with its own engine, ports and faults; an unknown one is refused by name."""
    with SimulatorThread(["bybit", "okx"]) as sims:
        one, two = sims["bybit"], sims["okx"]
        assert len({one.base_url, two.base_url, one.control_url, two.control_url}) == 4
        one.control.price(BTC, 30000)
        one.control.fault("refused")
        assert two.control.truth()["prices"][BTC] == "27000"
        assert two.control.faults() == []
    with pytest.raises(OSError, match="refused"):
        ControlClient(two.control_url, timeout_s=1).truth()
    with pytest.raises(ValueError, match="There is no simulated exchange 'mtgox'"), SimulatorThread(["mtgox"]):
        pass
