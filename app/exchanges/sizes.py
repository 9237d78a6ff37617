"""Quantities and prices an exchange admits: pure functions over one market's rules.

Base coin in, contracts out, and back, exactly. Nothing is ever rounded silently: what does not fit is refused with the
nearest valid value in the sentence, and the caller decides. No float comes near an order.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext

from attrs import evolve, frozen

_DIGITS = 60
"""Working precision; a result that does not fit it exactly is treated as off step."""


class InvalidSize(ValueError):
    """A quantity or price the exchange would refuse; the message is one sentence with the nearest valid value."""


@frozen(kw_only=True)
class SizeRules:
    """What one market admits.

    Attributes:
        step: Contracts between two valid quantities.
        tick: Quote coin between two valid prices.
        minimum: Contracts; None where there is none beyond one step.
        maximum: Contracts; None where none is known.
        minimum_notional: Quote coin; None where there is none.
        contract_size: Base coin in one contract.
        market_minimum: Of market orders, besides; contracts, None where there is none.
        market_maximum: Likewise.
    """

    step: Decimal
    tick: Decimal
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    minimum_notional: Decimal | None = None
    contract_size: Decimal = Decimal(1)
    market_minimum: Decimal | None = None
    market_maximum: Decimal | None = None

    @property
    def of_market_orders(self) -> SizeRules:
        """What the market admits of market orders, those that wait for a trigger among them."""
        least, most = (self.minimum, self.market_minimum), (self.maximum, self.market_maximum)
        return evolve(
            self,
            minimum=max((each for each in least if each is not None), default=None),
            maximum=min((each for each in most if each is not None), default=None),
        )

    @property
    def base_step(self) -> Decimal:
        """Base coin between two valid quantities."""
        return self.step * self.contract_size

    @property
    def base_minimum(self) -> Decimal:
        """The least valid quantity in base coin: the minimum, brought up to a step."""
        least = self.minimum if self.minimum is not None and self.minimum > self.step else self.step
        return _to_multiple(least, self.step, ROUND_CEILING) * self.contract_size

    @property
    def base_maximum(self) -> Decimal | None:
        """The largest valid quantity in base coin; None where no maximum is known."""
        if self.maximum is None:
            return None
        return _to_multiple(self.maximum, self.step, ROUND_FLOOR) * self.contract_size


def to_contracts(quantity: Decimal, rules: SizeRules) -> Decimal:
    """The contracts that are exactly `quantity` base coin.

    Raises:
        InvalidSize: Not a positive number, off step, below the minimum or above the maximum.
    """
    _require_positive(quantity, "Quantity")
    with localcontext(prec=_DIGITS):
        contracts = quantity / rules.contract_size
        off_step = contracts * rules.contract_size != quantity or contracts % rules.step != 0
    if quantity < rules.base_minimum:
        raise InvalidSize(f"Quantity {plain(quantity)} is below the minimum: use {plain(rules.base_minimum)} or more.")
    largest = rules.base_maximum
    if largest is not None and quantity > largest:
        raise InvalidSize(f"Quantity {plain(quantity)} is above the maximum: use {plain(largest)} or less.")
    if off_step:
        raise InvalidSize(
            f"Quantity {plain(quantity)} is not a multiple of the step {plain(rules.base_step)}: the nearest valid"
            f" quantity is {plain(nearest_quantity(quantity, rules))}."
        )
    return contracts


def to_base(contracts: Decimal, rules: SizeRules) -> Decimal:
    """Base coin in a number of contracts, of either sign."""
    with localcontext(prec=_DIGITS):
        return contracts * rules.contract_size


def check_price(price: Decimal, rules: SizeRules, what: str = "Price") -> None:
    """Whether the market admits the price.

    Raises:
        InvalidSize: Not a positive number, or off tick.
    """
    _require_positive(price, what)
    with localcontext(prec=_DIGITS):
        off_tick = price % rules.tick != 0
    if off_tick:
        raise InvalidSize(
            f"{what} {plain(price)} is not a multiple of the tick {plain(rules.tick)}: the nearest valid one is"
            f" {plain(nearest_price(price, rules))}."
        )


def check_notional(quantity: Decimal, price: Decimal, rules: SizeRules) -> None:
    """Whether quantity times price reaches the market's minimum; both must be valid by themselves.

    Raises:
        InvalidSize: It does not.
    """
    least = rules.minimum_notional
    if least is None:
        return
    with localcontext(prec=_DIGITS):
        if quantity * price >= least:
            return
        enough = _to_multiple(least / price, rules.base_step, ROUND_CEILING)
    raise InvalidSize(
        f"Quantity {plain(quantity)} at {plain(price)} is worth less than the minimum of {plain(least)}: use"
        f" {plain(max(enough, rules.base_minimum))} or more."
    )


def nearest_quantity(quantity: Decimal, rules: SizeRules) -> Decimal:
    """The valid quantity in base coin nearest to a positive one."""
    nearest = max(_to_multiple(quantity, rules.base_step, ROUND_HALF_EVEN), rules.base_minimum)
    largest = rules.base_maximum
    return nearest if largest is None else min(nearest, largest)


def nearest_price(price: Decimal, rules: SizeRules) -> Decimal:
    """The valid price nearest to a positive one."""
    return max(_to_multiple(price, rules.tick, ROUND_HALF_EVEN), rules.tick)


def plain(value: Decimal) -> str:
    """A decimal without exponent and without trailing zeros: what is sent on the wire and shown to people."""
    shown = format(value, "f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _to_multiple(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    with localcontext(prec=_DIGITS):
        return (value / step).to_integral_value(rounding=rounding) * step


def _require_positive(value: Decimal, what: str) -> None:
    if not value.is_finite() or value <= 0:
        raise InvalidSize(f"{what} {value} is not a number above zero.")
    if abs(value.adjusted()) > _DIGITS // 3 or len(value.as_tuple().digits) > _DIGITS - _DIGITS // 3:
        # Steps and contracts of it would not be exact any more, or could not be computed at all.
        raise InvalidSize(f"{what} {value:.6E} has more digits or zeros than any market counts in.")
