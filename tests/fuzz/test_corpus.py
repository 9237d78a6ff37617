"""Bugs that were found once: their seeds hold now, and would find them again."""

from __future__ import annotations

import pytest

from app.fuzz.run import run_seed
from tests.fuzz.corpus import AWAITED, CORPUS, Found, finds


@pytest.mark.parametrize("found", CORPUS, ids=lambda found: found.relapse.__name__)
def test_found_once_and_would_be_found_again(found: Found) -> None:
    """With the bug put back the seed fails by the same rule; as the router is, it holds."""
    verdict = run_seed(found.seed, found.profile)
    assert verdict.ok, f"{found.story}\n{verdict.story}"
    if found.relapse in AWAITED:
        pytest.skip("its seed was of an earlier harness: python -m tests.fuzz.corpus looks for another")
    again = "the seed no longer finds it (python -m tests.fuzz.corpus looks for another)"
    assert finds(found, found.seed), f"{again}: {found.story}"
