"""The checker bites: each planted bug is found within a few hundred seeds, by a rule that is meant to find it."""

from __future__ import annotations

import pytest

from app.fuzz.run import run_seed
from tests.fuzz.planted import PLANTED, second_leg_while_unknown_but_for_the_index

MOST_SEEDS = 300


@pytest.mark.parametrize("name", PLANTED)
def test_planted_bug_is_found(name: str) -> None:
    """And by a rule that is meant to: a bug found for the wrong reason is not found."""
    bug = PLANTED[name]
    with bug.plant():
        for seed in range(bug.begin, bug.begin + MOST_SEEDS):
            verdict = run_seed(seed, bug.profile)
            if any(violation.rule.startswith(bug.rules) for violation in verdict.violations):
                return
    pytest.fail(f"{name}: not found in {MOST_SEEDS} seeds")


def test_the_database_itself_refuses_a_second_live_leg() -> None:
    """The same bug that is found without the journal's index does no harm with it."""
    with second_leg_while_unknown_but_for_the_index():
        for seed in range(2, 6):  # without the index the second of them finds it
            verdict = run_seed(seed, "storm")
            assert not [v for v in verdict.violations if v.rule.startswith("I1")], verdict.story
