"""Kraken Futures' history of orders, triggers and executions: what is told of an order once the trading API forgot it.

It is a stream of events, newest first, a page at a time with a token for the next. An order's last event tells what
became of it. A trigger's history ends where it is set off: the order it became has events of its own, under the same
client order id.

Source: https://docs.kraken.com/api-reference/account-history/get-order-events, and get-trigger-events and
get-execution-events beside it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from attrs import evolve

from app.exchanges.client import Unreadable, type_client
from app.exchanges.profiles.kraken_shapes import native
from app.exchanges.profiles.rows import MAX_PAGES, FillRow, OrderRow, combined, listed, number, price, word
from app.exchanges.symbols import Market
from messages.executions import Cause
from messages.orders import LegState, Side

_PAGE = 1000
_SLACK_MS = 60_000

_ORDER_EVENTS: Mapping[str, tuple[str, LegState]] = MappingProxyType(
    {
        "OrderPlaced": ("order", LegState.OPEN),
        "OrderUpdated": ("newOrder", LegState.OPEN),
        "OrderRejected": ("order", LegState.REFUSED),
        "OrderCancelled": ("order", LegState.CANCELLED),
    }
)
"""Events of an order, in the order in which they follow each other: where the order is, what it is then."""

_TRIGGER_EVENTS: Mapping[str, tuple[str, LegState]] = MappingProxyType(
    {
        "OrderTriggerPlaced": ("order", LegState.OPEN),
        "OrderTriggerUpdated": ("newOrderTrigger", LegState.OPEN),
        "OrderTriggerCancelled": ("order", LegState.CANCELLED),
        "OrderTriggerActivated": ("order", LegState.OPEN),
    }
)
"""The same of a trigger. One that was set off counts as open until the order it became is seen."""

_ENDED = (LegState.FILLED, LegState.CANCELLED, LegState.REFUSED)
_OWN = (("order", "orderData"), ("makerOrder", "makerOrderData"), ("takerOrder", "takerOrderData"))
"""Where an execution has our order and what it paid: v3 of the history has one place for it, v2 one for each role."""


async def order(
    client: type_client, market: Market, wire_id: str, since_ms: int, *, conditional: bool
) -> OrderRow | None:
    """An order by wire id; None where its events are not there.

    Args:
        conditional: It was placed with a trigger: while it waits, or where it was cancelled waiting, there are events
            of a trigger only.
    """
    found = await _latest(client.historyGetOrders, market, since_ms, _ORDER_EVENTS, wire_id)
    if not found and conditional:
        found = await _latest(client.historyGetTriggers, market, since_ms, _TRIGGER_EVENTS, wire_id)
    return combined(list(found.values()))


async def ended(client: type_client, market: Market, since_ms: int) -> list[OrderRow]:
    """Every order of a market that ended since a time, those that never left their trigger among them."""
    orders = await _latest(client.historyGetOrders, market, since_ms, _ORDER_EVENTS)
    triggers = await _latest(client.historyGetTriggers, market, since_ms, _TRIGGER_EVENTS)
    rows = [row for row in {**triggers, **orders}.values() if row.state in _ENDED]
    if not any(row.filled for row in rows):
        return rows
    worth: dict[str, Decimal] = {}
    size: dict[str, Decimal] = {}
    for fill in await executions(client, market, since_ms):
        worth[fill.order_id] = worth.get(fill.order_id, Decimal(0)) + fill.contracts * fill.price
        size[fill.order_id] = size.get(fill.order_id, Decimal(0)) + fill.contracts
    return [
        evolve(row, average_price=worth[row.order_id] / size[row.order_id])
        if row.order_id in size and size[row.order_id] == row.filled  # an average over a part of them would be wrong
        else row
        for row in rows
    ]


async def executions(client: type_client, market: Market, since_ms: int) -> list[FillRow]:
    """Executions of a market since a time, with their fees, the oldest first."""
    rows: list[FillRow] = []
    async for element in _elements(client.historyGetExecutions, market, since_ms):
        event = element.get("event")
        outer = event.get("Execution", event.get("execution")) if isinstance(event, dict) else None
        done = outer.get("execution") if isinstance(outer, dict) else None
        if isinstance(done, dict):
            rows += fills_in(done, market)
    return rows[::-1]


def fills_in(done: Mapping[str, Any], market: Market) -> list[FillRow]:
    """Our side of an execution, and both where both were ours."""
    own = [(place, done[place], done.get(data)) for place, data in _OWN if isinstance(done.get(place), dict)]
    trade_id, contracts, at = word(done, "uid"), number(done, "quantity"), number(done, "timestamp")
    paid = price(done, "price")
    if not own or trade_id is None or contracts is None or paid is None or at is None:
        raise Unreadable("an execution lacks its order, id, quantity, price or time")
    rows = []
    for place, body, data in own:
        order_id, direction = word(body, "uid"), word(body, "direction")
        if order_id is None or direction is None:
            raise Unreadable("the order of an execution lacks its id or direction")
        maker = done.get("limitFilled") if place == "order" else place == "makerOrder"
        rows.append(
            FillRow(
                trade_id=trade_id if len(own) == 1 else f"{trade_id}:{place}",
                order_id=order_id,
                wire_id=word(body, "clientId"),
                native_id=native(word(body, "tradeable")) or market.native_id,
                side=Side(direction.lower()),
                contracts=contracts,
                price=paid,
                fee=number(data, "fee") if isinstance(data, dict) else None,
                fee_coin=market.symbol.settle,
                maker=maker if isinstance(maker, bool) else None,
                at_s=float(at) / 1000,
                cause=_CAUSES.get(word(body, "orderType") or ""),
            )
        )
    return rows


_CAUSES = {"Liquidation": Cause.LIQUIDATION, "Assignment": Cause.DELEVERAGED, "Unwind": Cause.DELEVERAGED}
"""By the order's type: https://docs.kraken.com/api/docs/futures-api/history/get-execution-events."""


async def _latest(
    ask: Callable[[dict[str, Any]], Awaitable[Any]],
    market: Market,
    since_ms: int,
    events: Mapping[str, tuple[str, LegState]],
    wire_id: str | None = None,
) -> dict[str | None, OrderRow]:
    """What the newest event tells of each order, by its id; of those under a wire id where one is given."""
    newest: dict[str | None, tuple[tuple[int, int, Decimal], OrderRow]] = {}
    slack_ms = 0 if wire_id is None else _SLACK_MS
    async for element in _elements(ask, market, since_ms - slack_ms):
        event = element.get("event")
        for rank, (kind, (place, state)) in enumerate(events.items()):
            body = event.get(kind) if isinstance(event, dict) else None
            if not isinstance(body, dict) or not isinstance(body.get(place), dict):
                continue
            row = _historic(body[place], state)
            if wire_id is not None and row.wire_id != wire_id:
                continue
            at = (int(number(element, "timestamp") or 0), rank, row.filled or Decimal(0))
            if row.order_id not in newest or newest[row.order_id][0] < at:
                newest[row.order_id] = (at, row)
    return {order_id: row for order_id, (_, row) in newest.items()}


async def _elements(
    ask: Callable[[dict[str, Any]], Awaitable[Any]], market: Market, since_ms: int
) -> AsyncIterator[dict[str, Any]]:
    asked: dict[str, Any] = {"since": since_ms, "count": _PAGE, "tradeable": market.native_id}
    for _ in range(MAX_PAGES):
        answer = await ask(asked)
        for element in listed(answer, "elements"):
            if isinstance(element, dict):
                yield element
        token = word(answer, "continuationToken")
        if token is None:
            return
        asked["continuation_token"] = token
    raise Unreadable(f"the history has more than {MAX_PAGES} pages")


def _historic(row: Any, state: LegState) -> OrderRow:
    """An order in an event; its `quantity` is what was still unfilled then."""
    filled, left = number(row, "filled") or Decimal(0), number(row, "quantity")
    if state is LegState.OPEN and filled:
        state = LegState.FILLED if left == 0 else LegState.PARTIALLY_FILLED
    return OrderRow(
        order_id=word(row, "uid"),
        wire_id=word(row, "clientId"),
        native_id=native(word(row, "tradeable")),
        state=state,
        filled=filled,
        average_price=None,
        contracts=None if left is None else left + filled,
        price=price(row, "limitPrice"),
    )
