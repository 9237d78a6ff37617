"""A process that commits intents and outcomes as fast as it can, and acknowledges each on its output, until it dies."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

from app.domain.leg_life import LegEvent
from app.journal.store import Committed, Journal
from tests.domain.orders import key, spec


def main(path: Path) -> None:
    """Writes for ever."""
    journal = Journal(path)
    journal.fence(0.0)
    journal.commit_route(1, "bybit", 0.0)
    number = 0
    while True:
        number += 1
        named = key(f"order-{number}")
        made = journal.commit_intent(exchange="bybit", epoch=1, key=named, spec=spec(), expiry_s=5.0, now_s=0.0)
        assert isinstance(made, Committed)
        print(f"intent {number}", flush=True)
        filled = Decimal(number % 7) / 10
        journal.record(
            made.order.order_id, 1, LegEvent.SEEN_PARTIAL, now_s=0.0, filled=filled, exchange_order_id=f"x{number}"
        )
        print(f"filled {number} {filled}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
