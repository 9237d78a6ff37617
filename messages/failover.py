"""Routes, switching from one exchange to the next, pre-flight, and the history of switches."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from attrs import field, frozen

from messages.account import AccountView, DeadManView
from messages.base import Reply, Request
from messages.carries import CarryPolicy, OrderCarried, OrderParked
from messages.health import HealthView, Network, Witness
from messages.market import Symbol
from messages.orders import OrderSpec
from messages.positions import Alarm, BookLine, Difference


@frozen(kw_only=True)
class Route:
    """Where orders go.

    Attributes:
        epoch: Grows by one with each fence; what was committed under an older one is not committed after it.
        exchange: None between the fence and the commit of a switch.
        since_s: When it was committed.
    """

    epoch: int
    exchange: str | None
    since_s: float


class RouterState(StrEnum):
    """The state of the whole router; the words are the seed's."""

    INITIALIZING = "initializing"
    READY = "ready"
    SWITCHING = "switching"
    ERROR = "error"
    STOPPED = "stopped"


class SwitchResult(StrEnum):
    """How a switch ended; `RUNNING` until it has."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


@frozen(kw_only=True)
class OrderLeft:
    """An order of ours that may still be live on the exchange left behind.

    Attributes:
        stays: It protects a position that stands there, so nobody takes it off.
    """

    order_id: str
    client_order_id: str
    symbol: str
    state: str
    remaining: str
    stays: bool = False


@frozen(kw_only=True)
class PositionLeft:
    """A position that stays on the exchange left behind; quantity in base coin, signed."""

    symbol: str
    quantity: str


@frozen(kw_only=True)
class Switch:
    """One entry of the failover history.

    Attributes:
        epoch: Of its fence, and of the route it committed.
        to_exchange: None where no candidate passed.
        reason: "Manual failover" when asked for without another; else why the router moved trading by itself.
        steps: (step, seconds since the start) in order.
        candidates_rejected: (exchange, why) in the order tried.
        orders_cancelled: Router ids of orders of ours that were cancelled there with proof.
        orders_left: May still be live there, and are told rather than hidden.
        positions_left: As last read; `positions_read` False when the exchange did not answer.
        finished: False while the old exchange is still being settled after the commit.
        orders_carried: Taken up where trading went.
        orders_parked: Taken off, and waiting for their owners, with the reason.
        positions_moved: What was moved of positions, base coin, below zero where it was short.
        asked: By a person or a program, not by the router itself.
        correlation_id: Of the request that asked for it, so that one which is sent again is told how it ended.
        evidence: The pieces that decided why and where to, with numbers and times; empty in journals from before.
    """

    from_exchange: str | None
    to_exchange: str | None
    reason: str
    at_s: float
    epoch: int
    result: SwitchResult
    duration_s: float
    steps: tuple[tuple[str, float], ...] = ()
    candidates_rejected: tuple[tuple[str, str], ...] = ()
    orders_cancelled: tuple[str, ...] = ()
    orders_left: tuple[OrderLeft, ...] = ()
    positions_left: tuple[PositionLeft, ...] = ()
    positions_read: bool = False
    finished: bool = True
    orders_carried: tuple[OrderCarried, ...] = ()
    orders_parked: tuple[OrderParked, ...] = ()
    positions_moved: tuple[PositionLeft, ...] = ()
    asked: bool = False
    correlation_id: str = ""
    evidence: tuple[str, ...] = ()


@frozen(kw_only=True)
class NotRouted(Reply):
    """The connector does not hold the committed route; `route` is what the journal says."""

    route: Route


@frozen(kw_only=True)
class Subscribe:
    """A session asks to be told: routes by the coordinator, order changes of its strategy by a connector.

    Attributes:
        session_id: Unique per session; a repeated subscription replaces the earlier one.
    """

    session_id: str
    strategy: str


@frozen(kw_only=True)
class Unsubscribe:
    """A session no longer wants to be told."""

    session_id: str


@frozen(kw_only=True)
class RouteChanged:
    """Coordinator to subscribers: on subscription and at every change.

    Attributes:
        down: The detector has called the exchange of the route down: what did not execute is not tried there again.
    """

    route: Route
    state: RouterState
    down: bool = False


@frozen(kw_only=True)
class PreflightRequest(Request):
    """Asks a connector whether trading could move to its exchange now.

    Attributes:
        symbols: Unified spellings that must be tradable there.
        orders: What would be placed there, each with the quantity that is left of it.
        positions: What would be opened there, base coin by symbol, below zero when short.
        leverage: With which they would be opened; None for that of the account they come from.
        source: That account, as its exchange told last; None where it has not.
        urgent: A switch waits for it; else it is to keep what is known of a backup fresh, beside everything else.
    """

    symbols: tuple[str, ...]
    orders: tuple[OrderSpec, ...] = ()
    positions: tuple[tuple[Symbol, Decimal], ...] = ()
    leverage: Decimal | None = None
    source: AccountView | None = None
    urgent: bool = False


@frozen(kw_only=True)
class PreflightReply(Reply):
    """Answers `PreflightRequest`; `problems` is empty when the exchange is ready.

    Attributes:
        notes: What is well, in words, for whoever looks at the readiness of backups.
        at_s: When the exchange was asked.
        refused: Of the orders asked about, by their place: why one could not be placed there, so that it is parked.
        shortfalls: What of all that is open would not follow there, a sentence each: a candidate without any is
            better, and none at all is worse.
        account: What the account is like; None where it could not be read.
        opening: The connector has not loaded its markets yet, so it cannot know: whoever asks is to ask again soon.
    """

    exchange: str
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    refused: tuple[tuple[int, str], ...] = ()
    at_s: float = 0.0
    shortfalls: tuple[str, ...] = ()
    account: AccountView | None = None
    opening: bool = False


@frozen(kw_only=True)
class Readiness:
    """What a backup's last pre-flight found, before it is needed.

    Attributes:
        problems: Why trading could not move there, a sentence each; empty where it could.
        at_s: When its exchange was asked; None where it has not answered yet.
        shortfalls: What of all that is open would not follow there.
    """

    exchange: str
    problems: tuple[str, ...]
    at_s: float | None
    notes: tuple[str, ...] = ()
    shortfalls: tuple[str, ...] = ()


@frozen(kw_only=True)
class SettleRequest(Request):
    """Asks the connector of the exchange being left to resolve what is in doubt and cancel our open orders.

    Attributes:
        cancel: False to resolve only.
        policy: What becomes of orders that rest there: placed where trading goes, kept for their owners, or over.
        epoch: Only what was committed under an older one is meant, since trading may be back there when this arrives;
            None for all of it.
    """

    cancel: bool = True
    policy: CarryPolicy = CarryPolicy.DROP
    epoch: int | None = None


@frozen(kw_only=True)
class SettleReply(Reply):
    """Answers `SettleRequest`, at the latest at its deadline, with what is true by then."""

    exchange: str
    cancelled: tuple[str, ...]
    left: tuple[OrderLeft, ...]


@frozen(kw_only=True)
class ManualFailover(Request):
    """Asks the coordinator to move trading to an exchange.

    Attributes:
        dry_run: Only the plan is told, and nothing is done.
        reason: Kept in the history; empty for "Manual failover".
    """

    exchange: str
    dry_run: bool = False
    reason: str = ""


@frozen(kw_only=True)
class SwitchReply(Reply):
    """Answers `ManualFailover` when the new route is committed."""

    switch: Switch


@frozen(kw_only=True)
class GetStatus(Request):
    """Asks the coordinator for the state of the router."""


@frozen(kw_only=True)
class ActorInfo:
    """One supervised actor; `restarts` counts since the daemon's start."""

    name: str
    pid: int | None
    restarts: int


@frozen(kw_only=True)
class StatusReply(Reply):
    """Answers `GetStatus`.

    Attributes:
        words: Why the state is `error`; empty otherwise.
        orders: Count of orders by state of the newest leg.
        unknown_oldest_s: Age of the oldest order nobody can know yet; None when there is none.
        limits: What an order is held against before it is sent, by name; empty where no limit is set.
        unprotected: Orders of which not all that filled has its take profit and stop loss: one could not be placed.
        excess: Orders of which more filled than was asked for, ever.
        held_notional: What may execute twice of all that was set aside, in quote coin.
        net: The book over all exchanges, by symbol.
        alarms: Positions that somebody should look at.
        differences: Between our fills and the exchanges' positions, the newest last, adopted or not.
        readiness: Of every exchange that is not in use.
        controls: What a person holds the router to, a sentence each.
        dead_man: The dead-man switches that are on.
        network: Our own; None where nobody has looked.
        witnesses: What was last heard of each.
    """

    state: RouterState
    words: str
    route: Route
    primary_exchange: str
    failover_exchanges: tuple[str, ...]
    auto_failover: bool
    health: tuple[HealthView, ...]
    actors: tuple[ActorInfo, ...]
    orders: dict[str, int]
    unknown_oldest_s: float | None
    book: tuple[BookLine, ...] = ()
    limits: dict[str, str] = field(factory=dict)
    unprotected: int = field(default=0)
    excess: int = 0
    held_notional: Decimal = Decimal(0)
    net: tuple[BookLine, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    differences: tuple[Difference, ...] = ()
    readiness: tuple[Readiness, ...] = ()
    controls: tuple[str, ...] = ()
    dead_man: tuple[DeadManView, ...] = ()
    network: Network | None = None
    witnesses: tuple[Witness, ...] = ()
    at_s: float = field(default=0.0)


@frozen(kw_only=True)
class GetHistory(Request):
    """Asks the coordinator for past switches."""


@frozen(kw_only=True)
class HistoryReply(Reply):
    """Answers `GetHistory`, oldest first."""

    switches: tuple[Switch, ...]
