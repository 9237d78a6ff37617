"""The history in a file: a JSON object a line, each with the hash that chains it to the line before.

Read from the journal itself, in one snapshot, beside a daemon that runs or without one. Nothing is written before all
of it was checked: the chain from its first row, and, where the file is there already, that the history goes on from
what it holds. So whoever keeps exports elsewhere notices a history that was written anew, though its chain is whole.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from pathlib import Path

from attrs import frozen

from app.core.errors import InvalidRequest
from app.core.plan_shapes import HistoryExport
from app.domain.history_chain import FIRST, HistoryRow, broken, compare, line, row_of

MAX_BYTES = 1 << 30
"""Of an export that is read again: more was not written by us."""


@frozen(kw_only=True)
class Kept:
    """The history of a journal, checked."""

    journal_id: str
    rows: tuple[HistoryRow, ...]

    @property
    def hash(self) -> str:
        """Of the last row."""
        return self.rows[-1].hash if self.rows else FIRST


def kept_history(state_dir: Path) -> Kept:
    """The history that the journal of a state directory holds.

    Raises:
        InvalidRequest: There is no journal, it cannot be read, or the history in it is broken.
    """
    from app.bootstrap import JOURNAL_NAME
    from app.journal.errors import JournalError
    from app.journal.history import rows_of
    from app.journal.verify import known_schema, reading

    path = state_dir / JOURNAL_NAME
    if not path.is_file():
        raise InvalidRequest(f"There is no journal at {path}: nothing was done about trading there yet.")
    try:
        with closing(reading(path)) as db:
            known_schema(db, path)
            db.execute("BEGIN")
            (journal_id,) = db.execute("SELECT value FROM meta WHERE name = 'journal_id'").fetchone()
            rows = tuple(rows_of(db))
            last = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'history'").fetchone()
    except JournalError as error:
        raise InvalidRequest(str(error)) from None
    found = next(broken(rows), "")
    if not found and last is not None and last[0] != len(rows):
        found = f"{last[0]} rows were written to the history, and {len(rows)} are there."
    if found:
        raise InvalidRequest(f"The history in {path} is not as it was written: {found}")
    return Kept(journal_id=journal_id, rows=rows)


def read_export(path: Path) -> tuple[HistoryRow, ...]:
    """What an earlier export holds, its chain checked.

    Raises:
        InvalidRequest: It is none, or broken.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidRequest(f"{path} is too large to be an export of a history.")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}.") from None
    rows = []
    for number, written in enumerate(lines, start=1):
        try:
            rows.append(row_of(written))
        except ValueError as error:
            raise InvalidRequest(f"Line {number} of {path} is no row of a history: {error}.") from None
    found = next(broken(rows), "")
    if found:
        raise InvalidRequest(f"{path} is not as it was exported: {found}")
    return tuple(rows)


def export_history(state_dir: Path, path: Path) -> HistoryExport:
    """Writes the history to a file, in one piece: what stood there before stays until all of it is written.

    Raises:
        InvalidRequest: It cannot be read, is broken, does not go on from what the file holds, or cannot be written.
    """
    kept = kept_history(state_dir)
    if path.exists():
        differs = compare(read_export(path), kept.rows)
        if differs:
            raise InvalidRequest(f"The history does not go on from {path}, which was left as it is: {differs}")
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            try:
                file.writelines(f"{line(row)}\n" for row in kept.rows)
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path)
            except BaseException:  # interrupted, too: half a file is never left
                os.unlink(file.name)
                raise
    except OSError as error:
        raise InvalidRequest(f"The history cannot be written to {path}: {error.strerror or error}.") from None
    return HistoryExport(path=str(path), rows=len(kept.rows), hash=kept.hash, journal_id=kept.journal_id)


def verify_export(state_dir: Path, path: Path) -> HistoryExport:
    """Proves that the history goes on from an export of it; returns what stands now.

    Raises:
        InvalidRequest: It does not, or one of the two is broken.
    """
    exported, kept = read_export(path), kept_history(state_dir)
    differs = compare(exported, kept.rows)
    if differs:
        raise InvalidRequest(f"The history does not go on from {path}: {differs}")
    return HistoryExport(path=str(path), rows=len(kept.rows), hash=kept.hash, journal_id=kept.journal_id)
