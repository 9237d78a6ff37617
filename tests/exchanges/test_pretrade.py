"""The limits over real HTTP, in a real connector actor: what one refuses is no request and no row; the next passes.

Each exchange's simulator keeps every request it was sent, and every order: nothing the router says is needed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.domain.pretrade import PretradeLimits
from app.domain.pretrade_gate import IN_VAIN_S
from app.exchanges.factory import build_port
from app.exchanges.settings import Credentials, ExchangeSettings
from app.journal.store import Journal
from app.simulator.thread import Simulated, SimulatorThread
from messages.market import GetTicker, TickerReply
from messages.orders import (
    CancelOrder,
    LegState,
    OrderAccepted,
    OrderKey,
    OrderNotExecuted,
    OrderRefused,
    OrderReply,
    OrderSpec,
    PlaceOrder,
    Side,
)
from tests.exchanges.desk import BTC, EXCHANGES, FAR, spec
from tests.exchanges.stage import Stage

PATIENCE_S = 10.0
_serial = itertools.count()

Opened = Callable[[PretradeLimits], AbstractContextManager["Counter"]]


class Counter:
    """Where a strategy's orders are handed in."""

    def __init__(self, stage: Stage, sim: Simulated, journal: Path) -> None:
        self.stage = stage
        self.sim = sim
        self.journal = Journal(journal)
        self.calls = len(sim.control.requests())

    def ask(self, what: OrderSpec, name: str | None = None, *, within_s: float = 5.0) -> str:
        """Hands an order in; returns the name of the question."""
        asked = f"q{next(_serial)}"
        request = PlaceOrder(
            correlation_id=asked,
            deadline_s=time.time() + within_s,
            epoch=1,
            key=OrderKey(strategy="s", client_order_id=name or asked),
            spec=what,
        )
        self.stage.deliver(request)
        return asked

    def told(self, asked: str) -> Any:
        """The answer."""
        assert self.stage.run(lambda: self._answer(asked), PATIENCE_S), "no answer"
        return self._answer(asked)

    def place(self, what: OrderSpec, name: str | None = None) -> Any:
        """Both."""
        return self.told(self.ask(what, name))

    def _answer(self, asked: str) -> Any:
        kinds = (OrderAccepted, OrderRefused, OrderNotExecuted)
        return next(
            (m for _, _, m in self.stage.sent if isinstance(m, kinds) and m.correlation_id == asked),
            None,
        )

    def lets_pass(self, seconds: float) -> None:
        """The connector goes on meanwhile."""
        end_s = time.monotonic() + seconds
        while not self.stage.run(lambda: time.monotonic() > end_s, 0.05):  # which looks only when it has to do
            pass

    def sent(self) -> list[str]:
        """The calls the exchange has been asked since the last time."""
        requests = self.sim.control.requests()
        new, self.calls = [request["call"] for request in requests[self.calls :]], len(requests)
        return new

    def rows(self) -> int:
        """Orders the journal knows of."""
        return len(self.journal.orders_in(list(LegState)))


@pytest.fixture(params=EXCHANGES)
def sim(request: pytest.FixtureRequest, sims: SimulatorThread) -> Iterator[Simulated]:
    """One exchange after the other."""
    found = sims[request.param]
    yield found
    found.control.clear_faults()


@pytest.fixture
def opened(sim: Simulated, tmp_path: Path) -> Opened:
    """A connector under some limits, ready to trade."""

    @contextmanager
    def with_limits(limits: PretradeLimits) -> Iterator[Counter]:
        settings = ExchangeSettings(
            name=sim.name, base_url=sim.base_url, request_timeout_s=3.0, allow_settlement_change=True
        )
        credentials = Credentials(api_key=sim.api_key, secret=sim.secret, password=sim.password)
        port = build_port(settings, credentials, time.time)
        path = tmp_path / "journal.db"
        journal = Journal(path)
        journal.commit_route(journal.fence(0.0).epoch, sim.name, 0.0)
        journal.close()
        with Stage(port, path, request_timeout_s=3.0, limits=limits) as stage:
            assert stage.run(lambda: port.ready, PATIENCE_S)
            counter = Counter(stage, sim, path)
            try:
                yield counter
            finally:
                counter.journal.close()

    return with_limits


def refused(answer: Any, limit: str, value: str) -> None:
    """By a limit, in words that name it, its value and the order."""
    assert isinstance(answer, OrderRefused), answer
    assert answer.code == f"limit_{limit}"
    assert f"The limit {limit} is {value}" in answer.words
    assert "0.0" in answer.words
    assert str(BTC) in answer.words
    assert answer.order is None


def market_of(sim: Simulated) -> Decimal:
    """About what Bitcoin costs there."""
    return Decimal(str(sim.control.truth()["prices"][symbol_of(sim)]))


def symbol_of(sim: Simulated) -> str:
    """The simulator's name for it."""
    return next(str(symbol) for symbol in sim.control.truth()["prices"] if symbol.startswith("BTC/") and ":" in symbol)


@pytest.mark.parametrize("sim", ["bybit"], indirect=True)
def test_max_notional_of_a_limit_order(opened: Opened) -> None:
    """Known from the order alone: the exchange is asked nothing at all."""
    with opened(PretradeLimits(max_notional=Decimal(500))) as counter:
        refused(counter.place(spec("0.03"), "a"), "max_notional", "500 USDT")
        assert (counter.sent(), counter.rows()) == ([], 0)
        assert isinstance(counter.place(spec("0.02"), "a"), OrderAccepted), "the id is free, for another body too"
        assert counter.sent().count("place") == 1


def test_max_notional_of_a_market_order(opened: Opened, sim: Simulated) -> None:
    """The price is asked for, once for several orders."""
    most = (Decimal("0.02") * market_of(sim) * Decimal("1.01")).quantize(Decimal(1))
    with opened(PretradeLimits(max_notional=most)) as counter:
        small, large = counter.ask(spec("0.02", price=None)), counter.ask(spec("0.03", price=None))
        refused(counter.told(large), "max_notional", f"{most} USDT")
        assert isinstance(counter.told(small), OrderAccepted)
        assert (counter.sent().count("place"), counter.rows()) == (1, 1)
        assert [m for _, m in counter.stage.heard(TickerReply)] == [], "nobody asked us"
        hidden = counter.place(spec("0.03", side=Side.SELL, price=FAR))
        refused(hidden, "max_notional", str(most))
        assert counter.sent() == [], "the price was still fresh"
        closing = counter.place(spec("0.02", side=Side.SELL, price=None, reduce_only=True))
        assert isinstance(closing, OrderAccepted)


def test_price_collar(opened: Opened, sim: Simulated) -> None:
    """Only the side that trades through; the price that somebody else read serves."""
    far = (market_of(sim) * Decimal("1.2")).quantize(Decimal(1))
    with opened(PretradeLimits(price_collar=Decimal("0.1"))) as counter:
        counter.stage.deliver(GetTicker(correlation_id="t", deadline_s=time.time() + 5, symbol=BTC))
        assert counter.stage.run(lambda: counter.stage.heard(TickerReply), PATIENCE_S)
        counter.sent()
        refused(counter.place(spec("0.01", price=far)), "price_collar", "0.1")
        assert (counter.sent(), counter.rows()) == ([], 0)
        assert isinstance(counter.place(spec("0.01", price=far, side=Side.SELL)), OrderAccepted)
        assert isinstance(counter.place(spec("0.01")), OrderAccepted)
        assert counter.sent().count("place") == 2


@pytest.mark.parametrize("sim", ["bybit"], indirect=True)
def test_max_open(opened: Opened) -> None:
    """Those on their way count; a cancelled one makes room."""
    with opened(PretradeLimits(max_open=2)) as counter:
        asked = [counter.ask(spec()) for _ in range(3)]
        refused(counter.told(asked[2]), "max_open", "2")
        assert isinstance(counter.told(asked[0]), OrderAccepted)
        assert isinstance(counter.told(asked[1]), OrderAccepted)
        assert (counter.sent().count("place"), counter.rows()) == (2, 2)
        refused(counter.place(spec(), "again"), "max_open", "2")
        assert (counter.sent().count("place"), counter.rows()) == (0, 2)
        first = counter.told(asked[0]).order.order_id
        counter.stage.deliver(CancelOrder(correlation_id="c", deadline_s=time.time() + 5, strategy="s", order_id=first))
        assert counter.stage.run(lambda: counter.stage.heard(OrderReply), PATIENCE_S)
        assert isinstance(counter.place(spec(), "again"), OrderAccepted)


@pytest.mark.parametrize("sim", ["bybit"], indirect=True)
def test_per_second(opened: Opened) -> None:
    """In a burst, and a second later."""
    with opened(PretradeLimits(per_second=2)) as counter:
        asked = [counter.ask(spec()) for _ in range(4)]
        answers = [counter.told(each) for each in asked]
        assert [type(each) for each in answers] == [OrderAccepted, OrderAccepted, OrderRefused, OrderRefused]
        refused(answers[2], "per_second", "2")
        assert (counter.sent().count("place"), counter.rows()) == (2, 2)
        counter.lets_pass(1.0)
        assert isinstance(counter.place(spec()), OrderAccepted)


def test_without_a_price_nothing_is_sent(opened: Opened, sim: Simulated) -> None:
    """The exchange that does not tell it would take the order."""
    with opened(PretradeLimits(price_collar=Decimal("0.1"), reference_max_age_s=1.0)) as counter:
        sim.control.fault("hang_before", call="ticker")
        silent = counter.told(counter.ask(spec(), "a", within_s=0.8))
        assert isinstance(silent, OrderNotExecuted)
        assert silent.code == "no_reference_price"
        assert str(BTC) in silent.words
        assert "place" not in counter.sent()
        assert counter.rows() == 0
        sim.control.clear_faults()
        # The request that hangs is given up, and for a while none is made.
        counter.lets_pass(1.0 + IN_VAIN_S)
        assert isinstance(counter.told(counter.ask(spec(), "a")), OrderAccepted)


@pytest.mark.parametrize("sim", ["bybit"], indirect=True)
def test_a_repeated_placement_is_told_what_is_known(opened: Opened) -> None:
    """Though the limits would let nothing through any more."""
    with opened(PretradeLimits(max_open=1, per_second=1)) as counter:
        first = counter.place(spec(), "a")
        again = counter.place(spec(), "a")
        assert isinstance(first, OrderAccepted)
        assert isinstance(again, OrderAccepted)
        assert again.order.order_id == first.order.order_id
        assert counter.sent().count("place") == 1
