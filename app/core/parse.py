"""From what a caller writes to the vocabulary: spellings, numbers, and one clear sentence for what is neither."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TypeVar

from app.core.errors import InvalidRequest
from app.domain.ids import MAX_CLIENT_ORDER_ID, is_client_order_id
from app.domain.session import MAX_TIMEOUT_S
from app.domain.symbols import InvalidSymbol, parse_symbol
from messages.market import MarketType, Symbol
from messages.orders import OrderSpec, OrderType, Side, TimeInForce

Number = str | int | float | Decimal
"""A number as callers write it; a float is read as it prints."""

_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_TYPES = {"limit": OrderType.LIMIT, "market": OrderType.MARKET}
_TIMES_IN_FORCE = {
    "gtc": TimeInForce.GTC,
    "goodtillcancel": TimeInForce.GTC,
    "goodtillcancelled": TimeInForce.GTC,
    "ioc": TimeInForce.IOC,
    "immediateorcancel": TimeInForce.IOC,
    "fok": TimeInForce.FOK,
    "fillorkill": TimeInForce.FOK,
    "postonly": TimeInForce.POST_ONLY,
}
MAX_MAGNITUDE = 18
"""Powers of ten, either way: no market's quantity or price comes near, and arithmetic on more does not end well."""
MAX_DIGITS = 36


def number(value: object, what: str) -> Decimal:
    """A finite number above zero, exactly as written; raises InvalidRequest otherwise."""
    example = f"{what} is {_short(value)}, and must be a number above zero, for example '0.001'."
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise InvalidRequest(example)
    try:
        # float(): a subclass such as numpy's prints its own name around the number.
        read = Decimal(repr(float(value)) if isinstance(value, float) else value)
    except InvalidOperation:
        raise InvalidRequest(example) from None
    if not read.is_finite() or read <= 0:
        raise InvalidRequest(example)
    if abs(read.adjusted()) > MAX_MAGNITUDE or len(read.as_tuple().digits) > MAX_DIGITS:
        raise InvalidRequest(
            f"{what} is {_short(value)}, and must be a number from 1e-{MAX_MAGNITUDE} to 1e{MAX_MAGNITUDE}"
            f" of at most {MAX_DIGITS} digits."
        )
    return read


def timeout_s(value: object) -> float:
    """Seconds a caller is ready to wait; raises InvalidRequest otherwise."""
    read = float(number(value, "timeout_s"))
    if read > MAX_TIMEOUT_S:
        raise InvalidRequest(f"timeout_s is {_short(value)}, and must be at most {MAX_TIMEOUT_S:g}, which is a day.")
    return read


def _short(value: object) -> str:
    try:
        shown = repr(value)
    except ValueError:  # Python itself writes no integer of so many digits
        return "an integer of thousands of digits"
    return shown if len(shown) <= 40 else f"{shown[:37]}..."


def optional_number(value: object, what: str) -> Decimal | None:
    """The same, with None, and the empty string that stands for it in many bots, passed on as None."""
    return None if value is None or value == "" else number(value, what)


def symbol(text: object, market_type: MarketType) -> Symbol:
    """A symbol in any of its spellings; raises InvalidRequest otherwise."""
    if not isinstance(text, str):
        raise InvalidRequest(f"symbol is {text!r}, and must be text such as 'BTCUSDT'.")
    try:
        return parse_symbol(text, market_type)
    except InvalidSymbol as error:
        raise InvalidRequest(str(error)) from None


T = TypeVar("T")


def _choice(table: dict[str, T], value: object, what: str, right: str) -> T:
    found = table.get(value.replace("_", "").replace("-", "").lower()) if isinstance(value, str) else None
    if found is None:
        raise InvalidRequest(f"{what} is {value!r}, and must be {right}.")
    return found


def spec(
    *,
    market_type: MarketType,
    symbol_text: object,
    side: object,
    order_type: object,
    qty: object,
    price: object,
    time_in_force: object,
    reduce_only: object,
    take_profit: object,
    stop_loss: object,
) -> OrderSpec:
    """What is to be placed.

    Raises:
        InvalidRequest: One sentence: which argument, what it is, what would be right.
    """
    kind = _choice(_TYPES, order_type, "order_type", "'Limit' or 'Market'")
    limit = optional_number(price, "price")
    if kind is OrderType.LIMIT and limit is None:
        raise InvalidRequest("price is missing, and a Limit order needs one.")
    if kind is OrderType.MARKET:
        limit = None  # bots send the last price along with market orders; exchanges ignore it, and so do we
    if not isinstance(reduce_only, bool):
        raise InvalidRequest(f"reduce_only is {reduce_only!r}, and must be True or False.")
    force = (
        TimeInForce.GTC
        if time_in_force is None
        else _choice(
            _TIMES_IN_FORCE,
            time_in_force,
            "time_in_force",
            "'GoodTillCancel', 'ImmediateOrCancel', 'FillOrKill' or 'PostOnly'",
        )
    )
    return OrderSpec(
        symbol=symbol(symbol_text, market_type),
        side=_choice(_SIDES, side, "side", "'Buy' or 'Sell'"),
        order_type=kind,
        quantity=number(qty, "qty"),
        price=limit,
        time_in_force=force,
        reduce_only=reduce_only,
        take_profit=optional_number(take_profit, "take_profit"),
        stop_loss=optional_number(stop_loss, "stop_loss"),
    )


def identifier(value: object, what: str = "client_order_id") -> str:
    """A caller's id or name; raises InvalidRequest where it is none."""
    if not isinstance(value, str) or not is_client_order_id(value):
        raise InvalidRequest(f"{what} is {_short(value)}, and must be 1 to {MAX_CLIENT_ORDER_ID} printable characters.")
    return value


def order_id(value: object) -> str:
    """One of the router's own ids; raises InvalidRequest where it cannot be one."""
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"order_id is {value!r}, and must be an orderId that the router gave.")
    return value
