"""The judge finds what it is there to find: each kind of mistake, planted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app.domain import ids
from messages.orders import OrderKey
from tests.chaos.witness import Answer, Sent, Verdict, judge

JOURNAL, STRATEGY = "0a1b2c3d", "chaos"


def sent(name: str, answer: Answer = Answer.ACCEPTED, status: str = "Filled") -> Sent:
    """An order for 1, answered."""
    each = Sent(client_order_id=name, order_id="", qty=Decimal(1), sent_s=0.0, answered_s=0.1, status=status)
    each.told = each.answer = answer
    return each


def held(
    name: str, *, leg: int = 1, filled: str = "1", status: str = "filled", journal: str = JOURNAL
) -> dict[str, Any]:
    """The same order as an exchange has it."""
    wire_id = ids.wire_id(journal, OrderKey(strategy=STRATEGY, client_order_id=name), leg)
    return {"client_order_id": wire_id, "qty": "1", "filled": filled, "status": status}


def judged(orders: list[Sent], **books: list[dict[str, Any]]) -> Verdict:
    """By these books."""
    return judge(orders, books, journal_id=JOURNAL, strategy=STRATEGY)


def test_what_is_as_it_was_told_is_good() -> None:
    """Filled, filled in parts on two exchanges, resting, refused; and orders of somebody else."""
    verdict = judged(
        [sent("a"), sent("b"), sent("c", status="New"), sent("d", Answer.REFUSED), sent("e", Answer.NOT_EXECUTED)],
        bybit=[
            held("a"),
            held("b", filled="0.4", status="cancelled"),
            held("c", filled="0", status="open"),
            held("x", journal="ffffffff"),
            {"client_order_id": "a person's", "qty": "1", "filled": "1", "status": "filled"},
        ],
        okx=[held("b", leg=2, filled="0.6", status="cancelled"), held("e", filled="0", status="cancelled")],
    )
    assert verdict.good, verdict
    assert (verdict.orders, verdict.executed) == (5, 4)
    assert verdict.told == {"accepted": 3, "refused": 1, "not executed": 1}


@pytest.mark.parametrize(
    ("kind", "order", "books"),
    [
        ("lost", sent("a"), {}),
        ("lost", sent("a", Answer.NONE), {"bybit": [held("a")]}),
        ("lost", sent("a", Answer.UNKNOWN), {"bybit": [held("a")]}),
        ("lost", sent("a"), {"bybit": [held("a", filled="0.5", status="cancelled")]}),
        ("doubled", sent("a"), {"bybit": [held("a"), held("a")]}),
        ("doubled", sent("a"), {"bybit": [held("a")], "okx": [held("a", leg=2)]}),
        ("doubled", sent("a"), {"bybit": [held("a")], "okx": [held("a", leg=2, filled="0", status="open")]}),
        ("doubled", sent("a"), {"bybit": [held("a"), held("a", filled="0", status="cancelled")]}),
        ("denied", sent("a", Answer.REFUSED), {"bybit": [held("a")]}),
        ("denied", sent("a", Answer.NOT_EXECUTED), {"okx": [held("a", leg=2, filled="0", status="open")]}),
        ("unexplained", sent("a"), {"bybit": [held("a"), held("b")]}),
    ],
)
def test_each_mistake_is_found_and_only_it(kind: str, order: Sent, books: dict[str, list[dict[str, Any]]]) -> None:
    """One sentence in the right list, and none in another."""
    verdict = judged([order], **books)
    assert not verdict.good
    found = {name: len(getattr(verdict, name)) for name in ("lost", "doubled", "denied", "unexplained")}
    assert found == {**dict.fromkeys(found, 0), kind: 1}, verdict
