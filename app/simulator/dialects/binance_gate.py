"""Binance: what its gateway refuses for, futures and spot alike, and the rate limits of each.

Source: developers.binance.com, "USDⓈ-M Futures" and "Spot": General Info (signature, timing, limits, HTTP return codes)
and Error Codes.
"""

import re
from collections.abc import Mapping

from app.simulator.calls import Call, Trouble
from app.simulator.dialects.base import Credentials, NativeError, Request
from app.simulator.dialects.binance_params import missing
from app.simulator.dialects.wire import hmac_hex, int_or_none, same
from app.simulator.limits import Limit, LimitRules, Verdict

DEFAULT_RECV_WINDOW_MS = 5_000
MAX_RECV_WINDOW_MS = 60_000
AHEAD_MS = 1_000
"""A timestamp further ahead of the exchange's clock than this is refused, whatever the window."""
_SIGNATURE = re.compile(r"(^|&)signature=[^&]*")

TROUBLES: Mapping[Trouble, tuple[str | int, str, int]] = {
    Trouble.NO_PERMISSION: (-2015, "Invalid API-key, IP, or permissions for action.", 401),
    Trouble.IP_NOT_ALLOWED: (-2015, "Invalid API-key, IP, or permissions for action.", 401),
    Trouble.RATE_LIMIT: (-1003, "Too many requests; please use the websocket for live updates.", 429),
    Trouble.BANNED: (
        -1003,
        "Way too many requests; IP(127.0.0.1) banned until {until}. "
        "Please use the websocket for live updates to avoid bans.",
        418,
    ),
    Trouble.MAINTENANCE: (1, "System is under maintenance.", 503),
    Trouble.BUSY: (-1008, "Server is currently overloaded with other requests. Please try again later.", 503),
    Trouble.TIMEOUT_UNKNOWN: (
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        408,
    ),
    Trouble.AUTH: (-1022, "Signature for this request is not valid.", 400),
    Trouble.CLOCK: (-1021, "Timestamp for this request is outside of the recvWindow.", 400),
}
LIMITS = LimitRules(
    limits=(
        Limit(
            name="WEIGHT-1M",
            window_ms=60_000,
            most=2_400,
            weights={
                Call.BALANCE: 5,
                Call.POSITIONS: 5,
                Call.FILLS: 5,
                Call.CLOSED_ORDERS: 5,
                Call.BOOK: 10,
                Call.ACCOUNT: 30,
            },
        ),
        Limit(name="ORDERS-10S", window_ms=10_000, most=300, per_key=True, calls=frozenset({Call.PLACE, Call.AMEND})),
        Limit(name="ORDERS-1M", window_ms=60_000, most=1_200, per_key=True, calls=frozenset({Call.PLACE, Call.AMEND})),
    ),
    ban_after=10,
    ban_ms=120_000,
    lengthens=True,
)
"""Weight by address, orders by account; going on after a 429 is a ban from two minutes up to three days."""
SPOT_LIMITS = LimitRules(
    limits=(
        Limit(
            name="WEIGHT-1M",
            window_ms=60_000,
            most=6_000,
            weights={
                Call.BALANCE: 20,
                Call.FILLS: 20,
                Call.CLOSED_ORDERS: 20,
                Call.ORDER: 4,
                Call.OPEN_ORDERS: 6,
                Call.MARKETS: 20,
                Call.BOOK: 5,
                Call.TICKER: 2,
                Call.KLINES: 2,
                Call.ACCOUNT: 20,
            },
        ),
        Limit(name="ORDERS-10S", window_ms=10_000, most=100, per_key=True, calls=frozenset({Call.PLACE, Call.AMEND})),
        Limit(
            name="ORDERS-1D",
            window_ms=86_400_000,
            most=200_000,
            per_key=True,
            calls=frozenset({Call.PLACE, Call.AMEND}),
        ),
    ),
    ban_after=10,
    ban_ms=120_000,
    lengthens=True,
)
"""The same of spot."""


def limit_headers(verdict: Verdict) -> Mapping[str, str]:
    """How much of each limit is used, as the exchange names it."""
    names = {"WEIGHT-1M": "X-MBX-USED-WEIGHT-1M"}
    return {names.get(n, n.replace("ORDERS", "X-MBX-ORDER-COUNT")): str(units) for n, units in verdict.used.items()}


def check_signed(request: Request, credentials: Credentials, now_ms: int) -> None:
    """Key, timing, signature. The signature covers the raw query and body, without the signature itself."""
    key = request.headers.get("x-mbx-apikey", "")
    if not key:
        raise NativeError(-2014, "API-key format invalid.", status=401)
    if not same(key, credentials.api_key):
        raise NativeError(-2015, "Invalid API-key, IP, or permissions for action.", status=401)
    stamp = int_or_none(request.params.get("timestamp"))
    if stamp is None:
        raise missing("timestamp")
    window = _window_ms(request)
    if window is None or not 0 < window <= MAX_RECV_WINDOW_MS:
        raise NativeError(-1131, f"recvWindow must be less than {MAX_RECV_WINDOW_MS}")
    if stamp > now_ms + AHEAD_MS:
        raise NativeError(-1021, f"Timestamp for this request was {AHEAD_MS}ms ahead of the server's time.")
    if now_ms > stamp + window:
        raise NativeError(-1021, "Timestamp for this request is outside of the recvWindow.")
    given = request.params.get("signature")
    if not given:
        raise missing("signature")
    body = request.body.decode("utf-8", "replace")
    signed = _SIGNATURE.sub("", request.raw_query) + _SIGNATURE.sub("", body)
    if not same(given.lower(), hmac_hex(credentials.secret, signed)):
        raise NativeError(-1022, "Signature for this request is not valid.")


def expiry_ms(request: Request) -> int | None:
    """timestamp + recvWindow."""
    stamp, window = int_or_none(request.params.get("timestamp")), _window_ms(request)
    return None if stamp is None or window is None else stamp + window


def _window_ms(request: Request) -> int | None:
    return int_or_none(request.params.get("recvWindow", str(DEFAULT_RECV_WINDOW_MS)))
