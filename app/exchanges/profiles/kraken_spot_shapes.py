"""How Kraken spot writes an order and a fill: from its answers to a profile's rows.

Orders and fills are told under their id, which is no field of them; an order names its pair by the short name
(`XBTUSD`), a fill by the long one (`XXBTZUSD`). A price of zero stands for none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.exchanges.client import Unreadable, type_client
from app.exchanges.codes.kraken_spot import SYSTEM_WORDS
from app.exchanges.profiles.base import ServerStatus
from app.exchanges.profiles.rows import FillRow, OrderRow, number, price, state_of, word
from app.exchanges.symbols import Market
from messages.orders import LegState, Side

_STATES = {
    "pending": LegState.OPEN,
    "open": LegState.OPEN,
    "closed": LegState.FILLED,
    "canceled": LegState.CANCELLED,
    "expired": LegState.EXPIRED,
}
"""`status`: https://docs.kraken.com/api/docs/rest-api/get-orders-info."""


def result(answer: Any, *path: str) -> dict[str, Any]:
    """The object at a path of `result`. Raises Unreadable where there is none."""
    found = answer.get("result") if isinstance(answer, dict) else None
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise Unreadable(f"the answer has no {'.'.join(('result', *path))}")
    return found


def rows(answer: Any, *path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Id and body of each order or fill of a list."""
    for name, body in result(answer, *path).items():
        if not isinstance(body, dict):
            raise Unreadable("an item of the list is no object")
        yield name, body


def short_names(client: type_client) -> Mapping[str, str]:
    """Native name of a pair by each of its names."""
    names = {}
    for market in client.markets.values():
        names[market["altname"]] = names[market["id"]] = market["id"]
    return names


def order(order_id: str, body: Mapping[str, Any], native_id: str | None) -> OrderRow:
    """An order of the open ones, of those that ended, or asked for by id."""
    descr = body.get("descr")
    kind = word(descr, "ordertype") if isinstance(descr, dict) else None
    filled, state = number(body, "vol_exec"), state_of(body, "status", _STATES)
    if kind == "limit":
        limit = price(descr, "price")
    else:
        limit = price(descr, "price2") if kind is not None and kind.endswith("-limit") else None
    if state is LegState.OPEN and filled:
        state = LegState.PARTIALLY_FILLED
    return OrderRow(
        order_id=order_id,
        wire_id=word(body, "cl_ord_id"),
        native_id=native_id,
        state=state,
        filled=filled,
        average_price=price(body, "price"),
        contracts=number(body, "vol"),
        price=limit,
    )


def pair_of(body: Mapping[str, Any], names: Mapping[str, str]) -> str | None:
    """The native name of an order's pair."""
    descr = body.get("descr")
    said = word(descr, "pair") if isinstance(descr, dict) else None
    return None if said is None else names.get(said, said)


def fill(trade_id: str, body: Mapping[str, Any], market: Market) -> FillRow:
    """A fill; it does not tell the client order id. Fees are asked for in the quote coin."""
    order_id, side, at = word(body, "ordertxid"), word(body, "type"), number(body, "time")
    contracts, paid, maker = number(body, "vol"), price(body, "price"), body.get("maker")
    if order_id is None or side is None or at is None or contracts is None or paid is None:
        raise Unreadable("a fill lacks its order, side, time, quantity or price")
    return FillRow(
        trade_id=trade_id,
        order_id=order_id,
        wire_id=None,
        native_id=market.native_id,
        side=Side(side),
        contracts=contracts,
        price=paid,
        fee=number(body, "fee"),
        fee_coin=market.symbol.quote,
        maker=maker if isinstance(maker, bool) else None,
        at_s=float(at),
    )


def system_status(said: str | None) -> ServerStatus:
    """What the exchange takes now, by its own word for it."""
    if said == "online":
        return ServerStatus(ok=True)
    return ServerStatus(ok=False, words=SYSTEM_WORDS.get(said or "", f"kraken says its status is {said!r}."))
