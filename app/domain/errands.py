"""What a connector has to do at its exchange: it waits for the rate limiter, then it is in flight."""

from __future__ import annotations

from attrs import frozen

from app.domain.calls import Call
from app.domain.effects import Asker
from app.domain.leg_task import InFlight
from messages.base import Request
from messages.orders import PlaceOrder


@frozen
class Place:
    """A placement that is not committed yet; committing comes with the grant.

    Attributes:
        held_s: Since when it has been held although it was granted; None where it is not.
    """

    asker: Asker
    request: PlaceOrder
    held_s: float | None = None


@frozen
class ForLeg:
    """Something about a committed leg: `number` of an order."""

    order_id: str
    number: int
    kind: InFlight


@frozen
class Read:
    """A read; its result goes to the asker in reply to the request, where there is one."""

    asker: Asker
    request: Request | None
    call: Call


BY_CHANGES = frozenset({"amend", "replace"})
"""Kinds of errands that `app.domain.amending` goes on with."""

Errand = Place | ForLeg | Read


@frozen
class Flight:
    """A call on its way."""

    errand: Errand
    call: Call
    sent_s: float
