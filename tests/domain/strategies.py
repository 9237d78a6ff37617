"""What hypothesis draws for the pure machines: identities, specs, orders and their legs, and time that goes by."""

from __future__ import annotations

from decimal import Decimal

from attrs import evolve
from hypothesis import strategies as st

from messages.orders import LegState, OrderKey, OrderSpec, OrderView, Side, Wanted
from tests.domain.orders import key, leg, order, spec

EXCHANGES = ("bybit", "okx", "binance")

exchanges = st.sampled_from(EXCHANGES)
names = st.sampled_from(["a", "b", "c"])
"""Of orders: few, so that they meet again."""
keys: st.SearchStrategy[OrderKey] = st.builds(key, names)
quantities = st.integers(1, 40).map(lambda tenths: Decimal(tenths) / 10)
prices = st.integers(90, 110).map(Decimal)
pauses_s = st.sampled_from([0.0, 0.001, 0.1, 0.5, 1.0, 3.0, 10.0])
"""Time that goes by: some of it exactly what the machines' waits are made of."""


@st.composite
def specs(draw: st.DrawFn) -> OrderSpec:
    """A limit order or one at the market, of either side."""
    quantity, price = draw(quantities), draw(st.none() | prices)
    made = spec(str(quantity), None if price is None else str(price))
    return evolve(made, side=draw(st.sampled_from(Side)))


@st.composite
def orders(draw: st.DrawFn, named: OrderKey | None = None, wanted: bool = True) -> OrderView:
    """An order with one leg in any state that a newest leg may have, or with none committed; perhaps with a change
    asked for."""
    name = named or draw(keys)
    state = draw(st.none() | st.sampled_from([each for each in LegState if each is not LegState.HELD]))
    if state is None:
        return order(of=name)
    made = leg(state, exchange=draw(exchanges))
    if wanted and draw(st.booleans()):
        made = evolve(made, wanted=Wanted(quantity=draw(quantities)))
    return order(made, of=name)
