"""The figures for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

ROWS = (
    ("order p50", "order_p50_ms", "order_p50_vs_ccxt_async", "ms"),
    ("order p99", "order_p99_ms", "order_p99_vs_ccxt_async", "ms"),
    ("CPU per order", "cpu_per_order_ms", "cpu_per_order_vs_ccxt_async", "ms"),
    ("CPU per order, 50 in flight", "cpu_per_order_50_ms", "cpu_per_order_50_vs_ccxt_async", "ms"),
    ("orders, 50 in flight", "throughput_50_per_s", "throughput_50_vs_ccxt_async", "/s"),
)


def show(result: Mapping[str, Any], console: Console) -> None:
    """Prints three tables."""
    settings = result["settings"]
    console.print(
        f"{settings['rounds']} rounds on a simulated {settings['exchange']}, {result['machine']['cores']} cores, "
        f"load before {result['machine']['load_before'][0]:g}; took {result['took_s']:g} s"
    )
    router, ccxt = result["absolute"]["router"], result["absolute"]["ccxt_async"]
    table = Table("placing an order", "router", "ccxt async", "ratio (median of rounds)")
    for words, key, ratio, unit in ROWS:
        table.add_row(words, f"{router[key]:.2f} {unit}", f"{ccxt[key]:.2f} {unit}", f"{result['ratios'][ratio]:.2f} x")
    console.print(table)
    trace = result["trace"]
    stages = Table("stage of an order", "p50 ms", "p99 ms", "share")
    for part in ("stages", "within"):
        for words, figures in trace[part].items():
            name = words if part == "stages" else f"  of which {words}"
            stages.add_row(name, f"{figures['p50_ms']:.3f}", f"{figures['p99_ms']:.3f}", f"{figures['share']:.0%}")
        stages.add_section()
    console.print(stages)
    console.print(
        f"{trace['hops_per_order']:g} messages on the way of an order; with the marks an order takes "
        f"{trace['order_p50_with_marks_ms']:.2f} ms"
    )
    messages = Table("messages between processes", "per order")
    for word, number in sorted(trace["messages_per_order"].items(), key=lambda each: -each[1]):
        messages.add_row(word, f"{number:.2f}")
    console.print(messages)
