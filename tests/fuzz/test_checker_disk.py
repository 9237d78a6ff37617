"""What a power cut excuses: each rule that is listed, of whom the cut took something, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from attrs import evolve

from app.fuzz import record as r
from app.fuzz.checker_book import RULE as ADOPTED
from app.fuzz.checker_book import adopted_on
from app.fuzz.checker_disk import FORGOTTEN, KNEW_MORE, NUMBERED, TWICE, but_for_losses
from app.fuzz.checker_news import Violation
from app.fuzz.machine import Losses
from app.fuzz.rules import RULES
from app.fuzz.sim_orders import Duplicates, SimOrder
from app.fuzz.world import World
from messages.orders import OrderKey
from tests.fuzz.forged import START_S, leg, order, seen, sent, traits

SAME = "w1"
FIRST = leg("a", 10.0, wire_id=SAME, filled=order().quantity, ended_s=11.0)
AGAIN = leg("a", 20.0, wire_id=SAME, filled=order().quantity, ended_s=21.0)
NEVER_EXCUSED = [rule for rule in RULES if rule not in {*KNEW_MORE, *FORGOTTEN, *TWICE, *NUMBERED, ADOPTED}]


def world(losses: Losses, *orders: SimOrder, duplicates: Duplicates = Duplicates.OPEN_ONLY) -> World:
    """One whose power was cut; order 1 was sent under one id, order 2 under another."""
    record = r.Record()
    record.add(sent("a", 9.0, SAME))
    record.add(sent("a", 9.0, "w2", serial=2))
    exchanges = {
        name: SimpleNamespace(
            traits=evolve(traits(name), duplicates=duplicates), orders=[o for o in orders if o.exchange == name]
        )
        for name in ("a", "b")
    }
    made: Any = SimpleNamespace(
        machine=SimpleNamespace(losses=losses),
        record=record,
        plan=seen(plans=(order(), order(2))).plan,
        exchanges=exchanges,
    )
    return cast(World, made)


def knew_more(serial: int = 1) -> Losses:
    """The journal knew more of an order, and has its leg."""
    return Losses(orders={OrderKey(strategy="s", client_order_id=f"o{serial}")})


def forgotten(exchange: str = "a", wire_id: str = SAME) -> Losses:
    """It has forgotten the leg of an order."""
    return evolve(knew_more(1 if wire_id == SAME else 2), forgotten={(exchange, wire_id)})


def excused(rule: str, world: World, serial: int = 1, words: str = "") -> bool:
    """Whether it is."""
    return not but_for_losses(world, [Violation(rule, START_S + 30.0, serial, words)])


@pytest.mark.parametrize("rule", KNEW_MORE)
def test_less_may_be_known_of_an_order(rule: str) -> None:
    assert excused(rule, world(knew_more()))
    assert excused(rule, world(forgotten()))
    assert not excused(rule, world(knew_more(2)))
    assert not excused(rule, world(Losses()))


@pytest.mark.parametrize("rule", FORGOTTEN)
def test_a_leg_may_be_nobodys(rule: str) -> None:
    """But only one that is forgotten: of any other all is learnt again."""
    assert excused(rule, world(forgotten()))
    assert not excused(rule, world(knew_more()))
    assert not excused(rule, world(forgotten(wire_id="w2")))


@pytest.mark.parametrize("rule", TWICE)
def test_an_order_may_execute_twice_only_where_the_exchange_cannot_refuse_it(rule: str) -> None:
    live = leg("a", 10.0, wire_id=SAME)
    elsewhere = leg("b", 20.0, wire_id=SAME)
    assert excused(rule, world(forgotten(), FIRST, AGAIN))
    assert excused(rule, world(forgotten(), live, elsewhere, duplicates=Duplicates.ALL_ORDERS))
    assert not excused(rule, world(forgotten(), FIRST, AGAIN, duplicates=Duplicates.ALL_ORDERS))
    assert not excused(rule, world(forgotten(), live, AGAIN)), "it was open: the id is refused"
    assert not excused(rule, world(forgotten(), FIRST, evolve(AGAIN, wire_id="w3"))), (
        "another id guards against nothing"
    )
    assert not excused(rule, world(forgotten("b"), FIRST, AGAIN)), "what is forgotten is on another exchange"
    assert not excused(rule, world(knew_more(), FIRST, AGAIN)), "the leg is known"
    assert not excused(rule, world(forgotten(), FIRST)), "one leg alone has filled too much"


@pytest.mark.parametrize("rule", NUMBERED)
def test_news_may_be_numbered_again(rule: str) -> None:
    told, untold = "s heard up to 19 of 16", "s heard up to 14 of 16"
    assert excused(rule, world(Losses(strategies={"s"})), serial=0, words=told)
    assert not excused(rule, world(Losses(strategies={"other"})), serial=0, words=told)
    assert not excused(rule, world(forgotten()), words=told)
    if rule == "news not told":
        assert not excused(rule, world(Losses(strategies={"s"})), serial=0, words=untold)


def test_what_nobody_follows_is_adopted_where_it_filled() -> None:
    words = {name: f"+1 of BTC{adopted_on(name)}, and others traded +0" for name in ("a", "b")}
    there = world(forgotten(), FIRST)
    assert excused(ADOPTED, there, serial=0, words=words["a"])
    assert not excused(ADOPTED, there, serial=0, words=words["b"])
    assert not excused(ADOPTED, world(forgotten(), leg("a", 10.0, wire_id=SAME)), serial=0, words=words["a"])
    assert not excused(ADOPTED, world(knew_more(), FIRST), serial=0, words=words["a"])


@pytest.mark.parametrize("rule", NEVER_EXCUSED)
def test_nothing_else_is_excused(rule: str) -> None:
    """Though everything was forgotten, and told."""
    losses = evolve(forgotten(), strategies={"s"})
    for serial in (0, 1):
        assert not excused(rule, world(losses, FIRST, AGAIN), serial, "s heard")


def test_every_rule_that_is_listed_is_one() -> None:
    listed = [*KNEW_MORE, *FORGOTTEN, *TWICE, *NUMBERED]
    assert set(listed) <= RULES.keys()
    assert len(set(listed)) == len(listed)
    assert {"sent without an intent", "I1 accepted and absent", "I2 not answered in time"} <= set(NEVER_EXCUSED)
