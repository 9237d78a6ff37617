"""Bybit V5's orders: placed, amended, cancelled, one by one and in batches.

A create answers the ids and nothing else. Differences of spot: the quantity of a market order to buy is what to spend,
unless marketUnit says otherwise; a trigger goes off towards its price, wherever the price is now; reduceOnly,
positionIdx and triggerDirection mean nothing and are passed over.
Source: https://bybit-exchange.github.io/docs/v5/order/create-order and its neighbours.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

from attrs import evolve

from app.simulator.checks import bought
from app.simulator.dialects.base import Context, NativeError
from app.simulator.dialects.bybit_position import BY, BybitPosition, position_side
from app.simulator.dialects.bybit_shapes import TAG_CLOSE, TAG_TPSL, stop_type
from app.simulator.dialects.wire import Answer, BadNumber, decimal_or_none, flat
from app.simulator.model import (
    Attach,
    NewOrder,
    Order,
    OrderType,
    PositionSide,
    Reason,
    Refusal,
    Side,
    Tif,
    Trigger,
    TriggerBy,
)
from app.simulator.spec import MarketKind, MarketSpec

MAX_BATCH = {MarketKind.SWAP: 20, MarketKind.SPOT: 10}
LINK_ID_LENGTH = 36
_TIFS = {"GTC": Tif.GTC, "IOC": Tif.IOC, "FOK": Tif.FOK, "PostOnly": Tif.POST_ONLY}
_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
_TYPES = {"Limit": OrderType.LIMIT, "Market": OrderType.MARKET}
_SPOT_FILTERS = ("Order", "tpslOrder", "StopOrder", "OcoOrder", "BidirectionalTpslOrder")
_SWAP_FILTERS = ("Order", "StopOrder", "OpenOrder")
_Act = Callable[[Context], Order]


class BybitOrders(BybitPosition):
    """What changes orders."""

    def _create(self, ctx: Context) -> Answer:
        return self.ok(ctx, ids(self._create_one(ctx)))

    def _amend(self, ctx: Context) -> Answer:
        return self.ok(ctx, ids(self._amend_one(ctx)))

    def _cancel(self, ctx: Context) -> Answer:
        return self.ok(ctx, ids(self._cancel_one(ctx)))

    def _create_one(self, ctx: Context) -> Order:
        new = self._new_order(ctx, self.market(ctx))
        if not self.engine.markets[new.symbol].is_spot and not new.qty:
            raise Refusal(Reason.BAD_QTY, "The quantity is zero.", symbol=new.symbol)
        return self.place(ctx, new)

    def _amend_one(self, ctx: Context) -> Order:
        given, market = ctx.params, self.market(ctx)
        order_id, link_id = self._one_of(ctx)
        qty, price = decimal_or_none(given.get("qty")), decimal_or_none(given.get("price"))
        take_profit, stop_loss, trigger_price = (
            decimal_or_none(given.get(name)) or None for name in ("takeProfit", "stopLoss", "triggerPrice")
        )
        found = self.engine.find(ctx.now_ms, order_id=order_id, client_order_id=link_id, symbol=market.symbol)
        if found is not None and found.status.is_open:
            if qty is not None and (qty < found.filled if market.is_spot else qty <= found.filled):
                words = "The modified contract quantity cannot be less than {}the filled quantity"
                code, least = (170313, "") if market.is_spot else (110064, "or equal to ")
                raise NativeError(code, words.format(least))
            now = (found.qty, found.price, found.take_profit, found.stop_loss, found.trigger and found.trigger.price)
            asked = (qty, price, take_profit, stop_loss, trigger_price)
            if all(new is None or new == old for new, old in zip(asked, now, strict=True)):
                raise Refusal(Reason.NOTHING_TO_AMEND, "Nothing would change.", symbol=market.symbol)
        return self.engine.amend(
            ctx.now_ms,
            order_id=order_id,
            client_order_id=link_id,
            symbol=market.symbol,
            qty=qty,
            price=price,
            take_profit=take_profit,
            stop_loss=stop_loss,
            trigger_price=trigger_price,
        )

    def _cancel_one(self, ctx: Context) -> Order:
        """On spot an order is found only under its own filter, which is Order unless it is said."""
        market, (order_id, link_id) = self.market(ctx), self._one_of(ctx)
        wanted = ctx.params.get("orderFilter") or "Order"
        if market.is_spot:
            found = self.engine.find(ctx.now_ms, order_id=order_id, client_order_id=link_id, symbol=market.symbol)
            if found is not None and not self.fits(found, wanted):
                raise Refusal(Reason.UNKNOWN_ORDER, f"It is no {wanted}.", symbol=market.symbol)
        return self.engine.cancel(ctx.now_ms, order_id=order_id, client_order_id=link_id, symbol=market.symbol)

    def _cancel_all(self, ctx: Context) -> Answer:
        """Of derivatives every kind of order unless a filter is named; of spot the ordinary ones."""
        spot = self.kind(ctx) is MarketKind.SPOT
        symbols = self.whole_category(ctx) if spot else self.scope(ctx)
        wanted = self.order_filter(ctx) or ("Order" if spot else "")
        gone = self.engine.cancel_all(ctx.now_ms, only=lambda o: o.symbol in symbols and self.fits(o, wanted))
        return self.ok(ctx, {"list": [ids(o) for o in gone], "success": "1"})

    def order_filter(self, ctx: Context) -> str:
        """The filter asked for, or "". Refuses one that the category does not have."""
        wanted = ctx.params.get("orderFilter", "")
        known = _SPOT_FILTERS if self.kind(ctx) is MarketKind.SPOT else _SWAP_FILTERS
        if wanted and wanted not in known:
            raise NativeError(170202 if known is _SPOT_FILTERS else 10001, "Invalid orderFilter parameter.")
        return wanted

    def fits(self, order: Order, wanted: str) -> bool:
        """True for an order of the filter `wanted`; "" is every order."""
        market = self.engine.markets[order.symbol]
        if not wanted:
            return True
        if not order.is_waiting_trigger and order.status.is_open:
            return wanted in ("Order", "OpenOrder")
        kind = stop_type(order, market)
        if market.is_spot:
            return wanted == {"": "Order", "Stop": "StopOrder"}.get(kind, kind)
        return (wanted == "StopOrder") is bool(kind)

    def _one_of(self, ctx: Context) -> tuple[str | None, str | None]:
        order_id, link_id = ctx.params.get("orderId") or None, ctx.params.get("orderLinkId") or None
        if order_id is None and link_id is None:
            raise NativeError(10001, "params error: OrderId or orderLinkId is required")
        return order_id, link_id

    # ---- batches ----------------------------------------------------------------------------------------------------

    def _create_batch(self, ctx: Context) -> Answer:
        return self._batch(ctx, self._create_one, created=True)

    def _amend_batch(self, ctx: Context) -> Answer:
        return self._batch(ctx, self._amend_one)

    def _cancel_batch(self, ctx: Context) -> Answer:
        return self._batch(ctx, self._cancel_one)

    def _batch(self, ctx: Context, act: _Act, *, created: bool = False) -> Answer:
        """Each on its own: the answers in `list`, how each went in the `list` of retExtInfo."""
        body = ctx.request.json
        items = body.get("request") if isinstance(body, dict) else None
        kind = self.kind(ctx)
        if kind is None or not isinstance(items, list) or not items:
            raise NativeError(10001, "params error: request is required")
        if len(items) > MAX_BATCH[kind]:
            raise NativeError(10001, f"The number of orders in a batch exceeds {MAX_BATCH[kind]}")
        rows: list[dict[str, str]] = []
        codes: list[dict[str, object]] = []
        category = ctx.params["category"]
        for item in items:
            given = flat(item) if isinstance(item, Mapping) else {}
            one = evolve(ctx, params={**given, "category": category})
            row = {"category": category, "symbol": given.get("symbol", "")}
            try:
                order = act(one)
            except (Refusal, BadNumber, NativeError) as error:
                native = self._native(error, one)
                row |= {"orderId": "", "orderLinkId": given.get("orderLinkId", "")}
                codes.append({"code": native.code, "msg": native.words})
            else:
                row |= ids(order)
                codes.append({"code": 0, "msg": "OK"})
            rows.append({**row, "createAt": str(ctx.now_ms) if row["orderId"] else ""} if created else row)
        return self.ok(ctx, {"list": rows}, extra={"list": codes})

    def _native(self, error: Refusal | BadNumber | NativeError, ctx: Context) -> NativeError:
        if isinstance(error, Refusal):
            return self.refusal_error(error, ctx)
        return self.bad_number(error, ctx) if isinstance(error, BadNumber) else error

    # ---- what is asked for ------------------------------------------------------------------------------------------

    def _new_order(self, ctx: Context, market: MarketSpec) -> NewOrder:
        given = ctx.params
        side, kind = _SIDES.get(given.get("side", "")), _TYPES.get(given.get("orderType", ""))
        tif = _TIFS.get(given.get("timeInForce") or "GTC")
        for name, wrong in (
            ("side", side is None),
            ("orderType", kind is None),
            ("timeInForce", tif is None),
            ("OrderLinkId", len(given.get("orderLinkId", "")) > LINK_ID_LENGTH),
        ):
            if wrong:
                raise NativeError(10001, f"params error: {name} invalid")
        if side is None or kind is None or tif is None:
            raise AssertionError("Looked at above.")
        closes = not market.is_spot and given.get("closeOnTrigger") == "true"
        reduce_only = not market.is_spot and (given.get("reduceOnly") == "true" or closes)
        qty = decimal_or_none(given.get("qty")) or Decimal(0)
        of = PositionSide.BOTH if market.is_spot else position_side(ctx)
        if not qty and reduce_only and closes:  # a zero then means the whole position
            qty = abs(self.engine.position_of(market.symbol, of).qty)
        tag = TAG_CLOSE if closes else TAG_TPSL if market.is_spot and given.get("orderFilter") == "tpslOrder" else ""
        new = NewOrder(
            symbol=market.symbol,
            side=side,
            type=kind,
            qty=qty,
            price=decimal_or_none(given.get("price")) if kind is OrderType.LIMIT else None,
            tif=tif if kind is OrderType.LIMIT else Tif.IOC,
            reduce_only=reduce_only,
            client_order_id=given.get("orderLinkId") or None,
            take_profit=decimal_or_none(given.get("takeProfit")) or None,
            stop_loss=decimal_or_none(given.get("stopLoss")) or None,
            attach=_attach(given, market),
            trigger=self._trigger(ctx, market),
            position_side=of,
            tag=tag,
        )
        return self._in_quote(new, market, given) if market.is_spot and kind is OrderType.MARKET else new

    def _trigger(self, ctx: Context, market: MarketSpec) -> Trigger | None:
        price = decimal_or_none(ctx.params.get("triggerPrice"))
        if not price:
            if market.is_spot and ctx.params.get("orderFilter") in ("tpslOrder", "StopOrder"):
                raise NativeError(170203, "Please enter the TP/SL price.")
            return None
        if market.is_spot:
            return Trigger(price=price, rising=price > self.engine.prices[market.symbol])
        direction = ctx.params.get("triggerDirection")
        if direction not in ("1", "2"):
            raise NativeError(10001, "params error: TriggerDirection invalid")
        return Trigger(price=price, rising=direction == "1", by=BY.get(ctx.params.get("triggerBy", ""), TriggerBy.LAST))

    def _in_quote(self, new: NewOrder, market: MarketSpec, given: Mapping[str, str]) -> NewOrder:
        """A spot market order, whose quantity may be an amount of the quote coin."""
        unit = given.get("marketUnit") or ("quoteCoin" if new.side is Side.BUY else "baseCoin")
        if unit not in ("quoteCoin", "baseCoin"):
            raise NativeError(10001, "params error: marketUnit invalid")
        if unit == "baseCoin":
            return new
        if new.side is Side.BUY and new.trigger is None:
            bought(new.qty, self.engine.bid(market.symbol), market)
            return evolve(new, cost=new.qty)
        price = new.trigger.price if new.trigger is not None else self.engine.bid(market.symbol)
        return evolve(new, qty=bought(new.qty, price, market))


def _attach(given: Mapping[str, str], market: MarketSpec) -> Attach:
    """How the attached levels act.

    For the whole position unless tpslMode says Partial, which takes limit prices; on spot always for what was filled.
    """
    partial = market.is_spot or given.get("tpslMode") == "Partial"
    return Attach(
        take_profit_limit=decimal_or_none(given.get("tpLimitPrice")) if partial else None,
        stop_loss_limit=decimal_or_none(given.get("slLimitPrice")) if partial else None,
        take_profit_by=BY.get(given.get("tpTriggerBy", ""), TriggerBy.LAST),
        stop_loss_by=BY.get(given.get("slTriggerBy", ""), TriggerBy.LAST),
        whole_position=not partial,
    )


def ids(order: Order) -> dict[str, str]:
    """The two ids of an order."""
    return {"orderId": order.order_id, "orderLinkId": order.client_order_id or ""}
