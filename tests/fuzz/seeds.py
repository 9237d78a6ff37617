"""Runs seeds for tests."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest

from app.fuzz.run import run_seed

QUICK, DEEP, PART = 1, 10, 25
"""The first seeds, which every change passes; up to where `make test-deep` goes on; and how many of the rest are one
test."""


def parts(seeds: int, *, quick: int = QUICK, deep: int = DEEP, part: int = PART) -> list[Any]:
    """Ranges that together are all seeds, for tests; those from `deep` on run with `-m slow` only, or `make fuzz`."""
    bounds = sorted({0, quick, deep, *range(deep, seeds, part), seeds})
    return [
        pytest.param(
            range(begin, end),
            marks=() if end <= quick else pytest.mark.deep if end <= deep else pytest.mark.slow,
            id=f"{begin}-{end - 1}",
        )
        for begin, end in pairwise(bounds)
    ]


def hold(profile: str, seeds: Iterable[int]) -> None:
    """Fails with the story of the first seed for which an invariant did not hold."""
    for seed in seeds:
        verdict = run_seed(seed, profile)
        assert verdict.ok, f"seed {seed} of {profile}: {verdict.violations[0]}\n{verdict.story}"
