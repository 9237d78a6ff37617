"""The checker bites where orders and positions go with trading: each planted bug is found by a rule meant for it."""

from __future__ import annotations

import pytest

from app.fuzz.run import run_seed
from tests.fuzz.planted_books import PLANTED_BOOKS

MOST_SEEDS = 60
LONG = frozenset({"opened and not closed", "slices in doubt not counted"})
"""Of which each run is long, since orders without end are placed, or many are needed."""
NAMES = [pytest.param(name, marks=pytest.mark.deep if name in LONG else ()) for name in PLANTED_BOOKS]


@pytest.mark.parametrize("name", NAMES)
def test_planted_bug_is_found(name: str) -> None:
    """And by a rule that is meant to: a bug found for the wrong reason is not found."""
    bug = PLANTED_BOOKS[name]
    with bug.plant():
        for seed in range(bug.begin, bug.begin + MOST_SEEDS):
            verdict = run_seed(seed, bug.profile)
            if any(violation.rule.startswith(bug.rules) for violation in verdict.violations):
                return
    pytest.fail(f"{name}: not found in {MOST_SEEDS} seeds")
