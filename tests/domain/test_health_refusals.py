"""What an exchange turns away though it answers: every placement, our credentials, or the probe that would prove it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.health import Detector, HealthSettings, forgotten, observe, start
from app.domain.health_refusals import NO_REFUSALS, Refusals, refused, taken
from messages.health import Cause, Evidence, EvidenceKind, HealthState
from messages.market import Symbol
from tests.domain.health_desk import (
    BTC,
    CANCEL,
    DEFAULTS,
    DOWN,
    ETH,
    PLACE,
    PUBLIC,
    READ,
    SIGNED,
    STARTING,
    STATUS,
    WELL,
    down,
    fed,
    given_all,
    rounds,
    seen,
    told,
    well,
)

QUIET_S = DEFAULTS.hold_down_max_s


def turned_away(at_s: float, cause: Cause | None = Cause.RATE_LIMITED, symbol: Symbol = BTC) -> Evidence:
    """A placement that was refused."""
    return seen(PLACE, True, at_s, 0.1, words="too many", cause=cause, symbol=symbol)


def beset(
    times: int, every_s: float = 5.0, begin_s: float = 10.0, cause: Cause | None = Cause.RATE_LIMITED
) -> Detector:
    """Every placement is refused, and every probe answered well."""
    detector = well()
    for n in range(times):
        at_s = begin_s + n * every_s
        detector = given_all(
            detector, turned_away(at_s, cause), seen(SIGNED, True, at_s + 1), seen(PUBLIC, True, at_s + 1)
        )
    return detector


# Placements without end


@pytest.mark.parametrize("cause", [Cause.RATE_LIMITED, Cause.BANNED])
def test_placements_refused_without_end_make_it_unfit_and_never_down(cause: Cause) -> None:
    """Longer than a ban is sat out, at as many moments as failing placements take; with words and numbers."""
    assert told(beset(7, cause=cause)).unfit == ""
    unfit = beset(8, cause=cause)
    assert unfit.state is WELL
    assert (
        "refused every placement for 35 s, at 8 moments at least 5 s apart, and 30 s are sat out: too many"
        in told(unfit).unfit
    )
    hour = beset(720, cause=cause)
    assert (hour.state, bool(told(hour).unfit)) == (WELL, True)


def test_a_clock_that_is_wrong_is_no_reason_to_go() -> None:
    """Ours is as likely wrong as the exchange's, and would be refused elsewhere, too."""
    assert told(beset(720, cause=Cause.CLOCK)).unfit == ""


def test_a_short_burst_or_a_few_of_them_say_nothing() -> None:
    """A hundred in a moment are one moment; a row has to last."""
    burst = given_all(well(), *(turned_away(10.0 + n / 10) for n in range(200)))
    assert told(burst).unfit == ""
    assert told(beset(5, every_s=60.0)).unfit == ""
    assert told(beset(6, every_s=60.0)).unfit


def test_who_has_an_order_taken_now_and_then_asks_too_much() -> None:
    """Nine of ten refused for an hour are the limit doing its work, also where the one is refused for its funds."""
    for answered in (seen(PLACE, True, 0.0, symbol=BTC), seen(PLACE, True, 0.0, symbol=ETH)):
        detector = well()
        for n in range(720):
            at_s = 10.0 + 2 * n
            piece = evolve(answered, at_s=at_s) if n % 10 == 0 else turned_away(at_s)
            detector = given_all(detector, piece)
            assert told(detector).unfit == ""


def test_failing_placements_in_between_do_not_make_it_fit() -> None:
    """They are no better."""
    detector = beset(4)
    detector = given_all(detector, seen(PLACE, False, 31.0, cause=Cause.SERVER, symbol=BTC), seen(SIGNED, True, 32.0))
    for n in range(5):
        detector = given_all(detector, turned_away(35.0 + 5 * n))
    assert told(detector).unfit


def test_it_is_fit_again_when_placements_are_taken_in_a_row() -> None:
    """Where trading stayed, since nobody else was ready; not by the first, or it would flap."""
    detector = given_all(beset(20), seen(PLACE, True, 111.0, symbol=BTC), seen(PLACE, True, 112.0, symbol=BTC))
    assert told(detector).unfit
    assert told(given_all(detector, turned_away(113.0), seen(PLACE, True, 114.0, symbol=BTC))).unfit
    assert told(given_all(detector, seen(PLACE, True, 113.0, symbol=BTC))).unfit == ""
    assert told(rounds(detector, 113.0, 118.0, 123.0)).unfit


def test_it_is_fit_again_after_a_quiet_time_and_the_next_placement_is_its_trial() -> None:
    """Where trading went away nobody tries."""
    detector = beset(20)
    last_s = 10.0 + 19 * 5
    assert told(detector, now_s=last_s + QUIET_S - 1).unfit
    assert told(detector, now_s=last_s + QUIET_S).unfit == ""
    assert told(given_all(detector, turned_away(last_s + QUIET_S + 60))).unfit
    back = given_all(detector, seen(PLACE, True, last_s + QUIET_S + 60, symbol=BTC))
    assert told(given_all(back, turned_away(last_s + QUIET_S + 70))).unfit == ""


def test_it_becomes_unfit_at_most_twice_an_hour() -> None:
    """Though trading goes back as soon as it is fit, and is refused again."""
    detector, begun, at_s = well(), list[float](), 10.0
    while at_s < 6 * 3600.0:
        before = bool(told(detector, now_s=at_s).unfit)
        if not before:
            detector = given_all(detector, turned_away(at_s))
            if told(detector).unfit:
                begun.append(at_s)
        at_s += 5.0
    assert len(begun) > 6
    assert all(third - first >= 3600.0 for first, third in zip(begun, begun[2:], strict=False))


def test_one_market_that_is_halted_is_not_the_exchange_and_two_are() -> None:
    """One is told apart; a whole exchange that only lets us cancel is not."""
    one = beset(100, cause=Cause.HALTED)
    assert told(one).unfit == ""
    assert told(given_all(one, turned_away(600.0, Cause.HALTED, ETH))).unfit == ""
    two = mixed = well()
    for n in range(20):
        at_s = 10.0 + 5 * n
        two = given_all(two, turned_away(at_s, Cause.HALTED, BTC), turned_away(at_s + 2, Cause.HALTED, ETH))
        mixed = given_all(mixed, turned_away(at_s, Cause.HALTED, BTC), seen(PLACE, True, at_s + 2, symbol=ETH))
        assert told(mixed).unfit == ""
    assert "refused every placement" in told(two).unfit


def test_what_our_key_or_account_may_not_do_is_no_reason_to_leave() -> None:
    """That is told, and not failed over from; nor is a plain refusal in words."""
    detector = beset(100, cause=Cause.CREDENTIALS)
    assert (told(detector).unfit, told(detector).credentials) == ("", "too many")
    plain = beset(100, cause=None)
    assert (told(plain).unfit, told(plain).credentials) == ("", "")


EVENTS = st.lists(
    st.tuples(st.integers(0, 400).map(float), st.sampled_from(["taken", "refused", "market"])), max_size=60
).map(sorted)
HASTY = HealthSettings(place_failures=3, ban_tolerance_s=20.0, hold_down_s=10.0, hold_down_max_s=100.0)


def replayed(events: list[tuple[float, str]]) -> Refusals:
    """After these, refusals last at each moment."""
    refusals = NO_REFUSALS
    for at_s, group in itertools.groupby(events, key=lambda each: each[0]):
        kinds = {kind for _, kind in group}
        if "taken" in kinds:
            refusals = taken(refusals, at_s, HASTY)
        if kinds - {"taken"}:
            markets = (("BTC", "halted"), ("ETH", "halted")) if "market" in kinds else ()
            refusals = refused(refusals, at_s, "limit" if "refused" in kinds else "", markets, HASTY)
    return refusals


@settings(max_examples=150, deadline=None)
@given(EVENTS, EVENTS, st.data())
def test_more_refusals_never_make_it_fit(
    events: list[tuple[float, str]], more: list[tuple[float, str]], data: st.DataObject
) -> None:
    """Whether they come on top, or instead of placements that were taken."""
    flips = data.draw(st.lists(st.booleans(), min_size=len(events), max_size=len(events)))
    worse = [(at_s, "refused" if flip else kind) for (at_s, kind), flip in zip(events, flips, strict=True)]
    worse = sorted([*worse, *((at_s, "refused") for at_s, _ in more)])
    if replayed(events).words(400.0, HASTY):
        assert replayed(worse).words(400.0, HASTY)


# Credentials


def denied(kind: EvidenceKind, at_s: float, words: str = "no trade permission") -> Evidence:
    """Refused for our credentials."""
    return seen(kind, True, at_s, words=words, cause=Cause.CREDENTIALS, symbol=BTC)


def test_a_key_that_may_read_and_not_trade_is_told_without_a_flicker() -> None:
    """What a signed probe is answered says nothing of placing."""
    detector = well()
    for n in range(50):
        detector = given_all(detector, denied(PLACE, 10.0 + 5 * n))
        detector = rounds(detector, 12.0 + 5 * n)
        detector = fed(detector, (READ, True, 13.0 + 5 * n), (CANCEL, True, 13.5 + 5 * n))
        assert told(detector).credentials == "no trade permission"
        assert (detector.state, told(detector).unfit) == (WELL, "")
    assert told(given_all(detector, seen(PLACE, True, 300.0, symbol=BTC))).credentials == ""


@pytest.mark.parametrize(
    ("refused_kind", "not_by", "by"),
    [
        (SIGNED, [PUBLIC, READ, PLACE, CANCEL], [SIGNED]),
        (READ, [PUBLIC, READ, PLACE, CANCEL, SIGNED], []),
        (PLACE, [PUBLIC, READ, SIGNED, CANCEL], [PLACE]),
        (CANCEL, [PUBLIC, READ, SIGNED, PLACE], [CANCEL]),
    ],
)
def test_only_a_call_of_the_refused_kind_takes_it_back(
    refused_kind: EvidenceKind, not_by: list[EvidenceKind], by: list[EvidenceKind]
) -> None:
    detector = given_all(well(), denied(refused_kind, 10.0))
    assert told(fed(detector, *((kind, True, 11.0) for kind in not_by))).credentials
    for kind in by:
        assert told(fed(detector, (kind, True, 11.0))).credentials == ""
        assert told(fed(detector, (kind, True, 10.0))).credentials  # at one moment, the refusal counts


def test_a_read_that_was_refused_is_taken_back_by_a_signed_probe_after_a_minute_without_one() -> None:
    """A good read may be public; and while orders rest they are read every few seconds, and refused each time."""
    detector = given_all(well(), denied(READ, 10.0))
    for n in range(20):
        detector = given_all(detector, denied(READ, 14.0 + 30 * n), seen(SIGNED, True, 15.0 + 30 * n))
        assert told(detector).credentials
    last_s = 14.0 + 30 * 19
    assert told(given_all(detector, seen(SIGNED, True, last_s + 59.0))).credentials
    assert told(given_all(detector, seen(SIGNED, True, last_s + 60.0))).credentials == ""


def test_a_row_that_nobody_went_on_with_is_none() -> None:
    """One order refused for its rate, two hours without any, and five more: what was between is not known."""
    detector = given_all(well(), turned_away(10.0))
    for n in range(6):
        detector = given_all(detector, turned_away(7200.0 + 5 * n))
    assert told(detector).unfit == ""


def test_what_nobody_tries_any_more_is_not_told_for_ever() -> None:
    """Else an exchange that was left could never be a backup again. A new connector may have a new key."""
    detector = given_all(well(), denied(PLACE, 10.0))
    assert told(detector, now_s=909.0).credentials
    assert told(detector, now_s=910.0).credentials == ""
    anew = forgotten(fed(detector, (PUBLIC, True, 20.0)))
    assert told(anew).credentials == ""
    assert told(fed(anew, (READ, True, 20.0))).credentials == ""


def test_the_page_of_other_servers_says_nothing_of_our_credentials() -> None:
    """It may want none."""
    assert told(given_all(well(), denied(STATUS, 10.0))).credentials == ""


# Unproven


def refused_probe(at_s: float, words: str = "code 12345: account not ready") -> Evidence:
    """A signed probe that was refused by a code that nobody knows."""
    return seen(SIGNED, True, at_s, words=words)


def test_an_exchange_that_refuses_the_signed_probe_says_why_it_is_not_known() -> None:
    """It stays so: what cannot be read there cannot be moved there either. The first good one ends it."""
    detector = start("bybit", 0.0)
    for n in range(20):
        at_s = 1.0 + 5 * n
        detector = given_all(detector, seen(PUBLIC, True, at_s), seen(READ, True, at_s), refused_probe(at_s + 0.1))
    view = told(detector)
    assert (view.state, view.since_s) == (STARTING, 0.0)
    assert "signed probes are refused" in view.reason
    assert "code 12345: account not ready" in view.reason
    assert view.evidence == (view.reason,)
    assert fed(detector, (SIGNED, True, 200.0)).state is WELL
    assert given_all(detector, seen(PLACE, True, 200.0, symbol=BTC)).state is WELL


@pytest.mark.parametrize("made", [down, lambda: fed(well(), (PLACE, False, 10.0))], ids=["down", "suspect"])
def test_what_keeps_an_exchange_from_coming_back_is_told(made: Callable[[], Detector]) -> None:
    """In any state that only a signed answer ends."""
    detector = made()
    before: HealthState = detector.state
    for n in range(10):
        detector = given_all(detector, seen(PUBLIC, True, 100.0 + 5 * n), refused_probe(101.0 + 5 * n))
    assert detector.state is before
    assert told(detector).evidence[-1] == "signed probes are refused: code 12345: account not ready"
    assert len(told(detector).evidence) <= 8
    assert told(well()).evidence == told(given_all(well(), refused_probe(10.0))).evidence
    cured = rounds(detector, 200.0, 205.0)
    assert cured.state is not DOWN
    assert "12345" not in "".join(told(cured).evidence)


@pytest.mark.parametrize("order", list(itertools.permutations(range(6)))[::23])
def test_order_within_an_instant_does_not_matter_here_either(order: tuple[int, ...]) -> None:
    """To the last field."""
    at_once = [
        turned_away(10.0),
        turned_away(10.0, Cause.HALTED, ETH),
        denied(PLACE, 10.0, "first"),
        denied(PLACE, 10.0, "second"),
        refused_probe(10.0, "one"),
        refused_probe(10.0, "other"),
    ]
    detector = start("bybit", 0.0)
    for index in order:
        detector = observe(detector, at_once[index], DEFAULTS)
    assert detector == given_all(start("bybit", 0.0), *at_once)
