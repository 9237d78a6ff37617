"""Changes of resting orders against an exchange that answers late, twice, with what was, or not at all.

Along any sequence: what the journal says an order may be for holds what the exchange has (so the book's interval does),
nothing filled is lost, everybody is told once, and what they are told is true; and when all is answered, the record is
what the exchange has.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

from attrs import define, evolve, field, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain import calls as c
from app.domain import effects as e
from app.domain import ids
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from app.domain.leg_life import LIVE, LegEvent
from app.domain.limiter import RateLimit
from app.journal.store import Committed
from messages.base import Failed
from messages.orders import (
    LIVE_OR_UNPROVEN,
    AmendOrder,
    CancelOrder,
    LegState,
    LegView,
    OrderRefused,
    OrderReply,
    OrderView,
    PlaceOrder,
)
from tests.depth import examples
from tests.domain.orders import BTC, fixed_journal, key, spec

PROOF = c.Proof(enforcement=c.ExpiryEnforcement.GATEWAY, validity_s=5.0, lateness_s=2.0, visibility_s=1.0)
ROOM = RateLimit(per_s=1000.0, burst=1000)
D = Decimal
FOUR, HUNDRED, NONE = D(4), D(100), D(0)


@define
class Book:
    """The order as the exchange has it, and as it was at any time."""

    quantity: Decimal = FOUR
    price: Decimal = HUNDRED
    filled: Decimal = NONE
    cancelled: bool = False
    was: list[tuple[float, c.OrderReport]] = field(factory=list)

    @property
    def open(self) -> bool:
        """Whether it can still fill."""
        return not self.cancelled and self.filled < self.quantity

    def amend(self, call: c.AmendCall) -> bool:
        """Carries a change out, if it can be."""
        quantity = self.quantity if call.quantity is None else call.quantity
        if not self.open or quantity <= self.filled:
            return False
        self.quantity, self.price = quantity, self.price if call.price is None else call.price
        return True

    def report(self) -> c.OrderReport:
        """As it is now."""
        state = LegState.PARTIALLY_FILLED if self.filled else LegState.OPEN
        if not self.open:
            state = LegState.CANCELLED if self.cancelled else LegState.FILLED
        return c.OrderReport(
            exchange_order_id="x1",
            wire_id="w",
            symbol=BTC,
            state=state,
            filled=self.filled,
            average_price=None,
            quantity=self.quantity,
            price=self.price,
        )


@frozen
class Flight:
    """A call on its way."""

    call: c.Call
    sent_s: float
    life: int


class Desk:
    """A connector, its journal, one order on the exchange, and whoever waits."""

    def __init__(self) -> None:
        self.now_s, self.life = 0.0, 0
        self.journal = fixed_journal()
        self.journal.fence(0.0)
        self.journal.commit_route(1, "bybit", 0.0)
        self.book = Book()
        self.flights: dict[int, Flight] = {}
        self.late: list[tuple[float, c.AmendCall]] = []
        self.answers: dict[str, list[Any]] = {}
        self.asked: dict[str, tuple[AmendOrder | CancelOrder, int]] = {}
        self.most_ever = self.book.quantity
        self.machine = self.born()
        request = PlaceOrder(correlation_id="place", deadline_s=20.0, epoch=1, key=key(), spec=spec("4"))
        self.perform(self.machine.place("place", request, 0.0))
        ((call_id, flight),) = self.flights.items()
        assert isinstance(flight.call, c.PlaceCall)
        self.remember()
        self.back(call_id, c.Placed(report=self.seen(self.book.report())))

    def born(self) -> Connector:
        """A machine of this life."""
        self.life += 1
        machine = Connector("bybit", PROOF, ConnectorSettings(), ROOM)
        machine.fills._unsupported = True  # of executions see test_fill_watch
        return machine

    def crash(self) -> None:
        """Its mailbox and what is on its way are lost; the next one finds the journal."""
        self.flights.clear()
        self.machine = self.born()
        self.perform(self.machine.recover(self.journal.open_orders(exchange="bybit"), self.now_s))

    @property
    def order(self) -> OrderView:
        """As the journal knows it."""
        found = self.journal.order(ids.order_id(self.journal.journal_id, key()))
        assert found is not None
        return found

    @property
    def leg(self) -> LegView:
        """Its only leg."""
        (leg,) = self.order.legs
        return leg

    def seen(self, report: c.OrderReport) -> c.OrderReport:
        """Under the id that it has."""
        return evolve(report, wire_id=self.leg.wire_id)

    def perform(self, effects: list[e.Effect]) -> None:
        """As the actor does."""
        queue = deque(effects)
        while queue:
            effect = queue.popleft()
            match effect:
                case e.Commit(request=request):
                    made = self.journal.commit_intent(
                        exchange="bybit",
                        epoch=request.epoch,
                        key=request.key,
                        spec=request.spec,
                        expiry_s=effect.expiry_s,
                        now_s=self.now_s,
                    )
                    assert isinstance(made, Committed)
                    queue.extend(self.machine.committed(effect.asker, request, made.order, self.now_s))
                case e.Record():
                    recorded = self.journal.record(
                        effect.order_id,
                        effect.number,
                        effect.event,
                        now_s=self.now_s,
                        filled=effect.filled,
                        exchange_order_id=effect.exchange_order_id,
                        terms=effect.terms,
                        settles=effect.settles,
                    )
                    assert not recorded.contradiction
                    queue.extend(self.machine.recorded(recorded.order, self.now_s))
                case e.Intend():
                    kept = self.journal.record(
                        effect.order_id, effect.number, LegEvent.AMEND_SENT, now_s=self.now_s, terms=effect.terms
                    )
                    queue.extendleft(reversed(self.machine.intended(kept.order, self.now_s)))
                case e.Send(call_id=call_id, call=call):
                    if not isinstance(call, c.OpenOrdersCall):
                        others = [f for f in self.flights.values() if not isinstance(f.call, c.OpenOrdersCall)]
                        assert not others, f"{call} while {others} is in flight"
                    if isinstance(call, c.AmendCall) and call.quantity is not None:
                        assert (self.leg.most or self.leg.quantity) >= call.quantity, "intent first"
                    self.flights[call_id] = Flight(call, self.now_s, self.life)
                case e.Answer(asker=asker, message=message):
                    self.answers.setdefault(asker, []).append(message)
                    self.told(asker, message)
                case e.Observe():
                    pass
                case _:
                    raise AssertionError(effect)
        self.holds()

    def told(self, asker: str, message: Any) -> None:
        """What somebody is told is true."""
        request, _ = self.asked.get(asker, (None, 0))
        if isinstance(request, AmendOrder) and isinstance(message, OrderReply):
            for asked, known in ((request.quantity, message.order.quantity), (request.price, message.order.now.price)):
                assert asked in (None, known)

    def holds(self) -> None:
        """The record is never smaller than the truth."""
        leg = self.leg
        assert leg.filled <= self.book.filled
        if self.book.open:
            assert leg.state in LIVE_OR_UNPROVEN
            assert (leg.quantity if leg.most is None else leg.most) >= self.book.quantity
            may_fill = [each.quantity for each in self.journal.exposures()]
            assert not may_fill or max(may_fill) >= self.book.quantity

    def back(self, call_id: int, result: c.Result) -> None:
        """A call comes back."""
        del self.flights[call_id]
        self.perform(self.machine.returned(call_id, result, self.now_s))

    def remember(self) -> None:
        """What a look-up may show from now on."""
        self.book.was.append((self.now_s, self.book.report()))

    def passes(self, seconds: float) -> None:
        """Time goes by; what was on its way all the time arrives before it has expired."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            next_s = self.machine.next_s(self.now_s)
            due = min([at_s for at_s in (next_s, *(at for at, _ in self.late)) if at_s is not None], default=until_s)
            self.now_s = min(until_s, max(self.now_s + 0.001, due))
            for at_s, call in [each for each in self.late if each[0] <= self.now_s]:
                self.late.remove((at_s, call))
                self.book.amend(call)
                self.remember()
            self.perform(self.machine.tick(self.now_s))

    def wants(self, request: AmendOrder | CancelOrder) -> None:
        """Somebody wants something."""
        self.asked[request.correlation_id] = request, self.life
        order = self.journal.order(request.order_id or "")
        ask = self.machine.amend if isinstance(request, AmendOrder) else self.machine.cancel
        self.perform(ask(request.correlation_id, request, order, self.now_s))  # type: ignore[arg-type]

    def amends(self, quantity: Decimal | None, price: Decimal | None, within_s: float = 20.0) -> None:
        """A change."""
        self.wants(
            AmendOrder(
                correlation_id=f"amend-{len(self.asked)}",
                deadline_s=self.now_s + within_s,
                strategy="maker",
                order_id=self.order.order_id,
                quantity=quantity,
                price=price,
            )
        )

    def cancels(self) -> None:
        """A cancel."""
        name = f"cancel-{len(self.asked)}"
        order_id = self.order.order_id
        self.wants(CancelOrder(correlation_id=name, deadline_s=self.now_s + 20.0, strategy="maker", order_id=order_id))

    # ------------------------------------------------------------------------------------------------ answers

    def view(self, flight: Flight, data: st.DataObject | None) -> c.OrderReport:
        """What an answer to a read may show: the order as it was at some moment since it was asked for."""
        since = [report for at_s, report in self.book.was if at_s > flight.sent_s]
        before = [report for at_s, report in self.book.was if at_s <= flight.sent_s][-1:]
        seen = before + since
        return self.seen(seen[-1] if data is None else data.draw(st.sampled_from(seen)))

    def result(self, flight: Flight, data: st.DataObject | None) -> c.Result:
        """Anything an honest exchange and a poor network may make of a call; the truth where nothing is drawn."""
        call = flight.call
        failed = c.CallFailed(code="timeout", words="No answer.")
        fate = "answered" if data is None else data.draw(st.sampled_from(["answered", "answered", "lost", "refused"]))
        match call:
            case c.LookUpCall():
                return failed if fate == "lost" else c.Found(report=self.view(flight, data))
            case c.OpenOrdersCall():
                report = self.view(flight, data)
                rests = report.state in LIVE
                return failed if fate == "lost" else c.OpenOrders(reports=(report,) * rests, asked_s=flight.sent_s)
            case c.CancelCall():
                if fate == "lost" and data is not None and data.draw(st.booleans()):
                    return failed
                if not self.book.open:
                    return c.CancelTooLate(native_code="1", words="None.")
                self.book.cancelled = True
                self.remember()
                return failed if fate == "lost" else c.CancelConfirmed(final=None)
            case c.AmendCall():
                return self.amended(call, fate, data)
        raise AssertionError(call)

    def amended(self, call: c.AmendCall, fate: str, data: st.DataObject | None) -> c.Result:
        """What comes of a change."""
        failed = c.CallFailed(code="timeout", words="No answer.")
        if fate == "refused":
            return c.AmendRefused(code="no", words="No.", native_code="1")
        if fate == "lost" and data is not None:
            when = data.draw(st.sampled_from(["never", "now", "late"]))
            if when == "late":
                self.late.append((self.now_s + data.draw(st.sampled_from([0.5, 3.0, 6.9])), call))
            if when != "now":
                return failed
        if not self.book.open:
            return failed if fate == "lost" else c.CancelTooLate(native_code="1", words="None.")
        made = self.book.amend(call)
        self.remember()
        if fate == "lost":
            return failed
        tells = data is not None and data.draw(st.booleans())
        if not made:  # acknowledged by the gateway, refused by the engine; or said at once
            return c.Amended(report=None) if tells else c.AmendRefused(code="no", words="No.", native_code="1")
        return c.Amended(report=self.seen(self.book.report()) if tells else None)


quantities = st.sampled_from([None, D(2), D(3), D(4), D(6), D(8)])
prices = st.sampled_from([None, D(100), D(101), D(102)])


@settings(
    max_examples=examples(30, 300),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_the_record_converges_to_what_the_exchange_has(data: st.DataObject) -> None:
    """Whatever happens in between, and however often the connector dies."""
    desk = Desk()
    for _ in range(data.draw(st.integers(1, 25))):
        match data.draw(st.sampled_from(["amend", "amend", "back", "back", "back", "fill", "pass", "cancel", "crash"])):
            case "amend":
                quantity, price = data.draw(quantities), data.draw(prices)
                if quantity is not None or price is not None:
                    desk.amends(quantity, price, data.draw(st.sampled_from([2.0, 20.0])))
            case "back" if desk.flights:
                call_id = data.draw(st.sampled_from(sorted(desk.flights)))
                desk.back(call_id, desk.result(desk.flights[call_id], data))
            case "fill" if desk.book.open:
                desk.book.filled += data.draw(st.sampled_from([D(1), desk.book.quantity - desk.book.filled]))
                desk.book.filled = min(desk.book.filled, desk.book.quantity)
                desk.remember()
            case "pass":
                desk.passes(data.draw(st.sampled_from([0.1, 0.7, 4.0, 9.0])))
            case "cancel" if data.draw(st.booleans()):
                desk.cancels()
            case "crash" if data.draw(st.booleans()):
                desk.crash()
    ends(desk)


def ends(desk: Desk) -> None:
    """All is answered, truthfully and at once; then everything is known and nobody waits."""
    for _ in range(60):
        while desk.flights:
            call_id = min(desk.flights)
            desk.back(call_id, desk.result(desk.flights[call_id], None))
        desk.passes(0.5)
    while desk.flights:
        call_id = min(desk.flights)
        desk.back(call_id, desk.result(desk.flights[call_id], None))
    leg, book = desk.leg, desk.book
    assert leg.filled == book.filled
    assert leg.state is book.report().state
    if book.open:
        assert (leg.quantity, desk.order.now.price, leg.most) == (book.quantity, book.price, None)
        assert leg.remaining == book.quantity - book.filled
    assert all(len(messages) == 1 for asker, messages in desk.answers.items() if asker != "place")
    for asker, (request, life) in desk.asked.items():
        if life == desk.life and request.deadline_s - desk.now_s > 0:
            assert desk.answers.get(asker), f"{request} was never answered"


def flight_of(desk: Desk, kind: type[c.Call]) -> int:
    """The one call of a kind that is on its way."""
    (call_id,) = (call_id for call_id, flight in desk.flights.items() if isinstance(flight.call, kind))
    return call_id


def test_an_answer_that_shows_the_order_needs_no_look_up() -> None:
    """Binance's, for one."""
    desk = Desk()
    desk.amends(D(6), D(101))
    call_id = flight_of(desk, c.AmendCall)
    assert desk.book.amend(desk.flights[call_id].call)  # type: ignore[arg-type]
    desk.back(call_id, c.Amended(report=desk.seen(desk.book.report())))
    assert not desk.flights
    ((answer,),) = [messages for asker, messages in desk.answers.items() if asker.startswith("amend")]
    assert isinstance(answer, OrderReply)
    assert (answer.order.quantity, answer.order.now.price) == (D(6), D(101))


def test_a_list_asked_for_before_takes_nothing_back() -> None:
    """It was on its way all the time, and shows what was."""
    desk = Desk()
    desk.passes(2.0)
    poll = flight_of(desk, c.OpenOrdersCall)
    stale = desk.seen(desk.book.report())
    desk.amends(D(6), None)
    call_id = flight_of(desk, c.AmendCall)
    desk.book.amend(desk.flights[call_id].call)  # type: ignore[arg-type]
    desk.remember()
    desk.back(call_id, c.Amended(report=desk.seen(desk.book.report())))
    desk.back(poll, c.OpenOrders(reports=(stale,), asked_s=2.0))
    assert desk.leg.quantity == D(6)


def test_one_change_at_a_time_and_a_cancel_first() -> None:
    """The same joins; another is refused; a cancel ends what was not sent."""
    desk = Desk()
    desk.amends(D(6), None)
    desk.amends(D(6), None)
    desk.amends(D(8), None)
    answers = {asker: messages for asker, messages in desk.answers.items() if asker != "place"}
    (refused,) = answers["amend-2"]
    assert isinstance(refused, OrderRefused)
    assert refused.code == "change_under_way"
    assert list(answers) == ["amend-2"]
    desk.back(flight_of(desk, c.AmendCall), c.AmendRefused(code="no", words="No.", native_code="7"))
    for name in ("amend-0", "amend-1"):
        (refused,) = desk.answers[name]
        assert isinstance(refused, OrderRefused)
        assert (refused.code, refused.native_code) == ("no", "7")
    desk.cancels()
    desk.amends(D(8), None)
    (late,) = desk.answers["amend-4"]
    assert isinstance(late, OrderRefused)
    assert late.code == "being_cancelled"


def test_an_order_that_is_over_says_what_it_is() -> None:
    """And one that nobody knows that it is none."""
    desk = Desk()
    desk.book.cancelled = True
    desk.remember()
    desk.cancels()
    ends(desk)
    desk.amends(D(6), None)
    (answer,) = desk.answers[f"amend-{len(desk.asked) - 1}"]
    assert isinstance(answer, Failed)
    assert (answer.code, "cancelled" in answer.words) == ("order_not_open", True)


def sent(desk: Desk) -> c.AmendCall:
    """The change that is on its way, which is never answered."""
    call = desk.flights[flight_of(desk, c.AmendCall)].call
    assert isinstance(call, c.AmendCall)
    return call


def answered(desk: Desk, seconds: float) -> None:
    """Time goes by, and every read is answered by what is."""
    until_s = desk.now_s + seconds
    while desk.now_s < until_s:
        for call_id in sorted(desk.flights):
            desk.back(call_id, desk.result(desk.flights[call_id], None))
        desk.passes(min(0.25, until_s - desk.now_s))


def test_a_change_that_arrives_late_is_counted_until_it_cannot_any_more() -> None:
    """Look-ups before it had expired show the order as it was, and prove nothing."""
    desk = Desk()
    desk.amends(D(6), None)
    desk.late.append((6.9, sent(desk)))
    desk.back(flight_of(desk, c.AmendCall), c.CallFailed(code="timeout", words="No answer."))
    answered(desk, 6.5)
    assert (desk.leg.quantity, desk.leg.most, "amend-0" in desk.answers) == (D(4), D(6), False)
    ends(desk)
    assert desk.leg.quantity == D(6)


def test_a_change_of_an_earlier_life_too() -> None:
    """Also where another one is made meanwhile."""
    desk = Desk()
    desk.amends(D(8), None)
    desk.late.append((6.9, sent(desk)))
    desk.crash()
    answered(desk, 2.0)
    assert desk.leg.most == D(8)
    desk.amends(D(6), None)
    answered(desk, 2.0)
    assert (desk.leg.quantity, desk.leg.most) == (D(6), D(8))
    ends(desk)
    assert desk.leg.quantity == D(8)


def test_all_of_what_it_was_for_is_not_all_of_it() -> None:
    """A report that says what filled, and not of how much."""
    desk = Desk()
    desk.amends(D(6), None)
    desk.book.amend(sent(desk))
    desk.book.filled = D(4)
    desk.remember()
    desk.back(flight_of(desk, c.AmendCall), c.CallFailed(code="timeout", words="No answer."))
    desk.passes(0.1)
    look_up = flight_of(desk, c.LookUpCall)
    desk.back(look_up, c.Found(report=evolve(desk.seen(desk.book.report()), quantity=None)))
    assert (desk.leg.state, desk.leg.remaining) == (LegState.PARTIALLY_FILLED, D(2))
    ends(desk)
