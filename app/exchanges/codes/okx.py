"""OKX V5: what `sCode`, or where there is none `code`, means for an order.

Sources: DOC is https://www.okx.com/docs-v5/en/#error-code, CCXT the comments of ccxt's table. The documentation says of
50004 and 51149 that they do not tell whether the order was placed; 50013 and 50026 say no more, so they stay ambiguous.
"""

from __future__ import annotations

from types import MappingProxyType

from app.exchanges.outcomes import Meaning, Row

_DOC = "https://www.okx.com/docs-v5/en/#error-code"

_AUTH = ("50101", "50103", "50104", "50105", "50106", "50107", "50111", "50112", "50113", "50114")
_NOT_PERMITTED = ("50007", "50009", "50027", "50030", "50035", "50100", "50110", "50120")

CODES = MappingProxyType(
    {
        **{code: Row(Meaning.NOT_EXECUTED, "not_authenticated", _DOC, ill=True) for code in _AUTH},
        **{code: Row(Meaning.NOT_EXECUTED, "not_permitted", _DOC, ill=True) for code in _NOT_PERMITTED},
        # At the gate.
        "50001": Row(Meaning.NOT_EXECUTED, "maintenance", _DOC, ill=True),
        "50005": Row(Meaning.NOT_EXECUTED, "maintenance", _DOC, ill=True),
        "50011": Row(Meaning.NOT_EXECUTED, "rate_limited", _DOC),
        "50040": Row(Meaning.NOT_EXECUTED, "rate_limited", _DOC),
        "50061": Row(Meaning.NOT_EXECUTED, "rate_limited", _DOC),
        "50036": Row(Meaning.NOT_EXECUTED, "expired", _DOC, ill=True),
        "50037": Row(Meaning.NOT_EXECUTED, "expired", _DOC, ill=True),
        "50102": Row(Meaning.NOT_EXECUTED, "expired", _DOC, ill=True),
        # Says nothing about what happened behind the gate.
        "1": Row(Meaning.AMBIGUOUS, "exchange_error", "an overall failure without the code of the order itself"),
        "2": Row(Meaning.AMBIGUOUS, "exchange_error", "a partial success without the code of the order itself"),
        "50004": Row(Meaning.AMBIGUOUS, "timeout", _DOC, ill=True),
        "50013": Row(Meaning.AMBIGUOUS, "exchange_busy", _DOC, ill=True),
        "50026": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _DOC, ill=True),
        "51149": Row(Meaning.AMBIGUOUS, "timeout", _DOC, ill=True),
        # The client order id is taken: the order is there to be found.
        "51016": Row(Meaning.DUPLICATE, "duplicate", _DOC),
        # Answers to a cancel or a look-up.
        "51400": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        "51401": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        "51402": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        "51410": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        "51503": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        "51603": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        # Refused.
        "51000": Row(Meaning.REFUSED, "invalid_request", _DOC),
        "51001": Row(Meaning.REFUSED, "invalid_symbol", _DOC),
        "51004": Row(Meaning.REFUSED, "position_limit", _DOC),
        "51005": Row(Meaning.REFUSED, "invalid_quantity", _DOC),
        "51006": Row(Meaning.REFUSED, "invalid_price", _DOC),
        "51008": Row(Meaning.REFUSED, "insufficient_funds", _DOC),
        "51020": Row(Meaning.REFUSED, "below_minimum", _DOC),
        "51022": Row(Meaning.NOT_EXECUTED, "market_closed", _DOC),
        "51028": Row(Meaning.NOT_EXECUTED, "market_closed", _DOC),
        "51121": Row(Meaning.REFUSED, "invalid_quantity", _DOC),
        "51127": Row(Meaning.REFUSED, "insufficient_funds", _DOC),
        "51169": Row(Meaning.REFUSED, "reduce_only_rejected", _DOC),
        "51170": Row(Meaning.REFUSED, "reduce_only_rejected", _DOC),
        "51279": Row(Meaning.REFUSED, "invalid_take_profit", _DOC),
        "51280": Row(Meaning.REFUSED, "invalid_stop_loss", _DOC),
    }
)
"""By `sCode` of the order, or by `code`."""
