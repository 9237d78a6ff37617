"""What only reduces, and was ended by its exchange: over, or on its way to where its position went."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve

from app.domain import calls as c
from app.domain import ids
from messages.orders import LegState, Side
from tests.domain.connector_desk import Desk, flight, report
from tests.domain.orders import key, spec

D = Decimal


@pytest.mark.parametrize(
    ("held", "elsewhere", "left", "state"),
    [
        ("0", "1", False, LegState.DRAINED),
        ("0.4", "0.6", False, LegState.DRAINED),
        ("0", "0", True, LegState.DRAINED),
        ("1", "0", True, LegState.EXPIRED),
        ("0", "0", False, LegState.EXPIRED),
        ("0", "-1", False, LegState.EXPIRED),
    ],
    ids=["went", "going, or coming back", "left", "by somebody's hand", "closed", "nothing it would reduce"],
)
def test_it_follows_its_position(held: str, elsewhere: str, left: bool, state: LegState) -> None:
    """Also where trading is back on the exchange before the position is."""
    desk = Desk()
    carrying = desk.machine._carrying
    carrying.held = lambda _: D(held)
    carrying.held_elsewhere = lambda _: D(elsewhere)
    carrying.left = lambda: left
    desk.place("a", what=evolve(spec(), reduce_only=True, side=Side.SELL))
    call_id, call = flight(desk, c.PlaceCall)
    desk.returns(call_id, c.Placed(report=report(call.wire_id, LegState.OPEN, "0")))
    for _ in range(60):
        for asked, each in list(desk.flights.items()):
            if isinstance(each, c.LookUpCall):
                desk.returns(asked, c.Found(report=report(call.wire_id, LegState.EXPIRED, "0")))
            elif isinstance(each, c.OpenOrdersCall):
                desk.returns(asked, c.OpenOrders(reports=(), asked_s=desk.now_s))
        desk.passes(0.2)
    order = desk.journal.order(ids.order_id(desk.journal.journal_id, key("a")))
    assert order is not None
    assert [each.state for each in order.legs] == [state]
