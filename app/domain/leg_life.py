"""The life of a leg: one placement of an order on one exchange.

Theory. The exchange is where truth is; the journal holds what has been *proven* of it. Evidence arrives late, twice and
out of order: a look-up sent before a fill may be answered after it. So a leg moves only towards more knowledge, along
this partial order, and evidence that would move it back is stale and changes nothing:

    INTENT → UNKNOWN → OPEN → PARTIALLY_FILLED → FILLED | CANCELLED | EXPIRED
                     → REFUSED | ABSENT                      (nothing executed, proven)

`filled` never falls, for the same reason. Three moves look backward and are sound:

- ABSENT → INTENT (RECOMMITTED): absence was proven, so the same leg with the same wire id may be sent again; the
  exchange's own duplicate check still guards it.
- ABSENT → CANCELLED (WITHDRAWN): its owner cancelled it, so it is not to be sent again.
- REFUSED | ABSENT → OPEN … (evidence of life): the proof was wrong. It must never happen; if an exchange breaks its
  word, the truth is taken over and `contradiction` tells, because hiding it would lose an order.

An acknowledged order may still be refused: Bybit and OKX acknowledge the request, and their engine decides after. So
OPEN may become REFUSED, and the rest of a part fill CANCELLED.

A resting leg can be changed (quantity, price, trigger price), and these do not grow: what an exchange says of them last
is what holds. So a change is kept as an intent before it is sent (AMEND_SENT): from then on the leg may be for as much
as was asked (`most`), until evidence shows what it is, or that the change was not and will not be made (AMEND_SETTLED).

The table below says what each event makes of each state; a pair not in it is stale or illegal and changes nothing.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from attrs import evolve, frozen

from messages.orders import LegState


class LegEvent(StrEnum):
    """What can happen to a leg, or be learned of it."""

    SENT_AMBIGUOUS = "sent_ambiguous"
    SEEN_OPEN = "seen_open"
    SEEN_PARTIAL = "seen_partial"
    SEEN_FILLED = "seen_filled"
    SEEN_CANCELLED = "seen_cancelled"
    SEEN_EXPIRED = "seen_expired"
    REFUSED = "refused"
    PROVEN_ABSENT = "proven_absent"
    RECOMMITTED = "recommitted"
    WITHDRAWN = "withdrawn"
    AMEND_SENT = "amend_sent"
    AMEND_SETTLED = "amend_settled"


S, E = LegState, LegEvent
_SEEN = {
    E.SEEN_OPEN: S.OPEN,
    E.SEEN_PARTIAL: S.PARTIALLY_FILLED,
    E.SEEN_FILLED: S.FILLED,
    E.SEEN_CANCELLED: S.CANCELLED,
    E.SEEN_EXPIRED: S.EXPIRED,
}
_ONWARD = {event: state for event, state in _SEEN.items() if event is not E.SEEN_OPEN}

TABLE: dict[LegState, dict[LegEvent, LegState]] = {
    S.INTENT: {E.SENT_AMBIGUOUS: S.UNKNOWN, E.REFUSED: S.REFUSED, E.PROVEN_ABSENT: S.ABSENT} | _SEEN,
    S.UNKNOWN: {E.REFUSED: S.REFUSED, E.PROVEN_ABSENT: S.ABSENT} | _SEEN,
    S.OPEN: {E.REFUSED: S.REFUSED} | _ONWARD,
    S.PARTIALLY_FILLED: {E.REFUSED: S.CANCELLED} | _ONWARD,
    S.FILLED: {},
    S.CANCELLED: {E.SEEN_FILLED: S.FILLED},
    S.EXPIRED: {E.SEEN_FILLED: S.FILLED},
    S.REFUSED: dict(_SEEN),
    S.ABSENT: {E.RECOMMITTED: S.INTENT, E.WITHDRAWN: S.CANCELLED} | _SEEN,
}

LIVE = frozenset({S.OPEN, S.PARTIALLY_FILLED})
UNPROVEN = frozenset({S.INTENT, S.UNKNOWN})
DOUBTED = frozenset({S.UNKNOWN})
"""States of which an owner may have been told that nobody can know."""
TERMINAL = frozenset({S.FILLED, S.CANCELLED, S.EXPIRED, S.REFUSED})
"""States an order does not leave; ABSENT is not one of them, since its order may still be placed again."""

EXECUTED_NOTHING = frozenset({S.REFUSED, S.ABSENT})
CHANGES = frozenset({E.AMEND_SENT, E.AMEND_SETTLED})
"""Events of a change, not of the leg's own state."""

_EVENT_OF_REPORT = {state: event for event, state in _SEEN.items()} | {S.REFUSED: E.REFUSED}


def event_of_report(state: LegState) -> LegEvent:
    """The event that an exchange's report of an order in `state` is; KeyError for a state no exchange reports."""
    return _EVENT_OF_REPORT[state]


@frozen(kw_only=True)
class Terms:
    """What of a leg can be changed while it rests; None where nothing is said of it.

    Attributes:
        quantity: Base coin, of the whole leg, what has filled of it included.
    """

    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None


SAME = Terms()
"""Nothing is said of it."""


@frozen(kw_only=True)
class Leg:
    """What the life cycle needs to know of a leg.

    Attributes:
        filled: Base coin proven filled.
        average_price: Of what filled: by the leg's executions where all are known, else as the exchange reports it.
        listed: Base coin that the executions known of it add up to.
        contradiction: Set when a leg proven dead was seen alive.
        price: Where it was changed from what was asked at first; else None.
        most: Base coin it may be for, where a change in doubt asked for more than `quantity`.
    """

    state: LegState
    quantity: Decimal
    filled: Decimal = Decimal(0)
    average_price: Decimal | None = None
    contradiction: bool = False
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    most: Decimal | None = None
    listed: Decimal = Decimal(0)


def resolved(before: LegState, after: LegState) -> bool:
    """Whether nobody knew whether the leg executed, and now it is known."""
    return before in DOUBTED and after not in DOUBTED


def advance(
    leg: Leg,
    event: LegEvent,
    *,
    filled: Decimal | None = None,
    average_price: Decimal | None = None,
    terms: Terms = SAME,
    settles: bool = False,
) -> Leg:
    """The leg after an event; the same object when the event teaches nothing.

    Args:
        filled: Cumulative base coin the evidence reports; None where it does not say.
        average_price: Of what filled, where it says.
        terms: What the evidence shows it to be; of AMEND_SENT what is asked for.
        settles: No change of it is in doubt any more.
    """
    if event is E.AMEND_SENT:
        before = leg.quantity if leg.most is None else leg.most
        grows = terms.quantity is not None and terms.quantity > before and leg.state not in TERMINAL
        return evolve(leg, most=terms.quantity) if grows else leg
    if terms is not SAME or settles or leg.most is not None:
        leg = _under(leg, event, filled, terms, settles=settles)
    grown = leg.filled if filled is None else max(leg.filled, filled)
    state = TABLE[leg.state].get(event, leg.state)
    if event is E.SEEN_FILLED and state is S.FILLED and filled is None:
        grown = leg.quantity
    if state is S.OPEN and grown > 0:
        state = S.PARTIALLY_FILLED
    if state in LIVE and grown >= (leg.quantity if leg.most is None else leg.most) > 0:
        state = S.FILLED
    if state is leg.state and grown == leg.filled:
        return leg
    price = average_price if average_price is not None and grown > 0 else leg.average_price
    if leg.listed == grown > 0 and leg.average_price is not None:
        price = leg.average_price  # of all its executions: no report knows better
    contradiction = leg.contradiction or (leg.state in EXECUTED_NOTHING and event in _SEEN)
    most = None if state in TERMINAL else leg.most
    return evolve(leg, state=state, filled=grown, average_price=price, contradiction=contradiction, most=most)


def _under(leg: Leg, event: LegEvent, filled: Decimal | None, terms: Terms, *, settles: bool) -> Leg:
    """The leg under the terms that evidence shows; the same object where they are what was known.

    Terms under which more would have filled than the leg is for are stale, and a leg that has ended stays as it ended.
    """
    least = leg.filled if filled is None else max(leg.filled, filled)
    if leg.state in TERMINAL or (terms.quantity is not None and terms.quantity < least):
        terms = SAME
    quantity = leg.quantity if terms.quantity is None else terms.quantity
    most = leg.most
    if event is E.SEEN_FILLED and most is not None and terms.quantity is None and filled is not None:
        quantity = max(quantity, min(filled, most))  # all of it filled: so much it was for
    if most is not None and (settles or quantity >= most):
        most = None
    price = leg.price if terms.price is None else terms.price
    trigger_price = leg.trigger_price if terms.trigger_price is None else terms.trigger_price
    if (quantity, price, trigger_price, most) == (leg.quantity, leg.price, leg.trigger_price, leg.most):
        return leg
    return evolve(leg, quantity=quantity, price=price, trigger_price=trigger_price, most=most)
