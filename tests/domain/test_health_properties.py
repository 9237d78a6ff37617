"""What always holds of the failure detector, whatever happens; and a month of noise."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st



PIECES = st.tuples(
    st.sampled_from(list(EvidenceKind)), st.booleans(), st.integers(0, 60), st.sampled_from([0.0, 0.5, 5.0])
)
QUICK = HealthSettings(max_retry_attempts=2, retry_delay_s=2.0, place_failures=3, error_min_calls=4, error_window_s=20)
HISTORIES = st.lists(PIECES, max_size=40).map(lambda pieces: sorted(pieces, key=lambda piece: piece[2]))


def replayed(pieces: list[tuple[EvidenceKind, bool, int, float]]) -> Detector:
    detector = start("bybit", -1.0)
    for kind, ok, at_s, latency_s in pieces:
        detector = observe(detector, seen(kind, ok, float(at_s), latency_s), QUICK)
    return detector


@settings(max_examples=400, deadline=None)
@given(HISTORIES, PIECES)
def test_more_failures_never_make_it_healthier(
    history: list[tuple[EvidenceKind, bool, int, float]], more: tuple[EvidenceKind, bool, int, float]
) -> None:
    """Add a failure anywhere in any history: what follows is at most as healthy."""
    kind, _, at_s, latency_s = more
    worse = sorted([*history, (kind, False, at_s, latency_s)], key=lambda piece: piece[2])
    assert HEALTHIER[replayed(worse).state] <= HEALTHIER[replayed(history).state]


@settings(max_examples=400, deadline=None)
@given(HISTORIES, st.data())
def test_a_success_that_fails_never_makes_it_healthier(
    history: list[tuple[EvidenceKind, bool, int, float]], data: st.DataObject
) -> None:
    """Turn successes of any history into failures: what follows is at most as healthy."""
    flips = data.draw(st.lists(st.booleans(), min_size=len(history), max_size=len(history)))
    worse = [
        (kind, ok and not flip, at_s, latency_s)
        for (kind, ok, at_s, latency_s), flip in zip(history, flips, strict=True)
    ]
    assert HEALTHIER[replayed(worse).state] <= HEALTHIER[replayed(history).state]


@settings(max_examples=300, deadline=None)
@given(HISTORIES, st.randoms(use_true_random=False))
def test_order_within_an_instant_does_not_matter(
    history: list[tuple[EvidenceKind, bool, int, float]], rng: random.Random
) -> None:
    """Evidence of one moment, in any order, gives the same detector to the last field."""
    shuffled = sorted(rng.sample(history, len(history)), key=lambda piece: piece[2])
    assert replayed(shuffled) == replayed(history)


@settings(max_examples=200, deadline=None)
@given(HISTORIES, st.integers(0, 120))
def test_there_is_always_a_next_probe_and_never_a_busy_loop(
    history: list[tuple[EvidenceKind, bool, int, float]], now_s: int
) -> None:
    """The next round is due within the longest pause; once sent, it is not due again at the same moment."""
    detector = replayed(history)
    kinds, due_s = next_probes(detector, QUICK, float(now_s))
    assert kinds
    assert now_s <= due_s <= max(now_s, 60) + QUICK.health_check_interval_s
    sent = probes_sent(detector, kinds, due_s)
    assert next_probes(sent, QUICK, due_s)[1] >= due_s + QUICK.retry_delay_s


@pytest.mark.parametrize(("seed", "order_every_s"), [(1, None), (3, 120.0)])
def test_a_month_of_random_failures_never_makes_it_down(seed: int, order_every_s: float | None) -> None:
    """5 % of calls fail independently; three in a row come about 11 times a month, and confirmation takes them out."""
    month_s = 30 * 86_400.0
    rng = random.Random(seed)
    run = Run(DEFAULTS, lambda _kind, _at_s: (rng.random() >= 0.05, 0.1 * rng.random()))
    while order_every_s is not None and run.now_s < month_s:
        run.call(PLACE, run.now_s)
        run.until(run.now_s + order_every_s)
    run.until(month_s)
    states = [state for _, state in run.changes]
    assert DOWN not in states
    assert states.count(SUSPECT) > 1_000
