"""What both of Binance's profiles, USDⓈ-M futures and spot, read alike: orders, fills, long lists and bars.

Lists are cut by time, and how a full page is sorted nobody documents for all of them. So a window whose page is full is
asked for again in two parts instead of being read on from its last row: what comes back is complete whatever the order,
or it is an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from attrs import evolve

from app.exchanges.client import Unreadable, type_client
from app.exchanges.profiles.base import Unsupported
from app.exchanges.profiles.rows import MAX_PAGES, FillRow, OrderRow, listed, number, price, state_of, word
from app.exchanges.sizes import InvalidSize, plain
from app.exchanges.symbols import Market
from messages.orders import LegState, Side

Ask = Callable[[dict[str, Any]], Awaitable[Any]]

DAY_MS = 24 * 3600 * 1000
SLACK_MS = 60_000
"""A list is asked from this long before, and to this long after, what it is for: clocks differ."""
FORGOTTEN_MS = 3 * DAY_MS + SLACK_MS
"""Futures forget an order that ended with nothing filled three days after it was placed, and any other after ninety:
https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Query-Order. So one that was there
then, and that nothing knows any more by now, ended with nothing filled."""
PAGE = 1000
"""The most rows of any list: `limit` of every listing."""

STATES = {
    "NEW": LegState.OPEN,
    "PENDING_NEW": LegState.OPEN,
    "PENDING_CANCEL": LegState.OPEN,
    "NEW_INSURANCE": LegState.OPEN,
    "NEW_ADL": LegState.OPEN,
    "PARTIALLY_FILLED": LegState.PARTIALLY_FILLED,
    "FILLED": LegState.FILLED,
    "CANCELED": LegState.CANCELLED,
    "EXPIRED": LegState.EXPIRED,
    "EXPIRED_IN_MATCH": LegState.EXPIRED,
    "REJECTED": LegState.REFUSED,
}
"""`status`: https://developers.binance.com/docs/derivatives/usds-margined-futures/common-definition and
https://github.com/binance/binance-spot-api-docs/blob/master/enums.md; the two NEW_… are a liquidation's own orders."""
LIVE = frozenset({LegState.OPEN, LegState.PARTIALLY_FILLED})


def order_row(row: Any, wire_id: str | None = None) -> OrderRow:
    """An order of any answer but a cancel's on spot. Spot tells what was paid, futures the average price.

    Args:
        wire_id: Stands instead of the one in the row.
    """
    filled, paid = number(row, "executedQty"), number(row, "cummulativeQuoteQty", "cumulativeQuoteQty")
    average = price(row, "avgPrice")
    if average is None and filled and paid is not None and paid > 0:  # below zero where it is not known any more
        average = paid / filled
    return OrderRow(
        order_id=word(row, "orderId"),
        wire_id=wire_id or word(row, "clientOrderId"),
        native_id=word(row, "symbol"),
        state=state_of(row, "status", STATES),
        filled=filled,
        average_price=average,
        contracts=number(row, "origQty", "qty") or None,
        price=price(row, "price"),
    )


def gone(answer: Any, wire_id: str) -> OrderRow | None:
    """What the answer to a cancel proves: the order's end, what filled of it included."""
    row = order_row(answer, wire_id)
    if row.order_id is None:
        raise Unreadable("the answer to the cancel names no order")
    return row if row.state is LegState.CANCELLED and row.filled is not None and not unpriced(row) else None


def unpriced(row: OrderRow) -> bool:
    """Whether an order that ended executed at a price which the answer does not tell.

    What futures answer to a placement, a change and a cancel has neither `avgPrice` nor `cumQuote` by now; what they
    answer to a look-up has both (the models of https://pypi.org/project/binance-sdk-derivatives-trading-usds-futures).
    """
    return row.state not in LIVE and bool(row.filled) and row.average_price is None


def just_placed(row: OrderRow) -> OrderRow:
    """An order as the answer to its placement shows it; to be looked up where that leaves out the price."""
    return evolve(row, state=LegState.OPEN, filled=None, ended=True) if unpriced(row) else row


def has_status(client: type_client) -> type_client:
    """The client, where it asks an exchange that tells its status. Raises Unsupported for the test networks."""
    if "sapi" not in client.urls["api"]:
        raise Unsupported("Binance's test networks tell no status.")
    return client


def check_above(contracts: str, filled: Decimal) -> None:
    """Whether an order of which so much has filled can be for that many contracts. Raises InvalidSize."""
    if Decimal(contracts) <= filled:
        raise InvalidSize(f"{plain(filled)} of it has filled already: the quantity has to be above that.")


def fill_row(row: Any) -> FillRow:
    """An execution of `userTrades` or `myTrades`. What the account paid is above zero there too; neither tells the
    client order id."""
    trade_id, order_id, native_id = word(row, "id"), word(row, "orderId"), word(row, "symbol")
    quantity, paid, at_ms = number(row, "qty"), number(row, "price"), number(row, "time")
    buys = row.get("isBuyer", row.get("buyer"))
    maker = row.get("isMaker", row.get("maker"))
    if trade_id is None or order_id is None or native_id is None or not isinstance(buys, bool):
        raise Unreadable("a fill lacks its id, order, symbol or side")
    if quantity is None or paid is None or at_ms is None:
        raise Unreadable("a fill lacks its quantity, price or time")
    return FillRow(
        trade_id=trade_id,
        order_id=order_id,
        wire_id=None,
        native_id=native_id,
        side=Side.BUY if buys else Side.SELL,
        contracts=quantity,
        price=paid,
        fee=number(row, "commission"),
        fee_coin=word(row, "commissionAsset"),
        maker=maker if isinstance(maker, bool) else None,
        at_s=float(at_ms) / 1000,
    )


def executed(trades: Any, order_id: str) -> list[tuple[str | None, Decimal, Decimal]]:
    """What the fills of one order are, for `from_fills`."""
    return [
        (word(row, "orderId"), number(row, "qty") or Decimal(0), number(row, "price") or Decimal(0))
        for row in listed(trades)
        if word(row, "orderId") == order_id
    ]


async def since(client: type_client, ask: Ask, market: Market, key: str, since_ms: int, window_ms: int) -> list[Any]:
    """Every row of a market's list from a little before a time to now, each once by `key`.

    Args:
        window_ms: The longest the exchange takes between `startTime` and `endTime`.

    Raises:
        Unsupported: It would take too many requests from the start.
        Unreadable: It took too many, since there are so many rows.
    """
    begin_ms, end_ms = since_ms - SLACK_MS, client.milliseconds() + SLACK_MS
    if end_ms - begin_ms > MAX_PAGES * window_ms:
        days = (MAX_PAGES * window_ms - 2 * SLACK_MS) // DAY_MS
        raise Unsupported(f"Binance lists this by windows: ask for what is at most {days} days old.")
    todo = [(start, min(start + window_ms, end_ms + 1)) for start in range(begin_ms, end_ms + 1, window_ms)]
    rows: dict[str | None, Any] = {}
    for _ in range(2 * MAX_PAGES):
        if not todo:
            return list(rows.values())
        start, end = todo.pop(0)
        scope = {"symbol": market.native_id, "startTime": start, "endTime": end - 1, "limit": PAGE}
        page = listed(await ask(scope))
        if len(page) < PAGE:
            rows.update({word(row, key): row for row in page})
        elif end - start == 1:
            raise Unreadable("the list has a full page within a millisecond")
        else:
            times = sorted(int(number(row, "time", "createTime") or 0) for row in page)
            middle = min(max(times[len(times) // 2], start + 1), end - 1)  # where the rows are, half of them a side
            todo[:0] = [(start, middle), (middle, end)]
    raise Unreadable(f"the list takes more than {2 * MAX_PAGES} requests")


async def bars(ask: Ask, native_id: str, interval: str, since_ms: int | None, limit: int, most: int) -> list[Any]:
    """Bars, `most` a request: the newest `limit` of them, or the first since a time.

    Raises:
        Unsupported: More were asked for than a bounded number of requests can bring.
    """
    if limit > most * MAX_PAGES:
        raise Unsupported(f"{limit} bars are more than binance tells at once: ask for {most * MAX_PAGES} at most.")
    found: list[Any] = []
    while len(found) < limit:
        wanted = min(limit - len(found), most)
        scope: dict[str, Any] = {"symbol": native_id, "interval": interval, "limit": wanted}
        if since_ms is not None:
            scope["startTime"] = int(found[-1][0]) + 1 if found else since_ms
        elif found:
            scope["endTime"] = int(found[0][0]) - 1
        page = listed(await ask(scope))
        found = [*found, *page] if since_ms is not None else [*page, *found]
        if len(page) < wanted:
            break
    return found
