"""JSON in which equal parts stand once, and are one object again when it is read.

Hundreds of markets are mostly the same: the same limits, precisions, coins, words. Written plainly each of those stands
there as often as there are markets, and is an object of its own for who reads it. So every distinct value stands once
in a table, and a dictionary is the number of its set of keys followed by the numbers of its values. What is read is
shared within, so it is read only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def dumps(value: Any) -> str:
    """The text of a value made of dictionaries, lists, strings, numbers, booleans and None.

    Raises:
        TypeError, ValueError: It is made of something else, or holds itself.
    """
    writer = _Writer()
    root = writer.number(value)
    return json.dumps({"keys": writer.keys, "values": writer.values, "root": root}, separators=(",", ":"))


def loads(text: str | bytes) -> Any:
    """The value of a text.

    Raises:
        ValueError: It is not what `dumps` writes.
    """
    try:
        table = json.loads(text)
        keys = table["keys"]
        built: list[Any] = []
        for value in table["values"]:
            if type(value) is list:  # a dictionary; what it holds stands before it
                built.append(dict(zip(keys[value[0]], [built[number] for number in value[1:]], strict=True)))
            elif type(value) is dict:
                built.append(value[""])
            else:
                built.append(value)
        return built[table["root"]]
    except (RecursionError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"the text is not shared JSON ({type(error).__name__})") from None


class _Writer:
    def __init__(self) -> None:
        self.keys: list[tuple[str, ...]] = []
        self.values: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self._keys: dict[tuple[str, ...], int] = {}

    def number(self, value: Any) -> int:
        """Where the value stands in the table; it is added unless it does."""
        written: Any = value
        if isinstance(value, Mapping):
            row = [self._set_of(tuple(value)), *map(self.number, value.values())]
            same: Any = (dict, *row)
            written = row
        elif isinstance(value, list | tuple):
            same = (list, json.dumps(value, sort_keys=True))
            written = {"": value}
        else:
            same = (type(value), value)  # with its type: 1, 1.0 and True are equal
        found = self._numbers.get(same)
        if found is None:
            found = self._numbers[same] = len(self.values)
            self.values.append(written)
        return found

    def _set_of(self, keys: tuple[str, ...]) -> int:
        if not all(isinstance(key, str) for key in keys):
            raise TypeError("keys of JSON are strings")
        found = self._keys.get(keys)
        if found is None:
            found = self._keys[keys] = len(self.keys)
            self.keys.append(keys)
        return found
