"""Orders of an hour ago: what an exchange tells of them is not what it told at once.

Kraken Futures forgets the status of a closed order after five seconds, so that only its history knows the end. Time
passes by setting the exchange's clock and ours.
"""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.domain.calls import CancelConfirmed, Found, LookUpCall, Placed
from app.simulator.server import wall_clock_ms
from app.simulator.thread import SimulatorThread
from messages.orders import LegState, TimeInForce
from tests.exchanges.desk import BTC, EXCHANGES, Desk, spec, wire_id

HOUR_S = 3600


class Hours:
    """A clock that can be set forward."""

    def __init__(self) -> None:
        self.forward_ms = 0

    def __call__(self) -> int:
        """Unix ms."""
        return wall_clock_ms() + self.forward_ms


@pytest.fixture(params=EXCHANGES)
def aged(request: pytest.FixtureRequest) -> Iterator[tuple[Desk, Hours]]:
    """A desk, and the clock of its exchange."""
    hours = Hours()
    with SimulatorThread([request.param], clock=hours) as sims:
        desk = Desk(sims[request.param])
        assert desk.open() == ""
        yield desk, hours
        desk.close()


def test_what_became_of_an_order_is_found_an_hour_later(aged: tuple[Desk, Hours]) -> None:
    """Filled at once, filled while resting, cancelled after a part, cancelled whole, still open, open in part."""
    desk, hours = aged
    taken, rested, part, whole, resting, partly = (wire_id() for _ in range(6))
    assert isinstance(desk.place(spec("0.05", price=None), taken), Placed)
    for wire in (rested, part, whole, resting, partly):
        assert isinstance(desk.place(spec("0.03"), wire), Placed)
    desk.truthful.fill(client_order_id=rested, qty="0.01")
    desk.truthful.fill(client_order_id=rested)
    desk.truthful.fill(client_order_id=part, qty="0.02")
    desk.truthful.fill(client_order_id=partly, qty="0.01")
    for wire in (part, whole):
        assert isinstance(desk.cancel(wire), CancelConfirmed)
    placed_s = desk.clock()

    hours.forward_ms = HOUR_S * 1000
    desk.clock.behind_s = -HOUR_S
    expected = {
        taken: (LegState.FILLED, Decimal("0.05")),
        rested: (LegState.FILLED, Decimal("0.03")),
        part: (LegState.CANCELLED, Decimal("0.02")),
        whole: (LegState.CANCELLED, Decimal(0)),
        resting: (LegState.OPEN, Decimal(0)),
        partly: (LegState.PARTIALLY_FILLED, Decimal("0.01")),
    }
    for wire, (state, filled) in expected.items():
        now_s = desk.clock()
        answer = desk.do(
            LookUpCall(symbol=BTC, wire_id=wire, exchange_order_id=None, since_s=placed_s, deadline_s=now_s + 5)
        )
        assert isinstance(answer, Found)
        (order,) = desk.truth(wire)
        assert (answer.report.state, answer.report.filled) == (state, filled)
        assert answer.report.exchange_order_id == order["order_id"]
        average = None if order["avg_price"] is None else Decimal(order["avg_price"])
        assert answer.report.average_price == average


def test_an_order_that_did_not_rest_is_found_an_hour_later(aged: tuple[Desk, Hours]) -> None:
    """Where the exchange took it at all."""
    desk, hours = aged
    wire = wire_id()
    placed = desk.place(spec(tif=TimeInForce.IOC), wire)
    if not isinstance(placed, Placed):
        pytest.skip(f"{desk.name} refuses it with a code")
    placed_s = desk.clock()
    hours.forward_ms = HOUR_S * 1000
    desk.clock.behind_s = -HOUR_S
    answer = desk.do(
        LookUpCall(symbol=BTC, wire_id=wire, exchange_order_id=None, since_s=placed_s, deadline_s=desk.clock() + 5)
    )
    assert isinstance(answer, Found)
    assert answer.report.state in (LegState.CANCELLED, LegState.EXPIRED)
    assert answer.report.filled == 0
