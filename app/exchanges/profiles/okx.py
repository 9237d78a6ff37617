"""OKX V5, linear swaps in net mode; sizes are in contracts.

The expiry is the request header `expTime` (Unix ms), checked by the gateway on arrival and not signed; ccxt does not
send it. The signed `OK-ACCESS-TIMESTAMP` is pinned as well. Client order ids hold 32 letters and digits, which is what
a wire id is.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from app.domain.calls import ExpiryEnforcement, Proof
from app.domain.limiter import RateLimit
from app.exchanges.client import Pin, Unreadable, type_client
from app.exchanges.codes.okx import CODES
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
from app.exchanges.rules.base import GATEWAY_LATENESS_S, VALIDITY_S, VISIBILITY_S
from app.exchanges.sizes import plain
from app.exchanges.symbols import Market, MarketTable
from messages.orders import LegState

_STATES = {
    "live": LegState.OPEN,
    "partially_filled": LegState.PARTIALLY_FILLED,
    "filled": LegState.FILLED,
    "canceled": LegState.CANCELLED,
    "mmp_canceled": LegState.CANCELLED,
    "order_failed": LegState.REFUSED,
}
"""`state`: https://www.okx.com/docs-v5/en/#order-book-trading-trade-get-order-details"""

_PAGE = 100
_SLACK_MS = 60_000
"""How much earlier than the commit a list begins, for clocks that disagree."""


class Okx(Profile):
    """The profile."""

    name = "okx"
    ccxt_id = "okx"
    options = MappingProxyType(
        {"fetchMarkets": {"types": ["swap"]}, "defaultType": "swap", "createOrder": "privatePostTradeOrder"}
    )
    market_rows = ("data",)
    codes = CODES
    proof = Proof(
        enforcement=ExpiryEnforcement.GATEWAY,
        validity_s=VALIDITY_S,
        lateness_s=GATEWAY_LATENESS_S,
        visibility_s=VISIBILITY_S,
    )
    rate_limit = RateLimit(per_s=30.0, burst=60)
    """https://www.okx.com/docs-v5/en/#overview-rate-limits: 60 orders in 2 s per instrument and user."""
    attaches_exits = True

    def native_code(self, answer: Any) -> tuple[str, str] | None:
        """The order's own `sCode` where there is one that is not 0, otherwise `code`."""
        if not isinstance(answer, dict):
            return None
        items = answer.get("data")
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and word(item, "sCode") not in (None, "0"):
                return str(word(item, "sCode")), word(item, "sMsg") or ""
        code = word(answer, "code")
        return None if code in (None, "0") else (str(code), word(answer, "msg") or "")

    def order_params(self, order: WireOrder) -> dict[str, Any]:
        """Adds take profit and stop loss, set off by the last price and executed at market."""
        params = super().order_params(order)
        if order.spec.take_profit is not None:
            params["takeProfit"] = {"triggerPrice": plain(order.spec.take_profit)}
        if order.spec.stop_loss is not None:
            params["stopLoss"] = {"triggerPrice": plain(order.spec.stop_loss)}
        return params

    def sign_pinned(self, client: type_client, sign: Callable[[], dict[str, Any]], pin: Pin) -> dict[str, Any]:
        """Adds the expiry."""
        signed = sign()
        signed["headers"]["expTime"] = str(pin.expires_ms)
        return signed

    def placed_row(self, info: Any) -> OrderRow:
        """Two ids."""
        return OrderRow(
            order_id=word(info, "ordId"),
            wire_id=word(info, "clOrdId"),
            native_id=None,
            state=LegState.OPEN,
            filled=None,
            average_price=None,
        )

    async def signed_probe(self, client: type_client) -> None:
        """The trading account."""
        listed(await client.privateGetAccountBalance({}), "data")

    async def cancel(
        self, client: type_client, market: Market, wire_id: str, order_id: str | None = None, *, conditional: bool
    ) -> OrderRow | None:
        """Acknowledges the request only."""
        answer = await client.privatePostTradeCancelOrder({"instId": market.native_id, "clOrdId": wire_id})
        if not any(word(item, "ordId") for item in listed(answer, "data")):
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
        """The order itself, open or closed; then the history, which keeps cancelled ones longer; then fills."""
        asked = {"instId": market.native_id, "clOrdId": wire_id}
        answer = await self.unless_unknown(client.privateGetTradeOrder(asked))
        orders = [] if answer is None else [_order(row) for row in listed(answer, "data")]
        scope = {"instType": "SWAP", "instId": market.native_id, "begin": str(since_ms - _SLACK_MS)}
        if not orders:
            orders = [_order(row) for row in await _paged(client.privateGetTradeOrdersHistory, scope, "ordId")]
        found = combined([row for row in orders if row.wire_id == wire_id])
        if found is not None:
            return found
        fills = [
            (word(row, "ordId"), number(row, "fillSz") or Decimal(0), number(row, "fillPx") or Decimal(0))
            for row in await _paged(client.privateGetTradeFillsHistory, scope, "billId")
            if word(row, "clOrdId") == wire_id
        ]
        return from_fills(fills, wire_id, market.native_id)

    async def open_orders(
        self, client: type_client, table: MarketTable, market: Market | None, *, conditional: bool
    ) -> list[OrderRow]:
        """All swaps, or one."""
        scope = {"instType": "SWAP", **({"instId": market.native_id} if market is not None else {})}
        return [_order(row) for row in await _paged(client.privateGetTradeOrdersPending, scope, "ordId")]

    async def positions(self, client: type_client, table: MarketTable) -> list[PositionRow]:
        """All swaps."""
        answer = await client.privateGetAccountPositions({"instType": "SWAP"})
        return [_position(row) for row in listed(answer, "data")]


async def _paged(ask: Callable[[dict[str, Any]], Any], scope: dict[str, Any], cursor: str) -> list[Any]:
    rows: list[Any] = []
    for _ in range(MAX_PAGES):
        after = {"after": word(rows[-1], cursor)} if rows else {}
        page = listed(await ask({**scope, "limit": str(_PAGE), **after}), "data")
        rows.extend(page)
        if len(page) < _PAGE:
            return rows
    raise Unreadable(f"the list has more than {MAX_PAGES} pages")


def _order(row: Any) -> OrderRow:
    return OrderRow(
        order_id=word(row, "ordId"),
        wire_id=word(row, "clOrdId"),
        native_id=word(row, "instId"),
        state=state_of(row, "state", _STATES),
        filled=number(row, "accFillSz"),
        average_price=price(row, "avgPx"),
    )


def _position(row: Any) -> PositionRow:
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
    )
