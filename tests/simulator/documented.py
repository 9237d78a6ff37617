"""The exchanges' example answers that ccxt's source keeps in its comments, as data.

They are written for people: with remarks, trailing commas, an ellipsis here and there. What cannot be read is left out;
a test names an example by a word in it and fails if there is none.
"""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

_REMARK = re.compile(r"\s*//.*$")
_SOCKET_ONLY = re.compile(r"//.*(present only in WS|not present in REST)")
_TRAILING = re.compile(r",(\s*[}\]])")
_TWICE = re.compile(r"(\]\})\s*\}(,\s*\])")
"""An object of a list that is closed once too often, as one example has it."""


@frozen(kw_only=True)
class Case:
    """An example, by the method of ccxt and a word in it, and the answer that must have its fields.

    `at`: where in the answer the example's object is. `within`: where in the example; `"*"` is the first of an object's
    values, whose names are ids. `lacks`: fields that the answer does not have, and why.
    """

    answer: str
    method: str
    marker: str = ""
    at: tuple[str | int, ...] = ()
    within: tuple[str | int, ...] = ()
    lacks: Mapping[str, str] = {}

    @property
    def name(self) -> str:
        """For the test's id."""
        return f"{self.answer}-{self.method}-{self.marker}"

    def lost(self, documented: Any, given: Any) -> list[str]:
        """Paths of the fields of the example that the answer does not have, sorted."""
        return sorted(missing(into(documented, self.within), into(given, self.at)))


def into(value: Any, path: tuple[str | int, ...]) -> Any:
    """What is at a path."""
    for step in path:
        value = next(iter(value.values())) if step == "*" else value[step]
    return value


def examples(method: Any) -> list[Any]:
    """Every example in the comments of a method, in their order."""
    lines = [line.strip() for line in inspect.getsource(method).splitlines()]
    comments = [line[1:] for line in lines if line.startswith("#")]
    kept = (_REMARK.sub("", line) for line in comments if not _SOCKET_ONLY.search(line) and "####" not in line)
    text = _TWICE.sub(r"\1\2", "\n".join(kept))
    return [found for chunk in _chunks(text) if (found := _parsed(chunk)) is not None]


def example(method: Any, marker: str) -> Any:
    """The first example that holds a word."""
    for found in examples(method):
        if marker in json.dumps(found):
            return found
    raise AssertionError(f"{method.__qualname__} has no readable example with {marker!r}.")


def _chunks(text: str) -> Iterator[str]:
    depth, start = 0, 0
    for at, char in enumerate(text):
        if char == "{":
            start = at if depth == 0 else start
            depth += 1
        elif char == "}" and depth:
            depth -= 1
            if depth == 0:
                yield text[start : at + 1]


def _parsed(chunk: str) -> Any:
    plain = chunk.replace("...", "").replace("'", '"')
    try:
        return json.loads(_TRAILING.sub(r"\1", _TRAILING.sub(r"\1", plain)))
    except ValueError:
        return None


def missing(wanted: Any, given: Any, path: str = "") -> list[str]:
    """Paths of the fields of an example that an answer does not have; of lists the first elements are compared."""
    if isinstance(wanted, dict):
        if not isinstance(given, dict):
            return [path or "."]
        lost: list[str] = []
        for key, value in wanted.items():
            here = f"{path}.{key}" if path else key
            lost += [here] if key not in given else missing(value, given[key], here)
        return lost
    if isinstance(wanted, list) and wanted and isinstance(wanted[0], dict | list):
        return missing(wanted[0], given[0], f"{path}[]") if isinstance(given, list) and given else [f"{path}[]"]
    return []
