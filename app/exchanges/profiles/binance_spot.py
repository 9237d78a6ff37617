"""Binance spot: a host, an account and rules of its own beside those of the futures.

The expiry is the signed `timestamp` plus `recvWindow`, looked at on arrival and before a request is handed to the
matching engine, which looks at none. Client order ids are unique among open orders only. A cancel has a client id of
its own, so that the order's is `origClientOrderId` in the answer to it.

Orders that wait for a trigger are ordinary ones and keep their ids when they are set off. Two traps of ccxt: a trigger
order that is post-only too is sent as a plain LIMIT_MAKER, which rests at once, and a market order with a price is
sized in the quote coin. The first is refused, the second switched off.

**Why orders carry no exits here.** An OTOCO list could attach them, but its take profit and stop loss come into being
only when the order has filled whole, and for the quantity that was ordered, of which the fee is taken in the same coin:
half a fill would be unprotected, and the exits of a whole one could not be paid for.

**Why an order is only ever made smaller.** `cancelReplace` has two outcomes, and since ids are free again once an order
ended, it would leave two orders under one wire id. What `amend/keepPriority` cannot do is refused.
"""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import Any

from app.exchanges.client import Unreadable, type_client
from app.exchanges.codes.binance_spot import CODES
from app.exchanges.codes.binance_words import BAN_WORDS, read_as
from app.exchanges.outcomes import Row
from app.exchanges.profiles.base import Profile, ServerStatus, Unsupported, WireChange, WireOrder, class_names
from app.exchanges.profiles.binance_shapes import (
    DAY_MS,
    LIVE,
    PAGE,
    bars,
    check_above,
    executed,
    fill_row,
    gone,
    has_status,
    order_row,
    since,
)
from app.exchanges.profiles.rows import FillRow, OrderRow, PositionRow, combined, from_fills, listed, of_order, word
from app.exchanges.rules import binance as rules
from app.exchanges.symbols import Market, MarketTable
from messages.market import MarketType
from messages.orders import OrderSpec, TimeInForce, TriggerBy, TriggerKind

_SMALLER = "Binance's spot orders can be made smaller, and nothing else: cancel it, place another."
_MAX_DEPTH = 5000
_MAX_BARS = 1000


class BinanceSpot(Profile):
    """The profile."""

    name = "binance"
    market_type = MarketType.SPOT
    ccxt_id = "binance"
    options = MappingProxyType(
        {
            "fetchMarkets": {"types": ["spot"]},
            "fetchMargins": False,
            "defaultType": "spot",
            "createOrder": {"quoteOrderQty": False},
            "warnOnFetchOpenOrdersWithoutSymbol": False,
        }
    )
    market_rows = ("symbols",)
    codes = CODES
    ban_words = BAN_WORDS
    proof = rules.SPOT.proof
    look_back_s = rules.SPOT.look_back_s.value
    attaches_exits = rules.SPOT.attached_exits.value
    takes_triggers = True

    def native_code(self, answer: Any) -> tuple[str, str] | None:
        """`code`, unless it is 0 or 200."""
        code = word(answer, "code") if isinstance(answer, dict) else None
        return None if code in (None, "0", "200") else (str(code), word(answer, "msg") or "")

    def row_of(self, code: str, words: str) -> Row | None:
        """By its words where one code says several things."""
        return self.codes.get(read_as(code, words))

    def known_as(self, client: type_client, code: str) -> tuple[str, ...]:
        """The spot table first, which ccxt itself uses on Binance's own URL only."""
        own = client.exceptions.get("spot", {}).get("exact", {}).get(code)
        return class_names(own) if own is not None else super().known_as(client, code)

    # ---- orders ------------------------------------------------------------------------------------------------------

    def unsupported(self, spec: OrderSpec) -> str:
        """What ccxt would send as something else."""
        if spec.trigger is not None and spec.time_in_force is TimeInForce.POST_ONLY:
            return "An order that waits for a trigger cannot be post-only on binance: leave its time in force out."
        if spec.trigger is not None and spec.trigger.by is TriggerBy.MARK:
            return "Spot markets of binance have no mark price: let the last price set the order off."
        return super().unsupported(spec)

    def unlinkable(self, spec: OrderSpec) -> str:
        """The fee of a purchase is taken from what was bought, so that less is there than has filled
        (https://www.binance.com/en/fee/schedule)."""
        return (
            "Spot markets of binance take the fee from what was bought, so that a take profit or stop loss over all of"
            " it would be refused: leave them out, and place a trigger order for what is there."
        )

    def order_params(self, order: WireOrder) -> dict[str, Any]:
        """The window begins at the pinned timestamp."""
        params = {**super().order_params(order), "recvWindow": order.pin.window_ms}
        if order.spec.trigger is not None:
            stops = order.spec.trigger.kind is TriggerKind.STOP
            params["stopLossPrice" if stops else "takeProfitPrice"] = order.trigger_price
        return params

    def placed_row(self, info: Any) -> OrderRow:
        """The whole order."""
        return order_row(info)

    async def signed_probe(self, client: type_client) -> Any:
        """The account."""
        return listed(await client.privateGetAccount({"omitZeroBalances": "true"}), "balances")

    async def cancel(
        self, client: type_client, market: Market, wire_id: str, order_id: str | None = None, *, conditional: bool
    ) -> OrderRow | None:
        """Answers the cancelled order, what filled of it included."""
        answer = await client.privateDeleteOrder({"symbol": market.native_id, "origClientOrderId": wire_id})
        return gone(answer, wire_id)

    async def amend(self, client: type_client, change: WireChange) -> OrderRow | None:
        """A smaller quantity, at the same place in the queue and under the same id. What it is now is asked for first:
        what the exchange says to a quantity that has filled already is not documented.

        https://github.com/binance/binance-spot-api-docs/blob/master/faqs/order_amend_keep_priority.md
        """
        if change.price is not None or change.trigger_price is not None or change.contracts is None:
            raise Unsupported(_SMALLER)
        named = {"symbol": change.market.native_id, "origClientOrderId": change.wire_id}
        rests = order_row(await client.privateGetOrder(named))
        if rests.contracts is None or rests.filled is None:
            raise Unreadable("the order to be changed lacks its quantity or what filled of it")
        if rests.state in LIVE:
            if Decimal(change.contracts) > rests.contracts:
                raise Unsupported(_SMALLER)
            check_above(change.contracts, rests.filled)
        asked = {**named, "newClientOrderId": change.wire_id, "newQty": change.contracts}
        answer = await client.request("order/amend/keepPriority", ["private"], "PUT", asked)  # ccxt has no name for it
        row = answer.get("amendedOrder") if isinstance(answer, dict) else None
        if row is None:
            raise Unreadable("the answer to the change shows no order")
        return order_row(row)

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
        """The order itself, open, waiting or closed; then all orders; then, where its own id is known, its fills."""
        asked = {"symbol": market.native_id, "origClientOrderId": wire_id}
        answer = await self.unless_unknown(client.privateGetOrder(asked))
        orders = [] if answer is None else [order_row(answer)]
        if not orders:
            recent_ms = max(since_ms, client.milliseconds() - int(self.look_back_s * 1000))
            rows = await since(client, client.privateGetAllOrders, market, "orderId", recent_ms, DAY_MS)
            orders = [order_row(row) for row in rows]
        found = combined([row for row in orders if row.wire_id == wire_id])
        if found is not None or order_id is None:
            return found
        trades = await client.privateGetMyTrades({"symbol": market.native_id, "orderId": order_id})
        return from_fills(executed(trades, order_id), wire_id, market.native_id)

    async def open_orders(
        self, client: type_client, table: MarketTable, market: Market | None, *, conditional: bool
    ) -> list[OrderRow]:
        """All, or of one market; those that wait are among them."""
        scope = {"symbol": market.native_id} if market is not None else {}
        return [order_row(row) for row in listed(await client.privateGetOpenOrders(scope))]

    async def closed_orders(self, client: type_client, market: Market, since_ms: int) -> list[OrderRow]:
        """Those placed a day before or later: the list goes by when an order was placed."""
        rows = await since(client, client.privateGetAllOrders, market, "orderId", since_ms - DAY_MS, DAY_MS)
        ended = [order_row(row) for row in rows if int(word(row, "updateTime") or 0) >= since_ms]
        return [row for row in ended if row.state not in LIVE]

    async def fills(self, client: type_client, market: Market, since_ms: int) -> list[FillRow]:
        """By windows of a day."""
        return [fill_row(row) for row in await since(client, client.privateGetMyTrades, market, "id", since_ms, DAY_MS)]

    async def fills_of(
        self,
        client: type_client,
        market: Market,
        wire_id: str,
        order_id: str | None,
        since_ms: int,
        *,
        conditional: bool,
    ) -> list[FillRow]:
        """By the exchange's id; beyond a page, out of those of the market."""
        if order_id is None:
            return []
        asked = {"symbol": market.native_id, "orderId": order_id, "limit": PAGE}
        rows = listed(await client.privateGetMyTrades(asked))
        if len(rows) >= PAGE:
            return of_order(await self.fills(client, market, since_ms), None, order_id)
        return of_order(map(fill_row, rows), None, order_id)

    async def positions(self, client: type_client, table: MarketTable) -> list[PositionRow]:
        """None: what is held are balances."""
        return []

    # ---- the market --------------------------------------------------------------------------------------------------

    async def status(self, client: type_client) -> ServerStatus:
        """The whole exchange's."""
        return await super().status(has_status(client))

    async def order_book(self, client: type_client, market: Market, depth: int) -> Any:
        """Of any depth up to a bound."""
        if depth > _MAX_DEPTH:
            raise Unsupported(f"Binance tells {_MAX_DEPTH} levels of a book at most, not {depth}.")
        return await super().order_book(client, market, depth)

    async def klines(
        self, client: type_client, market: Market, interval: str, since_ms: int | None, limit: int
    ) -> list[list[Any]]:
        """As many requests as it takes."""
        return await bars(client.publicGetKlines, market.native_id, interval, since_ms, limit, _MAX_BARS)
