"""What the judges of health say of weeks of noise, of a fifth of failures, of ramps, bursts, nights and days."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from app.domain.health_latency import Latencies
from app.domain.health_rate import Rate
from app.domain.health_settings import HealthSettings
from messages.health import EvidenceKind

DEFAULTS = HealthSettings()
PLACE, CANCEL, READ, SIGNED = EvidenceKind.PLACE, EvidenceKind.CANCEL, EvidenceKind.READ, EvidenceKind.SIGNED_PROBE
HOUR_S, DAY_S = 3600.0, 86_400.0

Exchange = Callable[[EvidenceKind, float], tuple[bool, float]]
"""(kind, when asked) -> (ok, seconds)."""


class Watch:
    """Both judges, told of the same calls."""

    def __init__(self, exchange: Exchange, use: HealthSettings = DEFAULTS) -> None:
        self.exchange, self.use = exchange, use
        self.rate, self.latencies = Rate(), Latencies()
        self.now_s, self.calls = 0.0, 0

    def call(self, kind: EvidenceKind) -> None:
        ok, latency_s = self.exchange(kind, self.now_s)
        self.calls += 1
        self.rate = self.rate.seen(kind, ok, self.now_s, self.use)
        self.latencies = self.latencies.seen(kind, latency_s if ok else None, self.now_s, self.use)

    @property
    def unfit(self) -> str:
        return self.rate.unfit(self.now_s, self.use) or self.latencies.unfit(self.now_s, self.use)

    def until(self, end_s: float, every_s: float, *kinds: EvidenceKind) -> str:
        """Asks each kind so often; ends where it is unfit, and says why."""
        while self.now_s < end_s:
            for kind in kinds:
                self.call(kind)
            if words := self.unfit:
                return words
            self.now_s += every_s
        return ""


def failing(share: float, seed: int, middle_s: float = 0.08) -> Exchange:
    rng = random.Random(seed)
    return lambda _kind, _at_s: (rng.random() >= share, middle_s * math.exp(0.4 * rng.gauss(0, 1)))


@pytest.mark.parametrize(("share", "every_s", "days"), [(0.01, 120.0, 30), (0.05, 120.0, 30), (0.05, 1.0, 0.2)])
def test_noise_is_borne(share: float, every_s: float, days: float) -> None:
    """An idle exchange's month; and some hours of one that is used each second.

    That a month of any use is borne follows from the number of observations that a month has: `health_rate`.
    """
    assert not Watch(failing(share, seed=1)).until(days * DAY_S, every_s, SIGNED)


@pytest.mark.parametrize(("kinds", "moments"), [((SIGNED,), 300), ((PLACE, CANCEL, READ, SIGNED), 75)])
@pytest.mark.parametrize("seed", range(5))
def test_a_fifth_of_failures_is_found(kinds: tuple[EvidenceKind, ...], moments: int, seed: int) -> None:
    """Within 300 observations, of one kind or of four, after a day of the noise that is borne."""
    watch = Watch(failing(0.05, seed))
    assert not watch.until(DAY_S / 4, 60.0, *kinds)
    watch.exchange = failing(0.20, seed + 100)
    assert "fail (" in watch.until(watch.now_s + moments * 5.0, 5.0, *kinds)


@pytest.mark.parametrize("shape", ["linear", "exponential"])
@pytest.mark.parametrize("every_s", [0.5, 30.0])
def test_a_slow_ramp_is_found_long_before_it_reaches_the_time_out(shape: str, every_s: float) -> None:
    """From 80 ms to 10 s in two hours, on an exchange in use and on an idle one."""
    rng = random.Random(3)

    def ramp(_kind: EvidenceKind, at_s: float) -> tuple[bool, float]:
        done = max(0.0, at_s - HOUR_S) / (2 * HOUR_S)
        middle_s = 0.08 + 9.92 * done if shape == "linear" else 0.08 * 125**done
        return True, middle_s * math.exp(0.3 * rng.gauss(0, 1))

    watch = Watch(ramp)
    words = watch.until(3 * HOUR_S, every_s, SIGNED)
    assert "times the usual 0.0" in words
    assert watch.now_s > HOUR_S
    assert ramp(SIGNED, watch.now_s)[1] < DEFAULTS.probe_timeout_s / 2


@pytest.mark.parametrize("kinds", [(SIGNED,), (PLACE, CANCEL, READ, SIGNED)])
def test_bursts_of_five_seconds_are_borne(kinds: tuple[EvidenceKind, ...]) -> None:
    """Each ten minutes for two hours everything fails, over the noise that is borne."""
    noise = failing(0.05, seed=4)

    def bursts(kind: EvidenceKind, at_s: float) -> tuple[bool, float]:
        ok, latency_s = noise(kind, at_s)
        return ok and not at_s % 600 < 5, latency_s

    assert not Watch(bursts).until(2 * HOUR_S, 1.0 if len(kinds) == 1 else 2.5, *kinds)


@pytest.mark.parametrize("factor", [2.0, 3.0])
@pytest.mark.parametrize("middle_s", [0.08, 0.4])
def test_hours_of_the_day_are_borne(factor: float, middle_s: float) -> None:
    """Two days, twice to three times as slow at one hour as at another."""
    noise = failing(0.01, seed=5, middle_s=middle_s)

    def daily(kind: EvidenceKind, at_s: float) -> tuple[bool, float]:
        ok, latency_s = noise(kind, at_s)
        return ok, latency_s * factor ** (0.5 - 0.5 * math.cos(2 * math.pi * at_s / DAY_S))

    assert not Watch(daily).until(2 * DAY_S, 45.0, SIGNED)


def test_an_exchange_that_is_well_again_becomes_fit_again() -> None:
    """After an hour of a fifth of failures and thirty times the usual time: within ten minutes."""
    watch = Watch(failing(0.01, seed=6))
    assert not watch.until(2 * HOUR_S, 5.0, PLACE, SIGNED)
    watch.exchange = failing(0.2, seed=7, middle_s=2.4)
    while watch.now_s < 3 * HOUR_S:
        watch.until(watch.now_s + 5.0, 5.0, PLACE, SIGNED)
        watch.now_s += 5.0
    assert watch.unfit
    watch.exchange = failing(0.01, seed=8)
    fit_s = None
    while watch.now_s < 4 * HOUR_S:
        watch.until(watch.now_s + 5.0, 5.0, PLACE, SIGNED)
        if watch.unfit:
            watch.now_s += 5.0
            fit_s = None
        elif fit_s is None:
            fit_s = watch.now_s
    assert fit_s is not None
    assert 3 * HOUR_S + 60 < fit_s < 3 * HOUR_S + 600
