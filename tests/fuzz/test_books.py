"""Seeds of the profiles in which orders and positions go with trading: every invariant holds at every event."""

from __future__ import annotations

import pytest

from app.fuzz.profiles import PROFILES
from tests.fuzz.seeds import hold, parts

BOOKED = [name for name, profile in PROFILES.items() if profile.books is not None]
SEEDS = 80
"""Of each profile. `make fuzz-deep` runs very many."""

PARTS = [
    pytest.param(name, *part.values, marks=part.marks, id=f"{name}-{part.id}")
    for name in BOOKED
    for part in parts(SEEDS, deep=5, part=15)
]


@pytest.mark.parametrize(("profile", "seeds"), PARTS)
def test_every_invariant_holds(profile: str, seeds: range) -> None:
    """For each seed of this part."""
    hold(profile, seeds)
