"""Bybit V5, linear swaps of a unified account.

The expiry is the signed `X-BAPI-TIMESTAMP` plus `X-BAPI-RECV-WINDOW`, checked by the gateway on arrival. A create
answers the ids and nothing more. `cancel_order` takes the native name of the client order id only, and `fetch_order`
cannot ask by it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from app.domain.limiter import RateLimit
from app.exchanges.client import Pin, Unreadable, type_client
from app.exchanges.codes.bybit import CODES
from app.exchanges.profiles.base import (
    MAX_PAGES,
    OrderRow,
    PositionRow,
    Profile,
    WireOrder,
    combined,
    from_fills,
    listed,
    number,
    price,
    state_of,
    word,
)
from app.exchanges.rules import bybit as rules
from app.exchanges.sizes import plain
from app.exchanges.symbols import Market, MarketTable
from messages.orders import LegState

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
"""`orderStatus`: https://bybit-exchange.github.io/docs/v5/enum#orderstatus. Cancelled may have filled in part."""

_ACCOUNT = MappingProxyType({"enableUnifiedMargin": bool, "enableUnifiedAccount": bool, "unifiedMarginStatus": int})
"""Options in which ccxt remembers what kind of account it is."""


class Bybit(Profile):
    """The profile."""

    name = "bybit"
    ccxt_id = "bybit"
    options = MappingProxyType(
        {"fetchMarkets": {"types": ["linear"]}, "defaultType": "swap", "defaultSubType": "linear"}
    )
    market_rows = ("result", "list")
    codes = CODES
    proof = rules.SWAP.proof
    look_back_s = rules.SWAP.look_back_s.value
    rate_limit = RateLimit(per_s=10.0, burst=10)
    """https://bybit-exchange.github.io/docs/v5/rate-limit: 10 orders a second by default; 600 requests in 5 s by IP."""
    attaches_exits = True

    def native_code(self, answer: Any) -> tuple[str, str] | None:
        """`retCode`, unless it is 0."""
        code = word(answer, "retCode", "ret_code") if isinstance(answer, dict) else None
        return None if code in (None, "0") else (str(code), word(answer, "retMsg", "ret_msg") or "")

    def wait_s(self, headers: Mapping[str, str], server_now_s: float) -> float | None:
        """Bybit says when the limit is reset: https://bybit-exchange.github.io/docs/v5/rate-limit."""
        reset_ms = headers.get("x-bapi-limit-reset-timestamp", "")
        remaining = headers.get("x-bapi-limit-status")
        if remaining == "0" and reset_ms.isdecimal():
            return int(reset_ms) / 1000 - server_now_s
        return super().wait_s(headers, server_now_s)

    def order_params(self, order: WireOrder) -> dict[str, Any]:
        """Adds take profit and stop loss, set off by the last price."""
        params = super().order_params(order)
        if order.spec.take_profit is not None:
            params["takeProfit"] = {"triggerPrice": plain(order.spec.take_profit)}
        if order.spec.stop_loss is not None:
            params["stopLoss"] = {"triggerPrice": plain(order.spec.stop_loss)}
        return params

    def sign_pinned(self, client: type_client, sign: Callable[[], dict[str, Any]], pin: Pin) -> dict[str, Any]:
        """The receive window is the validity; signing does not wait, so that the option is ours meanwhile."""
        usual = client.options["recvWindow"]
        client.options["recvWindow"] = pin.window_ms
        try:
            return sign()
        finally:
            client.options["recvWindow"] = usual

    def placed_row(self, info: Any) -> OrderRow:
        """Two ids."""
        return OrderRow(
            order_id=word(info, "orderId"),
            wire_id=word(info, "orderLinkId"),
            native_id=None,
            state=LegState.OPEN,
            filled=None,
            average_price=None,
        )

    async def warm_up(self, client: type_client) -> None:
        """ccxt asks before the first order whether the account is a unified one: two calls."""
        # By a copy without what is known, so that orders meanwhile rely on that, and do not ask too.
        asking = copy.copy(client)
        asking.options = {key: value for key, value in client.options.items() if key not in _ACCOUNT}
        try:
            await asking.is_unified_enabled()
        finally:
            asking.session = None  # not its own: ccxt complains where a client with one is thrown away
        client.options.update(self.learned(asking))

    def learned(self, client: type_client) -> dict[str, Any]:
        """What kind of account it is."""
        return {key: client.options[key] for key in _ACCOUNT if client.options.get(key) is not None}

    def recall(self, client: type_client, learned: Any) -> None:
        """All of it, or nothing."""
        if isinstance(learned, dict) and all(isinstance(learned.get(key), kind) for key, kind in _ACCOUNT.items()):
            client.options.update({key: learned[key] for key in _ACCOUNT})

    async def signed_probe(self, client: type_client) -> None:
        """The wallet."""
        answer = await client.privateGetV5AccountWalletBalance({"accountType": "UNIFIED"})
        listed(answer, "result", "list")

    async def cancel(
        self, client: type_client, market: Market, wire_id: str, order_id: str | None = None, *, conditional: bool
    ) -> OrderRow | None:
        """Acknowledges the request only."""
        answer = await client.privatePostV5OrderCancel(
            {"category": "linear", "symbol": market.native_id, "orderLinkId": wire_id}
        )
        if not isinstance(answer, dict) or word(answer.get("result"), "orderId") is None:
            raise Unreadable("the answer to the cancel names no order")
        return None

    async def find(
        self,
        client: type_client,
        market: Market,
        wire_id: str,
        order_id: str | None,
        since_ms: int,
        *,
        conditional: bool,
    ) -> OrderRow | None:
        """Open and recently closed, then history (the only place after the exchange restarted), then executions."""
        asked = {"category": "linear", "symbol": market.native_id, "orderLinkId": wire_id}
        for ask in (client.privateGetV5OrderRealtime, client.privateGetV5OrderHistory):
            rows = [_order(row) for row in listed(await ask(asked), "result", "list")]
            found = combined([row for row in rows if row.wire_id == wire_id])
            if found is not None:
                return found
        fills = [
            (word(row, "orderId"), number(row, "execQty") or Decimal(0), number(row, "execPrice") or Decimal(0))
            for row in listed(await client.privateGetV5ExecutionList(asked), "result", "list")
            if word(row, "orderLinkId") == wire_id
        ]
        return from_fills(fills, wire_id, market.native_id)

    async def open_orders(
        self, client: type_client, table: MarketTable, market: Market | None, *, conditional: bool
    ) -> list[OrderRow]:
        """By market, or by each settlement coin."""
        live = (LegState.OPEN, LegState.PARTIALLY_FILLED)
        rows = await _paged(client.privateGetV5OrderRealtime, _scopes(table, market), 50)
        return [order for order in map(_order, rows) if order.state in live]

    async def positions(self, client: type_client, table: MarketTable) -> list[PositionRow]:
        """By each settlement coin."""
        rows = await _paged(client.privateGetV5PositionList, _scopes(table, None), 200)
        return [_position(row) for row in rows]


def _scopes(table: MarketTable, market: Market | None) -> list[dict[str, Any]]:
    if market is not None:
        return [{"category": "linear", "symbol": market.native_id}]
    return [{"category": "linear", "settleCoin": coin} for coin in table.settlement_coins]


async def _paged(ask: Callable[[dict[str, Any]], Any], scopes: list[dict[str, Any]], limit: int) -> list[Any]:
    rows: list[Any] = []
    for scope in scopes:
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            answer = await ask({**scope, "limit": limit, **({"cursor": cursor} if cursor else {})})
            page = listed(answer, "result", "list")
            rows.extend(page)
            cursor = word(answer["result"], "nextPageCursor")
            if cursor is None or len(page) < limit:
                break
        else:
            raise Unreadable(f"the list has more than {MAX_PAGES} pages")
    return rows


def _order(row: Any) -> OrderRow:
    return OrderRow(
        order_id=word(row, "orderId"),
        wire_id=word(row, "orderLinkId"),
        native_id=word(row, "symbol"),
        state=state_of(row, "orderStatus", _STATES),
        filled=number(row, "cumExecQty"),
        average_price=price(row, "avgPrice"),
    )


def _position(row: Any) -> PositionRow:
    size = number(row, "size")
    native_id = word(row, "symbol")
    if size is None or native_id is None:
        raise Unreadable("a position lacks its symbol or size")
    return PositionRow(
        native_id=native_id,
        contracts=-size if word(row, "side") == "Sell" else size,
        entry_price=price(row, "avgPrice"),
        mark_price=price(row, "markPrice"),
        leverage=price(row, "leverage"),
        unrealised_pnl=number(row, "unrealisedPnl"),
    )
