"""Bybit V5: what `retCode` means for an order.

Sources: DOC is https://bybit-exchange.github.io/docs/v5/error (V5 error codes), CCXT the comments of ccxt's table.
Codes that are not here fall to ccxt's table; those it only knows as `ExchangeError` stay ambiguous.
"""

from __future__ import annotations

from types import MappingProxyType

from app.exchanges.outcomes import Meaning, Row

_DOC = "https://bybit-exchange.github.io/docs/v5/error"
_CCXT = "ccxt bybit exceptions.exact"

CODES = MappingProxyType(
    {
        # At the gate: nothing was handed to the matching engine.
        "10001": Row(Meaning.REFUSED, "invalid_request", _DOC),
        "10002": Row(Meaning.NOT_EXECUTED, "expired", _DOC, ill=True),
        "10003": Row(Meaning.NOT_EXECUTED, "not_authenticated", _DOC, ill=True),
        "10004": Row(Meaning.NOT_EXECUTED, "not_authenticated", _DOC, ill=True),
        "10005": Row(Meaning.NOT_EXECUTED, "not_permitted", _DOC, ill=True),
        "10006": Row(Meaning.NOT_EXECUTED, "rate_limited", _DOC),
        "10007": Row(Meaning.NOT_EXECUTED, "not_authenticated", _DOC, ill=True),
        "10008": Row(Meaning.NOT_EXECUTED, "not_permitted", _DOC, ill=True),
        "10009": Row(Meaning.NOT_EXECUTED, "not_permitted", _DOC, ill=True),
        "10010": Row(Meaning.NOT_EXECUTED, "not_permitted", _DOC, ill=True),
        "10017": Row(Meaning.REFUSED, "invalid_request", _DOC),
        "10018": Row(Meaning.NOT_EXECUTED, "rate_limited", _DOC),
        "10024": Row(Meaning.NOT_EXECUTED, "not_permitted", _DOC, ill=True),
        "10027": Row(Meaning.NOT_EXECUTED, "not_permitted", _DOC, ill=True),
        "10028": Row(Meaning.NOT_EXECUTED, "not_permitted", _DOC, ill=True),
        "10029": Row(Meaning.REFUSED, "invalid_symbol", _DOC),
        "10429": Row(Meaning.NOT_EXECUTED, "rate_limited", _DOC),
        # Says nothing about what happened behind the gate.
        "10000": Row(Meaning.AMBIGUOUS, "timeout", _DOC, ill=True),
        "10014": Row(Meaning.DUPLICATE, "duplicate", _DOC),
        "10016": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _DOC, ill=True),
        "10019": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _DOC, ill=True),
        # The client order id is taken: the order is there to be found.
        "110030": Row(Meaning.DUPLICATE, "duplicate", _DOC),
        "110072": Row(Meaning.DUPLICATE, "duplicate", _DOC),
        "170141": Row(Meaning.DUPLICATE, "duplicate", _CCXT),
        # Answers to a cancel.
        "110001": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        "110008": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        "110010": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        "170213": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _CCXT),
        # Processing: the same request may do later.
        "110079": Row(Meaning.AMBIGUOUS, "exchange_busy", _DOC),
        # Refused by the matching engine or its checks.
        "110003": Row(Meaning.REFUSED, "invalid_price", _DOC),
        "110004": Row(Meaning.REFUSED, "insufficient_funds", _DOC),
        "110006": Row(Meaning.REFUSED, "insufficient_funds", _DOC),
        "110007": Row(Meaning.REFUSED, "insufficient_funds", _DOC),
        "110012": Row(Meaning.REFUSED, "insufficient_funds", _DOC),
        "110044": Row(Meaning.REFUSED, "insufficient_funds", _DOC),
        "110045": Row(Meaning.REFUSED, "insufficient_funds", _DOC),
        "110052": Row(Meaning.REFUSED, "insufficient_funds", _DOC),
        "110009": Row(Meaning.REFUSED, "too_many_orders", _DOC),
        "110020": Row(Meaning.REFUSED, "too_many_orders", _DOC),
        "110017": Row(Meaning.REFUSED, "reduce_only_rejected", _DOC),
        "110021": Row(Meaning.REFUSED, "position_limit", _DOC),
        "110022": Row(Meaning.REFUSED, "invalid_quantity", _DOC),
        "110023": Row(Meaning.REFUSED, "reduce_only_required", _DOC),
        "110074": Row(Meaning.NOT_EXECUTED, "market_closed", _DOC),
        "110090": Row(Meaning.REFUSED, "position_limit", _DOC),
        "110094": Row(Meaning.REFUSED, "below_minimum", _DOC),
    }
)
"""By `retCode`."""
