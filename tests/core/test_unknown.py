"""Whatever may have been done and is not answered ends as unknown, with the order's id and what to do next."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from app.core.client import no_answer
from app.core.errors import NotRunning, OrderOutcomeUnknown
from app.domain import ids
from app.domain import session as s
from messages.failover import GetStatus, Route, RouteChanged, RouterState
from messages.orders import AmendOrder, CancelOrder, PlaceOrder
from messages.supervision import Directory, DirectoryEntry, Role
from tests.domain.orders import JOURNAL, key, spec

CONNECTOR = DirectoryEntry(role=Role.CONNECTOR, name="bybit", address="b", incarnation=1, pid=1)
ORDER_ID = ids.order_id(JOURNAL, key())
FRAME: dict[str, Any] = {"correlation_id": "r", "deadline_s": 6.0}
REQUESTS = [
    (PlaceOrder(epoch=1, key=key(), spec=spec(), **FRAME), "placed", "place it again under the same client order id"),
    (CancelOrder(strategy="maker", order_id=ORDER_ID, **FRAME), "cancelled", "cancel it again"),
    (CancelOrder(strategy="maker", order_id=None, client_order_id="one", **FRAME), "cancelled", "cancel it again"),
    (AmendOrder(strategy="maker", order_id=ORDER_ID, **FRAME), "changed", "ask for the same change again"),
]
each_request = pytest.mark.parametrize(("request_", "verb", "again"), REQUESTS)


def asked(request: Any, exchange: str | None = "bybit") -> s.Session:
    """A session that has sent a request, and hears nothing."""
    session = s.Session(s.SessionSettings(session_id="s", strategy="maker"))
    session.directory_told(Directory(generation=1, journal_id=JOURNAL, entries=(CONNECTOR,)), 0.0)
    session.route_told(RouteChanged(route=Route(epoch=1, exchange="bybit", since_s=0.0), state=RouterState.READY), 0.0)
    sent = session.ask(request, 0.0)
    assert isinstance(sent[0], s.Tell)
    if exchange is None:  # trading is moved, and does not arrive
        session.route_told(
            RouteChanged(route=Route(epoch=2, exchange=None, since_s=1.0), state=RouterState.SWITCHING), 1.0
        )
    return session


@each_request
@pytest.mark.parametrize("exchange", ["bybit", None])
def test_at_the_deadline(request_: Any, verb: str, again: str, exchange: str | None) -> None:
    (resolved,) = [each for each in asked(request_, exchange).tick(6.0) if isinstance(each, s.Resolved)]
    assert isinstance(resolved.outcome, s.OutcomeUnknown)
    assert resolved.outcome.order_id == ORDER_ID
    words = f"Nobody can know yet whether order {ORDER_ID} was {verb}; it is being resolved: ask for it by its id, or "
    assert resolved.outcome.words.startswith(words + again)


@each_request
def test_when_the_daemon_ends_before(request_: Any, verb: str, again: str) -> None:
    unsure = asked(request_).in_doubt("r", "The daemon (pid 7) has ended.")
    assert unsure is not None
    assert unsure.order_id == ORDER_ID
    assert unsure.words.startswith(f"The daemon (pid 7) has ended. Nobody can know yet whether order {ORDER_ID} was")
    assert f"when the router runs again on the same state directory: ask for it by its id then, or {again}" in (
        unsure.words
    )


@each_request
def test_when_the_routers_own_thread_hangs(request_: Any, verb: str, again: str) -> None:
    client: Any = SimpleNamespace(journal_id=JOURNAL)
    with pytest.raises(OrderOutcomeUnknown, match=f"was {verb}.*{again}") as unknown:
        no_answer(request_, client)
    assert unknown.value.order_id == ORDER_ID


def test_what_changes_nothing_is_not_in_doubt() -> None:
    client: Any = SimpleNamespace(journal_id=JOURNAL)
    with pytest.raises(NotRunning, match="does not answer"):
        no_answer(GetStatus(**FRAME), client)
