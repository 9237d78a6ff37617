"""A line of our own that loses packets makes every exchange fail: trading gains nothing by moving then."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from attrs import evolve

from app.domain.health import (
    PROBE_EVIDENCE,
    ROUND,
    Detector,
    compared,
    next_probes,
    observe,
    probes_sent,
    start,
    view,
)
from app.domain.health_better import BEGUN, DECIDED, no_better, undecided, weighed
from tests.domain.health_desk import CANCEL, DEFAULTS, PLACE, READ, WELL, seen

Fails = Callable[[str], float]
"""The share of an exchange's calls that fail."""


class Two:
    """An exchange in use, asked each second, and an idle backup; both probed as they want to be."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed).random
        self.detectors: dict[str, Detector] = {name: start(name, 0.0) for name in ("bybit", "okx")}
        self.now_s = 0.0
        self.asked = 0

    def until(self, end_s: float, fails: Fails) -> float | None:
        """Goes on to then, or to the moment at which trading would move: the one is unfit, the other well and fit."""
        while self.now_s < end_s:
            self.now_s += 1.0
            for name, detector in self.detectors.items():
                kinds, due_s = next_probes(detector, DEFAULTS, self.now_s)
                if due_s <= self.now_s:
                    self.detectors[name] = probes_sent(detector, kinds, self.now_s, self.draw())
                    self.asked += name == "okx"
                    for kind in ROUND:
                        self.hear(name, PROBE_EVIDENCE[kind], fails)
            self.hear("bybit", (PLACE, CANCEL, READ)[int(self.now_s) % 3], fails)
            if self.now_s % 5.0 == 0.0:
                self.detectors = compared(self.detectors, self.now_s, DEFAULTS)
            used, backup = (view(self.detectors[name], DEFAULTS, self.now_s) for name in ("bybit", "okx"))
            if used.unfit and backup.state is WELL and not backup.keeps_away:
                return self.now_s
        return None

    def hear(self, name: str, kind: object, fails: Fails) -> None:
        piece = seen(kind, self.draw() >= fails(name), self.now_s + 0.1 * self.draw(), 0.05)  # type: ignore[arg-type]
        self.detectors[name] = observe(self.detectors[name], evolve(piece, exchange=name), DEFAULTS)


@pytest.mark.parametrize("seed", range(4))
def test_a_line_that_loses_a_fifth_of_everything_moves_nothing(seed: int) -> None:
    """Both fail alike, and the idle one is found out as well before anybody goes there."""
    two = Two(seed)
    assert two.until(600.0, lambda _: 0.0) is None
    assert two.until(600.0 + 3600.0, lambda _: 0.2) is None
    assert view(two.detectors["bybit"], DEFAULTS, two.now_s).unfit


@pytest.mark.parametrize("seed", range(4))
def test_one_that_fails_alone_is_left_as_soon_as_the_other_is_known_to_be_better(seed: int) -> None:
    """Within a minute and a half of being found unfit, for that is how long its test takes."""
    two = Two(seed)
    assert two.until(600.0, lambda _: 0.0) is None
    moved_s = two.until(3600.0, lambda name: 0.2 if name == "bybit" else 0.0)
    assert moved_s is not None
    alone = Two(seed)
    alone.until(600.0, lambda _: 0.0)
    while not compared(alone.detectors, alone.now_s, DEFAULTS)["bybit"].errors:
        alone.until(alone.now_s + 1.0, lambda name: 0.2 if name == "bybit" else 0.0)
    assert moved_s - alone.now_s <= 90.0


def test_a_backup_is_asked_more_often_only_until_it_is_known() -> None:
    """And as often as ever once the other one is well again."""
    two = Two(1)
    two.until(600.0, lambda _: 0.0)
    asked = two.asked
    assert asked <= 600.0 / 27.0 + 1
    moved_s = two.until(3600.0, lambda name: 0.2 if name == "bybit" else 0.0)
    assert moved_s is not None
    asked = two.asked
    two.now_s += 0.0
    two.until(two.now_s + 1.0, lambda name: 0.2 if name == "bybit" else 0.0)
    assert not undecided(two.detectors["okx"].proving)
    assert two.asked - asked <= 1


def test_the_test_counts_as_wald_does() -> None:
    """Eighteen answers decide, a failure costs eight, nobody is condemned for longer than a test takes."""
    score: float | None = BEGUN
    for _ in range(17):
        score = weighed(score, ok=True)
    assert no_better(score, "bybit")
    score = weighed(score, ok=True)
    assert score is not None
    assert score <= -DECIDED
    assert not no_better(score, "bybit")
    assert weighed(score, ok=False) == score, "decided is decided, as long as the other is unfit"
    worst: float | None = BEGUN
    for _ in range(100):
        worst = weighed(worst, ok=False)
    assert worst == DECIDED
    assert "fails as well" in no_better(worst, "bybit")
    assert weighed(None, ok=False) is None
    assert not no_better(None, "bybit")
