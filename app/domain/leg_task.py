"""What a connector still has to do about one leg: who waits for it, what is in flight, when to look next."""

from __future__ import annotations

from typing import Any, Literal

from attrs import Factory, define, evolve, field

from app.domain.calls import CancelCall, LookUpCall, OrderReport, PlaceCall, Proof
from app.domain.changes import Held, Waiting
from app.domain.effects import Answer, Record
from app.domain.leg_life import ASIDE, LIVE, SAME, UNPROVEN, LegEvent, event_of_report
from app.domain.order_life import NOTHING_EXECUTED, OrderState, state_of
from app.domain.order_life import UNPROVEN as NOBODY_KNOWS
from messages.base import Failed
from messages.failover import OrderLeft
from messages.orders import (
    LegView,
    Linked,
    LivesElsewhere,
    OrderAccepted,
    OrderNotExecuted,
    OrderPending,
    OrderRefused,
    OrderReply,
    OrderView,
)

LOOK_UP_DELAYS_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0)
"""Between look-ups of one leg; the last one repeats for as long as nobody knows."""

CANCEL_AGAIN_AFTER = 3
"""Look-ups that still show an order open after an acknowledged cancel, before the cancel is sent again."""

InFlight = Literal["place", "cancel", "look_up", "amend", "replace", "carry"]


@define(kw_only=True)
class LegTask:
    """A leg of an order, on this exchange, while it is live, unproven, or set aside for a newer one.

    Attributes:
        order: As the journal said last.
        number: Of the leg; the newest when it was taken up.
        in_flight: The call about it that has not come back; one at a time.
        last: The call about it that came back last.
        queued: A call about it waits in the rate limiter.
        look_ups: Since it last taught something.
        next_s: When to look again; None while only the bulk poll watches it.
        cancel_wanted: Someone wants it cancelled.
        look_ups_since_cancel: None until a cancel was answered.
        cancels: How many were sent and did not end it; looking and cancelling again grow apart with it.
        sent_s: When the call that is in flight was sent.
        held: What is known of its terms besides the journal, and the change asked for.
    """

    order: OrderView
    number: int = field(default=Factory(lambda self: len(self.order.legs), takes_self=True))
    in_flight: InFlight | None = None
    last: InFlight | None = None
    queued: bool = False
    look_ups: int = 0
    next_s: float | None = None
    cancel_wanted: bool = False
    look_ups_since_cancel: int | None = None
    cancels: int = 0
    sent_s: float = 0.0
    held: Held = field(factory=Held)
    placers: list[Waiting] = field(factory=list)
    cancellers: list[Waiting] = field(factory=list)
    readers: list[Waiting] = field(factory=list)

    @property
    def leg(self) -> LegView:
        """The leg."""
        return self.order.legs[self.number - 1]

    @property
    def behind(self) -> bool:
        """Its order has a newer leg."""
        return self.number < len(self.order.legs)

    @property
    def name(self) -> str:
        """What it is followed by: the order's id, unless its order has a newer leg, which may be here too."""
        return f"{self.order.order_id}/{self.number}" if self.behind else self.order.order_id

    @property
    def unproven(self) -> bool:
        """Nobody knows whether it executed, or how much of it."""
        return self.leg.state in UNPROVEN or self.leg.state in ASIDE

    @property
    def seen(self) -> bool:
        """Its exchange has shown it: that it finds nothing later proves nothing."""
        return self.leg.exchange_order_id is not None or self.leg.filled > 0

    @property
    def strays(self) -> bool:
        """It is set aside, and rests all the same: it is cancelled, since a newer leg stands in its place."""
        return self.leg.state in ASIDE and self.seen

    @property
    def live(self) -> bool:
        """It rests on the exchange."""
        return self.leg.state in LIVE

    @property
    def unwanted(self) -> bool:
        """It is to be cancelled for good, whoever still waits for that: the wish outlives the wait."""
        asked = bool(self.cancellers) or self.leg.cancel_asked_s is not None
        return asked or self.strays or self.leg.linked in (Linked.RESIZED, Linked.GIVEN_UP)

    @property
    def owner_cancels(self) -> bool:
        """It is to be cancelled: for good, to be replaced, or since trading moves."""
        wanted, moves = self.leg.wanted, self.leg.carry_s is not None
        return self.unwanted or moves or (wanted is not None and wanted.replaces)

    @property
    def conditional(self) -> bool:
        """It was placed with a trigger."""
        return self.order.spec.trigger is not None

    def wanted(self, now_s: float) -> InFlight | None:
        """The call it is time for; None for none."""
        due = self.next_s is None or now_s >= self.next_s
        if self.cancel_wanted and self.look_ups_since_cancel is None and (self.live or self.unproven):
            return "cancel" if due else None
        return "look_up" if self.next_s is not None and due else None

    def place_call(self, deadline_s: float) -> PlaceCall:
        """The call that sends it."""
        leg = self.leg
        as_asked = leg.price is None and leg.trigger_price is None
        spec = self.order.spec if as_asked else self.order.now
        return PlaceCall(
            spec=evolve(spec, reduce_only=False) if leg.unflagged else spec,
            quantity=leg.quantity,
            wire_id=leg.wire_id,
            committed_s=leg.committed_s,
            expiry_s=leg.expiry_s,
            deadline_s=min(deadline_s, leg.expiry_s),
        )

    def look_up_call(self, deadline_s: float) -> LookUpCall:
        """The call that looks for it."""
        leg = self.leg
        return LookUpCall(
            symbol=self.order.spec.symbol,
            wire_id=leg.wire_id,
            exchange_order_id=leg.exchange_order_id,
            since_s=leg.created_s,
            committed_s=leg.committed_s,
            deadline_s=deadline_s,
            conditional=self.conditional,
        )

    def cancel_call(self, deadline_s: float) -> CancelCall:
        """The call that cancels it."""
        leg = self.leg
        return CancelCall(
            symbol=self.order.spec.symbol,
            wire_id=leg.wire_id,
            exchange_order_id=leg.exchange_order_id,
            deadline_s=deadline_s,
            conditional=self.conditional,
        )

    def record(
        self, event: LegEvent, code: str | None = None, words: str | None = None, native_code: str | None = None
    ) -> Record:
        """Asks the journal to take over an event."""
        return Record(
            order_id=self.order.order_id,
            number=self.leg.number,
            event=event,
            code=code,
            words=words,
            native_code=native_code,
        )

    def report(self, report: OrderReport, asked_s: float | None = None) -> Record:
        """Asks the journal to take over what the exchange says.

        Args:
            asked_s: When it was asked; None where it says nothing of the leg's terms that is to be believed.
        """
        terms, settles = None, False
        if asked_s is not None:
            order = evolve(self.order, legs=self.order.legs[: self.number]) if self.behind else self.order
            terms, settles = self.held.shown(order, report, asked_s, rests=report.state in LIVE)
        return Record(
            order_id=self.order.order_id,
            number=self.leg.number,
            event=event_of_report(report.state),
            filled=report.filled,
            average_price=report.average_price,
            exchange_order_id=report.exchange_order_id,
            terms=SAME if terms is None else terms,
            settles=settles,
        )

    def provable_s(self, proof: Proof) -> float:
        """From when on a look-up that finds nothing proves absence."""
        return self.leg.expiry_s + proof.margin_of(conditional=self.conditional)

    def look_again(self, now_s: float, proof: Proof, *, least_s: float = 0.0) -> None:
        """Schedules the next look-up, not sooner than in `least_s` unless absence becomes provable by then."""
        delay_s = max(least_s, LOOK_UP_DELAYS_S[min(self.look_ups, len(LOOK_UP_DELAYS_S) - 1)])
        self.look_ups += 1
        at_s = now_s + delay_s
        provable_s = self.provable_s(proof)
        if self.unproven and now_s < provable_s < at_s:
            at_s = provable_s
        until_s = self.held.until_s
        self.next_s = until_s if until_s is not None and now_s < until_s < at_s else at_s

    def left(self) -> OrderLeft:
        """As it is told when the exchange is left behind."""
        leg = self.leg
        return OrderLeft(
            order_id=self.order.order_id,
            client_order_id=self.order.key.client_order_id,
            symbol=str(self.order.spec.symbol),
            state=leg.state.value,
            remaining=format(leg.remaining, "f"),
        )

    def answers(self) -> list[Answer]:
        """Answers to everyone whom the leg's state lets answer; they no longer wait."""
        out: list[Answer] = []
        doubted = next((leg for leg in self.order.legs if leg.state in ASIDE), None)
        if not self.unproven:
            out += [Answer(asker=w.asker, message=place_reply(self.order, w.correlation_id)) for w in self.placers]
            self.placers.clear()
        if not self.unproven or self.strays:
            out += [
                Answer(asker=w.asker, message=OrderReply(correlation_id=w.correlation_id, order=self.order))
                for w in self.readers
            ]
            self.readers.clear()
        if not self.unproven and not self.live:
            newest = self.order.legs[-1]
            lives = newest.exchange if newest.state in LIVE or newest.state in UNPROVEN else None
            if lives is None and doubted is not None and state_of(self.order) in NOBODY_KNOWS:
                lives = doubted.exchange
            for w in self.cancellers:
                elsewhere = LivesElsewhere(correlation_id=w.correlation_id, exchange=lives or "")
                reply = cancel_reply(self.order, w.correlation_id) if lives is None else elsewhere
                out.append(Answer(asker=w.asker, message=reply))
            self.cancellers.clear()
        return out

    def forget_late(self, now_s: float) -> None:
        """Drops who no longer waits: their session has answered them by now."""
        changers = [] if self.held.change is None else self.held.change.waiting
        for waiting in (self.placers, self.cancellers, self.readers, changers):
            waiting[:] = [w for w in waiting if w.deadline_s > now_s]


def place_reply(
    order: OrderView, correlation_id: str
) -> OrderAccepted | OrderRefused | OrderNotExecuted | OrderPending:
    """What a placer is told of an order: what its legs prove together, or that they do not prove it yet."""
    leg, state = order.leg, state_of(order)
    assert leg is not None
    if state in NOBODY_KNOWS:
        return OrderPending(correlation_id=correlation_id, order=order)
    code, words = leg.reason_code or leg.state.value, leg.reason_words or f"The order is {leg.state.value}."
    withdrawn = state is OrderState.CANCELLED and not any(each.exchange_order_id or each.filled for each in order.legs)
    if withdrawn:  # no exchange ever had it: its owner cancelled it once it was proven absent
        code, words = "withdrawn", "The order never reached an exchange's book, and was then cancelled by its owner."
    if state is OrderState.REFUSED or withdrawn:
        return OrderRefused(
            correlation_id=correlation_id, code=code, words=words, native_code=leg.native_code, order=order
        )
    if state is OrderState.ABSENT:
        return OrderNotExecuted(
            correlation_id=correlation_id, code=code, words=words, native_code=leg.native_code, order=order
        )
    return OrderAccepted(correlation_id=correlation_id, order=order)


def as_it_ended(order: OrderView, state: OrderState) -> str:
    """What an order is, and what of it has filled, in words."""
    if order.filled == 0:
        return f"{state.value}, and nothing of it has filled"
    filled, whole = format(order.filled, "f"), format(order.quantity, "f")
    prices = {each.average_price for each in order.legs if each.filled}
    price = prices.pop() if len(prices) == 1 else None
    at = "" if price is None else f" at an average of {format(price, 'f')}"
    return f"{state.value}, and {filled} of {whole} have filled{at}"


def cancel_reply(order: OrderView, correlation_id: str) -> Any:
    """What a canceller is told of an order that can no longer fill."""
    leg, state = order.leg, state_of(order)
    assert leg is not None
    if state is OrderState.FILLED or state in NOTHING_EXECUTED:
        return Failed(
            correlation_id=correlation_id,
            code="order_not_open",
            words=f"Order {order.order_id} cannot be cancelled: it is {as_it_ended(order, state)}.",
            native_code=leg.native_code,
        )
    return OrderReply(correlation_id=correlation_id, order=order)
