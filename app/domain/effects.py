"""What a connector's machine wants done: values its shell performs, in order."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any

from attrs import frozen

from app.domain.calls import Call, FillReport, Result
from app.domain.carry import Decision, Standing
from app.domain.leg_life import SAME, LegEvent, Terms
from app.domain.renewal import Over
from messages.base import Request
from messages.health import Evidence
from messages.orders import Linked, OrderSpec, OrderView, PlaceOrder

Asker = Any
"""Who asked, as the shell knows them; the machine only keeps it and gives it back."""


class Inside(Enum):
    """Who asks from inside the machine. An `Answer` to EXITS is given back to it, `Connector.exits_answered`."""

    EXITS = "exits"
    CARRIES = "carries"
    FILLS = "fills"
    PREPARING = "preparing"
    DEAD_MAN = "dead_man"


@frozen(kw_only=True)
class Commit:
    """Commit the intent of a placement in the journal; answer with `Connector.committed`."""

    asker: Asker
    request: PlaceOrder
    expiry_s: float


@frozen(kw_only=True)
class TurnAway:
    """Answer a placement that is not begun, by what the journal knows under its id: `Connector.turned_away`.

    An earlier copy, or an earlier life, may have placed it: "not executed" must not be said of an order in doubt.

    Attributes:
        by_limit: A limit refuses it for good, if it is a new order.
    """

    asker: Asker
    request: PlaceOrder
    code: str
    words: str
    by_limit: bool = False


@frozen(kw_only=True)
class Record:
    """Record in the journal what was learned of a leg; answer with `Connector.recorded`.

    Attributes:
        terms: What it is shown to be for by now, where that is not what was known.
        settles: No change of it is in doubt any more.
    """

    order_id: str
    number: int
    event: LegEvent
    filled: Decimal | None = None
    average_price: Decimal | None = None
    exchange_order_id: str | None = None
    code: str | None = None
    words: str | None = None
    native_code: str | None = None
    terms: Terms = SAME
    settles: bool = False


@frozen(kw_only=True)
class Intend:
    """Record in the journal what a leg is about to be asked to become; answer with `Connector.intended`.

    Attributes:
        until_s: Another leg is to take its place, until then; None where the exchange is asked to change it.
        protects: The order is an exit, which goes to its exchange whatever the route is.
    """

    order_id: str
    number: int
    terms: Terms
    until_s: float | None = None
    protects: bool = False


@frozen(kw_only=True)
class Renew:
    """Record the end of a leg and commit what takes its place, in one transaction; answer with `Connector.renewed`.

    Attributes:
        ended: What was learned of the leg.
        protects: The order is an exit, which goes to its exchange whatever the route is.
        why: Nothing is to follow, and why.
    """

    ended: Record
    expiry_s: float
    protects: bool
    why: Over | None


@frozen(kw_only=True)
class TakeUp:
    """End a leg that was taken off its exchange, and commit the next one here, or park it; answer with
    `Connector.carried`, or `not_carried`.

    Attributes:
        number: Of the leg that was taken off.
        epoch: Of the route under which it is taken up.
        decide: Decides, within the transaction, over the order as that reads it.
        spec: Of the order.
    """

    order_id: str
    number: int
    epoch: int
    expiry_s: float
    decide: Callable[[OrderView, Standing], Decision]
    spec: OrderSpec


@frozen(kw_only=True)
class Mark:
    """Keep something of a leg in the journal for the sake of exits; answer with `Connector.marked` or `not_marked`.

    Attributes:
        words: Why, where a person should hear of it.
    """

    order_id: str
    number: int
    linked: Linked
    words: str = ""


@frozen(kw_only=True)
class RecordFills:
    """Keep executions of a leg in the journal; answer with `Connector.recorded`, and `FillWatch.recorded` before."""

    order_id: str
    number: int
    fills: tuple[FillReport, ...]


@frozen(kw_only=True)
class NotListed:
    """Say that the exchange does not list all executions of a leg.

    Attributes:
        missing: Base coin that filled, and of which no execution is listed.
    """

    order: OrderView
    number: int
    missing: Decimal


@frozen(kw_only=True)
class Send:
    """Perform a call on the exchange; answer with `Connector.returned`."""

    call_id: int
    call: Call


@frozen(kw_only=True)
class Answer:
    """Send a message to who asked."""

    asker: Asker
    message: Any


@frozen(kw_only=True)
class Deliver:
    """Give the result of a read to who asked, in the words of the reply to `request`."""

    asker: Asker
    request: Request
    result: Result


@frozen(kw_only=True)
class Observe:
    """Tell the health monitor how a real call went."""

    evidence: Evidence


Writing = Commit | Record | RecordFills | Mark | Intend | Renew | TakeUp
Effect = Writing | TurnAway | NotListed | Send | Answer | Deliver | Observe
