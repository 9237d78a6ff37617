"""Seeds of the profiles in which orders and positions go with trading: every invariant holds at every event."""

from __future__ import annotations

import pytest

from app.fuzz.plan import PROFILES
from tests.fuzz.seeds import hold

BOOKED = [name for name, profile in PROFILES.items() if profile.books is not None]
AT_ONCE, SEEDS, EACH = 8, 80, 8
"""Of each profile: in the quick suite, with the slow tests, and in one test. `make fuzz-deep` runs very many."""

PARTS = [
    pytest.param(name, first, marks=() if first < AT_ONCE else pytest.mark.slow)
    for name in BOOKED
    for first in range(0, SEEDS, EACH)
]


@pytest.mark.parametrize(("profile", "first"), PARTS)
def test_every_invariant_holds(profile: str, first: int) -> None:
    """For each seed of this part."""
    hold(profile, range(first, first + EACH))
