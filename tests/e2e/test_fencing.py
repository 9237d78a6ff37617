"""A placement that was committed before trading moved, and leaves, or arrives, after that: stopped in its process,
held by the network, admitted by the exchange and executed late, or still waiting for the rate limiter.

On every exchange. What comes after its expiry executes nowhere; what comes before executes where it was committed, and
then nowhere else; and until either is certain, nothing is placed elsewhere.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from app.bootstrap import JOURNAL_NAME
from app.core.order_router import OrderOutcomeUnknown, OrderRouter
from app.domain import ids
from app.domain.leg_life import UNPROVEN
from app.journal.store import Journal
from app.simulator.thread import Simulated
from messages.orders import LegView, OrderKey
from tests.crash.mortal import HASTE, PLAN, VARIABLE
from tests.crash.steps import Plan, Step
from tests.e2e.daemons import Daemon, stopped
from tests.e2e.relay import Relay
from tests.e2e.world import (
    Answered,
    World,
    actor_pid,
    backups_ready,
    check_once,
    move_to,
    place,
    resolved,
    settled,
    until,
)

EXCHANGES = ("bybit", "okx", "binance", "kraken")
QUICK = ("bybit", "kraken")
"""Where the expiry is looked at upon arrival, and where the engine does; the others with `make test-deep`."""
GATEWAY_ONLY = frozenset({"bybit", "okx"})
"""Where the expiry is looked at when a request arrives, and not when it is executed."""
VALIDITY_S = 1.2
LATE_S = 0.8
"""After its expiry, of what was admitted in time: less than is declared possible."""
ORDERS = 12
TIMEOUT_S = 20.0
"""Of an order: longer than its absence takes to be proven, and it to be placed elsewhere."""
BEFORE_WRITING = Step("place: before the request is written")


class _Networked(World):
    """Each exchange behind a network of its own."""

    def __enter__(self) -> _Networked:
        super().__enter__()
        self._stack = ExitStack()
        self.relays = {name: self._stack.enter_context(Relay(self.sims[name].base_url)) for name in self.names}
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()
        super().__exit__(*error)

    def account(self, name: str) -> dict[str, Any]:
        more = {"allow_settlement_change": True} if name == "kraken" else {}
        return {**super().account(name), "base_url": self.relays[name].base_url, **more}


@frozen
class Stage:
    """Exchanges, a daemon whose connectors can be stopped at any step, a bot."""

    world: _Networked
    router: OrderRouter
    journal: Journal
    plan: Path
    callers: ThreadPoolExecutor

    def leg(self, name: str) -> LegView | None:
        """The newest leg of an order, as the journal has it."""
        key = OrderKey(strategy=self.router.strategy, client_order_id=name)
        order = self.journal.order(ids.order_id(self.journal.journal_id, key))
        return None if order is None else order.leg

    def begin_on(self, exchange: str) -> None:
        """Trading is there, everything is well, and every other exchange could take over."""
        settled(self.router, self.world.names, patience_s=30)
        move_to(self.router, exchange)
        backups_ready(self.router)

    def asked(self, name: str) -> Future[Answered]:
        """An order is on its way; returns when the journal has it."""
        answer = self.callers.submit(
            place, self.router, name, order_type="Market", price=None, qty="0.01", timeout_s=TIMEOUT_S
        )
        until(lambda: self.leg(name), means=f"{name} being committed")
        return answer

    def arrived(self, exchange: str, name: str) -> list[dict[str, Any]]:
        """The requests to place it that reached the exchange and were answered."""
        first = ids.wire_id(self.journal.journal_id, OrderKey(strategy=self.router.strategy, client_order_id=name), 1)
        rows = self.world[exchange].control.requests()
        return [row for row in rows if row["client_order_id"] == first and row["call"] == "place" and row["status"]]

    def held(self, answered: Answered) -> list[str]:
        """Where it is, at most once."""
        books = self.world.books()
        found = check_once(books, self.journal.journal_id, self.router.strategy, answered)
        return [exchange for exchange, order in found if order["status"] != "rejected"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One for the file. Nobody is killed for standing still, and trading moves when a test says so."""
    folder = tmp_path_factory.mktemp("fencing")
    (folder / "steps").mkdir()
    sections: dict[str, Any] = {
        "router": {"auto_failover": False},
        "failover": {"settle_timeout_s": 0.2},
        "supervision": {"heartbeat_timeout_s": 60.0},
    }
    environ = {VARIABLE: str(folder / "steps"), HASTE: str(VALIDITY_S)}
    with (
        _Networked(EXCHANGES, folder / "state", **sections) as world,
        Daemon(world, folder, module="tests.crash.mortal", environ=environ) as daemon,
    ):
        daemon.serves()
        with daemon.router() as router, ThreadPoolExecutor(16) as callers:
            journal = Journal(world.state_dir / JOURNAL_NAME)
            yield Stage(world, router, journal, folder / "steps" / PLAN, callers)
            journal.close()


def other(exchange: str) -> str:
    """Where trading moves to."""
    return "okx" if exchange == "bybit" else "bybit"


def held_by_the_network(stage: Stage, exchange: str, name: str) -> Future[Answered]:
    """What is sent from now on arrives only when the network heals."""
    stage.world.relays[exchange].hold()
    return stage.asked(name)


def stopped_before_writing(stage: Stage, exchange: str, name: str) -> tuple[Future[Answered], int]:
    """The connector stands still with a signed request in its hands; and its process."""
    pid = actor_pid(stage.router, f"connector:{exchange}")
    Plan(about=(name,), ends=(BEFORE_WRITING,), stops=True).written(stage.plan)
    answer = stage.asked(name)
    until(lambda: stopped(pid), means=f"the connector of {exchange} standing still")
    return answer, pid


@pytest.mark.parametrize(
    "exchange", [each if each in QUICK else pytest.param(each, marks=pytest.mark.deep) for each in EXCHANGES]
)
def test_what_comes_after_its_expiry_executes_only_where_trading_went(stage: Stage, exchange: str) -> None:
    """Shown by the books of the exchange that was left: the requests arrived there, and were refused.

    What was admitted in time and executed late is another matter: where the engine does not look at the expiry itself,
    it executes, is waited for until it could not any more, and is placed nowhere else.
    """
    new = other(exchange)
    stage.begin_on(exchange)
    stage.world[exchange].control.fault("late", call="place", count=1, params={"delay_s": VALIDITY_S + LATE_S})
    admitted = stage.asked(f"admitted-{exchange}")
    until(lambda: stage.world[exchange].control.faults()[0]["hits"], means="the exchange having it")
    held = held_by_the_network(stage, exchange, f"held-{exchange}")
    stopped_one, pid = stopped_before_writing(stage, exchange, f"stopped-{exchange}")
    late = [f"held-{exchange}", f"stopped-{exchange}"]
    try:
        committed = stage.leg(late[-1])
        assert committed is not None
        assert stage.router.manual_failover(new)["result"] == "completed"
        assert [stage.arrived(exchange, name) for name in late] == [[], []]
        until(lambda: time.time() > committed.expiry_s + 0.1, means="their expiry")
        for name, answer in zip(late, (held, stopped_one), strict=True):
            leg = stage.leg(name)
            assert leg is not None
            assert leg.exchange == exchange, "nobody could know"
            assert leg.state in UNPROVEN
            assert not answer.done()
    finally:
        stage.world.relays[exchange].heal()
        os.kill(pid, signal.SIGCONT)
    for name in late:
        until(lambda name=name: stage.arrived(exchange, name), means="the request arriving")  # type: ignore[misc]
    for answer in (held, stopped_one):
        answered = answer.result(TIMEOUT_S + 5)
        assert answered.order is not None, answered
        assert stage.held(answered) == [answered.order["exchange"]] == [new]
    answered = admitted.result(TIMEOUT_S + 5)
    assert answered.order is not None, answered
    assert stage.held(answered) == [answered.order["exchange"]] == [exchange if exchange in GATEWAY_ONLY else new]
    stage.world[exchange].control.clear_faults()


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_what_comes_before_its_expiry_executes_where_it_was_committed_and_nowhere_else(
    stage: Stage, exchange: str
) -> None:
    stage.begin_on(exchange)
    held = held_by_the_network(stage, exchange, f"held-soon-{exchange}")
    stopped_one, pid = stopped_before_writing(stage, exchange, f"stopped-soon-{exchange}")
    try:
        committed = stage.leg(f"held-soon-{exchange}")
        assert committed is not None
        assert stage.router.manual_failover(other(exchange))["result"] == "completed"
    finally:
        stage.world.relays[exchange].heal()
        os.kill(pid, signal.SIGCONT)
    for answer in (held, stopped_one):
        answered = answer.result(TIMEOUT_S + 5)
        assert answered.order is not None, answered
        assert stage.held(answered) == [answered.order["exchange"]]
        if time.time() < committed.expiry_s:
            assert answered.order["exchange"] == exchange, "it was still valid"


def test_what_waits_for_the_rate_limiter_when_trading_moves_is_placed_where_it_went(tmp_path: Path) -> None:
    """Whoever's turn comes after the fence is committed no more."""
    with World(["bybit", "okx"], tmp_path / "state", failover={"settle_timeout_s": 0.3}) as world:
        tables = world.tables()
        tables["router"]["auto_failover"] = False
        tables["exchanges"]["bybit"]["rate_limit_per_s"] = 6
        with world.running(config=tables) as router, ThreadPoolExecutor(ORDERS) as callers:
            control = world["bybit"].control
            answers = [callers.submit(place, router, f"waiting-{n}", timeout_s=TIMEOUT_S) for n in range(ORDERS)]
            until(lambda: len(control.truth()["orders"]) >= 3, means="the first ones being placed")
            router.manual_failover("okx")
            before = len(control.truth()["orders"])
            answered = [answer.result(TIMEOUT_S + 5) for answer in answers]
            assert before < ORDERS / 2, "most of them waited"
            journal_id = world.presence().journal_id
            books = world.books()
            places = []
            for each in answered:
                assert each.order is not None, each
                live = [name for name, _ in check_once(books, journal_id, router.strategy, each)]
                assert live[-1] == each.order["exchange"]
                places.append(live[0])
            assert places.count("bybit") == len(control.truth()["orders"]) == before
            assert places.count("okx") == ORDERS - before


class _Unadapted(World):
    """An exchange that the router knows by ccxt's name alone, and one that it has an adapter for."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(
            ["okx", "bybit"], state_dir, router={"market_type": "spot"}, failover={"settle_timeout_s": 0.3}
        )
        self.names = ["okxus", "bybit"]
        self._hosts = {"okxus": "okx", "bybit": "bybit"}

    def __getitem__(self, name: str) -> Simulated:
        return super().__getitem__(self._hosts[name])

    def account(self, name: str) -> dict[str, Any]:
        return super().account(self._hosts[name])


def test_where_no_exchange_looks_at_an_expiry_an_order_is_held_until_it_is_certain(tmp_path: Path) -> None:
    """It executes seconds after trading has moved; and is found, and was placed nowhere else."""
    with _Unadapted(tmp_path / "state") as world, world.running() as router:
        control = world["okxus"].control
        control.fault("late", call="place", count=1, params={"delay_s": 4.0})
        answered = place(router, "held", price="31000", qty="0.01", timeout_s=1.5)
        assert isinstance(answered.error, OrderOutcomeUnknown), answered
        router.manual_failover("bybit")
        assert router.get_order(answered.error.order_id)["orderStatus"] == "Unknown"
        assert control.truth()["orders"] == []
        order = resolved(router, answered)
        assert order is not None
        assert (order["exchange"], order["orderStatus"], order["cumExecQty"]) == ("okxus", "Filled", "0.01")
        held = [order for name in world.names for order in world[name].control.truth()["orders"]]
        assert len(held) == 1
