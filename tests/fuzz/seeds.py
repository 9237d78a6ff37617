"""Runs seeds for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from app.fuzz.run import run_seed

PART = 25
"""Seeds in one test."""


def parts(seeds: int, *, at_once: int) -> list[Any]:
    """The first seed of each part, for tests; those from `at_once` on run with `-m slow` only, or by `make fuzz`."""
    return [pytest.param(n, marks=() if n < at_once else pytest.mark.slow) for n in range(0, seeds, PART)]


def hold(profile: str, seeds: Iterable[int]) -> None:
    """Fails with the story of the first seed for which an invariant did not hold."""
    for seed in seeds:
        verdict = run_seed(seed, profile)
        assert verdict.ok, f"seed {seed} of {profile}: {verdict.violations[0]}\n{verdict.story}"
