"""Bybit V5's gateway: rules, limits, key, signature, timestamp, which market is meant, error words.

A linear and a spot market share a name; the category of the request says which. Words and markets are data in
`bybit_words`.
Business errors come with HTTP 200 and a retCode. The timestamp window is looked at on arrival only (retCode 10002).
Source of codes and words: https://bybit-exchange.github.io/docs/v5/error and the exception table of ccxt's bybit.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from app.simulator.calls import READS, Call
from app.simulator.dialects.base import Context, Credentials, Dialect, Matched, NativeError, Request
from app.simulator.dialects.bybit_words import KINDS, MARKETS, REFUSALS, SPOT_REFUSALS, TROUBLES
from app.simulator.dialects.wire import Answer, BadNumber, hmac_hex, int_or_none, json_answer, same
from app.simulator.limits import Limit, LimitRules, Verdict
from app.simulator.model import Reason, Refusal
from app.simulator.spec import EngineRules, MarketKind, MarketSpec

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
    refusals = REFUSALS
    troubles = TROUBLES
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
        """USDT perpetuals, and spot markets under the same names."""
        return MARKETS

    @classmethod
    def rules(cls) -> EngineRules:
        """orderLinkId is unique for ever; a post-only order that would take is accepted and cancelled.

        There is no countdown: what Bybit calls DCP is set off by the loss of a websocket, of which there is none here.
        """
        return EngineRules(
            client_id_scope="all",
            order_id=lambda n: _uuid(0x51BB17, n),
            trade_id=lambda n: _uuid(0xE8EC, n),
            taker_fee=Decimal("0.00055"),
            maker_fee=Decimal("0.0002"),
            dead_man=None,
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

    def symbol_of(self, request: Request, matched: Matched) -> str | None:
        """The market of the name and category that a request carries."""
        native, kind = request.params.get("symbol"), KINDS.get(request.params.get("category", "linear"))
        for market in self.engine.markets.values():
            if market.native == native and market.kind is kind:
                return market.symbol
        return None

    def client_order_id_of(self, request: Request) -> str | None:
        """OrderLinkId, of a placement, a cancel or a look-up."""
        return request.params.get("orderLinkId") or None

    def refusal_error(self, refusal: Refusal, ctx: Context) -> NativeError:
        """Fill the gaps in the words, which name the side and what was tried."""
        code, words = self.refusals[refusal.reason]
        if ctx.params.get("category") == "spot":
            code, words = SPOT_REFUSALS.get(refusal.reason, (code, words))
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

    def kind(self, ctx: Context) -> MarketKind | None:
        """What the category says; None for the ones that exist and have no markets here. Refuses any other."""
        category = ctx.params.get("category", "")
        if category not in KINDS:
            raise NativeError(10001, "params error: category invalid")
        return KINDS[category]

    def market(self, ctx: Context) -> MarketSpec:
        """The market of the symbol and category asked for."""
        kind, native = self.kind(ctx), ctx.params.get("symbol") or ""
        if kind is None:
            raise Refusal(Reason.UNKNOWN_SYMBOL, f"There is no market {native!r}.")
        return self.engine.venue.native(native, kind)

    def scope(self, ctx: Context) -> set[str]:
        """The canonical symbols that a request is about, by symbol, baseCoin, settleCoin and category.

        Of linear markets it must name one of the three.
        """
        if ctx.params.get("symbol"):
            return {self.market(ctx).symbol}
        kind, base, settle = self.kind(ctx), ctx.params.get("baseCoin"), ctx.params.get("settleCoin")
        if kind is MarketKind.SWAP and not base and not settle:
            raise NativeError(10001, "params error: symbol, settleCoin or baseCoin is required")
        return {
            m.symbol
            for m in self.engine.markets.values()
            if m.kind is kind and (not base or m.base == base) and (not settle or m.is_spot or m.settle == settle)
        }

    def whole_category(self, ctx: Context) -> set[str]:
        """The same, where nothing need be named."""
        return (
            self.scope(ctx)
            if any(ctx.params.get(k) for k in ("symbol", "baseCoin", "settleCoin"))
            else {m.symbol for m in self.engine.markets.values() if m.kind is self.kind(ctx)}
        )

    def ok(self, ctx: Context, result: object, *, extra: Mapping[str, object] | None = None) -> Answer:
        """An answer of success; `extra` is retExtInfo."""
        body = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": extra or {}, "time": ctx.now_ms}
        return json_answer(body)
