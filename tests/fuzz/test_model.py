"""The reference model bites: what no other checker can see is found by it; while nothing is wrong it is equality."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest

from app.fuzz.model import model_violations
from app.fuzz.plan import draw_plan
from app.fuzz.profiles import PROFILES
from app.fuzz.quiet import quiet_spans
from app.fuzz.record import Asked, Heard
from app.fuzz.run import run_seed
from app.fuzz.world import START_S
from messages.orders import LegState, Told
from tests.fuzz.forged import START_S as START
from tests.fuzz.forged import leg, order, seen, sent
from tests.fuzz.planted_model import PLANTED_MODEL

MOST_SEEDS = 100


@pytest.mark.parametrize("name", PLANTED_MODEL)
def test_planted_bug_is_found_by_the_model(name: str) -> None:
    """By its own rule, and at first by nothing else: every other checker is content."""
    bug = PLANTED_MODEL[name]
    with bug.plant():
        for seed in range(bug.begin, bug.begin + MOST_SEEDS):
            verdict = run_seed(seed, bug.profile)
            if not verdict.ok:
                rules = {violation.rule for violation in verdict.violations}
                assert any(rule.startswith(bug.rules) for rule in rules), verdict.story
                assert all(rule.startswith("model") for rule in rules), verdict.story
                return
    pytest.fail(f"{name}: not found in {MOST_SEEDS} seeds")


def test_a_calm_run_is_quiet_but_for_what_is_planned_and_any_other_long_after_its_faults() -> None:
    calm, storm = PROFILES["calm"], PROFILES["storm"]
    plan = draw_plan(calm, Random(3))
    end_s = START_S + plan.times.end_s
    spans = quiet_spans(calm, plan, end_s)
    for lag in plan.lags:
        assert not any(from_s < START_S + lag.at_s < to_s for from_s, to_s in spans)
    assert sum(to_s - from_s for from_s, to_s in spans) > plan.times.end_s / 2
    plan = draw_plan(storm, Random(3))
    ((from_s, _),) = quiet_spans(storm, plan, end_s)[-1:]
    assert from_s >= START_S + plan.times.calm_s


@pytest.mark.parametrize(("filled", "allowed"), [("1", True), ("0.5", False)])
def test_a_cancel_may_fail_where_fills_won_the_race_and_not_otherwise(filled: str, allowed: bool) -> None:
    """The engine filled it just before it would have cancelled it: soon after, the cancel is told to have failed."""
    resting = leg("a", 10.0)
    resting.change(START + 20.7, LegState.FILLED if filled == "1" else LegState.PARTIALLY_FILLED, Decimal(filled))
    asked = Asked(START + 20.0, "s", 1, "r", "cancel", 1, START + 30.0)
    failed = (Told.CANCEL_FAILED, 1, LegState.FILLED, Decimal(filled), "It is filled.")
    heard = Heard(START + 21.2, "s", 1, "r", "cancel", *failed)
    run = seen(sent("a", 9.9, "a1"), asked, heard, orders=(resting,), plans=(order(),), quiet=((START, START + 600.0),))
    rules = [violation.rule for violation in model_violations(run)]
    assert ("model: cancel" not in rules) is allowed, rules
