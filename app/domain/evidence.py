"""What a real call says of its exchange's health."""

from __future__ import annotations

from app.domain import calls as c
from messages.health import Evidence, EvidenceKind


def evidence_of(exchange: str, call: c.Call, result: c.Result, sent_s: float, now_s: float) -> Evidence | None:
    """Evidence from one call; None for a probe, whose asker makes its own, and for what never reaches the exchange.

    None for a list of executions either: history that is not told is no reason to trade elsewhere.

    A refusal by a code is an answer, so it speaks for the exchange. What was never sent says nothing: it is evidence
    only where it was sent in vain (`ill`).
    """
    match call:
        case c.ProbeCall() | c.DryCall() | c.FillsCall():
            return None
        case c.PlaceCall():
            kind = EvidenceKind.PLACE
        case c.CancelCall():
            kind = EvidenceKind.CANCEL
        case _:
            kind = EvidenceKind.READ
    words = ""
    match result:
        case c.Ambiguous(duplicate=False, words=words):
            ok = False
        case c.NotExecuted(ill=ill, words=words) | c.CallFailed(ill=ill, words=words):
            if not ill:
                return None
            ok = False
        case _:
            ok = True
    return Evidence(
        exchange=exchange, kind=kind, ok=ok, words=words if not ok else "", latency_s=now_s - sent_s, at_s=now_s
    )
