"""A connector and its journal before an exchange that knows the truth and tells it late, as it was, or not at all.

One order, with as many legs as come to be. An answer to a read shows the order as it was at some moment no longer ago
than `Proof.visibility_s`; a placement or a cancel may be carried out and not answered, answered and carried out later,
or lost. After every step: at most one leg can fill, and the record is never smaller than the truth.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from attrs import define, evolve, field, frozen
from hypothesis import strategies as st

from app.domain import calls as c
from app.domain import effects as e
from app.domain import ids
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from app.domain.leg_life import BETWEEN, LIVE, TERMINAL, LegEvent
from app.domain.limiter import RateLimit
from app.journal.store import Committed
from messages.market import Lots
from messages.orders import AmendOrder, CancelOrder, LegState, OrderReply, OrderSpec, OrderView, PlaceOrder
from tests.domain.orders import BTC, fixed_journal, key, spec

PROOF = c.Proof(enforcement=c.ExpiryEnforcement.GATEWAY, validity_s=5.0, lateness_s=2.0, visibility_s=1.0)
ROOM = RateLimit(per_s=1000.0, burst=1000)
FAILED = c.CallFailed(code="timeout", words="No answer.")


@define
class TrueLeg:
    """A leg as the exchange has it, and as it was."""

    wire_id: str
    quantity: Decimal
    price: Decimal | None
    filled: Decimal = Decimal(0)
    cancelled: bool = False
    was: list[tuple[float, c.OrderReport]] = field(factory=list)

    @property
    def open(self) -> bool:
        """Whether it can still fill."""
        return not self.cancelled and self.filled < self.quantity

    def report(self) -> c.OrderReport:
        """As it is now."""
        state = LegState.PARTIALLY_FILLED if self.filled else LegState.OPEN
        if not self.open:
            state = LegState.CANCELLED if self.cancelled else LegState.FILLED
        return c.OrderReport(
            exchange_order_id=f"x-{self.wire_id[-4:]}",
            wire_id=self.wire_id,
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


class Truth:
    """See the module."""

    def __init__(self, settings: ConnectorSettings | None = None, *, before: Truth | None = None) -> None:
        """
        Args:
            before: One of the exchange on which trading begins; this is another one then, over the same journal.
        """
        self.now_s, self.life = 0.0, 0
        self.settings = settings or ConnectorSettings()
        self.name = "bybit" if before is None else "okx"
        self.all: list[Truth] = [self] if before is None else [before, self]
        if before is None:
            self.journal = fixed_journal()
            self.journal.fence(0.0)
            self.journal.commit_route(1, "bybit", 0.0)
        else:
            self.journal = before.journal
            before.all = self.all
        self.legs: dict[str, TrueLeg] = {}
        self.flights: dict[int, Flight] = {}
        self.late: list[tuple[float, Callable[[], None]]] = []
        self.answers: dict[str, list[Any]] = {}
        self.asked: dict[str, tuple[Any, int]] = {}
        self.told: list[OrderView] = []
        self.locked = False
        self.most = Decimal(4)
        self.machine = self.born()

    def born(self) -> Connector:
        """A machine of this life."""
        self.life += 1
        return Connector(
            self.name,
            PROOF,
            self.settings,
            ROOM,
            admits=self.check,
            lots=lambda _: Lots(step=Decimal(1), minimum=Decimal(1), tick=Decimal(1)),
            left=lambda: self.journal.route().exchange not in (None, self.name),
            held=lambda symbol: self.journal.attributed(self.name, symbol),
        )

    def check(self, spec: OrderSpec) -> str:
        """The exchange's rules: whole coins."""
        whole = spec.quantity > 0 and spec.quantity == int(spec.quantity)
        return "" if whole else f"{spec.quantity} is off the step of 1."

    def crash(self) -> None:
        """Its mailbox and what is on its way are lost; the next one finds the journal."""
        self.flights.clear()
        self.machine = self.born()
        self.perform(self.machine.recover(self.journal.open_orders(exchange=self.name), self.now_s))

    @property
    def order_id(self) -> str:
        """Of the one order."""
        return ids.order_id(self.journal.journal_id, key())

    @property
    def order(self) -> OrderView:
        """As the journal knows it."""
        found = self.journal.order(self.order_id)
        assert found is not None
        return found

    @property
    def filled(self) -> Decimal:
        """Of the order, in truth."""
        return sum((leg.filled for each in self.all for leg in each.legs.values()), Decimal(0))

    @property
    def open(self) -> list[TrueLeg]:
        """What can still fill."""
        return [leg for leg in self.legs.values() if leg.open]

    @property
    def open_anywhere(self) -> list[TrueLeg]:
        """What can still fill, on whichever exchange."""
        return [leg for each in self.all for leg in each.open]

    # ------------------------------------------------------------------------------------------------ the actor's part

    def perform(self, effects: list[e.Effect]) -> None:
        """As the actor does."""
        queue = deque(effects)
        while queue:
            effect = queue.popleft()
            match effect:
                case e.Send(call_id=call_id, call=call):
                    self.sent(call_id, call)
                case e.Answer(asker=asker, message=message):
                    self.answers.setdefault(asker, []).append(message)
                    self.heard(asker, message)
                case e.Observe() | e.Deliver() | e.NotListed():
                    pass
                case _:
                    queue.extend(self.written(effect))
        self.holds()

    def written(self, effect: e.Effect) -> list[e.Effect]:
        """What the journal makes of it, and the machine of that."""
        match effect:
            case e.Commit(request=request):
                made = self.journal.commit_intent(
                    exchange=self.name,
                    epoch=request.epoch,
                    key=request.key,
                    spec=request.spec,
                    expiry_s=effect.expiry_s,
                    now_s=self.now_s,
                )
                known = made.order if isinstance(made, Committed) else made
                return self.machine.committed(effect.asker, request, known, self.now_s)
            case e.Renew() if self.locked:
                return self.machine.not_recorded(effect.ended.order_id, self.now_s)
            case e.Renew(ended=ended):
                renewed = self.journal.renew(
                    ended.order_id,
                    ended.number,
                    ended.event,
                    exchange=self.name,
                    expiry_s=effect.expiry_s,
                    now_s=self.now_s,
                    check=self.check,
                    protects=effect.protects,
                    why=effect.why,
                    filled=ended.filled,
                    exchange_order_id=ended.exchange_order_id,
                    code=ended.code,
                    words=ended.words,
                )
                assert not renewed.contradiction
                self.told.append(renewed.order)
                return self.machine.renewed(renewed.order, self.now_s)
            case e.TakeUp() if self.locked:
                return self.machine.not_carried(effect.order_id, self.now_s)
            case e.TakeUp():
                moved = self.journal.carry(
                    effect.order_id,
                    effect.number,
                    exchange=self.name,
                    epoch=effect.epoch,
                    expiry_s=effect.expiry_s,
                    now_s=self.now_s,
                    decide=effect.decide,
                )
                self.told += [each.order for each in moved.news]
                return self.machine.carried(moved.carried, self.now_s)
            case e.Intend() if self.locked:
                return self.machine.not_intended(effect.order_id, "Locked.", self.now_s)
            case e.Record() if self.locked:
                return self.machine.not_recorded(effect.order_id, self.now_s)
            case e.Record():
                recorded = self.journal.record(
                    effect.order_id,
                    effect.number,
                    effect.event,
                    now_s=self.now_s,
                    filled=effect.filled,
                    exchange_order_id=effect.exchange_order_id,
                    code=effect.code,
                    words=effect.words,
                    native_code=effect.native_code,
                    terms=effect.terms,
                    settles=effect.settles,
                )
                assert not recorded.contradiction
                if recorded.changed:
                    self.told.append(recorded.order)
                return self.machine.recorded(recorded.order, self.now_s)
            case e.Intend():
                kept = self.journal.record(
                    effect.order_id,
                    effect.number,
                    LegEvent.AMEND_SENT if effect.until_s is None else LegEvent.REPLACE_ASKED,
                    now_s=self.now_s,
                    terms=effect.terms,
                    until_s=effect.until_s,
                )
                return self.machine.intended(kept.order, self.now_s)
        raise AssertionError(effect)

    def sent(self, call_id: int, call: c.Call) -> None:
        """A call leaves: about a leg one at a time."""
        lists = c.OpenOrdersCall | c.FillsCall
        wire_id = getattr(call, "wire_id", None)
        if not isinstance(call, lists):
            others = [f for f in self.flights.values() if getattr(f.call, "wire_id", None) == wire_id]
            assert not others, f"{call} while {others} is in flight"
        self.flights[call_id] = Flight(call, self.now_s)

    def heard(self, asker: str, message: Any) -> None:
        """What somebody is told of a cancel is true."""
        request, _ = self.asked.get(asker, (None, 0))
        if isinstance(request, CancelOrder) and isinstance(message, OrderReply):
            assert message.order.leg is not None
            assert message.order.leg.state in TERMINAL
            assert not self.open_anywhere, "told cancelled, and it can fill"
            assert message.order.filled == self.filled, "told cancelled, and not what had filled"
        if isinstance(request, AmendOrder) and isinstance(message, OrderReply):
            for asked, known in ((request.quantity, message.order.quantity), (request.price, message.order.now.price)):
                assert asked in (None, known)

    def holds(self) -> None:
        """At every moment."""
        assert len(self.open_anywhere) <= 1, f"two legs can fill: {self.open_anywhere}"
        assert self.filled <= self.most
        order = self.journal.order(self.order_id)
        if order is None:
            assert not any(each.legs for each in self.all)
            return
        assert order.filled <= self.filled
        if self.open_anywhere:
            assert order.leg is not None
            assert order.leg.wire_id == self.open_anywhere[0].wire_id, "what can fill is the newest leg"
            assert order.leg.state not in TERMINAL
            assert order.leg.filled + order.leg.remaining >= self.open_anywhere[0].quantity

    def back(self, call_id: int, result: c.Result) -> None:
        """A call comes back."""
        del self.flights[call_id]
        self.perform(self.machine.returned(call_id, result, self.now_s))

    def passes(self, seconds: float) -> None:
        """Time goes by, from one moment at which something is due to the next."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            next_s = self.machine.next_s(self.now_s)
            due = min([at_s for at_s in (next_s, *(at for at, _ in self.late)) if at_s is not None], default=until_s)
            self.now_s = min(until_s, max(self.now_s + 0.001, due))
            for each in [each for each in self.late if each[0] <= self.now_s]:
                self.late.remove(each)
                each[1]()
            self.perform(self.machine.tick(self.now_s))

    # ------------------------------------------------------------------------------------------------ what is asked

    def places(self, quantity: str = "4", price: str = "100") -> None:
        """The order, placed."""
        request = PlaceOrder(
            correlation_id=f"place-{len(self.asked)}",
            deadline_s=self.now_s + 20.0,
            epoch=1,
            key=key(),
            spec=spec(quantity, price),
        )
        self.asked[request.correlation_id] = request, self.life
        self.perform(self.machine.place(request.correlation_id, request, self.now_s))

    def cancels(self, within_s: float = 20.0) -> str:
        """Somebody wants it cancelled."""
        name = f"cancel-{len(self.asked)}"
        request = CancelOrder(
            correlation_id=name, deadline_s=self.now_s + within_s, strategy="maker", order_id=self.order_id
        )
        self.asked[name] = request, 0 if self.locked else self.life  # a session asks again
        self.perform(self.machine.cancel(name, request, self.journal.order(self.order_id), self.now_s))
        return name

    def amends(
        self, quantity: Decimal | None, price: Decimal | None, within_s: float = 20.0, *, replace: bool = True
    ) -> str:
        """Somebody wants it changed, which the exchange cannot do in place."""
        name = f"amend-{len(self.asked)}"
        request = AmendOrder(
            correlation_id=name,
            deadline_s=self.now_s + within_s,
            strategy="maker",
            order_id=self.order_id,
            quantity=quantity,
            price=price,
            replace=replace,
        )
        self.asked[name] = request, 0 if self.locked else self.life
        self.most = max(self.most, quantity or self.most)
        self.perform(self.machine.amend(name, request, self.journal.order(self.order_id), self.now_s))
        return name

    def fills(self, quantity: Decimal) -> None:
        """Some of what is open fills."""
        for leg in self.open:
            leg.filled = min(leg.quantity, leg.filled + quantity)
            self.remember(leg)

    def remember(self, leg: TrueLeg) -> None:
        """What a look-up may show from now on."""
        leg.was.append((self.now_s, leg.report()))

    # ------------------------------------------------------------------------------------- the exchange's part

    def take(self, call: c.PlaceCall) -> TrueLeg | None:
        """A placement arrives, if it has not expired."""
        if call.wire_id in self.legs or self.now_s > call.expiry_s + PROOF.lateness_s:
            return None
        leg = self.legs[call.wire_id] = TrueLeg(call.wire_id, call.quantity, call.spec.price)
        self.remember(leg)
        return leg

    def _arrives(self, call: c.PlaceCall) -> None:
        self.take(call)

    def end(self, wire_id: str) -> None:
        """A cancel is carried out."""
        leg = self.legs.get(wire_id)
        if leg is not None and leg.open:
            leg.cancelled = True
            self.remember(leg)

    def seen(self, wire_id: str, flight: Flight, data: st.DataObject | None) -> c.OrderReport | None:
        """What an answer to a read may show: as it was at a moment since a visibility lag before it was asked for."""
        leg = self.legs.get(wire_id)
        if leg is None:
            return None
        if data is None:
            return leg.was[-1][1]
        since_s = flight.sent_s - PROOF.visibility_s
        since: list[c.OrderReport | None] = [report for at_s, report in leg.was if at_s > since_s]
        before: list[c.OrderReport | None] = [report for at_s, report in leg.was if at_s <= since_s]
        return data.draw(st.sampled_from([before[-1] if before else None, *since]))

    def result(self, flight: Flight, data: st.DataObject | None) -> c.Result:
        """Anything an honest exchange and a poor network may make of a call; the truth where nothing is drawn."""
        fate = "answered" if data is None else data.draw(st.sampled_from(["answered", "answered", "lost", "odd"]))
        match flight.call:
            case c.LookUpCall(wire_id=wire_id):
                report = self.seen(wire_id, flight, data)
                if fate == "lost":
                    return FAILED
                return c.NotFound(asked_s=flight.sent_s) if report is None else c.Found(report=report)
            case c.OpenOrdersCall():
                views = [self.seen(wire_id, flight, data) for wire_id in self.legs]
                reports = tuple(view for view in views if view is not None and view.state in LIVE)
                return FAILED if fate == "lost" else c.OpenOrders(reports=reports, asked_s=flight.sent_s)
            case c.CancelCall() as call:
                return self.cancelled(call, fate, data)
            case c.PlaceCall() as call:
                return self.placed(call, fate, data)
            case c.AmendCall():
                return c.AmendRefused(code=c.UNSUPPORTED, words="It cannot.", native_code=None, unsupported=True)
            case _:
                return FAILED

    def cancelled(self, call: c.CancelCall, fate: str, data: st.DataObject | None) -> c.Result:
        """What comes of a cancel."""
        leg = self.legs.get(call.wire_id)
        if leg is None or not leg.open:
            return FAILED if fate == "lost" else c.CancelTooLate(native_code="1", words="None.")
        how = "final" if data is None else data.draw(st.sampled_from(["final", "now", "late", "never"]))
        if how in ("final", "now"):
            self.end(call.wire_id)
        elif how == "late" and data is not None:
            self.late.append((self.now_s + data.draw(st.sampled_from([0.2, 1.5])), lambda: self.end(call.wire_id)))
        if fate == "lost":
            return FAILED
        return c.CancelConfirmed(final=leg.report() if how == "final" else None)

    def placed(self, call: c.PlaceCall, fate: str, data: st.DataObject | None) -> c.Result:
        """What comes of a placement."""
        how = "now" if data is None else data.draw(st.sampled_from(["now", "now", "late", "never"]))
        ambiguous = c.Ambiguous(code="timeout", words="No answer.")
        if fate == "odd":
            refused = c.Refused(code="no", words="No.", native_code="1")
            return c.NotExecuted(code="overloaded", words="Not now.") if how == "now" else refused
        if how == "late" and data is not None:
            after_s = data.draw(st.sampled_from([0.3, 4.0, 6.9]))
            self.late.append((self.now_s + after_s, partial(self._arrives, call)))
            return ambiguous
        if how == "never":
            return ambiguous
        leg = self.take(call)
        if leg is None or fate == "lost":
            return ambiguous
        return c.Placed(report=leg.report())

    def ends(self) -> None:
        """All is answered, truthfully and at once; then everything is known."""
        self.locked = False
        for _ in range(90):
            while self.flights:
                call_id = min(self.flights)
                self.back(call_id, self.result(self.flights[call_id], None))
            self.passes(0.5)
        order = self.journal.order(self.order_id)
        if order is None or order.leg is None:
            return
        assert order.filled == self.filled
        leg = self.legs.get(order.leg.wire_id)
        if leg is None:
            nowhere = LegState.ABSENT, LegState.REFUSED, LegState.CANCELLED, LegState.PARKED
            assert order.leg.state in nowhere, order.leg
        elif order.leg.state in BETWEEN:
            assert leg.cancelled
        else:
            assert order.leg.state is leg.report().state
        for asker, (request, life) in self.asked.items():
            if life == self.life and request.deadline_s - self.now_s > 0:
                assert self.answers.get(asker), f"{request} was never answered"


def evolved(report: c.OrderReport, **changes: Any) -> c.OrderReport:
    """A report with something else in it."""
    return evolve(report, **changes)
