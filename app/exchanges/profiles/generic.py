"""Any other exchange that ccxt has, over ccxt's unified methods only.

Nobody has read this exchange's documentation for the router, so little is believed. What ccxt would not send is refused
in words (`generic_trial`). A placement is refused, or has not executed, only by a class of ccxt's that can mean nothing
else, together with a code of the exchange that ccxt's own table has under that class: ccxt files "this client order id
exists" under the same class as "your price is wrong", so those are ambiguous, and a look-up decides. A look-up lists
open orders, then those that ended; a list that may have been cut, or that shows an order without a client order id,
proves no absence. Nothing enforces an expiry: what was sent may execute later, and how much later, is declared.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar

from attrs import evolve, frozen

from app.domain.calls import ExpiryEnforcement, Proof
from app.exchanges.client import TRACE, Unreadable, prepare, type_client
from app.exchanges.outcomes import UNCODED
from app.exchanges.profiles import generic_reading as reading
from app.exchanges.profiles import generic_trial
from app.exchanges.profiles.base import NoLiveOrder, Profile, Unsupported, WireOrder, class_names
from app.exchanges.profiles.generic_trial import Abilities
from app.exchanges.profiles.rows import FillRow, OrderRow, PositionRow, combined, from_fills
from app.exchanges.rules.base import VALIDITY_S
from app.exchanges.symbols import Market, MarketTable
from messages.market import MarketType
from messages.orders import LegState, OrderSpec, OrderType, Side, TimeInForce

LATENESS_S = 30.0
"""How long after its expiry, which nobody enforces, a placement may still execute. Declared by us."""
VISIBILITY_S = 5.0
"""How long an order may be missing from lists. Declared by us, longer than where somebody knows the exchange."""
EARLIER_MS = 2_000
"""Lists begin so long before an order was committed: its exchange's clock is known as well as that."""
BELIEVED = frozenset(
    {
        *UNCODED,
        "InvalidNonce",
        "InsufficientFunds",
        "DuplicateOrderId",
        "OrderNotFound",
        "OrderImmediatelyFillable",
        "OrderNotFillable",
        "ContractUnavailable",
        "MarketClosed",
        "BadSymbol",
    }
)
"""ccxt's classes that can mean nothing else, or that the request was turned away at the gate.

`InvalidOrder` and `BadRequest` hold duplicates too, in ccxt's tables.
"""


_CUT_SHORT = (LegState.CANCELLED, LegState.EXPIRED, LegState.REFUSED)


@frozen
class _Refusal:
    """Stands for an answer that refuses, once its code was found in ccxt's table under the class that was raised."""

    code: str
    words: str
    kinds: tuple[str, ...]


def _is(row: OrderRow, wire_id: str, order_id: str | None) -> bool:
    """Whether a row is the order's: by its client order id or, however that is echoed, by the exchange's own."""
    return row.wire_id == wire_id or (order_id is not None and row.order_id == order_id)


class _NoSandbox:
    """A sentence where ccxt has no addresses of a test network; asking imports ccxt."""

    def __get__(self, instance: Generic | None, owner: type[Generic]) -> str:
        return "" if prepare(owner()).urls.get("test") else f"ccxt knows no test network of {owner.name}."


class Generic(Profile):
    """One exchange of ccxt's. Unlike others it learns from its client what it can be asked for."""

    codes = MappingProxyType({})
    market_rows: ClassVar[tuple[str, ...]] = ()
    attaches_exits = False
    no_sandbox: ClassVar[Any] = _NoSandbox()
    proof = Proof(
        enforcement=ExpiryEnforcement.NONE,
        validity_s=VALIDITY_S,
        lateness_s=LATENESS_S,
        visibility_s=VISIBILITY_S,
        clock_error_s=1.5,
    )

    def __init__(self) -> None:
        self._abilities: Abilities | None = None

    # ---- what an answer says -----------------------------------------------------------------------------------------

    def native_code(self, answer: Any) -> tuple[str, str] | None:
        """Only of a refusal that was understood; what ccxt takes for a success is one."""
        return (answer.code, answer.words) if isinstance(answer, _Refusal) else None

    def known_as(self, client: type_client, code: str) -> tuple[str, ...]:
        """The class that was raised, where it can mean one thing only; otherwise one that says nothing."""
        trace = TRACE.get()
        refusal = None if trace is None else trace.answer
        if isinstance(refusal, _Refusal) and (refusal.kinds[0] in BELIEVED or "NetworkError" in refusal.kinds):
            return refusal.kinds
        return ("BaseError",)

    async def _heard(self, client: type_client, asked: Awaitable[Any]) -> Any:
        """The answer; of a refusal, its code is kept where ccxt's table has it under the class that ccxt raised."""
        try:
            return await asked
        except Exception as error:  # raised again, as it came
            trace = TRACE.get()
            kinds = class_names(type(error))
            if trace is not None and "BaseError" in kinds:
                for said in reading.scalars(trace.answer):
                    if kinds[0] in reading.classes(client.exceptions, said):
                        trace.answer = _Refusal(said, reading.words(trace.answer), kinds)
                        break
            raise

    # ---- before trading ----------------------------------------------------------------------------------------------

    async def warm_up(self, client: type_client) -> None:
        """Finds out what ccxt sends."""
        wanted = "spot" if self.market_type is MarketType.SPOT else "swap"
        for market in (client.markets or {}).values():
            if market.get(wanted) and market.get("active") is not False and (wanted == "spot" or market.get("linear")):
                self._abilities = await generic_trial.tried(client, market, self.name)
                return
        raise Unreadable(f"the answer lists no {wanted} market")

    def unfit(self, client: type_client) -> str:
        """What the trial said, or ccxt itself."""
        said = self._abilities.unfit if self._abilities is not None else generic_trial.unfit(client, self.name)
        lacking = [key for key, needed in client.requiredCredentials.items() if needed and not getattr(client, key)]
        return f"{self.name} also asks for its {' and its '.join(lacking)}." if lacking else said

    def learned(self, client: type_client) -> dict[str, Any]:
        """What the trial said."""
        return {} if self._abilities is None else self._abilities.told()

    def recall(self, client: type_client, learned: Any) -> None:
        """All of it, or nothing."""
        self._abilities = generic_trial.recalled(learned) or self._abilities

    # ---- placing -----------------------------------------------------------------------------------------------------

    def unsupported(self, spec: OrderSpec) -> str:
        """What would not be sent, or nobody could follow."""
        if spec.trigger is not None:
            return (
                f"Orders that wait for a trigger are not placed on {self.name}: ccxt does not say in which lists it"
                " keeps them, so that one could be lost. Leave the trigger out."
            )
        spot = self.market_type is MarketType.SPOT
        if spot and spec.order_type is OrderType.MARKET and spec.side is Side.BUY:
            return (
                f"Market orders that buy are not placed on {self.name}: through ccxt their size may be taken for an"
                " amount of the quote coin. Use a limit order, IOC, at a price beyond the market."
            )
        return self._unsent(spec)

    def _unsent(self, spec: OrderSpec) -> str:
        if self._abilities is None:
            return ""
        if self._abilities.unfit:
            return self._abilities.unfit
        wished = [wish for wish, is_wished in reading.wished(spec) if is_wished and wish not in self._abilities.wishes]
        return f"{wished[0]} is not sent to {self.name} by ccxt: the order would be another one." if wished else ""

    async def place(self, client: type_client, order: WireOrder) -> OrderRow:
        """By ccxt's own reading of the answer."""
        if self._abilities is None:
            await self.warm_up(client)
            words = self._unsent(order.spec)
            if words:
                raise Unsupported(words)
        spec = order.spec
        placed = await self._heard(
            client,
            client.create_order(
                order.market.unified,
                spec.order_type.value,
                spec.side.value,
                order.contracts,
                order.price,
                self.order_params(order),
            ),
        )
        if not isinstance(placed, dict) or not placed.get("id"):
            raise Unreadable("the answer to the placement names no order")
        # Of the state nothing is believed but that it is there: ccxt fills in what an answer lacks.
        return OrderRow(
            order_id=str(placed["id"]),
            wire_id=placed.get("clientOrderId") or None,
            native_id=order.market.native_id,
            state=LegState.OPEN,
            filled=None,
            average_price=None,
        )

    def order_params(self, order: WireOrder) -> dict[str, Any]:
        """What is usual is left to the exchange, where ccxt has a name for it."""
        params = super().order_params(order)
        if params.get("timeInForce") == TimeInForce.GTC.value:
            del params["timeInForce"]
        return params

    def placed_row(self, info: Any) -> OrderRow:
        """`place` reads ccxt's order instead."""
        raise Unreadable("an answer without ccxt's reading of it")

    # ---- the rest ----------------------------------------------------------------------------------------------------

    async def server_time_s(self, client: type_client) -> float:
        """ccxt's, or the header of a public answer, which tells whole seconds."""
        if client.has.get("fetchTime") is True:
            return await super().server_time_s(client)
        if not client.markets:
            await client.load_markets()
        await client.fetch_ticker(next(iter(client.markets)))
        trace = TRACE.get()
        headers = {} if trace is None or trace.headers is None else trace.headers
        date = next((value for name, value in headers.items() if name.lower() == "date"), None)
        if date is None:
            raise Unreadable("the answer does not tell its time")
        return parsedate_to_datetime(date).replace(tzinfo=UTC).timestamp() + 0.5

    async def signed_probe(self, client: type_client) -> Any:
        """The balance, of which ccxt keeps the time apart."""
        found = await client.fetch_balance()
        return [found.get(key) for key in ("total", "free", "used")]

    async def cancel(
        self, client: type_client, market: Market, wire_id: str, order_id: str | None = None, *, conditional: bool
    ) -> OrderRow | None:
        """By the exchange's own id, which is looked for among the open orders where it is not known."""
        if order_id is None:
            rows, whole = await self._listed(client, "fetch_open_orders", market, None)
            mine = [row for row in rows if row.wire_id == wire_id]
            if not mine:
                reading.prove_absence(rows, whole, "open orders", wire_id)
                raise NoLiveOrder(f"{self.name} lists no open order under this client order id.")
            order_id = mine[0].order_id
        await self._heard(client, client.cancel_order(order_id, market.unified))
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
        """Open orders, then those that ended since, then, where its own id is known, its fills."""
        begin_ms = since_ms + int(client.router_offset.value_s * 1000) - EARLIER_MS
        seen: list[tuple[list[OrderRow], bool]] = []
        for method in ("fetch_open_orders", *generic_trial.ended_by(client)):
            from_ms = None if method == "fetch_open_orders" else begin_ms
            rows, whole = await self._listed(client, method, market, from_ms)
            found = combined([row for row in rows if _is(row, wire_id, order_id)])
            if found is not None:
                return evolve((await self._with_fills(client, market, [found], begin_ms))[0], wire_id=wire_id)
            seen.append((rows, whole))
        if order_id is not None:
            trades, _ = await self._trades(client, market, begin_ms)
            mine = [(order_id, *reading.amounts(trade)) for trade in trades if str(trade.get("order")) == order_id]
            if mine:
                return from_fills(mine, wire_id, market.native_id)
        for rows, whole in seen:
            reading.prove_absence(rows, whole, "orders", wire_id)
        return None

    async def open_orders(
        self, client: type_client, table: MarketTable, market: Market | None, *, conditional: bool
    ) -> list[OrderRow]:
        """All of them at once, where ccxt can."""
        rows, whole = await self._listed(client, "fetch_open_orders", market, None)
        if not whole:
            raise Unreadable("the list of open orders may have been cut, and ccxt does not say how to go on")
        return [row for row in rows if row.state in (LegState.OPEN, LegState.PARTIALLY_FILLED)]

    async def closed_orders(self, client: type_client, market: Market, since_ms: int) -> list[OrderRow]:
        """Each once."""
        ended: dict[str | None, OrderRow] = {}
        for method in generic_trial.ended_by(client):
            rows, whole = await self._listed(client, method, market, since_ms)
            if not whole:
                raise Unreadable("the list of orders may have been cut, and ccxt does not say how to go on")
            ended.update({row.order_id: row for row in rows})
        rows = [row for row in ended.values() if row.state not in (LegState.OPEN, LegState.PARTIALLY_FILLED)]
        return await self._with_fills(client, market, rows, since_ms)

    async def fills(self, client: type_client, market: Market, since_ms: int) -> list[FillRow]:
        """With the fees that ccxt reads."""
        trades, whole = await self._trades(client, market, since_ms)
        if not whole:
            raise Unreadable("the list of fills may have been cut, and ccxt does not say how to go on")
        return [reading.fill(trade, market.native_id) for trade in trades]

    async def _trades(self, client: type_client, market: Market, since_ms: int) -> tuple[list[Any], bool]:
        page = reading.page(client, self.market_type, "fetchMyTrades")
        trades = await client.fetch_my_trades(market.unified, since_ms, page)
        return trades, max(len(trades), reading.longest(TRACE.get())) < (page or reading.LEAST_CUT)

    async def _with_fills(
        self, client: type_client, market: Market, rows: list[OrderRow], begin_ms: int
    ) -> list[OrderRow]:
        """What filled of orders that ended before all of it had: no less than their fills add up to.

        ccxt's krakenfutures tells of an order that was cancelled after it had filled in part that nothing filled.
        """
        if not any(row.state in _CUT_SHORT for row in rows):
            return rows
        trades, whole = await self._trades(client, market, begin_ms)
        if not whole:
            raise Unreadable("the list of fills may have been cut, so that what filled of an order is not known")
        told = []
        for row in rows:
            mine = [(row.order_id, *reading.amounts(each)) for each in trades if str(each.get("order")) == row.order_id]
            fills = from_fills(mine, row.wire_id or "", market.native_id) if row.state in _CUT_SHORT else None
            more = fills is not None and (fills.filled or 0) > (row.filled or 0)
            told.append(
                evolve(row, filled=fills.filled, average_price=fills.average_price)
                if fills is not None and more
                else row
            )
        return told

    async def positions(self, client: type_client, table: MarketTable) -> list[PositionRow]:
        """One net position for each market; spot has none."""
        if self.market_type is MarketType.SPOT:
            return []
        if client.has.get("fetchPositions") is not True:
            raise Unsupported(f"ccxt lists no positions of {self.name}.")
        return [reading.position(client, row) for row in await client.fetch_positions()]

    async def set_leverage(self, client: type_client, market: Market, leverage: Decimal) -> None:
        """Where ccxt can."""
        if client.has.get("setLeverage") is not True:
            raise Unsupported(f"ccxt sets no leverage on {self.name}.")
        await client.set_leverage(int(leverage) if leverage == int(leverage) else float(leverage), market.unified)

    async def _listed(
        self, client: type_client, method: str, market: Market | None, since_ms: int | None
    ) -> tuple[list[OrderRow], bool]:
        """The orders of a list, and whether it is surely all of it."""
        call = "fetchOpenOrders" if method == "fetch_open_orders" else "fetchClosedOrders"
        page = reading.page(client, self.market_type, call)
        if market is None and reading.features(client, self.market_type, call).get("symbolRequired"):
            raise Unsupported(f"ccxt lists the open orders of {self.name} for one symbol at a time: name one.")
        found = await getattr(client, method)(None if market is None else market.unified, since_ms, page)
        whole = max(len(found), reading.longest(TRACE.get())) < (page or reading.LEAST_CUT)
        return [reading.order(client, row) for row in found], whole


@cache
def generic(ccxt_id: str, market_type: MarketType, name: str | None = None) -> type[Generic]:
    """The profile of an exchange by ccxt's id. Imports nothing.

    Args:
        name: The router's name of it; ccxt's id unless given.
    """
    kind = "spot" if market_type is MarketType.SPOT else "swap"
    options: dict[str, Any] = {
        "defaultType": kind,
        "warnOnFetchOpenOrdersWithoutSymbol": False,  # ccxt's binance takes asking for all of them for a mistake
        **({} if kind == "spot" else {"defaultSubType": "linear"}),
    }
    return type(
        f"Generic_{ccxt_id}_{kind}",
        (Generic,),
        {
            "__doc__": f"{ccxt_id}, {kind} markets.",
            "name": name or ccxt_id,
            "ccxt_id": ccxt_id,
            "market_type": market_type,
            "options": MappingProxyType(options),
        },
    )
