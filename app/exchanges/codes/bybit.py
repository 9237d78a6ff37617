"""Bybit V5: what `retCode` means for an order, a cancel, a change, a look-up or a setting.

Sources: DOC is https://bybit-exchange.github.io/docs/v5/error (V5 error codes), CCXT the comments of ccxt's table.
Codes of spot (170xxx) are in `bybit_spot`. Codes that are in neither fall to ccxt's table; those it only knows as
`ExchangeError` stay ambiguous. What is documented as a timeout, as being processed, or as a failure without a reason is
ambiguous here whatever class ccxt gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from app.exchanges.codes.bybit_spot import SPOT_CODES
from app.exchanges.outcomes import Meaning, Row

_DOC = "https://bybit-exchange.github.io/docs/v5/error"
_CCXT = "ccxt bybit exceptions.exact"
_REPORTED = "not documented; reported for /v5/order/amend by several public clients"


def _rows(codes: str, meaning: Meaning, code: str, source: str = _DOC, *, ill: bool = False) -> dict[str, Row]:
    row = Row(meaning, code, source, ill=ill)
    return dict.fromkeys(codes.split(), row)


_REFUSED, _NOT_EXECUTED, _AMBIGUOUS = Meaning.REFUSED, Meaning.NOT_EXECUTED, Meaning.AMBIGUOUS

CODES: Mapping[str, Row] = MappingProxyType(
    {
        # At the gate: nothing was handed to the matching engine.
        **_rows("10001 10017", _REFUSED, "invalid_request"),
        **_rows("10002", _NOT_EXECUTED, "expired", ill=True),
        **_rows("10003 10004 10007 33004 -2015", _NOT_EXECUTED, "not_authenticated", ill=True),
        **_rows("10005 10008 10009 10010 10024 10027 10028 100028", _NOT_EXECUTED, "not_permitted", ill=True),
        **_rows("10020", _NOT_EXECUTED, "not_permitted", _CCXT, ill=True),
        **_rows("10006 10018 10429 30035", _NOT_EXECUTED, "rate_limited"),
        **_rows("10029", _REFUSED, "invalid_symbol"),
        # Says nothing about what happened behind the gate.
        **_rows("10000", _AMBIGUOUS, "timeout", ill=True),
        **_rows("5004", _AMBIGUOUS, "timeout", _CCXT, ill=True),
        **_rows("10016 3400214", _AMBIGUOUS, "exchange_unavailable", ill=True),
        # "Trade service is restarting"; no code is documented for an announced maintenance.
        **_rows("10019", _AMBIGUOUS, "maintenance", ill=True),
        **_rows("429", _AMBIGUOUS, "exchange_busy", ill=True),
        **_rows("-1", _AMBIGUOUS, "expired"),  # "request expired", and no word on where it was looked at
        # The client order id is taken: the order is there to be found.
        **_rows("10014 110030 110072", Meaning.DUPLICATE, "duplicate"),
        **_rows("12141 30001", Meaning.DUPLICATE, "duplicate", _CCXT),
        # Answers to a cancel or a change.
        **_rows("110001 110008 110010", Meaning.UNKNOWN_ORDER, "unknown_order"),
        **_rows("20001 -2013", Meaning.UNKNOWN_ORDER, "unknown_order", _CCXT),
        # Being processed: the same request may do later.
        **_rows("110079 40004 110035", _AMBIGUOUS, "exchange_busy"),
        # Settings that are so already.
        **_rows("110025 110026 110027 110043", Meaning.UNCHANGED, "unchanged"),
        # Settings that cannot be made.
        **_rows("110013 110036 110038 110086 110087 30135 30136", _REFUSED, "invalid_leverage"),
        **_rows("110024 110028 110015 110076 110077 3200403", _REFUSED, "setting_in_use"),
        **_rows("3400045", _REFUSED, "setting_in_use", "ccxt bybit setMarginMode, its example answer"),
        **_rows("110029", _REFUSED, "not_supported"),
        **_rows("110073", _AMBIGUOUS, "exchange_error"),
        # Refused by the matching engine or its checks.
        **_rows("110003 110120 110121 30208 30209", _REFUSED, "invalid_price"),
        **_rows(
            "110004 110006 110007 110012 110014 110044 110045 110051 110052 110053 110131 30256",
            _REFUSED,
            "insufficient_funds",
        ),
        **_rows("110009 110020 110061", _REFUSED, "too_many_orders"),
        **_rows("110017", _REFUSED, "reduce_only_rejected"),
        **_rows("110023 110042 30228", _REFUSED, "reduce_only_required"),
        **_rows("110016 110021 110031 110047 110048 110085 110089 110090 3400139", _REFUSED, "position_limit"),
        **_rows("110022 110064", _REFUSED, "invalid_quantity"),
        **_rows("110094", _REFUSED, "below_minimum"),
        **_rows("110092 110093", _REFUSED, "would_trigger"),
        **_rows("110118", _REFUSED, "would_not_fill"),
        **_rows("110011 110039 110040 110041 110046", _REFUSED, "would_liquidate"),
        **_rows("110033 110034", _REFUSED, "no_position"),
        **_rows("110037 110050", _REFUSED, "invalid_symbol"),
        **_rows("110018 110019 110049", _REFUSED, "invalid_request"),
        **_rows(
            "110005 110032 110054 110055 110056 110057 110058 110059 110060 110098 110099 110103",
            _REFUSED,
            "invalid_order",
        ),
        # The market, or the account there, may not trade now.
        **_rows("110063 110066 110074 110095 110137", _NOT_EXECUTED, "market_closed"),
        **_rows("110070 110088 110096 110097 110100 110101 110102 110119 110132 110136", _REFUSED, "not_permitted"),
        **_rows("30133 30134", _REFUSED, "not_permitted"),
        **_rows("110067 110068 110069 110071 110080 110123 110124 110125", _NOT_EXECUTED, "not_permitted", ill=True),
        # The same of inverse contracts, by ccxt's table: there to be safe, should one of them ever be answered.
        **_rows("140001 140008 140010", Meaning.UNKNOWN_ORDER, "unknown_order", _CCXT),
        **_rows("140030", Meaning.DUPLICATE, "duplicate", _CCXT),
        **_rows("140025 140026 140027 140043", Meaning.UNCHANGED, "unchanged", _CCXT),
        **_rows("140035", _AMBIGUOUS, "exchange_busy", _CCXT),
        **SPOT_CODES,
    }
)
"""By `retCode`."""

_UNCHANGED = ("order not modified", "order remains unchanged")


def by_words(code: str, words: str) -> Row | None:
    """What 10001 means by its words, where the documentation only says "request parameter error".

    No more than what is widely reported, and harmless where it is read wrongly; anything else is refused as it was.
    """
    if code == "10001" and any(each in words.lower() for each in _UNCHANGED):
        return Row(Meaning.UNCHANGED, "unchanged", _REPORTED)
    return None
