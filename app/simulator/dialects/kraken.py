"""Kraken Futures (ccxt `krakenfutures`): gateway, markets and status words.

Source of the rules: docs.kraken.com, Futures REST API. What a client must reckon with here:

- Two kinds of refusal: a request that is wrong altogether is {"result": "error", "error": …}; an order that was looked
  at and not placed is a SUCCESS whose `sendStatus.status` says why ("invalidSize", "wouldNotReducePosition", …).
- `processBefore` is looked at on arrival and again by the matching engine. An order past it has the status
  "wouldProcessAfterSpecifiedTime" and no order id; ccxt knows no such status and returns an order without an id.
- A client order id is unique among OPEN orders only.
- /orders/status forgets an order five seconds after it closed; see `kraken_history` for what is told later.
- Requests carry their parameters in the query, also POST and PUT; only /batchorder has a body.

The endpoints: `kraken_orders`, `kraken_account` (with market data), `kraken_charts`, `kraken_history`.

Linear ("flexible futures") perpetuals, settled in USD, contract size 1.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

from attrs import asdict

from app.simulator.calls import Call, Trouble
from app.simulator.dialects.base import Context, Credentials, Dialect, Matched, NativeError, Request, Route
from app.simulator.dialects.kraken_account import AccountApi
from app.simulator.dialects.kraken_bodies import TIERS, V3, iso
from app.simulator.dialects.kraken_charts import ChartsApi
from app.simulator.dialects.kraken_history import HistoryApi, Rejected
from app.simulator.dialects.kraken_orders import OrdersApi, not_placed
from app.simulator.dialects.kraken_params import batch_of, process_before, time_ms
from app.simulator.dialects.wire import Answer, BadNumber, hmac_bytes, json_answer, same
from app.simulator.engine import Engine
from app.simulator.limits import Limit, LimitRules
from app.simulator.model import Reason
from app.simulator.spec import DeadManRules, EngineRules, MarketSpec, level_of

BATCH = f"{V3}/batchorder"
_LATE_STATUS = {f"{V3}/sendorder": "sendStatus", f"{V3}/editorder": "editStatus"}
"""Requests that word an expired `processBefore` as the status of an order."""


def _market(base: str, native: str, reference: str, tick: str, step: str, max_qty: str) -> MarketSpec:
    return MarketSpec(
        symbol=f"{base}/USD:USD",
        native=native,
        base=base,
        settle="USD",
        price=Decimal(reference),
        tick=Decimal(tick),
        step=Decimal(step),
        min_qty=Decimal(step),
        max_qty=Decimal(max_qty),
        max_leverage=Decimal(50),
        level_qty=level_of(reference, step),
        tiers=TIERS,
    )


class Kraken(Dialect):
    """Kraken Futures, multi-collateral account, one-way positions."""

    name = "kraken"
    ccxt_id = "krakenfutures"
    engine_enforces_expiry = True
    default_credentials = Credentials(
        api_key="sim-kraken-key", secret=base64.b64encode(b"sim-kraken-secret").decode("ascii")
    )
    refusals: ClassVar = {
        Reason.UNKNOWN_SYMBOL: ("invalidArgument: symbol", ""),
        Reason.BAD_QTY: ("invalidSize", ""),
        Reason.QTY_OFF_STEP: ("invalidSize", ""),
        Reason.QTY_TOO_SMALL: ("invalidSize", ""),
        Reason.QTY_TOO_LARGE: ("maxPositionViolation", ""),
        Reason.BAD_PRICE: ("invalidPrice", ""),
        Reason.PRICE_OFF_TICK: ("invalidPrice", ""),
        Reason.NOTIONAL_TOO_SMALL: ("tooManySmallOrders", ""),
        Reason.BAD_TAKE_PROFIT: ("invalidPrice", ""),
        Reason.BAD_STOP_LOSS: ("invalidPrice", ""),
        Reason.WOULD_TRIGGER: ("invalidPrice", ""),
        Reason.DUPLICATE_CLIENT_ID: ("clientOrderIdAlreadyExist", ""),
        Reason.UNKNOWN_ORDER: ("notFound", ""),
        Reason.ORDER_CLOSED: ("notFound", ""),
        Reason.REDUCE_ONLY: ("wouldNotReducePosition", ""),
        Reason.INSUFFICIENT_MARGIN: ("insufficientAvailableFunds", ""),
        Reason.POST_ONLY_WOULD_CROSS: ("postWouldExecute", ""),
        Reason.WOULD_NOT_FILL: ("iocWouldNotExecute", ""),
        Reason.NOTHING_TO_AMEND: ("invalidArgument", ""),
        Reason.BAD_LEVERAGE: ("invalidArgument: maxLeverage", ""),
        Reason.EXPIRED: ("wouldProcessAfterSpecifiedTime", ""),
        Reason.ENGINE_FULL: ("tooManyOrders", ""),
        Reason.TOO_MANY_ORDERS: ("tooManyOrders", ""),
        Reason.SUSPENDED: ("marketSuspended", ""),
        Reason.INSUFFICIENT_BALANCE: ("insufficientAvailableFunds", ""),
        Reason.REDUCE_ONLY_ON_SPOT: ("invalidArgument: reduceOnly", ""),
        Reason.BAD_TRIGGER: ("invalidArgument: stopPrice", ""),
        Reason.WRONG_POSITION_SIDE: ("invalidArgument", ""),
        Reason.MODE_IN_USE: ("invalidArgument", ""),
        Reason.MARGIN_MODE_IN_USE: ("invalidArgument: maxLeverage", ""),
        Reason.NO_POSITION: ("wouldNotReducePosition", ""),
        Reason.UNSUPPORTED: ("invalidArgument", ""),
    }

    troubles: ClassVar = {
        Trouble.NO_PERMISSION: ("authenticationError", "", 200),
        Trouble.IP_NOT_ALLOWED: ("authenticationError", "", 200),
        Trouble.RATE_LIMIT: ("apiLimitExceeded", "", 429),
        Trouble.BANNED: ("apiLimitExceeded", "", 429),
        Trouble.MAINTENANCE: ("Unavailable", "", 503),
        Trouble.BUSY: ("Unavailable", "", 503),
        Trouble.TIMEOUT_UNKNOWN: ("Server Error", "", 500),
        Trouble.AUTH: ("authenticationError", "", 200),
        Trouble.CLOCK: ("nonceBelowThreshold", "", 200),
    }
    limits = LimitRules(
        limits=(
            Limit(
                name="derivatives",
                window_ms=10_000,
                most=500,
                per_key=True,
                weights={
                    Call.PLACE: 10,
                    Call.AMEND: 10,
                    Call.CANCEL: 10,
                    Call.CANCEL_ALL: 25,
                    Call.DEAD_MAN: 25,
                    Call.BALANCE: 2,
                    Call.POSITIONS: 2,
                    Call.OPEN_ORDERS: 2,
                    Call.FILLS: 2,
                    Call.LEVERAGE: 10,
                },
            ),
        ),
    )
    """Tokens of a pool of 500 that is full again after ten seconds."""

    def __init__(self, engine: Engine, credentials: Credentials) -> None:
        try:
            self._secret = base64.b64decode(credentials.secret, validate=True)
        except binascii.Error as error:
            raise ValueError("The secret of Kraken Futures must be base64; the one given is not.") from error
        self._orders = OrdersApi(self, engine)
        super().__init__(engine, credentials)
        batch = self._exact["POST", BATCH]
        self._batch_cancel = Route(method="POST", path=BATCH, call=Call.CANCEL, handler=batch.handler)

    @classmethod
    def markets(cls) -> Sequence[MarketSpec]:
        """BTC (XBT), ETH, SOL, XRP and ADA perpetuals in Kraken's steps."""
        return (
            _market("BTC", "PF_XBTUSD", "27000", "1", "0.0001", "5000"),
            _market("ETH", "PF_ETHUSD", "1800", "0.1", "0.001", "50000"),
            _market("SOL", "PF_SOLUSD", "30", "0.01", "0.01", "1000000"),
            _market("XRP", "PF_XRPUSD", "0.5", "0.00001", "1", "50000000"),
            _market("ADA", "PF_ADAUSD", "0.25", "0.00001", "1", "100000000"),
        )

    @classmethod
    def rules(cls) -> EngineRules:
        """UUIDs; client ids unique among open orders; what would take or would not fill is refused."""
        return EngineRules(
            settle="USD",
            client_id_scope="open",
            refuse_crossing_post_only=True,
            refuse_unfillable_ioc=True,
            order_id=lambda n: f"{n:08x}-0bde-4000-8000-0000000000a1",
            trade_id=lambda n: f"{n:08x}-0f11-4000-8000-0000000000f1",
            leverage=Decimal(50),
            dead_man=DeadManRules(min_ms=1_000),
        )

    def routes(self) -> Sequence[Route]:
        """The trading API and the history API."""
        history = HistoryApi(self.engine, self._orders.rejected)
        self._account = AccountApi(self)
        return [*self._orders.routes(), *self._account.routes(), *ChartsApi(self).routes(), *history.routes()]

    def key_of(self, request: Request) -> str | None:
        """APIKey."""
        return request.headers.get("apikey")

    def state(self) -> dict[str, object]:
        """The refused orders that the history tells, and the leverage preferences."""
        preferences = {symbol: str(leverage) for symbol, leverage in self._account.max_leverage.items()}
        return {"rejected": [asdict(r) for r in self._orders.rejected], "max_leverage": preferences}

    def restore(self, state: Mapping[str, object]) -> None:
        """The same."""
        rejected, preferences = state.get("rejected"), state.get("max_leverage")
        if isinstance(preferences, dict):
            self._account.max_leverage.update({symbol: Decimal(raw) for symbol, raw in preferences.items()})
        if isinstance(rejected, list):
            self._orders.rejected.extend(Rejected(**r) for r in rejected)

    # ---- gateway ----------------------------------------------------------------------------------------------------

    def match(self, request: Request) -> Matched | None:
        """A batch that only cancels is a cancel."""
        matched = super().match(request)
        if matched is not None and matched.route.path == BATCH:
            found = batch_of(request)
            if found and all(i.get("order") == "cancel" for i in found):
                return Matched(route=self._batch_cancel, path_args={})
        return matched

    def authenticate(self, request: Request, now_ms: int) -> None:
        """Key and signature, then `processBefore` of a request that changes an order."""
        key, given = request.headers.get("apikey", ""), request.headers.get("authent", "")
        signed_path = request.path.removeprefix("/derivatives")
        message = request.raw_query + request.body.decode("utf-8", "replace")
        message += request.headers.get("nonce", "") + signed_path
        digest = hmac_bytes(self._secret, hashlib.sha256(message.encode()).digest(), "sha512")
        if not same(key, self.credentials.api_key) or not same(given, base64.b64encode(digest).decode("ascii")):
            history = request.path.startswith("/api/history")
            raise NativeError("authenticationError", "", status=401 if history else 200)
        try:
            expiry = self.expiry_ms(request)
        except BadNumber as error:
            raise NativeError("invalidArgument: processBefore", "") from error
        if expiry is not None and now_ms > expiry and request.path != BATCH:
            raise NativeError("wouldProcessAfterSpecifiedTime", "")

    def expiry_ms(self, request: Request) -> int | None:
        """`processBefore`. Raises BadNumber (the gateway has refused it by then) when it is no time."""
        raw = process_before(request)
        try:
            return None if raw is None else time_ms(raw)
        except ValueError as error:
            raise BadNumber(str(error)) from error

    def error_answer(self, error: NativeError, request: Request, now_ms: int) -> Answer:
        """An order past its time is a success with a status; everything else is {"result": "error"}."""
        status = _LATE_STATUS.get(request.path)
        if error.code == "wouldProcessAfterSpecifiedTime" and status is not None:
            late = {status: not_placed(str(error.code), now_ms)}
            return json_answer({"result": "success", **late, "serverTime": iso(now_ms)})
        if isinstance(error.data, list):
            body: dict[str, object] = {"status": error.words, "result": "error", "errors": error.data}
        else:
            body = {"result": "error", "error": str(error.code)}
        return json_answer({**body, "serverTime": iso(now_ms)}, status=error.status or 200)

    def unknown_path(self, request: Request) -> Answer:
        """{"result": "error", "error": "notFound"} with HTTP 404."""
        return json_answer({"result": "error", "error": "notFound"}, status=404)

    def native_symbol_of(self, request: Request) -> str | None:
        """`symbol` in upper case; of a batch that of its first instruction."""
        first = next(iter(batch_of(request)), {}) if request.path == BATCH else request.params
        symbol = first.get("symbol")
        return symbol.upper() if symbol else None

    def client_order_id_of(self, request: Request) -> str | None:
        """`cliOrdId`; of a batch that of its first instruction; of a look-up `cliOrdIds`."""
        first = next(iter(batch_of(request)), {}) if request.path == BATCH else request.params
        return first.get("cliOrdId") or first.get("cliOrdIds")

    def bad_number(self, error: BadNumber, ctx: Context) -> NativeError:
        """A parameter that is no number makes the whole request invalid."""
        return NativeError("invalidArgument", "")

    def market_of(self, native: str | None) -> MarketSpec:
        """The market of a name in either case."""
        return super().market_of((native or "").upper())
