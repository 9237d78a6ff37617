"""The failure detector: its table, its rules one by one, its properties, and a month of noise."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.health import (
    PROBE_EVIDENCE,
    TABLE,
    Detector,
    Finding,
    HealthSettings,
    detection_budget_s,
    forgotten,
    hurried,
    next_probes,
    observe,
    own_network,
    probe_unanswered,
    probes_sent,
    start,
    view,
)
from messages.health import Evidence, EvidenceKind, HealthState, HealthView, ProbeKind

PUBLIC, SIGNED = EvidenceKind.PUBLIC_PROBE, EvidenceKind.SIGNED_PROBE
PLACE, CANCEL, READ = EvidenceKind.PLACE, EvidenceKind.CANCEL, EvidenceKind.READ
STARTING, WELL, SUSPECT, DOWN = HealthState.STARTING, HealthState.WELL, HealthState.SUSPECT, HealthState.DOWN
DEFAULTS = HealthSettings()
HEALTHIER = {
    HealthState.ISOLATED: -2,
    HealthState.MAINTENANCE: -1,
    DOWN: 0,
    HealthState.HALF_OPEN: 1,
    SUSPECT: 2,
    STARTING: 3,
    WELL: 4,
}

Answer = Callable[[EvidenceKind, float], tuple[bool, float]]
"""(kind, when sent) -> (ok, latency in seconds)."""


def seen(kind: EvidenceKind, ok: bool, at_s: float, latency_s: float = 0.0, words: str = "refused") -> Evidence:
    return Evidence(exchange="bybit", kind=kind, ok=ok, words="" if ok else words, latency_s=latency_s, at_s=at_s)


def fed(detector: Detector, *pieces: tuple[EvidenceKind, bool, float], use: HealthSettings = DEFAULTS) -> Detector:
    for kind, ok, at_s in pieces:
        detector = observe(detector, seen(kind, ok, at_s), use)
    return detector


def well() -> Detector:
    return fed(start("bybit", 0.0), (SIGNED, True, 1.0))


def down() -> Detector:
    detector = fed(well(), (SIGNED, False, 10.0), (SIGNED, False, 15.0), (SIGNED, False, 20.0))
    return fed(detector, (SIGNED, False, 20.5), (PUBLIC, False, 20.6))


class Run:
    """An exchange that answers as told, and a detector driven the way its shell drives it, in simulated time."""

    def __init__(self, use: HealthSettings, answer: Answer, detector: Detector | None = None) -> None:
        self.use, self.answer = use, answer
        self.detector = detector or start("bybit", 0.0)
        self.now_s = self.detector.now.since_s
        self.changes: list[tuple[float, HealthState]] = []
        self.sent: list[float] = []
        self._pending: list[tuple[float, int, Evidence]] = []
        self._serial = itertools.count()

    def call(self, kind: EvidenceKind, at_s: float) -> None:
        """A call sent at `at_s`, whose outcome becomes evidence when it is there."""
        ok, latency_s = self.answer(kind, at_s)
        evidence = seen(kind, ok, at_s + latency_s, latency_s)
        heapq.heappush(self._pending, (evidence.at_s, next(self._serial), evidence))

    def until(self, end_s: float, stop: HealthState | None = None) -> Run:
        """Runs to `end_s`, or until the state is `stop`."""
        while self.now_s < end_s and (stop is None or self.detector.state is not stop):
            kinds, due_s = next_probes(self.detector, self.use, self.now_s)
            if due_s <= self.now_s:
                self.detector = probes_sent(self.detector, kinds, self.now_s)
                self.sent.append(self.now_s)
                for kind in kinds:
                    self.call(PROBE_EVIDENCE[kind], self.now_s)
                continue
            if self._pending and self._pending[0][0] <= min(due_s, end_s):
                self.now_s, _, evidence = heapq.heappop(self._pending)
                before = self.detector.state
                self.detector = observe(self.detector, evidence, self.use)
                if self.detector.state is not before:
                    self.changes.append((self.now_s, self.detector.state))
            else:
                self.now_s = min(due_s, end_s)
        return self


def refusing(_kind: EvidenceKind, _at_s: float) -> tuple[bool, float]:
    return False, 0.001


def answering(kind: EvidenceKind, _at_s: float) -> tuple[bool, float]:
    return True, 0.05 if kind is PUBLIC else 0.08


def dies_at(death_s: float, latency_s: float) -> Answer:
    return lambda kind, at_s: answering(kind, at_s) if at_s < death_s else (False, latency_s)


# The table


def test_table_is_total_and_a_better_finding_never_gives_a_worse_state() -> None:
    """Each state knows each finding, and each row only climbs."""
    assert set(TABLE) == set(HealthState)
    for row in TABLE.values():
        assert len(row) == len(Finding)
        assert [HEALTHIER[state] for state in row] == sorted(HEALTHIER[state] for state in row)


def test_table_never_makes_a_worse_state_better_than_a_better_one() -> None:
    """Each column only climbs with the state it starts from."""
    for finding in Finding:
        column = [TABLE[state][finding] for state in sorted(HealthState, key=HEALTHIER.__getitem__)]
        assert [HEALTHIER[state] for state in column] == sorted(HEALTHIER[state] for state in column)


@pytest.mark.parametrize("kind", EvidenceKind)
@pytest.mark.parametrize("ok", [True, False])
@pytest.mark.parametrize("made", [lambda: start("bybit", 0.0), well, lambda: fed(well(), (READ, False, 2.0)), down])
def test_every_state_takes_every_evidence(made: Callable[[], Detector], ok: bool, kind: EvidenceKind) -> None:
    """No evidence is undefined anywhere, and none improves by failing."""
    before = made()
    after = observe(before, seen(kind, ok, 100.0), DEFAULTS)
    if not ok:
        assert HEALTHIER[after.state] <= HEALTHIER[before.state]
        assert after.state in (SUSPECT, DOWN)


# Rules


def test_starting_is_left_by_the_first_good_signed_probe_and_by_no_public_one() -> None:
    """That the exchange answers anybody says nothing about us."""
    public = fed(start("bybit", 0.0), (PUBLIC, True, 1.0))
    assert public.state is STARTING
    assert fed(public, (SIGNED, True, 1.1)).state is WELL


@pytest.mark.parametrize("kind", EvidenceKind)
def test_first_failure_of_any_kind_makes_a_well_exchange_suspect(kind: EvidenceKind) -> None:
    """Suspicion is cheap: it only asks more often."""
    suspect = fed(well(), (kind, False, 10.0))
    assert suspect.state is SUSPECT
    assert view(suspect).reason == f"{kind.value.replace('_', ' ')}: refused"
    assert view(suspect).since_s == 10.0


def test_the_count_alone_never_makes_it_down() -> None:
    """Any number of failing calls is a candidate only, until probes sent afterwards fail."""
    detector = well()
    for step in range(5):
        detector = fed(detector, (READ, False, 10.0 + 5 * step))
    assert detector.state is SUSPECT
    assert view(detector).consecutive_failures == 5


def test_candidate_is_confirmed_by_both_probes() -> None:
    """Public and signed, each failing after the count was reached; one alone is not enough."""
    candidate = fed(well(), (PUBLIC, False, 10.0), (PUBLIC, False, 15.0), (PUBLIC, False, 20.0))
    assert fed(candidate, (PUBLIC, False, 20.5), (PUBLIC, False, 25.5)).state is SUSPECT
    assert fed(candidate, (SIGNED, False, 20.5), (SIGNED, False, 25.5)).state is SUSPECT
    assert fed(candidate, (PUBLIC, False, 20.5), (PUBLIC, True, 20.6), (SIGNED, False, 20.7)).state is SUSPECT
    confirmed = fed(candidate, (PUBLIC, False, 20.5), (SIGNED, False, 20.6))
    assert confirmed.state is DOWN
    assert "in a row" in view(confirmed).reason
    assert "refused" in view(confirmed).reason


def test_a_probe_sent_before_the_count_was_reached_confirms_nothing() -> None:
    """It is part of what made the exchange a candidate, not an independent witness."""
    candidate = fed(well(), (READ, False, 10.0), (READ, False, 15.0), (READ, False, 20.0))
    for kind in (PUBLIC, SIGNED):
        candidate = observe(candidate, seen(kind, False, 21.0, latency_s=5.0), DEFAULTS)
    assert candidate.state is SUSPECT


def test_a_burst_of_failures_counts_once() -> None:
    """A hundred orders refused in one second are one moment of trouble, not a hundred retries."""
    detector = fed(well(), *((PLACE, False, 10.0 + step / 100) for step in range(100)))
    assert view(detector).consecutive_failures == 1


def test_a_signed_answer_starts_the_count_anew_and_a_public_one_does_not() -> None:
    """Evidence differs in weight."""
    twice = fed(well(), (SIGNED, False, 10.0), (SIGNED, False, 15.0))
    assert view(fed(twice, (PUBLIC, True, 16.0))).consecutive_failures == 2
    assert view(fed(twice, (READ, True, 16.0))).consecutive_failures == 2
    assert view(fed(twice, (SIGNED, True, 16.0))).consecutive_failures == 0


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
    assert "placements" in view(detector).reason


def test_a_burst_of_failing_placements_is_one() -> None:
    """Twenty orders sent at once into a moment of trouble."""
    detector = fed(well(), *((PLACE, False, 10.0 + step / 10) for step in range(20)))
    assert detector.state is SUSPECT


def test_after_orders_alone_made_it_down_the_next_placement_is_a_trial() -> None:
    """Probes bring it back; one failing placement sends it down again, another failure does not."""
    detector = fed(well(), *((PLACE, False, 10.0 + 5 * step) for step in range(DEFAULTS.place_failures)))
    detector = fed(detector, *((kind, True, 100.0 + step) for step in range(2) for kind in (PUBLIC, SIGNED)))
    assert detector.state is WELL
    assert fed(detector, (PUBLIC, False, 110.0)).state is SUSPECT
    assert fed(detector, (PLACE, False, 110.0)).state is DOWN
    assert fed(detector, (PLACE, True, 110.0), (PLACE, False, 120.0)).state is SUSPECT


def test_down_is_left_by_rise_consecutive_good_rounds_of_both_kinds() -> None:
    """A failure in between starts them anew; one kind alone is no round."""
    once = fed(down(), (PUBLIC, True, 30.0), (SIGNED, True, 30.1))
    assert once.state is DOWN
    assert fed(once, (SIGNED, True, 35.0), (SIGNED, True, 40.0)).state is DOWN
    assert fed(once, (PUBLIC, True, 35.0), (SIGNED, True, 35.1)).state is WELL
    spoilt = fed(once, (READ, False, 31.0), (PUBLIC, True, 35.0), (SIGNED, True, 35.1))
    assert spoilt.state is DOWN
    assert fed(spoilt, (PUBLIC, True, 40.0), (SIGNED, True, 40.1)).state is WELL


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
    assert len(detector.now.window.buckets) <= 12


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
    told = view(detector)
    assert (told.latency_s, told.clock_offset_s, told.last_ok_s) == (0.1, 0.2, 5.0)


# Scheduling


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
    run = Run(DEFAULTS, lambda _, at_s: (at_s >= 300.0, 0.001), down()).until(400.0, stop=WELL)
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
def test_death_is_found_within_the_budget(attempts: int, delay_s: float, death_s: float, latency_s: float) -> None:
    """By probes alone, whether connections are refused or nobody answers, whenever it happens."""
    use = HealthSettings(max_retry_attempts=attempts, retry_delay_s=delay_s)
    run = Run(use, dies_at(death_s, latency_s)).until(1000.0, stop=DOWN)
    assert run.detector.state is DOWN
    assert run.now_s - death_s <= detection_budget_s(use) + 0.1


def test_the_budget_is_reached_but_for_a_moment() -> None:
    """The formula is not a guess on the safe side: the worst case comes up to it."""
    run = Run(DEFAULTS, dies_at(30.01, 5.0)).until(1000.0, stop=DOWN)
    assert detection_budget_s(DEFAULTS) == 60.0
    assert run.now_s - 30.01 > 59.9


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


# Properties

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


# Our own network


def seen_as(state: HealthState, since_s: float = 100.0, last_ok_s: float | None = 90.0) -> HealthView:
    return HealthView(
        exchange="bybit",
        state=state,
        since_s=since_s,
        reason="",
        consecutive_failures=1,
        last_ok_s=last_ok_s,
        latency_s=None,
        clock_offset_s=None,
    )


def test_all_exchanges_failing_together_are_our_own_network() -> None:
    """Two or more, each SUSPECT or DOWN, and nobody answered since."""
    assert own_network((seen_as(SUSPECT), seen_as(DOWN), seen_as(SUSPECT, last_ok_s=None)), 101.0, DEFAULTS)


@pytest.mark.parametrize("other", [seen_as(WELL), seen_as(STARTING), seen_as(SUSPECT, last_ok_s=100.5)])
def test_one_that_answers_means_the_network_works(other: HealthView) -> None:
    """Also one that is SUSPECT for other reasons, and one nobody has asked yet."""
    assert not own_network((seen_as(DOWN), other), 101.0, DEFAULTS)


def test_an_old_answer_is_no_proof_of_a_network() -> None:
    """It answered during its suspicion, and then fell silent like the rest."""
    views = (seen_as(DOWN), seen_as(SUSPECT, last_ok_s=100.5))
    assert own_network(views, 100.5 + 15.0, DEFAULTS)


def test_a_single_exchange_tells_nothing_about_the_network() -> None:
    """There is nothing to compare with."""
    assert not own_network((seen_as(DOWN),), 101.0, DEFAULTS)
    assert not own_network((), 101.0, DEFAULTS)
