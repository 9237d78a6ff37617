"""Kraken Futures: placing, editing, cancelling and looking up orders and fills.

An instruction that was understood is answered with a status word, refused or not; only a malformed request is an error.
So the single endpoints and /batchorder share the same `_placed`, `_cancelled` bodies.
"""

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import islice

from app.simulator.dialects import kraken_bodies as bodies
from app.simulator.dialects.base import Call, Context, Dialect, NativeError, Route
from app.simulator.dialects.kraken_bodies import V3, iso
from app.simulator.dialects.kraken_history import Rejected, direction, order_type
from app.simulator.dialects.kraken_params import MAX_BATCH, batch_of, need, time_ms, uuid_or_none, values
from app.simulator.dialects.wire import Answer, decimal_or_none, json_answer
from app.simulator.engine import Engine
from app.simulator.model import NewOrder, Order, OrderType, Reason, Refusal, Side, Status, Tif, Trigger, TriggerBy, text
from app.simulator.spec import MarketSpec
from app.simulator.venue import MAX_PRICE

STATUS_MEMORY_MS = 5_000
"""How long /orders/status still tells an order after it closed."""
MAX_FILLS = 100
MAX_CLIENT_ID = 100
MAX_REJECTED = 1_000
"""Refused orders that the history remembers."""
ALL_VISIBLE_MS = 10**15
"""A time at which every order is visible: changing an order sees what look-ups do not show yet, as the engine does."""

TYPES: dict[str, tuple[OrderType, Tif]] = {
    "lmt": (OrderType.LIMIT, Tif.GTC),
    "post": (OrderType.LIMIT, Tif.POST_ONLY),
    "ioc": (OrderType.LIMIT, Tif.IOC),
    "fok": (OrderType.LIMIT, Tif.FOK),
    "mkt": (OrderType.MARKET, Tif.GTC),
}
TRIGGERS = ("stp", "take_profit")
SIGNALS = {"last": TriggerBy.LAST, "mark": TriggerBy.MARK, "index": TriggerBy.LAST}
"""The simulated index is the price of the last trade."""
QTY_MODES = ("RELATIVE", "ABSOLUTE")
REJECT_REASONS: dict[str, str] = {
    "postWouldExecute": "POST_WOULD_EXECUTE",
    "iocWouldNotExecute": "IOC_WOULD_NOT_EXECUTE",
    "wouldNotReducePosition": "WOULD_NOT_REDUCE_POSITION",
}
"""Statuses that come with a REJECT event, an order id, and a place in the history."""
_FATAL = frozenset({Reason.UNKNOWN_SYMBOL, Reason.EXPIRED})
"""Refusals that are worded by the dialect, as errors of the whole request, and not as a status."""


def not_placed(status: str, now_ms: int) -> dict[str, object]:
    """The status of an order that was looked at and left no trace."""
    return {"status": status, "receivedTime": iso(now_ms), "orderEvents": []}


class OrdersApi:
    """The order endpoints over one dialect's engine. `rejected`: refused orders, for the history."""

    def __init__(self, dialect: Dialect, engine: Engine) -> None:
        self._dialect = dialect
        self._engine = engine
        self.rejected: deque[Rejected] = deque(maxlen=MAX_REJECTED)

    def routes(self) -> list[Route]:
        """All private."""
        table: tuple[tuple[str, str, Call, Callable[[Context], Answer]], ...] = (
            ("POST", "sendorder", Call.PLACE, self._send),
            ("POST", "editorder", Call.AMEND, self._edit),
            ("POST", "cancelorder", Call.CANCEL, self._cancel),
            ("POST", "cancelallorders", Call.CANCEL_ALL, self._cancel_all),
            ("POST", "batchorder", Call.PLACE, self._batch),
            ("GET", "openorders", Call.OPEN_ORDERS, self._open_orders),
            ("GET", "orders/status", Call.ORDER, self._statuses),
            ("POST", "orders/status", Call.ORDER, self._statuses),
            ("GET", "fills", Call.FILLS, self._fills),
        )
        return [Route(method=m, path=f"{V3}/{name}", call=call, handler=do) for m, name, call, do in table]

    def _ok(self, ctx: Context, **body: object) -> Answer:
        return json_answer({"result": "success", **body, "serverTime": iso(ctx.now_ms)})

    # ---- placing ----------------------------------------------------------------------------------------------------

    def _send(self, ctx: Context) -> Answer:
        return self._ok(ctx, sendStatus=self._placed(ctx, ctx.params))

    def _placed(self, ctx: Context, params: Mapping[str, str]) -> dict[str, object]:
        new = self._read(params)
        if len(new.client_order_id or "") > MAX_CLIENT_ID:
            return not_placed("clientOrderIdTooLong", ctx.now_ms)
        try:
            order = self._dialect.place(ctx, new)
        except Refusal as refusal:
            if refusal.reason in _FATAL:
                raise
            return self._refused(ctx, new, str(self._dialect.refusals[refusal.reason][0]))
        if order.close_reason == "post_only_would_cross":  # reduce-only as well: the engine lets it in and out again
            return self._refused(ctx, new, "postWouldExecute", order.order_id)
        if order.close_reason == "would_not_fill":
            return self._refused(ctx, new, "iocWouldNotExecute", order.order_id)
        if order.filled:
            events = [bodies.execution_event(f, self._engine) for f in self._engine.fills_of(order)]
        else:
            events = [bodies.placed_event(order, self._engine)]
        return self._about(order, "placed", ctx.now_ms, events)

    def _read(self, params: Mapping[str, str]) -> NewOrder:
        kind = need(params, "orderType")
        market = self._dialect.market_of(need(params, "symbol"))
        side_name = need(params, "side")
        if side_name not in ("buy", "sell"):
            raise NativeError("invalidArgument: side", "")
        if kind not in TYPES and kind not in TRIGGERS:
            raise NativeError("invalidArgument: orderType", "")
        side = Side(side_name)
        need(params, "size")
        qty = decimal_or_none(params["size"]) or Decimal(0)
        price = decimal_or_none(params.get("limitPrice"))
        trigger = None
        if kind in TRIGGERS:
            type_, tif = (OrderType.MARKET if price is None else OrderType.LIMIT), Tif.GTC
            need(params, "stopPrice")
            by = SIGNALS.get(params.get("triggerSignal", "last"))
            if by is None:
                raise NativeError("invalidArgument: triggerSignal", "")
            trigger = self._trigger(params["stopPrice"], market, by, rising=(side is Side.BUY) is (kind == "stp"))
        else:
            type_, tif = TYPES[kind]
            if type_ is OrderType.LIMIT:
                need(params, "limitPrice")
        return NewOrder(
            symbol=market.symbol,
            side=side,
            type=type_,
            qty=qty,
            price=price if type_ is OrderType.LIMIT else None,
            tif=tif,
            reduce_only=params.get("reduceOnly", "false").lower() == "true",
            client_order_id=params.get("cliOrdId") or None,
            trigger=trigger,
            tag=kind,
        )

    def _trigger(self, raw: str, market: MarketSpec, by: TriggerBy, *, rising: bool) -> Trigger | None:
        """The trigger, or None if the market is past it already: such an order is set off at once."""
        level = decimal_or_none(raw)
        if level is None or not 0 < level <= MAX_PRICE or level % market.tick:
            raise NativeError("invalidArgument: stopPrice", "")
        trigger = Trigger(price=level, rising=rising, by=by)
        return None if trigger.met(self._engine.venue.price_by(market.symbol, by)) else trigger

    def _refused(self, ctx: Context, new: NewOrder, status: str, order_id: str | None = None) -> dict[str, object]:
        """A refusal's status; some come with an event and are remembered."""
        reason = REJECT_REASONS.get(status)
        if reason is None:
            return not_placed(status, ctx.now_ms)
        uid = order_id or f"{self._engine.venue.next_number():08x}-0eec-4000-8000-0000000000e1"
        market = self._engine.markets[new.symbol]
        price = new.price or self._engine.prices[new.symbol]
        self.rejected.append(
            Rejected(
                uid=uid,
                at_ms=ctx.now_ms,
                market=market.native,
                reason=reason,
                fields={
                    "tradeable": market.native,
                    "direction": direction(new.side),
                    "quantity": text(new.qty),
                    "filled": "0",
                    "timestamp": ctx.now_ms,
                    "limitPrice": text(price),
                    "orderType": order_type(new.type, new.tif),
                    "clientId": new.client_order_id or "",
                    "reduceOnly": new.reduce_only,
                    "lastUpdateTimestamp": ctx.now_ms,
                },
            )
        )
        order = {
            "orderId": uid,
            "cliOrdId": new.client_order_id,
            "type": "ioc" if new.tag == "mkt" else new.tag,
            "symbol": market.native,
            "side": new.side.value,
            "quantity": bodies.num(new.qty),
            "filled": 0.0,
            "limitPrice": bodies.num(price),
            "reduceOnly": new.reduce_only,
            "timestamp": iso(ctx.now_ms),
            "lastUpdateTimestamp": iso(ctx.now_ms),
        }
        event = {"type": "REJECT", "uid": uid, "order": order, "reason": reason}
        return not_placed(status, ctx.now_ms) | {"order_id": uid, "orderEvents": [event]}

    def _about(self, order: Order, status: str, now_ms: int, events: list[dict[str, object]]) -> dict[str, object]:
        body: dict[str, object] = {
            "status": status,
            "order_id": order.order_id,
            "receivedTime": iso(now_ms),
            "orderEvents": events,
        }
        if order.client_order_id is not None:
            body["cliOrdId"] = order.client_order_id
        return body

    def _refuse_expired(self, ctx: Context) -> None:
        """Editing and cancelling past `processBefore` do nothing; for placing the engine looks at it itself."""
        expiry = self._dialect.expiry_ms(ctx.request)
        if expiry is not None and ctx.now_ms > expiry:
            raise Refusal(Reason.EXPIRED, f"The request expired {ctx.now_ms - expiry} ms ago.")

    # ---- changing ---------------------------------------------------------------------------------------------------

    def _cancelled(self, ctx: Context, params: Mapping[str, str]) -> dict[str, object]:
        order_id, client = uuid_or_none(params, "order_id"), params.get("cliOrdId")
        if order_id is None and not client:
            raise NativeError("requiredArgumentMissing", "")
        self._refuse_expired(ctx)
        try:
            order = self._engine.cancel(ctx.now_ms, order_id=order_id, client_order_id=client)
        except Refusal as refusal:
            known = refusal.order
            status = "filled" if known is not None and known.status is Status.FILLED else "notFound"
            return {"status": status, "receivedTime": iso(ctx.now_ms), "orderEvents": []}
        return self._about(order, "cancelled", ctx.now_ms, [bodies.cancel_event(order, self._engine)])

    def _cancel(self, ctx: Context) -> Answer:
        return self._ok(ctx, cancelStatus=self._cancelled(ctx, ctx.params))

    def _cancel_all(self, ctx: Context) -> Answer:
        self._refuse_expired(ctx)
        native = ctx.params.get("symbol")
        market = self._dialect.market_of(native) if native else None
        gone = self._engine.cancel_all(ctx.now_ms, symbol=market.symbol if market else None)
        status = {
            "receivedTime": iso(ctx.now_ms),
            "cancelOnly": market.native if market else "all",
            "status": "cancelled" if gone else "noOrdersToCancel",
            "cancelledOrders": [{"order_id": o.order_id, "cliOrdId": o.client_order_id} for o in gone],
            "orderEvents": [bodies.cancel_event(o, self._engine) for o in gone],
        }
        return self._ok(ctx, cancelStatus=status)

    def _edit(self, ctx: Context) -> Answer:
        return self._ok(ctx, editStatus=self._edited(ctx, ctx.params))

    def _edited(self, ctx: Context, params: Mapping[str, str]) -> dict[str, object]:
        order_id, client = uuid_or_none(params, "orderId"), params.get("cliOrdId") or None
        if order_id is None and client is None:
            raise NativeError("requiredArgumentMissing", "")
        self._refuse_expired(ctx)
        order = self._engine.find(ALL_VISIBLE_MS, order_id=order_id, client_order_id=client)
        if order is None or not order.status.is_open:
            return not_placed("orderForEditNotFound", ctx.now_ms)
        waiting = order.is_waiting_trigger
        old = bodies.trigger_json(order, self._engine) if waiting else bodies.order_json(order, self._engine)
        filled_before = order.filled
        mode, size = params.get("qtyMode") or QTY_MODES[0], decimal_or_none(params.get("size"))
        if mode not in QTY_MODES:
            raise NativeError("invalidArgument: qtyMode", "")
        stop = decimal_or_none(params.get("stopPrice"))
        if order.is_waiting_trigger and stop is None:
            raise NativeError("requiredArgumentMissing", "")
        if stop is not None and not order.is_waiting_trigger:
            return not_placed("orderForEditNotAStop", ctx.now_ms)
        try:
            self._engine.amend(
                ctx.now_ms,
                order_id=order.order_id,
                qty=size if size is None or mode == "ABSOLUTE" else size + order.filled,
                price=decimal_or_none(params.get("limitPrice")),
                trigger_price=stop,
            )
        except Refusal as refusal:
            return not_placed(str(self._dialect.refusals[refusal.reason][0]), ctx.now_ms)
        if order.close_reason == "post_only_would_cross":
            return not_placed("postWouldExecute", ctx.now_ms)
        if order.is_waiting_trigger:
            new = bodies.trigger_json(order, self._engine)
        else:
            new = bodies.order_json(order, self._engine, filled=filled_before)
        events: list[dict[str, object]] = [{"type": "EDIT", "old": old, "new": new, "reducedQuantity": None}]
        if order.filled > filled_before and order.last_fill is not None:
            events.append(bodies.execution_event(order.last_fill, self._engine))
        return self._about(order, "edited", ctx.now_ms, events) | {"orderId": order.order_id}

    def _batch(self, ctx: Context) -> Answer:
        instructions = batch_of(ctx.request)
        if not instructions:
            raise NativeError("Json Parse Error", "")
        if len(instructions) > MAX_BATCH:
            raise NativeError("invalidArgument: batchOrder", "")
        return self._ok(ctx, batchStatus=[self._instruction(ctx, i) for i in instructions])

    def _instruction(self, ctx: Context, params: Mapping[str, str]) -> dict[str, object]:
        """One instruction of a batch; what is wrong with it is its status and leaves the others alone."""
        doers = {"send": self._placed, "edit": self._edited, "cancel": self._cancelled}
        try:
            do = doers.get(need(params, "order"))
            if do is None:
                raise NativeError("invalidArgument: order", "")
            status = do(ctx, params)
        except Refusal as refusal:
            status = not_placed(str(self._dialect.refusals[refusal.reason][0]), ctx.now_ms)
        except NativeError as error:
            status = not_placed(str(error.code), ctx.now_ms)
        if params.get("order_tag"):
            status["order_tag"] = params["order_tag"]
        return status

    # ---- looking up -------------------------------------------------------------------------------------------------

    def _open_orders(self, ctx: Context) -> Answer:
        found = self._engine.open_orders(ctx.now_ms)
        return self._ok(ctx, openOrders=[bodies.open_order(o, self._engine) for o in reversed(found)])

    def _statuses(self, ctx: Context) -> Answer:
        wanted: list[Order | None] = []
        for order_id in values(ctx.request, "orderIds"):
            uuid_or_none({"orderIds": order_id}, "orderIds")
            wanted.append(self._engine.find(ctx.now_ms, order_id=order_id))
        wanted += [self._engine.find(ctx.now_ms, client_order_id=c) for c in values(ctx.request, "cliOrdIds")]
        told = {
            o.order_id: o
            for o in wanted
            if o is not None and (o.status.is_open or o.updated_ms + STATUS_MEMORY_MS >= ctx.now_ms)
        }
        return self._ok(ctx, orders=[bodies.order_status(o, self._engine) for o in told.values()])

    def _fills(self, ctx: Context) -> Answer:
        """The newest hundred, or the hundred before `lastFillTime`."""
        raw = ctx.params.get("lastFillTime")
        try:
            before_ms = time_ms(raw) if raw else None
        except ValueError as error:
            raise NativeError("invalidArgument: lastFillTime", "") from error
        found = (f for f in self._engine.trades(ctx.now_ms) if before_ms is None or f.ts_ms < before_ms)
        return self._ok(ctx, fills=[bodies.fill_json(f, self._engine) for f in islice(found, MAX_FILLS)])
