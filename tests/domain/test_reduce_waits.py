"""After a start reduce-only orders wait for what is in doubt on their symbol, within their deadline; others do not."""

from __future__ import annotations

from decimal import Decimal

from attrs import evolve

from app.domain import calls as c
from app.domain import effects as e
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from messages.market import Symbol
from messages.orders import (
    LegState,
    OrderAccepted,
    OrderNotExecuted,
    OrderPending,
    OrderReply,
    OrderSpec,
    PlaceOrder,
    Purpose,
    Side,
)
from tests.domain.connector_desk import PROOF, ROOM, Desk, flight, report
from tests.domain.orders import BTC, key, spec

ETH = Symbol(base="ETH", quote="USDT", settle="USDT", market_type=BTC.market_type)
CLOSES = evolve(spec(), reduce_only=True, side=Side.SELL)


def restarted(*names: str, answered: bool = False) -> Desk:
    """A connector whose earlier life has died with orders on their way, or after they were told to be unknown."""
    desk = Desk()
    for name in names:
        desk.place(name)
        if answered:
            desk.returns(flight(desk, c.PlaceCall)[0], c.Ambiguous(code="timeout", words="No answer."))
    desk.flights.clear()
    desk.answers.clear()
    desk.machine = Connector("bybit", PROOF, ConnectorSettings(), ROOM)
    desk.perform(desk.machine.recover(desk.journal.open_orders(exchange="bybit"), desk.now_s))
    return desk


def placements(desk: Desk) -> list[OrderSpec]:
    """What is being placed."""
    return [call.spec for call in desk.flights.values() if isinstance(call, c.PlaceCall)]


def look_ups(desk: Desk) -> list[tuple[int, c.LookUpCall]]:
    """What is being looked up."""
    return [(call_id, call) for call_id, call in desk.flights.items() if isinstance(call, c.LookUpCall)]


def test_it_waits_until_the_doubt_is_over_and_goes_then() -> None:
    """An intent of an earlier life, and one that was answered to be unknown, alike."""
    for answered in (False, True):
        desk = restarted("a", answered=answered)
        asker = desk.place("close", what=CLOSES)
        desk.passes(1.0)
        assert placements(desk) == []
        assert asker not in desk.answers
        call_id, call = look_ups(desk)[0]
        desk.returns(call_id, c.Found(report=report(call.wire_id, LegState.FILLED, "1")))
        assert placements(desk) == [CLOSES]
        call_id, placed = flight(desk, c.PlaceCall)
        desk.returns(call_id, c.Placed(report=report(placed.wire_id, LegState.FILLED, "1")))
        (answer,) = desk.answers[asker]
        assert isinstance(answer, OrderAccepted)
        assert desk.machine._placing.under_way == 0


def test_what_is_not_known_in_time_is_never_sent() -> None:
    """And said not to have been executed, with how many orders it waited for."""
    desk = restarted("a", "b")
    asker = desk.place("close", within_s=1.0, what=CLOSES)
    for _ in range(4):
        desk.passes(0.4)
        for call_id, _call in look_ups(desk):
            desk.returns(call_id, c.CallFailed(code="timeout", words="No answer.", ill=True))
    (answer,) = desk.answers[asker]
    assert isinstance(answer, OrderNotExecuted)
    assert answer.code == "symbol_in_doubt"
    assert "2 orders of BTC/USDT:USDT on bybit from before the router's restart" in answer.words
    assert desk.now_s >= 0.7, "but not before it had to be"
    assert placements(desk) == []
    assert desk.machine._placing.under_way == 0


def test_all_of_the_symbol_has_to_be_known() -> None:
    """One that is proven absent is known."""
    desk = restarted("a", "b")
    desk.place("close", what=CLOSES)
    first, second = look_ups(desk)
    desk.returns(first[0], c.Found(report=report(first[1].wire_id, LegState.OPEN, "0")))
    assert placements(desk) == []
    desk.returns(second[0], c.NotFound(asked_s=desk.now_s + 100.0))
    assert placements(desk) == [CLOSES]


def test_others_proceed_at_once() -> None:
    """Whatever is not reduce-only, whatever is of another symbol, exits of ours, and cancels."""
    desk = restarted("a")
    other, elsewhere = spec(), evolve(CLOSES, symbol=ETH)
    desk.place("opens", what=other)
    desk.place("closes", what=elsewhere)
    assert placements(desk) == [other, elsewhere]
    request = PlaceOrder(
        correlation_id="exit",
        deadline_s=desk.now_s + 9.0,
        epoch=1,
        key=key("exit"),
        purpose=Purpose.EXIT,
        spec=evolve(CLOSES, quantity=Decimal(2)),
    )
    effects = desk.machine.place(e.Inside.EXITS, request, desk.now_s)
    assert [type(effect) for effect in effects] == [e.Commit]
    asker = desk.cancel("a")
    call_id, call = look_ups(desk)[0]
    desk.returns(call_id, c.Found(report=report(call.wire_id, LegState.OPEN, "0")))
    desk.passes(0.1)
    desk.returns(flight(desk, c.CancelCall)[0], c.CancelConfirmed(final=report(call.wire_id, LegState.CANCELLED, "0")))
    assert isinstance(desk.answers[asker][0], OrderReply)


def test_what_gets_into_doubt_later_holds_up_nobody() -> None:
    """Its owner was told, and decides."""
    desk = Desk()
    desk.place("a")
    desk.returns(flight(desk, c.PlaceCall)[0], c.Ambiguous(code="timeout", words="No answer."))
    desk.place("close", what=CLOSES)
    assert placements(desk) == [CLOSES]


def test_a_reduce_only_order_that_is_in_doubt_itself_is_not_denied() -> None:
    """It is asked for again after the start: it waits with the others, and at its deadline nobody knows of it."""
    desk = Desk()
    desk.place("close", what=CLOSES)
    desk.flights.clear()
    desk.machine = Connector("bybit", PROOF, ConnectorSettings(), ROOM)
    desk.perform(desk.machine.recover(desk.journal.open_orders(exchange="bybit"), desk.now_s))
    asker = desk.place("close", within_s=1.0, what=CLOSES)
    desk.passes(1.0)
    assert placements(desk) == []
    assert asker not in desk.answers or isinstance(desk.answers[asker][0], OrderPending)
