"""What requests are for, and why a gateway turns them away: the words that all dialects share."""

from collections.abc import Mapping
from enum import StrEnum


class Call(StrEnum):
    """What a request is for; fault rules match on it, rate limits weigh it, and the request log shows it."""

    MARKETS = "markets"
    TIME = "time"
    STATUS = "status"
    BALANCE = "balance"
    TICKER = "ticker"
    BOOK = "book"
    KLINES = "klines"
    PLACE = "place"
    AMEND = "amend"
    CANCEL = "cancel"
    CANCEL_ALL = "cancel_all"
    OPEN_ORDERS = "open_orders"
    ORDER = "order"
    CLOSED_ORDERS = "closed_orders"
    POSITIONS = "positions"
    FILLS = "fills"
    LEVERAGE = "leverage"
    DEAD_MAN = "dead_man"
    ACCOUNT = "account"
    OTHER = "other"


READS = frozenset(
    {
        Call.BALANCE,
        Call.TICKER,
        Call.BOOK,
        Call.KLINES,
        Call.OPEN_ORDERS,
        Call.ORDER,
        Call.CLOSED_ORDERS,
        Call.POSITIONS,
        Call.FILLS,
    }
)
"""Calls that look and change nothing; a stale replica may answer them."""
GROUPS: Mapping[str, frozenset[Call]] = {
    "orders": frozenset({Call.PLACE, Call.AMEND, Call.CANCEL, Call.CANCEL_ALL}),
    "reads": READS,
    "quotes": frozenset({Call.TICKER, Call.BOOK, Call.KLINES}),
}
"""Calls that break together, by the name that a fault rule may give instead of one call."""
ALWAYS = frozenset({Call.TIME, Call.STATUS})
"""Calls that a maintenance leaves alone: how else should a client hear of it."""


class Trouble(StrEnum):
    """Why the gateway turns a request away, whatever it asks for. Each dialect words every one of them."""

    NO_PERMISSION = "no_permission"  # the key may not do this
    IP_NOT_ALLOWED = "ip_not_allowed"  # the key may not come from there
    RATE_LIMIT = "rate_limit"
    BANNED = "banned"
    MAINTENANCE = "maintenance"
    BUSY = "busy"
    TIMEOUT_UNKNOWN = "timeout_unknown"  # the exchange does not know itself whether it executed
    AUTH = "auth"
    CLOCK = "clock"  # the timestamp is outside the window
