"""OKX V5's markets and words, as data.

Source: https://www.okx.com/docs-v5/en/#error-code and the exception table of ccxt's okx.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from app.simulator.calls import Trouble
from app.simulator.model import Reason, Side
from app.simulator.spec import MarketKind, MarketSpec, level_of

_GONE = "Cancellation failed as the order has been filled, canceled or does not exist."
REFUSALS: Mapping[Reason, tuple[str | int, str]] = {
    Reason.UNKNOWN_SYMBOL: ("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist."),
    Reason.BAD_QTY: ("51000", "Parameter sz error"),
    Reason.QTY_OFF_STEP: ("51121", "Order quantity must be a multiple of the lot size."),
    Reason.QTY_TOO_SMALL: ("51020", "Your order should meet or exceed the minimum order amount."),
    Reason.QTY_TOO_LARGE: (
        "51101",
        "Entered amount exceeds the max pending order amount (Cont) per transaction.",
    ),
    Reason.BAD_PRICE: ("51000", "Parameter px error"),
    Reason.PRICE_OFF_TICK: ("51000", "Parameter px error"),
    Reason.NOTIONAL_TOO_SMALL: ("51020", "Your order should meet or exceed the minimum order amount."),
    Reason.BAD_TAKE_PROFIT: ("51046", "The take profit trigger price must be higher than the order price"),
    Reason.BAD_STOP_LOSS: ("51047", "The stop loss trigger price must be lower than the order price"),
    Reason.WOULD_TRIGGER: ("51280", "SL trigger price must be less than the last price"),
    Reason.DUPLICATE_CLIENT_ID: ("51016", "Client order ID already exists."),
    Reason.UNKNOWN_ORDER: (
        "51400",
        "Cancellation failed as the order has been filled, canceled or does not exist.",
    ),
    Reason.ORDER_CLOSED: ("51400", _GONE),
    Reason.REDUCE_ONLY: (
        "51169",
        "Order failed because you don't have any positions in this direction for this contract to reduce or close.",
    ),
    Reason.INSUFFICIENT_MARGIN: ("51008", "Order failed. Insufficient USDT margin in account"),
    Reason.POST_ONLY_WOULD_CROSS: ("51006", "Order price is not within the price limit"),
    Reason.WOULD_NOT_FILL: ("51006", "Order price is not within the price limit"),
    Reason.NOTHING_TO_AMEND: ("51500", "You must enter a price, quantity, or TP/SL"),
    Reason.BAD_LEVERAGE: ("59102", "Leverage exceeds the maximum limit. Please lower the leverage."),
    Reason.EXPIRED: ("50102", "Timestamp request expired."),
    Reason.ENGINE_FULL: ("51025", "Order count exceeds the limit."),
    Reason.TOO_MANY_ORDERS: ("51102", "Entered amount exceeds the max pending count."),
    Reason.SUSPENDED: ("51022", "Contract suspended"),
    Reason.INSUFFICIENT_BALANCE: ("51008", "Order failed. Insufficient balance in account"),
    Reason.REDUCE_ONLY_ON_SPOT: ("51000", "Parameter reduceOnly error"),
    Reason.BAD_TRIGGER: ("51000", "Parameter triggerPx error"),
    Reason.WRONG_POSITION_SIDE: ("51000", "Parameter posSide error"),
    Reason.MODE_IN_USE: ("59000", "Your settings failed as you have positions or open orders."),
    Reason.MARGIN_MODE_IN_USE: ("59000", "Your settings failed as you have positions or open orders."),
    Reason.NO_POSITION: ("51023", "Position doesn't exist."),
    Reason.UNSUPPORTED: ("51010", "The current account mode does not support this API interface."),
}

PASSED: Mapping[tuple[str, Side], tuple[str, str]] = {
    ("tp", Side.BUY): ("51277", "TP trigger price cannot be higher than the last price"),
    ("sl", Side.BUY): ("51278", "SL trigger price cannot be lower than the last price"),
    ("tp", Side.SELL): ("51279", "TP trigger price cannot be lower than the last price"),
    ("sl", Side.SELL): ("51280", "SL trigger price cannot be higher than the last price"),
}
"""A level of an algo order that the price is past already."""

TROUBLES: Mapping[Trouble, tuple[str | int, str, int]] = {
    Trouble.NO_PERMISSION: ("50120", "This API key doesn't have permission to use this function", 401),
    Trouble.IP_NOT_ALLOWED: ("50110", "Your IP is not included in your API key's IP whitelist.", 401),
    Trouble.RATE_LIMIT: ("50011", "Too Many Requests", 429),
    Trouble.BANNED: ("50061", "You've reached the maximum order rate limit for this account.", 429),
    Trouble.MAINTENANCE: ("50001", "Service temporarily unavailable. Please try again later", 503),
    Trouble.BUSY: ("50013", "Systems are busy. Please try again later.", 429),
    Trouble.TIMEOUT_UNKNOWN: (
        "50004",
        "API endpoint request timeout (does not mean that the request was successful or failed, "
        "please check the request result).",
        400,
    ),
    Trouble.AUTH: ("50113", "Invalid Sign", 401),
    Trouble.CLOCK: ("50102", "Timestamp request expired", 401),
}


def _swap(base: str, price: str, tick: str, size: str, lot: str, top: str) -> MarketSpec:
    return MarketSpec(
        symbol=f"{base}/USDT:USDT",
        native=f"{base}-USDT-SWAP",
        base=base,
        settle="USDT",
        price=Decimal(price),
        tick=Decimal(tick),
        step=Decimal(lot) * Decimal(size),
        min_qty=Decimal(lot) * Decimal(size),
        max_qty=Decimal(top) * Decimal(size),
        contract_size=Decimal(size),
        level_qty=level_of(price, str(Decimal(lot) * Decimal(size))),
    )


def _spot(base: str, price: str, tick: str, lot: str, least: str) -> MarketSpec:
    return MarketSpec(
        symbol=f"{base}/USDT",
        native=f"{base}-USDT",
        base=base,
        settle="USDT",
        price=Decimal(price),
        tick=Decimal(tick),
        step=Decimal(lot),
        min_qty=Decimal(least),
        max_qty=Decimal("999999999"),
        max_leverage=Decimal(1),
        kind=MarketKind.SPOT,
        level_qty=level_of(price, lot),
    )


MARKETS: Sequence[MarketSpec] = (
    _swap("BTC", "27000", "0.1", "0.01", "0.01", "100000000"),
    _swap("ETH", "1800", "0.01", "0.1", "0.01", "100000000"),
    _swap("SOL", "30", "0.01", "1", "0.01", "100000000"),
    _swap("XRP", "0.5", "0.0001", "100", "0.01", "100000000"),
    _swap("ADA", "0.25", "0.0001", "100", "0.1", "100000000"),
    _spot("BTC", "27000", "0.1", "0.00000001", "0.00001"),
    _spot("ETH", "1800", "0.01", "0.000001", "0.0001"),
    _spot("SOL", "30", "0.01", "0.000001", "0.01"),
    _spot("XRP", "0.5", "0.0001", "0.000001", "1"),
)
"""USDT swaps with OKX's contract sizes, and spot; steps here are in base coin (of a swap lotSz x ctVal)."""
