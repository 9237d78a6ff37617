"""Orders that no connector would reach: live, or of an outcome nobody knows, on an exchange that is not configured.

Nobody could cancel them through the router, or learn that they filled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from app.domain.leg_life import MAY_FILL
from app.journal.store import Journal

OPEN = MAY_FILL


def out_of_reach(journal: Journal, routed: Collection[str]) -> dict[str, int]:
    """How many such orders there are, by exchange. Raises `app.journal.store.JournalError`."""
    counts = Counter(leg.exchange for order in journal.open_orders() for leg in order.legs if leg.state in OPEN)
    return {exchange: count for exchange, count in sorted(counts.items()) if exchange not in routed}


def sentence(counts: dict[str, int]) -> str:
    """One sentence for people; empty where there are none."""
    if not counts:
        return ""
    where = " and ".join(f"{count} on {exchange}" for exchange, count in counts.items())
    return (
        f"Orders that may be live would be out of reach, {where}: cancel them first, or keep the exchange configured."
    )
