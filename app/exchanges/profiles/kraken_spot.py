"""Kraken spot: another host, another account and other keys than Kraken Futures.

The expiry is the parameter `deadline`, looked at on arrival and by the matching engine. The answer to a placement tells
the order's id and nothing else, not even the client order id. That is unique among open orders only, finds open and
ended orders, cancels and changes; asked by it, `QueryOrders` finds nothing. Private requests go one after the other
(`app.exchanges.nonces`). Quantities are of the base coin (`viqc` is never sent), fees of the quote coin (`fciq` always
is). Margin is not traded. Every call is the exchange's own: ccxt's unified ones read orders out of sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from attrs import evolve

from app.exchanges.client import Unreadable, type_client
from app.exchanges.codes.kraken_spot import BESIDE, CODES, NOTHING_CANCELLED, known_code
from app.exchanges.nonces import SerialNonces
from app.exchanges.outcomes import Meaning
from app.exchanges.profiles.base import Profile, ServerStatus, Unsupported, WireChange, WireOrder
from app.exchanges.profiles.kraken_shapes import iso
from app.exchanges.profiles.kraken_spot_markets import KrakenPairs
from app.exchanges.profiles.kraken_spot_shapes import (
    fill,
    order,
    pair_of,
    result,
    rows,
    short_names,
    system_status,
)
from app.exchanges.profiles.rows import (
    MAX_PAGES,
    FillRow,
    OrderRow,
    PositionRow,
    accepted,
    combined,
    number,
    of_order,
    word,
)
from app.exchanges.rules import kraken as rules
from app.exchanges.symbols import Market, MarketTable
from messages.orders import OrderSpec, OrderType, TimeInForce, TriggerBy, TriggerKind

_TRIGGER_TYPES = MappingProxyType({TriggerKind.STOP: "stop-loss", TriggerKind.TAKE_PROFIT: "take-profit"})
_PAGE = 50
_TRADES_AT_ONCE = 20
"""Of QueryTrades: https://docs.kraken.com/api/docs/rest-api/get-trades-info."""
_SLACK_S = 60
_BARS = 720
"""https://docs.kraken.com/api/docs/rest-api/get-ohlc-data: "older data cannot be retrieved"."""
_LONGEST_COUNTDOWN_S = 86_400


class KrakenSpot(Profile):
    """The profile."""

    name = "kraken"
    market_type = rules.SPOT.market_type
    ccxt_id = "kraken"
    client_parts = (SerialNonces, KrakenPairs)
    options = MappingProxyType({})
    market_rows = ("result",)
    codes = CODES
    proof = rules.SPOT.proof
    look_back_s = rules.SPOT.look_back_s.value
    clock_resolution_s = 1.0
    attaches_exits = rules.SPOT.attached_exits.value
    takes_triggers = True
    no_sandbox = "Kraken has no test network for spot: leave sandbox out, or trade against the simulator."

    def native_code(self, answer: Any) -> tuple[str, str] | None:
        """Of the words of `error` the one that proves least; a warning (`W…`) refuses nothing."""
        if not isinstance(answer, dict):
            return None
        said = answer.get("error")
        found = answer.get("result")
        errors = [each for each in said if isinstance(each, str) and each[:1] == "E"] if isinstance(said, list) else []
        if not errors:
            nothing = isinstance(found, dict) and found.keys() == {"count"} and str(found["count"]) == "0"
            return (NOTHING_CANCELLED, "") if nothing else None
        if isinstance(found, dict) and found.get("txid"):
            return BESIDE, "; ".join(errors)
        code = min((known_code(each) for each in errors), key=self._certainty)
        return code, "; ".join(errors)

    def _certainty(self, code: str) -> int:
        row = self.codes.get(code)
        return 0 if row is None or row.meaning is Meaning.AMBIGUOUS else 1

    def unsupported(self, spec: OrderSpec) -> str:
        """What the exchange has no such thing as."""
        if spec.trigger is not None and spec.trigger.by is TriggerBy.MARK:
            return "Spot markets of kraken have no mark price that could set an order off: use the last price."
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
        post = spec.time_in_force is TimeInForce.POST_ONLY
        params = {
            "pair": order.market.native_id,
            "type": spec.side.value,
            "ordertype": spec.order_type.value,
            "volume": order.contracts,
            "cl_ord_id": order.wire_id,
            "deadline": iso(order.pin.expires_ms),
            "oflags": "post,fciq" if post else "fciq",
        }
        if spec.trigger is not None:
            limited = spec.order_type is OrderType.LIMIT
            params["ordertype"] = _TRIGGER_TYPES[spec.trigger.kind] + ("-limit" if limited else "")
            params["price"] = order.trigger_price or ""
            params["trigger"] = "last"
            if limited:
                params["price2"] = order.price or ""
        elif order.price is not None:
            params["price"] = order.price
            if spec.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
                params["timeinforce"] = spec.time_in_force.value
        return params

    async def place(self, client: type_client, order: WireOrder) -> OrderRow:
        """The answer tells the id only."""
        return self.placed_row(await client.privatePostAddOrder(self.order_params(order)))

    def placed_row(self, info: Any) -> OrderRow:
        """`txid`, a list of one."""
        ids = result(info).get("txid")
        order_id = ids[0] if isinstance(ids, list) and len(ids) == 1 and isinstance(ids[0], str) else None
        return accepted(order_id, None)

    async def cancel(
        self, client: type_client, market: Market, wire_id: str, order_id: str | None = None, *, conditional: bool
    ) -> OrderRow | None:
        """Acknowledged only: it may be `pending`."""
        answer = await client.privatePostCancelOrder({"cl_ord_id": wire_id})
        if number(result(answer), "count") is None:
            raise Unreadable("the answer to the cancel has no count")
        return None

    async def amend(self, client: type_client, change: WireChange) -> OrderRow | None:
        """In place, by its client order id. A quantity below what has filled is taken, and cancels the rest."""
        asked: dict[str, Any] = {
            "cl_ord_id": change.wire_id,
            "deadline": iso(int(client.milliseconds() + rules.SPOT.validity_s.value * 1000)),
        }
        if change.contracts is not None:
            asked["order_qty"] = change.contracts
        if change.price is not None:
            asked["limit_price"] = change.price
            if change.spec.time_in_force is TimeInForce.POST_ONLY:
                asked["post_only"] = "true"  # a change does not inherit it
        if change.trigger_price is not None:
            asked["trigger_price"] = change.trigger_price
        if word(result(await client.privatePostAmendOrder(asked)), "amend_id") is None:
            raise Unreadable("the answer to the change has no amend_id")
        return None

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
        """By its id where that is known; else, or besides, open and then ended orders by client order id.

        An order keeps its id when it is set off, and tells itself what of it executed.
        """
        if order_id is not None:
            answer = await self.unless_unknown(client.privatePostQueryOrders({"txid": order_id}))
            body = None if answer is None else result(answer).get(order_id)
            if isinstance(body, dict):
                return order(order_id, body, market.native_id)
        found = rows(await client.privatePostOpenOrders({"cl_ord_id": wire_id}), "open")
        orders = [order(txid, body, market.native_id) for txid, body in found]
        start_s = since_ms // 1000 - _SLACK_S
        orders += [
            order(txid, body, market.native_id) for txid, body in await self._ended(client, start_s, cl_ord_id=wire_id)
        ]
        return combined([row for row in orders if row.wire_id == wire_id])

    async def _ended(self, client: type_client, start_s: int, **only: str) -> list[tuple[str, dict[str, Any]]]:
        """Orders that ended since a time: those that end meanwhile push others on, so none is missed."""
        asked = {"start": str(start_s), "without_count": "true", **only}
        found: dict[str, dict[str, Any]] = {}
        for page in range(MAX_PAGES):
            listed = dict(rows(await client.privatePostClosedOrders({**asked, "ofs": str(page * _PAGE)}), "closed"))
            found |= listed
            if len(listed) < _PAGE:
                return list(found.items())
        raise Unreadable(f"the list of ended orders has more than {MAX_PAGES} pages")

    async def open_orders(
        self, client: type_client, table: MarketTable, market: Market | None, *, conditional: bool
    ) -> list[OrderRow]:
        """All at once, triggers among them."""
        names = short_names(client)
        found = [order(txid, body, pair_of(body, names)) for txid, body in rows(await self._open(client), "open")]
        return found if market is None else [row for row in found if row.native_id == market.native_id]

    async def _open(self, client: type_client) -> Any:
        return await client.privatePostOpenOrders({})

    async def closed_orders(self, client: type_client, market: Market, since_ms: int) -> list[OrderRow]:
        """Of every market, sifted here: the exchange cannot be asked for those of one."""
        names = short_names(client)
        ended = await self._ended(client, since_ms // 1000 - 1, closetime="close")
        found = [order(txid, body, pair_of(body, names)) for txid, body in ended]
        return [row for row in found if row.native_id == market.native_id]

    async def fills(self, client: type_client, market: Market, since_ms: int) -> list[FillRow]:
        """Of every market, sifted here; whose they are, their orders tell."""
        names, found = short_names(client), dict[str, FillRow]()
        asked = {"start": str(since_ms // 1000 - 1), "without_count": "true", "consolidate_taker": "false"}
        for page in range(MAX_PAGES):
            answer = await client.privatePostTradesHistory({**asked, "ofs": str(page * _PAGE)})
            listed = dict(rows(answer, "trades"))
            for trade_id, body in listed.items():
                said = word(body, "pair")
                if said is not None and names.get(said, said) == market.native_id:
                    found[trade_id] = fill(trade_id, body, market)
            if len(listed) < _PAGE:
                rows_of_it = [row for row in found.values() if row.at_s * 1000 >= since_ms]
                owners = await self._owners(client, sorted({row.order_id for row in rows_of_it}))
                return [evolve(row, wire_id=owners.get(row.order_id)) for row in reversed(rows_of_it)]
        raise Unreadable(f"the list of fills has more than {MAX_PAGES} pages")

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
        """By the ids that the order tells of its trades."""
        if order_id is None:
            return await super().fills_of(client, market, wire_id, order_id, since_ms, conditional=conditional)
        asked = {"txid": order_id, "trades": "true", "consolidate_taker": "false"}
        answer = await self.unless_unknown(client.privatePostQueryOrders(asked))
        body = None if answer is None else result(answer).get(order_id)
        named = body.get("trades") if isinstance(body, dict) else None
        trade_ids = [str(each) for each in named] if isinstance(named, list) else []
        found: list[FillRow] = []
        for begin in range(0, len(trade_ids), _TRADES_AT_ONCE):
            some = ",".join(trade_ids[begin : begin + _TRADES_AT_ONCE])
            told = result(await client.privatePostQueryTrades({"txid": some}))
            found += [fill(trade_id, each, market) for trade_id, each in told.items() if isinstance(each, dict)]
        return of_order(found, None, order_id)

    async def _owners(self, client: type_client, order_ids: Sequence[str]) -> dict[str, str | None]:
        """Client order ids, by the exchange's."""
        owners = {}
        for first in range(0, len(order_ids), _PAGE):
            asked = {"txid": ",".join(order_ids[first : first + _PAGE])}
            for order_id, body in rows(await client.privatePostQueryOrders(asked)):
                owners[order_id] = word(body, "cl_ord_id")
        return owners

    async def positions(self, client: type_client, table: MarketTable) -> list[PositionRow]:
        """None: margin is not traded."""
        return []

    # ---- account and exchange ----------------------------------------------------------------------------------------

    async def signed_probe(self, client: type_client) -> Any:
        """The balances."""
        return result(await client.privatePostBalance({}))

    async def arm_dead_man(self, client: type_client, timeout_s: float, table: MarketTable) -> None:
        """In whole seconds, over the whole account."""
        if timeout_s != int(timeout_s) or timeout_s > _LONGEST_COUNTDOWN_S:
            raise Unsupported(
                f"kraken counts down in whole seconds, {_LONGEST_COUNTDOWN_S} at most: {timeout_s:g} cannot be set."
            )
        answer = result(await client.privatePostCancelAllOrdersAfter({"timeout": str(int(timeout_s))}))
        due = word(answer, "triggerTime")
        if due is None or (timeout_s > 0) == (due == "0"):
            raise Unreadable("the answer does not tell when the countdown ends")

    async def server_time_s(self, client: type_client) -> float:
        """In whole seconds."""
        unix_s = number(result(await client.publicGetTime({})), "unixtime")
        if unix_s is None:
            raise Unreadable("the answer has no unixtime")
        return float(unix_s)

    async def status(self, client: type_client) -> ServerStatus:
        """Kraken's own word for what it takes now."""
        return system_status(word(result(await client.publicGetSystemStatus({})), "status"))

    async def klines(
        self, client: type_client, market: Market, interval: str, since_ms: int | None, limit: int
    ) -> list[list[Any]]:
        """The newest 720 are all there is: what begins before them would be answered with later ones."""
        reach_ms = _BARS * client.parse_timeframe(interval) * 1000
        if limit > _BARS or (since_ms is not None and since_ms < client.milliseconds() - reach_ms):
            raise Unsupported(
                f"kraken keeps the last {_BARS} bars of {interval} only: ask for fewer, or for later ones."
            )
        return await super().klines(client, market, interval, since_ms, limit)
