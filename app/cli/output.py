"""How facts are printed: JSON for machines, tables for people.

What comes from outside (an exchange's words, a path) is printed as it is: never as markup, and without control
characters, which could rewrite the terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 160
"""Columns where the output is no terminal: wide enough that a reason stands on one line."""

STATE_STYLES = {
    "well": "green",
    "ready": "green",
    "completed": "green",
    "suspect": "yellow",
    "half_open": "yellow",
    "maintenance": "yellow",
    "starting": "yellow",
    "switching": "yellow",
    "initializing": "yellow",
    "running": "yellow",
    "Unknown": "yellow",
    "Moving": "yellow",
    "Parked": "yellow",
    "down": "red",
    "isolated": "bold red",
    "error": "red",
    "failed": "red",
    "stopped": "red",
}


def print_json(facts: object) -> None:
    """One JSON document on one line."""
    print(json.dumps(facts, ensure_ascii=False), flush=True)


def console() -> Console:
    """Where people read: stdout."""
    return Console(
        markup=False, highlight=False, emoji=False, width=None if sys.stdout.isatty() else PIPE_WIDTH, soft_wrap=False
    )


def plain(value: object) -> str:
    """Text without control characters; empty for None."""
    return "" if value is None else "".join(c if c.isprintable() else " " for c in str(value))


def styled(word: str) -> Text:
    """A state, in its colour."""
    return Text(plain(word), style=STATE_STYLES.get(word, ""))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> Table:
    """A table; cells are text as it is, or `Text`. Columns named in `right` are aligned to the right."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    return made


def when(milliseconds: str) -> str:
    """A time of the router's, in the local time zone, without the date if it is today's; empty where there is none."""
    if not milliseconds:
        return ""
    at = datetime.fromtimestamp(int(milliseconds) / 1000).astimezone()
    today = at.date() == datetime.now(at.tzinfo).date()
    return at.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")


def milliseconds(value: float | None) -> str:
    """A duration in ms for people; a dash where it is not known."""
    return "-" if value is None else f"{value:.0f} ms"
