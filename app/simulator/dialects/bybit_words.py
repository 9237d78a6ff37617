"""Bybit V5's markets and words, as data.

Derivatives and spot word the same refusal in different codes: 110xxx and 170xxx.
Source: https://bybit-exchange.github.io/docs/v5/error and the exception table of ccxt's bybit.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from attrs import evolve

from app.simulator.calls import Trouble
from app.simulator.model import Reason
from app.simulator.spec import MarketKind, MarketSpec, level_of

KINDS: Mapping[str, MarketKind | None] = {
    "linear": MarketKind.SWAP,
    "spot": MarketKind.SPOT,
    "inverse": None,
    "option": None,
}
"""What the categories are; None: Bybit knows it, and there is no such market here."""

REFUSALS: Mapping[Reason, tuple[str | int, str]] = {
    Reason.UNKNOWN_SYMBOL: (10001, "params error: symbol invalid"),
    Reason.BAD_QTY: (10001, "Qty invalid"),
    Reason.QTY_OFF_STEP: (10001, "Qty invalid"),
    Reason.QTY_TOO_SMALL: (10001, "The number of contracts exceeds minimum limit allowed"),
    Reason.QTY_TOO_LARGE: (10001, "The number of contracts exceeds maximum limit allowed: too large"),
    Reason.BAD_PRICE: (10001, "Price invalid"),
    Reason.PRICE_OFF_TICK: (10001, "Price invalid"),
    Reason.NOTIONAL_TOO_SMALL: (110094, "Order does not meet minimum order value 5USDT"),
    Reason.BAD_TAKE_PROFIT: (10001, "TakeProfit set for {side} position should be {up} than base_price"),
    Reason.BAD_STOP_LOSS: (10001, "StopLoss set for {side} position should be {down} than base_price"),
    Reason.WOULD_TRIGGER: (110092, "expect Rising, but trigger_price <= current"),
    Reason.DUPLICATE_CLIENT_ID: (110072, "OrderLinkedID is duplicate"),
    Reason.UNKNOWN_ORDER: (110001, "order not exists or too late to {verb}"),
    Reason.ORDER_CLOSED: (110001, "order not exists or too late to {verb}"),
    Reason.REDUCE_ONLY: (110017, "current position is zero, cannot fix reduce-only order qty"),
    Reason.INSUFFICIENT_MARGIN: (110007, "ab not enough for new order"),
    Reason.POST_ONLY_WOULD_CROSS: (170217, "Post-only order would take liquidity"),
    Reason.WOULD_NOT_FILL: (110032, "Illegal order"),
    Reason.NOTHING_TO_AMEND: (10001, "order not modified"),
    Reason.BAD_LEVERAGE: (110013, "cannot set leverage gt maxLeverage by risk limit"),
    Reason.EXPIRED: (10002, "request expired"),
    Reason.ENGINE_FULL: (110020, "You can't have more than 500 active orders"),
    Reason.TOO_MANY_ORDERS: (110020, "You can't have more than 500 active orders"),
    Reason.SUSPENDED: (110074, "This contract is not live"),
    Reason.INSUFFICIENT_BALANCE: (170131, "Insufficient balance."),
    Reason.REDUCE_ONLY_ON_SPOT: (10001, "params error: reduceOnly is not supported"),
    Reason.BAD_TRIGGER: (10001, "TriggerPrice invalid"),
    Reason.WRONG_POSITION_SIDE: (10001, "position idx not match position mode"),
    Reason.MODE_IN_USE: (110024, "You have an existing position, so position mode cannot be switched"),
    Reason.MARGIN_MODE_IN_USE: (3400045, "Set margin mode failed: there are open positions or orders"),
    Reason.NO_POSITION: (10001, "can not set tp/sl/ts for zero position"),
    Reason.UNSUPPORTED: (10001, "params error: not supported"),
}

SPOT_REFUSALS: Mapping[Reason, tuple[str | int, str]] = {
    Reason.UNKNOWN_SYMBOL: (170121, "Invalid symbol."),
    Reason.BAD_QTY: (170130, "Data sent for parameter 'qty' is not valid."),
    Reason.QTY_OFF_STEP: (170137, "Order quantity has too many decimals."),
    Reason.QTY_TOO_SMALL: (170136, "Order quantity exceeded lower limit."),
    Reason.QTY_TOO_LARGE: (170135, "Order quantity exceeded upper limit."),
    Reason.BAD_PRICE: (170130, "Data sent for parameter 'price' is not valid."),
    Reason.PRICE_OFF_TICK: (170134, "Order price has too many decimals."),
    Reason.NOTIONAL_TOO_SMALL: (170140, "Order value exceeded lower limit."),
    Reason.DUPLICATE_CLIENT_ID: (170141, "Duplicate clientOrderId"),
    Reason.UNKNOWN_ORDER: (170213, "Order does not exist."),
    Reason.ORDER_CLOSED: (170213, "Order does not exist."),
    Reason.NOTHING_TO_AMEND: (10001, "The order remains unchanged as the parameters entered match the existing ones."),
    Reason.SUSPENDED: (170151, "The trading pair is not open yet."),
    Reason.BAD_TRIGGER: (170130, "Data sent for parameter 'triggerPrice' is not valid."),
}

TROUBLES: Mapping[Trouble, tuple[str | int, str, int]] = {
    Trouble.NO_PERMISSION: (10005, "Permission denied, please check your API key permissions.", 200),
    Trouble.IP_NOT_ALLOWED: (10010, "Unmatched IP, please check your API key's bound IP addresses.", 200),
    Trouble.RATE_LIMIT: (10006, "Too many visits. Exceeded the API Rate Limit.", 200),
    Trouble.BANNED: (10018, "Exceeded the IP Rate Limit.", 403),
    Trouble.MAINTENANCE: (10019, "Trade service is restarting.", 200),
    Trouble.BUSY: (10016, "Server error.", 200),
    Trouble.TIMEOUT_UNKNOWN: (10000, "Server Timeout", 200),
    Trouble.AUTH: (10003, "API key is invalid.", 200),
    Trouble.CLOCK: (10002, "invalid request, please check your server timestamp or recv_window param.", 200),
}


def _linear(base: str, price: str, tick: str, step: str, top: str) -> MarketSpec:
    return MarketSpec(
        symbol=f"{base}/USDT:USDT",
        native=f"{base}USDT",
        base=base,
        settle="USDT",
        price=Decimal(price),
        tick=Decimal(tick),
        step=Decimal(step),
        min_qty=Decimal(step),
        max_qty=Decimal(top),
        min_notional=Decimal(5),
        level_qty=level_of(price, step),
    )


def _spot(base: str, price: str, tick: str, step: str, top: str) -> MarketSpec:
    return evolve(
        _linear(base, price, tick, step, top),
        symbol=f"{base}/USDT",
        kind=MarketKind.SPOT,
        min_notional=Decimal(1),
    )


MARKETS: Sequence[MarketSpec] = (
    _linear("BTC", "27000", "0.1", "0.001", "1190"),
    _linear("ETH", "1800", "0.01", "0.01", "7240"),
    _linear("SOL", "30", "0.01", "0.1", "79770"),
    _linear("XRP", "0.5", "0.0001", "0.1", "9000000"),
    _linear("ADA", "0.25", "0.0001", "1", "16000000"),
    _spot("BTC", "27000", "0.01", "0.000001", "71.73"),
    _spot("ETH", "1800", "0.01", "0.00001", "1228"),
    _spot("SOL", "30", "0.01", "0.0001", "66000"),
    _spot("XRP", "0.5", "0.0001", "0.01", "2800000"),
)
"""USDT perpetuals and spot markets, with Bybit's steps."""
