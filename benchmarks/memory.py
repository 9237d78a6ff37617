"""`python -m benchmarks.memory`: what each further exchange costs in memory.

Starts the real daemon on one to four simulated exchanges, lets each of them trade, and reads the proportional set
size (PSS) of every process of the tree from the kernel: memory that n processes share counts as one n-th in each, so
that the sum is what the daemon takes of the machine. The increment from one daemon to the next is what a further
connector costs, of its own and by what the others keep for it. Once with the simulator's few markets, once with as
many on each as Bybit lists, since markets are most of what a connector has of its own.

The activity is the same on each exchange in every daemon, and every daemon ends with as many switches as it has
exchanges but one, which one of a single exchange cannot make: its coordinator never compiles the statements of a
switch. What that takes is no connector's, and is told by itself, as how much the coordinator grew
(`coordinator_first_switch_mb`); the bar is on what every further connector costs without it, in either case.
/proc/PID/smaps_rollup of a process that forbids core dumps is for root only, and so is this.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
from tests.exchanges.altered import Altered, many

RESULTS = ROOT / "benchmarks" / "results" / "memory.json"
NAMES = ("bybit", "okx", "binance", "kraken")
ORDERS = 50
"""Placed and cancelled on each exchange before memory is read."""
COORDINATOR = "failover_coordinator:failover_coordinator"
SETTLE_S = 3.0
"""Before memory is read: what an actor begins at its start is done by then."""
MOST_MB = 20.0
"""What each further connector may cost."""
MANY = 700
"""Markets on each exchange, about: Bybit has some six hundred linear swaps."""


def main(arguments: Sequence[str]) -> int:
    """Measures, prints, writes. Returns 0, or 1 where a further connector costs more than it may."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the figures are written, as JSON")
    given = parser.parse_args(arguments)
    began_s, about = time.monotonic(), machine.facts()
    with tempfile.TemporaryDirectory(prefix="order-bench-") as folder, exchanges(NAMES, Path(folder)) as facts:
        few = measured(facts, Path(folder) / "few")
        with crowded(facts) as with_many:
            many_markets = measured(with_many, Path(folder) / "many")
    result = {
        "schema": 2,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **machine.commit(ROOT),
        "machine": about,
        "settings": {"orders_per_exchange": ORDERS, "exchanges": list(NAMES), "most_mb": MOST_MB},
        "few_markets": few,
        "many_markets": {"more_markets": MANY, **many_markets},
        "took_s": round(time.monotonic() - began_s, 1),
    }
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(result, indent=2) + "\n")
    show(result, Console())
    print(f"written to {given.output}")
    return int(max(few["worst_mb"], many_markets["worst_mb"]) > MOST_MB)


@contextmanager
def crowded(facts: Facts) -> Iterator[Facts]:
    """The same exchanges, each listing `MANY` markets more."""
    with ExitStack() as stack:
        proxies = {name: stack.enter_context(Altered(name, facts[name]["base_url"])) for name in NAMES}
        for proxy in proxies.values():
            proxy.alter = many(MANY)
        yield {name: {**facts[name], "base_url": proxy.base_url} for name, proxy in proxies.items()}


def measured(facts: Facts, folder: Path) -> dict[str, Any]:
    """Daemons on one exchange and more."""
    daemons = [daemon(NAMES[:count], facts, folder / f"state-{count}") for count in range(1, len(NAMES) + 1)]
    return {**increments(daemons), "daemons": daemons}


def increments(daemons: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """What each daemon takes more than the one before it, and what of that is the coordinator's first switch."""
    totals = [round(sum(each["pss_mb"] for each in processes.values()), 1) for processes in daemons]
    one, two = (processes[COORDINATOR]["private_dirty_mb"] for processes in daemons[:2])
    first_switch = round(max(0.0, two - one), 1)
    more = [round(after - before, 1) for before, after in itertools.pairwise(totals)]
    connectors = [round(more[0] - first_switch, 1), *more[1:]]
    return {
        "total_pss_mb": totals,
        "increment_mb": more,
        "coordinator_first_switch_mb": first_switch,
        "each_further_connector_mb": connectors,
        "worst_mb": max(connectors),
    }


def daemon(names: Sequence[str], facts: Facts, state_dir: Path) -> dict[str, dict[str, float]]:
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
    """Prints the largest daemon of each kind, and the increments."""
    for kind in ("few_markets", "many_markets"):
        found = result[kind]
        table = Table(kind.replace("_", " "), "PSS MB", "of its own, dirty MB")
        for name, each in found["daemons"][-1].items():
            table.add_row(name, f"{each['pss_mb']:.1f}", f"{each['private_dirty_mb']:.1f}")
        console.print(table)
        console.print(
            f"with 1 to {len(found['total_pss_mb'])} exchanges: {found['total_pss_mb']} MB; each further connector"
            f" {found['each_further_connector_mb']}, and {found['coordinator_first_switch_mb']} once for the"
            f" coordinator's first switch; the worst is {found['worst_mb']}, at most {MOST_MB:g} is aimed for"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
