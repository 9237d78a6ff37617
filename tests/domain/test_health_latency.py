"""Latency against its own usual one, and the suspicion that grows with the age of a call."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.health_kinds import JUDGED
from app.domain.health_latency import Latencies, slow_moments, slow_too
from app.domain.health_settings import HealthSettings
from messages.health import EvidenceKind, Latency

DEFAULTS = HealthSettings()
QUICK = HealthSettings(retry_delay_s=2.0, latency_min_calls=4, latency_min_s=0.2, flap_half_life_s=90.0)
PLACE, CANCEL, READ = EvidenceKind.PLACE, EvidenceKind.CANCEL, EvidenceKind.READ
SIGNED, PUBLIC = EvidenceKind.SIGNED_PROBE, EvidenceKind.PUBLIC_PROBE
HOUR_S, DAY_S = 3600.0, 86_400.0

Piece = tuple[EvidenceKind, float | None, int]


def run(
    latency_s: Callable[[float], float | None],
    end_s: float,
    *,
    start_s: float = 0.0,
    every_s: float = 5.0,
    before: Latencies | None = None,
    kind: EvidenceKind = PLACE,
) -> Latencies:
    latencies, at_s = before or Latencies(), start_s
    while at_s < end_s:
        latencies = latencies.seen(kind, latency_s(at_s), at_s, DEFAULTS)
        at_s += every_s
    return latencies


def first_unfit_s(latency_s: Callable[[float], float | None], end_s: float, before: Latencies, start_s: float) -> float:
    at_s = start_s
    while at_s < end_s:
        before = before.seen(PLACE, latency_s(at_s), at_s, DEFAULTS)
        if before.unfit(at_s, DEFAULTS):
            return at_s
        at_s += 5.0
    return math.inf


def about(middle_s: float, seed: int, deviation: float = 0.3) -> Callable[[float], float]:
    rng = random.Random(seed)
    return lambda _: middle_s * math.exp(deviation * rng.gauss(0, 1))


def usual_s(latencies: Latencies, kind: EvidenceKind = PLACE) -> float:
    return next(each.usual_s for each in latencies.told(0.0, DEFAULTS) if each.kind is kind and each.usual_s)


SETTLED = run(about(0.08, 1), 6 * HOUR_S)


def test_usual_is_the_median_and_a_few_slow_or_failed_calls_do_not_move_it() -> None:
    """A tenth at twenty times the usual, a tenth without an answer."""
    assert usual_s(SETTLED) == pytest.approx(0.08, rel=0.12)
    rng, usual = random.Random(2), about(0.08, 3)
    dirty = run(lambda at_s: (usual(at_s), None, 1.6)[rng.choices((0, 1, 2), (8, 1, 1))[0]], 6 * HOUR_S)
    assert usual_s(dirty) == pytest.approx(0.08, rel=0.15)
    assert not dirty.unfit(6 * HOUR_S, DEFAULTS)


def test_too_few_calls_say_nothing() -> None:
    """Nineteen of a kind, or twenty in one moment, whatever they took; and never without anything to compare with."""
    assert not run(lambda _: 9.0, 95.0, start_s=0.0).told(95.0, DEFAULTS)[0].usual_s
    assert not run(lambda _: 9.0, 1000.0).unfit(1000.0, DEFAULTS)
    moment = run(lambda _: 9.0, 6 * HOUR_S + 4.9, start_s=6 * HOUR_S, every_s=0.01, before=SETTLED)
    assert not moment.unfit(6 * HOUR_S + 5, DEFAULTS)
    alone = run(lambda _: 9.0, 6 * HOUR_S + 4.9, start_s=6 * HOUR_S, every_s=0.01, before=SETTLED.restarted())
    assert not alone.unfit(6 * HOUR_S + 5, DEFAULTS)


def test_a_few_quick_calls_among_slow_ones_do_not_make_it_quick() -> None:
    """A moment is as slow as half of its calls: refusals come back at once, orders do not."""
    start_s = 6 * HOUR_S
    mixed = run(lambda at_s: 0.05 if at_s % 5 < 1.9 else 4.0, start_s + 200, start_s=start_s, every_s=1, before=SETTLED)
    assert mixed.unfit(start_s + 200, DEFAULTS)


def test_slow_calls_are_told_with_the_numbers() -> None:
    """A minute at thirty times the usual."""
    slow = run(lambda _: 2.4, 6 * HOUR_S + 60, start_s=6 * HOUR_S, before=SETTLED)
    words = slow.unfit(6 * HOUR_S + 60, DEFAULTS)
    assert words.startswith("placements take 2.")
    assert "median of the last 20" in words
    assert "times the usual 0.0" in words


def test_quick_enough_is_quick_enough_however_quick_it_usually_is() -> None:
    """Fifty times the usual, and still below `latency_min_s`."""
    colocated = run(lambda _: 0.004, HOUR_S)
    slow = run(lambda _: 0.2, 2 * HOUR_S, start_s=HOUR_S, before=colocated)
    assert not slow.unfit(2 * HOUR_S, DEFAULTS)


@pytest.mark.parametrize("shape", ["linear", "exponential"])
@pytest.mark.parametrize("age_s", [300.0, HOUR_S, 6 * HOUR_S])
def test_a_slow_ramp_is_found_and_not_followed(shape: str, age_s: float) -> None:
    """From 80 ms to 10 s within two hours, however long the exchange was watched before."""

    def ramp(at_s: float) -> float:
        done = (at_s - age_s) / (2 * HOUR_S)
        return 0.08 + 9.92 * done if shape == "linear" else 0.08 * 125**done

    settled = run(about(0.08, 4), age_s)
    found_s = first_unfit_s(ramp, age_s + 2 * HOUR_S, settled, age_s)
    assert ramp(found_s) < 0.65
    done = run(ramp, age_s + 2 * HOUR_S, start_s=age_s, before=settled)
    assert usual_s(done) <= usual_s(settled) * 2 ** (2 / 24) * 1.001


def test_usual_doubles_at_most_once_a_day() -> None:
    """Also at hundreds of calls a moment, and whatever they say: a bound of time, not of calls."""
    for every_s in (0.5, 5.0, 60.0):
        after = run(lambda _: 30.0, 8 * HOUR_S, start_s=6 * HOUR_S, every_s=every_s, before=SETTLED)
        assert usual_s(after) <= usual_s(SETTLED) * 2 ** (2 / 24) * 1.002
        assert after.unfit(8 * HOUR_S, DEFAULTS)


def test_one_that_began_in_bad_hours_soon_learns_better() -> None:
    """Two hours of ten times the usual, then well: an hour later it would notice the same again."""
    bad = run(about(0.8, 5), 2 * HOUR_S)
    good = run(about(0.08, 6), 12 * HOUR_S, start_s=2 * HOUR_S, before=bad)
    assert usual_s(good) < 0.2
    assert first_unfit_s(lambda _: 1.6, 13 * HOUR_S, good, 12 * HOUR_S) < 12 * HOUR_S + 120


@pytest.mark.parametrize("middle_s", [0.08, 0.6])
@pytest.mark.parametrize("begins_h", [0, 6, 12, 18])
def test_hours_of_the_day_are_no_illness(middle_s: float, begins_h: int) -> None:
    """Three times as slow at noon as at night, from whichever hour on it is watched."""
    noise, latencies = about(1.0, 7), Latencies()
    at_s = begins_h * HOUR_S
    while at_s < begins_h * HOUR_S + 2 * DAY_S:
        swing = 3 ** (0.5 - 0.5 * math.cos(2 * math.pi * at_s / DAY_S))
        latencies = latencies.seen(PLACE, middle_s * swing * noise(at_s), at_s, DEFAULTS)
        assert not latencies.unfit(at_s, DEFAULTS)
        at_s += 45.0


def test_it_recovers_when_calls_are_quick_again_and_not_at_the_first() -> None:
    """Half of the last twenty moments, either way; an hour of trouble leaves nothing behind."""
    end_s = 7 * HOUR_S
    slow = run(lambda _: 5.0, end_s, start_s=6 * HOUR_S, before=SETTLED)
    assert slow.unfit(end_s, DEFAULTS)
    assert run(about(0.08, 8), end_s + 40, start_s=end_s, before=slow).unfit(end_s + 40, DEFAULTS)
    well = run(about(0.08, 8), end_s + 70, start_s=end_s, before=slow)
    assert not well.unfit(end_s + 70, DEFAULTS)
    assert first_unfit_s(lambda _: 5.0, end_s + 300, well, end_s + 70) < end_s + 70 + 70


def test_the_verdict_does_not_flutter_at_its_limit() -> None:
    """Once slow, it takes more than a little less."""
    usual = run(lambda _: 0.2, HOUR_S)
    slow = run(lambda _: 1.2, HOUR_S + 300, start_s=HOUR_S, before=usual)
    assert slow.unfit(HOUR_S + 300, DEFAULTS)
    assert run(lambda _: 0.8, HOUR_S + 900, start_s=HOUR_S + 300, before=slow).unfit(HOUR_S + 900, DEFAULTS)
    assert not run(lambda _: 0.8, HOUR_S + 900, start_s=HOUR_S, before=usual).unfit(HOUR_S + 900, DEFAULTS)
    assert not run(lambda _: 0.4, HOUR_S + 900, start_s=HOUR_S + 300, before=slow).unfit(HOUR_S + 900, DEFAULTS)


def test_calls_that_are_not_answered_are_slower_than_any() -> None:
    """Where half are not, that is said; they do not become usual, and five seconds of them are nothing."""
    start_s = 6 * HOUR_S
    dead = run(lambda _: None, start_s + 600, start_s=start_s, before=SETTLED)
    assert dead.unfit(start_s + 600, DEFAULTS).startswith("at least half of placements fail")
    assert usual_s(dead) <= usual_s(SETTLED) * 1.001
    burst = run(lambda _: None, start_s + 5, start_s=start_s, every_s=0.01, before=SETTLED)
    assert first_unfit_s(about(0.08, 9), start_s + 200, burst, start_s + 5) == math.inf


def test_failures_alone_must_be_more_than_chance_brings() -> None:
    """Where 5 % fail ten of twenty come in one month of thirty, eleven hardly ever; of fewer more must be bad."""
    start_s = 6 * HOUR_S
    half = run(lambda at_s: None if at_s % 10 < 5 else 0.08, start_s + 300, start_s=start_s, before=SETTLED)
    assert not half.unfit(start_s + 300, DEFAULTS)
    more = run(lambda at_s: None if at_s % 15 < 10 else 0.08, start_s + 300, start_s=start_s, before=SETTLED)
    assert more.unfit(start_s + 300, DEFAULTS)
    assert [slow_moments(n) for n in (1, 7, 10, 20, 100)] == [1, 7, 9, 11, 51]


def test_a_setting_of_one_call_does_not_make_one_bad_call_a_verdict() -> None:
    latencies, hasty = SETTLED.restarted(), evolve(DEFAULTS, latency_min_calls=1)
    for step in range(8):
        assert not latencies.unfit(step * 5.0, hasty)
        latencies = latencies.seen(PLACE, None, 6 * HOUR_S + step * 5.0, hasty)
    assert latencies.unfit(6 * HOUR_S + 40.0, hasty)


def test_the_verdict_does_not_flutter_within_a_moment() -> None:
    """A ramp, with fifty calls a moment: it begins once."""
    rng, latencies, told = random.Random(15), SETTLED, []
    for step in range(20_000):
        at_s = 6 * HOUR_S + step / 10
        middle_s = 0.08 + 0.6 * step / 20_000
        latencies = latencies.seen(PLACE, middle_s * math.exp(0.5 * rng.gauss(0, 1)), at_s, DEFAULTS)
        told.append(bool(latencies.unfit(at_s, DEFAULTS)))
    assert told[-1]
    assert sum(one != other for one, other in itertools.pairwise(told)) == 1


def test_public_probes_are_told_and_do_not_make_unfit() -> None:
    settled = run(lambda _: 0.1, HOUR_S, kind=PUBLIC)
    slow = run(lambda _: 9.0, 2 * HOUR_S, start_s=HOUR_S, before=settled, kind=PUBLIC)
    assert not slow.unfit(2 * HOUR_S, DEFAULTS)
    (told,) = slow.told(2 * HOUR_S, DEFAULTS)
    assert told.kind is PUBLIC
    assert told.recent_s == pytest.approx(9.0, rel=0.03)
    assert Latencies().seen(EvidenceKind.MARKET_PROBE, 9.0, 1.0, DEFAULTS) == Latencies()


def test_a_kind_that_is_not_called_any_more_says_nothing() -> None:
    """Trading has moved away; when it is back, old moments do not count."""
    slow = run(lambda _: 5.0, 7 * HOUR_S, start_s=6 * HOUR_S, before=SETTLED)
    later_s = 7 * HOUR_S + DEFAULTS.flap_half_life_s
    assert slow.unfit(later_s - 10, DEFAULTS)
    assert not slow.unfit(later_s + 10, DEFAULTS)
    again = slow.seen(PLACE, 5.0, later_s + 10, DEFAULTS)
    assert not again.unfit(later_s + 10, DEFAULTS)
    assert usual_s(again) < 0.1


def test_restarted_keeps_what_is_usual_and_forgets_the_rest() -> None:
    slow = run(lambda _: None, 7 * HOUR_S, start_s=6 * HOUR_S, before=SETTLED).restarted()
    assert not slow.unfit(7 * HOUR_S, DEFAULTS)
    assert usual_s(slow) == pytest.approx(usual_s(SETTLED), rel=0.01)
    assert first_unfit_s(lambda _: 5.0, 8 * HOUR_S, slow, 7 * HOUR_S) < 7 * HOUR_S + 120


def test_one_that_takes_over_knows_what_is_usual() -> None:
    """So that a slow exchange is not usual to it."""
    known = Latencies().known((Latency(kind=PLACE, recent_s=4.0, usual_s=0.08),), 1000.0)
    assert usual_s(known) == pytest.approx(0.08, rel=0.03)
    assert first_unfit_s(lambda _: 4.0, 2000.0, known, 1000.0) < 1120.0
    quick = run(lambda _: 0.02, 1000 + HOUR_S, start_s=1000.0, before=known)
    assert usual_s(quick) > 0.07  # it is not as young as the one that knows it
    assert SETTLED.known((Latency(kind=PLACE, recent_s=None, usual_s=9.0),), 1000.0) == SETTLED


# Slow together


def probed(latency_s: Callable[[float], float | None], end_s: float, start_s: float, before: Latencies) -> Latencies:
    """An exchange that is not in use."""
    for kind in (SIGNED, PUBLIC):
        before = run(latency_s, end_s, start_s=start_s, every_s=30.0, before=before, kind=kind)
    return before


IDLE = probed(about(0.05, 14), 6 * HOUR_S, 0.0, Latencies())


@pytest.mark.parametrize("slow_s", [0.6, None])
def test_once_one_exchange_is_slow_two_slow_probes_are_enough_for_another(slow_s: float | None) -> None:
    """A congested line of our own: the one in use is found out in a minute, by then a backup was asked twice."""
    start_s, now_s = 6 * HOUR_S, 6 * HOUR_S + 65
    in_use = run(lambda _: slow_s, now_s, start_s=start_s, before=SETTLED)
    assert in_use.unfit(now_s, DEFAULTS)
    backup = probed(lambda _: slow_s, now_s, start_s, IDLE)
    assert not backup.unfit(now_s, DEFAULTS)
    words = slow_too(backup, (IDLE, in_use), now_s, DEFAULTS)
    assert "fail now" in words if slow_s is None else "take 0." in words
    assert "another exchange is slow too" in words
    assert not slow_too(backup, (IDLE,), now_s, DEFAULTS)
    assert not slow_too(IDLE, (in_use,), now_s, DEFAULTS)


def test_a_backup_of_which_one_kind_of_probe_is_quick_is_not_slow_too() -> None:
    """Our line would slow both; nor is it after one slow round, or when it was asked long ago."""
    start_s, now_s = 6 * HOUR_S, 6 * HOUR_S + 65
    in_use = run(lambda _: 2.0, now_s, start_s=start_s, before=SETTLED)
    one = run(lambda _: 2.0, now_s, start_s=start_s, every_s=30.0, before=IDLE, kind=SIGNED)
    assert not slow_too(one, (in_use,), now_s, DEFAULTS)
    assert not slow_too(probed(lambda _: 2.0, start_s + 5, start_s, IDLE), (in_use,), now_s, DEFAULTS)
    single = probed(lambda _: 2.0, start_s + 5, start_s, IDLE.restarted())
    assert not slow_too(single, (in_use,), now_s, DEFAULTS)
    both = probed(lambda _: 2.0, now_s, start_s, IDLE)
    assert slow_too(both, (in_use,), now_s, DEFAULTS)
    again = probed(lambda _: 0.05, now_s + 90, now_s + 25, both)
    assert not slow_too(again, (in_use,), now_s + 90, DEFAULTS)


# Suspicion


def test_phi_is_the_chance_of_so_late_an_answer() -> None:
    """Measured against a million draws of the distribution that the calls have."""
    rng = random.Random(10)
    wide = run(lambda _: 0.5 * math.exp(0.7 * rng.gauss(0, 1)), 3 * HOUR_S)
    later = sum(0.5 * math.exp(0.7 * rng.gauss(0, 1)) > 2.0 for _ in range(100_000)) / 100_000
    assert wide.suspicion(PLACE, 2.0, DEFAULTS) == pytest.approx(-math.log10(later), abs=0.15)


def test_phi_reaches_eight_after_a_good_second_where_calls_take_eighty_milliseconds() -> None:
    """Long before a time-out of five; and there is an end to it."""
    phis = [SETTLED.suspicion(PLACE, waited_s, DEFAULTS) for waited_s in (0.08, 0.5, 1.0, 2.0, 5.0, 1e12)]
    assert phis == sorted(phis)
    assert phis[0] == phis[1] == 0.0
    assert 4 < phis[2] < DEFAULTS.suspicion < phis[3]
    assert phis[5] == pytest.approx(299.3, abs=0.1)


def test_phi_of_an_exchange_as_regular_as_a_clock_has_a_floor() -> None:
    """One retransmission is not a death."""
    regular = run(lambda _: 0.4, 6 * HOUR_S)
    assert regular.suspicion(PLACE, 0.8, DEFAULTS) < 2.0


def test_phi_is_slow_to_believe_where_it_knows_little() -> None:
    """No call at all: two minutes; five: much longer than with a hundred."""
    assert (
        Latencies().suspicion(PLACE, 30.0, DEFAULTS) < DEFAULTS.suspicion < Latencies().suspicion(PLACE, 150, DEFAULTS)
    )
    few, many = run(lambda _: 0.08, 25.0), run(lambda _: 0.08, 500.0)
    assert few.suspicion(PLACE, 5.0, DEFAULTS) < 4.0
    assert many.suspicion(PLACE, 2.0, DEFAULTS) > DEFAULTS.suspicion


def test_phi_forgets_a_slow_time() -> None:
    slow = run(about(2.0, 11), 2 * HOUR_S)
    assert slow.suspicion(PLACE, 2.0, DEFAULTS) < 1.0
    assert run(about(0.08, 12), 12 * HOUR_S, start_s=2 * HOUR_S, before=slow).suspicion(PLACE, 3.0, DEFAULTS) > 6.0


# Properties

LATENCY = st.sampled_from([0.0, 0.01, 0.05, 0.3, 1.0, 5.0, None])
PIECES = st.tuples(st.sampled_from([PLACE, PLACE, CANCEL, READ]), LATENCY, st.integers(0, 200))
HISTORIES = st.lists(PIECES, max_size=100).map(lambda pieces: sorted(pieces, key=lambda piece: piece[2]))
KNOWN = Latencies().known(tuple(Latency(kind=kind, recent_s=None, usual_s=0.05) for kind in JUDGED), 0.0)


def fed(pieces: list[Piece], latencies: Latencies = KNOWN) -> Latencies:
    for kind, latency_s, at_s in pieces:
        latencies = latencies.seen(kind, latency_s, float(at_s), QUICK)
    return latencies


def verdicts(pieces: list[Piece]) -> list[bool]:
    """At each second; what is usual is held, as in such a short time it nearly is."""
    latencies, left, told = KNOWN, list(pieces), []
    for now_s in range(320):
        while left and left[0][2] <= now_s:
            latencies = fed([left.pop(0)], latencies)
        told.append(bool(latencies.unfit(float(now_s), QUICK)))
    return told


def slower(latency_s: float | None, by: int) -> float | None:
    ladder = [0.0, 0.01, 0.05, 0.3, 1.0, 5.0]
    index = len(ladder) if latency_s is None else ladder.index(latency_s)
    return ladder[index + by] if index + by < len(ladder) else None


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.data())
def test_slower_calls_never_make_it_healthier(history: list[Piece], data: st.DataObject) -> None:
    """At any moment; a call that fails is the slowest."""
    steps = data.draw(st.lists(st.integers(0, 3), min_size=len(history), max_size=len(history)))
    worse = [(kind, slower(latency_s, by), at_s) for (kind, latency_s, at_s), by in zip(history, steps, strict=True)]
    assert all(one >= other for one, other in zip(verdicts(worse), verdicts(history), strict=True))


@settings(max_examples=60, deadline=None)
@given(HISTORIES, PIECES)
def test_one_more_failure_never_makes_it_healthier(history: list[Piece], more: Piece) -> None:
    worse = sorted([*history, (more[0], None, more[2])], key=lambda piece: piece[2])
    assert all(one >= other for one, other in zip(verdicts(worse), verdicts(history), strict=True))


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.randoms(use_true_random=False))
def test_order_within_an_instant_does_not_matter(history: list[Piece], rng: random.Random) -> None:
    """To the last field."""
    shuffled = sorted(rng.sample(history, len(history)), key=lambda piece: piece[2])
    assert fed(shuffled) == fed(history)
    assert fed(shuffled, Latencies()) == fed(history, Latencies())


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.floats(0, 1000), st.floats(0, 1000))
def test_suspicion_only_grows_with_waiting(history: list[Piece], one_s: float, other_s: float) -> None:
    latencies = fed(history)
    less, more = (latencies.suspicion(PLACE, each_s, QUICK) for each_s in sorted((one_s, other_s)))
    assert 0.0 <= less <= more < 300.0


def test_memory_is_bounded() -> None:
    """Twenty moments, as many different latencies as there are, and a distribution of a thousand calls."""
    rng = random.Random(13)
    full = run(lambda _: math.exp(rng.uniform(-12, 9)), 600.0, every_s=0.05)
    calls = full.kinds[PLACE]
    assert len(calls.moments) <= DEFAULTS.latency_min_calls
    assert len(calls.open) <= 20 * math.log(1e7) + 2
    assert calls.n <= 1024 + 100
