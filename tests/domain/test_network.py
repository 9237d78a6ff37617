"""Whose fault it is that an exchange is down: the table line by line, stories of outages, and what always holds."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from app.domain import health
from app.domain.health_settings import HealthSettings
from app.domain.network import ILL, judge, patience_s, question_s
from messages.health import Cause, Evidence, EvidenceKind, HealthState, HealthView, NetworkState, Witness

STARTING, WELL, SUSPECT, DOWN = HealthState.STARTING, HealthState.WELL, HealthState.SUSPECT, HealthState.DOWN
HALF_OPEN, MAINTENANCE, ISOLATED = HealthState.HALF_OPEN, HealthState.MAINTENANCE, HealthState.ISOLATED
OURS, THEIRS, UNKNOWN = NetworkState.OURS, NetworkState.THEIRS, NetworkState.UNKNOWN
DEFAULTS = HealthSettings()
DIED_S = 100.0
PATIENCE_S = patience_s(DEFAULTS)


def seen(
    exchange: str,
    state: HealthState,
    since_s: float = 0.0,
    *,
    answered_sent_s: float | None = None,
    last_ok_s: float | None = None,
    cause: Cause | None = None,
    silent_s: float | None = None,
    recovered_s: float | None = None,
) -> HealthView:
    return HealthView(
        exchange=exchange,
        state=state,
        since_s=since_s,
        reason="",
        consecutive_failures=0,
        last_ok_s=answered_sent_s if last_ok_s is None else last_ok_s,
        latency_s=None,
        clock_offset_s=None,
        cause=cause,
        answered_sent_s=answered_sent_s,
        silent_s=silent_s,
        recovered_s=recovered_s,
    )


def dead(**changes: Any) -> HealthView:
    """The exchange in use, which answered for the last time at 85 s."""
    return evolve(
        seen("bybit", DOWN, DIED_S, answered_sent_s=85.0, last_ok_s=85.0, cause=Cause.CONNECTION, silent_s=88.0),
        **changes,
    )


def witness(
    ok: bool, at_s: float, since_s: float | None = None, silent_s: float | None = None, *, good: bool = True
) -> Witness:
    if since_s is None:
        since_s = 0.0 if ok else at_s
    return Witness(target="192.0.2.1:443", ok=ok, at_s=at_s, since_s=since_s, silent_s=silent_s, good=good)


def found(*others: HealthView | Witness, now_s: float = 101.0, asked: HealthView | None = None) -> NetworkState:
    views = (asked or dead(), *(each for each in others if isinstance(each, HealthView)))
    witnesses = tuple(each for each in others if isinstance(each, Witness))
    return judge(views, witnesses, now_s, DEFAULTS, "bybit").state


@pytest.mark.parametrize(
    ("other", "state"),
    [
        (seen("okx", WELL, answered_sent_s=100.0), THEIRS),
        (seen("okx", WELL, answered_sent_s=99.9), UNKNOWN),
        (seen("okx", WELL), UNKNOWN),
        (seen("okx", STARTING), UNKNOWN),
        (seen("okx", HALF_OPEN, 50.0, answered_sent_s=99.0), UNKNOWN),
        (seen("okx", SUSPECT, 99.0, answered_sent_s=80.0, silent_s=90.0), OURS),
        (seen("okx", SUSPECT, 99.0, answered_sent_s=80.0), UNKNOWN),
        (seen("okx", SUSPECT, 99.0, answered_sent_s=80.0, silent_s=50.0, recovered_s=60.0), UNKNOWN),
        (seen("okx", DOWN, 99.0, answered_sent_s=80.0), OURS),
        (seen("okx", DOWN, 99.0, answered_sent_s=80.0, cause=Cause.SERVER), UNKNOWN),
        (witness(False, 100.0, good=False), UNKNOWN),
        (witness(False, 100.0, since_s=84.0), UNKNOWN),
        (seen("okx", SUSPECT, 99.0, answered_sent_s=100.5), THEIRS),
        (seen("okx", DOWN, 99.0, answered_sent_s=100.5, silent_s=90.0, recovered_s=100.5), UNKNOWN),
        (seen("okx", DOWN, 10.0, answered_sent_s=100.5, silent_s=5.0, recovered_s=80.0), THEIRS),
        (seen("okx", DOWN, 100.5, answered_sent_s=80.0), OURS),
        (seen("okx", DOWN, 10.0, answered_sent_s=9.0), UNKNOWN),
        (seen("okx", MAINTENANCE, 10.0, answered_sent_s=9.0), UNKNOWN),
        (seen("okx", WELL, 100.5, answered_sent_s=100.4, silent_s=90.0, recovered_s=100.5), UNKNOWN),
        (seen("okx", WELL, 99.5, answered_sent_s=100.4, silent_s=80.0, recovered_s=99.5), UNKNOWN),
        (seen("okx", WELL, 87.0, answered_sent_s=100.4, silent_s=80.0, recovered_s=87.0), THEIRS),
        (witness(True, 100.0), THEIRS),
        (witness(True, 100.0, since_s=99.0, silent_s=89.0), UNKNOWN),
        (witness(True, 100.0, since_s=85.0, silent_s=25.0), THEIRS),
        (witness(True, 99.0), UNKNOWN),
        (witness(False, 100.0), OURS),
        (witness(False, 99.0), UNKNOWN),
    ],
)
def test_each_line_of_the_table(other: HealthView | Witness, state: NetworkState) -> None:
    assert found(other) is state


def test_a_proof_outweighs_whoever_denies_and_whoever_is_awaited() -> None:
    denies, awaited = (
        seen("okx", SUSPECT, 99.0, answered_sent_s=80.0, silent_s=90.0),
        seen("binance", WELL, answered_sent_s=99.0),
    )
    assert found(denies, awaited) is UNKNOWN, "nobody has proven anything, and one of them still could"
    assert found(denies, awaited, witness(True, 100.0)) is THEIRS
    assert found(denies, evolve(awaited, answered_sent_s=100.2)) is THEIRS


def test_a_new_trouble_asks_for_a_new_proof() -> None:
    """Half of an outage is seen: okx has answered since bybit died, and then binance dies as well."""
    proof = seen("okx", WELL, answered_sent_s=100.5)
    assert found(proof, seen("binance", WELL, answered_sent_s=99.0)) is THEIRS
    views = proof, seen("binance", SUSPECT, 103.0, answered_sent_s=99.0)
    assert found(*views, now_s=103.0) is UNKNOWN
    assert found(evolve(proof, answered_sent_s=103.0), views[1], now_s=103.2) is THEIRS


def test_a_proof_from_between_two_outages_says_nothing_of_the_second() -> None:
    """Our network was back for some seconds: all were heard of, and then nobody, the one that is down among them."""
    between = witness(True, 150.0, since_s=150.0, silent_s=89.0), seen("okx", HALF_OPEN, 145.0, answered_sent_s=150.0)
    again = dead(answered_sent_s=155.0, recovered_s=140.0)
    anew = dead(answered_sent_s=155.0, silent_s=158.0, recovered_s=140.0)
    assert found(*between, now_s=155.0 + PATIENCE_S, asked=again) is THEIRS
    assert found(*between, now_s=155.0 + PATIENCE_S, asked=anew) is UNKNOWN
    assert found(witness(True, 158.0), between[1], now_s=158.1, asked=anew) is THEIRS, "asked since"
    back = evolve(anew, answered_sent_s=163.0, recovered_s=163.0)
    was_silent = seen("okx", WELL, 145.0, answered_sent_s=150.0, silent_s=89.0, recovered_s=150.0)
    assert found(was_silent, now_s=163.0, asked=back) is UNKNOWN, "it is coming back"
    assert found(was_silent, now_s=163.0 + PATIENCE_S, asked=back) is THEIRS


def test_who_fell_ill_together_is_given_time_to_come_back_together() -> None:
    """Our network is back; okx answers first, and is believed when bybit has had its time, not sooner."""
    back = seen("okx", WELL, 130.0, answered_sent_s=130.0, silent_s=89.0, recovered_s=130.0)
    told = judge((dead(), back), (), 131.0, DEFAULTS, "bybit")
    assert (told.state, told.again_s) == (UNKNOWN, 130.0 + PATIENCE_S)
    assert found(back, now_s=130.0 + PATIENCE_S) is THEIRS
    assert found(witness(True, 130.0, since_s=130.0, silent_s=89.0), now_s=131.0) is UNKNOWN, "it comes back no sooner"
    assert found(back, seen("binance", WELL, answered_sent_s=130.0), now_s=131.0) is THEIRS, "it was never ill"


def test_one_that_answers_again_is_waited_for_as_long_as_the_window_remembers() -> None:
    """It is only called down until calls that were lost have timed out, and the window has forgotten them."""
    back = seen("okx", WELL, 130.0, answered_sent_s=130.0, silent_s=89.0, recovered_s=130.0)
    coming = dead(answered_sent_s=150.0, recovered_s=131.0)
    assert found(back, now_s=150.0 + PATIENCE_S - 0.1, asked=coming) is UNKNOWN
    assert found(back, now_s=150.0 + PATIENCE_S, asked=coming) is THEIRS
    most_s = 130.0 + PATIENCE_S + DEFAULTS.error_window_s
    always = dead(answered_sent_s=most_s, recovered_s=131.0)
    assert found(back, now_s=most_s - 0.1, asked=always) is UNKNOWN
    assert found(back, now_s=most_s, asked=always) is THEIRS


def test_one_to_which_calls_get_lost_as_well_is_believed_when_the_other_has_had_its_time() -> None:
    """A line of ours that loses every third call lets one fail thrice in a row while another answers."""
    lossy = evolve(seen("okx", WELL, answered_sent_s=100.5), loses=True)
    told = judge((dead(loses=True), lossy), (), 101.0, DEFAULTS, "bybit")
    assert (told.state, told.again_s) == (UNKNOWN, DIED_S + PATIENCE_S)
    found_it = partial(found, asked=dead(loses=True))
    assert found(lossy) is THEIRS, "calls to the dead one are answered, or were: its orders fail, and its line is good"
    assert found_it(lossy, now_s=DIED_S + PATIENCE_S) is THEIRS, "it has not answered in all that time: it is dead"
    assert found_it(lossy, witness(True, 100.5)) is UNKNOWN, "a witness answers two of three times as well"
    assert found_it(lossy, witness(True, 100.5), now_s=DIED_S + PATIENCE_S) is THEIRS
    assert found_it(lossy, seen("binance", WELL, answered_sent_s=100.5)) is THEIRS, "nothing gets lost there"
    assert found_it(witness(True, 100.5)) is THEIRS, "with nobody beside it, nobody says that the line is bad"


@pytest.mark.parametrize(
    ("state", "longest_s"), [(WELL, DEFAULTS.error_window_s), (HALF_OPEN, DEFAULTS.flap_half_life_s)]
)
def test_while_the_dead_one_answers_now_and_then_a_lossy_one_is_not_believed_for_so_long(
    state: HealthState, longest_s: float
) -> None:
    """Orders may be what fails there: it does not wait for ever."""
    lossy = evolve(seen("okx", state, answered_sent_s=100.5), loses=True)
    most_s = DIED_S + PATIENCE_S + longest_s
    answers = dead(loses=True, answered_sent_s=most_s - 1.0)
    assert found(lossy, now_s=most_s - 0.1, asked=answers) is UNKNOWN
    assert found(lossy, now_s=most_s, asked=answers) is THEIRS
    again = dead(loses=True, answered_sent_s=110.0)
    assert found(lossy, now_s=110.0 + PATIENCE_S - 0.1, asked=again) is UNKNOWN
    assert found(lossy, now_s=110.0 + PATIENCE_S, asked=again) is THEIRS


def test_a_name_that_is_not_resolved_asks_for_a_later_proof() -> None:
    """Connections that were there before need no name; after an interval an idle one was asked anew."""
    unresolved = dead(cause=Cause.LOCAL)
    soon = seen("okx", WELL, answered_sent_s=100.5)
    assert found(soon, witness(True, 100.5), asked=unresolved) is UNKNOWN
    assert found(soon, asked=unresolved, now_s=500.0) is UNKNOWN, "an old answer gets no better"
    assert found(evolve(soon, answered_sent_s=130.0), asked=unresolved, now_s=130.1) is THEIRS
    others = seen("okx", SUSPECT, 101.0, answered_sent_s=80.0, cause=Cause.LOCAL, silent_s=90.0)
    assert found(others, witness(True, 101.0), asked=unresolved) is OURS, "addresses answer; names do not"


def test_alone_it_is_not_known_without_a_witness() -> None:
    assert found() is UNKNOWN
    assert found(witness(False, 101.0)) is OURS
    assert found(witness(True, 101.0)) is THEIRS


def test_of_an_exchange_nobody_has_told_of_nothing_is_known() -> None:
    """A coordinator that has just started hears of one after the other."""
    assert judge((seen("okx", WELL, answered_sent_s=1.0),), (), 2.0, DEFAULTS, "bybit").state is UNKNOWN
    assert judge((), (), 2.0, DEFAULTS).state is UNKNOWN


def test_where_nothing_fails_the_network_works() -> None:
    assert judge((seen("okx", WELL, answered_sent_s=1.0), seen("bybit", STARTING)), (), 2.0, DEFAULTS).state is THEIRS


def test_without_a_name_it_is_asked_of_the_newest_that_is_down() -> None:
    old, new = seen("okx", DOWN, 5.0), seen("binance", SUSPECT, 120.0)
    assert "bybit" in judge((old, dead(), new), (), 121.0, DEFAULTS).words
    assert "binance" in judge((seen("bybit", WELL), new), (), 121.0, DEFAULTS).words


def test_while_all_are_only_suspect_nobody_is_alarmed() -> None:
    """At 5 % errors two exchanges lose a call at the same time now and then."""
    views = (seen("bybit", SUSPECT, 100.0, last_ok_s=90.0), seen("okx", SUSPECT, 99.0, last_ok_s=90.0, silent_s=95.0))
    assert judge(views, (), 101.0, DEFAULTS).state is UNKNOWN
    assert judge((evolve(views[0], state=DOWN), views[1]), (), 101.0, DEFAULTS).state is OURS


def test_one_that_is_kept_out_by_a_person_is_judged_by_what_is_believed_of_it() -> None:
    kept_out = evolve(seen("okx", ISOLATED, 10.0, silent_s=90.0), believed=SUSPECT, since_s=99.0, answered_sent_s=80.0)
    assert found(kept_out) is OURS


# ----------------------------------------------------------------------------------------------- who is asked, and when


def test_everybody_well_is_asked_at_once_when_one_dies_and_again_until_it_answers() -> None:
    other = seen("okx", WELL, answered_sent_s=90.0)
    views = dead(), other
    assert question_s(other, views, 99.9, DEFAULTS) == DIED_S, "whatever it was asked before"
    assert question_s(other, views, None, DEFAULTS) == DIED_S
    assert question_s(other, views, DIED_S, DEFAULTS) == DIED_S + DEFAULTS.retry_delay_s
    assert question_s(evolve(other, answered_sent_s=DIED_S), views, DIED_S, DEFAULTS) is None
    assert question_s(evolve(other, state=SUSPECT), views, 99.9, DEFAULTS) is None, "it is asked often enough"
    assert question_s(other, (seen("bybit", SUSPECT, 99.0), other), 99.9, DEFAULTS) is None


def test_for_a_cause_on_our_side_they_are_asked_when_their_answer_proves() -> None:
    other = seen("okx", WELL, answered_sent_s=100.5)
    views = dead(cause=Cause.LOCAL), other
    assert question_s(other, views, 100.5, DEFAULTS) == DIED_S + DEFAULTS.health_check_interval_s
    assert found(evolve(other, answered_sent_s=130.0), asked=views[0], now_s=130.1) is THEIRS


# ------------------------------------------------------------------------------------------------ what always holds

MOMENTS = st.sampled_from([float(at_s) for at_s in range(0, 200, 5)])
VIEWS = st.builds(
    seen,
    st.sampled_from(("okx", "binance", "kraken")),
    st.sampled_from([state for state in HealthState if state is not ISOLATED]),
    MOMENTS,
    answered_sent_s=st.none() | MOMENTS,
    last_ok_s=st.none() | MOMENTS,
    cause=st.sampled_from((None, Cause.LOCAL, Cause.SILENT)),
    silent_s=st.none() | MOMENTS,
    recovered_s=st.none() | MOMENTS,
)
OTHERS = st.lists(VIEWS, max_size=3, unique_by=lambda view: view.exchange)
WITNESSES = st.lists(st.builds(witness, st.booleans(), MOMENTS, MOMENTS, st.none() | MOMENTS), max_size=3)
ASKED = st.builds(
    lambda since_s, last_ok_s, cause, silent_s, recovered_s: dead(
        since_s=since_s, last_ok_s=last_ok_s, cause=cause, silent_s=silent_s, recovered_s=recovered_s
    ),
    MOMENTS,
    st.none() | MOMENTS,
    st.sampled_from((Cause.SILENT, Cause.LOCAL)),
    st.none() | MOMENTS,
    st.none() | MOMENTS,
)


def proofs(asked: HealthView, others: list[HealthView], witnesses: list[Witness]) -> list[str]:
    """Who was reached since the exchange was down: told apart from the code's own way."""
    since_s = asked.since_s
    who = [each.exchange for each in others if each.answered_sent_s is not None and each.answered_sent_s >= since_s]
    return who + [each.target for each in witnesses if each.ok and each.at_s >= since_s]


@given(ASKED, OTHERS, WITNESSES, MOMENTS)
def test_no_proof_never_makes_it_theirs(
    asked: HealthView, others: list[HealthView], witnesses: list[Witness], now_s: float
) -> None:
    told = judge((asked, *others), tuple(witnesses), now_s, DEFAULTS, "bybit")
    if told.state is THEIRS:
        assert proofs(asked, others, witnesses), told.words
    assert told.again_s is None or told.again_s > now_s, "or whoever waits for it would turn in circles"


@given(ASKED, OTHERS, WITNESSES, MOMENTS)
def test_never_ours_while_somebody_was_reached_since_the_newest_trouble(
    asked: HealthView, others: list[HealthView], witnesses: list[Witness], now_s: float
) -> None:
    newest_s = max((asked.since_s, *(each.since_s for each in others if each.health in ILL)))
    exchanges = proofs(evolve(asked, since_s=newest_s), others, [])
    addresses = asked.cause is not Cause.LOCAL and proofs(evolve(asked, since_s=newest_s), [], witnesses)
    if exchanges or addresses:
        assert judge((asked, *others), tuple(witnesses), now_s, DEFAULTS, "bybit").state is not OURS


@given(ASKED, OTHERS, WITNESSES, MOMENTS, st.randoms(use_true_random=False))
def test_the_order_of_evidence_does_not_matter(
    asked: HealthView, others: list[HealthView], witnesses: list[Witness], now_s: float, rng: random.Random
) -> None:
    views = [asked, *others]
    told = judge(tuple(views), tuple(witnesses), now_s, DEFAULTS, "bybit")
    rng.shuffle(views)
    rng.shuffle(witnesses)
    assert judge(tuple(views), tuple(witnesses), now_s, DEFAULTS, "bybit") == told


@given(ASKED, OTHERS, WITNESSES, st.integers(0, 2))
def test_whoever_is_well_proves_when_he_is_asked(
    asked: HealthView, others: list[HealthView], witnesses: list[Witness], which: int
) -> None:
    """I7: while another exchange is well, no death is held up for longer than the question and what is waited for."""
    views = (asked, *others)
    fit = [each for each in others if each.state is WELL]
    if not fit:
        return
    one = fit[which % len(fit)]
    due_s = question_s(one, views, 0.0, DEFAULTS)
    lasts = asked.silent_s is not None and (asked.recovered_s is None or asked.recovered_s < asked.silent_s)
    newest_s = max((asked.since_s, *(each.since_s for each in others if each.health in ILL)))
    newest_s = max(newest_s, asked.silent_s or 0.0) if lasts else newest_s
    assert due_s is None or due_s <= newest_s + DEFAULTS.health_check_interval_s
    answered = evolve(one, answered_sent_s=newest_s if due_s is None else max(newest_s, due_s))
    if asked.cause is Cause.LOCAL:
        answered = evolve(answered, answered_sent_s=newest_s + DEFAULTS.health_check_interval_s)
    at_s = max(newest_s + DEFAULTS.health_check_interval_s, (one.recovered_s or 0.0) + PATIENCE_S)
    after = tuple(answered if each is one else each for each in views)
    assert judge(after, tuple(witnesses), at_s, DEFAULTS, "bybit").state is THEIRS


@given(ASKED, OTHERS, WITNESSES, MOMENTS, MOMENTS)
def test_one_more_answer_never_takes_a_proof_away(
    asked: HealthView, others: list[HealthView], witnesses: list[Witness], now_s: float, at_s: float
) -> None:
    before = judge((asked, *others), tuple(witnesses), now_s, DEFAULTS, "bybit")
    more = judge((asked, *others), (*witnesses, witness(True, at_s)), now_s, DEFAULTS, "bybit")
    if before.state is THEIRS:
        assert more.state is THEIRS


# ------------------------------------------------------------------------------------------------ what silence is


def silence_in(*rounds: tuple[bool, bool]) -> tuple[float | None, float | None]:
    """The last silence after rounds of a public and a signed probe, each good or not, five seconds apart."""
    detector = health.start("okx", 0.0)
    for number, good in enumerate(((True, True), *rounds)):
        for kind, ok in zip((EvidenceKind.PUBLIC_PROBE, EvidenceKind.SIGNED_PROBE), good, strict=True):
            at_s = 10.0 + 5.0 * number + 0.5 * (kind is EvidenceKind.SIGNED_PROBE)
            piece = Evidence(exchange="okx", kind=kind, ok=ok, words="", latency_s=0.25, at_s=at_s)
            detector = health.observe(detector, piece, DEFAULTS)
    told = health.view(detector, DEFAULTS, 100.0)
    return told.silent_s, told.recovered_s


def test_silence_is_a_whole_round_without_an_answer() -> None:
    """One lost call in twenty is noise, and would hold up one true death in four."""
    assert silence_in((False, True), (True, True)) == (None, None)
    assert silence_in((True, False), (True, True)) == (None, None)
    assert silence_in((False, False)) == (14.75, None), "not over yet"
    assert silence_in((False, False), (True, True)) == (14.75, 20.0)
    assert silence_in((False, False), (False, True)) == (14.75, 20.5)
    assert silence_in((False, False), (True, True), (False, False)) == (24.75, 20.0), "another one, and it lasts"


def test_a_call_that_was_lost_before_the_newest_answer_is_no_new_silence() -> None:
    """It was sent while nothing was answered, and is given up when something is again."""
    detector = health.start("bybit", 0.0)
    for kind, ok, sent_s, at_s in (
        (EvidenceKind.PUBLIC_PROBE, False, 10.0, 15.0),
        (EvidenceKind.SIGNED_PROBE, False, 10.0, 15.0),
        (EvidenceKind.READ, True, 17.5, 17.6),
        (EvidenceKind.PUBLIC_PROBE, False, 15.0, 20.0),
        (EvidenceKind.SIGNED_PROBE, False, 15.0, 20.0),
    ):
        words, cause = ("", None) if ok else ("no answer", Cause.SILENT)
        piece = Evidence(
            exchange="bybit", kind=kind, ok=ok, words=words, latency_s=at_s - sent_s, at_s=at_s, cause=cause
        )
        detector = health.observe(detector, piece, DEFAULTS)
    view = health.view(detector, DEFAULTS, 20.0)
    assert (view.silent_s, view.recovered_s) == (10.0, 17.6)


def test_two_silences_that_do_not_overlap_have_nothing_to_do_with_each_other() -> None:
    """okx was silent and came back while bybit still answered, or bybit's silence was over before: it is orders now."""
    back = seen("okx", WELL, 90.0, answered_sent_s=101.0, silent_s=70.0, recovered_s=90.0)
    assert found(back, asked=dead(silent_s=95.0)) is THEIRS
    assert found(back, asked=dead(silent_s=89.0)) is UNKNOWN
    assert found(back, asked=dead(silent_s=50.0, recovered_s=60.0)) is THEIRS
    assert found(back, asked=dead(silent_s=50.0, recovered_s=75.0)) is UNKNOWN
    assert found(back, asked=dead(silent_s=None)) is THEIRS


def test_an_outage_of_our_own_network_is_not_held_against_an_exchange() -> None:
    """Else two short ones would leave every backup on trial for a quarter of an hour."""

    def after(*, ours: bool) -> HealthView:
        detector = health.start("okx", 0.0)
        for at_s in range(0, 200, 5):
            ok = not 50 <= at_s < 80 and not 110 <= at_s < 140
            for kind in (EvidenceKind.PUBLIC_PROBE, EvidenceKind.SIGNED_PROBE):
                piece = Evidence(exchange="okx", kind=kind, ok=ok, words="", latency_s=0.1, at_s=float(at_s))
                detector = health.observe(detector, piece, DEFAULTS)
                if ours:
                    detector = health.forgiven(health.forgiven(detector))
        return health.view(detector, DEFAULTS, 200.0)

    assert after(ours=False).state is HALF_OPEN
    told = after(ours=True)
    assert (told.state, told.penalty) == (WELL, 0.0)
