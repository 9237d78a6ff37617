"""Steps of a connector, and how a run and the connector it kills talk about them.

A *step* is a place in the order path where a connector's process may end: before and after what it writes into the
journal, what it gives to the network and takes from it, what it hears and tells. Nobody lists them: a connector under
watch writes down each one it passes, and a run has it killed at each of those. A step that is new is thereby found.

A life is what a connector is from start to end. A *plan* says at which step of its first life it ends, counted from
the moment it hears of the order the plan is about, and at which step of each life after that, counted from its start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import frozen

MOST_ALIKE = 2
"""Steps of one name in one life that are told apart: look-ups are repeated until something is proven."""
BEGUN = "begun"
"""Is written into the record where a connector hears of the order a plan is about."""
KILLED = "killed"
"""The same where one kills itself, or stops, after the step."""


@frozen(order=True)
class Step:
    """One place in one life.

    Attributes:
        name: What it is, e.g. ``"place: the whole request written"``.
        nth: 1 for the first of that name.
    """

    name: str
    nth: int = 1

    @property
    def row(self) -> str:
        """What a table calls it."""
        return self.name if self.nth == 1 else f"{self.name}, {'once more' if self.nth == 2 else f'time {self.nth}'}"


@frozen(kw_only=True)
class Plan:
    """Where to end.

    Attributes:
        about: Names of the order: the caller's id, the router's.
        ends: One for each life that is to end; the first is taken out before its connector dies.
        stops: It does not die there, but stops, until somebody lets it go on.
    """

    about: tuple[str, ...]
    ends: tuple[Step, ...]
    stops: bool = False

    def written(self, path: Path) -> None:
        """Replaces the plan at `path`, at once and whole."""
        ends = [[step.name, step.nth] for step in self.ends]
        text = json.dumps({"about": self.about, "ends": ends, "stops": self.stops})
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(text)
        beside.replace(path)

    @classmethod
    def read(cls, path: Path) -> Plan:
        """What is planned at `path`. Raises FileNotFoundError where nothing is."""
        found = json.loads(path.read_text())
        ends = tuple(Step(name, nth) for name, nth in found["ends"])
        return cls(about=tuple(found["about"]), ends=ends, stops=found["stops"])


@frozen(kw_only=True)
class Passed:
    """One line of the record.

    Attributes:
        at_s: By the monotonic clock, which all processes share.
    """

    pid: int
    at_s: float
    name: str

    def line(self) -> str:
        """As it is written."""
        return f"{self.pid}\t{self.at_s:.6f}\t{self.name}\n"

    @classmethod
    def read(cls, line: str) -> Passed:
        """A line of the record."""
        pid, at_s, name = line.rstrip("\n").split("\t")
        return cls(pid=int(pid), at_s=float(at_s), name=name)


def lives(record: Iterable[Passed]) -> list[list[Passed]]:
    """A record cut into lives, in their order; of the first only what came after it had `BEGUN`, if it says so."""
    by_pid: dict[int, list[Passed]] = {}
    for passed in record:
        by_pid.setdefault(passed.pid, []).append(passed)
    out = list(by_pid.values())
    if out:
        names = [passed.name for passed in out[0]]
        if BEGUN in names:
            out[0] = out[0][names.index(BEGUN) + 1 :]
    return out


def steps_of(life: Sequence[Passed]) -> list[Step]:
    """The steps of a life, in their order."""
    seen: dict[str, int] = {}
    out = []
    for passed in life:
        if passed.name in (BEGUN, KILLED):
            continue
        nth = seen[passed.name] = seen.get(passed.name, 0) + 1
        if nth <= MOST_ALIKE:
            out.append(Step(passed.name, nth))
    return out
