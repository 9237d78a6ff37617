"""When a dead-man switch is armed, and what its expiry proves."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from app.domain import calls as c
from app.domain.dead_man import AGAIN_S, DeadMan, DeadManSettings
from app.domain.effects import Answer
from app.domain.leg_task import LegTask
from messages.account import Disarm, Disarmed
from messages.market import MarketType, Symbol
from messages.orders import (
    LegState,
    LegView,
    OrderKey,
    OrderSpec,
    OrderType,
    OrderView,
    Side,
    TimeInForce,
    Trigger,
    TriggerKind,
)

D = Decimal
TIMEOUT_S, REQUEST_S, LATE_S, LAG_S = 60.0, 5.0, 2.0, 1.0
BTC = Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP)
PROOF = c.Proof(
    enforcement=c.ExpiryEnforcement.GATEWAY, validity_s=5.0, lateness_s=LATE_S, visibility_s=LAG_S, clock_error_s=0.5
)
SETTINGS = DeadManSettings(timeout_s=TIMEOUT_S, triggers=False, by_market=False)
ARMED = c.DeadManArmed(fires_s=0.0)
LOST = c.CallFailed(code="timeout", words="No answer in time.", ill=True)
UNREACHABLE = c.CallFailed(code="exchange_unreachable", words="okx could not be reached.", ill=True)


def switch(settings: DeadManSettings | None = SETTINGS, *, at_s: float = 0.0) -> DeadMan:
    """One that begins now."""
    made = DeadMan("okx", settings, PROOF, REQUEST_S)
    made.recover(at_s)
    return made


def ask(dead_man: DeadMan, result: c.Result, sent_s: float, answered_s: float) -> None:
    """One request, and what came of it."""
    call = dead_man.call(sent_s)
    assert call is not None
    assert dead_man.call(sent_s) is None, "one at a time"
    dead_man.returned(call, result, sent_s, answered_s)


def leg(
    state: LegState = LegState.OPEN, *, expiry_s: float = 10.0, carry_s: float | None = None, **spec: Any
) -> LegTask:
    """A leg of a resting buy."""
    view = LegView(
        number=1,
        exchange="okx",
        epoch=1,
        wire_id="w",
        quantity=D(1),
        state=state,
        committed_s=expiry_s - 5.0,
        expiry_s=expiry_s,
        exchange_order_id=None,
        filled=D(0),
        average_price=None,
        attempts=1,
        reason_code=None,
        reason_words=None,
        native_code=None,
        created_s=expiry_s - 5.0,
        updated_s=expiry_s - 5.0,
        carry_s=carry_s,
    )
    values: dict[str, Any] = {
        "symbol": BTC,
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "quantity": D(1),
        "price": D(100),
        **spec,
    }
    order = OrderView(
        order_id="o",
        key=OrderKey(strategy="s", client_order_id="c"),
        spec=OrderSpec(**values),
        legs=(view,),
        created_s=0.0,
    )
    return LegTask(order=order)


def test_off_by_default() -> None:
    """Nothing is asked, nothing is told, nothing is concluded."""
    off = switch(None)
    assert off.call(0.0) is None
    assert (off.next_s(), off.view(0.0), off.news(0.0)) == (None, None, None)
    assert off.gone([leg()], 10**9) == []


def test_armed_at_once_and_anew_at_each_third() -> None:
    """Counted from when it was asked, not from when it was answered."""
    dead_man = switch(at_s=100.0)
    ask(dead_man, ARMED, 100.0, 103.0)
    assert dead_man.next_s() == 120.0
    assert dead_man.call(119.9) is None
    ask(dead_man, ARMED, 120.0, 120.1)
    assert dead_man.fires_s == 180.0
    assert dead_man.next_s() == 140.0


def test_sooner_after_a_failure() -> None:
    """And a failure is told."""
    dead_man = switch()
    ask(dead_man, ARMED, 0.0, 0.1)
    ask(dead_man, LOST, 20.0, 25.0)
    assert dead_man.next_s() == 25.0 + AGAIN_S
    view = dead_man.view(25.0)
    assert view is not None
    assert view.words == "It could not be armed anew: No answer in time."
    ask(dead_man, ARMED, 26.0, 26.1)
    view = dead_man.view(26.1)
    assert view is not None
    assert view.words == ""


def test_expiry_counts_from_the_last_request_that_could_have_arrived() -> None:
    """One that was answered arrived before its answer; one that was not, until it was given up."""
    dead_man = switch()
    ask(dead_man, ARMED, 0.0, 0.1)
    ask(dead_man, LOST, 20.0, 25.0)
    assert dead_man.fires_s == TIMEOUT_S, "the earliest: by what was answered"
    assert dead_man.gone_s == 25.0 + TIMEOUT_S + LATE_S + LAG_S
    assert not dead_man.expired(25.0 + TIMEOUT_S + LATE_S + LAG_S - 0.01)
    assert dead_man.expired(25.0 + TIMEOUT_S + LATE_S + LAG_S)
    under_way = switch()
    ask(under_way, ARMED, 0.0, 0.1)
    assert under_way.call(20.0) is not None
    assert under_way.gone_s == 20.0 + REQUEST_S + TIMEOUT_S + LATE_S + LAG_S


@pytest.mark.parametrize("by_market", [False, True])
def test_what_was_never_sent_moves_nothing(by_market: bool) -> None:
    """Unless it is several requests, the first of which may have arrived."""
    dead_man = switch(evolve(SETTINGS, by_market=by_market))
    ask(dead_man, ARMED, 0.0, 10.0)
    ask(dead_man, UNREACHABLE, 20.0, 20.1)
    assert dead_man.gone_s == (20.1 if by_market else 10.0) + TIMEOUT_S + LATE_S + LAG_S


def test_never_armed_proves_nothing() -> None:
    """However long ago it was asked for."""
    dead_man = switch()
    ask(dead_man, LOST, 0.0, 5.0)
    assert (dead_man.fires_s, dead_man.gone_s) == (None, None)
    assert dead_man.gone([leg()], 10**9) == []


def test_an_earlier_life_may_have_armed_it_a_moment_ago() -> None:
    """Its request may still be on the way."""
    dead_man = switch(at_s=100.0)
    ask(dead_man, ARMED, 100.0, 100.1)
    assert dead_man.gone_s == 100.0 + REQUEST_S + TIMEOUT_S + LATE_S + LAG_S


def test_once_it_can_have_fired_nothing_is_sent_until_the_exchange_is_heard_of() -> None:
    """Each request that is lost would put off the moment from which on it is certain: for ever, in an outage."""
    dead_man = switch()
    ask(dead_man, ARMED, 0.0, 0.1)
    now_s, lost = 20.0, 0
    while (call := dead_man.call(now_s)) is not None:
        dead_man.returned(call, LOST, now_s, now_s + REQUEST_S)
        lost += 1
        assert lost < 100
        now_s = dead_man.next_s() or 0.0
    assert 5 <= lost <= 10
    assert dead_man.gone_s is not None
    assert dead_man.gone_s < 2 * TIMEOUT_S + REQUEST_S + LATE_S + LAG_S
    assert dead_man.call(dead_man.gone_s) is None
    assert dead_man.expired(dead_man.gone_s)
    dead_man.alive(500.0)
    ask(dead_man, ARMED, 500.0, 500.1)
    assert not dead_man.expired(500.1)


def expired(settings: DeadManSettings = SETTINGS) -> DeadMan:
    """Armed at 20, and silent since."""
    dead_man = switch(settings)
    ask(dead_man, ARMED, 0.0, 0.1)
    ask(dead_man, ARMED, 20.0, 20.1)
    return dead_man


LATER_S = 1000.0


@pytest.mark.parametrize("state", [LegState.OPEN, LegState.PARTIALLY_FILLED, LegState.UNKNOWN])
def test_gone(state: LegState) -> None:
    """What may be there, and was there before it can have fired: not before the latest moment."""
    dead_man, task = expired(), leg(state)
    assert dead_man.gone_s is not None
    assert dead_man.gone([task], dead_man.gone_s - 0.01) == []
    assert dead_man.gone([task], dead_man.gone_s) == [task]
    view = dead_man.view(dead_man.gone_s)
    assert view is not None
    assert view.gone == 1
    assert "how much of it filled is not known until okx answers" in view.words


def test_what_could_arrive_after_it_fired_is_not_gone() -> None:
    """It would rest there: nothing cancels it any more."""
    fires_s = 20.0 + TIMEOUT_S
    margin_s = PROOF.margin_of(conditional=False)
    assert expired().gone([leg(expiry_s=fires_s - margin_s)], LATER_S) != []
    assert expired().gone([leg(expiry_s=fires_s - margin_s + 0.01)], LATER_S) == []


def test_kinds_that_are_passed_over() -> None:
    """Those that wait for a trigger stay where the exchange passes over them."""
    trigger = Trigger(kind=TriggerKind.STOP, price=D(90))
    waiting = leg(trigger=trigger)
    assert expired().gone([waiting], LATER_S) == []
    assert expired(evolve(SETTINGS, triggers=True)).gone([waiting], LATER_S) == [waiting]


def test_one_that_counts_for_each_market() -> None:
    """Only where this order rested when it was armed last."""
    by_market = evolve(SETTINGS, by_market=True)
    margin_s = PROOF.margin_of(conditional=False)
    assert expired(by_market).gone([leg(expiry_s=20.0 - margin_s)], LATER_S) != []
    assert expired(by_market).gone([leg(expiry_s=20.0 - margin_s + 0.1)], LATER_S) == []
    assert expired(by_market).gone([leg(LegState.UNKNOWN, expiry_s=1.0)], LATER_S) == []


def test_what_is_not_marked() -> None:
    """What is marked already, what ends by itself, and all where nothing is placed again."""
    assert expired().gone([leg(carry_s=30.0)], LATER_S) == []
    assert expired().gone([leg(time_in_force=TimeInForce.IOC)], LATER_S) == []
    assert expired().gone([leg(LegState.FILLED)], LATER_S) == []
    assert expired(evolve(SETTINGS, marks=False)).gone([leg()], LATER_S) == []


def test_it_wakes_for_its_expiry_and_no_more() -> None:
    """Else a connector would turn in circles through the outage."""
    dead_man = switch()
    ask(dead_man, ARMED, 0.0, 0.1)
    call = dead_man.call(59.5)
    assert call is not None
    dead_man.returned(call, LOST, 59.5, 64.5)
    assert dead_man.next_s() == dead_man.gone_s
    dead_man.gone([], LATER_S)
    assert dead_man.next_s() is None


def test_switched_off_in_order() -> None:
    """The request that arms it is waited for: it would be armed again by it."""
    dead_man, asked = expired(), Disarm(correlation_id="d", deadline_s=99.0)
    arming = dead_man.call(40.0)
    assert arming is not None
    assert dead_man.disarm("launcher", asked) is None
    assert dead_man.to_disarm() == []
    dead_man.returned(arming, ARMED, 40.0, 40.1)
    ((who, request, call),) = dead_man.to_disarm()
    assert (who, request, call) == ("launcher", asked, c.DeadManCall(timeout_s=0.0, deadline_s=99.0))
    dead_man.returned(call, c.DeadManArmed(fires_s=None), 40.1, 40.2)
    assert dead_man.next_s() is None
    assert dead_man.call(10**6) is None
    assert dead_man.gone([leg()], 10**6) == []
    nothing = switch(None).disarm("launcher", asked)
    assert isinstance(nothing, Answer)
    assert isinstance(nothing.message, Disarmed)


def test_what_the_exchange_has_not_is_not_asked_for_again() -> None:
    """And told in its words."""
    dead_man = switch()
    ask(dead_man, c.CallFailed(code=c.UNSUPPORTED, words="bybit has no countdown.", retryable=False), 0.0, 0.0)
    assert dead_man.next_s() is None
    view = dead_man.view(0.0)
    assert view is not None
    assert view.words == "bybit has no countdown."


def test_too_many_markets_at_a_time() -> None:
    """Asked for again when there may be fewer; until then nothing is armed, and nothing is concluded."""
    dead_man = expired(evolve(SETTINGS, by_market=True))
    ask(dead_man, c.CallFailed(code=c.UNSUPPORTED, words="Too many markets.", retryable=False), 40.0, 40.1)
    assert dead_man.fires_s is None
    assert dead_man.gone([leg()], LATER_S) == []
    assert dead_man.next_s() == 40.1 + TIMEOUT_S / 3
    ask(dead_man, ARMED, 61.0, 61.1)
    assert dead_man.fires_s == 61.0 + TIMEOUT_S


def test_news_are_told_once() -> None:
    """And all of them again to somebody new."""
    dead_man = switch()
    assert dead_man.news(0.0) is not None
    assert dead_man.news(1.0) is None
    ask(dead_man, ARMED, 1.0, 1.1)
    assert dead_man.news(2.0) is not None
    assert dead_man.news(3.0) is None
    dead_man.untold()
    assert dead_man.news(3.0) is not None


class Countdown:
    """What the exchange does: it counts from when a request arrives, and fires once."""

    def __init__(self) -> None:
        self.due_s: float | None = None
        self.fired_s: float | None = None

    def until(self, now_s: float) -> None:
        """Time goes by."""
        if self.due_s is not None and now_s >= self.due_s:
            self.fired_s, self.due_s = self.due_s, None

    def asked(self, at_s: float) -> None:
        """A request arrives."""
        self.until(at_s)
        self.due_s = at_s + TIMEOUT_S


fates = st.lists(
    st.tuples(
        st.sampled_from(["answered", "answer lost", "lost", "never sent"]),
        st.floats(0.0, REQUEST_S),
        st.floats(0.0, 1.0),
    ),
    min_size=1,
    max_size=30,
)


@given(fates)
def test_what_is_concluded_is_true(given_fates: list[tuple[str, float, float]]) -> None:
    """Whatever becomes of requests: it never fired before the earliest moment, and has fired by the latest."""
    dead_man, there = switch(), Countdown()
    now_s = 0.0
    for fate, took_s, share in _endless(given_fates):
        due_s = dead_man.next_s()
        if due_s is None or (dead_man.gone_s is not None and due_s >= dead_man.gone_s):
            break
        now_s = max(now_s, due_s)
        call = dead_man.call(now_s)
        assert call is not None
        back_s = now_s + took_s
        if fate in ("answered", "answer lost"):
            there.asked(now_s + share * took_s)
            there.fired_s = None  # what happens from now on is what is spoken of
        there.until(back_s)
        fires_s = dead_man.fires_s
        assert there.fired_s is None or fires_s is None or there.fired_s >= fires_s
        results: dict[str, c.Result] = {"answered": ARMED, "never sent": UNREACHABLE}
        result = results.get(fate, LOST)
        dead_man.returned(call, result, now_s, back_s)
        now_s = back_s
        assert not dead_man.expired(now_s)
    if dead_man.gone_s is not None:
        there.until(dead_man.gone_s)
        assert there.fired_s is not None
        assert there.due_s is None
        assert dead_man.expired(dead_man.gone_s)


def _endless(given_fates: list[tuple[str, float, float]]) -> Iterator[tuple[str, float, float]]:
    yield from given_fates
    for _ in range(100):  # then the exchange falls silent
        yield "lost", REQUEST_S, 0.0
