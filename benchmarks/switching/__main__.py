"""`python -m benchmarks.switching`, or `make bench-switch`: what a switch costs; writes docs/SWITCHING.md.

Ends with 0, or with 1 where a bar was missed, or an order was lost or doubled by the router.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import asdict

from benchmarks import machine
from benchmarks.exchange import ROOT
from benchmarks.figures import percentile
from benchmarks.switching import dead, pages, planned, svg
from benchmarks.switching.verdict import Tally, budget, spread

RESULTS = ROOT / "benchmarks" / "results" / "switching.json"
PAGE = ROOT / "docs" / "SWITCHING.md"
PICTURE = ROOT / "docs" / "switching.svg"
PARTS = ("dead", "planned")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see above."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.switching", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part; the other stays as it was")
    parser.add_argument("--runs", type=int, default=30, help="of each way and death (30)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of death, and of what the market takes (1)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the figures are written, as JSON")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page that is written, beside its picture")
    parser.add_argument("--draw", action="store_true", help="measure nothing: write the page from the figures")
    given = parser.parse_args(arguments)
    result: dict[str, Any] = json.loads(given.output.read_text()) if given.output.exists() else {}
    parts = () if given.draw else tuple(given.only or PARTS)
    with tempfile.TemporaryDirectory(prefix="switching-") as folder:
        if "dead" in parts:
            result["dead"] = {**_about(), **_dead(Path(folder), given.runs, given.seed)}
        if "planned" in parts:
            home = Path(folder) / "planned"
            home.mkdir()
            result["planned"] = {**_about(), **planned.measure(home, seed=given.seed, told=_told)}
    given.output.write_text(json.dumps(result, indent=1) + "\n")
    picture = given.page.parent / PICTURE.name
    if "planned" in result:
        picture.write_text(svg.drawing(_shown(result["planned"])))
    given.page.write_text(pages.page(result, picture.name))
    wrong = broken(result)
    for words in wrong:
        print(words, file=sys.stderr)
    return 1 if wrong else 0


def broken(result: Mapping[str, Any]) -> list[str]:
    """Which bars are missed, a sentence each."""
    found = []
    for death in result.get("dead", {}).get("deaths", ()):
        ours = death["ways"][dead.ROUTER]
        if ours["unanswered"]:
            found.append(f"{death['name']}: in {ours['unanswered']} runs the backup accepted nothing.")
        elif ours["took"]["p95_ms"] > death["bar_ms"]:
            found.append(f"{death['name']}: p95 is {ours['took']['p95_ms']:g} ms, the bar {death['bar_ms']:g}.")
        found += [
            f"{death['name']}: {ours['orders'][name]} orders were {name}."
            for name in ("lost", "doubled")
            if ours["orders"][name]
        ]
    part = result.get("planned")
    if part is not None:
        found += [f"at the start: {words}" for words in part["begun_wrong"]]
        found += part["unexplained"]
        found += [f"at {stop['exchange']}: {words}" for stop in part["stops"] for words in stop["wrong"]]
        if not part["complete"]:
            found.append("The planned journey did not come to its end.")
        found += [
            f"{base} drifted by {value:g}, and a slice is {part['slice_notional']:g}."
            for base, value in part["largest_drift"].items()
            if value > part["slice_notional"]
        ]
    return found


def _about() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": "unknown",
        **machine.commit(ROOT),
        "machine": machine.facts(),
    }


def _dead(folder: Path, runs: int, seed: int) -> dict[str, Any]:
    found = dead.measure(folder, runs=runs, seed=seed, told=_told)
    deaths = []
    for death in dead.DEATHS:
        allowed = budget(dead.HEALTH, silent=death.silent, request_timeout_s=dead.REQUEST_TIMEOUT_S)
        ways = {way: _way(found[way, death.name]) for way in (dead.ROUTER, dead.LOOP)}
        ours = found[dead.ROUTER, death.name]
        names = dict.fromkeys(name for run in ours for name in run.stages)
        stages = {
            name: round(1000 * percentile((run.stages[name] for run in ours if name in run.stages), 50), 1)
            for name in names
        }
        if ways[dead.ROUTER]["took"]:
            stages["accepted"] = ways[dead.ROUTER]["took"]["p50_ms"]
        deaths.append(
            {
                "name": death.name,
                "title": death.title,
                "words": death.words,
                "detection_budget_s": allowed.detection_s,
                "bar_ms": round(1000 * allowed.bar_s, 1),
                "ways": ways,
                "stages": stages,
            }
        )
    return {"every_ms": 1000 * dead.EVERY_S, "health": asdict(dead.HEALTH), "deaths": deaths}


def _way(runs: Sequence[dead.Run]) -> dict[str, Any]:
    times = [run.took_s for run in runs if run.took_s is not None]
    return {
        "took": spread(times) if times else {},
        "took_ms": [round(1000 * each, 1) for each in times],
        "unanswered": len(runs) - len(times),
        "orders": asdict(sum((run.tally for run in runs), Tally())),
    }


def _shown(part: Mapping[str, Any]) -> dict[str, Any]:
    return {**part["curve"], "slice": part["slice_notional"], "stops": part["stops"]}


def _told(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
