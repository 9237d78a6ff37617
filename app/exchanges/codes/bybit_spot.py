"""Bybit V5: what the codes of spot trading (170xxx) mean.

Source: https://bybit-exchange.github.io/docs/v5/error#spot-trade; CCXT where only the comments of ccxt's table tell.
ccxt gives most of them the class of an invalid order, a timeout of the creation (170146) among them: that one, and
whatever else does not say that nothing was executed, is ambiguous here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from app.exchanges.outcomes import Meaning, Row

_DOC = "https://bybit-exchange.github.io/docs/v5/error#spot-trade"
_CCXT = "ccxt bybit exceptions.exact"


def _rows(codes: str, meaning: Meaning, code: str, source: str = _DOC, *, ill: bool = False) -> dict[str, Row]:
    row = Row(meaning, code, source, ill=ill)
    return dict.fromkeys(codes.split(), row)


_REFUSED, _NOT_EXECUTED, _AMBIGUOUS = Meaning.REFUSED, Meaning.NOT_EXECUTED, Meaning.AMBIGUOUS

SPOT_CODES: Mapping[str, Row] = MappingProxyType(
    {
        # Says nothing about what happened behind the gate.
        **_rows("170007 170146 170147 170310", _AMBIGUOUS, "timeout", ill=True),
        **_rows("170001 170032 170234", _AMBIGUOUS, "exchange_unavailable", ill=True),
        # Failed or being processed, and no word on what of it was done.
        **_rows("170149 170150 170311", _AMBIGUOUS, "exchange_error"),
        **_rows("170035 170144 170191 170212", _AMBIGUOUS, "exchange_busy"),
        # The client order id is taken: the order is there to be found.
        **_rows("170141", Meaning.DUPLICATE, "duplicate"),
        # Answers to a cancel or a change: filled, cancelled, or never there.
        **_rows("170139 170142 170143 170190 170213", Meaning.UNKNOWN_ORDER, "unknown_order"),
        **_rows("170145 170312", _REFUSED, "not_supported"),
        **_rows("170313", _REFUSED, "invalid_quantity"),
        # Turned away for now.
        **_rows("170005 170222", _NOT_EXECUTED, "rate_limited"),
        **_rows("170031 170151", _NOT_EXECUTED, "market_closed"),
        # The order is not one that could be placed.
        **_rows("170105 170130 170201", _REFUSED, "invalid_request"),
        **_rows("170115 170116 170117 170159 170206 170210 170217 170227", _REFUSED, "invalid_order"),
        **_rows("170121 170157 170221", _REFUSED, "invalid_symbol"),
        **_rows(
            "170132 170133 170134 170192 170193 170194 170195 170196 170202 170203 170204 170371 170372",
            _REFUSED,
            "invalid_price",
        ),
        **_rows(
            "170124 170137 170148 170197 170198 170199 170200 170228 170229 170341 170381 170382",
            _REFUSED,
            "invalid_quantity",
        ),
        **_rows("170135", _REFUSED, "invalid_quantity", _CCXT),
        **_rows("170136 170140", _REFUSED, "below_minimum"),
        **_rows("170218", _REFUSED, "would_take"),
        **_rows("170810", _REFUSED, "too_many_orders"),
        # The account may not, or has not got it.
        **_rows("170033 170034 170131 170207", _REFUSED, "insufficient_funds"),
        **_rows("170010 170011 170019 170215", _REFUSED, "position_limit"),
        **_rows(
            "170036 170037 170209 170216 170219 170224 170230 170241 170344 170346 170348 170355 170358 170359 170360"
            " 170709",
            _REFUSED,
            "not_permitted",
        ),
        **_rows("170220 170223 170226", _NOT_EXECUTED, "not_permitted", ill=True),
    }
)
"""By `retCode`."""
