"""Bugs that were found once: their runs hold now, and would show them again."""

from __future__ import annotations

import pytest

from app.fuzz.case import run_case
from app.fuzz.story import tell
from tests.fuzz.corpus import CORPUS, Found, breaks


@pytest.mark.parametrize("found", CORPUS, ids=lambda found: found.name)
def test_found_once_and_would_be_found_again(found: Found) -> None:
    """With the bug put back the run breaks the same rule; as the router is, it holds."""
    case = found.case
    if case is None:
        pytest.skip("no run of this harness shows it yet: python -m tests.fuzz.corpus looks for one")
    seen, violations = run_case(case)
    assert not violations, f"{found.story}\n{tell(seen, violations)}"
    again = "its run no longer shows it (python -m tests.fuzz.corpus looks for another)"
    assert breaks(found, case), f"{again}: {found.story}"
