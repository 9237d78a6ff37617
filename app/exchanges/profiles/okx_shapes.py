"""How OKX V5 writes orders, fills, positions and announcements, and how its lists are paged."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal
from typing import Any

from app.exchanges.client import Unreadable
from app.exchanges.profiles.base import ServerStatus, Unsupported
from app.exchanges.profiles.rows import MAX_PAGES, FillRow, OrderRow, PositionRow, listed, number, price, state_of, word
from app.exchanges.rules.okx import UNFILLED_KEPT_S
from messages.executions import Cause
from messages.orders import LegState, Side

STATES = {
    "live": LegState.OPEN,
    "partially_filled": LegState.PARTIALLY_FILLED,
    "filled": LegState.FILLED,
    "canceled": LegState.CANCELLED,
    "mmp_canceled": LegState.CANCELLED,
    "order_failed": LegState.REFUSED,
}
"""`state`: https://www.okx.com/docs-v5/en/#order-book-trading-trade-get-order-details"""

SLACK_MS = 60_000
"""How much earlier than asked a list begins, for clocks that disagree."""
FORGOTTEN_MS = int(UNFILLED_KEPT_S * 1000) + SLACK_MS
"""An order this old that nothing knows was cancelled without any fill: nothing else is forgotten so soon."""
_PAGE = 100
_BARS = 300
_RECENT_BARS = 1440
_TRADING = frozenset({"5", "8", "9"})
"""`serviceType` of trading, of trading for some accounts, and for some products; others (websockets, block trading,
bots, spreads, copying) leave what the router does alone: https://www.okx.com/docs-v5/en/#status-get-status."""


async def paged(
    ask: Callable[[dict[str, Any]], Awaitable[Any]], scope: dict[str, Any], cursor: str, *, since_ms: int | None = None
) -> list[Any]:
    """Every row of a list, the newest first.

    Args:
        since_ms: What was made before is of no interest: for lists that cannot be asked for by time.

    Raises:
        Unreadable: There are more pages than may be read.
    """
    rows: list[Any] = []
    for _ in range(MAX_PAGES):
        after = {"after": word(rows[-1], cursor)} if rows else {}
        page = listed(await ask({**scope, "limit": str(_PAGE), **after}), "data")
        rows.extend(page)
        if len(page) < _PAGE or (since_ms is not None and (number(page[-1], "cTime") or Decimal(0)) < since_ms):
            return rows
    raise Unreadable(f"the list has more than {MAX_PAGES} pages")


async def klines(client: Any, unified: str, interval: str, since_ms: int | None, limit: int) -> list[list[Any]]:
    """ccxt's bars, of which OKX gives 300 at a time, and the newest 1,440 apart from older ones.

    Raises:
        Unsupported: More are asked for than may be read.
    """
    if limit > _BARS * MAX_PAGES:
        raise Unsupported(f"At most {_BARS * MAX_PAGES} bars of okx are read at once: ask for fewer.")
    bars: list[list[Any]] = []
    while len(bars) < limit:
        ask = min(_BARS, limit - len(bars))
        if since_ms is not None:
            page = await client.fetch_ohlcv(unified, interval, bars[-1][0] + 1 if bars else since_ms, ask)
            bars = bars + page
        else:
            older = {"until": bars[0][0]} if bars else {}
            kind = {"type": "HistoryCandles"} if len(bars) + ask > _RECENT_BARS else {}
            page = await client.fetch_ohlcv(unified, interval, None, ask, older | kind)
            bars = page + bars
        if len(page) < ask:
            break
    return bars


def order(row: Any) -> OrderRow:
    """An order. One that a trigger set off has the client order id of the algo order it was."""
    return OrderRow(
        order_id=word(row, "ordId"),
        wire_id=word(row, "algoClOrdId", "clOrdId"),
        native_id=word(row, "instId"),
        state=state_of(row, "state", STATES),
        filled=number(row, "accFillSz"),
        average_price=price(row, "avgPx"),
        contracts=_asked(row),
        price=price(row, "px"),
    )


def _asked(row: Any) -> Decimal | None:
    """What an order is for; None for one of a person that says what to spend instead."""
    return None if word(row, "tgtCcy") == "quote_ccy" else number(row, "sz")


def fill(row: Any) -> FillRow:
    """An execution. OKX writes what is paid as a fee below zero."""
    fee = number(row, "fee")
    side = {"buy": Side.BUY, "sell": Side.SELL}.get(word(row, "side") or "")
    if side is None:
        raise Unreadable("a fill has no side")
    return FillRow(
        trade_id=_there(row, "tradeId"),
        order_id=_there(row, "ordId"),
        wire_id=word(row, "clOrdId"),
        native_id=_there(row, "instId"),
        side=side,
        contracts=_counted(row, "fillSz"),
        price=_counted(row, "fillPx"),
        fee=None if fee is None else -fee,
        fee_coin=word(row, "feeCcy"),
        maker={"M": True, "T": False}.get(word(row, "execType") or ""),
        at_s=float(_counted(row, "fillTime", "ts")) / 1000,
        cause=_CAUSES.get(word(row, "subType") or ""),
    )


_CAUSES = (
    dict.fromkeys(map(str, range(100, 108)), Cause.LIQUIDATION)
    | dict.fromkeys(map(str, range(125, 129)), Cause.DELEVERAGED)
    | dict.fromkeys(("112", "113"), Cause.DELIVERED)
)
"""By `subType`: https://www.okx.com/docs-v5/en/#order-book-trading-trade-get-transaction-details-last-3-days."""


def _there(row: Any, key: str) -> str:
    found = word(row, key)
    if found is None:
        raise Unreadable(f"a fill has no {key}")
    return found


def _counted(row: Any, *keys: str) -> Decimal:
    found = number(row, *keys)
    if found is None:
        raise Unreadable(f"a fill has no {keys[0]}")
    return found


def position(row: Any) -> PositionRow:
    """A position; where long and short stand side by side, the size of either is above zero."""
    size = number(row, "pos")
    native_id = word(row, "instId")
    if size is None or native_id is None:
        raise Unreadable("a position lacks its symbol or size")
    return PositionRow(
        native_id=native_id,
        contracts=-abs(size) if word(row, "posSide") == "short" else size,
        entry_price=price(row, "avgPx"),
        mark_price=price(row, "markPx"),
        leverage=price(row, "lever"),
        unrealised_pnl=number(row, "upl"),
        liquidation_price=price(row, "liqPx"),
    )


def status(events: Iterable[Any], name: str, *, demo: bool) -> ServerStatus:
    """What the announced events say of trading now, or else of the next time it stops."""
    env = "2" if demo else "1"
    ours = [each for each in events if word(each, "serviceType") in _TRADING and (word(each, "env") or env) == env]
    under_way = next((each for each in ours if word(each, "state") == "ongoing"), None)
    if under_way is not None:
        end_ms = number(under_way, "end")
        words = f"{name} says it is under maintenance: {word(under_way, 'title') or 'no title'}."
        return ServerStatus(
            ok=False, words=words, begin_s=_seconds(number(under_way, "begin")), until_s=_seconds(end_ms)
        )
    coming = [each for each in ours if word(each, "state") in ("scheduled", "pre_open") and number(each, "begin")]
    if not coming:
        return ServerStatus(ok=True)
    first = min(coming, key=lambda each: number(each, "begin") or Decimal(0))
    when = f"from {_utc(number(first, 'begin'))} to {_utc(number(first, 'end'))}"
    return ServerStatus(
        ok=True,
        words=f"{name} announces a maintenance {when}: {word(first, 'title') or 'no title'}.",
        begin_s=_seconds(number(first, "begin")),
        until_s=_seconds(number(first, "end")),
    )


def _seconds(at_ms: Decimal | None) -> float | None:
    return None if not at_ms else float(at_ms) / 1000


def _utc(at_ms: Decimal | None) -> str:
    return "an unknown time" if not at_ms else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(float(at_ms) / 1000))
