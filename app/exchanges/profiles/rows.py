"""What answers of exchanges hold, as rows: an order, a fill, a position, and how the fields of an answer are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from attrs import frozen

from app.exchanges.client import Unreadable
from messages.executions import Cause
from messages.market import MarginMode, PositionMode
from messages.orders import LegState, Side

MAX_PAGES = 20
"""Of any list; an account with more is told so rather than half read."""


@frozen(kw_only=True)
class OrderRow:
    """An order as one answer of the exchange shows it.

    Attributes:
        order_id: None where the answer names none.
        filled: Contracts; None where the answer does not say.
        contracts: What the order is for by now, what has filled included; None where the answer does not say.
        price: Its limit by now; None where it has none or the answer does not say.
        trigger_price: What it waits for; None where it waits for nothing or the answer does not say.
        ended: It ended, but the answer leaves out at which price it executed: it is shown as open, to be looked up.
        forgotten_ms: No answer shows it. That it ended without a fill follows from what the exchange forgets so long
            after it was placed, and holds only where it is that old and is missing for longer than answers lag behind.
    """

    order_id: str | None
    wire_id: str | None
    native_id: str | None
    state: LegState
    filled: Decimal | None
    average_price: Decimal | None
    contracts: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    ended: bool = False
    forgotten_ms: int | None = None


@frozen(kw_only=True)
class FillRow:
    """One execution as the exchange shows it; `contracts` is not signed, `fee` is below zero for a rebate.

    Attributes:
        cause: Why it was executed although nobody ordered it; None where it was ordered, or the answer does not say.
    """

    trade_id: str
    order_id: str
    wire_id: str | None
    native_id: str
    side: Side
    contracts: Decimal
    price: Decimal
    fee: Decimal | None
    fee_coin: str | None
    maker: bool | None
    at_s: float
    cause: Cause | None = None


def of_order(rows: Iterable[FillRow], wire_id: str | None, order_id: str | None) -> list[FillRow]:
    """Those of one order, by either of its ids."""
    return [
        row
        for row in rows
        if (wire_id is not None and row.wire_id == wire_id) or (order_id is not None and row.order_id == order_id)
    ]


@frozen(kw_only=True)
class PositionRow:
    """A position as the exchange shows it; `contracts` is signed."""

    native_id: str
    contracts: Decimal
    entry_price: Decimal | None
    mark_price: Decimal | None
    leverage: Decimal | None
    unrealised_pnl: Decimal | None
    liquidation_price: Decimal | None = None


@frozen(kw_only=True)
class MarketRow:
    """What an account has set for a market; None where the exchange does not tell."""

    native_id: str
    leverage: Decimal | None
    margin_mode: MarginMode | None


@frozen(kw_only=True)
class AccountRow:
    """What an account is like.

    Attributes:
        free: Margin that is left for orders and positions, in quote coin; None where that is in the balances.
    """

    position_mode: PositionMode | None = None
    free: Decimal | None = None
    markets: tuple[MarketRow, ...] = ()


def accepted(order_id: str | None, wire_id: str | None) -> OrderRow:
    """What an answer to a placement shows that tells ids, and nothing else."""
    return OrderRow(
        order_id=order_id, wire_id=wire_id, native_id=None, state=LegState.OPEN, filled=None, average_price=None
    )


def forgotten(order_id: str, native_id: str, after_ms: int, wire_id: str | None = None) -> OrderRow:
    """An order that its exchange had and that nothing there knows any more, since it ended without a fill.

    Args:
        after_ms: How long after such an end the exchange forgets.
    """
    return OrderRow(
        order_id=order_id,
        wire_id=wire_id,
        native_id=native_id,
        state=LegState.CANCELLED,
        filled=Decimal(0),
        average_price=None,
        forgotten_ms=after_ms,
    )


def listed(answer: Any, *path: str) -> list[Any]:
    """The list at a path of an answer. Raises Unreadable where there is none."""
    found = answer
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, list):
        raise Unreadable(f"the answer has no list {'.'.join(path) or 'at its top'}")
    return found


def word(row: Any, *keys: str) -> str | None:
    """The first of some keys that holds a text that is not empty."""
    if not isinstance(row, dict):
        raise Unreadable("an item of the answer is no object")
    for key in keys:
        value = row.get(key)
        if value is not None and value != "":
            return str(value)
    return None


def number(row: Any, *keys: str) -> Decimal | None:
    """The first of some keys that holds a number, exactly as it was written."""
    text = word(row, *keys)
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise Unreadable(f"{keys[0]} holds {text!r}, which is no number")
    return value


def price(row: Any, *keys: str) -> Decimal | None:
    """Like `number`, with zero standing for none, as exchanges write it."""
    return number(row, *keys) or None


def state_of(row: Any, key: str, states: Mapping[str, LegState]) -> LegState:
    """The state a row's status means. Raises Unreadable for a status nobody has classified."""
    said = word(row, key)
    state = states.get(said or "")
    if state is None:
        raise Unreadable(f"{key} is {said!r}, which is not a known status")
    return state


def combined(rows: Sequence[OrderRow]) -> OrderRow | None:
    """One row for all orders found under one wire id; None for none.

    There should be one at most. Where an exchange let the id be used twice, what filled is the sum and the order is
    live while one of them is: hiding either would hide a fill.
    """
    distinct = list({row.order_id: row for row in rows}.values())
    if len(distinct) <= 1:
        return distinct[0] if distinct else None
    live = [row for row in distinct if row.state in (LegState.OPEN, LegState.PARTIALLY_FILLED)]
    first = live[0] if live else distinct[0]
    filled = sum((row.filled or Decimal(0) for row in distinct), Decimal(0))
    worth = sum(((row.filled or Decimal(0)) * (row.average_price or Decimal(0)) for row in distinct), Decimal(0))
    return OrderRow(
        order_id=first.order_id,
        wire_id=first.wire_id,
        native_id=first.native_id,
        state=first.state,
        filled=filled,
        average_price=worth / filled if filled and worth else None,
    )


def from_fills(fills: Sequence[tuple[str | None, Decimal, Decimal]], wire_id: str, native_id: str) -> OrderRow | None:
    """What fills alone prove of an order: (order id, contracts, price) each. Its end they do not prove."""
    if not fills:
        return None
    filled = sum((contracts for _, contracts, _ in fills), Decimal(0))
    worth = sum((contracts * price for _, contracts, price in fills), Decimal(0))
    return OrderRow(
        order_id=fills[0][0],
        wire_id=wire_id,
        native_id=native_id,
        state=LegState.PARTIALLY_FILLED,
        filled=filled,
        average_price=worth / filled if filled else None,
    )
