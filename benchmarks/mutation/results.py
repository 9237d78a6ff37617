"""What is known of each mutant, over as many runs as it takes: `benchmarks/results/mutation.json`.

A module's verdicts are one letter for each mutant in the order of its list (`attempt` says which), and count while the
module is the same; when it changes, it is begun anew.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from benchmarks.mutation import attempt, mutants
from benchmarks.mutation.mutants import ROOT, Mutant

RESULTS = ROOT / "benchmarks" / "results" / "mutation.json"
EXPLAINED = Path(__file__).parent / "explained.toml"
QUICKLY = "q"
"""Survived the quick tests with few examples; not yet tried on all with as many as the suite draws."""
DECIDED = frozenset({*attempt.DEAD, attempt.SURVIVED, QUICKLY, attempt.UNREACHED})
OPEN = frozenset({attempt.UNTRIED, attempt.COLD, QUICKLY})
"""What is no last verdict."""


@frozen
class Count:
    """What became of some mutants; those with the same bytecode are no mutants.

    Attributes:
        beyond: Killed by tests of other rooms only.
        survived: As far as it was tried, and not explained.
        quickly: Of those, tried with few examples and little time only.
    """

    mutants: int
    killed: int
    timeouts: int
    beyond: int
    survived: int
    quickly: int
    unreached: int
    equivalent: int

    @property
    def dead(self) -> int:
        """Killed in any way."""
        return self.killed + self.timeouts + self.beyond

    @property
    def of_all(self) -> float:
        """Killed, of all, though some change nothing."""
        return self.dead / max(1, self.mutants)

    @property
    def share(self) -> float:
        """Killed of those that could be."""
        return self.dead / max(1, self.mutants - self.equivalent)

    @property
    def here(self) -> float:
        """Killed by `tests/domain` alone, of those that could be."""
        return (self.killed + self.timeouts) / max(1, self.mutants - self.equivalent)

    def interval(self) -> tuple[float, float]:
        """In which the true share of all lies with 95 % (Wilson), were these drawn by lot from very many."""
        number, share, z = max(1, self.mutants), self.of_all, 1.96
        middle = (share + z * z / (2 * number)) / (1 + z * z / number)
        half = z * math.sqrt(share * (1 - share) / number + z * z / (4 * number * number)) / (1 + z * z / number)
        return middle - half, middle + half


@define
class Results:
    """All that is known.

    Attributes:
        first: What became of the sample before any test was written for what survived of it.
    """

    verdicts: dict[str, list[str]] = field(factory=dict)
    cpu_s: dict[str, float] = field(factory=dict)
    parts: list[dict[str, Any]] = field(factory=list)
    first: dict[str, Any] = field(factory=dict)
    lists: dict[str, list[Mutant]] = field(factory=dict)
    path: Path = RESULTS

    def mutants(self, module: str) -> list[Mutant]:
        """A module's mutants, whose verdicts are ready to be filled in."""
        if module not in self.lists:
            found = self.lists[module] = mutants.mutants(module)
            if module not in self.verdicts or len(self.verdicts[module]) != len(found):
                self.verdicts[module] = [attempt.UNTRIED] * len(found)
                self.cpu_s[module] = 0.0
        return self.lists[module]

    def take(self, other: Results) -> None:
        """What another process has found out since."""
        self.verdicts.update(other.verdicts)
        self.cpu_s.update(other.cpu_s)
        self.parts, self.first = other.parts, other.first

    def complete(self, module: str) -> bool:
        """Whether each of its mutants has its last verdict."""
        self.mutants(module)
        return not OPEN & set(self.verdicts[module])

    def sample(self, number: int, modules: Iterable[str] | None = None) -> list[tuple[str, int]]:
        """So many mutants of all modules, or of some, drawn by lot; the same ones while the code is."""
        drawn = [
            (mutant.rank, module, place)
            for module in (mutants.modules() if modules is None else modules)
            for place, mutant in enumerate(self.mutants(module))
            if self.verdicts[module][place] != attempt.SAME
        ]
        return [(module, place) for _, module, place in sorted(drawn)[:number]]

    def count(self, places: list[tuple[str, int]], explained: set[tuple[str, int]]) -> Count:
        """What became of these, of which some are explained to change nothing."""
        found = Counter(self.verdicts[module][place] for module, place in places)
        lived = (attempt.SURVIVED, QUICKLY)
        equals = Counter(self.verdicts[module][place] for module, place in places if (module, place) in explained)
        return Count(
            mutants=sum(found[verdict] for verdict in DECIDED),
            killed=found[attempt.KILLED],
            timeouts=found[attempt.TIMEOUT],
            beyond=found[attempt.BEYOND],
            survived=sum(found[each] - equals[each] for each in lived),
            quickly=found[QUICKLY] - equals[QUICKLY],
            unreached=found[attempt.UNREACHED] - equals[attempt.UNREACHED],
            equivalent=sum(equals[each] for each in (*lived, attempt.UNREACHED)),
        )

    def remember_first(self, commit: str) -> None:
        """Keeps what became of the sample, before what survived is tried again with other tests."""
        count = self.count(self.sampled(mutants.modules()), set())
        if not self.first and count.mutants:
            self.first = {"commit": commit, "drawn": count.mutants, "killed": count.dead}

    def sampled(self, modules: Iterable[str]) -> list[tuple[str, int]]:
        """As many of the lot as are tried without a gap: so whole modules do not weigh more than their part."""
        tried: list[tuple[str, int]] = []
        for module, place in self.sample(10**9, modules):
            if self.verdicts[module][place] in (attempt.UNTRIED, attempt.COLD):
                break
            tried.append((module, place))
        return tried

    def write(self) -> None:
        """Keeps it, all at once."""
        known = {
            module: {
                "digest": mutants.digest(module),
                "verdicts": "".join(verdicts),
                **{name: verdicts.count(letter) for name, letter in NAMES.items()},
                "cpu_s": round(self.cpu_s.get(module, 0.0), 1),
            }
            for module, verdicts in sorted(self.verdicts.items())
            if set(verdicts) != {attempt.UNTRIED}
        }
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"first": self.first, "parts": self.parts, "modules": known}, indent=1) + "\n")
        new.replace(self.path)


NAMES = {
    "killed": attempt.KILLED,
    "killed_beyond": attempt.BEYOND,
    "survived": attempt.SURVIVED,
    "timeouts": attempt.TIMEOUT,
    "survived_quick_tests": QUICKLY,
    "unreached": attempt.UNREACHED,
    "same_bytecode": attempt.SAME,
    "untried": attempt.UNTRIED,
}


def read(path: Path = RESULTS) -> Results:
    """What is kept, without the modules that have changed since."""
    results = Results(path=path)
    if path.exists():
        kept = json.loads(path.read_text())
        results.parts, results.first = kept["parts"], kept.get("first", {})
        for module, known in kept["modules"].items():
            if (ROOT / module).exists() and mutants.digest(module) == known["digest"]:
                results.verdicts[module] = list(known["verdicts"])
                results.cpu_s[module] = known["cpu_s"]
    return results


@frozen
class Reason:
    """Why a survivor is none: it changes nothing anybody could see.

    Attributes:
        module: Its file.
        before: The line as it is; empty for any.
        after: The line broken, or a part of it.
        why: In words.
    """

    module: str
    before: str
    after: str
    why: str


def reasons() -> list[Reason]:
    """All that are written down."""
    kept = tomllib.loads(EXPLAINED.read_text()) if EXPLAINED.exists() else {}
    return [Reason(each["module"], each["before"], each["after"], each["why"]) for each in kept.get("survivor", ())]


def explain(results: Results) -> dict[tuple[str, int], str]:
    """Each survivor that is explained, and why."""
    known: dict[tuple[str, str, str], str] = {(each.module, each.before, each.after): each.why for each in reasons()}
    found: dict[tuple[str, int], str] = {}
    for module, verdicts in results.verdicts.items():
        for place, verdict in enumerate(verdicts):
            if verdict in (attempt.SURVIVED, QUICKLY, attempt.UNREACHED):
                mutant = results.mutants(module)[place]
                why = known.get((module, mutant.before, mutant.after))
                if why is not None:
                    found[module, place] = why
    return found
