"""`make fuzz-deep`: very many seeds of the deterministic harness, over as many runs as it takes, with what they found.

Every profile takes its turn, those of illness, which last three times as long, half as often.

Each run goes on where the last one stopped: how far that was is in `results/fuzz_deep.json`, with the commit, the seeds
and the time of every part; where they have been is in `results/fuzz_reached.json`. Written after every hundred seeds,
so that a run that is killed has not run for nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.fuzz.__main__ import TAKING_TURNS
from app.fuzz.profiles import PROFILES
from app.fuzz.reached import Where, as_json, from_json
from app.fuzz.run import Verdict, run_many
from benchmarks import machine

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "fuzz_deep.json"
REACHED = RESULTS.with_name("fuzz_reached.json")
TURNS = (*TAKING_TURNS, *TAKING_TURNS, *(name for name in PROFILES if name not in TAKING_TURNS))
EXAMPLES = 100_000
AT_ONCE = 100
"""Seeds between two writings."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 when every invariant held in every seed of this run, 1 when one did not, 64 for wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="fuzz-deep", description="Very many seeds, resumed where the last run stopped."
    )
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="how many in all, over all runs")
    parser.add_argument("--minutes", type=float, default=50.0, help="how long this run may take")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where what was found is kept")
    parser.add_argument("--anew", action="store_true", help="forget earlier runs, and begin with the first seed")
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:
        return 0 if not end.code else 64
    kept = _read(arguments.results)
    parts = [] if arguments.anew else kept["parts"]
    first = max((part["seeds"][1] for part in parts), default=0)
    until_s = time.monotonic() + 60.0 * arguments.minutes
    part = _part(first)
    beside = arguments.results.with_name(REACHED.name)
    reached = Counter[Where]() if arguments.anew else from_json(_read(beside).get("reached", {}))
    while part["seeds"][1] < arguments.examples and time.monotonic() < until_s:
        begin = part["seeds"][1]
        up_to = min(arguments.examples, begin + AT_ONCE)
        began_s = time.perf_counter()
        for verdict in run_many(range(begin, up_to), TURNS, arguments.jobs, coverage=True):
            _count(part, verdict)
            reached.update(verdict.reached)
        part["seeds"][1] = up_to
        part["duration_s"] = round(part["duration_s"] + time.perf_counter() - began_s, 1)
        _write(arguments.results, kept | {"parts": [*parts, part], "machine": machine.facts()})
        runs = sum(each["seeds"][1] - each["seeds"][0] for each in (*parts, part))
        _write(beside, {"runs": runs, "reached": as_json(reached)})
    failed = part["failed"]
    print(
        f"{part['seeds'][1]} of {arguments.examples} examples; in this run {part['seeds'][1] - first} in "
        f"{part['duration_s']} s, {len(failed)} failed"
    )
    for each in failed[:20]:
        print(f"  {each['profile']} {each['seed']}: {each['rule']}: {each['words']}")
    return 1 if failed else 0


def _part(first: int) -> dict[str, Any]:
    return {
        **machine.commit(ROOT),
        "seeds": [first, first],
        "profiles": list(TURNS),
        "orders": 0,
        "simulated_h": 0.0,
        "duration_s": 0.0,
        "failed": [],
    }


def _count(part: dict[str, Any], verdict: Verdict) -> None:
    part["orders"] += verdict.orders
    part["simulated_h"] = round(part["simulated_h"] + verdict.simulated_s / 3600, 3)
    if not verdict.ok:
        first = verdict.violations[0]
        failed = {"seed": verdict.seed, "profile": verdict.profile, "rule": first.rule, "words": first.words}
        part["failed"].append(failed)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {"parts": []}
    kept: dict[str, Any] = json.loads(path.read_text())
    return kept


def _write(path: Path, kept: dict[str, Any]) -> None:
    text = json.dumps(kept, indent=1)
    beside = path.with_suffix(".new")
    beside.write_text(text + "\n")
    beside.replace(path)


if __name__ == "__main__":
    sys.exit(main())
