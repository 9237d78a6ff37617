"""From what detectors did to figures, and from figures to bars: pure, so that what is claimed can be tested.

Three readings of who is quick *and* right, since a detector that leaves at every hiccup is quick at no merit:

- *all noise*: no false switch in any scenario in which nothing is ill. This is the bar.
- *random errors*: none at 1 % and at 5 % of errors.
- *by scenario*: none in the very scenario whose delay is looked at, which nearly everybody manages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from benchmarks.detection.anchors import ANCHORS
from benchmarks.detection.scenarios import SCENARIOS, Scenario
from benchmarks.detection.trial import Played
from benchmarks.figures import percentile

OURS: Final = "ours"
TITLES: Final = {
    OURS: "this router",
    "haproxy": "HAProxy",
    "envoy": "Envoy",
    "phi": "phi accrual",
    "seed_loop": "plain loop",
    "ours_seed_defaults": "this router, 30/3/5",
}
"""What the detectors are called for people, in this order."""
FAULTS: Final = tuple(scenario.name for scenario in SCENARIOS if scenario.fault)
NOISE: Final = tuple(scenario.name for scenario in SCENARIOS if scenario.noise)
RANDOM: Final = ("errors_1", "errors_5")
READINGS: Final = ("all noise", "random errors", "by scenario")
HOUR_S: Final = 3600.0
MOST_AN_HOUR: Final = 2


def figures(scenario: Scenario, played: Sequence[Played]) -> dict[str, Any]:
    """What one detector did in one scenario.

    A fault that was not found in time counts as found never: where a percentile falls on one, it is None.
    """
    delays = [delay for each in played for delay in each.delays]
    simulated_s = sum(each.length_s for each in played)
    switches = sum(len(each.switches_at_s) for each in played)
    found: dict[str, Any] = {
        "delay_p50_s": _percentile((delay for _, delay in delays), 50),
        "delay_p99_s": _percentile((delay for _, delay in delays), 99),
        "false_switches": sum(len(each.false_at_s) for each in played),
        "missed": sum(delay is None for _, delay in delays),
        "n": len(delays),
        "runs": len(played),
        "switches": switches,
        "switches_per_hour": round(switches / simulated_s * HOUR_S, 3) if simulated_s else 0.0,
        "switches_worst_hour": max((worst_hour(each.switches_at_s) for each in played), default=0),
        "simulated_days": round(simulated_s / 86_400.0, 3),
        "calls": sum(each.calls for each in played),
        "verdict": next((each.words for each in played if each.words), ""),
    }
    labels = sorted({label for label, _ in delays if label})
    for label in labels if len(labels) > 1 else ():
        own = [delay for other, delay in delays if other == label]
        found[label] = {
            "delay_p50_s": _percentile(own, 50),
            "delay_p99_s": _percentile(own, 99),
            "missed": sum(delay is None for delay in own),
            "n": len(own),
        }
    return found


def worst_hour(at_s: Sequence[float]) -> int:
    """The most switches within any hour."""
    most = first = 0
    for last, each_s in enumerate(at_s):
        while at_s[first] <= each_s - HOUR_S:
            first += 1
        most = max(most, last - first + 1)
    return most


def _percentile(delays: Iterable[float | None], percent: float) -> float | None:
    values = [math.inf if delay is None else delay for delay in delays]
    if not values:
        return None
    value = percentile(values, percent)
    return None if math.isinf(value) else round(value, 3)


@frozen(kw_only=True)
class Bar:
    """One thing that is asked of the router's detector.

    Attributes:
        gate: Whether missing it makes the run fail.
        alone: It compares, and there was nobody to compare with: it is not missed, and says nothing.
    """

    name: str
    met: bool
    words: str
    gate: bool = True
    alone: bool = False


def asked(reading: str, fault: str) -> tuple[str, ...]:
    """The scenarios in which false switches count, by a reading, where a fault is looked at."""
    return {READINGS[0]: (*NOISE, fault), READINGS[1]: (*RANDOM, fault), READINGS[2]: (fault,)}[reading]


def false_in(results: Mapping[str, Any], name: str, scenarios: Iterable[str]) -> dict[str, int] | None:
    """False switches of a detector, by scenario, of those where there are any; None where one was not run."""
    found = results.get(name, {})
    if any(each not in found for each in scenarios):
        return None
    return {each: count for each in scenarios if (count := found[each]["false_switches"])}


def qualify(results: Mapping[str, Any], reading: str, fault: str) -> list[str]:
    """Anchors that make no false switch, by a reading, where a fault is looked at."""
    return [name for name in ANCHORS if false_in(results, name, asked(reading, fault)) == {}]


def quickest(results: Mapping[str, Any], names: Iterable[str], fault: str, key: str) -> tuple[str, float] | None:
    """Who has the smallest delay; None where nobody found it that often."""
    known = [(results[name][fault][key], name) for name in names if results[name][fault][key] is not None]
    return (min(known)[1], min(known)[0]) if known else None


def compared(results: Mapping[str, Any], fault: str, reading: str) -> Bar:
    """Whether ours is no slower than the quickest that qualifies, and in words."""
    ours = results[OURS][fault]
    names = qualify(results, reading, fault)
    met, words = True, []
    for key, title in (("delay_p50_s", "p50"), ("delay_p99_s", "p99")):
        own, best = ours[key], quickest(results, names, fault, key)
        if own is None:
            met = False
            words.append(f"{title}: not found")
        elif best is None:
            words.append(f"{title} {own:.2f} s" + (", found by none of the others" if names else ""))
        else:
            name, other = best
            met = met and own <= other
            words.append(f"{title} {own:.2f} s, {TITLES[name]} {other:.2f} s")
    if not names:
        words.append("no other rule is without a false switch")
    return Bar(
        name=f"{fault}: no slower ({reading})",
        met=met,
        words="; ".join(words),
        gate=reading == READINGS[0],
        alone=met and not names,
    )


def bars(results: Mapping[str, Any]) -> list[Bar]:
    """Every bar that the results can tell of, and the other readings beside them, which gate nothing."""
    ours = results.get(OURS, {})
    out = []
    for name in RANDOM:
        if name in ours:
            false = ours[name]["false_switches"]
            days = ours[name]["simulated_days"]
            out.append(Bar(name=f"no false switch, {name}", met=not false, words=f"{false} in {days:g} days"))
    others = [name for name in ours if name not in RANDOM]
    if others:
        wrong = {name: ours[name]["false_switches"] for name in others if ours[name]["false_switches"]}
        words = ", ".join(f"{name}: {count}" for name, count in wrong.items()) or f"none in {len(others)} scenarios"
        out.append(Bar(name="no false switch anywhere else", met=not wrong, words=words))
    if "errors_20" in ours:
        twenty = ours["errors_20"]
        judged = bool(twenty["verdict"]) and not twenty["missed"]
        words = f"found {twenty['n'] - twenty['missed']} of {twenty['n']} times: {twenty['verdict'] or 'no reason'}"
        out.append(Bar(name="20 % errors are judged as illness, with a reason", met=judged, words=words))
        out.append(_hourly("20 % errors", twenty))
    if "flapping_40s" in ours:
        out.append(_hourly("flapping each 40 s", ours["flapping_40s"]))
    for fault in FAULTS:
        if fault not in ours:
            continue
        missed = ours[fault]["missed"]
        out.append(Bar(name=f"{fault}: found", met=not missed, words=f"{missed} of {ours[fault]['n']} missed"))
        for reading in READINGS:
            if all(fault in results.get(name, {}) for name in ANCHORS):
                out.append(compared(results, fault, reading))
    return out


def _hourly(title: str, found: Mapping[str, Any]) -> Bar:
    worst = found["switches_worst_hour"]
    words = f"at most {worst} in any hour, {found['switches']} in {found['simulated_days']:g} days"
    return Bar(name=f"{title}: at most {MOST_AN_HOUR} switches an hour", met=worst <= MOST_AN_HOUR, words=words)
