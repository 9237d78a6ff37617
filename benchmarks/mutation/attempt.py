"""Tries mutants: each in a fork, on the tests that run what is broken; the quick and those that killed others first."""

from __future__ import annotations

import ast
import gc
import importlib
import importlib.abc
import importlib.util
import resource
import sys
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from typing import Any

import pytest
from attrs import define, field, frozen

from benchmarks.mutation import children
from benchmarks.mutation import tests as running
from benchmarks.mutation.mutants import ROOT, Mutant
from benchmarks.mutation.reach import Reach

KILLED, SURVIVED, TIMEOUT, UNREACHED, SAME, UNTRIED = "k", "s", "t", "u", "e", "."
"""Verdicts: a test failed; none did; one hung; no test runs it; the bytecode is the same; not tried."""
BEYOND = "b"
"""Only tests of other rooms failed: of the whole router in simulated time, mostly."""
DEAD = frozenset({KILLED, TIMEOUT, BEYOND})
COLD = "c"
"""Cannot be tried by exchanging bytecode: to be imported broken."""
MEMORY_BYTES = 3_000_000_000


@frozen
class Task:
    """A mutant to be tried: its place in its module's list, and the tests for it, in order."""

    number: int
    mutant: Mutant
    tests: tuple[str, ...]


@define
class Chooser:
    """Which tests are run for a mutant, in which order, within a budget of CPU time."""

    reach: Reach
    budget_s: float
    at_run_time: Callable[[Mutant], bool]
    _killers: Counter[str] = field(init=False, factory=Counter)
    _texts: dict[str, str] = field(init=False, factory=dict)

    def killed_by(self, test: str) -> None:
        """Who has killed is asked earlier the next time."""
        self._killers[test] += 1

    def tests(self, mutant: Mutant) -> tuple[str, ...]:
        """In order: those that killed, the module's own, the quick."""
        if self.at_run_time(mutant):
            found = self.reach.of_lines(mutant.module, mutant.line, mutant.last_line)
            found |= self.reach.of_lines(mutant.module, mutant.first_line, mutant.first_line)
        else:
            found = self._named(mutant)
        own = "/test_" + mutant.module.rsplit("/", 1)[1]
        took_s = self.reach.took_s

        def order(test: str) -> tuple[float, ...]:
            return took_s[test] / (1 + 5 * self._killers[test]) + (0.0 if own in test else 0.01), took_s[test]

        chosen: list[str] = []
        left_s = self.budget_s
        for test in sorted(found, key=order):
            left_s -= took_s[test] + 0.002
            if chosen and left_s < 0:
                continue
            chosen.append(test)
        return tuple(chosen)

    def _named(self, mutant: Mutant) -> set[str]:
        """What is broken outside functions may be felt wherever its name, or its field's, is written."""
        names = {mutant.name, mutant.before.split(":")[0].split("=")[0].split(" ")[0].strip()}
        wanted = {name for name in names if name.isidentifier() and len(name) > 2}
        found = self.reach.of_lines(mutant.module, 1, 2000)
        for (module, line), tests in self.reach.lines.items():
            text = self._line(module, line)
            if any(name in text for name in wanted):
                found |= tests
        return found

    def _line(self, module: str, line: int) -> str:
        if module not in self._texts:
            for number, text in enumerate((ROOT / module).read_text().splitlines(), 1):
                self._texts[f"{module}:{number}"] = text
            self._texts[module] = ""
        return self._texts.get(f"{module}:{line}", "")


# ---------------------------------------------------------------------------------------------------- inside functions


@frozen(kw_only=True)
class How:
    """How mutants are tried.

    Attributes:
        took_s: What each test takes, by its id.
        examples: Of hypothesis, at most; 0 for as many as the suite draws.
        files: Files of tests.
        jobs: Mutants at a time.
    """

    took_s: dict[str, float]
    examples: int
    files: Sequence[str]
    jobs: int = 1


_Told = Callable[[Task, Any], bool]


def _controlled(told: _Told, passes: Callable[[str], bool]) -> _Told:
    """A test kills only if it passes where nothing is broken, run in the same way: asked once for each that kills."""
    known: dict[str, bool] = {"import": True}

    def judged(task: Task, answer: Any) -> bool:
        by = answer.get("by")
        if by is not None and by not in known:
            known[by] = passes(by)
        if by is not None and not known[by]:
            return told(task, {"raised": f"{by} fails where nothing is broken"})
        return told(task, answer)

    return judged


def _in_a_child(do: Callable[[str], bool]) -> Callable[[str], bool]:
    def ask(test: str) -> bool:
        answers: list[Any] = []

        def heard(_: str, answer: Any) -> bool:
            answers.append(answer)
            return True

        children.run_all([test], do, heard)
        return answers == [True]

    return ask


def warm(tasks: Iterator[Task], told: _Told, how: How) -> None:
    """Everything is collected once; each mutant is one function's bytecode exchanged in a fork of that."""

    def each(items: Sequence[pytest.Item]) -> None:
        by_id = {item.nodeid: item for item in items}
        functions = _functions()

        def attempt(task: Task) -> dict[str, Any]:
            with running.silent():
                return _attempt_warm(task, by_id, functions, how.took_s)

        def unbroken(test: str) -> bool:
            with running.silent():
                return running.passes(by_id[test])

        children.run_all(tasks, attempt, _controlled(told, _in_a_child(unbroken)), how.jobs)

    running.collect(how.files, lambda items: each(items), how.examples)


def _functions() -> dict[tuple[str, str, int], list[types.FunctionType]]:
    """Every function of the domain, by file, qualified name and first line, however it is wrapped."""
    found: dict[tuple[str, str, int], list[types.FunctionType]] = defaultdict(list)
    gc.unfreeze()
    for thing in gc.get_objects():
        if type(thing) is types.FunctionType and "/app/domain/" in thing.__code__.co_filename:
            code = thing.__code__
            found[code.co_filename, code.co_qualname, code.co_firstlineno].append(thing)
    gc.freeze()
    return found


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield part
            yield from _codes(part)


def _attempt_warm(
    task: Task, items: dict[str, pytest.Item], functions: Any, took_s: dict[str, float]
) -> dict[str, Any]:
    mutant = task.mutant
    began_s = running.cpu_s()
    path = str(ROOT / mutant.module)
    try:
        whole = compile(mutant.source(), path, "exec", dont_inherit=True)
    except SyntaxError:
        return {"verdict": SAME, "cpu_s": running.cpu_s() - began_s}
    assert mutant.function is not None
    name, line = mutant.function
    broken = next((code for code in _codes(whole) if (code.co_qualname, code.co_firstlineno) == (name, line)), None)
    hit = functions.get((path, name, line), [])
    if broken is None or not hit:
        return {"verdict": COLD, "cpu_s": running.cpu_s() - began_s}
    if _alike(broken, hit[0].__code__):
        return {"verdict": SAME, "cpu_s": running.cpu_s() - began_s}
    try:
        for function in hit:
            function.__code__ = broken
    except ValueError:  # it closes over something else
        return {"verdict": COLD, "cpu_s": running.cpu_s() - began_s}
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for test in task.tests:
        running.limit(took_s[test])
        if not running.passes(items[test]):
            return {"verdict": KILLED, "by": test, "cpu_s": running.cpu_s() - began_s}
    return {"verdict": SURVIVED, "cpu_s": running.cpu_s() - began_s}


def _alike(one: types.CodeType, other: types.CodeType) -> bool:
    if (one.co_code, one.co_names, len(one.co_consts)) != (other.co_code, other.co_names, len(other.co_consts)):
        return False
    pairs = zip(one.co_consts, other.co_consts, strict=True)
    return all(
        _alike(a, b)
        if isinstance(a, types.CodeType) and isinstance(b, types.CodeType)
        else (type(a), a) == (type(b), b)
        for a, b in pairs
    )


# --------------------------------------------------------------------------------------------------- outside functions


class _Broken(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from other words."""

    def __init__(self, mutant: Mutant) -> None:
        name = mutant.module.removesuffix(".py").replace("/", ".")
        self._name, self._mutant = name.removesuffix(".__init__"), mutant

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        package = [str((ROOT / self._mutant.module).parent)] if self._mutant.module.endswith("__init__.py") else None
        return importlib.util.spec_from_file_location(
            fullname, ROOT / self._mutant.module, loader=self, submodule_search_locations=package
        )

    def exec_module(self, module: types.ModuleType) -> None:
        exec(
            compile(self._mutant.source(), str(ROOT / self._mutant.module), "exec", dont_inherit=True), module.__dict__
        )


def cold(tasks: Iterator[Task], told: _Told, how: How) -> None:
    """Each mutant is imported in a fork of this process, which has imported none of our code."""

    def attempt(task: Task) -> dict[str, Any]:
        with running.silent():
            return _attempt_cold(task, how)

    def unbroken(test: str) -> bool:
        with running.silent():
            return _run_cold((test,), how).get("verdict") == SURVIVED

    import hypothesis.stateful  # noqa: F401

    import messages  # noqa: F401  # a leaf: it cannot import what is broken

    children.run_all(tasks, attempt, _controlled(told, _in_a_child(unbroken)), how.jobs)


def _attempt_cold(task: Task, how: How) -> dict[str, Any]:
    mutant = task.mutant
    if not _broken_at_all(mutant):
        return {"verdict": SAME, "cpu_s": 0.0}
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    sys.meta_path.insert(0, _Broken(mutant))
    # Where pytest did not get to the tests, it is to be seen why.
    return {**(_run_cold(task.tests, how) or _not_reached(mutant)), "cpu_s": running.cpu_s()}


def _run_cold(tests: Sequence[str], how: How) -> dict[str, Any]:
    """Collects tests and runs them until one fails."""
    answer: dict[str, Any] = {}

    def each(items: Sequence[pytest.Item]) -> None:
        by_id = {item.nodeid: [item] for item in items}
        by_name: dict[str, list[pytest.Item]] = defaultdict(list)
        for item in items:
            by_name[item.nodeid.split("[")[0]].append(item)
        tried: set[str] = set()
        for test in tests:
            # A broken table may be what a test is repeated over: its cases have other names then, which kills nobody.
            meant = by_id.get(test) or by_name.get(test.split("[")[0]) or []
            for item in meant:
                if item.nodeid in tried:
                    continue
                tried.add(item.nodeid)
                running.limit(how.took_s[test])
                if not running.passes(item):
                    answer.update(verdict=KILLED, by=test)
                    return
            if not meant:  # its file could not be imported
                answer.update(verdict=KILLED, by=test)
                return
        answer.update(verdict=SURVIVED)

    running.limit(60.0)
    running.collect(sorted({test.split("::")[0] for test in tests}), each, how.examples)
    return answer


def _not_reached(mutant: Mutant) -> dict[str, Any]:
    """Whether that is since the mutant cannot be imported, so that every test fails."""
    try:
        importlib.import_module(mutant.module.removesuffix(".py").replace("/", "."))
    except Exception:
        return {"verdict": KILLED, "by": "import"}
    return {"raised": "pytest did not reach its tests, and the mutant can be imported"}


def _broken_at_all(mutant: Mutant) -> bool:
    """Whether it is a program, and another one."""
    try:
        return ast.dump(ast.parse(mutant.source())) != ast.dump(ast.parse((ROOT / mutant.module).read_text()))
    except SyntaxError:
        return False
