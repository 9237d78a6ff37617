"""Whom a session asks what: orders at the connector of the committed route, the rest at who keeps it."""

from __future__ import annotations

from app.domain.session_pending import Pending
from messages.base import Request
from messages.control import Verb
from messages.executions import CatchUp, GetOrderFills
from messages.failover import GetHistory, GetStatus, ManualFailover, Route
from messages.health import GetHealth
from messages.orders import AmendOrder, CancelOrder, GetClosedOrders, GetOpenOrders, GetOrder
from messages.positions import GetBook
from messages.supervision import Directory, DirectoryEntry, Role

_AT_COORDINATOR = (GetStatus, GetHistory, ManualFailover, Verb)


def by_route(request: Request) -> bool:
    """Whether it goes where the route says."""
    return not isinstance(request, (*_AT_COORDINATOR, GetHealth, GetBook))


def target_of(pending: Pending, directory: Directory | None, route: Route | None) -> DirectoryEntry | None:
    """Who is to be asked now; None where nobody can be, until the directory or the route changes."""
    if directory is None:
        return None
    request = pending.request
    if isinstance(request, _AT_COORDINATOR):
        return directory.find(Role.FAILOVER_COORDINATOR)
    if isinstance(request, GetHealth):
        return directory.find(Role.HEALTH_MONITOR)
    if isinstance(request, GetBook):
        return directory.find(Role.POSITION_SYNCHRONIZER)
    if pending.elsewhere is not None:
        return directory.find(Role.CONNECTOR, pending.elsewhere)
    exchange = route.exchange if route is not None else None
    if isinstance(request, CatchUp | GetOrderFills):
        return _next_connector(directory, exchange, pending.sends)
    named = GetOrder | CancelOrder | AmendOrder | GetClosedOrders
    anybody = pending.sends == 0 or isinstance(request, named)
    anybody = anybody or (isinstance(request, GetOpenOrders) and not request.fresh)
    if exchange is None and anybody:
        # Any connector can read the journal; and an order that was placed before must not be said never to have
        # been, only because nothing can be placed between fence and commit.
        return directory.find(Role.CONNECTOR)
    return directory.find(Role.CONNECTOR, exchange) if exchange is not None else None


def _next_connector(directory: Directory, exchange: str | None, sends: int) -> DirectoryEntry | None:
    """Any connector can read the journal: the one where trading is, and the others in turn where that one is silent."""
    there = [entry for entry in directory.entries if entry.role is Role.CONNECTOR]
    there.sort(key=lambda entry: entry.name != exchange)
    return there[sends % len(there)] if there else None
