"""The tables of limits against exchanges that enforce theirs, over real HTTP, in a real connector actor.

Time passes three times as fast for both sides, so that windows of ten seconds are no longer than the tests have; were
it faster, a machine that stands still for a moment would keep requests under way for longer than a short window.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from app.domain import calls as c
from app.exchanges import rates
from app.exchanges.adapter import CcxtPort
from app.exchanges.factory import build_port
from app.exchanges.runner import LoopRunner
from app.exchanges.settings import Credentials, ExchangeSettings
from app.journal.store import Journal
from app.simulator.thread import Simulated, SimulatorThread
from messages.market import MarketType
from messages.orders import (
    CancelOrder,
    OrderAccepted,
    OrderKey,
    OrderNotExecuted,
    OrderRefused,
    OrderReply,
    OrderSpec,
    PlaceOrder,
)
from tests.exchanges.desk import EXCHANGES, FAR, spec, symbol
from tests.exchanges.stage import Stage

SPEED = 3.0
ORDERS = 200
CANCELS = 5
PATIENCE_S = 60.0
"""Of ours."""
WITHIN_S = 200.0
"""Of theirs."""
_serial = itertools.count()
_begun_s = time.time()
_BTC = spec("0.01", price=FAR)
_ETH = evolve(spec("0.1", price=FAR / 20), symbol=symbol("ETHUSDT"))
"""Two, since an account may have 200 open orders of a symbol at some."""


def fast() -> float:
    """Unix seconds that pass quickly."""
    return _begun_s + (time.time() - _begun_s) * SPEED


@pytest.fixture(scope="module")
def sims() -> Iterator[SimulatorThread]:
    """Exchanges whose time passes as quickly."""
    with SimulatorThread(EXCHANGES, clock=lambda: int(fast() * 1000)) as running:
        yield running


def port_at(sim: Simulated) -> CcxtPort:
    """A port of its own to one of them."""
    settings = ExchangeSettings(
        name=sim.name, base_url=sim.base_url, request_timeout_s=30.0, allow_settlement_change=True
    )
    return build_port(settings, Credentials(api_key=sim.api_key, secret=sim.secret, password=sim.password), fast)


class Trader:
    """Hands orders to a connector, and looks at what the exchange was sent."""

    def __init__(self, stage: Stage, sim: Simulated) -> None:
        self.stage = stage
        self.sim = sim
        self.asked: list[str] = []

    def place(self, what: OrderSpec) -> None:
        """One more order; the answer comes when it comes."""
        asked = f"q{next(_serial)}"
        self.asked.append(asked)
        key = OrderKey(strategy="s", client_order_id=asked)
        request = PlaceOrder(correlation_id=asked, deadline_s=fast() + WITHIN_S, epoch=1, key=key, spec=what)
        self.stage.deliver(request)

    def cancel(self, accepted: OrderAccepted) -> str:
        """Asks for the end of an order."""
        asked = f"q{next(_serial)}"
        request = CancelOrder(
            correlation_id=asked, deadline_s=fast() + WITHIN_S, strategy="s", order_id=accepted.order.order_id
        )
        self.stage.deliver(request)
        return asked

    def told(self, kind: type) -> list[Any]:
        """Answers of a kind."""
        return [message for _, message in self.stage.heard(kind)]

    def run(self, until: Callable[[], Any]) -> None:
        """Until something is true."""
        end_s = time.monotonic() + PATIENCE_S
        while not self.stage.run(until, 0.05):  # which looks again only when there is something to do
            assert time.monotonic() < end_s, f"{len(self.told(OrderAccepted))} accepted"

    def calls(self) -> list[str]:
        """What the exchange was asked, in order."""
        return [request["call"] for request in self.sim.control.requests()]

    def refusals(self) -> Any:
        """Requests turned away for a limit since the limits were switched on."""
        limits = self.sim.exchange.limits
        assert limits is not None
        return limits._refusals[1] + limits._bans


@contextmanager
def trading(sim: Simulated, tmp_path: Path, scale: float = 1.0) -> Iterator[Trader]:
    """A connector in front of an exchange that enforces its limits."""
    path = tmp_path / "journal.db"
    journal = Journal(path)
    journal.commit_route(journal.fence(0.0).epoch, sim.name, 0.0)
    journal.close()
    port = port_at(sim)
    sim.control.ask("POST", "/limits", {"on": True, "scale": scale})
    with Stage(port, path, clock=fast, speed=SPEED) as stage:
        assert stage.run(lambda: port.ready, PATIENCE_S)
        yield Trader(stage, sim)
    sim.control.ask("POST", "/limits", {"on": False})


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_burst_of_orders_meets_no_refusal_and_cancels_pass_it(
    name: str, sims: SimulatorThread, tmp_path: Path
) -> None:
    """200 orders at once; when the first are accepted, some are cancelled.

    Of one symbol: OKX counts each by itself, and the simulated OKX all together.
    """
    sim = sims[name]
    with trading(sim, tmp_path) as trader:
        placed_before = trader.calls().count("place")
        for _ in range(ORDERS):
            trader.place(_BTC)
        trader.run(lambda: len(trader.told(OrderAccepted)) >= CANCELS)
        before = len(trader.calls())
        for accepted in trader.told(OrderAccepted)[:CANCELS]:
            trader.cancel(accepted)
        trader.run(lambda: trader.calls()[before:].count("cancel") >= CANCELS)
        sent = trader.calls()[before:]
        last = max(index for index, call in enumerate(sent) if call == "cancel")
        under_way = trader.calls()[:before].count("place") - placed_before
        if name != "binance":  # whose limit takes all at once
            assert under_way + sent[:last].count("place") < ORDERS, "cancels went before orders that waited"
        trader.run(lambda: len(trader.told(OrderAccepted)) + len(trader.told(OrderNotExecuted)) >= ORDERS)
        assert trader.refusals() == 0
        assert not trader.told(OrderRefused)
        # On a machine that stood still for a second an order has expired, three times as fast as elsewhere.
        assert {told.code for told in trader.told(OrderNotExecuted)} <= {"expired", "deadline_passed"}
        assert trader.calls().count("place") - placed_before >= ORDERS - len(trader.told(OrderNotExecuted))
        trader.run(lambda: len(trader.told(OrderReply)) >= CANCELS)


@pytest.mark.parametrize("heard", [True, False])
def test_what_another_program_uses_is_left_to_it(
    heard: bool, sims: SimulatorThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 60 orders in ten seconds another program has used 50: by the headers we wait, and deaf to them are refused."""
    table = rates.TABLES["binance", MarketType.SWAP]
    budgets = tuple(evolve(b, most=60) if b.name == "orders_10s" else b for b in table.budgets)
    monkeypatch.setattr(rates, "TABLES", {("binance", MarketType.SWAP): evolve(table, budgets=budgets)})
    if not heard:
        monkeypatch.setattr(rates, "USAGE", {})
    sim = sims["binance"]
    other = LoopRunner(port_at(sim), clock=fast)
    other.start()
    with trading(sim, tmp_path, scale=0.2) as trader:
        trader.run(lambda: other.port.ready or other.drain())
        trader.run(lambda: fast() % 10.0 < 1.0)
        uses_up(other, 50)
        trader.place(_ETH)
        trader.run(lambda: len(trader.told(OrderAccepted)) == 1)
        for _ in range(20):
            trader.place(_ETH)
        trader.run(lambda: len(trader.told(OrderAccepted)) + len(trader.told(OrderNotExecuted)) == 21)
        assert bool(trader.refusals()) is not heard
        assert bool(trader.told(OrderNotExecuted)) is not heard
    other.close()


def uses_up(runner: LoopRunner, orders: int) -> None:
    """Another program, on the same account."""
    now_s = fast()
    for n in range(orders):
        call = c.PlaceCall(
            spec=_ETH,
            quantity=_ETH.quantity,
            wire_id=f"{next(_serial):032x}",
            committed_s=now_s,
            expiry_s=now_s + 30.0,
            deadline_s=now_s + 30.0,
        )
        runner.submit(n, call)
    results: list[Any] = []
    end_s = time.monotonic() + 10.0
    while len(results) < orders:
        results += runner.drain()
        assert time.monotonic() < end_s
    assert all(isinstance(result, c.Placed) for _, result in results), results
