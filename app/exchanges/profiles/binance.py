"""Binance USDⓈ-M futures.

The expiry is the signed `timestamp` plus `recvWindow`, checked by the gateway and again by the matching engine. Client
order ids are unique among open orders only: sending the id of a filled order again fills twice. On another base URL
ccxt does not find its own table of linear codes, so codes are looked up here.

Orders that wait for a trigger live in a service of their own (`binance_algo`). Nobody says that it looks at the expiry
a second time, so that their absence is proven later than another order's.

In hedge mode an order has to name the side of the position it is for, and cannot be reduce-only. Which mode the account
is in is learned when the exchange refuses an order for it (-4061, or -1106 of the latter, so nothing was placed), which
is then sent once more in the other form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from app.exchanges.client import TRACE, Unreadable, type_client
from app.exchanges.codes.binance import CODES
from app.exchanges.codes.binance_words import BAN_WORDS, read_as
from app.exchanges.outcomes import Row
from app.exchanges.profiles import binance_account
from app.exchanges.profiles import binance_algo as algo
from app.exchanges.profiles.base import Profile, ServerStatus, Unsupported, WireChange, WireOrder, class_names
from app.exchanges.profiles.binance_shapes import (
    DAY_MS,
    FORGOTTEN_MS,
    LIVE,
    PAGE,
    bars,
    check_above,
    executed,
    fill_row,
    gone,
    has_status,
    just_placed,
    order_row,
    since,
    unpriced,
)
from app.exchanges.profiles.rows import (
    AccountRow,
    FillRow,
    OrderRow,
    PositionRow,
    combined,
    forgotten,
    from_fills,
    listed,
    number,
    of_order,
    price,
    word,
)
from app.exchanges.rules import binance as rules
from app.exchanges.sizes import plain
from app.exchanges.symbols import Market, MarketTable
from messages.market import MarginMode, PositionMode
from messages.orders import OrderSpec, OrderType, TimeInForce, TriggerBy, TriggerKind

MOST_SWITCHED = 20
"""Markets for which a dead-man switch is armed: each costs a request every time."""
_WEEK_MS = 7 * DAY_MS
"""The longest period between `startTime` and `endTime` of any list."""
_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
_MAX_BARS = 1500
_HEDGED = "router_hedged"
"""Option in which the client keeps whether its account is in hedge mode, once that is known."""
_ARMED = "router_armed"
"""Option in which the client keeps where its dead-man switch is armed."""


class Binance(Profile):
    """The profile."""

    name = "binance"
    ccxt_id = "binanceusdm"
    options = MappingProxyType({"fetchMargins": False, "warnOnFetchOpenOrdersWithoutSymbol": False})
    market_rows = ("symbols",)
    codes = CODES
    ban_words = BAN_WORDS
    proof = rules.SWAP.proof
    look_back_s = rules.SWAP.look_back_s.value
    attaches_exits = rules.SWAP.attached_exits.value
    takes_triggers = True

    def use_sandbox(self, client: type_client) -> None:
        """Demo trading: ccxt signs nothing for the futures' old test network any more."""
        client.enable_demo_trading(True)

    def native_code(self, answer: Any) -> tuple[str, str] | None:
        """`code`, unless it is 0 or 200."""
        code = word(answer, "code") if isinstance(answer, dict) else None
        if code in (None, "0", "200"):
            return None
        return str(code), word(answer, "msg") or ""

    def row_of(self, code: str, words: str) -> Row | None:
        """By its words where one code says several things."""
        return self.codes.get(read_as(code, words))

    def known_as(self, client: type_client, code: str) -> tuple[str, ...]:
        """The linear table first, which ccxt itself uses on Binance's own URL only."""
        linear = client.exceptions.get("linear", {}).get("exact", {}).get(code)
        return class_names(linear) if linear is not None else super().known_as(client, code)

    # ---- orders ------------------------------------------------------------------------------------------------------

    def unsupported(self, spec: OrderSpec) -> str:
        """What the exchange has no such thing as."""
        if spec.trigger is not None and spec.time_in_force is TimeInForce.POST_ONLY:
            return "An order that waits for a trigger cannot be post-only on binance: leave its time in force out."
        return super().unsupported(spec)

    def order_params(self, order: WireOrder) -> dict[str, Any]:
        """The window begins at the pinned timestamp."""
        params, trigger = {**super().order_params(order), "recvWindow": order.pin.window_ms}, order.spec.trigger
        if trigger is None:
            return params
        level = "stopLossPrice" if trigger.kind is TriggerKind.STOP else "takeProfitPrice"
        return {
            **params,
            level: order.trigger_price,
            "workingType": "MARK_PRICE" if trigger.by is TriggerBy.MARK else "CONTRACT_PRICE",
        }

    async def place(self, client: type_client, order: WireOrder) -> OrderRow:
        """In the form of the account's position mode, as far as it is known; twice at most."""
        hedged = bool(client.options.get(_HEDGED, False))
        try:
            return await self._placed(client, order, hedged=hedged)
        except Exception:  # raised again unless the exchange's own code proves that it placed nothing for its form
            if not (_says("-4061") or (_says("-1106") and order.spec.reduce_only and not hedged)):
                raise
        placed = await self._placed(client, order, hedged=not hedged)
        client.options[_HEDGED] = not hedged
        return placed

    async def _placed(self, client: type_client, order: WireOrder, *, hedged: bool) -> OrderRow:
        spec, params = order.spec, self.order_params(order)
        placed = await client.create_order(
            order.market.unified,
            spec.order_type.value,
            spec.side.value,
            order.contracts,
            order.price,
            {**params, "hedged": True} if hedged else params,
        )
        return self.placed_row(placed["info"])

    def placed_row(self, info: Any) -> OrderRow:
        """The whole order."""
        return algo.algo_row(info) if algo.is_algo(info) else just_placed(order_row(info))

    def learned(self, client: type_client) -> dict[str, Any]:
        """The position mode, where it is known."""
        return {"hedged": client.options[_HEDGED]} if _HEDGED in client.options else {}

    def recall(self, client: type_client, learned: Any) -> None:
        """The position mode."""
        if isinstance(learned, dict) and isinstance(learned.get("hedged"), bool):
            client.options[_HEDGED] = learned["hedged"]

    async def signed_probe(self, client: type_client) -> Any:
        """The account."""
        return listed(await client.fapiPrivateV3GetAccount({}), "assets")

    async def cancel(
        self, client: type_client, market: Market, wire_id: str, order_id: str | None = None, *, conditional: bool
    ) -> OrderRow | None:
        """Answers the cancelled order, what filled of it included; of one that waits for its trigger only that it is
        cancelled."""
        if conditional:
            return await algo.cancel(client, market, wire_id, self.unless_unknown)
        answer = await client.fapiPrivateDeleteOrder({"symbol": market.native_id, "origClientOrderId": wire_id})
        return gone(answer, wire_id)

    async def amend(self, client: type_client, change: WireChange) -> OrderRow | None:
        """A limit order's quantity and price, both of which have to be sent: what stays is asked for first.

        A quantity that does not exceed what has filled would cancel the order, so it is refused here; should it fill
        so far meanwhile, the answer tells that it is cancelled. What waits for a trigger cannot be changed.

        https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Modify-Order
        """
        if change.trigger_price is not None or change.spec.order_type is not OrderType.LIMIT:
            raise Unsupported("Binance changes the quantity and price of limit orders only: cancel it, place another.")
        named: dict[str, Any] = {"symbol": change.market.native_id, "origClientOrderId": change.wire_id}
        if change.spec.trigger is not None:
            row = await client.fapiPrivateGetAlgoOrder({"clientAlgoId": change.wire_id})
            actual = algo.became(row)
            if actual is None:
                raise Unsupported("Binance cannot change an order that waits for a trigger: cancel it, place another.")
            named = {"symbol": change.market.native_id, "orderId": actual}
        rests = order_row(await client.fapiPrivateGetOrder(named))
        if rests.contracts is None or rests.price is None or rests.filled is None:
            raise Unreadable("the order to be changed lacks its quantity, price or what filled of it")
        contracts = change.contracts if change.contracts is not None else plain(rests.contracts)
        if rests.state in LIVE:
            check_above(contracts, rests.filled)
        answer = await client.fapiPrivatePutOrder(
            {
                **named,
                "side": change.spec.side.value.upper(),
                "quantity": contracts,
                "price": change.price if change.price is not None else plain(rests.price),
            }
        )
        row = order_row(answer, change.wire_id)
        return None if unpriced(row) else row

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
        if conditional:
            return await self._find_algo(client, market, wire_id, since_ms)
        asked = {"symbol": market.native_id, "origClientOrderId": wire_id}
        answer = await self.unless_unknown(client.fapiPrivateGetOrder(asked))
        orders = [] if answer is None else [order_row(answer)]
        if not orders:
            recent_ms = max(since_ms, client.milliseconds() - _WEEK_MS)
            rows = await since(client, client.fapiPrivateGetAllOrders, market, "orderId", recent_ms, _WEEK_MS)
            orders = [order_row(row) for row in rows]
        found = combined([row for row in orders if row.wire_id == wire_id])
        if found is not None or order_id is None:
            return found
        trades = await client.fapiPrivateGetUserTrades({"symbol": market.native_id, "orderId": order_id})
        fills = from_fills(executed(trades, order_id), wire_id, market.native_id)
        if fills is None and FORGOTTEN_MS < client.milliseconds() - since_ms < self.look_back_s * 1000:
            return forgotten(order_id, market.native_id, FORGOTTEN_MS, wire_id)
        return fills

    async def _find_algo(self, client: type_client, market: Market, wire_id: str, since_ms: int) -> OrderRow | None:
        """By id, then among those that wait, then among all, then under our id among the ordinary ones: the service is
        young, and was reported not to know by id what it had (https://github.com/freqtrade/freqtrade/issues/12681)."""
        row, mine = await algo.ask(client, wire_id, self.unless_unknown), {"symbol": market.native_id}
        if row is None:
            waiting = listed(await client.fapiPrivateGetOpenAlgoOrders(mine))
            row = next((each for each in waiting if word(each, "clientAlgoId") == wire_id), None)
        if row is None:
            recent_ms = max(since_ms, client.milliseconds() - _WEEK_MS)
            rows = await since(client, client.fapiPrivateGetAllAlgoOrders, market, "algoId", recent_ms, _WEEK_MS)
            row = next((each for each in rows if word(each, "clientAlgoId") == wire_id), None)
        if row is not None:
            return await algo.follow(client, market, row, self.unless_unknown)
        answer = await self.unless_unknown(client.fapiPrivateGetOrder({**mine, "origClientOrderId": wire_id}))
        return None if answer is None else order_row(answer)

    async def open_orders(
        self, client: type_client, table: MarketTable, market: Market | None, *, conditional: bool
    ) -> list[OrderRow]:
        """All, or of one market; those that wait are another list."""
        scope = {"symbol": market.native_id} if market is not None else {}
        waiting = algo.waiting(await client.fapiPrivateGetOpenAlgoOrders(scope)) if conditional else []
        return [*waiting, *(order_row(row) for row in listed(await client.fapiPrivateGetOpenOrders(scope)))]

    async def closed_orders(self, client: type_client, market: Market, since_ms: int) -> list[OrderRow]:
        """Those placed a day before or later: the lists go by when an order was placed. What a trigger order became is
        listed among the ordinary ones, so of its own list only those count that became none."""
        before_ms = since_ms - DAY_MS
        waited = await since(client, client.fapiPrivateGetAllAlgoOrders, market, "algoId", before_ms, _WEEK_MS)
        rows = await since(client, client.fapiPrivateGetAllOrders, market, "orderId", before_ms, _WEEK_MS)
        wire_ids = {algo.became(row): word(row, "clientAlgoId") for row in waited}
        orders = [
            order_row(row, wire_ids.get(word(row, "orderId")))
            for row in rows
            if (number(row, "updateTime") or 0) >= since_ms
        ]
        never = [
            algo.algo_row(row)
            for row in waited
            if algo.became(row) is None and (number(row, "updateTime") or 0) >= since_ms
        ]
        return [row for row in [*never, *orders] if row.state not in LIVE]

    async def fills(self, client: type_client, market: Market, since_ms: int) -> list[FillRow]:
        """By windows of a week."""
        rows = await since(client, client.fapiPrivateGetUserTrades, market, "id", since_ms, _WEEK_MS)
        return [fill_row(row) for row in rows]

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
        """By the exchange's id, another once a trigger was set off; beyond a page, out of those of the market."""
        if conditional:
            row = await algo.ask(client, wire_id, self.unless_unknown)
            order_id = order_id if row is None else algo.became(row)
        if order_id is None:
            return []
        asked = {"symbol": market.native_id, "orderId": order_id, "limit": PAGE}
        rows = listed(await client.fapiPrivateGetUserTrades(asked))
        old = client.milliseconds() - since_ms > _WEEK_MS  # of no time, it lists the last seven days
        if len(rows) >= PAGE or (old and not rows):
            return of_order(await self.fills(client, market, since_ms), None, order_id)
        return of_order(map(fill_row, rows), None, order_id)

    async def positions(self, client: type_client, table: MarketTable) -> list[PositionRow]:
        """Asked for directly: ccxt's own call loads leverage brackets first."""
        return [_position(row) for row in listed(await client.fapiPrivateV3GetPositionRisk({}))]

    # ---- settings of the account -------------------------------------------------------------------------------------

    async def account(self, client: type_client, markets: Sequence[Market]) -> AccountRow:
        """See `binance_account`."""
        return await binance_account.view(client, markets)

    async def set_leverage(self, client: type_client, market: Market, leverage: Decimal) -> None:
        """Whole numbers; setting what is so already is no error."""
        if leverage != leverage.to_integral_value():
            raise Unsupported(f"Binance's leverage is a whole number, not {plain(leverage)}.")
        await client.fapiPrivatePostLeverage({"symbol": market.native_id, "leverage": int(leverage)})

    async def set_margin_mode(self, client: type_client, market: Market, mode: MarginMode) -> None:
        """-4046 where it is so already."""
        wanted = "ISOLATED" if mode is MarginMode.ISOLATED else "CROSSED"
        await client.fapiPrivatePostMarginType({"symbol": market.native_id, "marginType": wanted})

    async def set_position_mode(self, client: type_client, mode: PositionMode) -> None:
        """Of the account; -4059 where it is so already."""
        hedged = mode is PositionMode.HEDGE
        try:
            await client.fapiPrivatePostPositionSideDual({"dualSidePosition": "true" if hedged else "false"})
        except Exception:  # raised again: the code that says "it is so already" is an answer as well
            if _says("-4059"):
                client.options[_HEDGED] = hedged
            raise
        client.options[_HEDGED] = hedged

    async def arm_dead_man(self, client: type_client, timeout_s: float, table: MarketTable) -> None:
        """A countdown for each market in which an order rests now, since Binance has none for the account. An order
        placed in another market is covered from the next time on; what waits for a trigger is not covered.

        https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Auto-Cancel-All-Open-Orders
        """
        armed: set[str] = client.options.setdefault(_ARMED, set())
        resting = {word(row, "symbol") or "" for row in listed(await client.fapiPrivateGetOpenOrders({}))}
        wanted = resting if timeout_s else set()
        if len(wanted) > MOST_SWITCHED:
            for native_id in sorted(armed):  # else they would end while all is well
                await _count_down(client, native_id, 0)
            armed.clear()
            raise Unsupported(
                f"Orders rest in {len(wanted)} markets, and binance's countdown is of one: with more than"
                f" {MOST_SWITCHED} none is armed."
            )
        for native_id in sorted(wanted):
            armed.add(native_id)
            await _count_down(client, native_id, int(timeout_s * 1000))
        # Where nothing rests any more it would end in the face of an order to come.
        for native_id in sorted((armed if timeout_s else armed | resting) - wanted):
            await _count_down(client, native_id, 0)
            armed.discard(native_id)

    # ---- the market --------------------------------------------------------------------------------------------------

    async def status(self, client: type_client) -> ServerStatus:
        """The whole exchange's: futures have none of their own."""
        return await super().status(has_status(client))

    async def order_book(self, client: type_client, market: Market, depth: int) -> Mapping[str, Any]:
        """One of the depths it has."""
        enough = next((each for each in _DEPTHS if each >= depth), None)
        if enough is None:
            raise Unsupported(f"Binance tells {_DEPTHS[-1]} levels of a book at most, not {depth}.")
        return await super().order_book(client, market, enough)

    async def klines(
        self, client: type_client, market: Market, interval: str, since_ms: int | None, limit: int
    ) -> list[list[Any]]:
        """As many requests as it takes."""
        return await bars(client.fapiPublicGetKlines, market.native_id, interval, since_ms, limit, _MAX_BARS)

    async def ticker(self, client: type_client, market: Market) -> Mapping[str, Any]:
        """The daily ticker of futures lacks bid and ask, and the mark price."""
        found = await super().ticker(client, market)
        best = await client.fapiPublicGetTickerBookTicker({"symbol": market.native_id})
        mark = await client.fapiPublicGetPremiumIndex({"symbol": market.native_id})
        told = {"bid": word(best, "bidPrice"), "ask": word(best, "askPrice"), "markPrice": word(mark, "markPrice")}
        return {**found, **told}


async def _count_down(client: type_client, native_id: str, countdown_ms: int) -> None:
    await client.fapiPrivatePostCountdownCancelAll({"symbol": native_id, "countdownTime": countdown_ms})


def _says(code: str) -> bool:
    """Whether the newest answer refuses by this code."""
    trace = TRACE.get()
    answer = None if trace is None else trace.answer
    return isinstance(answer, dict) and word(answer, "code") == code


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
        liquidation_price=price(row, "liquidationPrice"),
    )
