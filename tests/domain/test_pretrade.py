"""The limits: nothing above one ever passes, a refusal names it, and closing is never kept from."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.pretrade import Circumstances, LimitRefused, PretradeLimits, PriceNeeded, Reference, judge
from messages.market import Ticker
from messages.orders import OrderSpec, OrderType, Side, TimeInForce, Trigger, TriggerKind
from tests.domain.orders import BTC

NOW_S = 1000.0
AGE_S = 5.0

amounts = st.decimals(min_value="1e-9", max_value="1e12", allow_nan=False, allow_infinity=False)
odd_prices = st.sampled_from([None, Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("Infinity")])
sides = st.sampled_from(Side)


@st.composite
def specs(
    draw: st.DrawFn, *, reduce_only: bool | None = None, trigger: bool | None = None, priced: bool = False
) -> OrderSpec:
    """Any order."""
    price = draw(amounts if priced else st.none() | amounts)
    waits = draw(st.booleans()) if trigger is None else trigger
    kinds = st.sampled_from(TriggerKind)
    return OrderSpec(
        symbol=BTC,
        side=draw(sides),
        order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
        quantity=draw(amounts),
        price=price,
        time_in_force=draw(st.sampled_from(TimeInForce)),
        reduce_only=draw(st.booleans()) if reduce_only is None else reduce_only,
        trigger=Trigger(kind=draw(kinds), price=draw(amounts)) if waits else None,
    )


def limited(max_open: st.SearchStrategy[int | None]) -> st.SearchStrategy[PretradeLimits]:
    """Any limits."""
    return st.builds(
        PretradeLimits,
        max_notional=st.none() | amounts,
        max_open=max_open,
        price_collar=st.none() | st.decimals(min_value="0.0001", max_value="0.9999"),
        per_second=st.none() | st.integers(1, 5),
        reference_max_age_s=st.just(AGE_S),
    )


limits = limited(st.none() | st.integers(1, 5))
strict = limited(st.integers(1, 4))
"""Some two of five orders are refused."""


def market(bid: str | Decimal | None = "100", ask: str | Decimal | None = "100", **more: Decimal | None) -> Ticker:
    """A ticker."""
    found = {"last": None, "mark": None, "bid": bid, "ask": ask, **more}
    prices = {name: None if price is None else Decimal(price) for name, price in found.items()}
    return Ticker(exchange="bybit", symbol=BTC, at_s=0.0, **prices)


tickers = st.builds(
    market,
    bid=amounts | odd_prices,
    ask=amounts | odd_prices,
    last=amounts | odd_prices,
    mark=amounts | odd_prices,
)


def seen(ticker: Ticker | None = None, *, age_s: float = 0.0, open_orders: int = 0, recent: int = 0) -> Circumstances:
    """What an order is held against."""
    return Circumstances(
        exchange="bybit",
        reference=None if ticker is None else Reference(ticker=ticker, asked_s=NOW_S - age_s),
        open_orders=open_orders,
        recent=recent,
        again=False,
        now_s=NOW_S,
    )


circumstances = st.builds(
    seen,
    st.none() | tickers,
    age_s=st.sampled_from([0.0, AGE_S, AGE_S + 0.001, 60.0]),
    open_orders=st.integers(0, 8),
    recent=st.integers(0, 8),
)


def limit(side: Side = Side.BUY, price: str | None = "100", quantity: str = "1", **more: Any) -> OrderSpec:
    """A limit order, or a market order without a price."""
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    made = OrderSpec(symbol=BTC, side=side, order_type=kind, quantity=Decimal(quantity))
    return evolve(made, price=None if price is None else Decimal(price), **more)


# ---------------------------------------------------------------------------------------------------- nothing passes


def executions(spec: OrderSpec, around: Ticker) -> list[Fraction]:
    """Prices an order may trade at in a market that stays as it is, or, with a trigger, once it is set off."""
    own = around.ask if spec.side is Side.BUY else around.bid
    known = [p for p in (own, around.last, around.mark) if p is not None and p.is_finite() and p > 0]
    assert known, "judged without a price"
    at = Fraction(known[0])
    if spec.trigger is not None:
        off = Fraction(spec.trigger.price)
        waiting = at < off if spec.trigger.rises(spec.side) else at > off
        at = off if waiting else at
    if spec.price is None:
        return [at]
    return [Fraction(spec.price), at]


@given(spec=specs(), limits=limits, around=circumstances)
def test_what_passes_is_within_every_limit(spec: OrderSpec, limits: PretradeLimits, around: Circumstances) -> None:
    assume(judge(limits, spec, spec.quantity, around) is None)
    if not spec.reduce_only:
        assert limits.max_open is None or around.open_orders < limits.max_open
        assert limits.per_second is None or around.recent < limits.per_second
    fresh = around.reference is not None and NOW_S - around.reference.asked_s <= AGE_S
    if limits.max_notional is not None and not spec.reduce_only:
        rests = spec.time_in_force is TimeInForce.POST_ONLY
        if spec.price is not None and (spec.side is Side.BUY or rests):
            prices = [Fraction(spec.price)]
        else:
            assert fresh
            assert around.reference is not None
            prices = executions(spec, around.reference.ticker)
        assert all(Fraction(spec.quantity) * price <= Fraction(limits.max_notional) for price in prices)
    if limits.price_collar is not None and spec.price is not None:
        assert fresh
        assert around.reference is not None
        (*_, at) = executions(evolve(spec, price=None), around.reference.ticker)
        if spec.side is Side.BUY:
            assert Fraction(spec.price) <= at * (1 + Fraction(limits.price_collar))
        else:
            assert Fraction(spec.price) >= at * (1 - Fraction(limits.price_collar))


@given(spec=specs(), limits=strict, around=circumstances)
def test_a_refusal_names_the_limit_its_value_and_the_order(
    spec: OrderSpec, limits: PretradeLimits, around: Circumstances
) -> None:
    judged = judge(limits, spec, spec.quantity, around)
    assume(isinstance(judged, LimitRefused))
    assert isinstance(judged, LimitRefused)
    name = judged.code.removeprefix("limit_")
    value = getattr(limits, name)
    assert value is not None, "a limit that is not set refused something"
    shown = format(value, "f") if isinstance(value, Decimal) else str(value)
    assert f"The limit {name} is {shown}" in judged.words
    for part in (spec.side.value, format(spec.quantity, "f"), str(BTC), "was not sent."):
        assert part in judged.words
    if spec.price is not None:
        assert format(spec.price, "f") in judged.words


@given(spec=specs(), around=circumstances)
def test_without_limits_everything_passes(spec: OrderSpec, around: Circumstances) -> None:
    assert not PretradeLimits().any
    assert judge(PretradeLimits(), spec, spec.quantity, around) is None


@given(spec=specs(reduce_only=True), limits=limits, around=circumstances)
def test_closing_is_held_against_the_collar_alone_and_at_the_market_against_nothing(
    spec: OrderSpec, limits: PretradeLimits, around: Circumstances
) -> None:
    judged = judge(limits, spec, spec.quantity, around)
    assert judged == judge(PretradeLimits(price_collar=limits.price_collar), spec, spec.quantity, around)
    assert judge(limits, evolve(spec, price=None), spec.quantity, around) is None


@given(spec=specs(), limits=limits, around=circumstances)
def test_a_stale_price_is_no_price(spec: OrderSpec, limits: PretradeLimits, around: Circumstances) -> None:
    if around.reference is not None:
        around = evolve(around, reference=evolve(around.reference, asked_s=NOW_S - AGE_S - 0.001))
    none = judge(limits, spec, spec.quantity, evolve(around, reference=None))
    assert judge(limits, spec, spec.quantity, around) == none


@given(spec=specs(trigger=False, priced=True), limits=limits, around=circumstances, by=st.decimals("0", "1e9"))
def test_the_passive_side_is_free(spec: OrderSpec, limits: PretradeLimits, around: Circumstances, by: Decimal) -> None:
    assert spec.price is not None
    collar = PretradeLimits(price_collar=limits.price_collar)
    assume(judge(collar, spec, spec.quantity, around) is None)
    further = spec.price + by if spec.side is Side.SELL else max(Decimal("1e-12"), spec.price - by)
    assert judge(collar, evolve(spec, price=further), spec.quantity, around) is None


# ---------------------------------------------------------------------------------------------------- by hand


def code(of: PretradeLimits, spec: OrderSpec, around: Circumstances) -> str:
    """What is said of it."""
    judged = judge(of, spec, spec.quantity, around)
    return judged.code if isinstance(judged, LimitRefused) else type(judged).__name__


WORTH = PretradeLimits(max_notional=Decimal(100))
COLLAR = PretradeLimits(price_collar=Decimal("0.05"))


@pytest.mark.parametrize(
    ("spec", "ticker", "told"),
    [
        (limit(), None, "NoneType"),
        (limit(price="100.01"), None, "limit_max_notional"),
        (limit(Side.SELL, price="1"), None, "PriceNeeded"),
        (limit(Side.SELL, price="1"), market(bid="100"), "NoneType"),
        (limit(Side.SELL, price="1"), market(bid="101"), "limit_max_notional"),
        (limit(Side.SELL, price="1", time_in_force=TimeInForce.POST_ONLY), None, "NoneType"),
        (limit(Side.SELL, price="101"), market(bid="1"), "limit_max_notional"),
        (limit(price=None), None, "PriceNeeded"),
        (limit(price=None), market(bid="1", ask="101"), "limit_max_notional"),
        (limit(price=None), market(bid="101", ask="100"), "NoneType"),
        (limit(Side.SELL, price=None), market(bid="100", ask="200"), "NoneType"),
        (limit(price=None), market(ask=None, last=Decimal(100), mark=Decimal(200)), "NoneType"),
        (limit(price=None), market(ask=None, mark=Decimal(200)), "limit_max_notional"),
        (limit(price=None), market(ask=None), "PriceNeeded"),
        (limit(price="1e999999", quantity="1e999999"), None, "limit_max_notional"),
        (limit(price="100." + 70 * "0" + "1"), None, "limit_max_notional"),
        (limit(price="1000", reduce_only=True), None, "NoneType"),
    ],
)
def test_what_an_order_is_worth(spec: OrderSpec, ticker: Ticker | None, told: str) -> None:
    """At most 100."""
    assert code(WORTH, spec, seen(ticker)) == told


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (limit(price="105"), "NoneType"),
        (limit(price="105.01"), "limit_price_collar"),
        (limit(price="0.01"), "NoneType"),
        (limit(Side.SELL, price="95"), "NoneType"),
        (limit(Side.SELL, price="94.99"), "limit_price_collar"),
        (limit(Side.SELL, price="1000000"), "NoneType"),
        (limit(price=None, quantity="1000"), "NoneType"),
        (limit(price="105.01", reduce_only=True), "limit_price_collar"),
    ],
)
def test_the_collar(spec: OrderSpec, told: str) -> None:
    """Of 5 % around 100."""
    assert code(COLLAR, spec, seen(market())) == told
    assert code(COLLAR, spec, seen()) == ("NoneType" if spec.price is None else "PriceNeeded")


STOP, PROFIT = TriggerKind.STOP, TriggerKind.TAKE_PROFIT


@pytest.mark.parametrize(
    ("side", "kind", "at", "price", "told"),
    [
        (Side.BUY, STOP, "120", "126", "NoneType"),  # an entry on a break-out, which meets a market of 120
        (Side.BUY, STOP, "120", "126.01", "limit_price_collar"),
        (Side.BUY, STOP, "80", "105", "NoneType"),  # set off at once, in a market of 100
        (Side.BUY, STOP, "80", "105.01", "limit_price_collar"),
        (Side.BUY, PROFIT, "80", "84.01", "limit_price_collar"),
        (Side.BUY, PROFIT, "120", "105.01", "limit_price_collar"),  # set off at once
        (Side.SELL, STOP, "80", "76", "NoneType"),
        (Side.SELL, STOP, "80", "75.99", "limit_price_collar"),
        (Side.SELL, STOP, "120", "94.99", "limit_price_collar"),  # set off at once
        (Side.SELL, PROFIT, "120", "113.99", "limit_price_collar"),
    ],
)
def test_a_trigger_meets_the_market_that_sets_it_off(
    side: Side, kind: TriggerKind, at: str, price: str, told: str
) -> None:
    """Not the one there is now."""
    spec = limit(side, price, trigger=Trigger(kind=kind, price=Decimal(at)))
    assert code(COLLAR, spec, seen(market())) == told


@pytest.mark.parametrize(
    ("side", "kind", "at", "told"),
    [
        (Side.BUY, STOP, "120", "limit_max_notional"),
        (Side.BUY, STOP, "80", "NoneType"),
        (Side.BUY, PROFIT, "80", "NoneType"),
        (Side.SELL, STOP, "80", "NoneType"),
        (Side.SELL, PROFIT, "120", "limit_max_notional"),
    ],
)
def test_what_a_trigger_at_the_market_is_worth(side: Side, kind: TriggerKind, at: str, told: str) -> None:
    """At most 100, in a market of 100."""
    assert code(WORTH, limit(side, None, trigger=Trigger(kind=kind, price=Decimal(at))), seen(market())) == told


@pytest.mark.parametrize(("limits", "told"), [({"max_open": 3}, "max_open"), ({"per_second": 3}, "per_second")])
def test_counts(limits: dict[str, int], told: str) -> None:
    """The third passes, the fourth does not."""
    of = PretradeLimits(**limits)  # type: ignore[arg-type]
    assert code(of, limit(), seen(open_orders=2, recent=2)) == "NoneType"
    assert code(of, limit(), seen(open_orders=3, recent=3)) == f"limit_{told}"
    assert code(of, limit(reduce_only=True), seen(open_orders=3, recent=3)) == "NoneType"


def test_an_order_sent_again_is_no_new_one_but_opens_one_more() -> None:
    again = evolve(seen(open_orders=3, recent=3), again=True)
    assert code(PretradeLimits(per_second=3), limit(), again) == "NoneType"
    assert code(PretradeLimits(max_open=3), limit(), again) == "limit_max_open"
    assert code(WORTH, limit(price="101"), again) == "limit_max_notional"


def test_the_quantity_of_the_leg_counts_not_what_was_asked_once() -> None:
    """The rest of an order of which most has filled."""
    assert judge(WORTH, limit(quantity="10"), Decimal(1), seen()) is None
    assert judge(WORTH, limit(quantity="1"), Decimal(2), seen()) is not None


def test_needing_a_price_says_so_only_where_nothing_else_refuses() -> None:
    """Nobody is asked for a price of an order that would be refused with any."""
    both = evolve(COLLAR, max_open=1)
    assert judge(both, limit(), Decimal(1), seen()) == PriceNeeded()
    assert isinstance(judge(both, limit(), Decimal(1), seen(open_orders=1)), LimitRefused)
