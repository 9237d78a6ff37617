"""The chain of the history: whatever is changed in it shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from app.domain.history_chain import FIRST, HistoryRow, broken, compare, line, link, row_of


def history(rows: int = 5) -> list[HistoryRow]:
    """A history in which nothing was changed."""
    out: list[HistoryRow] = []
    for number in range(1, rows + 1):
        previous = out[-1].hash if out else FIRST
        detail = f'{{"words": "step {number}, ü"}}'
        at_s = 1_764_000_000.1 + number / 3
        out.append(link(sequence=number, at_s=at_s, epoch=number, step="fence", detail=detail, previous=previous))
    return out


def test_a_history_as_it_was_written_is_whole() -> None:
    assert list(broken(history())) == []
    assert list(broken([])) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda row: evolve(row, at_s=row.at_s + 0.001),
        lambda row: evolve(row, epoch=row.epoch + 1),
        lambda row: evolve(row, step="commit"),
        lambda row: evolve(row, detail="{}"),
        lambda row: evolve(row, previous="1" * 64),
        lambda row: evolve(row, hash="1" * 64),
    ],
)
def test_whatever_is_changed_in_a_row_shows(change: Callable[[HistoryRow], HistoryRow]) -> None:
    rows = history()
    rows[2] = change(rows[2])
    found = list(broken(rows))
    assert found
    assert all("Row 3" in words or "Row 4" in words for words in found)


def test_a_row_written_anew_with_its_hash_shows_in_the_next() -> None:
    rows = history()
    old = rows[2]
    rows[2] = link(sequence=3, at_s=old.at_s, epoch=old.epoch, step="commit", detail="{}", previous=old.previous)
    assert list(broken(rows)) == ["Row 4 of the history (fence) does not follow the row before it."]


def test_a_row_that_was_taken_out_shows() -> None:
    rows = history()
    del rows[2]
    assert "Row 3 of the history is missing: the next one is 4." in list(broken(rows))
    assert next(iter(broken(history()[1:]))) == "Row 1 of the history is missing: the next one is 2."


def test_two_values_that_meet_elsewhere_are_not_the_same() -> None:
    one = link(sequence=1, at_s=1.0, epoch=1, step="ab", detail="c", previous=FIRST)
    other = link(sequence=1, at_s=1.0, epoch=1, step="a", detail="bc", previous=FIRST)
    assert one.hash != other.hash


def test_a_line_of_an_export_is_the_row() -> None:
    for row in history():
        assert row_of(line(row)) == row
    assert list(broken(row_of(line(row)) for row in history())) == []


@pytest.mark.parametrize(
    "written", ["", "nothing", "[]", "{}", line(history()[0]).replace('"epoch": 1', '"epoch": "1"')]
)
def test_what_is_no_line_of_an_export_is_refused_in_words(written: str) -> None:
    with pytest.raises(ValueError, match=r"^(it|a value)"):
        row_of(written)


def test_an_earlier_export_is_held_against_the_history() -> None:
    rows = history()
    assert compare(rows[:3], rows) == ""
    assert compare(rows, rows) == ""
    assert "ends before it" in compare(rows, rows[:4])
    anew = [*rows[:2], link(sequence=3, at_s=1.0, epoch=3, step="fence", detail="{}", previous=rows[1].hash)]
    assert list(broken(anew)) == []
    assert "Row 3 (fence) was exported" in compare(rows, anew)
