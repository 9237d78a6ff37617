"""Ids: fixed before sending, the same for who asks twice, different for what differs, legal on every exchange."""

from __future__ import annotations

import string

from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.ids import TAG, is_journal_id, is_ours, order_id, wire_id
from messages.orders import OrderKey

names = st.text(min_size=0, max_size=12)
keys = st.builds(OrderKey, strategy=names, client_order_id=names)
journals = st.text("0123456789abcdef", min_size=8, max_size=8)
legs = st.integers(1, 1000)
HEX = set(string.digits + "abcdef")


@given(journals, keys, legs)
def test_ids_are_legal_and_the_same_each_time(journal: str, key: OrderKey, leg: int) -> None:
    """32 lower-case hex digits: Bybit takes 36 characters, OKX 32 alphanumeric ones, Kraken 32 hex digits."""
    for made in (order_id(journal, key), wire_id(journal, key, leg)):
        assert len(made) == 32
        assert set(made) <= HEX
    assert wire_id(journal, key, leg) == wire_id(journal, key, leg)
    assert order_id(journal, key) == order_id(journal, key)


@given(journals, keys, legs, keys, legs)
def test_what_differs_has_another_id(journal: str, key: OrderKey, leg: int, other: OrderKey, other_leg: int) -> None:
    """Also where the same letters are cut elsewhere."""
    assume((key, leg) != (other, other_leg))
    assert wire_id(journal, key, leg) != wire_id(journal, other, other_leg)
    if key != other:
        assert order_id(journal, key) != order_id(journal, other)


def test_letters_cut_elsewhere_are_another_order() -> None:
    """("ab", "c") is not ("a", "bc")."""
    one = OrderKey(strategy="ab", client_order_id="c")
    other = OrderKey(strategy="a", client_order_id="bc")
    assert order_id("00000000", one) != order_id("00000000", other)


@given(journals, journals, keys, legs)
def test_a_daemon_knows_its_own(journal: str, other: str, key: OrderKey, leg: int) -> None:
    """And neither a person's orders nor another daemon's."""
    assume(journal != other)
    made = wire_id(journal, key, leg)
    assert is_ours(made, journal)
    assert not is_ours(made, other)
    assert made.startswith(TAG)
    assert not is_ours(None, journal)
    assert not is_ours(made[:-1], journal)
    assert not is_ours("x-person-1", journal)


@given(st.text(max_size=10))
def test_only_eight_hex_digits_are_a_journal_id(text: str) -> None:
    """Whatever else it is."""
    assert is_journal_id(text) == (len(text) == 8 and set(text) <= HEX)
