"""How Kraken Futures writes an order, a position and a time: from its answers to a profile's rows.

`quantity` means two things there: in the history it is what was still unfilled at that event, and in the trading API's
events nobody says which; so what an order is for is read only where it is told beyond doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.exchanges.client import Unreadable
from app.exchanges.profiles.base import ServerStatus
from app.exchanges.profiles.rows import OrderRow, PositionRow, number, price, state_of, word
from messages.orders import LegState

_STATUSES = {
    "ENTERED_BOOK": LegState.OPEN,
    "TRIGGER_PLACED": LegState.OPEN,
    "FULLY_EXECUTED": LegState.FILLED,
    "CANCELLED": LegState.CANCELLED,
    "REJECTED": LegState.REFUSED,
    "TRIGGER_ACTIVATION_FAILURE": LegState.REFUSED,
}
"""https://docs.kraken.com/api/docs/futures-api/trading/get-order-status"""

_OPEN_STATUSES = {"untouched": LegState.OPEN, "partiallyFilled": LegState.PARTIALLY_FILLED}
"""https://docs.kraken.com/api/docs/futures-api/trading/get-open-orders"""

_SET_OFF = frozenset({"STOP_ORDER_TRIGGERED", "LIMIT_FROM_STOP"})
"""`updateReason` of a trigger that gave way to the order it became."""


def iso(unix_ms: int) -> str:
    """Unix milliseconds as ``2023-11-08T19:56:35.441Z``."""
    whole = datetime.fromtimestamp(unix_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{unix_ms % 1000:03d}Z"


def _unix_s(said: str | None) -> float | None:
    """The reverse; None for what is no such time."""
    try:
        return None if said is None else datetime.fromisoformat(said).timestamp()
    except ValueError:
        return None


def native(symbol: str | None) -> str | None:
    """Kraken writes names in either case."""
    return symbol.upper() if symbol is not None else None


def placed_order(info: Any) -> OrderRow:
    """`sendStatus`: the id, and the executions that happened while placing."""
    events = info.get("orderEvents") if isinstance(info, dict) else None
    done = [e for e in events if word(e, "type") == "EXECUTION"] if isinstance(events, list) else []
    fills = [(number(e, "amount") or Decimal(0), number(e, "price") or Decimal(0)) for e in done]
    filled = sum((amount for amount, _ in fills), Decimal(0))
    worth = sum((amount * at for amount, at in fills), Decimal(0))
    return OrderRow(
        order_id=word(info, "order_id"),
        wire_id=word(info, "cliOrdId"),
        native_id=None,
        state=LegState.PARTIALLY_FILLED if filled else LegState.OPEN,
        filled=filled if filled else None,
        average_price=worth / filled if filled else None,
    )


NOT_BEGUN_S = 600.0
"""What should have begun so long ago, while markets trade, was put off. Declared by us."""


def announced(notes: Iterable[Any], now_s: float) -> ServerStatus:
    """The next maintenance of the notifications, while markets trade.

    Source: https://docs.kraken.com/api/docs/futures-api/trading/get-notifications. `expectedDowntimeMinutes` is not
    always there.
    """
    coming = []
    for note in notes:
        begin_s = _unix_s(word(note, "effectiveTime")) if word(note, "type") == "maintenance" else None
        if begin_s is not None and begin_s > now_s - NOT_BEGUN_S:
            minutes = number(note, "expectedDowntimeMinutes")
            end_s = begin_s + 60 * float(minutes) if minutes else None
            coming.append((begin_s, end_s, word(note, "note") or "no title"))
    if not coming:
        return ServerStatus(ok=True)
    begin_s, end_s, words = min(coming, key=lambda each: each[0])
    return ServerStatus(ok=True, words=f"kraken announces a maintenance: {words}", begin_s=begin_s, until_s=end_s)


def status_order(entry: Any) -> OrderRow | None:
    """One entry of the statuses; None for a trigger that gave way to the order it became, which is told apart."""
    body = entry.get("order") if isinstance(entry, dict) else None
    state = state_of(entry, "status", _STATUSES)
    gave_way = word(entry, "updateReason") in _SET_OFF and word(body, "type") == "TRIGGER_ORDER"
    return None if gave_way and state is LegState.CANCELLED else event_order(body, state)


def event_order(body: Any, state: LegState) -> OrderRow:
    """An order in an event of the trading API."""
    filled = number(body, "filled")
    waits = body.get("priceTriggerOptions") if isinstance(body, dict) else None
    return OrderRow(
        order_id=word(body, "orderId"),
        wire_id=word(body, "cliOrdId"),
        native_id=native(word(body, "symbol")),
        state=LegState.PARTIALLY_FILLED if state is LegState.OPEN and filled else state,
        filled=filled,
        average_price=None,
        contracts=None if filled else number(body, "quantity"),
        # A market order is shown with the price it was guarded by.
        price=price(body, "limitPrice") if state is LegState.OPEN else None,
        trigger_price=price(waits, "triggerPrice") if isinstance(waits, dict) else None,
    )


def event_trigger(body: Any, state: LegState) -> OrderRow:
    """An order that waits for its trigger, or did so until this event of the trading API."""
    return OrderRow(
        order_id=word(body, "uid"),
        wire_id=word(body, "clientId"),
        native_id=native(word(body, "symbol")),
        state=state,
        filled=Decimal(0),
        average_price=None,
        contracts=number(body, "quantity"),
        price=price(body, "limitPrice"),
        trigger_price=price(body, "triggerPrice"),
    )


def final_of(events: Any, wire_id: str) -> OrderRow | None:
    """The order that a cancel's events show to be gone; None where they do not say so beyond doubt.

    One that filled in part is left to the look-up: whether the event was made before or after its last fill is not
    documented.
    """
    for event in events if isinstance(events, list) else ():
        if word(event, "type") != "CANCEL":
            continue
        if isinstance(event.get("order"), dict):
            row = event_order(event["order"], LegState.CANCELLED)
        elif isinstance(event.get("orderTrigger"), dict):
            row = event_trigger(event["orderTrigger"], LegState.CANCELLED)
        else:
            continue
        if row.wire_id == wire_id and row.filled == 0:
            return row
    return None


def edited_order(events: Any, wire_id: str) -> OrderRow | None:
    """The order after an edit; None where it executed meanwhile or the events do not tell."""
    kinds = [word(event, "type") for event in events] if isinstance(events, list) else []
    if kinds != ["EDIT"]:
        return None
    new = events[0].get("new")
    row = event_order(new, LegState.OPEN) if isinstance(new, dict) and "orderId" in new else None
    return row if row is not None and row.wire_id == wire_id and row.filled == 0 else None


def open_order(row: Any) -> OrderRow:
    """One entry of the open orders; those that wait for a trigger are among them."""
    filled, left = number(row, "filledSize"), number(row, "unfilledSize")
    return OrderRow(
        order_id=word(row, "order_id"),
        wire_id=word(row, "cliOrdId"),
        native_id=native(word(row, "symbol")),
        state=state_of(row, "status", _OPEN_STATUSES),
        filled=filled,
        average_price=None,
        contracts=None if filled is None or left is None else filled + left,
        price=price(row, "limitPrice"),
        trigger_price=price(row, "stopPrice"),
    )


def position(row: Any) -> PositionRow:
    """One entry of the open positions."""
    size, native_id = number(row, "size"), native(word(row, "symbol"))
    if size is None or native_id is None:
        raise Unreadable("a position lacks its symbol or size")
    return PositionRow(
        native_id=native_id,
        contracts=-size if word(row, "side") == "short" else size,
        entry_price=price(row, "price"),
        mark_price=None,
        leverage=price(row, "maxFixedLeverage"),
        unrealised_pnl=None,
    )


def fills_of(rows: Sequence[Any], wire_id: str) -> list[tuple[str | None, Decimal, Decimal]]:
    """Order id, contracts and price of each of the newest fills that are an order's."""
    return [
        (word(row, "order_id"), number(row, "size") or Decimal(0), number(row, "price") or Decimal(0))
        for row in rows
        if word(row, "cliOrdId") == wire_id
    ]
