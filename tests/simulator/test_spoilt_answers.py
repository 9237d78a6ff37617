"""Spoilt answers, connections that break or never open, trouble in the exchanges' own words, chance by seed."""

import json
import random
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import ccxt.async_support as ccxt
import pytest

from app.simulator.calls import Call, Trouble
from app.simulator.client import ControlError
from app.simulator.dialects import DIALECTS, dialect_class
from app.simulator.fault_rules import Kind
from app.simulator.faults import Faults
from app.simulator.model import Reason
from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.real_clients import BTC, client_id, impatient, orders_of, symbol_of, trade

SHORT_S = 0.4
TIME_PATHS = {"bybit": "/v5/market/time", "okx": "/api/v5/public/time", "binance": "/fapi/v1/time"}
STATUS_PATHS = {"bybit": "/v5/system/status", "okx": "/api/v5/system/status", "binance": "/sapi/v1/system/status"}
TICKERS = "/derivatives/api/v3/tickers"


@pytest.fixture(params=sorted(DIALECTS))
def sim(request: pytest.FixtureRequest) -> Iterator[Simulated]:
    """Every exchange."""
    with SimulatorThread([request.param]) as sims:
        yield sims[request.param]


@pytest.fixture
def one() -> Iterator[Simulated]:
    """Bybit, where one exchange stands for all."""
    with SimulatorThread(["bybit"]) as sims:
        yield sims["bybit"]


def place(sim: Simulated, kind: str, params: dict[str, object]) -> Any:
    """Place under a fault; the answer or the exception."""

    async def act(client: Any) -> Any:
        await client.fetch_balance()  # bybit's first private call makes two more
        amount = client.market(symbol_of(sim))["limits"]["amount"]["min"] or 0.0001
        sim.control.fault(kind, call="place", count=1, params=params)
        try:
            with impatient(client, 2_000):
                return await client.create_order(
                    symbol_of(sim), "limit", "buy", amount * 100, 25000, {"clientOrderId": client_id()}
                )
        except Exception as error:  # ccxt raises TypeError and others over spoilt answers: that is the point
            return error

    return trade(sim, act)


@pytest.mark.parametrize(
    "kind", ["truncated", "empty", "html_200", "http_504", "half_json", "timeout_unknown", "http_5xx"]
)
@pytest.mark.parametrize("executed", [True, False])
def test_a_spoilt_answer_says_nothing_about_the_execution(sim: Simulated, kind: str, executed: bool) -> None:
    """Whatever the client makes of it, only the truth tells; and no answer looks like an order."""
    answer = place(sim, kind, {"executed": executed})
    assert isinstance(answer, Exception) or answer["id"] is None
    assert bool(orders_of(sim, client_id())) is executed
    placed = [r for r in sim.control.requests() if r["fault"]]
    assert [r["fault"] for r in placed] == [kind]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("http_429", (ccxt.RateLimitExceeded, ccxt.DDoSProtection)),
        ("http_418", (ccxt.RateLimitExceeded, ccxt.DDoSProtection, ccxt.ExchangeError)),
        ("maintenance", (ccxt.BaseError,)),
        ("busy", (ccxt.BaseError,)),
        ("auth", (ccxt.ExchangeError,)),  # ccxt has no finer class for Kraken's "EAPI:Invalid signature"
        ("clock", (ccxt.InvalidNonce, ccxt.AuthenticationError)),
    ],
)
def test_trouble_in_the_exchanges_own_words_never_executes(
    sim: Simulated, kind: str, expected: tuple[type[Exception], ...]
) -> None:
    """With the class that ccxt has for them."""
    answer = place(sim, kind, {})
    assert isinstance(answer, expected), repr(answer)
    assert orders_of(sim, client_id()) == []


@pytest.mark.parametrize(("kind", "status", "wait_s"), [("http_429", 429, 7), ("http_418", 418, 60)])
def test_too_many_requests_say_when_to_come_back(one: Simulated, kind: str, status: int, wait_s: int) -> None:
    """Retry-After, in whole seconds; sixty of a ban unless told otherwise."""
    one.control.fault(kind, params={"retry_after_s": 7} if kind == "http_429" else {})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(one.base_url + TIME_PATHS["bybit"], timeout=5)
    with caught.value as answer:
        assert (answer.code, answer.headers["Retry-After"]) == (status, str(wait_s))
        assert json.load(answer)["retCode"] in (10006, 10018)


def test_a_suspended_symbol_for_one_request(sim: Simulated) -> None:
    """The engine's refusal in the exchange's words, of this request alone."""
    answer = place(sim, "suspended", {})
    if sim.name == "kraken":  # a status that ccxt does not know: an order without an id, or its error
        assert isinstance(answer, ccxt.BaseError) or answer["id"] is None
    else:
        assert isinstance(answer, ccxt.BaseError)
    assert orders_of(sim, client_id()) == []
    assert sim.exchange.venue.suspended == set()


def test_every_dialect_words_every_trouble_and_every_refusal() -> None:
    """A new reason without words would be a crash in the middle of a run."""
    for name in DIALECTS:
        kind = dialect_class(name)
        assert set(kind.troubles) == set(Trouble), name
        assert set(kind.refusals) == set(Reason), name


# ---- connections -----------------------------------------------------------------------------------------------------


def ask(sim: Simulated, path: str) -> tuple[bytes, dict[str, str], str]:
    """What a bare socket gets for a GET: body, headers, and how it ended: "eof" or "reset"."""
    host, port = sim.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        got, ended = b"", "eof"
        try:
            while part := sock.recv(65536):
                got += part
        except ConnectionResetError:
            ended = "reset"
    head, _, body = got.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line)
    return body, headers, ended


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "truncated"])
@pytest.mark.parametrize(("how", "ends"), [("fin", "eof"), ("rst", "reset")])
def test_a_connection_ends_orderly_or_is_reset(one: Simulated, kind: str, how: str, ends: str) -> None:
    """As the rule says; of a truncated answer half the announced length is there."""
    one.control.fault(kind, params={"how": how})
    body, headers, ended = ask(one, TIME_PATHS["bybit"])
    assert ended == ends
    if kind != "truncated":
        assert (body, headers) == (b"", {})
    elif how == "fin":
        assert 0 < len(body) == int(headers["Content-Length"]) // 2


def test_connecting_hangs_until_it_is_mended(one: Simulated) -> None:
    """Not refused, not accepted: a client waits as long as it likes. Afterwards everything is as before."""
    host, port = one.base_url.removeprefix("http://").split(":")
    one.control.fault("connect_hangs")
    with pytest.raises(TimeoutError):
        socket.create_connection((host, int(port)), timeout=SHORT_S)
    one.control.fault("refused")
    one.control.clear_fault(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=SHORT_S)
    one.control.clear_faults()
    with urllib.request.urlopen(one.base_url + TIME_PATHS["bybit"], timeout=5) as answer:
        assert json.load(answer)["retCode"] == 0


# ---- chance ----------------------------------------------------------------------------------------------------------


def plans(**rule: Any) -> list[tuple[str | None, bool]]:
    """What two hundred placements meet under one rule."""
    faults = Faults()
    faults.add(**rule)
    taken = [faults.take(Call.PLACE, BTC) for _ in range(200)]
    return [(plan.name, plan.executed) for plan in taken]


def test_chance_is_decided_by_the_seed() -> None:
    """The same seed, the same faults; another, others; about as many as asked for; `count` counts those that hit."""
    lossy = {"kind": "lossy", "params": {"probability": 0.3, "seed": 1}}
    assert plans(**lossy) == plans(**lossy) != plans(kind="lossy", params={"probability": 0.3, "seed": 2})
    hits = [executed for name, executed in plans(**lossy) if name]
    assert 40 <= len(hits) <= 80
    assert 0.3 <= sum(hits) / len(hits) <= 0.7
    never = plans(kind="lossy", params={"probability": 1, "executed_share": 0})
    assert never == [("lossy", False)] * 200
    some = [name for name, _ in plans(kind="hang_after", count=3, params={"probability": 0.5})]
    assert some.count("hang_after") == 3
    assert None in some[:20]


@pytest.mark.parametrize("distribution", ["fixed", "uniform", "exponential", "lognormal"])
def test_delays_of_a_distribution_have_its_mean_and_a_limit(distribution: str) -> None:
    """Drawn from the rule's own seed."""
    faults = Faults()
    params = {"delay_s": 0.1, "distribution": distribution, "most_s": 0.9, "seed": 7}
    for _ in range(2):
        faults.add("slow", call="place", params=params)
    drawn = [faults.take(Call.PLACE, None).delay_s for _ in range(2000)]
    assert abs(sum(drawn) / 2000 - 0.1) < 0.015
    assert 0 <= min(drawn) <= max(drawn) <= 0.9
    assert (len(set(drawn)) == 1) is (distribution == "fixed")
    faults.clear(1)
    assert [faults.take(Call.PLACE, None).delay_s for _ in range(2000)] == drawn


def test_chance_leaves_the_worlds_own_alone() -> None:
    """Nothing draws from the interpreter's generator."""
    random.seed(5)
    expected = random.random()
    random.seed(5)
    plans(kind="lossy", params={"probability": 0.5})
    assert random.random() == expected


def test_wrong_parameters_are_refused_in_a_sentence(one: Simulated) -> None:
    """And nothing is added."""
    for kind, call, params, words in (
        ("lossy", "*", {}, "needs params.probability"),
        ("lossy", "*", {"probability": 2}, "0 to 1"),
        ("slow", "*", {"delay_s": 1, "distribution": "odd"}, "fixed, uniform, exponential, lognormal"),
        ("drop_before", "*", {"how": "gently"}, "fin, rst"),
        ("http_429", "*", {"retry_after_s": 0.5}, "whole number"),
        ("stale", "place", {}, "changes look-ups"),
        ("stale", "*", {"refresh_s": -1}, "0 to 3600"),
        ("connect_hangs", "*", {"probability": 0.5}, "it takes none"),
        ("hang_after", "*", {"seed": "x", "probability": 0.5}, "whole number"),
    ):
        with pytest.raises(ControlError, match=words):
            one.control.fault(kind, call=call, params=params)
    assert one.control.faults() == []


# ---- what is old -----------------------------------------------------------------------------------------------------


def test_stale_look_ups_tell_the_books_as_they_were(sim: Simulated) -> None:
    """Orders, positions and balances, of those calls alone; placing goes on; refreshed, or mended, they catch up."""
    symbol = symbol_of(sim)

    async def act(client: Any) -> None:
        await client.create_order(symbol, "limit", "buy", 0.01, 25000, {"clientOrderId": client_id(1)})
        sim.control.fault("stale")
        await client.create_order(symbol, "limit", "buy", 0.01, 24000, {"clientOrderId": client_id(2)})
        await client.create_order(symbol, "market", "buy", 0.01, None, {"clientOrderId": client_id(3)})
        assert [o["clientOrderId"] for o in await client.fetch_open_orders(symbol)] == [client_id(1)]
        if "_spot" not in sim.name:
            positions = await client.fetch_positions([symbol])
            assert positions == [] or positions[0]["contracts"] in (0, None)
        assert await client.fetch_my_trades(symbol) == []
        assert len(sim.control.truth()["fills"]) == 1
        sim.control.clear_faults()
        assert len(await client.fetch_open_orders(symbol)) == 2
        assert len(await client.fetch_my_trades(symbol)) == 1

    trade(sim, act)


def test_a_replica_that_is_refreshed_is_one_look_up_behind(one: Simulated) -> None:
    """`refresh_s` 0: each look-up still tells what the one before it should have told."""

    async def act(client: Any) -> None:
        one.control.fault("stale", call="open_orders", params={"refresh_s": 0})
        seen = []
        for n in range(3):
            await client.create_order(BTC, "limit", "buy", 0.01, 25000, {"clientOrderId": client_id(n)})
            seen.append(len(await client.fetch_open_orders(BTC)))
        assert seen[0] == 0
        assert seen == sorted(seen)
        assert seen[-1] < 3

    trade(one, act)


# ---- maintenance, clock ----------------------------------------------------------------------------------------------


def test_maintenance_is_announced_and_refuses_everything_else(sim: Simulated) -> None:
    """Status and time still answer, where the exchange has them."""

    async def act(client: Any) -> None:
        sim.control.ask("POST", "/maintenance", {"on": True, "message": "Moving house"})
        with pytest.raises(ccxt.BaseError):
            await client.fetch_balance()
        with pytest.raises(ccxt.BaseError):
            await client.fetch_ticker(symbol_of(sim))
        if sim.name != "kraken":
            assert (await client.fetch_status())["status"] == "maintenance"
            assert await client.fetch_time() > 0
        sim.control.ask("POST", "/maintenance", {"on": False})
        assert await client.fetch_balance()

    trade(sim, act)


def test_a_skewed_clock_is_told_and_enforced(one: Simulated) -> None:
    """The exchange's own time; what a client signs with its own is outside the window."""

    async def act(client: Any) -> None:
        assert one.control.ask("POST", "/clock", {"ahead_s": -60})["ahead_s"] == -60
        assert abs(await client.fetch_time() - client.milliseconds() + 60_000) < 5_000
        with pytest.raises(ccxt.InvalidNonce):
            await client.fetch_balance()
        await client.load_time_difference()
        client.options["adjustForTimeDifference"] = True
        assert await client.fetch_balance()

    trade(one, act)
    assert Kind.CLOCK in set(Kind)
