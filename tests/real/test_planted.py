"""A planted bug is found by the checkers in simulation, and for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.fuzz.run import run_seed
from tests.fuzz.planted_named import NAMED
from tests.real.__main__ import found_by
from tests.real.play import play

pytestmark = pytest.mark.slow

HURRY = 8.0
"""It shows long before the faults are over."""
BUG = "a timeout is treated as a refusal"


def test_a_planted_bug_is_found_by_both(tmp_path: Path) -> None:
    with NAMED[BUG].plant():
        simulated = run_seed(0, "split")
    assert found_by(BUG, [violation.rule for violation in simulated.violations])
    played = play("split", 0, tmp_path, bug=BUG, hurry=HURRY)
    assert found_by(BUG, [violation.rule for violation in played.violations]), played.story
