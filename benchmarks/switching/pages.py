"""docs/SWITCHING.md, written from what was measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INTRO = """\
# Switching

What a switch costs. **Nobody wrote the figures**: `make bench-switch` measures them on real processes and real
HTTP, with simulated exchanges in a process of their own, whose books say what was executed. All of it is in
`benchmarks/results/switching.json`.
"""

DEAD = """
## The exchange in use dies

A strategy sends a market order every {every_ms:g} ms, whatever became of the ones before. At a moment drawn
from a seed the exchange dies; some time after the first order that the backup has accepted it comes back (2.5 s
where it is silent), so that what was in doubt can be known. The settings are `health_check_interval = 1`,
`max_retry_attempts = 1`, `retry_delay = 0.1` and `request_timeout_s = 1`.
Beside it, the same strategy on what bots are made of: a loop over ccxt's own clients
that tries again once after `retry_delay`, then takes the next exchange and stays there.

{stamp}

- *p50, p95, longest*: from the death to the answer of the first order that the backup accepted.
- *executed twice*: more than once over both exchanges.
- *lost*: executed, though the strategy was told that it was not, or left without knowing; or the other way round.
- *not executed*: and the strategy was told so.
- *waited*: answered only when the exchange was back, since before nobody could know.

"""

DEAD_AFTER = """
The bar is the detection budget of the detector (`app/domain/health.py`) and 300 ms; where the exchange is
silent, a request's time-out more. The budget is for an exchange that falls silent just after a probe, with no
order there to notice; orders that fail are evidence as good as probes, which is why it is hardly used.

The loop moves on as soon as it has heard nothing, and has no way to know what became of the request that it
gives up. Where requests were executed and only the answers were lost, it buys everything again, on the same
exchange first and then on the next. The router holds such orders where they are until it is known, and places
nothing elsewhere meanwhile: that is what waits.
"""

PLANNED = """
## Trading is moved by hand, with everything

{orders} open orders ({kinds}) and {positions} positions go {way}. Before each switch the market takes a tenth
of some orders, which the router has not heard of yet. A switch is over when every order rests on the next
exchange with what was asked less what was filled, every position stands there, and nothing of the strategy's is
anywhere else, by the exchanges' own books. What only reduces goes last, when its position has gone.
`slice_notional = {slice:g}`, `slice_pause_s = {pause:g}`.

{stamp}

![Where positions stand, and the drift of the net]({picture})

The drift is what the net over all exchanges differs by from what the strategy's own orders made it. It is taken
from every execution that the exchanges tell, so no moment between two looks is missed: a slice is opened before
as much is closed, and so it may be one slice, {slice:g}, and not more.

"""


def page(result: Mapping[str, Any], picture: str) -> str:
    """The whole page."""
    parts = [INTRO]
    if dead := result.get("dead"):
        stamp = _stamp(dead)
        if "loop" in dead:  # it does not change with this project
            stamp += f" The loop: {_stamp(dead['loop'])[:1].lower()}{_stamp(dead['loop'])[1:]}"
        parts.append(DEAD.format(every_ms=dead["every_ms"], stamp=stamp))
        for death in dead["deaths"]:
            parts.append(f"### {death['title']}\n\n{death['words']} {_bar_words(death)}\n\n")
            heads = ("p50", "p95", "longest", "orders", "executed twice", "lost", "not executed", "waited")
            parts.append(f"| | {' | '.join(heads)} |\n| --- |{' ---: |' * len(heads)}\n")
            parts += [_dead_row(way, found) for way, found in death["ways"].items()]
            parts.append("\n")
        parts.append("### Why\n" + DEAD_AFTER)
        parts.append("\n" + _stages(dead))
    if planned := result.get("planned"):
        kinds = ", ".join(f"{number} {kind}" for kind, number in planned["kinds"].items())
        parts.append(
            PLANNED.format(
                orders=planned["orders"],
                kinds=kinds,
                positions=len(planned["positions"]),
                way=" → ".join(planned["way"]),
                slice=planned["slice_notional"],
                pause=planned["slice_pause_s"],
                stamp=_stamp(planned),
                picture=picture,
            )
        )
        parts.append("| to | trading had moved after | everything had arrived after | wrong there |\n")
        parts.append("| --- | ---: | ---: | ---: |\n")
        for stop in planned["stops"]:
            took_s = stop["to_s"] - stop["from_s"]
            parts.append(f"| {stop['exchange']} | {stop['switch_s']:.2f} s | {took_s:.1f} s | {len(stop['wrong'])} |\n")
        parts.append("\n| | largest drift | of a slice |\n| --- | ---: | ---: |\n")
        for base, value in planned["largest_drift"].items():
            parts.append(f"| {base} | {value:,.0f} | {value / planned['slice_notional']:.0%} |\n")
    return "".join(parts).rstrip("\n") + "\n"


def _stamp(part: Mapping[str, Any]) -> str:
    commit = part["commit"][:7] + (" and changes" if part.get("changed_since") else "")
    load = part["machine"]["load_before"][0]
    cores = part["machine"]["cores"]
    return f"Measured on {part['date'][:10]}, commit {commit}, {cores} cores, load {load:g} before it began."


def _bar_words(death: Mapping[str, Any]) -> str:
    budget_s, bar_s = death["detection_budget_s"], death["bar_ms"] / 1000
    return f"The detection budget is {budget_s:g} s, the bar at p95 {bar_s:g} s."


def _dead_row(way: str, found: Mapping[str, Any]) -> str:
    took, orders = found["took"], found["orders"]
    times = [f"{took[key] / 1000:.2f} s" if took else "-" for key in ("p50_ms", "p95_ms", "max_ms")]
    numbers = [str(orders[key]) for key in ("asked", "doubled", "lost", "not_done", "waited")]
    return f"| {way} | {' | '.join([*times, *numbers])} |\n"


def _stages(dead: Mapping[str, Any]) -> str:
    """Where the router's time goes, by its own history."""
    heads = ("down is known", "fence", "pre-flight", "commit", "first order accepted")
    parts = [
        "Where the router's time goes, p50 since the death, by its own history of the switch:\n\n",
        f"| | {' | '.join(heads)} |\n| --- |{' ---: |' * len(heads)}\n",
    ]
    for death in dead["deaths"]:
        stages = death["stages"]
        times = [stages.get(name) for name in ("down", "fence", "preflight", "commit", "accepted")]
        shown = ["-" if at_ms is None else f"{at_ms:.0f} ms" for at_ms in times]
        parts.append(f"| {death['name']} | {' | '.join(shown)} |\n")
    return "".join(parts)
