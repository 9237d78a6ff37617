"""Take profit and stop loss as orders of their own: whatever fills, fails and dies, they equal what is still open.

The watch is driven as the connector drives it, over a journal and an exchange that are a few dictionaries. A crash
forgets everything but those.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.exits import (
    AGAIN_S,
    GONE_AFTER,
    MAX_STANDING,
    NOW,
    Exit,
    parent_of,
)
from messages.orders import (
    LegState,
    Linked,
    OrderType,
    Side,
    TriggerKind,
)
from tests.depth import examples
from tests.domain.exits_world import KINDS, SL, SPEC, TP, World

# ---- one by one ------------------------------------------------------------------------------------------------------


def marked(world: World) -> str:
    """The mark of the leg, by its name."""
    return world.leg.linked.value if world.leg.linked is not None else ""


def test_each_fill_gets_a_pair() -> None:
    world = World()
    world.fill(5)
    assert [(n.kind, n.number, int(world._leg(n).quantity)) for n in world.live()] == [(SL, 1, 5), (TP, 1, 5)]
    world.fill(7)
    assert {kind: world.standing(kind) for kind in KINDS} == {SL: 12, TP: 12}
    stop = next(order for name, order in world.exits.items() if name.kind is SL)
    assert stop.spec.reduce_only
    assert (stop.spec.side, stop.spec.order_type) == (Side.SELL, OrderType.MARKET)
    assert stop.spec.trigger is not None
    assert (stop.spec.trigger.kind, stop.spec.trigger.price) == (TriggerKind.STOP, Decimal(90))
    assert parent_of(stop.key) == "p"


def test_fills_too_small_for_the_market_are_merged() -> None:
    world = World()
    world.fill(1)
    assert world.live() == []
    world.fill(1)
    assert {world._leg(n).quantity for n in world.live()} == {Decimal(2)}
    world.fill(1)
    world.end()
    world.settle()
    assert {kind: world.standing(kind) for kind in KINDS} == {SL: 3, TP: 3}


def test_so_many_small_fills_are_merged_into_the_newest() -> None:
    world = World(evolve(SPEC, quantity=Decimal(60)))
    for _ in range(MAX_STANDING + 3):
        world.fill(2)
        world.cancels_come_through()
    world.settle()
    assert len(world.live(SL)) == MAX_STANDING
    assert world.standing(SL) == world.standing(TP) == 2 * (MAX_STANDING + 3)


def test_a_part_that_fills_shrinks_the_other_once_it_has_come_to_rest() -> None:
    world = World()
    world.fill(20)
    [stop] = world.live(SL)
    world._learn(stop, state=LegState.PARTIALLY_FILLED, filled=Decimal(8))
    assert not world.cancelling, "it may fill wholly within the next moment"
    world.wait(1.5)
    world.cancels_come_through()
    assert world.standing(TP) == 12
    world._learn(stop, state=LegState.FILLED, filled=Decimal(20))
    world.cancels_come_through()
    assert world.standing(TP) == 0
    assert world.leg.linked is Linked.DONE


def test_what_would_fire_at_once_is_closed_at_the_market() -> None:
    world = World()
    world.outcomes = [(LegState.REFUSED, "would_trigger")]
    world.fill(20)
    [now] = [name for name in world.exits if name.kind is NOW[SL]]
    assert world.closed(NOW[SL]) == 20
    assert now.number == 1
    world.settle()
    assert world.standing(TP) == 0
    assert world.leg.linked is Linked.DONE


def test_a_position_that_is_gone_has_no_exits() -> None:
    world = World()
    world.outcomes = [(LegState.REFUSED, "reduce_only_rejected"), (LegState.OPEN, "")]
    world.fill(20)
    assert world.standing(TP) == 20
    for pause_s in AGAIN_S[: GONE_AFTER - 1]:
        assert world.standing(TP) == 20, "its exchange may be late to see the fill"
        assert marked(world) == "unprotected"
        world.outcomes = [(LegState.REFUSED, "reduce_only_rejected")]
        world.wait(pause_s + 0.1)
    world.settle()
    assert world.standing(SL) == world.standing(TP) == 0
    assert world.leg.linked is Linked.DONE


def test_one_that_cannot_be_placed_is_told_and_tried_again() -> None:
    world = World()
    world.outcomes = [(LegState.REFUSED, "odd"), (LegState.OPEN, "")] + [(LegState.REFUSED, "odd")] * 3
    world.fill(20)
    assert marked(world) == "unprotected"
    seen = len(world.exits)
    world.wait(0.1)
    assert len(world.exits) == seen, "not again at once"
    world.settle()
    assert marked(world) == "open"
    assert world.standing(SL) == world.standing(TP) == 20


def test_one_that_was_not_executed_is_the_same_order_again() -> None:
    world = World()
    world.outcomes = [(LegState.ABSENT, "unreachable")] * 2
    world.fill(20)
    assert world.leg.linked is Linked.UNPROTECTED
    world.settle()
    assert {(name.kind, name.number) for name in world.exits} == {(SL, 1), (TP, 1)}
    assert {world._leg(name).attempts for name in world.exits} == {2}


def test_what_its_owner_gave_up_is_not_placed_again() -> None:
    world = World()
    world.fill(10)
    world.owner_cancels(0)
    world.fill(4)
    world.settle()
    assert world.standing(SL) == 4
    assert world.standing(TP) == 14


@pytest.mark.parametrize("name", ["exit/", "exit/a/b/sl/1", "exit/a/1/xx/1", "exit/a/1/sl", "mine", "exit/a/1/sl/1/2"])
def test_what_is_no_name_of_an_exit(name: str) -> None:
    assert Exit.named(name) is None


# ---- all together ----------------------------------------------------------------------------------------------------

REFUSALS = ("would_trigger", "odd", "turned_away")
OUTCOMES = st.sampled_from(
    [
        (LegState.OPEN, ""),
        (LegState.UNKNOWN, ""),
        (LegState.ABSENT, "unreachable"),
        *((LegState.REFUSED, code) for code in REFUSALS),
    ]
)
STEPS = st.one_of(
    st.tuples(st.just("fill"), st.integers(1, 6)),
    st.tuples(st.just("fill and die"), st.integers(0, 4)),
    st.tuples(st.just("exit fills"), st.integers(0, 40)),
    st.tuples(st.just("cancelled"), st.just(0)),
    st.tuples(st.just("owner"), st.integers(0, 3)),
    st.tuples(st.just("resolve"), st.integers(0, 1)),
    st.tuples(st.just("wait"), st.integers(0, 40)),
    st.tuples(st.just("crash"), st.just(0)),
    st.tuples(st.just("end"), st.just(0)),
    st.tuples(st.just("outcomes"), st.lists(OUTCOMES, max_size=4)),
)


@settings(max_examples=examples(100, 400), deadline=None)
@example(
    steps=[
        ("outcomes", [(LegState.OPEN, ""), (LegState.REFUSED, "would_trigger"), (LegState.REFUSED, "turned_away")]),
        ("fill", 1),
        ("fill", 1),
        ("fill", 2),
        ("exit fills", 0),
    ]
).via("what is closed at the market late may be less than the market takes")
@given(st.lists(STEPS, max_size=30))
def test_the_exits_never_exceed_and_come_to_equal_what_is_open(
    steps: list[tuple[str, object]],
) -> None:
    world = World()
    for what, value in steps:
        number = value if isinstance(value, int) else 0
        match what:
            case "fill":
                world.fill(number)
            case "fill and die":
                world.fill(3, die_after=number)
            case "exit fills":
                world.exit_fills(number, number % 7 + 1)
            case "cancelled":
                world.cancels_come_through()
            case "owner":
                world.owner_cancels(number)
            case "resolve":
                world.unknown_resolves(found=bool(number))
            case "wait":
                world.wait(number)
            case "crash":
                world.crash()
            case "end":
                world.end()
            case "outcomes":
                assert isinstance(value, list)
                world.outcomes = list(value)
        world.check()
    world.settle()
    world.check()
    world.is_right()


def test_what_was_placed_on_another_exchange_since_is_not_followed_after_a_restart() -> None:
    """Absent here, and placed there: its newest leg, and what fills of it, is another connector's."""
    world = World()
    here = evolve(world.leg, state=LegState.ABSENT)
    there = evolve(here, number=2, exchange="y", state=LegState.FILLED, filled=Decimal(20), linked=None)
    for mark in (None, Linked.OPEN):
        parent = evolve(world.parent, legs=(here, evolve(there, linked=mark)))
        watch = world._new_watch()
        watch.recover([(parent, ())])
        assert watch.tick(world.now_s) == []
        assert watch.next_s() is None


def test_what_is_closed_at_the_market_late_is_no_more_than_what_is_still_open() -> None:
    """The take profit fills in part before the close at the market, which was not executed, is tried again."""
    world = World()
    world.outcomes = [(LegState.REFUSED, "would_trigger"), (LegState.ABSENT, "unreachable"), (LegState.OPEN, "")]
    world.fill(20)
    [profit] = world.live(TP)
    assert [world._leg(name).state for name in world.exits if name.kind is NOW[SL]] == [LegState.ABSENT]
    world._learn(profit, state=LegState.PARTIALLY_FILLED, filled=Decimal(12))
    world.outcomes = [(LegState.REFUSED, "would_trigger"), (LegState.OPEN, "")]
    world.wait(AGAIN_S[-1] + 1)
    world.settle()
    sent = [world._leg(name) for name in world.exits if name.kind is NOW[SL]]
    assert [(leg.state, int(leg.quantity)) for leg in sent] == [(LegState.ABSENT, 20), (LegState.FILLED, 8)]
    assert world.closed() == 20
    assert world.leg.linked is Linked.DONE


def test_an_order_that_fills_in_hundreds_of_pieces_keeps_its_exits() -> None:
    world = World(evolve(SPEC, quantity=Decimal(900)))
    for _ in range(300):
        world.fill(2)
        world.cancels_come_through()
        world.wait(2.0)
        world.cancels_come_through()
    world.settle()
    assert world.standing(SL) == world.standing(TP) == 600


def test_a_stop_that_its_owner_has_moved_stays_where_it_is_when_it_is_made_smaller() -> None:
    world = World()
    world.fill(20)
    [stop], [profit] = world.live(SL), world.live(TP)
    world._learn(stop, trigger_price=Decimal(95))
    world.moved = {SL: Decimal(95)}
    world._learn(profit, state=LegState.PARTIALLY_FILLED, filled=Decimal(8))
    world.wait(1.5)
    world.cancels_come_through()
    world.settle()
    [stop] = world.live(SL)
    trigger = world.exits[stop].spec.trigger
    assert trigger is not None
    assert (int(trigger.price), int(world.standing(SL))) == (95, 12)
