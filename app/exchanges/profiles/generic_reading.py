"""What ccxt has read of an exchange's answers, read again: strictly, since nobody has checked it there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from app.exchanges.client import Trace, Unreadable, type_client
from app.exchanges.profiles.rows import FillRow, OrderRow, PositionRow, number
from messages.market import MarketType
from messages.orders import LegState, OrderSpec, OrderType, Side, TimeInForce

LEAST_CUT = 20
"""Where ccxt does not say how long a page of a list is: one of so many rows may have been cut."""

_SHARED = 12
"""Of the digits of a wire id, those that all of one journal begin with: so few tell nothing."""


def wished(spec: OrderSpec) -> Iterator[tuple[str, bool]]:
    """What an order asks for beyond the usual, as `generic_trial` calls it."""
    limit = spec.order_type is OrderType.LIMIT
    yield spec.time_in_force.value, limit and spec.time_in_force is not TimeInForce.GTC
    yield "reduce-only", spec.reduce_only


def features(client: type_client, market_type: MarketType, call: str) -> Mapping[str, Any]:
    """What ccxt says of a call."""
    told = client.features or {}
    kind = told.get("spot") if market_type is MarketType.SPOT else (told.get("swap") or {}).get("linear")
    found = (kind or {}).get(call)
    return found if isinstance(found, Mapping) else {}


def page(client: type_client, market_type: MarketType, call: str) -> int | None:
    """How many rows an answer holds; None where ccxt does not say."""
    limit = features(client, market_type, call).get("limit")
    return int(limit) if limit else None


def longest(trace: Trace | None) -> int:
    """How many rows the newest answer had, before ccxt chose among them."""
    return 0 if trace is None else max(_lengths(trace.answer, 0), default=0)


def _lengths(value: Any, depth: int) -> Iterator[int]:
    if isinstance(value, list):
        yield len(value)
    elif isinstance(value, dict) and depth < 4:
        for each in value.values():
            yield from _lengths(each, depth + 1)


def prove_absence(rows: list[OrderRow], whole: bool, what: str, wire_id: str) -> None:
    """Raises Unreadable where an order that is not in a list may be there all the same."""
    if not whole:
        raise Unreadable(f"the list of {what} may have been cut, so that what is not in it may be there all the same")
    if any(row.wire_id is None for row in rows):
        raise Unreadable(f"the list of {what} shows one without a client order id, which may be the one looked for")
    if any(_resembles(row.wire_id or "", wire_id) for row in rows):
        raise Unreadable(f"the list of {what} shows a client order id that is nearly the one looked for")


def _resembles(shown: str, wire_id: str) -> bool:
    """Whether an exchange may have made one of the other: a prefix of its own, capitals, an end cut off."""
    shown, own = shown.lower(), wire_id.lower()
    return own in shown or (len(shown) > _SHARED and shown in own)


def order(client: type_client, row: Mapping[str, Any]) -> OrderRow:
    """An order of any list."""
    filled, amount = _number(row.get("filled")), _number(row.get("amount"))
    return OrderRow(
        order_id=str(row["id"]) if row.get("id") else None,
        wire_id=row.get("clientOrderId") or None,
        native_id=str(client.market(row["symbol"])["id"]) if row.get("symbol") else None,
        state=_state(row.get("status"), filled, amount),
        filled=filled,
        average_price=_number(row.get("average")) or None,
        contracts=amount or None,
        price=_number(row.get("price")) or None if row.get("type") == "limit" else None,
    )


def _state(status: Any, filled: Decimal | None, amount: Decimal | None) -> LegState:
    """`closed` is what ccxt calls an order that filled, or one that ended: what filled decides."""
    match status:
        case "open" | "canceling":
            return LegState.PARTIALLY_FILLED if filled else LegState.OPEN
        case "closed":
            if filled is None or amount is None:
                raise Unreadable("an order ended, and ccxt does not say what filled of it")
            return LegState.FILLED if filled >= amount else LegState.CANCELLED
        case "canceled":
            return LegState.CANCELLED
        case "expired":
            return LegState.EXPIRED
        case "rejected":
            return LegState.REFUSED
        case _:
            raise Unreadable(f"an order's status is {status!r}, which is not one of ccxt's")


def amounts(trade: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """Contracts and price of a fill."""
    amount, price = _number(trade.get("amount")), _number(trade.get("price"))
    if amount is None or price is None:
        raise Unreadable("a fill lacks its amount or price")
    return amount, price


def fill(trade: Mapping[str, Any], native_id: str) -> FillRow:
    """One execution. The fee is ccxt's: above zero where it was paid."""
    amount, price = amounts(trade)
    fee = trade.get("fee") or {}
    at_ms = trade.get("timestamp")
    if not trade.get("id") or at_ms is None or trade.get("side") not in ("buy", "sell"):
        raise Unreadable("a fill lacks its id, time or side")
    return FillRow(
        trade_id=str(trade["id"]),
        order_id=str(trade.get("order") or ""),
        wire_id=None,
        native_id=native_id,
        side=Side(trade["side"]),
        contracts=amount,
        price=price,
        fee=_number(fee.get("cost")),
        fee_coin=fee.get("currency"),
        maker=None if trade.get("takerOrMaker") is None else trade["takerOrMaker"] == "maker",
        at_s=float(at_ms) / 1000,
    )


def position(client: type_client, row: Mapping[str, Any]) -> PositionRow:
    """A position, signed."""
    contracts = _number(row.get("contracts"))
    if contracts is None or row.get("side") not in ("long", "short", None):
        raise Unreadable("a position lacks its size or side")
    if contracts and row.get("side") is None:
        raise Unreadable("a position lacks its side")
    return PositionRow(
        native_id=str(client.market(row["symbol"])["id"]),
        contracts=-abs(contracts) if row.get("side") == "short" else abs(contracts),
        entry_price=_number(row.get("entryPrice")) or None,
        mark_price=_number(row.get("markPrice")) or None,
        leverage=_number(row.get("leverage")) or None,
        unrealised_pnl=_number(row.get("unrealizedPnl")),
        liquidation_price=_number(row.get("liquidationPrice")) or None,
    )


def _number(value: Any) -> Decimal | None:
    return None if value is None else number({"": value}, "")


def scalars(value: Any, depth: int = 0) -> Iterator[str]:
    """What an answer that refuses says, in words and numbers, the outer first."""
    if isinstance(value, dict) and depth < 4:
        for each in value.values():
            if not isinstance(each, dict | list):
                yield str(each)
        for each in value.values():
            yield from scalars(each, depth + 1) if isinstance(each, dict | list) else ()
    elif isinstance(value, list) and depth < 4:
        for each in value:
            yield from scalars(each, depth + 1)
    elif value is not None:
        yield str(value)


def classes(table: Any, code: str) -> Iterator[str]:
    """The classes that ccxt's exact tables have for a code; some exchanges have one for each kind of market."""
    for key, value in table.items() if isinstance(table, dict) else ():
        if key == "broad":
            continue
        if key == code and isinstance(value, type):
            yield value.__name__
        elif isinstance(value, dict):
            yield from classes(value, code)


def words(answer: Any) -> str:
    """The longest text of an answer that refuses."""
    return max(scalars(answer), key=len, default="")
