"""Kraken Futures, linear perpetuals settled in USD (`PF_…`).

The expiry is the parameter `processBefore`, looked at on arrival and by the matching engine. An instruction that was
looked at and not carried out is a success whose status says why. Placements and changes go past ccxt's unified calls:
those drop an upper-case `timeInForce` silently and place a resting order, know no fill-or-kill, make every take profit
reduce-only, and change an order's open size where its whole size is meant. Client order ids are unique among open
orders only. There is no clock endpoint: every answer carries `serverTime`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from attrs import evolve

from app.exchanges.client import TRACE, Unreadable, type_client
from app.exchanges.codes.kraken import ACCEPTED, CODES, EDIT, UNAVAILABLE
from app.exchanges.profiles import kraken_history as history
from app.exchanges.profiles import kraken_margin
from app.exchanges.profiles.base import AlreadySo, Profile, ServerStatus, Unsupported, WireChange, WireOrder
from app.exchanges.profiles.kraken_shapes import (
    announced,
    edited_order,
    fills_of,
    final_of,
    iso,
    open_order,
    placed_order,
    position,
    status_order,
)
from app.exchanges.profiles.rows import AccountRow, FillRow, OrderRow, PositionRow, combined, from_fills, listed, word
from app.exchanges.rules import kraken as rules
from app.exchanges.symbols import Market, MarketTable
from messages.market import MarginMode, PositionMode
from messages.orders import LegState, OrderSpec, OrderType, TimeInForce, TriggerBy, TriggerKind

_LIMIT_TYPES = MappingProxyType(
    {TimeInForce.GTC: "lmt", TimeInForce.POST_ONLY: "post", TimeInForce.IOC: "ioc", TimeInForce.FOK: "fok"}
)
_TRIGGER_TYPES = MappingProxyType({TriggerKind.STOP: "stp", TriggerKind.TAKE_PROFIT: "take_profit"})
_SIGNALS = MappingProxyType({TriggerBy.LAST: "last", TriggerBy.MARK: "mark"})
_STATUSES = (
    ("sendStatus", ACCEPTED, ""),
    ("cancelStatus", frozenset({"cancelled"}), ""),
    ("editStatus", frozenset({"edited"}), EDIT),
)
_CLOCK_SYMBOL = "PF_XBTUSD"


class Kraken(Profile):
    """The profile."""

    name = "kraken"
    ccxt_id = "krakenfutures"
    options = MappingProxyType({})
    market_rows = ("instruments",)
    codes = CODES
    proof = rules.SWAP.proof
    look_back_s = rules.SWAP.look_back_s.value
    attaches_exits = rules.SWAP.attached_exits.value
    takes_triggers = True

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
        for key, good, prefix in _STATUSES:
            if isinstance(answer.get(key), dict):
                status = word(answer[key], "status")
                if status is not None and status not in good:
                    return f"{prefix}{status}" if f"{prefix}{status}" in CODES else status, ""
        return None

    def unsupported(self, spec: OrderSpec) -> str:
        """What the exchange has no such thing as."""
        if spec.trigger is not None and spec.time_in_force is not TimeInForce.GTC:
            return (
                f"An order that waits for a trigger cannot be {spec.time_in_force} on kraken: leave its time in force"
                " out."
            )
        return super().unsupported(spec)

    # ---- orders ------------------------------------------------------------------------------------------------------

    def order_params(self, order: WireOrder) -> dict[str, Any]:
        """The exchange's own parameters of a placement."""
        spec = order.spec
        params = {
            "symbol": order.market.native_id,
            "side": spec.side.value,
            "size": order.contracts,
            "cliOrdId": order.wire_id,
            "processBefore": iso(order.pin.expires_ms),
        }
        if spec.trigger is not None:
            params["orderType"] = _TRIGGER_TYPES[spec.trigger.kind]
            params["stopPrice"] = order.trigger_price or ""
            params["triggerSignal"] = _SIGNALS[spec.trigger.by]
        elif spec.order_type is OrderType.MARKET:
            params["orderType"] = "mkt"
        else:
            params["orderType"] = _LIMIT_TYPES[spec.time_in_force]
        if order.price is not None:
            params["limitPrice"] = order.price
        if spec.reduce_only:
            params["reduceOnly"] = "true"
        return params

    async def place(self, client: type_client, order: WireOrder) -> OrderRow:
        """What filled at once is told by the answer's events."""
        answer = await client.privatePostSendorder(self.order_params(order))
        placed = self.placed_row(answer.get("sendStatus") if isinstance(answer, dict) else None)
        if placed.filled and placed.filled >= Decimal(order.contracts):
            return evolve(placed, state=LegState.FILLED)
        return placed

    def placed_row(self, info: Any) -> OrderRow:
        """`sendStatus`."""
        return placed_order(info)

    async def cancel(
        self, client: type_client, market: Market, wire_id: str, order_id: str | None = None, *, conditional: bool
    ) -> OrderRow | None:
        """The event in the answer, where there is one, tells what had filled."""
        answer = await client.privatePostCancelorder({"cliOrdId": wire_id})
        status = answer.get("cancelStatus") if isinstance(answer, dict) else None
        if not isinstance(status, dict):
            raise Unreadable("the answer to the cancel has no cancelStatus")
        return final_of(status.get("orderEvents"), wire_id)

    async def amend(self, client: type_client, change: WireChange) -> OrderRow | None:
        """In place. `qtyMode` is by default RELATIVE: the size would be what stays open, beside what has filled.

        A waiting order's edit must name its trigger price, and its limit where it has one, also where they stay:
        https://docs.kraken.com/api/docs/futures-api/trading/edit-order-spring.
        """
        asked: dict[str, Any] = {
            "cliOrdId": change.wire_id,
            "processBefore": iso(int(client.milliseconds() + rules.SWAP.validity_s.value * 1000)),
        }
        if change.contracts is not None:
            asked |= {"size": change.contracts, "qtyMode": "ABSOLUTE"}
        if change.spec.trigger is not None:
            asked |= await self._as_it_waits(client, change.wire_id)
        if change.price is not None:
            asked["limitPrice"] = change.price
        if change.trigger_price is not None:
            asked["stopPrice"] = change.trigger_price
        answer = await client.privatePostEditorder(asked)
        status = answer.get("editStatus") if isinstance(answer, dict) else None
        if not isinstance(status, dict):
            raise Unreadable("the answer to the change has no editStatus")
        return edited_order(status.get("orderEvents"), change.wire_id)

    async def _as_it_waits(self, client: type_client, wire_id: str) -> dict[str, str]:
        """Trigger price and limit of a waiting order; nothing where it does not wait any more."""
        for row in listed(await client.privateGetOpenorders({}), "openOrders"):
            stop = word(row, "stopPrice")
            if word(row, "cliOrdId") == wire_id and stop is not None:
                limit = word(row, "limitPrice")
                return {"stopPrice": stop} | ({} if limit is None else {"limitPrice": limit})
        return {}

    # ---- looking up --------------------------------------------------------------------------------------------------

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
        """Status (which forgets after seconds), open orders, order history (and that of triggers), fills."""
        answer = await client.privateGetOrdersStatus({"cliOrdIds": wire_id})
        told = [status_order(entry) for entry in listed(answer, "orders")]
        orders = [row for row in told if row is not None]
        if not orders:
            answer = await client.privateGetOpenorders({})
            orders = [open_order(row) for row in listed(answer, "openOrders")]
        found = combined([row for row in orders if row.wire_id == wire_id])
        if found is None:
            found = await history.order(client, market, wire_id, since_ms, conditional=conditional)
        if found is not None and not found.filled:
            return found
        fills = fills_of(listed(await client.privateGetFills({}), "fills"), wire_id)
        by_fills = from_fills(fills, wire_id, market.native_id)
        if found is None or by_fills is None:
            return found or by_fills
        if (by_fills.filled or Decimal(0)) < (found.filled or Decimal(0)):
            return found  # /fills holds the last hundred: an average over a part of them would be wrong
        return evolve(found, filled=by_fills.filled, average_price=by_fills.average_price)

    async def open_orders(
        self, client: type_client, table: MarketTable, market: Market | None, *, conditional: bool
    ) -> list[OrderRow]:
        """All at once, triggers among them."""
        rows = [open_order(row) for row in listed(await client.privateGetOpenorders({}), "openOrders")]
        return rows if market is None else [row for row in rows if row.native_id == market.native_id]

    async def closed_orders(self, client: type_client, market: Market, since_ms: int) -> list[OrderRow]:
        """Out of the history."""
        return await history.ended(client, market, since_ms)

    async def fills(self, client: type_client, market: Market, since_ms: int) -> list[FillRow]:
        """Out of the history: the trading API's list has no fees."""
        return await history.executions(client, market, since_ms)

    async def positions(self, client: type_client, table: MarketTable) -> list[PositionRow]:
        """All at once."""
        return [position(row) for row in listed(await client.privateGetOpenpositions({}), "openPositions")]

    # ---- the account -------------------------------------------------------------------------------------------------

    async def signed_probe(self, client: type_client) -> Any:
        """The accounts."""
        answer = await client.privateGetAccounts({})
        if not isinstance(answer, dict) or not isinstance(answer.get("accounts"), dict):
            raise Unreadable("the answer has no accounts")
        return answer["accounts"]

    async def account(self, client: type_client, markets: Sequence[Market]) -> AccountRow:
        """See `kraken_margin`."""
        return await kraken_margin.view(client, markets)

    async def set_leverage(self, client: type_client, market: Market, leverage: Decimal) -> None:
        """Of a market whose margin is isolated."""
        await kraken_margin.set_leverage(client, market, leverage)

    async def set_margin_mode(self, client: type_client, market: Market, mode: MarginMode) -> None:
        """A market with a leverage of its own is isolated, one without is cross."""
        await kraken_margin.set_margin_mode(client, market, mode)

    async def set_position_mode(self, client: type_client, mode: PositionMode) -> None:
        """There is one."""
        if mode is not PositionMode.ONE_WAY:
            raise Unsupported("kraken holds one net position per market: there is no hedge mode.")
        raise AlreadySo

    async def arm_dead_man(self, client: type_client, timeout_s: float, table: MarketTable) -> None:
        """In whole seconds, over the whole account."""
        if timeout_s != int(timeout_s):
            raise Unsupported(f"kraken counts down in whole seconds: use {int(timeout_s) + 1} instead of {timeout_s}.")
        answer = await client.privatePostCancelallordersafter({"timeout": str(int(timeout_s))})
        status = answer.get("status") if isinstance(answer, dict) else None
        due = word(status, "triggerTime") if isinstance(status, dict) else None
        if due is None or (timeout_s > 0) == (due == "0"):
            raise Unreadable("the answer does not tell when the countdown ends")

    # ---- the exchange ------------------------------------------------------------------------------------------------

    async def server_time_s(self, client: type_client) -> float:
        """`serverTime` of one market's ticker."""
        answer = await client.publicGetTickersSymbol({"symbol": _CLOCK_SYMBOL})
        server_ms = client.parse8601(word(answer, "serverTime"))
        if server_ms is None:
            raise Unreadable("the answer has no serverTime")
        return float(server_ms) / 1000

    async def status(self, client: type_client) -> ServerStatus:
        """Whether any market trades, and what is announced: there is no status of its own, and ccxt has none for it."""
        try:
            markets = listed(await client.publicGetTickers({}), "tickers")
        except Exception:  # raised again, unless its own code says what was asked
            trace = TRACE.get()
            said = None if trace is None else self.native_code(trace.answer)
            if said is not None and said[0] in UNAVAILABLE:
                return ServerStatus(ok=False, words=f"kraken says of its futures: {said[0]}.")
            raise
        if any(isinstance(each, dict) and each.get("suspended") is False for each in markets):
            return await self._announced(client) if client.apiKey else ServerStatus(ok=True)
        return ServerStatus(ok=False, words="kraken has suspended every futures market.")

    async def _announced(self, client: type_client) -> ServerStatus:
        """By the notifications, which only who has a key is told."""
        notes = listed(await client.privateGetNotifications({}), "notifications")
        return announced(notes, client.milliseconds() / 1000)
