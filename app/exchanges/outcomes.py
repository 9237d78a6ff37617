"""What a failed call proves: the rules that turn evidence into one of the port's outcomes.

The exchange's own code decides first, by that exchange's table (`app.exchanges.codes`), then what ccxt's tables make
of the code, then ccxt's class. The class alone is weak evidence: it depends on the URL for Binance, a plain
`ExchangeError` covers "server error, may have executed", and a closed connection looks the same whether or not the
order executed. So whatever is not proven is `Ambiguous`, and a class that means "rejected" counts only where a code of
the exchange was read.

Pure: ccxt's classes come in as names.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from attrs import evolve, frozen

from app.domain.calls import (
    Ambiguous,
    Amended,
    AmendRefused,
    CallFailed,
    CancelTooLate,
    NotExecuted,
    Refused,
    SettingMade,
)
from app.domain.evidence import CONNECT_TIMEOUT, EXCHANGE_UNREACHABLE, NAME_NOT_RESOLVED, NETWORK_UNREACHABLE


class Meaning(StrEnum):
    """What a code means for the request it answers.

    Attributes:
        REFUSED: No, for good.
        NOT_EXECUTED: No, for now; nothing executed and nothing will.
        DUPLICATE: The exchange has an order under this client order id already.
        UNKNOWN_ORDER: The exchange has no live order under this id.
        UNCHANGED: It is as asked already, so nothing was to be done.
        AMBIGUOUS: It may have executed.
    """

    REFUSED = "refused"
    NOT_EXECUTED = "not_executed"
    DUPLICATE = "duplicate"
    UNKNOWN_ORDER = "unknown_order"
    UNCHANGED = "unchanged"
    AMBIGUOUS = "ambiguous"


@frozen
class Row:
    """One row of a table.

    Attributes:
        code: The router's stable identifier.
        ill: Speaks against the exchange's health.
        source: Where it is documented.
    """

    meaning: Meaning
    code: str
    source: str = ""
    ill: bool = False


@frozen(kw_only=True)
class Failure:
    """What is known of a call that did not succeed.

    Attributes:
        exchange: The router's name of it.
        sent: A connection was had for the request, so some of it may have arrived.
        timed_out: Given up by our clock.
        kinds: Names of the exception's classes, the most specific first; empty where there was none.
        known_as: ccxt's class names for `native_code` by its own tables; empty where it has none.
        native_code: The exchange's code, where the answer held one.
        native_words: The exchange's words.
        http_status: Of the answer; None where there was none.
        local: Why it was not sent, where that is on our side: the code of one of the rows below.
    """

    exchange: str
    sent: bool
    timed_out: bool = False
    kinds: tuple[str, ...] = ()
    known_as: tuple[str, ...] = ()
    native_code: str | None = None
    native_words: str = ""
    http_status: int | None = None
    retry_after_s: float | None = None
    local: str = ""


_CCXT = "ccxt's error hierarchy"

UNREACHABLE = Row(Meaning.NOT_EXECUTED, EXCHANGE_UNREACHABLE, "no connection was had, so nothing was sent", ill=True)
NOT_CONNECTED = Row(
    Meaning.NOT_EXECUTED, CONNECT_TIMEOUT, "no connection was had in time, so nothing was sent", ill=True
)
LOCAL: Mapping[str, Row] = MappingProxyType(
    {
        NAME_NOT_RESOLVED: Row(
            Meaning.NOT_EXECUTED, NAME_NOT_RESOLVED, "its name was not resolved, so nothing was sent", ill=True
        ),
        NETWORK_UNREACHABLE: Row(
            Meaning.NOT_EXECUTED, NETWORK_UNREACHABLE, "this host has no way there, so nothing was sent", ill=True
        ),
    }
)
"""What failed on our side of the network."""
TIMEOUT = Row(Meaning.AMBIGUOUS, "timeout", "sent, and not answered in time", ill=True)
CONNECTION_LOST = Row(Meaning.AMBIGUOUS, "connection_lost", "sent, and the connection ended", ill=True)
UNAVAILABLE = Row(Meaning.AMBIGUOUS, "exchange_unavailable", "HTTP 5xx without a code that proves anything", ill=True)
BAD_RESPONSE = Row(Meaning.AMBIGUOUS, "bad_response", "an answer that cannot be read", ill=True)
EXCHANGE_ERROR = Row(Meaning.AMBIGUOUS, "exchange_error", "a code nobody has classified")
UNEXPECTED = Row(Meaning.AMBIGUOUS, "unexpected", "an exception that is not ccxt's", ill=True)

CODED: Mapping[str, Row] = MappingProxyType(
    {
        "InsufficientFunds": Row(Meaning.REFUSED, "insufficient_funds", _CCXT),
        "DuplicateOrderId": Row(Meaning.DUPLICATE, "duplicate", _CCXT),
        "OrderNotFound": Row(Meaning.UNKNOWN_ORDER, "unknown_order", _CCXT),
        "OrderImmediatelyFillable": Row(Meaning.REFUSED, "would_take", _CCXT),
        "OrderNotFillable": Row(Meaning.REFUSED, "would_not_fill", _CCXT),
        "ContractUnavailable": Row(Meaning.NOT_EXECUTED, "market_closed", _CCXT),
        "MarketClosed": Row(Meaning.NOT_EXECUTED, "market_closed", _CCXT),
        "InvalidOrder": Row(Meaning.REFUSED, "invalid_order", _CCXT),
        "BadSymbol": Row(Meaning.REFUSED, "invalid_symbol", _CCXT),
        "BadRequest": Row(Meaning.REFUSED, "invalid_request", _CCXT),
        "ArgumentsRequired": Row(Meaning.REFUSED, "invalid_request", _CCXT),
        "NotSupported": Row(Meaning.REFUSED, "invalid_request", _CCXT),
        "RestrictedLocation": Row(Meaning.NOT_EXECUTED, "not_permitted", _CCXT, ill=True),
        "OperationRejected": Row(Meaning.REFUSED, "invalid_request", _CCXT),
        "InvalidNonce": Row(Meaning.NOT_EXECUTED, "expired", _CCXT, ill=True),
    }
)
"""ccxt classes that prove something only together with a code of the exchange."""

UNCODED: Mapping[str, Row] = MappingProxyType(
    {
        "PermissionDenied": Row(Meaning.NOT_EXECUTED, "not_permitted", _CCXT, ill=True),
        "AccountSuspended": Row(Meaning.NOT_EXECUTED, "not_permitted", _CCXT, ill=True),
        "AuthenticationError": Row(Meaning.NOT_EXECUTED, "not_authenticated", _CCXT, ill=True),
        "RateLimitExceeded": Row(Meaning.NOT_EXECUTED, "rate_limited", _CCXT),
        "DDoSProtection": Row(Meaning.NOT_EXECUTED, "rate_limited", _CCXT),
        "OnMaintenance": Row(Meaning.NOT_EXECUTED, "maintenance", _CCXT, ill=True),
    }
)
"""ccxt classes that mean "turned away at the gate" also where only the HTTP status says so."""

_BEFORE_SENDING = frozenset({"ArgumentsRequired", "NotSupported", "BadSymbol", "InvalidOrder", "BadRequest"})


def explain(failure: Failure, codes: Mapping[str, Row]) -> Row:
    """What a failure proves, by an exchange's table of codes, then by ccxt's classes."""
    if failure.native_code is not None:
        return _by_code(failure, failure.native_code, codes)
    if not failure.sent:
        return _unsent(failure)
    for kind in failure.kinds:
        if kind in UNCODED:
            return UNCODED[kind]
    if failure.timed_out or "RequestTimeout" in failure.kinds:
        return TIMEOUT
    if failure.http_status is not None and failure.http_status >= 500:
        return UNAVAILABLE
    if failure.http_status is not None:
        return BAD_RESPONSE
    if failure.kinds and "BaseError" not in failure.kinds:
        return UNEXPECTED
    return CONNECTION_LOST


def _by_code(failure: Failure, code: str, codes: Mapping[str, Row]) -> Row:
    row = codes.get(code)
    if row is not None:
        return row
    for kind in failure.known_as or failure.kinds:
        row = CODED.get(kind) or UNCODED.get(kind)
        if row is not None:
            return row
        if kind == "RequestTimeout":
            return TIMEOUT
        if kind == "ExchangeNotAvailable":
            return UNAVAILABLE
    return EXCHANGE_ERROR


def _unsent(failure: Failure) -> Row:
    if failure.local:
        return LOCAL[failure.local]
    if failure.timed_out or "RequestTimeout" in failure.kinds:
        return NOT_CONNECTED
    if "NetworkError" in failure.kinds:
        return UNREACHABLE
    for kind in failure.kinds:
        if kind in _BEFORE_SENDING:
            return CODED[kind]
    return UNEXPECTED


def placement(failure: Failure, row: Row) -> Refused | NotExecuted | Ambiguous:
    """What a failed placement is."""
    words = sentence(failure, row, "the order")
    match row.meaning:
        case Meaning.REFUSED:
            return Refused(code=row.code, words=words, native_code=failure.native_code)
        case Meaning.NOT_EXECUTED:
            return NotExecuted(
                code=row.code,
                words=words,
                native_code=failure.native_code,
                ill=row.ill,
                retry_after_s=failure.retry_after_s,
            )
        case _:
            return Ambiguous(
                code=row.code,
                words=words,
                native_code=failure.native_code,
                duplicate=row.meaning is Meaning.DUPLICATE,
            )


def cancellation(failure: Failure, row: Row) -> CancelTooLate | CallFailed:
    """What a failed cancel is."""
    if row.meaning is Meaning.UNKNOWN_ORDER:
        return CancelTooLate(native_code=failure.native_code, words=sentence(failure, row, "the cancel"))
    return reading(failure, row, "the cancel")


def amendment(failure: Failure, row: Row) -> Amended | AmendRefused | CancelTooLate | CallFailed:
    """What a failed change of a resting order is."""
    words = sentence(failure, row, "the change")
    match row.meaning:
        case Meaning.UNCHANGED:
            return Amended(report=None)
        case Meaning.UNKNOWN_ORDER:
            return CancelTooLate(native_code=failure.native_code, words=words)
        case Meaning.REFUSED:
            return AmendRefused(code=row.code, words=words, native_code=failure.native_code)
        case _:
            return evolve(reading(failure, row, "the change"), not_made=row.meaning is Meaning.NOT_EXECUTED)


def setting(failure: Failure, row: Row) -> SettingMade | CallFailed:
    """What a failed setting is."""
    if row.meaning is Meaning.UNCHANGED:
        return SettingMade(changed=False)
    return reading(failure, row, "the setting")


def reading(failure: Failure, row: Row, what: str) -> CallFailed:
    """What a failed call that changes nothing is; `what` names it for people, e.g. ``"the look-up"``."""
    return CallFailed(
        code=row.code,
        words=sentence(failure, row, what),
        native_code=failure.native_code,
        ill=row.ill,
        retryable=row.meaning is not Meaning.REFUSED,
        retry_after_s=failure.retry_after_s,
    )


def sentence(failure: Failure, row: Row, what: str) -> str:
    """One sentence for people. Holds nothing of ccxt's own messages, since those contain signed URLs."""
    name = failure.exchange
    if failure.native_code is not None:
        said = " ".join(failure.native_words.split())[:200].rstrip(".")
        verb = "turned away" if row.meaning is Meaning.NOT_EXECUTED else "refused"
        if row.meaning is Meaning.AMBIGUOUS:
            verb = "failed on"
        return f"{name} {verb} {what} with code {failure.native_code}{f': {said}' if said else ''}."
    match row.code:
        case code if code == EXCHANGE_UNREACHABLE:
            return f"{name} could not be reached, so {what} was not sent."
        case code if code == CONNECT_TIMEOUT:
            return f"{name} did not let us connect in time, so {what} was not sent."
        case code if code == NAME_NOT_RESOLVED:
            return f"The name of {name} could not be resolved here, so {what} was not sent."
        case code if code == NETWORK_UNREACHABLE:
            return f"This host has no way to {name} in the network, so {what} was not sent."
        case "timeout":
            return f"{name} did not answer {what} in time."
        case "connection_lost":
            return f"The connection to {name} ended before it answered {what}."
        case "unexpected":
            kind = failure.kinds[0] if failure.kinds else "nothing"
            return f"Asking {name} for {what} ended in {kind}, which says nothing about what happened there."
    if failure.http_status is not None:
        return f"{name} answered {what} with HTTP {failure.http_status} and no code of its own ({row.code})."
    return f"{what[:1].upper()}{what[1:]} was not sent to {name}: {row.source or row.code}."
