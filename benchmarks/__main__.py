"""`python -m benchmarks`, or `make bench`: what the router costs beside bare ccxt, and where.

Placing an order through the router, by `router.aio`, is compared with `ccxt.async_support`'s `create_order` on the same
simulated exchange, which runs in a process of its own, in one interleaved run (`benchmarks.contest`). A second, traced
run shows what each stage costs (`benchmarks.trace`). Rely on the ratios: absolute figures are the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from app.core.order_router import OrderRouter
from benchmarks import contest, figures, machine, report
from benchmarks.exchange import ROOT, exchanges
from benchmarks.trace import traced

RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
ROUNDS, QUICK_ROUNDS = 16, 4
BUDGET_S, QUICK_BUDGET_S = 120.0, 12.0
"""No round begins after so long."""


def main(arguments: Sequence[str]) -> int:
    """Runs, prints, writes. Returns 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="below 30 s, for a look; the default takes below 3 min")
    parser.add_argument("--exchange", choices=sorted(contest.CCXT_IDS), default="bybit")
    parser.add_argument("--rounds", type=int, help="how many turns everybody gets")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the figures are written, as JSON")
    given = parser.parse_args(arguments)
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="order-bench-") as folder:
        result = run(given.exchange, Path(folder), quick=given.quick, rounds=given.rounds, console=console)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(result, indent=2) + "\n")
    report.show(result, Console())
    print(f"written to {given.output}")
    return 0


def run(exchange: str, folder: Path, *, quick: bool, rounds: int | None, console: Console) -> dict[str, Any]:
    """Everything that is measured, as it is written down."""
    began_s = time.monotonic()
    wanted = rounds or (QUICK_ROUNDS if quick else ROUNDS)
    serial, flood = (60, 100) if quick else (100, 200)
    about = machine.facts()
    with exchanges([exchange], folder) as facts, console.status("starting"):
        blocks = asyncio.run(
            _contest(
                exchange,
                facts[exchange],
                folder / "state",
                rounds=wanted,
                serial=serial,
                flood=flood,
                until_s=began_s + (QUICK_BUDGET_S if quick else BUDGET_S),
                told=lambda number: console.print(f"round {number + 1} of {wanted}"),
            )
        )
        shown = traced(exchange, facts[exchange], folder, 100 if quick else 400)
    return {
        "schema": 1,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **machine.commit(ROOT),
        "machine": about,
        "settings": {
            "exchange": exchange,
            "call": "await router.aio.place_order(...) beside await ccxt.async_support create_order(...)",
            "order": "a limit order that rests, cancelled between blocks",
            "rounds": len({block.round for block in blocks}),
            "orders_per_block_one_by_one": serial,
            "orders_per_block_50_in_flight": flood,
            "quick": quick,
        },
        "ratios": figures.ratios(blocks),
        "absolute": {name: _rounded(figures.absolute(blocks, name)) for name in figures.CONTENDERS},
        "trace": shown,
        "rounds": figures.by_round(blocks),
        "took_s": round(time.monotonic() - began_s, 1),
    }


async def _contest(exchange: str, facts: Mapping[str, str], state_dir: Path, **how: Any) -> list[figures.Block]:
    router = OrderRouter(config=contest.router_tables(exchange, facts, state_dir))
    async with (
        contest.router_contender(router, state_dir) as ours,
        contest.ccxt_contender(exchange, facts) as bare,
    ):
        return await contest.contest((ours, bare), **how)


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
