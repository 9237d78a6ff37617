"""What was seen, as a page of the documentation."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Iterator, Sequence

from tests.crash.run import EQUAL, NOT_MET, SCENES, VALIDITY_S, Cell, Column, Sheet

STAMP = "Observed on"
"""How the one line begins that differs from run to run, besides times."""
_INTRO = """\
# Crashes

What a kill -9 of the connector leaves behind, wherever it comes. **Nobody wrote this page**: `make crashes` watches a
real daemon trade over real HTTP on a simulated exchange, notes every step that a connector passes (each statement it
writes into the journal, each thing it does on the network, what it hears and what it tells), and then asks for one
order per step, during which the connector kills itself there. The supervisor starts another, the caller's session asks
it again, and the books of the exchange are the judge. A step that is new in the code is found by itself.

{stamp}

A cell says `equal`, and after how long: from the death until what the journal holds of the order (state, what filled
and at which price, what rests and at which price) was what the exchange's books have of it. That is said only where,
besides, the caller was answered within its deadline with nothing that is untrue, and the exchange has the order once.
What takes seconds was committed and not provably sent: a look-up that finds nothing proves absence only after the
placement has expired on the exchange, here {validity:g} s after it was committed, and then it is sent again. `-`: there
is no such step. At the end of each scene every order is judged once more, and so is what the exchange has and nobody
asked for.

"""


def page(sheet: Sheet, columns: Sequence[Column], stamp: str) -> str:
    """The whole page."""
    parts = [_INTRO.format(stamp=f"{STAMP} {stamp}", validity=VALIDITY_S), *_summary(sheet, columns)]
    for scene in SCENES:
        parts.append(f"## {scene.title[0].upper()}{scene.title[1:]}\n\n")
        if scene.first is not None:
            parts.append(
                f'The connector dies at "{scene.first.row}"; the one that is started after it dies too, at each step '
                "it passes, and a third one goes on.\n\n"
            )
        shown = {
            column: list(sheet.get((column.name, scene.title), ()))
            for column in columns
            if scene.only in (None, column.name)
        }
        parts.append(_table(shown) + "\n")
    return "".join(parts).rstrip() + "\n"


def _summary(sheet: Sheet, columns: Sequence[Column]) -> Iterator[str]:
    heads = (
        "crashes",
        "equal",
        "not met",
        "wrong",
        "caller told what became of it",
        "told unknown",
        "median",
        "longest",
    )
    yield f"| Adapter | {' | '.join(heads)} |\n| --- |{' ---: |' * len(heads)}\n"
    for column in columns:
        cells = [cell for scene in SCENES for cell in sheet.get((column.name, scene.title), ())]
        certain = [cell.certain_s for cell in cells if cell.verdict == EQUAL] or [0.0]
        numbers = (
            len(cells),
            sum(cell.verdict == EQUAL for cell in cells),
            sum(cell.verdict == NOT_MET for cell in cells),
            sum(cell.verdict not in (EQUAL, NOT_MET) for cell in cells),
            sum(cell.answer == "done" for cell in cells),
            sum(cell.answer == "unknown" for cell in cells),
            f"{statistics.median(certain):.2f} s",
            f"{max(certain):.1f} s",
        )
        yield f"| {column.title} | {' | '.join(map(str, numbers))} |\n"
    yield "\n"


def _table(shown: dict[Column, list[Cell]]) -> str:
    by_column = {column: {cell.row: cell for cell in cells} for column, cells in shown.items()}
    lines = [f"| Killed at | {' | '.join(column.title for column in shown)} |", f"| --- |{' --- |' * len(shown)}"]
    for row in _rows(shown.values()):
        found = (cells.get(row) for cells in by_column.values())
        lines.append(f"| {row} | {' | '.join(_shown(cell) for cell in found)} |")
    return "\n".join(lines) + "\n"


def _rows(columns: Iterable[Sequence[Cell]]) -> list[str]:
    """Every row once, where the columns agree about it."""
    rows: list[str] = []
    for cells in columns:
        at = 0
        for cell in cells:
            if cell.row in rows:
                at = rows.index(cell.row) + 1
            else:
                rows.insert(at, cell.row)
                at += 1
    return rows


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    return f"{EQUAL}, {cell.certain_s:.2f} s" if cell.verdict == EQUAL else cell.verdict.replace("|", "\\|")


def bad(sheet: Sheet, columns: Iterable[Column]) -> list[str]:
    """A sentence for every death after which something was wrong, or that did not come about, or was not tried."""
    told = []
    for column in columns:
        for scene in SCENES:
            if scene.only not in (None, column.name):
                continue
            cells = sheet.get((column.name, scene.title), ())
            if not cells:
                told.append(f"{column.name}, {scene.title}: not run.")
            told += [
                f"{column.name}, {scene.title}, {c.row}: {c.verdict} ({c.answer})" for c in cells if c.verdict != EQUAL
            ]
    return told


def timeless(text: str) -> str:
    """A page without what differs from run to run."""
    lines = [line for line in text.splitlines() if not line.startswith(STAMP)]
    return re.sub(r"\b\d+\.\d+ s\b", "… s", "\n".join(lines))
