"""Binance USDⓈ-M futures: several orders in one request, and the countdown.

In a batch each order is answered for itself, a refused one by its code. The countdown is one for each symbol, and
leaves conditional orders alone.
"""

import json
from collections.abc import Callable

from attrs import evolve

from app.simulator.dialects.base import Call, Context, Dialect, NativeError, Route
from app.simulator.dialects.binance_params import need
from app.simulator.dialects.wire import Answer, BadNumber, flat, int_or_none, json_answer
from app.simulator.model import Refusal

MAX_BATCH = 5
MAX_CANCELS = 10
Handler = Callable[[Context], Answer]


class BatchApi:
    """These endpoints over one dialect's engine and its handlers of single orders."""

    def __init__(self, dialect: Dialect, place: Handler, amend: Handler, cancel: Handler) -> None:
        self._dialect = dialect
        self._engine = dialect.engine
        self._place, self._amend, self._cancel = place, amend, cancel

    def routes(self) -> list[Route]:
        """All private."""
        path = "/fapi/v1/batchOrders"
        return [
            Route(method="POST", path=path, call=Call.PLACE, handler=lambda ctx: self._each(ctx, self._place)),
            Route(method="PUT", path=path, call=Call.AMEND, handler=lambda ctx: self._each(ctx, self._amend)),
            Route(method="DELETE", path=path, call=Call.CANCEL, handler=self._cancel_each),
            Route(method="POST", path="/fapi/v1/countdownCancelAll", call=Call.DEAD_MAN, handler=self._countdown),
            Route(method="GET", path="/fapi/v1/rateLimit/order", call=Call.ACCOUNT, handler=self._counts),
        ]

    def _each(self, ctx: Context, do: Handler) -> Answer:
        return json_answer(
            [
                self._one(ctx, flat(item) if isinstance(item, dict) else {}, do)
                for item in _list(ctx, "batchOrders", MAX_BATCH)
            ]
        )

    def _one(self, ctx: Context, params: dict[str, str], do: Handler) -> object:
        """What one order's own request would have been answered."""
        shared = {k: v for k, v in ctx.params.items() if k in ("timestamp", "recvWindow", "symbol")}
        own = evolve(ctx, params={**shared, **params})
        try:
            return json.loads(do(own).body)
        except Refusal as refusal:
            error = self._dialect.refusal_error(refusal, own)
        except NativeError as native:
            error = native
        except BadNumber as bad:
            error = self._dialect.bad_number(bad, own)
        return {"code": error.code, "msg": error.words}

    def _cancel_each(self, ctx: Context) -> Answer:
        need(ctx, "symbol")
        by_client = "origClientOrderIdList" in ctx.params
        name = "origClientOrderIdList" if by_client else "orderIdList"
        field = "origClientOrderId" if by_client else "orderId"
        wanted = _list(ctx, name, MAX_CANCELS)
        return json_answer([self._one(ctx, {field: str(w)}, self._cancel) for w in wanted])

    def _countdown(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))
        wanted = int_or_none(need(ctx, "countdownTime"))
        if wanted is None or wanted < 0:
            raise NativeError(-1130, "Data sent for parameter 'countdownTime' is not valid.")
        self._engine.arm_dead_man(wanted, ctx.now_ms, symbol=market.symbol)
        return json_answer({"symbol": market.native, "countdownTime": str(wanted)})

    def _counts(self, ctx: Context) -> Answer:
        limits = (("SECOND", 10, 300), ("MINUTE", 1, 1_200))
        return json_answer(
            [{"rateLimitType": "ORDERS", "interval": i, "intervalNum": n, "limit": most} for i, n, most in limits]
        )


def _list(ctx: Context, name: str, most: int) -> list[object]:
    """A parameter that is a JSON array."""
    try:
        found = json.loads(need(ctx, name))
    except ValueError as error:
        raise NativeError(-1130, f"Data sent for parameter '{name}' is not valid.") from error
    if not isinstance(found, list) or not 1 <= len(found) <= most:
        raise NativeError(-4082, f"Invalid number of batch orders: 1 to {most}.")
    return found
