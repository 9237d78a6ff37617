"""What can come back from an exchange: one class a result, and the results of each kind of call.

What became of a placement is told by type, since to confuse any two loses or doubles an order:

- `Placed`        evidence from the exchange that it has, or had, the order
- `Refused`       a code of the exchange that means no, for good
- `NotExecuted`   proof that it did not execute (never sent, turned away for now, expired on arrival); worth a retry
- `Ambiguous`     anything else: it may have executed. Only a look-up can tell.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from messages.account import AccountView
from messages.executions import Cause
from messages.health import Maintenance
from messages.market import (
    Balance,
    ExchangeStatus,
    Kline,
    OrderBook,
    Symbol,
    Ticker,
)
from messages.orders import LegState, Side
from messages.positions import Position


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
        cause: Why it was executed although nobody ordered it; None where it was ordered, or the exchange does not say.
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
    cause: Cause | None = None


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
    """What the exchange says of itself.

    Attributes:
        notice: The maintenance that is under way, or the next one announced, by our clock; None where there is none.
    """

    status: ExchangeStatus
    notice: Maintenance | None = None


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
class AccountResult:
    """What the account is like.

    Attributes:
        balances: The coins, where there is nothing else to tell what is free: on spot, for one.
        prices: In quote coin: the mark price where there is one, else the last.
    """

    account: AccountView
    balances: tuple[Balance, ...] = ()
    prices: tuple[tuple[Symbol, Decimal], ...] = ()


@frozen(kw_only=True)
class PositionsResult:
    """The positions; symbols without one are not listed."""

    positions: tuple[Position, ...]


@frozen(kw_only=True)
class ProbeOk:
    """The exchange is there.

    Attributes:
        clock_offset_s: Exchange clock minus ours; None where this probe does not tell.
        mark: A fingerprint of the balances that a signed probe read; empty where it read none.
    """

    clock_offset_s: float | None
    mark: str = ""


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
    | AccountResult
    | SettingMade
    | DeadManArmed
    | ProbeOk
    | DryOk
)
