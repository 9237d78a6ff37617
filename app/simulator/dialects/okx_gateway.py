"""OKX V5's gateway: markets, rules, key, passphrase, signature, timestamp, expTime, error words.

Errors of the gateway carry their code at the top level and HTTP 401 or 400; errors of an order come with HTTP 200, code
"1" and an `sCode` in the order's item. `OK-ACCESS-TIMESTAMP` is good for 30 s (50102). The optional request header
`expTime` (Unix ms) makes the gateway refuse a placement or an amendment that arrives after it; here with 50102 too.
Source: https://www.okx.com/docs-v5/en/ (REST authentication, transaction timeouts, error code) and the exception table
of ccxt's okx.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar

from app.simulator.calls import Call, Trouble
from app.simulator.dialects.base import Context, Credentials, Dialect, NativeError, Request
from app.simulator.dialects.wire import Answer, BadNumber, hmac_bytes, int_or_none, json_answer, same
from app.simulator.limits import Limit, LimitRules
from app.simulator.model import Reason, Refusal
from app.simulator.spec import EngineRules, MarketSpec, level_of

TIMESTAMP_WINDOW_MS = 30_000
FIRST_ORDER_ID = 1_900_000_000_000_000_000
"""Order ids are numbers of 19 digits; paging goes by their order."""
EXPIRING_PATHS = frozenset({"/api/v5/trade/order", "/api/v5/trade/batch-orders", "/api/v5/trade/amend-order"})
"""POSTs that honour the expTime header."""
_GONE = "Cancellation failed as the order has been filled, canceled or does not exist."


class OkxGateway(Dialect):
    """What every OKX handler stands on."""

    name = "okx"
    ccxt_id = "okx"
    default_credentials = Credentials(
        api_key="51000000-0000-4000-8000-000000000001", secret="51A0000000000000000000000000BEEF", password="SimPass1!"
    )
    refusals: ClassVar[Mapping[Reason, tuple[str | int, str]]] = {
        Reason.UNKNOWN_SYMBOL: ("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist."),
        Reason.BAD_QTY: ("51000", "Parameter sz error"),
        Reason.QTY_OFF_STEP: ("51121", "Order quantity must be a multiple of the lot size."),
        Reason.QTY_TOO_SMALL: ("51020", "Your order should meet or exceed the minimum order amount."),
        Reason.QTY_TOO_LARGE: (
            "51101",
            "Entered amount exceeds the max pending order amount (Cont) per transaction.",
        ),
        Reason.BAD_PRICE: ("51000", "Parameter px error"),
        Reason.PRICE_OFF_TICK: ("51000", "Parameter px error"),
        Reason.NOTIONAL_TOO_SMALL: ("51020", "Your order should meet or exceed the minimum order amount."),
        Reason.BAD_TAKE_PROFIT: ("51046", "The take profit trigger price must be higher than the order price"),
        Reason.BAD_STOP_LOSS: ("51047", "The stop loss trigger price must be lower than the order price"),
        Reason.WOULD_TRIGGER: ("51280", "SL trigger price must be less than the last price"),
        Reason.DUPLICATE_CLIENT_ID: ("51016", "Client order ID already exists."),
        Reason.UNKNOWN_ORDER: (
            "51400",
            "Cancellation failed as the order has been filled, canceled or does not exist.",
        ),
        Reason.ORDER_CLOSED: ("51400", _GONE),
        Reason.REDUCE_ONLY: (
            "51169",
            "Order failed because you don't have any positions in this direction for this contract to reduce or close.",
        ),
        Reason.INSUFFICIENT_MARGIN: ("51008", "Order failed. Insufficient USDT margin in account"),
        Reason.POST_ONLY_WOULD_CROSS: ("51006", "Order price is not within the price limit"),
        Reason.WOULD_NOT_FILL: ("51006", "Order price is not within the price limit"),
        Reason.NOTHING_TO_AMEND: ("51500", "You must enter a price, quantity, or TP/SL"),
        Reason.BAD_LEVERAGE: ("59102", "Leverage exceeds the maximum limit. Please lower the leverage."),
        Reason.EXPIRED: ("50102", "Timestamp request expired."),
        Reason.ENGINE_FULL: ("51025", "Order count exceeds the limit."),
        Reason.TOO_MANY_ORDERS: ("51102", "Entered amount exceeds the max pending count."),
        Reason.SUSPENDED: ("51022", "Contract suspended"),
        Reason.INSUFFICIENT_BALANCE: ("51008", "Order failed. Insufficient balance in account"),
        Reason.REDUCE_ONLY_ON_SPOT: ("51000", "Parameter reduceOnly error"),
        Reason.BAD_TRIGGER: ("51000", "Parameter triggerPx error"),
        Reason.WRONG_POSITION_SIDE: ("51000", "Parameter posSide error"),
        Reason.MODE_IN_USE: ("59000", "Your settings failed as you have positions or open orders."),
        Reason.MARGIN_MODE_IN_USE: ("59000", "Your settings failed as you have positions or open orders."),
        Reason.NO_POSITION: ("51023", "Position doesn't exist."),
        Reason.UNSUPPORTED: ("51010", "The current account mode does not support this API interface."),
    }

    troubles: ClassVar[Mapping[Trouble, tuple[str | int, str, int]]] = {
        Trouble.NO_PERMISSION: ("50120", "This API key doesn't have permission to use this function", 401),
        Trouble.IP_NOT_ALLOWED: ("50110", "Your IP is not included in your API key's IP whitelist.", 401),
        Trouble.RATE_LIMIT: ("50011", "Too Many Requests", 429),
        Trouble.BANNED: ("50061", "You've reached the maximum order rate limit for this account.", 429),
        Trouble.MAINTENANCE: ("50001", "Service temporarily unavailable. Please try again later", 503),
        Trouble.BUSY: ("50013", "Systems are busy. Please try again later.", 429),
        Trouble.TIMEOUT_UNKNOWN: (
            "50004",
            "API endpoint request timeout (does not mean that the request was successful or failed, "
            "please check the request result).",
            400,
        ),
        Trouble.AUTH: ("50113", "Invalid Sign", 401),
        Trouble.CLOCK: ("50102", "Timestamp request expired", 401),
    }
    limits = LimitRules(
        limits=(
            Limit(name="place", window_ms=2_000, most=60, per_key=True, calls=frozenset({Call.PLACE})),
            Limit(name="amend", window_ms=2_000, most=60, per_key=True, calls=frozenset({Call.AMEND})),
            Limit(
                name="cancel",
                window_ms=2_000,
                most=60,
                per_key=True,
                calls=frozenset({Call.CANCEL, Call.CANCEL_ALL}),
            ),
            Limit(
                name="orders", window_ms=2_000, most=60, per_key=True, calls=frozenset({Call.ORDER, Call.OPEN_ORDERS})
            ),
            Limit(name="history", window_ms=2_000, most=40, per_key=True, calls=frozenset({Call.CLOSED_ORDERS})),
            Limit(name="fills", window_ms=2_000, most=60, per_key=True, calls=frozenset({Call.FILLS})),
            Limit(
                name="account", window_ms=2_000, most=10, per_key=True, calls=frozenset({Call.BALANCE, Call.POSITIONS})
            ),
            Limit(name="public", window_ms=2_000, most=20, calls=frozenset({Call.MARKETS, Call.TICKER, Call.BOOK})),
        ),
    )
    """Per user and two seconds, of each endpoint; there are no bans."""

    @classmethod
    def markets(cls) -> Sequence[MarketSpec]:
        """USDT swaps with OKX's contract sizes; steps here are in base coin (lotSz x ctVal)."""
        rows = (
            ("BTC", "27000", "0.1", "0.01", "0.01", "100000000"),
            ("ETH", "1800", "0.01", "0.1", "0.01", "100000000"),
            ("SOL", "30", "0.01", "1", "0.01", "100000000"),
            ("XRP", "0.5", "0.0001", "100", "0.01", "100000000"),
        )
        return [
            MarketSpec(
                symbol=f"{base}/USDT:USDT",
                native=f"{base}-USDT-SWAP",
                base=base,
                settle="USDT",
                price=Decimal(price),
                tick=Decimal(tick),
                step=Decimal(lot) * Decimal(size),
                min_qty=Decimal(lot) * Decimal(size),
                max_qty=Decimal(top) * Decimal(size),
                contract_size=Decimal(size),
                level_qty=level_of(price, str(Decimal(lot) * Decimal(size))),
            )
            for base, price, tick, size, lot, top in rows
        ]

    @classmethod
    def rules(cls) -> EngineRules:
        """A post-only order that would take is accepted and cancelled; clOrdId is unique for ever."""
        return EngineRules(
            client_id_scope="all",
            order_id=lambda n: str(FIRST_ORDER_ID + n),
            trade_id=lambda n: str(800_000_000 + n),
            taker_fee=Decimal("0.0005"),
            maker_fee=Decimal("0.0002"),
        )

    def key_of(self, request: Request) -> str | None:
        """OK-ACCESS-KEY."""
        return request.headers.get("ok-access-key")

    # ---- gateway ----------------------------------------------------------------------------------------------------

    def authenticate(self, request: Request, now_ms: int) -> None:
        """Headers present, timestamp, key, passphrase, signature, expTime; HTTP 401 or 400."""
        headers = request.headers
        for name, code in (
            ("OK-ACCESS-KEY", "50103"),
            ("OK-ACCESS-PASSPHRASE", "50104"),
            ("OK-ACCESS-SIGN", "50106"),
            ("OK-ACCESS-TIMESTAMP", "50107"),
        ):
            if not headers.get(name.lower()):
                raise NativeError(code, f'Request header "{name}" cannot be empty.', status=401)
        raw = headers["ok-access-timestamp"]
        stamp = _iso_ms(raw)
        if stamp is None:
            raise NativeError("50112", "Invalid OK-ACCESS-TIMESTAMP", status=401)
        if abs(now_ms - stamp) > TIMESTAMP_WINDOW_MS:
            raise NativeError("50102", "Timestamp request expired", status=401)
        if headers["ok-access-key"] != self.credentials.api_key:
            raise NativeError("50111", "Invalid OK-ACCESS-KEY", status=401)
        if not same(headers["ok-access-passphrase"], self.credentials.password):
            raise NativeError("50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.', status=401)
        target = f"{request.path}?{request.raw_query}" if request.raw_query else request.path
        origin = f"{raw}{request.method}{target}".encode() + request.body
        expected = base64.b64encode(hmac_bytes(self.credentials.secret.encode(), origin)).decode()
        if not same(headers["ok-access-sign"], expected):
            raise NativeError("50113", "Invalid Sign", status=401)
        deadline = self._exp_time(request)
        if deadline is not None and now_ms > deadline:
            raise NativeError("50102", "Timestamp request expired", status=401)

    @staticmethod
    def _exp_time(request: Request) -> int | None:
        if request.method != "POST" or request.path not in EXPIRING_PATHS:
            return None
        return int_or_none(request.headers.get("exptime"))

    def expiry_ms(self, request: Request) -> int | None:
        """expTime where it counts, and in any case 30 s after the signed timestamp."""
        stamp = _iso_ms(request.headers.get("ok-access-timestamp", ""))
        known = [t for t in (self._exp_time(request), None if stamp is None else stamp + TIMESTAMP_WINDOW_MS) if t]
        return min(known) if known else None

    def error_answer(self, error: NativeError, request: Request, now_ms: int) -> Answer:
        """The code at the top; errors of an order are answered by the handlers, in its item."""
        return json_answer({"code": str(error.code), "data": [], "msg": error.words}, status=error.status or 200)

    def unknown_path(self, request: Request) -> Answer:
        """HTTP 404."""
        body: dict[str, object] = {"code": "404", "data": {}, "msg": "Not Found", "error_message": "Not Found"}
        return json_answer(body, status=404)

    def native_symbol_of(self, request: Request) -> str | None:
        """InstId."""
        return request.params.get("instId")

    def client_order_id_of(self, request: Request) -> str | None:
        """ClOrdId; of a batch the first."""
        return request.params.get("clOrdId") or None

    # ---- small things -----------------------------------------------------------------------------------------------

    def refusal_error(self, refusal: Refusal, ctx: Context) -> NativeError:
        """The words of a sell order's levels, and of an amendment's unknown order, differ."""
        code, words = self.refusals[refusal.reason]
        if ctx.params.get("side") == "sell" and refusal.reason is Reason.BAD_TAKE_PROFIT:
            code, words = "51048", "The take profit trigger price must be lower than the order price"
        elif ctx.params.get("side") == "sell" and refusal.reason is Reason.BAD_STOP_LOSS:
            code, words = "51049", "The stop loss trigger price must be higher than the order price"
        elif str(code) == "51400" and ctx.request.path.endswith("amend-order"):
            code, words = "51503", "Order modification failed as the order has been filled, canceled or does not exist."
        return NativeError(code, words)

    def bad_number(self, error: BadNumber, ctx: Context) -> NativeError:
        """51000."""
        return NativeError("51000", f"Parameter error: {error}")

    def ok(self, data: Sequence[object]) -> Answer:
        """An answer of success."""
        return json_answer({"code": "0", "data": data, "msg": ""})

    def items(self, code: str, words: str, data: Sequence[object], now_ms: int) -> Answer:
        """An answer of a trading endpoint, with its times in microseconds."""
        micros = str(now_ms * 1000)
        return json_answer({"code": code, "data": data, "inTime": micros, "msg": words, "outTime": micros})


def _iso_ms(raw: str) -> int | None:
    """ISO 8601 with milliseconds and Z, or Unix seconds with a fraction, as Unix ms."""
    try:
        if raw.endswith("Z"):
            moment = datetime.strptime(raw, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
            return round(moment.timestamp() * 1000)
        return round(float(raw) * 1000)
    except (ValueError, OverflowError):
        return None
