"""What holds the router, written into the journal itself: for when no daemon runs, or nobody in it answers.

The journal decides, not the coordinator: whatever is to be committed meets the controls within its own transaction. So
a freeze can be had while the coordinator hangs, and before a daemon is started that had better not trade yet.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.exits import EX_CONFIG, EX_TEMPFAIL, EX_UNAVAILABLE, EX_USAGE, Ended

if TYPE_CHECKING:
    from app.core.shapes import Steered
    from messages.control import Verb


def write(config: Path | None, state_dir: Path | None, verb: Verb, why: str) -> Steered:
    """Writes what a verb holds the router to.

    Args:
        why: Why nobody could be asked, in one sentence.

    Raises:
        Ended: There is no journal, or it cannot be written.
    """
    from app.bootstrap import JOURNAL_NAME
    from app.core.errors import InvalidRequest
    from app.core.settings import settings
    from app.core.shapes import Steered
    from app.domain.verb_plan import NOTHING_TO_FLATTEN
    from app.domain.verb_words import change, name_of, sentence
    from app.journal.store import Journal, JournalError
    from messages.control import Isolate, Panic, Release
    from messages.market import MarketType

    try:
        place = None if state_dir is None else state_dir.expanduser().absolute()
        found = settings(config, None, state_dir=place).config
    except InvalidRequest as error:
        raise Ended(EX_CONFIG, str(error)) from None
    path = found.router.state_dir / JOURNAL_NAME
    if not path.is_file():
        raise Ended(EX_UNAVAILABLE, f"{why.rstrip('.')}; and there is no journal at {path} to write it to")
    if isinstance(verb, Isolate | Release) and state_dir is None and verb.exchange not in found.routed:
        known = ", ".join(found.routed)
        raise Ended(EX_USAGE, f"{verb.exchange!r} is not among the configured exchanges: {known}")
    if isinstance(verb, Panic) and verb.flatten and found.router.market_type == MarketType.SPOT:
        raise Ended(EX_USAGE, NOTHING_TO_FLATTEN)
    try:
        with closing(Journal(path, make=False)) as journal:
            done = change(verb, journal.controls())
            name = name_of(verb)
            held = journal.control(done, verb=name, reason=sentence(verb.reason), now_s=time.time())
    except JournalError as error:
        raise Ended(EX_TEMPFAIL, f"{why.rstrip('.')}; and {error}") from None
    words = done.words
    if isinstance(verb, Panic):
        words = "Panic: trading is frozen; our orders are cancelled as soon as the daemon serves again."
    return Steered(
        verb=name,
        words=f"{words} It was written to the journal at {path} itself: {why}",
        done=not isinstance(verb, Panic),
        plan=None,
        switch=None,
        controls=list(held.shown()),
        orders_cancelled=[],
        orders_left=[],
        positions_left=[],
    )
