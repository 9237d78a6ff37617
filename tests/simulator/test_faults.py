"""Every fault, seen by the real client, with what was executed proven by the truth."""

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import ccxt.async_support as ccxt
import pytest

from app.simulator.client import ControlError
from app.simulator.dialects.base import LATENESS_BOUND_S, Call
from app.simulator.fault_rules import Kind
from app.simulator.faults import Faults
from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.real_clients import BTC, arrived, client_id, eventually, impatient, order_of, orders_of, trade

SHORT_MS = 300
"""How long an impatient client waits for an answer to what it has sent."""


@pytest.fixture(params=["bybit", "okx"])
def sim(request: pytest.FixtureRequest) -> Iterator[Simulated]:
    """One exchange of each kind of expiry check that only the gateway makes."""
    with SimulatorThread([request.param]) as sims:
        yield sims[request.param]


def place(sim: Simulated, n: int = 1, *, answer_ms: int | None = None) -> Any:
    """Buy the smallest amount at the market under client id n; the exception is returned, not raised.

    With `answer_ms` the client is impatient; what it gave up has arrived when this returns.
    """

    async def act(client: Any) -> Any:
        await client.fetch_balance()  # bybit's first private call makes two more
        amount = client.market(BTC)["limits"]["amount"]["min"]
        with impatient(client, answer_ms) if answer_ms is not None else nullcontext():
            try:
                return await client.create_order(BTC, "market", "buy", amount, None, {"clientOrderId": client_id(n)})
            except ccxt.BaseError as error:
                return error

    result = trade(sim, act)
    if answer_ms is not None:
        arrived(sim, "place")
    return result


@pytest.mark.parametrize(
    ("kind", "params", "executed", "error"),
    [
        ("blackhole", {}, False, ccxt.RequestTimeout),
        ("hang_before", {}, False, ccxt.RequestTimeout),
        ("hang_after", {}, True, ccxt.RequestTimeout),
        ("drop_before", {}, False, ccxt.ExchangeNotAvailable),
        ("drop_after", {}, True, ccxt.ExchangeNotAvailable),
        ("http_5xx", {}, False, ccxt.ExchangeNotAvailable),
        ("http_5xx", {"status": 502, "executed": True}, True, ccxt.ExchangeNotAvailable),
    ],
)
def test_a_lost_answer_says_nothing_about_the_execution(
    sim: Simulated, kind: str, params: dict[str, object], executed: bool, error: type[Exception]
) -> None:
    """The client's exception is the same whether the order was executed or not; only the truth tells."""
    sim.control.fault(kind, call="place", count=1, params=params)
    assert isinstance(place(sim, answer_ms=SHORT_MS), error)
    assert bool(orders_of(sim, client_id())) is executed
    placed = next(r for r in sim.control.requests() if r["call"] == "place")
    assert placed["fault"] == kind
    assert placed["client_order_id"] == client_id()
    assert placed["status"] == (params.get("status", 503) if kind == "http_5xx" else None)
    assert not isinstance(place(sim, 2), Exception), "the fault was for one request"


@pytest.mark.parametrize("executed", [True, False])
def test_half_json_leaves_an_order_without_an_id(sim: Simulated, executed: bool) -> None:
    """The length fits the half, so nothing looks broken until the JSON is read."""
    sim.control.fault("half_json", call="place", params={} if executed else {"executed": False})
    answer = place(sim)
    assert not isinstance(answer, ccxt.BaseError)
    assert answer["id"] is None
    assert bool(orders_of(sim, client_id())) is executed


def test_refused_closes_the_port_also_for_kept_connections_and_opens_it_again(sim: Simulated) -> None:
    """The control lives on meanwhile."""

    async def act(client: Any) -> None:
        await client.fetch_time()
        sim.control.fault("refused")
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await client.fetch_time()
        with pytest.raises(ccxt.ExchangeNotAvailable) as refused:
            await client.fetch_time()
        assert "Connect" in type(refused.value.__cause__).__name__
        assert sim.control.truth()["exchange"] == sim.name
        sim.control.clear_faults()
        assert await client.fetch_time() > 0

    trade(sim, act)


def test_late_executes_after_the_client_gave_up(sim: Simulated) -> None:
    """The look-up finds nothing, and then the order is there."""
    sim.control.fault("late", call="place", count=1, params={"delay_s": 1.0})
    assert isinstance(place(sim, answer_ms=SHORT_MS), ccxt.RequestTimeout)
    assert orders_of(sim, client_id()) == []
    eventually(lambda: orders_of(sim, client_id()))
    assert order_of(sim, client_id())["status"] == "filled"


def test_late_is_bounded_after_the_expiry(sim: Simulated) -> None:
    """A gateway-only check leaves a residual: at most LATENESS_BOUND_S after the expiry, whatever the delay asked."""
    expiry_ms: list[int] = []

    async def act(client: Any) -> None:
        await client.fetch_balance()
        now_ms = client.milliseconds()
        expiry_ms.append(now_ms + 1_500)
        if sim.name == "bybit":
            client.options["recvWindow"] = 1_500
            client.nonce = lambda: now_ms
        else:
            client.headers = {"expTime": str(expiry_ms[0])}
        with impatient(client, SHORT_MS), pytest.raises(ccxt.RequestTimeout):
            await client.create_order(BTC, "market", "buy", 0.1, None, {"clientOrderId": client_id()})

    sim.control.fault("late", call="place", count=1, params={"delay_s": 3000})
    trade(sim, act)
    eventually(lambda: orders_of(sim, client_id()))
    created_ms = order_of(sim, client_id())["created_ms"]
    assert expiry_ms[0] < created_ms <= expiry_ms[0] + LATENESS_BOUND_S * 1000 + 500


def test_late_does_not_execute_what_the_gateway_refuses(sim: Simulated) -> None:
    """Wrong signature: nobody ever hears of it."""

    async def act(client: Any) -> None:
        await client.fetch_balance()
        client.secret = "wrong"
        with impatient(client, SHORT_MS), pytest.raises(ccxt.RequestTimeout):
            await client.create_order(BTC, "market", "buy", 0.1, None, {"clientOrderId": client_id(1)})
        client.secret = sim.secret
        with impatient(client, SHORT_MS), pytest.raises(ccxt.RequestTimeout):
            await client.create_order(BTC, "market", "buy", 0.1, None, {"clientOrderId": client_id(2)})

    sim.control.fault("late", call="place", params={"delay_s": 0.1})
    trade(sim, act)
    arrived(sim, "place", requests=2)
    eventually(lambda: orders_of(sim, client_id(2)))
    assert orders_of(sim, client_id(1)) == []


def test_slow_answers_late_but_executes_at_once(sim: Simulated) -> None:
    """Seen from the truth before the answer is there."""

    async def act(client: Any) -> None:
        await client.fetch_balance()
        asked = asyncio.create_task(
            client.create_order(BTC, "market", "buy", 0.1, None, {"clientOrderId": client_id()})
        )
        await asyncio.to_thread(eventually, lambda: orders_of(sim, client_id()))
        assert not asked.done()
        assert (await asked)["id"] == order_of(sim, client_id())["order_id"]

    sim.control.fault("slow", call="place", params={"delay_s": 0.7})
    trade(sim, act)


def test_acknowledged_answers_as_if_it_were_done(sim: Simulated) -> None:
    """An order's own id in the answer, and the order nowhere in the books; what follows is done."""
    sim.control.fault("acknowledged", call="place", count=1)
    assert place(sim)["id"]
    assert orders_of(sim, client_id()) == []
    assert place(sim, 2)["id"] == orders_of(sim, client_id(2))[0]["order_id"]
    bad_key = sim.control.fault("auth", call="place", count=1)
    sim.control.fault("acknowledged", call="place", count=1)
    assert isinstance(place(sim, 3), ccxt.AuthenticationError)
    sim.control.clear_fault(bad_key)


def test_double_executes_twice_under_one_client_id(sim: Simulated) -> None:
    """What a checker of exactly-once must catch."""
    sim.control.fault("double", count=1)
    assert not isinstance(place(sim), Exception)
    both = orders_of(sim, client_id())
    assert [o["status"] for o in both] == ["filled", "filled"]
    truth = sim.control.truth()
    assert [f["client_order_id"] for f in truth["fills"]] == [client_id()] * 2
    assert float(truth["positions"][BTC]) == 2 * float(both[0]["qty"])


def test_not_visible_hides_from_look_ups_for_its_delay_and_combines_with_a_lost_answer(sim: Simulated) -> None:
    """The client times out, looks up, finds nothing; the order was executed all the same."""

    async def act(client: Any) -> None:
        await client.fetch_balance()
        with impatient(client, SHORT_MS), pytest.raises(ccxt.RequestTimeout):
            await client.create_order(BTC, "limit", "buy", 0.1, 25000, {"clientOrderId": client_id()})
        await asyncio.to_thread(arrived, sim, "place")
        assert order_of(sim, client_id())["status"] == "open"
        assert await client.fetch_open_orders(BTC) == []
        assert await client.fetch_my_trades(BTC) == []
        while not await client.fetch_open_orders(BTC):
            assert client.milliseconds() < order_of(sim, client_id())["created_ms"] + 5_000
        assert client.milliseconds() >= order_of(sim, client_id())["created_ms"] + 900

    sim.control.fault("hang_after", call="place", count=1)
    sim.control.fault("not_visible", count=1, params={"delay_s": 0.9})
    trade(sim, act)
    assert {r["fault"] for r in sim.control.requests() if r["call"] == "place"} == {"hang_after+not_visible"}


def test_a_fault_for_one_call_or_symbol_leaves_the_others_alone(sim: Simulated) -> None:
    """Placing ETH fails, placing BTC and asking the time do not."""

    async def act(client: Any) -> None:
        await client.fetch_balance()
        await client.fetch_time()
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await client.create_order("ETH/USDT:USDT", "market", "buy", 1, None, {})
        await client.create_order(BTC, "market", "buy", 0.1, None, {})

    sim.control.fault("http_5xx", call="place", symbol="ETH/USDT:USDT")
    trade(sim, act)
    assert [rule["hits"] for rule in sim.control.faults()] == [1]


def test_stopping_ends_held_requests() -> None:
    """Stop does not wait for a request that nobody will ever answer, nor for a late execution."""

    async def act(client: Any) -> None:
        await client.fetch_time()
        sim.control.fault("late", call="time", params={"delay_s": 3000})
        sim.control.fault("blackhole")
        held = [asyncio.create_task(client.fetch_time()) for _ in range(2)]
        while len([r for r in sim.control.requests() if r["fault"]]) < 2:
            await asyncio.sleep(0)
        await asyncio.to_thread(sims.stop)
        for ended in await asyncio.gather(*held, return_exceptions=True):
            assert isinstance(ended, ccxt.NetworkError)

    with SimulatorThread(["okx"]) as sims:
        sim = sims["okx"]
        trade(sim, act)


def test_rules_are_checked() -> None:
    """Each with a sentence that says what would be right."""
    faults = Faults()
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"kind": "explode"}, "There is no fault 'explode'"),
        ({"kind": "slow"}, "delay_s"),
        ({"kind": "slow", "params": {"delay_s": -1}}, "0 to 3600"),
        ({"kind": "slow", "params": {"delay_s": "nan"}}, "0 to 3600"),
        ({"kind": "hang_after", "call": "dance"}, "There is no call 'dance'"),
        ({"kind": "hang_after", "count": 0}, "whole number from 1"),
        ({"kind": "hang_after", "params": {"delay_s": 1}}, "it takes none"),
        ({"kind": "double", "call": "cancel"}, "changes a placement"),
        ({"kind": "http_5xx", "params": {"status": 200}}, "400 to 599"),
        ({"kind": "half_json", "params": {"executed": 1}}, "true or false"),
    )
    for wrong, words in cases:
        with pytest.raises(ValueError, match=words):
            faults.add(**wrong)
    assert faults.rules == []
    with pytest.raises(ValueError, match="no fault rule 7"):
        faults.clear(7)


def test_counts_order_and_modifiers() -> None:
    """The oldest matching rule ends the request; a used-up one no longer matches; modifiers add to it."""
    faults = Faults()
    first = faults.add("hang_after", call="place", count=1)
    faults.add("drop_after", call="place")
    lag = faults.add("not_visible", params={"delay_s": 1})
    one = faults.take(Call.PLACE, BTC)
    assert (one.ending, one.not_visible, one.name) == (first, lag, "hang_after+not_visible")
    two = faults.take(Call.PLACE, BTC)
    assert two.ending is not None
    assert two.ending.kind is Kind.DROP_AFTER
    assert faults.take(Call.CANCEL, BTC).name is None
    assert [(r.hits, r.left) for r in faults.rules] == [(1, 0), (1, None), (2, None)]
    faults.clear(first.id)
    assert faults.clear() == 2


def test_the_control_refuses_a_wrong_fault(sim: Simulated) -> None:
    """400 with the sentence."""
    with pytest.raises(ControlError, match="There is no market 'DOGE'"):
        sim.control.fault("slow", symbol="DOGE", params={"delay_s": 1})
    with pytest.raises(ControlError, match="There is no fault"):
        sim.control.fault("explode")
