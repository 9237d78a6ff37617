"""Ids that are fixed before anything is sent.

Both are functions of what they name, so whoever asks twice gets the same id: a session can name an order whose
connector died, and a leg re-sent after a crash carries the wire id the exchange may already know.

The wire id is 32 lower-case hex digits, legal on every exchange known (Bybit 36 characters, OKX 32 alphanumeric,
Binance 36, Kraken 32 hex, Kraken Futures 100):

    4     the tag, the same for every daemon: an order of some OrderRouter, not a person's
    8     the journal's id: of this daemon, not of another on the same account
    20    hash over (journal, strategy, client_order_id, leg number)
"""

from __future__ import annotations

from hashlib import blake2b

from messages.orders import OrderKey

TAG = "0e5d"
ROUTER = "order-router"
"""The strategy that the router's own orders belong to, those that move positions; no other may be named so."""
MAX_CLIENT_ORDER_ID = 128
_HEX = frozenset("0123456789abcdef")


def _digest(*parts: str, size: int) -> str:
    # Lengths are hashed too: ("ab", "c") and ("a", "bc") must differ.
    hashed = b"".join([len(raw).to_bytes(4, "big") + raw for raw in [part.encode() for part in parts]])
    return blake2b(hashed, digest_size=size).hexdigest()


def is_client_order_id(value: object) -> bool:
    """Whether an owner may name an order so: 1 to `MAX_CLIENT_ORDER_ID` printable characters."""
    return isinstance(value, str) and 1 <= len(value) <= MAX_CLIENT_ORDER_ID and value.isprintable()


def order_id(journal_id: str, key: OrderKey) -> str:
    """The router's id of an order: 32 hex digits, valid for life."""
    return _digest("order", journal_id, key.strategy, key.client_order_id, size=16)


def wire_id(journal_id: str, key: OrderKey, leg: int) -> str:
    """What the exchange sees as client order id for one leg: 32 hex digits."""
    return TAG + journal_id + _digest("leg", journal_id, key.strategy, key.client_order_id, str(leg), size=10)


def is_ours(wire: str | None, journal_id: str) -> bool:
    """Whether a client order id seen on an exchange was made by the daemon with this journal."""
    return wire is not None and len(wire) == 32 and wire.startswith(TAG + journal_id)


def is_journal_id(text: str) -> bool:
    """Whether a text can be a journal's id: 8 lower-case hex digits."""
    return len(text) == 8 and set(text) <= _HEX
