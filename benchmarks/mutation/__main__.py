"""The command line of `make mutation`."""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import machine
from benchmarks.mutation import attempt, mutants, page
from benchmarks.mutation.attempt import Chooser, Task
from benchmarks.mutation.mutants import ROOT, Mutant
from benchmarks.mutation.reach import EXAMPLES, reach
from benchmarks.mutation.results import QUICKLY, RESULTS, Results, read

DECIDING = [
    "leg_table",
    "leg_life",
    "commit",
    "order_life",
    "saga_table",
    "saga_steps",
    "failover",
    "session",
    "session_endings",
    "session_pending",
    "session_targets",
    "leg_watch",
    "placing",
    "unanswered",
    "retries",
    "doubts",
    "restart",
    "supervision",
    "mover",
    "carry",
    "carrying",
    "network",
    "leaving",
    "health_table",
]
"""Modules that decide most: whole, before a sample of all."""
QUICK_S, FULL_S = 1.0, 6.0
"""CPU time of the tests for one mutant: at first, and for one that survived those."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 when it ran; the page says what was found. 64 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="mutation", description="Do the tests of app/domain bite?")
    parser.add_argument("--module", action="append", default=[], help="a module by its name, whole (more than once)")
    parser.add_argument("--deciding", action="store_true", help="the modules that decide most, whole")
    parser.add_argument("--sample", type=int, default=0, help="so many mutants of all modules, drawn by lot")
    parser.add_argument(
        "--survivors", action="store_true", help="try again what survived (of the modules named, or all)"
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="how long this run may take")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    parser.add_argument("--resume", action="store_true", help="go on where the last run stopped (it always does)")
    parser.add_argument("--anew", action="store_true", help="forget earlier runs")
    parser.add_argument("--page", action="store_true", help="only write docs/MUTATION.md")
    parser.add_argument("--show", action="store_true", help="only list the survivors that are not explained")
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:
        return 0 if not end.code else 64
    results = Results() if arguments.anew else read(RESULTS)
    names = [module for module in mutants.modules() if _meant(module, arguments.module)]
    if arguments.show:
        page.show(results, names if arguments.module else list(results.verdicts))
        return 0
    if not arguments.page:
        places = _places(results, arguments, names)
        run = _Run(results, arguments.jobs, time.monotonic() + 60.0 * arguments.minutes)
        run.all(places, again=arguments.survivors)
    page.write(results)
    return 0


def _meant(module: str, names: list[str]) -> bool:
    return module.removeprefix("app/domain/").removesuffix(".py") in names


def _places(results: Results, arguments: Any, names: list[str]) -> list[tuple[str, int]]:
    chosen = list(names)
    if arguments.deciding:
        chosen += [module for module in mutants.modules() if _meant(module, DECIDING)]
    if arguments.survivors and not chosen:
        chosen = list(results.verdicts)
    places = [(module, place) for module in chosen for place in range(len(results.mutants(module)))]
    if arguments.sample:
        places += results.sample(arguments.sample)
    return places


class _Run:
    """One run: quickly first, then what survived with all the suite has."""

    def __init__(self, results: Results, jobs: int, until_s: float) -> None:
        self._results, self._jobs, self._until_s = results, jobs, until_s
        self._reach = reach()
        self._began_s = time.monotonic()
        self._part: dict[str, Any] = {
            **machine.commit(ROOT),
            "mutants": 0,
            "killed": 0,
            "cpu_s": 0.0,
            "duration_s": 0.0,
            "test_files": len({test.split("::")[0] for test in self._reach.took_s}),
            "tests": len(self._reach.took_s),
        }
        results.parts.append(self._part)
        self._written_s = time.monotonic()
        results.write()

    def all(self, places: list[tuple[str, int]], *, again: bool) -> None:
        """Tries these that have no verdict yet, or again those that survived."""
        wanted = {attempt.SURVIVED, QUICKLY, attempt.UNREACHED} if again else {attempt.UNTRIED}
        quick = [(module, place) for module, place in dict.fromkeys(places) if self._verdict(module, place) in wanted]
        self._phase(quick, Chooser(self._reach, QUICK_S), EXAMPLES, QUICKLY)
        rest = [(module, place) for module, place in dict.fromkeys(places) if self._verdict(module, place) == QUICKLY]
        self._phase(rest, Chooser(self._reach, FULL_S), 0, attempt.SURVIVED)
        self._keep()

    def _verdict(self, module: str, place: int) -> str:
        self._results.mutants(module)
        return self._results.verdicts[module][place]

    def _phase(self, places: list[tuple[str, int]], chooser: Chooser, examples: int, survived: str) -> None:
        inside = [each for each in places if self._mutant(each).function is not None]
        self._try(attempt.warm, inside, chooser, examples, survived)
        outside = [each for each in places if self._mutant(each).function is None]
        outside += [each for each in inside if self._verdict(*each) == attempt.COLD]
        self._try(attempt.cold, outside, chooser, examples, survived)

    def _mutant(self, place: tuple[str, int]) -> Mutant:
        return self._results.mutants(place[0])[place[1]]

    def _try(self, way: Any, places: list[tuple[str, int]], chooser: Chooser, examples: int, survived: str) -> None:
        if not places or time.monotonic() > self._until_s:
            return
        if pid := os.fork():  # it will have imported our code, which this process must not have
            _, status = os.waitpid(pid, 0)
            if status != 0:
                raise SystemExit(
                    f"The process that tried mutants ended with status {status}: what it had found is kept."
                )
            self._results.take(read(RESULTS))
            self._part = self._results.parts[-1]
            return

        def tasks() -> Iterator[Task]:
            for place in places:
                tests = chooser.tests(self._mutant(place))
                if tests:
                    yield Task(place[1], self._mutant(place), tests)
                else:
                    self._results.verdicts[place[0]][place[1]] = attempt.UNREACHED

        def told(task: Task, answer: Any) -> bool:
            self._told(task, answer, chooser, survived)
            return time.monotonic() < self._until_s

        code = 70
        try:
            way(tasks(), told, took_s=self._reach.took_s, examples=examples, jobs=self._jobs)
            self._keep()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _told(self, task: Task, answer: Any, chooser: Chooser, survived: str) -> None:
        module = task.mutant.module
        # A driver that failed has found nothing out: the mutant stays to be tried, and it is said below.
        verdict = answer.get("verdict", attempt.TIMEOUT if "died" in answer else attempt.UNTRIED)
        if verdict == attempt.SURVIVED:
            verdict = survived
        if by := answer.get("by"):
            chooser.killed_by(by)
        self._results.verdicts[module][task.number] = verdict
        cpu_s = answer.get("cpu_s", 2.0)
        self._results.cpu_s[module] = self._results.cpu_s.get(module, 0.0) + cpu_s
        self._part["mutants"] += 1
        self._part["killed"] += verdict in (attempt.KILLED, attempt.TIMEOUT)
        self._part["cpu_s"] = round(self._part["cpu_s"] + cpu_s, 3)
        if "raised" in answer:
            print(task.mutant.module, task.mutant.line, answer["raised"], file=sys.stderr)
        if time.monotonic() - self._written_s > 15.0:
            self._keep()

    def _keep(self) -> None:
        self._written_s = time.monotonic()
        self._part["duration_s"] = round(self._written_s - self._began_s, 1)
        self._results.write()


if __name__ == "__main__":
    sys.exit(main())
