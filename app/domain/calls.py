"""What a connector can ask of its exchange, and what can come back: the port's language, as values.

The connector's machines emit calls and receive results; `app.exchanges` turns a call into a real request, and the
deterministic harness into a simulated one. A port never raises for what an exchange does: every fault is a result.

The three outcomes of a placement (and of a cancel) are kept apart by type, since confusing them loses or doubles an
order:

- `Placed`        evidence from the exchange that it has, or had, the order
- `Refused`       a code of the exchange that means no, for good
- `NotExecuted`   proof that it did not execute (never sent, turned away for now, expired on arrival); worth a retry
- `Ambiguous`     anything else: it may have executed. Only a look-up can tell.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from attrs import frozen

from messages.health import ProbeKind
from messages.market import (
    Balance,
    ExchangeStatus,
    Interval,
    Kline,
    MarginMode,
    OrderBook,
    PositionMode,
    Symbol,
    Ticker,
)
from messages.orders import LegState, OrderSpec, Side
from messages.positions import Position


@frozen(kw_only=True)
class PlaceCall:
    """Place one leg.

    Attributes:
        spec: What was asked; `quantity` below stands instead of its quantity.
        quantity: Of this leg, in base coin.
        wire_id: The client order id the exchange is to see.
        committed_s: When the leg was committed; the signed timestamp is pinned to it.
        expiry_s: From when on the exchange must no longer execute a request it has not seen.
        deadline_s: Not sent at all when this has passed.
    """

    spec: OrderSpec
    quantity: Decimal
    wire_id: str
    committed_s: float
    expiry_s: float
    deadline_s: float


@frozen(kw_only=True)
class CancelCall:
    """Cancel a leg by its wire id.

    Attributes:
        conditional: It was placed with a trigger: some exchanges keep those apart.
    """

    symbol: Symbol
    wire_id: str
    exchange_order_id: str | None
    deadline_s: float
    conditional: bool = False


@frozen(kw_only=True)
class AmendCall:
    """Change a resting leg. What is None stays as it is.

    Attributes:
        spec: What the order is by now, before the change.
        quantity: Of the whole leg, what has filled of it included, in base coin.
        price: In quote coin.
        trigger_price: Of a leg that waits for its trigger.
    """

    spec: OrderSpec
    wire_id: str
    exchange_order_id: str | None
    quantity: Decimal | None
    price: Decimal | None
    trigger_price: Decimal | None
    deadline_s: float


@frozen(kw_only=True)
class LookUpCall:
    """Find an order under a wire id among open orders, closed orders and fills, in this order.

    Attributes:
        since_s: When the leg was first committed: no need to look at what is older.
        committed_s: When it was last committed, where that is not the same: it may be as young as that.
    """

    symbol: Symbol
    wire_id: str
    exchange_order_id: str | None
    since_s: float
    deadline_s: float
    conditional: bool = False
    committed_s: float | None = None


@frozen(kw_only=True)
class OpenOrdersCall:
    """Every open order on the exchange, or of one symbol.

    Attributes:
        conditional: Also those that wait for a trigger, which some exchanges list apart, at the cost of a request.
    """

    symbol: Symbol | None
    deadline_s: float
    conditional: bool = False


@frozen(kw_only=True)
class ClosedOrdersCall:
    """Orders of a symbol that ended since a time: filled, cancelled, expired, refused."""

    symbol: Symbol
    since_s: float
    deadline_s: float


@frozen(kw_only=True)
class FillsCall:
    """The account's fills of a symbol since a time, with their fees."""

    symbol: Symbol
    since_s: float
    deadline_s: float


@frozen(kw_only=True)
class OrderBookCall:
    """The best prices of a symbol, `depth` of each side."""

    symbol: Symbol
    depth: int
    deadline_s: float


@frozen(kw_only=True)
class KlinesCall:
    """Bars of a symbol: the newest `limit`, or the first `limit` since a time."""

    symbol: Symbol
    interval: Interval
    since_s: float | None
    limit: int
    deadline_s: float


@frozen(kw_only=True)
class StatusCall:
    """What the exchange says of itself."""

    deadline_s: float


@frozen(kw_only=True)
class LeverageCall:
    """Set a symbol's leverage."""

    symbol: Symbol
    leverage: Decimal
    deadline_s: float


@frozen(kw_only=True)
class MarginModeCall:
    """Set a symbol's margin mode."""

    symbol: Symbol
    mode: MarginMode
    deadline_s: float


@frozen(kw_only=True)
class PositionModeCall:
    """Set the account's position mode."""

    mode: PositionMode
    deadline_s: float


@frozen(kw_only=True)
class DeadManCall:
    """Have the exchange cancel every order of the account unless asked again in time; 0 seconds for never."""

    timeout_s: float
    deadline_s: float


@frozen(kw_only=True)
class TickerCall:
    """The market of a symbol."""

    symbol: Symbol
    deadline_s: float


@frozen(kw_only=True)
class BalancesCall:
    """The account's coins."""

    deadline_s: float


@frozen(kw_only=True)
class PositionsCall:
    """The account's positions."""

    deadline_s: float


@frozen(kw_only=True)
class ProbeCall:
    """A sign of life: public (server time, or the cheapest public call) or signed (the account)."""

    kind: ProbeKind
    deadline_s: float


@frozen(kw_only=True)
class DryCall:
    """Make and sign a placement, and stop where it would be sent."""

    deadline_s: float


Call = (
    PlaceCall
    | CancelCall
    | AmendCall
    | LookUpCall
    | OpenOrdersCall
    | ClosedOrdersCall
    | FillsCall
    | TickerCall
    | OrderBookCall
    | KlinesCall
    | StatusCall
    | BalancesCall
    | PositionsCall
    | LeverageCall
    | MarginModeCall
    | PositionModeCall
    | DeadManCall
    | ProbeCall
    | DryCall
)


@frozen(kw_only=True)
class OrderReport:
    """An order as its exchange reports it.

    Attributes:
        wire_id: None where the exchange does not echo it.
        state: One of OPEN, PARTIALLY_FILLED, FILLED, CANCELLED, EXPIRED, REFUSED.
        filled: Base coin; None where this answer does not say (Bybit's create reply, for one).
        quantity: Base coin the order is for by now, what has filled of it included; None where it does not say.
        price: Its limit by now; None where it has none or the answer does not say.
        trigger_price: What it waits for by now; None where it waits for nothing or the answer does not say.
        ended: It ended, and the answer leaves out at which price it executed: it counts as open until it is looked up.
    """

    exchange_order_id: str
    wire_id: str | None
    symbol: Symbol | None
    state: LegState
    filled: Decimal | None
    average_price: Decimal | None
    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    ended: bool = False


@frozen(kw_only=True)
class FillReport:
    """One execution as its exchange reports it.

    Attributes:
        trade_id: The exchange's, unique within the symbol.
        wire_id: None where the exchange does not echo it.
        quantity: Base coin.
        fee: In `fee_coin`, below zero for a rebate; None where the exchange does not say.
        maker: Whether it rested; None where the exchange does not say.
    """

    trade_id: str
    exchange_order_id: str
    wire_id: str | None
    symbol: Symbol
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal | None
    fee_coin: str | None
    maker: bool | None
    at_s: float


@frozen(kw_only=True)
class Placed:
    """The exchange has, or had, the order."""

    report: OrderReport


@frozen(kw_only=True)
class Refused:
    """The exchange said no by a code that means it; nothing executed, and the same would be refused again."""

    code: str
    words: str
    native_code: str | None


@frozen(kw_only=True)
class NotExecuted:
    """Proof that nothing executed and nothing will.

    Attributes:
        ill: True where this speaks against the exchange's health (connection refused, maintenance, overload).
        retry_after_s: Seconds the exchange asked us to wait; None where it did not say.
    """

    code: str
    words: str
    native_code: str | None = None
    ill: bool = False
    retry_after_s: float | None = None


@frozen(kw_only=True)
class Ambiguous:
    """It may have executed, or may still.

    Attributes:
        duplicate: The exchange knows this wire id already: the order is there to be found.
    """

    code: str
    words: str
    native_code: str | None = None
    duplicate: bool = False


@frozen(kw_only=True)
class CancelConfirmed:
    """The exchange acknowledged the cancel. On some exchanges it acknowledges the request only: look up what is final.

    Attributes:
        final: The final state where the answer itself proves it.
    """

    final: OrderReport | None


@frozen(kw_only=True)
class CancelTooLate:
    """The exchange does not know a live order under this id: filled, cancelled before, or never there. Look up."""

    native_code: str | None
    words: str


@frozen(kw_only=True)
class Amended:
    """The exchange took the change, or, where it acknowledges the request only, will try: look up what is.

    Attributes:
        report: The order as it is now, where the answer itself says.
    """

    report: OrderReport | None


@frozen(kw_only=True)
class AmendRefused:
    """The exchange, or we for it, said no by a code that means it: the order rests as it was.

    Attributes:
        unsupported: The exchange cannot change such an order at all.
    """

    code: str
    words: str
    native_code: str | None
    unsupported: bool = False


@frozen(kw_only=True)
class Found:
    """The look-up found the order.

    Attributes:
        requests: How many it took; 0 where nobody counted.
    """

    report: OrderReport
    requests: int = 0


@frozen(kw_only=True)
class NotFound:
    """Every part of the look-up succeeded and none knew the id.

    Attributes:
        asked_s: When the first part was sent: what became visible later may have been missed.
    """

    asked_s: float


@frozen(kw_only=True)
class OpenOrders:
    """Every open order, or those of the symbol asked for."""

    reports: tuple[OrderReport, ...]
    asked_s: float


@frozen(kw_only=True)
class ClosedOrders:
    """The orders that ended."""

    reports: tuple[OrderReport, ...]


@frozen(kw_only=True)
class Fills:
    """The executions, the oldest first."""

    fills: tuple[FillReport, ...]


@frozen(kw_only=True)
class OrderBookResult:
    """The best prices."""

    book: OrderBook


@frozen(kw_only=True)
class KlinesResult:
    """The bars, the oldest first."""

    klines: tuple[Kline, ...]


@frozen(kw_only=True)
class StatusResult:
    """What the exchange says of itself."""

    status: ExchangeStatus


@frozen(kw_only=True)
class SettingMade:
    """The setting is as asked.

    Attributes:
        changed: False where it was so already.
    """

    changed: bool


@frozen(kw_only=True)
class DeadManArmed:
    """The switch is set.

    Attributes:
        fires_s: When the exchange will cancel, by our clock; None where it was switched off.
    """

    fires_s: float | None


@frozen(kw_only=True)
class TickerResult:
    """The market."""

    ticker: Ticker


@frozen(kw_only=True)
class BalancesResult:
    """The coins."""

    balances: tuple[Balance, ...]


@frozen(kw_only=True)
class PositionsResult:
    """The positions; symbols without one are not listed."""

    positions: tuple[Position, ...]


@frozen(kw_only=True)
class ProbeOk:
    """The exchange is there.

    Attributes:
        clock_offset_s: Exchange clock minus ours; None where this probe does not tell.
    """

    clock_offset_s: float | None


@frozen(kw_only=True)
class DryOk:
    """A placement was made and signed, and stopped at the edge of the network."""


@frozen(kw_only=True)
class CallFailed:
    """A call that reads did not succeed, or a cancel, change or setting whose outcome is not known.

    Attributes:
        code: `UNSUPPORTED` where the exchange has no such thing, in words and for good; nothing was sent.
        ill: True where this speaks against the exchange's health; a refusal by a code does not.
        retryable: The same call may succeed later.
        not_made: Of a change of an order: it is proven that it was not made and will not be.
    """

    code: str
    words: str
    native_code: str | None = None
    ill: bool = False
    retryable: bool = True
    retry_after_s: float | None = None
    not_made: bool = False


UNSUPPORTED = "unsupported"

PlaceResult = Placed | Refused | NotExecuted | Ambiguous
CancelResult = CancelConfirmed | CancelTooLate | CallFailed
AmendResult = Amended | AmendRefused | CancelTooLate | CallFailed
LookUpResult = Found | NotFound | CallFailed
Result = (
    PlaceResult
    | CancelResult
    | AmendResult
    | LookUpResult
    | OpenOrders
    | ClosedOrders
    | Fills
    | TickerResult
    | OrderBookResult
    | KlinesResult
    | StatusResult
    | BalancesResult
    | PositionsResult
    | SettingMade
    | DeadManArmed
    | ProbeOk
    | DryOk
)


class ExpiryEnforcement(StrEnum):
    """Where an exchange enforces the expiry of a placement.

    Attributes:
        ENGINE: At the matching engine: nothing executes after it.
        GATEWAY: On arrival: what passed may execute up to `lateness_s` later.
        NONE: Nowhere; the declared lateness is all there is.
    """

    ENGINE = "engine"
    GATEWAY = "gateway"
    NONE = "none"


@frozen(kw_only=True)
class Proof:
    """What it takes on one exchange to prove that a request did not and will not execute.

    Attributes:
        validity_s: From commit to expiry, for a placement.
        lateness_s: How long after the expiry an accepted request may still execute.
        visibility_s: How long after executing an order may be missing from look-ups.
        clock_error_s: What remains of the clock offset after it was measured.
        trigger_lateness_s: Stands instead of `lateness_s` for a leg placed with a trigger; None where that is no
            different.
    """

    enforcement: ExpiryEnforcement
    validity_s: float
    lateness_s: float
    visibility_s: float
    clock_error_s: float = 0.5
    trigger_lateness_s: float | None = None

    @property
    def margin_s(self) -> float:
        """Seconds after the expiry from which on a successful look-up that finds nothing proves absence."""
        return self.margin_of(conditional=False)

    def margin_of(self, *, conditional: bool) -> float:
        """The same for a leg, placed with a trigger or without."""
        apart_s = self.trigger_lateness_s if conditional else None
        return (self.lateness_s if apart_s is None else apart_s) + self.visibility_s + self.clock_error_s
