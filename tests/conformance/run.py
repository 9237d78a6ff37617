"""The run: every column in a process of its own turn, with a simulated exchange and two desks of its own."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Sequence

from app.exchanges.adapter import CcxtPort
from app.exchanges.factory import PROFILES
from app.exchanges.profiles.generic import generic
from app.exchanges.settings import Credentials, ExchangeSettings
from app.simulator.thread import SimulatorThread
from messages.market import MarketType
from tests.conformance import scenes_changes, scenes_orders, scenes_reads, scenes_settings
from tests.conformance.cells import Column, Key, Seen, Sheet, Verdict
from tests.conformance.faults import CALLS, FAULTS, Ring, observed
from tests.conformance.scenarios import SCENARIOS, WORKS, Scenario
from tests.conformance.stand import Declined, Stand, Weaker, Wrong
from tests.exchanges.desk import TIMEOUT_S, Desk, host

SCENES = (scenes_orders, scenes_changes, scenes_reads, scenes_settings)
WORKERS = 4
"""Half of the time a column waits for what hangs."""
PATIENT_S = 5.0
COLUMN_S = 240.0
"""For one column, on a slow machine."""
COINS = {"BTC": "100", "ETH": "1000"}
"""To sell on spot markets."""


CCXT_IDS = {
    ("bybit", MarketType.SWAP): "bybit",
    ("okx", MarketType.SWAP): "okx",
    ("binance", MarketType.SWAP): "binanceusdm",
    ("kraken", MarketType.SWAP): "krakenfutures",
    ("bybit", MarketType.SPOT): "bybit",
    ("okx", MarketType.SPOT): "okx",
}
"""Simulated exchanges that ccxt's own class of them finds its way about."""


def columns() -> tuple[Column, ...]:
    """Every profile that is registered."""
    found = [Column(False, name, market_type) for name, market_type in PROFILES]
    found.extend(Column(True, name, market_type) for name, market_type in CCXT_IDS)
    return tuple(sorted(found, key=lambda column: (column.generic, column.market_type is not MarketType.SWAP)))


class GenericDesk(Desk):
    """A desk at an exchange as if nobody had written an adapter for it."""

    def build(self, settings: ExchangeSettings, credentials: Credentials) -> CcxtPort:
        """Of ccxt's class, under a name that nothing else knows."""
        profile = generic(CCXT_IDS[self.name, self.market_type], self.market_type, f"{self.name} (generic)")
        return CcxtPort(profile(), settings, credentials, clock=self.clock)


def rows() -> list[tuple[str, str]]:
    """Part and row of every cell of a column."""
    calls = [("calls", scene.title) for scene in SCENARIOS]
    return calls + [(call, fault.row) for call in CALLS for fault in FAULTS if call in fault.only]


def played(scene: Scenario, at: Stand) -> Seen:
    """One cell of the calls, whatever happens."""
    try:
        text = scene.play(at) or WORKS
    except Declined as refusal:
        return Seen(verdict=Verdict.REFUSED, text="refused", words=str(refusal))
    except Weaker as weaker:
        return Seen(verdict=Verdict.WEAK, text="ambiguous", words=str(weaker))
    except Wrong as wrong:
        return Seen(verdict=Verdict.WRONG, text="wrong", words=str(wrong))
    except Exception as error:  # told: an exception where a typed result was due is what this is about
        return Seen(verdict=Verdict.WRONG, text="wrong", words=f"{type(error).__name__}: {error}")
    return Seen(verdict=Verdict.GOOD, text=text)


def observe(column: Column) -> dict[Key, Seen]:
    """Every cell of a column. Raises what keeps a desk from being opened."""
    seen: dict[Key, Seen] = {}
    name = host(column.exchange, column.market_type)
    kind = GenericDesk if column.generic else Desk
    with SimulatorThread([name]) as sims:
        desks = [kind(sims[name], column.market_type, timeout_s=timeout_s) for timeout_s in (PATIENT_S, TIMEOUT_S)]
        try:
            for desk in desks:
                words = desk.open()
                if words:
                    raise RuntimeError(words)
            for coin, amount in COINS.items():
                desks[0].own(coin, amount)
            ring = Ring(*(Stand(desk, knows_codes=not column.generic) for desk in desks))
            for scene in SCENARIOS:
                seen[Key("calls", scene.title, column)] = played(scene, ring.patient)
                ring.patient.tidy()
            for call in CALLS:
                for fault in FAULTS:
                    if call in fault.only:
                        seen[Key(call, fault.row, column)] = observed(ring, call, fault)
                        ring.patient.tidy()
        finally:
            for desk in desks:
                desk.close()
    return seen


def run(wanted: Iterable[Column], say: Callable[[str], None]) -> tuple[Sheet, list[str]]:
    """All columns; what was not seen is missing. Also says which columns could not be run, and why."""
    import ccxt.async_support  # noqa: F401  # shared by fork

    seen: dict[Key, Seen] = {}
    lost: list[str] = []
    begin = time.monotonic()
    with multiprocessing.get_context("fork").Pool(WORKERS, maxtasksperchild=1) as pool:
        asked = [(column, pool.apply_async(observe, (column,))) for column in wanted]
        for column, answer in asked:
            try:
                seen.update(answer.get(COLUMN_S))
                say(f"{column.name}: {time.monotonic() - begin:.0f} s")
            except Exception as error:  # told: the column's cells are untested
                lost.append(f"{column.name} could not be run: {type(error).__name__}: {error}")
    return seen, lost


def to_stderr(words: str) -> None:
    """Progress."""
    print(words, file=sys.stderr, flush=True)


def only(names: Sequence[str]) -> tuple[Column, ...]:
    """Columns by name; all for none. Raises ValueError that lists them."""
    known = columns()
    unknown = set(names) - {column.name for column in known}
    if unknown:
        raise ValueError(f"There is no column {min(unknown)!r}; there are {', '.join(c.name for c in known)}.")
    return tuple(column for column in known if not names or column.name in names)
