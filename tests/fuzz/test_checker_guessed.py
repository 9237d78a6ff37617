"""What was told not to have executed must not have: but where the refused request had another body than the order."""

from __future__ import annotations

from decimal import Decimal

from app.fuzz import record as r
from app.fuzz.checker import check
from messages.orders import Told
from tests.fuzz.forged import START_S, leg, order, seen, sent


def refused(told: Told, first: str) -> list[str]:
    """The rules broken where an order was asked for with two bodies, and the first of them executed."""
    asked = [
        r.Asked(START_S + 10.0, "s", 1, request, kind, 1, START_S + 14.0, Decimal(quantity), Decimal(20_000))
        for request, kind, quantity in (("1/a", "place", "1"), ("1/b", "other", "0.5"))
    ]
    heard = r.Heard(START_S + 13.0, "s", 1, "1/a", "place", told, 1, None, None, "")
    other = r.Heard(START_S + 12.0, "s", 1, "1/b", "other", Told.ACCEPTED, 1, None, None, "")
    handed = sent("a", 11.0, "w", quantity=first)
    there = leg("a", 11.1, wire_id="w", quantity=Decimal(first))
    return [each.rule for each in check(seen(*asked, handed, other, heard, orders=(there,), plans=(order(),)))]


def test_of_two_bodies_the_second_is_refused_and_nothing_is_guessed() -> None:
    assert "I2 guessed" not in refused(Told.REFUSED, "0.5")


def test_the_body_that_came_first_is_not_refused() -> None:
    assert "I2 guessed" in refused(Told.REFUSED, "1")


def test_what_executed_with_any_body_is_not_called_not_executed() -> None:
    assert "I2 guessed" in refused(Told.NOT_EXECUTED, "0.5")
