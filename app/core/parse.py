"""From what a caller writes to the vocabulary: spellings, numbers, and one clear sentence for what is neither."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from app.core.errors import InvalidRequest
from app.domain.exits import PREFIX
from app.domain.ids import MAX_CLIENT_ORDER_ID, is_client_order_id
from app.domain.session import MAX_TIMEOUT_S
from app.domain.symbols import InvalidSymbol, parse_symbol
from messages.control import Resolution
from messages.market import Interval, MarginMode, MarketType, PositionMode, Symbol
from messages.orders import OrderSpec, OrderType, Side, TimeInForce, Trigger, TriggerBy, TriggerKind

Number = str | int | float | Decimal
"""A number as callers write it; a float is read as it prints."""

Moment = int | float | str | datetime
"""A time as callers write it: milliseconds since 1970, or a datetime with a timezone."""

_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_TYPES = {"limit": OrderType.LIMIT, "market": OrderType.MARKET}
_TIMES_IN_FORCE = {
    "gtc": TimeInForce.GTC,
    "goodtillcancel": TimeInForce.GTC,
    "goodtillcancelled": TimeInForce.GTC,
    "goodtillcanceled": TimeInForce.GTC,
    "goodtilcancel": TimeInForce.GTC,
    "goodtilcancelled": TimeInForce.GTC,
    "goodtilcanceled": TimeInForce.GTC,
    "ioc": TimeInForce.IOC,
    "immediateorcancel": TimeInForce.IOC,
    "fok": TimeInForce.FOK,
    "fillorkill": TimeInForce.FOK,
    "postonly": TimeInForce.POST_ONLY,
    "gtx": TimeInForce.POST_ONLY,
    "goodtillcrossing": TimeInForce.POST_ONLY,
}
_TRIGGERS = {
    "stop": TriggerKind.STOP,
    "stoploss": TriggerKind.STOP,
    "takeprofit": TriggerKind.TAKE_PROFIT,
}
_TRIGGERS_BY = {
    "lastprice": TriggerBy.LAST,
    "last": TriggerBy.LAST,
    "markprice": TriggerBy.MARK,
    "mark": TriggerBy.MARK,
}
_INTERVALS = {interval.value: interval for interval in Interval} | {
    "1": Interval.MINUTE_1,
    "5": Interval.MINUTE_5,
    "15": Interval.MINUTE_15,
    "30": Interval.MINUTE_30,
    "60": Interval.HOUR_1,
    "240": Interval.HOUR_4,
    "d": Interval.DAY_1,
}
_MARGIN_MODES = {"cross": MarginMode.CROSS, "isolated": MarginMode.ISOLATED}
_POSITION_MODES = {"oneway": PositionMode.ONE_WAY, "hedge": PositionMode.HEDGE}
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


def coin(text: object) -> str | None:
    """A coin's name, however it is written; None for all of them.

    Raises:
        InvalidRequest: It is no text.
    """
    if text is not None and (not isinstance(text, str) or not text.strip()):
        raise InvalidRequest(f"coin is {_short(text)}, and must be text such as 'USDT'.")
    return None if text is None else text.strip().upper()


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
    trigger_price: object = None,
    trigger: object = None,
    trigger_by: object = None,
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
        trigger=_trigger(trigger_price, trigger, trigger_by),
    )


def _trigger(price: object, kind: object, by: object) -> Trigger | None:
    at = optional_number(price, "trigger_price")
    if at is None:
        for value, what in ((kind, "trigger"), (by, "trigger_by")):
            if value not in (None, ""):
                raise InvalidRequest(f"{what} is {_short(value)}, but no trigger_price is given.")
        return None
    right = "'Stop' (a buy at or above the trigger price, a sell at or below) or 'TakeProfit' (the other way)"
    which = _choice(_TRIGGERS, kind, "trigger", right)
    by = "LastPrice" if by in (None, "") else by
    return Trigger(price=at, kind=which, by=_choice(_TRIGGERS_BY, by, "trigger_by", "'LastPrice' or 'MarkPrice'"))


def identifier(value: object, what: str = "client_order_id") -> str:
    """A caller's id or name; raises InvalidRequest where it is none."""
    if not isinstance(value, str) or not is_client_order_id(value):
        raise InvalidRequest(f"{what} is {_short(value)}, and must be 1 to {MAX_CLIENT_ORDER_ID} printable characters.")
    return value


def own_identifier(value: object) -> str:
    """The id of an order to place; raises InvalidRequest where it is none, or is one that the router gives."""
    own = identifier(value)
    if own.startswith(PREFIX):
        raise InvalidRequest(f"client_order_id is {_short(own)}: ids that begin with {PREFIX!r} are the router's own.")
    return own


def order_id(value: object) -> str:
    """One of the router's own ids; raises InvalidRequest where it cannot be one."""
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"order_id is {value!r}, and must be an orderId that the router gave.")
    return value


def either_id(own: object, client_order_id: object) -> tuple[str | None, str | None]:
    """An order by the router's id or by the caller's; raises InvalidRequest where it is named by none, or by both."""
    if client_order_id is None:
        return order_id(own), None
    if own is not None:
        raise InvalidRequest("order_id and client_order_id are both given: name the order by one of them.")
    return None, identifier(client_order_id)


def count(value: object, what: str, most: int) -> int:
    """How many of something; raises InvalidRequest otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidRequest(f"{what} is {_short(value)}, and must be a whole number from 1 to {most}.")
    return value


def moment_s(value: object, what: str = "since") -> float:
    """Unix seconds of a time; raises InvalidRequest otherwise."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidRequest(f"{what} is {value}, without a timezone: nobody can know which moment that is.")
        return value.timestamp()
    read = float(number(value, what)) / 1000
    if not 1e9 <= read < 1e11:
        raise InvalidRequest(f"{what} is {_short(value)}, and must be a time in milliseconds since 1970.")
    return read


def interval(value: object) -> Interval:
    """The length of a bar; raises InvalidRequest otherwise."""
    right = f"one of {', '.join(repr(each.value) for each in Interval)}, or Bybit's spelling of it"
    if value == "1M":  # Bybit's month, which lower case would turn into a minute
        raise InvalidRequest(f"interval is '1M', and must be {right}.")
    return _choice(_INTERVALS, str(value) if isinstance(value, int) else value, "interval", right)


def margin_mode(value: object) -> MarginMode:
    """How a position is backed; raises InvalidRequest otherwise."""
    return _choice(_MARGIN_MODES, value, "mode", "'cross' or 'isolated'")


def position_mode(value: object) -> PositionMode:
    """How a symbol's positions stand; raises InvalidRequest for one the router cannot trade in."""
    mode = _choice(_POSITION_MODES, value, "mode", "'one_way'")
    if mode is PositionMode.HEDGE:
        raise InvalidRequest(
            "mode is 'hedge', and must be 'one_way': the router keeps one net position a symbol, and its orders name no"
            " side of two."
        )
    return mode


def flag(value: object, what: str) -> bool:
    """A yes or no; `what` names the argument. Raises InvalidRequest for anything else."""
    if not isinstance(value, bool):
        raise InvalidRequest(f"{what} is {value!r:.60}, and must be True or False.")
    return value


MAX_REASON = 500


def reason(value: object) -> str:
    """Why somebody wants something, for the history; raises InvalidRequest for what is no short text."""
    if not isinstance(value, str) or len(value) > MAX_REASON:
        raise InvalidRequest(f"reason is {_short(value)}, and must be a text of at most {MAX_REASON} characters.")
    return value


def resolution(value: object) -> Resolution:
    """What is to become of an order that waits."""
    return _choice({each.value: each for each in Resolution}, value, "how", "'look', 'place' or 'drop'")
