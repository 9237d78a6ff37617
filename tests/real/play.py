"""Plays a seed's plan against a real daemon: exchanges over HTTP, a strategy in a process of its own, kill -9."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import psutil
from attrs import frozen

from app.bootstrap import JOURNAL_NAME
from app.core.order_router import OrderRouter, OrderRouterError
from app.fuzz import record as r
from app.fuzz.checker import Seen
from app.fuzz.checker_news import Violation
from app.fuzz.plan import Death, Stall, draw_plan
from app.fuzz.profiles import PROFILES
from app.simulator.client import ControlClient, ControlError
from tests.chaos.census import Census
from tests.e2e.daemons import Daemon
from tests.e2e.world import World, settled
from tests.real import diary, judge
from tests.real.daemon import BUG, FOLDER, trap_path
from tests.real.mapping import TABLES, RealPlan, Sky, mapped
from tests.real.strategy import write_plan

READY_S = 60.0
"""Within so long every exchange is well and each backup ready, before a run begins."""
LEAD_S = 1.0
"""The strategies have read their plan by then."""
FIND_S = 3.0
"""So long a process that is to be killed is looked for: it may just be between two lives."""
BUSY_S = 1.0
"""A machine that keeps somebody waiting for so long who wants to run now is too busy for a verdict."""
PLENTY = 100_000_000


@frozen(kw_only=True)
class Played:
    """What a run came to.

    Attributes:
        lateness_s: The longest that the machine kept waiting who wanted to run.
        deaths: Processes that were killed, by anybody.
        faults: Requests that met a fault.
    """

    violations: tuple[Violation, ...]
    story: str
    real: RealPlan
    seen: Seen
    orders: int
    deaths: int
    faults: int
    lateness_s: float
    took_s: float

    @property
    def judged(self) -> bool:
        """Whether the machine was idle enough for times to mean something."""
        return self.lateness_s <= BUSY_S


class Lateness:
    """Wants to run each twentieth of a second, and notes the longest it was kept waiting; a context manager."""

    PAUSE_S = 0.05

    def __init__(self) -> None:
        self.most_s = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        before_s = time.monotonic()
        while not self._over.wait(self.PAUSE_S):
            now_s = time.monotonic()
            self.most_s = max(self.most_s, now_s - before_s - self.PAUSE_S)
            before_s = now_s

    def __enter__(self) -> Lateness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


class Player:
    """What befalls a daemon, at its time."""

    def __init__(self, folder: Path, world: World, daemon: Daemon, router: OrderRouter, real: RealPlan, rng: Random):
        self._folder, self._world, self._daemon, self._router = folder, world, daemon, router
        self._real, self._rng = real, rng
        self._diary = diary.Diary(folder, "player")
        self._census = Census(world.state_dir)
        self._switches: list[threading.Thread] = []
        (folder / "traps").mkdir()

    def close(self) -> None:
        """No more."""
        self._census.close()
        for thread in self._switches:
            thread.join(READY_S)

    def play(self, start_s: float) -> None:
        """From start to end, in real time."""
        for at_s, act in sorted(self._acts(), key=lambda pair: pair[0]):
            wait_s = start_s + at_s - time.time()
            if wait_s > 0:
                threading.Event().wait(wait_s)
            act()

    def _acts(self) -> Iterator[tuple[float, Callable[[], None]]]:
        plan = self._real.plan
        for sky in self._real.skies:
            yield sky.at_s, partial(self._weather, sky)
        for death in plan.deaths:
            yield death.at_s, partial(self._kill, death)
        for stall in plan.stalls:
            yield stall.at_s, partial(self._stall, stall)
        for at_s, exchange in plan.switches:
            yield at_s, partial(self._switch, exchange)
        for at_s in plan.price_moves:
            yield at_s, self._price_moves
        yield plan.times.calm_s, self._calm
        yield plan.times.end_s, lambda: None

    def _note(self, who: str, words: str) -> None:
        self._diary.add(r.Note(time.time(), who, words))

    # ------------------------------------------------------------------------------------------------ exchanges

    def _weather(self, sky: Sky) -> None:
        control: ControlClient = self._world[sky.exchange].control
        control.clear_faults()
        for rule in sky.rules:
            control.fault(rule.kind, call=rule.call, params=rule.params)
        control.ask("POST", "/lag", {"lag_s": sky.lag_s})
        self._note(sky.exchange, ", ".join(dict.fromkeys(rule.kind for rule in sky.rules)) or "nothing is wrong")

    def _price_moves(self) -> None:
        """Some of what rests fills, wholly or in part, as in the harness."""
        for name in self._world.names:
            control = self._world[name].control
            for order in control.truth()["orders"]:
                if order["status"] not in ("open", "partially_filled") or self._rng.random() >= 0.6:
                    continue
                left = Decimal(order["qty"]) - Decimal(order["filled"])
                if self._rng.random() >= 0.6:
                    left = max(Decimal("0.001"), (left * self._rng.randint(1, 9) / 10).quantize(Decimal("0.001")))
                with contextlib.suppress(ControlError):  # it was cancelled meanwhile
                    control.fill(order_id=order["order_id"], qty=left)
        self._note("market", "moves")

    def _calm(self) -> None:
        self._note("world", "is calm from here on")
        for path in (self._folder / "traps").iterdir():
            path.unlink(missing_ok=True)

    # ------------------------------------------------------------------------------------------------ processes

    def _pids(self, actor: str) -> list[int]:
        """Of an actor by its child's name; of everybody but the launcher."""
        until_s = time.monotonic() + FIND_S
        while time.monotonic() < until_s:
            if actor == "everything":
                return [each.pid for each in self._daemon.tree()[1:]]
            roll = self._census.roll()
            found = {} if roll is None else {name.partition(":")[2]: pid for name, pid in roll.children.items()}
            pid = found.get(actor)
            if pid is not None and psutil.pid_exists(pid):
                return [pid]
            threading.Event().wait(0.05)
        self._note(actor, "lies dead already")
        return []

    def _kill(self, death: Death) -> None:
        if death.point:
            trap_path(self._folder, death.actor, death.point).touch()
            return
        for pid in self._pids(death.actor):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._diary.add(r.Died(time.time(), death.actor, "killed"))

    def _stall(self, stall: Stall) -> None:
        for pid in self._pids(stall.actor):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                self._note(stall.actor, f"is stopped for {stall.for_s:.1f} s")
                timer = threading.Timer(stall.for_s, self._go_on, (psutil.Process(pid),))
                timer.daemon = True
                timer.start()

    @staticmethod
    def _go_on(process: psutil.Process) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):  # killed as hung
            process.resume()

    def _switch(self, exchange: str) -> None:
        thread = threading.Thread(target=self._ask, args=(exchange,), daemon=True)
        thread.start()
        self._switches.append(thread)

    def _ask(self, exchange: str) -> None:
        self._note("operator", f"asks for a failover to {exchange}")
        try:
            self._router.manual_failover(exchange)
        except OrderRouterError as error:
            self._note("operator", f"is answered: {error}")


def play(profile: str, seed: int, folder: Path, *, bug: str = "", hurry: float = 1.0) -> Played:
    """Plays the plan of a seed, and judges it.

    Args:
        folder: Empty; for everything of this run.
        bug: One of `tests.fuzz.planted` or `planted_named`, which the daemon is to have.
        hurry: See `mapped`.

    Raises:
        AssertionError: The daemon did not come to serve, or did not end.
    """
    began_s = time.monotonic()
    plan = draw_plan(PROFILES[profile], Random(f"{profile}-{seed}"))
    rng = Random(f"{profile}-{seed}, real")
    real = mapped(plan, PROFILES[profile], rng, hurry=hurry)
    names = [traits.name for traits in plan.traits]
    strategies = {
        each.name: {"class": "tests.real.strategy:RealStrategy", "args": {"folder": str(folder)}}
        for each in plan.strategies
    }
    environ = {FOLDER: str(folder), BUG: bug}
    with (
        World(names, folder / "state", **{**TABLES, "strategies": strategies}) as world,
        Daemon(world, folder, environ=environ, module="tests.real.daemon") as daemon,
    ):
        daemon.serves()
        for name in names:
            world[name].control.deposit("USDT", PLENTY)
        with daemon.router(well=False, strategy="player") as router, Lateness() as lateness:
            settled(router, names, patience_s=READY_S)
            start_s = time.time() + LEAD_S
            for strategy in judge.absolute(real.plan, start_s).strategies:
                write_plan(folder, strategy)
            player = Player(folder, world, daemon, router, real, rng)
            try:
                player.play(start_s)
                truths = {name: world[name].control.truth() for name in names}
                requests = {name: world[name].control.requests() for name in names}
                end_s = time.time()
            finally:
                player.close()
        code, _ = daemon.end()
        assert code == 0, f"the daemon ended with {code}: {(folder / 'stderr.log').read_text()[-2000:]}"
    facts = diary.read_all(folder)
    with judge.opened(folder / "state" / JOURNAL_NAME) as journal:
        seen = judge.seen_of(real.plan, facts, truths, requests, journal, start_s, end_s)
        violations = judge.violations_of(seen, journal)
    return Played(
        violations=violations,
        story=judge.told(violations, start_s),
        real=real,
        seen=seen,
        orders=len({asked.serial for asked in seen.asked()}),
        deaths=sum(isinstance(fact, r.Died) and fact.why.startswith("killed") for fact in seen.facts),
        faults=sum(bool(each["fault"]) for log in requests.values() for each in log),
        lateness_s=round(lateness.most_s, 3),
        took_s=round(time.monotonic() - began_s, 1),
    )


def facts_of(played: Played) -> dict[str, Any]:
    """For the results."""
    return {
        "real": sorted({violation.rule for violation in played.violations}),
        "judged": played.judged,
        "orders": played.orders,
        "deaths": played.deaths,
        "faults": played.faults,
        "lateness_s": played.lateness_s,
        "seconds": played.took_s,
        "left_out": list(played.real.left_out),
    }
