"""The values the matching engine works with, and the reasons for which it refuses.

Kept apart from the engine so that a dialect can import the vocabulary without the machine. Quantities are in BASE COIN
everywhere here (never contracts: a dialect converts at its edge); prices, money and quantities are Decimal; times are
Unix milliseconds.
"""

from decimal import Decimal
from enum import StrEnum

from attrs import define, field, frozen

ZERO = Decimal(0)


def text(value: Decimal) -> str:
    """A decimal as a plain string: no exponent, no trailing zeros ("0.001", "27000")."""
    plain = format(value, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain in ("-0", "") else plain


class Side(StrEnum):
    """Side of an order or a fill."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for buy, -1 for sell."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """Limit or market. A trigger order is one of these with a `Trigger`."""

    LIMIT = "limit"
    MARKET = "market"


class Tif(StrEnum):
    """Time in force. A market order ignores it."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    POST_ONLY = "PostOnly"


class Status(StrEnum):
    """Where an order stands. `EXPIRED`: an IOC or FOK remainder, or a reduce-only remainder without a position left."""

    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def is_open(self) -> bool:
        """True while the order can still fill."""
        return self in (Status.OPEN, Status.PARTIALLY_FILLED)


class PositionSide(StrEnum):
    """Which position an order is about: the one net position, or in hedge mode the long or the short one."""

    BOTH = "both"
    LONG = "long"
    SHORT = "short"


class MarginMode(StrEnum):
    """What stands behind a position: the whole account, or a margin of its own."""

    CROSS = "cross"
    ISOLATED = "isolated"


class TriggerBy(StrEnum):
    """Which price sets a trigger off."""

    LAST = "last"
    MARK = "mark"


class Role(StrEnum):
    """Why there is an order: a client sent it, or the exchange made it of attached levels or of a breached margin."""

    USER = "user"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    LIQUIDATION = "liquidation"


class Reason(StrEnum):
    """Why the engine refused. Each dialect maps every reason to the code and words of its exchange."""

    UNKNOWN_SYMBOL = "unknown_symbol"
    BAD_QTY = "bad_qty"  # zero, negative, not a number
    QTY_OFF_STEP = "qty_off_step"
    QTY_TOO_SMALL = "qty_too_small"
    QTY_TOO_LARGE = "qty_too_large"
    BAD_PRICE = "bad_price"  # missing on a limit order, zero or negative
    PRICE_OFF_TICK = "price_off_tick"
    NOTIONAL_TOO_SMALL = "notional_too_small"
    BAD_TAKE_PROFIT = "bad_take_profit"  # on the wrong side of the order's price, or off tick
    BAD_STOP_LOSS = "bad_stop_loss"
    WOULD_TRIGGER = "would_trigger"  # a trigger price that is already passed
    DUPLICATE_CLIENT_ID = "duplicate_client_id"
    UNKNOWN_ORDER = "unknown_order"
    ORDER_CLOSED = "order_closed"  # known, but filled, cancelled or expired
    REDUCE_ONLY = "reduce_only"  # no position on the other side to reduce
    INSUFFICIENT_MARGIN = "insufficient_margin"
    POST_ONLY_WOULD_CROSS = "post_only_would_cross"  # only where `EngineRules.refuse_crossing_post_only`
    WOULD_NOT_FILL = "would_not_fill"  # only where `EngineRules.refuse_unfillable_ioc`
    NOTHING_TO_AMEND = "nothing_to_amend"
    BAD_LEVERAGE = "bad_leverage"
    EXPIRED = "expired"  # past the expiry that the matching engine enforces
    ENGINE_FULL = "engine_full"  # the engine keeps a bounded number of orders
    TOO_MANY_ORDERS = "too_many_orders"  # open on the symbol; only where `EngineRules.max_open_orders`
    SUSPENDED = "suspended"  # the symbol does not trade now; cancels pass
    INSUFFICIENT_BALANCE = "insufficient_balance"  # of a coin, on a spot market
    REDUCE_ONLY_ON_SPOT = "reduce_only_on_spot"  # there are no positions to reduce there
    BAD_TRIGGER = "bad_trigger"  # a trigger price that is no price or off tick
    WRONG_POSITION_SIDE = "wrong_position_side"  # long or short in one-way mode, or none of them in hedge mode
    MODE_IN_USE = "mode_in_use"  # the position mode cannot change: there are positions or open orders
    MARGIN_MODE_IN_USE = "margin_mode_in_use"  # the same of cross and isolated
    NO_POSITION = "no_position"  # levels or margin for a position that is not there
    UNSUPPORTED = "unsupported"  # this exchange has no such thing


class Refusal(Exception):
    """The engine did nothing. `reason` is for the dialect, `words` for a person, `order` what it is about."""

    def __init__(self, reason: Reason, words: str, *, symbol: str | None = None, order: "Order | None" = None) -> None:
        super().__init__(words)
        self.reason = reason
        self.words = words
        self.symbol = symbol
        self.order = order


@frozen(kw_only=True)
class Trigger:
    """When an order becomes active: the price `by` at or above `price` if `rising`, else at or below."""

    price: Decimal
    rising: bool
    by: TriggerBy = TriggerBy.LAST

    def met(self, reference: Decimal) -> bool:
        """True when a price of `reference` sets the order off."""
        return reference >= self.price if self.rising else reference <= self.price


@frozen(kw_only=True)
class Attach:
    """How attached take profit and stop loss act; the prices themselves are fields of the order.

    Attributes:
        take_profit_limit, stop_loss_limit: price of the limit order they become; None: a market order.
        take_profit_by, stop_loss_by: the price that sets them off.
        take_profit_id, stop_loss_id: client order ids of the orders they become.
        whole_position: they are for the whole position (bybit's "Full"), not for what the order filled.
    """

    take_profit_limit: Decimal | None = None
    stop_loss_limit: Decimal | None = None
    take_profit_by: TriggerBy = TriggerBy.LAST
    stop_loss_by: TriggerBy = TriggerBy.LAST
    take_profit_id: str | None = None
    stop_loss_id: str | None = None
    whole_position: bool = False


@frozen(kw_only=True)
class NewOrder:
    """What a client asks for. `qty` in base coin; `price` None for a market order.

    `cost`: of a spot market order to buy, what to spend in quote coin; `qty` is ignored then.
    `take_profit` and `stop_loss` become linked reduce-only triggers when the order fills, as `attach` says.
    `trigger`: rest inactive until it is met. `tag` is the dialect's own (shown back, never read by the engine).
    """

    symbol: str
    side: Side
    type: OrderType
    qty: Decimal = ZERO
    price: Decimal | None = None
    tif: Tif = Tif.GTC
    reduce_only: bool = False
    client_order_id: str | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    attach: Attach = Attach()
    trigger: Trigger | None = None
    position_side: PositionSide = PositionSide.BOTH
    cost: Decimal | None = None
    tag: str = ""


@define(kw_only=True, eq=False)
class Order:
    """An order the engine has accepted. Mutable, and changed by the engine only; dialects read it.

    `role`, `parent_id`: of an order made of attached levels, which it is and whose. `oco`: the group of which one order
    at most is ever set off. `whole_position`: its quantity follows the position until it is set off.
    """

    order_id: str
    seq: int
    client_order_id: str | None
    symbol: str
    side: Side
    type: OrderType
    tif: Tif
    qty: Decimal
    price: Decimal | None
    reduce_only: bool
    take_profit: Decimal | None
    stop_loss: Decimal | None
    trigger: Trigger | None
    tag: str
    created_ms: int
    updated_ms: int
    visible_from_ms: int
    position_side: PositionSide = PositionSide.BOTH
    attach: Attach = Attach()
    role: Role = Role.USER
    parent_id: str | None = None
    oco: str | None = None
    whole_position: bool = False
    cost_asked: Decimal | None = None
    status: Status = Status.OPEN
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    fee_coin: str = ""
    triggered: bool = False
    triggered_ms: int = 0
    close_reason: str = ""
    last_fill: "Fill | None" = field(default=None, repr=False)

    @property
    def remaining(self) -> Decimal:
        """Quantity not filled yet, base coin (also of a closed order)."""
        return self.qty - self.filled

    @property
    def avg_price(self) -> Decimal | None:
        """Average fill price, or None before the first fill."""
        return self.cost / self.filled if self.filled else None

    @property
    def is_waiting_trigger(self) -> bool:
        """True while a trigger order has not been set off."""
        return self.trigger is not None and not self.triggered

    @property
    def reduces(self) -> bool:
        """True when it may only make a position smaller: by its flag, or as the closing side in hedge mode."""
        return self.reduce_only or closes(self.side, self.position_side)


def closes(side: Side, position_side: PositionSide) -> bool:
    """True for selling a long and buying a short position, in hedge mode."""
    return (position_side, side) in ((PositionSide.LONG, Side.SELL), (PositionSide.SHORT, Side.BUY))


@frozen(kw_only=True)
class Fill:
    """One execution. `fee` is positive when paid, in `fee_coin`: the settlement coin, or on spot a coin of the pair."""

    trade_id: str
    seq: int
    order: Order
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_coin: str
    is_maker: bool
    realised_pnl: Decimal
    ts_ms: int


@define(kw_only=True)
class Position:
    """A position of a symbol: `qty` signed in base coin, `entry_price` 0 when flat.

    `side` BOTH is the one-way net position; in hedge mode LONG never is below zero and SHORT never above. `margin`:
    what an isolated position holds of its own, settlement coin; 0 under cross margin.
    """

    symbol: str
    side: PositionSide = PositionSide.BOTH
    qty: Decimal = ZERO
    entry_price: Decimal = ZERO
    leverage: Decimal = Decimal(10)
    margin: Decimal = ZERO
    realised: Decimal = ZERO
    updated_ms: int = 0


@frozen(kw_only=True)
class Entry:
    """A change of a balance that no fill made: "deposit", "funding" or "insurance" (a loss the exchange bore)."""

    ts_ms: int
    kind: str
    coin: str
    amount: Decimal
    symbol: str = ""
