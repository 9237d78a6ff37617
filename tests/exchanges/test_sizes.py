"""Sizes and prices: exact, never larger than asked, refused with a value that is valid."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exchanges.sizes import (
    InvalidSize,
    SizeRules,
    check_notional,
    check_price,
    nearest_price,
    nearest_quantity,
    plain,
    to_base,
    to_contracts,
)

POWERS = [Decimal(10) ** n for n in range(-8, 3)]
RULES = st.builds(
    SizeRules,
    step=st.sampled_from([power * digit for power in POWERS for digit in (1, 2, 5)]),
    tick=st.sampled_from([power * digit for power in POWERS for digit in (1, 5, 25)]),
    minimum=st.none() | st.decimals("0.001", "20", places=3),
    maximum=st.none() | st.decimals("1000", "100000", places=1),
    minimum_notional=st.none() | st.decimals("1", "100", places=0),
    contract_size=st.sampled_from([Decimal(text) for text in ("0.0001", "0.01", "0.1", "1", "10", "100", "0.3")]),
)
SOME = st.decimals("0.00000001", "100000", allow_nan=False, allow_infinity=False, places=8)
NOT_A_SIZE = [Decimal(text) for text in ("NaN", "sNaN", "Infinity", "-Infinity", "0", "-0", "-1", "-0.001")]


@given(rules=RULES, quantity=SOME)
def test_contracts_are_the_quantity_or_nothing(rules: SizeRules, quantity: Decimal) -> None:
    """What is admitted converts back to exactly what was asked, on step and within the limits; never larger."""
    try:
        contracts = to_contracts(quantity, rules)
    except InvalidSize:
        return
    assert to_base(contracts, rules) == quantity
    assert contracts % rules.step == 0
    assert rules.minimum is None or contracts >= rules.minimum
    assert rules.maximum is None or contracts <= rules.maximum


def test_market_orders_may_be_bounded_more_narrowly() -> None:
    """By both bounds; where a market tells none of its own, by the one that is there."""
    rules = SizeRules(step=Decimal("0.001"), tick=Decimal("0.1"), maximum=Decimal(1000), market_maximum=Decimal(120))
    assert to_contracts(Decimal(500), rules) == 500
    with pytest.raises(InvalidSize, match="use 120 or less"):
        to_contracts(Decimal(500), rules.of_market_orders)
    assert rules.of_market_orders.minimum is None
    wide = SizeRules(step=Decimal(1), tick=Decimal(1), minimum=Decimal(5), market_minimum=Decimal(2))
    assert wide.of_market_orders.minimum == 5
    assert wide.of_market_orders.maximum is None


@given(rules=RULES, steps=st.integers(1, 10**6))
def test_what_is_on_step_is_admitted_within_the_limits(rules: SizeRules, steps: int) -> None:
    """Nothing valid is refused."""
    contracts = rules.step * steps
    quantity = to_base(contracts, rules)
    inside = (rules.minimum is None or contracts >= rules.minimum) and (
        rules.maximum is None or contracts <= rules.maximum
    )
    if inside:
        assert to_contracts(quantity, rules) == contracts
    else:
        with pytest.raises(InvalidSize):
            to_contracts(quantity, rules)


@given(rules=RULES, quantity=SOME)
def test_the_value_named_in_a_refusal_is_valid(rules: SizeRules, quantity: Decimal) -> None:
    """Trying again with it succeeds."""
    try:
        to_contracts(quantity, rules)
    except InvalidSize as refusal:
        named = re.search(r"(?:use|quantity is) ([0-9]+(?:[.][0-9]+)?)", str(refusal))
        assert named is not None
        to_contracts(Decimal(named[1]), rules)


@given(rules=RULES, quantity=SOME)
def test_the_nearest_quantity_is_near(rules: SizeRules, quantity: Decimal) -> None:
    """At most half a step away, unless a limit is in the way."""
    nearest = nearest_quantity(quantity, rules)
    to_contracts(nearest, rules)
    if rules.base_minimum <= quantity and (rules.base_maximum is None or quantity <= rules.base_maximum):
        assert abs(nearest - quantity) <= rules.base_step / 2


@given(rules=RULES, price=SOME)
def test_prices(rules: SizeRules, price: Decimal) -> None:
    """On tick or refused with the nearest valid price."""
    nearest = nearest_price(price, rules)
    check_price(nearest, rules)
    if price % rules.tick == 0:
        check_price(price, rules)
    else:
        with pytest.raises(InvalidSize, match=re.escape(plain(nearest))):
            check_price(price, rules)


@given(rules=RULES, price=SOME, steps=st.integers(1, 10**5))
def test_the_least_notional(rules: SizeRules, price: Decimal, steps: int) -> None:
    """What is too small is refused with a quantity that is enough."""
    quantity = rules.base_step * steps
    try:
        check_notional(quantity, price, rules)
    except InvalidSize as refusal:
        assert rules.minimum_notional is not None
        assert quantity * price < rules.minimum_notional
        named = re.search(r"use ([0-9]+(?:[.][0-9]+)?) or more", str(refusal))
        assert named is not None
        check_notional(Decimal(named[1]), price, rules)
        assert Decimal(named[1]) % rules.base_step == 0


@pytest.mark.parametrize("value", NOT_A_SIZE, ids=str)
def test_what_is_no_size_is_refused(value: Decimal) -> None:
    """Not a number, infinite, zero, negative; as quantity and as price."""
    rules = SizeRules(step=Decimal("0.001"), tick=Decimal("0.1"))
    with pytest.raises(InvalidSize, match="above zero"):
        to_contracts(value, rules)
    with pytest.raises(InvalidSize, match="above zero"):
        check_price(value, rules)


@given(value=SOME)
def test_plain_is_exact_and_has_no_exponent(value: Decimal) -> None:
    """It is what goes on the wire."""
    text = plain(value)
    assert Decimal(text) == value
    assert re.fullmatch(r"[0-9]+(\.[0-9]*[1-9])?", text)


@pytest.mark.parametrize(
    ("value", "text"), [("1E+3", "1000"), ("0.0010", "0.001"), ("100", "100"), ("1E-8", "0.00000001")]
)
def test_plain(value: str, text: str) -> None:
    """Examples."""
    assert plain(Decimal(value)) == text


@pytest.mark.parametrize("text", ["1e999999", "1e-999999", "1e30", "1." + "0" * 50 + "1"])
def test_a_number_no_market_counts_in_is_refused_and_not_computed_with(text: str) -> None:
    """Decimal's own exceptions would end the connector, and again after each restart."""
    rules = SizeRules(step=Decimal("0.001"), tick=Decimal("0.1"))
    with pytest.raises(InvalidSize, match="more digits or zeros"):
        to_contracts(Decimal(text), rules)
    with pytest.raises(InvalidSize, match="more digits or zeros"):
        check_price(Decimal(text), rules)
