"""Runs seeds for tests."""

from __future__ import annotations

from collections.abc import Iterable

from app.fuzz.run import run_seed

PART = 25
"""Seeds in one test."""


def hold(profile: str, seeds: Iterable[int]) -> None:
    """Fails with the story of the first seed for which an invariant did not hold."""
    for seed in seeds:
        verdict = run_seed(seed, profile)
        assert verdict.ok, f"seed {seed} of {profile}: {verdict.violations[0]}\n{verdict.story}"
