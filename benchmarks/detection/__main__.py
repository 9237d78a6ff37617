"""`python -m benchmarks.detection`, or `make bench-detection`: who finds an ill exchange how soon, and who is wrong.

Writes benchmarks/results/detection.json, docs/DETECTION.md and its picture. Ends with 0, or with 1 where a bar was
missed. Each detector and scenario is a job of its own, kept as soon as it is done; `--resume` leaves out what was done
by the same rules, worlds, seed and days.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import asdict

from benchmarks import machine
from benchmarks.detection import pages, svg, verdict
from benchmarks.detection.jobs import DETECTORS, LEFT_OUT, OUTAGES, fingerprint, measure
from benchmarks.detection.scenarios import BY_NAME, SCENARIOS
from benchmarks.exchange import ROOT

RESULTS: Final = ROOT / "benchmarks" / "results" / "detection.json"
PAGE: Final = ROOT / "docs" / "DETECTION.md"
PICTURE: Final = "detection.svg"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see above."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", action="append", metavar="DETECTOR or SCENARIO", help="run these; the others stay")
    parser.add_argument("--days", type=float, default=30.0, help="of a month (30)")
    parser.add_argument("--seed", type=int, default=1, help="of the worlds (1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at the same time (one for each core)")
    parser.add_argument("--resume", action="store_true", help="run only what is missing or old")
    parser.add_argument("--draw", action="store_true", help="run nothing: write the page from the figures")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the figures are written, as JSON")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page that is written, beside its picture")
    given = parser.parse_args(arguments)
    names = {*DETECTORS, *BY_NAME, OUTAGES}
    if unknown := [name for name in given.only or () if name not in names]:
        parser.error(f"--only {unknown[0]}: there is {', '.join(sorted(names))}")
    results: dict[str, Any] = json.loads(given.output.read_text()) if given.output.exists() else {}
    if not given.draw:
        results = _run(given, results)
    found = verdict.bars(results)
    if results:
        results["about"]["bars"] = [asdict(bar) for bar in found]
        _write(given.output, results)
        (given.page.parent / PICTURE).write_text(svg.drawing(results))
        given.page.write_text(pages.page(results, PICTURE))
    for bar in found:
        how = "alone" if bar.alone else "met" if bar.met else "MISSED" if bar.gate else "not"
        print(f"{how:<6} {bar.name}: {bar.words}")
    return 0 if all(bar.met for bar in found if bar.gate) else 1


def _run(given: argparse.Namespace, results: dict[str, Any]) -> dict[str, Any]:
    """Runs what is asked for; keeps each result as it comes."""
    kept = {name: dict(results.get(name, {})) for name in DETECTORS}
    about: dict[str, Any] = dict(results.get("about", {}))
    outages: dict[str, Any] = dict(about.get(OUTAGES, {}))
    marks = {name: fingerprint(name) for name in DETECTORS}
    every = [(name, scenario) for scenario in (*BY_NAME, OUTAGES) for name in DETECTORS]
    jobs = [job for job in every if job not in LEFT_OUT]
    if given.only:
        detectors = set(given.only) & set(DETECTORS) or set(DETECTORS)
        scenarios = set(given.only) - set(DETECTORS) or {*BY_NAME, OUTAGES}
        jobs = [(name, scenario) for name, scenario in jobs if name in detectors and scenario in scenarios]
    if given.resume:
        same = {"seed": given.seed, "days": given.days}
        old = {(name, scenario): each for name in kept for scenario, each in kept[name].items()}
        old |= {(name, OUTAGES): each for name, each in outages.items()}
        wanted = {job: {"fingerprint": marks[job[0]], **same} for job in jobs}
        jobs = [job for job in jobs if any(old.get(job, {}).get(key) != each for key, each in wanted[job].items())]
    jobs.sort(key=_cost, reverse=True)
    began_s = time.monotonic()
    about |= {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": "unknown",
        **machine.commit(ROOT),
        "machine": machine.facts(),
        "seed": given.seed,
        "days": given.days,
        "jobs": given.jobs,
        "resumed": bool(given.resume),
    }
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=given.jobs, mp_context=context) as pool:
        running = {pool.submit(measure, *job, given.seed, given.days): job for job in jobs}
        for number, done in enumerate(as_completed(running), 1):
            name, scenario = running[done]
            entry = {**done.result(), "fingerprint": marks[name], "seed": given.seed, "days": given.days}
            entry["commit"] = about["commit"]
            (outages if scenario == OUTAGES else kept[name])[name if scenario == OUTAGES else scenario] = entry
            about[OUTAGES] = outages
            about["duration_s"] = round(time.monotonic() - began_s, 1)
            results = {name: _sorted(each) for name, each in kept.items() if each} | {"about": about}
            _write(given.output, results)
            print(f"{number} of {len(jobs)}: {name}, {scenario}, {entry['took_s']:.1f} s", file=sys.stderr, flush=True)
    return results


def _cost(job: tuple[str, str]) -> float:
    """Longest first, so that no core waits for the other in the end."""
    detector, scenario = job
    months = {"errors_1": 30.0, "errors_5": 30.0, "bursts": 30.0, "errors_20": 32.0, "flapping_40s": 2.0}
    each = {"ours": 5.0, "ours_seed_defaults": 1.8, "phi": 0.9}
    return months.get(scenario, 1.0) * each.get(detector, 0.5)


def _sorted(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {scenario.name: entries[scenario.name] for scenario in SCENARIOS if scenario.name in entries}


def _write(path: Path, results: Mapping[str, Any]) -> None:
    """At once, so that a run that is killed leaves what it had."""
    new = path.with_suffix(".part")
    new.write_text(json.dumps(results, indent=1) + "\n")
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main())
