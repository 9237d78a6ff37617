"""Kraken spot: what a word of `error` means for an order, a change, a cancel, a look-up and a setting.

Sources: DOC is https://docs.kraken.com/api/docs/guides/spot-errors, SUPPORT
https://support.kraken.com/hc/en-us/articles/360001491786-API-error-messages, CCXT ccxt's table. Words may be followed
by a colon and what exactly was wrong; the longest beginning that is in the table counts. A word that is in no table is
ambiguous unless ccxt knows what it is.

That an engine or a service is not available, busy or timed out says nothing of a request that was handed to it.
"Deadline elapsed" does: the matching engine rejects what comes after its `deadline`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from app.exchanges.outcomes import Meaning, Row

_DOC = "https://docs.kraken.com/api/docs/guides/spot-errors"
_ADD = "https://docs.kraken.com/api/docs/rest-api/add-order"
_SUPPORT = "https://support.kraken.com/hc/en-us/articles/360001491786-API-error-messages"
_CCXT = "ccxt's kraken exceptions"
_SEEN = "not documented; as accounts of others report it"

BESIDE = "error beside an order"
"""Not Kraken's: an answer that refuses and names an order at the same time."""
NOTHING_CANCELLED = "count 0"
"""Not Kraken's: an answer to a cancel that counts no order."""

_REFUSED, _NOT_EXECUTED, _AMBIGUOUS = Meaning.REFUSED, Meaning.NOT_EXECUTED, Meaning.AMBIGUOUS


def _rows(
    codes: tuple[str, ...], meaning: Meaning, code: str, source: str = _DOC, *, ill: bool = False
) -> dict[str, Row]:
    return dict.fromkeys(codes, Row(meaning, code, source, ill=ill))


CODES: Mapping[str, Row] = MappingProxyType(
    {
        # At the gate.
        **_rows(("EAPI:Invalid key", "EAPI:Invalid signature"), _NOT_EXECUTED, "not_authenticated", ill=True),
        **_rows(("ESession:Invalid session",), _NOT_EXECUTED, "not_authenticated", _CCXT, ill=True),
        **_rows(
            ("EAuth:Account temporary disabled", "EAuth:Account unconfirmed"), _NOT_EXECUTED, "not_permitted", ill=True
        ),
        **_rows(
            ("EGeneral:Permission denied", "EAccount:Invalid permissions"), _NOT_EXECUTED, "not_permitted", ill=True
        ),
        **_rows(("ETrade:User Locked",), _NOT_EXECUTED, "not_permitted", _CCXT, ill=True),
        **_rows(("ETrade:Locked",), _NOT_EXECUTED, "not_permitted", _SUPPORT, ill=True),
        **_rows(("EAPI:Invalid nonce",), _NOT_EXECUTED, "invalid_nonce"),
        **_rows(("EAPI:Rate limit exceeded", "EOrder:Rate limit exceeded"), _NOT_EXECUTED, "rate_limited"),
        **_rows(("EOrder:Domain rate limit exceeded",), _NOT_EXECUTED, "rate_limited"),
        **_rows(("EAuth:Rate limit exceeded", "EAuth:Too many requests"), _NOT_EXECUTED, "rate_limited"),
        **_rows(("EGeneral:Temporary lockout",), _NOT_EXECUTED, "rate_limited", ill=True),
        **_rows(("EGeneral:Too many requests",), _NOT_EXECUTED, "rate_limited", _CCXT),
        **_rows(("EService:Throttled",), _NOT_EXECUTED, "rate_limited", _SUPPORT),
        **_rows(("EService:Deadline elapsed",), _NOT_EXECUTED, "expired", ill=True),
        # A deadline too near or too far when it arrives, which a clock or a slow network brings about.
        **_rows(("EGeneral:Invalid arguments:deadline",), _NOT_EXECUTED, "expired", _ADD, ill=True),
        # Says nothing about what happened behind the gate.
        **_rows(("EService:Unavailable",), _AMBIGUOUS, "maintenance", f'{_DOC}: "offline"', ill=True),
        **_rows(("EService:Busy",), _AMBIGUOUS, "exchange_unavailable", _SUPPORT, ill=True),
        **_rows(("EService:Timeout",), _AMBIGUOUS, "timeout", _SUPPORT, ill=True),
        **_rows(("EGeneral:Internal error",), _AMBIGUOUS, "exchange_unavailable", ill=True),
        **_rows(("EDatabase:Internal error",), _AMBIGUOUS, "exchange_unavailable", _CCXT, ill=True),
        **_rows((BESIDE,), _AMBIGUOUS, "bad_response", "not documented; the order may be there"),
        # The client order id is taken by an order that is open: it is there to be found.
        **_rows(("EGeneral:Invalid arguments:cl_ord_id not unique",), Meaning.DUPLICATE, "duplicate", _SEEN),
        # There is no open order of that name.
        **_rows(("EOrder:Unknown order",), Meaning.UNKNOWN_ORDER, "unknown_order", _SUPPORT),
        **_rows((NOTHING_CANCELLED,), Meaning.UNKNOWN_ORDER, "unknown_order", "a cancel that counts no order"),
        # Turned away while the market or the exchange is closed.
        **_rows(
            ("EService:Market in cancel_only mode", "EService:Market in post_only mode"), _NOT_EXECUTED, "market_closed"
        ),
        **_rows(("EService:Market in limit_only mode",), _NOT_EXECUTED, "market_closed", _SEEN),
        # Refused for good.
        **_rows(("EOrder:Insufficient funds",), _REFUSED, "insufficient_funds"),
        **_rows(("EOrder:Order minimum not met",), _REFUSED, "invalid_quantity"),
        **_rows(("EOrder:Cost minimum not met",), _REFUSED, "invalid_quantity"),
        **_rows(("EGeneral:Invalid arguments:volume",), _REFUSED, "invalid_quantity", _CCXT),
        **_rows(("EGeneral:Invalid arguments:volume minimum not met",), _REFUSED, "invalid_quantity", _CCXT),
        **_rows(("EGeneral:Invalid arguments:viqc",), _REFUSED, "invalid_quantity", _CCXT),
        **_rows(("EOrder:Tick size check failed", "EOrder:Invalid price"), _REFUSED, "invalid_price"),
        **_rows(
            ("EGeneral:Invalid arguments:price", "EGeneral:Invalid arguments:price2"), _REFUSED, "invalid_price", _CCXT
        ),
        **_rows(("EGeneral:Invalid arguments:Index unavailable",), _REFUSED, "invalid_request"),
        **_rows(("EGeneral:Invalid arguments",), _REFUSED, "invalid_request"),
        **_rows(("EGeneral:Unknown method",), _REFUSED, "invalid_request", _CCXT),
        **_rows(("ETrade:Invalid request",), _REFUSED, "invalid_request"),
        **_rows(("EOrder:Invalid order",), _REFUSED, "invalid_order", _CCXT),
        **_rows(("EOrder:Order edit not allowed",), _REFUSED, "invalid_order", _SEEN),
        **_rows(("EOrder:Post only order",), _REFUSED, "would_take", _SEEN),
        **_rows(("EOrder:Self trade",), _REFUSED, "self_fill", _SEEN),
        **_rows(("EQuery:Unknown asset pair", "EQuery:Invalid asset pair"), _REFUSED, "invalid_symbol", _SUPPORT),
        **_rows(("EQuery:Unknown asset",), _REFUSED, "invalid_symbol", _CCXT),
        **_rows(
            ("EOrder:Orders limit exceeded", "EOrder:Scheduled orders limit exceeded"), _REFUSED, "too_many_orders"
        ),
        **_rows(("EOrder:Positions limit exceeded", "EBM:limit exceeded:CAL"), _REFUSED, "position_limit"),
        **_rows(("EOrder:Cannot open position", "EOrder:Cannot open opposing position"), _REFUSED, "not_permitted"),
        **_rows(("EOrder:Margin allowance exceeded", "EOrder:Margin level too low"), _REFUSED, "insufficient_funds"),
        **_rows(("EOrder:Margin position size exceeded", "EOrder:Insufficient margin"), _REFUSED, "insufficient_funds"),
        **_rows(
            (
                "EOrder:Reduce only:Non-PC",
                "EOrder:Reduce only:No position exists",
                "EOrder:Reduce only:Position is closed",
                "EOrder:Unknown position",
            ),
            _REFUSED,
            "reduce_only_rejected",
        ),
        # Words of funding and staking, which the router never asks about.
        **_rows(("EFunding:Max fee exceeded",), _REFUSED, "invalid_request"),
        **_rows(
            (
                "EFunding:Unknown withdraw key",
                "EFunding:Invalid amount",
                "EFunding:No funding method",
                "EFunding:Unknown asset",
            ),
            _REFUSED,
            "invalid_request",
            _CCXT,
        ),
    }
)
"""By the word, or its beginning up to a colon."""

SYSTEM_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "maintenance": "kraken is in maintenance: no order can be placed or cancelled.",
        "cancel_only": "kraken takes cancels only at the moment: no order can be placed.",
        "post_only": "kraken takes post-only limit orders only at the moment.",
        "limit_only": "kraken takes limit orders only at the moment.",
    }
)
"""https://docs.kraken.com/api/docs/rest-api/get-system-status: `status`, but for `online`."""


def known_code(said: str) -> str:
    """The longest beginning of a word, up to a colon, that the table has; the word itself where it has none."""
    code = said
    while code not in CODES:
        code, colon, _ = code.rpartition(":")
        if not colon:
            return said
    return code
