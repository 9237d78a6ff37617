"""Orders, their legs, and the requests about them.

An *order* is what a strategy asked for, keyed (strategy, client_order_id). A *leg* is one placement of it on one
exchange under one wire id. At most one leg of an order is live or unproven at any moment, the newest; a leg of which
nobody knows can be held behind it, where that was allowed.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from attrs import evolve, frozen

from messages.base import Message, Reply, Request
from messages.market import Symbol
from messages.order_kinds import OrderType as OrderType
from messages.order_kinds import Purpose as Purpose
from messages.order_kinds import Side as Side
from messages.order_kinds import TimeInForce as TimeInForce
from messages.order_kinds import Trigger as Trigger
from messages.order_kinds import TriggerBy as TriggerBy
from messages.order_kinds import TriggerKind as TriggerKind


class LegState(StrEnum):
    """What is known of one leg. What each event makes of each is in `app.domain.leg_table`.

    Attributes:
        INTENT: Committed in the journal; may have been sent.
        UNKNOWN: Sent, and the answer proves neither execution nor its absence.
        OPEN: The exchange has it, nothing filled.
        PARTIALLY_FILLED: The exchange has it, part filled, the rest resting.
        FILLED: All filled.
        CANCELLED: Cancelled; what had filled before stays filled.
        EXPIRED: Ended by its time in force.
        REFUSED: The exchange, or the router on its behalf, refused it by a code; nothing filled.
        ABSENT: Proven never to have executed, and never to: not sent, expired unseen, or turned away for now.
        HELD: Nobody knows whether it executed, and a newer leg of the order was placed elsewhere (`unknown_policy`).
        DRAINED: The router cancelled it, with proof, since trading moved: what is left of its order is to be placed
            where trading is.
        PARKED: The same, but what is left waits for its owner, and the reason is with it.
    """

    INTENT = "intent"
    UNKNOWN = "unknown"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUSED = "refused"
    ABSENT = "absent"
    HELD = "held"
    DRAINED = "drained"
    PARKED = "parked"


@frozen(kw_only=True)
class OrderKey:
    """What identifies an order for its owner.

    Attributes:
        strategy: Name of the strategy, a namespace for ids.
        client_order_id: The caller's id within it.
    """

    strategy: str
    client_order_id: str


@frozen(kw_only=True)
class OrderSpec:
    """What was asked for.

    Attributes:
        quantity: In base coin, above zero.
        price: In quote coin; None for a market order.
        take_profit: Trigger price that closes in profit, attached where the exchange can.
        stop_loss: Trigger price that closes at a loss, likewise.
        trigger: What sets the order off; None where it goes to the book at once. Set off, it is a limit order where it
            has a price, otherwise a market order.
    """

    symbol: Symbol
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    trigger: Trigger | None = None


class Linked(StrEnum):
    """What is kept of a leg for the sake of take profit and stop loss that are orders of their own.

    Of the leg of an order whose exits the router places:

    Attributes:
        OPEN: They are not over.
        UNPROTECTED: Nor this, and not all of what filled has its exits: one could not be placed.
        DONE: They are over: nothing is placed any more.
        RESIZED: Of an exit's own leg: the router cancels it, and places what is still needed anew.
        GIVEN_UP: The same: its owner cancelled it, and what it was for is not placed again.
    """

    OPEN = "open"
    UNPROTECTED = "unprotected"
    DONE = "done"
    RESIZED = "resized"
    GIVEN_UP = "given_up"


@frozen(kw_only=True)
class Wanted:
    """What the owner of a leg asked it to become, while nobody knows whether it has; what is None stays as it is.

    Attributes:
        quantity: Base coin, of the leg, what has filled of it included.
        until_s: It is cancelled, and what was asked for is placed in its stead, begun no later than this; None where
            the exchange was asked to change it in place.
    """

    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    until_s: float | None = None

    @property
    def replaces(self) -> bool:
        """Whether another leg is to take its place."""
        return self.until_s is not None

    @property
    def until_s_or_never(self) -> float:
        """Until when that may begin."""
        return float("-inf") if self.until_s is None else self.until_s


@frozen(kw_only=True)
class LegView:
    """One leg as the journal knows it.

    Attributes:
        number: 1 for the first leg of the order.
        epoch: The route's epoch under which it was committed.
        wire_id: The client order id the exchange sees.
        committed_s: When it was last committed for sending.
        expiry_s: Until when the exchange may begin to execute it.
        reason_code: Why it was refused or is absent: a stable identifier; `native_code` is the exchange's own.
        attempts: How often it was committed for sending; more than 1 only after proven absence.
        quantity: Base coin it is for by now, what has filled of it included.
        filled: Base coin proven filled.
        average_price: Of what filled; None where nothing has, or the exchange has not said.
        linked: Where take profit and stop loss of an order are orders of their own; None everywhere else.
        price: Its limit by now; None where that is as the order's spec says.
        trigger_price: Likewise.
        whole: Base coin the whole order is for by now; None where that is as the order's spec says.
        most: Base coin it may be for at most, where a change whose outcome nobody knows asked for more than `quantity`.
        listed: Base coin of `filled` that the exchange's executions listed so far add up to.
        cancel_asked_s: When its owner asked for it to be cancelled; None where nobody did. It is not taken back.
        wanted: What it was asked to become, while nobody knows whether it has; None where nothing was.
        carry_s: When the router began to take it off its exchange, since trading moves; None where it does not.
        unflagged: It reduces a position that stands elsewhere, so it was sent without the exchange's own flag for that.
    """

    number: int
    exchange: str
    epoch: int
    wire_id: str
    quantity: Decimal
    state: LegState
    committed_s: float
    expiry_s: float
    attempts: int
    exchange_order_id: str | None
    filled: Decimal
    average_price: Decimal | None
    reason_code: str | None
    reason_words: str | None
    native_code: str | None
    created_s: float
    updated_s: float
    linked: Linked | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    whole: Decimal | None = None
    most: Decimal | None = None
    listed: Decimal = Decimal(0)
    cancel_asked_s: float | None = None
    wanted: Wanted | None = None
    carry_s: float | None = None
    unflagged: bool = False

    @property
    def remaining(self) -> Decimal:
        """Base coin that may still fill of it, while it is live or unproven."""
        return (self.quantity if self.most is None else self.most) - self.filled


@frozen(kw_only=True)
class OrderView:
    """One order as the journal knows it, with every leg it has had.

    Attributes:
        order_id: The router's id, valid for life.
        spec: What was asked for at first; `now` is what it is by now.
        legs: By number, the newest last; empty only while nothing was committed.
    """

    order_id: str
    key: OrderKey
    spec: OrderSpec
    legs: tuple[LegView, ...]
    created_s: float

    @property
    def leg(self) -> LegView | None:
        """The newest leg."""
        return self.legs[-1] if self.legs else None

    @property
    def filled(self) -> Decimal:
        """Base coin proven filled, over all legs."""
        return sum((leg.filled for leg in self.legs), Decimal(0))

    @property
    def quantity(self) -> Decimal:
        """Base coin the whole order is for by now."""
        leg = self.leg
        return self.spec.quantity if leg is None or leg.whole is None else leg.whole

    @property
    def now(self) -> OrderSpec:
        """What the order is by now: as asked for at first, but for what was changed since."""
        spec, leg = self.spec, self.leg
        if leg is None or (leg.price is None and leg.trigger_price is None and leg.whole is None):
            return spec
        trigger = spec.trigger
        if trigger is not None and leg.trigger_price is not None:
            trigger = evolve(trigger, price=leg.trigger_price)
        price = spec.price if leg.price is None else leg.price
        return evolve(spec, quantity=self.quantity, price=price, trigger=trigger)


@frozen(kw_only=True)
class PlaceOrder(Request):
    """Asks a connector to place an order; sending it again, to any connector, never places it twice.

    Attributes:
        epoch: Of the route the asker holds; a connector of another epoch answers `NotRouted`.
        purpose: A strategy's orders have the default; the others are the router's own.
    """

    epoch: int
    key: OrderKey
    spec: OrderSpec
    purpose: Purpose = Purpose.ORDER


@frozen(kw_only=True)
class CancelOrder(Request):
    """Asks for an order to be cancelled, wherever it lives now.

    Attributes:
        order_id: The router's id; None where the order is named by its client order id.
        symbol: Refused where the order is of another; None where the asker did not say.
    """

    strategy: str
    order_id: str | None
    symbol: Symbol | None = None
    client_order_id: str | None = None


@frozen(kw_only=True)
class AmendOrder(Request):
    """Asks for a resting order to be changed, wherever it lives now; the same again changes nothing.

    What is None stays as it is.

    Attributes:
        order_id: The router's id.
        symbol: Refused where the order is of another; None where the asker did not say.
        quantity: Of the whole order, what has filled of it included, in base coin.
        price: In quote coin.
        trigger_price: Of an order that waits for its trigger.
        replace: Where the exchange cannot change it in place, it is cancelled and placed anew, as the same order;
            otherwise that is refused.
    """

    strategy: str
    order_id: str
    symbol: Symbol | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    replace: bool = True


@frozen(kw_only=True)
class GetOrder(Request):
    """Asks for one order, by the router's id or, where that is None, by client order id."""

    strategy: str
    order_id: str | None
    client_order_id: str | None = None


@frozen(kw_only=True)
class GetOpenOrders(Request):
    """Asks for the orders of a strategy, or of all where it is None, that are, or may be, live on any exchange.

    Attributes:
        fresh: Whether the exchange in use is asked first; otherwise what the journal knows is answered at once.
    """

    strategy: str | None
    symbol: Symbol | None = None
    fresh: bool = True


@frozen(kw_only=True)
class GetClosedOrders(Request):
    """Asks for the newest `limit` orders of a strategy that are neither live nor in doubt, by the journal."""

    strategy: str
    symbol: Symbol | None = None
    limit: int = 50


@frozen(kw_only=True)
class OrderAccepted(Reply):
    """The exchange has, or had, the order: there is evidence from the exchange itself."""

    order: OrderView


@frozen(kw_only=True)
class OrderRefused(Reply):
    """The order was refused for good; nothing executed. Of a change: it was not made, and the order rests as it was,
    or, where it was cancelled to be replaced and could not be, is over, as the words say.

    Attributes:
        code: Stable identifier.
        native_code: The exchange's own code; None where the router refused before sending.
        order: None where nothing was ever committed.
    """

    code: str
    words: str
    native_code: str | None = None
    order: OrderView | None = None


@frozen(kw_only=True)
class OrderNotExecuted(Reply):
    """Proven not to have executed, and worth another try under the same id, here or on another exchange.

    Attributes:
        retry_after_s: Seconds the exchange asked us to wait; None where it did not.
    """

    code: str
    words: str
    native_code: str | None = None
    retry_after_s: float | None = None
    order: OrderView | None = None


@frozen(kw_only=True)
class OrderPending(Reply):
    """Nobody can know yet whether the order executed; it is being resolved. Ask again under the same id."""

    order: OrderView


@frozen(kw_only=True)
class OrderReply(Reply):
    """Answers `GetOrder`, and a carried out `CancelOrder` or `AmendOrder`."""

    order: OrderView


@frozen(kw_only=True)
class OrdersReply(Reply):
    """Answers `GetOpenOrders`, the oldest first, and `GetClosedOrders`, the newest first."""

    orders: tuple[OrderView, ...]


@frozen(kw_only=True)
class LivesElsewhere(Reply):
    """The order's live leg is on another exchange: ask the connector of that one."""

    exchange: str


@frozen(kw_only=True)
class OrderChanged(Message):
    """Told to the sessions of the order's strategy whenever the state, filled quantity, quantity or price of a leg
    change, and when it is known that a change in doubt was not made.

    Attributes:
        sequence: Of the journal's event; grows, and a session drops what it has seen.
        number: Of what its strategy is told: 1, 2, 3 … without a gap; 0 where it was not counted.
        resolved: Nobody knew whether the order executed, and now it is known.
        grew: Base coin that filled by this change.
        total: Base coin that had filled of the order by then, where some of it filled by this change; else 0.
    """

    sequence: int
    order: OrderView
    number: int = 0
    resolved: bool = False
    grew: Decimal = Decimal(0)
    total: Decimal = Decimal(0)


LIVE_OR_UNPROVEN = frozenset({LegState.INTENT, LegState.UNKNOWN, LegState.OPEN, LegState.PARTIALLY_FILLED})
"""An order has at most one such leg (invariant I1), beside those that were set aside for it (HELD)."""


class Told(StrEnum):
    """Why a strategy is told of an order.

    Attributes:
        ACCEPTED: The exchange has, or had, it.
        REFUSED: For good; nothing executed.
        NOT_EXECUTED: Proven not to have executed by the deadline, on any exchange.
        UNKNOWN: Nobody can know yet; a `CHANGED` follows once it is resolved.
        CHANGED: Its state, filled quantity, quantity or price changed.
        CANCELLED: A cancel was carried out.
        CANCEL_FAILED: A cancel was not carried out; the words say why.
        AMENDED: A change that was asked for was made.
        AMEND_FAILED: It was not made; the words say why.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_EXECUTED = "not_executed"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    CANCELLED = "cancelled"
    CANCEL_FAILED = "cancel_failed"
    AMENDED = "amended"
    AMEND_FAILED = "amend_failed"


@frozen(kw_only=True)
class OrderUpdate:
    """What a strategy is told of one of its orders.

    Attributes:
        order_id: The router's id; empty where nothing was ever committed.
        order: As the journal knows it; None where it is not known.
        words: One sentence where something did not go as asked.
        number: Of what the strategy is told of its orders, 1, 2, 3 … over all its lives, where this is news and no
            answer; else 0. What a life heard in its last moments is told to the next one again, with the same number.
    """

    told: Told
    client_order_id: str
    order_id: str
    order: OrderView | None = None
    words: str = ""
    number: int = 0


@frozen(kw_only=True)
class Fill:
    """Something of an order filled.

    Attributes:
        quantity: Base coin, newly filled since the last time.
        total: Base coin filled of the order so far.
        average_price: Of all that filled, where the exchange says.
        number: As of `OrderUpdate`.
    """

    order: OrderView
    quantity: Decimal
    total: Decimal
    average_price: Decimal | None
    number: int = 0
