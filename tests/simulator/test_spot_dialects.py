"""Spot of Binance and Kraken with real ccxt clients: what the same call means on both, and what each does its own way.

The request log, the duplicate rule, the expiry and the nonce are here, as the exchanges' own clients see none of them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ccxt.async_support as ccxt
import pytest

from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.real_clients import (
    SYMBOLS,
    client_id,
    eventually,
    impatient,
    order_of,
    orders_of,
    symbol_of,
    trade,
)

NAMES = ["binance_spot", "kraken_spot"]


@pytest.fixture(params=NAMES)
def sim(request: pytest.FixtureRequest) -> Iterator[Simulated]:
    """Either exchange."""
    with SimulatorThread([request.param]) as sims:
        yield sims[request.param]


def test_markets_balances_and_prices(sim: Simulated) -> None:
    """Spot pairs with steps; coins, of which orders hold some; ticker, book and candles at the price."""
    symbol = symbol_of(sim)

    async def act(client: Any) -> None:
        market = client.market(symbol)
        assert (market["spot"], market["base"], market["active"]) == (True, "BTC", True)
        assert market["precision"]["amount"] in (0.00001, 0.00000001)
        await client.create_order(symbol, "limit", "buy", 0.01, 20000, {"clientOrderId": client_id()})
        money = (await client.fetch_balance())[market["quote"]]
        assert 200 <= money["used"] < 201
        assert (await client.fetch_ticker(symbol))["last"] == 27000
        assert (await client.fetch_order_book(symbol, 5))["bids"][0][0] == 27000
        candles = await client.fetch_ohlcv(symbol, "1h", limit=3)
        assert [c[4] for c in candles] == [27000] * len(candles) != []
        assert (await client.fetch_status())["status"] == "ok"
        assert abs(await client.fetch_time() - sim.exchange.clock()) < 5_000

    trade(sim, act)


def test_an_orders_life(sim: Simulated) -> None:
    """Placed, listed under its client id, found, cancelled, told as closed; a fill with its fee."""
    symbol = symbol_of(sim)

    async def act(client: Any) -> None:
        made = await client.create_order(symbol, "limit", "buy", 0.01, 20000, {"clientOrderId": client_id()})
        (told,) = await client.fetch_open_orders(symbol)
        assert (told["id"], told["clientOrderId"], told["status"]) == (made["id"], client_id(), "open")
        assert (told["price"], told["amount"], told["filled"]) == (20000, 0.01, 0)
        await client.cancel_order(made["id"], symbol)
        assert (await client.fetch_order(made["id"], symbol))["status"] == "canceled"
        sold = await client.create_order(symbol, "market", "sell", 0.01, None, {"clientOrderId": client_id(2)})
        (fill,) = await client.fetch_my_trades(symbol)
        assert (fill["order"], fill["price"], fill["amount"]) == (sold["id"], 27000, 0.01)
        assert fill["fee"]["cost"] == pytest.approx(float(sim.control.truth()["fills"][0]["fee"]))
        with pytest.raises(ccxt.ExchangeError):
            await client.cancel_order(made["id"], symbol)

    trade(sim, act)
    logged = [r for r in sim.control.requests() if r["call"] == "place"]
    assert [(r["client_order_id"], r["symbol"]) for r in logged] == [
        (client_id(1), symbol),
        (client_id(2), symbol),
    ]


def test_changing_an_order(sim: Simulated) -> None:
    """ccxt amends on Kraken, in place; on Binance it cancels and places another."""
    symbol = symbol_of(sim)

    async def act(client: Any) -> None:
        made = await client.create_order(symbol, "limit", "buy", 0.01, 20000, {"clientOrderId": client_id()})
        await client.edit_order(made["id"], symbol, "limit", "buy", 0.02, 21000)
        (told,) = await client.fetch_open_orders(symbol)
        assert (told["price"], told["amount"]) == (21000, 0.02)
        assert (told["id"] == made["id"]) is (sim.name == "kraken_spot")

    trade(sim, act)


def test_a_stop_protects_coins(sim: Simulated) -> None:
    """It waits, is told as a trigger order, and sells when the price falls to it."""
    symbol = symbol_of(sim)

    async def act(client: Any) -> None:
        await client.create_order(
            symbol, "market", "sell", 0.01, None, {"stopLossPrice": 26000, "clientOrderId": client_id()}
        )
        (told,) = await client.fetch_open_orders(symbol)
        assert 26000 in (told["triggerPrice"], told["stopLossPrice"])
        sim.control.price(symbol, 25900)
        assert await client.fetch_open_orders(symbol) == []

    trade(sim, act)
    assert order_of(sim, client_id())["status"] == "filled"


def test_a_client_id_is_free_again_when_its_order_is_closed(sim: Simulated) -> None:
    """Twice while open: refused, and not as a thing of the network. After the fill: filled again."""
    symbol = symbol_of(sim)

    async def act(client: Any) -> None:
        once = (symbol, "limit", "buy", 0.01, 20000, {"clientOrderId": client_id()})
        await client.create_order(*once)
        with pytest.raises(ccxt.ExchangeError, match=r"cl_ord_id not unique|Duplicate order sent"):
            await client.create_order(*once)
        sim.control.price(symbol, 20000)
        await client.create_order(*once[:4], 21000, once[5])

    trade(sim, act)
    assert [o["status"] for o in orders_of(sim, client_id())] == ["filled", "filled"]


def test_post_only_that_would_take(sim: Simulated) -> None:
    """Binance refuses it; Kraken accepts it and cancels it at once."""
    symbol = symbol_of(sim)

    async def act(client: Any) -> None:
        await client.create_order(symbol, "limit", "buy", 0.01, 28000, {"postOnly": True, "clientOrderId": client_id()})

    if sim.name == "binance_spot":
        with pytest.raises(ccxt.OrderImmediatelyFillable):
            trade(sim, act)
        assert orders_of(sim, client_id()) == []
    else:
        trade(sim, act)
        assert order_of(sim, client_id())["status"] == "cancelled"


def test_too_little_money_and_a_halt(sim: Simulated) -> None:
    """Refused in words that ccxt knows; cancelling passes while a market is halted."""
    symbol = symbol_of(sim)

    async def act(client: Any) -> None:
        with pytest.raises(ccxt.InsufficientFunds):
            await client.create_order(symbol, "limit", "buy", 100, 20000)
        made = await client.create_order(symbol, "limit", "buy", 0.01, 20000)
        sim.control.ask("POST", "/suspend", {"symbol": symbol, "on": True})
        with pytest.raises(ccxt.BaseError):
            await client.create_order(symbol, "limit", "buy", 0.01, 20000)
        await client.load_markets(reload=True)
        assert client.market(symbol)["active"] is False
        await client.cancel_order(made["id"], symbol)

    trade(sim, act)


def test_kraken_takes_requests_in_the_order_of_their_nonces() -> None:
    """One that was overtaken is refused; the last nonce survives in the state."""
    with SimulatorThread(["kraken_spot"]) as sims:
        sim = sims["kraken_spot"]

        async def act(client: Any) -> None:
            await client.fetch_balance()
            client.incrementing_nonce = lambda: 5
            with pytest.raises(ccxt.InvalidNonce):
                await client.fetch_balance()

        trade(sim, act)
        kept = sim.exchange.dialect.state()
        assert isinstance(kept["nonce"], int)
        assert kept["nonce"] > 5


@pytest.mark.parametrize("name", NAMES)
def test_the_expiry_when_a_request_is_late(name: str) -> None:
    """Kraken's engine looks at the deadline and refuses; Binance's does not, and executes a little after it."""
    with SimulatorThread([name]) as sims:
        sim, symbol = sims[name], symbol_of(sims[name])

        async def act(client: Any) -> None:
            at_ms = sim.exchange.clock() + 1_500
            at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
            params: dict[str, object] = {"deadline": at} if name == "kraken_spot" else {"recvWindow": 1_500}
            sim.control.fault("late", call="place", count=1, params={"delay_s": 2.0})
            with impatient(client, 300), pytest.raises(ccxt.RequestTimeout):
                await client.create_order(symbol, "limit", "buy", 0.01, 20000, {**params, "clientOrderId": client_id()})

        trade(sim, act)
        late = sim.exchange.clock() + 2_500
        if name == "binance_spot":
            assert eventually(lambda: orders_of(sim, client_id()))
        else:
            eventually(lambda: sim.exchange.clock() > late)
            assert orders_of(sim, client_id()) == []


def test_kraken_cancels_all_pairs_at_once() -> None:
    """Whatever pair a client names: its cancel-all knows none."""
    with SimulatorThread(["kraken_spot"]) as sims:

        async def act(client: Any) -> None:
            for symbol, price in (("BTC/USD", 20000), ("ETH/USDT", 1500)):
                await client.create_order(symbol, "limit", "buy", 0.01, price)
            await client.cancel_all_orders("BTC/USD")
            assert await client.fetch_open_orders() == []

        trade(sims["kraken_spot"], act)


@pytest.mark.parametrize("name", NAMES)
def test_a_restart_keeps_the_books(name: str, tmp_path: Path) -> None:
    """Orders and the nonce are the same after the exchange died."""

    async def place(client: Any) -> None:
        await client.create_order(SYMBOLS[name], "limit", "buy", 0.01, 20000)

    async def look(client: Any) -> None:
        assert len(await client.fetch_open_orders(SYMBOLS[name])) == 1

    for act in (place, look):
        with SimulatorThread([name], books=tmp_path) as sims:
            trade(sims[name], act)
