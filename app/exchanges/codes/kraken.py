"""Kraken Futures: what `error`, or the status of an order instruction, means.

Sources: DOC is https://docs.kraken.com/api/docs/futures-api/trading/send-order (order statuses), ERR
https://docs.kraken.com/api/docs/guides/futures-rest (error codes). An order instruction may be refused under
HTTP 200 and `result: success`: its status is the code.
"""

from __future__ import annotations

from types import MappingProxyType

from app.exchanges.outcomes import Meaning, Row

_DOC = "https://docs.kraken.com/api/docs/futures-api/trading/send-order"
_ERR = "https://docs.kraken.com/api/docs/guides/futures-rest"

CODES = MappingProxyType(
    {
        # At the gate.
        "apiLimitExceeded": Row(Meaning.NOT_EXECUTED, "rate_limited", _ERR),
        "authenticationError": Row(Meaning.NOT_EXECUTED, "not_authenticated", _ERR, ill=True),
        "accountInactive": Row(Meaning.NOT_EXECUTED, "not_permitted", _ERR, ill=True),
        "nonceBelowThreshold": Row(Meaning.NOT_EXECUTED, "expired", _ERR, ill=True),
        "nonceDuplicate": Row(Meaning.NOT_EXECUTED, "expired", _ERR, ill=True),
        "wouldProcessAfterSpecifiedTime": Row(Meaning.NOT_EXECUTED, "expired", _DOC, ill=True),
        "requiredArgumentMissing": Row(Meaning.REFUSED, "invalid_request", _ERR),
        "invalidArgument": Row(Meaning.REFUSED, "invalid_request", _ERR),
        "contractNotFound": Row(Meaning.REFUSED, "invalid_symbol", _ERR),
        # Says nothing about what happened behind the gate.
        "Server Error": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _ERR, ill=True),
        "Unavailable": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _ERR, ill=True),
        "unavailable": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _ERR, ill=True),
        "unknownError": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _ERR, ill=True),
        # The client order id is taken: the order is there to be found.
        "clientOrderIdAlreadyExist": Row(Meaning.DUPLICATE, "duplicate", _DOC),
        # Answers to a cancel.
        "filled": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        "notFound": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        # Refused, or turned away while the market is closed.
        "marketUnavailable": Row(Meaning.NOT_EXECUTED, "market_closed", _ERR),
        "marketSuspended": Row(Meaning.NOT_EXECUTED, "market_closed", _DOC),
        "marketInactive": Row(Meaning.NOT_EXECUTED, "market_closed", _DOC),
        "marketIsPostOnly": Row(Meaning.NOT_EXECUTED, "market_closed", _DOC),
        "insufficientAvailableFunds": Row(Meaning.REFUSED, "insufficient_funds", _DOC),
        "insufficientFunds": Row(Meaning.REFUSED, "insufficient_funds", _ERR),
        "INSUFFICIENT_MARGIN": Row(Meaning.REFUSED, "insufficient_funds", _ERR),
        "wouldCauseLiquidation": Row(Meaning.REFUSED, "insufficient_funds", _DOC),
        "invalidPrice": Row(Meaning.REFUSED, "invalid_price", _DOC),
        "outsidePriceCollar": Row(Meaning.REFUSED, "invalid_price", _DOC),
        "wouldIncreasePriceDislocation": Row(Meaning.REFUSED, "invalid_price", _DOC),
        "invalidSize": Row(Meaning.REFUSED, "invalid_quantity", _DOC),
        "invalidSide": Row(Meaning.REFUSED, "invalid_request", _DOC),
        "invalidOrderType": Row(Meaning.REFUSED, "invalid_request", _DOC),
        "clientOrderIdTooLong": Row(Meaning.REFUSED, "invalid_request", _DOC),
        "clientOrderIdTooBig": Row(Meaning.REFUSED, "invalid_request", _DOC),
        "clientOrderIdInvalid": Row(Meaning.REFUSED, "invalid_request", _DOC),
        "maxPositionViolation": Row(Meaning.REFUSED, "position_limit", _DOC),
        "fixedLeverageTooHigh": Row(Meaning.REFUSED, "position_limit", _DOC),
        "tooManySmallOrders": Row(Meaning.REFUSED, "too_many_orders", _DOC),
        "tooManyOrders": Row(Meaning.REFUSED, "too_many_orders", _DOC),
        "postWouldExecute": Row(Meaning.REFUSED, "would_take", _DOC),
        "iocWouldNotExecute": Row(Meaning.REFUSED, "would_not_fill", _DOC),
        "selfFill": Row(Meaning.REFUSED, "self_fill", _DOC),
        "wouldNotReducePosition": Row(Meaning.REFUSED, "reduce_only_rejected", _DOC),
    }
)
"""By `error`, or by the status of the instruction."""

ACCEPTED = frozenset({"placed", "partiallyFilled", "filled", "attempted", "cancelled"})
"""Statuses of a placement that say that the exchange has, or had, the order."""
