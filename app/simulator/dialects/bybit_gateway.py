"""Bybit V5's gateway: markets, rules, key, signature, timestamp, error words.

Business errors come with HTTP 200 and a retCode. The timestamp window is looked at on arrival only (retCode 10002).
Source of codes and words: https://bybit-exchange.github.io/docs/v5/error and the exception table of ccxt's bybit.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

from app.simulator.calls import READS, Call, Trouble
from app.simulator.dialects.base import Context, Credentials, Dialect, NativeError, Request
from app.simulator.dialects.wire import Answer, BadNumber, hmac_hex, int_or_none, json_answer, same
from app.simulator.limits import Limit, LimitRules, Verdict
from app.simulator.model import Reason, Refusal
from app.simulator.spec import EngineRules, MarketSpec, level_of

DEFAULT_RECV_WINDOW_MS = 5_000
AHEAD_MS = 1_000
"""A timestamp this far in the future is refused."""


def _uuid(prefix: int, n: int) -> str:
    return f"{prefix:08x}-b1b1-4000-8000-{n:012x}"


class BybitGateway(Dialect):
    """What every Bybit handler stands on."""

    name = "bybit"
    ccxt_id = "bybit"
    default_credentials = Credentials(api_key="simBybitKey0000000", secret="simBybitSecret00000000000000000000000")
    refusals: ClassVar[Mapping[Reason, tuple[str | int, str]]] = {
        Reason.UNKNOWN_SYMBOL: (10001, "params error: symbol invalid"),
        Reason.BAD_QTY: (10001, "Qty invalid"),
        Reason.QTY_OFF_STEP: (10001, "Qty invalid"),
        Reason.QTY_TOO_SMALL: (10001, "The number of contracts exceeds minimum limit allowed"),
        Reason.QTY_TOO_LARGE: (10001, "The number of contracts exceeds maximum limit allowed: too large"),
        Reason.BAD_PRICE: (10001, "Price invalid"),
        Reason.PRICE_OFF_TICK: (10001, "Price invalid"),
        Reason.NOTIONAL_TOO_SMALL: (110094, "Order does not meet minimum order value 5USDT"),
        Reason.BAD_TAKE_PROFIT: (10001, "TakeProfit set for {side} position should be {up} than base_price"),
        Reason.BAD_STOP_LOSS: (10001, "StopLoss set for {side} position should be {down} than base_price"),
        Reason.WOULD_TRIGGER: (110092, "expect Rising, but trigger_price <= current"),
        Reason.DUPLICATE_CLIENT_ID: (110072, "OrderLinkedID is duplicate"),
        Reason.UNKNOWN_ORDER: (110001, "order not exists or too late to {verb}"),
        Reason.ORDER_CLOSED: (110001, "order not exists or too late to {verb}"),
        Reason.REDUCE_ONLY: (110017, "current position is zero, cannot fix reduce-only order qty"),
        Reason.INSUFFICIENT_MARGIN: (110007, "ab not enough for new order"),
        Reason.POST_ONLY_WOULD_CROSS: (170217, "Post-only order would take liquidity"),
        Reason.WOULD_NOT_FILL: (110032, "Illegal order"),
        Reason.NOTHING_TO_AMEND: (10001, "order not modified"),
        Reason.BAD_LEVERAGE: (110013, "cannot set leverage gt maxLeverage by risk limit"),
        Reason.EXPIRED: (10002, "request expired"),
        Reason.ENGINE_FULL: (110020, "You can't have more than 500 active orders"),
        Reason.TOO_MANY_ORDERS: (110020, "You can't have more than 500 active orders"),
        Reason.SUSPENDED: (110074, "This contract is not live"),
        Reason.INSUFFICIENT_BALANCE: (170131, "Insufficient balance."),
        Reason.REDUCE_ONLY_ON_SPOT: (10001, "params error: reduceOnly is not supported"),
        Reason.BAD_TRIGGER: (10001, "TriggerPrice invalid"),
        Reason.WRONG_POSITION_SIDE: (10001, "position idx not match position mode"),
        Reason.MODE_IN_USE: (110024, "You have an existing position, so position mode cannot be switched"),
        Reason.MARGIN_MODE_IN_USE: (3400045, "Set margin mode failed: there are open positions or orders"),
        Reason.NO_POSITION: (10001, "can not set tp/sl/ts for zero position"),
        Reason.UNSUPPORTED: (10001, "params error: not supported"),
    }

    troubles: ClassVar[Mapping[Trouble, tuple[str | int, str, int]]] = {
        Trouble.NO_PERMISSION: (10005, "Permission denied, please check your API key permissions.", 200),
        Trouble.IP_NOT_ALLOWED: (10010, "Unmatched IP, please check your API key's bound IP addresses.", 200),
        Trouble.RATE_LIMIT: (10006, "Too many visits. Exceeded the API Rate Limit.", 200),
        Trouble.BANNED: (10018, "Exceeded the IP Rate Limit.", 403),
        Trouble.MAINTENANCE: (10019, "Trade service is restarting.", 200),
        Trouble.BUSY: (10016, "Server error.", 200),
        Trouble.TIMEOUT_UNKNOWN: (10000, "Server Timeout", 200),
        Trouble.AUTH: (10003, "API key is invalid.", 200),
        Trouble.CLOCK: (10002, "invalid request, please check your server timestamp or recv_window param.", 200),
    }
    limits = LimitRules(
        limits=(
            Limit(name="ip", window_ms=5_000, most=600),
            Limit(name="create", window_ms=1_000, most=10, per_key=True, calls=frozenset({Call.PLACE})),
            Limit(name="amend", window_ms=1_000, most=10, per_key=True, calls=frozenset({Call.AMEND})),
            Limit(
                name="cancel",
                window_ms=1_000,
                most=10,
                per_key=True,
                calls=frozenset({Call.CANCEL, Call.CANCEL_ALL}),
            ),
            Limit(name="reads", window_ms=1_000, most=50, per_key=True, calls=READS),
        ),
        ban_after=100,
        ban_ms=600_000,
        longest_ban_ms=600_000,
    )
    """Per user and second, and 600 requests in five seconds from one address; going on is a ban of ten minutes."""

    @classmethod
    def markets(cls) -> Sequence[MarketSpec]:
        """USDT perpetuals with Bybit's steps."""
        rows = (
            ("BTC", "27000", "0.1", "0.001", "1190"),
            ("ETH", "1800", "0.01", "0.01", "7240"),
            ("SOL", "30", "0.01", "0.1", "79770"),
            ("XRP", "0.5", "0.0001", "0.1", "9000000"),
        )
        return [
            MarketSpec(
                symbol=f"{base}/USDT:USDT",
                native=f"{base}USDT",
                base=base,
                settle="USDT",
                price=Decimal(price),
                tick=Decimal(tick),
                step=Decimal(step),
                min_qty=Decimal(step),
                max_qty=Decimal(top),
                min_notional=Decimal(5),
                level_qty=level_of(price, step),
            )
            for base, price, tick, step, top in rows
        ]

    @classmethod
    def rules(cls) -> EngineRules:
        """orderLinkId is unique for ever; a post-only order that would take is accepted and cancelled."""
        return EngineRules(
            client_id_scope="all",
            order_id=lambda n: _uuid(0x51BB17, n),
            trade_id=lambda n: _uuid(0xE8EC, n),
            taker_fee=Decimal("0.00055"),
            maker_fee=Decimal("0.0002"),
        )

    def key_of(self, request: Request) -> str | None:
        """X-BAPI-API-KEY."""
        return request.headers.get("x-bapi-api-key")

    def limit_headers(self, verdict: Verdict, now_ms: int) -> Mapping[str, str]:
        """What is left of the endpoint's limit, and when it begins anew."""
        for limit in self.limits.limits if self.limits is not None else ():
            if limit.per_key and limit.name in verdict.used:
                return {
                    "X-Bapi-Limit": str(limit.most),
                    "X-Bapi-Limit-Status": str(max(limit.most - verdict.used[limit.name], 0)),
                    "X-Bapi-Limit-Reset-Timestamp": str(now_ms - now_ms % limit.window_ms + limit.window_ms),
                }
        return {}

    # ---- gateway ----------------------------------------------------------------------------------------------------

    def authenticate(self, request: Request, now_ms: int) -> None:
        """Key (10003), timestamp within the window (10002), signature (10004)."""
        headers = request.headers
        if headers.get("x-bapi-api-key", "") != self.credentials.api_key:
            raise NativeError(10003, "API key is invalid.")
        window = headers.get("x-bapi-recv-window", "")
        stamp, window_ms = int_or_none(headers.get("x-bapi-timestamp")), self._window_ms(request)
        if stamp is None or not now_ms - window_ms <= stamp < now_ms + AHEAD_MS:
            raise NativeError(
                10002,
                "invalid request, please check your server timestamp or recv_window param. "
                f"req_timestamp[{stamp}],server_timestamp[{now_ms}],recv_window[{window_ms}]",
            )
        payload = request.raw_query if request.method == "GET" else request.body.decode("utf-8", "replace")
        origin = f"{stamp}{self.credentials.api_key}{window}{payload}"
        if not same(headers.get("x-bapi-sign", ""), hmac_hex(self.credentials.secret, origin)):
            raise NativeError(10004, f"error sign! origin_string[{origin}]")

    @staticmethod
    def _window_ms(request: Request) -> int:
        return int_or_none(request.headers.get("x-bapi-recv-window")) or DEFAULT_RECV_WINDOW_MS

    def expiry_ms(self, request: Request) -> int | None:
        """The signed timestamp plus the window."""
        stamp = int_or_none(request.headers.get("x-bapi-timestamp"))
        return None if stamp is None else stamp + self._window_ms(request)

    def error_answer(self, error: NativeError, request: Request, now_ms: int) -> Answer:
        """HTTP 200 and a retCode."""
        body: dict[str, object] = {
            "retCode": error.code,
            "retMsg": error.words,
            "result": {},
            "retExtInfo": {},
            "time": now_ms,
        }
        return json_answer(body, status=error.status or 200)

    def unknown_path(self, request: Request) -> Answer:
        """HTTP 404 without a body."""
        return Answer(body=b"", status=404, content_type="text/plain")

    def client_order_id_of(self, request: Request) -> str | None:
        """OrderLinkId, of a placement, a cancel or a look-up."""
        return request.params.get("orderLinkId") or None

    def refusal_error(self, refusal: Refusal, ctx: Context) -> NativeError:
        """Fill the gaps in the words, which name the side and what was tried."""
        code, words = self.refusals[refusal.reason]
        if refusal.reason is Reason.WOULD_TRIGGER and ctx.params.get("triggerDirection") == "2":
            code, words = 110093, "expect Falling, but trigger_price >= current"
        buy = ctx.params.get("side") == "Buy"
        return NativeError(
            code,
            words.format(
                side="Buy" if buy else "Sell",
                up="higher" if buy else "lower",
                down="lower" if buy else "higher",
                verb="replace" if ctx.request.path.endswith("amend") else "cancel",
            ),
        )

    # ---- small things -----------------------------------------------------------------------------------------------

    def bad_number(self, error: BadNumber, ctx: Context) -> NativeError:
        """10001."""
        return NativeError(10001, f"params error: {error}")

    def linear(self, ctx: Context) -> None:
        """Refuse any category but linear."""
        if ctx.params.get("category") != "linear":
            raise NativeError(10001, "params error: category only support linear")

    def scope(self, ctx: Context) -> str | None:
        """The canonical symbol asked for, or None for everything of a settlement or base coin."""
        native = ctx.params.get("symbol")
        if native:
            return self.market_of(native).symbol
        if not ctx.params.get("settleCoin") and not ctx.params.get("baseCoin"):
            raise NativeError(10001, "params error: symbol, settleCoin or baseCoin is required")
        return None

    def ok(self, ctx: Context, result: object) -> Answer:
        """An answer of success."""
        return json_answer({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": ctx.now_ms})
