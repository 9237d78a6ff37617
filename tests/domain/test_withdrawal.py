"""An order that is proven absent may be withdrawn by its owner: also when the journal cannot take that just now."""

from __future__ import annotations

from app.domain.calls import ExpiryEnforcement, Proof
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from app.domain.effects import Answer, Record
from app.domain.leg_life import LegEvent
from app.domain.limiter import RateLimit
from messages.orders import CancelOrder, LegState, OrderReply, OrderView
from tests.domain.orders import key, leg, order

PROOF = Proof(enforcement=ExpiryEnforcement.ENGINE, validity_s=5.0, lateness_s=0.0, visibility_s=1.0)


def known(state: LegState) -> OrderView:
    """As the journal knows it."""
    return order(leg(state))


def test_a_withdrawal_that_could_not_be_recorded_leaves_nothing_to_look_for() -> None:
    machine = Connector("bybit", PROOF, ConnectorSettings(), RateLimit(per_s=10.0, burst=10))
    absent = known(LegState.ABSENT)
    request = CancelOrder(correlation_id="c", deadline_s=60.0, strategy=key("one").strategy, order_id=absent.order_id)
    (record,) = machine.cancel("owner", request, absent, 0.0)
    assert isinstance(record, Record)
    assert record.event is LegEvent.WITHDRAWN

    assert machine.not_recorded(absent.order_id, 0.0) == []
    assert machine.next_s(0.0) is None, "no exchange knows of a withdrawal: looking there would never end"

    assert machine.cancel("owner", request, absent, 3.0) == [record], "asked again, it is tried again"
    (answer,) = machine.recorded(known(LegState.CANCELLED), 3.0)
    assert isinstance(answer, Answer)
    assert isinstance(answer.message, OrderReply)
