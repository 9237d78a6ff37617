"""Binance spot (ccxt `binance`): gateway, native codes, markets. Futures are another host and wallet, in `binance`.

Source of the rules: developers.binance.com, "Spot": Request Security, Errors, Filters, and the Trading endpoints. What
a client must reckon with here:

- The expiry (`timestamp` + `recvWindow`) is looked at on arrival and before the request is handed to the matching
  engine, not by the engine itself: what was handed over in time may execute a little after it.
- A client order id is unique among OPEN orders only; a duplicate is -2010 "Duplicate order sent.".
- An order that the engine refuses is -2010 with the reason in words; one that a filter refuses -1013.
- A cancel has a client id of its own: the order's is `origClientOrderId` in the answer to it.
- Fees are taken from the coin received: less than the quantity bought can be sold again.

The endpoints: `binance_spot_orders`, `binance_spot_lists` (one cancels the other), `binance_spot_public`.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

from app.simulator.calls import Trouble
from app.simulator.dialects.base import Context, Credentials, Dialect, NativeError, Request, Route
from app.simulator.dialects.binance_gate import SPOT_LIMITS, TROUBLES, check_signed, expiry_ms, limit_headers
from app.simulator.dialects.binance_spot_bodies import MAX_ORDERS
from app.simulator.dialects.binance_spot_lists import ListsApi
from app.simulator.dialects.binance_spot_orders import OrdersApi
from app.simulator.dialects.binance_spot_public import PublicApi
from app.simulator.dialects.wire import Answer, BadNumber, json_answer
from app.simulator.limits import Verdict
from app.simulator.model import Reason, Refusal
from app.simulator.spec import EngineRules, MarketKind, MarketSpec, level_of

_REJECTED = -2010


def _market(base: str, reference: str, tick: str, step: str) -> MarketSpec:
    return MarketSpec(
        symbol=f"{base}/USDT",
        native=f"{base}USDT",
        base=base,
        settle="USDT",
        price=Decimal(reference),
        tick=Decimal(tick),
        step=Decimal(step),
        min_qty=Decimal(step),
        max_qty=Decimal(9_000_000),
        min_notional=Decimal(5),
        kind=MarketKind.SPOT,
        level_qty=level_of(reference, step),
    )


class BinanceSpot(Dialect):
    """Binance spot, without margin."""

    name = "binance_spot"
    ccxt_id = "binance"
    default_credentials = Credentials(api_key="sim-binance-spot-key", secret="sim-binance-spot-secret")
    refusals: ClassVar = {
        Reason.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
        Reason.BAD_QTY: (-1013, "Invalid quantity."),
        Reason.QTY_OFF_STEP: (-1013, "Filter failure: LOT_SIZE"),
        Reason.QTY_TOO_SMALL: (-1013, "Filter failure: LOT_SIZE"),
        Reason.QTY_TOO_LARGE: (-1013, "Filter failure: LOT_SIZE"),
        Reason.BAD_PRICE: (-1013, "Invalid price."),
        Reason.PRICE_OFF_TICK: (-1013, "Filter failure: PRICE_FILTER"),
        Reason.NOTIONAL_TOO_SMALL: (-1013, "Filter failure: NOTIONAL"),
        Reason.BAD_TAKE_PROFIT: (_REJECTED, "Stop price would trigger immediately."),
        Reason.BAD_STOP_LOSS: (_REJECTED, "Stop price would trigger immediately."),
        Reason.WOULD_TRIGGER: (_REJECTED, "Stop price would trigger immediately."),
        Reason.DUPLICATE_CLIENT_ID: (_REJECTED, "Duplicate order sent."),
        Reason.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
        Reason.ORDER_CLOSED: (-2011, "Unknown order sent."),
        Reason.REDUCE_ONLY: (-1104, "Not all sent parameters were read."),
        Reason.INSUFFICIENT_MARGIN: (_REJECTED, "Account has insufficient balance for requested action."),
        Reason.POST_ONLY_WOULD_CROSS: (_REJECTED, "Order would immediately match and take."),
        Reason.WOULD_NOT_FILL: (_REJECTED, "Order would not fill."),
        Reason.NOTHING_TO_AMEND: (-2038, "The requested action would change no state; rejecting."),
        Reason.BAD_LEVERAGE: (-1104, "Not all sent parameters were read."),
        Reason.EXPIRED: (-1021, "Timestamp for this request is outside of the recvWindow."),
        Reason.ENGINE_FULL: (-1013, "Filter failure: MAX_NUM_ORDERS"),
        Reason.TOO_MANY_ORDERS: (-1013, "Filter failure: MAX_NUM_ORDERS"),
        Reason.SUSPENDED: (-1013, "Market is closed."),
        Reason.INSUFFICIENT_BALANCE: (_REJECTED, "Account has insufficient balance for requested action."),
        Reason.REDUCE_ONLY_ON_SPOT: (-1104, "Not all sent parameters were read."),
        Reason.BAD_TRIGGER: (-1013, "Filter failure: PRICE_FILTER"),
        Reason.WRONG_POSITION_SIDE: (-1104, "Not all sent parameters were read."),
        Reason.MODE_IN_USE: (-1104, "Not all sent parameters were read."),
        Reason.MARGIN_MODE_IN_USE: (-1104, "Not all sent parameters were read."),
        Reason.NO_POSITION: (-1104, "Not all sent parameters were read."),
        Reason.UNSUPPORTED: (-1013, "This action is disabled on this account."),
    }
    troubles: ClassVar[Mapping[Trouble, tuple[str | int, str, int]]] = TROUBLES
    limits = SPOT_LIMITS
    tells_usage = True

    @classmethod
    def markets(cls) -> Sequence[MarketSpec]:
        """BTC, ETH, SOL and XRP in USDT; the least notional is 5 everywhere."""
        return (
            _market("BTC", "27000", "0.01", "0.00001"),
            _market("ETH", "1800", "0.01", "0.0001"),
            _market("SOL", "30", "0.01", "0.001"),
            _market("XRP", "0.5", "0.0001", "0.1"),
        )

    @classmethod
    def rules(cls) -> EngineRules:
        """Numeric ids; client ids unique among open orders; crossing LIMIT_MAKER orders refused; no countdown."""
        return EngineRules(
            settle="USDT",
            client_id_scope="open",
            refuse_crossing_post_only=True,
            order_id=lambda n: str(28_457_000_000 + n),
            trade_id=lambda n: str(3_182_000_000 + n),
            initial_coins={"BTC": Decimal(1), "ETH": Decimal(10), "SOL": Decimal(100), "XRP": Decimal(1000)},
            max_open_orders=MAX_ORDERS,
            dead_man=None,
        )

    def routes(self) -> Sequence[Route]:
        """The /api/v3 endpoints that a trading client needs, and the wallet API's system status."""
        orders = OrdersApi(self, self._new_client_id)
        return [
            *orders.routes(),
            *ListsApi(self, orders, self._new_client_id).routes(),
            *PublicApi(self).routes(),
        ]

    def _new_client_id(self) -> str:
        """The exchange makes one up for an order, a cancel or a list that comes without."""
        return f"web_{self.engine.venue.next_number():020d}"

    def key_of(self, request: Request) -> str | None:
        """X-MBX-APIKEY."""
        return request.headers.get("x-mbx-apikey")

    def limit_headers(self, verdict: Verdict, now_ms: int) -> Mapping[str, str]:
        """X-MBX-USED-WEIGHT-1M, X-MBX-ORDER-COUNT-10S, X-MBX-ORDER-COUNT-1D."""
        return limit_headers(verdict)

    def authenticate(self, request: Request, now_ms: int) -> None:
        """Key, timing, signature."""
        check_signed(request, self.credentials, now_ms)

    def expiry_ms(self, request: Request) -> int | None:
        """timestamp + recvWindow."""
        return expiry_ms(request)

    def error_answer(self, error: NativeError, request: Request, now_ms: int) -> Answer:
        """{"code", "msg"} with HTTP 400 unless the error says otherwise; cancelReplace adds `data`."""
        body: dict[str, object] = {"code": error.code, "msg": error.words}
        if error.data is not None:
            body["data"] = error.data
        return json_answer(body, status=error.status or 400)

    def unknown_path(self, request: Request) -> Answer:
        """The load balancer's 404, which is no JSON."""
        return Answer(body=b"<html><body><h2>404 Not found</h2></body></html>", status=404, content_type="text/html")

    def client_order_id_of(self, request: Request) -> str | None:
        """newClientOrderId, origClientOrderId (look-ups, cancels) or listClientOrderId (lists)."""
        p = request.params
        if request.method == "DELETE":
            return p.get("origClientOrderId") or p.get("listClientOrderId")
        return p.get("newClientOrderId") or p.get("origClientOrderId") or p.get("listClientOrderId")

    def refusal_error(self, refusal: Refusal, ctx: Context) -> NativeError:
        """-2013 instead of -2011 where an order is asked for rather than changed."""
        if refusal.reason in (Reason.UNKNOWN_ORDER, Reason.ORDER_CLOSED) and ctx.request.method == "GET":
            return NativeError(-2013, "Order does not exist.")
        return super().refusal_error(refusal, ctx)

    def bad_number(self, error: BadNumber, ctx: Context) -> NativeError:
        """A parameter that is no number."""
        return NativeError(-1100, "Illegal characters found in a parameter.")
