"""Every way an exchange breaks, met by every call: what is done to one request, and what the books say afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from attrs import evolve, field, frozen

from app.domain import calls
from app.domain.evidence import NOT_REACHED
from app.simulator.fault_rules import PORT, Kind
from messages.health import ProbeKind
from messages.orders import LegState
from tests.conformance.cells import NOTHING, Seen, Verdict
from tests.conformance.judge import Truth, is_unsupported, judged
from tests.conformance.stand import Declined, Stand, Weaker, Wrong
from tests.exchanges.desk import Desk, until, wire_id

CALLS = ("place", "cancel", "amend", "look-up")
LOOKED_AT = ("place", "look-up")
LATE_S = 0.45
"""After the hasty desk has given up."""
VALIDITY_S, PAST_S = 0.7, 1.6
"""Of an order that is executed after its expiry, by more than a clock can be wrong that is told in whole seconds."""


@frozen(kw_only=True)
class Fault:
    """One row.

    Attributes:
        executed: Whether the exchange executes what was asked; None where that is its own affair.
        hasty: The answer does not come: asked by a desk that does not wait long.
        proven: It is certain that nothing was executed, since the exchange, or the network, says so.
        only: The calls it can meet.
    """

    title: str
    kind: Kind
    executed: bool | None
    params: Mapping[str, Any] = field(factory=dict)
    hasty: bool = False
    proven: bool = False
    only: tuple[str, ...] = CALLS

    @property
    def row(self) -> str:
        """What the table calls it."""
        done = {True: "executed", False: "not executed", None: ""}[self.executed]
        return f"{self.title}, {done}" if done else self.title


def _both(title: str, kind: Kind, **params: Any) -> list[Fault]:
    return [
        Fault(title=title, kind=kind, executed=executed, params={**params, "executed": executed})
        for executed in (False, True)
    ]


FAULTS: tuple[Fault, ...] = (
    Fault(title="connection refused", kind=Kind.REFUSED, executed=False, proven=True),
    Fault(title="connecting hangs", kind=Kind.CONNECT_HANGS, executed=False, proven=True, hasty=True),
    Fault(title="black hole", kind=Kind.BLACKHOLE, executed=False, hasty=True),
    Fault(title="hangs before", kind=Kind.HANG_BEFORE, executed=False, hasty=True),
    Fault(title="hangs after", kind=Kind.HANG_AFTER, executed=True, hasty=True),
    Fault(title="late, after we gave up", kind=Kind.LATE, executed=True, params={"delay_s": LATE_S}, hasty=True),
    *(Fault(title=f"dropped by {how.upper()}", kind=kind, executed=executed, params={"how": how})
      for how in ("fin", "rst")
      for kind, executed in ((Kind.DROP_BEFORE, False), (Kind.DROP_AFTER, True))),
    *(Fault(title="lossy", kind=Kind.LOSSY, executed=bool(share), params={"probability": 1, "executed_share": share})
      for share in (0, 1)),
    *_both("answer truncated by FIN", Kind.TRUNCATED, how="fin"),
    *_both("answer truncated by RST", Kind.TRUNCATED, how="rst"),
    *_both("half the JSON", Kind.HALF_JSON),
    *_both("200, empty", Kind.EMPTY),
    *_both("200, HTML", Kind.HTML_200),
    *_both("500, HTML", Kind.HTTP_5XX, status=500),
    *_both("502, HTML", Kind.HTTP_5XX, status=502),
    *_both("503, HTML", Kind.HTTP_5XX, status=503),
    *_both("504, HTML", Kind.HTTP_504),
    Fault(title="429 with Retry-After", kind=Kind.HTTP_429, executed=False, proven=True),
    Fault(title="418 with Retry-After", kind=Kind.HTTP_418, executed=False, proven=True),
    Fault(title="maintenance, its own words", kind=Kind.MAINTENANCE, executed=False, proven=True),
    Fault(title="busy, its own words", kind=Kind.BUSY, executed=False),
    *_both("time-out unknown, its own words", Kind.TIMEOUT_UNKNOWN),
    Fault(title="key refused, its own words", kind=Kind.AUTH, executed=False, proven=True),
    Fault(title="clock refused, its own words", kind=Kind.CLOCK, executed=False, proven=True),
    Fault(title="market suspended", kind=Kind.SUSPENDED, executed=False, proven=True, only=("place",)),
    Fault(title="market suspended", kind=Kind.SUSPENDED, executed=None, only=("cancel", "amend", "look-up")),
    Fault(title="slow, in time", kind=Kind.SLOW, executed=True, params={"delay_s": 0.05}),
    Fault(title="slow, too slow", kind=Kind.SLOW, executed=True, params={"delay_s": 2.0}, hasty=True),
    Fault(title="late, past its expiry", kind=Kind.LATE, executed=None, params={"delay_s": PAST_S}, hasty=True,
          only=("place",)),
    Fault(title="acknowledged", kind=Kind.ACKNOWLEDGED, executed=False, only=("cancel", "amend")),
    Fault(title="executed twice", kind=Kind.DOUBLE, executed=True, only=("place",)),
    Fault(title="not visible yet", kind=Kind.NOT_VISIBLE, executed=True, params={"delay_s": 0.8}, only=LOOKED_AT),
    Fault(title="stale books", kind=Kind.STALE, executed=True, only=("look-up",)),
)  # fmt: skip
MEETS = {"place": "place", "cancel": "cancel", "amend": "amend", "look-up": "*"}
"""The simulator's name of the requests a call makes; a look-up makes several, and all of them are met."""


@frozen
class Ring:
    """Where faults are met: the same account at two desks, of which one waits for answers and one does not for long."""

    patient: Stand
    hasty: Stand

    def desk(self, fault: Fault) -> Desk:
        """The one that asks."""
        return (self.hasty if fault.hasty else self.patient).desk

    def meet(self, call: str, fault: Fault) -> Seen:
        """One cell. Raises Wrong or Declined where it does not come to the fault."""
        if call not in fault.only:
            return NOTHING
        return _MEETINGS[call](self, fault)

    def broken(self, fault: Fault, call: str) -> None:
        """From now on the exchange is broken so."""
        at = self.patient.desk
        at.truthful.fault(fault.kind, call="*" if fault.kind in PORT else MEETS[call], params=fault.params)
        if fault.kind in PORT:  # kept connections have ended by then, and that is known here
            asked = self.desk(fault)
            until(lambda: getattr(asked.probe(ProbeKind.PUBLIC), "code", "") in NOT_REACHED, means="a closed port")

    def mend(self) -> None:
        """No faults."""
        self.patient.desk.truthful.clear_faults()

    def settled(self, fault: Fault, happened: Callable[[], bool]) -> bool:
        """Whether it happened, by the books; what happens late is waited for."""
        if fault.kind is Kind.LATE:
            until(happened, means="the late execution")
        return happened()


def _place(ring: Ring, fault: Fault) -> Seen:
    if fault.kind is Kind.LATE and fault.executed is None:
        return _place_past_expiry(ring, fault)
    desk, wire = ring.desk(fault), wire_id()
    ring.broken(fault, "place")
    answer = desk.place(desk.spec(), wire)
    ring.mend()
    executed = ring.settled(fault, lambda: bool(desk.truth(wire)))
    return judged("place", answer, Truth(executed=executed, expected=fault.executed, proven=fault.proven))


def _place_past_expiry(ring: Ring, fault: Fault) -> Seen:
    """Admitted in time; whether the engine looks at the expiry is the exchange's own affair, and the cell tells."""
    desk, wire, marker = ring.desk(fault), wire_id(), wire_id()
    ring.broken(fault, "place")
    answer = desk.place(desk.spec(), wire, validity_s=VALIDITY_S)
    desk.place(desk.spec(), marker)
    ring.mend()
    until(lambda: bool(desk.truth(marker)), means="one that is valid being executed as late")
    executed = bool(desk.truth(wire))
    seen = judged("place", answer, Truth(executed=executed, expected=None))
    return evolve(seen, text=f"{seen.text}, {'executed' if executed else 'never executed'}")


def _acknowledged(ring: Ring, fault: Fault, wire: str, call: str, answer: object) -> Seen:
    """It said that it would be done, or that it was: then a look-up has to say that it was not."""
    if is_unsupported(answer):
        return judged(call, answer, Truth(executed=False, expected=False))
    ring.patient.got(answer, calls.CancelConfirmed if call == "cancel" else calls.Amended)
    shown = getattr(answer, "final", None) or getattr(answer, "report", None)
    ring.patient.expect(ring.patient.found(wire).state, LegState.OPEN, "The state told")
    return Seen(verdict=Verdict.GOOD, text="taken at its word" if shown is not None else "to be looked up")


def _cancel(ring: Ring, fault: Fault) -> Seen:
    desk = ring.desk(fault)
    wire, report = ring.patient.place(desk.spec())
    ring.broken(fault, "cancel")
    answer = desk.cancel(wire, order_id=report.exchange_order_id)
    ring.mend()
    if fault.kind is Kind.ACKNOWLEDGED:
        return _acknowledged(ring, fault, wire, "cancel", answer)
    executed = ring.settled(fault, lambda: desk.truth(wire)[0]["status"] == "cancelled")
    return judged("cancel", answer, Truth(executed=executed, expected=fault.executed, proven=fault.proven))


def _amend(ring: Ring, fault: Fault) -> Seen:
    """To a smaller quantity, which is what most exchanges can do."""
    desk = ring.desk(fault)
    spec = desk.spec("0.03")
    wire, report = ring.patient.place(spec)
    ring.broken(fault, "amend")
    answer = desk.amend(wire, spec, quantity="0.02", order_id=report.exchange_order_id)
    ring.mend()
    if fault.kind is Kind.ACKNOWLEDGED:
        return _acknowledged(ring, fault, wire, "amend", answer)
    if is_unsupported(answer):
        executed = Decimal(desk.truth(wire)[0]["qty"]) != Decimal("0.03")
    else:
        executed = ring.settled(fault, lambda: Decimal(desk.truth(wire)[0]["qty"]) == Decimal("0.02"))
    return judged("amend", answer, Truth(executed=executed, expected=fault.executed, proven=fault.proven))


def _look_up(ring: Ring, fault: Fault) -> Seen:
    """Of an order that rests. What cannot be read may not be taken for absence."""
    desk = ring.desk(fault)
    hides = fault.kind in (Kind.NOT_VISIBLE, Kind.STALE)
    if hides:
        desk.truthful.fault(fault.kind, params=fault.params)
        ring.patient.place(desk.spec())
        wire = _newest(desk)
    else:
        wire, _ = ring.patient.place(desk.spec())
        ring.broken(fault, "look-up")
    answer = desk.look_up(wire)
    ring.mend()
    hidden = False
    if isinstance(answer, calls.NotFound) and hides:
        born_s = desk.truth(wire)[0]["created_ms"] / 1000
        hidden = answer.asked_s < born_s + desk.port.proof.visibility_s
    if isinstance(answer, calls.Found):
        ring.patient.agrees(answer.report, ring.patient.order(wire))
    return judged("look-up", answer, Truth(executed=True, expected=None, hidden=hidden))


def _newest(desk: Desk) -> str:
    orders: list[dict[str, Any]] = desk.truthful.truth()["orders"]
    return str(max(orders, key=lambda order: order["created_ms"])["client_order_id"])


_MEETINGS: Mapping[str, Callable[[Ring, Fault], Seen]] = {
    "place": _place,
    "cancel": _cancel,
    "amend": _amend,
    "look-up": _look_up,
}


def observed(ring: Ring, call: str, fault: Fault) -> Seen:
    """One cell, whatever happens."""
    try:
        return ring.meet(call, fault)
    except Declined as refusal:
        return Seen(verdict=Verdict.REFUSED, text="unsupported", words=str(refusal))
    except Weaker as weaker:
        return Seen(verdict=Verdict.WEAK, text="ambiguous", words=str(weaker))
    except Wrong as wrong:
        return Seen(verdict=Verdict.WRONG, text="wrong", words=str(wrong))
    except Exception as error:  # told: an exception where a typed result was due is what this is about
        return Seen(verdict=Verdict.WRONG, text="wrong", words=f"{type(error).__name__}: {error}")
