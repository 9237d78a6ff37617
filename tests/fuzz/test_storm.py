"""Seeds of the profile `storm`, in parts. A file a profile, since the test runner gives a file to one worker."""

from __future__ import annotations

import pytest

from tests.fuzz.seeds import PART, hold

SEEDS = 300


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_every_invariant_holds(first: int) -> None:
    """For each seed of this part."""
    hold("storm", range(first, min(SEEDS, first + PART)))
