"""`make fuzz-exhaust`: every scope of exhaustive search, over as many runs as it takes, and what that came to.

What each came to is in `results/fuzz_exhaust.json`, with the commit at which it was searched. Where a search stopped is
beside it, in a file that is not kept in the repository, and is gone on with only by the code that it was left by:
another one would have other runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from app.fuzz.exhaust import Progress, search
from app.fuzz.exhaust_scopes import SCOPES
from benchmarks import machine

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "fuzz_exhaust.json"
LEFT = RESULTS.with_suffix(".partial.json")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 when nothing was violated, 1 when something was, 64 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="fuzz-exhaust", description="Small scopes, searched exhaustively.")
    parser.add_argument("--only", action="append", choices=list(SCOPES), help="this one; may be given again")
    parser.add_argument("--minutes", type=float, default=50.0, help="how long each scope may take in this run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="scopes searched at the same time")
    parser.add_argument("--anew", action="store_true", help="forget where searches stopped")
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:
        return 0 if not end.code else 64
    commit = machine.commit(ROOT)
    left = {} if arguments.anew else _read(LEFT)
    if left.get("commit") != commit:
        left = {"commit": commit, "scopes": {}}
    kept = _read(RESULTS)
    kept.setdefault("scopes", {})
    work = [(name, left["scopes"].get(name), 60.0 * arguments.minutes) for name in arguments.only or SCOPES]
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for progress in pool.map(_search, work):
            print(progress.words(), flush=True)
            left["scopes"][progress.scope] = progress.as_json()
            kept["scopes"][progress.scope] = {**progress.facts(), **commit}
            kept["machine"] = machine.facts()
            RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
            LEFT.write_text(json.dumps(left))
    return 1 if any(scope["find"] for scope in kept["scopes"].values()) else 0


def _search(work: tuple[str, dict[str, Any] | None, float]) -> Progress:
    name, left, for_s = work
    progress = Progress(scope=name) if left is None else Progress.of(name, left)
    return search(progress, for_s)


def _read(path: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return kept


if __name__ == "__main__":
    sys.exit(main())
