"""`python -m tests.exchanges.promises`, or `make promises`: writes docs/EXCHANGES.md from the tables of the code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path

from app.exchanges.factory import PROFILES
from app.exchanges.outcomes import Row
from app.exchanges.rules.base import Rule
from app.exchanges.rules.tables import TABLES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "EXCHANGES.md"
_INTRO = """\
# What exchanges promise

Printed from the tables that the code acts by (`app/exchanges/rules`, `app/exchanges/codes`) by `make promises`; a test
fails where this page says something else. A source is an address, ccxt's source, or, where nobody documents the fact,
"declared by us": then the value is ours, and the simulated exchanges respect and stress it.

"""
_CODES = """\
## What their codes mean

`refused`: no, for good. `not_executed`: no, for now. `duplicate`: the client order id is taken, so
the order is there to be found. `unknown_order`: it has no such live order. `unchanged`: it is so already. `ambiguous`:
it may have executed, and only a look-up tells. A code that is neither here nor in ccxt's table is ambiguous.

"""
_WORDS = {"true": "yes", "false": "no", "": "none", "()": "none"}
_LINE = 20
"""Codes in one cell before the rest gets a row of its own."""


def page() -> str:
    """All of it."""
    return _INTRO + "\n".join([*_promises(), _CODES, *_meanings()])


def _promises() -> Iterator[str]:
    for (name, market_type), table in TABLES.items():
        if (name, market_type) in PROFILES:
            yield f"## {name}, {market_type}\n"
            yield "| | | source | |\n| --- | --- | --- | --- |"
            for fact, rule in table.rows():
                yield f"| {fact.replace('_', ' ')} | {_shown(rule)} | {_source(rule.source)} | {_cell(rule.note)} |"
            yield ""


def _meanings() -> Iterator[str]:
    """Once where swaps and spot of an exchange have the same table."""
    told: dict[str, tuple[str, Mapping[str, Row]]] = {}
    for (name, market_type), profile in PROFILES.items():
        title = f"{name}, {market_type}"
        alike = next((each for each, (of, codes) in told.items() if of == name and codes == profile.codes), None)
        if alike is None:
            told[title] = (name, profile.codes)
        else:
            told[f"{alike} and {market_type}"] = told.pop(alike)
    for title, (_, codes) in told.items():
        yield f"### {title}\n"
        yield "| meaning | the router's code | the exchange's codes | source |\n| --- | --- | --- | --- |"
        yield from _codes(codes)
        yield ""


def _codes(codes: Mapping[str, Row]) -> Iterator[str]:
    by_row: dict[tuple[str, str, str], list[str]] = {}
    for code, row in codes.items():
        by_row.setdefault((row.meaning.value, row.code, row.source), []).append(code)
    for (meaning, code, source), native in sorted(by_row.items()):
        for start in range(0, len(native), _LINE):
            shown = ", ".join(f"`{_cell(each)}`" for each in sorted(native)[start : start + _LINE])
            yield f"| {meaning} | {code} | {shown} | {_source(source)} |"


def _shown(rule: Rule[object]) -> str:
    value = rule.value
    words = ", ".join(_word(each) for each in value) if isinstance(value, tuple) else _word(value)
    return _cell(_WORDS.get(words, words))


def _word(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value).replace("_", " ")
    if isinstance(value, bool):
        return str(value).lower()
    return (
        f"{value:g}"
        if isinstance(value, float) and value < 10_000
        else f"{value:.0f}"
        if isinstance(value, float)
        else str(value)
    )


def _source(source: str) -> str:
    return (
        f"[{_cell(source.split('//', 1)[1])}]({source})"
        if source.startswith("https://") and " " not in source
        else _cell(source)
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(write: Iterable[Path] = (PAGE,)) -> None:
    """Writes the page."""
    for path in write:
        path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
