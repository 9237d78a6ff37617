"""docs/DETECTION.md, written from what was measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.detection.scenarios import SCENARIOS
from benchmarks.detection.verdict import FAULTS, READINGS, qualify

TITLES: Final = {
    "ours": "this router",
    "haproxy": "HAProxy",
    "envoy": "Envoy",
    "phi": "phi accrual",
    "seed_loop": "plain loop",
    "ours_seed_defaults": "this router, 30/3/5",
}

INTRO: Final = """\
# Detection

How soon an exchange that is ill is left, and how often one is left that is well. **Nobody wrote the figures**: `make
bench-detection` lets five detectors choose where to trade, over simulated months of the same world, and writes this
page. All of it is in `benchmarks/results/detection.json`. It ends with an error where a bar is missed.

{stamp}

![How soon an ill exchange is left, and how long an outage must be to be left for]({picture})

## Who is asked

- **this router**: the real pure detector (`app/domain/health.py`) with `health_check_interval = 2`,
  `max_retry_attempts = 3`, `retry_delay = 2` and the rest as it is by default, so that it asks a well exchange as often
  as HAProxy does; two kinds of probe each time. Where to trade is decided by the coordinator's rules.
- **this router, 30/3/5**: the same with the seed's own settings, which are the defaults.
- **HAProxy**: active checks of the public endpoint, `inter 2s fall 3 rise 2`.
- **Envoy**: outlier detection on the real traffic, 5 errors in a row, ejected for 30 s and longer each time.
- **phi accrual** alone: Akka's, a heartbeat each second, threshold 8, 3 s of acceptable pause.
- **plain loop**: the public endpoint each 30 s, three attempts 5 s apart.

Their rules with sources stand at the top of `benchmarks/detection/anchors.py`. Everybody trades on the first of two
exchanges, moves to the second when the first is down by his own rule and the second is not, and returns by his own
rule. A strategy trades meanwhile: a placement each 5 s, its cancel 2 s later, a read each 2 s, each given up after
10 s. Usual latency is 50 ms and an exponential tail of 30 ms.

"""

DELAYS: Final = """
## How soon

p50 and p99 of the time from when an exchange is really ill until trading leaves it, in seconds. A dash: not within five
minutes (an hour at 20 % errors) that often.

"""

FALSE: Final = """
## How often wrongly

Switches away from an exchange that is truly well, per 30 days. What happens now and then happens so many times in these
30 days, and the quiet time between is left out.

"""

FLAPS: Final = """
## How often at all

| | flapping: switches an hour | in its worst hour | 20 % errors: switches an hour | in its worst hour |
| --- | ---: | ---: | ---: | ---: |
"""

READ: Final = """
## Beside whom

A detector that leaves at every hiccup is quick at no merit, so the bar is the quickest of those that make no false
switch either. Who these are depends on where false switches are counted, so here are three readings: in *all noise*
(every scenario in which nothing is ill; this one is the bar), only with *random errors* of 1 and 5 %, or only in the
scenario at hand (*by scenario*), where nearly everybody qualifies because nothing but the fault happens.

"""

NEVER: Final = "-"

WHAT: Final = """
## What happens

| scenario | what happens | what is right | a month has |
| --- | --- | --- | ---: |
"""


def page(results: Mapping[str, Any], picture: str) -> str:
    """The whole page."""
    about = results["about"]
    parts = [INTRO.format(stamp=_stamp(about), picture=picture)]
    parts.append("## Bars\n\n| | | measured |\n| --- | --- | --- |\n")
    parts += [
        f"| {bar['name']} | {'met' if bar['met'] else '**missed**'} | {_cell(bar['words'])} |\n"
        for bar in about["bars"]
        if bar["gate"]
    ]
    names = [name for name in TITLES if name in results]
    parts.append(DELAYS)
    parts.append(_head(names))
    for scenario in SCENARIOS:
        if any(results[name].get(scenario.name, {}).get("n") for name in names):
            cells = [_delay(results[name].get(scenario.name)) for name in names]
            parts.append(f"| {scenario.title} | {' | '.join(cells)} |\n")
            parts += _labelled(results, names, scenario.name)
    parts.append(FALSE)
    parts.append(_head(names))
    for scenario in SCENARIOS:
        cells = [_false(results[name].get(scenario.name)) for name in names]
        parts.append(f"| {scenario.title} | {' | '.join(cells)} |\n")
    parts.append(FLAPS)
    for name in names:
        cells = []
        for scenario_name in ("flapping_40s", "errors_20"):
            found = results[name].get(scenario_name)
            cells += (
                ["", ""] if found is None else [f"{found['switches_per_hour']:g}", str(found["switches_worst_hour"])]
            )
        parts.append(f"| {TITLES[name]} | {' | '.join(cells)} |\n")
    parts.append(READ)
    parts += _readings(results)
    parts.append(WHAT)
    for scenario in SCENARIOS:
        often = f"{scenario.per_month} of them" if scenario.per_month else "one run"
        parts.append(f"| {scenario.title} | {scenario.words} | {scenario.truth} | {often} |\n")
    return "".join(parts).rstrip("\n") + "\n"


def _readings(results: Mapping[str, Any]) -> list[str]:
    parts = ["| | " + " | ".join(READINGS) + " |\n| --- |" + " --- |" * len(READINGS) + "\n"]
    for fault in FAULTS:
        cells = []
        for reading in READINGS:
            bar = next((b for b in results["about"]["bars"] if b["name"] == f"{fault}: no slower ({reading})"), None)
            if bar is None:
                cells.append("")
                continue
            who = ", ".join(TITLES[name] for name in qualify(results, reading, fault)) or "nobody"
            cells.append(f"{'met' if bar['met'] else '**slower**'}: {_cell(bar['words'])} (beside {who})")
        parts.append(f"| {fault} | {' | '.join(cells)} |\n")
    return parts


def _labelled(results: Mapping[str, Any], names: list[str], scenario: str) -> list[str]:
    labels = sorted(
        {
            label
            for name in names
            for label, found in results[name].get(scenario, {}).items()
            if isinstance(found, Mapping) and "delay_p50_s" in found
        }
    )
    return [
        f"| … {label} | {' | '.join(_delay(results[name].get(scenario, {}).get(label)) for name in names)} |\n"
        for label in labels
    ]


def _head(names: list[str]) -> str:
    return f"| | {' | '.join(TITLES[name] for name in names)} |\n| --- |{' ---: |' * len(names)}\n"


def _delay(found: Mapping[str, Any] | None) -> str:
    if not found or not found["n"]:
        return ""
    p50, p99 = ((NEVER if found[key] is None else f"{found[key]:.1f}") for key in ("delay_p50_s", "delay_p99_s"))
    return NEVER if p50 == p99 == NEVER else f"{p50} / {p99}"


def _false(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    return str(found["false_switches"]) if not found["false_switches"] else f"**{found['false_switches']}**"


def _stamp(about: Mapping[str, Any]) -> str:
    commit = about["commit"][:7] + (" and changes" if about.get("changed_since") else "")
    return (
        f"Run on {about['date'][:10]}, commit {commit}, seed {about['seed']}, {about['days']:g} days,"
        f" {about.get('duration_s', 0) / 60:.1f} minutes with {about['jobs']} jobs."
    )


def _cell(words: str) -> str:
    return words.replace("|", "/")
