"""An order whose deadline has passed is not sent, wherever it waited: time is virtual here, and jumps where it may.

Between its commit and its sending it is the port that looks at the clock: `tests.exchanges.test_conformance`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from attrs import evolve

from actors.order_path import OrderPath
from actors.order_writes import OrderWrites
from app.domain import calls as c
from app.domain import effects as e
from app.domain import ids
from app.domain import session as s
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from app.domain.limiter import RateLimit
from app.domain.pretrade import PretradeLimits
from app.fuzz.plan import draw_plan
from app.fuzz.profiles import PROFILES
from app.fuzz.runner import SimRunner
from app.fuzz.world import World
from app.journal.store import Journal
from messages.failover import Route, RouteChanged, RouterState
from messages.orders import LegState, OrderNotExecuted, PlaceOrder
from messages.supervision import Directory, DirectoryEntry, Role
from tests.domain.connector_desk import PROOF, ROOM, Desk
from tests.domain.orders import JOURNAL, key, spec
from tests.domain.test_pretrade_gate import ticker, told_a_price

CONNECTOR = DirectoryEntry(role=Role.CONNECTOR, name="bybit", address="b", incarnation=1, pid=1)
NOBODY = Directory(generation=1, journal_id=JOURNAL, entries=())


def request(deadline_s: float = 2.0) -> PlaceOrder:
    """A placement."""
    return PlaceOrder(correlation_id="p", deadline_s=deadline_s, epoch=1, key=key(), spec=spec())


def never_sent(desk: Desk) -> None:
    """Nothing was committed, and nothing left."""
    assert not [call for call in desk.flights.values() if isinstance(call, c.PlaceCall)]
    assert desk.journal.order(ids.order_id(desk.journal.journal_id, key("late"))) is None


def test_in_a_session_that_knows_nobody_to_ask() -> None:
    session = s.Session(s.SessionSettings(session_id="s", strategy="maker"))
    session.directory_told(NOBODY, 0.0)
    session.ask(request(), 0.0)
    resolved = [effect for effect in session.tick(2.0) if isinstance(effect, s.Resolved)]
    assert [type(each.outcome) for each in resolved] == [OrderNotExecuted]
    later = session.directory_told(evolve(NOBODY, generation=2, entries=(CONNECTOR,)), 2.1)
    later += session.route_told(
        RouteChanged(route=Route(epoch=1, exchange="bybit", since_s=2.0), state=RouterState.READY), 2.2
    )
    assert not [each for each in later if isinstance(each, s.Tell) and isinstance(each.message, PlaceOrder)]


def test_in_a_session_at_the_very_moment() -> None:
    """Nobody ticked: the directory comes when the deadline has passed."""
    session = s.Session(s.SessionSettings(session_id="s", strategy="maker"))
    session.directory_told(NOBODY, 0.0)
    session.route_told(RouteChanged(route=Route(epoch=1, exchange="bybit", since_s=0.0), state=RouterState.READY), 0.0)
    session.ask(request(), 0.0)
    effects = session.directory_told(evolve(NOBODY, generation=2, entries=(CONNECTOR,)), 2.0)
    effects += session.tick(2.0)
    machine = Connector("bybit", PROOF, ConnectorSettings(), ROOM)
    for effect in effects:
        if isinstance(effect, s.Tell) and isinstance(effect.message, PlaceOrder):
            (turned,) = machine.place("s", effect.message, 2.0)
            assert isinstance(turned, e.TurnAway), "and where it is sent, its connector begins nothing"


def test_in_a_mailbox() -> None:
    desk = Desk()
    asked = evolve(request(), key=key("late"))
    desk.now_s = 2.0
    desk.perform(desk.machine.place("asker", asked, desk.now_s))
    (answer,) = desk.answers["asker"]
    assert (type(answer), answer.code) == (OrderNotExecuted, "deadline_passed")
    never_sent(desk)


def test_in_the_rate_limiter() -> None:
    desk = Desk()
    desk.machine = Connector("bybit", PROOF, ConnectorSettings(), RateLimit(per_s=1.0, burst=1))
    desk.place("first")
    late = desk.place("late", within_s=1.6)
    assert late not in desk.answers, "there is room in a second"
    desk.now_s = 1.7  # asleep: the room and the end of its time are found at once
    desk.perform(desk.machine.tick(desk.now_s))
    (answer,) = desk.answers[late]
    assert (type(answer), answer.code) == (OrderNotExecuted, "rate_limited")
    sent = [call for call in desk.flights.values() if isinstance(call, c.PlaceCall)]
    assert len(sent) == 1
    assert desk.journal.order(ids.order_id(desk.journal.journal_id, key("late"))) is None


@pytest.mark.parametrize("ticked", [True, False])
def test_while_it_waits_for_a_price(ticked: bool) -> None:
    desk = Desk(PretradeLimits(price_collar=Decimal("0.05")))
    late = desk.place("late", within_s=2.0)
    desk.now_s = 2.0
    if ticked:
        desk.perform(desk.machine.tick(desk.now_s))
        told_a_price(desk, ticker())
    else:  # asleep: the price and the end of its time are found at once
        told_a_price(desk, ticker())
    (answer,) = desk.answers[late]
    assert (type(answer), answer.code) == (OrderNotExecuted, "no_reference_price")
    never_sent(desk)


class Slow(Journal):
    """A journal whose write lock takes a while."""

    waits_s = 0.0
    clock: Any = None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with super()._transaction():
            if self.clock is not None:
                self.clock.now_s += self.waits_s
            yield


def ready_runner(desk: Desk) -> SimRunner:
    """A port in simulated time."""
    rng = Random(1)
    world = World(PROFILES["calm"], draw_plan(PROFILES["calm"], rng), rng)
    runner = SimRunner(
        next(iter(world.exchanges.values())),
        weather=world._weather,
        rng=rng,
        record=world.record,
        now=lambda: desk.now_s,
        later=world._later,
        announce=lambda waits: None,
        touch=lambda point: None,
        sent=lambda exchange, call, serial: None,
    )
    runner.port.ready = True
    world.close()
    return runner


@pytest.mark.parametrize(("waits_s", "orders"), [(0.9, 1), (1.0, 1), (1.0, 3)])
def test_while_the_journal_is_locked(waits_s: float, orders: int) -> None:
    """Until then nothing is in the journal, so that who asks it can be told that the order never was."""
    desk = Desk()
    desk.now_s = 1.0
    journal = Slow(None)
    journal.fence(0.0)
    journal.commit_route(1, "bybit", 0.0)
    journal.clock, journal.waits_s = desk, waits_s
    runner = ready_runner(desk)
    path = OrderPath("bybit", journal, runner, 5.0)
    writes = OrderWrites(journal, desk.machine, runner, path, lambda: desk.now_s)
    committing = []
    for n in range(orders):
        asked = evolve(request(), correlation_id=f"p{n}", key=key(f"n{n}"))
        committing += [each for each in desk.machine.place("asker", asked, 1.0) if isinstance(each, e.Commit)]
    assert len(committing) == orders
    made = writes.commit(committing, 1.0)
    if waits_s < 1.0:
        assert [type(each) for each in made] == [e.Send]
        assert len(journal.orders_in([LegState.INTENT])) == 1
        return
    assert [(type(each), getattr(each, "code", "")) for each in made] == [(e.TurnAway, "deadline_passed")] * orders
    assert journal.orders_in(list(LegState)) == ()
    assert desk.machine._placing.under_way == 0
