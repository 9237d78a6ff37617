"""`order-router fuzz`: runs seeds and prints what they found."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence

from attrs import define, field

from app.fuzz import vfs
from app.fuzz.arguments import arguments_of
from app.fuzz.exhaust import exhaust_and_tell
from app.fuzz.keep_file import EX_UNAVAILABLE, EX_USAGE, Refused
from app.fuzz.kept import replay_case, shrink_and_tell
from app.fuzz.profiles import PROFILES
from app.fuzz.reached import Where, as_json, report
from app.fuzz.run import Verdict, run_many, run_seed

TAKING_TURNS = tuple(name for name, profile in PROFILES.items() if profile.ills is None)
"""Profiles of `--profile all`. Those of illness last three times as long, and are asked for by name."""

STORIES = 3
"""Failing seeds whose story is printed; the others are named."""

TELL_S = 2.0
"""Between two words on how far it is, on a terminal."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what is asked for.

    Returns:
        0 when every invariant held in every run, 1 when one did not, 64 when the arguments or a file make no sense,
        66 when a file cannot be read, 69 when nothing of it can be run by this Python, 70 when a search cannot go on,
        73 when nothing can be kept where it is to be.
    """
    try:
        return _run(arguments_of(argv))
    except SystemExit as end:
        return EX_USAGE if end.code else 0
    except Refused as refused:
        print(refused, file=sys.stderr)
        return refused.code


def _run(arguments: argparse.Namespace) -> int:
    seed = None if arguments.exhaust is not None or arguments.replay is None else int(arguments.replay)
    if arguments.exhaust is not None:
        minutes, replay, keep = arguments.minutes, arguments.replay, arguments.keep
        return exhaust_and_tell(arguments.exhaust, minutes=minutes, replay=replay, keep=keep, as_json=arguments.json)
    names = TAKING_TURNS if arguments.profile == "all" else (arguments.profile,)
    if arguments.replay_plan is not None:
        return replay_case(arguments.replay_plan, as_json=arguments.json)
    wanted = range(arguments.start, arguments.start + arguments.seeds) if seed is None else (seed,)
    seeds = _that_can_be_run(wanted, names)
    if not seeds:
        return EX_UNAVAILABLE
    if seed is not None:
        name = names[seed % len(names)]
        if arguments.shrink:
            for_s = None if arguments.minutes is None else 60 * arguments.minutes
            return shrink_and_tell(seed, name, for_s=for_s, keep=arguments.keep, as_json=arguments.json)
        return _replay(seed, name, as_json=arguments.json)
    counts = Counts(len(seeds), quiet=arguments.json)
    until_s = None if arguments.minutes is None else time.monotonic() + 60 * arguments.minutes
    for verdict in run_many(seeds, names, arguments.jobs, coverage=arguments.coverage):
        counts.add(verdict)
        if until_s is not None and time.monotonic() >= until_s:
            break
    print(json.dumps(counts.facts()) if arguments.json else counts.words())
    if arguments.coverage and not arguments.json:
        print("", *report(counts.reached), sep="\n")
    return 1 if counts.failed else 0


def _that_can_be_run(seeds: Sequence[int], names: Sequence[str]) -> Sequence[int]:
    """Leaves out those that this Python cannot run, and says so."""
    if vfs.reachable():
        return seeds
    here = [seed for seed in seeds if PROFILES[names[seed % len(names)]].disk is None]
    if len(here) < len(seeds):
        print(f"{vfs.OUT_OF_REACH} {len(seeds) - len(here)} of {len(seeds)} seeds are left out.", file=sys.stderr)
    return here


@define
class Counts:
    """What a batch of runs came to, told as it goes."""

    wanted: int
    quiet: bool = field(kw_only=True)
    began_s: float = field(init=False, factory=time.perf_counter)
    runs: int = field(init=False, default=0)
    orders: int = field(init=False, default=0)
    simulated_s: float = field(init=False, default=0.0)
    reached: Counter[Where] = field(init=False, factory=Counter)
    by_profile: dict[str, list[int]] = field(init=False, factory=dict)
    failed: list[Verdict] = field(init=False, factory=list)
    _told_s: float = field(init=False, factory=time.perf_counter)

    def add(self, verdict: Verdict) -> None:
        """One more."""
        self.runs, self.orders = self.runs + 1, self.orders + verdict.orders
        self.simulated_s += verdict.simulated_s
        self.reached.update(verdict.reached)
        row = self.by_profile.setdefault(verdict.profile, [0, 0])
        row[0], row[1] = row[0] + 1, row[1] + (not verdict.ok)
        if not verdict.ok:
            self.failed.append(verdict)
            if len(self.failed) <= STORIES and not self.quiet:
                self._clear()
                print(_headline(verdict), verdict.story, "", sep="\n", flush=True)
        now_s = time.perf_counter()
        if sys.stderr.isatty() and not self.quiet and now_s >= self._told_s + TELL_S:
            self._told_s = now_s
            speed = self.runs / (now_s - self.began_s)
            words = f"{self.runs:,} of {self.wanted:,} runs, {speed:.1f} a second, {len(self.failed)} failed"
            print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def facts(self) -> dict[str, object]:
        """For programs."""
        reached: dict[str, object] = {"reached": as_json(self.reached)} if self.reached else {}
        return reached | {
            "runs": self.runs,
            "orders": self.orders,
            "simulated_s": round(self.simulated_s, 1),
            "took_s": round(time.perf_counter() - self.began_s, 3),
            "profiles": {name: {"runs": runs, "failed": failed} for name, (runs, failed) in self.by_profile.items()},
            "failed": [_failure(verdict) for verdict in self.failed],
        }

    def words(self) -> str:
        """For people."""
        self._clear()
        took_s = time.perf_counter() - self.began_s
        lines = [f"{'profile':12} {'runs':>7} {'failed':>7}"]
        lines += [f"{name:12} {runs:7,} {failed:7,}" for name, (runs, failed) in sorted(self.by_profile.items())]
        rules: dict[str, list[Verdict]] = {}
        for verdict in self.failed:
            rules.setdefault(verdict.violations[0].rule, []).append(verdict)
        for rule, broken in sorted(rules.items(), key=lambda item: -len(item[1])):
            seeds = ", ".join(f"{v.profile} {v.seed}" for v in broken[:8])
            lines.append(f"{len(broken):,} times {rule}: {seeds}{', ...' if len(broken) > 8 else ''}")
        if self.failed:
            first = self.failed[0]
            lines.append(f"The first again: order-router fuzz --profile {first.profile} --replay {first.seed}")
        lines.append(
            f"{self.runs:,} runs, {self.orders:,} orders, {self.simulated_s / 3600:,.1f} simulated hours in "
            f"{took_s:,.1f} s ({self.runs / took_s:.1f} runs a second): {len(self.failed):,} failed"
        )
        return "\n".join(lines)


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
        "violations": [violation.facts() for violation in verdict.violations],
    }


if __name__ == "__main__":
    sys.exit(main())
