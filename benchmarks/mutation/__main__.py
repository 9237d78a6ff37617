"""The command line of `make mutation`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import machine
from benchmarks.mutation import attempt, mutants, page
from benchmarks.mutation import tests as running
from benchmarks.mutation.attempt import Chooser, How, Task
from benchmarks.mutation.mutants import ROOT, Mutant
from benchmarks.mutation.reach import EXAMPLES, at_import, reach
from benchmarks.mutation.results import OPEN, QUICKLY, RESULTS, Results, explain, read

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
QUICK_S, FULL_S, BEYOND_S = 1.0, 1.0, 6.0
"""CPU time of the tests for one mutant: at first, for one that survived those, and in other rooms if it lives on."""
TOGETHER = 250
"""Mutants that go through all tests before the next are begun."""
LIVED = frozenset({attempt.SURVIVED, QUICKLY, attempt.UNREACHED})
DIED = {-signal.SIGPROF: attempt.TIMEOUT, -signal.SIGSEGV: attempt.KILLED, -signal.SIGABRT: attempt.KILLED}
"""What it means that a mutant's process was ended so; anything else (no memory, somebody's kill) means nothing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 when it ran; the page says what was found. 64 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="mutation", description="Do the tests of app/domain bite?")
    parser.add_argument("--module", action="append", default=[], help="a module by its name, whole (more than once)")
    parser.add_argument(
        "--deciding", action="store_true", help="the modules that decide most, whole; or the lot is drawn of them"
    )
    parser.add_argument("--sample", type=int, default=0, help="so many mutants of all modules, drawn by lot")
    parser.add_argument(
        "--survivors", action="store_true", help="try again what survived (of the modules named, or all)"
    )
    parser.add_argument(
        "--beyond", action="store_true", help="try what survived on the tests of other rooms too (slow: whole seeds)"
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
        if arguments.survivors:
            results.remember_first(machine.commit(ROOT)["commit"])
        run = _Run(results, arguments.jobs, time.monotonic() + 60.0 * arguments.minutes)
        run.all(places, again=arguments.survivors)
        if arguments.beyond:
            run.beyond(places)
    page.write(results)
    return 0


def _meant(module: str, names: list[str]) -> bool:
    return module.removeprefix("app/domain/").removesuffix(".py") in names


def _places(results: Results, arguments: Any, names: list[str]) -> list[tuple[str, int]]:
    chosen = list(names)
    deciding = [module for module in mutants.modules() if _meant(module, DECIDING)]
    if arguments.deciding and not arguments.sample:
        chosen += deciding
    if arguments.survivors and not chosen and not arguments.sample:
        chosen = list(results.verdicts)
    places = [(module, place) for module in chosen for place in range(len(results.mutants(module)))]
    if arguments.survivors:
        places = [(module, place) for module, place in places if results.verdicts[module][place] in LIVED]
    if arguments.sample:
        places += results.sample(arguments.sample, deciding if arguments.deciding else None)
    return places


class _Run:
    """One run: quickly first, then what survived with all the suite has."""

    def __init__(self, results: Results, jobs: int, until_s: float) -> None:
        self._results, self._jobs, self._until_s = results, jobs, until_s
        home = reach(running.files())
        self._at_import = at_import()
        self._began_s = time.monotonic()
        self._part: dict[str, Any] = {
            **machine.commit(ROOT),
            "mutants": 0,
            "killed": 0,
            "cpu_s": 0.0,
            "duration_s": 0.0,
            "test_files": len({test.split("::")[0] for test in home.took_s}),
            "tests": len(home.took_s),
        }
        results.parts.append(self._part)
        self._written_s = time.monotonic()
        results.write()

    def all(self, places: list[tuple[str, int]], *, again: bool) -> None:
        """Tries these that have no verdict yet, or again those that survived."""
        wanted, known = LIVED | OPEN if again else OPEN, set(explain(self._results))
        places = [each for each in dict.fromkeys(places) if self._verdict(*each) in wanted and each not in known]
        for begin in range(0, len(places), TOGETHER):  # each lot to its end: a run that is cut short leaves few gaps
            lot = places[begin : begin + TOGETHER]
            begun = set() if again else set(self._with(QUICKLY, lot))
            self._phase([each for each in lot if each not in begun], QUICK_S, EXAMPLES, QUICKLY)
            self._phase(self._with(QUICKLY, lot), FULL_S, 0, attempt.SURVIVED)
        self._keep()

    def beyond(self, places: list[tuple[str, int]]) -> None:
        """Tries what survived on tests of other rooms."""
        lived = self._with(attempt.SURVIVED, places) + self._with(attempt.UNREACHED, places)
        self._phase(lived, BEYOND_S, EXAMPLES, attempt.SURVIVED, running.files(running.BEYOND))
        self._keep()

    def _with(self, verdict: str, places: list[tuple[str, int]]) -> list[tuple[str, int]]:
        return [each for each in places if self._verdict(*each) == verdict]

    def _verdict(self, module: str, place: int) -> str:
        self._results.mutants(module)
        return self._results.verdicts[module][place]

    def _phase(
        self,
        places: list[tuple[str, int]],
        budget_s: float,
        examples: int,
        survived: str,
        beyond: list[str] | None = None,
    ) -> None:
        """Tries these; where `beyond` is given, on the tests of these files instead of those of `tests/domain`."""
        if not places or time.monotonic() > self._until_s:
            return
        files = beyond or running.files()
        reached = reach(files)
        chooser = Chooser(reached, budget_s, self._at_run_time)
        how = How(took_s=reached.took_s, examples=examples, files=files, jobs=self._jobs)
        inside = [each for each in places if self._at_run_time(self._mutant(each))]
        self._try(attempt.warm, inside, chooser, how, survived, beyond is not None)
        outside = [each for each in places if not self._at_run_time(self._mutant(each))]
        outside += self._with(attempt.COLD, inside)
        self._try(attempt.cold, outside, chooser, how, survived, beyond is not None)

    def _at_run_time(self, mutant: Mutant) -> bool:
        """Whether it can be told from the code as it is by exchanging the bytecode of a function."""
        return mutant.function is not None and (mutant.module, mutant.line) not in self._at_import

    def _mutant(self, place: tuple[str, int]) -> Mutant:
        return self._results.mutants(place[0])[place[1]]

    def _try(
        self, way: Any, places: list[tuple[str, int]], chooser: Chooser, how: How, survived: str, beyond: bool
    ) -> None:
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
                elif not beyond:
                    self._results.verdicts[place[0]][place[1]] = attempt.UNREACHED

        def told(task: Task, answer: Any) -> bool:
            self._told(task, answer, chooser, survived, beyond)
            return time.monotonic() < self._until_s

        code = 70
        try:
            way(tasks(), told, how)
            self._keep()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _told(self, task: Task, answer: Any, chooser: Chooser, survived: str, beyond: bool) -> None:
        module = task.mutant.module
        # A driver that failed has found nothing out: the mutant stays to be tried, and it is said below.
        before = self._results.verdicts[module][task.number]
        verdict = answer.get("verdict", DIED.get(answer.get("died"), before if beyond else attempt.UNTRIED))
        if verdict == attempt.SURVIVED:
            verdict = survived
        if beyond and verdict in attempt.DEAD:
            verdict = attempt.BEYOND
        if "died" in answer and answer["died"] not in DIED:
            answer = {"raised": f"ended by {answer['died']}"}
        if by := answer.get("by"):
            chooser.killed_by(by)
        self._results.verdicts[module][task.number] = verdict
        cpu_s = answer.get("cpu_s", 2.0)
        self._results.cpu_s[module] = self._results.cpu_s.get(module, 0.0) + cpu_s
        self._part["mutants"] += 1
        self._part["killed"] += verdict in attempt.DEAD
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
