"""What an event says, so that the events alone give the state of everything.

An event's own columns say what happened when, to which leg; its detail holds the rest: of an intent what the order and
the leg are for, of something learned all that was reported, and what came of it. What follows from ids is left out: the
detail is written with every order.

Each event has a checksum over all its other columns but the sequence, which has no gaps. SQLite has none in its pages,
so that a bit which fell over on the disk would otherwise be read as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from json import encoder
from typing import Any
from zlib import crc32

from app.domain.leg_life import SAME, Terms
from app.journal.rows import text
from messages.orders import LegView


def as_told(facts: dict[str, Any]) -> str:
    """Facts as they are kept."""
    return _ENCODE(facts) if facts else "{}"


_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def _encoder() -> Callable[[dict[str, Any]], str]:
    """As `_JSON.encode`, which makes its encoder anew for each call: 3 µs of an order's transaction, twice."""
    compiled: Any = getattr(encoder, "c_make_encoder", None)  # CPython's
    if compiled is None:
        return _JSON.encode
    make = compiled(None, _JSON.default, encoder.encode_basestring, None, ":", ",", False, False, True)
    return lambda facts: "".join(make(facts, 0))


_ENCODE = _encoder()


def checksum(
    at_s: float,
    kind: str,
    order_id: str | None,
    leg: int | None,
    exchange: str | None,
    epoch: int | None,
    detail: str,
    strategy: str | None,
    number: int | None,
) -> int:
    """Of an event's columns, in the order of the table."""
    whole = f"{at_s!r} {kind} {order_id} {leg} {exchange} {epoch} {detail} {strategy} {number}"
    return crc32(whole.encode(errors="surrogatepass"))


def of_intent(leg: LegView, order: dict[str, Any] | None) -> dict[str, Any]:
    """What is kept of an intent.

    Args:
        order: The row of `orders` where the order is a new one; None where it has been there.
    """
    facts: dict[str, Any] = {"expiry_s": leg.expiry_s}
    if leg.attempts > 1:
        facts["attempts"] = leg.attempts
        return facts
    facts["quantity"] = text(leg.quantity)
    for name, value in (("price", leg.price), ("trigger_price", leg.trigger_price), ("whole", leg.whole)):
        if value is not None:
            facts[name] = text(value)
    if leg.unflagged:
        facts["unflagged"] = True
    if leg.linked is not None:
        facts["linked"] = leg.linked.value
    if order is not None:
        facts["order"] = {
            name: value for name, value in order.items() if value is not None and name not in ("order_id", "created_s")
        }
    return facts


def of_report(
    leg: LegView,
    *,
    filled: Decimal | None,
    average_price: Decimal | None,
    exchange_order_id: str | None,
    code: str | None,
    words: str | None,
    native_code: str | None,
    terms: Terms,
    settles: bool,
    until_s: float | None = None,
) -> dict[str, Any]:
    """What is kept of something learned: all that was reported, and what the leg is by it."""
    seen: dict[str, Any] = {}
    if filled is not None:
        seen["filled"] = text(filled)
    if average_price is not None:
        seen["average_price"] = text(average_price)
    if exchange_order_id is not None:
        seen["exchange_order_id"] = exchange_order_id
    if code is not None:
        seen["code"] = code
    if words is not None:
        seen["words"] = words
    if native_code is not None:
        seen["native_code"] = native_code
    if terms is not SAME:
        seen["terms"] = {
            name: text(value)
            for name, value in (
                ("quantity", terms.quantity),
                ("price", terms.price),
                ("trigger_price", terms.trigger_price),
            )
            if value is not None
        }
    if until_s is not None:
        seen["until_s"] = until_s
    if settles:
        seen["settles"] = True
    return {"state": leg.state.value, "filled": text(leg.filled), "seen": seen}
