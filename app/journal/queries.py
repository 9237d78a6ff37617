"""Cold questions to the journal, in SQLAlchemy Core: what the store asks when no order waits for the answer."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Executable, func, select

from app.domain.leg_life import LIVE, UNPROVEN
from app.journal.schema import events, legs, orders
from messages.market import Symbol
from messages.orders import LegState

_LIVE = legs.c.state.in_(sorted(LIVE | UNPROVEN))


def in_states(states: Collection[LegState], exchange: str | None, strategy: str | None) -> Executable:
    """Ids of orders with a leg in one of `states`, oldest first, of an exchange or a strategy where given."""
    query = (
        select(orders.c.order_id)
        .join(legs)
        .where(legs.c.state.in_([state.value for state in states]))
        .group_by(orders.c.order_id)
        .order_by(orders.c.created_s, orders.c.order_id)
    )
    if exchange is not None:
        query = query.where(legs.c.exchange == exchange)
    if strategy is not None:
        query = query.where(orders.c.strategy == strategy)
    return query


def closed(strategy: str, symbol: Symbol | None, limit: int) -> Executable:
    """Ids of the newest orders of a strategy, or of a symbol of it, without a leg that is live or in doubt."""
    live = select(legs.c.order_id).where(legs.c.order_id == orders.c.order_id, _LIVE)
    query = (
        select(orders.c.order_id)
        .where(orders.c.strategy == strategy, ~live.exists())
        .order_by(orders.c.created_s.desc(), orders.c.order_id)
        .limit(limit)
    )
    if symbol is not None:
        query = query.where(
            orders.c.base == symbol.base,
            orders.c.quote == symbol.quote,
            orders.c.settle.is_not_distinct_from(symbol.settle),
        )
    return query


def owners(wire_ids: Collection[str]) -> Executable:
    """Whose legs some wire ids are."""
    return (
        select(legs.c.wire_id, orders.c.order_id, orders.c.strategy, orders.c.client_order_id)
        .join(orders)
        .where(legs.c.wire_id.in_(sorted(wire_ids)))
    )


def owners_there(exchange: str, order_ids: Collection[str]) -> Executable:
    """Whose legs some ids of an exchange's own are."""
    return (
        select(legs.c.exchange_order_id, orders)
        .join(legs)
        .where(legs.c.exchange == exchange, legs.c.exchange_order_id.in_(sorted(order_ids)))
    )


def exposed() -> Executable:
    """Every leg that filled or may still, with its order."""
    return (
        select(
            orders,
            legs.c.exchange,
            legs.c.state,
            legs.c.filled,
            func.coalesce(legs.c.most, legs.c.quantity).label("leg_quantity"),
        )
        .join(legs)
        .where((legs.c.filled != "0") | _LIVE)
    )


def traded(since_s: float) -> Executable:
    """Symbols of orders that are younger, live or in doubt."""
    return (
        select(orders.c.base, orders.c.quote, orders.c.settle, orders.c.market_type)
        .join(legs)
        .where((orders.c.created_s >= since_s) | _LIVE)
        .distinct()
    )


def changed(after: int, strategy: str, limit: int) -> Executable:
    """Ids of a strategy's orders with events after a sequence, each once with its last sequence, oldest first."""
    return (
        select(events.c.order_id, func.max(events.c.sequence).label("last"))
        .join(orders, orders.c.order_id == events.c.order_id)
        .where(events.c.sequence > after, orders.c.strategy == strategy)
        .group_by(events.c.order_id)
        .order_by(func.max(events.c.sequence))
        .limit(limit)
    )
