"""Exchanges that are ill for minutes, with the intervals of production: trading leaves in time, and with a reason only.

A seed of these takes seconds; most run with `-m slow` only, or by `order-router fuzz --profile sick`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from actors import failover_coordinator
from actors.health_monitor import HealthMonitorActor
from app.fuzz.run import run_seed
from messages.health import EvidenceKind, Network, NetworkState
from tests.fuzz.planted import Planted, swapped
from tests.fuzz.seeds import hold

AT_ONCE: Mapping[str, tuple[int, ...]] = {"sick": (21,), "blinking": ()}
"""With a dead order path, noise, a blackhole, and an outage of our own network."""
SEEDS = {"sick": 60, "blinking": 20}
CASES = [
    pytest.param(profile, seed, marks=() if seed in AT_ONCE[profile] else pytest.mark.slow)
    for profile, seeds in SEEDS.items()
    for seed in range(seeds)
]


@pytest.mark.parametrize(("profile", "seed"), CASES)
def test_every_invariant_holds(profile: str, seed: int) -> None:
    hold(profile, [seed])


@contextmanager
def switched_without_proof() -> Iterator[None]:
    """An exchange that is down is left, whatever became of the others."""

    def theirs(*_: Any, **__: Any) -> Network:
        return Network(state=NetworkState.THEIRS, words="whoever asks")

    with swapped(failover_coordinator, "judge", theirs):
        yield


@contextmanager
def orders_not_counted() -> Iterator[None]:
    """Whoever only probes: what becomes of placements is no evidence."""
    real = HealthMonitorActor._judge

    def judge(self: HealthMonitorActor, seen: Any, now_s: float) -> None:
        if seen.kind is not EvidenceKind.PLACE:
            real(self, seen, now_s)

    with swapped(HealthMonitorActor, "_judge", judge):
        yield


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "seed", "rule"),
    [(switched_without_proof, 6, "I7 left without a reason"), (orders_not_counted, 21, "I7 not live")],
)
def test_a_planted_bug_is_found(plant: Planted, seed: int, rule: str) -> None:
    with plant():
        verdict = run_seed(seed, "sick")
    assert rule in {violation.rule for violation in verdict.violations}, verdict.violations
