"""Binance spot: order lists, of which one-cancels-the-other is simulated.

`POST /api/v3/orderList/oco` names the order above and the order below the market, each by a type of its own; the older
`POST /api/v3/order/oco` a limit and a stop. Cancelling one order of a list cancels the list.
"""

from collections.abc import Callable
from decimal import Decimal

from app.simulator.dialects.base import Call, Context, Dialect, NativeError, Route
from app.simulator.dialects.binance_params import ALL_VISIBLE_MS, client_id, missing, need, page, side_of
from app.simulator.dialects.binance_spot_bodies import cancelled_body, list_body, list_id_of, list_name_of, placed_body
from app.simulator.dialects.binance_spot_orders import TYPES, OrdersApi, check_window
from app.simulator.dialects.wire import Answer, int_or_none, json_answer
from app.simulator.model import NewOrder, Order, OrderType, Reason, Refusal, Side, Tif
from app.simulator.spec import MarketSpec

_LEGS = frozenset({"LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})


class ListsApi:
    """The order-list endpoints over one dialect's engine."""

    def __init__(self, dialect: Dialect, orders: OrdersApi, new_client_id: Callable[[], str]) -> None:
        self._dialect = dialect
        self._engine = dialect.engine
        self._orders = orders
        self._new_client_id = new_client_id

    def routes(self) -> list[Route]:
        """All private."""
        one = "/api/v3/orderList"
        return [
            Route(method="POST", path=f"{one}/oco", call=Call.PLACE, handler=self._place),
            Route(method="POST", path="/api/v3/order/oco", call=Call.PLACE, handler=self._place_old),
            Route(method="DELETE", path=one, call=Call.CANCEL, handler=self._cancel),
            Route(method="GET", path=one, call=Call.ORDER, handler=self._one),
            Route(method="GET", path="/api/v3/openOrderList", call=Call.OPEN_ORDERS, handler=self._open),
            Route(method="GET", path="/api/v3/allOrderList", call=Call.CLOSED_ORDERS, handler=self._all),
        ]

    # ---- placing ----------------------------------------------------------------------------------------------------

    def _place(self, ctx: Context) -> Answer:
        market, side = self._dialect.market_of(need(ctx, "symbol")), side_of(ctx)
        qty, name = self._orders.quantity(ctx.params, "quantity"), self._name(ctx)
        kinds = [need(ctx, "aboveType"), need(ctx, "belowType")]
        if not set(kinds) <= _LEGS:
            raise NativeError(-1116, "Invalid orderType.")
        legs = [
            self._leg(ctx, market, side, qty, f"{kind}|{name}", prefix)
            for kind, prefix in zip(kinds, ("above", "below"), strict=True)
        ]
        return self._placed(ctx, market, legs)

    def _leg(self, ctx: Context, market: MarketSpec, side: Side, qty: Decimal, tag: str, prefix: str) -> NewOrder:
        kind = tag.partition("|")[0]
        becomes, profit = TYPES[kind]
        limit, tif, trigger = None, Tif.GTC, None
        if becomes is OrderType.LIMIT:
            limit = self._orders.price(ctx.params, f"{prefix}Price", market)
        if kind == "LIMIT_MAKER":
            tif = Tif.POST_ONLY
        elif becomes is OrderType.LIMIT:
            tif = self._orders.time_in_force(need(ctx, f"{prefix}TimeInForce"))
        if profit is not None:
            level = self._orders.price(ctx.params, f"{prefix}StopPrice", market)
            trigger = self._orders.trigger(level, side, profit=profit)
            if trigger.rising is not (prefix == "above"):
                raise NativeError(-1165, "The relationship of the prices for the orders is not correct.")
        elif limit is not None and (limit > self._engine.prices[market.symbol]) is not (prefix == "above"):
            raise NativeError(-2010, "The relationship of the prices for the orders is not correct.")
        return NewOrder(
            symbol=market.symbol,
            side=side,
            type=becomes,
            qty=qty,
            price=limit,
            tif=tif,
            client_order_id=client_id(ctx, f"{prefix}ClientOrderId") or self._new_client_id(),
            trigger=trigger,
            tag=tag,
        )

    def _place_old(self, ctx: Context) -> Answer:
        """A limit order and a stop, as they were named before."""
        market, side, name = self._dialect.market_of(need(ctx, "symbol")), side_of(ctx), self._name(ctx)
        qty = self._orders.quantity(ctx.params, "quantity")
        stop_limit = (
            self._orders.price(ctx.params, "stopLimitPrice", market) if ctx.params.get("stopLimitPrice") else None
        )
        limit = NewOrder(
            symbol=market.symbol,
            side=side,
            type=OrderType.LIMIT,
            qty=qty,
            price=self._orders.price(ctx.params, "price", market),
            tif=Tif.POST_ONLY,
            client_order_id=client_id(ctx, "limitClientOrderId") or self._new_client_id(),
            tag=f"LIMIT_MAKER|{name}",
        )
        stop = NewOrder(
            symbol=market.symbol,
            side=side,
            type=OrderType.MARKET if stop_limit is None else OrderType.LIMIT,
            qty=qty,
            price=stop_limit,
            tif=self._orders.time_in_force(need(ctx, "stopLimitTimeInForce")) if stop_limit is not None else Tif.GTC,
            client_order_id=client_id(ctx, "stopClientOrderId") or self._new_client_id(),
            trigger=self._orders.trigger(self._orders.price(ctx.params, "stopPrice", market), side, profit=False),
            tag=f"{'STOP_LOSS' if stop_limit is None else 'STOP_LOSS_LIMIT'}|{name}",
        )
        return self._placed(ctx, market, [stop, limit])

    def _name(self, ctx: Context) -> str:
        return client_id(ctx, "listClientOrderId") or self._new_client_id()

    def _placed(self, ctx: Context, market: MarketSpec, legs: list[NewOrder]) -> Answer:
        made = self._engine.place_oco(legs, ctx.now_ms, visible_from_ms=ctx.visible_from_ms)
        kind = ctx.params.get("newOrderRespType", "RESULT")
        reports = [placed_body(o, market, kind, []) for o in made]
        return json_answer(list_body(made, market) | {"orderReports": reports})

    # ---- looking up and cancelling ----------------------------------------------------------------------------------

    def _lists(self, at_ms: int, *, open_only: bool = False) -> dict[int, list[Order]]:
        """Order lists by number, oldest first."""
        found: dict[int, list[Order]] = {}
        orders = self._engine.open_orders(at_ms) if open_only else self._engine.all_orders()
        for order in orders:
            if order.oco is not None and list_name_of(order) and order.visible_from_ms <= at_ms:
                found.setdefault(list_id_of(order), []).append(order)
        return found

    def _named(self, ctx: Context, at_ms: int, by_client: str) -> list[Order]:
        number, name = int_or_none(ctx.params.get("orderListId")), ctx.params.get(by_client)
        if number is None and not name:
            raise missing("orderListId")
        lists = self._lists(at_ms)
        if number is not None:
            return lists.get(number, [])
        found = [orders for orders in lists.values() if list_name_of(orders[0]) == name]
        return found[-1] if found else []

    def _one(self, ctx: Context) -> Answer:
        orders = self._named(ctx, ctx.now_ms, "origClientOrderId")
        if not orders:
            raise NativeError(-2018, "Order list does not exist.")
        return json_answer(list_body(orders, self._engine.markets[orders[0].symbol]))

    def _cancel(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))
        orders = self._named(ctx, ALL_VISIBLE_MS, "listClientOrderId")
        open_ones = [o for o in orders if o.status.is_open and o.symbol == market.symbol]
        if not open_ones:
            raise Refusal(Reason.UNKNOWN_ORDER, "There is no such open list.", symbol=market.symbol)
        self._orders.cancel(open_ones[0], ctx.now_ms)
        reports = [cancelled_body(o, market, self._new_client_id()) for o in orders]
        return json_answer(list_body(orders, market, now_ms=ctx.now_ms) | {"orderReports": reports})

    def _open(self, ctx: Context) -> Answer:
        numbers = set(self._lists(ctx.now_ms, open_only=True))
        found = [o for n, o in self._lists(ctx.now_ms).items() if n in numbers]
        return json_answer([list_body(o, self._engine.markets[o[0].symbol]) for o in found])

    def _all(self, ctx: Context) -> Answer:
        check_window(ctx)
        first = int_or_none(ctx.params.get("fromId"))
        found = [(n, o) for n, o in self._lists(ctx.now_ms).items() if first is None or n >= first]
        newest_first = ((o[0].created_ms, o) for _, o in reversed(found))
        kept = page(ctx, newest_first, from_start=first is not None)
        return json_answer([list_body(o, self._engine.markets[o[0].symbol]) for o in kept])
