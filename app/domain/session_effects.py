"""What a session wants done, and how its requests can end: values its owner performs, in order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import frozen

from messages.base import Reply
from messages.executions import Execution
from messages.failover import Route, RouterState
from messages.orders import OrderKey, OrderView
from messages.supervision import Address


@frozen(kw_only=True)
class Tell:
    """Send a message to an actor; None is the root supervisor."""

    to: Address | None
    message: Any


@frozen(kw_only=True)
class Resolved:
    """A request is answered, once."""

    correlation_id: str
    outcome: Outcome


@frozen(kw_only=True)
class Unanswered:
    """Nobody answered by the deadline. No order was changed by asking; of a setting the words say that it may be."""

    words: str


@frozen(kw_only=True)
class OutcomeUnknown:
    """Nobody can know yet what became of the order; ask later under `order_id`."""

    order_id: str
    words: str


@frozen(kw_only=True)
class RouteTold:
    """The route, or the router's state, changed."""

    route: Route
    state: RouterState


@frozen(kw_only=True)
class OrderTold:
    """An order of the session's strategy changed.

    Attributes:
        sequence: Of the journal's event; 0 where nobody told of it, and it was asked for.
        number: Of what the strategy is told, each once and in order; likewise 0.
        resolved: The owner was told, or may have been, that nobody can know; now it is known.
        grew: Base coin that filled by this change.
        total: Base coin that had filled of the order by then, where some of it filled by this change.
    """

    order: OrderView
    sequence: int
    number: int = 0
    resolved: bool = False
    grew: Decimal = Decimal(0)
    total: Decimal = Decimal(0)


@frozen(kw_only=True)
class FillTold(OrderTold):
    """A trade filled something of an order of the session's strategy; numbered in one row with its other changes."""

    execution: Execution


@frozen(kw_only=True)
class NewsBegin:
    """What is told next has a number above this one.

    Attributes:
        missed: How much before it is not told, since there was too much of it.
    """

    number: int
    missed: int = 0


@frozen(kw_only=True)
class NeverCommitted:
    """An order that was told to be unknown was never committed by any connector, and will not be."""

    order_id: str
    key: OrderKey
    words: str


Outcome = Reply | Unanswered | OutcomeUnknown
NewsEffect = OrderTold | FillTold | NewsBegin
SessionEffect = Tell | Resolved | RouteTold | NewsEffect | NeverCommitted
