"""What a leg's executions add up to: how much of it filled, and at which average price.

An exchange tells of an order in two ways: what filled of it so far, as one number, and each execution by itself. Either
may be ahead of the other. Both are evidence, so what filled is the larger of the two; the average is that of the
executions as soon as they are all there, since they are exact and say what was paid, and the exchange's own until then.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, localcontext

from attrs import define, evolve

from app.domain.leg_life import Leg, LegEvent, advance

PLACES = 8
"""Decimals of an average price beyond those of the prices it is made of, where it does not come out even."""

EXACT_DIGITS = 100
"""More than the sum of any leg's executions has: a sum is never rounded."""


@define
class FillSum:
    """Of a leg's executions, each added once.

    Attributes:
        quantity: Base coin.
        worth: Quote coin paid or got for it.
        places: Decimals of the prices.
    """

    quantity: Decimal = Decimal(0)
    worth: Decimal = Decimal(0)
    places: int = 0

    @classmethod
    def of(cls, executed: Iterable[tuple[Decimal, Decimal]]) -> FillSum:
        """Of some: (base coin, price) each."""
        total = cls()
        for quantity, price in executed:
            total.add(quantity, price)
        return total

    def add(self, quantity: Decimal, price: Decimal) -> None:
        """One more."""
        with localcontext(prec=EXACT_DIGITS):
            self.quantity += quantity
            self.worth += quantity * price
        self.places = max(self.places, -int(price.as_tuple().exponent))

    @property
    def average_price(self) -> Decimal:
        """What was paid or got for one base coin."""
        with localcontext(prec=EXACT_DIGITS):
            average = (self.worth / self.quantity).quantize(Decimal(1).scaleb(-(self.places + PLACES))).normalize()
            return average.quantize(Decimal(1)) if average == average.to_integral_value() else average


def with_fills(leg: Leg, total: FillSum) -> Leg:
    """The leg by all executions known of it. The same object where they teach nothing.

    More than was known to have filled makes `filled` rise, in whatever state the leg is; it never falls.
    """
    listed, new = total.quantity, leg
    if listed > leg.filled:
        new = advance(leg, LegEvent.SEEN_PARTIAL, filled=listed)
    average = new.average_price
    if listed == new.filled > 0:
        listed = new.filled  # in its digits too: the journal finds what is not listed yet by comparing texts
        average = total.average_price
    if new is leg and listed == leg.listed and average == leg.average_price:
        return leg
    return evolve(new, listed=listed, average_price=average)
