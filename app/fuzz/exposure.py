"""How much of each order stands open at every instant, over all exchanges together (I4, I1).

What has filled is not all that counts: what rests may fill at any moment. So whenever an engine takes a leg, what has
filled of the order until then, and all that its live legs are for, may be no more than was asked, though none of it
fills in the end. Where the owner has declared that what nobody knows of is placed elsewhere, all that exceeds, of all
orders together, is worth no more than he declared. What the router itself moves is judged in `app.fuzz.checker_moves`.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from app.fuzz.checker import Seen
from app.fuzz.checker_news import Violation
from app.fuzz.sim_orders import MARKET, SimOrder
from app.fuzz.strategy import OrderPlan

ASKED, DECLARED = "I4 more open than was asked", "I4 more open than declared"
ZERO = Decimal(0)


def open_at(legs: list[SimOrder], at_s: float) -> Decimal:
    """What of an order may have filled in the end, as it stands at a moment: what is taken at it included."""
    return sum((leg.quantity if leg.live_at(at_s) else leg.filled_by(at_s) for leg in legs), ZERO)


def exposure_violations(seen: Seen) -> Iterator[Violation]:
    """The first moment of each order at which more is open than may be; or the first of all, where more is declared."""
    legs: dict[int, list[SimOrder]] = {}
    for leg in seen.orders:
        if leg.executed:
            legs.setdefault(leg.serial, []).append(leg)
    plans = {serial: plan for strategy in seen.plan.strategies for serial, plan in strategy.orders.items()}
    doubled = {serial: legs[serial] for serial in plans if len(legs.get(serial, ())) > 1}
    moments = sorted({leg.accepted_s for each in doubled.values() for leg in each})
    if seen.unknown_max_notional is not None:
        for at_s in moments:
            worth = sum((_excess(plans[serial], each, at_s) for serial, each in doubled.items()), ZERO)
            if worth > seen.unknown_max_notional:
                words = f"all orders together may fill for {worth:f} more than was asked"
                yield Violation(DECLARED, at_s, 0, words)
                return
        return
    for serial, each in doubled.items():
        for at_s in sorted(leg.accepted_s for leg in each):
            if open_at(each, at_s) > plans[serial].most:
                where = " and ".join(f"{leg.exchange}" for leg in each if leg.live_at(at_s))
                words = f"{open_at(each, at_s)} may fill of {plans[serial].most} asked, live on {where}"
                yield Violation(ASKED, at_s, serial, words)
                break


def _excess(plan: OrderPlan, legs: list[SimOrder], at_s: float) -> Decimal:
    """What an order is worth beyond what was asked for."""
    return max(ZERO, open_at(legs, at_s) - plan.most) * (plan.price or MARKET)
