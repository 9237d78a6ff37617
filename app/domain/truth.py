"""What an exchange says of our orders against what the journal holds: the differences, in words.

The exchange is where truth is, and the journal holds what is proven of it, so a difference is not yet a fault: an order
that filled a moment ago has not been heard of. Whoever compares does so twice, with time between, and believes what is
there both times. Orders of other daemons and of people are counted, not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from attrs import field, frozen

from app.domain.calls import CallFailed, Found, NotFound, OrderReport, Result
from app.domain.ids import TAG, is_ours
from app.domain.leg_table import LIVE
from messages.market import Symbol
from messages.orders import LegState, LegView


@frozen(kw_only=True)
class Held:
    """A leg that may rest, or execute, by the journal.

    Attributes:
        conditional: It was placed with a trigger.
    """

    order_id: str
    symbol: Symbol
    conditional: bool
    leg: LegView

    @property
    def name(self) -> str:
        """For people."""
        return f"leg {self.leg.number} of order {self.order_id}"


@frozen(kw_only=True)
class Compared:
    """One exchange against the journal.

    Attributes:
        resting: Orders of this journal that rest there.
        others: Orders that rest there and are of other daemons.
        persons: Orders that rest there and are of no daemon.
        unproven: Legs of which the exchange knows nothing, and the journal nothing for certain: their proof takes time.
        differences: A sentence each, by wire id and kind.
        failed: Why the exchange could not be asked to the end; empty where it could.
    """

    exchange: str
    resting: int = 0
    others: int = 0
    persons: int = 0
    unproven: int = 0
    differences: Mapping[tuple[str, str], str] = field(factory=dict)
    failed: str = ""


def compare(
    exchange: str,
    journal_id: str,
    held: Mapping[str, Held],
    reports: Iterable[OrderReport],
    looked_up: Mapping[str, Result],
    known: Callable[[str], str],
) -> Compared:
    """One exchange's open orders, and what it says of legs that are not among them, against the journal.

    Args:
        held: Legs that are live or unproven on this exchange, by wire id.
        looked_up: By wire id, the answer for each of `held` that is not in `reports`.
        known: What the journal says of a wire id that is not in `held`: a name and a state; empty where it knows none.
    """
    found: dict[tuple[str, str], str] = {}
    resting = others = persons = unproven = 0
    failed = ""
    for report in reports:
        wire_id = report.wire_id or ""
        if wire_id in held:
            resting += 1
            found |= _unlike(exchange, held[wire_id], report)
        elif is_ours(wire_id, journal_id):
            resting += 1
            said = known(wire_id) or "the journal does not know it"
            words = f"{exchange}: order {report.exchange_order_id} rests there under {wire_id}, and {said}."
            found[wire_id, "rests"] = words
        elif wire_id.startswith(TAG) and len(wire_id) == 32:
            others += 1
        else:
            persons += 1
    for wire_id, result in looked_up.items():
        leg = held[wire_id]
        match result:
            case Found(report=report):
                found |= _unlike(exchange, leg, report)
            case NotFound():
                if leg.leg.state in LIVE:
                    words = "is not there, among open orders, closed orders and executions"
                    found[wire_id, "gone"] = f"{exchange}: {leg.name} is {leg.leg.state.value}, and {words}."
                else:
                    unproven += 1
            case CallFailed(words=words):
                failed = words
            case _:
                failed = f"{type(result).__name__} is no answer to a look-up"
    return Compared(
        exchange=exchange,
        resting=resting,
        others=others,
        persons=persons,
        unproven=unproven,
        differences=found,
        failed=failed,
    )


def both(first: Compared, second: Compared) -> Compared:
    """What was there both times."""
    lasting = {key: words for key, words in second.differences.items() if key in first.differences}
    return Compared(
        exchange=second.exchange,
        resting=second.resting,
        others=second.others,
        persons=second.persons,
        unproven=second.unproven,
        differences=lasting,
        failed=second.failed,
    )


def _unlike(exchange: str, held: Held, report: OrderReport) -> dict[tuple[str, str], str]:
    leg, out = held.leg, dict[tuple[str, str], str]()
    here, there = leg.state, report.state
    if (here in LIVE) != (there in LIVE) or (here not in LIVE and there is not here):
        words = f"{held.name} is {_state(here)}, and {there.value} there."
        out[leg.wire_id, "state"] = f"{exchange}: {words}"
    if report.filled is not None and report.filled != leg.filled:
        words = f"{leg.filled:f} of {held.name} has filled by the journal, and {report.filled:f} there."
        out[leg.wire_id, "filled"] = f"{exchange}: {words}"
    most = leg.quantity if leg.most is None else leg.most
    if report.quantity is not None and there in LIVE and not leg.quantity <= report.quantity <= most:
        words = f"{held.name} is for {leg.quantity:f} by the journal, and for {report.quantity:f} there."
        out[leg.wire_id, "quantity"] = f"{exchange}: {words}"
    return out


def _state(state: LegState) -> str:
    return state.value if state in LIVE else f"{state.value}, so that nobody knows,"
