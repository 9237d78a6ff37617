"""The traced run: the same orders, one by one, through a daemon whose components are marked from outside.

Apart from the contest, since marks cost time: what it takes with them is told beside what it takes without.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.core.order_router import OrderRouter
from app.launcher.spawn import OwnDaemon
from benchmarks import stages
from benchmarks.contest import router_contender, router_tables
from benchmarks.figures import percentile
from benchmarks.marks import VARIABLE, mark, mark_client, read_marks

SETTLE_S = 0.5
"""After the last order, until the messages it sent aside have arrived."""


def traced(exchange: str, facts: Mapping[str, str], folder: Path, orders: int) -> dict[str, Any]:
    """What each stage of an order costs, and how many messages it takes."""
    marks = folder / "marks"
    marks.mkdir(mode=0o700)
    state_dir = folder / "traced"
    tables = router_tables(exchange, facts, state_dir)
    os.environ[VARIABLE] = str(marks)
    try:
        daemon = OwnDaemon(tables, module="benchmarks.traced_daemon")
    finally:
        del os.environ[VARIABLE]
    try:
        with mark_client(marks):
            asyncio.run(_place(OrderRouter(config=tables), state_dir, marks, orders))
    finally:
        daemon.close()
    shown = stages.read_stages(read_marks(marks))
    whole = [sum(times) for times in zip(*shown.stages.values(), strict=True)]
    within = shown.within
    journal = [sum(times) for times in zip(*(within[name] for name in stages.JOURNAL), strict=True)]
    return {
        "orders": orders,
        "order_p50_with_marks_ms": round(1000 * percentile(whole, 50), 4),
        "journal": {f"p{n}_ms": round(1000 * percentile(journal, n), 4) for n in (50, 99)},
        **shown.told(),
    }


async def _place(router: OrderRouter, state_dir: Path, marks: Path, orders: int) -> None:
    async with router_contender(router, state_dir) as contender:
        warm = [await contender.place() for _ in range(20)]
        await contender.clear(warm)
        time.sleep(SETTLE_S)  # nothing of the warm-up is under way any more
        placed = []
        for _ in range(orders):
            mark(marks, stages.CALLED)
            placed.append(await contender.place())
            mark(marks, stages.ANSWERED)
        await asyncio.sleep(SETTLE_S)
        mark(marks, stages.DONE)
        await contender.clear(placed)
