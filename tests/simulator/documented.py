"""The exchanges' example answers that ccxt's source keeps in its comments, as data.

They are written for people: with remarks, trailing commas, an ellipsis here and there. What cannot be read is left out;
a test names an example by a word in it and fails if there is none.
"""

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

_REMARK = re.compile(r"\s*//.*$")
_SOCKET_ONLY = re.compile(r"//.*(present only in WS|not present in REST)")
_TRAILING = re.compile(r",(\s*[}\]])")


def examples(method: Any) -> list[Any]:
    """Every example in the comments of a method, in their order."""
    lines = [line.strip() for line in inspect.getsource(method).splitlines()]
    comments = [line[1:] for line in lines if line.startswith("#")]
    kept = (_REMARK.sub("", line) for line in comments if not _SOCKET_ONLY.search(line) and "####" not in line)
    return [found for chunk in _chunks("\n".join(kept)) if (found := _parsed(chunk)) is not None]


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
