"""Whether what must stay with the connectors does (I8): a marker in each port's credentials appears nowhere else.

Every message is looked through as it is pickled, whoever it is for; so is every line of every log, everything that was
noted for the story, and in the end the journal, as it would lie on disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.fuzz.checker_news import Violation
from app.fuzz.record import Record

SECRET = "5ecret-of-the-simulated-account"  # of no account at all
RULE = "I8 a secret got out"
_BYTES = SECRET.encode()


def within(pickled: bytes) -> bool:
    """Whether a message holds it."""
    return _BYTES in pickled


def secret_violations(record: Record, journal: Any, leaked: tuple[tuple[float, str], ...]) -> Iterator[Violation]:
    """Every place where it was found.

    Args:
        journal: The connection to the journal's database.
        leaked: Messages that held it: when, and of which type.
    """
    for at_s, kind in leaked[:1]:
        yield Violation(RULE, at_s, 0, f"in a message: {kind}")
    for fact in record.facts:
        if SECRET in getattr(fact, "words", ""):
            yield Violation(RULE, fact.at_s, getattr(fact, "serial", 0), f"told as {type(fact).__name__}")
            break
    if within(journal.serialize()):
        yield Violation(RULE, record.facts[-1].at_s if record.facts else 0.0, 0, "in the journal")
