"""A process that reduces a position again and again, beside others on the same journal: as connectors do."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from attrs import evolve

from app.domain.leg_life import LegEvent
from app.journal.store import Committed, Journal, JournalError
from messages.orders import Side
from tests.domain.orders import BTC, key, spec


def main(path: str, name: str, seed: str, number: str) -> None:
    """Commits so many reduce-only sells, of which each fills, is cancelled, is lost or stays."""
    chance = random.Random(int(seed))
    journal = Journal(Path(path), busy_timeout_s=20.0, make=False)
    asked = evolve(spec(), symbol=BTC, side=Side.SELL, reduce_only=True)
    print("ready", flush=True)
    sys.stdin.readline()
    for each in range(int(number)):
        quantity = chance.choice([asked.quantity * n for n in (1, 2, 3)])
        made = journal.commit_intent(
            exchange="okx",
            epoch=2,
            key=key(f"{name}-{each}"),
            spec=evolve(asked, quantity=quantity),
            expiry_s=1e9,
            now_s=float(each),
            across=lambda: "",
        )
        if not isinstance(made, Committed):
            print("refused", flush=True)
            continue
        leg = made.order.leg
        assert leg is not None
        print("unflagged" if leg.unflagged else "flagged", flush=True)
        end = chance.choice([LegEvent.SEEN_FILLED, LegEvent.SEEN_FILLED, LegEvent.SEEN_CANCELLED, None])
        if end is not None:
            try:
                journal.record(made.order.order_id, 1, end, now_s=float(each))
            except JournalError as busy:
                print(f"busy: {busy}", flush=True)
    journal.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
