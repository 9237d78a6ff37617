"""The failure detector: its table, and its rules one by one."""

from __future__ import annotations

import itertools

import pytest
from attrs import evolve

from app.domain import health_flaps
from app.domain.health import (
    HEALTHIER,
    TABLE,
    Finding,
    attributed,
    blamed,
    forgiven,
    observe,
    probe_unanswered,
    start,
)
from app.domain.health_flaps import ceiling
from messages.health import Cause, EvidenceKind, HealthState, NetworkState, ProbeKind
from tests.domain.health_desk import (
    BTC,
    CANCEL,
    COUNTED,
    DEFAULTS,
    DOWN,
    ETH,
    HALF_OPEN,
    ISOLATED,
    MARKET,
    PLACE,
    PUBLIC,
    READ,
    SIGNED,
    STARTING,
    STATES,
    STATUS,
    SUSPECT,
    WELL,
    Run,
    down,
    fed,
    given_all,
    rounds,
    seen,
    told,
    well,
)


def test_table_is_total_and_a_better_finding_never_gives_a_worse_state() -> None:
    """Each state knows each finding, and each row only climbs."""
    assert set(TABLE) == set(HealthState) - {ISOLATED}
    for row in TABLE.values():
        assert len(row) == len(Finding)
        assert [HEALTHIER[state] for state in row] == sorted(HEALTHIER[state] for state in row)


def test_table_never_makes_a_worse_state_better_than_a_better_one() -> None:
    """Each column only climbs with the state it starts from."""
    for finding in Finding:
        column = [TABLE[state][finding] for state in sorted(TABLE, key=HEALTHIER.__getitem__)]
        assert [HEALTHIER[state] for state in column] == sorted(HEALTHIER[state] for state in column)


@pytest.mark.parametrize("state", STATES)
def test_every_state_takes_every_evidence(state: HealthState) -> None:
    """No evidence is undefined anywhere; none improves by failing, and none heals that says what is wrong."""
    before = STATES[state]()
    assert before.state is state
    for kind, ok, cause in itertools.product(EvidenceKind, (True, False), (None, *Cause)):
        after = observe(before, seen(kind, ok, 100.0, cause=cause), DEFAULTS)
        if kind in (STATUS, MARKET):
            assert after.state is before.state
        elif not ok:
            assert HEALTHIER[after.state] <= min(HEALTHIER[before.state], HEALTHIER[SUSPECT])
        elif cause is not None:
            assert after.state is before.state


# Rules


def test_starting_is_left_by_the_first_good_signed_probe_and_by_no_public_one() -> None:
    """That the exchange answers anybody says nothing about us."""
    public = fed(start("bybit", 0.0), (PUBLIC, True, 1.0))
    assert public.state is STARTING
    assert fed(public, (SIGNED, True, 1.1)).state is WELL


@pytest.mark.parametrize("kind", COUNTED)
def test_first_failure_of_any_kind_makes_a_well_exchange_suspect(kind: EvidenceKind) -> None:
    """Suspicion is cheap: it only asks more often."""
    suspect = fed(well(), (kind, False, 10.0))
    assert suspect.state is SUSPECT
    assert told(suspect).reason == f"{kind.value.replace('_', ' ')}: refused"
    assert told(suspect).since_s == 10.0


def test_the_count_alone_never_makes_it_down() -> None:
    """Any number of failing calls is a candidate only, until probes sent afterwards fail."""
    detector = well()
    for step in range(5):
        detector = fed(detector, (READ, False, 10.0 + 5 * step))
    assert detector.state is SUSPECT
    assert told(detector).consecutive_failures == 5


def test_candidate_is_confirmed_by_both_probes() -> None:
    """Public and signed, each failing after the count was reached; one alone is not enough."""
    candidate = fed(well(), (PUBLIC, False, 10.0), (PUBLIC, False, 15.0), (PUBLIC, False, 20.0))
    assert fed(candidate, (PUBLIC, False, 20.5), (PUBLIC, False, 25.5)).state is SUSPECT
    assert fed(candidate, (SIGNED, False, 20.5), (SIGNED, False, 25.5)).state is SUSPECT
    assert fed(candidate, (PUBLIC, False, 20.5), (PUBLIC, True, 20.6), (SIGNED, False, 20.7)).state is SUSPECT
    confirmed = fed(candidate, (PUBLIC, False, 20.5), (SIGNED, False, 20.6))
    assert confirmed.state is DOWN
    assert "in a row" in told(confirmed).reason
    assert "refused" in told(confirmed).reason


def test_a_probe_sent_before_the_count_was_reached_confirms_nothing() -> None:
    """It is part of what made the exchange a candidate, not an independent witness."""
    candidate = fed(well(), (READ, False, 10.0), (READ, False, 15.0), (READ, False, 20.0))
    for kind in (PUBLIC, SIGNED):
        candidate = observe(candidate, seen(kind, False, 21.0, latency_s=5.0), DEFAULTS)
    assert candidate.state is SUSPECT


def test_a_burst_of_failures_counts_once() -> None:
    """A hundred orders refused in one second are one moment of trouble, not a hundred retries."""
    detector = fed(well(), *((PLACE, False, 10.0 + step / 100) for step in range(100)))
    assert told(detector).consecutive_failures == 1


def test_a_signed_answer_starts_the_count_anew_and_a_public_one_does_not() -> None:
    """Evidence differs in weight."""
    twice = fed(well(), (SIGNED, False, 10.0), (SIGNED, False, 15.0))
    assert told(fed(twice, (PUBLIC, True, 16.0))).consecutive_failures == 2
    assert told(fed(twice, (READ, True, 16.0))).consecutive_failures == 2
    assert told(fed(twice, (SIGNED, True, 16.0))).consecutive_failures == 0


def test_public_probe_never_overrules_failing_orders() -> None:
    """However often the exchange tells the time, it is not well while orders fail."""
    detector = fed(well(), (PLACE, False, 10.0))
    detector = fed(detector, *((PUBLIC, True, 11.0 + step) for step in range(100)))
    assert detector.state is SUSPECT


def test_one_failed_placement_is_forgiven_by_a_good_signed_probe_sent_after_it() -> None:
    """A probe already under way when the placement failed does not count."""
    suspect = fed(well(), (PLACE, False, 10.0))
    assert observe(suspect, seen(SIGNED, True, 10.5, latency_s=1.0), DEFAULTS).state is SUSPECT
    assert observe(suspect, seen(SIGNED, True, 11.5, latency_s=1.0), DEFAULTS).state is WELL


def test_repeated_failing_placements_need_rise_good_rounds() -> None:
    """Once is forgiven, twice must be made good by as much as a return from DOWN."""
    suspect = fed(well(), (PLACE, False, 10.0), (PLACE, False, 11.0), (SIGNED, True, 12.0), (PUBLIC, True, 12.1))
    assert suspect.state is SUSPECT
    assert fed(suspect, (SIGNED, True, 17.0), (PUBLIC, True, 17.1)).state is WELL
    broken = fed(suspect, (PLACE, False, 16.0), (SIGNED, True, 17.0), (PUBLIC, True, 17.1))
    assert broken.state is SUSPECT


def test_each_return_to_well_forgives_anew() -> None:
    """One failing placement now and one an hour later are two single ones."""
    detector = fed(well(), (PLACE, False, 10.0), (SIGNED, True, 15.0), (PLACE, False, 3600.0))
    assert detector.state is SUSPECT
    assert fed(detector, (SIGNED, True, 3605.0)).state is WELL


def test_a_good_placement_proves_what_matters() -> None:
    """After it no placement is failing."""
    suspect = fed(well(), (PLACE, False, 10.0), (PLACE, False, 11.0))
    assert fed(suspect, (PLACE, True, 12.0)).state is WELL


def test_suspicion_stays_while_public_probes_fail() -> None:
    """No flapping for an exchange whose market data is gone: SUSPECT, and never DOWN, for it trades."""
    run = Run(DEFAULTS, lambda kind, _: (kind is not PUBLIC, 0.05), well()).until(600.0)
    assert run.changes == [(run.changes[0][0], SUSPECT)]
    suspect = fed(well(), (PUBLIC, False, 10.0), (SIGNED, True, 10.1))
    assert suspect.state is SUSPECT
    assert fed(suspect, (PUBLIC, True, 15.0)).state is WELL


def test_private_calls_failing_alone_are_confirmed_by_the_first_failing_order() -> None:
    """The public door open, the private one shut: nothing trades there."""
    run = Run(DEFAULTS, lambda kind, _: (kind is PUBLIC, 0.05), well()).until(600.0)
    assert run.detector.state is SUSPECT
    run.call(PLACE, 600.0)
    assert run.until(601.0, stop=DOWN).detector.state is DOWN


def test_placements_failing_alone_make_it_down_whatever_probes_say() -> None:
    """A matching engine that is gone behind a gateway that answers."""
    detector = well()
    for step in range(DEFAULTS.place_failures):
        assert detector.state is not DOWN
        detector = fed(detector, (SIGNED, True, 9.0 + 10 * step), (PUBLIC, True, 9.5 + 10 * step))
        detector = fed(detector, (PLACE, False, 10.0 + 10 * step))
    assert detector.state is DOWN
    assert "placements" in told(detector).reason


def test_a_burst_of_failing_placements_is_one() -> None:
    """Twenty orders sent at once into a moment of trouble."""
    detector = fed(well(), *((PLACE, False, 10.0 + step / 10) for step in range(20)))
    assert detector.state is SUSPECT


def test_placements_as_far_apart_as_failures_must_be_count_each_though_floats_say_a_little_less() -> None:
    """A strategy that places each `retry_delay_s`: three orders must not count as two."""
    times = [1_790_000_000.0 + 5 * step - 1e-6 * step for step in range(DEFAULTS.place_failures)]
    pieces = [seen(PLACE, False, at_s, symbol=BTC) for at_s in times]
    late = given_all(start("bybit", times[0] - 10), seen(SIGNED, True, times[0] - 5), *pieces)
    assert late.state is DOWN
    other = seen(PLACE, True, times[2] + 0.1, symbol=ETH)
    ((symbol, _),) = told(given_all(start("bybit", times[0] - 10), *pieces[:3], other)).halted
    assert symbol == str(BTC)


def test_after_orders_alone_made_it_down_the_next_placement_is_a_trial() -> None:
    """Probes bring it back; one failing placement sends it down again, another failure does not."""
    detector = fed(well(), *((PLACE, False, 10.0 + 5 * step) for step in range(DEFAULTS.place_failures)))
    detector = fed(detector, *((kind, True, 100.0 + step) for step in range(2) for kind in (PUBLIC, SIGNED)))
    assert detector.state is HALF_OPEN
    assert fed(detector, (PLACE, False, 110.0)).state is DOWN
    detector = rounds(detector, 110.0, 120.0, 140.0)
    assert detector.state is WELL
    assert fed(detector, (PUBLIC, False, 150.0)).state is SUSPECT
    assert fed(detector, (PLACE, False, 150.0)).state is DOWN
    assert fed(detector, (PLACE, True, 150.0), (PLACE, False, 160.0)).state is SUSPECT


def test_down_is_left_by_rise_consecutive_good_rounds_of_both_kinds() -> None:
    """A failure in between starts them anew; one kind alone is no round."""
    once = fed(down(), (PUBLIC, True, 30.0), (SIGNED, True, 30.1))
    assert once.state is DOWN
    assert fed(once, (SIGNED, True, 35.0), (SIGNED, True, 40.0)).state is DOWN
    assert fed(once, (PUBLIC, True, 35.0), (SIGNED, True, 35.1)).state is HALF_OPEN
    spoilt = fed(once, (READ, False, 31.0), (PUBLIC, True, 35.0), (SIGNED, True, 35.1))
    assert spoilt.state is DOWN
    assert fed(spoilt, (PUBLIC, True, 40.0), (SIGNED, True, 40.1)).state is HALF_OPEN


def test_error_rate_keeps_it_suspect_until_the_window_forgets() -> None:
    """Calls failing here and there without ever three in a row."""
    detector = well()
    for step in range(10):
        detector = fed(detector, (READ, False, 10.0 + step), (READ, False, 10.2 + step), (SIGNED, True, 10.5 + step))
    assert detector.state is SUSPECT
    assert fed(detector, (SIGNED, True, 90.0)).state is WELL


def test_error_rate_needs_a_minimum_of_calls() -> None:
    """Eight failures of nine calls are nothing to go by, one more is."""
    nearly = fed(start("bybit", 0.0), *((READ, False, 10.0 + step / 10) for step in range(8)))
    assert fed(nearly, (SIGNED, True, 11.0)).state is WELL
    assert fed(nearly, (READ, False, 11.0), (SIGNED, True, 11.1)).state is SUSPECT


def test_error_rate_window_is_bounded() -> None:
    """However long it goes on."""
    detector = fed(well(), *((READ, True, 10.0 + step) for step in range(500)))
    assert len(detector.judges.rate.window.buckets) <= 12


def test_refusals_by_a_code_are_answers() -> None:
    """They arrive as ok: a strategy that sends nonsense does not make its exchange ill."""
    assert fed(well(), *((PLACE, True, 10.0 + step) for step in range(100))).state is WELL


def test_unanswered_probe_is_evidence_with_the_time_it_was_sent() -> None:
    """So that a probe from before the suspicion confirms nothing."""
    evidence = probe_unanswered("bybit", ProbeKind.SIGNED, sent_s=10.0, now_s=15.0)
    assert (evidence.kind, evidence.ok, evidence.latency_s) == (SIGNED, False, 5.0)
    assert evidence.words == "no answer within 5 s"


def test_view_tells_the_best_measurement() -> None:
    """Latency of good probes, the offset of the quickest answer, the last sign of life."""
    detector = observe(well(), evolve(seen(PUBLIC, True, 5.0, 0.3), clock_offset_s=0.9), DEFAULTS)
    detector = observe(detector, evolve(seen(SIGNED, True, 5.0, 0.1), clock_offset_s=0.2), DEFAULTS)
    known = told(detector)
    assert (known.latency_s, known.clock_offset_s, known.last_ok_s) == (0.1, 0.2, 5.0)


def test_a_clock_that_was_told_stays_told_until_it_is_told_again() -> None:
    first = observe(well(), evolve(seen(PUBLIC, True, 2.0, 0.1), clock_offset_s=0.3), DEFAULTS)
    assert told(fed(first, (READ, True, 3.0))).clock_offset_s == 0.3
    again = observe(first, evolve(seen(PUBLIC, True, 4.0, 0.1), clock_offset_s=-0.2), DEFAULTS)
    assert told(again).clock_offset_s == -0.2


@pytest.mark.parametrize("kind", [PLACE, CANCEL])
def test_a_failing_order_confirms_with_a_signed_probe_that_fails_later(kind: EvidenceKind) -> None:
    """What failed first is not forgotten when the other one fails, nor with whatever else happens in between."""
    candidate = fed(well(), (READ, False, 10.0), (READ, False, 20.0), (READ, False, 30.0))
    ordered = fed(candidate, (kind, False, 31.0))
    assert told(ordered).health is SUSPECT
    assert told(fed(ordered, (READ, False, 32.0), (SIGNED, False, 33.0))).health is DOWN


def test_one_whose_fault_is_known_is_on_trial_as_strictly_as_ever() -> None:
    """And one for which our own network was at fault is forgiven; while nobody knows, nothing changes."""
    gone = down()
    assert attributed(gone, NetworkState.THEIRS) == blamed(gone)
    assert attributed(gone, NetworkState.OURS) == forgiven(gone)
    assert attributed(gone, NetworkState.UNKNOWN) is gone


@pytest.mark.parametrize(("hold_down_s", "most_s"), [(10.0, 10.0), (10.0, 300.0), (60.0, 3600.0), (1.0, 86400.0)])
def test_the_greatest_penalty_earns_the_longest_hold_down(hold_down_s: float, most_s: float) -> None:
    settings = evolve(DEFAULTS, hold_down_s=hold_down_s, hold_down_max_s=most_s)
    assert hold_down_s * 2.0 ** (ceiling(settings) - 1.0) >= most_s
    assert health_flaps.hold_down_s(ceiling(settings), settings) == most_s
