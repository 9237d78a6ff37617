"""The ten bugs by which a harness for order routers is to be measured, one at a time, under all profiles in turn.

`python -m tests.fuzz.planted_named` looks for each, from seed 0 on, as `order-router fuzz` runs them, and writes down
how many seeds and seconds it took.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import evolve, frozen

from app.domain.commit import CommitAgain, CommitNew, Decision, decide
from app.domain.connector import Connector
from app.domain.dead_man import DeadMan
from app.domain.leg_life import Leg, LegEvent, advance
from app.fuzz.__main__ import TAKING_TURNS
from app.fuzz.run import run_seed
from app.fuzz.watched import WatchedJournal
from app.journal import store
from app.journal.errors import translated
from app.journal.routes import Routes
from benchmarks.machine import commit
from messages.failover import Route
from messages.orders import LegState
from tests.fuzz.planted import (
    DOUBLED,
    Planted,
    absence_without_margin,
    ambiguous_taken_for_not_executed,
    executions_counted_by_listing,
    fence_not_checked,
    swapped,
)

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "fuzz_planted.json"
MOST_SEEDS = 1000


@contextmanager
def fence_skipped() -> Iterator[None]:
    """Trading is not stopped while it moves: until the new route is committed, the old one holds."""
    routes: list[Route] = []
    fence, commit_route = WatchedJournal.fence, WatchedJournal.commit_route

    def noted(self: WatchedJournal, epoch: int, exchange: str, now_s: float) -> Route:
        route = commit_route(self, epoch, exchange, now_s)
        routes[:] = [route]
        return route

    def quiet(self: WatchedJournal, now_s: float) -> Route:
        return fence(self, now_s)

    def unfenced(*, route: Route, **more: Any) -> Decision:
        if route.exchange is None and routes:
            route = routes[0]
        return decide(route=route, **more)

    with (
        swapped(WatchedJournal, "commit_route", noted),
        swapped(WatchedJournal, "fence", quiet),
        swapped(store, "decide", unfenced),
    ):
        yield


@contextmanager
def new_leg_after_absence() -> Iterator[None]:
    """What was proven absent is placed as a new leg, under an id that no duplicate check of the exchange knows."""

    def anew(*, known: Any, **more: Any) -> Decision:
        decision = decide(known=known, **more)
        if isinstance(decision, CommitAgain) and known.leg.state is LegState.ABSENT:
            return CommitNew(number=known.leg.number + 1, quantity=known.quantity - known.filled)
        return decision

    with swapped(store, "decide", anew):
        yield


@contextmanager
def expiry_of_the_dead_man_forgotten() -> Iterator[None]:
    """That the exchange's own switch has cancelled what rests there is not thought of."""
    with swapped(DeadMan, "gone", lambda self, tasks, now_s: []):
        yield


@contextmanager
def not_deduplicated_at_a_restart() -> Iterator[None]:
    """A connector that is started anew takes whatever nobody knows of for not sent, and lets it be placed again."""
    recover = Connector.recover

    def forgetful(self: Connector, orders: Any, now_s: float, *rest: Any) -> Any:
        effects = recover(self, orders, now_s, *rest)
        doubted = [task for task in self.tasks.values() if task.unproven]
        return [*effects, *(task.record(LegEvent.PROVEN_ABSENT) for task in doubted)]

    with swapped(Connector, "recover", forgetful):
        yield


@contextmanager
def carried_before_proof() -> Iterator[None]:
    """What is to go with trading is placed there as soon as its cancel is to be sent."""

    def hasty(leg: Leg, event: LegEvent, **more: Any) -> Leg:
        new = advance(leg, event, **more)
        if event is LegEvent.CARRY_ASKED and new.state in (LegState.OPEN, LegState.PARTIALLY_FILLED):
            return evolve(new, state=LegState.DRAINED)
        return new

    with swapped(store, "advance", hasty):
        yield


LOST = ("I1", "I2", "I5", "fills differ", "left over", "news", "trade")
LOSES_EVERY = 50
"""So many commits, of which one is lost."""


@contextmanager
def journal_write_lost() -> Iterator[None]:
    """A commit says that it is done, now and then, and has written nothing."""
    done = 0

    @contextmanager
    def losing(self: store.Journal) -> Iterator[None]:
        nonlocal done
        if self._joined:
            yield
            return
        with translated(self._where):
            self._lock.begin()
            try:
                yield
                done += 1
                self._db.execute("COMMIT" if done % LOSES_EVERY else "ROLLBACK")
            except BaseException:
                self._memory.undone()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    with swapped(store.Journal, "_transaction", losing):
        yield


@contextmanager
def route_not_synced() -> Iterator[None]:
    """The fence and the route are committed as orders are: a power cut can undo them."""

    @contextmanager
    def unsynced(self: Routes) -> Iterator[None]:
        self._cold.ready()
        with self._transaction():
            self._memory.forget()
            yield

    with swapped(Routes, "_durable_transaction", unsynced):
        yield


@contextmanager
def power_safe_not_synced() -> Iterator[None]:
    """Orders are committed as if nobody had asked for them to survive a power cut."""

    def normal(self: Routes, full: bool) -> None:
        self._db.execute("PRAGMA synchronous=NORMAL")

    with swapped(Routes, "_synchronous", normal):
        yield


@frozen
class Named:
    """One of them.

    Attributes:
        rules: Those that may find it, by how they begin: found by another, it counts as not found.
        profile: The only one it is looked for under; all in turn where it is empty.
    """

    plant: Planted
    rules: tuple[str, ...]
    profile: str = ""


NAMED: Mapping[str, Named] = MappingProxyType(
    {
        "the fence is skipped": Named(fence_skipped, ("I3 sent past the fence",)),
        "a timeout is treated as a refusal": Named(ambiguous_taken_for_not_executed, DOUBLED),
        "a new leg is made after absence": Named(new_leg_after_absence, ("I1 another id after absence",)),
        "the dead-man switch's expiry is forgotten": Named(
            expiry_of_the_dead_man_forgotten, ("order lost",), "expiring"
        ),
        "a fill is counted twice": Named(executions_counted_by_listing, ("fills differ",)),
        "sent again after not-found, without the lag": Named(absence_without_margin, DOUBLED),
        "no deduplication at a restart": Named(not_deduplicated_at_a_restart, DOUBLED),
        "the epoch is not checked": Named(fence_not_checked, ("I3 sent past the fence",)),
        "a journal write is lost": Named(journal_write_lost, LOST, "disk"),
        "a route is committed without a sync": Named(route_not_synced, ("I5 a route is lost",), "disk"),
        "nothing is synced though it should be": Named(power_safe_not_synced, ("I5",), "disk"),
        "carried before proof": Named(carried_before_proof, ("I1", "carried wrongly", "order.contradiction")),
    }
)

PLAYED = tuple(name for name, bug in NAMED.items() if bug.profile)
"""Those that a test plays; the others take too many seeds for one."""


def seek(name: str, start: int = 0, most: int = MOST_SEEDS) -> dict[str, Any] | None:
    """The first seed that finds a bug, by a rule that is meant to; None where none of `most` does."""
    bug, began_s = NAMED[name], time.process_time()
    with bug.plant():
        for seed in range(start, start + most):
            profile = bug.profile or TAKING_TURNS[seed % len(TAKING_TURNS)]
            for violation in run_seed(seed, profile).violations:
                if violation.rule.startswith(bug.rules):
                    cpu_s = time.process_time() - began_s
                    return {"seed": seed, "profile": profile, "rule": violation.rule, "cpu_s": round(cpu_s, 1)}
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 when each was found, 1 when one was not."""
    parser = argparse.ArgumentParser(prog="fuzz-planted", description="How soon each planted bug is found.")
    parser.add_argument("--only", action="append", choices=list(NAMED), help="this one; may be given again")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    arguments = parser.parse_args(argv)
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in arguments.only or NAMED:
        one = seek(name, arguments.start)
        found[name] = None if one is None else one | {"commit": commit(ROOT, ("tests/fuzz",)).get("commit", "")}
        print(f"{name}: {found[name] or f'not found within {MOST_SEEDS} seeds'}", flush=True)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if all(found.get(name) for name in NAMED) else 1


if __name__ == "__main__":
    sys.exit(main())
