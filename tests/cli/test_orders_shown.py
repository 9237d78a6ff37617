"""What `order-router orders` says of an order."""

from __future__ import annotations

from attrs import evolve

from app.cli.look import _order
from app.core.render import order
from messages.orders import LegState
from tests.domain.orders import leg
from tests.domain.orders import order as order_of


def test_one_that_is_parked_says_why_and_what_is_left_of_it() -> None:
    why = "It only reduces, and 0 of the 1 it is for stand on okx.\x1b[2J"
    parked = evolve(leg(LegState.PARKED, filled="0.4"), reason_code="no_position", reason_words=why)
    shown = order(order_of(parked), str)
    assert (shown["orderStatus"], shown["leavesQty"]) == ("Parked", "0.6")
    assert "stand on okx" in _order(shown).plain
    assert "\x1b" not in _order(shown).plain
    moving = order(order_of(leg(LegState.DRAINED)), str)
    assert (moving["orderStatus"], moving["leavesQty"]) == ("Moving", "1")
