"""Cold questions to the journal, in SQLAlchemy Core: what the store asks when no order waits for the answer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Executable, select, union, union_all

from app.journal.schema import ASIDE_LEG, LIVE_LEG, UNLISTED_LEG, legs, orders
from messages.orders import LegState


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


def owners(wire_ids: Collection[str]) -> Executable:
    """Whose legs some wire ids are."""
    return (
        select(legs.c.wire_id, orders.c.order_id, orders.c.strategy, orders.c.client_order_id)
        .join(orders)
        .where(legs.c.wire_id.in_(sorted(wire_ids)))
    )


def owners_there(exchange: str, order_ids: Collection[str]) -> Executable:
    """Whose legs some ids of an exchange's own are, of those that may have executions which are not kept."""
    there = (legs.c.exchange == exchange, legs.c.exchange_order_id.in_(sorted(order_ids)))
    return union(
        *(
            select(legs.c.exchange_order_id, orders).join(legs).where(*there, which)
            for which in (LIVE_LEG, ASIDE_LEG, UNLISTED_LEG)
        )
    )


def may_fill(*what: ColumnElement[Any]) -> Executable:
    """Columns of every leg that may still fill."""
    return union_all(*(select(*what).where(which) for which in (LIVE_LEG, ASIDE_LEG)))
