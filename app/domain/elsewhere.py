"""Whether an order of which nobody knows may be placed on another exchange, under `unknown_policy = "place_elsewhere"`.

An order whose leg on an exchange that was left behind is unknown keeps that leg (`hold`, the default): placed elsewhere
as well, it may execute twice. Who would rather have it twice than not at all can say so, and how much that may be
worth: then the leg is set aside (`LegState.HELD`) and a newer one is committed, in one transaction, where

- trading has moved on: another exchange, a later epoch, and the asker holds that route;
- what the leg may still execute, at the order's price or the market's, is, together with all legs that are set aside,
  worth no more than `unknown_max_notional`;
- it is not reduce-only (there is no position to reduce elsewhere), its owner has not asked for it to be cancelled, and
  no take profit or stop loss of its own would have to follow both legs;
- the exchange's rules and the limits admit it there. Otherwise it stays as it is, unknown: none of them may refuse an
  order that may have executed.

Of an order whose newer leg was proven absent the next one follows the same rules, but for the worth, which is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from attrs import evolve, frozen

from app.domain.order_life import OrderState, state_of
from app.domain.pretrade import PriceNeeded, worth
from messages.orders import LegState, LegView, OrderView


@frozen(kw_only=True)
class Elsewhere:
    """The owner's leave to place what nobody knows of elsewhere.

    Attributes:
        max_notional: What all legs set aside may be worth together, in quote coin.
        market: What an order of that side trades at now, where it is to go; None where nobody has asked lately.
    """

    max_notional: Decimal
    market: Decimal | None = None


@frozen(kw_only=True)
class SetAside:
    """A leg that is set aside.

    Attributes:
        number: Of the leg.
        notional: What it may still execute is worth, in quote coin.
    """

    number: int
    notional: Decimal


def may_follow(
    order: OrderView, leave: Elsewhere, exchange: str, epoch: int, held: Callable[[], Decimal]
) -> SetAside | PriceNeeded | bool:
    """What makes room for another leg of an order: setting its newest aside, or nothing (True); False where none may.

    Args:
        exchange: Where the next leg would go.
        epoch: Of the route by which it would.
        held: What all legs set aside so far may be worth together.
    """
    leg = order.leg
    if leg is None or order.quantity <= order.filled or leg.cancel_asked_s is not None:
        return False
    if order.spec.reduce_only or any(each.linked is not None for each in order.legs):
        return False
    if leg.state is LegState.ABSENT and state_of(order) is OrderState.HELD:
        # A second leg on one exchange would be taken for a replacement of the first (`app.domain.renewal`).
        fits = leg.exchange != exchange or leg.quantity == order.quantity - order.filled
        return fits and held() <= leave.max_notional
    if leg.state is not LegState.UNKNOWN or leg.exchange == exchange or leg.epoch >= epoch:
        return False
    notional = worth_of(order, leg, leave.market)
    if isinstance(notional, PriceNeeded):
        return notional
    if not notional.is_finite() or held() + notional > leave.max_notional:
        return False
    return SetAside(number=leg.number, notional=notional)


def worth_of(order: OrderView, leg: LegView, market: Decimal | None) -> Decimal | PriceNeeded:
    """What a leg may still execute is worth, in quote coin."""
    spec = order.now
    if spec.trigger is not None and spec.price is None:
        spec = evolve(spec, price=spec.trigger.price)
    return worth(spec, leg.remaining, market)
