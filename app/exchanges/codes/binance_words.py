"""Binance: the codes that its gateway and all of its markets share, and those that only their words tell apart.

Five codes say no more than who refused: -1013 the gateway, -1010, -2010, -2011 and -2038 the matching engine. Why is in
the words; `read_as` makes a row's name of both ("-2010/duplicate"), and the tables of futures and spot have these rows.
One of those words means that the order is there (`DUPLICATE`), so words that nobody has listed prove nothing.

Sources: SPOT is https://github.com/binance/binance-spot-api-docs/blob/master/errors.md, which lists these words, DOC is
https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code. Both say of -1006 and -1007 that the
execution status is unknown.
"""

from __future__ import annotations

import re
from types import MappingProxyType

from app.exchanges.outcomes import Meaning, Row

DOC = "https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code"
SPOT = "https://github.com/binance/binance-spot-api-docs/blob/master/errors.md"
CCXT = "ccxt binance exceptions"

BAN_WORDS = re.compile(r"banned until (\d{13})")
"""In the words of -1003: "Way too many requests; IP(%s) banned until %s. ...", as SPOT and DOC list them."""

_WORDED = ("-1010", "-1013", "-2010", "-2011", "-2038")

_REFUSED, _NOT_EXECUTED = Meaning.REFUSED, Meaning.NOT_EXECUTED
_WORDS: tuple[tuple[str, str, Row], ...] = (
    ("duplicate", "duplicate", Row(Meaning.DUPLICATE, "duplicate", SPOT)),
    ("unknown order", "unknown", Row(Meaning.UNKNOWN_ORDER, "unknown_order", SPOT)),
    ("would change no state", "unchanged", Row(Meaning.UNCHANGED, "unchanged", SPOT)),
    ("insufficient balance", "funds", Row(_REFUSED, "insufficient_funds", SPOT)),
    ("immediately match", "take", Row(_REFUSED, "would_take", SPOT)),
    ("would trigger immediately", "trigger", Row(_REFUSED, "would_trigger", SPOT)),
    ("market is closed", "closed", Row(_NOT_EXECUTED, "market_closed", SPOT)),
    ("disabled on this account", "account", Row(_NOT_EXECUTED, "not_permitted", SPOT, ill=True)),
    ("may not place or cancel", "account", Row(_NOT_EXECUTED, "not_permitted", SPOT, ill=True)),
    ("trading is not enabled", "account", Row(_NOT_EXECUTED, "not_permitted", SPOT, ill=True)),
    ("symbol is not permitted", "symbol", Row(_NOT_EXECUTED, "symbol_not_permitted", SPOT)),
    ("symbol is restricted", "symbol", Row(_NOT_EXECUTED, "symbol_not_permitted", SPOT)),
    ("relationship of the prices", "price", Row(_REFUSED, "invalid_price", SPOT)),
    ("price_filter", "price", Row(_REFUSED, "invalid_price", SPOT)),
    ("percent_price", "price", Row(_REFUSED, "invalid_price", SPOT)),
    ("invalid price", "price", Row(_REFUSED, "invalid_price", SPOT)),
    ("lot_size", "quantity", Row(_REFUSED, "invalid_quantity", SPOT)),
    ("invalid quantity", "quantity", Row(_REFUSED, "invalid_quantity", SPOT)),
    ("zero or less", "quantity", Row(_REFUSED, "invalid_quantity", SPOT)),
    ("quantity increase", "quantity", Row(_REFUSED, "invalid_quantity", SPOT)),
    ("notional", "notional", Row(_REFUSED, "below_minimum", SPOT)),
    ("max_position", "position", Row(_REFUSED, "position_limit", SPOT)),
    ("max_num", "many", Row(_REFUSED, "too_many_orders", SPOT)),
    ("liquidity is", "depth", Row(_REFUSED, "would_not_fill", SPOT)),
    ("not supported", "unsupported", Row(_REFUSED, "invalid_order", SPOT)),
    ("not support for this symbol", "unsupported", Row(_REFUSED, "invalid_order", SPOT)),
    ("unsupported order combination", "unsupported", Row(_REFUSED, "invalid_order", SPOT)),
    ("iceberg", "unsupported", Row(_REFUSED, "invalid_order", SPOT)),
    ("trailing_delta", "unsupported", Row(_REFUSED, "invalid_order", SPOT)),
    ("cancel order is invalid", "request", Row(_REFUSED, "invalid_request", SPOT)),
    ("cancel restrictions", "request", Row(_REFUSED, "invalid_request", SPOT)),
)
"""(Part of the words, name, what they mean), the first that fits."""


def read_as(code: str, words: str) -> str:
    """The row that a code with its words is read by."""
    said = words.lower()
    name = next((name for part, name, _ in _WORDS if part in said), None) if code in _WORDED else None
    return code if name is None else f"{code}/{name}"


WORDED = MappingProxyType(
    {
        **{f"{code}/{name}": row for code in _WORDED for _, name, row in reversed(_WORDS)},
        "-1010": Row(Meaning.AMBIGUOUS, "exchange_error", SPOT),
        "-1013": Row(_REFUSED, "invalid_order", f'{SPOT}: "the request didn\'t reach the Matching Engine"'),
        "-2010": Row(Meaning.AMBIGUOUS, "exchange_error", SPOT),
        "-2011": Row(Meaning.AMBIGUOUS, "exchange_error", SPOT),
        "-2038": Row(Meaning.AMBIGUOUS, "exchange_error", SPOT),
    }
)
"""By code and words; a code alone is one whose words nobody has listed."""

_INVALID_REQUEST: tuple[str, ...] = (
    "-1014",
    "-1020",
    "-1100",
    "-1101",
    "-1102",
    "-1103",
    "-1104",
    "-1105",
    "-1106",
    "-1108",
    "-1114",
)
_INVALID_REQUEST += ("-1115", "-1116", "-1117", "-1118", "-1119", "-1120", "-1127", "-1128", "-1130", "-1131", "-1135")

SHARED = MappingProxyType(
    {
        **WORDED,
        **{code: Row(_REFUSED, "invalid_request", SPOT) for code in _INVALID_REQUEST},
        # At the gate.
        "1": Row(_NOT_EXECUTED, "maintenance", f"{CCXT}: System is under maintenance.", ill=True),
        "-1002": Row(_NOT_EXECUTED, "not_authenticated", SPOT, ill=True),
        "-1003": Row(_NOT_EXECUTED, "rate_limited", SPOT),
        "-1015": Row(_NOT_EXECUTED, "rate_limited", SPOT),
        "-1016": Row(_NOT_EXECUTED, "maintenance", SPOT, ill=True),
        "-1021": Row(_NOT_EXECUTED, "expired", SPOT, ill=True),
        "-1022": Row(_NOT_EXECUTED, "not_authenticated", SPOT, ill=True),
        "-1034": Row(_NOT_EXECUTED, "rate_limited", SPOT),
        "-1099": Row(_NOT_EXECUTED, "not_authenticated", CCXT, ill=True),
        "-2008": Row(_NOT_EXECUTED, "not_authenticated", CCXT, ill=True),
        "-2014": Row(_NOT_EXECUTED, "not_authenticated", SPOT, ill=True),
        "-2015": Row(_NOT_EXECUTED, "not_authenticated", SPOT, ill=True),
        # Says nothing about what happened behind the gate.
        "-1000": Row(Meaning.AMBIGUOUS, "exchange_unavailable", SPOT, ill=True),
        "-1001": Row(Meaning.AMBIGUOUS, "exchange_unavailable", SPOT, ill=True),
        "-1004": Row(Meaning.AMBIGUOUS, "exchange_unavailable", f"{CCXT}: Server is busy", ill=True),
        "-1006": Row(Meaning.AMBIGUOUS, "exchange_unavailable", SPOT, ill=True),
        "-1007": Row(Meaning.AMBIGUOUS, "timeout", SPOT, ill=True),
        # Answers to a look-up.
        "-2013": Row(Meaning.UNKNOWN_ORDER, "unknown_order", SPOT),
        # Refused.
        "-1111": Row(_REFUSED, "invalid_quantity", SPOT),
        "-1112": Row(_REFUSED, "would_not_fill", SPOT),
        "-1121": Row(_REFUSED, "invalid_symbol", SPOT),
        "-1122": Row(_REFUSED, "invalid_symbol", SPOT),
        "-2016": Row(_REFUSED, "invalid_symbol", SPOT),
    }
)
"""What futures and spot read alike."""
