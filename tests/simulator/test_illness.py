"""What a health detector must tell apart, seen by the real client: announcements, bans that grow, halts, stale data."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import ccxt.async_support as ccxt
import pytest

from app.simulator.calls import Call
from app.simulator.client import ControlError
from app.simulator.dialects import DIALECTS
from app.simulator.faults import Faults
from app.simulator.limits import Limit, LimitRules, RateLimits
from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.real_clients import client_id, eventually, make_client, symbol_of

T = TypeVar("T")
HOUR_S = 3_600.0


LOOP = asyncio.new_event_loop()
CLIENTS: dict[str, Any] = {}
"""One for each exchange, with its markets loaded, for the whole module: making one takes long."""


@pytest.fixture(scope="module")
def sims() -> Iterator[SimulatorThread]:
    """Every exchange; each test leaves it as it was."""
    with SimulatorThread(sorted(DIALECTS)) as running:
        yield running
        for client in CLIENTS.values():
            LOOP.run_until_complete(client.close())
        CLIENTS.clear()
        LOOP.close()


@pytest.fixture(params=sorted(DIALECTS))
def sim(request: pytest.FixtureRequest, sims: SimulatorThread) -> Simulated:
    """One of them."""
    return sims[request.param]


def trade(sim: Simulated, act: Callable[[Any], Awaitable[T]]) -> T:
    """What a call of the exchange's client gives."""
    if sim.name not in CLIENTS:
        CLIENTS[sim.name] = make_client(sim)
        LOOP.run_until_complete(CLIENTS[sim.name].load_markets())
    return LOOP.run_until_complete(asyncio.wait_for(act(CLIENTS[sim.name]), 10.0))


def fails(sim: Simulated, act: Any) -> BaseException | None:
    """What a call of the client raised; None where it was answered."""
    try:
        trade(sim, act)
    except ccxt.BaseError as error:
        raised: BaseException = error
        return raised
    return None


# ---- maintenance ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path", "told"),
    [
        ("bybit", "/v5/system/status", lambda body: body["result"]["list"]),
        ("okx", "/api/v5/system/status", lambda body: body["data"]),
    ],
)
def test_a_maintenance_is_announced_before_it_begins(sims: SimulatorThread, name: str, path: str, told: Any) -> None:
    sim = sims[name]

    def entries() -> list[dict[str, str]]:
        with urllib.request.urlopen(sim.base_url + path, timeout=5.0) as answer:
            found: list[dict[str, str]] = told(json.load(answer))
        return found

    assert entries() == []
    before_ms = time.time() * 1000
    sim.control.maintenance(True, begins_in_s=HOUR_S, lasts_s=60.0, message="Upgrade")
    (entry,) = entries()
    assert (entry["title"], entry["state"]) == ("Upgrade", "scheduled")
    assert int(entry["begin"]) - before_ms == pytest.approx(HOUR_S * 1000, abs=5_000)
    assert int(entry["end"]) - int(entry["begin"]) == 60_000
    assert fails(sim, lambda client: client.fetch_balance()) is None, "it trades on until then"
    sim.control.clock(HOUR_S + 30.0)
    assert entries()[0]["state"] == "ongoing"
    sim.control.clock(HOUR_S + 61.0)
    assert [each["state"] for each in entries()] in ([], ["completed"])
    sim.control.clock(0.0)
    sim.control.maintenance(False)
    assert entries() == []


def test_kraken_futures_announces_by_a_notification(sims: SimulatorThread) -> None:
    sim = sims["kraken"]
    sim.control.maintenance(True, begins_in_s=HOUR_S, message="Upgrade")

    async def notes(client: Any) -> Any:
        return await client.private_get_notifications()

    (note,) = trade(sim, notes)["notifications"]
    assert (note["type"], note["note"]) == ("maintenance", "Upgrade")
    sim.control.maintenance(False)
    assert trade(sim, notes)["notifications"] == []


def test_a_maintenance_that_begins_and_ends_by_the_clock(sim: Simulated) -> None:
    """Also where nothing is announced."""
    sim.control.maintenance(True, begins_in_s=0.3, lasts_s=0.3)
    assert eventually(lambda: fails(sim, lambda client: client.fetch_balance()) is not None)
    assert eventually(lambda: fails(sim, lambda client: client.fetch_balance()) is None)
    sim.control.maintenance(False)


# ---- bans -----------------------------------------------------------------------------------------------------------


def test_a_ban_ends_and_says_when(sim: Simulated) -> None:
    """Whether limits are enforced or not; where HTTP has a status for it, with Retry-After."""
    sim.control.ban(0.7)
    error = fails(sim, lambda client: client.fetch_balance())
    assert isinstance(error, ccxt.BaseError), error
    until_ms = sim.control.ask("GET", "/limits")["banned_until_ms"]
    assert eventually(lambda: sim.control.truth()["now_ms"] >= until_ms), "without asking it: that might be punished"
    assert fails(sim, lambda client: client.fetch_balance()) is None
    sim.control.ban(60.0)
    assert fails(sim, lambda client: client.fetch_ticker(symbol_of(sim))) is not None, "the address is banned"
    sim.control.ban(0.0)
    assert fails(sim, lambda client: client.fetch_ticker(symbol_of(sim))) is None
    assert sim.control.ask("GET", "/limits")["asked_while_banned"] >= 2
    sim.control.ask("POST", "/limits", {"on": False})


def test_going_on_during_a_ban_makes_it_longer_where_the_exchange_does_so() -> None:
    rules = LimitRules(limits=(Limit(name="weight", window_ms=1000, most=10),), ban_after=3, ban_ms=60_000)
    kind = RateLimits(rules)
    kind.ban(10_000, lasts_ms=10_000)
    assert {kind.take(Call.TICKER, "", 100 + n).until_ms for n in range(50)} == {10_000}
    hard = RateLimits(LimitRules(limits=rules.limits, ban_after=3, ban_ms=60_000, lengthens=True))
    hard.ban(10_000, lasts_ms=10_000)
    untils = [hard.take(Call.TICKER, "", 100 + n).until_ms for n in range(6)]
    assert untils == [10_000, 10_000, 20_102, 20_102, 20_102, 40_105]
    assert hard.shown()["asked_while_banned"] == 6


def test_binance_makes_bans_longer(sims: SimulatorThread) -> None:
    sim = sims["binance"]
    sim.control.ban(30.0)
    first = sim.control.ask("GET", "/limits")["banned_until_ms"]
    for _ in range(11):
        assert fails(sim, lambda client: client.fetch_ticker(symbol_of(sim))) is not None
    assert sim.control.ask("GET", "/limits")["banned_until_ms"] > first + 20_000
    sim.control.ask("POST", "/limits", {"on": False})


# ---- keys, halts ----------------------------------------------------------------------------------------------------


def test_a_key_is_revoked_while_running(sim: Simulated) -> None:
    """Signed calls are refused as of a key that nobody knows; public ones go on."""
    assert fails(sim, lambda client: client.fetch_balance()) is None
    sim.control.revoke(sim.api_key)
    assert isinstance(fails(sim, lambda client: client.fetch_balance()), ccxt.BaseError)
    assert fails(sim, lambda client: client.fetch_ticker(symbol_of(sim))) is None
    sim.control.revoke(sim.api_key, False)
    assert fails(sim, lambda client: client.fetch_balance()) is None


def test_one_market_is_halted_and_the_others_trade_on(sim: Simulated) -> None:
    """In the exchange's own words and by its own code, which are of the symbol and not of the exchange."""

    def placed(base: str, number: int) -> BaseException | None:
        symbol = symbol_of(sim).replace("BTC", base)

        async def act(client: Any) -> None:
            price = (await client.fetch_ticker(symbol))["last"] * 0.99
            params = {"clientOrderId": client_id(number)}
            price = float(client.price_to_precision(symbol, price))
            await client.create_order(symbol, "limit", "buy", 0.1, price, params)

        return fails(sim, act)

    sim.control.suspend(symbol_of(sim), True)
    assert placed("BTC", 1) is not None
    assert (refused := placed("ETH", 2)) is None, refused
    sim.control.suspend(symbol_of(sim), False)


# ---- stale data -----------------------------------------------------------------------------------------------------


def test_prices_move_by_themselves_and_stop_moving_where_they_are_stale(sim: Simulated) -> None:
    """Endpoints go on answering, with the time of now."""
    symbol = symbol_of(sim)

    def last() -> Any:
        async def act(client: Any) -> Any:
            return (await client.fetch_ticker(symbol))["last"]

        return trade(sim, act)

    def price() -> str:
        found: str = sim.control.truth()["prices"][symbol]
        return found

    first = price()
    sim.control.walk(0.02, ticks=5, seed=7)
    assert eventually(lambda: price() != first), "nobody has to ask for it to move"
    sim.control.fault("stale", call="quotes")
    held, true = last(), price()
    assert eventually(lambda: price() != true)
    assert last() == held
    sim.control.clear_faults()
    assert eventually(lambda: last() != held)
    sim.control.walk(None)
    begun = price()
    assert price() == begun


def test_a_walk_is_the_same_for_the_same_seed_and_goes_not_far(sims: SimulatorThread) -> None:
    venue = sims["okx"].exchange.venue
    symbol, prices = "SOL/USDT:USDT", dict(venue.prices)
    begun = venue.prices[symbol]

    def walked() -> list[str]:
        venue.prices.update(prices)
        venue.set_walk(1000, 400, 3, 10**9)
        found = []
        for n in range(1, 300):
            venue.advance(10**9 + n * 1000)
            found.append(str(venue.prices[symbol]))
        venue.set_walk(None, 1, 0, 0)
        venue.prices.update(prices)
        return found

    one, two = walked(), walked()
    assert one == two
    assert len(set(one)) > 10
    assert max(abs(float(each) / float(begun) - 1) for each in one) <= 0.01


# ---- faults ---------------------------------------------------------------------------------------------------------


def test_a_ramp_grows_with_time() -> None:
    faults = Faults()
    faults.add("slow", params={"delay_s": 4.0, "ramp_s": 10.0}, now_ms=5_000)
    delays = [faults.take(Call.PLACE, None, 5_000 + ms).delay_s for ms in (0, 2_500, 10_000, 60_000)]
    assert delays == [0.0, 1.0, 4.0, 4.0]


def test_calls_break_by_groups(sims: SimulatorThread) -> None:
    """The order path is dead while everything that reads is well."""
    sim = sims["bybit"]
    with pytest.raises(ControlError, match="orders, reads, quotes, markets"):
        sim.control.fault("http_5xx", call="everything")
    sim.control.fault("http_5xx", call="orders")
    assert fails(sim, lambda client: client.fetch_balance()) is None
    assert fails(sim, lambda client: client.fetch_time()) is None
    symbol = symbol_of(sim)
    assert fails(sim, lambda client: client.create_order(symbol, "limit", "buy", 0.001, 20_000)) is not None
    assert fails(sim, lambda client: client.cancel_order("1", symbol)) is not None
    sim.control.clear_faults()


def test_bad_input_is_a_sentence(sims: SimulatorThread) -> None:
    control = sims["okx"].control
    for path, body, words in (
        ("/walk", {"every_s": 1, "ticks": 0}, "ticks"),
        ("/walk", {"every_s": 1, "seed": "x"}, "seed"),
        ("/walk", {"every_s": 0}, "every_s"),
        ("/ban", {"for_s": -1}, "for_s"),
        ("/maintenance", {"on": True, "begins_in_s": -1}, "begins_in_s"),
        ("/key", {"api_key": "x", "secret": "y", "revoked": 1}, "revoked"),
    ):
        with pytest.raises(ControlError, match=words):
            control.ask("POST", path, body)
