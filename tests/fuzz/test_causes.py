"""What goes wrong in simulated time has the same causes as over a real wire (`tests/exchanges/test_causes.py`)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from heapq import heappop, heappush
from random import Random

import pytest
from attrs import evolve

from app.domain import calls as c
from app.domain.evidence import evidence_of, probe_evidence
from app.domain.health_kinds import NO_ILLNESS
from app.domain.rates import RateLimit
from app.fuzz.exchange import SimExchange
from app.fuzz.faults import Fault, Weather, Window
from app.fuzz.record import Record
from app.fuzz.runner import SimRunner
from app.fuzz.sim_orders import Duplicates, Traits
from messages.health import Cause, Evidence, EvidenceKind, ProbeKind
from tests.domain.orders import BTC, spec

TIMEOUT_S = 5.0
CAUSES = {
    Fault.REFUSED: Cause.CONNECTION,
    Fault.HANG_BEFORE: Cause.SILENT,
    Fault.HANG_AFTER: Cause.SILENT,
    Fault.DROP_BEFORE: Cause.CONNECTION,
    Fault.DROP_AFTER: Cause.CONNECTION,
    Fault.OVERLOADED: Cause.SERVER,
    Fault.SERVER: Cause.SERVER,
    Fault.UNREACHABLE: Cause.LOCAL,
    Fault.MAINTENANCE: Cause.MAINTENANCE,
    Fault.BANNED: Cause.BANNED,
    Fault.CREDENTIALS: Cause.CREDENTIALS,
}
"""Faults after which there is no good answer; the others are answered, late or with what is old."""
PUBLIC = (EvidenceKind.PUBLIC_PROBE, EvidenceKind.STATUS_PROBE, EvidenceKind.MARKET_PROBE)


class Wire:
    """One runner, and simulated time."""

    def __init__(self, fault: Fault | None) -> None:
        self.now_s = 100.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0
        proof = c.Proof(enforcement=c.ExpiryEnforcement.ENGINE, validity_s=5.0, lateness_s=0.0, visibility_s=0.1)
        traits = Traits(
            name="okx",
            proof=proof,
            rate_limit=RateLimit(per_s=100.0, burst=100),
            duplicates=Duplicates.ALL_ORDERS,
            clock_s=0.0,
            acknowledges=False,
            final_cancels=True,
        )
        self.exchange = SimExchange(
            traits=traits, rng=Random(1), now=lambda: self.now_s, later=self._later, note=lambda who, words: None
        )
        windows = [] if fault is None else [Window("okx", 0.0, 1e9, (fault,))]
        self.runner = SimRunner(
            self.exchange,
            weather=Weather(windows, 0.0, 1e9, Random(2)),
            rng=Random(3),
            record=Record(),
            now=lambda: self.now_s,
            later=self._later,
            announce=lambda waits: None,
            touch=lambda where: None,
            sent=lambda name, call, serial: None,
        )

    def _later(self, after_s: float, function: Callable[[], None]) -> None:
        self._serial += 1
        heappush(self._due, (self.now_s + after_s, self._serial, function))

    def ask(self, call: c.Call) -> tuple[c.Result, float]:
        """What comes of a call, and when it was sent."""
        sent_s = self.now_s
        self.runner.submit(1, call)
        while not (results := self.runner.drain()):
            self.now_s, _, function = heappop(self._due)
            function()
        return results[0][1], sent_s

    def seen(self) -> list[Evidence]:
        """Of a placement, a cancel, a read and both probes."""
        end_s = self.now_s + TIMEOUT_S
        place = c.PlaceCall(
            spec=evolve(spec(), stop_loss=Decimal(1)),
            quantity=Decimal(1),
            wire_id="w",
            committed_s=self.now_s,
            expiry_s=self.now_s + 60,
            deadline_s=end_s,
        )
        asked: list[tuple[c.Call, ProbeKind | None]] = [
            (place, None),
            (c.CancelCall(symbol=BTC, wire_id="w", exchange_order_id=None, deadline_s=end_s), None),
            (c.OpenOrdersCall(symbol=None, deadline_s=end_s), None),
            *((c.ProbeCall(kind=kind, deadline_s=end_s), kind) for kind in (ProbeKind.PUBLIC, ProbeKind.SIGNED)),
            (c.StatusCall(deadline_s=end_s), ProbeKind.STATUS),
            (c.TickerCall(symbol=BTC, deadline_s=end_s), ProbeKind.MARKET),
        ]
        found = []
        for call, kind in asked:
            call = evolve(call, deadline_s=self.now_s + TIMEOUT_S)
            result, sent_s = self.ask(call)
            if kind is None:
                found.append(evidence_of("okx", call, result, sent_s, self.now_s))
            else:
                found.append(probe_evidence("okx", kind, result, sent_s, self.now_s))
        assert None not in found
        return [each for each in found if each is not None]


@pytest.mark.parametrize(("fault", "cause"), CAUSES.items())
def test_a_fault_has_its_cause(fault: Fault, cause: Cause) -> None:
    """Of every kind of call; of credentials those that need them."""
    spared = PUBLIC if fault is Fault.CREDENTIALS else ()
    seen = {each.kind: (each.cause, each.ok) for each in Wire(fault).seen()}
    assert seen == {kind: (None, True) if kind in spared else (cause, cause in NO_ILLNESS) for kind in seen}
    assert len(seen) == 7


@pytest.mark.parametrize("fault", [None, Fault.STALE])
def test_what_is_answered_has_none(fault: Fault | None) -> None:
    """And brings what was read: a mark of balances and of prices, no notice."""
    by_kind = {each.kind.value: each for each in Wire(fault).seen()}
    assert {(each.ok, each.cause, each.words) for each in by_kind.values()} == {(True, None, "")}
    assert {kind for kind, each in by_kind.items() if each.mark} == {"signed_probe", "market_probe"}
    assert by_kind["status_probe"].notice is None


def test_every_fault_is_known_here() -> None:
    """A new one is to be given a cause, or counted among those that are answered."""
    answered = {Fault.LATE, Fault.SLOW, Fault.SLUGGISH, Fault.READS_FAIL, Fault.STALE}
    assert set(Fault) == set(CAUSES) | answered
