"""Kraken spot: placing, amending, editing and cancelling orders.

- `AmendOrder` changes an order in place and keeps its id, and cancels the rest where the new quantity has filled;
  `EditOrder`, older, cancels the order and places another.
- A post-only order that would take is accepted and cancelled at once; so is what an IOC or FOK does not fill.
- A trigger that the market is past already goes off at once.
- A conditional close becomes a linked trigger, for what its order fills. Trailing stops, orders that begin later or end
  by a date, and margin are not simulated and are refused.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal

from attrs import evolve

from app.simulator.checks import check_order
from app.simulator.dialects.base import Call, Context, Dialect, NativeError, Route
from app.simulator.dialects.kraken_spot_bodies import COST_DECIMALS, LOT_DECIMALS, Asked, fixed, sentence, txid
from app.simulator.dialects.kraken_spot_params import (
    client_id,
    deadline_ms,
    flag,
    invalid,
    names,
    need,
    price,
    side_of,
    time_in_force,
    userref,
    volume,
)
from app.simulator.dialects.wire import Answer, decimal_or_none, flat, json_answer
from app.simulator.model import Attach, NewOrder, Order, OrderType, Reason, Refusal, Side, Tif, Trigger, TriggerBy, text
from app.simulator.spec import MarketSpec

ALL_VISIBLE_MS = 10**15
MAX_BATCH = 15
MAX_CANCELS = 50
TRIGGERS: dict[str, tuple[OrderType, bool]] = {
    "stop-loss": (OrderType.MARKET, False),
    "stop-loss-limit": (OrderType.LIMIT, False),
    "take-profit": (OrderType.MARKET, True),
    "take-profit-limit": (OrderType.LIMIT, True),
}
"""Order type → (what it becomes when set off, whether it takes a profit)."""


class OrdersApi:
    """The endpoints that change orders, over one dialect's engine."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._engine = dialect.engine

    def routes(self) -> list[Route]:
        """All private."""
        table: tuple[tuple[str, Call, Callable[[Context], Answer]], ...] = (
            ("AddOrder", Call.PLACE, self._add),
            ("AddOrderBatch", Call.PLACE, self._add_batch),
            ("AmendOrder", Call.AMEND, self._amend),
            ("EditOrder", Call.AMEND, self._edit),
            ("CancelOrder", Call.CANCEL, self._cancel),
            ("CancelOrderBatch", Call.CANCEL, self._cancel_batch),
            ("CancelAll", Call.CANCEL_ALL, self._cancel_all),
            ("CancelAllOrdersAfter", Call.DEAD_MAN, self._dead_man),
        )
        return [Route(method="POST", path=f"/0/private/{name}", call=call, handler=do) for name, call, do in table]

    # ---- placing ----------------------------------------------------------------------------------------------------

    def _add(self, ctx: Context) -> Answer:
        new, kind, close = self._read(ctx.params)
        market = self._engine.markets[new.symbol]
        descr = {"order": sentence(new, market, kind)}
        if close:
            descr["close"] = close
        if flag(ctx.params, "validate"):
            check_order(new, market, new.price if new.price is not None else self._engine.prices[new.symbol])
            return ok({"descr": descr})
        order = self._dialect.place(ctx, new)
        return ok({"descr": descr, "txid": [order.order_id]})

    def _add_batch(self, ctx: Context) -> Answer:
        """Orders of one pair: all are read before any is placed, and each is then answered for itself."""
        body = ctx.request.json
        items = body.get("orders") if isinstance(body, dict) else None
        if not isinstance(items, list) or not 2 <= len(items) <= MAX_BATCH:
            raise invalid("orders")
        common = {"pair": ctx.params.get("pair", "")}
        read = [self._read(common | _flat(i)) for i in items if isinstance(i, dict)]
        answers: list[dict[str, object]] = []
        for new, kind, _ in read:
            answer: dict[str, object] = {"descr": {"order": sentence(new, self._engine.markets[new.symbol], kind)}}
            try:
                answer["txid"] = self._dialect.place(ctx, new).order_id
            except Refusal as refusal:
                answer = {"error": str(self._dialect.refusal_error(refusal, ctx).code)}
            answers.append(answer)
        return ok({"orders": answers})

    def _read(self, params: Mapping[str, str]) -> tuple[NewOrder, str, str]:
        """The order that a request asks for, its type, and its conditional close in words."""
        market, side, kind = self._dialect.market_of(need(params, "pair")), side_of(params), need(params, "ordertype")
        if kind not in TRIGGERS and kind not in ("limit", "market"):
            raise invalid("ordertype")
        self._refuse_unsimulated(params)
        by = TriggerBy.MARK if params.get("trigger") == "index" else TriggerBy.LAST
        last = self._engine.venue.price_by(market.symbol, by)
        flags = names(params.get("oflags"))
        qty, tif, limit, trigger = volume(params), time_in_force(params), None, None
        if qty is None:
            raise invalid("volume")
        becomes = OrderType(kind) if kind not in TRIGGERS else TRIGGERS[kind][0]
        if kind == "limit":
            limit = price(params.get("price"), "price", side, last, market)
        elif kind in TRIGGERS:
            level = price(params.get("price"), "price", side, last, market)
            if becomes is OrderType.LIMIT:
                limit = price(params.get("price2"), "price2", side, level, market)
            found = Trigger(price=level, rising=(side is Side.BUY) is not TRIGGERS[kind][1], by=by)
            trigger = None if found.met(last) else found
        if "post" in flags:
            if kind != "limit" or tif is not Tif.GTC:
                raise NativeError("EOrder:Invalid order", "")
            tif = Tif.POST_ONLY
        cost = None
        if "viqc" in flags:
            if kind != "market" or side is Side.SELL:
                raise invalid("viqc")
            cost, qty = qty, Decimal(0)
        asked = Asked(
            kind=kind,
            userref=userref(params),
            oflags=",".join(dict.fromkeys([*(f for f in flags if f != "viqc"), "fciq"])),
            by="index" if by is TriggerBy.MARK else "last",
        )
        new = NewOrder(
            symbol=market.symbol,
            side=side,
            type=becomes,
            qty=qty,
            price=limit,
            tif=tif,
            reduce_only=flag(params, "reduce_only"),
            client_order_id=client_id(params),
            trigger=trigger,
            cost=cost,
            tag=asked.tag(),
        )
        return self._with_close(new, params, market, limit if limit is not None else last, kind)

    def _refuse_unsimulated(self, params: Mapping[str, str]) -> None:
        if params.get("leverage", "none") not in ("none", "0", ""):
            raise NativeError("EOrder:Cannot open position", "")
        for name in ("starttm", "expiretm", "displayvol"):
            if params.get(name, "0") not in ("0", ""):
                raise invalid(name)

    def _with_close(
        self, new: NewOrder, params: Mapping[str, str], market: MarketSpec, reference: Decimal, kind: str
    ) -> tuple[NewOrder, str, str]:
        """The order with what `close[ordertype]`, `close[price]` and `close[price2]` ask for, and that in words."""
        closing = params.get("close[ordertype]")
        if not closing:
            return new, kind, ""
        if closing not in TRIGGERS:
            raise invalid("close[ordertype]")
        becomes, profit = TRIGGERS[closing]
        out = Side.SELL if new.side is Side.BUY else Side.BUY
        level, limit = price(params.get("close[price]"), "close[price]", out, reference, market), None
        if becomes is OrderType.LIMIT:
            limit = price(params.get("close[price2]"), "close[price2]", out, level, market)
        words = f"close position @ {closing.removesuffix('-limit').replace('-', ' ')} {text(level)}"
        if limit is not None:
            words += f" -> limit {text(limit)}"
        if profit:
            return evolve(new, take_profit=level, attach=Attach(take_profit_limit=limit)), kind, words
        return evolve(new, stop_loss=level, attach=Attach(stop_loss_limit=limit)), kind, words

    # ---- changing ---------------------------------------------------------------------------------------------------

    def _refuse_expired(self, ctx: Context) -> None:
        """The engine's look at the deadline when amending; for placing `Engine.place` does it."""
        expiry = deadline_ms(ctx.request)
        if expiry is not None and ctx.now_ms > expiry:
            raise Refusal(Reason.EXPIRED, f"The request expired {ctx.now_ms - expiry} ms ago.")

    def _one(self, params: Mapping[str, str]) -> Order:
        order_id, client = params.get("txid"), params.get("cl_ord_id")
        if not order_id and not client:
            raise invalid("txid")
        order = self._engine.find(ALL_VISIBLE_MS, order_id=order_id or None, client_order_id=client or None)
        if order is None or not order.status.is_open:
            raise Refusal(Reason.UNKNOWN_ORDER, "There is no such open order.", order=order)
        return order

    def _changes(self, order: Order, params: Mapping[str, str], limit_name: str, level_name: str) -> dict[str, Decimal]:
        market = self._engine.markets[order.symbol]
        last, found = self._engine.prices[order.symbol], dict[str, Decimal]()
        if params.get(limit_name):
            if order.type is not OrderType.LIMIT:
                raise invalid(limit_name)
            found["price"] = price(params[limit_name], limit_name, order.side, last, market)
        if params.get(level_name):
            if not order.is_waiting_trigger:
                raise invalid(level_name)
            found["trigger_price"] = price(params[level_name], level_name, order.side, last, market)
        return found

    def _amend(self, ctx: Context) -> Answer:
        self._refuse_expired(ctx)
        order, qty = self._one(ctx.params), volume(ctx.params, "order_qty")
        changes = self._changes(order, ctx.params, "limit_price", "trigger_price")
        limit = changes.get("price")
        touch = self._engine.venue.touch(order.symbol, order.side)
        if flag(ctx.params, "post_only") and limit is not None and (limit - touch) * order.side.sign >= 0:
            raise NativeError("EOrder:Post only order", "")
        if qty is not None and qty <= order.filled:
            self._engine.cancel(ctx.now_ms, order_id=order.order_id)  # taken, and the rest goes back to the client
        else:
            self._engine.amend(
                ctx.now_ms, order_id=order.order_id, qty=qty, price=limit, trigger_price=changes.get("trigger_price")
            )
        return ok({"amend_id": txid("T", 10**12 + self._engine.venue.next_number())})

    def _edit(self, ctx: Context) -> Answer:
        """Cancel and place another: a new id, the same user reference unless another is given, no client order id."""
        self._refuse_expired(ctx)
        params = {k: v for k, v in ctx.params.items() if k != "cl_ord_id"}
        old = self._one(params)
        market, asked = self._engine.markets[old.symbol], Asked.of(old)
        if self._dialect.market_of(need(params, "pair")) is not market:
            raise invalid("pair")
        if old.filled:
            raise NativeError("EOrder:Order edit not allowed", "")
        names_of = ("price2", "price") if old.is_waiting_trigger else ("price", "")
        changes, qty = self._changes(old, params, *names_of), volume(params)
        trigger = old.trigger if old.is_waiting_trigger else None
        if trigger is not None:
            trigger = evolve(trigger, price=changes.get("trigger_price", trigger.price))
        ref = userref(params)
        flags = params.get("oflags") or asked.oflags
        new = NewOrder(
            symbol=old.symbol,
            side=old.side,
            type=old.type,
            qty=qty if qty is not None else old.qty,
            price=changes.get("price", old.price) if old.type is OrderType.LIMIT else None,
            tif=Tif.POST_ONLY if "post" in names(flags) else old.tif,
            take_profit=old.take_profit,
            stop_loss=old.stop_loss,
            attach=old.attach,
            trigger=trigger,
            tag=evolve(asked, userref=asked.userref if ref is None else ref, oflags=flags).tag(),
        )
        check_order(new, market, new.price if new.price is not None else self._engine.prices[new.symbol])
        self._engine.cancel(ctx.now_ms, order_id=old.order_id)
        order = self._dialect.place(ctx, new)
        first = new.trigger.price if new.trigger is not None else new.price
        return ok(
            {
                "status": "ok",
                "txid": order.order_id,
                "originaltxid": old.order_id,
                "volume": fixed(new.qty, LOT_DECIMALS),
                "price": fixed(first or Decimal(0), COST_DECIMALS),
                "price2": fixed(new.price, COST_DECIMALS) if new.trigger is not None and new.price is not None else "0",
                "orders_cancelled": 1,
                "descr": {"order": sentence(new, market, asked.kind)},
            }
        )

    # ---- cancelling -------------------------------------------------------------------------------------------------

    def _named(self, name: str, *, client: bool = False) -> list[Order]:
        """The open orders that a word means: an id, a client order id, or every one with a user reference."""
        found = self._engine.find(ALL_VISIBLE_MS, order_id=None if client else name, client_order_id=name)
        if found is not None:
            return [found] if found.status.is_open else []
        if client or not name.lstrip("-").isdecimal():
            return []
        return [o for o in self._engine.open_orders(ALL_VISIBLE_MS) if str(Asked.of(o).userref) == name]

    def _cancel(self, ctx: Context) -> Answer:
        word, client = ctx.params.get("txid"), ctx.params.get("cl_ord_id")
        if not word and not client:
            raise invalid("txid")
        orders = self._named(client or word or "", client=bool(client))
        if not orders:
            raise Refusal(Reason.UNKNOWN_ORDER, "There is no such open order.")
        return self._cancelled(ctx, orders)

    def _cancel_batch(self, ctx: Context) -> Answer:
        body = ctx.request.json
        words = [str(w) for w in _list(body, "orders")]
        clients = [str(c.get("cl_ord_id") if isinstance(c, dict) else c) for c in _list(body, "cl_ord_ids")]
        if not 1 <= len(words) + len(clients) <= MAX_CANCELS:
            raise invalid("orders")
        orders = [o for w in words for o in self._named(w)] + [o for c in clients for o in self._named(c, client=True)]
        return self._cancelled(ctx, orders)

    def _cancelled(self, ctx: Context, orders: list[Order]) -> Answer:
        for order in {o.order_id: o for o in orders}.values():
            self._engine.cancel(ctx.now_ms, order_id=order.order_id)
        return ok({"count": len({o.order_id for o in orders})})

    def _cancel_all(self, ctx: Context) -> Answer:
        return ok({"count": len(self._engine.cancel_all(ctx.now_ms))})

    def _dead_man(self, ctx: Context) -> Answer:
        wanted = decimal_or_none(need(ctx.params, "timeout"))
        if wanted is None or wanted < 0:
            raise invalid("timeout")
        due_ms = self._engine.arm_dead_man(int(wanted * 1000), ctx.now_ms)
        return ok({"currentTime": iso(ctx.now_ms), "triggerTime": "0" if due_ms is None else iso(due_ms)})


def ok(result: object) -> Answer:
    """An answer without errors."""
    return json_answer({"error": [], "result": result})


def iso(ms: int) -> str:
    """Unix ms as "2023-03-24T17:41:56Z"."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _list(body: object, name: str) -> list[object]:
    found = body.get(name) if isinstance(body, dict) else None
    return found if isinstance(found, list) else []


def _flat(item: Mapping[str, object]) -> dict[str, str]:
    """An order of a batch as parameters; its `close` is an object there, and named as in a form here."""
    close = item.get("close")
    return flat(item) | ({f"close[{k}]": v for k, v in flat(close).items()} if isinstance(close, dict) else {})
