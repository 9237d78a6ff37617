"""What stands in the place of a leg that was cancelled to be replaced: the decision, and how such legs hang together.

Theory. A change that an exchange cannot make in place is a cancel and a placement, and the danger is in between: a fill
that comes twice, a replacement that is lost or sent twice, an order that is over though its owner only moved it. So

- the wish is in the journal, with its terms, before the cancel is sent (`Wanted.until_s`), and counts with the larger
  of both quantities until it is settled (`most`);
- the end of the old leg, with all that filled of it, and the commit of the new one are *one* transaction. Before it,
  the order is an order that rests; after it, one that is on its way under the next leg's wire id. Nobody ever sees it
  cancelled in between, a death on either side finds one of the two, and the index of live legs holds that never both
  are;
- the new leg is for what was asked of the whole, less all that is proven to have filled, so that the order never fills
  beyond the larger of old and new;
- that transaction asks what a placement's asks: the route, the exchange's rules, whether there is time left. What it
  does not let pass is the end of the order, in words; but where trading has left, the order goes after it
  (`app.domain.carry`).

Legs that stand in for each other are adjacent legs on one exchange: no other reason makes a second leg where the first
one was. Exits go by the whole row of them (`as_one`), whose number is the first one's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from attrs import evolve, frozen

from app.domain.commit import CommitAgain, CommitNew
from app.domain.leg_life import Terms
from messages.failover import Route
from messages.orders import LegState, LegView, Linked, OrderSpec, OrderView, Wanted

GRACE_S = 30.0
"""After the deadline of whoever asked, in which what was begun before it is still carried on: an outage of the
exchange, or a death of the connector, is mostly over by then. Later it is told to be over instead of being placed."""

AGAIN_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Before a replacement that is proven not to have executed is sent again, by how often it was; then it is given up."""

NOT_ROUTED = "not_routed"
"""Why nothing takes a leg's place where trading has left: what is left of its order goes where that went."""


@frozen(kw_only=True)
class Over:
    """Nothing takes the place of the leg: its order is over, and why."""

    code: str
    words: str


def stands_in(
    order: OrderView,
    wanted: Wanted,
    *,
    filled: Decimal,
    exchange: str,
    route: Route,
    now_s: float,
    check: Callable[[OrderSpec], str],
    protects: bool,
) -> CommitNew | Over:
    """What takes the place of an order's newest leg, which is proven to be cancelled.

    Args:
        filled: Of that leg, finally.
        check: Why the exchange's rules do not admit an order; empty where they do.
        protects: The order is an exit, which goes to its exchange whatever the route is.
    """
    leg = order.leg
    assert leg is not None, "only what was committed is replaced"
    if leg.cancel_asked_s is not None or leg.linked in (Linked.RESIZED, Linked.GIVEN_UP):
        return Over(code="being_cancelled", words="Its owner cancelled it while it was being replaced.")
    if not protects and route.exchange != exchange:
        return Over(code=NOT_ROUTED, words=f"{_CANCELLED} and trading left {exchange} meanwhile. {_NOTHING}")
    if now_s > wanted.until_s_or_never:
        return Over(code="deadline_passed", words=f"{_CANCELLED} and that took longer than its deadline. {_NOTHING}")
    quantity = (leg.quantity if wanted.quantity is None else wanted.quantity) - filled
    if quantity <= 0:
        words = f"{_CANCELLED} and as much as was asked, or more, had filled by then. {_NOTHING}"
        return Over(code="order_not_open", words=words)
    elders = order.filled - leg.filled
    whole = quantity + filled + elders
    new = CommitNew(
        number=leg.number + 1,
        quantity=quantity,
        price=leg.price if wanted.price is None else wanted.price,
        trigger_price=leg.trigger_price if wanted.trigger_price is None else wanted.trigger_price,
        whole=leg.whole if wanted.quantity is None else whole,
    )
    problem = check(evolve(asked_of(order, wanted), quantity=quantity))
    if problem:
        return Over(code="invalid_order", words=f"{_CANCELLED} and what is left of it cannot be placed: {problem}")
    return new


_CANCELLED = "The order was cancelled to be replaced,"
_NOTHING = "Nothing was placed in its stead."


def asked_of(order: OrderView, wanted: Wanted | Terms) -> OrderSpec:
    """The order under what is wanted of it, for the quantity of the whole newest leg."""
    now, leg = order.now, order.leg
    assert leg is not None
    trigger = now.trigger
    if trigger is not None and wanted.trigger_price is not None:
        trigger = evolve(trigger, price=wanted.trigger_price)
    quantity = leg.quantity if wanted.quantity is None else wanted.quantity
    return evolve(now, quantity=quantity, price=now.price if wanted.price is None else wanted.price, trigger=trigger)


def stands_again(order: OrderView, route: Route, *, exchange: str, protects: bool) -> CommitAgain | Over:
    """Whether a replacement that is proven not to have executed is sent once more, under the wire id it has."""
    leg = order.leg
    assert leg is not None
    if not protects and route.exchange != exchange:
        return Over(code=NOT_ROUTED, words=f"{_CANCELLED} and trading left {exchange} meanwhile. {_NOTHING}")
    return CommitAgain(number=leg.number)


def replaces(order: OrderView) -> bool:
    """Whether its newest leg took the place of the one before."""
    return len(order.legs) > 1 and order.legs[-2].exchange == order.legs[-1].exchange


def again_after_s(order: OrderView) -> float | None:
    """When a replacement that did not execute may be sent again, after so long; None where it is given up."""
    leg = order.leg
    assert leg is not None
    return AGAIN_S[leg.attempts - 1] if leg.attempts <= len(AGAIN_S) and leg.cancel_asked_s is None else None


def rows_on(order: OrderView, exchange: str) -> Iterator[tuple[int, OrderView]]:
    """The rows of adjacent legs that an order has on an exchange: the first one's number, and the order up to its last.

    Legs in between are elsewhere: the order has been carried away, and came back.
    """
    first = None
    for at, leg in enumerate(order.legs):
        if leg.exchange != exchange:
            first = None
            continue
        first = leg.number if first is None else first
        if leg is order.legs[-1] or order.legs[at + 1].exchange != exchange:
            yield first, order if leg is order.legs[-1] else evolve(order, legs=order.legs[: at + 1])


def as_one(order: OrderView) -> LegView | None:
    """The newest leg with those it stands in for, as if all had been one: the first one's number, what all filled."""
    if not replaces(order):
        return order.leg
    newest = order.legs[-1]
    first, elders = newest, Decimal(0)
    for leg in reversed(order.legs[:-1]):
        if leg.exchange != newest.exchange:
            break
        first, elders = leg, elders + leg.filled
    state = newest.state
    if elders and state in (LegState.REFUSED, LegState.ABSENT):
        state = LegState.CANCELLED  # it executed something, and is over
    return evolve(
        newest, number=first.number, quantity=newest.quantity + elders, filled=newest.filled + elders, state=state
    )
