"""Whether orders went with trading as they should: judged by the exchanges' books and by what their owners heard last.

what is asked for    each leg asks for what was asked minus what filled of those before it, of the same side, symbol
                     and kind, and never at a worse price
nothing is lost      an order that nobody wanted cancelled is not over by a switch, but where that is the policy
nothing is stuck     at the end none is on its way any more; what waits for its owner has a reason
the policy           what is parked or dropped is placed nowhere else
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from app.fuzz import record as r
from app.fuzz.book_plan import BookPlan
from app.fuzz.checker import Seen
from app.fuzz.checker_news import Violation
from app.fuzz.faults import Fault
from app.fuzz.sim_orders import SimOrder
from app.fuzz.strategy import OrderPlan
from messages.carries import CarryPolicy
from messages.orders import LegState, Side

ZERO = Decimal(0)
REQUEST_S = 10.0
"""The time-out of a request of the connectors in these runs."""
ENDING = frozenset({"panic", "flatten"})
"""Verbs that cancel orders which nobody else wanted cancelled."""


def carry_violations(seen: Seen) -> Iterator[Violation]:
    """Every violation."""
    books = seen.plan.books
    if books is None:
        return
    plans = {serial: plan for strategy in seen.plan.strategies for serial, plan in strategy.orders.items()}
    cancelled = {asked.serial for asked in seen.asked() if asked.kind == "cancel"}
    ended = any(verb.kind in ENDING and not verb.dry_run for verb in books.verbs)
    for serial, plan in plans.items():
        legs = seen.truth(serial)
        yield from _legs(serial, plan, legs, books)
        last = _last(seen, serial)
        if last is None:
            continue
        if last.state is LegState.DRAINED:
            yield Violation("carry left", last.at_s, serial, "it is still on its way long after the faults")
        if last.state is LegState.PARKED and not last.reason:
            yield Violation("parked without a reason", last.at_s, serial, last.words)
        over = last.state is LegState.CANCELLED and serial not in cancelled and not ended
        # What the dead-man switch cancels is its end only where that is seen before the switch has fired for certain.
        over = over and not any(leg.switched and not _unseen(seen, books, leg) for leg in legs[-1:])
        if over and books.carry is not CarryPolicy.DROP and not plan.reduce_only and not plan.changes:
            yield Violation("order lost", last.at_s, serial, f"cancelled, and nobody asked for that: {last.reason}")


UNREACHED = frozenset({Fault.REFUSED, Fault.UNREACHABLE, Fault.HANG_BEFORE, Fault.DROP_BEFORE})
"""Faults through which nothing gets to an exchange."""
ARMED_S = 5.0
"""A request that armed it was sent so long before it counted, at most: messages, and a turn of the rate limit."""
MARGIN_S = 5.0
"""Messages, a tick and a commit."""


def _unseen(seen: Seen, books: BookPlan, leg: SimOrder) -> bool:
    """Whether nobody could see that a switch had cancelled a leg before it had fired for certain.

    That is when the last request that may have armed it could still have arrived, and its time, are over.
    """
    assert leg.ended_s is not None
    assert books.dead_man_s is not None
    proof = next(traits.proof for traits in seen.plan.traits if traits.name == leg.exchange)
    certain_s = leg.ended_s + REQUEST_S + proof.lateness_s + proof.visibility_s + MARGIN_S
    begin_s = leg.ended_s - books.dead_man_s / 2
    settled_s = leg.expiry_s + proof.margin_of(conditional=leg.spec.trigger is not None)
    if settled_s > leg.ended_s - ARMED_S:
        return False  # for all that is known it could have arrived after the switch had fired
    armed_s = leg.ended_s - books.dead_man_s
    if any(armed_s <= at_s <= certain_s for at_s in seen.deaths(leg.exchange)):
        return False  # a new life does not know that it was armed
    return any(
        window.exchange == leg.exchange
        and window.share >= 1.0
        and not window.places_only
        and UNREACHED.issuperset(window.kinds)
        and seen.start_s + window.begin_s <= begin_s
        and certain_s <= seen.start_s + window.end_s
        for window in seen.plan.windows
    )


def _last(seen: Seen, serial: int) -> r.Heard | None:
    asked_s = seen.start_s + seen.plan.times.final_get_s
    found = [h for h in seen.heard() if h.serial == serial and h.kind == "get" and h.at_s >= asked_s]
    return found[-1] if found else None


def _legs(serial: int, plan: OrderPlan, legs: list[SimOrder], books: BookPlan) -> Iterator[Violation]:
    if len(legs) > 1 and books.carry is not CarryPolicy.REPLACE and not plan.changes:
        words = f"placed again on {legs[1].exchange}, by the policy {books.carry.value}"
        yield Violation("placed against the policy", legs[1].accepted_s, serial, words)
    filled = ZERO
    for number, leg in enumerate(legs):
        asked, rounded = plan.quantity - filled, books.terms[leg.exchange].step if number else ZERO
        if not plan.changes and not asked - rounded < leg.quantity <= asked and leg.quantity != asked:
            words = f"leg {number + 1} is for {leg.quantity}: {plan.quantity} was asked, and {filled} had filled"
            yield Violation("carried wrongly", leg.accepted_s, serial, words)
        filled += leg.filled
        if wrong := _differs(plan, leg, books):
            yield Violation("carried wrongly", leg.accepted_s, serial, f"leg {number + 1} {wrong}")


def _differs(plan: OrderPlan, leg: SimOrder, books: BookPlan) -> str:
    spec = leg.spec
    if spec.side.value != plan.side or f"{spec.symbol.base}{spec.symbol.quote}" != plan.symbol:
        return f"is a {spec.side.value} of {spec.symbol}"
    if spec.time_in_force.value != plan.time_in_force or (spec.trigger is None) != (plan.trigger is None):
        return f"is {spec.time_in_force.value}, with the trigger {spec.trigger}"
    if spec.reduce_only is not plan.reduce_only and not (books.across and plan.reduce_only):
        return f"has reduce_only {spec.reduce_only}"
    if (spec.take_profit, spec.stop_loss) != (plan.take_profit, plan.stop_loss):
        return f"has the exits {spec.take_profit} and {spec.stop_loss}"
    if plan.changes or plan.price is None:
        return "" if plan.changes or spec.price is None else f"has the price {spec.price}"
    # Rounded for one exchange, it stays so where it goes on from there.
    tick = max(terms.tick for terms in books.terms.values())
    if spec.price is not None and abs(spec.price - plan.price) >= tick:
        return f"has the price {spec.price}, more than a tick from the {plan.price} that was asked for"
    worse = spec.price is None or (spec.price > plan.price if spec.side is Side.BUY else spec.price < plan.price)
    return f"has the price {spec.price}, and {plan.price} was asked for" if worse else ""
