"""Bybit days later: what ended without a fill is forgotten after one, and what that proves of an order it had."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.domain.calls import CallFailed, Found, LookUpCall, NotFound, Placed, Result
from app.simulator.server import wall_clock_ms
from app.simulator.thread import SimulatorThread
from messages.market import MarketType
from messages.orders import LegState
from tests.exchanges.desk import Desk, stop, wire_id

HOUR_S = 3600


class Aged:
    """A desk whose clock, and whose exchange's, can be set forward."""

    def __init__(self, market_type: MarketType) -> None:
        self._forward_ms = 0
        self._sims = SimulatorThread(["bybit"], clock=lambda: wall_clock_ms() + self._forward_ms)
        self.desk = Desk(self._sims.__enter__()["bybit"], market_type)
        assert self.desk.open() == ""

    def later(self, seconds: float) -> None:
        """So much later than now."""
        self._forward_ms += int(seconds * 1000)
        self.desk.clock.behind_s -= seconds

    def look_up(self, wire: str, order_id: str | None, placed_s: float, *, conditional: bool = False) -> Result:
        """Looks up an order that was placed at a time."""
        return self.desk.do(
            LookUpCall(
                symbol=self.desk.btc,
                wire_id=wire,
                exchange_order_id=order_id,
                since_s=placed_s,
                deadline_s=self.desk.soon(),
                conditional=conditional,
            )
        )

    def close(self) -> None:
        """Desk and exchange."""
        self.desk.close()
        self._sims.stop()


@pytest.fixture(params=list(MarketType))
def aged(request: pytest.FixtureRequest) -> Iterator[Aged]:
    """Swaps and spot."""
    made = Aged(request.param)
    yield made
    made.close()


def test_what_ended_without_a_fill_is_forgotten_after_a_day(aged: Aged) -> None:
    """One the exchange had, and that it shows nowhere, was cancelled; one it may never have had is not found."""
    desk = aged.desk
    placed_s = desk.clock()
    wires = {name: wire_id() for name in ("gone", "waited", "part", "resting", "taken")}
    orders: dict[str, str] = {}
    for name, what in (
        ("gone", desk.spec("0.02")),
        ("waited", desk.spec("0.02", price=None, trigger=stop("28000"))),
        ("part", desk.spec("0.03")),
        ("resting", desk.spec("0.03")),
        ("taken", desk.spec("0.02", price=None)),
    ):
        placed = desk.place(what, wires[name])
        assert isinstance(placed, Placed)
        orders[name] = placed.report.exchange_order_id
    desk.truthful.fill(client_order_id=wires["part"], qty="0.01")
    desk.cancel(wires["gone"])
    desk.cancel(wires["part"])
    desk.cancel(wires["waited"], conditional=True)

    aged.later(23 * HOUR_S)
    still = aged.look_up(wires["gone"], orders["gone"], placed_s)
    assert isinstance(still, Found)
    assert still.report.wire_id == wires["gone"]

    aged.later(1.5 * HOUR_S)
    assert isinstance(aged.look_up(wires["gone"], orders["gone"], placed_s), NotFound)  # not certain yet

    aged.later(24 * HOUR_S)
    expected = {
        "gone": (LegState.CANCELLED, "0"),
        "waited": (LegState.CANCELLED, "0"),
        "part": (LegState.CANCELLED, "0.01"),
        "resting": (LegState.OPEN, "0"),
        "taken": (LegState.FILLED, "0.02"),
    }
    for name, (state, filled) in expected.items():
        answer = aged.look_up(wires[name], orders[name], placed_s, conditional=name == "waited")
        assert isinstance(answer, Found)
        assert (answer.report.state, answer.report.filled) == (state, Decimal(filled))
        assert answer.report.exchange_order_id == orders[name]
    assert isinstance(aged.look_up(wires["gone"], None, placed_s), NotFound)

    aged.later(7 * 24 * HOUR_S)
    assert isinstance(aged.look_up(wires["gone"], orders["gone"], placed_s), CallFailed)
