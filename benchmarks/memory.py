"""`python -m benchmarks.memory`: what each further exchange costs in memory.

Starts the real daemon on one to four simulated exchanges, lets each of them trade, and reads the proportional set size
(PSS) of every process of the tree from the kernel: memory that n processes share counts as one n-th in each, so that
the sum is what the daemon takes of the machine. The increment from one daemon to the next is what a further connector
costs, of its own and by what the others keep for it; it is averaged from two exchanges on, since a coordinator takes
three megabytes at the first switch it makes, which a daemon of one exchange never does. /proc/PID/smaps_rollup of a
process that forbids core dumps is for root only, and so is this.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from app.core.order_router import OrderRouter
from app.launcher.presence import read_presence
from benchmarks import machine
from benchmarks.exchange import ROOT, Facts, exchanges

RESULTS = ROOT / "benchmarks" / "results" / "memory.json"
NAMES = ("bybit", "okx", "binance", "kraken")
ORDERS = 50
"""Placed and cancelled on each exchange before memory is read."""
SETTLE_S = 3.0
"""Before memory is read: what an actor begins at its start is done by then."""
MOST_MB = 20.0
"""What each further connector may cost."""


def main(arguments: Sequence[str]) -> int:
    """Measures, prints, writes. Returns 0, or 1 where a further connector costs more than it may."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the figures are written, as JSON")
    given = parser.parse_args(arguments)
    began_s, about = time.monotonic(), machine.facts()
    with tempfile.TemporaryDirectory(prefix="order-bench-") as folder, exchanges(NAMES, Path(folder)) as facts:
        daemons = [daemon(NAMES[:count], facts, Path(folder) / f"state-{count}") for count in range(1, len(NAMES) + 1)]
    totals = [round(sum(each["pss_mb"] for each in processes.values()), 1) for processes in daemons]
    increments = [round(after - before, 1) for before, after in itertools.pairwise(totals)]
    result = {
        "schema": 1,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **machine.commit(ROOT),
        "machine": about,
        "settings": {"orders_per_exchange": ORDERS, "exchanges": list(NAMES)},
        "total_pss_mb": totals,
        "increment_mb": increments,
        "each_further_connector_mb": round(sum(increments[1:]) / len(increments[1:]), 1),
        "daemons": daemons,
        "took_s": round(time.monotonic() - began_s, 1),
    }
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(result, indent=2) + "\n")
    show(result, Console())
    print(f"written to {given.output}")
    return int(result["each_further_connector_mb"] > MOST_MB)


def daemon(
    names: Sequence[str], facts: Mapping[str, Mapping[str, str]], state_dir: Path
) -> dict[str, dict[str, float]]:
    """Memory of every process of a daemon on some exchanges that has traded on each of them, by the process's name."""
    router = OrderRouter(config=_tables(names, facts, state_dir))
    router.start()
    try:
        time.sleep(SETTLE_S)
        for name in (*names[1:], names[0]):
            if router.get_status()["current_exchange"] != name:
                router.manual_failover(name)
            for _ in range(ORDERS):
                order = router.place_order("BTCUSDT", "Buy", "Limit", "0.001", "25000")
                router.cancel_order("BTCUSDT", order["orderId"])
        presence = read_presence(state_dir)
        assert presence is not None, "a router that places orders has a daemon"
        known = {actor["pid"]: actor["name"] for actor in router.get_status()["actors"]}
        known[presence.pid] = "launcher"
        root = psutil.Process(presence.pid)
        rest = iter(("admin", "logger", "supervisor"))
        return {
            known.get(process.pid) or next(rest, f"pid {process.pid}"): memory(process.pid)
            for process in (root, *root.children(recursive=True))
        }
    finally:
        router.close()


def memory(pid: int) -> dict[str, float]:
    """PSS and private dirty memory of a process, in MB of 2^20 bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kb = {key: int(value.split()[0]) for key, _, value in (line.partition(":") for line in lines)}
    return {"pss_mb": round(kb["Pss"] / 1024, 1), "private_dirty_mb": round(kb["Private_Dirty"] / 1024, 1)}


def _tables(names: Sequence[str], facts: Facts, state_dir: Path) -> dict[str, Any]:
    accounts = {
        name: {
            **{key: facts[name][key] for key in ("base_url", "api_key", "secret", "password") if facts[name][key]},
            "rate_limit_per_s": 10_000,
            "allow_settlement_change": name == "kraken",
        }
        for name in names
    }
    router = {"primary_exchange": names[0], "failover_exchanges": list(names[1:]), "state_dir": str(state_dir)}
    return {"router": router, "health": {"health_check_interval": 1.0}, "exchanges": accounts}


def show(result: Mapping[str, Any], console: Console) -> None:
    """Prints the largest daemon, and the increments."""
    table = Table("process", "PSS MB", "of its own, dirty MB")
    for name, each in result["daemons"][-1].items():
        table.add_row(name, f"{each['pss_mb']:.1f}", f"{each['private_dirty_mb']:.1f}")
    console.print(table)
    console.print(
        f"with 1 to {len(result['total_pss_mb'])} exchanges: {result['total_pss_mb']} MB; each further one"
        f" {result['increment_mb']}, and"
        f" {result['each_further_connector_mb']} MB on average from two exchanges on"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
