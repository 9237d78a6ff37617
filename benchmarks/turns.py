"""One contender in a process of its own, which takes its turn when told: `benchmarks.compare` starts one per tree.

`python -m benchmarks.turns EXCHANGE FACTS STATE_DIR` answers each line `KIND ORDERS` with one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from app.core.order_router import OrderRouter
from benchmarks import contest
from benchmarks.figures import percentile


async def serve(exchange: str, facts: Path, state_dir: Path) -> None:
    """Takes turns until standard input ends."""
    tables = contest.router_tables(exchange, json.loads(facts.read_text())[exchange], state_dir)
    async with contest.router_contender(OrderRouter(config=tables), state_dir) as contender:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            kind, orders = line.split()
            block = await contest.block(contender, kind, int(orders), 0)
            figures = {
                "order_p50": percentile(block.latencies_s, 50),
                "order_p99": percentile(block.latencies_s, 99),
                "cpu_per_order": block.cpu_per_order_s,
                "throughput": block.per_s,
            }
            print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
