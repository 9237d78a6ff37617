"""Binance and Kraken: the answers carry every field that the examples in ccxt's own source carry.

ccxt writes, above what it parses, an answer that the exchange once gave. The fields of those examples are read from the
installed source, and looked for in what the simulator answers; what it leaves out is listed here with the reason.
"""

import inspect
import re
from collections.abc import Callable
from typing import Any

import ccxt.async_support as ccxt
import pytest

from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.real_clients import symbol_of, trade

_KEY = re.compile(r"^\s*#[\s{\[]*\"?'?([A-Za-z_]\w*)\"?'?\s*:")


def documented(cls: type, method: str, begins: str, ends: str) -> set[str]:
    """Names of the fields in the example of a method, from a line that holds `begins` to one that holds `ends`."""
    lines = inspect.getsource(getattr(cls, method)).splitlines()
    start = next(n for n, line in enumerate(lines) if begins in line)
    end = next(n for n, line in enumerate(lines) if n > start and ends in line)
    found = {m.group(1) for line in lines[start : end + 1] if (m := _KEY.match(line))}
    assert len(found) > 3, (method, found)
    return found


def names(value: Any) -> set[str]:
    """Names of the fields anywhere in an answer."""
    if isinstance(value, list):
        return set().union(*map(names, value))
    if isinstance(value, dict):
        return set(value) | set().union(*map(names, value.values()))
    return set()


async def resting(client: Any, symbol: str) -> Any:
    """An order that rests, as the exchange tells it."""
    await client.create_order(symbol, "limit", "buy", 0.01, 20000, {"clientOrderId": "ab12"})
    return (await client.fetch_open_orders(symbol))[0]["info"]


async def filled(client: Any, symbol: str) -> Any:
    """A fill."""
    await client.create_order(symbol, "market", "buy", 0.01, None)
    return (await client.fetch_my_trades(symbol))[0]["info"]


async def market(client: Any, symbol: str) -> Any:
    """A market."""
    return client.market(symbol)["info"]


Ask = Callable[[Any, str], Any]
CASES: list[tuple[str, type, str, str, str, Ask, set[str]]] = [
    ("kraken_spot", ccxt.kraken, "fetch_open_orders", '"refid"', '"oflags"', resting, set()),
    ("kraken_spot", ccxt.kraken, "fetch_my_trades", '"ordertxid"', '"maker"', filled, set()),
    ("kraken_spot", ccxt.kraken, "fetch_markets", '"altname"', '"ordermin"', market, set()),
    ("binance_spot", ccxt.binance, "fetch_markets", '"symbol":"ETHBTC"', '"permissions"', market, set()),
    ("binance_spot", ccxt.binance, "parse_order", '"symbol": "LTCBTC"', '"updateTime"', resting, set()),
    ("binance", ccxt.binanceusdm, "fetch_markets", '"symbol":"BTCUSDT"', '"timeInForce"', market, set()),
]
"""Exchange, where its example is and from which line to which, what to ask, and the fields that are left out."""


@pytest.mark.parametrize("case", CASES, ids=[f"{c[0]}-{c[2]}" for c in CASES])
def test_every_documented_field_is_answered(case: tuple[str, type, str, str, str, Ask, set[str]]) -> None:
    """Whatever the exchange's documented answer has, the simulator's has too."""
    name, cls, method, begins, ends, ask, missing = case
    with SimulatorThread([name]) as sims:
        sim: Simulated = sims[name]
        got = names(trade(sim, lambda client: ask(client, symbol_of(sim))))
    assert documented(cls, method, begins, ends) - got == missing
