"""Seeds of the profile `storm`, in parts. A file a profile, since the test runner gives a file to one worker."""

from __future__ import annotations

import pytest

from tests.fuzz.seeds import PART, hold, parts

SEEDS = 300


@pytest.mark.parametrize("first", parts(SEEDS, at_once=25))
def test_every_invariant_holds(first: int) -> None:
    """For each seed of this part."""
    hold("storm", range(first, min(SEEDS, first + PART)))
