"""A session at its edges: a connector that died and did not come back, and more requests than it keeps."""

from __future__ import annotations

import pytest
from attrs import evolve

from app.domain import session as s
from messages.failover import GetStatus, Route, RouteChanged, RouterState
from messages.orders import PlaceOrder
from messages.supervision import Directory, DirectoryEntry, Role
from tests.domain.orders import JOURNAL, key, spec

CONNECTOR = DirectoryEntry(role=Role.CONNECTOR, name="bybit", address="b", incarnation=1, pid=1)
BEFORE = Directory(generation=1, journal_id=JOURNAL, entries=(CONNECTOR,))


def session() -> s.Session:
    """One that knows where orders go."""
    made = s.Session(s.SessionSettings(session_id="s", strategy="maker"))
    made.directory_told(BEFORE, 0.0)
    made.route_told(RouteChanged(route=Route(epoch=1, exchange="bybit", since_s=0.0), state=RouterState.READY), 0.0)
    return made


def test_what_died_with_a_connector_that_does_not_come_back_is_unknown() -> None:
    made = session()
    made.ask(PlaceOrder(correlation_id="p", deadline_s=6.0, epoch=1, key=key(), spec=spec()), 0.0)
    made.directory_told(evolve(BEFORE, generation=2, entries=()), 1.0)
    resolved = [effect for effect in made.tick(6.0) if isinstance(effect, s.Resolved)]
    assert [type(each.outcome) for each in resolved] == [s.OutcomeUnknown], (
        "it may have placed the order before it died"
    )


def test_more_requests_than_it_keeps_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s, "MAX_PENDING", 3)
    made = session()
    for n in range(3):
        made.ask(GetStatus(correlation_id=f"g{n}", deadline_s=6.0), 0.0)
    with pytest.raises(s.TooManyPending):
        made.ask(GetStatus(correlation_id="g3", deadline_s=6.0), 0.0)
    made.forget("g0")
    made.ask(GetStatus(correlation_id="g4", deadline_s=6.0), 0.0)
