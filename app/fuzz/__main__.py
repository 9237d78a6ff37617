"""`python -m app.fuzz`: runs seeds and prints what they found."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence

from app.fuzz.plan import PROFILES
from app.fuzz.run import Verdict, run_many, run_seed

TAKING_TURNS = tuple(
    name
    for name, profile in PROFILES.items()
    if profile.unknown_max_notional is None and profile.books is None and profile.ills is None
)
"""Profiles of `--profile all`: which one a seed falls to must not change, so any other is asked for by name."""

STORIES = 3
"""Failing seeds whose story is printed; the others are named."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 when every invariant held in every run, 1 when one did not, 64 when the arguments make no sense."""
    parser = argparse.ArgumentParser(prog="fuzz", description="The whole router in simulated time under drawn faults.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many to run")
    parser.add_argument("--start", type=int, default=0, help="the first")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument(
        "--profile",
        choices=[*PROFILES, "all"],
        default="all",
        help="how rough; all takes turns, but for elsewhere, where positions move, and sick and blinking",
    )
    parser.add_argument("--replay", type=int, metavar="SEED", help="run one seed and print its story")
    parser.add_argument("--json", action="store_true", help="print facts as JSON")
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:
        return 0 if not end.code else 64
    names = TAKING_TURNS if arguments.profile == "all" else (arguments.profile,)
    if arguments.replay is not None:
        return _replay(arguments.replay, names[arguments.replay % len(names)], as_json=arguments.json)
    began_s = time.perf_counter()
    failed: list[Verdict] = []
    n = orders = 0
    simulated_s = 0.0
    for verdict in run_many(range(arguments.start, arguments.start + arguments.seeds), names, arguments.jobs):
        n, orders, simulated_s = n + 1, orders + verdict.orders, simulated_s + verdict.simulated_s
        if not verdict.ok:
            failed.append(verdict)
            if len(failed) <= STORIES and not arguments.json:
                print(_headline(verdict), verdict.story, "", sep="\n", flush=True)
    took_s = time.perf_counter() - began_s
    if arguments.json:
        print(json.dumps(_facts(n, orders, simulated_s, took_s, failed)))
        return 1 if failed else 0
    rules = Counter(verdict.violations[0].rule for verdict in failed)
    for rule, count in rules.most_common():
        first = [v for v in failed if v.violations[0].rule == rule][:8]
        print(f"{count:5}  {rule}: " + ", ".join(f"{v.profile} {v.seed}" for v in first))
    print(
        f"{n} runs, {orders} orders, {simulated_s / 3600:.1f} simulated hours in {took_s:.1f} s"
        f" ({n / took_s:.1f} runs/s): {len(failed)} failed"
    )
    return 1 if failed else 0


def _replay(seed: int, profile: str, *, as_json: bool) -> int:
    verdict = run_seed(seed, profile, story=True)
    if as_json:
        print(json.dumps(_failure(verdict) | {"ok": verdict.ok, "story": verdict.story}))
    else:
        print(_headline(verdict), verdict.story, sep="\n")
    return 0 if verdict.ok else 1


def _headline(verdict: Verdict) -> str:
    result = "held" if verdict.ok else f"violated: {verdict.violations[0].rule}"
    return f"== seed {verdict.seed}, profile {verdict.profile}: {result} =="


def _failure(verdict: Verdict) -> dict[str, object]:
    return {
        "seed": verdict.seed,
        "profile": verdict.profile,
        "violations": [{"rule": v.rule, "order": v.serial, "words": v.words} for v in verdict.violations],
    }


def _facts(n: int, orders: int, simulated_s: float, took_s: float, failed: list[Verdict]) -> dict[str, object]:
    return {
        "runs": n,
        "orders": orders,
        "simulated_s": round(simulated_s, 1),
        "took_s": round(took_s, 3),
        "failed": [_failure(verdict) for verdict in failed],
    }


if __name__ == "__main__":
    sys.exit(main())
