"""OKX V5's gateway: rules, limits, key, passphrase, signature, timestamp, expTime, error words.

Errors of the gateway carry their code at the top level and HTTP 401 or 400; errors of an order come with HTTP 200, code
"1" and an `sCode` in the order's item. `OK-ACCESS-TIMESTAMP` is good for 30 s (50102). The optional request header
`expTime` (Unix ms) makes the gateway refuse a placement or an amendment that arrives after it; here with 50102 too.
Source: https://www.okx.com/docs-v5/en/ (REST authentication, transaction timeouts, error code) and the exception table
of ccxt's okx.
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from app.simulator.calls import Call
from app.simulator.dialects.base import Context, Credentials, Dialect, NativeError, Request
from app.simulator.dialects.okx_words import MARKETS, REFUSALS, TROUBLES
from app.simulator.dialects.wire import Answer, BadNumber, hmac_bytes, int_or_none, json_answer, same
from app.simulator.limits import Limit, LimitRules
from app.simulator.model import Reason, Refusal
from app.simulator.spec import DeadManRules, EngineRules, MarketSpec

TIMESTAMP_WINDOW_MS = 30_000
FIRST_ORDER_ID = 1_900_000_000_000_000_000
"""Order ids are numbers of 19 digits; paging goes by their order."""
EXPIRING_PATHS = frozenset(
    {
        "/api/v5/trade/order",
        "/api/v5/trade/batch-orders",
        "/api/v5/trade/amend-order",
        "/api/v5/trade/amend-batch-orders",
    }
)
"""POSTs that honour the expTime header."""


class OkxGateway(Dialect):
    """What every OKX handler stands on."""

    name = "okx"
    ccxt_id = "okx"
    default_credentials = Credentials(
        api_key="51000000-0000-4000-8000-000000000001", secret="51A0000000000000000000000000BEEF", password="SimPass1!"
    )
    refusals = REFUSALS
    troubles = TROUBLES
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
            Limit(name="candles", window_ms=2_000, most=40, calls=frozenset({Call.KLINES})),
            Limit(name="public", window_ms=2_000, most=20, calls=frozenset({Call.MARKETS, Call.TICKER, Call.BOOK})),
        ),
    )
    """Per user and two seconds, of each endpoint; there are no bans."""

    @classmethod
    def markets(cls) -> Sequence[MarketSpec]:
        """USDT swaps, counted in contracts, and spot markets."""
        return MARKETS

    @classmethod
    def rules(cls) -> EngineRules:
        """A post-only order that would take is accepted and cancelled; clOrdId is unique for ever.

        Cancel-all-after is a countdown of 10 to 120 s over the account; algo orders stay.
        """
        return EngineRules(
            client_id_scope="all",
            order_id=lambda n: str(FIRST_ORDER_ID + n),
            trade_id=lambda n: str(800_000_000 + n),
            taker_fee=Decimal("0.0005"),
            maker_fee=Decimal("0.0002"),
            spot_taker_fee=Decimal("0.001"),
            spot_maker_fee=Decimal("0.0008"),
            dead_man=DeadManRules(triggers=False, min_ms=10_000, max_ms=120_000),
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
        """ClOrdId or algoClOrdId; of a batch the first."""
        return request.params.get("clOrdId") or request.params.get("algoClOrdId") or None

    # ---- small things -----------------------------------------------------------------------------------------------

    def refusal_error(self, refusal: Refusal, ctx: Context) -> NativeError:
        """The words of a sell order's levels, and of an amendment's unknown order, differ."""
        code, words = self.refusals[refusal.reason]
        algo = ctx.request.path.endswith("-algo")
        if ctx.params.get("side") == "sell" and refusal.reason is Reason.BAD_TAKE_PROFIT:
            code, words = "51048", "The take profit trigger price must be lower than the order price"
        elif ctx.params.get("side") == "sell" and refusal.reason is Reason.BAD_STOP_LOSS:
            code, words = "51049", "The stop loss trigger price must be higher than the order price"
        elif str(code) == "51400" and "/amend-" in ctx.request.path:
            code, words = "51503", "Order modification failed as the order has been filled, canceled or does not exist."
        elif algo and refusal.reason is Reason.DUPLICATE_CLIENT_ID:
            code, words = "51065", "algoClOrdId already exists."
        elif algo and refusal.reason is Reason.WOULD_TRIGGER:
            code, words = "51000", "Parameter triggerPx error"
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
