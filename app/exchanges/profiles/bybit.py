"""Bybit V5 of a unified account: what swaps and spot share, and linear swaps.

The expiry is the signed `X-BAPI-TIMESTAMP` plus `X-BAPI-RECV-WINDOW`, checked by the gateway on arrival, also of an
order that waits for a trigger. A create, an amend and a cancel acknowledge the request and answer the ids, no more.
`cancel_order` of ccxt takes the native name of the client order id only, and `fetch_order` cannot ask by it, so the
endpoints are asked themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar

from app.exchanges.client import TRACE, Pin, Unreadable, type_client
from app.exchanges.codes.bybit import CODES, by_words
from app.exchanges.outcomes import Row
from app.exchanges.profiles import bybit_settings as settings
from app.exchanges.profiles.base import Profile, ServerStatus, Unsupported, WireChange, WireOrder
from app.exchanges.profiles.bybit_shapes import (
    FILLS_A_PAGE,
    FORGOTTEN_MS,
    LIVE,
    ORDERS_A_PAGE,
    POSITIONS_A_PAGE,
    WINDOW_MS,
    ended_ms,
    fill_rows,
    order_row,
    paged,
    position_row,
    server_status,
    windows,
)
from app.exchanges.profiles.rows import (
    AccountRow,
    FillRow,
    OrderRow,
    PositionRow,
    accepted,
    combined,
    forgotten,
    from_fills,
    listed,
    number,
    of_order,
    word,
)
from app.exchanges.rules import bybit as rules
from app.exchanges.sizes import plain
from app.exchanges.symbols import Market, MarketTable
from messages.market import MarginMode, PositionMode
from messages.orders import OrderSpec, Side, TriggerBy

_ACCOUNT = MappingProxyType({"enableUnifiedMargin": bool, "enableUnifiedAccount": bool, "unifiedMarginStatus": int})
"""Options in which ccxt remembers what kind of account it is."""
_HEDGED = "router_hedged"
"""Option in which we remember of which markets the account holds long and short apart."""
BARS_A_PAGE = 1000
BOOK_DEPTH = 1000
"""https://bybit-exchange.github.io/docs/v5/market/orderbook."""


class BybitV5(Profile):
    """What every category has in common."""

    name = "bybit"
    ccxt_id = "bybit"
    category: ClassVar[str]
    product: ClassVar[int]
    """In notices of maintenance."""
    market_rows = ("result", "list")
    codes = CODES
    attaches_exits = True
    takes_triggers = True

    # ---- what an answer says -----------------------------------------------------------------------------------------

    def native_code(self, answer: Any) -> tuple[str, str] | None:
        """`retCode`, unless it is 0; the reasons are told beside the words where there are any."""
        code = word(answer, "retCode", "ret_code") if isinstance(answer, dict) else None
        if code in (None, "0"):
            return None
        words = word(answer, "retMsg", "ret_msg") or ""
        result = answer.get("result")
        reasons = result.get("reasons") if isinstance(result, dict) else None
        told = [word(each, "reasonMsg") for each in reasons if isinstance(each, dict)] if reasons else []
        return str(code), ": ".join([words, *(each for each in told if each)])

    def row_of(self, code: str, words: str) -> Row | None:
        """By the words where a code is used for several things."""
        return by_words(code, words) or super().row_of(code, words)

    def wait_s(self, headers: Mapping[str, str], server_now_s: float) -> float | None:
        """Bybit says when the limit is reset: https://bybit-exchange.github.io/docs/v5/rate-limit."""
        reset_ms = headers.get("x-bapi-limit-reset-timestamp", "")
        remaining = headers.get("x-bapi-limit-status")
        if remaining == "0" and reset_ms.isdecimal():
            return int(reset_ms) / 1000 - server_now_s
        return super().wait_s(headers, server_now_s)

    # ---- placing -----------------------------------------------------------------------------------------------------

    def order_params(self, order: WireOrder) -> dict[str, Any]:
        """Adds take profit and stop loss, set off by the last price."""
        params = super().order_params(order)
        if order.trigger_price is not None:
            params["triggerPrice"] = order.trigger_price
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
        return accepted(word(info, "orderId"), word(info, "orderLinkId"))

    # ---- the account -------------------------------------------------------------------------------------------------

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

    async def signed_probe(self, client: type_client) -> Any:
        """The wallet."""
        return listed(await client.privateGetV5AccountWalletBalance({"accountType": "UNIFIED"}), "result", "list")

    async def account(self, client: type_client, markets: Sequence[Market]) -> AccountRow:
        """Of a unified account."""
        return await settings.account(client, markets)

    async def arm_dead_man(self, client: type_client, timeout_s: float, table: MarketTable) -> None:
        """Not by a request: https://bybit-exchange.github.io/docs/v5/order/dcp."""
        raise Unsupported(
            "bybit has no countdown that a request could arm: what it calls disconnection protection cancels when a"
            " private websocket is lost, and is switched on by Bybit for institutions only."
        )

    # ---- orders ------------------------------------------------------------------------------------------------------

    async def cancel(
        self, client: type_client, market: Market, wire_id: str, order_id: str | None = None, *, conditional: bool
    ) -> OrderRow | None:
        """Acknowledges the request only."""
        acknowledged(await client.privatePostV5OrderCancel(self._asked(market, wire_id)), "cancel")
        return None

    async def amend(self, client: type_client, change: WireChange) -> OrderRow | None:
        """In place, also of an order that waits for its trigger; acknowledged only."""
        asked = self._asked(change.market, change.wire_id)
        for name, value in (("qty", change.contracts), ("price", change.price), ("triggerPrice", change.trigger_price)):
            if value is not None:
                asked[name] = value
        acknowledged(await client.privatePostV5OrderAmend(asked), "change")
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
        asked = self._asked(market, wire_id)
        for ask in (client.privateGetV5OrderRealtime, client.privateGetV5OrderHistory):
            for only in self.filters(conditional=conditional):
                rows = [order_row(row) for row in listed(await ask({**asked, **only}), "result", "list")]
                found = combined([row for row in rows if row.wire_id == wire_id])
                if found is not None:
                    return found
        fills = [
            (word(row, "orderId"), number(row, "execQty") or Decimal(0), number(row, "execPrice") or Decimal(0))
            for row in listed(await client.privateGetV5ExecutionList(asked), "result", "list")
            if word(row, "orderLinkId") == wire_id
        ]
        age_ms = client.milliseconds() - since_ms
        if not fills and order_id is not None and FORGOTTEN_MS < age_ms < self.look_back_s * 1000:
            # What fills is known for longer, and what is open always: seen once more, in a list nobody asks by id.
            live = await self._listed(client, self._of(market), conditional)
            return next(
                (row for row in live if row.order_id == order_id), forgotten(order_id, market.native_id, FORGOTTEN_MS)
            )
        return from_fills(fills, wire_id, market.native_id)

    async def open_orders(
        self, client: type_client, table: MarketTable, market: Market | None, *, conditional: bool
    ) -> list[OrderRow]:
        """By market, or by each scope that covers all; those that wait for a trigger are in the same list."""
        rows = [row for scope in self.scopes(table, market) for row in await self._listed(client, scope, conditional)]
        once = {row.order_id: row for row in rows if row.state in LIVE}
        return list(once.values())

    async def _listed(self, client: type_client, scope: dict[str, Any], conditional: bool) -> list[OrderRow]:
        return [
            order_row(row)
            for only in self.filters(conditional=conditional)
            for row in await paged(client.privateGetV5OrderRealtime, {**scope, **only}, ORDERS_A_PAGE)
        ]

    async def closed_orders(self, client: type_client, market: Market, since_ms: int) -> list[OrderRow]:
        """Those of the history, and the last 500 that ended, however long ago they were placed.

        The history is asked for by when an order was placed, so that it is read a window further back. It forgets
        within a day what was cancelled without a fill: https://bybit-exchange.github.io/docs/v5/order/order-list.
        """
        asked = self._of(market)
        rows = await paged(client.privateGetV5OrderRealtime, {**asked, "openOnly": 1}, ORDERS_A_PAGE)
        for window in windows(since_ms - WINDOW_MS, client.milliseconds()):
            rows += await paged(client.privateGetV5OrderHistory, {**asked, **window}, ORDERS_A_PAGE)
        ended = {str(word(row, "orderId")): row for row in rows if ended_ms(row) >= since_ms}
        return [row for row in map(order_row, ended.values()) if row.state not in LIVE]

    async def fills(self, client: type_client, market: Market, since_ms: int) -> list[FillRow]:
        """Executions but no funding; liquidations and the like are among them."""
        asked = self._of(market)
        rows: list[Any] = []
        for window in windows(since_ms, client.milliseconds()):
            rows += await paged(client.privateGetV5ExecutionList, {**asked, **window}, FILLS_A_PAGE)
        return fill_rows(rows, market.symbol.settle)

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
        """By our id, which an order keeps when it is set off."""
        rows: list[Any] = []
        for window in windows(since_ms, client.milliseconds()):
            asked = {**self._asked(market, wire_id), **window}
            rows += await paged(client.privateGetV5ExecutionList, asked, FILLS_A_PAGE)
        return of_order(fill_rows(rows, market.symbol.settle), wire_id, order_id)

    def scopes(self, table: MarketTable, market: Market | None) -> list[dict[str, Any]]:
        """What to ask for, to have every order or position, or those of one market."""
        if market is not None:
            return [self._of(market)]
        return [{"category": self.category, "settleCoin": coin} for coin in table.settlement_coins]

    def filters(self, *, conditional: bool) -> tuple[dict[str, str], ...]:
        """What else to ask for, one request each; every kind of order is listed where no kind is named."""
        return ({},)

    def _of(self, market: Market) -> dict[str, Any]:
        return {"category": self.category, "symbol": market.native_id}

    def _asked(self, market: Market, wire_id: str) -> dict[str, Any]:
        return {**self._of(market), "orderLinkId": wire_id}

    # ---- the market --------------------------------------------------------------------------------------------------

    async def status(self, client: type_client) -> ServerStatus:
        """Its notices of maintenance."""
        return server_status(listed(await client.publicGetV5SystemStatus({}), "result", "list"), self.product)

    async def order_book(self, client: type_client, market: Market, depth: int) -> Mapping[str, Any]:
        """As deep as the exchange goes."""
        return await super().order_book(client, market, min(depth, BOOK_DEPTH))

    async def klines(
        self, client: type_client, market: Market, interval: str, since_ms: int | None, limit: int
    ) -> list[list[Any]]:
        """As many as one answer holds."""
        if limit > BARS_A_PAGE:
            raise Unsupported(f"bybit answers {BARS_A_PAGE} bars at a time: ask for so many, and for the rest after.")
        return await super().klines(client, market, interval, since_ms, limit)


class Bybit(BybitV5):
    """Linear swaps.

    A reduce-only order above the largest size would be split by the exchange into several orders, of which nobody knows
    the ids: such a size is refused before (https://bybit-exchange.github.io/docs/v5/order/create-order).
    """

    category = "linear"
    product = 1
    largest_market_order = ("lotSizeFilter", "maxMktOrderQty")
    options = MappingProxyType(
        {"fetchMarkets": {"types": ["linear"]}, "defaultType": "swap", "defaultSubType": "linear"}
    )
    proof = rules.SWAP.proof
    look_back_s = rules.SWAP.look_back_s.value

    def unsupported(self, spec: OrderSpec) -> str:
        """What https://bybit-exchange.github.io/docs/v5/order/create-order rules out."""
        if spec.reduce_only and (spec.take_profit is not None or spec.stop_loss is not None):
            return "bybit takes no take profit or stop loss with a reduce-only order: leave them out."
        return super().unsupported(spec)

    def order_params(self, order: WireOrder) -> dict[str, Any]:
        """Adds which way and by which price the trigger goes off, and that attached levels are the order's own.

        Without `tpslMode` they would close the whole position, whoever opened it.
        """
        params, trigger = super().order_params(order), order.spec.trigger
        if order.spec.take_profit is not None or order.spec.stop_loss is not None:
            params["tpslMode"] = "Partial"
        if trigger is not None:
            params["triggerDirection"] = "ascending" if trigger.rises(order.spec.side) else "descending"
            params["triggerBy"] = "MarkPrice" if trigger.by is TriggerBy.MARK else "LastPrice"
        return params

    async def place(self, client: type_client, order: WireOrder) -> OrderRow:
        """Where the account holds long and short apart, with the side it is about.

        Which of the two it is, is only told by the refusal of the other: that is a proof that nothing executed, so that
        the same order is sent once more, under the same wire id and the same expiry.
        """
        hedged: dict[str, bool] = client.options.setdefault(_HEDGED, {})
        native_id = order.market.native_id
        apart = hedged.get(native_id, False)
        try:
            return await self._create(client, order, apart=apart)
        except Exception:  # whatever it is, it is raised again unless the exchange says by code and words what it lacks
            if not self._wrong_mode():
                raise
        row = await self._create(client, order, apart=not apart)
        hedged[native_id] = not apart
        return row

    async def _create(self, client: type_client, order: WireOrder, *, apart: bool) -> OrderRow:
        params, spec = self.order_params(order), order.spec
        if apart:  # https://bybit-exchange.github.io/docs/v5/enum#positionidx: 1 is the long side, 2 the short one
            params["positionIdx"] = 1 if (spec.side is Side.BUY) is not spec.reduce_only else 2
        placed = await client.create_order(
            order.market.unified, spec.order_type.value, spec.side.value, order.contracts, order.price, params
        )
        return self.placed_row(placed["info"])

    def _wrong_mode(self) -> bool:
        trace = TRACE.get()
        said = None if trace is None else self.native_code(trace.answer)
        return said is not None and settings.wrong_position_mode(*said)

    async def positions(self, client: type_client, table: MarketTable) -> list[PositionRow]:
        """By each settlement coin."""
        return [
            position_row(row)
            for scope in self.scopes(table, None)
            for row in await paged(client.privateGetV5PositionList, scope, POSITIONS_A_PAGE)
        ]

    async def set_leverage(self, client: type_client, market: Market, leverage: Decimal) -> None:
        """Of both sides."""
        await settings.set_leverage(client, market, leverage)

    async def set_margin_mode(self, client: type_client, market: Market, mode: MarginMode) -> None:
        """Of the whole account, and therefore only where no other market is touched by it."""
        await settings.set_margin_mode(client, market, mode)

    async def set_position_mode(self, client: type_client, mode: PositionMode) -> None:
        """Of every market that settles in USDT; others are one-way only."""
        await settings.set_position_mode(client, mode)
        client.options.pop(_HEDGED, None)


def acknowledged(answer: Any, what: str) -> None:
    """Raises Unreadable where the answer to a request about an order does not name it."""
    if not isinstance(answer, dict) or word(answer.get("result"), "orderId") is None:
        raise Unreadable(f"the answer to the {what} names no order")
