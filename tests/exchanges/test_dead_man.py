"""The dead-man switch over real HTTP, in a real connector actor, at every exchange that has one.

Two clocks are set on together, ours and the exchange's: nobody waits for a countdown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from thespian.actors import WakeupMessage

from app.domain.dead_man import DeadManSettings
from app.domain.symbols import parse_symbol
from app.exchanges.factory import build_port
from app.exchanges.rules.tables import TABLES
from app.exchanges.settings import Credentials, ExchangeSettings
from app.journal.store import Journal
from app.simulator.thread import Simulated, SimulatorThread
from messages.account import DeadManView, Disarm, Disarmed
from messages.market import MarketType
from messages.orders import LegState, LegView, OrderAccepted, OrderKey, PlaceOrder
from tests.exchanges.desk import BTC, spec
from tests.exchanges.stage import Stage

PATIENCE_S = 20.0
COUNT_S, STEP_S = 30.0, 7.5
SWITCHED = ("okx", "binance", "kraken")
D = Decimal


@define
class Clocks:
    """Ours, and the exchange's with it."""

    sim: Simulated
    ahead_s: float = 0.0

    def __call__(self) -> float:
        """Unix seconds."""
        return time.time() + self.ahead_s

    def on(self, seconds: float) -> None:
        """Both are set on."""
        self.ahead_s += seconds
        self.sim.control.ask("POST", "/clock", {"ahead_s": str(self.ahead_s)})


@define
class Trader:
    """Who places an order, and looks on."""

    stage: Stage
    sim: Simulated
    clocks: Clocks
    journal: Journal
    placed: str = field(init=False, default="")

    def place(self) -> str:
        """A buy that rests; its id."""
        of = parse_symbol("BTCUSD", MarketType.SWAP) if self.sim.name == "kraken" else BTC
        request = PlaceOrder(
            correlation_id="place",
            deadline_s=self.clocks() + 10.0,
            epoch=self.journal.route().epoch,
            key=OrderKey(strategy="s", client_order_id="c"),
            spec=spec("0.02", of=of),
        )
        self.stage.deliver(request)
        self.until(lambda: self.stage.heard(OrderAccepted), "the order is accepted")
        return str(self.stage.heard(OrderAccepted)[0][1].order.order_id)

    def leg(self, order_id: str) -> LegView:
        """As the journal has it."""
        order = self.journal.order(order_id)
        assert order is not None
        assert order.leg is not None
        return order.leg

    def view(self) -> DeadManView:
        """How the switch stands."""
        view = self.stage.actor.machine.dead_man.view(self.clocks())
        assert view is not None
        return view

    def due(self) -> dict[str | None, int]:
        """What the exchange counts down to."""
        return dict(self.sim.exchange.engine.dead_man.due)

    def until(self, what: Callable[[], Any], means: str) -> None:
        """The actor lives until something is true; it is woken, since the clock was set on under it."""
        end_s = time.monotonic() + PATIENCE_S
        while not what():
            assert time.monotonic() < end_s, f"waited in vain until {means}: {self.view()}"
            self.stage.deliver(WakeupMessage(timedelta(0), None))
            self.stage.run(what, 0.05)

    def pass_s(self, seconds: float, means: str, what: Callable[[], Any]) -> None:
        """So long, in steps that are no longer than what the switch is renewed after."""
        for _ in range(int(seconds / STEP_S)):
            self.clocks.on(STEP_S)
            self.until(self._renewed, "what was due is answered")
        self.until(what, means)

    def _renewed(self) -> bool:
        dead_man = self.stage.actor.machine.dead_man
        return dead_man._sent_s is None and (dead_man._next_s is None or dead_man._next_s > self.clocks())


@pytest.fixture(params=SWITCHED)
def trader(request: pytest.FixtureRequest, sims: SimulatorThread, tmp_path: Path) -> Iterator[Trader]:
    """At one exchange after the other."""
    yield from _trading(sims[request.param], tmp_path, marks=True)


def _trading(sim: Simulated, folder: Path, *, marks: bool) -> Iterator[Trader]:
    clocks = Clocks(sim)
    settings = ExchangeSettings(name=sim.name, base_url=sim.base_url, request_timeout_s=1.0)
    credentials = Credentials(api_key=sim.api_key, secret=sim.secret, password=sim.password)
    port = build_port(settings, credentials, clocks)
    path = folder / "journal.db"
    journal = Journal(path)
    journal.commit_route(journal.fence(0.0).epoch, sim.name, 0.0)
    rules = TABLES[sim.name, MarketType.SWAP]
    switch = DeadManSettings(
        timeout_s=COUNT_S,
        triggers=rules.dead_man_triggers.value,
        by_market=rules.dead_man_by_market.value,
        marks=marks,
    )
    with Stage(port, path, request_timeout_s=1.0, poll_s=0.5, clock=clocks, dead_man=switch) as stage:
        assert stage.run(lambda: port.ready, PATIENCE_S)
        yield Trader(stage, sim, clocks, journal)
    journal.close()
    sim.control.clear_faults()
    sim.exchange.engine.dead_man.due.clear()
    sim.control.ask("POST", "/clock", {"ahead_s": "0"})


def test_kept_armed_and_switched_off_in_order(trader: Trader) -> None:
    """Anew at each third of its time; and an order stays when the router has stopped."""
    order_id = trader.place()
    trader.pass_s(10.0, "it is armed", trader.due)
    (first_ms,) = trader.due().values()
    trader.pass_s(10.0, "it is armed anew", lambda: next(iter(trader.due().values()), 0) > first_ms + 5000)
    trader.until(lambda: not trader.view().words, "nothing is wrong with it")
    trader.pass_s(60.0, "it is armed still", trader.due)
    assert trader.leg(order_id).state is LegState.OPEN
    trader.stage.deliver(Disarm(correlation_id="off", deadline_s=trader.clocks() + 5.0))
    trader.until(lambda: trader.stage.heard(Disarmed), "it is switched off")
    ((_, told),) = trader.stage.heard(Disarmed)
    assert told.words == ""
    assert trader.due() == {}
    trader.pass_s(60.0, "it stays off", lambda: True)
    assert trader.due() == {}
    assert trader.leg(order_id).state is LegState.OPEN


def test_what_it_cancelled_is_placed_again_only_once_it_is_known_what_filled(trader: Trader) -> None:
    """While the exchange is silent the order is gone, keeps its leg, and is marked; then its end is read."""
    order_id = trader.place()
    wire = trader.leg(order_id).wire_id
    trader.pass_s(15.0, "it is armed with the order there", lambda: trader.due() and not trader.view().words)
    trader.pass_s(10.0, "it is armed once more", lambda: not trader.view().words)
    trader.sim.control.fault("refused")
    trader.sim.control.fill(client_order_id=wire, qty="0.005")  # of which nobody hears
    trader.pass_s(25.0, "it is not armed any more", lambda: trader.view().words)
    assert trader.leg(order_id).carry_s is None, "too early: it may not have fired yet"
    trader.pass_s(60.0, "it has fired for certain", lambda: trader.leg(order_id).carry_s is not None)
    assert trader.view().gone == 1
    assert "has fired" in trader.view().words
    leg = trader.leg(order_id)
    assert leg.state is LegState.OPEN, "nobody knows how much of it filled"
    assert trader.journal.drained() == (), "so nothing is placed for it"
    trader.sim.control.clear_faults()
    trader.until(lambda: trader.leg(order_id).state is LegState.DRAINED, "its end is read")
    assert trader.leg(order_id).filled == D("0.005")
    (drained,) = trader.journal.drained()
    assert drained.order_id == order_id
    trader.until(lambda: not trader.view().words, "it is armed again")
    assert trader.view().gone == 0


@pytest.fixture
def dropping(sims: SimulatorThread, tmp_path: Path) -> Iterator[Trader]:
    """Where what is taken off is not placed again."""
    yield from _trading(sims["okx"], tmp_path, marks=False)


def test_it_is_not_marked_where_orders_are_dropped(dropping: Trader) -> None:
    """Then it is over."""
    order_id = dropping.place()
    dropping.pass_s(15.0, "it is armed with the order there", lambda: dropping.due() and not dropping.view().words)
    dropping.sim.control.fault("refused")
    dropping.pass_s(100.0, "it has fired for certain", lambda: dropping.view().gone == 1)
    assert dropping.leg(order_id).carry_s is None
    dropping.sim.control.clear_faults()
    dropping.until(lambda: dropping.leg(order_id).state is LegState.CANCELLED, "its end is read")
