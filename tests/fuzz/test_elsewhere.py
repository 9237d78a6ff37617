"""Seeds of the profile `elsewhere`, in parts: what nobody knows of is placed where trading is, up to a bound."""

from __future__ import annotations

import pytest

from tests.fuzz.seeds import hold, parts

SEEDS = 150


@pytest.mark.parametrize("seeds", parts(SEEDS))
def test_every_invariant_holds(seeds: range) -> None:
    """For each seed of this part."""
    hold("elsewhere", seeds)
