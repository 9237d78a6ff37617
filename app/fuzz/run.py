"""Runs seeds: one, or many over several processes."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from copy import deepcopy
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random

from attrs import evolve, field, frozen

from app.fuzz.checker import Seen, check
from app.fuzz.checker_again import again_violations
from app.fuzz.checker_book import adopted_rightly
from app.fuzz.checker_carry import carry_violations
from app.fuzz.checker_disk import but_for_losses
from app.fuzz.checker_ill import ill_violations
from app.fuzz.checker_moves import book_violations, move_violations
from app.fuzz.checker_news import Violation
from app.fuzz.exposure import exposure_violations
from app.fuzz.fill_check import fills_heard, fills_kept
from app.fuzz.leaks import leaks
from app.fuzz.model import model_violations
from app.fuzz.own_network import network_violations
from app.fuzz.plan import Plan, draw_plan
from app.fuzz.profiles import PROFILES, Profile
from app.fuzz.quiet import quiet_spans
from app.fuzz.reached import Reached, Where
from app.fuzz.secrecy import secret_violations
from app.fuzz.settings import HEALTH, failover_settings
from app.fuzz.story import tell
from app.fuzz.world import START_S, World

CHUNK = 5
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
        reached: How often it was where, if that was counted.
    """

    seed: int
    profile: str
    violations: tuple[Violation, ...]
    story: str
    orders: int
    steps: int
    simulated_s: float
    took_s: float
    reached: Mapping[Where, int] = field(factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every invariant held."""
        return not self.violations


def run_seed(seed: int, profile: str, *, story: bool = False, coverage: bool = False) -> Verdict:
    """Runs one seed and judges it; the same seed and profile give the same run.

    Raises:
        ValueError: There is no such profile.
        Exception: The harness failed beside the run itself; a note says of which seed.
    """
    if profile not in PROFILES:
        raise ValueError(f"Profile {profile!r} is not known: it must be one of {', '.join(PROFILES)}.")
    try:
        return _run_seed(seed, profile, story=story, coverage=coverage)
    except Exception as error:
        error.add_note(f"It was in seed {seed}: order-router fuzz --profile {profile} --replay {seed}")
        raise


def _run_seed(seed: int, profile: str, *, story: bool, coverage: bool) -> Verdict:
    began_s = time.perf_counter()
    rng = Random(f"{profile}-{seed}")
    reached = Reached() if coverage else None
    world = World(PROFILES[profile], draw_plan(PROFILES[profile], rng), rng, reached)
    try:
        with reached.counted() if reached is not None else nullcontext():
            seen, violations = judged(world, PROFILES[profile].unknown_max_notional)
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
        reached={} if reached is None else dict(reached.counts),
    )


def run_plan(plan: Plan, profile: Profile, rng: Random) -> tuple[Seen, tuple[Violation, ...]]:
    """Runs a plan, which is left as it is, and judges it; `rng` decides all that the plan does not."""
    world = World(profile, deepcopy(plan), rng)
    try:
        return judged(world, profile.unknown_max_notional)
    finally:
        world.close()


def judged(world: World, declared: Decimal | None = None) -> tuple[Seen, tuple[Violation, ...]]:
    """Runs a world to its end and judges it: what was seen, and what was violated, the earliest first.

    Args:
        declared: What may be worth together what is placed elsewhere although nobody knows of it.
    """
    broken: list[Violation] = []
    try:
        world.run()
    except RuntimeError as error:
        broken.append(Violation("the run itself", world.scheduler.now_s, 0, str(error)))
    except Exception as error:  # of whatever kind: it is this run that fails, and those after it are run all the same
        frame = traceback.extract_tb(error.__traceback__)[-1]
        words = f"{type(error).__name__}: {error}, in {frame.name}, {Path(frame.filename).name} line {frame.lineno}"
        broken.append(Violation("the run itself", world.scheduler.now_s, 0, words))
    return judge(world, declared, broken)


def seen_so_far(world: World, declared: Decimal | None = None) -> Seen:
    """What checkers go by, up to now."""
    orders = tuple(order for exchange in world.exchanges.values() for order in exchange.orders)
    given = world.given()  # first: it may add to the facts
    facts, now_s = tuple(world.record.facts), world.scheduler.now_s
    moves, untold = world.record.moves(), world.record.untold()
    seen = Seen(world.plan, facts, orders, START_S, world.calm_s, now_s, given, moves, untold, declared)
    refused = tuple(each for exchange in world.exchanges.values() for each in exchange.refused)
    turned_away = tuple(each for exchange in world.exchanges.values() for each in exchange.turned_away)
    return evolve(seen, refused=refused, turned_away=turned_away, quiet=quiet_spans(world.profile, world.plan, now_s))


def judge(
    world: World, declared: Decimal | None = None, broken: Sequence[Violation] = ()
) -> tuple[Seen, tuple[Violation, ...]]:
    """Judges a world that has come to its end; `broken` is why it did not, and nothing is judged that needs an end."""
    seen = seen_so_far(world, declared)
    ended = [] if broken else [*leaks(world), *fills_kept(world), *fills_heard(seen), *book_violations(world, seen)]
    ended += [] if broken else adopted_rightly(world)
    ended += [] if broken else network_violations(world.plan.networks, world.journal, START_S)
    moved = sorted((*carry_violations(seen), *move_violations(seen)), key=lambda violation: violation.at_s)
    moved += [*again_violations(seen), *model_violations(seen), *exposure_violations(seen)]
    moved += secret_violations(world.record, world.journal._db, world.scheduler.leaked)
    return seen, but_for_losses(world, (*broken, *check(seen), *moved, *_ill(world, seen), *ended))


def _ill(world: World, seen: Seen) -> list[Violation]:
    plan = world.plan
    asks = {name: exchange.banned_asks for name, exchange in world.exchanges.items()}
    failover = failover_settings(tuple(world.exchanges), plan)
    why = {switch.epoch: switch.reason for switch in world.journal.switches()}
    found = ill_violations(seen, HEALTH, failover, asks, why)
    return sorted(found, key=lambda violation: violation.at_s)


def run_many(seeds: Sequence[int], profiles: Sequence[str], jobs: int, *, coverage: bool = False) -> Iterator[Verdict]:
    """Runs seeds, each under the profile its number falls to, and yields verdicts as they come, in order."""
    work = [(seed, profiles[seed % len(profiles)]) for seed in seeds]
    run = partial(_run, coverage=coverage)
    gc.collect()
    gc.freeze()  # what was imported stays: that the collector looks at it again and again is a fifteenth of a run
    try:
        if jobs <= 1:
            yield from map(run, work)
            return
        pool = ProcessPoolExecutor(jobs)
        try:
            yield from pool.map(run, work, chunksize=CHUNK)
        finally:  # whoever has seen enough does not wait for the rest
            pool.shutdown(wait=True, cancel_futures=True)
    finally:
        gc.unfreeze()


def _run(work: tuple[int, str], *, coverage: bool) -> Verdict:
    return run_seed(*work, coverage=coverage)
