"""Kraken Futures history API (/api/history/v2 and v3): events of orders, triggers and executions.

Look-ups of the trading API forget: /orders/status tells closed orders for five seconds only and /fills the last hundred
fills. What happened to an older order is found here, as a stream of events, newest first. Decimals are strings, times
Unix milliseconds; `quantity` of an order in an event is what was still unfilled then.

The events are made from the engine's orders and fills when they are asked for: nothing has to be told to this room.
"""

import base64
import binascii
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from attrs import frozen

from app.simulator.dialects.base import Call, Context, NativeError, Route
from app.simulator.dialects.kraken_bodies import fell_at_set_off, iso, limit_price, signal
from app.simulator.dialects.wire import Answer, int_or_none, json_answer
from app.simulator.engine import Engine
from app.simulator.model import Fill, Order, OrderType, Role, Side, Status, Tif, text

ACCOUNT_UID = "406142dd-7c5c-4a8b-acbc-5f16eca30009"
MAX_EVENTS = 1_000
"""Events in one answer; the rest by continuation token."""
BUCKET = "history"

_CANCEL_REASONS = {"by_user": "cancelled_by_user", "reduce_only": "would_not_reduce_position"}


@frozen(order=False)
class Event:
    """One thing that happened to an order. `kind` is the exchange's name of it; `fill` what it was about, if a fill."""

    at_ms: int
    seq: int
    kind: str
    order: Order
    fill: Fill | None = None
    filled: Decimal = Decimal(0)
    reason: str = ""


@frozen(kw_only=True)
class Rejected:
    """A refused order that the exchange remembers (post-only that would take, IOC that would not fill)."""

    uid: str
    at_ms: int
    market: str
    fields: Mapping[str, object]
    reason: str


class HistoryApi:
    """The history endpoints over one engine. `rejected` is the dialect's bounded memory of refused orders."""

    def __init__(self, engine: Engine, rejected: Sequence[Rejected]) -> None:
        self._engine = engine
        self._rejected = rejected
        self._by_order: dict[str, list[Fill]] = {}
        self._seen = 0

    def routes(self) -> list[Route]:
        """The same three streams under both versions."""
        table: tuple[tuple[str, Call, Callable[[Context], Answer]], ...] = (
            ("orders", Call.CLOSED_ORDERS, self._orders),
            ("triggers", Call.CLOSED_ORDERS, self._triggers),
            ("executions", Call.FILLS, self._executions),
        )
        return [
            Route(method="GET", path=f"/api/{BUCKET}/{version}/{name}", call=call, handler=do)
            for version in ("v2", "v3")
            for name, call, do in table
        ]

    # ---- endpoints --------------------------------------------------------------------------------------------------

    def _orders(self, ctx: Context) -> Answer:
        events = [e for o in self._seen_orders(ctx) if o.trigger is None or o.triggered for e in self._events(o)]
        if ctx.params.get("opened") == "false":
            events = [e for e in events if e.kind != "OrderPlaced"]
        if ctx.params.get("closed") == "false":
            events = [e for e in events if e.kind == "OrderPlaced"]
        shown = [(e.at_ms, e.seq, self._order_event(e)) for e in self._chosen(ctx, events)]
        if ctx.params.get("closed") != "false":
            shown += [(r.at_ms, 0, _rejected_event(r)) for r in self._rejected if self._within(ctx, r.at_ms, r.market)]
        shown.sort(key=lambda item: item[:2], reverse=ctx.params.get("sort", "desc") != "asc")
        return self._answer(ctx, [body for *_, body in shown])

    def _triggers(self, ctx: Context) -> Answer:
        events = [e for o in self._seen_orders(ctx) if o.trigger is not None for e in _trigger_events(o)]
        chosen = sorted(self._chosen(ctx, events), key=_time, reverse=ctx.params.get("sort", "desc") != "asc")
        return self._answer(ctx, [self._trigger_event(e) for e in chosen])

    def _executions(self, ctx: Context) -> Answer:
        fills = self._engine.trades(ctx.now_ms)
        kept = [f for f in fills if self._within(ctx, f.ts_ms, self._native(f.order))]
        if ctx.params.get("sort") == "asc":
            kept.reverse()
        return self._answer(ctx, [self._execution_event(f) for f in kept[: self._wanted(ctx)]])

    # ---- events -----------------------------------------------------------------------------------------------------

    def _seen_orders(self, ctx: Context) -> Iterator[Order]:
        since = int_or_none(ctx.params.get("since"))
        tradeable = ctx.params.get("tradeable", "").upper() or None
        for order in self._engine.history(ctx.now_ms, closed_only=False):
            if (since is None or order.updated_ms >= since) and tradeable in (None, self._native(order)):
                yield order

    def _fills_of(self, order: Order) -> list[Fill]:
        """Fills of an order, oldest first; the index catches up with the engine's list, which only grows."""
        fills = self._engine.fills
        for fill in fills[self._seen :] if self._seen else fills:
            self._by_order.setdefault(fill.order.order_id, []).append(fill)
        self._seen = len(fills)
        return self._by_order.get(order.order_id, [])

    def _events(self, order: Order) -> Iterator[Event]:
        if fell_at_set_off(order):
            reason = _CANCEL_REASONS.get(order.close_reason, order.close_reason)
            yield Event(order.updated_ms, order.seq, "OrderRejected", order, reason=reason)
            return
        fills = self._fills_of(order)
        born_ms = order.triggered_ms if order.triggered else order.created_ms
        taken = [f for f in fills if not f.is_maker and f.ts_ms == born_ms]
        filled = sum((f.qty for f in taken), Decimal(0))
        yield Event(born_ms, order.seq, "OrderPlaced", order, filled=filled, reason="new_user_order")
        for fill in fills[len(taken) :]:
            filled += fill.qty
            reason = "full_fill" if filled == order.qty else "partial_fill"
            yield Event(fill.ts_ms, order.seq, "OrderUpdated", order, fill, filled, reason)
        if order.status in (Status.CANCELLED, Status.EXPIRED, Status.REJECTED):
            reason = _CANCEL_REASONS.get(order.close_reason, order.close_reason)
            yield Event(order.updated_ms, order.seq, "OrderCancelled", order, None, filled, reason)

    def _chosen(self, ctx: Context, events: list[Event]) -> list[Event]:
        """The page's worth of events nearest to its end: the newest, or the oldest when sorted ascending."""
        kept = (e for e in events if self._within(ctx, e.at_ms, self._native(e.order)))
        pick = heapq.nsmallest if ctx.params.get("sort") == "asc" else heapq.nlargest
        return pick(self._wanted(ctx), kept, key=_time)

    def _within(self, ctx: Context, at_ms: int, native: str) -> bool:
        since, before = int_or_none(ctx.params.get("since")), int_or_none(ctx.params.get("before"))
        tradeable = ctx.params.get("tradeable", "").upper()
        inside = (since is None or at_ms >= since) and (before is None or at_ms < before)
        return inside and tradeable in ("", native)

    # ---- pages ------------------------------------------------------------------------------------------------------

    def _count(self, ctx: Context) -> int:
        count = int_or_none(ctx.params.get("count", str(MAX_EVENTS)))
        if count is None or count < 1:
            raise NativeError("invalidArgument: count", "", status=400)
        return min(count, MAX_EVENTS)

    def _offset(self, ctx: Context) -> int:
        token = ctx.params.get("continuation_token") or ctx.params.get("continuationToken")
        if not token:
            return 0
        try:
            return int(base64.b64decode(token, validate=True))
        except (ValueError, binascii.Error) as error:
            raise NativeError("invalidArgument: continuation_token", "", status=400) from error

    def _wanted(self, ctx: Context) -> int:
        """How many events to look at: those before this page, the page, and one to know whether there are more."""
        return self._offset(ctx) + self._count(ctx) + 1

    def _answer(self, ctx: Context, elements: list[dict[str, object]]) -> Answer:
        offset, count = self._offset(ctx), self._count(ctx)
        page = elements[offset : offset + count]
        body: dict[str, object] = {
            "accountUid": ACCOUNT_UID,
            "len": len(page),
            "serverTime": iso(ctx.now_ms),
            "elements": page,
        }
        if len(elements) > offset + count:
            body["continuationToken"] = base64.b64encode(str(offset + count).encode()).decode()
        return json_answer(body)

    # ---- bodies -----------------------------------------------------------------------------------------------------

    def _native(self, order: Order) -> str:
        return self._engine.markets[order.symbol].native

    def _order(self, order: Order, filled: Decimal, at_ms: int) -> dict[str, object]:
        return {
            "uid": order.order_id,
            "accountUid": ACCOUNT_UID,
            "tradeable": self._native(order),
            "direction": direction(order.side),
            "quantity": text(order.qty - filled),
            "filled": text(filled),
            "timestamp": order.created_ms,
            "limitPrice": text(limit_price(order, self._engine)),
            "orderType": "Liquidation" if order.role is Role.LIQUIDATION else order_type(order.type, order.tif),
            "clientId": order.client_order_id or "",
            "reduceOnly": order.reduce_only,
            "lastUpdateTimestamp": at_ms,
        }

    def _order_event(self, event: Event) -> dict[str, object]:
        order = self._order(event.order, event.filled, event.at_ms)
        body: dict[str, object] = {"reason": event.reason}
        if event.fill is not None:
            body["oldOrder"] = self._order(event.order, event.filled - event.fill.qty, event.at_ms)
            body["newOrder"] = order
            body["reducedQuantity"] = text(event.fill.qty)
        else:
            body["order"] = order
            if event.kind == "OrderRejected":
                body["orderError"] = event.reason.upper()
            if event.kind == "OrderPlaced":
                body |= {"reducedQuantity": "", "algoId": ""}
        part = event.fill.trade_id if event.fill is not None else event.order.order_id
        return {"uid": f"{event.kind}-{part}", "timestamp": event.at_ms, "event": {event.kind: body}}

    def _trigger_event(self, event: Event) -> dict[str, object]:
        order = event.order
        trigger = order.trigger
        body = self._order(order, Decimal(0), event.at_ms)
        if trigger is not None:
            body["triggerOptions"] = {
                "triggerPrice": text(trigger.price),
                "triggerSignal": f"{signal(order)}_price",
                "triggerSide": "trigger_above" if trigger.rising else "trigger_below",
            }
        return {
            "uid": f"{event.kind}-{order.order_id}",
            "timestamp": event.at_ms,
            "event": {event.kind: {"order": body, "reason": event.reason}},
        }

    def _execution_event(self, fill: Fill) -> dict[str, object]:
        execution = {
            "uid": fill.trade_id,
            "order": self._order(fill.order, fill.order.filled, fill.ts_ms),
            "timestamp": fill.ts_ms,
            "quantity": text(fill.qty),
            "price": text(fill.price),
            "markPrice": text(self._engine.prices[fill.symbol]),
            "limitFilled": fill.is_maker,
            "usdValue": text(fill.qty * fill.price),
            "orderData": {"fee": text(fill.fee), "positionSize": text(fill.qty), "feeCalculationInfo": []},
        }
        return {
            "uid": f"Execution-{fill.trade_id}",
            "timestamp": fill.ts_ms,
            "event": {"Execution": {"execution": execution, "takerReducedQuantity": ""}},
        }


def direction(side: Side) -> str:
    """Buy or Sell."""
    return side.value.capitalize()


def order_type(kind: OrderType, tif: Tif) -> str:
    """The order type as the history names it."""
    if kind is OrderType.MARKET or tif in (Tif.IOC, Tif.FOK):
        return "IoC"
    return "Post" if tif is Tif.POST_ONLY else "Limit"


def _time(event: Event) -> tuple[int, int]:
    return event.at_ms, event.seq


def _trigger_events(order: Order) -> Iterator[Event]:
    yield Event(order.created_ms, order.seq, "OrderTriggerPlaced", order, reason="new_user_order")
    if order.triggered:
        yield Event(order.triggered_ms, order.seq, "OrderTriggerActivated", order, reason="stop_order_triggered")
    elif not order.status.is_open:
        yield Event(order.updated_ms, order.seq, "OrderTriggerCancelled", order, reason="cancelled_by_user")


def _rejected_event(rejected: Rejected) -> dict[str, object]:
    order = {"uid": rejected.uid, "accountUid": ACCOUNT_UID, **rejected.fields}
    body = {"order": order, "orderError": rejected.reason, "reason": rejected.reason.lower()}
    return {"uid": f"OrderRejected-{rejected.uid}", "timestamp": rejected.at_ms, "event": {"OrderRejected": body}}
