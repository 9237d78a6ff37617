"""What a value of the configuration must be: whole numbers, seconds, amounts and words within bounds.

A check takes a key and its value and raises `BadValue`, which `structure` turns into one sentence with the whole name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from attrs import Attribute, field

from app.config.errors import bad_value

Check = Callable[[str, Any], None]


def setting(default: Any, means: str, check: Check | None = None, *, shown: bool = True) -> Any:
    """One key: its default (or `Factory`), what it means, and what its value must satisfy."""

    def validate(_owner: object, attribute: Attribute[Any], value: Any) -> None:
        if check is not None:
            check(attribute.name, value)

    return field(default=default, validator=validate, repr=shown, metadata={"means": means})


def seconds(*, above: float | None = None, least: float | None = None, most: float = 86_400.0) -> Check:
    """A finite number of seconds within bounds."""

    def check(name: str, value: float) -> None:
        low = f"above {above:g}" if above is not None else f"{least or 0:g} or more"
        if math.isfinite(value) and value <= most and (value > above if above is not None else value >= (least or 0)):
            return
        raise bad_value(name, value, f"must be a number of seconds, {low} and at most {most:g}")

    return check


def number(least: float, most: float) -> Check:
    """A finite number within bounds."""

    def check(name: str, value: float) -> None:
        if not least <= value <= most:
            raise bad_value(name, value, f"must be a number from {least:g} to {most:g}")

    return check


def count(least: int, most: int) -> Check:
    """A whole number within bounds."""

    def check(name: str, value: int) -> None:
        if not least <= value <= most:
            raise bad_value(name, value, f"must be a whole number from {least} to {most}")

    return check


def optional(check: Check) -> Check:
    """The same where there is a value, nothing where there is none."""

    def or_none(name: str, value: Any) -> None:
        if value is not None:
            check(name, value)

    return or_none


def one_of(*choices: str, why: Mapping[str, str] | None = None) -> Check:
    """One of a few words; `why` explains words that one might expect to work."""

    def check(name: str, value: str) -> None:
        if value not in choices:
            known = " or ".join(f'"{choice}"' for choice in choices)
            reason = (why or {}).get(value)
            raise bad_value(name, value, f"must be {known}" + (f": {reason}" if reason else ""))

    return check


def amount(most: Decimal) -> Check:
    """A sum of money above zero."""

    def check(name: str, value: Decimal) -> None:
        if not (value.is_finite() and 0 < value <= most):
            raise bad_value(name, float(value), f"must be a number above 0 and at most {most:f}")

    return check


def fraction(name: str, value: Decimal) -> None:
    """A part of the whole, which people like to write in percent."""
    if not (value.is_finite() and 0 < value < 1):
        raise bad_value(name, float(value), "must be a fraction above 0 and below 1, e.g. 0.05 for 5 %")
