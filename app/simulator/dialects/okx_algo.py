"""OKX V5's algo orders: trigger, conditional (a take profit or a stop loss) and oco (both, of which one goes off).

An algo order has an id of its own, from the number of the order that waits, and one client id, algoClOrdId; when it is
set off the order that it becomes has an ordId, by which the ordinary endpoints tell it. An oco is two orders here, with
numbers that follow each other, and the id of the first. Levels attached to an order become algo orders when it fills.
Trailing stops, icebergs, twap and chase orders are refused by their ordType.
Source: https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import islice

from attrs import evolve

from app.simulator.checks import bought
from app.simulator.dialects.base import Context, NativeError
from app.simulator.dialects.okx_algo_shapes import algo_item, algo_kind, algo_state
from app.simulator.dialects.okx_orders import BY, SIDES, OkxOrders, attached, base_qty, is_client_id, limit_of
from app.simulator.dialects.okx_shapes import FIRST_ALGO_ID, algo_id
from app.simulator.dialects.okx_words import PASSED
from app.simulator.dialects.wire import Answer, decimal_or_none, int_or_none, page_size
from app.simulator.model import NewOrder, Order, OrderType, Reason, Refusal, Side, Trigger, TriggerBy
from app.simulator.spec import MarketSpec

KINDS = ("trigger", "conditional", "oco")
KNOWN = (*KINDS, "move_order_stop", "iceberg", "twap", "chase")
MAX_CANCELS = 10


class OkxAlgo(OkxOrders):
    """Algo orders."""

    # ---- changing ---------------------------------------------------------------------------------------------------

    def _place_algo(self, ctx: Context) -> Answer:
        return self.many(ctx, [ctx.request.json], self._algo_of_item, algo_row)

    def _cancel_algos(self, ctx: Context) -> Answer:
        bodies = self.batch(ctx)
        if len(bodies) > MAX_CANCELS:
            raise NativeError("51111", f"Maximum {MAX_CANCELS} orders can be cancelled in bulk", status=400)
        return self.many(ctx, bodies, self._cancel_algo_item, algo_row)

    def _amend_algo(self, ctx: Context) -> Answer:
        return self.many(ctx, [ctx.request.json], self._amend_algo_item, amended_algo_row)

    def _algo_of_item(self, ctx: Context, body: Mapping[str, object]) -> Order:
        given = ctx.params
        market, kind = self.market_of(given.get("instId")), given.get("ordType", "")
        side, client_id = SIDES.get(given.get("side", "")), given.get("algoClOrdId") or given.get("clOrdId", "")
        whole = given.get("closeFraction") == "1"
        self.check_item(
            ctx,
            (
                ("ordType", kind not in KINDS),
                ("side", side is None),
                ("tdMode", given.get("tdMode") not in (("cash", "cross") if market.is_spot else ("cross", "isolated"))),
                ("algoClOrdId", not is_client_id(client_id)),
                ("closeFraction", bool(given.get("closeFraction")) and (not whole or market.is_spot)),
            ),
        )
        position = self.side_of_position(ctx, market)
        profit, loss, attach = attached(body)
        qty = base_qty(given.get("sz"), market) or Decimal(0)
        if whole:
            qty = abs(self.engine.position_of(market.symbol, position).qty)
            if not qty:
                raise Refusal(Reason.NO_POSITION, f"There is no position of {market.symbol}.", symbol=market.symbol)
        new = NewOrder(
            symbol=market.symbol,
            side=side or Side.BUY,
            type=OrderType.MARKET,
            qty=qty,
            reduce_only=not market.is_spot and (given.get("reduceOnly") == "true" or whole),
            client_order_id=client_id or None,
            take_profit=profit,
            stop_loss=loss,
            attach=attach,
            position_side=position,
            tag=f"{kind}:{given.get('tag', '')}",
        )
        self.stand_behind(ctx, market)
        if kind == "trigger":
            return self.place(ctx, self._trigger(ctx, new))
        return self._levels(ctx, new, kind)

    def _trigger(self, ctx: Context, new: NewOrder) -> NewOrder:
        price = decimal_or_none(ctx.params.get("triggerPx")) or Decimal(0)
        rising = price > self.engine.prices[new.symbol]
        by = BY.get(ctx.params.get("triggerPxType", ""), TriggerBy.LAST)
        if ctx.params.get("tgtCcy"):
            raise NativeError("51281", "Trigger order do not support the tgtCcy parameter.")
        return self._priced(evolve(new, trigger=Trigger(price=price, rising=rising, by=by)), ctx.params.get("orderPx"))

    def _levels(self, ctx: Context, new: NewOrder, kind: str) -> Order:
        """Of a conditional with both levels the stop loss alone counts; an oco needs both."""
        given = ctx.params
        names = [n for n in ("tp", "sl") if decimal_or_none(given.get(f"{n}TriggerPx"))]
        if not names or (kind == "oco" and len(names) < 2):
            raise NativeError("51000", "Parameter tpTriggerPx or slTriggerPx error")
        made = []
        for name in names if kind == "oco" else names[-1:]:
            price = decimal_or_none(given.get(f"{name}TriggerPx")) or Decimal(0)
            by = BY.get(given.get(f"{name}TriggerPxType", ""), TriggerBy.LAST)
            trigger = Trigger(price=price, rising=(name == "tp") is (new.side is Side.SELL), by=by)
            if trigger.met(self.engine.venue.price_by(new.symbol, by)):
                raise NativeError(*PASSED[name, new.side])
            limit = given.get(f"{name}OrdPx")
            tagged = evolve(new, trigger=trigger, tag=f"{name}:{given.get('tag', '')}")
            made.append(self._priced(self._spend(ctx, tagged, price, limit), limit))
        if len(made) == 1:
            return self.place(ctx, made[0])
        pair = [made[0], evolve(made[1], client_order_id=None)]
        return self.engine.place_oco(pair, ctx.now_ms, visible_from_ms=ctx.visible_from_ms)[0]

    def _spend(self, ctx: Context, new: NewOrder, price: Decimal, limit: str | None) -> NewOrder:
        """A spot order to buy at market is given by what to spend, unless tgtCcy says otherwise; at the trigger's
        price."""
        market, unit = self.engine.markets[new.symbol], ctx.params.get("tgtCcy")
        buys_at_market = new.side is Side.BUY and limit_of(limit) is None
        in_quote = unit == "quote_ccy" or (not unit and buys_at_market)
        if not in_quote or not market.is_spot or not price:
            return new
        return evolve(new, qty=bought(new.qty, price, market))

    @staticmethod
    def _priced(new: NewOrder, raw: str | None) -> NewOrder:
        limit = limit_of(raw)
        return new if limit is None else evolve(new, type=OrderType.LIMIT, price=limit)

    def _cancel_algo_item(self, ctx: Context, body: Mapping[str, object]) -> Order:
        group = self._group(ctx)
        for order in group:
            if order.status.is_open and order.is_waiting_trigger:
                self.engine.cancel(ctx.now_ms, order_id=order.order_id)
        return group[0]

    def _amend_algo_item(self, ctx: Context, body: Mapping[str, object]) -> Order:
        group, given = self._group(ctx), ctx.params
        waiting = [o for o in group if o.status.is_open]
        for order in waiting:
            short = {"tp": "Tp", "sl": "Sl"}.get(algo_kind(order), "")
            self.engine.amend(
                ctx.now_ms,
                order_id=order.order_id,
                qty=base_qty(given.get("newSz"), self.engine.markets[order.symbol]),
                price=limit_of(given.get(f"new{short}OrdPx")),
                trigger_price=decimal_or_none(given.get(f"new{short}TriggerPx"))
                or (order.trigger.price if order.trigger is not None else None),
            )
        return group[0]

    # ---- looking up -------------------------------------------------------------------------------------------------

    def _algo(self, ctx: Context) -> Answer:
        group = self._find(ctx)
        if not group:
            raise NativeError("51603", "Order does not exist")
        return self.ok([algo_item(group, self.engine.markets[group[0].symbol], self.engine)])

    def _algos_pending(self, ctx: Context) -> Answer:
        return self._algo_page(ctx, reversed(self.engine.open_orders(ctx.now_ms)), pending=True)

    def _algos_history(self, ctx: Context) -> Answer:
        if not ctx.params.get("state") and not ctx.params.get("algoId"):
            raise NativeError("51602", "Either state or algoId is required", status=400)
        return self._algo_page(ctx, self.engine.history(ctx.now_ms, closed_only=False), pending=False)

    def _algo_page(self, ctx: Context, rows: Iterable[Order], *, pending: bool) -> Answer:
        """Newest first, of the ordTypes asked for: algo ids below `after` and above `before`, at most 100."""
        given = ctx.params
        wanted = [k for k in given.get("ordType", "").split(",") if k]
        if not wanted or any(k not in KNOWN for k in wanted):
            raise NativeError("51000", "Parameter ordType error", status=400)
        symbols = {m.symbol for m in self.listed(ctx)}
        after, before = int_or_none(given.get("after")), int_or_none(given.get("before"))
        items = (
            algo_item(group, market, self.engine)
            for group, market in self._groups(rows)
            if market.symbol in symbols
            and (algo_state(group) == "live") is pending
            and (after is None or int(algo_id(group[0])) < after)
            and (before is None or int(algo_id(group[0])) > before)
            and (not given.get("algoId") or algo_id(group[0]) == given["algoId"])
            and (not given.get("state") or algo_state(group) == given["state"])
        )
        limit = page_size(given.get("limit"), 100, 100)
        return self.ok(list(islice((i for i in items if i["ordType"] in wanted), limit)))

    def _groups(self, rows: Iterable[Order]) -> Iterable[tuple[list[Order], MarketSpec]]:
        """Algo orders, each once, in the order of the first of theirs that is met."""
        seen: set[str] = set()
        for order in rows:
            if order.trigger is None or order.order_id in seen:
                continue
            group = self._members(order)
            seen.update(o.order_id for o in group)
            yield group, self.engine.markets[order.symbol]

    def _members(self, order: Order) -> list[Order]:
        """The orders of one algo order: itself, and its neighbour of the same group."""
        if order.oco is None:
            return [order]
        near = [self.engine.by_id(self.engine.rules.order_id(order.seq + n)) for n in (-1, 0, 1)]
        return [o for o in near if o is not None and o.oco == order.oco]

    def _find(self, ctx: Context) -> list[Order]:
        number, client_id = int_or_none(ctx.params.get("algoId")), ctx.params.get("algoClOrdId") or None
        client_id = client_id or ctx.params.get("clOrdId") or None
        found = None
        if number is not None:
            found = self.engine.find(ctx.now_ms, order_id=self.engine.rules.order_id(number - FIRST_ALGO_ID))
        elif client_id is not None:
            found = self.engine.find(ctx.now_ms, client_order_id=client_id)
        return self._members(found) if found is not None and found.trigger is not None else []

    def _group(self, ctx: Context) -> list[Order]:
        """The algo order to change. Raises Refusal UNKNOWN_ORDER for one that does not wait any more."""
        market, group = self.market_of(ctx.params.get("instId")), self._find(ctx)
        if not group or group[0].symbol != market.symbol or algo_state(group) != "live":
            raise Refusal(Reason.UNKNOWN_ORDER, "There is no such algo order.", symbol=market.symbol)
        return group


def algo_row(ctx: Context, order: Order | None, code: str, words: str) -> dict[str, str]:
    """An item of an answer about an algo order."""
    client_id = ctx.params.get("algoClOrdId") or ctx.params.get("clOrdId", "")
    return {
        "algoClOrdId": client_id,
        "algoId": algo_id(order) if order is not None else ctx.params.get("algoId", ""),
        "clOrdId": "",
        "sCode": code,
        "sMsg": words,
        "tag": ctx.params.get("tag", ""),
    }


def amended_algo_row(ctx: Context, order: Order | None, code: str, words: str) -> dict[str, str]:
    """The same of an amendment, with the client's name for it."""
    return {**algo_row(ctx, order, code, words), "reqId": ctx.params.get("reqId", "")}
