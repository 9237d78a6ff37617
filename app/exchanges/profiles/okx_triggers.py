"""OKX V5's orders that wait for a trigger: algo orders, kept apart from the book under ids of their own.

A stop is the stop loss side, a take profit the take profit side of an algo order of the type `conditional`: the type
`trigger` is refused for swaps in net mode (51298) and on spot knows no tgtCcy (51281). Its client order id is
`algoClOrdId`; ccxt puts the wire id into `clOrdId`, which that endpoint no longer knows, and changes tdMode on spot, so
the endpoints are called as they are. ccxt also adds a client order id of its own wherever `clOrdId` is missing; the
wire id stands there instead.

Set off, an algo order names the order it became (`ordId`), which is followed from there.
Source: https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from attrs import evolve

from app.exchanges.client import TRACE, Unreadable, type_client
from app.exchanges.profiles import okx_shapes as shapes
from app.exchanges.profiles.base import Profile, WireChange, WireOrder
from app.exchanges.profiles.rows import OrderRow, accepted, combined, forgotten, from_fills, listed, number, price, word
from app.exchanges.rules.base import ExchangeRules
from app.exchanges.symbols import Market
from messages.market import MarketType
from messages.orders import LegState, OrderSpec, OrderType, Side, TimeInForce, TriggerKind

KIND = "conditional"
_ENDED = ("effective", "canceled", "order_failed")
_MARKET = "-1"
"""The price of what is executed at market once it is set off."""


def unsupported(spec: OrderSpec, rules: ExchangeRules) -> str:
    """One sentence where such an order cannot wait for a trigger; otherwise an empty string."""
    trigger = spec.trigger
    if trigger is None:
        return ""
    if trigger.by not in rules.trigger_prices.value:
        only = " or ".join(rules.trigger_prices.value)
        return f"okx sets {rules.market_type.value} orders off by the {only} price only, not by the {trigger.by} price."
    if spec.order_type is OrderType.LIMIT and spec.time_in_force is not TimeInForce.GTC:
        return f"okx places what a trigger sets off as GTC: it cannot be {spec.time_in_force}."
    return ""


def _side(spec: OrderSpec) -> str:
    assert spec.trigger is not None, "only orders with a trigger come here"
    return "sl" if spec.trigger.kind is TriggerKind.STOP else "tp"


async def place(client: type_client, order: WireOrder, named: dict[str, str]) -> OrderRow:
    """Places an algo order.

    Args:
        named: What it has to say of the account: tdMode and, where long and short stand side by side, posSide.
    """
    spec, side = order.spec, _side(order.spec)
    assert spec.trigger is not None, "only orders with a trigger come here"
    request: dict[str, Any] = {
        **named,
        "instId": order.market.native_id,
        "side": spec.side.value,
        "ordType": KIND,
        "sz": order.contracts,
        "algoClOrdId": order.wire_id,
        "clOrdId": order.wire_id,
        f"{side}TriggerPx": order.trigger_price,
        f"{side}TriggerPxType": spec.trigger.by.value,
        f"{side}OrdPx": _MARKET if order.price is None else order.price,
    }
    if spec.reduce_only:
        request["reduceOnly"] = True
    if (
        order.market.symbol.market_type is MarketType.SPOT
        and spec.order_type is OrderType.MARKET
        and spec.side is Side.BUY
    ):
        request["tgtCcy"] = "base_ccy"
    placed = listed(await client.privatePostTradeOrderAlgo(request), "data")
    answer = placed[0] if placed else {}
    return accepted(word(answer, "algoId"), word(answer, "algoClOrdId"))


async def cancel(profile: Profile, client: type_client, market: Market, wire_id: str) -> OrderRow | None:
    """Cancels an algo order, or the order that it became. Acknowledges the request only, unless it ended before."""
    ids = {"instId": market.native_id, "algoClOrdId": wire_id}
    return await _acted(
        profile,
        client,
        wire_id,
        client.privatePostTradeCancelAlgos([ids]),
        lambda order_id: client.privatePostTradeCancelOrder({"instId": market.native_id, "ordId": order_id}),
        end_will_do=True,
    )


async def amend(profile: Profile, client: type_client, change: WireChange) -> OrderRow | None:
    """Changes an algo order, or the order that it became."""
    side, spec = "Sl" if _side(change.spec) == "sl" else "Tp", change.spec
    request = {"instId": change.market.native_id, "algoClOrdId": change.wire_id}
    wanted = {"newSz": change.contracts, f"new{side}TriggerPx": change.trigger_price, f"new{side}OrdPx": change.price}
    request |= {name: value for name, value in wanted.items() if value is not None}

    def became(order_id: str) -> Awaitable[Any] | None:
        if change.trigger_price is not None or spec.order_type is OrderType.MARKET:
            return None
        changed = {"newSz": change.contracts, "newPx": change.price}
        ids = {"instId": change.market.native_id, "ordId": order_id}
        asked: Awaitable[Any] = client.privatePostTradeAmendOrder(
            ids | {name: value for name, value in changed.items() if value is not None}
        )
        return asked

    await _acted(profile, client, change.wire_id, client.privatePostTradeAmendAlgos(request), became, end_will_do=False)
    return None


async def _acted(
    profile: Profile,
    client: type_client,
    wire_id: str,
    asked: Awaitable[Any],
    on_order: Callable[[str], Awaitable[Any] | None],
    *,
    end_will_do: bool,
) -> OrderRow | None:
    """Does something to an algo order; where it waits no more, to the order that it became, if that makes sense.

    Returns it where it ended without one and that will do. Otherwise what the exchange said first is what is raised.
    """
    try:
        if not any(word(item, "algoId", "algoClOrdId") for item in listed(await asked, "data")):
            raise Unreadable("the answer names no order")
        return None
    except Exception as error:  # raised again unless the exchange's own code says that it waits no more
        trace = TRACE.get()
        if trace is None or not profile.knows_none(trace):
            raise
        said = copy.copy(trace)
        algo = await _algo(profile, client, wire_id)
        order_ids = [] if algo is None else _order_ids(algo)
        if end_will_do and algo is not None and not order_ids and word(algo, "state") != "live":
            return _waiting(algo)
        instead = [each for each in map(on_order, order_ids) if each is not None]
        if not instead:
            trace.status, trace.answer, trace.headers = said.status, said.answer, said.headers
            raise error
    for each in instead:
        if not any(word(item, "ordId") for item in listed(await each, "data")):
            raise Unreadable("the answer names no order")
    return None


# ---- looking up ------------------------------------------------------------------------------------------------------


async def find(
    profile: Profile,
    client: type_client,
    market: Market,
    wire_id: str,
    since_ms: int,
    *,
    inst_type: str,
) -> OrderRow | None:
    """An algo order by wire id, or what became of it. None only when it, the waiting, those that ended and the orders
    that such became were asked for and none had it."""
    scope = {"instType": inst_type, "instId": market.native_id}
    algo = await _algo(profile, client, wire_id)
    if algo is None:
        algo = _named(
            await shapes.paged(client.privateGetTradeOrdersAlgoPending, scope | {"ordType": KIND}, "algoId"), wire_id
        )
    for state in _ENDED if algo is None else ():
        rows = await shapes.paged(
            client.privateGetTradeOrdersAlgoHistory, scope | {"ordType": KIND, "state": state}, "algoId"
        )
        algo = algo or _named(rows, wire_id)
    if algo is not None:
        return await _became(profile, client, market, algo, wire_id, scope | {"begin": str(since_ms - shapes.SLACK_MS)})
    scope["begin"] = str(since_ms - shapes.SLACK_MS)
    orders = [shapes.order(row) for row in await shapes.paged(client.privateGetTradeOrdersHistory, scope, "ordId")]
    return combined([row for row in orders if row.wire_id == wire_id])


async def _algo(profile: Profile, client: type_client, wire_id: str) -> Any | None:
    answer = await profile.unless_unknown(client.privateGetTradeOrderAlgo({"algoClOrdId": wire_id}))
    return None if answer is None else _named(listed(answer, "data"), wire_id)


async def became(profile: Profile, client: type_client, wire_id: str) -> list[str]:
    """The exchange's ids of what an algo order became; none while it waits, or where it is not known any more."""
    algo = await _algo(profile, client, wire_id)
    return [] if algo is None else _order_ids(algo)


def _named(rows: list[Any], wire_id: str) -> Any | None:
    return next((row for row in rows if word(row, "algoClOrdId") == wire_id), None)


def _order_ids(algo: Any) -> list[str]:
    """The orders that an algo order became; one, but for split take profits, which are never ours."""
    if word(algo, "state") == "order_failed":
        return []
    several = algo.get("ordIdList")
    found = [str(each) for each in several if each] if isinstance(several, list) else []
    single = word(algo, "ordId")
    return found or ([single] if single is not None else [])


async def _became(
    profile: Profile, client: type_client, market: Market, algo: Any, wire_id: str, scope: dict[str, Any]
) -> OrderRow:
    order_ids = _order_ids(algo)
    if not order_ids:
        return _waiting(algo)
    rows = []
    for order_id in order_ids:
        rows.append(await _order_of(profile, client, market, algo, order_id, scope))
    found = combined(rows)
    assert found is not None, "there is one row for each id"
    return evolve(found, wire_id=wire_id)


async def _order_of(
    profile: Profile, client: type_client, market: Market, algo: Any, order_id: str, scope: dict[str, Any]
) -> OrderRow:
    """The order itself; else of the history; else what its fills prove."""
    asked = {"instId": market.native_id, "ordId": order_id}
    answer = await profile.unless_unknown(client.privateGetTradeOrder(asked))
    rows = [] if answer is None else listed(answer, "data")
    rows = rows or await shapes.paged(client.privateGetTradeOrdersHistory, scope, "ordId")
    for row in rows:
        if word(row, "ordId") == order_id:
            return shapes.order(row)
    fills = await shapes.paged(client.privateGetTradeFillsHistory, scope | {"ordId": order_id}, "billId")
    mine = [
        (order_id, number(row, "fillSz") or Decimal(0), number(row, "fillPx") or Decimal(0))
        for row in fills
        if word(row, "ordId") == order_id
    ]
    found = from_fills(mine, "", market.native_id)
    if found is not None:
        return found
    set_off_ms = number(algo, "triggerTime") or number(algo, "uTime") or Decimal(0)
    if client.milliseconds() - int(set_off_ms) < shapes.FORGOTTEN_MS:
        raise Unreadable("the order that the trigger became is not listed")
    open_now = {key: value for key, value in scope.items() if key != "begin"}
    for row in await shapes.paged(client.privateGetTradeOrdersPending, open_now, "ordId"):
        if word(row, "ordId") == order_id:
            return shapes.order(row)
    return forgotten(order_id, market.native_id, shapes.FORGOTTEN_MS)


def _waiting(row: Any) -> OrderRow:
    """An algo order that became no order: it waits, or ended before it was set off, or was refused when it was."""
    states = {
        "live": LegState.OPEN,
        "pause": LegState.OPEN,
        "canceled": LegState.CANCELLED,
        "order_failed": LegState.REFUSED,
    }
    state = states.get(word(row, "state") or "")
    if state is None:
        raise Unreadable(f"an algo order is {word(row, 'state')!r} and names no order that it became")
    limit = word(row, "slOrdPx", "tpOrdPx", "ordPx")
    return OrderRow(
        order_id=word(row, "algoId"),
        wire_id=word(row, "algoClOrdId"),
        native_id=word(row, "instId"),
        state=state,
        filled=Decimal(0),
        average_price=None,
        contracts=None if word(row, "tgtCcy") == "quote_ccy" else number(row, "sz"),
        price=None if limit in (None, _MARKET) else price(row, "slOrdPx", "tpOrdPx", "ordPx"),
        trigger_price=price(row, "slTriggerPx", "tpTriggerPx", "triggerPx"),
    )


async def waiting(client: type_client, scope: dict[str, Any]) -> list[OrderRow]:
    """Those that wait, a person's pairs of take profit and stop loss included."""
    rows = await shapes.paged(client.privateGetTradeOrdersAlgoPending, scope | {"ordType": f"{KIND},oco"}, "algoId")
    return [_waiting(row) for row in rows]


async def ended(client: type_client, scope: dict[str, Any], since_ms: int) -> list[OrderRow]:
    """Those that ended since a time without becoming an order."""
    found = []
    for state in ("canceled", "order_failed"):
        asked = scope | {"ordType": KIND, "state": state}
        for row in await shapes.paged(client.privateGetTradeOrdersAlgoHistory, asked, "algoId"):
            if not _order_ids(row) and (number(row, "uTime", "cTime") or Decimal(0)) >= since_ms:
                found.append(_waiting(row))
    return found
