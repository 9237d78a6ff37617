"""Seeds of the profile `expiring`, in parts. A file a profile, since the test runner gives a file to one worker."""

from __future__ import annotations

import pytest

from tests.fuzz.seeds import hold, parts

SEEDS = 300


@pytest.mark.parametrize("seeds", parts(SEEDS))
def test_every_invariant_holds(seeds: range) -> None:
    """For each seed of this part."""
    hold("expiring", seeds)
