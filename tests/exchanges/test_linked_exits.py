"""Take profit and stop loss where an exchange does not take them along: real orders of their own, over real HTTP.

One real connector actor and one simulated exchange, whose books are the truth. A connector is killed by leaving it and
starting another on the same journal.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.domain import ids
from app.domain.calls import AmendCall
from app.domain.exits import Exit, ExitKind
from app.exchanges.adapter import CcxtPort
from app.exchanges.admission import NotSupported, admit_change
from app.exchanges.factory import build_port
from app.exchanges.settings import Credentials, ExchangeSettings
from app.journal.store import Journal
from app.simulator.thread import Simulated, SimulatorThread
from messages.market import MarketType
from messages.orders import (
    CancelOrder,
    Linked,
    OrderAccepted,
    OrderKey,
    OrderReply,
    OrderSpec,
    OrderView,
    PlaceOrder,
    Side,
)
from tests.exchanges.desk import BTC, BTC_SPOT, spec, stop
from tests.exchanges.stage import Stage

PATIENCE_S = 15.0
TIMEOUT_S = 1.0
POLL_S = 0.3
LINKED = ("binance", "kraken")
OPEN = ("untriggered", "new", "open", "partially_filled", "active", "waiting")
_serial = itertools.count()
SL, TP = ExitKind.STOP_LOSS, ExitKind.TAKE_PROFIT


class Bench:
    """One exchange, one journal, and one life of a connector after the other."""

    def __init__(
        self, sim: Simulated, journal: Path, market_type: MarketType = MarketType.SWAP, exchange: str = ""
    ) -> None:
        self.sim = sim
        self.exchange = exchange or sim.name
        self.market_type = market_type
        self.path = journal
        self.journal = Journal(journal)
        self.journal.commit_route(self.journal.fence(0.0).epoch, self.exchange, 0.0)
        names = [symbol for symbol in sim.control.truth()["prices"] if symbol.startswith("BTC/")]
        swap = market_type is MarketType.SWAP
        self.symbol = next(name for name in names if (":" in name if swap else name == "BTC/USDT"))
        self.price = Decimal(str(sim.control.truth()["prices"][self.symbol]))
        self.stage: Stage

    @contextmanager
    def life(self) -> Iterator[Bench]:
        """One life of the connector."""
        sim = self.sim
        settings = ExchangeSettings(
            name=self.exchange,
            base_url=sim.base_url,
            request_timeout_s=TIMEOUT_S,
            allow_settlement_change=True,
            market_type=self.market_type,
            rate_limit_per_s=100,  # polls of the exchange's own budgets are seconds apart
        )
        credentials = Credentials(api_key=sim.api_key, secret=sim.secret, password=sim.password)
        port = build_port(settings, credentials, time.time)
        with Stage(port, self.path, request_timeout_s=TIMEOUT_S, poll_s=POLL_S) as self.stage:
            assert self.stage.run(lambda: port.ready, PATIENCE_S)
            yield self

    # ---- asking ------------------------------------------------------------------------------------------------------

    def at(self, share: str) -> Decimal:
        """A price so far from the market's."""
        return (self.price * Decimal(share)).quantize(Decimal(1))

    def spec(self, quantity: str = "0.02", **more: Any) -> OrderSpec:
        """A buy with both exits."""
        exits = {"take_profit": str(self.at("1.05")), "stop_loss": str(self.at("0.95"))}
        of = BTC if self.market_type is MarketType.SWAP else BTC_SPOT
        return spec(quantity, of=of, **{"price": self.at("0.98"), **exits, **more})

    def place(self, what: OrderSpec) -> str:
        """Hands an order in; returns its id once it is accepted."""
        asked = f"q{next(_serial)}"
        key = OrderKey(strategy="s", client_order_id=asked)
        self.stage.deliver(PlaceOrder(correlation_id=asked, deadline_s=time.time() + 5.0, epoch=1, key=key, spec=what))
        self.until(lambda: self.reply(asked) is not None, "an answer")
        assert isinstance(self.reply(asked), OrderAccepted), self.reply(asked)
        return ids.order_id(self.journal.journal_id, key)

    def cancel(self, order_id: str) -> OrderReply:
        """Cancels, and waits for the answer."""
        asked = f"q{next(_serial)}"
        request = CancelOrder(correlation_id=asked, deadline_s=time.time() + 5.0, strategy="s", order_id=order_id)
        self.stage.deliver(request)
        self.until(lambda: self.reply(asked) is not None, "an answer")
        found = self.reply(asked)
        assert isinstance(found, OrderReply), found
        return found

    def reply(self, asked: str) -> Any:
        """The answer to a question."""
        return next((m for _, _, m in self.stage.sent if getattr(m, "correlation_id", "") == asked), None)

    def until(self, what: Callable[[], Any], means: str) -> None:
        """Lets the connector live until something is true."""
        assert self.stage.run(what, PATIENCE_S), f"{means} did not come"

    # ---- truth -------------------------------------------------------------------------------------------------------

    def order(self, order_id: str) -> OrderView:
        """As the journal knows it."""
        found = self.journal.order(order_id)
        assert found is not None
        return found

    def fill(self, order_id: str, quantity: str) -> None:
        """The exchange fills so much of it, without the market moving."""
        leg = self.order(order_id).leg
        assert leg is not None
        self.sim.control.fill(client_order_id=leg.wire_id, qty=quantity)

    def books(self, order_id: str) -> dict[ExitKind, list[dict[str, Any]]]:
        """What the exchange's books have of an order's exits, by kind and number."""
        parent = self.order(order_id)
        held = {row["client_order_id"]: row for row in self.sim.control.truth()["orders"]}
        found: dict[ExitKind, list[dict[str, Any]]] = {}
        for kind in ExitKind:
            keys = (Exit(order_id, 1, kind, number).key(parent) for number in range(1, 20))
            wires = (ids.wire_id(self.journal.journal_id, key, 1) for key in keys)
            found[kind] = [held[wire] for wire in wires if wire in held]
        return found

    def live(self, order_id: str, kind: ExitKind) -> Decimal:
        """How much of a kind may still fill, by the exchange's books."""
        rows = [row for row in self.books(order_id)[kind] if row["status"] not in OVER]
        return sum((Decimal(row["qty"]) - Decimal(row["filled"]) for row in rows), Decimal(0))

    def stands(self, order_id: str, quantity: str) -> bool:
        """Whether so much of both kinds does, by the books, and the journal has heard of it."""
        journal = [order for _, exits in self.journal.linked(self.exchange) for order in exits]
        settled = all(order.leg is not None and order.leg.exchange_order_id for order in journal)
        return settled and [self.live(order_id, kind) for kind in (SL, TP)] == [Decimal(quantity)] * 2

    def position(self) -> Decimal:
        """Of the account."""
        return Decimal(self.sim.control.truth()["positions"].get(self.symbol, "0"))

    def linked(self, order_id: str) -> Linked | None:
        """The mark of its leg."""
        leg = self.order(order_id).leg
        assert leg is not None
        return leg.linked


OVER = ("filled", "cancelled", "rejected", "expired", "triggered")


@pytest.fixture(params=LINKED)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """One exchange after the other, each new: exits that a test leaves would close the next one's position."""
    with SimulatorThread([request.param]) as sims:
        made = Bench(sims[request.param], tmp_path / "journal.db")
        yield made
        made.journal.close()


def test_the_exits_follow_what_fills(bench: Bench) -> None:
    with bench.life():
        order_id = bench.place(bench.spec())
        bench.fill(order_id, "0.005")
        bench.until(lambda: bench.stands(order_id, "0.005"), "the exits of the first fill")
        bench.fill(order_id, "0.007")
        bench.until(lambda: bench.stands(order_id, "0.012"), "the exits of the second")
        bench.cancel(order_id)
        bench.until(lambda: bench.stands(order_id, "0.012"), "the exits staying")
        assert bench.linked(order_id) is Linked.OPEN


def test_one_that_fills_takes_the_other_away(bench: Bench) -> None:
    with bench.life():
        order_id = bench.place(bench.spec())
        bench.fill(order_id, "0.02")
        bench.until(lambda: bench.stands(order_id, "0.02"), "the exits")
        assert bench.position() == Decimal("0.02")
        bench.sim.control.price(bench.symbol, bench.at("1.06"))
        bench.until(lambda: bench.linked(order_id) is Linked.DONE, "the end of the exits")
        assert bench.position() == 0
        assert bench.live(order_id, SL) == bench.live(order_id, TP) == 0


def test_a_stop_that_would_fire_at_once_closes_at_the_market(bench: Bench) -> None:
    """The price falls through the stop before the fill is known: what it asked for is done now."""
    with bench.life():
        order_id = bench.place(bench.spec())
        bench.sim.control.price(bench.symbol, bench.at("0.90"))
        bench.until(lambda: bench.linked(order_id) is Linked.DONE, "the end of the exits")
        assert bench.position() == 0
        assert bench.live(order_id, SL) == bench.live(order_id, TP) == 0


def test_an_exit_that_its_owner_cancels_is_not_placed_again(bench: Bench) -> None:
    with bench.life():
        order_id = bench.place(bench.spec())
        bench.fill(order_id, "0.02")
        bench.until(lambda: bench.stands(order_id, "0.02"), "the exits")
        key = Exit(order_id, 1, SL, 1).key(bench.order(order_id))
        bench.cancel(ids.order_id(bench.journal.journal_id, key))
        assert bench.live(order_id, SL) == 0
        bench.stage.run(lambda: False, 1.0)
        assert bench.live(order_id, SL) == 0
        assert bench.live(order_id, TP) == Decimal("0.02")
        bench.sim.control.price(bench.symbol, bench.at("1.06"))
        bench.until(lambda: bench.linked(order_id) is Linked.DONE, "the end of the exits")


@pytest.mark.parametrize("fault", ["drop_after", "maintenance"])
def test_an_exit_that_could_not_be_placed_is_placed_again(bench: Bench, fault: str) -> None:
    """Executed and not told, or proven not to be, at once or by look-ups: in the end there is one of each kind."""
    with bench.life():
        order_id = bench.place(bench.spec())
        bench.sim.control.fault(fault, call="place", count=2)
        bench.fill(order_id, "0.02")
        bench.until(lambda: bench.stands(order_id, "0.02"), "the exits")
        bench.until(lambda: bench.linked(order_id) is Linked.OPEN, "the mark")
    assert bench.journal.unprotected() == 0


def test_a_connector_that_dies_at_any_moment_leaves_one_of_each(bench: Bench) -> None:
    """It dies after each message it handles, over and over, until the exits stand; then until they are over."""
    with bench.life():
        order_id = bench.place(bench.spec())
        bench.fill(order_id, "0.012")
    for _ in range(40):
        with bench.life():
            bench.stage.run(deaths(bench), 1.0)
        if bench.stands(order_id, "0.012"):
            break
    with bench.life():
        bench.until(lambda: bench.stands(order_id, "0.012"), "the exits")
        bench.cancel(order_id)
        bench.sim.control.price(bench.symbol, bench.at("0.90"))
    for _ in range(40):
        with bench.life():
            bench.stage.run(deaths(bench), 1.0)
        if bench.linked(order_id) is Linked.DONE:
            break
    assert bench.linked(order_id) is Linked.DONE
    assert bench.position() == 0
    placed = [Decimal(row["filled"]) for rows in bench.books(order_id).values() for row in rows]
    assert sum(placed, Decimal(0)) == Decimal("0.012")


def deaths(bench: Bench) -> Callable[[], bool]:
    """True after the next few things the connector hears: a little later in each life."""
    lives = next(_serial) % 7 + 1
    began = bench.stage.ready

    def dies() -> bool:
        return bench.stage.ready - began >= lives

    return dies


def test_exits_stay_where_the_position_is_when_trading_moves(bench: Bench) -> None:
    """The route is elsewhere: what fills late is protected all the same, and settling leaves the exits alone."""
    with bench.life():
        order_id = bench.place(bench.spec())
        bench.fill(order_id, "0.005")
        bench.until(lambda: bench.stands(order_id, "0.005"), "the exits")
        bench.journal.commit_route(bench.journal.fence(time.time()).epoch, "elsewhere", time.time())
        bench.fill(order_id, "0.005")
        bench.until(lambda: bench.stands(order_id, "0.01"), "the exits of what filled late")


def test_an_order_with_exits_is_refused_where_none_can_be(bench: Bench) -> None:
    with bench.life():
        port = bench.stage.runner.port
        assert "opens nothing" in port.check(bench.spec(reduce_only=True, side=Side.SELL, price=None))
        assert "Stop loss" in port.check(bench.spec(stop_loss=str(bench.at("0.99"))))
        assert "must be below that price" in port.check(bench.spec(stop_loss=str(bench.at("0.99"))))
        assert "Take profit" in port.check(bench.spec(take_profit="1.23456789"))
        assert port.check(bench.spec()) == ""
        if bench.exchange == "binance":  # whose market orders are smaller than its others
            assert port.check(bench.spec("150", take_profit=None, stop_loss=None)) == ""
            words = "Take profit and stop loss would be market orders of that size: Quantity 150 is above the maximum"
            assert words in port.check(bench.spec("150"))
        assert not port.attaches(bench.spec())
        assert isinstance(port, CcxtPort)
        price = bench.at("0.94")
        moved = AmendCall(
            spec=bench.spec(),
            wire_id="",
            exchange_order_id=None,
            quantity=None,
            price=price,
            trigger_price=None,
            deadline_s=0.0,
        )
        with pytest.raises(NotSupported, match="must be below that price"):
            admit_change(port._profile, port._table, moved)


def test_an_okx_order_that_waits_for_a_trigger_has_exits_of_their_own(tmp_path: Path) -> None:
    """OKX attaches them, but not to such an order."""
    with SimulatorThread(["okx"]) as sims:
        bench = Bench(sims["okx"], tmp_path / "journal.db")
        with bench.life():
            assert bench.stage.runner.port.attaches(bench.spec())
            order_id = bench.place(bench.spec(price=None, trigger=stop(bench.at("1.01"))))
            bench.sim.control.price(bench.symbol, bench.at("1.02"))
            bench.until(lambda: bench.stands(order_id, "0.02"), "the exits")
            bench.sim.control.price(bench.symbol, bench.at("0.94"))
            bench.until(lambda: bench.linked(order_id) is Linked.DONE, "the end of the exits")
            assert bench.position() == 0
        bench.journal.close()


def test_on_spot_one_alone_sells_what_was_bought(tmp_path: Path) -> None:
    """Two would need the coins twice."""
    with SimulatorThread(["kraken_spot"]) as sims:
        bench = Bench(sims["kraken_spot"], tmp_path / "journal.db", MarketType.SPOT, "kraken")
        with bench.life():
            check = bench.stage.runner.port.check
            assert "would need what was bought twice" in check(bench.spec())
            assert "leaves nothing" in check(bench.spec(side=Side.SELL, stop_loss=None, price=None))
            order_id = bench.place(bench.spec(take_profit=None))
            bench.fill(order_id, "0.02")
            bench.until(lambda: bench.live(order_id, SL) == Decimal("0.02"), "the stop")
            bench.sim.control.price(bench.symbol, bench.at("0.94"))
            bench.until(lambda: bench.linked(order_id) is Linked.DONE, "the end of the stop")
            [sold] = bench.books(order_id)[SL]
            assert (sold["status"], sold["filled"]) == ("filled", "0.02")
        bench.journal.close()
