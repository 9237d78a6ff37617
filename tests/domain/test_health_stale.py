"""Prices and balances that stop moving, told from a market that is quiet."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.health_settings import HealthSettings
from app.domain.health_stale import Marks, stale
from messages.health import Evidence, EvidenceKind
from messages.market import MarketType, Symbol

DEFAULTS = HealthSettings()
QUICK = HealthSettings(retry_delay_s=1.0, stale_after_s=5.0, status_interval_s=10.0)
MARKET, READ, SIGNED = EvidenceKind.MARKET_PROBE, EvidenceKind.READ, EvidenceKind.SIGNED_PROBE
BTC = Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP)
ETH = evolve(BTC, base="ETH")

Prices = Callable[[float], str]


def price(exchange: str, mark: str, at_s: float, symbol: Symbol | None = BTC, fills: int = 0) -> Evidence:
    kind = SIGNED if symbol is None else MARKET
    return Evidence(
        exchange=exchange, kind=kind, ok=True, words="", latency_s=0.1, at_s=at_s, symbol=symbol, mark=mark, fills=fills
    )


def read(
    exchange: str,
    prices: Prices,
    end_s: float,
    *,
    start_s: float = 0.0,
    every_s: float = 60.0,
    symbol: Symbol = BTC,
    before: Marks | None = None,
) -> Marks:
    marks, at_s = before or Marks(), start_s
    while at_s < end_s:
        marks = marks.seen(price(exchange, prices(at_s), at_s, symbol), DEFAULTS)
        at_s += every_s
    return marks


def moving(at_s: float) -> str:
    return f"{at_s:.3f}"


def until(last_s: float, prices: Prices = moving) -> Prices:
    return lambda at_s: prices(min(at_s, last_s))


def balances(*pieces: tuple[float, str, int], before: Marks | None = None) -> Marks:
    marks = before or Marks()
    for at_s, mark, fills in pieces:
        marks = marks.seen(price("bybit", mark, at_s, None, fills), DEFAULTS)
    return marks


OKX = read("okx", moving, 3600.0)


# Prices


def test_a_price_that_stands_still_while_it_moves_elsewhere_is_stale() -> None:
    """Five minutes after it stopped, where it was read once a minute for half an hour before."""
    own = read("bybit", until(1800.0), 3600.0)
    words = stale(own, (Marks(), OKX), 3600.0, DEFAULTS)
    assert words == "the price of BTC/USDT:USDT has not moved for 1740 s, read 29 times, while it moved on okx"
    found_s = next(
        end_s
        for end_s in range(1800, 3600, 10)
        if stale(read("bybit", until(1800.0), end_s), (read("okx", moving, end_s),), end_s, DEFAULTS)
    )
    assert 1800 + DEFAULTS.stale_after_s <= found_s <= 1800 + 5 * 60 + 10


def test_asked_often_it_is_found_as_soon_as_the_setting_says() -> None:
    own = read("bybit", until(600.0), 600 + DEFAULTS.stale_after_s + 6, every_s=5.0)
    others = (read("okx", moving, 730.0, every_s=30.0),)
    assert stale(own, others, 726.0, DEFAULTS)
    assert not stale(read("bybit", until(600.0), 715.0, every_s=5.0), others, 715.0, DEFAULTS)


def test_a_market_that_is_quiet_everywhere_is_not_stale() -> None:
    own = read("bybit", until(1800.0), 3600.0)
    assert not stale(own, (read("okx", until(1790.0), 3600.0),), 3600.0, DEFAULTS)
    assert not stale(own, (), 3600.0, DEFAULTS)
    elsewhere = (read("okx", moving, 3600.0, symbol=ETH),)
    assert not stale(own, elsewhere, 3600.0, DEFAULTS)


def test_one_last_move_that_was_read_here_before_and_there_after_is_not_enough() -> None:
    """Both saw the same move, thirty seconds apart, then the market slept."""
    own = read("bybit", until(1800.0), 3600.0)
    assert not stale(own, (read("okx", until(1830.0), 3600.0, start_s=30.0),), 3600.0, DEFAULTS)


def test_a_price_that_often_stands_still_must_stand_still_for_long() -> None:
    """A market that is thinner here than there: a few readings without a move are its way."""
    thin = read("bybit", lambda at_s: moving(at_s // 180), 36_000.0)
    standing = read("bybit", lambda _: "x", 36_000 + 15 * 60, start_s=36_000.0, before=thin)
    others = (read("okx", moving, 40_000.0),)
    assert not stale(standing, others, 36_900.0, DEFAULTS)
    longer = read("bybit", lambda _: "x", 36_000 + 60 * 60, start_s=36_000.0, before=thin)
    assert stale(longer, (read("okx", moving, 40_000.0),), 39_600.0, DEFAULTS)


def test_one_that_has_never_been_seen_to_move_is_not_stale() -> None:
    """Nobody knows whether it should."""
    assert not stale(read("bybit", lambda _: "x", 3600.0), (OKX,), 3600.0, DEFAULTS)


def test_many_readings_in_one_moment_are_one() -> None:
    own = read("bybit", until(600.0), 660.0)
    own = read("bybit", until(600.0), 724.9, start_s=720.1, every_s=0.01, before=own)
    assert not stale(own, (read("okx", moving, 725.0, every_s=5.0),), 725.0, DEFAULTS)


def test_days_of_markets_that_move_as_they_like_is_never_stale() -> None:
    """Asked once a minute; each of both moves at most readings, at many, or at few."""
    for seed, share in enumerate((0.95, 0.6, 0.2)):
        rng, own, other = random.Random(seed), Marks(), Marks()
        here = there = 0
        for minute in range(3 * 1440):
            at_s = minute * 60.0
            here, there = here + (rng.random() < share), there + (rng.random() < 0.95)
            own = own.seen(price("bybit", str(here), at_s), DEFAULTS)
            other = other.seen(price("okx", str(there), at_s), DEFAULTS)
            assert not stale(own, (other,), at_s, DEFAULTS)


def test_one_symbol_that_is_halted_is_not_the_exchange() -> None:
    """While another one moves here it is that symbol's own matter."""
    own = read("bybit", until(1800.0), 3600.0)
    both = read("bybit", moving, 3600.0, symbol=ETH, before=own)
    assert not stale(both, (OKX,), 3600.0, DEFAULTS)
    neither = read("bybit", until(1750.0), 3600.0, symbol=ETH, before=own)
    assert stale(neither, (OKX,), 3600.0, DEFAULTS)


def test_a_symbol_read_for_the_first_time_does_not_cover_for_the_others() -> None:
    """It has not moved either: that it is new says nothing."""
    own = read("bybit", until(1800.0), 3600.0)
    assert stale(read("bybit", lambda _: "x", 3600.0, start_s=3000.0, symbol=ETH, before=own), (OKX,), 3600.0, DEFAULTS)


def test_what_was_read_long_ago_says_nothing_of_now() -> None:
    own = read("bybit", until(1800.0), 3600.0)
    assert stale(own, (OKX,), 3700.0, DEFAULTS)
    assert not stale(own, (OKX,), 3600.0 + 180.0, DEFAULTS)


def test_the_first_move_ends_it() -> None:
    own = read("bybit", until(1800.0), 3600.0).seen(price("bybit", "y", 3600.0), DEFAULTS)
    assert not stale(own, (OKX,), 3600.0, DEFAULTS)


def test_standing_still_for_an_hour_does_not_become_usual() -> None:
    """It is found nearly as soon the second time."""
    own = read("bybit", lambda at_s: moving(at_s if not 1800 < at_s < 5400 else 1800), 7200.0)
    assert stale(
        read("bybit", lambda _: "x", 8000.0, start_s=7200.0, before=own),
        (read("okx", moving, 8000.0),),
        8000.0,
        DEFAULTS,
    )


def test_evidence_without_a_mark_says_nothing() -> None:
    assert Marks().seen(price("bybit", "", 1.0), DEFAULTS) == Marks()


# Balances


def test_balances_that_do_not_move_over_a_fill_of_ours_are_stale() -> None:
    """Told after they stood still for two minutes, and read for two more."""
    own = balances((0, "a", 4), (60, "b", 5), (120, "b", 5), (180, "b", 5), (240, "b", 6), (300, "b", 6))
    assert not stale(own, (), 300.0, DEFAULTS)
    own = balances((360, "b", 6), before=own)
    assert stale(own, (), 360.0, DEFAULTS) == (
        "balances have not moved for 300 s, read 3 times since an order of ours was filled"
    )
    assert not stale(balances((420, "c", 6), before=own), (), 420.0, DEFAULTS)


def test_balances_that_moved_before_we_were_told_of_the_fill_are_not_stale() -> None:
    """The exchange books at once, and tells of the fill half a minute later."""
    own = balances((0, "a", 4), (60, "b", 4), *((90 + 60 * step, "b", 5) for step in range(30)))
    assert not stale(own, (), 1860.0, DEFAULTS)
    rarely = balances((0, "a", 4), (60, "b", 4), (700, "b", 5), (760, "b", 5), (820, "b", 5), (880, "b", 5))
    assert not stale(rarely, (), 880.0, DEFAULTS)


def test_balances_read_soon_after_they_moved_owe_nothing_that_is_told_late() -> None:
    """Read again before the fill was told, which they show already."""
    own = balances((0, "a", 4), (60, "b", 4), (65, "b", 4), *((90 + 60 * step, "b", 5) for step in range(30)))
    assert not stale(own, (), 1860.0, DEFAULTS)


def test_balances_are_given_time_and_readings_to_show_a_fill() -> None:
    """Two readings are too few, and three within ten seconds are too soon."""
    still = balances((0, "a", 4), (60, "b", 5), (200, "b", 5))
    assert not stale(balances((240, "b", 6), (420, "b", 6), before=still), (), 420.0, DEFAULTS)
    assert not stale(balances((240, "b", 6), (246, "b", 6), (252, "b", 6), before=still), (), 252.0, DEFAULTS)
    assert stale(balances((240, "b", 6), (300, "b", 6), (420, "b", 6), before=still), (), 420.0, DEFAULTS)


def test_balances_without_a_fill_may_stand_still_for_ever() -> None:
    own = balances(*((60.0 * step, "a", 7) for step in range(200)))
    assert not stale(own, (), 12_000.0, DEFAULTS)


def test_a_connector_that_starts_anew_counts_its_fills_from_nothing() -> None:
    """Those it is told of again are in the balances already."""
    own = balances(*((60.0 * step, "a", 7) for step in range(10)), (600, "a", 0), (660, "a", 0))
    assert not stale(own, (), 660.0, DEFAULTS)
    owing = balances(*((720.0 + 60 * step, "a", 1) for step in range(3)), before=own)
    assert stale(owing, (), 840.0, DEFAULTS)


# Properties

MARKS = st.tuples(st.sampled_from([BTC, BTC, ETH]), st.integers(0, 3), st.integers(0, 60))
HISTORIES = st.lists(MARKS, max_size=60).map(lambda pieces: sorted(pieces, key=lambda piece: piece[2]))

PAST = {name: read(name, moving, 0.0, start_s=-60.0, every_s=1.0) for name in ("bybit", "okx")}


def marks_of(exchange: str, pieces: list[tuple[Symbol, int, int]], *, moved: bool = False) -> Marks:
    marks = PAST[exchange]
    for symbol, mark, at_s in pieces:
        marks = marks.seen(price(exchange, f"{at_s}" if moved else f"{mark}", float(at_s), symbol), QUICK)
    return marks


@settings(max_examples=50, deadline=None)
@given(HISTORIES, HISTORIES, st.lists(MARKS, max_size=10))
def test_another_exchange_that_moves_more_never_makes_it_fresher(
    own: list[tuple[Symbol, int, int]],
    other: list[tuple[Symbol, int, int]],
    more: list[tuple[Symbol, int, int]],
) -> None:
    here, there = marks_of("bybit", own), marks_of("okx", other)
    for symbol, _, later_s in more:
        there = there.seen(price("okx", f"moved {later_s}", 60.0 + later_s, symbol), QUICK)
    if stale(here, (marks_of("okx", other),), 60.0, QUICK):
        assert stale(here, (there,), 60.0, QUICK)


@settings(max_examples=50, deadline=None)
@given(HISTORIES, HISTORIES, st.integers(1, 20))
def test_reading_it_again_without_a_move_never_makes_it_fresher(
    own: list[tuple[Symbol, int, int]], other: list[tuple[Symbol, int, int]], times: int
) -> None:
    here, there = marks_of("bybit", own), marks_of("okx", other, moved=True)
    again = here
    for step in range(times):
        again = again.seen(price("bybit", here.marks[(MARKET, BTC)].text, 61.0 + step), QUICK)
    if stale(here, (there,), 61.0 + times, QUICK):
        assert stale(again, (there,), 61.0 + times, QUICK)


@settings(max_examples=50, deadline=None)
@given(HISTORIES, st.randoms(use_true_random=False))
def test_order_within_an_instant_does_not_matter(own: list[tuple[Symbol, int, int]], rng: random.Random) -> None:
    """To the last field."""
    shuffled = sorted(rng.sample(own, len(own)), key=lambda piece: piece[2])
    assert marks_of("bybit", shuffled) == marks_of("bybit", own)


@pytest.mark.parametrize("n", [16, 17, 200])
def test_memory_is_bounded(n: int) -> None:
    """However many symbols a strategy reads: those read longest ago are forgotten."""
    marks = Marks()
    for step in range(n * 6):
        coin = evolve(BTC, base=f"C{step % n}")
        marks = marks.seen(price("bybit", str(step), float(step), coin), DEFAULTS)
    assert len(marks.marks) == 16
    assert all(len(mark.moved_s) <= 4 for mark in marks.marks.values())
    assert read("bybit", moving, 600 * 60.0).marks[(MARKET, BTC)].readings <= 256
