"""Seeds of the profile `elsewhere`, in parts: what nobody knows of is placed where trading is, up to a bound."""

from __future__ import annotations

import pytest

from tests.fuzz.seeds import PART, hold, parts

SEEDS = 150


@pytest.mark.parametrize("first", parts(SEEDS, at_once=25))
def test_every_invariant_holds(first: int) -> None:
    """For each seed of this part."""
    hold("elsewhere", range(first, min(SEEDS, first + PART)))
