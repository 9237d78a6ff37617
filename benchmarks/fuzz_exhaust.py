"""`make fuzz-exhaust`: every scope of exhaustive search, over as many runs as it takes, and what that came to.

What each came to is in `results/fuzz_exhaust.json`, with the commit at which it was searched. Where a search stopped is
beside it, in a file that is not kept in the repository, and is gone on with only by the code that it was left by:
another one would have other runs. While files differ from their commit nothing is gone on with, and nothing is left.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from app.fuzz.exhaust import search, share_s
from app.fuzz.exhaust_progress import Progress, read_searches, write_searches
from app.fuzz.exhaust_scopes import SCOPES
from app.fuzz.keep_file import Refused, must_be_writable, write_whole
from benchmarks import machine

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "fuzz_exhaust.json"
LEFT = RESULTS.with_suffix(".partial.json")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 when nothing was violated, 1 when something was, 64 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="fuzz-exhaust", description="Small scopes, searched exhaustively.")
    parser.add_argument("--only", action="append", choices=list(SCOPES), help="this one; may be given again")
    parser.add_argument("--minutes", type=float, default=240.0, help="end after so long in all, as `fuzz --exhaust`")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="scopes searched at the same time")
    parser.add_argument("--anew", action="store_true", help="forget where searches stopped")
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:
        return 0 if not end.code else 64
    commit = machine.commit(ROOT)
    goes_on = not commit.get("changed_since", False)
    try:
        for path in (RESULTS, LEFT):
            must_be_writable(path)
        left = read_left() if goes_on and not arguments.anew else {}
        kept = _read(RESULTS)
        kept.setdefault("scopes", {})
        searches = [left.get(name) or Progress(scope=name) for name in arguments.only or SCOPES]
        for progress in as_searched(searches, 60.0 * arguments.minutes, arguments.jobs):
            print(progress.words(), flush=True)
            left[progress.scope] = progress
            kept["scopes"][progress.scope] = {**progress.facts(), **commit}
            kept["machine"] = machine.facts()
            write_whole(RESULTS, json.dumps(kept, indent=1) + "\n")
            if goes_on:
                write_searches(LEFT, left)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return refused.code
    return 1 if any(scope["find"] for scope in kept["scopes"].values()) else 0


def read_left() -> dict[str, Progress]:
    """Searches to go on with; none where they were left by other code."""
    try:
        return read_searches(LEFT)
    except Refused as refused:
        print(f"All is searched anew: {refused}", file=sys.stderr)
        return {}


def as_searched(searches: Sequence[Progress], for_s: float, jobs: int) -> Iterator[Progress]:
    """Goes on with each, `jobs` at a time, and yields each as soon as its share of the time is over."""
    until_s, waiting, running = time.monotonic() + for_s, list(searches), set[Future[Progress]]()
    with ProcessPoolExecutor(jobs) as pool:
        while waiting or running:
            while waiting and len(running) < jobs:
                its_s = share_s(until_s - time.monotonic(), len(waiting), jobs)
                running.add(pool.submit(search, waiting.pop(0), its_s))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                yield each.result()


def _read(path: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return kept


if __name__ == "__main__":
    sys.exit(main())
