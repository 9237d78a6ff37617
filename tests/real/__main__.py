"""`make fuzz-real`: seeds played against real processes and HTTP, beside what the harness says of the same seeds.

Goes on where it stopped: a seed of a profile that has a verdict is not played again, until the router or what plays it
has changed. Each is written down as soon as it has one, in `benchmarks/results/fuzz_real.json`, beside those of earlier
commits; a run for which the machine was too busy is none, and played again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from app.fuzz.run import run_seed
from benchmarks import machine
from tests.fuzz.planted import PLANTED
from tests.fuzz.planted_named import NAMED
from tests.real.judge import JUDGED, NOT_JUDGED, kept
from tests.real.play import facts_of, play

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "fuzz_real.json"
MEASURED = ("tests/real", "tests/fuzz/planted.py", "tests/fuzz/planted_named.py")
"""Beside the router."""
PROFILES = ("calm", "storm", "crashes", "slow", "split", "flapping")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 when every seed got the same verdict from both, 1 when one did not, 64 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="fuzz-real", description="Seeds played against real processes and HTTP.")
    parser.add_argument("--seeds", type=int, default=5, help="how many of each profile")
    parser.add_argument("--start", type=int, default=0, help="the first")
    parser.add_argument("--profile", choices=PROFILES, action="append", help="only this one; may be given again")
    parser.add_argument("--bug", choices=[*NAMED, *PLANTED], default="", help="plant this bug in both")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no seed after so long")
    parser.add_argument("--story", action="store_true", help="also say what the checkers say of the real run")
    parser.add_argument("--results", type=Path, default=RESULTS)
    try:
        given = parser.parse_args(argv)
    except SystemExit as end:
        return 0 if not end.code else 64
    until_s, differ = time.monotonic() + 60.0 * given.minutes, 0
    for seed, profile in _work(given):
        if time.monotonic() >= until_s:
            break
        found = both(profile, seed, given.bug, story=given.story)
        _keep(given.results, found)
        verdict = "not judged" if not found["judged"] else "the same" if found["same"] else "DIFFERENT"
        print(
            f"{profile} {seed}: {verdict}; simulated {found['simulated']}, real {found['real']},"
            f" {found['orders']} orders, {found['deaths']} deaths, {found['faults']} faults, {found['seconds']:g} s",
            flush=True,
        )
        differ += found["judged"] and not found["same"]
    return 1 if differ else 0


def both(profile: str, seed: int, bug: str = "", *, story: bool = False) -> dict[str, Any]:
    """The verdict of both on one seed."""
    plant = NAMED[bug].plant() if bug in NAMED else PLANTED[bug].plant() if bug else nullcontext()
    with plant:
        simulated = sorted({violation.rule for violation in run_seed(seed, profile).violations})
    with tempfile.TemporaryDirectory(prefix="order-router-real-") as folder:
        played = play(profile, seed, Path(folder), bug=bug)
    if story and played.story:
        print(played.story)
    facts = facts_of(played)
    return {
        **_commit(),
        "profile": profile,
        "seed": seed,
        "bug": bug,
        "simulated": simulated,
        **facts,
        "same": simulated == facts["real"] if not bug else found_by(bug, simulated) and found_by(bug, facts["real"]),
    }


def found_by(bug: str, rules: Sequence[str]) -> bool:
    """Whether a planted bug was found, by a rule that is meant to find it."""
    meant = NAMED[bug].rules if bug in NAMED else PLANTED[bug].rules
    return any(rule.startswith(meant) for rule in rules)


def _work(given: argparse.Namespace) -> Iterator[tuple[int, str]]:
    """A seed of each profile in turn, so that a run that is cut short has seen of all."""
    now = _commit()
    done = {
        (each["profile"], each["seed"], each["bug"])
        for each in _read(given.results)["runs"]
        if each["judged"] and not now.get("changed_since") and _version(each) == _version(now)
    }
    for seed in range(given.start, given.start + given.seeds):
        for profile in given.profile or PROFILES:
            if (profile, seed, given.bug) not in done:
                yield seed, profile


def _commit() -> dict[str, Any]:
    return machine.commit(ROOT, MEASURED)


def _version(of: Mapping[str, Any]) -> tuple[str | None, bool | None]:
    """What was played: the last commit that changed it, and whether it was changed since."""
    return of.get("measured", of.get("commit")), of.get("changed_since")


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"runs": []}
    return found


def _keep(path: Path, run: dict[str, Any]) -> None:
    def identity(of: Mapping[str, Any]) -> tuple[object, ...]:
        return of["profile"], of["seed"], of["bug"], _version(of)

    runs = [each for each in _read(path)["runs"] if identity(each) != identity(run)]
    found = {"runs": [*runs, run], "judged": JUDGED, "not_judged": NOT_JUDGED, "machine": machine.facts()}
    beside = path.with_suffix(".new")
    beside.write_text(kept(found))
    beside.replace(path)


if __name__ == "__main__":
    sys.exit(main())
