"""How Bybit V5 writes orders, executions, positions and notices, and how its lists are read to their end.

Pages go on from a cursor; what is past is asked for in windows of seven days at most.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from app.exchanges.client import Unreadable
from app.exchanges.profiles.base import ServerStatus
from app.exchanges.profiles.rows import MAX_PAGES, FillRow, OrderRow, PositionRow, listed, number, price, state_of, word
from app.exchanges.rules.bybit import UNFILLED_KEPT_S
from messages.executions import Cause
from messages.orders import LegState, Side

LIVE = (LegState.OPEN, LegState.PARTIALLY_FILLED)
WINDOW_MS = 7 * 86_400_000
"""The longest a list of the past covers: https://bybit-exchange.github.io/docs/v5/order/order-list."""
_MARGIN_MS = 60_000
"""By which a window stays below that, so that the last one, which the exchange ends, ends after now."""
ORDERS_A_PAGE = 50
FILLS_A_PAGE = 100
FORGOTTEN_MS = int(UNFILLED_KEPT_S * 1000) + 3_600_000
"""When an order that ended without a fill is certainly not in the history any more: an hour is left for clocks."""
POSITIONS_A_PAGE = 200
EXECUTED = frozenset({"Trade", "AdlTrade", "BustTrade", "BlockTrade", "MovePosition", "FutureSpread"})
"""Of `execType`, what changes hands; funding and settlements are listed among the executions too:
https://bybit-exchange.github.io/docs/v5/enum#exectype."""

_STATES = {
    "Created": LegState.OPEN,
    "New": LegState.OPEN,
    "Untriggered": LegState.OPEN,
    "Triggered": LegState.OPEN,
    "PartiallyFilled": LegState.PARTIALLY_FILLED,
    "Filled": LegState.FILLED,
    "Cancelled": LegState.CANCELLED,
    "PartiallyFilledCanceled": LegState.CANCELLED,
    "Deactivated": LegState.CANCELLED,
    "Rejected": LegState.REFUSED,
}
"""`orderStatus`: https://bybit-exchange.github.io/docs/v5/enum#orderstatus. Cancelled may have filled in part. An order
that waited for its trigger goes on under its ids once it is set off."""

type_ask = Callable[[dict[str, Any]], Awaitable[Any]]
"""An endpoint of ccxt's client that lists something."""


async def paged(ask: type_ask, asked: Mapping[str, Any], limit: int) -> list[Any]:
    """Every row of a list. Raises Unreadable where it has too many pages."""
    rows: list[Any] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        answer = await ask({**asked, "limit": limit, **({"cursor": cursor} if cursor else {})})
        page = listed(answer, "result", "list")
        rows.extend(page)
        cursor = word(answer["result"], "nextPageCursor")
        if cursor is None or len(page) < limit:
            return rows
    raise Unreadable(f"the list has more than {MAX_PAGES} pages")


def windows(since_ms: int, now_ms: int) -> Iterator[dict[str, int]]:
    """From a time until now, in pieces a list of the past covers. Raises Unreadable where there are too many.

    The last one has no end: the exchange's clock may be ahead of what we take it for, and the newest row with it.
    """
    if (now_ms - since_ms) / WINDOW_MS > MAX_PAGES:
        raise Unreadable(f"the list would have to be asked for in more than {MAX_PAGES} windows of seven days")
    while now_ms - since_ms >= WINDOW_MS - _MARGIN_MS:
        yield {"startTime": since_ms, "endTime": since_ms + WINDOW_MS - _MARGIN_MS}
        since_ms += WINDOW_MS - _MARGIN_MS
    yield {"startTime": since_ms}


def order_row(row: Any) -> OrderRow:
    """An order of any list."""
    by_value = word(row, "marketUnit") == "quoteCoin"  # then its quantity is an amount of the quote coin; never ours
    return OrderRow(
        order_id=word(row, "orderId"),
        wire_id=word(row, "orderLinkId"),
        native_id=word(row, "symbol"),
        state=state_of(row, "orderStatus", _STATES),
        filled=number(row, "cumExecQty"),
        average_price=price(row, "avgPrice"),
        contracts=None if by_value else price(row, "qty"),
        price=price(row, "price") if word(row, "orderType") == "Limit" else None,
        trigger_price=price(row, "triggerPrice"),
    )


def ended_ms(row: Any) -> int:
    """When an order of a list last changed; for one that is closed, when it ended."""
    return int(number(row, "updatedTime", "createdTime") or 0)


def fill_rows(rows: Iterable[Any], settle: str | None) -> list[FillRow]:
    """Those of the executions that changed hands: funding is listed among them, as large as the position."""
    return [_fill_row(row, settle) for row in rows if word(row, "execType") in EXECUTED]


def _fill_row(row: Any, settle: str | None) -> FillRow:
    """An execution; its fee is in the settlement coin where the exchange names none, as for derivatives."""
    trade_id, order_id, native_id = word(row, "execId"), word(row, "orderId"), word(row, "symbol")
    contracts, at = number(row, "execQty"), number(row, "execPrice")
    side, when = word(row, "side"), number(row, "execTime")
    if trade_id is None or order_id is None or native_id is None or contracts is None or at is None or when is None:
        raise Unreadable("an execution lacks its ids, quantity, price or time")
    if side not in ("Buy", "Sell"):
        raise Unreadable(f"side is {side!r}, which is not a known one")
    maker = row.get("isMaker")
    return FillRow(
        trade_id=trade_id,
        order_id=order_id,
        wire_id=word(row, "orderLinkId"),
        native_id=native_id,
        side=Side.BUY if side == "Buy" else Side.SELL,
        contracts=contracts,
        price=at,
        fee=number(row, "execFee"),
        fee_coin=word(row, "feeCurrency") or settle,
        maker=maker if isinstance(maker, bool) else None,
        at_s=float(when) / 1000,
        cause=_CAUSES.get(word(row, "execType") or "") or _STOPS.get(word(row, "stopOrderType") or ""),
    )


_CAUSES = {"BustTrade": Cause.LIQUIDATION, "AdlTrade": Cause.DELEVERAGED}
_STOPS: Mapping[str, Cause] = dict.fromkeys(
    ("TakeProfit", "StopLoss", "TrailingStop", "PartialTakeProfit", "PartialStopLoss"),
    Cause.STOP,
)
"""By `stopOrderType`, of what is attached to a position; an order that waits for its trigger says "Stop":
https://bybit-exchange.github.io/docs/v5/enum#stopordertype."""


def position_row(row: Any) -> PositionRow:
    """A position."""
    size, native_id = number(row, "size"), word(row, "symbol")
    if size is None or native_id is None:
        raise Unreadable("a position lacks its symbol or size")
    return PositionRow(
        native_id=native_id,
        contracts=-size if word(row, "side") == "Sell" else size,
        entry_price=price(row, "avgPrice"),
        mark_price=price(row, "markPrice"),
        leverage=price(row, "leverage"),
        unrealised_pnl=number(row, "unrealisedPnl"),
        liquidation_price=price(row, "liqPrice"),
    )


def server_status(notices: list[Any], product: int) -> ServerStatus:
    """What the notices of maintenance mean for a product: 1 derivatives, 2 spot. The source is
    https://bybit-exchange.github.io/docs/v5/system-status.

    One under way is trouble; one only announced is told in words, while all is well, and of several the first one's
    times.
    """
    mine = [each for each in notices if product in _products(each) and _trades(each)]
    ongoing = [each for each in mine if word(each, "state") == "ongoing"]
    told = ongoing or [each for each in mine if word(each, "state") == "scheduled"]
    meant = ongoing or sorted(told, key=lambda each: number(each, "begin") or Decimal(0))[:1]
    begins_ms, ends_ms = ([found for each in meant if (found := number(each, key))] for key in ("begin", "end"))
    return ServerStatus(
        ok=not ongoing,
        words="; ".join(f"{'' if ongoing else 'announced: '}{word(each, 'title') or 'maintenance'}" for each in told),
        begin_s=float(min(begins_ms)) / 1000 if begins_ms else None,
        until_s=float(max(ends_ms)) / 1000 if ends_ms else None,
    )


def _trades(notice: Any) -> bool:
    """Whether trading by requests is meant (`serviceTypes` 1 and 2), and not only websockets or market data."""
    found = notice.get("serviceTypes") if isinstance(notice, dict) else None
    return not isinstance(found, list) or not found or any(str(each) in ("1", "2") for each in found)


def _products(notice: Any) -> list[int]:
    found = notice.get("product") if isinstance(notice, dict) else None
    if not isinstance(found, list):
        raise Unreadable("a notice of maintenance names no products")
    return [int(each) for each in found] or [1, 2]
