"""A seed of the harness against real processes; `make fuzz-real` plays more."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.fuzz import record as r
from app.fuzz.run import run_seed
from tests.real.play import play

pytestmark = pytest.mark.deep

HURRY = 2.5


def test_a_seed_gets_the_same_verdict_from_real_processes(tmp_path: Path) -> None:
    """With actors, and everybody at once, killed by -9."""
    assert run_seed(4, "crashes").ok
    played = play("crashes", 4, tmp_path, hurry=HURRY)
    if not played.judged:
        pytest.skip(f"the machine kept us waiting for {played.lateness_s:g} s")
    assert not played.violations, played.story
    assert played.orders >= 20
    died = {fact.actor for fact in played.seen.facts if isinstance(fact, r.Died) and fact.why.startswith("killed")}
    assert {"everything", "strategy1"} <= died
    assert len(played.seen.orders) >= 10, "the exchanges had them"
