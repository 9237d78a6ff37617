"""What fits two markets at once: steps, slices and prices of an order that another market is to answer.

A position is moved in quantities that both exchanges can express, in base coin, whatever a contract of either is worth.
Nothing is rounded silently: what does not fit is dust, and is told.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from math import lcm

from messages.market import Lots

_DIGITS = 60
ZERO = Decimal(0)


def common_step(first: Decimal, second: Decimal) -> Decimal:
    """The least quantity that is a whole number of both steps."""
    places = max(0, -int(first.as_tuple().exponent), -int(second.as_tuple().exponent))
    with localcontext(prec=_DIGITS):
        scaled = lcm(int(first.scaleb(places)), int(second.scaleb(places)))
        return Decimal(scaled).scaleb(-places)


def down(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of a step that is not above a value of either sign, by size."""
    with localcontext(prec=_DIGITS):
        whole = (abs(value) / step).to_integral_value(rounding=ROUND_FLOOR) * step
        return whole.copy_sign(value) if whole else ZERO


def up(value: Decimal, step: Decimal) -> Decimal:
    """The least multiple of a step that is not below a value above zero."""
    with localcontext(prec=_DIGITS):
        return (value / step).to_integral_value(rounding=ROUND_CEILING) * step


def least(lots: Lots, price: Decimal) -> Decimal:
    """The smallest order that opens at a price, in base coin."""
    minimum = max(lots.minimum, lots.step)
    if lots.minimum_notional is not None:
        with localcontext(prec=_DIGITS):
            minimum = max(minimum, lots.minimum_notional / price)
    return up(minimum, lots.step)


def cut(total: Decimal, most: Decimal, step: Decimal, minimum: Decimal) -> tuple[Decimal, ...]:
    """Cuts a quantity above zero into slices that are whole steps, each at least `minimum` and at most `most`.

    `most` counts as `minimum` where it is less: a slice that no exchange takes would move nothing. What is left over is
    less than a step, or than the minimum.
    """
    minimum = up(max(minimum, step), step)
    most = max(down(most, step), minimum)
    rest, out = down(total, step), []
    while rest >= minimum:
        size = min(rest, most)
        if ZERO < rest - size < minimum <= rest - minimum:
            size = rest - minimum  # so that the last is not too small for itself
        out.append(size)
        rest -= size
    return tuple(out)


def buy_limit(ask: Decimal, slippage: Decimal, tick: Decimal) -> Decimal:
    """The most to pay, at a tick: the ask and a fraction more."""
    with localcontext(prec=_DIGITS):
        return max(down(ask * (1 + slippage), tick), ask)


def sell_limit(bid: Decimal, slippage: Decimal, tick: Decimal) -> Decimal:
    """The least to get, at a tick: the bid and a fraction less."""
    with localcontext(prec=_DIGITS):
        return min(up(bid * (1 - slippage), tick), bid)


def plain(value: Decimal) -> str:
    """For people: without exponent and trailing zeros."""
    return format(value.normalize(), "f") if value else "0"
