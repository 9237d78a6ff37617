"""From the death of the exchange in use to the first order that the backup accepts.

A strategy sends a market order every `EVERY_S`, whatever became of the ones before. At a moment drawn from a seed the
exchange dies; a while after the backup's first order it comes back, so that what was in doubt can be known, everything
is held against both exchanges' books, and trading returns for the next run. Each way of placing has simulated exchanges
of its own, in a process of their own.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from app.core.order_router import OrderRouter
from app.domain.health import HealthSettings
from app.simulator.client import ControlClient
from benchmarks.exchange import exchanges
from benchmarks.switching.callers import SYMBOL, Caller, Through, loop_over
from benchmarks.switching.verdict import Asked, Tally, first_accepted_s, tally

EXCHANGES: Final = ("bybit", "okx")
PRIMARY, BACKUP = EXCHANGES
EVERY_S: Final = 0.05
STEP: Final = Decimal("0.001")
AFTER_S: Final = 0.5
"""The strategy goes on for so long after the backup's first order."""
AWAY_S: Final = 2.0
"""A silent exchange comes back so much later: what could be answered without it has been, by then."""
LEAD: Final = 6
"""Orders before the death."""
PATIENCE_S: Final = 40.0
RETRY_DELAY_S: Final = 0.1
REQUEST_TIMEOUT_S: Final = 1.0
ORDER_TIMEOUT_S: Final = 20.0
HEALTH: Final = HealthSettings(
    health_check_interval_s=1.0,
    max_retry_attempts=1,
    retry_delay_s=RETRY_DELAY_S,
    probe_timeout_s=1.0,
    flap_half_life_s=1.0,  # the primary dies again and again here, and is to be trusted again each time
)
ONE_LIFE: Final = 3
"""Deaths that one router lives through: of more within an hour, the later ones wait longer and longer (`leaving`)."""
ROUTER, LOOP = "this router", "ccxt in a loop"


@frozen(kw_only=True)
class Death:
    """How an exchange dies.

    Attributes:
        kind: The simulated exchange's fault.
        silent: Whether it answers nothing, so that each request takes its whole time-out.
    """

    name: str
    title: str
    words: str
    kind: str
    silent: bool


DEATHS: Final = (
    Death(
        name="refused",
        title="It refuses connections",
        words="Its port is closed: each request fails at once, and provably did not execute.",
        kind="refused",
        silent=False,
    ),
    Death(
        name="blackhole",
        title="It is silent, and executes nothing",
        words="Requests are taken, not executed and never answered.",
        kind="blackhole",
        silent=True,
    ),
    Death(
        name="deaf",
        title="It is silent, and executes everything",
        words="Requests are executed, and no answer comes back: its caller cannot tell this from the one above.",
        kind="hang_after",
        silent=True,
    ),
)


@frozen(kw_only=True)
class Run:
    """One death.

    Attributes:
        took_s: From the death to the backup's first accepted order; None where there was none in time.
        stages: Parts of it, where the router's history tells them.
    """

    took_s: float | None
    tally: Tally
    stages: Mapping[str, float] = field(factory=dict)
    words: tuple[str, ...] = ()


def router_tables(facts: Mapping[str, Mapping[str, str]], state_dir: Path) -> dict[str, Any]:
    """The router's configuration: the bar's own settings, and positions that stay where they are."""

    def account(fact: Mapping[str, str]) -> dict[str, Any]:
        table = {key: fact[key] for key in ("base_url", "api_key", "secret", "password") if fact[key]}
        return {**table, "rate_limit_per_s": 1000}

    return {
        "router": {
            "primary_exchange": PRIMARY,
            "failover_exchanges": list(EXCHANGES[1:]),
            "state_dir": str(state_dir),
            "request_timeout_s": REQUEST_TIMEOUT_S,
            "order_timeout_s": ORDER_TIMEOUT_S,
            "max_unresolved": 1000,
            "max_unresolved_total": 1000,
        },
        "health": {
            "health_check_interval": HEALTH.health_check_interval_s,
            "max_retry_attempts": HEALTH.max_retry_attempts,
            "retry_delay": HEALTH.retry_delay_s,
            "probe_timeout_s": HEALTH.probe_timeout_s,
            "flap_half_life_s": HEALTH.flap_half_life_s,
        },
        "positions": {"policy": "track"},
        "exchanges": {name: account(fact) for name, fact in facts.items()},
    }


class Theatre:
    """One way of placing, and the exchanges it trades on."""

    def __init__(self, caller: Caller, facts: Mapping[str, Mapping[str, str]], seed: int) -> None:
        self.caller = caller
        self.controls = {name: ControlClient(fact["control_url"]) for name, fact in facts.items()}
        self._chance = random.Random(seed)

    async def play(self, death: Death) -> Run:
        """One run: trade, die, trade on, come back, judge, and return to the primary."""
        caller, controls = self.caller, self.controls
        await caller.back(PRIMARY)
        before = {name: len(control.truth()["orders"]) for name, control in controls.items()}
        asked: list[Asked] = []
        flowing = asyncio.create_task(self._flow(asked))
        lead_s = LEAD * EVERY_S + self._chance.random() * HEALTH.health_check_interval_s
        await asyncio.sleep(lead_s)
        died_s, died_at_s = time.monotonic(), time.time()
        await asyncio.to_thread(controls[PRIMARY].fault, death.kind)
        end_s = time.monotonic() + PATIENCE_S
        while first_accepted_s(asked, BACKUP) is None and time.monotonic() < end_s:
            await asyncio.sleep(0.005)
        await asyncio.sleep(AFTER_S)
        flowing.cancel()
        await asyncio.gather(flowing, return_exceptions=True)
        await asyncio.sleep(AWAY_S if death.silent else 0.0)
        back_s = time.monotonic()
        await asyncio.to_thread(controls[PRIMARY].clear_faults)
        await self._answered(asked)
        await caller.settle(asked, PATIENCE_S)
        found_s = first_accepted_s(asked, BACKUP)
        books = [order for name in controls for order in controls[name].truth()["orders"][before[name] :]]
        judged = tally(asked, books, back_s=back_s)
        stages = self._stages(died_at_s) if isinstance(caller, Through) else {}
        for control in controls.values():
            control.position(SYMBOL, 0)
        words = tuple(dict.fromkeys(f"{each.told}: {each.words}" for each in asked if each.words))[:5]
        took_s = None if found_s is None else found_s - died_s
        return Run(took_s=took_s, tally=judged, stages=stages, words=words)

    async def _flow(self, asked: list[Asked]) -> None:
        """Open loop: an order at each of its times. Those under way when it is cancelled go on."""
        self._under_way: list[asyncio.Task[None]] = []
        due_s = time.monotonic()
        while True:
            number = len(asked)
            side = "Buy" if number % 2 == 0 else "Sell"
            each = Asked(qty=STEP * (number + 1), side=side, sent_s=time.monotonic())
            asked.append(each)
            self._under_way.append(asyncio.create_task(self.caller.place(each)))
            due_s = max(due_s + EVERY_S, time.monotonic() - EVERY_S)
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    async def _answered(self, asked: list[Asked]) -> None:
        """Until every call has ended, or will not."""
        done, late = await asyncio.wait(self._under_way, timeout=PATIENCE_S)
        for task in late:
            task.cancel()
        for task in done:
            task.result()  # a mistake of this program's own is not an outcome

    def _stages(self, died_at_s: float) -> dict[str, float]:
        assert isinstance(self.caller, Through)
        moved = [s for s in self.caller.router.get_failover_history() if s["to_exchange"] == BACKUP]
        if not moved:
            return {}
        last = max(moved, key=lambda switch: switch["epoch"])
        began_s = int(last["timestamp"]) / 1000 - died_at_s
        return {"down": began_s, **{step: began_s + at_s for step, at_s in last["steps"].items()}}


@asynccontextmanager
async def through_router(facts: Mapping[str, Mapping[str, str]], state_dir: Path) -> AsyncIterator[Through]:
    """The router, its daemon, and both exchanges well, the backup ready."""
    async with OrderRouter(config=router_tables(facts, state_dir), strategy="dead") as router:
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            status = await router.aio.get_status()
            health, backups = status["exchange_health"], status["readiness"]
            well = status["status"] == "ready" and all(name in health and health[name]["healthy"] for name in EXCHANGES)
            if well and all(backup["ready"] for backup in backups):
                break
            await asyncio.sleep(0.05)
        yield Through(router)


async def _played(
    title: str,
    facts: Mapping[str, Mapping[str, str]],
    folder: Path,
    deaths: list[Death],
    seed: int,
    told: Callable[[str], None],
) -> list[Run]:
    runs: list[Run] = []
    for first in range(0, len(deaths), ONE_LIFE):
        opened = (
            through_router(facts, folder / f"state-{first}")
            if title == ROUTER
            else loop_over(
                facts, request_timeout_s=REQUEST_TIMEOUT_S, retries=HEALTH.max_retry_attempts, pause_s=RETRY_DELAY_S
            )
        )
        async with opened as caller:
            theatre = Theatre(caller, facts, seed + first)
            for death in deaths[first : first + ONE_LIFE]:
                run = await theatre.play(death)
                runs.append(run)
                took = "none" if run.took_s is None else f"{1000 * run.took_s:.0f} ms"
                told(f"{len(runs)} of {len(deaths)}, {title}, {death.name}: {took}, {run.tally}")
    return runs


def measure(
    folder: Path, *, runs: int, seed: int, told: Callable[[str], None], ways: tuple[str, ...] = (ROUTER, LOOP)
) -> dict[tuple[str, str], list[Run]]:
    """By way and name of the death, its runs. One after the other: nobody's work is another one's delay."""
    deaths = [death for _ in range(runs) for death in DEATHS]
    found: dict[tuple[str, str], list[Run]] = {}
    for title in ways:
        home = folder / title.replace(" ", "-")
        home.mkdir()
        with exchanges(EXCHANGES, home) as facts:
            played = asyncio.run(_played(title, facts, home, deaths, seed, told))
        for death in DEATHS:
            found[title, death.name] = [run for each, run in zip(deaths, played, strict=True) if each is death]
    return found
