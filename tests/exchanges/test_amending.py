"""Changes of resting orders over real HTTP, by a real connector actor: the exchange's own books say what is true."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from app.domain.book import Exposure
from app.domain.pretrade import PretradeLimits
from app.exchanges.adapter import CcxtPort
from app.exchanges.factory import build_port
from app.exchanges.settings import Credentials, ExchangeSettings
from app.journal.store import Journal
from app.simulator.thread import Simulated, SimulatorThread
from messages.base import Failed, Reply
from messages.failover import Subscribe
from messages.orders import (
    AmendOrder,
    CancelOrder,
    LegState,
    OrderAccepted,
    OrderChanged,
    OrderKey,
    OrderRefused,
    OrderReply,
    OrderSpec,
    OrderView,
    PlaceOrder,
)
from tests.exchanges.desk import EXCHANGES, spec, stop
from tests.exchanges.stage import Stage

PATIENCE_S = 15.0
TIMEOUT_S = 0.4
"""Of one request: what a hang costs a test."""
_serial = itertools.count()

Opened = Callable[..., AbstractContextManager["Trader"]]


class Trader:
    """Where orders and changes are handed in."""

    def __init__(self, stage: Stage, sim: Simulated, journal: Journal) -> None:
        self.stage = stage
        self.sim = sim
        self.journal = journal
        self._before = self._amends()

    def ask(self, kind: type[Any], *, within_s: float = 12.0, **what: Any) -> str:
        """Hands something in; returns the name of the question."""
        asked = f"q{next(_serial)}"
        self.stage.deliver(kind(correlation_id=asked, deadline_s=time.time() + within_s, **what))
        return asked

    def answer(self, asked: str) -> Reply | None:
        """The answer; None where there is none yet."""
        replies = (m for _, _, m in self.stage.sent if isinstance(m, Reply))
        return next((m for m in replies if m.correlation_id == asked), None)

    def told(self, asked: str) -> Any:
        """The answer, when it is there."""
        assert self.stage.run(lambda: self.answer(asked), PATIENCE_S), "no answer"
        return self.answer(asked)

    def place(self, what: OrderSpec, name: str = "one") -> OrderView:
        """An order that the exchange has."""
        key = OrderKey(strategy="s", client_order_id=f"{name}")
        accepted = self.told(self.ask(PlaceOrder, epoch=1, key=key, spec=what))
        assert isinstance(accepted, OrderAccepted), accepted
        order: OrderView = accepted.order
        return order

    def amend(self, order: OrderView, **what: str) -> str:
        """Asks for a change."""
        terms: dict[str, Any] = {name: Decimal(value) for name, value in what.items()}
        return self.ask(AmendOrder, strategy="s", order_id=order.order_id, **terms)

    def amend_in_place(self, order: OrderView, **what: str) -> str:
        """Asks for a change in place or not at all."""
        terms: dict[str, Any] = {name: Decimal(value) for name, value in what.items()}
        return self.ask(AmendOrder, strategy="s", order_id=order.order_id, replace=False, **terms)

    def changed(self, order: OrderView, **what: str) -> OrderView:
        """A change that is made."""
        reply = self.told(self.amend(order, **what))
        assert isinstance(reply, OrderReply), reply
        return reply.order

    def truth(self, order: OrderView) -> dict[str, Any]:
        """The order on the exchange."""
        wire_id = order.legs[-1].wire_id
        (found,) = [each for each in self.sim.control.truth()["orders"] if each["client_order_id"] == wire_id]
        return dict(found)

    def known(self, order: OrderView) -> OrderView:
        """The order as the journal has it."""
        found = self.journal.order(order.order_id)
        assert found is not None
        return found

    def amends(self) -> int:
        """Requests to change anything that arrived in this life."""
        return self._amends() - self._before

    def _amends(self) -> int:
        return sum(1 for request in self.sim.control.requests() if request["call"] == "amend")

    def exposed(self) -> Decimal:
        """What may still stand on the exchange, by the journal."""
        legs: tuple[Exposure, ...] = self.journal.exposures()
        return max((leg.quantity for leg in legs), default=Decimal(0))


@pytest.fixture(params=EXCHANGES)
def sim(request: pytest.FixtureRequest, sims: SimulatorThread) -> Iterator[Simulated]:
    """One exchange after the other."""
    found = sims[request.param]
    yield found
    found.control.clear_faults()


@pytest.fixture
def opened(sim: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """A connector, ready to trade, over a journal that the next one finds again; proofs take a second, not ten."""
    path = tmp_path / "journal.db"

    @contextmanager
    def connector(limits: PretradeLimits | None = None) -> Iterator[Trader]:
        settings = ExchangeSettings(
            name=sim.name, base_url=sim.base_url, request_timeout_s=TIMEOUT_S, allow_settlement_change=True
        )
        credentials = Credentials(api_key=sim.api_key, secret=sim.secret, password=sim.password)
        port = build_port(settings, credentials, time.time)
        assert isinstance(port, CcxtPort)
        profile = type(port._profile)
        quick = evolve(profile.proof, validity_s=1.5, lateness_s=0.0, visibility_s=0.2, clock_error_s=0.1)
        monkeypatch.setattr(profile, "proof", evolve(quick, trigger_lateness_s=None))
        journal = Journal(path)
        if journal.route().epoch == 0:
            journal.commit_route(journal.fence(0.0).epoch, sim.name, 0.0)
        with Stage(port, path, request_timeout_s=TIMEOUT_S, limits=limits) as stage:
            assert stage.run(lambda: port.ready, PATIENCE_S)
            try:
                yield Trader(stage, sim, journal)
            finally:
                journal.close()

    return connector


def market(sim: Simulated) -> Decimal:
    """About what Bitcoin costs there."""
    prices = sim.control.truth()["prices"].items()
    return Decimal(str(next(price for symbol, price in prices if symbol.startswith("BTC/") and ":" in symbol)))


# ---- made ------------------------------------------------------------------------------------------------------------


def test_quantity_and_price_are_changed_in_place(opened: Opened, sim: Simulated) -> None:
    """What filled counts; the order is what it was asked for at first, and what it is by now."""
    with opened() as trader:
        order = trader.place(spec("0.02"))
        larger = trader.changed(order, quantity="0.05", price="21000")
        truth = trader.truth(order)
        assert (truth["qty"], truth["price"], truth["status"]) == ("0.05", "21000", "open")
        assert (larger.now.quantity, larger.now.price) == (Decimal("0.05"), Decimal(21000))
        assert larger.spec == order.spec
        assert larger.legs[-1].most is None
        assert trader.place(spec("0.02")) == larger, "asked for again, it is the same order"
        sim.control.fill(client_order_id=order.legs[-1].wire_id, qty="0.03")
        smaller = trader.changed(order, quantity="0.04")
        assert trader.truth(order)["qty"] == "0.04"
        assert (smaller.filled, smaller.legs[-1].remaining) == (Decimal("0.03"), Decimal("0.01"))
        assert trader.changed(order, quantity="0.04", price="21000") == smaller, "the same again is no request"
        assert trader.amends() == 2
        sim.control.fill(client_order_id=order.legs[-1].wire_id)
        assert trader.stage.run(lambda: trader.known(order).legs[-1].state is LegState.FILLED, PATIENCE_S)
        assert trader.known(order).filled == Decimal("0.04")


@pytest.mark.parametrize("sim", ["bybit", "okx", "kraken"], indirect=True)
def test_what_an_order_waits_for_is_changed(opened: Opened, sim: Simulated) -> None:
    """And its limit, and what it is for, while it waits."""
    far = (market(sim) * 2).quantize(Decimal(100))
    with opened() as trader:
        order = trader.place(spec("0.02", price=far + 100, trigger=stop(far)))
        later = trader.changed(order, trigger_price=str(far + 200), price=str(far + 400), quantity="0.03")
        truth = trader.truth(order)
        assert [Decimal(truth[name]) for name in ("trigger_price", "price", "qty")] == [
            far + 200,
            far + 400,
            Decimal("0.03"),
        ]
        assert later.now.trigger is not None
        assert (later.now.trigger.price, later.now.price) == (far + 200, far + 400)


# ---- not made --------------------------------------------------------------------------------------------------------


def test_what_cannot_be_is_refused_before_anything_is_sent(opened: Opened, sim: Simulated) -> None:
    """In the words of the exchange's rules and of the limits."""
    with opened(PretradeLimits(max_notional=Decimal(500))) as trader:
        order = trader.place(spec("0.02"))
        refusals = {
            "invalid_order": {"price": "20000.00001"},
            "limit_max_notional": {"quantity": "0.03"},
        }
        for code, terms in refusals.items():
            refused = trader.told(trader.amend(order, **terms))
            assert isinstance(refused, OrderRefused), refused
            assert (refused.code, refused.native_code) == (code, None), refused.words
        assert "20000" in trader.told(trader.amend(order, price="20000.00001")).words
        trader.sim.control.fill(client_order_id=order.legs[-1].wire_id, qty="0.01")
        assert trader.stage.run(lambda: trader.known(order).filled, PATIENCE_S)
        below = trader.told(trader.amend(order, quantity="0.01"))
        assert isinstance(below, OrderRefused)
        assert "has filled already" in below.words
        assert trader.amends() == 0
        assert (trader.truth(order)["qty"], trader.truth(order)["price"]) == ("0.02", "20000")
        assert trader.exposed() == Decimal("0.02")


@pytest.mark.parametrize("sim", ["binance"], indirect=True)
def test_what_an_exchange_cannot_change_is_refused_or_replaced(opened: Opened, sim: Simulated) -> None:
    """An order that waits, on Binance: in place or not at all, or as the same order in another leg."""
    with opened() as trader:
        far = (market(sim) * Decimal("1.02")).quantize(Decimal(100))
        order = trader.place(spec("0.02", price=far, trigger=stop(far)))
        refused = trader.told(trader.amend_in_place(order, quantity="0.03"))
        assert isinstance(refused, OrderRefused)
        assert (refused.code, refused.native_code) == ("unsupported", None)
        assert "place another" in refused.words
        assert trader.known(order).legs[-1].most is None
        there = trader.changed(order, quantity="0.03")
        assert [(leg.state, leg.quantity) for leg in there.legs] == [
            (LegState.CANCELLED, Decimal("0.02")),
            (LegState.OPEN, Decimal("0.03")),
        ]
        assert trader.truth(there)["qty"] == "0.03"
        assert trader.truth(order)["status"] == "cancelled"


def test_the_exchange_s_own_refusal_leaves_the_order_as_it_was(opened: Opened, sim: Simulated) -> None:
    """By its code and words."""
    with opened() as trader:
        order = trader.place(spec("0.02"))
        refused = trader.told(trader.amend(order, quantity="900"))
        assert isinstance(refused, OrderRefused), refused
        assert trader.truth(order)["qty"] == "0.02"
        leg = trader.known(order).legs[-1]
        assert (leg.state, leg.quantity, leg.most, leg.reason_code) == (LegState.OPEN, Decimal("0.02"), None, None)


def test_a_filled_order_is_no_longer_changed(opened: Opened, sim: Simulated) -> None:
    """The answer says what it is, and nothing of it is lost."""
    with opened() as trader:
        order = trader.place(spec("0.02"))
        sim.control.fill(client_order_id=order.legs[-1].wire_id)
        late = trader.told(trader.amend(order, quantity="0.03"))
        assert isinstance(late, Failed), late
        assert (late.code, late.retryable) == ("order_not_open", False)
        assert "filled" in late.words
        known = trader.known(order)
        assert (known.legs[-1].state, known.filled, known.quantity) == (
            LegState.FILLED,
            Decimal("0.02"),
            Decimal("0.02"),
        )


# ---- unknown ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["drop_after", "hang_after"])
def test_made_and_never_answered(opened: Opened, sim: Simulated, how: str) -> None:
    """The look-up shows what became of it; it is asked for once."""
    with opened() as trader:
        order = trader.place(spec("0.02"))
        sim.control.fault(how, call="amend", count=1)
        changed = trader.changed(order, quantity="0.05")
        assert trader.truth(order)["qty"] == "0.05"
        assert (changed.quantity, changed.legs[-1].most) == (Decimal("0.05"), None)
        assert trader.amends() == 1


@pytest.mark.parametrize("how", ["drop_before", "hang_before"])
def test_never_made_and_never_answered(opened: Opened, sim: Simulated, how: str) -> None:
    """Until that is proven the larger quantity counts; whoever does not wait so long is told by an event."""
    with opened() as trader:
        order = trader.place(spec("0.02"))
        trader.stage.deliver(Subscribe(session_id="x", strategy="s"))
        sim.control.fault(how, call="amend", count=1)
        asked = trader.amend(order, quantity="0.05")
        assert trader.exposed() == Decimal("0.05"), "before anything was sent"
        refused = trader.told(asked)
        change = trader.stage.heard(OrderChanged)[-1][1]
        assert (change.order.quantity, change.order.legs[-1].most) == (Decimal("0.02"), None)
        assert isinstance(refused, OrderRefused), refused
        assert refused.code == "not_changed"
        assert trader.truth(order)["qty"] == "0.02"
        assert trader.exposed() == Decimal("0.02")
        assert trader.changed(order, quantity="0.03").quantity == Decimal("0.03")


@pytest.mark.parametrize("sim", ["bybit"], indirect=True)
def test_a_cancel_goes_before_the_doubt_is_over(opened: Opened, sim: Simulated) -> None:
    """And ends it."""
    with opened() as trader:
        order = trader.place(spec("0.02"))
        sim.control.fault("hang_before", call="amend", count=1)
        asked = trader.amend(order, quantity="0.05")
        cancelled = trader.told(trader.ask(CancelOrder, strategy="s", order_id=order.order_id))
        assert isinstance(cancelled, OrderReply), cancelled
        assert trader.truth(order)["status"] == "cancelled"
        ended = trader.told(asked)
        assert isinstance(ended, Failed)
        assert "cancelled" in ended.words
        assert trader.exposed() == 0


# ---- a life ends in between ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["hang_after", "hang_before"])
def test_the_next_life_learns_what_became_of_it(opened: Opened, sim: Simulated, how: str) -> None:
    """From the exchange alone: nobody asks again."""
    made = how == "hang_after"
    with opened() as trader:
        order = trader.place(spec("0.02"))
        sim.control.fault(how, call="amend", count=1)
        trader.amend(order, quantity="0.05")
        assert trader.stage.run(lambda: trader.amends(), PATIENCE_S)
        if made:
            assert trader.truth(order)["qty"] == "0.05"
    with opened() as trader:
        assert trader.exposed() == Decimal("0.05")
        assert trader.stage.run(lambda: trader.known(order).legs[-1].most is None, PATIENCE_S)
        expected = Decimal("0.05" if made else "0.02")
        assert (trader.known(order).quantity, trader.exposed()) == (expected, expected)
        assert trader.truth(order)["qty"] == str(expected)
        changes = [message for _, message in trader.stage.heard(OrderChanged)]
        assert not changes, "nobody had subscribed"


@pytest.mark.parametrize("sim", ["bybit"], indirect=True)
def test_whoever_stopped_waiting_is_told_that_it_was_not_made(opened: Opened, sim: Simulated) -> None:
    """Though nothing of the order has changed, as with a price."""
    with opened() as trader:
        order = trader.place(spec("0.02"))
        trader.stage.deliver(Subscribe(session_id="x", strategy="s"))
        heard = len(trader.stage.heard(OrderChanged))
        sim.control.fault("hang_before", call="amend", count=1)
        trader.amend(order, price="21000")
        assert trader.stage.run(lambda: len(trader.stage.heard(OrderChanged)) > heard, PATIENCE_S)
        assert trader.stage.heard(OrderChanged)[-1][1].order.now.price == Decimal(20000)
