"""Kraken Futures, linear perpetuals settled in USD (`PF_…`).

The expiry is the parameter `processBefore`, looked at on arrival and by the matching engine. A placement that was
looked at and refused is a success whose `sendStatus.status` says why; ccxt knows some of these only and returns an
order without an id for the others. ccxt drops an upper-case `timeInForce` silently and places a resting order, and
never handles fill-or-kill. Client order ids are unique among open orders only. There is no clock endpoint: every
answer carries `serverTime`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from attrs import evolve

from app.domain.calls import ExpiryEnforcement, Proof
from app.domain.limiter import RateLimit
from app.exchanges.client import Unreadable, type_client
from app.exchanges.codes.kraken import ACCEPTED, CODES
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
from app.exchanges.rules.base import VALIDITY_S, VISIBILITY_S
from app.exchanges.symbols import Market, MarketTable
from messages.orders import LegState, OrderSpec, TimeInForce

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

_EVENTS = {
    "OrderPlaced": ("order", LegState.OPEN),
    "OrderUpdated": ("newOrder", LegState.OPEN),
    "OrderRejected": ("order", LegState.REFUSED),
    "OrderCancelled": ("order", LegState.CANCELLED),
}
"""Events of the order history, in the order in which they follow each other: where the order is, what it is then."""

_CLOCK_SYMBOL = "PF_XBTUSD"
_PAGE = 1000
_SLACK_MS = 60_000


class Kraken(Profile):
    """The profile."""

    name = "kraken"
    ccxt_id = "krakenfutures"
    options = MappingProxyType({})
    market_rows = ("instruments",)
    codes = CODES
    proof = Proof(
        enforcement=ExpiryEnforcement.ENGINE, validity_s=VALIDITY_S, lateness_s=0.0, visibility_s=VISIBILITY_S
    )
    rate_limit = RateLimit(per_s=5.0, burst=20)
    """https://docs.kraken.com/api/docs/guides/futures-rate-limits: cost 500 in 10 s; placing and cancelling cost 10."""
    attaches_exits = False

    def native_code(self, answer: Any) -> tuple[str, str] | None:
        """`error` up to its colon, the first of `errors`, or the status of an instruction that was not carried out."""
        if not isinstance(answer, dict):
            return None
        error = word(answer, "error")
        if error is not None:
            code, _, words = error.partition(":")
            return code.strip(), words.strip()
        errors = answer.get("errors")
        if isinstance(errors, list) and errors and isinstance(errors[0], dict):
            return f"errors:{word(errors[0], 'code')}", word(errors[0], "message") or ""
        for key, good in (("sendStatus", ACCEPTED), ("cancelStatus", frozenset({"cancelled"}))):
            if isinstance(answer.get(key), dict):
                status = word(answer[key], "status")
                if status is not None and status not in good:
                    return status, ""
        return None

    def unsupported(self, spec: OrderSpec) -> str:
        """What ccxt would drop or send as junk without raising."""
        if spec.take_profit is not None or spec.stop_loss is not None:
            return "A take profit or stop loss attached to an order is not supported yet on kraken: leave it out."
        if spec.time_in_force is TimeInForce.FOK:
            return "Fill-or-kill is not supported on kraken: use IOC, or an order that rests."
        return super().unsupported(spec)

    def order_params(self, order: WireOrder) -> dict[str, Any]:
        """Lower case is what ccxt looks for; the expiry goes as a parameter of the exchange's own."""
        params = super().order_params(order)
        if params.get("timeInForce") == "IOC":
            params["timeInForce"] = "ioc"
        else:
            params.pop("timeInForce", None)
        return {**params, "processBefore": _iso(order.pin.expires_ms)}

    async def place(self, client: type_client, order: WireOrder) -> OrderRow:
        """What filled at once is told by the answer's events."""
        placed = await super().place(client, order)
        wanted = Decimal(order.contracts)
        if placed.filled and placed.filled >= wanted:
            return evolve(placed, state=LegState.FILLED)
        return placed

    def placed_row(self, info: Any) -> OrderRow:
        """The id, and the executions that happened while placing."""
        events = info.get("orderEvents") if isinstance(info, dict) else None
        done = [e for e in events if word(e, "type") == "EXECUTION"] if isinstance(events, list) else []
        fills = [(None, number(e, "amount") or Decimal(0), number(e, "price") or Decimal(0)) for e in done]
        filled = sum((amount for _, amount, _ in fills), Decimal(0))
        worth = sum((amount * at for _, amount, at in fills), Decimal(0))
        return OrderRow(
            order_id=word(info, "order_id"),
            wire_id=word(info, "cliOrdId"),
            native_id=None,
            state=LegState.PARTIALLY_FILLED if filled else LegState.OPEN,
            filled=filled if filled else None,
            average_price=worth / filled if filled else None,
        )

    async def server_time_s(self, client: type_client) -> float:
        """`serverTime` of one market's ticker."""
        answer = await client.publicGetTickersSymbol({"symbol": _CLOCK_SYMBOL})
        server_ms = client.parse8601(word(answer, "serverTime"))
        if server_ms is None:
            raise Unreadable("the answer has no serverTime")
        return float(server_ms) / 1000

    async def signed_probe(self, client: type_client) -> None:
        """The accounts."""
        answer = await client.privateGetAccounts({})
        if not isinstance(answer, dict) or not isinstance(answer.get("accounts"), dict):
            raise Unreadable("the answer has no accounts")

    async def cancel(
        self, client: type_client, market: Market, wire_id: str, order_id: str | None = None, *, conditional: bool
    ) -> OrderRow | None:
        """The event in the answer, where there is one, tells what had filled."""
        answer = await client.privatePostCancelorder({"cliOrdId": wire_id})
        status = answer.get("cancelStatus") if isinstance(answer, dict) else None
        if not isinstance(status, dict):
            raise Unreadable("the answer to the cancel has no cancelStatus")
        events = status.get("orderEvents")
        for event in events if isinstance(events, list) else ():
            if word(event, "type") == "CANCEL" and isinstance(event.get("order"), dict):
                row = _order(event["order"], LegState.CANCELLED)
                if row.wire_id == wire_id and row.filled == 0:
                    return row
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
        """Status (which forgets after seconds), open orders, order history, fills."""
        answer = await client.privateGetOrdersStatus({"cliOrdIds": wire_id})
        orders = [_order(row.get("order"), state_of(row, "status", _STATUSES)) for row in listed(answer, "orders")]
        if not orders:
            answer = await client.privateGetOpenorders({})
            orders = [_open_order(row) for row in listed(answer, "openOrders")]
        found = combined([row for row in orders if row.wire_id == wire_id])
        if found is None:
            found = await self._in_history(client, market, wire_id, since_ms)
        if found is not None and not found.filled:
            return found
        fills = [
            (word(row, "order_id"), number(row, "size") or Decimal(0), number(row, "price") or Decimal(0))
            for row in listed(await client.privateGetFills({}), "fills")
            if word(row, "cliOrdId") == wire_id
        ]
        by_fills = from_fills(fills, wire_id, market.native_id)
        if found is None or by_fills is None:
            return found or by_fills
        if (by_fills.filled or Decimal(0)) < (found.filled or Decimal(0)):
            return found  # /fills holds the last hundred: an average over a part of them would be wrong
        return evolve(found, filled=by_fills.filled, average_price=by_fills.average_price)

    async def _in_history(self, client: type_client, market: Market, wire_id: str, since_ms: int) -> OrderRow | None:
        asked = {"since": since_ms - _SLACK_MS, "count": _PAGE, "tradeable": market.native_id}
        newest: dict[str | None, tuple[tuple[int, int, Decimal], OrderRow]] = {}
        for _ in range(MAX_PAGES):
            answer = await client.historyGetOrders(asked)
            for element in listed(answer, "elements"):
                event = element.get("event") if isinstance(element, dict) else None
                for rank, (kind, (place, state)) in enumerate(_EVENTS.items()):
                    body = event.get(kind) if isinstance(event, dict) else None
                    if not isinstance(body, dict) or word(body.get(place), "clientId") != wire_id:
                        continue
                    row = _historic(body[place], state)
                    at = (int(number(element, "timestamp") or 0), rank, row.filled or Decimal(0))
                    if row.order_id not in newest or newest[row.order_id][0] < at:
                        newest[row.order_id] = (at, row)
            token = word(answer, "continuationToken")
            if token is None:
                return combined([row for _, row in newest.values()])
            asked["continuationToken"] = token
        raise Unreadable(f"the history has more than {MAX_PAGES} pages")

    async def open_orders(
        self, client: type_client, table: MarketTable, market: Market | None, *, conditional: bool
    ) -> list[OrderRow]:
        """All at once."""
        rows = [_open_order(row) for row in listed(await client.privateGetOpenorders({}), "openOrders")]
        return rows if market is None else [row for row in rows if row.native_id == market.native_id]

    async def positions(self, client: type_client, table: MarketTable) -> list[PositionRow]:
        """All at once."""
        return [_position(row) for row in listed(await client.privateGetOpenpositions({}), "openPositions")]


def _iso(unix_ms: int) -> str:
    whole = datetime.fromtimestamp(unix_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{unix_ms % 1000:03d}Z"


def _order(row: Any, state: LegState) -> OrderRow:
    filled = number(row, "filled")
    return OrderRow(
        order_id=word(row, "orderId"),
        wire_id=word(row, "cliOrdId"),
        native_id=_native(word(row, "symbol")),
        state=LegState.PARTIALLY_FILLED if state is LegState.OPEN and filled else state,
        filled=filled,
        average_price=None,
    )


def _historic(row: Any, state: LegState) -> OrderRow:
    """An order in an event; its `quantity` is what was still unfilled then."""
    filled, left = number(row, "filled"), number(row, "quantity")
    if state is LegState.OPEN and filled:
        state = LegState.FILLED if left == 0 else LegState.PARTIALLY_FILLED
    return OrderRow(
        order_id=word(row, "uid"),
        wire_id=word(row, "clientId"),
        native_id=_native(word(row, "tradeable")),
        state=state,
        filled=filled,
        average_price=None,
    )


def _open_order(row: Any) -> OrderRow:
    return OrderRow(
        order_id=word(row, "order_id"),
        wire_id=word(row, "cliOrdId"),
        native_id=_native(word(row, "symbol")),
        state=state_of(row, "status", _OPEN_STATUSES),
        filled=number(row, "filledSize"),
        average_price=None,
    )


def _position(row: Any) -> PositionRow:
    size = number(row, "size")
    native_id = _native(word(row, "symbol"))
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


def _native(symbol: str | None) -> str | None:
    """Kraken writes names in either case."""
    return symbol.upper() if symbol is not None else None
