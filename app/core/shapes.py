"""Shapes of what the router returns: the same on every exchange, with Bybit V5's field names.

Numbers are decimal strings, quantities in base coin, times milliseconds since 1970 as strings. `exchange` is the name
as the router was constructed with.
"""

from __future__ import annotations

from typing import Literal, TypedDict


class Order(TypedDict):
    """An order.

    `orderId` is the router's, valid for life; `orderLinkId` the caller's `client_order_id`, unique within `strategy`;
    `exchangeOrderId` the exchange's own, empty until known. `orderStatus` is one of New, PartiallyFilled, Filled,
    Cancelled, Rejected, Expired, Created (on its way), Unknown (nobody can know yet) and NotExecuted (proven never to
    have executed).
    """

    orderId: str
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
    orderStatus: str
    cumExecQty: str
    leavesQty: str
    avgPrice: str
    rejectReason: str
    createdTime: str
    updatedTime: str
    exchange: str
    epoch: int


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


class Position(TypedDict):
    """A position: `side` is Buy when long and Sell when short, `size` never negative."""

    symbol: str
    side: str
    size: str
    avgPrice: str
    markPrice: str
    leverage: str
    unrealisedPnl: str
    exchange: str
    updatedTime: str


class ExchangeHealth(TypedDict):
    """What is believed of an exchange: `state` is starting, well, suspect or down."""

    state: str
    healthy: bool
    reason: str
    since: str
    consecutive_failures: int
    last_ok: str
    latency_ms: float | None
    clock_offset_ms: float | None


class ActorStatus(TypedDict):
    """One supervised actor."""

    name: str
    pid: int | None
    restarts: int


class BookEntry(TypedDict):
    """One symbol on one exchange: what the exchange said, what our fills add up to, and how far it may still move."""

    exchange: str
    symbol: str
    actual: str
    attributed: str
    possible_min: str
    possible_max: str


class Status(TypedDict):
    """The state of the router. `orders` counts legs by state; `unknown_oldest_s` is None when nothing is unknown.

    `limits` are those of `[orders] limits` that are set, by name.
    """

    status: str
    words: str
    current_exchange: str | None
    primary_exchange: str
    failover_exchanges: list[str]
    auto_failover: bool
    epoch: int
    exchange_health: dict[str, ExchangeHealth]
    actors: list[ActorStatus]
    orders: dict[str, int]
    unknown_oldest_s: float | None
    book: list[BookEntry]
    limits: dict[str, str]


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


class HistoryEntry(TypedDict):
    """One switch.

    `result` is running, completed or failed; `finished` is False while the exchange left behind is still being settled.
    `positions_read` is False where that exchange did not answer, so that `positions_left` may be out of date.
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
    positions_left: list[PositionLeft]
    positions_read: bool


class OrderEvent(TypedDict):
    """An order of this strategy changed; `sequence` grows with each change told."""

    kind: Literal["order_changed"]
    order: Order
    sequence: int


class RouteEvent(TypedDict):
    """Trading moved, is about to (`exchange` is None between the two), or the router's state changed."""

    kind: Literal["route_changed"]
    exchange: str | None
    epoch: int
    status: str


class GapEvent(TypedDict):
    """The reader did not keep up, and so many events were lost."""

    kind: Literal["gap"]
    dropped: int


Event = OrderEvent | RouteEvent | GapEvent
"""Something that happened; `kind` says which."""
