"""Limits on what may be sent at all: a fat finger or a runaway loop ends here, before a commit and before a request.

Four limits, each off unless set:

    max_notional   what one order may be worth, in quote coin
    price_collar   how far a limit price may be on the wrong side of the market, as a fraction: 0.05 is 5 %
    max_open       orders that are live or unproven, over all exchanges and strategies
    per_second     new orders within any second, of one connector

**What an order is worth** is its quantity times the price it can trade at. For a buy with a limit that is the limit. A
sell trades at its limit *or better*: one at a price of nothing would be worth nothing, and sell everything at the
market, so the market's bid counts where it is higher (unless the order may only rest). A market order trades at the
market.

**The market** is the ask for a buy and the bid for a sell; where there is none, the last price, then the mark. It is of
the exchange the order goes to and not older than `reference_max_age_s`; without one an order that needs it is not let
through (`PriceNeeded`). An order that waits for a trigger meets another market: the one that sets it off, so its
trigger's price stands instead, or the market where that is past it already and the order would be set off at once.

**The collar has one side**, the one that trades through: a buy far below the market, or a sell far above it, can
trade at no bad price, and resting there is what grids and deep targets do. A market order has no price to judge.

**Closing is never kept from.** A reduce-only order can open nothing, so how large, how many and how often is not asked
of it. Its limit price is held against the collar like any other, since a wrong price costs the same when closing; a
reduce-only market order passes whatever the limits are. (It counts as an open order and as a new one for others.)
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from attrs import asdict, frozen

from messages.market import Ticker
from messages.orders import OrderSpec, Side, TimeInForce

WINDOW_S = 1.0
"""Of `per_second`."""

# Amounts come in any size: nothing overflows into an error, and rounding never lets anything through.
_UP = Context(prec=60, rounding=ROUND_CEILING, traps=[])
_DOWN = Context(prec=60, rounding=ROUND_FLOOR, traps=[])


@frozen(kw_only=True)
class PretradeLimits:
    """The limits in force; None is no limit.

    Attributes:
        max_notional: In quote coin.
        price_collar: A fraction of the market's price.
        reference_max_age_s: The oldest price an order is held against.
    """

    max_notional: Decimal | None = None
    max_open: int | None = None
    price_collar: Decimal | None = None
    per_second: int | None = None
    reference_max_age_s: float = 5.0

    @property
    def any(self) -> bool:
        """Whether there is any limit."""
        limits = self.max_notional, self.max_open, self.price_collar, self.per_second
        return any(limit is not None for limit in limits)

    def shown(self) -> dict[str, str]:
        """The limits that are set, by name, for people and programs to read."""
        limits = asdict(self, filter=lambda field, value: field.name != "reference_max_age_s" and value is not None)
        return {name: _text(value) if isinstance(value, Decimal) else str(value) for name, value in limits.items()}


@frozen(kw_only=True)
class Reference:
    """What a market was like, by its exchange's word.

    Attributes:
        asked_s: When it was asked for. What the exchange says of its time is not used: some say when they traded last.
    """

    ticker: Ticker
    asked_s: float

    def price(self, side: Side) -> Decimal | None:
        """What an order of that side trades at now; None where the exchange did not say."""
        ticker = self.ticker
        own = ticker.ask if side is Side.BUY else ticker.bid
        known = (price for price in (own, ticker.last, ticker.mark) if price is not None and price.is_finite())
        return next((price for price in known if price > 0), None)


@frozen(kw_only=True)
class LimitRefused:
    """A limit does not let the order through; `words` name the limit, its value, and the order."""

    code: str
    words: str


@frozen
class PriceNeeded:
    """Nothing can be said without a price of the market, and there is none, or none that is young enough."""


@frozen(kw_only=True)
class Circumstances:
    """What an order is held against besides the limits.

    Attributes:
        exchange: It would go to.
        reference: The newest there is of the order's market there.
        open_orders: Live or unproven, over all exchanges and strategies, without this one.
        recent: New orders of this connector within `WINDOW_S`.
        again: It was committed before, so it is no new order: it never executed, and is proven not to.
    """

    exchange: str
    reference: Reference | None
    open_orders: int
    recent: int
    again: bool
    now_s: float


def judge(
    limits: PretradeLimits, spec: OrderSpec, quantity: Decimal, seen: Circumstances
) -> LimitRefused | PriceNeeded | None:
    """Whether `quantity` (base coin) of an order may be sent: None where it may."""
    if not spec.reduce_only:
        refused = _too_many(limits, spec, quantity, seen)
        if refused is not None:
            return refused
    if limits.max_notional is None and limits.price_collar is None:
        return None
    market = None
    if seen.reference is not None and seen.now_s - seen.reference.asked_s <= limits.reference_max_age_s:
        market = _met(spec, seen.reference.price(spec.side))
    if not spec.reduce_only and limits.max_notional is not None:
        refused_or_needed = _worth(limits.max_notional, spec, quantity, market)
        if refused_or_needed is not None:
            return refused_or_needed
    if limits.price_collar is not None and spec.price is not None:
        if market is None:
            return PriceNeeded()
        return _trades_through(limits.price_collar, spec, quantity, market, seen.exchange)
    return None


def _met(spec: OrderSpec, market: Decimal | None) -> Decimal | None:
    """The market's price when the order meets it."""
    if spec.trigger is None or market is None:
        return market
    return (max if spec.trigger.rises(spec.side) else min)(spec.trigger.price, market)


def _too_many(limits: PretradeLimits, spec: OrderSpec, quantity: Decimal, seen: Circumstances) -> LimitRefused | None:
    if limits.per_second is not None and not seen.again and seen.recent >= limits.per_second:
        words = (
            f"The limit per_second is {limits.per_second}, and {seen.recent} new orders went to {seen.exchange} within"
            f" the last second: {_named(spec, quantity)} was not sent."
        )
        return LimitRefused(code="limit_per_second", words=words)
    if limits.max_open is not None and seen.open_orders >= limits.max_open:
        words = (
            f"The limit max_open is {limits.max_open}, and {seen.open_orders} orders are open or on their way:"
            f" {_named(spec, quantity)} was not sent."
        )
        return LimitRefused(code="limit_max_open", words=words)
    return None


def worth(spec: OrderSpec, quantity: Decimal, market: Decimal | None) -> Decimal | PriceNeeded:
    """What `quantity` of an order is worth, in quote coin, rounded up; not finite where that is beyond all bounds.

    Args:
        market: What it meets, where that is known.
    """
    price = _price(spec, market)
    return price if isinstance(price, PriceNeeded) else _UP.multiply(quantity, price)


def _price(spec: OrderSpec, market: Decimal | None) -> Decimal | PriceNeeded:
    price = spec.price
    rests = spec.time_in_force is TimeInForce.POST_ONLY
    if price is None or (spec.side is Side.SELL and not rests):
        if market is None:
            return PriceNeeded()
        price = market if price is None else max(price, market)
    return price


def _worth(
    most: Decimal, spec: OrderSpec, quantity: Decimal, market: Decimal | None
) -> LimitRefused | PriceNeeded | None:
    price, amount = _price(spec, market), worth(spec, quantity, market)
    if isinstance(price, PriceNeeded) or isinstance(amount, PriceNeeded):
        return PriceNeeded()
    if amount.is_finite() and amount <= most:
        return None
    words = (
        f"The limit max_notional is {_text(most)} {spec.symbol.quote}, and {_named(spec, quantity)} is worth"
        f" {_text(amount)}{'' if price == spec.price else f' at {_text(price)}'}: it was not sent."
    )
    return LimitRefused(code="limit_max_notional", words=words)


def _trades_through(
    collar: Decimal, spec: OrderSpec, quantity: Decimal, market: Decimal, exchange: str
) -> LimitRefused | None:
    assert spec.price is not None
    if spec.side is Side.BUY:
        worst, bound, within = _DOWN.multiply(market, 1 + collar), "at most", "above"
        passes = spec.price <= worst
    else:
        worst, bound, within = _UP.multiply(market, 1 - collar), "at least", "below"
        passes = spec.price >= worst
    if passes:
        return None
    words = (
        f"The limit price_collar is {_text(collar)}, and {_named(spec, quantity)} is further {within} the"
        f" {_text(market)} it would meet on {exchange}: {bound} {_text(worst)} would be right; it was not sent."
    )
    return LimitRefused(code="limit_price_collar", words=words)


def _named(spec: OrderSpec, quantity: Decimal) -> str:
    how = "at the market" if spec.price is None else f"at {_text(spec.price)}"
    off = "" if spec.trigger is None else f", set off at {_text(spec.trigger.price)},"
    return f"{spec.side.value} {_text(quantity)} {spec.symbol} {how}{off}"


def _text(value: Decimal) -> str:
    """Plainly, but where that would be a line of zeros."""
    return format(value, "f") if value.is_finite() and abs(value.adjusted()) < 30 else str(value)
