"""What a session wants done, and how its requests can end: values its owner performs, in order."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from messages.base import Reply
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
    """An order of the session's strategy changed."""

    order: OrderView
    sequence: int


@frozen(kw_only=True)
class NeverCommitted:
    """An order that was told to be unknown was never committed by any connector, and will not be."""

    order_id: str
    key: OrderKey
    words: str


Outcome = Reply | Unanswered | OutcomeUnknown
SessionEffect = Tell | Resolved | RouteTold | OrderTold | NeverCommitted
