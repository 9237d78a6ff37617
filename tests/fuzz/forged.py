"""Histories made up for the checkers: what a run would have shown that went so, without a run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.domain.calls import ExpiryEnforcement, Proof
from app.domain.limiter import RateLimit
from app.fuzz import record as r
from app.fuzz.checker import Seen
from app.fuzz.plan import Plan
from app.fuzz.sim_orders import Duplicates, SimOrder, Traits
from app.fuzz.strategy import OrderPlan, StrategyPlan
from messages.orders import LegState, Side
from tests.domain.orders import BTC, spec

START_S = 1_000_000.0
CALM_S, END_S = START_S + 400.0, START_S + 600.0


def traits(name: str) -> Traits:
    """Of an exchange that enforces expiries."""
    proof = Proof(
        enforcement=ExpiryEnforcement.ENGINE, validity_s=5.0, lateness_s=0.0, visibility_s=1.0, clock_error_s=0.5
    )
    return Traits(
        name=name,
        proof=proof,
        rate_limit=RateLimit(per_s=20.0, burst=20),
        duplicates=Duplicates.OPEN_ONLY,
        clock_s=0.0,
        acknowledges=False,
        final_cancels=True,
    )


def order(serial: int = 1, **more: Any) -> OrderPlan:
    """What a strategy is to place: one to be bought, that rests."""
    body: dict[str, Any] = {"at_s": START_S + 1.0, "side": "buy", "quantity": Decimal(1), "price": Decimal(20_000)}
    body |= {"timeout_s": 4.0, **more}
    return OrderPlan(serial=serial, time_in_force="GTC", **body)


def leg(exchange: str, at_s: float, *, serial: int = 1, ended_s: float | None = None, **more: Any) -> SimOrder:
    """A leg on an exchange, whose engine took it; `at_s` counts from the start, as `ended_s` does."""
    body: dict[str, Any] = {"quantity": Decimal(1), "wire_id": f"{exchange}{serial}", "side": Side.BUY}
    filled = more.pop("filled", Decimal(0))
    order = SimOrder(
        exchange=exchange,
        serial=serial,
        exchange_order_id=f"{exchange}-{serial}",
        symbol=BTC,
        accepted_s=START_S + at_s,
        expiry_s=START_S + at_s + 5.0,
        spec=spec(),
        **(body | more),
    )
    order.change(START_S + at_s, LegState.OPEN if not filled else LegState.PARTIALLY_FILLED, filled)
    if ended_s is not None:
        order.change(START_S + ended_s, LegState.CANCELLED, filled)
    return order


def sent(exchange: str, at_s: float, wire_id: str, *, serial: int = 1, quantity: str = "1") -> r.Sent:
    """A connector handed a placement to its exchange."""
    now_s = START_S + at_s
    return r.Sent(now_s, exchange, serial, wire_id, Decimal(quantity), now_s, now_s + 5.0)


def seen(*facts: r.Fact, orders: tuple[SimOrder, ...] = (), plans: tuple[OrderPlan, ...] = (), **more: Any) -> Seen:
    """A whole run of one strategy on two exchanges."""
    strategy = StrategyPlan(name="s", orders={each.serial: each for each in plans}, final_get_s=START_S + 580.0)
    plan = Plan(
        traits=(traits("a"), traits("b")),
        strategies=(strategy,),
        windows=(),
        deaths=(),
        stalls=(),
        lags=(),
        switches=(),
        price_moves=(),
    )
    return Seen(plan, facts, orders, START_S, CALM_S, END_S, {"s": ()}, **more)
