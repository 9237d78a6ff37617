"""Resolving what nobody knows: on a schedule within the rate, by every wire id, and proven by nothing but an answer."""

from __future__ import annotations

from itertools import pairwise

from attrs import evolve

from app.domain import calls as c
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from app.domain.leg_watch import AT_ONCE, LOOK_UP_SHARE, LegWatch
from app.domain.limiter import RateLimit
from messages.orders import LegState, OrderNotExecuted, OrderView, PlaceOrder
from tests.domain.connector_desk import PROOF, Desk, flight
from tests.domain.orders import key, leg, order, spec

PER_S = 10.0


def left(number: int, state: LegState) -> OrderView:
    """An order of an earlier life."""
    return order(evolve(leg(state), wire_id=f"{number:032x}"), of=key(f"o{number}"))


def test_a_start_looks_at_a_few_at_once_and_then_within_a_share_of_the_rate() -> None:
    """What is in doubt comes first, so that a thousand orders that rest do not keep it waiting."""
    watch = LegWatch("bybit", PROOF, PER_S)
    orders = [left(n, LegState.OPEN) for n in range(100)] + [left(n, LegState.UNKNOWN) for n in range(100, 110)]
    found = watch.recover(orders, 5.0)
    assert [task.unproven for task in found] == [True] * 10 + [False] * 100
    due = [task.next_s for task in found if task.next_s is not None]
    assert len(due) == 110
    assert due == sorted(due)
    assert due[:AT_ONCE] == [5.0] * AT_ONCE
    assert all(later - sooner <= 1 / (LOOK_UP_SHARE * PER_S) + 1e-9 for sooner, later in pairwise(due))
    assert due[-1] - 5.0 >= (110 - AT_ONCE) / (LOOK_UP_SHARE * PER_S) - 1e-9


def test_orders_go_on_while_a_thousand_are_looked_up() -> None:
    """An order asked for right after such a start is not behind all of their look-ups."""
    machine = Connector("bybit", PROOF, ConnectorSettings(), RateLimit(per_s=PER_S, burst=20))
    machine.recover(tuple(left(n, LegState.OPEN) for n in range(1000)), 0.0)
    request = PlaceOrder(correlation_id="new", deadline_s=5.0, epoch=1, key=key("new"), spec=spec())
    effects = machine.place("me", request, 0.0)
    now_s = 0.0
    while not any(type(effect).__name__ == "Commit" for effect in effects):
        now_s = max(now_s + 0.001, machine.next_s(now_s) or now_s)
        assert now_s < 2.0, "it waits behind them"
        effects = machine.tick(now_s)


def test_only_legs_of_this_exchange_that_may_fill_are_taken_up_each_by_its_own_wire_id() -> None:
    """One that is held and a newer one beside it; not one that was carried away, nor one that is over."""
    watch = LegWatch("bybit", PROOF, PER_S)
    legs = [
        leg(LegState.ABSENT),
        leg(LegState.HELD, number=2),
        leg(LegState.HELD, number=3, exchange="okx"),
        leg(LegState.UNKNOWN, number=4),
    ]
    found = watch.recover([order(*legs)], 0.0)
    assert [task.leg.number for task in found] == [2, 4]
    assert {task.look_up_call(9.0).wire_id for task in found} == {legs[1].wire_id, legs[3].wire_id}
    assert len(watch.unknown) == 2


def test_what_is_sent_again_after_absence_keeps_leg_and_wire_id() -> None:
    """So that the exchange's own check for duplicates still guards it; and absence counts from the last sending."""
    desk = Desk()
    asker = desk.place("a")
    call_id, first = flight(desk, c.PlaceCall)
    desk.returns(call_id, c.NotExecuted(code="overloaded", words="Not now."))
    assert isinstance(desk.answers[asker][0], OrderNotExecuted)
    desk.passes(60.0)
    desk.place("a")
    call_id, second = flight(desk, c.PlaceCall)
    assert (second.wire_id, second.quantity) == (first.wire_id, first.quantity)
    desk.returns(call_id, c.Ambiguous(code="timeout", words="No answer."))
    (task,) = desk.machine.tasks.values()
    assert (task.leg.number, task.leg.attempts) == (1, 2)
    desk.passes(0.2)
    call_id, _ = flight(desk, c.LookUpCall)
    desk.returns(call_id, c.NotFound(asked_s=desk.now_s))
    assert task.unproven, "the first sending's expiry is long past, the second's is not"
