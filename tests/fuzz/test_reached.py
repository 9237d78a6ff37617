"""Where runs have been is counted rightly, changes no run, and what waits for a step of a switch happens at it."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from attrs import evolve

from app.domain import fill_sums, health_belief, saga_steps
from app.domain.saga_table import Step
from app.fuzz import record as r
from app.fuzz.faults import Fault
from app.fuzz.plan import draw_plan
from app.fuzz.profiles import PROFILES
from app.fuzz.reached import Reached, Where, as_json, from_json, grids, report
from app.fuzz.run import judged, run_seed
from app.fuzz.step_plan import AT, AtStep
from app.fuzz.world import START_S, World
from app.journal import aside, store

SWITCH_S = 60.0


def test_counting_changes_no_run_and_is_over_with_it() -> None:
    before = [vars(room)["advance"] for room in (store, aside, fill_sums)]
    before += [vars(saga_steps)["answer"], vars(health_belief)["TABLE"]]
    counted, bare = run_seed(1, "crashes", coverage=True), run_seed(1, "crashes")
    assert (counted.steps, counted.simulated_s, counted.violations) == (bare.steps, bare.simulated_s, bare.violations)
    assert counted.reached
    assert not bare.reached
    after = [vars(room)["advance"] for room in (store, aside, fill_sums)]
    assert before == [*after, vars(saga_steps)["answer"], vars(health_belief)["TABLE"]]


def test_every_place_that_is_counted_has_its_cell() -> None:
    for (kind, *where), n in run_seed(2, "steps", coverage=True).reached.items():
        _, grid = grids()[kind]
        assert n > 0
        assert grid.get((where[0], where[1]), None) is not None, f"{kind} {where} is said to be a bug, or is nowhere"


def test_what_was_never_reached_is_seen() -> None:
    counts = Counter[Where]({("saga", "fence", "fenced"): 3, ("death", "connector", "carry", "late"): 1})
    lines = list(report(counts))
    (fence,) = [line for line in lines if line.startswith("| fence |")]
    assert fence.split(" | ")[1:4] == ["3", "·", "·"], "fenced; ready and unready would change nothing"
    assert "**0**" in fence, "whoever wants a switch while another is at its fence is refused"
    title = lines.index("### Deaths by step of a switch")
    assert lines[title + 2].startswith("Reached are 1 of ")
    assert from_json(as_json(counts)) == counts


STEPS = [pytest.param(step, marks=() if step in (Step.SETTLE, Step.CARRY) else pytest.mark.deep) for step in AT]


BEGIN = {Step.CARRY: 6, Step.LEAVE: 8}
"""Plans in which the first switch is at such a step for a while: orders rest, or the exchange that is left is slow."""


@pytest.mark.parametrize("step", STEPS)
def test_somebody_dies_and_an_exchange_fails_just_as_the_step_is_entered(step: Step) -> None:
    profile, reached = PROFILES["steps"], Reached()
    at_step = AtStep(step=step, nth=1, after_s=0.0, actor="okx", exchange="okx", kinds=Fault.SERVER.value, for_s=20.0)
    plan = draw_plan(profile, Random(BEGIN.get(step, 4)))
    plan = evolve(plan, deaths=(), stalls=(), lags=(), switches=((SWITCH_S, "okx"),), at_steps=(at_step,))
    world = World(profile, plan, Random(4), reached)
    try:
        with reached.counted():
            found, violations = judged(world)
    finally:
        world.close()
    assert not violations
    (died_s,) = [fact.at_s for fact in found.facts if isinstance(fact, r.Died) and fact.actor == "okx"]
    (window,) = [each for each in world.plan.windows if each.kinds == (Fault.SERVER,)]
    assert abs(START_S + window.begin_s - died_s) < 1e-3
    assert any(place[:3] == ("death", "connector", step.value) for place in reached.counts)
