"""What a journal holds of one exchange, for whoever compares the two: read beside whoever writes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from app.domain.leg_table import MAY_FILL
from app.domain.truth import Held
from app.journal.errors import translated
from app.journal.rows import leg_of, symbol_of
from app.journal.verify import reading

_STATES = ", ".join(f"'{state.value}'" for state in sorted(MAY_FILL))


def held(path: Path, exchange: str) -> dict[str, Held]:
    """Legs that may rest or execute on an exchange, by wire id.

    Raises:
        JournalError: It cannot be read now.
    """
    with closing(reading(path)) as db, translated(str(path)):
        db.row_factory = sqlite3.Row
        db.execute("BEGIN")
        out: dict[str, Held] = {}
        rows = db.execute(f"SELECT * FROM legs WHERE state IN ({_STATES}) AND exchange = ?", (exchange,)).fetchall()
        for row in rows:
            order = db.execute("SELECT * FROM orders WHERE order_id = ?", (row["order_id"],)).fetchone()
            conditional = order["trigger_kind"] is not None
            held_ = Held(order_id=row["order_id"], symbol=symbol_of(order), conditional=conditional, leg=leg_of(row))
            out[row["wire_id"]] = held_
        return out


def exchanges_held(path: Path) -> frozenset[str]:
    """Exchanges on which anything may rest or execute.

    Raises:
        JournalError: It cannot be read now.
    """
    with closing(reading(path)) as db, translated(str(path)):
        rows = db.execute(f"SELECT DISTINCT exchange FROM legs WHERE state IN ({_STATES})").fetchall()
        return frozenset(row[0] for row in rows)


def known(path: Path, wire_id: str) -> str:
    """What the journal says of a wire id, in words; empty where it knows none.

    Raises:
        JournalError: It cannot be read now.
    """
    with closing(reading(path)) as db, translated(str(path)):
        row = db.execute("SELECT order_id, number, state FROM legs WHERE wire_id = ?", (wire_id,)).fetchone()
        return "" if row is None else f"leg {row[1]} of order {row[0]} is {row[2]} by the journal"
