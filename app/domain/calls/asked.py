"""What a connector can ask of its exchange: one class a call."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from messages.health import ProbeKind
from messages.market import (
    Interval,
    MarginMode,
    PositionMode,
    Symbol,
)
from messages.orders import OrderSpec

MAX_SYMBOLS = 20
"""Whose settings one call asks for: OKX takes as many in one request, Bybit one request for each."""
MAX_PRICED = 10
"""Whose prices one call asks for, one request for each."""


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
    """The account's fills of a symbol since a time, with their fees; or those of one order, where one is named.

    Attributes:
        wire_id: Of the order; None for all of the account.
        exchange_order_id: Of the same order, where it is known.
        conditional: That order was placed with a trigger.
    """

    symbol: Symbol
    since_s: float
    deadline_s: float
    wire_id: str | None = None
    exchange_order_id: str | None = None
    conditional: bool = False


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
class AccountCall:
    """What the account is like: free margin, position mode, and what is set for some markets.

    Attributes:
        symbols: Whose settings are asked for; at most `MAX_SYMBOLS`, and those the exchange has not are left out.
        priced: Whose price is asked for besides; at most `MAX_PRICED`, likewise.
    """

    symbols: tuple[Symbol, ...]
    deadline_s: float
    priced: tuple[Symbol, ...] = ()

    @property
    def size(self) -> int:
        """Of how many markets something is asked."""
        return len(self.symbols) + len(self.priced)


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
    """A sign of life: public (server time, or the cheapest public call) or signed (the account).

    What the exchange says of itself is asked by `StatusCall`, and whether prices move by `TickerCall`.
    """

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
    | AccountCall
    | LeverageCall
    | MarginModeCall
    | PositionModeCall
    | DeadManCall
    | ProbeCall
    | DryCall
)
