"""Plain helpers of the dialects: JSON answers, numbers as exchanges write them, signatures."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from attrs import frozen

from app.simulator.model import text


@frozen(kw_only=True)
class Answer:
    """One HTTP answer. `headers` besides the content type."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


def json_answer(body: object, *, status: int = 200) -> Answer:
    """A JSON answer; Decimals are written as strings."""
    return Answer(body=json.dumps(body, separators=(",", ":"), default=_encode).encode(), status=status)


def _encode(value: object) -> str:
    if isinstance(value, Decimal):
        return text(value)
    raise TypeError(f"{type(value).__name__} has no place in an answer.")


def flat(body: Mapping[str, object]) -> dict[str, str]:
    """The scalar members of a JSON object as strings: booleans "true"/"false", null and nested values left out."""
    out: dict[str, str] = {}
    for key, value in body.items():
        if isinstance(value, bool):
            out[key] = "true" if value else "false"
        elif isinstance(value, str):
            out[key] = value
        elif isinstance(value, int | float):
            out[key] = str(value)
        elif isinstance(value, Decimal):
            out[key] = str(value)  # as written: a plain "1e999999999" would fill the memory
    return out


MAX_MAGNITUDE = 30
"""Powers of ten, up and down, beyond which a parameter is refused as no number."""


class BadNumber(ValueError):
    """A parameter that should be a number is none; `Dialect.bad_number` words it."""


def decimal_or_none(raw: str | None) -> Decimal | None:
    """A finite decimal, or None for a missing or empty string. Raises BadNumber for anything else."""
    if raw is None or raw == "":
        return None
    try:
        value = Decimal(raw)
    except InvalidOperation as error:
        raise BadNumber(f"{raw!r} is no number.") from error
    if not value.is_finite() or abs(value.adjusted()) > MAX_MAGNITUDE:
        raise BadNumber(f"{raw!r} is no number of sane size.")
    return value


def int_or_none(raw: str | None) -> int | None:
    """A decimal integer of at most 20 digits, or None for anything else."""
    digits = "" if raw is None else raw.removeprefix("-")
    return int(raw) if raw is not None and digits.isdecimal() and len(digits) <= 20 else None


def page_size(raw: str | None, default: int, most: int) -> int:
    """How many elements a page has: what was asked for, from 1 to `most`, or the default."""
    return max(1, min(int_or_none(raw) or default, most))


def hmac_hex(secret: str, message: str | bytes, digest: str = "sha256") -> str:
    """HMAC of a message in lower-case hex."""
    return _mac(secret.encode(), message, digest).hex()


def _mac(secret: bytes, message: str | bytes, digest: str) -> bytes:
    raw = message.encode() if isinstance(message, str) else message
    return hmac.digest(secret, raw, getattr(hashlib, digest))


def hmac_bytes(secret: bytes, message: str | bytes, digest: str = "sha256") -> bytes:
    """HMAC of a message as bytes, for exchanges that write it in base64."""
    return _mac(secret, message, digest)


def same(given: str, expected: str) -> bool:
    """Compare signatures in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())


def with_money(amount: Decimal, places: int = 8) -> str:
    """An amount of money cut to `places` decimals, as a plain string."""
    return text(round(amount, places))
