"""Reading and checking the parameters of Binance USDⓈ-M futures requests, with the exchange's codes for what is wrong.

Shared by the trading, conditional-order and account endpoints, which all word their refusals alike.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import TypeVar

from app.simulator.dialects.base import Context, NativeError
from app.simulator.dialects.binance_bodies import MULTIPLIER_DOWN, MULTIPLIER_UP, PRECISION, TIF_NAMES
from app.simulator.dialects.wire import int_or_none
from app.simulator.model import Order, PositionSide, Side, Status, Tif, text
from app.simulator.spec import MarketSpec

DEFAULT_LIMIT = 500
MAX_LIMIT = 1000
FORGOTTEN_AFTER_MS = 3 * 86_400_000
"""A cancelled or expired order without a fill is not found any more this long after it was created."""

WINDOW_MS = 7 * 86_400_000
"""Listings answer for at most seven days between `startTime` and `endTime`."""

_CLIENT_ID = re.compile(r"^[\.A-Z\:/a-z0-9_-]{1,36}$")
_NUMBER = re.compile(r"^[0-9]{1,20}(\.[0-9]{1,20})?$")
_TIFS = {native: tif for tif, native in TIF_NAMES.items()}

ALL_VISIBLE_MS = 10**15
"""A time at which every order is visible: cancelling sees what look-ups do not show yet, as the engine does."""

T = TypeVar("T")


def missing(name: str) -> NativeError:
    """-1102: a mandatory parameter is not there."""
    return NativeError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def need(ctx: Context, name: str) -> str:
    """A mandatory parameter as it came."""
    given = ctx.params.get(name)
    if not given:
        raise missing(name)
    return given


def number(ctx: Context, name: str, places: int) -> Decimal:
    """A mandatory decimal, refused with -1111 when it has more decimals than `places`."""
    given = need(ctx, name)
    if not _NUMBER.match(given):
        raise NativeError(
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is '^([0-9]{{1,20}})(\\.[0-9]{{1,20}})?$'.",
        )
    value = Decimal(given)
    if value != round(value, places):
        raise NativeError(-1111, "Precision is over the maximum defined for this asset.")
    return value


def quantity(ctx: Context, market: MarketSpec) -> Decimal:
    """`quantity` within the market's quantityPrecision."""
    return number(ctx, "quantity", PRECISION[market.native][1])


def price(ctx: Context, market: MarketSpec, name: str = "price") -> Decimal:
    """A price within the market's pricePrecision."""
    return number(ctx, name, PRECISION[market.native][0])


def side_of(ctx: Context) -> Side:
    """`side`: BUY or SELL."""
    try:
        return Side(need(ctx, "side").lower())
    except ValueError as error:
        raise NativeError(-1117, "Invalid side.") from error


def limit_price(ctx: Context, market: MarketSpec, side: Side, mark: Decimal) -> Decimal:
    """The price of a limit order, within the PERCENT_PRICE filter around the mark price."""
    wanted = price(ctx, market)
    cap, floor = mark * MULTIPLIER_UP, mark * MULTIPLIER_DOWN
    if side is Side.BUY and wanted > cap:
        raise NativeError(-4016, f"Limit price can't be higher than {text(cap)}.")
    if side is Side.SELL and 0 < wanted < floor:
        raise NativeError(-4024, f"Limit price can't be lower than {text(floor)}.")
    return wanted


def time_in_force(raw: str) -> Tif:
    """GTC, IOC, FOK or GTX (post only)."""
    if raw not in _TIFS:
        raise NativeError(-1115, "Invalid timeInForce.")
    return _TIFS[raw]


def position_side(ctx: Context) -> PositionSide:
    """`positionSide`: BOTH in one-way mode, LONG or SHORT in hedge mode, where `reduceOnly` cannot be sent."""
    given = ctx.params.get("positionSide", "BOTH")
    if given not in ("BOTH", "LONG", "SHORT"):
        raise NativeError(-4060, "Invalid position side.")
    side = PositionSide(given.lower())
    if side is not PositionSide.BOTH and ctx.params.get("reduceOnly"):
        raise NativeError(-1106, "Parameter 'reduceonly' sent when not required.")
    return side


def check_window(ctx: Context) -> None:
    """-4165: more than seven days between the two ends."""
    start, end = int_or_none(ctx.params.get("startTime")), int_or_none(ctx.params.get("endTime"))
    if start is not None and end is not None and end - start > WINDOW_MS:
        raise NativeError(-4165, "Invalid time interval: Maximum time interval is 7 days.")


def flag(ctx: Context, name: str) -> bool:
    """A "true"/"false" parameter, false if absent."""
    return ctx.params.get(name, "false").lower() == "true"


def client_id(ctx: Context, name: str) -> str | None:
    """The client id of a placement, or None; refused when too long or with letters the exchange does not take."""
    given = ctx.params.get(name)
    if not given:
        return None
    if len(given) > 36:
        raise NativeError(-4015, "Client order id length should not be more than 36 chars")
    if not _CLIENT_ID.match(given):
        raise NativeError(
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is '^[\\.A-Z\\:/a-z0-9_-]{{1,36}}$'.",
        )
    return given


def ids(ctx: Context, by_id: str, by_client: str) -> tuple[str | None, str | None]:
    """The order id and client id that a look-up or a cancel names: one of them; the exchange's id counts first."""
    order_id, client = ctx.params.get(by_id), ctx.params.get(by_client)
    if not order_id and not client:
        raise NativeError(-1102, f"Param '{by_client}' or '{by_id}' must be sent, but both were empty/null!")
    if order_id and int_or_none(order_id) is None:
        raise missing(by_id)
    return order_id or None, client or None


def page(ctx: Context, newest_first: Iterable[tuple[int, T]], *, from_start: bool = False) -> list[T]:
    """One page of a list, oldest first: from `startTime` (or `from_start`) on, else the latest; at most `limit`.

    `newest_first` gives (time in ms, item) and is read no further than the page needs.
    """
    limit = int_or_none(ctx.params.get("limit", str(DEFAULT_LIMIT)))
    if limit is None or limit < 1:
        raise NativeError(-1130, "Data sent for parameter 'limit' is not valid.")
    limit = min(limit, MAX_LIMIT)
    start, end = int_or_none(ctx.params.get("startTime")), int_or_none(ctx.params.get("endTime"))
    if start is not None and end is not None and start > end:
        raise NativeError(-1023, "Start time is greater than end time.")
    within = (item for at, item in _since(newest_first, start) if end is None or at <= end)
    found = list(within if from_start or start is not None else islice(within, limit))
    found.reverse()
    return found[:limit]


def _since(newest_first: Iterable[tuple[int, T]], start: int | None) -> Iterator[tuple[int, T]]:
    for at, item in newest_first:
        if start is not None and at < start:
            return
        yield at, item


def is_regular(order: Order) -> bool:
    """True for an order of the ordinary endpoints: never conditional, or set off already."""
    return order.trigger is None or order.triggered


def is_forgotten(order: Order, now_ms: int) -> bool:
    """True once the exchange does not find a closed order without fills any more."""
    closed_empty = order.status in (Status.CANCELLED, Status.EXPIRED) and not order.filled
    return closed_empty and order.created_ms + FORGOTTEN_AFTER_MS < now_ms
