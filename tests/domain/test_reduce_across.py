"""Reduce-only over all exchanges: whatever fills of what was let through, the net is not turned round by it."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.book import Exposure, Holding
from app.domain.reduce_across import NothingToReduce, Reduces, reduction
from messages.orders import LegState, Side
from tests.domain.orders import BTC, spec

X, E = "bybit", "okx"
amounts = st.integers(1, 4).map(Decimal)
SELL = evolve(spec(), symbol=BTC, side=Side.SELL, reduce_only=True)


def leg(
    exchange: str, quantity: Decimal, *, flagged: bool, side: Side = Side.SELL, reduce_only: bool = True
) -> Exposure:
    """One that may fill."""
    return Exposure(
        exchange=exchange,
        symbol=BTC,
        side=side,
        quantity=quantity,
        filled=Decimal(0),
        state=LegState.OPEN,
        reduce_only=reduce_only,
        unflagged=reduce_only and not flagged,
    )


def long(**held: int) -> dict[str, Holding]:
    """What stands, by exchange."""
    return {name: Holding(attributed=Decimal(quantity)) for name, quantity in held.items()}


def worst(holdings: dict[str, Holding], legs: list[Exposure]) -> Decimal:
    """The least net that any order of filling comes to, exchanges holding flagged ones to what stands there."""
    least = Decimal(10**9)
    for order in permutations(legs):
        there = {name: held.ours for name, held in holdings.items()}
        for each in order:
            held = there.get(each.exchange, Decimal(0))
            quantity = each.left if each.unflagged or not each.reduce_only else min(each.left, max(Decimal(0), held))
            there[each.exchange] = held - quantity
        least = min(least, sum(there.values(), Decimal(0)))
    return least


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 5), st.integers(0, 5), st.lists(st.tuples(st.sampled_from([X, E]), amounts), max_size=5))
def test_what_is_let_through_never_turns_the_net_round(at_x: int, at_e: int, asked: list[tuple[str, Decimal]]) -> None:
    """Reduces asked for one after the other on whichever exchange is in use; then they fill in any order at all."""
    holdings = long(bybit=at_x, okx=at_e)
    legs: list[Exposure] = []
    for exchange, quantity in asked:
        found = reduction(SELL, quantity, exchange, holdings, legs)
        if isinstance(found, Reduces):
            legs.append(leg(exchange, quantity, flagged=found.flagged))
    assert worst(holdings, legs) >= 0


@given(st.integers(-3, 5), st.integers(-3, 5), amounts, st.sampled_from(list(Side)))
def test_a_short_position_is_the_mirror_of_a_long_one(at_x: int, at_e: int, quantity: Decimal, way: Side) -> None:
    one = reduction(evolve(SELL, side=way), quantity, E, long(bybit=at_x, okx=at_e), [])
    other = Side.BUY if way is Side.SELL else Side.SELL
    two = reduction(evolve(SELL, side=other), quantity, E, long(bybit=-at_x, okx=-at_e), [])
    assert type(one) is type(two)
    assert getattr(one, "flagged", None) == getattr(two, "flagged", None)


def test_the_flag_is_left_out_only_where_the_position_stands_elsewhere() -> None:
    one = Decimal(1)
    assert reduction(SELL, one, E, long(okx=1), []) == Reduces(flagged=True)
    assert reduction(SELL, one, E, long(bybit=1), []) == Reduces(flagged=False)
    assert reduction(SELL, Decimal(2), E, long(bybit=1, okx=1), []) == Reduces(flagged=False)
    refused = reduction(SELL, Decimal(2), E, long(bybit=1), [])
    assert isinstance(refused, NothingToReduce)
    assert refused.words.startswith("Over all exchanges 1 of BTC/USDT:USDT can still be sold to reduce what stands")


def test_what_may_still_fill_is_held_against_it_and_what_stands_is_not_more_by_what_may_not() -> None:
    one = Decimal(1)
    held = long(bybit=1)
    ordinary = leg(E, one, flagged=False, reduce_only=False)
    assert isinstance(reduction(SELL, one, E, held, [ordinary]), NothingToReduce)
    assert isinstance(reduction(SELL, one, E, held, [leg(E, one, flagged=False)]), NothingToReduce)
    assert isinstance(reduction(SELL, one, E, held, [leg(X, one, flagged=True)]), NothingToReduce), "its stop may fire"
    buys = leg(E, one, flagged=False, side=Side.BUY, reduce_only=False)
    assert isinstance(reduction(SELL, Decimal(2), E, held, [buys]), NothingToReduce), "it may not fill"
    pair = [leg(X, one, flagged=True), leg(X, one, flagged=True)]
    assert reduction(SELL, one, E, long(bybit=1, okx=1), pair) == Reduces(flagged=True), "a pair closes it once"


def test_an_exchange_goes_on_judging_what_only_it_can() -> None:
    """A close at the market beside its own stop, or beside a grid's sells, is let through as ever."""
    one = Decimal(1)
    stop = leg(E, one, flagged=True)
    grid = leg(E, one, flagged=False, reduce_only=False)
    assert reduction(SELL, one, E, long(okx=1), [stop]) == Reduces(flagged=True)
    assert reduction(SELL, one, E, long(okx=1), [grid]) == Reduces(flagged=True)
    foreign = {E: Holding(foreign=one)}
    assert reduction(SELL, one, E, foreign, []) == Reduces(flagged=True)
    assert isinstance(reduction(SELL, one, E, {}, []), NothingToReduce)


def test_a_flagged_one_leaves_an_unflagged_one_what_it_was_let_through_for() -> None:
    """Two stand, one on each; an unflagged order for both is out: the flagged one would be the third."""
    one = Decimal(1)
    out = leg(E, Decimal(2), flagged=False)
    assert isinstance(reduction(SELL, one, E, long(bybit=1, okx=1), [out]), NothingToReduce)
    assert reduction(SELL, one, E, long(bybit=1, okx=2), [out]) == Reduces(flagged=False)


def test_what_is_sent_again_keeps_its_flag() -> None:
    one = Decimal(1)
    assert reduction(SELL, one, E, long(okx=1), [], False) == Reduces(flagged=False)
    assert reduction(SELL, one, E, {}, [], True) == Reduces(flagged=True), "the exchange judges it"
    assert isinstance(reduction(SELL, one, E, {}, [], False), NothingToReduce)
