"""Seeds of the profile `elsewhere`, in parts: what nobody knows of is placed where trading is, up to a bound."""

from __future__ import annotations

from random import Random

import pytest

from app.fuzz.plan import PROFILES, draw_plan
from app.fuzz.world import World
from tests.fuzz.seeds import PART, hold, parts

SEEDS = 150


@pytest.mark.parametrize("first", parts(SEEDS, at_once=25))
def test_every_invariant_holds(first: int) -> None:
    """For each seed of this part."""
    hold("elsewhere", range(first, min(SEEDS, first + PART)))


EXECUTED_TWICE = 22
"""A seed in which a leg that was set aside had executed."""


def test_a_seed_does_execute_twice_and_it_is_told() -> None:
    """Otherwise the profile would try nothing: a leg is set aside, and more fills than was asked for."""
    profile = PROFILES["elsewhere"]
    rng = Random(f"elsewhere-{EXECUTED_TWICE}")
    world = World(profile, draw_plan(profile, rng), rng)
    try:
        world.run()
        assert world.journal.exceeded() == 1
        assert world.journal.held_notional() == 0
    finally:
        world.close()
