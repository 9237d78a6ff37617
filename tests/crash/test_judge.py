"""The crash matrix's own rules: what counts as a difference, what as a lie, and which steps there are."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from messages.orders import LegState
from tests.crash.judge import difference, lie
from tests.crash.steps import BEGUN, KILLED, MOST_ALIKE, Passed, Plan, Step, lives, steps_of
from tests.domain.orders import leg, order

WIRE = leg(LegState.OPEN).wire_id


def there(status: str = "open", **changed: Any) -> dict[str, Any]:
    """An order as the books have it."""
    return {"status": status, "filled": "0", "qty": "1", "price": "100", "avg_price": None, **changed}


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (LegState.OPEN, "open"),
        (LegState.CANCELLED, "cancelled"),
        (LegState.CANCELLED, "expired"),
        (LegState.REFUSED, "rejected"),
    ],
)
def test_what_is_the_same_on_both_sides_differs_in_nothing(state: LegState, status: str) -> None:
    assert difference(order(leg(state)), {WIRE: [there(status)]}) == ""


def test_what_nobody_ever_had_differs_in_nothing() -> None:
    assert difference(None, {}) == ""
    for state in (LegState.ABSENT, LegState.REFUSED, LegState.CANCELLED):
        assert difference(order(leg(state)), {}) == ""


@pytest.mark.parametrize("state", [LegState.INTENT, LegState.UNKNOWN])
def test_what_is_in_doubt_is_not_the_same(state: LegState) -> None:
    assert difference(order(leg(state)), {})
    assert difference(order(leg(state)), {WIRE: [there()]})


@pytest.mark.parametrize(
    ("known", "found"),
    [
        (leg(LegState.OPEN), None),
        (leg(LegState.FILLED, filled="1"), None),
        (evolve(leg(LegState.ABSENT), filled=Decimal(1)), None),
        (leg(LegState.ABSENT), there()),
        (leg(LegState.OPEN), there("cancelled")),
        (leg(LegState.OPEN), there("filled", filled="1", avg_price="100")),
        (leg(LegState.CANCELLED), there("cancelled", filled="0.5", avg_price="100")),
        (
            evolve(leg(LegState.FILLED, filled="1"), average_price=Decimal(99)),
            there("filled", filled="1", avg_price="100"),
        ),
        (leg(LegState.OPEN), there(qty="2")),
        (leg(LegState.OPEN), there(price="101")),
        (evolve(leg(LegState.OPEN), most=Decimal(2)), there()),
    ],
)
def test_every_difference_is_said(known: Any, found: Any) -> None:
    assert difference(order(known), {WIRE: [found]} if found else {})


def test_one_that_is_there_twice_is_told_under_one_wire_id_and_under_two() -> None:
    assert "under one wire id" in difference(order(leg(LegState.OPEN)), {WIRE: [there(), there()]})
    second = leg(LegState.OPEN, number=2)
    both = order(leg(LegState.OPEN), second)
    assert "2 of its legs" in difference(both, {WIRE: [there()], second.wire_id: [there()]})
    refused = order(leg(LegState.REFUSED), second)
    assert difference(refused, {WIRE: [there("rejected")], second.wire_id: [there()]}) == ""


TOLD = {"orderStatus": "New", "qty": "1"}


@pytest.mark.parametrize(
    ("verb", "told", "error", "found"),
    [
        ("place", TOLD, "", None),
        ("place", None, "NoExchangeAvailable", there()),
        ("cancel", {**TOLD, "orderStatus": "Cancelled"}, "", there()),
        ("cancel", None, "InvalidRequest", there("cancelled")),
        ("cancel", TOLD, "", there()),
        ("amend", {**TOLD, "qty": "2"}, "", there()),
        ("amend", None, "OrderRefused", there(qty="2")),
        ("amend", TOLD, "", there()),
    ],
)
def test_every_lie_is_said(verb: str, told: Any, error: str, found: Any) -> None:
    assert lie(verb, told, error, found, "2")
    assert lie(verb, None, "unknown", found, "2") == ""


@pytest.mark.parametrize(
    ("verb", "told", "error", "found"),
    [
        ("place", TOLD, "", there()),
        ("place", None, "NoExchangeAvailable", None),
        ("cancel", {**TOLD, "orderStatus": "Cancelled"}, "", there("cancelled")),
        ("cancel", None, "InvalidRequest", there("filled")),
        ("amend", {**TOLD, "qty": "2"}, "", there(qty="2")),
        ("amend", None, "OrderRefused", there()),
    ],
)
def test_the_truth_is_no_lie(verb: str, told: Any, error: str, found: Any) -> None:
    assert lie(verb, told, error, found, "2") == ""


def test_steps_are_counted_in_each_life_from_where_it_begins(tmp_path: Path) -> None:
    names = ["before", BEGUN, "one", *(["again"] * (MOST_ALIKE + 1)), KILLED]
    first = [Passed(pid=1, at_s=n, name=name) for n, name in enumerate(names)]
    second = [Passed(pid=2, at_s=9, name="one")]
    assert [Passed.read(each.line()) for each in first] == first
    found = lives([*first, *second])
    assert steps_of(found[0]) == [Step("one"), *(Step("again", nth) for nth in range(1, MOST_ALIKE + 1))]
    assert steps_of(found[1]) == [Step("one")]
    plan = Plan(about=("a", "b"), ends=(Step("one"), Step("again", 2)))
    plan.written(tmp_path / "plan")
    assert Plan.read(tmp_path / "plan") == plan
