"""When the failure detector asks, and how soon it finds a death."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.health import (
    HealthSettings,
    detection_budget_s,
    forgotten,
    hurried,
    next_probes,
    observe,
    patience_s,
    probes_sent,
    start,
)
from messages.health import ProbeKind
from tests.domain.health_desk import (
    DEFAULTS,
    DOWN,
    HALF_OPEN,
    PLACE,
    PUBLIC,
    SIGNED,
    STEADY,
    Answer,
    Run,
    answering,
    dies_at,
    down,
    fed,
    seen,
    well,
)

ROUND = (ProbeKind.PUBLIC, ProbeKind.SIGNED)


def test_well_exchange_is_probed_each_interval_and_a_suspect_one_each_retry_delay() -> None:
    """With both kinds, and never two of a kind at once."""
    run = Run(DEFAULTS, answering).until(100.0)
    assert run.sent == [0.0, 30.0, 60.0, 90.0]
    suspect = fed(well(), (PLACE, False, 10.0))
    assert next_probes(suspect, DEFAULTS, 10.0) == ((ProbeKind.PUBLIC, ProbeKind.SIGNED), 15.0)


def test_nothing_is_sent_while_a_round_is_in_flight() -> None:
    """A hanging exchange is not asked a second time before the time-out."""
    use = evolve(DEFAULTS, retry_delay_s=0.1)
    asked = probes_sent(start("bybit", 0.0), (ProbeKind.PUBLIC, ProbeKind.SIGNED), 0.0)
    assert next_probes(asked, use, 1.0)[1] == 5.0
    answered = fed(asked, (PUBLIC, False, 1.0), (SIGNED, False, 1.0), use=use)
    assert next_probes(answered, use, 1.0)[1] == 1.1


def test_candidate_is_asked_at_once() -> None:
    """Even while older probes hang: those could confirm nothing."""
    use = evolve(DEFAULTS, max_retry_attempts=1)
    asked = probes_sent(well(), (ProbeKind.PUBLIC, ProbeKind.SIGNED), 10.0)
    candidate = observe(asked, seen(PLACE, False, 11.0), use)
    assert next_probes(candidate, use, 11.0) == ((ProbeKind.PUBLIC, ProbeKind.SIGNED), 11.0)


def test_down_exchange_is_asked_ever_more_rarely_and_often_again_when_it_answers() -> None:
    """Twice the delay after each silent round, up to the interval."""
    run = Run(DEFAULTS, lambda _, at_s: (at_s >= 300.0, 0.001), down()).until(400.0, stop=HALF_OPEN)
    pauses = [round(later - earlier) for earlier, later in itertools.pairwise(run.sent)]
    assert pauses[:4] == [10, 20, 30, 30]
    assert pauses[-1] == 5
    assert run.now_s < 300 + 30 + 2 * 5


def test_hurried_brings_the_next_round_forward() -> None:
    """Asked when another exchange fails."""
    run = Run(DEFAULTS, answering).until(10.0)
    assert next_probes(run.detector, DEFAULTS, 10.0)[1] == 30.0
    assert next_probes(hurried(run.detector), DEFAULTS, 10.0)[1] <= 10.0


def test_probes_lost_on_our_side_are_neither_awaited_nor_held_against_the_exchange() -> None:
    detector = probes_sent(start("bybit", 0.0), (ProbeKind.PUBLIC, ProbeKind.SIGNED), 1.0)
    assert next_probes(detector, DEFAULTS, 2.0)[1] > 2.0
    again = forgotten(detector)
    assert next_probes(again, DEFAULTS, 2.0)[1] <= 2.0
    assert again.now == detector.now


@pytest.mark.parametrize("latency_s", [0.001, 5.0])
@pytest.mark.parametrize("death_s", [30.0, 30.01, 45.0, 59.99])
@pytest.mark.parametrize(("attempts", "delay_s"), [(1, 0.1), (3, 5.0), (3, 7.5), (5, 1.0)])
@pytest.mark.parametrize("draw", [lambda: 0.0, lambda: 1.0, random.Random(7).random])
def test_death_is_found_within_the_budget(
    attempts: int, delay_s: float, death_s: float, latency_s: float, draw: Callable[[], float]
) -> None:
    """By probes alone, whether connections are refused or nobody answers, whenever it happens."""
    use = HealthSettings(max_retry_attempts=attempts, retry_delay_s=delay_s)
    run = Run(use, dies_at(death_s, latency_s), draw=draw).until(1000.0, stop=DOWN)
    assert run.detector.state is DOWN
    assert run.now_s - death_s <= detection_budget_s(use) + 0.1


@pytest.mark.parametrize(("use", "budget_s"), [(STEADY, 50.0), (DEFAULTS, 54.0)])
def test_the_budget_is_reached_but_for_a_moment(use: HealthSettings, budget_s: float) -> None:
    """The formula is not a guess on the safe side: the worst case comes up to it."""
    run = Run(use, answering, draw=lambda: 1.0).until(45.0)
    death_s = run.sent[-1] + 0.01
    run.answer = dies_at(death_s, 5.0)
    run.until(1000.0, stop=DOWN)
    assert detection_budget_s(use) == budget_s
    assert 0.0 <= budget_s - (run.now_s - death_s) < 0.1


def test_refused_connections_are_confirmed_in_well_under_a_second() -> None:
    """With one attempt and a short delay, from the first order refused."""
    use = HealthSettings(max_retry_attempts=1, retry_delay_s=0.1)
    run = Run(use, dies_at(10.0, 0.001)).until(10.0)
    run.call(PLACE, 10.0)
    run.until(20.0, stop=DOWN)
    assert run.now_s - 10.0 < 0.1


def test_seed_settings_take_two_delays_and_a_moment_for_refused_connections() -> None:
    """Three attempts, five seconds apart, as the settings say."""
    run = Run(DEFAULTS, dies_at(10.0, 0.001)).until(10.0)
    run.call(PLACE, 10.0)
    run.until(100.0, stop=DOWN)
    assert 10.0 <= run.now_s - 10.0 < 10.2


def slowed_at(change_s: float, latency_s: float) -> Answer:
    """Answers always come, from a moment on so late."""
    return lambda kind, at_s: answering(kind, at_s) if at_s < change_s else (True, latency_s)


@settings(max_examples=60)
@given(
    attempts=st.integers(1, 4),
    delay_s=st.floats(0.1, 6),
    timeout_s=st.floats(0.5, 5),
    share=st.floats(0.05, 1),
    seed=st.integers(0, 1000),
)
def test_who_answers_within_the_time_out_is_never_down(
    attempts: int, delay_s: float, timeout_s: float, share: float, seed: int
) -> None:
    """However much sooner it usually does, so that its probes are given up: a late signed answer ends the count."""
    use = HealthSettings(
        health_check_interval_s=5.0, max_retry_attempts=attempts, retry_delay_s=delay_s, probe_timeout_s=timeout_s
    )
    run = Run(use, slowed_at(300.0, share * timeout_s), draw=random.Random(seed).random).until(600.0, stop=DOWN)
    assert run.detector.state is not DOWN, run.changes


def test_silence_of_one_that_was_quick_is_noticed_long_before_the_time_out() -> None:
    """Three probes that nobody answers cost what is unusual here, not three time-outs; the pauses run meanwhile."""
    use = HealthSettings(health_check_interval_s=2.0, retry_delay_s=2.0, probe_timeout_s=5.0, jitter=0.0)
    run = Run(use, dies_at(300.0, 60.0)).until(400.0, stop=DOWN)
    assert run.detector.state is DOWN
    given_up_s = run.detector.judges.latencies.patience_s(SIGNED, use)
    assert given_up_s < 1.5
    assert run.now_s - 300.0 <= 2.0 + 2 * 2.0 + 2 * given_up_s + 0.01 < detection_budget_s(use) / 2


def test_what_is_not_known_yet_has_its_full_time() -> None:
    """No latency of its own: nothing is unusual."""
    assert patience_s(start("bybit", 0.0), ProbeKind.SIGNED, DEFAULTS) == DEFAULTS.probe_timeout_s
    assert patience_s(well(), ProbeKind.SIGNED, DEFAULTS) == DEFAULTS.probe_timeout_s
