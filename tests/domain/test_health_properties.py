"""What always holds of the failure detector, whatever happens; and a month of noise.

That more failures never make it healthier holds of the states without the hold-down: with it, two outages are held down
longer than the one they would be without the answer in between. So it is proven without, and then that the hold-down
only ever holds back.
"""

from __future__ import annotations

import random

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import health_flaps
from app.domain.health import HEALTHIER, Detector, HealthSettings, next_probes, observe, probes_sent, start, waited
from messages.health import Cause, Evidence, EvidenceKind, HealthState, Maintenance, ProbeKind, Waiting
from tests.depth import examples
from tests.domain.health_desk import (
    BTC,
    DEFAULTS,
    ETH,
    ILLNESS,
    PLACE,
    STATUS,
    SUSPECT,
    TOLD,
    WELL,
    Run,
    told,
)

QUICK = HealthSettings(
    max_retry_attempts=2,
    retry_delay_s=2.0,
    place_failures=3,
    error_min_calls=4,
    error_window_s=20,
    trial_calls=2,
    hold_down_s=10.0,
    status_interval_s=5.0,
)
"""Settings under which much happens within a minute."""
UNHELD = evolve(QUICK, hold_down_s=0.0)
ILL = st.sampled_from([None, *ILLNESS])
NOTICES = st.one_of(
    st.none(),
    st.builds(
        Maintenance,
        begin_s=st.integers(0, 60).map(float),
        end_s=st.one_of(st.none(), st.integers(0, 80).map(float)),
        words=st.sampled_from(["upgrade", "migration"]),
    ),
)


@st.composite
def pieces(draw: st.DrawFn, moments: int = 60) -> Evidence | Waiting:
    """Anything that may be told of an exchange within a minute: every kind, cause and outcome."""
    at_s, latency_s = float(draw(st.integers(0, moments))), draw(st.sampled_from([0.0, 0.5, 5.0]))
    kind = draw(st.sampled_from(EvidenceKind))
    if draw(st.integers(0, 9)) == 0:
        return Waiting(exchange="bybit", kind=kind, sent_s=at_s - draw(st.sampled_from([0.1, 1e6])), at_s=at_s)
    ok = draw(st.booleans())
    cause = draw(st.sampled_from([None, None, *TOLD]) if ok else ILL)
    return Evidence(
        exchange="bybit",
        kind=kind,
        ok=ok,
        words="" if ok and cause is None else draw(st.sampled_from(["refused", "no"])),
        latency_s=latency_s,
        at_s=at_s,
        cause=cause,
        symbol=draw(st.sampled_from([None, BTC, ETH])),
        until_s=draw(st.sampled_from([None, at_s + 1.0, at_s + 50.0])) if cause in TOLD else None,
        notice=draw(NOTICES) if kind is STATUS else None,
        clock_offset_s=draw(st.sampled_from([None, 0.1, -0.2])) if ok else None,
    )


Piece = Evidence | Waiting
HISTORIES = st.lists(pieces(), max_size=40).map(lambda some: sorted(some, key=lambda piece: piece.at_s))
CROWDED = st.lists(pieces(moments=4), max_size=20).map(lambda some: sorted(some, key=lambda piece: piece.at_s))
"""Much at each moment."""


def replayed(history: list[Piece], use: HealthSettings = QUICK) -> Detector:
    """A detector that heard it all."""
    detector = start("bybit", -1.0)
    for piece in history:
        detector = waited(detector, piece, use) if isinstance(piece, Waiting) else observe(detector, piece, use)
    return detector


def failing(piece: Piece, cause: Cause | None = None) -> Piece:
    """The same call, failed."""
    return piece if isinstance(piece, Waiting) else evolve(piece, ok=False, cause=cause, words="failed")


@settings(max_examples=examples(60, 300), deadline=None)
@given(HISTORIES, pieces(), ILL)
def test_more_failures_never_make_it_healthier(history: list[Piece], more: Piece, cause: Cause | None) -> None:
    """Add a failure anywhere in any history: what follows is at most as healthy."""
    worse = sorted([*history, failing(more, cause)], key=lambda piece: piece.at_s)
    assert HEALTHIER[replayed(worse, UNHELD).state] <= HEALTHIER[replayed(history, UNHELD).state]


@settings(max_examples=examples(60, 300), deadline=None)
@given(HISTORIES, st.data())
def test_a_success_that_fails_never_makes_it_healthier(history: list[Piece], data: st.DataObject) -> None:
    """Turn successes of any history into failures: what follows is at most as healthy."""
    flips = data.draw(st.lists(st.booleans(), min_size=len(history), max_size=len(history)))
    causes = data.draw(st.lists(ILL, min_size=len(history), max_size=len(history)))
    worse = [
        failing(piece, cause) if flip and isinstance(piece, Evidence) and piece.ok else piece
        for piece, flip, cause in zip(history, flips, causes, strict=True)
    ]
    assert HEALTHIER[replayed(worse, UNHELD).state] <= HEALTHIER[replayed(history, UNHELD).state]


@settings(max_examples=examples(60, 300), deadline=None)
@given(HISTORIES)
def test_the_hold_down_only_holds_back(history: list[Piece]) -> None:
    """With it an exchange is at most as healthy as without; it and the penalty are bounded."""
    held = replayed(history)
    assert HEALTHIER[held.state] <= HEALTHIER[replayed(history, UNHELD).state]
    flaps = held.now.flaps
    assert 0.0 <= flaps.penalty <= health_flaps.ceiling(QUICK)
    assert flaps.hold_s is not None
    assert 0.0 <= flaps.hold_s <= QUICK.hold_down_max_s


@settings(max_examples=examples(60, 300), deadline=None)
@given(st.one_of(HISTORIES, CROWDED), st.randoms(use_true_random=False))
def test_order_within_an_instant_does_not_matter(history: list[Piece], rng: random.Random) -> None:
    """Evidence of one moment, in any order, gives the same detector to the last field."""
    shuffled = sorted(rng.sample(history, len(history)), key=lambda piece: piece.at_s)
    assert replayed(shuffled) == replayed(history)


@settings(max_examples=examples(60, 300), deadline=None)
@given(HISTORIES, st.integers(0, 120), st.floats(0.0, 1.0), st.sampled_from([(), (ProbeKind.STATUS, ProbeKind.MARKET)]))
def test_there_is_always_a_next_probe_and_never_a_busy_loop(
    history: list[Piece], now_s: int, draw: float, also: tuple[ProbeKind, ...]
) -> None:
    """The next is due within the longest pause, or when a ban ends; once sent, not again at the same moment."""
    detector = replayed(history)
    kinds, due_s = next_probes(detector, QUICK, float(now_s), also)
    banned_s = detector.now.told.banned_until_s(float(now_s))
    assert kinds
    assert (banned_s or now_s) <= due_s <= max(now_s, 60, banned_s or 0.0) + QUICK.health_check_interval_s * 1.1
    sent_s: dict[ProbeKind, float] = {}
    for _ in range(4):
        shortest_s = (1 - QUICK.jitter) * QUICK.retry_delay_s
        assert all(due_s >= sent_s[kind] + shortest_s - 1e-9 for kind in kinds if kind in sent_s)
        sent_s |= dict.fromkeys(kinds, due_s)
        detector = probes_sent(detector, kinds, due_s, draw)
        kinds, due_s = next_probes(detector, QUICK, due_s, also)


def noise(days: float, seed: int, order_every_s: float | None) -> list[tuple[float, HealthState]]:
    """5 % of calls fail, independently; never is the exchange unfit."""
    rng = random.Random(seed)
    run = Run(DEFAULTS, lambda _kind, _at_s: (rng.random() >= 0.05, 0.1 * rng.random()), draw=rng.random)
    while run.now_s < days * 86_400.0:
        if order_every_s is not None:
            run.call(PLACE, run.now_s)
        run.until(run.now_s + (order_every_s or 600.0))
        assert told(run.detector).unfit == ""
    return run.changes


@pytest.mark.parametrize(("seed", "order_every_s"), [pytest.param(1, None, marks=pytest.mark.deep), (3, 60.0)])
def test_days_of_random_failures_never_make_it_down_or_unfit(seed: int, order_every_s: float | None) -> None:
    """Three in a row come about once in three days; that confirmation takes them out."""
    states = [state for _, state in noise(3.0, seed, order_every_s)]
    assert set(states) == {WELL, SUSPECT}
    assert states.count(SUSPECT) > 150


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "order_every_s"), [(1, None), (2, None), (3, 120.0), (4, 30.0)])
def test_a_month_of_random_failures_never_makes_it_down_or_unfit(seed: int, order_every_s: float | None) -> None:
    """Three in a row come about 11 times a month, and confirmation takes them out."""
    states = [state for _, state in noise(30.0, seed, order_every_s)]
    assert set(states) == {WELL, SUSPECT}
    assert states.count(SUSPECT) > 1_000
