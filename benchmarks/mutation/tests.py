"""How tests are run for a mutant: one by one in this process, always with the same examples, a failure ends it.

The tests are those of the pure core and whatever else computes and needs no process, server or socket.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, Phase

from benchmarks.mutation.mutants import ROOT

FOLDERS = ("tests/domain",)
BEYOND = (
    *(f"tests/fuzz/test_{name}.py" for name in ("books", "calm", "crashes", "elsewhere", "flapping", "replacing")),
    *(f"tests/fuzz/test_{name}.py" for name in ("slow", "split", "storm")),
    *(f"tests/journal/test_{name}.py" for name in ("adjustments", "carries", "controls", "look", "totals")),
    *("tests/exchanges/test_outcomes.py", "tests/exchanges/test_symbols.py", "tests/test_together.py"),
    *("tests/cli/test_health_shown.py", "tests/cli/test_orders_shown.py"),
)
"""Tests of other rooms that run the pure core in one process: the whole router in simulated time, before all."""
PLAIN = (
    *("-p", "no:cacheprovider", "-p", "no:xdist", "-q", "-q", "-o", "addopts=", "--import-mode=importlib"),
    *("-m", "not slow and not deep"),
)
AT_LEAST_S, TIMES = 2.0, 20.0
"""A test is stopped after so much CPU time, or so many times what it takes: the mutant hangs."""
WAITED_S = 300
"""Nothing of this waits: what has not ended by then, on a busy machine, is no verdict."""


def tame(item: pytest.Item, examples: int) -> None:
    """At most so many examples of hypothesis (0: as many as the suite draws), the same each time, none shrunk."""
    holder: Any = getattr(item, "obj", None)
    name = "_hypothesis_internal_use_settings"
    if hasattr(holder, name):
        setattr(holder, name, _tamed(getattr(holder, name), examples))
    elif getattr(item, "cls", None) is not None and hasattr(item.cls, "settings"):  # type: ignore[attr-defined]
        item.cls.settings = _tamed(item.cls.settings, examples)  # type: ignore[attr-defined]


def _tamed(before: hypothesis.settings, examples: int) -> hypothesis.settings:
    return hypothesis.settings(
        before,
        max_examples=min(before.max_examples, examples) if examples else before.max_examples,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        report_multiple_bugs=False,
        deadline=None,
        # A machine that is busy is no reason to call a mutant dead.
        suppress_health_check=tuple({*before.suppress_health_check, HealthCheck.too_slow}),
    )


def passes(item: pytest.Item) -> bool:
    """Runs one test."""
    reports = runtestprotocol(item, log=False, nextitem=None)
    return not any(report.failed for report in reports)


def limit(usual_s: float) -> None:
    """The kernel ends this process when the test takes far more CPU time than usual."""
    signal.setitimer(signal.ITIMER_PROF, max(AT_LEAST_S, min(TIMES * usual_s, 10.0 + 5.0 * usual_s)))
    signal.alarm(WAITED_S)


@contextlib.contextmanager
def silent() -> Any:
    """What a broken program writes is of no interest."""
    sink = os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    yield
    os.close(sink)


class Collected:
    """A plugin of pytest: when everything is collected, `then` is called with the tests instead of running them."""

    def __init__(self, then: Callable[[list[pytest.Item]], None], examples: int) -> None:
        self._then, self._examples = then, examples

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for item in session.items:
            tame(item, self._examples)
        gc.collect()
        gc.freeze()
        self._then(session.items)
        return True


def collect(paths: Iterable[str], then: Callable[[list[pytest.Item]], None], examples: int) -> None:
    """Imports and collects tests, and calls `then` with them."""
    sys.dont_write_bytecode = False  # each fork would compile everything anew
    pytest.main([*PLAIN, *(str(ROOT / path) for path in paths)], plugins=[Collected(then, examples)])


def cpu_s() -> float:
    return time.process_time()


def files(places: Iterable[str] = FOLDERS) -> list[str]:
    """Every file of tests there."""
    found: list[Path] = []
    for place in places:
        path = ROOT / place
        found += sorted(path.glob("test_*.py")) if path.is_dir() else [path] if path.exists() else []
    return [path.relative_to(ROOT).as_posix() for path in found]
