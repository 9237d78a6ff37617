"""OKX V5's ordinary orders: placed, amended, cancelled, one by one and in batches; closing a position; the countdown.

A placement or cancel answers the ids and an `sCode`; what became of it is asked afterwards. Sizes of swaps are
contracts on the wire and base coin in the engine. On spot `sz` of a market order to buy is what to spend, unless tgtCcy
says otherwise. Source: https://www.okx.com/docs-v5/en/#order-book-trading-trade.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from attrs import evolve

from app.simulator.checks import bought
from app.simulator.dialects.base import Context, NativeError
from app.simulator.dialects.okx_account import OkxAccount
from app.simulator.dialects.wire import Answer, BadNumber, decimal_or_none, flat, int_or_none
from app.simulator.model import (
    Attach,
    MarginMode,
    NewOrder,
    Order,
    OrderType,
    PositionSide,
    Reason,
    Refusal,
    Side,
    Tif,
    TriggerBy,
)
from app.simulator.spec import MarketSpec

MAX_BATCH = 20
BY = {"mark": TriggerBy.MARK}
"""Last is the default; the index price is the last price here."""
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_TIFS = {"limit": Tif.GTC, "post_only": Tif.POST_ONLY, "ioc": Tif.IOC, "fok": Tif.FOK, "optimal_limit_ioc": Tif.IOC}
_MARKET_TYPES = ("market", "optimal_limit_ioc")

Act = Callable[[Context, Mapping[str, object]], Order]
"""What is done to one item of a body."""
Item = Callable[[Context, Order | None, str, str], dict[str, str]]
"""How its outcome is written: the order, or None, the sCode and the words."""


def base_qty(raw: str | None, market: MarketSpec) -> Decimal | None:
    """A size, in contracts of a swap, as base coin."""
    size = decimal_or_none(raw)
    return None if size is None else size * market.contract_size


def is_client_id(raw: str) -> bool:
    """Up to 32 letters and digits."""
    return len(raw) <= 32 and (not raw or (raw.isascii() and raw.isalnum()))


class OkxOrders(OkxAccount):
    """What changes ordinary orders."""

    def _place_one(self, ctx: Context) -> Answer:
        return self.many(ctx, [ctx.request.json], self._place_item, order_row, "Order placed")

    def _place_batch(self, ctx: Context) -> Answer:
        return self.many(ctx, self.batch(ctx), self._place_item, order_row, "Order placed")

    def _cancel(self, ctx: Context) -> Answer:
        return self.many(ctx, [ctx.request.json], self._cancel_item, order_row)

    def _cancel_batch(self, ctx: Context) -> Answer:
        return self.many(ctx, self.batch(ctx), self._cancel_item, order_row)

    def _amend(self, ctx: Context) -> Answer:
        return self.many(ctx, [ctx.request.json], self._amend_item, amended_row)

    def _amend_batch(self, ctx: Context) -> Answer:
        return self.many(ctx, self.batch(ctx), self._amend_item, amended_row)

    @staticmethod
    def batch(ctx: Context) -> list[object]:
        """The items of a body that must be a list."""
        body = ctx.request.json
        if not isinstance(body, list) or not body:
            raise NativeError("50000", "Body for POST request can't be empty.", status=400)
        if len(body) > MAX_BATCH:
            raise NativeError("51111", f"Maximum {MAX_BATCH} orders can be placed in bulk", status=400)
        return body

    def many(self, ctx: Context, bodies: Sequence[object], act: Act, item: Item, done: str = "") -> Answer:
        """Each order on its own: "0" if all went, "1" if none did, "2" if some did."""
        data: list[dict[str, str]] = []
        failed = 0
        for body in bodies:
            if not isinstance(body, dict):
                raise NativeError("50002", "JSON syntax error", status=400)
            one = evolve(ctx, params=flat(body))
            try:
                order = act(one, body)
            except (Refusal, BadNumber, NativeError) as error:
                failed += 1
                native = self._native(error, one)
                data.append(item(one, None, str(native.code), native.words))
            else:
                data.append(item(one, order, "0", done))
        code = "0" if not failed else "1" if failed == len(data) else "2"
        return self.items(code, "All operations failed" if code == "1" else "", data, ctx.now_ms)

    def _native(self, error: Refusal | BadNumber | NativeError, ctx: Context) -> NativeError:
        if isinstance(error, Refusal):
            return self.refusal_error(error, ctx)
        return self.bad_number(error, ctx) if isinstance(error, BadNumber) else error

    # ---- items ------------------------------------------------------------------------------------------------------

    def check_item(self, ctx: Context, wrongs: Iterable[tuple[str, bool]]) -> None:
        """Refuse what is wrong, by the name of the parameter."""
        for name, wrong in wrongs:
            if wrong:
                raise NativeError("51000", f"Parameter {name} error")

    def stand_behind(self, ctx: Context, market: MarketSpec) -> None:
        """Make the margin mode of the symbol that of the order, if nothing of the other mode is there."""
        if market.is_spot:
            return
        try:
            self.engine.set_margin_mode(MarginMode(ctx.params["tdMode"]), [market.symbol])
        except Refusal as refusal:
            raise NativeError("51000", "Parameter tdMode error") from refusal

    def side_of_position(self, ctx: Context, market: MarketSpec) -> PositionSide:
        """What posSide says; nothing on spot."""
        return PositionSide.BOTH if market.is_spot else self.pos_side(ctx)

    def _place_item(self, ctx: Context, body: Mapping[str, object]) -> Order:
        given = ctx.params
        market = self.market_of(given.get("instId"))
        kind, side, client_id = given.get("ordType", ""), SIDES.get(given.get("side", "")), given.get("clOrdId", "")
        modes = ("cash",) if market.is_spot else ("cross", "isolated")
        self.check_item(
            ctx,
            (
                ("tdMode", given.get("tdMode") not in modes),
                ("side", side is None),
                ("ordType", kind != "market" and (kind not in _TIFS or (market.is_spot and kind in _MARKET_TYPES))),
                ("tgtCcy", given.get("tgtCcy", "") not in ("", "base_ccy", "quote_ccy")),
                ("clOrdId", not is_client_id(client_id)),
            ),
        )
        position = self.side_of_position(ctx, market)
        is_market = kind in _MARKET_TYPES
        profit, loss, attach = attached(body)
        new = NewOrder(
            symbol=market.symbol,
            side=side or Side.BUY,
            type=OrderType.MARKET if is_market else OrderType.LIMIT,
            qty=base_qty(given.get("sz"), market) or Decimal(0),
            price=None if is_market else decimal_or_none(given.get("px")),
            tif=Tif.IOC if is_market else _TIFS[kind],
            reduce_only=given.get("reduceOnly") == "true" and not market.is_spot,
            client_order_id=client_id or None,
            take_profit=profit,
            stop_loss=loss,
            attach=attach,
            position_side=position,
            tag=given.get("tag", ""),
        )
        self.stand_behind(ctx, market)
        return self.place(ctx, self._in_quote(new, market, given) if market.is_spot and is_market else new)

    def _in_quote(self, new: NewOrder, market: MarketSpec, given: Mapping[str, str]) -> NewOrder:
        unit = given.get("tgtCcy") or ("quote_ccy" if new.side is Side.BUY else "base_ccy")
        if unit == "base_ccy":
            return new
        qty = bought(new.qty, self.engine.bid(market.symbol), market)
        return evolve(new, cost=new.qty) if new.side is Side.BUY else evolve(new, qty=qty)

    def _cancel_item(self, ctx: Context, body: Mapping[str, object]) -> Order:
        return self.engine.cancel(ctx.now_ms, order_id=self._ordinary(ctx).order_id)

    def _amend_item(self, ctx: Context, body: Mapping[str, object]) -> Order:
        order, given = self._ordinary(ctx), ctx.params
        levels = body.get("attachAlgoOrds")
        inner = [flat(o) for o in levels if isinstance(o, dict)] if isinstance(levels, list) else []
        profits, losses = (
            [decimal_or_none(o.get(name)) for o in (given, *inner)] for name in ("newTpTriggerPx", "newSlTriggerPx")
        )
        return self.engine.amend(
            ctx.now_ms,
            order_id=order.order_id,
            qty=base_qty(given.get("newSz"), self.engine.markets[order.symbol]),
            price=decimal_or_none(given.get("newPx")),
            take_profit=next((p for p in profits if p), None),
            stop_loss=next((x for x in losses if x), None),
        )

    def _ordinary(self, ctx: Context) -> Order:
        """The order that is meant, which is no algo order. Raises Refusal UNKNOWN_ORDER."""
        market = self.market_of(ctx.params.get("instId"))
        order_id, client_id = ids(ctx)
        known = [o for o in self.engine.with_client_id(client_id or "") if o.symbol == market.symbol]
        found = next((o for o in reversed(known) if o.status.is_open), known[-1] if known else None)
        if order_id is not None:
            found = next(
                (o for o in [self.engine.by_id(order_id)] if o is not None and o.symbol == market.symbol), None
            )
        if found is None or found.is_waiting_trigger or (order_id is None and found.trigger is not None):
            raise Refusal(Reason.UNKNOWN_ORDER, f"There is no order {order_id or client_id!r}.", symbol=market.symbol)
        return found

    # ---- the position, the account ----------------------------------------------------------------------------------

    def _close_position(self, ctx: Context) -> Answer:
        """Close a position at market; with autoCxl its closing orders go first."""
        market, side = self.market_of(ctx.params.get("instId")), self.pos_side(ctx)
        position = self.engine.position_of(market.symbol, side)
        if not position.qty:
            raise Refusal(Reason.NO_POSITION, f"There is no position of {market.symbol}.", symbol=market.symbol)
        if ctx.params.get("autoCxl") == "true":
            self.engine.cancel_all(
                ctx.now_ms,
                symbol=market.symbol,
                only=lambda o: o.reduces and o.position_side is side and not o.is_waiting_trigger,
            )
        client_id = ctx.params.get("clOrdId", "")
        new = NewOrder(
            symbol=market.symbol,
            side=Side.SELL if position.qty > 0 else Side.BUY,
            type=OrderType.MARKET,
            qty=abs(position.qty),
            reduce_only=True,
            client_order_id=client_id or None,
            position_side=side,
            tag=ctx.params.get("tag", ""),
        )
        self.place(ctx, new)
        item = {"clOrdId": client_id, "instId": market.native, "posSide": ctx.params.get("posSide") or "net"}
        return self.ok([{**item, "tag": ctx.params.get("tag", "")}])

    def _cancel_all_after(self, ctx: Context) -> Answer:
        """The countdown, s; 0 stops it."""
        timeout_s = int_or_none(ctx.params.get("timeOut"))
        if timeout_s is None or (timeout_s != 0 and not 10 <= timeout_s <= 120):
            raise NativeError("51000", "Parameter timeOut error", status=400)
        due_ms = self.engine.arm_dead_man(timeout_s * 1000, ctx.now_ms)
        tag = ctx.params.get("tag", "")
        return self.ok([{"triggerTime": str(due_ms or 0), "tag": tag, "ts": str(ctx.now_ms)}])


def order_row(ctx: Context, order: Order | None, code: str, words: str) -> dict[str, str]:
    """An item of an answer about an ordinary order."""
    return {
        "clOrdId": ctx.params.get("clOrdId", ""),
        "ordId": order.order_id if order is not None else ctx.params.get("ordId", ""),
        "sCode": code,
        "sMsg": words,
        "tag": ctx.params.get("tag", ""),
        "ts": str(ctx.now_ms),
        "subCode": "",
    }


def amended_row(ctx: Context, order: Order | None, code: str, words: str) -> dict[str, str]:
    """The same of an amendment, with the client's name for it."""
    return {**order_row(ctx, order, code, words), "reqId": ctx.params.get("reqId", "")}


def attached(body: Mapping[str, object]) -> tuple[Decimal | None, Decimal | None, Attach]:
    """Take profit and stop loss of `attachAlgoOrds`, and how they act. A price of -1 is a market order."""
    orders = body.get("attachAlgoOrds")
    levels = [flat(o) for o in orders if isinstance(o, dict)] if isinstance(orders, list) else []
    profit = next((o for o in levels if decimal_or_none(o.get("tpTriggerPx"))), {})
    loss = next((o for o in levels if decimal_or_none(o.get("slTriggerPx"))), {})
    profit_id, loss_id = profit.get("attachAlgoClOrdId") or None, loss.get("attachAlgoClOrdId") or None
    attach = Attach(
        take_profit_limit=limit_of(profit.get("tpOrdPx")),
        stop_loss_limit=limit_of(loss.get("slOrdPx")),
        take_profit_by=BY.get(profit.get("tpTriggerPxType", ""), TriggerBy.LAST),
        stop_loss_by=BY.get(loss.get("slTriggerPxType", ""), TriggerBy.LAST),
        take_profit_id=profit_id,
        stop_loss_id=loss_id if loss_id != profit_id else None,  # a pair is one algo order, under one id
    )
    return decimal_or_none(profit.get("tpTriggerPx")), decimal_or_none(loss.get("slTriggerPx")), attach


def limit_of(raw: str | None) -> Decimal | None:
    """The price of the order that a trigger becomes; None for a market order."""
    price = decimal_or_none(raw)
    return None if price is None or price == -1 else price


def ids(ctx: Context) -> tuple[str | None, str | None]:
    """The order's two ids; the exchange's own wins."""
    order_id, client_id = ctx.params.get("ordId") or None, ctx.params.get("clOrdId") or None
    if order_id is None and client_id is None:
        raise NativeError("51003", "Either client order ID or order ID is required.")
    return order_id, client_id
