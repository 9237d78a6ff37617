"""Binance USDⓈ-M futures: what its gateway refuses for, and its rate limits.

Source: developers.binance.com, "USDⓈ-M Futures": General Info (limits, HTTP return codes) and Error Codes.
"""

from collections.abc import Mapping

from app.simulator.calls import Call, Trouble
from app.simulator.limits import Limit, LimitRules, Verdict

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
)
"""Weight by address, orders by account; going on after a 429 is a ban from two minutes up to three days."""


def limit_headers(verdict: Verdict) -> Mapping[str, str]:
    """How much of each limit is used, as the exchange names it."""
    names = {"WEIGHT-1M": "X-MBX-USED-WEIGHT-1M"}
    return {names.get(n, n.replace("ORDERS", "X-MBX-ORDER-COUNT")): str(units) for n, units in verdict.used.items()}
