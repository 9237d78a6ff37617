"""The share of calls that fail: a window, and Page's test with its run lengths."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.health_kinds import JUDGED
from app.domain.health_rate import ANSWERED, FAILED, MONTH_S, P0, P1, Rate, threshold
from app.domain.health_settings import HealthSettings
from messages.health import EvidenceKind

DEFAULTS = HealthSettings()
QUICK = HealthSettings(retry_delay_s=2.0, error_min_calls=4, error_window_s=20, flap_half_life_s=60.0)
PLACE, READ, SIGNED = EvidenceKind.PLACE, EvidenceKind.READ, EvidenceKind.SIGNED_PROBE

Piece = tuple[EvidenceKind, bool, int]


def fed(rate: Rate, *pieces: tuple[EvidenceKind, bool, float], use: HealthSettings = DEFAULTS) -> Rate:
    for kind, ok, at_s in pieces:
        rate = rate.seen(kind, ok, at_s, use)
    return rate


def noisy(share: float, n: int, *, seed: int, kind: EvidenceKind = PLACE, each: int = 1) -> Rate:
    """After n moments of so many calls each."""
    rng, rate = random.Random(seed), Rate()
    for moment in range(n):
        for call in range(each):
            rate = rate.seen(kind, rng.random() >= share, moment * 5.0 + call * 4.9 / each, DEFAULTS)
    return rate


def moments_to(share: float, *, seed: int, kinds: int = 1, most: int = 2000) -> int:
    """Moments until it is unfit."""
    rng, rate = random.Random(seed), Rate()
    for moment in range(most):
        for kind in list(JUDGED)[:kinds]:
            rate = rate.seen(kind, rng.random() >= share, moment * 5.0, DEFAULTS)
        if rate.unfit(moment * 5.0, DEFAULTS):
            return moment + 1
    raise AssertionError("never unfit")


def run_length(share: float, limit: float) -> float:
    """Mean observations until a score reaches its limit: its Markov chain.

    A failure is 8.0669 times as much as an answer: on a grid of a fifteenth of an answer that is 121.003 steps.
    """
    unit, climbs, down = -ANSWERED / 15, 121, 15
    assert FAILED / unit == pytest.approx(climbs, rel=1e-4)
    n = math.ceil(limit / unit)
    rows: list[dict[int, float]] = [{} for _ in range(n)]
    right = [1.0] * n
    for i, row in enumerate(rows):
        row[i] = 1.0
        row[max(0, i - down)] = row.get(max(0, i - down), 0.0) - (1 - share)
        if i + climbs < n:
            row[i + climbs] = row.get(i + climbs, 0.0) - share
    for i, row in enumerate(rows):
        for later in range(i + 1, min(n, i + down + 1)):
            times = rows[later].pop(i, 0.0) / row[i]
            if times:
                for column, value in row.items():
                    if column > i:
                        rows[later][column] = rows[later].get(column, 0.0) - times * value
                right[later] -= times * right[i]
    found = [0.0] * n
    for i in reversed(range(n)):
        found[i] = (right[i] - sum(v * found[column] for column, v in rows[i].items() if column > i)) / rows[i][i]
    return found[0]


# The threshold


def test_threshold_is_twenty_at_the_settings_of_the_seed_and_follows_from_the_rate_of_observations() -> None:
    assert threshold(DEFAULTS) == pytest.approx(19.84, abs=0.01)
    assert threshold(HealthSettings(retry_delay_s=0.5)) == pytest.approx(threshold(DEFAULTS) + math.log(10))
    # What an observation adds is a likelihood ratio: e^L has mean 1 where 5 % fail, on which the bound stands.
    assert P0 * math.exp(FAILED) + (1 - P0) * math.exp(ANSWERED) == pytest.approx(1.0)


def test_run_length_at_five_percent_leaves_a_month_of_every_rate_of_calls_without_a_false_alarm() -> None:
    """Markov chain and Siegmund's formula agree, and both are far above what a month can bring."""
    limit = threshold(DEFAULTS)
    chain = run_length(P0, limit)
    drift = -(P0 * FAILED + (1 - P0) * ANSWERED)
    at_least, at_most = ((math.exp(b) - b - 1) / drift for b in (limit, limit + FAILED))
    assert at_least < chain < at_most
    assert chain == pytest.approx(7.8e9, rel=0.01)
    observations = 2 * len(JUDGED) * MONTH_S / DEFAULTS.retry_delay_s
    assert observations * math.exp(-limit) <= 0.01 * (1 + 1e-9)
    assert observations / chain < 6e-4


def test_twenty_percent_is_found_after_a_hundred_and_forty_observations() -> None:
    """As long as the chain says, and in 99 of 100 cases within 300; four kinds at once find it in a quarter of that."""
    alone = sorted(moments_to(P1, seed=seed) for seed in range(60))
    chain = run_length(P1, threshold(DEFAULTS))
    assert sum(alone) / len(alone) == pytest.approx(chain, rel=0.12)
    assert chain == pytest.approx(139.3, abs=0.1)
    assert alone[-2] <= 300
    together = [moments_to(P1, seed=seed, kinds=4) for seed in range(20)]
    assert 30 < sum(together) / len(together) < 45
    assert sum(moments_to(0.5, seed=seed) for seed in range(10)) / 10 < 45


@pytest.mark.parametrize("share", [0.01, 0.05])
@pytest.mark.parametrize("each", [1, 7])
def test_noise_that_is_borne_never_gets_near(share: float, each: int) -> None:
    """However many calls a moment has."""
    rate = noisy(share, 7000 // each, seed=each, each=each)
    assert max(one.score for one in rate.scores) < threshold(DEFAULTS) / 2
    assert not rate.unfit(35_000.0, DEFAULTS)


def test_many_calls_a_moment_do_not_hide_a_fifth_of_failures() -> None:
    """Nor is a moment a failure because one of its hundred calls is."""
    assert noisy(P1, 200, seed=1, each=30).unfit(1000.0, DEFAULTS)
    assert not noisy(P0, 200, seed=1, each=30).unfit(1000.0, DEFAULTS)


# Verdicts


def test_verdict_says_what_fails_and_how_much() -> None:
    rate = fed(Rate(), *((PLACE, step % 3 != 0, step * 5.0) for step in range(90)))
    words = rate.unfit(450.0, DEFAULTS)
    assert words == "33% of placements fail (30 of 90 moments 5 s apart), more than the 5% that are borne"


def test_probes_that_are_answered_do_not_water_down_failing_orders() -> None:
    """Each kind is judged by itself."""
    rate, rng = Rate(), random.Random(4)
    for step in range(300):
        rate = fed(rate, (SIGNED, True, step * 5.0), (READ, True, step * 5.0), (EvidenceKind.CANCEL, True, step * 5.0))
        rate = fed(rate, (PLACE, rng.random() >= P1, step * 5.0))
    assert "placements" in rate.unfit(1500.0, DEFAULTS)


def test_public_probes_say_nothing_of_orders() -> None:
    """Neither that they fail nor that they are answered; what is asked of other servers does not even count."""
    rate = fed(Rate(), *((EvidenceKind.PUBLIC_PROBE, False, step * 5.0) for step in range(300)))
    assert not rate.unfit(1500.0, DEFAULTS)
    assert rate.counts(1500.0, DEFAULTS)[0] > 0
    for kind in (EvidenceKind.STATUS_PROBE, EvidenceKind.MARKET_PROBE):
        assert fed(Rate(), (kind, False, 1.0)) == Rate()


@pytest.mark.parametrize("offset_s", [0.0, 2.5, 4.99])
def test_five_seconds_in_which_everything_fails_are_borne(offset_s: float) -> None:
    """Also at a hundred calls a second, in an exchange where 5 % fail anyway."""
    rate, rng = Rate(), random.Random(3)
    for step in range(3000):
        at_s = step / 10
        ill = 200 + offset_s <= at_s < 205 + offset_s
        for kind in JUDGED:
            rate = rate.seen(kind, not ill and rng.random() >= P0, at_s, DEFAULTS)
        assert not rate.unfit(at_s, DEFAULTS)


def test_a_good_while_ends_the_verdict() -> None:
    """Not the first good answer: half of the score must go, and a failure in between adds to it."""
    limit = threshold(DEFAULTS)
    rate = fed(Rate(), *((PLACE, False, step * 5.0) for step in range(500)))
    assert rate.unfit(2500.0, DEFAULTS)
    needed = math.ceil(limit / 2 / -ANSWERED)
    for step in range(needed):
        assert rate.unfit(2500.0 + step * 5.0, DEFAULTS)
        rate = fed(rate, (PLACE, True, 2500.0 + step * 5.0))
    assert needed == 58
    assert not rate.unfit(2500.0 + needed * 5.0, DEFAULTS)
    assert not fed(rate, (PLACE, False, 2500.0 + needed * 5.0)).unfit(2500.0 + needed * 5.0, DEFAULTS)


def test_a_kind_that_is_not_called_any_more_loses_its_say() -> None:
    """Trading has moved away, so that no order can prove anything; but it does not begin as if nothing had been."""
    rate = fed(Rate(), *((PLACE, False, step * 5.0) for step in range(100)))
    half_life_s = DEFAULTS.flap_half_life_s
    assert rate.unfit(495.0 + 1.9 * half_life_s, DEFAULTS)
    assert not rate.unfit(505.0 + 2 * half_life_s, DEFAULTS)
    again = fed(rate, *((PLACE, False, 2400.0 + step * 5.0) for step in range(9)))
    assert again.unfit(2450.0, DEFAULTS)


def test_restarted_forgets_what_was_held_against_it() -> None:
    rate = fed(Rate(), *((PLACE, False, step * 5.0) for step in range(100))).restarted()
    assert not rate.unfit(500.0, DEFAULTS)
    assert rate.counts(500.0, DEFAULTS)[0] > 0


def test_window_needs_a_minimum_of_calls_and_forgets() -> None:
    rate = fed(Rate(), *((READ, False, 10.0 + step / 10) for step in range(9)))
    assert rate.suspect(11.0, DEFAULTS) == ""
    rate = fed(rate, (READ, True, 11.0))
    assert rate.suspect(11.0, DEFAULTS) == "9 of 10 calls failed within 60 s"
    assert rate.suspect(80.0, DEFAULTS) == ""


# Properties

PIECES = st.tuples(st.sampled_from(list(EvidenceKind)), st.integers(0, 9).map(bool), st.integers(0, 300))
FAILING = st.tuples(st.sampled_from([PLACE, READ]), st.integers(0, 2).map(lambda n: n == 0), st.integers(0, 90))
HISTORIES = st.lists(PIECES | FAILING, max_size=120).map(lambda pieces: sorted(pieces, key=lambda piece: piece[2]))


def sore(moments: int) -> Rate:
    """Near the verdict, in three of the histories: it takes 15 moments of one kind alone."""
    pieces = (((PLACE, READ)[moment % 2], False, -100.0 + 2 * (moment // 2)) for moment in range(moments))
    return fed(Rate(), *pieces, use=QUICK)


def verdicts(pieces: list[Piece], before: Rate) -> list[tuple[bool, bool]]:
    """Unfit and suspect, at each second."""
    rate, left, told = before, list(pieces), []
    for now_s in range(301):
        while left and left[0][2] <= now_s:
            kind, ok, at_s = left.pop(0)
            rate = rate.seen(kind, ok, float(at_s), QUICK)
        told.append((bool(rate.unfit(float(now_s), QUICK)), bool(rate.suspect(float(now_s), QUICK))))
    return told


SORE = st.sampled_from([0, 6, 10, 12, 13, 14, 15, 20, 26, 28, 29, 31]).map(sore)


def no_healthier(worse: list[Piece], better: list[Piece], before: Rate) -> bool:
    both = zip(verdicts(worse, before), verdicts(better, before), strict=True)
    return all(unfit >= other for (unfit, _), (other, _) in both)


@settings(max_examples=50, deadline=None)
@given(HISTORIES, SORE, st.data())
def test_a_success_that_fails_never_makes_it_healthier(history: list[Piece], before: Rate, data: st.DataObject) -> None:
    """At no later moment."""
    flips = data.draw(st.lists(st.integers(0, 3), min_size=len(history), max_size=len(history)))
    worse = [(kind, ok and flip > 0, at_s) for (kind, ok, at_s), flip in zip(history, flips, strict=True)]
    assert no_healthier(worse, history, before)


@settings(max_examples=50, deadline=None)
@given(HISTORIES, SORE, PIECES | FAILING)
def test_one_more_failure_never_makes_it_healthier(history: list[Piece], before: Rate, more: Piece) -> None:
    """At no later moment; nor is it less suspect."""
    worse = sorted([*history, (more[0], False, more[2])], key=lambda piece: piece[2])
    assert no_healthier(worse, history, before)
    assert all(
        one >= other for (_, one), (_, other) in zip(verdicts(worse, before), verdicts(history, before), strict=True)
    )


@settings(max_examples=50, deadline=None)
@given(HISTORIES, SORE, st.randoms(use_true_random=False))
def test_order_within_an_instant_does_not_matter(history: list[Piece], before: Rate, rng: random.Random) -> None:
    """To the last field."""
    shuffled = sorted(rng.sample(history, len(history)), key=lambda piece: piece[2])
    one, other = (fed(before, *pieces, use=QUICK) for pieces in (history, shuffled))
    assert one == other


def test_order_within_a_moment_does_not_matter_at_the_very_limit() -> None:
    """A failure and three answers of one moment, at a score that the failure alone would bring to its limit."""
    before = fed(Rate(), *((PLACE, False, step * 5.0) for step in range(14)))
    pieces = [(PLACE, False, 70.0), *[(PLACE, True, 70.0)] * 3]
    one, other = fed(before, *pieces), fed(before, *reversed(pieces))
    assert one == other
    assert not fed(one, (PLACE, True, 75.0)).unfit(75.0, DEFAULTS)
    alone = fed(before, *pieces[:1])
    assert not alone.unfit(70.0, DEFAULTS)
    assert fed(alone, (PLACE, True, 75.0)).unfit(75.0, DEFAULTS)


def test_the_verdict_does_not_flutter_within_a_moment() -> None:
    """An hour at a fifth, five calls a moment: it begins once."""
    rng, rate, told = random.Random(5), Rate(), []
    for second in range(3600):
        rate = rate.seen(PLACE, rng.random() >= P1, float(second), DEFAULTS)
        told.append(bool(rate.unfit(float(second), DEFAULTS)))
    assert told[-1]
    assert sum(one != other for one, other in itertools.pairwise(told)) == 1


def test_a_long_good_time_earns_no_credit() -> None:
    """A week without a failure, then a fifth: found as soon as ever."""
    rng, rate = random.Random(6), fed(Rate(), *((PLACE, True, step * 60.0) for step in range(10_000)))
    for step in range(300):
        rate = rate.seen(PLACE, rng.random() >= P1, 600_000.0 + step * 5.0, DEFAULTS)
    assert rate.unfit(601_500.0, DEFAULTS)


def test_one_failure_after_the_verdict_has_faded_does_not_bring_it_back() -> None:
    """From there it takes as much as half of what it took at first."""
    rate = fed(Rate(), *((PLACE, False, step * 5.0) for step in range(100)))
    later_s = 515.0 + 2 * DEFAULTS.flap_half_life_s
    assert not fed(rate, (PLACE, False, later_s)).unfit(later_s, DEFAULTS)


def test_memory_is_bounded() -> None:
    """After ten times as long as its memory reaches nothing has grown."""
    rate = noisy(0.14, 3000, seed=9)
    assert len(rate.window.buckets) <= 12
    assert len(rate.scores) == len(JUDGED) + 1
    assert all(one.seen <= 515 for one in rate.scores)
