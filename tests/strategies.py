"""What hypothesis draws, for every machine of rules: identities, specs, orders and their legs, and time that goes by.

First for the pure machines; then, for the router as a whole, what its strategies ask and what befalls it.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import evolve
from hypothesis import strategies as st

from app.fuzz.book_plan import VERBS
from app.fuzz.faults import OUTAGES
from app.fuzz.profiles import CONNECTOR_POINTS, CONTROL, COORDINATOR_POINTS
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


# ---------------------------------------------------------------------------------------------------- the whole router

PAIR = EXCHANGES[:2]
traded = st.sampled_from(PAIR)
"""Of a world of two."""
actors = st.sampled_from((*PAIR, *CONTROL, "strategy1", "everything"))
deaths: st.SearchStrategy[tuple[str, str]] = st.one_of(
    st.tuples(actors, st.just("")),
    st.tuples(traded, st.sampled_from(CONNECTOR_POINTS)),
    st.tuples(st.just("failover_coordinator"), st.sampled_from(COORDINATOR_POINTS)),
)
"""Who is killed: now, or at a point within its handler."""
outages = st.sampled_from(tuple(OUTAGES))
verbs = st.sampled_from((*VERBS, "any order"))
sizes = st.integers(1, 50).map(lambda hundredths: Decimal(hundredths) / 100)
rests = st.none() | st.integers(200, 300).map(lambda hundreds: Decimal(hundreds * 100))
"""At the market, or a limit about what the simulated market costs."""
timeouts_s = st.sampled_from([1.0, 4.0, 20.0])
waits_s = st.sampled_from([0.002, 0.02, 0.3, 1.0, 5.0, 20.0])
"""From within a message's way to beyond every validity."""
