"""The life of a leg: one placement of an order on one exchange.

Theory. The exchange is where truth is; the journal holds what has been *proven* of it. Evidence arrives late, twice and
out of order: a look-up sent before a fill may be answered after it. So a leg moves only towards more knowledge, along
this partial order, and evidence that would move it back is stale and changes nothing:

    INTENT → UNKNOWN → OPEN → PARTIALLY_FILLED → FILLED | CANCELLED | EXPIRED
                     → REFUSED | ABSENT                      (nothing executed, proven)
                     → HELD → FILLED | CANCELLED | EXPIRED | REFUSED | ABSENT

`filled` never falls, for the same reason. Four moves look backward and are sound:

- ABSENT → INTENT (RECOMMITTED): absence was proven, so the same leg with the same wire id may be sent again; the
  exchange's own duplicate check still guards it.
- DRAINED → INTENT (RECOMMITTED): the same of a leg that was placed for what was left of an order, was proven absent
  and so PARKED, and is to be placed after all. It is told from one that was taken off an exchange by `carry_s`.
- ABSENT → CANCELLED (WITHDRAWN): its owner cancelled it, so it is not to be sent again.
- REFUSED | ABSENT → OPEN … (evidence of life): the proof was wrong. It must never happen; if an exchange breaks its
  word, the truth is taken over and `contradiction` tells, because hiding it would lose an order.

An acknowledged order may still be refused: Bybit and OKX acknowledge the request, and their engine decides after. So
OPEN may become REFUSED, and the rest of a part fill CANCELLED.

There is no state for "sent". An intent is in the journal before it is sent, and is sent in the same turn. A second
write to say so would cost every order a transaction and tell nothing: after a death in between, whoever finds the
intent cannot know on which side of the write it died, so an intent of an earlier life counts as sent either way.

HELD is an UNKNOWN leg behind which a newer one was placed elsewhere (`unknown_policy`). Its exchange still tells what
became of it; while it rests there it stays HELD, since the newer leg is the one that may be live.

A resting leg can be changed (quantity, price, trigger price), and these do not grow: what an exchange says of them last
is what holds. So a change is kept as an intent before it is sent (AMEND_SENT): from then on the leg may be for as much
as was asked (`most`), until evidence shows what it is, or that the change was not and will not be made (AMEND_SETTLED).

That its owner wants a leg cancelled is kept too (CANCEL_ASKED). Proof of absence is then its end, CANCELLED, so that no
other connector can commit it again before its owner's wish is carried out.

So is that the router takes a leg off its exchange because trading moves (CARRY_ASKED), before its cancel is sent. Its
cancel, proven with what had filled, is then not the end of its order: the leg is DRAINED until another one takes up
what is left of it where trading is (CARRIED), or PARKED, where it is not to be placed by itself. Neither is on any
exchange. Its owner's cancel ends it at once (WITHDRAWN).

What each event makes of each state, all pairs of them, is in `leg_table`; here is what amounts add to that.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import evolve, frozen

from app.domain.leg_table import (
    ASIDE,
    ASKED,
    BETWEEN,
    CHANGES,
    DOUBTED,
    EXECUTED_NOTHING,
    LIVE,
    MAY_FILL,
    TABLE,
    TERMINAL,
    UNPROVEN,
    IllegalEvent,
    LegEvent,
    Stale,
    answer,
    event_of_report,
)
from messages.orders import LegState, Wanted

__all__ = [
    "ASIDE",
    "ASKED",
    "BETWEEN",
    "CHANGES",
    "DOUBTED",
    "EXECUTED_NOTHING",
    "LIVE",
    "MAY_FILL",
    "SAME",
    "TABLE",
    "TERMINAL",
    "UNPROVEN",
    "IllegalEvent",
    "Leg",
    "LegEvent",
    "Terms",
    "advance",
    "event_of_report",
    "resolved",
]

S, E = LegState, LegEvent


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
        cancel_asked_s: When its owner asked for it to be cancelled: proof of its absence is then its end.
        wanted: What it was asked to become, while nobody knows whether it has.
        carry_s: When the router began to take it off its exchange: its cancel is then not the end of its order.
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
    cancel_asked_s: float | None = None
    wanted: Wanted | None = None
    carry_s: float | None = None


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
    behind: bool = False,
    at_s: float = 0.0,
    until_s: float | None = None,
) -> Leg:
    """The leg after an event; the same object when the event teaches nothing.

    Args:
        filled: Cumulative base coin the evidence reports; None where it does not say.
        average_price: Of what filled, where it says.
        terms: What the evidence shows it to be; of AMEND_SENT what is asked for.
        settles: No change of it is in doubt any more.
        behind: Its order has a newer leg: where it shows itself resting it is HELD.
        at_s: When it happened.
        until_s: Of REPLACE_ASKED, until when another leg may take its place.

    Raises:
        IllegalEvent: The table forbids it.
    """
    if event is E.CANCEL_ASKED:
        over = leg.state in TERMINAL or leg.cancel_asked_s is not None
        return leg if over else evolve(leg, cancel_asked_s=at_s)
    if event is E.CARRY_ASKED:
        over = leg.state not in MAY_FILL or behind or leg.carry_s is not None
        return leg if over else evolve(leg, carry_s=at_s)
    if event is E.RECOMMITTED and leg.state is S.DRAINED and (leg.carry_s is not None or leg.filled):
        raise IllegalEvent(f"{event.value} is illegal for a leg that its exchange has shown, or is to be taken off it.")
    if event in (E.AMEND_SENT, E.REPLACE_ASKED):
        if leg.state in TERMINAL:
            return leg
        before = leg.quantity if leg.most is None else leg.most
        grows = terms.quantity is not None and terms.quantity > before
        asked = Wanted(quantity=terms.quantity, price=terms.price, trigger_price=terms.trigger_price, until_s=until_s)
        return evolve(leg, most=terms.quantity if grows else leg.most, wanted=asked)
    if terms is not SAME or settles or leg.most is not None:
        leg = _under(leg, event, filled, terms, settles=settles)
    grown = leg.filled if filled is None else max(leg.filled, filled)
    said = answer(leg.state, event)
    contradiction = leg.contradiction
    if isinstance(said, LegState):
        state = said
    elif isinstance(said, Stale):
        state = leg.state
    else:
        state, contradiction = said.state, True
    if event is E.SEEN_FILLED and state is S.FILLED and filled is None:
        grown = leg.quantity
    if grown > 0 and state is not leg.state:
        state, contradiction = _with_fills(leg.state, state, contradiction)
    if state is S.ABSENT and leg.cancel_asked_s is not None and not behind:
        state = S.CANCELLED  # so that nobody can commit it again between the proof and the owner's wish
    if event is E.SEEN_CANCELLED and state is S.CANCELLED and leg.state in MAY_FILL:
        state = _off(leg, grown, behind=behind)
    if event is E.PARKED and leg.state in MAY_FILL and leg.cancel_asked_s is not None:
        state = S.CANCELLED  # its owner wants it gone
    if state is S.OPEN and grown > 0:
        state = S.PARTIALLY_FILLED
    most = leg.quantity if leg.most is None else leg.most
    if (state in LIVE or state is S.HELD or state in BETWEEN) and grown >= most > 0:
        state = S.FILLED
    if behind and state in LIVE:
        state = S.HELD
    if state is leg.state and grown == leg.filled and contradiction is leg.contradiction:
        return leg
    price = average_price if average_price is not None and grown > 0 else leg.average_price
    if leg.listed == grown > 0 and leg.average_price is not None:
        price = leg.average_price  # of all its executions: no report knows better
    wanted = None if state in TERMINAL else leg.wanted
    in_doubt = None if state in TERMINAL or state in BETWEEN else leg.most
    # Spelled out, since `evolve` costs as much as a tenth of recording it.
    return Leg(
        state=state,
        quantity=leg.quantity,
        filled=grown,
        average_price=price,
        contradiction=contradiction,
        price=leg.price,
        trigger_price=leg.trigger_price,
        most=in_doubt,
        listed=leg.listed,
        cancel_asked_s=leg.cancel_asked_s,
        wanted=wanted,
        carry_s=leg.carry_s,
    )


def _off(leg: Leg, filled: Decimal, *, behind: bool) -> LegState:
    """What a cancelled leg is: one that was taken off its exchange for a switch goes on elsewhere, unless unwanted."""
    goes_on = leg.carry_s is not None and leg.cancel_asked_s is None and not behind
    return S.DRAINED if goes_on and filled < leg.quantity else S.CANCELLED


def _with_fills(before: LegState, state: LegState, contradiction: bool) -> tuple[LegState, bool]:
    """What has filled in part was neither refused nor absent: the rest of it was refused, or the proof is wrong."""
    if state is S.REFUSED:
        return S.CANCELLED, contradiction
    if state is S.ABSENT:
        return before, True
    return state, contradiction


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
    wanted = None if settles else leg.wanted
    if (quantity, price, trigger_price, most, wanted) == (
        leg.quantity,
        leg.price,
        leg.trigger_price,
        leg.most,
        leg.wanted,
    ):
        return leg
    return evolve(leg, quantity=quantity, price=price, trigger_price=trigger_price, most=most, wanted=wanted)
