"""docs/DETECTION.md, written from what was measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.detection.scenarios import BY_NAME, SCENARIOS
from benchmarks.detection.verdict import FAULTS, NOISE, OURS, READINGS, TITLES, asked, false_in, qualify, quickest

INTRO: Final = """\
# Detection

How soon an exchange that is ill is left, and how often one is left that is well. **Nobody wrote the figures**: `make
bench-detection` lets {detectors} detectors choose where to trade in the same simulated world, {days}
of each kind of noise, and writes this page. All of it is in `benchmarks/results/detection.json`. It ends with an error
where a bar is missed.

{stamp}

![How soon an ill exchange is left, and how long an outage must be to be left for]({picture})

## Who is asked

- **this router**: the real pure detector (`app/domain/health.py`) with {quick}
  and the rest as it is by default, so that it asks a well exchange as often as HAProxy does; two kinds of probe each
  time. Where to trade is decided by the coordinator's rules.
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

p50 and p99 of the time from when an exchange is really ill until trading leaves it, in seconds. A dash: not found that
often while it was watched, which is five minutes (an hour at 20 % errors, 15 minutes of a slow ramp).

"""

FALSE: Final = """
## How often wrongly

Switches away from an exchange that is truly well, in this run. Noise that is always there is one run of {days}; what
happens now and then happens as often as the last table says, and the quiet time between is left out.

"""

FLAPS: Final = """
## How often at all

| | flapping: switches an hour | in its worst hour | 20 % errors: switches an hour | in its worst hour |
| --- | ---: | ---: | ---: | ---: |
"""

BESIDE: Final = """
## Who is quickest

Quick is easy for whoever leaves at every hiccup, and costs money each time. So this router is held against the quickest
of those that never left a well exchange. Which ones these are depends on the noise that they had to stand, so here is
each way to look at it; the first one is the bar.

| no false switch | who that is, beside this router | this router is no slower | this router is slower |
| --- | --- | --- | --- |
"""

WHOM: Final[Mapping[str, str]] = {
    READINGS[0]: "in any noise",
    READINGS[1]: "at 1 % and 5 % of random errors",
    READINGS[2]: "in the scenario itself",
}
"""What each reading asks of those that are compared, as an adverb."""

DIFFERS: Final = "nearly everybody: nothing but the fault happens there"
NOT_RUN: Final = "not measured in this run"
NEVER: Final = "-"
NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

WHAT: Final = """
## What happens

| scenario | what happens | what is right | in this run |
| --- | --- | --- | ---: |
"""


def page(results: Mapping[str, Any], picture: str) -> str:
    """The whole page."""
    about = results["about"]
    names = [name for name in TITLES if name in results]
    days = _counted(about["days"], "simulated day")
    parts = [
        INTRO.format(
            stamp=_stamp(about),
            picture=picture,
            detectors=_number(len(names)),
            days=days,
            quick=_settings(results),
        )
    ]
    parts.append("## Bars\n\n| | | measured |\n| --- | --- | --- |\n")
    parts += [f"| {bar['name']} | {_how(bar)} | {_cell(bar['words'])} |\n" for bar in about["bars"] if bar["gate"]]
    parts.append(DELAYS)
    parts.append(_head(names))
    for scenario in SCENARIOS:
        if any(results[name].get(scenario.name, {}).get("n") for name in names):
            cells = [_delay(results[name].get(scenario.name)) for name in names]
            parts.append(f"| {scenario.title} | {' | '.join(cells)} |\n")
            parts += _labelled(results, names, scenario.name)
    parts.append(FALSE.format(days=days))
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
    parts += _beside(results)
    parts.append(WHAT)
    for scenario in SCENARIOS:
        often = _often(results[OURS].get(scenario.name)) if OURS in results else ""
        parts.append(f"| {scenario.title} | {scenario.words} | {scenario.truth} | {often} |\n")
    return "".join(parts).rstrip("\n") + "\n"


def _beside(results: Mapping[str, Any]) -> list[str]:
    """Each fault beside the quickest that are never wrong, by each reading; and who is wrong, and where."""
    faults = [fault for fault in FAULTS if fault in results.get(OURS, {})]
    if not faults:
        return []
    bars = {bar["name"]: bar for bar in results["about"]["bars"]}
    parts = [BESIDE]
    for reading, where in WHOM.items():
        found = {fault: bars.get(f"{fault}: no slower ({reading})") for fault in faults}
        judged = {fault: bar for fault, bar in found.items() if bar is not None and not bar["alone"]}
        better, worse = ([fault for fault, bar in judged.items() if bar["met"] is met] for met in (True, False))
        parts.append(f"| {where} | {_who(results, reading)} | {_faults(better)} | {_faults(worse)} |\n")
    parts.append("\n" + _wrong(results) + "\n\nFault by fault; first p50, then p99:\n\n")
    for fault in faults:
        own = results[OURS][fault]
        parts.append(f"- **{BY_NAME[fault].title}**: this router leaves after {_delay(own)} s.\n")
        parts += [f"  - {_sentence(results, reading, fault)}\n" for reading in WHOM]
    return parts


def _who(results: Mapping[str, Any], reading: str) -> str:
    if reading == READINGS[2]:
        return DIFFERS
    noise = asked(reading, FAULTS[0])[:-1]
    if false_in(results, OURS, noise) is None:
        return NOT_RUN
    names = [name for name in TITLES if not name.startswith(OURS) and false_in(results, name, noise) == {}]
    return ", ".join(TITLES[name] for name in names) or "nobody"


def _wrong(results: Mapping[str, Any]) -> str:
    """Who leaves well exchanges, and in which noise."""
    parts = []
    for name in TITLES:
        found = false_in(results, name, [each for each in NOISE if each in results.get(name, {})])
        if found:
            parts.append(f"{TITLES[name]} ({', '.join(f'{BY_NAME[each].title}: {n}' for each, n in found.items())})")
    return f"Who left a well exchange, and how often in which noise: {'; '.join(parts) or 'nobody'}."


def _sentence(results: Mapping[str, Any], reading: str, fault: str) -> str:
    """Who of those that are never wrong is quickest, and by how much."""
    where = f"without a false switch {WHOM[reading]}"
    if false_in(results, OURS, asked(reading, fault)) is None:
        return f"{where}: {NOT_RUN}"
    names = qualify(results, reading, fault)
    if not names:
        return f"{where}: nobody else, so there is nobody to compare with"
    best = [quickest(results, names, fault, key) for key in ("delay_p50_s", "delay_p99_s")]
    who = list(dict.fromkeys(TITLES[each[0]] for each in best if each is not None))
    if not who:
        return f"{where}: {_and([TITLES[name] for name in names])}, and none of them finds it"
    times = " / ".join(NEVER if each is None else f"{each[1]:.1f}" for each in best)
    slower = [
        results[OURS][fault][key] - each[1]
        for key, each in zip(("delay_p50_s", "delay_p99_s"), best, strict=True)
        if each is not None and results[OURS][fault][key] is not None
    ]
    by = " / ".join(f"{abs(each):.1f}" for each in slower)
    if all(each <= 0 for each in slower):
        how = f"this router is quicker by {by} s"
    elif all(each >= 0 for each in slower):
        how = f"**this router is slower by {by} s**"
    else:
        how = "**this router is quicker in the one and slower in the other**"
    return f"{where}: quickest is {_and(who)} with {times} s; {how}"


def _often(found: Mapping[str, Any] | None) -> str:
    """How much of it there was."""
    if found is None:
        return ""
    runs, days = found["runs"], found["simulated_days"]
    if runs > 1 and found["n"] in (0, runs):
        return f"{runs} times"
    return _counted(days, "day") + (f", {found['n']} trials" if found["n"] else "")


def _faults(names: list[str]) -> str:
    return ", ".join(BY_NAME[name].title for name in names) or NEVER


def _and(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _how(bar: Mapping[str, Any]) -> str:
    if bar["alone"]:
        return "nobody to compare with"
    return "met" if bar["met"] else "**missed**"


def _settings(results: Mapping[str, Any]) -> str:
    """The three settings that matter most, as they were in this run."""
    found = [each["settings"] for each in results.get(OURS, {}).values() if "settings" in each]
    keys = {
        "health_check_interval": "health_check_interval_s",
        "max_retry_attempts": "max_retry_attempts",
        "retry_delay": "retry_delay_s",
    }
    used = found[0] if found else {}
    return ", ".join(f"`{key} = {used[name]:g}`" for key, name in keys.items() if name in used) or "quick settings"


def _number(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def _counted(count: float, what: str) -> str:
    return f"{count:g} {what}" + ("" if count == 1 else "s")


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
        f"Run on {about['date'][:10]}, commit {commit}, seed {about['seed']},"
        f" {_counted(about['days'], 'simulated day')}, {about.get('duration_s', 0) / 60:.1f} minutes with"
        f" {_counted(about['jobs'], 'job')}."
    )


def _cell(words: str) -> str:
    return words.replace("|", "/")
