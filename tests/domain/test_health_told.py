"""What an exchange says of itself and of us (maintenance, bans, credentials, halts), and what people say of it."""

from __future__ import annotations

import itertools

import pytest
from attrs import evolve

from app.domain import health_told
from app.domain.health import compared, forgotten, isolated, next_probes, observe, probes_sent, resumed, start, waited
from messages.health import Cause, Evidence, EvidenceKind, HealthState, Maintenance, ProbeKind, Waiting
from tests.domain.health_desk import (
    ALL,
    BTC,
    CANCEL,
    DEFAULTS,
    DOWN,
    ETH,
    HALF_OPEN,
    ISOLATED,
    MAINTENANCE,
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
    closed,
    down,
    fed,
    given_all,
    half_open,
    rounds,
    seen,
    suspect,
    told,
    well,
)


def status(at_s: float, notice: Maintenance | None = None, ok: bool = True) -> Evidence:
    """What the exchange says of itself."""
    return seen(STATUS, ok, at_s, notice=notice)


def maintenance(begin_s: float, end_s: float | None = None) -> Maintenance:
    """An upgrade."""
    return Maintenance(begin_s=begin_s, end_s=end_s, words="upgrade")


# Maintenance


def test_a_maintenance_under_way_closes_it_and_its_end_opens_it_by_a_trial() -> None:
    """However well its calls are answered meanwhile; and not before they are."""
    shut = given_all(well(), status(10.0, maintenance(5.0, 100.0)))
    assert shut.state is MAINTENANCE
    assert "upgrade" in told(shut).reason
    assert told(shut).maintenance == maintenance(5.0, 100.0)
    shut = rounds(shut, 20.0, 30.0, 40.0)
    assert shut.state is MAINTENANCE
    assert fed(shut, (PUBLIC, True, 101.0)).state is HALF_OPEN
    assert told(fed(shut, (PUBLIC, True, 101.0))).maintenance is None
    failing = fed(shut, (SIGNED, False, 99.0), (PUBLIC, True, 101.0))
    assert failing.state is MAINTENANCE
    assert rounds(failing, 105.0, 110.0).state is HALF_OPEN


def test_the_exchange_may_take_its_maintenance_back() -> None:
    """The newest word holds; silence on its status page is none."""
    shut = rounds(given_all(well(), status(10.0, maintenance(5.0))), 20.0, 25.0)
    assert given_all(shut, status(30.0, ok=False)).state is MAINTENANCE
    assert given_all(shut, status(30.0)).state is HALF_OPEN


def test_a_maintenance_without_an_end_is_not_believed_for_ever() -> None:
    """When nobody repeats it."""
    shut = rounds(given_all(well(), status(10.0, maintenance(5.0))), 20.0, 25.0, 180.0)
    assert shut.state is MAINTENANCE
    assert rounds(shut, 10.0 + 3 * 60.0 + 6.0).state is HALF_OPEN


def test_of_two_notices_at_one_moment_the_one_that_closes_sooner_and_longer_is_believed() -> None:
    """Whichever came first."""
    notices = [maintenance(50.0, 100.0), maintenance(40.0, 60.0), maintenance(40.0)]
    for order in itertools.permutations(notices):
        assert told(given_all(well(), *(status(10.0, each) for each in order))).maintenance == maintenance(40.0)


def test_an_announced_maintenance_makes_it_unfit_some_minutes_before() -> None:
    """So that trading leaves in good time, and not days before."""
    detector = given_all(well(), status(10.0, maintenance(1000.0, 2000.0)))
    assert detector.state is WELL
    assert told(detector, now_s=690.0).unfit == ""
    assert "maintenance in 299 s: upgrade" in told(detector, now_s=701.0).unfit
    assert told(detector, now_s=2001.0).unfit == ""
    assert fed(detector, (PUBLIC, True, 1000.0)).state is MAINTENANCE


@pytest.mark.parametrize("first", [READ, PUBLIC, SIGNED, PLACE])
def test_calls_refused_for_maintenance_close_it_by_two_kinds_or_twice_apart(first: EvidenceKind) -> None:
    """One may be a server that is just being replaced."""
    once = given_all(well(), seen(first, False, 10.0, cause=Cause.MAINTENANCE))
    assert once.state is SUSPECT
    assert told(once).cause is Cause.MAINTENANCE
    assert given_all(once, seen(first, False, 10.1, cause=Cause.MAINTENANCE)).state is SUSPECT
    assert given_all(once, seen(first, False, 15.0, cause=Cause.MAINTENANCE)).state is MAINTENANCE
    assert given_all(once, seen(CANCEL, False, 10.1, cause=Cause.MAINTENANCE)).state is MAINTENANCE
    assert given_all(once, seen(SIGNED, True, 12.0), seen(first, False, 15.0, cause=Cause.MAINTENANCE)).state is SUSPECT


def test_a_maintenance_that_calls_told_of_ends_by_good_rounds_and_a_trial() -> None:
    """Nobody says that it is over."""
    assert rounds(closed(), 20.0).state is MAINTENANCE
    opened = rounds(closed(), 20.0, 25.0)
    assert opened.state is HALF_OPEN
    assert told(opened).penalty == 0.0
    assert rounds(opened, 30.0, 40.0, 60.0).state is WELL


def test_an_exchange_that_falls_silent_after_its_maintenance_is_down() -> None:
    """It should have answered by then."""
    shut = given_all(well(), status(10.0, maintenance(5.0, 100.0)))
    for at_s in (50.0, 60.0, 70.0, 80.0, 90.0):
        shut = fed(shut, (PUBLIC, False, at_s), (SIGNED, False, at_s))
    assert shut.state is MAINTENANCE
    assert fed(shut, (PUBLIC, False, 101.0)).state is DOWN
    assert fed(shut, (READ, True, 101.0)).state is MAINTENANCE


def test_the_status_page_and_prices_say_nothing_of_orders() -> None:
    """Neither that they fail, nor that they are answered."""
    detector = given_all(well(), *(seen(kind, False, 10.0 + n) for n in range(20) for kind in (STATUS, MARKET)))
    assert detector.state is WELL
    assert told(detector).calls == 1
    assert (
        given_all(down(), *(seen(kind, True, 30.0 + n) for n in range(20) for kind in (STATUS, MARKET))).state is DOWN
    )
    assert given_all(start("bybit", 0.0), status(1.0), seen(MARKET, True, 2.0)).state is STARTING


def test_a_status_page_that_answers_proves_that_the_network_works() -> None:
    """Though nothing else does."""
    assert told(given_all(down(), seen(STATUS, True, 30.0, latency_s=2.0))).answered_sent_s == 28.0


# What is our doing


@pytest.mark.parametrize("cause", [Cause.RATE_LIMITED, Cause.BANNED, Cause.CREDENTIALS, Cause.CLOCK, Cause.HALTED])
@pytest.mark.parametrize("kind", [SIGNED, PLACE, CANCEL, READ])
def test_what_is_our_doing_is_no_illness_and_no_recovery_either(kind: EvidenceKind, cause: Cause) -> None:
    """In any state, however often; that it answers is known, and not more."""
    for state, made in STATES.items():
        detector = given_all(made(), *(seen(kind, True, 100.0 + 5 * n, cause=cause) for n in range(20)))
        detector = given_all(detector, *(seen(PUBLIC, True, 200.0 + 5 * n, cause=cause) for n in range(20)))
        assert detector.state is state
        assert told(detector).last_ok_s == 295.0


def test_an_order_refused_in_words_is_no_trial() -> None:
    """It answered; nobody knows whether it would have taken a good one."""
    refused = (seen(PLACE, True, 70.0 + n, words="insufficient funds") for n in range(5))
    assert given_all(half_open(), *refused).state is HALF_OPEN


def test_refusals_end_a_row_of_failures() -> None:
    """An exchange that refuses is there."""
    row = given_all(well(), seen(SIGNED, False, 10.0), seen(SIGNED, False, 15.0))
    assert told(given_all(row, seen(SIGNED, True, 20.0, cause=Cause.CREDENTIALS))).consecutive_failures == 0


def test_wrong_credentials_are_told_until_a_signed_call_is_good() -> None:
    """Not until a public one is."""
    wrong = given_all(well(), seen(SIGNED, True, 10.0, cause=Cause.CREDENTIALS, words="key expired"))
    assert (wrong.state, told(wrong).credentials, told(wrong).unfit) == (WELL, "key expired", "")
    assert told(fed(wrong, (PUBLIC, True, 11.0), (READ, True, 12.0))).credentials == "key expired"
    assert told(fed(wrong, (SIGNED, True, 13.0))).credentials == ""


def test_an_exchange_that_bans_us_is_not_asked_before_the_end() -> None:
    """Asking lengthens it; and what the end is has a bound."""
    banned = given_all(well(), seen(READ, True, 10.0, cause=Cause.BANNED, until_s=500.0))
    assert told(banned).banned_until_s == 500.0
    assert next_probes(banned, DEFAULTS, 20.0, (ProbeKind.STATUS, ProbeKind.MARKET))[1] == 500.0
    assert next_probes(forgotten(banned), DEFAULTS, 20.0)[1] == 500.0
    assert next_probes(banned, DEFAULTS, 500.0)[1] == 500.0
    assert told(banned, now_s=500.0).banned_until_s is None
    for_ever = given_all(well(), seen(READ, True, 10.0, cause=Cause.BANNED, until_s=1e12))
    assert told(for_ever).banned_until_s == 10.0 + health_told.LONGEST_BAN_S


def test_only_a_long_ban_makes_it_unfit() -> None:
    """A short one is sat out."""
    banned = given_all(well(), seen(READ, True, 10.0, cause=Cause.BANNED, until_s=100.0))
    assert "90 s" in told(banned).unfit
    assert told(banned, now_s=71.0).unfit == ""


# Parts


def test_a_halted_symbol_is_told_until_an_order_for_it_is_answered() -> None:
    """And nothing else becomes of it."""
    halted = given_all(well(), seen(PLACE, True, 10.0, cause=Cause.HALTED, symbol=BTC, words="halted by the exchange"))
    assert (halted.state, told(halted).halted) == (WELL, ((str(BTC), "halted by the exchange"),))
    assert told(given_all(halted, seen(PLACE, True, 20.0, symbol=ETH))).halted
    assert not told(given_all(halted, seen(PLACE, True, 20.0, symbol=BTC))).halted
    assert not told(halted, now_s=10.0 + health_told.HALTED_FOR_S).halted


def test_placements_failing_on_one_symbol_while_others_go_through_are_told_apart() -> None:
    """It is no reason to leave: neither DOWN nor unfit."""
    detector = well()
    for n in range(400):
        at_s = 10.0 + 10 * n
        detector = given_all(detector, seen(PLACE, False, at_s, symbol=BTC), seen(PLACE, True, at_s + 5, symbol=ETH))
        assert detector.state is not DOWN
    ((symbol, why),) = told(detector).halted
    assert symbol == str(BTC)
    assert "others go through" in why
    assert told(detector).unfit == ""
    assert not told(given_all(detector, seen(PLACE, True, 5000.0, symbol=BTC))).halted


def test_placements_failing_where_only_one_symbol_is_traded_are_the_exchange() -> None:
    """Nothing says that others would go through."""
    detector = given_all(well(), seen(PLACE, True, 5.0, symbol=ETH))
    for n in range(6):
        detector = given_all(detector, seen(SIGNED, True, 9.0 + 10 * n), seen(PLACE, False, 10.0 + 10 * n, symbol=BTC))
    assert detector.state is DOWN
    assert not told(detector).halted


def test_symbols_in_trouble_are_bounded() -> None:
    """However many there are."""
    detector = well()
    for n in range(500):
        symbol = evolve(BTC, base=f"C{n}")
        detector = given_all(detector, seen(PLACE, True, 10.0 + n, cause=Cause.HALTED, symbol=symbol))
        detector = given_all(detector, seen(PLACE, False, 10.5 + n, symbol=symbol))
    assert len(detector.now.told.halted) == len(detector.now.told.streaks) == health_told.MOST_SYMBOLS
    assert f"C499{str(BTC)[3:]}" in detector.now.told.halted


# Waiting


def waiting(at_s: float, waited_s: float, kind: EvidenceKind = PLACE) -> Waiting:
    """A call without an answer."""
    return Waiting(exchange="bybit", kind=kind, sent_s=at_s - waited_s, at_s=at_s)


def used(until_s: float = 100.0) -> list[Evidence]:
    """Good placements, one each second, of some 80 ms."""
    return [seen(PLACE, True, 2.0 + n, latency_s=0.08 + 0.01 * (n % 5)) for n in range(int(until_s) - 2)]


def test_a_call_that_waits_unusually_long_makes_it_suspect_and_asked_at_once() -> None:
    """And never more than that; an ordinary wait does nothing."""
    detector = probes_sent(given_all(well(), *used(), seen(PUBLIC, True, 100.0)), ALL, 100.0)
    detector = fed(detector, (PUBLIC, True, 100.05), (SIGNED, True, 100.1))
    assert waited(detector, waiting(101.0, 0.5), DEFAULTS).state is WELL
    doubted = waited(detector, waiting(103.0, 3.0), DEFAULTS)
    assert doubted.state is SUSPECT
    assert "no answer for 3 s" in told(doubted).reason
    assert told(doubted).suspicion > DEFAULTS.suspicion
    assert next_probes(doubted, DEFAULTS, 103.0) == (ALL, 103.0)
    asked = probes_sent(doubted, ALL, 103.0)
    assert next_probes(asked, DEFAULTS, 103.0)[1] > 103.0
    for n in range(10):
        asked = waited(asked, waiting(104.0 + n, 4.0 + n), DEFAULTS)
    assert asked.state is SUSPECT
    assert told(asked).consecutive_failures == 0
    assert fed(asked, (PUBLIC, True, 115.0)).state is SUSPECT
    answered = fed(asked, (PUBLIC, True, 115.0), (SIGNED, True, 115.1))
    assert answered.state is WELL
    assert told(fed(answered, (PLACE, True, 116.0))).suspicion == 0.0


def test_a_waiting_call_restarts_a_trial() -> None:
    """It is no failure, and no good sign."""
    tried = given_all(half_open(), *(seen(PLACE, True, 40.0 + n, latency_s=0.08) for n in range(20)))
    doubted = waited(tried, waiting(70.0, 10.0), DEFAULTS)
    assert doubted.state is HALF_OPEN
    assert fed(doubted, (SIGNED, True, 71.0)).state is HALF_OPEN


# People, and earlier monitors


def test_isolation_lies_over_what_is_believed() -> None:
    """Which goes on being kept, and is there again at its end."""
    kept_out = isolated(well(), "they are being audited", 10.0)
    assert (kept_out.state, told(kept_out).believed) == (ISOLATED, WELL)
    assert (told(kept_out).since_s, told(kept_out).reason) == (10.0, "they are being audited")
    kept_out = isolated(fed(kept_out, (READ, False, 20.0)), "still", 30.0)
    assert (told(kept_out).believed, told(kept_out).since_s, told(kept_out).health) == (SUSPECT, 10.0, SUSPECT)
    released = isolated(kept_out, "", 40.0)
    assert (released.state, told(released).believed, told(released).since_s) == (SUSPECT, None, 20.0)


@pytest.mark.parametrize("state", STATES)
def test_a_monitor_that_starts_again_goes_on_with_what_was_known(state: HealthState) -> None:
    """State, reasons, penalty and hold-down; and it asks at once."""
    before = isolated(STATES[state](), "", 40.0)
    known = told(before, now_s=41.0)
    after = resumed(known, 41.0)
    again = told(after, now_s=41.0)
    assert after.state is state
    for name in ("since_s", "reason", "evidence", "last_ok_s", "answered_sent_s", "penalty", "hold_until_s", "cause"):
        assert getattr(again, name) == getattr(known, name), name
    assert next_probes(after, DEFAULTS, 41.0)[1] == 41.0
    assert next_probes(resumed(evolve(known, since_s=41.0), 41.0), DEFAULTS, 41.0)[1] == 41.0
    if state is DOWN:
        assert fed(after, (SIGNED, True, 42.0), (PUBLIC, True, 42.0)).state is DOWN
        assert rounds(after, 42.0, 47.0).state is HALF_OPEN


def test_a_monitor_that_starts_again_keeps_what_people_and_the_exchange_said() -> None:
    """Isolation, credentials, bans, a maintenance, what is usual."""
    detector = given_all(well(), *used(200.0), status(200.0, maintenance(1000.0, 2000.0)))
    detector = given_all(
        detector,
        seen(READ, True, 201.0, cause=Cause.CREDENTIALS, words="no"),
        seen(READ, True, 202.0, cause=Cause.BANNED, until_s=300.0),
        seen(PLACE, True, 203.0, cause=Cause.HALTED, symbol=BTC),
    )
    detector = isolated(detector, "audit", 204.0)
    known = told(detector, now_s=205.0)
    again = told(resumed(known, 205.0), now_s=205.0)
    for name in ("state", "believed", "reason", "credentials", "banned_until_s", "maintenance", "halted"):
        assert getattr(again, name) == getattr(known, name), name
    usual = {each.kind: each.usual_s for each in known.latencies if each.usual_s is not None}
    assert usual
    assert usual == {each.kind: each.usual_s for each in again.latencies if each.usual_s is not None}


# Judges


def test_twenty_percent_of_errors_are_judged_ill_and_five_are_not() -> None:
    """In words with the numbers; it is not DOWN by that."""
    for every, unfit in ((5, True), (20, False)):
        detector = well()
        for n in range(600):
            detector = given_all(detector, seen(PLACE, n % every != 0, 10.0 + 5 * n, symbol=BTC))
            assert detector.state is not DOWN
        assert ("of placements fail" in told(detector).unfit) is unfit


def test_what_is_our_doing_and_failures_of_our_own_side_are_no_share_of_errors() -> None:
    """Nor is anything while it is DOWN."""
    ours = given_all(
        well(), *(seen(PLACE, n % 2 == 0, 10.0 + 5 * n, cause=Cause.LOCAL if n % 2 else None) for n in range(400))
    )
    assert told(ours).unfit == ""
    gone = given_all(down(), *(seen(READ, False, 30.0 + 5 * n) for n in range(400)))
    assert gone.state is DOWN
    assert told(rounds(gone, 3000.0, 3005.0)).unfit == ""


def test_prices_that_stand_still_while_another_exchange_moves_are_stale() -> None:
    """As the judge of marks says; nothing changes where nothing is to be said."""
    names = ("bybit", "okx")
    detectors = {name: fed(start(name, 0.0), (SIGNED, True, 1.0)) for name in names}
    for n in range(200):
        for name in names:
            moved = n if name == "okx" or n < 100 else 100
            price = evolve(seen(MARKET, True, 10.0 + 10 * n, symbol=BTC), exchange=name, mark=str(moved))
            detectors[name] = observe(detectors[name], price, DEFAULTS)
        before = detectors
        detectors = compared(detectors, 10.0 + 10 * n, DEFAULTS)
        if n < 100:
            assert all(detectors[name] is before[name] for name in names)
    assert "has not moved" in told(detectors["bybit"]).stale
    assert "has not moved" in told(detectors["bybit"]).unfit
    assert told(detectors["okx"]).stale == ""


def test_what_an_exchange_that_is_down_would_be_unfit_for_is_not_said() -> None:
    """That it is down says it all."""
    banned = given_all(suspect(), seen(READ, True, 3.0, cause=Cause.BANNED, until_s=5000.0))
    assert told(banned).unfit
    gone = fed(banned, *((kind, False, 10.0 + 5 * n) for n in range(5) for kind in (SIGNED, PUBLIC)))
    assert (gone.state, told(gone).unfit) == (DOWN, "")
