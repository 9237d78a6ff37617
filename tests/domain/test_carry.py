"""What is placed for an order that was taken off its exchange: kind by kind, and over whatever numbers there may be."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from app.domain.carry import (
    BY_POLICY,
    BY_RULES,
    MAX_TRIES,
    NO_POSITION,
    PLACED_BY_OWNER,
    POST_ONLY_CROSSED,
    TOO_OFTEN,
    TOO_OLD,
    TOO_SMALL,
    TRIGGER_PASSED,
    Carry,
    Decision,
    Facts,
    Finished,
    Park,
    Standing,
    TickerNeeded,
    after_refusal,
    asked_of,
    decide,
    fitted,
    is_carried,
    rises_to,
    takes_away,
    tries_of,
)
from messages.carries import CarryPolicy
from messages.market import Lots, Ticker
from messages.orders import (
    LegState,
    LegView,
    OrderSpec,
    OrderType,
    OrderView,
    Side,
    TimeInForce,
    Trigger,
    TriggerKind,
    Wanted,
)
from tests.domain.orders import BTC, key, leg, order, spec

D = Decimal
LOTS = Lots(step=D("0.01"), minimum=D("0.02"), tick=D("0.5"))
MARKET = Ticker(exchange="okx", symbol=BTC, bid=D(99), ask=D(101), last=D(100), mark=D(100), at_s=10.0)
SALE = evolve(spec(), side=Side.SELL)


def facts(standing: Standing | None = None, policy: CarryPolicy = CarryPolicy.REPLACE, **other: Any) -> Facts:
    """Of an exchange that is well."""
    there = standing or Standing(left_s=5.0)
    known = Facts(
        policy=policy, max_age_s=60.0, exchange="okx", standing=there, ticker=MARKET, lots=LOTS, check=lambda _: ""
    )
    return evolve(known, **other)


def drained(what: OrderSpec, filled: str = "0", **other: Any) -> OrderView:
    """An order of which so much had filled when it was taken off bybit."""
    gone = evolve(leg(LegState.DRAINED, filled=filled), quantity=what.quantity, carry_s=5.0, **other)
    return order(gone, what=what)


def decided(what: OrderSpec, known: Facts | None = None, filled: str = "0", **other: Any) -> Decision:
    """At ten seconds."""
    return decide(drained(what, filled, **other), known or facts(), 10.0)


def code(decision: Decision) -> str:
    """Why it is parked."""
    assert isinstance(decision, Park), decision
    assert decision.words.endswith((".", "!"))
    return decision.code


def stop(side: Side, price: str, *, kind: TriggerKind = TriggerKind.STOP, reduce_only: bool = False) -> OrderSpec:
    """A market order that waits for its trigger."""
    trigger = Trigger(kind=kind, price=D(price))
    return evolve(spec(price=None), side=side, trigger=trigger, reduce_only=reduce_only)


def test_a_limit_order_is_placed_for_what_is_left_of_it() -> None:
    assert decided(spec("1", "100"), filled="0.4") == Carry(
        quantity=D("0.60"), price=None, trigger_price=None, whole=None
    )


def test_prices_are_rounded_for_the_trader_and_sizes_down() -> None:
    bought, sold = decided(spec("1.005", "100.3")), decided(evolve(SALE, price=D("100.3")))
    assert isinstance(bought, Carry)
    assert isinstance(sold, Carry)
    assert (bought.quantity, bought.price, sold.price) == (D("1.00"), D("100.0"), D("100.5"))


def test_what_would_trade_at_once_and_must_not_waits() -> None:
    maker = evolve(spec(), time_in_force=TimeInForce.POST_ONLY)
    assert code(decided(evolve(maker, price=D(101)))) == POST_ONLY_CROSSED
    assert code(decided(evolve(maker, side=Side.SELL, price=D(99)))) == POST_ONLY_CROSSED
    assert isinstance(decided(evolve(maker, price=D("100.5"))), Carry)
    assert isinstance(decided(evolve(maker, price=D(100)), facts(ticker=None)), TickerNeeded)
    assert isinstance(decided(evolve(maker, price=D(100)), facts(ticker=evolve(MARKET, ask=None))), Carry)
    assert isinstance(decided(evolve(spec(), price=D(120))), Carry), "a limit that crosses is a limit all the same"


@pytest.mark.parametrize(
    ("what", "waits"),
    [
        (stop(Side.BUY, "100"), True),
        (stop(Side.BUY, "100.5"), False),
        (stop(Side.SELL, "100"), True),
        (stop(Side.SELL, "99.5"), False),
        (stop(Side.SELL, "99.5", kind=TriggerKind.TAKE_PROFIT), True),
        (stop(Side.BUY, "99.5", kind=TriggerKind.TAKE_PROFIT), False),
    ],
)
def test_a_trigger_that_was_passed_waits(what: OrderSpec, waits: bool) -> None:
    decision = decided(what)
    assert (code(decision) == TRIGGER_PASSED) if waits else isinstance(decision, Carry)


def test_a_stop_that_protects_is_sent_although_it_was_passed() -> None:
    there = Standing(held=D(1), left_s=5.0)
    assert isinstance(decided(stop(Side.SELL, "120", reduce_only=True), facts(there)), Carry)


def test_what_only_reduces_waits_for_what_it_reduces() -> None:
    closing = evolve(SALE, reduce_only=True)
    assert code(decided(closing, facts(Standing()))) == NO_POSITION
    assert code(decided(closing, facts(Standing(held=D(-1))))) == NO_POSITION, "that would not reduce"
    assert code(decided(closing, facts(Standing(held=D("0.5"), elsewhere=D("0.5"))))) == NO_POSITION, "more is coming"
    assert isinstance(decided(closing, facts(Standing(held=D("0.5")))), Carry), "that is all there is"
    assert isinstance(decided(closing, facts(Standing(held=D(1), elsewhere=D(3)))), Carry)
    assert isinstance(decided(evolve(closing, side=Side.BUY), facts(Standing(held=D(-1)))), Carry)


def test_what_is_too_small_or_off_the_rules_is_parked() -> None:
    assert code(decided(spec("1"), filled="0.985")) == TOO_SMALL
    assert code(decided(spec("1"), filled="0.995")) == TOO_SMALL
    assert code(decided(spec(), facts(check=lambda _: "No such market."))) == BY_RULES


def test_what_is_too_old_or_to_be_parked_waits_for_its_owner_unless_he_says_otherwise() -> None:
    assert code(decided(spec(), facts(Standing(left_s=-51.0)))) == TOO_OLD
    assert isinstance(decided(spec(), facts(Standing(left_s=-49.0))), Carry)
    assert isinstance(decided(spec(), facts(Standing(left_s=None))), Carry)
    assert code(decided(spec(), facts(policy=CarryPolicy.PARK))) == BY_POLICY
    asked = facts(Standing(left_s=-999.0), policy=CarryPolicy.PARK)
    assert isinstance(decided(spec(), asked, reason_code=PLACED_BY_OWNER), Carry)
    assert isinstance(decided(spec(), facts(policy=CarryPolicy.DROP)), Finished)


def test_the_owners_newest_word_is_carried_out() -> None:
    wish = Wanted(quantity=D("0.8"), price=D(98))
    made = decided(spec(), filled="0.3", wanted=wish)
    assert made == Carry(quantity=D("0.50"), price=D("98.0"), trigger_price=None, whole=D("0.8"))
    assert isinstance(decided(spec(), filled="0.8", wanted=wish), Finished)


def test_what_an_exchange_refuses_again_and_again_is_its_owners_to_deal_with() -> None:
    legs: list[LegView] = [evolve(leg(LegState.CANCELLED), carry_s=5.0)]
    for number in range(2, MAX_TRIES + 2):
        state = LegState.PARKED if number == MAX_TRIES + 1 else LegState.CANCELLED
        tried = leg(state, exchange="okx", number=number, seen=False)
        legs.append(evolve(tried, carry_s=None if state is LegState.PARKED else 6.0, reason_words="Not enough."))
        if state is LegState.CANCELLED:
            continue
    refused = evolve(order(*legs), legs=tuple(evolve(each, carry_s=each.carry_s or None) for each in legs))
    assert code(decide(refused, facts(), 10.0)) == TOO_OFTEN


def test_what_is_sent_again_under_one_id_counts_each_time() -> None:
    taken = evolve(leg(LegState.CANCELLED), carry_s=5.0)
    parked = leg(LegState.PARKED, exchange="okx", number=2, seen=False)
    absent = evolve(parked, attempts=MAX_TRIES - 1, reason_words="It never executed.")
    assert isinstance(decide(order(taken, absent), facts(), 10.0), Carry)
    assert code(decide(order(taken, evolve(absent, attempts=MAX_TRIES)), facts(), 10.0)) == TOO_OFTEN


def test_refusals_that_may_pass_are_waited_for() -> None:
    assert after_refusal("reduce_only_rejected") == NO_POSITION
    assert after_refusal("would_take") == POST_ONLY_CROSSED
    assert after_refusal("would_trigger") == TRIGGER_PASSED
    assert after_refusal("unknown_symbol") == "unknown_symbol"
    assert after_refusal(None) == "refused"


@pytest.mark.parametrize(
    ("what", "taken"),
    [
        (spec(), True),
        (spec(price=None), False),
        (evolve(spec(), time_in_force=TimeInForce.IOC), False),
        (evolve(spec(), time_in_force=TimeInForce.FOK), False),
        (evolve(spec(), time_in_force=TimeInForce.POST_ONLY), True),
        (stop(Side.BUY, "120"), True),
    ],
)
def test_only_what_rests_is_taken_away(what: OrderSpec, taken: bool) -> None:
    resting = order(leg(LegState.OPEN), what=what)
    assert takes_away(resting, resting.legs[0]) is taken
    unwanted = evolve(resting.legs[0], cancel_asked_s=1.0)
    assert not takes_away(evolve(resting, legs=(unwanted,)), unwanted)
    exit_ = order(leg(LegState.OPEN), of=key(f"exit/{'0' * 32}/1/sl/1"), what=what)
    assert not takes_away(exit_, exit_.legs[0])


amounts = st.integers(1, 10**9).map(lambda n: D(n) / 10**6)
steps = st.sampled_from([D("0.000001"), D("0.001"), D("0.005"), D("0.1"), D("0.25"), D(1), D(10)])


@given(
    quantity=amounts,
    part=st.integers(0, 100),
    price=amounts,
    trigger=amounts,
    side=st.sampled_from(Side),
    kind=st.sampled_from([None, *TriggerKind]),
    step=steps,
    tick=steps,
    limit=st.booleans(),
)
def test_never_more_than_is_left_and_never_against_the_trader_beyond_a_tick(
    quantity: Decimal,
    part: int,
    price: Decimal,
    trigger: Decimal,
    side: Side,
    kind: TriggerKind | None,
    step: Decimal,
    tick: Decimal,
    limit: bool,
) -> None:
    asked = OrderSpec(
        symbol=BTC,
        side=side,
        order_type=OrderType.LIMIT if limit else OrderType.MARKET,
        quantity=quantity,
        price=price if limit else None,
        trigger=None if kind is None else Trigger(kind=kind, price=trigger),
    )
    lots = Lots(step=step, minimum=step, tick=tick)
    filled = (quantity * part / 100).quantize(D("0.000001"))
    made = decided(asked, facts(lots=lots, ticker=evolve(MARKET, last=None, mark=None)), filled=str(filled))
    if not isinstance(made, Carry):
        return
    assert filled + made.quantity <= quantity
    assert quantity - filled - made.quantity < step
    assert made.quantity % step == 0
    if limit:
        placed = price if made.price is None else made.price
        gain = price - placed if side is Side.BUY else placed - price
        assert 0 <= gain < tick
        assert placed % tick == 0
    if asked.trigger is not None:
        off = trigger if made.trigger_price is None else made.trigger_price
        later = off - trigger if rises_to(asked) else trigger - off
        assert 0 <= later < tick


def test_what_fits_is_left_as_it_is() -> None:
    what = evolve(spec("1.25", "100.5"), trigger=Trigger(kind=TriggerKind.STOP, price=D(99)))
    assert fitted(what, LOTS) == what
    assert asked_of(drained(what)) == (what, D("1.25"))


@pytest.mark.parametrize(("state", "carried"), [(LegState.CANCELLED, True), (LegState.ABSENT, False)])
def test_what_an_owner_asked_for_again_is_his_and_not_the_routers(state: LegState, carried: bool) -> None:
    """Its leg was to be taken away while nobody knew of it, and was proven absent: the next was placed as he waited.

    Taken for the router's own, it was parked when the next exchange refused it, and its owner heard "accepted".
    """
    first = evolve(leg(state), carry_s=5.0)
    asked = order(first, leg(LegState.OPEN, number=2, exchange="okx"))
    assert is_carried(asked, 2) is carried
    assert not is_carried(asked, 1)


def test_tries_are_counted_in_a_row_on_one_exchange() -> None:
    """What the router placed there and did not come to rest; what filled, or was its owner's, ends the row."""
    away = evolve(leg(LegState.CANCELLED), carry_s=5.0)
    tries = [evolve(leg(LegState.CANCELLED, exchange="okx", number=n, seen=False), carry_s=6.0) for n in (2, 3, 4)]
    for number in range(4):
        assert tries_of(order(away, *tries[:number]), "okx") == number
    assert tries_of(order(away, *tries), "bybit") == 0
    assert tries_of(order(away, tries[0], evolve(tries[1], filled=D("0.1")), tries[2]), "okx") == 1
