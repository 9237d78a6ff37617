"""Binance spot: what `code` means for an order, a change, a cancel and a look-up.

Source: SPOT is https://github.com/binance/binance-spot-api-docs/blob/master/errors.md; the documentation of the REST
API says of HTTP 5xx that the execution status is unknown. Futures use numbers from -2018 on, and all of -4xxx and
-5xxx, for other things. What both read alike, and codes that only their words tell apart, are in `binance_words`.
"""

from __future__ import annotations

from types import MappingProxyType

from app.exchanges.codes.binance_words import SHARED, SPOT
from app.exchanges.outcomes import Meaning, Row

_INVALID_REQUEST: tuple[str, ...] = (
    "-1033",
    "-1035",
    "-1134",
    "-1139",
    "-1145",
    "-1151",
    "-1152",
    "-1153",
    "-1155",
    "-1158",
    "-1160",
)
_INVALID_REQUEST += ("-1161", "-1165", "-1166", "-1168", "-1194", "-1196", "-1197", "-1198", "-1199", "-1210", "-1211")
_INVALID_REQUEST += ("-1220", "-1222", "-1223", "-1224", "-1225", "-2043")

CODES = MappingProxyType(
    {
        **SHARED,
        **{code: Row(Meaning.REFUSED, "invalid_request", SPOT) for code in _INVALID_REQUEST},
        # Overloaded: nobody says here, as of futures, that nothing was done.
        "-1008": Row(Meaning.AMBIGUOUS, "exchange_busy", SPOT, ill=True),
        # Answers to calls that are not made here: of a list of orders, of a replacement, of ids that do not fit.
        "-2018": Row(Meaning.AMBIGUOUS, "exchange_error", SPOT),
        "-2021": Row(Meaning.AMBIGUOUS, "exchange_error", SPOT),
        "-2022": Row(Meaning.AMBIGUOUS, "exchange_error", SPOT),
        "-2039": Row(Meaning.AMBIGUOUS, "exchange_error", SPOT),
        # The answer to a look-up of one that ended over ninety days ago, with nothing filled.
        "-2026": Row(Meaning.REFUSED, "archived", SPOT),
    }
)
"""By `code`, and where one code says several things by its words too (`binance_words.read_as`)."""
