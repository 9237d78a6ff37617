"""Shapes of what the router returns: the same on every exchange, with Bybit V5's field names.

Numbers are decimal strings, quantities in base coin, times milliseconds since 1970 as strings. `exchange` is the name
as the router was constructed with.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from app.core.health_shapes import CallLatency as CallLatency
from app.core.health_shapes import ExchangeHealth as ExchangeHealth
from app.core.health_shapes import ExchangeMaintenance as ExchangeMaintenance
from app.core.health_shapes import HealthAlarm as HealthAlarm
from app.core.health_shapes import HealthAlarmEvent as HealthAlarmEvent
from app.core.health_shapes import NetworkWitness as NetworkWitness
from app.core.health_shapes import OwnNetwork as OwnNetwork
from app.core.plan_shapes import Candidate as Candidate
from app.core.plan_shapes import HistoryExport as HistoryExport
from app.core.plan_shapes import Plan as Plan
from app.core.plan_shapes import PlannedOrder as PlannedOrder
from app.core.plan_shapes import PlannedSlice as PlannedSlice
from app.core.plan_shapes import PositionStays as PositionStays
from app.core.plan_shapes import Steered as Steered


class Order(TypedDict):
    """An order.

    `orderId` is the router's, valid for life; `orderLinkId` the caller's `client_order_id`, unique within `strategy`;
    `exchangeOrderId` the exchange's own, empty until known. `orderStatus` is one of New, PartiallyFilled, Filled,
    Cancelled, Rejected, Expired, Created (on its way), Unknown (nobody can know yet) and NotExecuted (proven never to
    have executed). `heldQty` is what may still fill on an exchange that was left, where the order was placed elsewhere
    although nobody knew (`unknown_policy`), and `excessQty` what filled beyond `qty` since it executed there as well.

    `stopOrderType` is Stop or TakeProfit for an order placed with a trigger, and otherwise empty; `triggerPrice` and
    `triggerBy` (LastPrice or MarkPrice) then say what sets it off. Such an order is New before that and after. A take
    profit or stop loss that the router has placed for an order names that one by `parentOrderId`.
    """

    orderId: str
    parentOrderId: str
    orderLinkId: str
    exchangeOrderId: str
    strategy: str
    symbol: str
    side: str
    orderType: str
    qty: str
    price: str
    timeInForce: str
    reduceOnly: bool
    takeProfit: str
    stopLoss: str
    stopOrderType: str
    triggerPrice: str
    triggerBy: str
    orderStatus: str
    cumExecQty: str
    leavesQty: str
    heldQty: str
    excessQty: str
    avgPrice: str
    rejectReason: str
    createdTime: str
    updatedTime: str
    exchange: str
    epoch: int


class NotCancelled(TypedDict):
    """An open order that `cancel_all_orders` could not prove cancelled.

    `unknown` is True where nobody can know yet, and False where it was not cancelled, for instance since it had filled.
    """

    orderId: str
    orderLinkId: str
    symbol: str
    unknown: bool
    words: str


class CancelledAll(TypedDict):
    """What became of every open order: `cancelled` are proven to be over."""

    cancelled: list[Order]
    not_cancelled: list[NotCancelled]


class Fill(TypedDict):
    """One trade of the account.

    `orderId`, `orderLinkId` and `strategy` are empty where the order is not the router's, or its exchange does not tell
    the id it was sent. `execFee` is in `feeCurrency`, below zero for a rebate, and empty where the exchange does not
    say; so is `isMaker` None.
    """

    execId: str
    symbol: str
    side: str
    execQty: str
    execPrice: str
    execFee: str
    feeCurrency: str
    isMaker: bool | None
    orderId: str
    orderLinkId: str
    exchangeOrderId: str
    strategy: str
    exchange: str
    execTime: str


class CoinBalance(TypedDict):
    """One coin: what is there, what is free, what is used as margin or in orders; `age_s` since it was read."""

    coin: str
    walletBalance: str
    availableBalance: str
    locked: str
    exchange: str
    time: str
    age_s: float


class AccountBalance(TypedDict):
    """The account on the exchange in use."""

    exchange: str
    time: str
    age_s: float
    coins: list[CoinBalance]


class Ticker(TypedDict):
    """The market of a symbol; a price is empty where the exchange does not say. `time` is the exchange's."""

    symbol: str
    lastPrice: str
    bid1Price: str
    ask1Price: str
    markPrice: str
    exchange: str
    time: str
    age_s: float


class PriceLevel(TypedDict):
    """What is offered, or wanted, at one price."""

    price: str
    size: str


class OrderBook(TypedDict):
    """The best prices of a market, the best first; `time` is the exchange's."""

    symbol: str
    bids: list[PriceLevel]
    asks: list[PriceLevel]
    exchange: str
    time: str
    age_s: float


class Kline(TypedDict):
    """One bar, `volume` in base coin."""

    startTime: str
    openPrice: str
    highPrice: str
    lowPrice: str
    closePrice: str
    volume: str


class ExchangeStatus(TypedDict):
    """What an exchange says of itself: `ok`, or its `words`, and `until` when, where it says.

    `serverTime` and `clock_offset_ms` (its clock minus ours) are empty and None while it has not been asked the time.
    """

    exchange: str
    ok: bool
    words: str
    until: str
    time: str
    serverTime: str
    clock_offset_ms: float | None


class ServerTime(TypedDict):
    """What time it is on an exchange; `clock_offset_ms` is its clock minus ours."""

    exchange: str
    serverTime: str
    clock_offset_ms: float


class Setting(TypedDict):
    """A setting is as asked; `changed` is False where it was so already."""

    exchange: str
    changed: bool


class Position(TypedDict):
    """A position: `side` is Buy when long and Sell when short, `size` never negative."""

    symbol: str
    side: str
    size: str
    avgPrice: str
    markPrice: str
    leverage: str
    unrealisedPnl: str
    liqPrice: str
    exchange: str
    updatedTime: str


class ActorStatus(TypedDict):
    """One supervised actor."""

    name: str
    pid: int | None
    restarts: int


class BookEntry(TypedDict):
    """One symbol on one exchange, or over all of them where `exchange` is empty.

    `actual` is what the exchange said last, `target` what should come to stand there. `attributed` is what our own
    fills add up to, `adopted` what of that others cut or closed, `foreign` what is somebody else's beside it. Between
    `possible_min` and `possible_max` is whatever it may come to from there by what is open. `actual` was read at
    `timestamp`, the oldest where `exchange` is empty: what has filled since is in `target` and `attributed` only.
    """

    exchange: str
    symbol: str
    target: str
    actual: str
    attributed: str
    adopted: str
    foreign: str
    possible_min: str
    possible_max: str
    timestamp: str


class PositionDifference(TypedDict):
    """By how much an exchange had another position than was known; `ours` of it is of the router's own.

    `cause` is person, liquidation, exchange_close, stop, fee or unexplained. `adopted` is False while an open order of
    ours may be what it is.
    """

    exchange: str
    symbol: str
    cause: str
    qty: str
    ours: str
    adopted: bool
    words: str
    timestamp: str


class PositionAlarm(TypedDict):
    """A position to look at; `code` is near_liquidation, stop_lost, size, unprotected or unread."""

    exchange: str
    symbol: str
    code: str
    words: str
    timestamp: str


class DeadManSwitch(TypedDict):
    """A dead-man switch that is on: when it was `armed` last, and when it `fires` at the earliest, in ms or empty.

    `words` say what is wrong, or that it has fired. `gone` counts orders of ours that it has cancelled for certain and
    of which nobody knows yet how much filled.
    """

    timeout_s: float
    armed: str
    fires: str
    words: str
    gone: int


class Status(TypedDict):
    """The state of the router. `orders` counts legs by state; `unknown_oldest_s` is None when nothing is unknown.

    `limits` are those of `[orders] limits` that are set, by name. `unprotected` counts orders of which not all that
    filled has its take profit and stop loss, since one could not be placed: it is tried again. `held_notional` is what
    may execute twice of orders placed elsewhere although nobody knew of them, in quote coin, and `excess` counts those
    of which more filled than was asked for. `controls` is what a person holds the router to, a sentence each, and
    `readiness` whether trading could move to each exchange that is not in use, before it has to. `own_network` is
    whether ours works, which keeps trading where it is when it does not.
    """

    status: str
    words: str
    current_exchange: str | None
    primary_exchange: str
    failover_exchanges: list[str]
    auto_failover: bool
    epoch: int
    exchange_health: dict[str, ExchangeHealth]
    own_network: OwnNetwork
    actors: list[ActorStatus]
    orders: dict[str, int]
    unknown_oldest_s: float | None
    book: list[BookEntry]
    net: list[BookEntry]
    position_alarms: list[PositionAlarm]
    position_differences: list[PositionDifference]
    limits: dict[str, str]
    unprotected: int
    excess: int
    held_notional: str
    controls: list[str]
    readiness: list[Candidate]
    dead_man: dict[str, DeadManSwitch]


class OrderLeft(TypedDict):
    """An order of ours that may still be live on the exchange that was left."""

    orderId: str
    orderLinkId: str
    symbol: str
    state: str
    leavesQty: str


class PositionLeft(TypedDict):
    """A position that stayed on the exchange that was left; `size` is signed."""

    symbol: str
    size: str


class OrderCarried(TypedDict):
    """An order that went along: `cumExecQty` filled before, `qty` is asked for now at `price`, empty at the market."""

    orderId: str
    orderLinkId: str
    from_exchange: str
    to_exchange: str
    cumExecQty: str
    qty: str
    price: str


class OrderParked(TypedDict):
    """An order that was taken off and waits for its owner, and why: `order-router resolve` places or ends it."""

    orderId: str
    orderLinkId: str
    from_exchange: str
    leavesQty: str
    code: str
    words: str


class HistoryEntry(TypedDict):
    """One switch.

    `result` is running, completed or failed; `finished` is False while the exchange left behind is still being settled.
    `positions_read` is False where that exchange did not answer, so that `positions_left` may be out of date.
    `orders_carried` live where trading went, `orders_parked` wait for their owners, `positions_moved` is what of
    positions went along by now, signed. `evidence` are the pieces that decided why trading moved, and where to, with
    numbers and times (UTC).
    """

    from_exchange: str | None
    to_exchange: str | None
    reason: str
    timestamp: str
    epoch: int
    duration_s: float
    result: str
    finished: bool
    steps: dict[str, float]
    candidates_rejected: dict[str, str]
    orders_cancelled: list[str]
    orders_left: list[OrderLeft]
    orders_carried: list[OrderCarried]
    orders_parked: list[OrderParked]
    positions_left: list[PositionLeft]
    positions_read: bool
    positions_moved: list[PositionLeft]
    evidence: list[str]


class OrderEvent(TypedDict):
    """An order of this strategy changed; `order_resolved` where it was not known whether it executed, and now it is.

    `number` counts what the strategy is told of its orders, 1, 2, 3 … without a gap, over all connectors and restarts;
    0 where it is not among that. `sequence` is the journal's own. `order` is as it is known when it is told: where
    something had to be made up for, that is later than the change.
    """

    kind: Literal["order_changed", "order_resolved"]
    order: Order
    number: int
    sequence: int


class FillEvent(TypedDict):
    """One trade of an order of this strategy, once its exchange has listed it; `number` as in `OrderEvent`."""

    kind: Literal["fill"]
    fill: Fill
    order: Order
    number: int
    sequence: int


class NeverCommittedEvent(TypedDict):
    """An order of which this router was told that nobody can know: it was never sent, and will not be.

    It has no number, since the journal never heard of it; and is told only to the router that placed it.
    """

    kind: Literal["order_never_committed"]
    orderId: str
    orderLinkId: str
    words: str


class RouteEvent(TypedDict):
    """Trading moved, is about to (`exchange` is None between the two), or the router's state changed."""

    kind: Literal["route_changed"]
    exchange: str | None
    epoch: int
    status: str


class DifferenceEvent(TypedDict):
    """Others traded, or closed, what the router knew otherwise: the book has taken it over."""

    kind: Literal["position_difference"]
    difference: PositionDifference


class AlarmEvent(TypedDict):
    """A position to look at; or, where it is `over`, not any more."""

    kind: Literal["position_alarm"]
    alarm: PositionAlarm
    over: bool


class GapEvent(TypedDict):
    """The reader did not keep up, and so many events were lost that have no number; those that have one are not."""

    kind: Literal["gap"]
    dropped: int


Event = (
    OrderEvent
    | FillEvent
    | NeverCommittedEvent
    | RouteEvent
    | DifferenceEvent
    | AlarmEvent
    | HealthAlarmEvent
    | GapEvent
)
"""Something that happened; `kind` says which."""
