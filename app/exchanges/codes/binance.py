"""Binance USDⓈ-M futures: what `code` means for an order.

Source: DOC is https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code. It says of -1007, and
of HTTP 503 "Unknown error", that the execution status is unknown, and of -1008 that the request failed for certain.
"""

from __future__ import annotations

from types import MappingProxyType

from app.exchanges.outcomes import Meaning, Row

_DOC = "https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code"
_ME = _DOC + " (checked again by the matching engine)"

_INVALID_QUANTITY = ("-4003", "-4005", "-4023", "-1111", "-1013")
_INVALID_PRICE = ("-4001", "-4002", "-4014", "-4016", "-4024", "-4131", "-4029")
_INVALID_REQUEST = ("-1100", "-1101", "-1102", "-1103", "-1104", "-1105", "-1106", "-1108", "-1115", "-1116", "-1117")

CODES = MappingProxyType(
    {
        **{code: Row(Meaning.REFUSED, "invalid_quantity", _DOC) for code in _INVALID_QUANTITY},
        **{code: Row(Meaning.REFUSED, "invalid_price", _DOC) for code in _INVALID_PRICE},
        **{code: Row(Meaning.REFUSED, "invalid_request", _DOC) for code in _INVALID_REQUEST},
        # At the gate.
        "-1002": Row(Meaning.NOT_EXECUTED, "not_authenticated", _DOC, ill=True),
        "-1003": Row(Meaning.NOT_EXECUTED, "rate_limited", _DOC),
        "-1008": Row(Meaning.NOT_EXECUTED, "exchange_busy", _DOC, ill=True),
        "-1015": Row(Meaning.NOT_EXECUTED, "rate_limited", _DOC),
        "-1016": Row(Meaning.NOT_EXECUTED, "maintenance", _DOC, ill=True),
        "-1021": Row(Meaning.NOT_EXECUTED, "expired", _DOC, ill=True),
        "-1022": Row(Meaning.NOT_EXECUTED, "not_authenticated", _DOC, ill=True),
        "-1109": Row(Meaning.NOT_EXECUTED, "not_permitted", _DOC, ill=True),
        "-2014": Row(Meaning.NOT_EXECUTED, "not_authenticated", _DOC, ill=True),
        "-2015": Row(Meaning.NOT_EXECUTED, "not_authenticated", _DOC, ill=True),
        "-2017": Row(Meaning.NOT_EXECUTED, "not_authenticated", _DOC, ill=True),
        "-2023": Row(Meaning.NOT_EXECUTED, "not_permitted", _DOC, ill=True),
        "-4188": Row(Meaning.NOT_EXECUTED, "expired", _ME, ill=True),
        "-5028": Row(Meaning.NOT_EXECUTED, "expired", _ME, ill=True),
        # Says nothing about what happened behind the gate.
        "-1000": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _DOC, ill=True),
        "-1001": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _DOC, ill=True),
        "-1006": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _DOC, ill=True),
        "-1007": Row(Meaning.AMBIGUOUS, "timeout", _DOC, ill=True),
        # The client order id is taken: the order is there to be found.
        "-4116": Row(Meaning.DUPLICATE, "duplicate", _DOC),
        # Answers to a cancel or a look-up.
        "-2011": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        "-2013": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        # Refused.
        "-1121": Row(Meaning.REFUSED, "invalid_symbol", _DOC),
        "-2010": Row(Meaning.REFUSED, "invalid_order", _DOC),
        "-2018": Row(Meaning.REFUSED, "insufficient_funds", _DOC),
        "-2019": Row(Meaning.REFUSED, "insufficient_funds", _DOC),
        "-2020": Row(Meaning.REFUSED, "would_not_fill", _DOC),
        "-2022": Row(Meaning.REFUSED, "reduce_only_rejected", _DOC),
        "-2024": Row(Meaning.REFUSED, "reduce_only_rejected", _DOC),
        "-2025": Row(Meaning.REFUSED, "too_many_orders", _DOC),
        "-2027": Row(Meaning.REFUSED, "position_limit", _DOC),
        "-4004": Row(Meaning.REFUSED, "below_minimum", _DOC),
        "-4118": Row(Meaning.REFUSED, "reduce_only_rejected", _DOC),
        "-4164": Row(Meaning.REFUSED, "below_minimum", _DOC),
        "-4192": Row(Meaning.NOT_EXECUTED, "not_permitted", _DOC, ill=True),
        "-5021": Row(Meaning.REFUSED, "would_not_fill", _DOC),
        "-5022": Row(Meaning.REFUSED, "would_take", _DOC),
    }
)
"""By `code`. The profile turns -2010 "Duplicate order sent." into -4116, which says the same."""
