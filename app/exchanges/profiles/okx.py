"""OKX V5: linear swaps, whose sizes are in contracts, and spot, whose sizes are always in base coin.

The expiry is the request header `expTime` (Unix ms), checked by the gateway on arrival and not signed; ccxt does not
send it. It is for ordinary orders only; what ends a placement of an algo order is the signed `OK-ACCESS-TIMESTAMP`,
pinned to the commit as for every placement. Client order ids hold 32 letters and digits, which is what a wire id is.

What orders say of the account they are for is told in `okx_account`; orders that wait for a trigger are in
`okx_triggers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar

from app.exchanges.client import TRACE, Pin, Unreadable, type_client
from app.exchanges.codes.okx import CODES
from app.exchanges.profiles import okx_account as account
from app.exchanges.profiles import okx_shapes as shapes
from app.exchanges.profiles import okx_triggers as triggers
from app.exchanges.profiles.base import AlreadySo, Profile, ServerStatus, Unsupported, WireChange, WireOrder
from app.exchanges.profiles.okx_markets import OkxContracts
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
from app.exchanges.rules import okx as rules
from app.exchanges.rules.base import ExchangeRules
from app.exchanges.sizes import plain
from app.exchanges.symbols import Market, MarketTable
from messages.market import MarginMode, MarketType, PositionMode
from messages.orders import OrderSpec, Side

_EXPIRING = ("/trade/order", "/trade/amend-order")
"""What honours expTime, of what is sent here: https://www.okx.com/docs-v5/en/#overview-transaction-timeouts."""


class Okx(Profile):
    """Linear swaps."""

    name = "okx"
    ccxt_id = "okx"
    client_parts = (OkxContracts,)
    options = MappingProxyType(
        {"fetchMarkets": {"types": ["swap"]}, "defaultType": "swap", "createOrder": "privatePostTradeOrder"}
    )
    market_rows = ("data",)
    codes = CODES
    facts: ClassVar[ExchangeRules] = rules.SWAP
    proof = rules.SWAP.proof
    look_back_s = rules.SWAP.look_back_s.value
    attaches_exits = True
    takes_triggers = True
    inst_type: ClassVar[str] = "SWAP"

    def native_code(self, answer: Any) -> tuple[str, str] | None:
        """The order's own `sCode` where there is one that is not 0, otherwise `code`; without its sub-code."""
        if not isinstance(answer, dict):
            return None
        items = answer.get("data")
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and word(item, "sCode") not in (None, "0"):
                return str(word(item, "sCode")).partition("_")[0], word(item, "sMsg") or ""
        code = word(answer, "code")
        return None if code in (None, "0") else (str(code).partition("_")[0], word(answer, "msg") or "")

    # ---- placing -----------------------------------------------------------------------------------------------------

    def attaches(self, spec: OrderSpec) -> bool:
        """Algo orders carry none."""
        return spec.trigger is None

    def unsupported(self, spec: OrderSpec) -> str:
        """What no algo order can be."""
        return super().unsupported(spec) or triggers.unsupported(spec, self.facts)

    def order_params(self, order: WireOrder) -> dict[str, Any]:
        """Adds take profit and stop loss, set off by the last price and executed at market."""
        params = super().order_params(order)
        if order.spec.take_profit is not None:
            params["takeProfit"] = {"triggerPrice": plain(order.spec.take_profit)}
        if order.spec.stop_loss is not None:
            params["stopLoss"] = {"triggerPrice": plain(order.spec.stop_loss)}
        return params

    def sign_pinned(self, client: type_client, sign: Callable[[], dict[str, Any]], pin: Pin) -> dict[str, Any]:
        """Adds the expiry where it counts."""
        signed = sign()
        if signed["method"] == "POST" and signed["url"].endswith(_EXPIRING):
            signed["headers"]["expTime"] = str(pin.expires_ms)
        return signed

    async def place(self, client: type_client, order: WireOrder) -> OrderRow:
        """An order for the book, or one that waits for a trigger."""
        spec, named = order.spec, await account.named(client, order.spec, self.market_type)
        try:
            if spec.trigger is not None:
                return await triggers.place(client, order, named)
            placed = await client.create_order(
                order.market.unified,
                spec.order_type.value,
                spec.side.value,
                order.contracts,
                order.price,
                self.order_params(order) | named,
            )
        except Exception:  # raised again: all that is learned of it is that what was known of the account is wrong
            trace = TRACE.get()
            account.doubt(client, None if trace is None else self.native_code(trace.answer))
            raise
        return self.placed_row(placed["info"])

    def placed_row(self, info: Any) -> OrderRow:
        """Two ids."""
        return accepted(word(info, "ordId"), word(info, "clOrdId"))

    # ---- the account -------------------------------------------------------------------------------------------------

    async def warm_up(self, client: type_client) -> None:
        """What the account is like."""
        await account.learn(client)

    def learned(self, client: type_client) -> dict[str, Any]:
        """The same."""
        return account.learned(client)

    def recall(self, client: type_client, learned: Any) -> None:
        """The same."""
        account.recall(client, learned)

    async def signed_probe(self, client: type_client) -> Any:
        """The trading account."""
        return listed(await client.privateGetAccountBalance({}), "data")

    async def account(self, client: type_client, markets: Sequence[Market]) -> AccountRow:
        """Of the trading account."""
        return await account.view(client, markets)

    async def set_leverage(self, client: type_client, market: Market, leverage: Decimal) -> None:
        """Of the configured margin mode; of both sides where long and short stand side by side in isolated margin."""
        mode = account.margin_mode(client)
        request = {"instId": market.native_id, "lever": plain(leverage), "mgnMode": mode}
        apart = mode == MarginMode.ISOLATED.value and account.hedged(client)
        for side in ({"posSide": "long"}, {"posSide": "short"}) if apart else ({},):
            await client.privatePostAccountSetLeverage(request | side)

    async def set_margin_mode(self, client: type_client, market: Market, mode: MarginMode) -> None:
        """Nothing to do where it is the configured one."""
        configured = account.margin_mode(client)
        if configured == mode.value:
            raise AlreadySo
        raise Unsupported(
            f"okx takes the margin mode with each order and keeps none: orders go out as {configured} until"
            f' exchanges.okx.options.defaultMarginMode is configured as "{mode.value}".'
        )

    async def set_position_mode(self, client: type_client, mode: PositionMode) -> None:
        """Refused by the exchange while there are positions or open orders."""
        await client.privatePostAccountSetPositionMode({"posMode": account.MODES[mode]})
        account.set_hedged(client, mode is PositionMode.HEDGE)

    async def arm_dead_man(self, client: type_client, timeout_s: float, table: MarketTable) -> None:
        """A countdown of whole seconds over every order on the book of the account."""
        least, most = rules.COUNTDOWN_S
        if timeout_s and not (least <= timeout_s <= most and timeout_s == int(timeout_s)):
            raise Unsupported(
                f"okx counts down {least} to {most} whole seconds, or 0 for never: {timeout_s:g} cannot be set."
            )
        await client.privatePostTradeCancelAllAfter({"timeOut": str(int(timeout_s))})

    # ---- orders ------------------------------------------------------------------------------------------------------

    async def cancel(
        self, client: type_client, market: Market, wire_id: str, order_id: str | None = None, *, conditional: bool
    ) -> OrderRow | None:
        """Acknowledges the request only."""
        if conditional:
            return await triggers.cancel(self, client, market, wire_id)
        answer = await client.privatePostTradeCancelOrder({"instId": market.native_id, "clOrdId": wire_id})
        if not any(word(item, "ordId") for item in listed(answer, "data")):
            raise Unreadable("the answer to the cancel names no order")
        return None

    async def amend(self, client: type_client, change: WireChange) -> OrderRow | None:
        """Acknowledges the request only; the quantity counts what has filled. Like a placement it expires: a change
        that nobody waits for any more is not to be made."""
        trace = TRACE.get()
        if trace is not None:
            now_ms = client.milliseconds()
            trace.pin = Pin(signed_ms=now_ms, expires_ms=now_ms + int(self.proof.validity_s * 1000))
        if change.spec.trigger is not None:
            return await triggers.amend(self, client, change)
        request = {"instId": change.market.native_id, "clOrdId": change.wire_id}
        wanted = {"newSz": change.contracts, "newPx": change.price}
        answer = await client.privatePostTradeAmendOrder(
            request | {name: value for name, value in wanted.items() if value is not None}
        )
        if not any(word(item, "ordId") for item in listed(answer, "data")):
            raise Unreadable("the answer to the change names no order")
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
        """The order itself, open or closed; then the history, which keeps cancelled ones longer; then fills. One that
        the exchange had, as its order id shows, and that none of them knows after two hours, was cancelled without any
        fill."""
        if conditional:
            return await triggers.find(self, client, market, wire_id, since_ms, inst_type=self.inst_type)
        asked = {"instId": market.native_id, "clOrdId": wire_id}
        answer = await self.unless_unknown(client.privateGetTradeOrder(asked))
        orders = [] if answer is None else [shapes.order(row) for row in listed(answer, "data")]
        scope = self._scope(market) | {"begin": str(since_ms - shapes.SLACK_MS)}
        if not orders:
            rows = await shapes.paged(client.privateGetTradeOrdersHistory, scope, "ordId")
            orders = [shapes.order(row) for row in rows]
        found = combined([row for row in orders if row.wire_id == wire_id])
        if found is not None:
            return found
        fills = [
            (word(row, "ordId"), number(row, "fillSz") or Decimal(0), number(row, "fillPx") or Decimal(0))
            for row in await shapes.paged(client.privateGetTradeFillsHistory, scope, "billId")
            if word(row, "clOrdId") == wire_id
        ]
        if not fills and order_id is not None:
            age_ms = client.milliseconds() - since_ms
            if shapes.FORGOTTEN_MS < age_ms < self.look_back_s * 1000:
                # What is open is never forgotten: seen once more, in a list nobody asks by id.
                live = await shapes.paged(client.privateGetTradeOrdersPending, self._scope(market), "ordId")
                same = (shapes.order(row) for row in live if word(row, "ordId") == order_id)
                return next(same, forgotten(order_id, market.native_id, shapes.FORGOTTEN_MS))
        return from_fills(fills, wire_id, market.native_id)

    async def open_orders(
        self, client: type_client, table: MarketTable, market: Market | None, *, conditional: bool
    ) -> list[OrderRow]:
        """All of the kind that is traded here, or one market's; what a trigger set off is among the first."""
        scope = self._scope(market)
        rows = [shapes.order(row) for row in await shapes.paged(client.privateGetTradeOrdersPending, scope, "ordId")]
        return rows + (await triggers.waiting(client, scope) if conditional else [])

    async def closed_orders(self, client: type_client, market: Market, since_ms: int) -> list[OrderRow]:
        """By when they ended, however old they were; with the algo orders that never became one."""
        recent = self._recent(client, since_ms, rules.RECENT_ORDERS_S, "orders")
        ask = client.privateGetTradeOrdersHistory if recent else client.privateGetTradeOrdersHistoryArchive
        scope = self._scope(market)
        rows = [
            shapes.order(row)
            for row in await shapes.paged(ask, scope, "ordId")
            if (number(row, "uTime", "cTime") or Decimal(0)) >= since_ms
        ]
        return rows + await triggers.ended(client, scope, since_ms)

    async def fills(self, client: type_client, market: Market, since_ms: int) -> list[FillRow]:
        """The last three days' at once, older ones from the archive."""
        recent = self._recent(client, since_ms, rules.RECENT_FILLS_S, "fills")
        ask = client.privateGetTradeFills if recent else client.privateGetTradeFillsHistory
        scope = self._scope(market) | {"begin": str(since_ms)}
        return [shapes.fill(row) for row in await shapes.paged(ask, scope, "billId")]

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
        """By the exchange's id, which is another once a trigger was set off."""
        ids: list[str | None] = [order_id]
        if conditional:
            ids = [*await triggers.became(self, client, wire_id)] or ids
        if not any(ids):
            return await super().fills_of(client, market, wire_id, order_id, since_ms, conditional=conditional)
        recent = self._recent(client, since_ms, rules.RECENT_FILLS_S, "fills")
        ask = client.privateGetTradeFills if recent else client.privateGetTradeFillsHistory
        rows: list[FillRow] = []
        for each in filter(None, ids):
            found = await shapes.paged(ask, self._scope(market) | {"ordId": each}, "billId")
            rows += of_order(map(shapes.fill, found), None, each)
        return rows

    @staticmethod
    def _recent(client: type_client, since_ms: int, within_s: float, what: str) -> bool:
        """Whether a time is within what the quicker of two lists has for certain."""
        ago_s = float(client.milliseconds() - since_ms) / 1000
        if ago_s > rules.ARCHIVE_S:
            days = rules.ARCHIVE_S / 86400
            raise Unsupported(f"okx keeps {what} for {days:g} days: ask for what is not older.")
        return ago_s < within_s - shapes.SLACK_MS / 1000

    def _scope(self, market: Market | None) -> dict[str, Any]:
        return {"instType": self.inst_type, **({} if market is None else {"instId": market.native_id})}

    async def positions(self, client: type_client, table: MarketTable) -> list[PositionRow]:
        """All swaps."""
        answer = await client.privateGetAccountPositions({"instType": self.inst_type})
        return [shapes.position(row) for row in listed(answer, "data")]

    async def klines(
        self, client: type_client, market: Market, interval: str, since_ms: int | None, limit: int
    ) -> list[list[Any]]:
        """Page by page. The volume that ccxt gives is in base coin, where what is expected is in contracts."""
        bars = await shapes.klines(client, market.unified, interval, since_ms, limit)
        return [[*bar[:5], Decimal(str(bar[5])) / market.rules.contract_size] for bar in bars]

    async def status(self, client: type_client) -> ServerStatus:
        """Maintenances of trading, under way or announced."""
        events = listed(await client.publicGetSystemStatus({}), "data")
        return shapes.status(events, self.name, demo=bool(client.options.get("sandboxMode")))


class OkxSpot(Okx):
    """Spot without borrowing: orders in cash, sized in base coin whatever their kind."""

    market_type = MarketType.SPOT
    options = MappingProxyType(
        {"fetchMarkets": {"types": ["spot"]}, "defaultType": "spot", "createOrder": "privatePostTradeOrder"}
    )
    facts = rules.SPOT
    proof = rules.SPOT.proof
    look_back_s = rules.SPOT.look_back_s.value
    inst_type = "SPOT"

    def unsupported(self, spec: OrderSpec) -> str:
        """Levels that would buy back what was sold are no protection of anything."""
        if spec.side is Side.SELL and (spec.take_profit is not None or spec.stop_loss is not None):
            return "A sale on a spot market leaves nothing that take profit and stop loss could sell: leave them out."
        return super().unsupported(spec)

    def order_params(self, order: WireOrder) -> dict[str, Any]:
        """Says that the size is in base coin, which for a market order to buy it would otherwise not be."""
        return super().order_params(order) | {"tgtCcy": "base_ccy"}

    async def positions(self, client: type_client, table: MarketTable) -> list[PositionRow]:
        """Spot has balances instead."""
        return []
