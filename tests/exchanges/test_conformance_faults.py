"""Every way an exchange breaks while an order is placed or cancelled, on every exchange: what the port makes of it.

The exchange's own truth says whether the order executed; the port may say so only where it has proof.
"""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from app.domain.calls import (
    Ambiguous,
    CallFailed,
    CancelConfirmed,
    CancelTooLate,
    Found,
    NotExecuted,
    NotFound,
    PlaceCall,
    Placed,
    ProbeOk,
)
from messages.health import ProbeKind
from messages.orders import LegState
from tests.exchanges.desk import TIMEOUT_S, Desk, spec, until, wire_id

FAULTS: list[tuple[str, dict[str, Any], str, bool]] = [
    ("blackhole", {}, "timeout", False),
    ("hang_before", {}, "timeout", False),
    ("hang_after", {}, "timeout", True),
    ("drop_before", {}, "connection_lost", False),
    ("drop_after", {}, "connection_lost", True),
    ("http_5xx", {}, "exchange_unavailable", False),
    ("http_5xx", {"executed": True}, "exchange_unavailable", True),
    ("http_5xx", {"status": 500, "executed": True}, "exchange_unavailable", True),
    ("half_json", {"executed": False}, "bad_response", False),
    ("half_json", {}, "bad_response", True),
]
"""Kind, parameters, what the port calls it, whether the exchange executed."""

NAMES = [f"{kind}-{'executed' if executed else 'not'}-{i}" for i, (kind, _, _, executed) in enumerate(FAULTS)]


@pytest.mark.parametrize(("kind", "params", "code", "executed"), FAULTS, ids=NAMES)
def test_a_placement_without_an_answer_is_ambiguous_and_sent_once(
    desk: Desk, kind: str, params: dict[str, Any], code: str, executed: bool
) -> None:
    """Executed or not: only a look-up can tell, and nothing below the port sends it again."""
    wire = wire_id()
    sent = desk.seen("place")
    desk.truthful.fault(kind, call="place", params=params)
    answer = desk.place(spec(), wire)
    desk.truthful.clear_faults()
    assert isinstance(answer, Ambiguous)
    assert (answer.code, answer.native_code, answer.duplicate) == (code, None, False)
    assert desk.name in answer.words
    assert len(desk.truth(wire)) == executed
    assert desk.seen("place") == sent + 1
    found = desk.look_up(wire)
    assert isinstance(found, Found if executed else NotFound)


@pytest.mark.parametrize(("kind", "params", "code", "executed"), FAULTS, ids=NAMES)
def test_a_cancel_without_an_answer_is_not_known_and_sent_once(
    desk: Desk, kind: str, params: dict[str, Any], code: str, executed: bool
) -> None:
    """aiohttp would send Binance's cancel, a DELETE, a second time."""
    wire = wire_id()
    assert isinstance(desk.place(spec(), wire), Placed)
    sent = desk.seen("cancel")
    desk.truthful.fault(kind, call="cancel", params=params)
    answer = desk.cancel(wire)
    desk.truthful.clear_faults()
    assert isinstance(answer, CallFailed)
    assert (answer.code, answer.ill, answer.retryable) == (code, True, True)
    assert desk.truth(wire)[0]["status"] == ("cancelled" if executed else "open")
    assert desk.seen("cancel") == sent + 1
    again = desk.cancel(wire)
    assert isinstance(again, CancelTooLate if executed else CancelConfirmed)


def test_a_refused_connection_proves_that_nothing_executed(desk: Desk) -> None:
    """For a placement, a cancel and everything else; and speaks against the exchange."""
    wire = wire_id()
    fault = desk.truthful.fault("refused")
    # Kept connections end a moment after the port is closed; what was written to one before is ambiguous, rightly.
    until(lambda: getattr(desk.probe(ProbeKind.PUBLIC), "code", "") == "exchange_unreachable")
    placed, cancelled, found = desk.place(spec(), wire), desk.cancel(wire), desk.look_up(wire)
    probes = [desk.probe(kind) for kind in (ProbeKind.PUBLIC, ProbeKind.SIGNED)]
    desk.truthful.clear_fault(fault)
    assert isinstance(placed, NotExecuted)
    assert (placed.code, placed.ill, placed.native_code) == ("exchange_unreachable", True, None)
    for failed in (cancelled, found, *probes):
        assert isinstance(failed, CallFailed)
        assert (failed.code, failed.ill) == ("exchange_unreachable", True)
    assert desk.truth(wire) == []
    until(lambda: isinstance(desk.probe(ProbeKind.SIGNED), ProbeOk))


def test_a_slow_answer_is_an_answer(desk: Desk) -> None:
    """While it comes in time."""
    wire = wire_id()
    desk.truthful.fault("slow", call="place", params={"delay_s": 0.1})
    assert isinstance(desk.place(spec(), wire), Placed)


def test_an_order_may_arrive_after_it_was_given_up(desk: Desk) -> None:
    """The look-up finds nothing, and then the exchange executes: within its validity, absence is not proven."""
    wire = wire_id()
    desk.truthful.fault("late", call="place", params={"delay_s": 1.5 * TIMEOUT_S})
    assert isinstance(desk.place(spec(), wire), Ambiguous)
    desk.truthful.clear_faults()
    assert isinstance(desk.look_up(wire), NotFound)
    until(lambda: desk.truth(wire))
    assert isinstance(desk.look_up(wire), Found)


def test_an_order_may_be_invisible_at_first(desk: Desk) -> None:
    """Not found does not prove absence before the visibility lag is over."""
    wire = wire_id()
    desk.truthful.fault("not_visible", call="place", params={"delay_s": 0.3})
    assert isinstance(desk.place(spec(price=None), wire), Placed)
    assert len(desk.truth(wire)) == 1
    assert isinstance(desk.look_up(wire), NotFound)
    until(lambda: isinstance(desk.look_up(wire), Found))


def test_an_order_that_executed_twice_is_not_hidden(desk: Desk) -> None:
    """It is found; where the exchange's fills show both, what filled is the sum."""
    wire = wire_id()
    desk.truthful.fault("double", call="place")
    assert isinstance(desk.place(spec(price=None), wire), Placed)
    desk.truthful.clear_faults()
    assert len(desk.truth(wire)) == 2
    found = desk.look_up(wire)
    assert isinstance(found, Found)
    assert found.report.state is LegState.FILLED
    if desk.name == "kraken":  # whose fills tell the wire id
        assert found.report.filled == Decimal("0.02")


def test_many_calls_at_once_do_not_mix_their_evidence(desk: Desk) -> None:
    """One hangs, the others succeed: each gets its own result, and tearing down the first harms none."""
    wires = [wire_id() for _ in range(12)]
    desk.truthful.fault("hang_after", call="place", count=1)
    now_s = desk.clock()
    placements = [
        PlaceCall(
            spec=spec(),
            quantity=Decimal("0.01"),
            wire_id=wire,
            committed_s=now_s,
            expiry_s=now_s + 5,
            deadline_s=now_s + 3,
        )
        for wire in wires
    ]

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(desk.port.perform(call) for call in placements))

    results = desk.loop.run(all_at_once())
    assert sorted(type(result).__name__ for result in results) == ["Ambiguous"] + ["Placed"] * 11
    for wire, result in zip(wires, results, strict=True):
        assert len(desk.truth(wire)) == 1
        if isinstance(result, Placed):
            assert result.report.exchange_order_id == desk.truth(wire)[0]["order_id"]
