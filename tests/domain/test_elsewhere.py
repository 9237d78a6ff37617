"""An order of which nobody knows, placed elsewhere by the owner's word: when it may be, and what becomes of both legs.

Two connectors on one journal, as after a switch: bybit was left with orders in doubt, okx is where trading is.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from app.domain import calls as c
from app.domain.commit import AlreadyKnown, CommitAgain, CommitNew, Decision, Fenced, TooManyUnresolved, decide
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from app.domain.elsewhere import Elsewhere, SetAside, worth_of
from app.domain.leg_life import LegEvent
from app.domain.order_life import OrderState, state_of
from app.domain.pretrade import LimitRefused, PriceNeeded
from app.journal.store import Journal
from messages.base import Failed
from messages.failover import Route
from messages.orders import (
    LegState,
    Linked,
    OrderAccepted,
    OrderPending,
    OrderReply,
    OrderType,
    OrderView,
    Purpose,
    Side,
    TimeInForce,
    Trigger,
    TriggerKind,
)
from tests.domain.connector_desk import PROOF, ROOM, Desk, flight, report
from tests.domain.orders import key, leg, order, spec

MOST = Elsewhere(max_notional=Decimal(150))
HERE = Route(epoch=2, exchange="okx", since_s=0.0)
UNKNOWN = leg(LegState.UNKNOWN)


def decided(known: OrderView, leave: Elsewhere | None = MOST, held: str = "0", **more: Any) -> Decision:
    """What a request to place it on okx comes to."""
    given: dict[str, Any] = {"route": HERE, "exchange": "okx", "epoch": 2, "spec": known.spec} | more
    return decide(known=known, elsewhere=leave, held=lambda: Decimal(held), **given)


def test_it_is_held_unless_the_owner_has_said_otherwise() -> None:
    """The default: whoever asks again is told what is known."""
    known = order(UNKNOWN)
    assert decided(known, None) == AlreadyKnown(order=known)


def test_its_leg_gives_way_to_another_for_what_is_left() -> None:
    """Both in one decision, so in one transaction."""
    aside = SetAside(number=1, notional=Decimal(100))
    assert decided(order(UNKNOWN)) == CommitNew(number=2, quantity=Decimal(1), aside=aside)


@pytest.mark.parametrize(
    ("known", "more"),
    [
        (order(leg(LegState.INTENT)), {}),
        (order(leg(LegState.OPEN)), {}),
        (order(leg(LegState.FILLED, filled="1")), {}),
        (order(leg(LegState.UNKNOWN, exchange="okx")), {}),
        (order(evolve(UNKNOWN, epoch=2)), {}),
        (order(evolve(UNKNOWN, cancel_asked_s=1.0)), {}),
        (order(evolve(UNKNOWN, linked=Linked.OPEN)), {}),
        (order(UNKNOWN, what=evolve(spec(), reduce_only=True)), {}),
        (order(UNKNOWN), {"problem": "too small"}),
        (order(UNKNOWN), {"held": "50.01"}),
        (order(UNKNOWN), {"purpose": Purpose.EXIT}),
        (order(UNKNOWN), {"unresolved": lambda: 3, "max_unresolved": 3}),
        (order(UNKNOWN), {"judge": lambda *_: LimitRefused(code="limit", words="Too many.")}),
        (order(UNKNOWN), {"epoch": 1}),
        (order(UNKNOWN), {"route": Route(epoch=3, exchange=None, since_s=0.0)}),
    ],
)
def test_otherwise_it_stays_unknown(known: OrderView, more: dict[str, Any]) -> None:
    """Whatever keeps it from being placed there, it is never said to be refused: it may have executed."""
    assert decided(known, **more) == AlreadyKnown(order=known)


def test_the_worth_is_that_of_the_limit_or_of_the_market_where_it_may_trade_better() -> None:
    """A sale at next to nothing is worth what the market pays, and so is a market order: who does not know it asks."""
    sells = evolve(spec(price="1"), side=Side.SELL)
    for what in (sells, spec(price=None)):
        assert decided(order(UNKNOWN, what=what)) == PriceNeeded()
        for market, aside in (("150", True), ("150.01", False)):
            made = decided(order(UNKNOWN, what=what), evolve(MOST, market=Decimal(market)))
            assert isinstance(made, CommitNew) is aside
    rests = evolve(sells, time_in_force=TimeInForce.POST_ONLY)
    assert isinstance(decided(order(UNKNOWN, what=rests)), CommitNew)


def test_all_that_is_set_aside_counts_together() -> None:
    """Up to the bound, and not beyond."""
    assert isinstance(decided(order(UNKNOWN), held="50"), CommitNew)
    assert isinstance(decided(order(UNKNOWN), held="50.01"), AlreadyKnown)


def test_the_newer_leg_that_was_proven_absent_may_be_placed_again() -> None:
    """Its worth is counted already; without leave the order waits for the leg that is held."""
    known = order(evolve(UNKNOWN, state=LegState.HELD), leg(LegState.ABSENT, exchange="okx", number=2))
    assert decided(known, held="100") == CommitAgain(number=2)
    assert decided(known, None) == AlreadyKnown(order=known)
    partly = order(evolve(known.legs[0], filled=Decimal("0.4")), known.legs[1])
    assert decided(partly, held="100") == AlreadyKnown(order=partly)
    third: dict[str, Any] = {"route": evolve(HERE, exchange="binance"), "exchange": "binance"}
    assert decided(partly, held="100", **third) == CommitNew(number=3, quantity=Decimal("0.6"))
    full = order(evolve(known.legs[0], filled=Decimal(1)), known.legs[1])
    assert decided(full, held="100") == AlreadyKnown(order=full)


def test_too_many_in_doubt_anywhere_stop_what_is_new_but_for_exits() -> None:
    """What protects still passes; and no fence is hidden by it."""
    given: dict[str, Any] = {"known": None, "exchange": "okx", "spec": spec(), "unresolved": lambda: 3}
    stopped = decide(route=HERE, epoch=2, max_unresolved=3, **given)
    assert isinstance(stopped, TooManyUnresolved)
    assert "3 orders on all exchanges" in stopped.words
    assert isinstance(decide(route=HERE, epoch=2, max_unresolved=4, **given), CommitNew)
    assert isinstance(decide(route=HERE, epoch=2, max_unresolved=3, purpose=Purpose.EXIT, **given), CommitNew)
    assert isinstance(decide(route=HERE, epoch=1, max_unresolved=3, **given), Fenced)


# ---------------------------------------------------------------------------------------------------- both connectors


class OneOfTwo(Desk):
    """One of two connectors on one journal."""

    def __init__(self, exchange: str, journal: Journal | None = None, most: str | None = "150") -> None:
        super().__init__()
        if journal is not None:
            self.journal = journal
        self.most = None if most is None else Decimal(most)
        self.exchange = exchange
        self.live_again()

    def live_again(self) -> None:
        """A new life."""
        self.flights.clear()
        settings = ConnectorSettings(unknown_max_notional=self.most)
        self.machine = Connector(self.exchange, PROOF, settings, ROOM)
        self.perform(self.machine.recover(self.journal.open_orders(exchange=self.exchange), self.now_s))

    def the_order(self, name: str = "a") -> OrderView:
        """As the journal knows it."""
        found = next(each for each in self.journal.orders_in([*LegState]) if each.key == key(name))
        return self.journal.order(found.order_id) or found


def left_in_doubt(most: str | None = "150") -> tuple[OneOfTwo, OneOfTwo]:
    """bybit, that did not answer a placement and was left; and okx, where the same order was asked for again."""
    old = OneOfTwo("bybit", most=most)
    old.place("a")
    old.returns(flight(old, c.PlaceCall)[0], c.Ambiguous(code="timeout", words="No answer."))
    old.journal.fence(1.0)
    old.journal.commit_route(2, "okx", 1.0)
    new = OneOfTwo("okx", old.journal, most)
    old.now_s = new.now_s = 1.0
    new.epoch = 2
    return old, new


def look_up_of(desk: OneOfTwo) -> tuple[int, Any]:
    """The look-up in flight, waiting for it where it is not yet."""
    for _ in range(200):
        found = [(call_id, call) for call_id, call in desk.flights.items() if isinstance(call, c.LookUpCall)]
        if found:
            return found[0]
        desk.passes(0.1)
    raise AssertionError(f"nothing is looked up: {desk.flights}")


def moved(*, restarted: bool) -> tuple[OneOfTwo, OneOfTwo, str]:
    """Both after the order was accepted on okx; bybit's connector was started anew since, or not."""
    old, new = left_in_doubt()
    asker = new.place("a")
    call_id, call = flight(new, c.PlaceCall)
    new.returns(call_id, c.Placed(report=report(call.wire_id, LegState.OPEN, "0")))
    assert isinstance(new.answers[asker][0], OrderAccepted)
    if restarted:
        old.live_again()
    return old, new, call.wire_id


def test_it_is_accepted_where_trading_is_and_still_looked_up_where_it_was() -> None:
    """One is held, the other live; what is held counts among what is in doubt there."""
    old, new, _ = moved(restarted=True)
    assert [each.state for each in new.the_order().legs] == [LegState.HELD, LegState.OPEN]
    assert len(old.machine._watch.unknown) == 1
    _, call = look_up_of(old)
    assert call.wire_id == old.the_order().legs[0].wire_id
    assert old.journal.held_notional() == 100


def test_held_by_default() -> None:
    """Without the owner's word the second request is told that nobody can know yet."""
    _, new = left_in_doubt(most=None)
    asker = new.place("a")
    assert isinstance(new.answers[asker][0], OrderPending)
    assert not new.flights


@pytest.mark.parametrize("restarted", [False, True])
def test_proven_absent_ends_it_quietly(restarted: bool) -> None:
    """Nothing but the newer leg remains, and nothing of the bound is used."""
    old, new, _ = moved(restarted=restarted)
    old.now_s = 100.0
    call_id, _call = look_up_of(old)
    old.returns(call_id, c.NotFound(asked_s=old.now_s))
    assert [each.state for each in new.the_order().legs] == [LegState.ABSENT, LegState.OPEN]
    assert not old.machine.tasks
    assert old.journal.held_notional() == 0
    assert state_of(new.the_order()) is OrderState.LIVE


@pytest.mark.parametrize("restarted", [False, True])
def test_one_that_rests_is_cancelled_at_once_and_its_fills_count(restarted: bool) -> None:
    """It stays held until the exchange shows its end."""
    old, new, _ = moved(restarted=restarted)
    call_id, call = look_up_of(old)
    old.returns(call_id, c.Found(report=report(call.wire_id, LegState.OPEN, "0")))
    assert old.the_order().legs[0].state is LegState.HELD
    call_id, cancel = flight(old, c.CancelCall)
    assert cancel.wire_id == call.wire_id
    old.returns(call_id, c.CancelConfirmed(final=None))
    assert old.the_order().legs[0].state is LegState.HELD
    call_id, _ = look_up_of(old)
    old.returns(call_id, c.Found(report=report(call.wire_id, LegState.CANCELLED, "0.3")))
    assert [each.state for each in new.the_order().legs] == [LegState.CANCELLED, LegState.OPEN]
    assert new.the_order().filled == Decimal("0.3")
    assert not old.machine.tasks


def test_found_nothing_after_it_was_seen_proves_nothing() -> None:
    """What rests is there, whatever a list says that lags."""
    old, _, _ = moved(restarted=False)
    call_id, call = look_up_of(old)
    old.returns(call_id, c.Found(report=report(call.wire_id, LegState.PARTIALLY_FILLED, "0.3")))
    old.returns(flight(old, c.CancelCall)[0], c.CancelTooLate(native_code="1", words="Not there."))
    old.now_s = 100.0
    call_id, _ = look_up_of(old)
    old.returns(call_id, c.NotFound(asked_s=old.now_s))
    assert (old.the_order().legs[0].state, old.the_order().filled) == (LegState.HELD, Decimal("0.3"))


@pytest.mark.parametrize("first", ["held", "newer"])
def test_what_filled_beyond_what_was_asked_is_told(first: str) -> None:
    """Whichever of the two fills last."""
    old, new, wire_id = moved(restarted=True)

    def held_fills() -> None:
        call_id, call = look_up_of(old)
        old.returns(call_id, c.Found(report=report(call.wire_id, LegState.FILLED, "1")))

    def newer_fills() -> None:
        made = new.journal.record(
            new.the_order().order_id, 2, LegEvent.SEEN_FILLED, now_s=new.now_s, filled=Decimal("0.5")
        )
        assert wire_id == made.order.legs[1].wire_id

    both = [held_fills, newer_fills] if first == "held" else [newer_fills, held_fills]
    both[0]()
    assert old.journal.exceeded() == 0
    both[1]()
    assert old.journal.exceeded() == 1
    assert new.the_order().filled == Decimal("1.5")


@pytest.mark.parametrize("restarted", [False, True])
def test_a_cancel_is_answered_once_neither_can_fill(restarted: bool) -> None:
    """The newer leg first; then whoever asked is sent to where the other is held, and waits for that."""
    old, new, wire_id = moved(restarted=restarted)
    asker = new.cancel("a")
    call_id, _ = flight(new, c.CancelCall)
    new.returns(call_id, c.CancelConfirmed(final=report(wire_id, LegState.CANCELLED, "0")))
    (sent_on,) = new.answers[asker]
    assert getattr(sent_on, "exchange", None) == "bybit"
    old.now_s = 100.0
    asker = old.cancel("a")
    assert asker not in old.answers
    assert state_of(old.the_order()) is OrderState.HELD
    for _ in range(9):
        if asker in old.answers:
            break
        old.passes(1.0)
        for call_id, call in list(old.flights.items()):
            missing = c.CancelTooLate(native_code="1", words="Not there.")
            old.returns(call_id, missing if isinstance(call, c.CancelCall) else c.NotFound(asked_s=old.now_s))
    (done,) = old.answers[asker]
    assert isinstance(done, OrderReply | Failed)
    assert state_of(old.the_order()) is OrderState.CANCELLED


def test_back_on_the_exchange_that_was_left_both_legs_are_followed_apart() -> None:
    """A third leg beside the first, on one exchange: each call is about its own."""
    old, new = left_in_doubt(most="1000")
    new.place("a")
    new.returns(flight(new, c.PlaceCall)[0], c.Ambiguous(code="timeout", words="No answer."))
    old.journal.fence(2.0)
    old.journal.commit_route(3, "bybit", 2.0)
    old.epoch, old.now_s = 3, 2.0
    asker = old.place("a")
    states = [each.state for each in old.the_order().legs]
    assert states == [LegState.HELD, LegState.HELD, LegState.INTENT]
    call_id, place = flight(old, c.PlaceCall)
    assert {task.number for task in old.machine.tasks.values()} == {1, 3}
    look_up_id, look_up = look_up_of(old)
    assert look_up.wire_id == old.the_order().legs[0].wire_id != place.wire_id
    old.returns(look_up_id, c.Found(report=report(look_up.wire_id, LegState.CANCELLED, "0")))
    old.returns(call_id, c.Placed(report=report(place.wire_id, LegState.FILLED, "1")))
    assert isinstance(old.answers[asker][0], OrderAccepted)
    assert [each.state for each in old.the_order().legs] == [LegState.CANCELLED, LegState.HELD, LegState.FILLED]
    assert not old.machine.tasks


def test_what_waits_for_its_trigger_is_worth_what_it_would_execute_at() -> None:
    """At the market once it is triggered: its trigger's price is the best that is known, whatever the market is now."""
    trigger = Trigger(kind=TriggerKind.STOP, price=Decimal(120))
    what = evolve(spec(price=None, quantity="2"), trigger=trigger)
    waiting = evolve(UNKNOWN, quantity=Decimal(2), filled=Decimal("0.5"))
    assert worth_of(order(waiting, what=what), waiting, Decimal(90)) == Decimal(180)
    limited = evolve(what, order_type=OrderType.LIMIT, price=Decimal(121))
    assert worth_of(order(waiting, what=limited), waiting, Decimal(90)) == Decimal("181.5")
    assert isinstance(worth_of(order(waiting, what=spec(price=None)), waiting, None), PriceNeeded)
