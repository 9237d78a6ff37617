"""Orders of Binance's USDⓈ-M futures that wait for a trigger: a service of its own, with ids and endpoints of its own.

Since December 2025 the ordinary endpoints refuse them (-4120): they are placed at `/fapi/v1/algoOrder` under a
`clientAlgoId`, which carries our wire id. Set off, one becomes an ordinary order under another number
(`actualOrderId`); everything about it is asked of that order from then on, and told under our wire id.

Sources: https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Algo-Order, and for
the states https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Algo-Order-Update.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from app.exchanges.client import Unreadable, type_client
from app.exchanges.profiles.binance_shapes import FORGOTTEN_MS, LIVE, executed, gone, order_row
from app.exchanges.profiles.rows import OrderRow, forgotten, from_fills, listed, number, price, state_of, word
from app.exchanges.symbols import Market
from messages.orders import LegState

_STATES = {
    "NEW": LegState.OPEN,
    "TRIGGERING": LegState.OPEN,
    "TRIGGERED": LegState.OPEN,
    "FINISHED": LegState.OPEN,
    "CANCELED": LegState.CANCELLED,
    "EXPIRED": LegState.EXPIRED,
    "REJECTED": LegState.REFUSED,
}
"""`algoStatus`. REJECTED: denied by the matching engine when it was set off, for want of margin for instance. FINISHED:
it became an order that ended; whether that filled only the order itself tells."""
_SET_OFF = frozenset({"TRIGGERING", "TRIGGERED", "FINISHED"})

UnlessUnknown = Callable[[Awaitable[Any]], Awaitable[Any]]
"""`Profile.unless_unknown`."""


def is_algo(row: Any) -> bool:
    """Whether an answer shows an order of this service."""
    return isinstance(row, dict) and "algoId" in row


def algo_row(row: Any) -> OrderRow:
    """An order of this service: nothing of it filled, or that is told by the order it became."""
    return OrderRow(
        order_id=word(row, "algoId"),
        wire_id=word(row, "clientAlgoId"),
        native_id=word(row, "symbol"),
        state=state_of(row, "algoStatus", _STATES),
        filled=None if word(row, "algoStatus") in _SET_OFF else Decimal(0),
        average_price=None,
        contracts=number(row, "quantity") or None,
        price=price(row, "price"),
    )


def became(row: Any) -> str | None:
    """The number of the ordinary order it became; None while it waits, or where it never did."""
    actual = word(row, "actualOrderId") if word(row, "algoStatus") in _SET_OFF else None
    return None if actual == "0" else actual


async def ask(client: type_client, wire_id: str, unless_unknown: UnlessUnknown) -> Any:
    """The order as the service has it; None where it says by a code that it knows none."""
    return await unless_unknown(client.fapiPrivateGetAlgoOrder({"clientAlgoId": wire_id}))


async def follow(client: type_client, market: Market, row: Any, unless_unknown: UnlessUnknown) -> OrderRow:
    """What an order of this service is by now: itself while it waits, otherwise the order it became.

    Raises:
        Unreadable: It became an order that is not shown yet, so that nobody can say what filled of it.
    """
    wire_id, actual = word(row, "clientAlgoId"), became(row)
    shown = algo_row(row)
    if actual is None:
        if word(row, "algoStatus") == "FINISHED":
            raise Unreadable("a trigger order is finished and names no order it became")
        return shown
    answer = await unless_unknown(client.fapiPrivateGetOrder({"symbol": market.native_id, "orderId": actual}))
    if answer is not None:
        return order_row(answer, wire_id)
    trades = await client.fapiPrivateGetUserTrades({"symbol": market.native_id, "orderId": actual})
    found = from_fills(executed(trades, actual), wire_id or "", market.native_id)
    if found is not None:
        return found
    set_off_ms = number(row, "triggerTime", "updateTime")
    if set_off_ms is None or client.milliseconds() - set_off_ms < FORGOTTEN_MS:
        raise Unreadable("a trigger order became an order that is not shown yet")
    return forgotten(actual, market.native_id, FORGOTTEN_MS, wire_id or "")


async def cancel(client: type_client, market: Market, wire_id: str, unless_unknown: UnlessUnknown) -> OrderRow | None:
    """Cancels an order that waits, or else the order it became. Raises the exchange's word where there is neither."""
    if await unless_unknown(_withdraw(client, wire_id)) is None:
        row = await ask(client, wire_id, unless_unknown)
        actual = None if row is None else became(row)
        if actual is not None:
            return gone(await client.fapiPrivateDeleteOrder({"symbol": market.native_id, "orderId": actual}), wire_id)
        await _withdraw(client, wire_id)  # so that the exchange itself says that it is too late
    return None  # acknowledged: should it have been set off meanwhile, the look-up tells


async def _withdraw(client: type_client, wire_id: str) -> Any:
    answer = await client.fapiPrivateDeleteAlgoOrder({"clientAlgoId": wire_id})
    if word(answer, "algoId") is None:
        raise Unreadable("the answer to the cancel names no order")
    return answer


def waiting(rows: Any) -> list[OrderRow]:
    """Those of a list that wait."""
    return [row for row in map(algo_row, listed(rows)) if row.state in LIVE]
