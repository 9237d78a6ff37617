"""Whether calls get lost on the way to an exchange: what always holds of the score, and how often it speaks."""

from __future__ import annotations

import random
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import health
from app.domain.health_line import LOST, MOST, UNHEARD, Line
from app.domain.health_settings import HealthSettings, moment_s
from messages.health import Cause, EvidenceKind
from tests.domain.health_desk import seen

DEFAULTS = HealthSettings()
MOMENT_S = moment_s(DEFAULTS)
Call = tuple[float, bool]
CALLS = st.lists(st.tuples(st.integers(0, 40).map(lambda n: n * MOMENT_S / 4), st.booleans()), max_size=60)


def after(calls: list[Call], line: Line | None = None) -> Line:
    """Calls at their times, whether they were lost."""
    return reduce(lambda line, call: line.seen(call[0], DEFAULTS, lost=call[1]), sorted(calls), line or Line())


def holds(share: float, moments: int = 40_000) -> float:
    """How often too much is lost, at one call a moment."""
    draw, line, held = random.Random(7).random, Line(), 0
    for moment in range(moments):
        line = line.seen(moment * MOMENT_S, DEFAULTS, lost=draw() < share)
        held += line.loses
    return held / moments


@pytest.mark.parametrize(("share", "least", "most"), [(0.01, 0.0, 0.002), (0.05, 0.0, 0.05), (0.2, 0.97, 1.0)])
def test_how_often_too_much_is_lost(share: float, least: float, most: float) -> None:
    """As the theory says."""
    assert least <= holds(share) <= most


def test_three_in_eight_are_too_many_and_some_thirty_five_answers_forget_whatever_was() -> None:
    three_in_eight = [(n * MOMENT_S, n in (0, 3, 7)) for n in range(8)]
    assert after(three_in_eight).loses
    assert not after(three_in_eight[:7]).loses
    line = after([(n * MOMENT_S, True) for n in range(1000)])
    assert line.score == MOST
    answers = 0
    while line.loses:
        answers += 1
        line = line.seen((1000 + answers) * MOMENT_S, DEFAULTS, lost=False)
    assert 30 <= answers <= 36


@given(CALLS, st.integers(0, 59))
def test_one_more_that_is_lost_never_lowers_it(calls: list[Call], which: int) -> None:
    worse = [(at_s, lost or number == which) for number, (at_s, lost) in enumerate(calls)]
    assert after(worse).score >= after(calls).score
    assert 0.0 <= after(calls).score <= MOST


@given(st.lists(st.booleans(), max_size=12), st.randoms(use_true_random=False))
def test_order_within_a_moment_does_not_matter(lost: list[bool], chance: random.Random) -> None:
    calls = [(0.5, each) for each in lost]
    shuffled = list(calls)
    chance.shuffle(shuffled)
    before = after([(-MOMENT_S, True)])
    assert after(calls, before).score == after(shuffled, before).score


@pytest.mark.parametrize("cause", [*Cause, None])
def test_an_answer_that_it_is_ill_comes_through(cause: Cause | None) -> None:
    """Only what was not answered at all is lost; and it is remembered while the exchange is down."""
    detector = health.start("bybit", 0.0)
    for number in range(12):
        for kind in (EvidenceKind.PUBLIC_PROBE, EvidenceKind.SIGNED_PROBE):
            piece = seen(kind, False, number * MOMENT_S + 0.01, cause=cause)
            detector = health.observe(detector, piece, DEFAULTS)
    assert health.view(detector, DEFAULTS, 60.0).loses is (cause in UNHEARD)
    assert detector.judges.line.score >= LOST or cause not in UNHEARD
