"""The values the matching engine works with, and the reasons for which it refuses.

Kept apart from the engine so that a dialect can import the vocabulary without the machine. Quantities are in BASE COIN
everywhere here (never contracts: a dialect converts at its edge); prices, money and quantities are Decimal; times are
Unix milliseconds.
"""

from collections.abc import Callable
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


class Refusal(Exception):
    """The engine did nothing. `reason` is for the dialect, `words` for a person, `order` what it is about."""

    def __init__(self, reason: Reason, words: str, *, symbol: str | None = None, order: "Order | None" = None) -> None:
        super().__init__(words)
        self.reason = reason
        self.words = words
        self.symbol = symbol
        self.order = order


@frozen(kw_only=True)
class MarketSpec:
    """One market.

    Attributes:
        symbol: canonical, as ccxt writes it ("BTC/USDT:USDT").
        native: the exchange's own name ("BTCUSDT", "BTC-USDT-SWAP", "PF_XBTUSD").
        base, settle: coins, in ccxt's naming ("BTC", "USDT").
        price: first reference price.
        tick: price step.
        step: quantity step in base coin.
        min_qty, max_qty: bounds of an order's quantity in base coin.
        min_notional: least quantity times price in the settlement coin; 0 for none. Not asked of reduce-only orders.
        contract_size: base coin in a contract: what the dialect divides by. The engine never uses it.
        max_leverage: highest leverage that can be set.
    """

    symbol: str
    native: str
    base: str
    settle: str
    price: Decimal
    tick: Decimal
    step: Decimal
    min_qty: Decimal
    max_qty: Decimal = Decimal("1000000")
    min_notional: Decimal = ZERO
    contract_size: Decimal = Decimal(1)
    max_leverage: Decimal = Decimal(100)


@frozen(kw_only=True)
class Trigger:
    """When an order becomes active: the reference price at or above `price` if `rising`, else at or below."""

    price: Decimal
    rising: bool

    def met(self, reference: Decimal) -> bool:
        """True when the market at `reference` sets the order off."""
        return reference >= self.price if self.rising else reference <= self.price


@frozen(kw_only=True)
class NewOrder:
    """What a client asks for. `qty` in base coin; `price` None for a market order.

    `take_profit` and `stop_loss` are stored with the order and shown; the engine does not fire them.
    `trigger`: rest inactive until it is met. `tag` is the dialect's own (shown back, never read by the engine).
    """

    symbol: str
    side: Side
    type: OrderType
    qty: Decimal
    price: Decimal | None = None
    tif: Tif = Tif.GTC
    reduce_only: bool = False
    client_order_id: str | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    trigger: Trigger | None = None
    tag: str = ""


@define(kw_only=True, eq=False)
class Order:
    """An order the engine has accepted. Mutable, and changed by the engine only; dialects read it."""

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
    status: Status = Status.OPEN
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    triggered: bool = False
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


@frozen(kw_only=True)
class Fill:
    """One execution. `fee` is positive when paid, in the settlement coin."""

    trade_id: str
    seq: int
    order: Order
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    is_maker: bool
    realised_pnl: Decimal
    ts_ms: int


@define(kw_only=True)
class Position:
    """One-way net position of a symbol: `qty` signed in base coin, `entry_price` 0 when flat."""

    symbol: str
    qty: Decimal = ZERO
    entry_price: Decimal = ZERO
    leverage: Decimal = Decimal(10)
    updated_ms: int = 0


@frozen(kw_only=True)
class EngineRules:
    """In what one exchange's engine differs from another's.

    Attributes:
        settle: settlement coin of every market ("USDT", "USD").
        client_id_scope: "all": a client order id is never accepted twice; "open": only while an open order has it.
        refuse_crossing_post_only: True refuses a post-only order that would take; False accepts and cancels it at once.
        refuse_unfillable_ioc: True refuses an IOC or FOK that would not fill; False accepts and expires it at once.
        order_id, trade_id: how the exchange writes the n-th (from 1) id.
        taker_fee, maker_fee: share of the notional.
        initial_balance: settlement coin at start.
        leverage: at start, on every symbol.
    """

    settle: str = "USDT"
    client_id_scope: str = "all"
    refuse_crossing_post_only: bool = False
    refuse_unfillable_ioc: bool = False
    order_id: Callable[[int], str] = str
    trade_id: Callable[[int], str] = str
    taker_fee: Decimal = Decimal("0.0005")
    maker_fee: Decimal = Decimal("0.0002")
    initial_balance: Decimal = Decimal(100_000)
    leverage: Decimal = Decimal(10)
