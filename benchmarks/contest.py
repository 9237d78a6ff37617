"""The contest: orders through the router beside the same orders by bare ccxt, in turns, on one simulated exchange.

Both place the same resting limit order on the same exchange from one event loop of one process: the router by
`await router.aio.place_order(…)`, through its embedded daemon of real processes; ccxt by `await client.create_order(…)`
on `ccxt.async_support`, its own rate limiter off, markets loaded and connections warm, with a client order id as the
router sends one. What rests is cancelled between the blocks, unmeasured, so that every block meets an empty book.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from app.core.order_router import OrderRouter
from app.launcher.presence import read_presence
from benchmarks.figures import CCXT, FLOOD, ROUTER, SERIAL, Block
from benchmarks.machine import cpu_s, family

RATE_LIMIT_PER_S = 100_000
"""Far above what any contender reaches: the limit of an account is not what is measured."""
IN_FLIGHT = 50
QTY, PRICE = "0.001", "25000"
"""A buy that rests: the simulated markets stand far above."""
CCXT_IDS = {"bybit": "bybit", "okx": "okx", "binance": "binanceusdm", "kraken": "krakenfutures"}
UNIFIED = {"kraken": "BTC/USD:USD"}

Place = Callable[[], Awaitable[Any]]


@frozen(kw_only=True)
class Contender:
    """One way to place an order.

    Attributes:
        clear: Cancels what the orders returned by `place` still rest.
        pids: Every process that works for it.
    """

    name: str
    place: Place
    clear: Callable[[Sequence[Any]], Awaitable[None]]
    pids: tuple[int, ...]


def router_tables(exchange: str, facts: Mapping[str, str], state_dir: Path) -> dict[str, Any]:
    """The router's configuration for the run."""
    table: dict[str, Any] = {key: facts[key] for key in ("base_url", "api_key", "secret", "password") if facts[key]}
    return {
        "router": {"primary_exchange": exchange, "failover_exchanges": [], "state_dir": str(state_dir)},
        "exchanges": {
            exchange: {**table, "rate_limit_per_s": RATE_LIMIT_PER_S, "allow_settlement_change": exchange in UNIFIED}
        },
    }


@asynccontextmanager
async def router_contender(router: OrderRouter, state_dir: Path) -> AsyncIterator[Contender]:
    """The router, initialized here and closed on leaving."""

    async def place() -> Any:
        return await router.aio.place_order("BTCUSDT", "Buy", "Limit", QTY, PRICE)

    async def clear(orders: Sequence[Any]) -> None:
        gate = asyncio.Semaphore(20)

        async def cancel(order: Any) -> None:
            async with gate:
                await router.aio.cancel_order("BTCUSDT", order["orderId"])

        await asyncio.gather(*(cancel(order) for order in orders))

    async with router:
        presence = read_presence(state_dir)
        assert presence is not None, "a router that is initialized has a daemon"
        yield Contender(name=ROUTER, place=place, clear=clear, pids=(os.getpid(), *family(presence.pid)))


@asynccontextmanager
async def ccxt_contender(exchange: str, facts: Mapping[str, str]) -> AsyncIterator[Contender]:
    """Bare ccxt on the same exchange and account."""
    import ccxt.async_support as ccxt

    client: Any = getattr(ccxt, CCXT_IDS[exchange])(
        {
            "apiKey": facts["api_key"],
            "secret": facts["secret"],
            "password": facts["password"],
            "enableRateLimit": False,
            "options": {
                "defaultType": "swap",
                "fetchMarkets": {"types": ["linear" if exchange == "bybit" else "swap"]},
            },
        }
    )
    client.has["fetchCurrencies"] = False
    client.urls["api"] = _moved(client.urls["api"], facts["base_url"])
    symbol = UNIFIED.get(exchange, "BTC/USDT:USDT")
    amount = 0.1 if exchange == "okx" else float(QTY)  # OKX counts contracts of 0.01

    async def place() -> Any:
        return await client.create_order(
            symbol, "limit", "buy", amount, float(PRICE), {"clientOrderId": uuid.uuid4().hex}
        )

    async def clear(orders: Sequence[Any]) -> None:
        gate = asyncio.Semaphore(20)

        async def cancel(order: Any) -> None:
            async with gate:
                await client.cancel_order(order["id"], symbol)

        await asyncio.gather(*(cancel(order) for order in orders))

    try:
        await client.load_markets()
        yield Contender(name=CCXT, place=place, clear=clear, pids=(os.getpid(),))
    finally:
        await client.close()


def _moved(node: Any, base_url: str) -> Any:
    if isinstance(node, dict):
        return {key: _moved(value, base_url) for key, value in node.items()}
    return base_url + urlsplit(node.replace("{hostname}", "localhost")).path if isinstance(node, str) else node


async def block(contender: Contender, kind: str, orders: int, number: int) -> Block:
    """One block: places `orders`, measures, then clears them away."""
    gc.collect()
    before_cpu_s = cpu_s(contender.pids)
    before_s = time.perf_counter()
    latencies: list[float] = []
    placed: list[Any] = []
    left = itertools.count()

    async def one_after_the_other() -> None:
        while next(left) < orders:
            began_s = time.perf_counter()
            placed.append(await contender.place())
            latencies.append(time.perf_counter() - began_s)

    await asyncio.gather(*(one_after_the_other() for _ in range(1 if kind == SERIAL else min(IN_FLIGHT, orders))))
    wall_s = time.perf_counter() - before_s
    used_s = cpu_s(contender.pids) - before_cpu_s
    await contender.clear(placed)
    return Block(
        contender=contender.name,
        kind=kind,
        round=number,
        latencies_s=tuple(latencies),
        wall_s=wall_s,
        cpu_s=used_s,
    )


async def contest(
    contenders: Sequence[Contender],
    *,
    rounds: int,
    serial: int,
    flood: int,
    until_s: float,
    told: Callable[[int], None],
) -> list[Block]:
    """Blocks of all contenders in turns; who begins changes with every round.

    Args:
        serial: Orders of a block one by one.
        flood: Orders of a block with `IN_FLIGHT` under way.
        until_s: No round begins after this moment of `time.monotonic()`; the first always does.
        told: Called after each round.
    """
    for contender in contenders:
        for kind in (SERIAL, FLOOD):
            await block(contender, kind, min(serial, IN_FLIGHT), -1)
    blocks: list[Block] = []
    for number in range(rounds):
        if number and time.monotonic() > until_s:
            break
        turns = list(contenders) if number % 2 == 0 else list(reversed(contenders))
        for kind, orders in ((SERIAL, serial), (FLOOD, flood)):
            for contender in turns:
                blocks.append(await block(contender, kind, orders, number))
        told(number)
    return blocks
