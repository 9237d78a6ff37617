"""Kraken Futures: what `error`, or the status of an order instruction, means.

Sources: DOC is https://docs.kraken.com/api/docs/futures-api/trading/send-order (order statuses), EDIT_DOC
https://docs.kraken.com/api/docs/futures-api/trading/edit-order-spring (those of a change), ERR
https://docs.kraken.com/api/docs/guides/futures-rest (error codes). An order instruction may be refused under
HTTP 200 and `result: success`: its status is the code. A number under `errors` is `errors:NUMBER`; Kraken documents no
list of them, so what is not here stays ambiguous.
"""

from __future__ import annotations

from types import MappingProxyType

from app.exchanges.outcomes import Meaning, Row

_DOC = "https://docs.kraken.com/api/docs/futures-api/trading/send-order"
_EDIT_DOC = "https://docs.kraken.com/api/docs/futures-api/trading/edit-order-spring"
_ERR = "https://docs.kraken.com/api/docs/guides/futures-rest"
_LEVERAGE = "ccxt's documented answers of leveragepreferences"

EDIT = "edit:"
"""Before the status of a change that means something else than that of a placement."""

CODES = MappingProxyType(
    {
        # At the gate.
        "apiLimitExceeded": Row(Meaning.NOT_EXECUTED, "rate_limited", _ERR),
        "authenticationError": Row(Meaning.NOT_EXECUTED, "not_authenticated", _ERR, ill=True),
        "accountInactive": Row(Meaning.NOT_EXECUTED, "not_permitted", _ERR, ill=True),
        "nonceBelowThreshold": Row(Meaning.NOT_EXECUTED, "expired", _ERR, ill=True),
        "nonceDuplicate": Row(Meaning.NOT_EXECUTED, "expired", _ERR, ill=True),
        "wouldProcessAfterSpecifiedTime": Row(Meaning.NOT_EXECUTED, "expired", _DOC, ill=True),
        "invalidAccount": Row(Meaning.NOT_EXECUTED, "not_permitted", _ERR, ill=True),
        "requiredArgumentMissing": Row(Meaning.REFUSED, "invalid_request", _ERR),
        "invalidArgument": Row(Meaning.REFUSED, "invalid_request", _ERR),
        "invalidAmount": Row(Meaning.REFUSED, "invalid_request", _ERR),
        "invalidUnit": Row(Meaning.REFUSED, "invalid_request", _ERR),
        "Bad Request": Row(Meaning.REFUSED, "invalid_request", "ccxt's source: characters a URL cannot have"),
        "Json Parse Error": Row(Meaning.REFUSED, "invalid_request", _ERR),
        "contractNotFound": Row(Meaning.REFUSED, "invalid_symbol", _ERR),
        "errors:87": Row(Meaning.REFUSED, "invalid_symbol", _LEVERAGE),
        "errors:92": Row(Meaning.REFUSED, "insufficient_funds", "https://github.com/ccxt/ccxt/issues/19896"),
        # Says nothing about what happened behind the gate.
        "Server Error": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _ERR, ill=True),
        "Unavailable": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _ERR, ill=True),
        "unavailable": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _ERR, ill=True),
        "serverError": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _ERR, ill=True),
        "unknownError": Row(Meaning.AMBIGUOUS, "exchange_unavailable", _ERR, ill=True),
        # The client order id is taken: the order is there to be found.
        "clientOrderIdAlreadyExist": Row(Meaning.DUPLICATE, "duplicate", _DOC),
        # Answers to a cancel.
        "filled": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        "notFound": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _DOC),
        # Answers to a change. A post-only order that would take "is cancelled" in the words of the documentation: the
        # change, or the order? Only a look-up tells.
        "orderForEditNotFound": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _EDIT_DOC),
        "orderForEditNotAStop": Row(Meaning.REFUSED, "invalid_request", _EDIT_DOC),
        "cannotEditTriggerPriceOfTrailingStop": Row(Meaning.REFUSED, "invalid_request", _DOC),
        "cannotEditLimitPriceOfTrailingStop": Row(Meaning.REFUSED, "invalid_request", _DOC),
        f"{EDIT}postWouldExecute": Row(Meaning.AMBIGUOUS, "would_take", _EDIT_DOC),
        f"{EDIT}filled": Row(Meaning.UNKNOWN_ORDER, "unknown_order", "not documented; there is nothing left to change"),
        f"{EDIT}placed": Row(Meaning.AMBIGUOUS, "bad_response", "not documented for a change"),
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

UNAVAILABLE = frozenset({"Unavailable", "unavailable"})
"""What a question about the market is answered while the exchange is down."""
