"""The oldest call of each kind that is not answered: told of at ages that double, and at no other time."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import calls as c
from app.domain.unanswered import FIRST_S, Unanswered
from messages.health import EvidenceKind, ProbeKind, Waiting
from tests.domain.orders import BTC, spec

PLACE = c.PlaceCall(spec=spec(), quantity=Decimal(1), wire_id="w", committed_s=0.0, expiry_s=5.0, deadline_s=9.0)
CANCEL = c.CancelCall(symbol=BTC, wire_id="w", exchange_order_id=None, deadline_s=9.0)
READ = c.OpenOrdersCall(symbol=None, deadline_s=9.0)
SILENT = [
    c.ProbeCall(kind=ProbeKind.SIGNED, deadline_s=9.0),
    c.DryCall(deadline_s=9.0),
    c.StatusCall(deadline_s=9.0),
    c.FillsCall(symbol=BTC, since_s=0.0, deadline_s=9.0),
]


def tells(waits: Unanswered, now_s: float) -> tuple[Waiting, ...]:
    """What is told at a moment."""
    waits.tick(now_s)
    return waits.to_tell()


def ages(waits: Unanswered, until_s: float) -> list[tuple[EvidenceKind, float]]:
    """What is told until then, each as soon as it is due: kind, and how old the call is."""
    told = []
    while (due_s := waits.next_s()) is not None and due_s <= until_s:
        told += [(each.kind, each.at_s - each.sent_s) for each in tells(waits, due_s)]
    return told


def test_a_call_that_never_comes_back_is_told_of_a_few_times() -> None:
    waits = Unanswered("okx")
    waits.sent(1, PLACE, 0.0)
    assert tells(waits, 0.2) == ()
    assert ages(waits, 20.0) == [(EvidenceKind.PLACE, age) for age in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)]
    assert len(ages(waits, 1e9)) == 2
    assert waits.next_s() is None
    waits.answered(1, PLACE, 20.0)
    assert waits.next_s() is None


def test_what_is_answered_soon_is_not_told_of() -> None:
    waits = Unanswered("okx")
    for number in range(100):
        waits.sent(number, PLACE, number * 0.1)
        waits.answered(number, PLACE, number * 0.1 + 0.09)
    assert (tells(waits, 10.0), waits.next_s()) == ((), None)


def test_each_kind_has_its_own_oldest() -> None:
    waits = Unanswered("okx")
    each: list[c.Call] = [PLACE, CANCEL, READ]
    for number, call in enumerate(each):
        waits.sent(number, call, 0.1 * number)
    told = ages(waits, 0.5)
    kinds = [EvidenceKind.PLACE, EvidenceKind.CANCEL, EvidenceKind.READ, EvidenceKind.PLACE]
    assert [kind for kind, _ in told] == kinds
    waits.answered(0, PLACE, 0.5)
    assert {kind for kind, _ in ages(waits, 2.0)} == {EvidenceKind.CANCEL, EvidenceKind.READ}


def test_after_an_answer_the_next_oldest_is_told_of_at_the_next_age_it_reaches() -> None:
    waits = Unanswered("okx")
    waits.sent(1, READ, 0.0)
    waits.sent(2, READ, 0.9)
    assert len(ages(waits, 3.0)) == 4
    waits.answered(1, READ, 3.0)
    assert waits.next_s() == pytest.approx(0.9 + 4.0)
    waits.answered(2, READ, 3.1)
    assert waits.next_s() is None


@pytest.mark.parametrize("call", SILENT)
def test_what_is_no_evidence_is_not_waited_for(call: c.Call) -> None:
    waits = Unanswered("okx")
    waits.sent(1, call, 0.0)
    assert waits.next_s() is None
    waits.answered(1, call, 1.0)


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.one_of(st.none(), st.floats(0.001, 40.0))), max_size=12))
def test_any_calls_are_told_of_rarely_and_truly(plan: list[tuple[float, float | None]]) -> None:
    """Only what is still waiting, the oldest, and for each silence no more often than its ages double."""
    events: list[tuple[float, int, bool]] = []
    for number, (at_s, takes_s) in enumerate(plan):
        events.append((at_s, number, True))
        if takes_s is not None:
            events.append((at_s + takes_s, number, False))
    waits, open_s, told = Unanswered("okx"), dict[int, float](), 0
    for at_s, number, begins in sorted(events):
        while (due_s := waits.next_s()) is not None and due_s < at_s:
            (waiting,) = tells(waits, due_s)
            told += 1
            assert waiting.sent_s == min(open_s.values())
            assert waiting.at_s - waiting.sent_s >= FIRST_S - 1e-5
        if begins:
            open_s[number] = at_s
            waits.sent(number, READ, at_s)
        else:
            del open_s[number]
            waits.answered(number, READ, at_s)
    assert told <= 9 * max(1, len(plan))
    assert open_s or waits.next_s() is None
