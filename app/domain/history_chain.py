"""The chain of the history: every row is hashed with the hash of the row before it.

So a row that was changed, taken out, or put in between shows, and everything after it does not follow any more. Cutting
off the end does not show by the chain alone: for that the journal knows how many rows were written, and whoever
exported the history before can hold that export against it (`compare`).

What it does not do: keep out whoever may write to the journal and knows how. He could write a history anew from where
he changed it. The hash of the last row, kept elsewhere, is what tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any

from attrs import frozen

FIRST = "0" * 64
"""What stands before the first row."""
_FIELDS = ("sequence", "at_s", "epoch", "step", "detail", "previous", "hash")


@frozen(kw_only=True)
class HistoryRow:
    """One row of the history.

    Attributes:
        sequence: 1, 2, 3 … without a gap.
        at_s: When it was written.
        epoch: Of the switch it is of, or of the route at that moment.
        step: What was done.
        detail: With what evidence and result: a JSON object, as text.
        previous: The hash of the row before.
        hash: Of all the others here.
    """

    sequence: int
    at_s: float
    epoch: int
    step: str
    detail: str
    previous: str
    hash: str


def link(*, sequence: int, at_s: float, epoch: int, step: str, detail: str, previous: str) -> HistoryRow:
    """The row that follows the one with the hash `previous`."""
    return HistoryRow(
        sequence=sequence,
        at_s=at_s,
        epoch=epoch,
        step=step,
        detail=detail,
        previous=previous,
        hash=_hash(sequence, at_s, epoch, step, detail, previous),
    )


def _hash(sequence: int, at_s: float, epoch: int, step: str, detail: str, previous: str) -> str:
    # As JSON, so that where one value ends and the next begins is told, too. A float is written with the digits that
    # give it back exactly.
    written = json.dumps([previous, sequence, float(at_s), epoch, step, detail], ensure_ascii=True)
    return blake2b(written.encode(), digest_size=32).hexdigest()


def broken(rows: Iterable[HistoryRow]) -> Iterator[str]:
    """What is not as it must be, a sentence each, of a history from its first row on."""
    before = FIRST
    due = 1
    for row in rows:
        if row.sequence != due:
            yield f"Row {due} of the history is missing: the next one is {row.sequence}."
        elif row.previous != before:
            yield f"Row {row.sequence} of the history ({row.step}) does not follow the row before it."
        if row.hash != _due(row):
            yield f"Row {row.sequence} of the history ({row.step}) is not as it was written: its hash is another."
        before, due = row.hash, row.sequence + 1


def _due(row: HistoryRow) -> str | None:
    try:
        return _hash(row.sequence, row.at_s, row.epoch, row.step, row.detail, row.previous)
    except (TypeError, ValueError):  # a value of another kind than was ever written
        return None


def compare(exported: Iterable[HistoryRow], now: Iterable[HistoryRow]) -> str:
    """Why a history does not go on from an earlier export of it, in one sentence; empty where it does."""
    there = iter(now)
    for row in exported:
        same = next(there, None)
        if same is None:
            return f"Row {row.sequence} ({row.step}) was exported, and the history ends before it by now."
        if same != row:
            return f"Row {row.sequence} ({row.step}) was exported, and the history has another in its place by now."
    return ""


def line(row: HistoryRow) -> str:
    """A row as a line of an export: one JSON object, with the hash over the very same values."""
    return json.dumps({name: getattr(row, name) for name in _FIELDS}, ensure_ascii=False)


def row_of(written: str) -> HistoryRow:
    """The row that a line of an export is.

    Raises:
        ValueError: It is none; one sentence.
    """
    try:
        found: Any = json.loads(written)
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from None
    if not isinstance(found, Mapping) or set(found) != set(_FIELDS):
        raise ValueError(f"it is not an object of {', '.join(_FIELDS)}")
    texts = ("step", "detail", "previous", "hash")
    whole = all(type(found[name]) is int for name in ("sequence", "epoch"))
    if not whole or type(found["at_s"]) is not float or not all(isinstance(found[name], str) for name in texts):
        raise ValueError("a value in it is of another kind")
    return HistoryRow(**found)
