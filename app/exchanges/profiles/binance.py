"""Binance USDⓈ-M futures.

The expiry is the signed `timestamp` plus `recvWindow`, checked by the gateway and again by the matching engine. Client
order ids are unique among open orders only: sending the id of a filled order again fills twice. On another base URL
ccxt does not find its own table of linear codes, so codes are looked up here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from app.domain.calls import ExpiryEnforcement, Proof
from app.domain.limiter import RateLimit
from app.exchanges.client import Unreadable, type_client
from app.exchanges.codes.binance import CODES
from app.exchanges.profiles.base import (
    MAX_PAGES,
    OrderRow,
    PositionRow,
    Profile,
    WireOrder,
    class_names,
    combined,
    from_fills,
    listed,
    number,
    price,
    state_of,
    word,
)
from app.exchanges.rules.base import VALIDITY_S, VISIBILITY_S
from app.exchanges.symbols import Market, MarketTable
from messages.orders import LegState, OrderSpec

_STATES = {
    "NEW": LegState.OPEN,
    "PARTIALLY_FILLED": LegState.PARTIALLY_FILLED,
    "FILLED": LegState.FILLED,
    "CANCELED": LegState.CANCELLED,
    "EXPIRED": LegState.EXPIRED,
    "EXPIRED_IN_MATCH": LegState.EXPIRED,
    "REJECTED": LegState.REFUSED,
}
"""`status`: https://developers.binance.com/docs/derivatives/usds-margined-futures/common-definition"""

_PAGE = 1000
_SLACK_MS = 60_000
_WEEK_MS = 7 * 24 * 3600 * 1000
"""The longest period `allOrders` looks back over."""


class Binance(Profile):
    """The profile."""

    name = "binance"
    ccxt_id = "binanceusdm"
    options = MappingProxyType({"fetchMargins": False, "warnOnFetchOpenOrdersWithoutSymbol": False})
    market_rows = ("symbols",)
    codes = CODES
    proof = Proof(
        enforcement=ExpiryEnforcement.ENGINE, validity_s=VALIDITY_S, lateness_s=0.0, visibility_s=VISIBILITY_S
    )
    rate_limit = RateLimit(per_s=20.0, burst=50)
    """https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info: 300 orders in 10 s, 2,400
    request weight a minute; most calls weigh 1."""
    attaches_exits = False

    def native_code(self, answer: Any) -> tuple[str, str] | None:
        """`code`, unless it is 0 or 200; -2010 with the words of a duplicate becomes the code of one."""
        code = word(answer, "code") if isinstance(answer, dict) else None
        if code in (None, "0", "200"):
            return None
        words = word(answer, "msg") or ""
        if code == "-2010" and words.startswith("Duplicate"):
            return "-4116", words
        return str(code), words

    def known_as(self, client: type_client, code: str) -> tuple[str, ...]:
        """The linear table first, which ccxt itself uses on Binance's own URL only."""
        linear = client.exceptions.get("linear", {}).get("exact", {}).get(code)
        return class_names(linear) if linear is not None else super().known_as(client, code)

    def unsupported(self, spec: OrderSpec) -> str:
        """ccxt would send attached exits as junk parameters without raising."""
        if spec.take_profit is not None or spec.stop_loss is not None:
            return "A take profit or stop loss attached to an order is not supported yet on binance: leave it out."
        return super().unsupported(spec)

    def order_params(self, order: WireOrder) -> dict[str, Any]:
        """The window begins at the pinned timestamp."""
        return {**super().order_params(order), "recvWindow": order.pin.window_ms}

    def placed_row(self, info: Any) -> OrderRow:
        """The whole order."""
        return _order(info)

    async def signed_probe(self, client: type_client) -> None:
        """The account."""
        listed(await client.fapiPrivateV3GetAccount({}), "assets")

    async def cancel(
        self, client: type_client, market: Market, wire_id: str, order_id: str | None = None, *, conditional: bool
    ) -> OrderRow | None:
        """Answers the cancelled order, what filled of it included."""
        answer = await client.fapiPrivateDeleteOrder({"symbol": market.native_id, "origClientOrderId": wire_id})
        row = _order(answer)
        if row.order_id is None:
            raise Unreadable("the answer to the cancel names no order")
        return row if row.state is LegState.CANCELLED and row.filled is not None else None

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
        """The order itself, open or closed; then all orders; then, where its own id is known, its fills.

        Binance's fills do not tell the client order id.
        """
        asked = {"symbol": market.native_id, "origClientOrderId": wire_id}
        answer = await self.unless_unknown(client.fapiPrivateGetOrder(asked))
        orders = [] if answer is None else [_order(answer)]
        if not orders:
            begin = max(since_ms - _SLACK_MS, client.milliseconds() - _WEEK_MS + _SLACK_MS)
            scope = {"symbol": market.native_id, "startTime": begin}
            orders = [_order(row) for row in await _paged(client.fapiPrivateGetAllOrders, scope)]
        found = combined([row for row in orders if row.wire_id == wire_id])
        if found is not None or order_id is None:
            return found
        trades = await client.fapiPrivateGetUserTrades({"symbol": market.native_id, "orderId": order_id})
        fills = [
            (word(row, "orderId"), number(row, "qty") or Decimal(0), number(row, "price") or Decimal(0))
            for row in listed(trades)
            if word(row, "orderId") == order_id
        ]
        return from_fills(fills, wire_id, market.native_id)

    async def open_orders(
        self, client: type_client, table: MarketTable, market: Market | None, *, conditional: bool
    ) -> list[OrderRow]:
        """All, or of one market."""
        scope = {"symbol": market.native_id} if market is not None else {}
        return [_order(row) for row in listed(await client.fapiPrivateGetOpenOrders(scope))]

    async def positions(self, client: type_client, table: MarketTable) -> list[PositionRow]:
        """Asked for directly: ccxt's own call loads leverage brackets first."""
        return [_position(row) for row in listed(await client.fapiPrivateV3GetPositionRisk({}))]

    async def ticker(self, client: type_client, market: Market) -> Mapping[str, Any]:
        """The daily ticker of futures lacks bid and ask."""
        found = await super().ticker(client, market)
        best = await client.fapiPublicGetTickerBookTicker({"symbol": market.native_id})
        return {**found, "bid": word(best, "bidPrice"), "ask": word(best, "askPrice")}


async def _paged(ask: Callable[[dict[str, Any]], Any], scope: dict[str, Any]) -> list[Any]:
    rows: list[Any] = []
    for _ in range(MAX_PAGES):
        if rows:
            scope = {"symbol": scope["symbol"], "orderId": int(word(rows[-1], "orderId") or 0) + 1}
        page = listed(await ask({**scope, "limit": _PAGE}))
        rows.extend(page)
        if len(page) < _PAGE:
            return rows
    raise Unreadable(f"the list has more than {MAX_PAGES} pages")


def _order(row: Any) -> OrderRow:
    return OrderRow(
        order_id=word(row, "orderId"),
        wire_id=word(row, "clientOrderId"),
        native_id=word(row, "symbol"),
        state=state_of(row, "status", _STATES),
        filled=number(row, "executedQty"),
        average_price=price(row, "avgPrice"),
    )


def _position(row: Any) -> PositionRow:
    size = number(row, "positionAmt")
    native_id = word(row, "symbol")
    if size is None or native_id is None:
        raise Unreadable("a position lacks its symbol or size")
    return PositionRow(
        native_id=native_id,
        contracts=size,
        entry_price=price(row, "entryPrice"),
        mark_price=price(row, "markPrice"),
        leverage=price(row, "leverage"),
        unrealised_pnl=number(row, "unRealizedProfit"),
    )
