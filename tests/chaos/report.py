"""The figures for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def show(result: Mapping[str, Any], console: Console) -> None:
    """Prints what was done, how long everything took, what the judge says, and which bars hold."""
    orders, injuries = result["orders"], result["injuries"]
    console.print(
        f"{injuries['done']} of {injuries['planned']} injuries under {result['settings']['per_s']:g} orders/s, "
        f"seed {result['seed']}, {result['duration_s']:g} s, {result['machine']['cores']} cores, "
        f"load {result['load_average']['before'][0]:g} before and {result['load_average']['after'][0]:g} after"
    )
    if result["cut_short"]:
        console.print("The run was cut short; the same command with --resume goes on where it stopped.")
    times = Table("who", "how", "times")
    for name in ("next order", "slowest order", "healed"):
        for column in (f"{name}: p50", "p95", "max ms"):
            times.add_column(column, justify="right")
    for group in (*result["groups"], *result["together"]):
        times.add_row(
            group["target"].replace("_", " "),
            group["means"],
            str(group["count"]),
            *_three(group["next_order_acknowledged_ms"]),
            *_three(group["slowest_order_ms"]),
            *_three(group["healed_ms"]),
        )
    console.print(times)
    console.print(
        f"{orders['judged']} orders, {orders['executed']} of them on an exchange: {orders['lost']} lost, "
        f"{orders['doubled']} doubled, {orders['denied']} denied, {orders['unexplained']} unexplained; "
        f"told at first: {', '.join(f'{number} {word}' for word, number in orders['told'].items())}"
    )
    console.print(
        f"After {result['health']['looked']} injuries everybody in the tree was looked at: "
        f"{result['health']['dead']} had no living process"
    )
    weights = Table("at rest", "processes", "memory MB", "descriptors", "caller's", "sockets", "files", "temporary")
    for number, session in enumerate(result["sessions"], 1):
        for weight in session["weights"]:
            weights.add_row(
                f"session {number}",
                *(str(weight[name]) for name in (
                    "processes", "memory_mb", "descriptors", "own_descriptors", "sockets", "files", "temporary"
                )),
            )  # fmt: skip
    console.print(weights)
    held = Table("bar", "measured", "at most", "")
    for bar in result["bars"]:
        if bar["met"] is not None:
            unit = f" {bar['unit']}".rstrip()
            held.add_row(
                bar["name"], f"{bar['measured']:g}{unit}", f"{bar['limit']:g}{unit}", "met" if bar["met"] else "MISSED"
            )
    console.print(held)
    for words in (*result["not_recovered"], *(each for session in result["sessions"] for each in session["words"])):
        console.print(words, markup=False)
    for session in result["sessions"]:
        for words in (*session["left"], *session["secrets"]):
            console.print(words, markup=False)


def _three(figures: Mapping[str, float] | None) -> tuple[str, str, str]:
    if figures is None:
        return ("", "", "")
    return (f"{figures['p50']:.0f}", f"{figures['p95']:.0f}", f"{figures['max']:.0f}")
