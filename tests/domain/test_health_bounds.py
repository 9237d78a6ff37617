"""What the detector never does: chase its own confirmation, forget a ban, or a hold-down when a monitor starts anew."""

from __future__ import annotations

import pytest
from attrs import evolve

from app.domain.health import HealthSettings, hurried, next_probes, observe, resumed
from messages.health import Cause, EvidenceKind
from tests.domain.health_desk import (
    BTC,
    DEFAULTS,
    DOWN,
    HALF_OPEN,
    PLACE,
    PUBLIC,
    READ,
    SUSPECT,
    Run,
    answering,
    down,
    fed,
    half_open,
    rounds,
    seen,
    told,
    well,
)


@pytest.mark.parametrize("failing", [PUBLIC, EvidenceKind.SIGNED_PROBE])
@pytest.mark.parametrize("first", [PUBLIC, EvidenceKind.SIGNED_PROBE])
@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("trial", [True, False])
def test_rounds_that_confirm_nothing_do_not_chase_each_other(
    failing: EvidenceKind, first: EvidenceKind, attempts: int, trial: bool
) -> None:
    """One kind of probe fails and the other is answered: each round makes a candidate, and clears the one before."""
    use = HealthSettings(max_retry_attempts=attempts)
    run = Run(
        use,
        lambda kind, _: (kind is not failing, 0.01 if kind is first else 0.02),
        half_open(use) if trial else well(),
    )
    run.until(run.now_s + 600.0)
    assert run.detector.state is (HALF_OPEN if trial else SUSPECT)
    assert len(run.sent) <= 2 * 600 / use.retry_delay_s + 3


def test_an_exchange_that_is_suspect_each_second_does_not_have_the_others_asked_each_second() -> None:
    """A twentieth of ten orders a second fails: two suspicions a second, which would cost the backups a ban."""
    backup = Run(DEFAULTS, answering, well())
    for step in range(1200):
        backup.until(10.0 + step / 2)
        backup.detector = hurried(backup.detector)
    assert 100 <= len(backup.sent) <= 600 / DEFAULTS.retry_delay_s + 3
    assert next_probes(hurried(down()), DEFAULTS, 30.0)[1] == 30.0


def test_a_pause_of_seconds_does_not_shorten_a_ban() -> None:
    """An order that was on its way is told to wait for a second: whoever asks then lengthens the ban."""
    banned = observe(well(), seen(READ, True, 10.0, cause=Cause.BANNED, until_s=310.0), DEFAULTS)
    after = observe(banned, seen(PLACE, True, 12.0, cause=Cause.RATE_LIMITED, until_s=13.0), DEFAULTS)
    assert told(after, now_s=14.0).banned_until_s == 310.0
    assert next_probes(after, DEFAULTS, 14.0)[1] == 310.0


def test_a_monitor_that_starts_anew_does_not_cut_short_what_flapping_has_earned() -> None:
    detector = down()
    for at_s in (60.0, 120.0, 180.0, 240.0):
        detector = rounds(detector, at_s, at_s + 5.0)
        detector = observe(detector, seen(PLACE, False, at_s + 6.0, symbol=BTC), DEFAULTS)
    assert detector.state is DOWN
    kept, anew = (rounds(each, 265.0, 270.0) for each in (detector, resumed(told(detector), 260.0)))
    assert kept.state is anew.state is HALF_OPEN
    earned_s = told(kept).hold_until_s
    assert earned_s is not None
    assert earned_s > 1000.0
    assert told(anew).hold_until_s == pytest.approx(earned_s, rel=0.05)
    once = rounds(resumed(evolve(told(fed(down())), penalty=0.1), 260.0), 265.0, 270.0)
    assert told(once).hold_until_s == pytest.approx(300.1)
