"""Whether a leg may be committed: the one decision that fences old epochs and catches duplicates.

It runs inside the journal's write transaction, over what that transaction read, so no two connectors can both say yes.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from attrs import fields, frozen

from app.domain.pretrade import LimitRefused, PriceNeeded
from messages.failover import Route
from messages.orders import LegState, OrderSpec, OrderView


@frozen(kw_only=True)
class CommitNew:
    """Commit a leg that did not exist.

    Attributes:
        number: 1 for a new order.
        quantity: Base coin: what was asked, by the last change, minus what is proven filled.
        price: Where it was changed from what was asked at first; else None.
        trigger_price: Likewise.
        whole: Likewise, of the whole order.
    """

    number: int
    quantity: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    whole: Decimal | None = None


@frozen(kw_only=True)
class CommitAgain:
    """Commit an absent leg once more, under the wire id it has."""

    number: int


@frozen(kw_only=True)
class AlreadyKnown:
    """The id was seen before: answer with what is known."""

    order: OrderView


@frozen(kw_only=True)
class BodyDiffers:
    """The id was seen before with another body.

    Attributes:
        field: The first that differs.
    """

    field: str
    known: str
    asked: str


@frozen(kw_only=True)
class Fenced:
    """The committed route is another."""

    route: Route


@frozen(kw_only=True)
class Inadmissible:
    """The exchange's own rules do not admit the order; `words` says why and what would be right."""

    words: str


@frozen(kw_only=True)
class TooLate:
    """The deadline came while the journal was waited for: nothing was begun."""


Decision = (
    CommitNew | CommitAgain | AlreadyKnown | BodyDiffers | Fenced | Inadmissible | LimitRefused | PriceNeeded | TooLate
)

Judge = Callable[[OrderView | None, Decimal, Callable[[], int]], LimitRefused | PriceNeeded | None]
"""What the limits say of an order that would be committed: as known before, the leg's quantity, and how to count orders
that are live or unproven."""


def _difference(known: OrderSpec, asked: OrderSpec) -> BodyDiffers | None:
    for field in fields(OrderSpec):
        left, right = getattr(known, field.name), getattr(asked, field.name)
        if left != right:
            return BodyDiffers(field=field.name, known=str(left), asked=str(right))
    return None


def already(known: OrderView | None, spec: OrderSpec) -> AlreadyKnown | BodyDiffers | None:
    """What is to be answered of a known order, whatever the route is; None where it is still to be committed."""
    if known is None:
        return None
    differs = _difference(known.spec, spec)
    if differs is not None:
        return differs
    if known.leg is not None and known.leg.state is not LegState.ABSENT:
        return AlreadyKnown(order=known)
    return None


def decide(
    *,
    route: Route,
    known: OrderView | None,
    exchange: str,
    epoch: int,
    spec: OrderSpec,
    problem: str = "",
    judge: Judge | None = None,
    protects: bool = False,
    open_orders: Callable[[], int] = lambda: 0,
) -> Decision:
    """What to do with a request to place.

    A known id is answered before the route is looked at: knowledge needs no permission. Only a commit does, and only a
    commit is held against limits, so that none of them can refuse an order that may be live.

    Args:
        route: As committed.
        known: The order under this key; None where there is none.
        exchange: Of the connector that asks.
        epoch: Of the route the requester holds.
        problem: Why the exchange's rules do not admit the order; empty when they do.
        judge: Holds it against the limits; None where there are none.
        protects: It is an exit of a leg on that exchange, and goes there wherever trading is by now: by its name it can
            be placed nowhere else, and it can only reduce what stands there.
        open_orders: How many orders are live or unproven.
    """
    answer = already(known, spec)
    if answer is not None:
        return answer
    if not protects and (route.exchange != exchange or route.epoch != epoch):
        return Fenced(route=route)
    if problem:
        return Inadmissible(words=problem)
    decision: CommitNew | CommitAgain
    quantity = spec.quantity
    if known is None or known.leg is None:
        decision = CommitNew(number=1, quantity=quantity)
    elif known.leg.exchange == exchange:
        decision, quantity = CommitAgain(number=known.leg.number), known.leg.quantity
    else:
        quantity = known.quantity - known.filled
        decision = CommitNew(
            number=known.leg.number + 1,
            quantity=quantity,
            price=known.leg.price,
            trigger_price=known.leg.trigger_price,
            whole=known.leg.whole,
        )
    return decision if judge is None else judge(known, quantity, open_orders) or decision
