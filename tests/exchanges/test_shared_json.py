"""JSON with equal parts once: what was written is read, and what is equal is one object."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.exchanges.shared_json import dumps, loads

SCALARS = some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text()
VALUES = some.recursive(SCALARS, lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner), max_leaves=30)


@given(VALUES)
def test_what_was_written_is_read(value: object) -> None:
    read = loads(dumps(value))
    assert json.dumps(read) == json.dumps(value)  # which tells 1, 1.0 and True apart, and the order of keys


def test_equal_parts_are_one_object() -> None:
    markets = {name: {"id": name, "limits": {"min": "0.1", "max": None}, "quote": "USDT"} for name in ("A", "B")}
    read = loads(dumps(json.loads(json.dumps(markets))))
    assert read["A"]["limits"] is read["B"]["limits"]
    assert read["A"]["quote"] is read["B"]["quote"]
    assert next(iter(read["A"])) is next(iter(read["B"]))


@pytest.mark.parametrize("text", ["", "[]", "{}", "1", '{"keys":[],"values":[[0,1]],"root":0}', '{"keys":[["a"]],'
                                  '"values":[1,[0,0,0]],"root":1}', '{"keys":[],"values":[],"root":0}', "[" * 100_000,
                                  '{"keys":[],"values":[{}],"root":0}'])  # fmt: skip
def test_anything_else_is_said_to_be_it(text: str) -> None:
    with pytest.raises(ValueError, match="shared JSON"):
        loads(text)


def test_what_is_no_json_is_not_written() -> None:
    with pytest.raises(TypeError):
        dumps({"a": object()})
    with pytest.raises(TypeError):
        dumps({1: "a"})
