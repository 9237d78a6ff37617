"""Runs seeds: one, or many over several processes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from random import Random

from attrs import frozen

from app.fuzz.checker import Seen, check
from app.fuzz.checker_book import adopted_rightly
from app.fuzz.checker_carry import carry_violations
from app.fuzz.checker_ill import ill_violations
from app.fuzz.checker_moves import book_violations, move_violations
from app.fuzz.checker_news import Violation
from app.fuzz.fill_check import fills_heard, fills_kept
from app.fuzz.leaks import leaks
from app.fuzz.own_network import network_violations
from app.fuzz.plan import PROFILES, draw_plan
from app.fuzz.settings import failover_settings, health_settings
from app.fuzz.story import tell
from app.fuzz.world import START_S, World

CHUNK = 25
"""Seeds a worker takes at once."""


@frozen(kw_only=True)
class Verdict:
    """How a seed ended.

    Attributes:
        violations: The earliest first; empty where every invariant held.
        story: The timeline; empty where nothing was violated and none was asked for.
        orders: Placed by strategies.
        steps: Events of the simulation.
        simulated_s: How much time passed in the run.
        took_s: How long it took.
    """

    seed: int
    profile: str
    violations: tuple[Violation, ...]
    story: str
    orders: int
    steps: int
    simulated_s: float
    took_s: float

    @property
    def ok(self) -> bool:
        """Whether every invariant held."""
        return not self.violations


def run_seed(seed: int, profile: str, *, story: bool = False) -> Verdict:
    """Runs one seed and judges it; the same seed and profile give the same run.

    Raises:
        ValueError: There is no such profile.
    """
    if profile not in PROFILES:
        raise ValueError(f"Profile {profile!r} is not known: it must be one of {', '.join(PROFILES)}.")
    began_s = time.perf_counter()
    rng = Random(f"{profile}-{seed}")
    world = World(PROFILES[profile], draw_plan(PROFILES[profile], rng), rng)
    try:
        broken: list[Violation] = []
        try:
            world.run()
        except RuntimeError as error:
            broken.append(Violation("the run itself", world.scheduler.now_s, 0, str(error)))
        orders = tuple(order for exchange in world.exchanges.values() for order in exchange.orders)
        facts, now_s = tuple(world.record.facts), world.scheduler.now_s
        declared = PROFILES[profile].unknown_max_notional
        moves, untold = world.record.moves(), world.record.untold()
        given = world.given()
        seen = Seen(world.plan, facts, orders, START_S, world.calm_s, now_s, given, moves, untold, declared)
        ended = [] if broken else [*leaks(world), *fills_kept(world), *fills_heard(seen), *book_violations(world, seen)]
        ended += [] if broken else adopted_rightly(world)
        ended += [] if broken else network_violations(world.plan.networks, world.journal, START_S)
        moved = sorted((*carry_violations(seen), *move_violations(seen)), key=lambda violation: violation.at_s)
        violations = (*broken, *check(seen), *moved, *_ill(world, seen), *ended)
    finally:
        world.close()
    serials = frozenset(v.serial for v in violations if v.serial) if not story else frozenset()
    return Verdict(
        seed=seed,
        profile=profile,
        violations=violations,
        story=tell(seen, violations, serials=serials) if violations or story else "",
        orders=len({asked.serial for asked in seen.asked()}),
        steps=world.scheduler.steps,
        simulated_s=world.scheduler.now_s - START_S,
        took_s=time.perf_counter() - began_s,
    )


def _ill(world: World, seen: Seen) -> list[Violation]:
    plan = world.plan
    asks = {name: exchange.banned_asks for name, exchange in world.exchanges.items()}
    failover = failover_settings(tuple(world.exchanges), plan)
    why = {switch.epoch: switch.reason for switch in world.journal.switches()}
    found = ill_violations(seen, health_settings(plan), failover, asks, why)
    return sorted(found, key=lambda violation: violation.at_s)


def run_many(seeds: Sequence[int], profiles: Sequence[str], jobs: int) -> Iterator[Verdict]:
    """Runs seeds, each under the profile its number falls to, and yields verdicts as they come, in order."""
    work = [(seed, profiles[seed % len(profiles)]) for seed in seeds]
    if jobs <= 1:
        yield from (run_seed(*each) for each in work)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_run, work, chunksize=CHUNK)


def _run(work: tuple[int, str]) -> Verdict:
    return run_seed(*work)
