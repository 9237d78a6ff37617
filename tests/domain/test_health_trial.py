"""How an exchange that was down is tried before it is trusted again, and how flapping is damped."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from attrs import evolve

from app.domain import health_flaps
from app.domain.health import Detector, HealthSettings, blamed, forgiven, next_probes, observe, patience_s, probes_sent
from messages.health import Cause, EvidenceKind, ProbeKind
from tests.domain.health_desk import (
    ALL,
    CANCEL,
    DEFAULTS,
    DOWN,
    HALF_OPEN,
    PLACE,
    PUBLIC,
    READ,
    SIGNED,
    SUSPECT,
    WELL,
    Run,
    answering,
    dies_at,
    down,
    fed,
    given_all,
    half_open,
    rounds,
    seen,
    told,
    well,
)

QUICK = HealthSettings(health_check_interval_s=2.0, max_retry_attempts=3, retry_delay_s=0.5, probe_timeout_s=1.0)


# The trial


def test_half_open_becomes_well_after_its_trial_and_not_before_the_hold_down_is_over() -> None:
    """Three good signed calls, and thirty seconds."""
    tried = fed(half_open(), *((SIGNED, True, 36.0 + n) for n in range(6)), (PUBLIC, True, 50.0))
    assert tried.state is HALF_OPEN
    assert told(tried).hold_until_s == 65.1
    assert fed(tried, (SIGNED, True, 65.0)).state is HALF_OPEN
    recovered = fed(tried, (SIGNED, True, 65.1))
    assert recovered.state is WELL
    assert told(recovered).hold_until_s is None
    assert "on trial" in told(recovered).reason


def test_time_alone_does_not_end_the_trial() -> None:
    """Two good signed calls after hours are two."""
    twice = fed(half_open(), (SIGNED, True, 7200.0), (SIGNED, True, 7205.0))
    assert twice.state is HALF_OPEN
    assert fed(twice, (PUBLIC, True, 7206.0), (READ, True, 7207.0)).state is HALF_OPEN
    assert fed(twice, (CANCEL, True, 7210.0)).state is WELL


def test_real_orders_are_the_trial_too() -> None:
    """Where trading is on it, since nobody else was left."""
    assert fed(half_open(), *((PLACE, True, 66.0 + n) for n in range(3))).state is WELL


@pytest.mark.parametrize("kind", [PUBLIC, SIGNED, READ, CANCEL])
def test_one_failure_on_trial_begins_the_trial_anew_and_the_next_round_decides(kind: EvidenceKind) -> None:
    """It is asked at once; both probes failing is enough, and either answered is not."""
    tried = fed(half_open(), *((SIGNED, True, 40.0 + n) for n in range(3)))
    failed = fed(tried, (kind, False, 66.0))
    assert failed.state is HALF_OPEN
    assert next_probes(failed, DEFAULTS, 66.0)[1] == 66.0
    asked = probes_sent(failed, ALL, 66.0)
    assert next_probes(asked, DEFAULTS, 66.0)[1] > 66.0
    assert fed(asked, (SIGNED, False, 66.1), (PUBLIC, True, 66.2)).state is HALF_OPEN
    assert fed(asked, (PUBLIC, False, 66.1), (SIGNED, True, 66.2)).state is HALF_OPEN
    assert fed(asked, (SIGNED, False, 66.1), (PUBLIC, False, 66.2)).state is DOWN
    again = rounds(asked, 67.0, 72.0)
    assert again.state is HALF_OPEN
    assert fed(again, (SIGNED, True, 77.0)).state is WELL


def test_one_failing_placement_on_trial_is_enough() -> None:
    """Whether orders go through is what is tried."""
    assert fed(half_open(), (PLACE, False, 40.0)).state is DOWN


def test_an_exchange_on_trial_is_asked_each_retry_delay() -> None:
    """With or without an answer."""
    asked = probes_sent(half_open(), ALL, 36.0)
    assert next_probes(fed(asked, (PUBLIC, True, 36.1), (SIGNED, True, 36.1)), DEFAULTS, 37.0)[1] == 41.0


def test_an_outage_in_the_seeds_settings_costs_its_length_and_a_trial_of_about_a_minute() -> None:
    """From its end: up to an interval until it is noticed, two rounds, and the hold-down."""
    run = Run(DEFAULTS, lambda kind, at_s: dies_at(100.0, 0.001)(kind, at_s) if at_s < 400.0 else answering(kind, at_s))
    run.until(2000.0)
    assert [state for _, state in run.changes] == [WELL, SUSPECT, DOWN, HALF_OPEN, WELL]
    (down_s, open_s, well_s) = (at_s for at_s, _ in run.changes[2:])
    assert 100.0 < down_s < 150.0
    assert 400.0 < open_s < 440.0
    assert 30.0 <= well_s - open_s < 40.0


def test_after_an_outage_of_ours_one_failing_placement_does_not_end_the_trial() -> None:
    """Nothing has spoken against the exchange: what makes a WELL one DOWN is needed, whatever failed during it."""
    ours = forgiven(fed(down(), *((PLACE, False, 21.0 + 5 * n) for n in range(10))))
    tried = rounds(ours, 80.0, 85.0)
    assert tried.state is HALF_OPEN
    failed = fed(tried, (PLACE, False, 86.0))
    assert failed.state is HALF_OPEN
    assert fed(failed, (SIGNED, False, 87.0), (PUBLIC, False, 87.0)).state is HALF_OPEN
    assert fed(failed, *((PLACE, False, 91.0 + 5 * n) for n in range(5))).state is DOWN
    again = fed(failed, *((kind, False, 91.0 + 5 * n) for n in range(3) for kind in ALL_KINDS))
    assert again.state is DOWN
    assert told(again).penalty > 0.9
    assert fed(rounds(again, 110.0, 115.0), (PLACE, False, 116.0)).state is DOWN
    assert rounds(tried, 90.0, 95.0, 100.0).state is WELL


def test_a_lenient_trial_waits_for_a_probe_no_longer_than_a_well_exchange_is_waited_for() -> None:
    """Where one failure is the count, a probe is waited for nearly as long as it may take at all."""
    pieces = [seen(kind, True, 40.0 + n, latency_s=0.05) for n in range(900) for kind in ALL_KINDS]
    usual = given_all(well(), *pieces)
    strict, lenient = (evolve(usual, now=rounds(each, 30.0, 35.0).now) for each in (down(), forgiven(down())))
    assert strict.state is lenient.state is HALF_OPEN
    waits = [patience_s(each, ProbeKind.SIGNED, DEFAULTS) for each in (usual, lenient, strict)]
    assert waits[0] == waits[1] < waits[2]


@pytest.mark.parametrize("blamed_first", [True, False])
def test_an_outage_of_its_own_is_not_made_ours_by_one_of_our_network(blamed_first: bool) -> None:
    """Others answered while it did not: that is proof enough to be strict."""
    both = forgiven(blamed(down())) if blamed_first else blamed(forgiven(down()))
    assert fed(rounds(both, 30.0, 35.0), (PLACE, False, 40.0)).state is DOWN


def test_a_call_from_before_the_trial_is_of_the_outage_that_was_not_over() -> None:
    """It may time out when the exchange answers again: DOWN, but no second outage, with what that costs."""
    late = observe(half_open(), seen(PLACE, False, 38.0, latency_s=10.0, cause=Cause.SILENT), DEFAULTS)
    assert late.state is DOWN
    assert told(late).penalty == told(down(), now_s=38.0).penalty < 1.0
    tried = rounds(late, 40.0, 45.0)
    assert told(tried).hold_until_s == pytest.approx(45.1 + DEFAULTS.hold_down_s)
    sent_since = observe(half_open(), seen(PLACE, False, 38.0, latency_s=1.0, cause=Cause.SILENT), DEFAULTS)
    assert told(sent_since).penalty > 1.9


@pytest.mark.parametrize("hangs_s", [0.001, 5.0])
def test_what_failed_while_it_was_down_does_not_hold_up_its_trial(hangs_s: float) -> None:
    """A busy exchange with nobody to leave for: two good rounds are enough, whatever the window remembers."""
    run = Run(DEFAULTS, lambda kind, at_s: (False, hangs_s) if 100.0 <= at_s < 300.0 else answering(kind, at_s))
    for n in range(500):
        run.call(READ, float(n))
        run.until(float(n + 1))
    (open_s,) = (at_s for at_s, state in run.changes if state is HALF_OPEN)
    asked_s = next(sent_s for sent_s in run.sent if sent_s >= 300.0 + hangs_s)
    assert open_s < asked_s + 1.2 * DEFAULTS.retry_delay_s


# The hold-down


def again_and_again(times: int, every_s: float, use: HealthSettings = DEFAULTS) -> list[float]:
    """The hold-downs of outages at a fixed distance."""
    flaps, holds = health_flaps.NEVER_DOWN, list[float]()
    for n in range(times):
        flaps = health_flaps.went_down(flaps, n * every_s, use)
        holds.append(flaps.hold_s or 0.0)
    return holds


def test_the_hold_down_is_short_once_and_grows_up_to_its_cap() -> None:
    """The first is as set, and each further one outlasts the last."""
    holds = again_and_again(12, 120.0)
    assert holds[0] == DEFAULTS.hold_down_s
    assert holds == sorted(holds)
    assert holds[1] > 10 * DEFAULTS.hold_down_s
    assert holds[-1] == DEFAULTS.hold_down_max_s


def test_outages_hours_apart_are_single_ones() -> None:
    """What was long ago is forgotten."""
    assert again_and_again(5, 4 * 3600.0) == pytest.approx([30.0] * 5, rel=0.01)


def test_the_penalty_halves_with_its_half_life_and_has_a_ceiling() -> None:
    """So that the worst flapper is forgiven in bounded time."""
    flaps = health_flaps.NEVER_DOWN
    for n in range(1000):
        flaps = health_flaps.went_down(flaps, float(n), DEFAULTS)
    worst = health_flaps.ceiling(DEFAULTS)
    assert flaps.penalty == pytest.approx(worst, abs=1e-2)
    assert flaps.penalty <= worst < 10.0
    assert health_flaps.penalty(flaps, 999.0 + 900.0, DEFAULTS) == pytest.approx(worst / 2, abs=1e-2)


def test_a_long_outage_does_not_earn_trust() -> None:
    """The hold-down is settled when it goes down: hours later it is as long."""
    twice = fed(
        fed(half_open(), (PLACE, False, 40.0)), *((kind, True, 9000.0 + n) for n in (0, 5) for kind in ALL_KINDS)
    )
    assert twice.state is HALF_OPEN
    held_s = (told(twice).hold_until_s or 0.0) - 9005.0
    assert held_s > 600.0
    assert told(twice).penalty < 0.01


ALL_KINDS = (PUBLIC, SIGNED)


def test_without_a_hold_down_only_the_trial_counts() -> None:
    """For those who want it back at once."""
    use = evolve(DEFAULTS, hold_down_s=0.0)
    assert fed(half_open(use), *((SIGNED, True, 36.0 + n) for n in range(3)), use=use).state is WELL


def test_an_outage_that_was_its_own_by_proof_is_not_forgiven_for_what_our_network_does_besides() -> None:
    """Its penalty and its hold-down stay; one that was forgiven first has no lenient trial once it is proven."""
    flaps = health_flaps.blamed(health_flaps.went_down(health_flaps.NEVER_DOWN, 10.0, DEFAULTS))
    assert health_flaps.forgiven(flaps) == flaps
    assert flaps.penalty == 1.0
    assert flaps.hold_s == DEFAULTS.hold_down_s
    first = health_flaps.forgiven(health_flaps.went_down(health_flaps.NEVER_DOWN, 10.0, DEFAULTS))
    assert first.ours
    assert not health_flaps.blamed(first).ours


# Flapping


def left(run: Run) -> list[float]:
    """When it went from WELL to DOWN."""
    moments, trusted = [], False
    for at_s, state in run.changes:
        if state is DOWN and trusted:
            moments.append(at_s)
        trusted = state is WELL or (trusted and state is SUSPECT)
    return moments


SLOW_S = (300.0, 600.0, 840.0, 900.0, 960.0, 1020.0, 1080.0, 1300.0, 1500.0, 1790.0, 2100.0)


@pytest.mark.parametrize(
    ("use", "every_s"),
    [*((DEFAULTS, each) for each in SLOW_S), pytest.param(QUICK, 900.0, marks=pytest.mark.deep)],
)
def test_failing_slowly_makes_it_leave_at_most_twice_an_hour(use: HealthSettings, every_s: float) -> None:
    """At whatever regular distance: what is half forgotten after a quarter of an hour is not forgotten."""
    draw = random.Random(7).random

    def answer(kind: EvidenceKind, at_s: float) -> tuple[bool, float]:
        return answering(kind, at_s) if at_s % every_s < every_s - 90.0 else (False, 0.001)

    moments = left(Run(use, answer, draw=draw).until(5 * 3600.0))
    assert len(moments) > 1
    assert all(third - first > 3600.0 for first, third in zip(moments, moments[2:], strict=False))


def test_two_outages_close_together_leave_room_for_a_third_after_the_cap() -> None:
    """The bound where nothing is regular: three in an hour, and then two in each."""
    flaps = health_flaps.went_down(health_flaps.went_down(health_flaps.NEVER_DOWN, 0.0, DEFAULTS), 100.0, DEFAULTS)
    tried = health_flaps.on_trial(flaps, 200.0, DEFAULTS)
    assert tried.until_s == 200.0 + DEFAULTS.hold_down_max_s
    third = health_flaps.went_down(health_flaps.over(tried), 2100.0, DEFAULTS)
    assert health_flaps.on_trial(third, 2200.0, DEFAULTS).until_s == 100.0 + 3600.0
    hours_later = health_flaps.went_down(health_flaps.over(tried), 9 * 3600.0, DEFAULTS)
    held = health_flaps.on_trial(hours_later, 9 * 3600.0 + 60, DEFAULTS)
    assert held.hold_s == pytest.approx(DEFAULTS.hold_down_s, rel=0.01)


def test_failing_on_trial_or_by_our_network_is_no_time_that_it_was_left() -> None:
    """Trading was not there, or was not moved."""
    once = health_flaps.went_down(health_flaps.NEVER_DOWN, 0.0, DEFAULTS)
    assert health_flaps.went_down(once, 50.0, DEFAULTS, trusted=False).left_s == (0.0,)
    assert health_flaps.forgiven(health_flaps.went_down(once, 50.0, DEFAULTS)).left_s == (0.0,)
    assert fed(half_open(), (PLACE, False, 40.0)).now.flaps.left_s == (20.6,)


@pytest.mark.parametrize("hangs", [False, True])
@pytest.mark.parametrize("use", [DEFAULTS, QUICK], ids=["default", "quick"])
@pytest.mark.parametrize(("up_s", "out_s"), [(20.0, 20.0), (40.0, 40.0)])
def test_flapping_makes_it_leave_at_most_twice_an_hour(
    up_s: float, out_s: float, use: HealthSettings, hangs: bool
) -> None:
    """Whether its connections are refused or hang, and however eager the settings are."""
    latency_s = use.probe_timeout_s if hangs else 0.001
    draw = random.Random(5).random

    def answer(kind: EvidenceKind, at_s: float) -> tuple[bool, float]:
        return answering(kind, at_s) if at_s % (up_s + out_s) < up_s else (False, latency_s)

    hours = 1.1 if use is QUICK else 4.0
    moments = left(Run(use, answer, draw=draw).until(hours * 3600.0))
    assert all(third - first > 3600.0 for first, third in zip(moments, moments[2:], strict=False))


def test_once_it_has_stopped_flapping_it_is_trusted_again_within_the_cap() -> None:
    """Half an hour, and a round or two."""
    run = Run(QUICK, lambda kind, at_s: (at_s % 40 < 20 or at_s >= 600.0, 0.01)).until(600.0)
    assert run.detector.state is not WELL
    run.until(3 * 3600.0, stop=WELL)
    assert run.now_s < 600.0 + QUICK.hold_down_max_s + 2 * QUICK.health_check_interval_s + 10.0


STATES_ON_TRIAL: list[Callable[[], Detector]] = [half_open, lambda: rounds(down(), 30.0, 35.0, 40.0, 45.0)]


@pytest.mark.parametrize("made", STATES_ON_TRIAL)
def test_what_led_to_a_change_is_told_piece_by_piece(made: Callable[[], Detector]) -> None:
    """The newest last, each with how long before it was."""
    gone = fed(made(), (PLACE, False, 60.0))
    evidence = told(gone).evidence
    assert evidence[-1] == "place: refused"
    assert "signed probe: refused (40 s before)" in evidence
    assert len(evidence) <= 8
