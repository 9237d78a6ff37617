"""What a call says of its exchange's health, and what it does not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.domain import calls as c
from app.domain.evidence import evidence_of
from messages.health import EvidenceKind, ProbeKind
from tests.domain.orders import BTC, spec

PLACE = c.PlaceCall(spec=spec(), quantity=Decimal(1), wire_id="w", committed_s=0.0, expiry_s=5.0, deadline_s=9.0)
CANCEL = c.CancelCall(symbol=BTC, wire_id="w", exchange_order_id=None, deadline_s=9.0)
READ = c.OpenOrdersCall(symbol=None, deadline_s=9.0)


@pytest.mark.parametrize(
    ("call", "result", "speaks"),
    [
        (PLACE, c.Refused(code="funds", words="no funds", native_code="1"), True),
        (PLACE, c.Ambiguous(code="timeout", words="no answer"), False),
        (PLACE, c.Ambiguous(code="duplicate", words="known", duplicate=True), True),
        (PLACE, c.NotExecuted(code="not_sent", words="too late to send"), None),
        (PLACE, c.NotExecuted(code="refused", words="connection refused", ill=True), False),
        (CANCEL, c.CancelConfirmed(final=None), True),
        (CANCEL, c.CancelTooLate(native_code=None, words="gone"), True),
        (READ, c.OpenOrders(reports=(), asked_s=1.0), True),
        (READ, c.CallFailed(code="no_room", words="our own limit"), None),
        (READ, c.CallFailed(code="maintenance", words="closed", ill=True), False),
        (c.ProbeCall(kind=ProbeKind.PUBLIC, deadline_s=9.0), c.ProbeOk(clock_offset_s=None), None),
    ],
)
def test_a_code_is_an_answer_and_what_was_not_sent_says_nothing(
    call: c.Call, result: c.Result, speaks: bool | None
) -> None:
    evidence = evidence_of("bybit", call, result, 1.0, 3.5)
    if speaks is None:
        assert evidence is None
        return
    assert evidence is not None
    assert evidence.ok is speaks
    assert (evidence.words == "") is speaks
    assert (evidence.exchange, evidence.latency_s, evidence.at_s) == ("bybit", 2.5, 3.5)


@pytest.mark.parametrize(
    ("call", "kind"), [(PLACE, EvidenceKind.PLACE), (CANCEL, EvidenceKind.CANCEL), (READ, EvidenceKind.READ)]
)
def test_the_kind_is_that_of_the_call(call: c.Call, kind: EvidenceKind) -> None:
    evidence = evidence_of("bybit", call, c.CallFailed(code="down", words="down", ill=True), 0.0, 1.0)
    assert evidence is not None
    assert evidence.kind is kind
