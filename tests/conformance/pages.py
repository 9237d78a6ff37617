"""The matrix as a page of the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from tests.conformance.cells import UNTESTED, Column, Key, Seen, Sheet, Verdict
from tests.conformance.faults import CALLS, FAULTS
from tests.conformance.scenarios import APART, SCENARIOS, SECTIONS, WORKS

STAMP = "Observed on"
"""How the one line begins that differs from run to run."""
TOLD = {
    "place": "Placing an order, and what the port answers",
    "cancel": "Cancelling an order that rests",
    "amend": "Changing the quantity of an order that rests",
    "look-up": "Looking up an order that rests: every request of the look-up meets the fault",
}
_INTRO = """\
# Conformance

What every adapter makes of every call, and of every way an exchange breaks. **Nobody wrote this page**: `make
conformance` runs each cell over real HTTP, with the real ccxt client, against a simulated exchange that keeps its own
books, and writes down what it saw. It fails where an answer contradicts the books, and where a cell was not run; `make
conformance ARGS=--check` says in which cells today's code differs from this page.

{stamp}

"""
_CALLS = """\
## Calls

`works`: done, and exactly as the exchange's books have it. `refused`: not done, nothing reached the books, and the
answer is a sentence; the sentences are below the tables. `apart`: the exchange does not take it along with an order, so
that the order went without, and the router places it as orders of its own, which are not observed here
(`tests/exchanges/test_linked_exits.py`). `ambiguous °`: safe, and less than could be known; a look-up decides.

"""
_FAULTS = """\
## Faults

What the port answers when the one request that matters meets a fault. "Executed" is what the exchange did with the
request before, or while, its answer was lost; the port cannot see that, the books can.

| Answer | Means |
| --- | --- |
| `placed`, `cancelled`, `amended`, `found` | proof from the exchange that it is so |
| `refused`, `not executed` | proof that nothing executed: a code that means no, or one worth another try |
| `ambiguous` | of a placement: it may have executed; a look-up decides, and nothing is sent again before |
| `failed` | of anything else: nobody knows, or the exchange turned the request away; ask again |
| `too late` | the exchange has no such live order |
| `not found yet` | absent from a list that the port knows may lag: no proof before the lag is over |
| `to be looked up`, `taken at its word` | acknowledged, and not done: the answer shows no order, or shows it changed |
| `unsupported` | the exchange, or the adapter, has no such call, and says so in words |
| ° | ambiguous, though the exchange had told: safe, and less than could be known |

"""


def page(sheet: Sheet, columns: Sequence[Column], stamp: str) -> str:
    """The whole page."""
    parts = [_INTRO.format(stamp=f"{STAMP} {stamp}"), *_summary(sheet, columns), _CALLS]
    for group, members in _groups(columns):
        parts.extend(_calls_of(sheet, group, members))
    parts.append(_FAULTS)
    for group, members in _groups(columns):
        parts.append(f"### Faults: {group}\n\n")
        for call in CALLS:
            rows = [fault.row for fault in FAULTS if call in fault.only]
            parts.append(f"**{TOLD[call]}**\n\n{_table(sheet, call, rows, members)}\n")
    return "".join(parts).rstrip() + "\n"


def _groups(columns: Sequence[Column]) -> Iterator[tuple[str, list[Column]]]:
    for group in dict.fromkeys(column.group for column in columns):
        yield group, [column for column in columns if column.group == group]


def _summary(sheet: Sheet, columns: Sequence[Column]) -> Iterator[str]:
    counted = ("works", "apart", "refused in words", "fault cells", "weaker than could be (°)", "wrong", "untested")
    yield f"| Adapter | {' | '.join(counted)} |\n| --- |{' ---: |' * len(counted)}\n"
    for column in columns:
        calls = [sheet.get(Key("calls", scene.title, column), UNTESTED) for scene in SCENARIOS]
        met = [
            sheet.get(Key(call, fault.row, column), UNTESTED)
            for call in CALLS
            for fault in FAULTS
            if call in fault.only
        ]
        numbers = (
            *(sum(seen.verdict is Verdict.GOOD and seen.text == text for seen in calls) for text in (WORKS, APART)),
            sum(seen.verdict is Verdict.REFUSED for seen in calls),
            len(met),
            *(sum(seen.verdict is verdict for seen in calls + met) for verdict in _BAD),
        )
        yield f"| {column.title}, {column.market_type} | {' | '.join(map(str, numbers))} |\n"
    yield "\n"


_BAD = (Verdict.WEAK, Verdict.WRONG, Verdict.UNTESTED)


def _calls_of(sheet: Sheet, group: str, columns: list[Column]) -> Iterator[str]:
    yield f"### Calls: {group}\n\n"
    for section in SECTIONS:
        rows = [scene.title for scene in SCENARIOS if scene.section == section]
        if rows:
            yield _table(sheet, "calls", rows, columns, head=section) + "\n"
    yield from _refusals(sheet, columns)


def _refusals(sheet: Sheet, columns: list[Column]) -> Iterator[str]:
    """Each sentence once per adapter, with the calls it answers."""
    for column in columns:
        said: dict[str, set[str]] = {}
        for scene in SCENARIOS:
            seen = sheet.get(Key("calls", scene.title, column), UNTESTED)
            if seen.verdict is Verdict.REFUSED:
                said.setdefault(timeless(seen.words), set()).add(scene.title)
        if said:
            yield f"What {column.title} refuses ({column.market_type}):\n\n"
            yield "".join(f"- {_plain(words)} *{_named(titles)}*\n" for words, titles in said.items())
            yield "\n"


def _named(titles: set[str]) -> str:
    """Scenarios by their titles, or by their section where they are all of it."""
    names = []
    for section in SECTIONS:
        rows = [scene.title for scene in SCENARIOS if scene.section == section]
        mine = [row for row in rows if row in titles]
        names.extend([f"everything under {section}"] if rows and mine == rows else mine)
    return "; ".join(names)


def timeless(words: str) -> str:
    """A sentence without what differs from run to run: ids."""
    return re.sub(r"\b(?=[0-9a-f-]*[0-9])[0-9a-f]{8}[0-9a-f-]{8,}\b", "…", words)


def _plain(words: str) -> str:
    return words.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def _table(sheet: Sheet, part: str, rows: Iterable[str], columns: Sequence[Column], head: str = "Fault") -> str:
    lines = [f"| {head} | {' | '.join(column.title for column in columns)} |", f"| --- |{' --- |' * len(columns)}"]
    for row in rows:
        cells = (sheet.get(Key(part, row, column), UNTESTED) for column in columns)
        shown = " | ".join(_shown(seen) for seen in cells)
        lines.append(f"| {row} | {shown} |")
    return "\n".join(lines) + "\n"


def _shown(seen: Seen) -> str:
    match seen.verdict:
        case Verdict.WEAK:
            return f"{seen.text} °"
        case Verdict.WRONG:
            return "**WRONG**"
        case _:
            return seen.text


def bad(sheet: Sheet, columns: Iterable[Column]) -> list[str]:
    """A sentence for every cell that is wrong, or was not run."""
    told = []
    for column in columns:
        for part, row in (
            *(("calls", scene.title) for scene in SCENARIOS),
            *((call, fault.row) for call in CALLS for fault in FAULTS if call in fault.only),
        ):
            seen = sheet.get(Key(part, row, column), UNTESTED)
            if seen.verdict in (Verdict.WRONG, Verdict.UNTESTED):
                told.append(f"{column.name}, {part}, {row}: {seen.text}. {seen.words}".rstrip())
    return told


def differences(before: str, after: str) -> list[str]:
    """In what two pages differ, cell by cell, but for the line that tells when each was written."""
    old, new = _cells(before), _cells(after)
    return [
        f"{' / '.join(where)}: {old.get(where, 'nothing')} -> {new.get(where, 'nothing')}"
        for where in dict.fromkeys((*old, *new))
        if old.get(where) != new.get(where)
    ]


def _cells(text: str) -> dict[tuple[str, ...], str]:
    """Everything a page says, by where it says so."""
    found: dict[tuple[str, ...], str] = {}
    chapter, head, lines = "", [""], 0
    for line in text.splitlines():
        if line.startswith("#"):
            chapter = line.strip("# ")
        elif line.startswith("**"):
            chapter = f"{chapter.partition(' > ')[0]} > {line.strip('* ')}"
        if not line.startswith("|"):
            head = []
            if line.strip() and not line.startswith(STAMP):
                found[chapter, "text", str(lines)] = line
            lines = 0 if line.startswith(("#", "**")) else lines + 1
            continue
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not head:
            head = cells
        elif not cells[0].startswith("---"):
            for name, cell in zip(head[1:], cells[1:], strict=False):
                found[chapter, cells[0], name] = cell
    return found
