"""A connector, a journal and an exchange that answers late, twice or not at all, for changes (`test_amending`)."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

from attrs import define, evolve, field, frozen
from hypothesis import strategies as st

from app.domain import calls as c
from app.domain import effects as e
from app.domain import ids
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from app.domain.leg_life import LIVE, LegEvent
from app.domain.limiter import RateLimit
from app.journal.store import Committed
from messages.orders import (
    LIVE_OR_UNPROVEN,
    AmendOrder,
    CancelOrder,
    LegState,
    LegView,
    OrderReply,
    OrderView,
    PlaceOrder,
)
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
