"""Binance USDⓈ-M futures: what `code` means for an order, a change, a cancel, a look-up and a setting.

Source: DOC is https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code. It says of -1007, and
of HTTP 503 "Unknown error", that the execution status is unknown, and of -1008 that the request failed for certain.
What spot reads alike, and codes that only their words tell apart, are in `binance_words`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from app.exchanges.codes.binance_words import CCXT, DOC, SHARED
from app.exchanges.outcomes import Meaning, Row

_ME = DOC + " (checked again by the matching engine)"

_REFUSED: Mapping[str, tuple[str, ...]] = {
    "invalid_quantity": ("-4003", "-4005", "-4023", "-4030"),
    "invalid_price": (
        *("-4001", "-4002", "-4006", "-4007", "-4013", "-4014", "-4016", "-4024", "-4029", "-4058", "-4131", "-4135"),
        *("-4183", "-4184", "-4210", "-4211"),
    ),
    "below_minimum": ("-4004", "-4164"),
    "invalid_request": (
        *("-1023", "-1136", "-4008", "-4009", "-4010", "-4011", "-4012", "-4015", "-4017", "-4018", "-4019", "-4020"),
        *("-4021", "-4025", "-4026", "-4027", "-4031", "-4032", "-4033", "-4044", "-4060", "-4082", "-4084", "-4086"),
        *("-4104", "-4137", "-4138", "-4165", "-4509", "-5037", "-5038", "-5039", "-5040"),
    ),
    "invalid_order": ("-2026", "-4120", "-4136", "-4139", "-5025", "-5026"),
    "invalid_symbol": ("-1110", "-1126", "-4144", "-20121"),
    "insufficient_funds": ("-2018", "-2019", "-2028", "-4050", "-4051"),
    "would_not_fill": ("-2020", "-5021", "-5041"),
    "would_take": ("-5022",),
    "would_trigger": ("-2021", "-4142"),
    "reduce_only_rejected": ("-2022", "-2024", "-4062", "-4118", "-5047"),
    "too_many_orders": ("-2025", "-4045"),
    "position_limit": ("-2027",),
    "wrong_position_mode": ("-4061",),
    "invalid_leverage": ("-4028", "-4202", "-4203", "-4205", "-4206", "-4208", "-4209", "-4403"),
    "setting_in_use": ("-4047", "-4048", "-4067", "-4068", "-4167", "-4168", "-4169", "-4170", "-4172", "-4531"),
}
"""No, for good: by the router's code."""

CODES = MappingProxyType(
    {
        **SHARED,
        **{code: Row(Meaning.REFUSED, name, DOC) for name, codes in _REFUSED.items() for code in codes},
        # At the gate, or turned away for now.
        "-1005": Row(Meaning.NOT_EXECUTED, "not_permitted", CCXT, ill=True),
        "-1008": Row(Meaning.NOT_EXECUTED, "exchange_busy", DOC, ill=True),
        "-1011": Row(Meaning.NOT_EXECUTED, "not_permitted", CCXT, ill=True),
        "-1109": Row(Meaning.NOT_EXECUTED, "not_permitted", DOC, ill=True),
        "-2017": Row(Meaning.NOT_EXECUTED, "not_authenticated", DOC, ill=True),
        "-2023": Row(Meaning.NOT_EXECUTED, "not_permitted", DOC, ill=True),
        "-4022": Row(Meaning.NOT_EXECUTED, "market_closed", DOC),
        "-4056": Row(Meaning.NOT_EXECUTED, "not_authenticated", DOC, ill=True),
        "-4057": Row(Meaning.NOT_EXECUTED, "not_authenticated", DOC, ill=True),
        "-4087": Row(Meaning.NOT_EXECUTED, "not_permitted", DOC, ill=True),
        "-4088": Row(Meaning.NOT_EXECUTED, "not_permitted", DOC, ill=True),
        "-4140": Row(Meaning.NOT_EXECUTED, "market_closed", DOC),
        "-4141": Row(Meaning.NOT_EXECUTED, "market_closed", DOC),
        "-4188": Row(Meaning.NOT_EXECUTED, "expired", _ME, ill=True),
        "-4192": Row(Meaning.NOT_EXECUTED, "not_permitted", DOC, ill=True),
        "-4400": Row(Meaning.NOT_EXECUTED, "not_permitted", DOC, ill=True),
        "-4401": Row(Meaning.NOT_EXECUTED, "not_permitted", DOC, ill=True),
        "-4402": Row(Meaning.NOT_EXECUTED, "not_permitted", DOC, ill=True),
        "-5024": Row(Meaning.NOT_EXECUTED, "market_closed", DOC),
        "-5028": Row(Meaning.NOT_EXECUTED, "expired", _ME, ill=True),
        # Says nothing about what happened behind the gate, or happens just now: a stop that is being set off.
        "-2012": Row(Meaning.AMBIGUOUS, "exchange_error", DOC),
        "-4000": Row(Meaning.AMBIGUOUS, "exchange_error", DOC),
        "-4083": Row(Meaning.AMBIGUOUS, "exchange_error", DOC),
        "-4117": Row(Meaning.AMBIGUOUS, "exchange_error", DOC),
        "-20124": Row(Meaning.AMBIGUOUS, "exchange_error", f"{CCXT}: invalid algo id, or it has been completed"),
        # The client order id is taken: the order is there to be found.
        "-4115": Row(Meaning.DUPLICATE, "duplicate", DOC),
        "-4116": Row(Meaning.DUPLICATE, "duplicate", DOC),
        "-20132": Row(Meaning.DUPLICATE, "duplicate", f"{CCXT}: the client algo id is duplicated"),
        # It is as asked already.
        "-4046": Row(Meaning.UNCHANGED, "unchanged", DOC),
        "-4059": Row(Meaning.UNCHANGED, "unchanged", DOC),
        "-4171": Row(Meaning.UNCHANGED, "unchanged", DOC),
        "-5027": Row(Meaning.UNCHANGED, "unchanged", DOC),
    }
)
"""By `code`, and where one code says several things by its words too (`binance_words.read_as`)."""
