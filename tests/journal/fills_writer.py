"""A process that records executions as fast as it can, and acknowledges each on its output, until it dies."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from app.journal.store import Journal
from tests.journal.test_fills import fill, opened, placed


def main(path: Path) -> None:
    """Writes for ever: two executions of each order in one listing, then a third with the first two again."""
    journal: Journal = opened(path)
    for n in count():
        order = placed(journal, f"o{n}")
        trades = [fill(f"t{n}-{part}") for part in range(3)]
        for shown in (trades[:2], trades):
            fresh = journal.record_fills(order.order_id, 1, shown, now_s=3.0).fresh
            print("\n".join(each.execution.trade_id for each in fresh), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
