"""Whether a leg may be committed: the one decision that fences old epochs and catches duplicates.

It runs inside the journal's write transaction, over what that transaction read, so no two connectors can both say yes.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from attrs import evolve, fields, frozen

from app.domain.controls import NONE, Controlled, Controls, controlled
from app.domain.elsewhere import Elsewhere, SetAside, may_follow
from app.domain.order_life import OrderState, state_of
from app.domain.pretrade import LimitRefused, PriceNeeded
from app.domain.reduce_across import NothingToReduce, Reduces
from messages.failover import Route
from messages.orders import OrderSpec, OrderView, Purpose


@frozen(kw_only=True)
class CommitNew:
    """Commit a leg that did not exist.

    Attributes:
        number: 1 for a new order.
        quantity: Base coin: what was asked, by the last change, minus what is proven filled.
        price: Where it was changed from what was asked at first; else None.
        trigger_price: Likewise.
        whole: Likewise, of the whole order.
        aside: The leg before it is set aside, in the same transaction; None where it is proven absent.
        unflagged: It reduces what stands elsewhere, and is sent without the flag.
    """

    number: int
    quantity: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    whole: Decimal | None = None
    aside: SetAside | None = None
    unflagged: bool = False


@frozen(kw_only=True)
class CommitAgain:
    """Commit an absent leg once more, under the wire id it has."""

    number: int


@frozen(kw_only=True)
class AlreadyKnown:
    """The id was seen before: answer with what is known."""

    order: OrderView


REUSED: Final = "client_order_id_reused"
"""Code of a request that is refused for an id that has another body."""


@frozen(kw_only=True)
class BodyDiffers:
    """The id was seen before with another body.

    Attributes:
        field: The first that differs.
    """

    field: str
    known: str
    asked: str

    def words(self, client_order_id: str) -> str:
        """For whoever asked."""
        return (
            f"client_order_id {client_order_id!r} was used before with {self.field} {self.known}, now {self.asked}: "
            "use a new id for a new order."
        )


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


@frozen(kw_only=True)
class TooManyUnresolved:
    """So many legs are in doubt, over all exchanges, that nothing new is placed; `words` says so."""

    words: str


Decision = (
    CommitNew
    | CommitAgain
    | AlreadyKnown
    | BodyDiffers
    | Fenced
    | Controlled
    | Inadmissible
    | LimitRefused
    | PriceNeeded
    | TooManyUnresolved
    | NothingToReduce
    | TooLate
)

Judge = Callable[[OrderView | None, Decimal, Callable[[], int]], LimitRefused | PriceNeeded | None]
"""What the limits say of an order that would be committed: as known before, the leg's quantity, and how to count orders
that are live or unproven."""

Reduce = Callable[[Decimal, bool | None], Reduces | NothingToReduce | Inadmissible]
"""How a reduce-only leg of a quantity may be sent by the net over all exchanges; with the flag it had, where it is sent
again."""


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
    if known.leg is not None and state_of(known) not in (OrderState.ABSENT, OrderState.UNFINISHED):
        return AlreadyKnown(order=known)
    return None


def decide(
    *,
    route: Route,
    known: OrderView | None,
    exchange: str,
    epoch: int,
    spec: OrderSpec,
    client_order_id: str = "",
    problem: str = "",
    judge: Judge | None = None,
    purpose: Purpose = Purpose.ORDER,
    controls: Controls = NONE,
    open_orders: Callable[[], int] = lambda: 0,
    unresolved: Callable[[], int] = lambda: 0,
    max_unresolved: int | None = None,
    elsewhere: Elsewhere | None = None,
    held: Callable[[], Decimal] = lambda: Decimal(0),
    reduce: Reduce | None = None,
) -> Decision:
    """What to do with a request to place.

    A known id is answered before the route is looked at: knowledge needs no permission. Only a commit does, and only a
    commit is held against limits, so that none of them can refuse an order that may be live.

    Args:
        route: As committed.
        known: The order under this key; None where there is none.
        exchange: Of the connector that asks.
        epoch: Of the route the requester holds.
        client_order_id: Of the order: by its name an order that closes a position for good is known.
        problem: Why the exchange's rules do not admit the order; empty when they do.
        judge: Holds it against the limits; None where there are none.
        purpose: An exit goes to the exchange of its leg wherever trading is by now: by its name it can be placed
            nowhere else, and it can only reduce what stands there. A slice of a position goes to either exchange, as
            long as its epoch is the committed one: the fence that begins the next switch ends that.
        controls: What a person holds the router to.
        open_orders: How many orders are live or unproven.
        unresolved: How many legs are in doubt, over all exchanges.
        max_unresolved: At so many nothing is placed, but for exits; None for no limit.
        elsewhere: The owner's leave to place what nobody knows of elsewhere; None where it is held.
        held: What all legs set aside so far may be worth together, in quote coin.
        reduce: Holds a reduce-only order against the net over all exchanges; None where only its own matters.
    """
    if not spec.reduce_only or purpose is not Purpose.ORDER:
        reduce = None
    answer = already(known, spec)
    ordinary, protects = purpose is Purpose.ORDER, purpose is Purpose.EXIT
    of_now = route.epoch == epoch and route.exchange is not None
    here = of_now and (route.exchange == exchange or purpose is Purpose.MOVE)
    held_up = controlled(controls, purpose, spec, exchange, client_order_id)
    if isinstance(answer, AlreadyKnown) and elsewhere is not None and here and ordinary and held_up is None:
        room = may_follow(answer.order, elsewhere, exchange, epoch, held)
        if room and not problem and (max_unresolved is None or unresolved() < max_unresolved):
            return _following(answer, exchange, room, judge, open_orders, reduce)
    if answer is not None:
        return answer
    if not protects and not here:
        return Fenced(route=route)
    if held_up is not None:
        return held_up
    if problem:
        return Inadmissible(words=problem)
    if max_unresolved is not None and not protects and (number := unresolved()) >= max_unresolved:
        words = f"{number} orders on all exchanges together have an unknown outcome, the limit: no more are placed."
        return TooManyUnresolved(words=words)
    decision: CommitNew | CommitAgain
    quantity = spec.quantity
    if known is None or known.leg is None:
        decision = CommitNew(number=1, quantity=quantity)
    elif known.leg.exchange == exchange:
        decision, quantity = CommitAgain(number=known.leg.number), known.leg.quantity
    else:
        decision = _next(known)
        quantity = decision.quantity
    reduced = _reducing(decision, quantity, known, reduce)
    if not isinstance(reduced, CommitNew | CommitAgain):
        return reduced
    return reduced if judge is None else judge(known, quantity, open_orders) or reduced


def _reducing(
    decision: CommitNew | CommitAgain, quantity: Decimal, known: OrderView | None, reduce: Reduce | None
) -> CommitNew | CommitAgain | NothingToReduce | Inadmissible:
    """The decision, as the net over all exchanges admits it."""
    if reduce is None:
        return decision
    leg = known.leg if known is not None and isinstance(decision, CommitAgain) else None
    found = reduce(quantity, None if leg is None else not leg.unflagged)
    if isinstance(found, Reduces) and isinstance(decision, CommitNew):
        return evolve(decision, unflagged=not found.flagged)
    return decision if isinstance(found, Reduces) else found


def _next(known: OrderView, aside: SetAside | None = None) -> CommitNew:
    """One more leg, for what is left of an order."""
    leg = known.leg
    assert leg is not None
    return CommitNew(
        number=leg.number + 1,
        quantity=known.quantity - known.filled,
        price=leg.price,
        trigger_price=leg.trigger_price,
        whole=leg.whole,
        aside=aside,
    )


def _following(
    answer: AlreadyKnown,
    exchange: str,
    room: SetAside | PriceNeeded | bool,
    judge: Judge | None,
    open_: Callable[[], int],
    reduce: Reduce | None,
) -> Decision:
    """Another leg of an order of which nobody knows; where a limit refuses it, it is only told what is known."""
    if isinstance(room, PriceNeeded):
        return room
    known, aside = answer.order, room if isinstance(room, SetAside) else None
    decision: CommitNew | CommitAgain = _next(known, aside)
    quantity, leg = known.quantity - known.filled, known.leg
    if aside is None and leg is not None and leg.exchange == exchange:
        decision = CommitAgain(number=leg.number)
    reduced = _reducing(decision, quantity, known, reduce)
    if not isinstance(reduced, CommitNew | CommitAgain):
        return answer
    decision = reduced
    judged = None if judge is None else judge(known, quantity, open_)
    if isinstance(judged, LimitRefused):
        return answer
    return judged or decision
