"""Which tests run which lines of the domain, and how long each takes: kept, and looked at anew where a file changed."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import coverage
import pytest
from attrs import define

from benchmarks.mutation import children, mutants
from benchmarks.mutation import tests as running
from benchmarks.mutation.mutants import ROOT

KEPT = ROOT / ".mutation" / "reach.json"
EXAMPLES = 20
"""Of hypothesis, for each test while its lines are looked at: as many as a mutant is tried with first."""


@define
class Reach:
    """The map.

    Attributes:
        took_s: CPU time of each test, by its id; those that fail without any mutant are missing.
        lines: Tests that run a line, by (module, line).
    """

    took_s: dict[str, float]
    lines: dict[tuple[str, int], set[str]]

    def of_lines(self, module: str, first: int, last: int) -> set[str]:
        """Tests that run one of these lines."""
        found: set[str] = set()
        for line in range(first, last + 1):
            found |= self.lines.get((module, line), set())
        return found


def reach(files: list[str]) -> Reach:
    """Of these files of tests: what is kept, brought up to date."""
    found = _brought_up_to_date(files)
    took_s: dict[str, float] = {}
    lines: dict[tuple[str, int], set[str]] = defaultdict(set)
    for part in found.values():
        for test, known in part["tests"].items():
            if not known["passes"]:
                continue
            took_s[test] = known["took_s"]
            for module, numbers in known["lines"].items():
                for number in numbers:
                    lines[module, number].add(test)
    return Reach(took_s, dict(lines))


def _brought_up_to_date(files: list[str]) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    stale = [file for file in files if file not in kept or kept[file]["mark"] != _mark(file, kept[file]["tests"])]
    if stale:

        def told(task: tuple[str, list[pytest.Item]], answer: Any) -> bool:
            file = task[0]
            if "tests" not in answer:
                raise RuntimeError(f"{file} could not be run: {answer.get('raised', answer)}")
            kept[file] = {"mark": _mark(file, answer["tests"]), "tests": answer["tests"]}
            KEPT.parent.mkdir(exist_ok=True)
            KEPT.write_text(json.dumps(kept))
            return True

        def each(items: list[pytest.Item]) -> None:
            by_file: dict[str, list[pytest.Item]] = defaultdict(list)
            for item in items:
                by_file[item.path.relative_to(ROOT).as_posix()].append(item)
            children.run_all(by_file.items(), _look_at, told)

        children.run_all([None], lambda _: running.collect(stale, each, EXAMPLES), lambda _, __: True)
        kept = json.loads(KEPT.read_text())
    return {file: kept[file] for file in files if file in kept}


def at_import() -> set[tuple[str, int]]:
    """Lines that run while the domain is imported, by (module, line): what a function makes there is made for good."""
    found: set[tuple[str, int]] = set()

    def told(_: None, answer: Any) -> bool:
        if not isinstance(answer, list):
            raise RuntimeError(f"The domain could not be imported: {answer.get('raised', answer)}")
        found.update((module, line) for module, line in answer)
        return True

    children.run_all([None], lambda _: _imported(), told)
    return found


def _imported() -> list[tuple[str, int]]:
    meter = coverage.Coverage(data_file=None, config_file=False, include=[f"{mutants.DOMAIN}/*"], messages=False)
    meter.start()
    for module in mutants.modules():
        importlib.import_module(module.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    meter.stop()
    data = meter.get_data()
    return [
        (Path(measured).relative_to(ROOT).as_posix(), line)
        for measured in data.measured_files()
        for line in data.lines(measured) or ()
    ]


def _mark(file: str, tests: dict[str, Any]) -> str:
    """Changes when the file does, or a module whose lines its tests run."""
    modules = {module for test in tests.values() for module in test["lines"]}
    paths = [ROOT / file, *(ROOT / module for module in sorted(modules))]
    return hashlib.sha256(b"".join(path.read_bytes() if path.exists() else b"" for path in paths)).hexdigest()[:12]


def _look_at(task: tuple[str, list[pytest.Item]]) -> dict[str, Any]:
    tests: dict[str, Any] = {}
    # One meter for all: a new one looks anew at every file there is.
    meter = coverage.Coverage(data_file=None, config_file=False, include=[f"{mutants.DOMAIN}/*"], messages=False)
    with running.silent():
        for item in task[1]:
            meter.start()
            meter.switch_context(item.nodeid)
            passes = running.passes(item)
            meter.stop()
            began_s = running.cpu_s()
            passes = passes and running.passes(item)
            took_s = round(running.cpu_s() - began_s, 5)
            tests[item.nodeid] = {"passes": passes, "took_s": took_s, "lines": defaultdict(list)}
    data = meter.get_data()
    for measured in data.measured_files():
        module = Path(measured).relative_to(ROOT).as_posix()
        for line, contexts in sorted(data.contexts_by_lineno(measured).items()):
            for test in contexts:
                if test in tests:
                    tests[test]["lines"][module].append(line)
    return {"tests": tests}
